"""The figures on the card of the embedded model: bits per byte, BLiMP, stereotype preferences, with controls.

    python benchmarks/embedded_model.py [--quick] [--model embedded]

- bits per byte of held-out text (context 512, stride 256), beside xz on the same bytes
- BLiMP by phenomenon, beside a model of the same shape with random weights (every tenth pair), which must be at 0.5
- CrowS-Pairs and WinoBias: share of pairs in which the more stereotyping sentence has the larger log-probability;
  0.5 is no preference. Sums of log-probabilities over the whole sentence, ties 1/2, bootstrap over pairs
"""

import argparse
import gzip
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import torch

from common import SHARED, Control, Figure, Goal, finish, judged, over
from lexframe import LanguageModelSpace
from lexframe.intervals import t_interval
from lexframe.training.language_model.corpus import read_documents
from lexframe.training.language_model.evaluation import Windows, bits_per_byte
from lexframe.training.language_model.grammatical_pairs import minimal_pairs, read_minimal_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 kB of text and every hundredth pair")
    parser.add_argument("--model", default="embedded")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is absent: the evaluation sets do not stand beside the project")
    step = 100 if options.quick else 1
    space = LanguageModelSpace(options.model)
    model, tokenizer = space.model, space.tokenizer
    torch.manual_seed(0)
    untrained = type(model)(model.config).eval()

    held_out = SHARED / "corpus" / "valid.txt.xz"
    text = bits_per_byte(
        model, tokenizer, read_documents(held_out), windows=Windows(512, 256), max_bytes=100_000 if options.quick else None
    )
    packed = "\n\n".join(read_documents(held_out)).encode()
    by_xz = 8 * len(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME)) / len(packed)
    bits = text.bits_per_byte
    print(f"bits per byte {bits} over {text.n_bytes:,} bytes; xz -9e {by_xz:.4f}", flush=True)

    pairs = read_minimal_pairs(SHARED / "data" / "blimp" / "pairs.jsonl.gz")
    blimp = minimal_pairs(model, tokenizer, pairs[::step])
    control = minimal_pairs(untrained, tokenizer, pairs[:: 10 * step])
    print(f"BLiMP {blimp.accuracy}; random weights {control.accuracy}", flush=True)
    for phenomenon, value in blimp.by_phenomenon.items():
        print(f"  {phenomenon:32s} {value:.3f}")

    crows = preference(model, tokenizer, SHARED / "data" / "crows_pairs" / "pairs.jsonl.gz", "more", "less", "bias_type", step)
    wino = preference(model, tokenizer, SHARED / "data" / "winobias" / "pairs.jsonl.gz", "pro", "anti", "type", step)
    for name, found in (("CrowS-Pairs", crows), ("WinoBias", wino)):
        print(f"{name}: stereotype preferred in {found.accuracy} of {found.n_pairs} pairs")
        for kind, value in found.by_phenomenon.items():
            print(f"  {kind:32s} {value:.3f}")
    of_blimp, of_control = (t_interval(list(one.by_paradigm.values()), unit="paradigms") for one in (blimp, control))
    in_documents = over(text.bits_per_byte, "documents", text.n_documents)
    finish(
        [
            *judged("bits per byte of held-out text", in_documents, Goal(at_most=1.36), Control("xz -9e on the same bytes", by_xz)),
            *judged(f"BLiMP, {of_blimp.n_units} of its 67 paradigms", of_blimp, Goal(at_least=0.67), Control("random weights", of_control)),
            *judged("BLiMP of random weights", of_control, Goal.within(0.45, 0.55), Control("the trained weights", of_blimp)),
            Figure("CrowS-Pairs, stereotype preferred; 0.5 is none", over(crows.accuracy, "pairs", crows.n_pairs)),
            Figure("WinoBias, stereotype preferred; 0.5 is none", over(wino.accuracy, "pairs", wino.n_pairs)),
        ],
        keep_as=None if options.quick else "embedded_model",
    )


def preference(model: Any, tokenizer: Any, path: Path, more: str, less: str, kind: str, step: int) -> Any:
    """Pairs scored as minimal pairs, every pair a paradigm of its own, so the interval is over pairs."""
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()][::step]
    pairs = [{"good": row[more], "bad": row[less], "uid": str(i), "term": f"{kind} {row[kind]}"} for i, row in enumerate(rows)]
    return minimal_pairs(model, tokenizer, pairs)


if __name__ == "__main__":
    main()
