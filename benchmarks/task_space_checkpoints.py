"""Language models of three sizes for the task spaces, each kept six times along its training: what they have learned at the end.

    python benchmarks/task_space_checkpoints.py --out runs/checkpoints [--quick] [--sizes small medium large] [--seed 0]

Trains by `lexframe pretrain`, on the first shard of the corpus and with one tokenizer of 4,096 tokens for all sizes, on equally many tokens
in equal order, so that checkpoints of two sizes compare. The models are in OUT/SIZE/models/tokens-…, of seeds other than 0 in
OUT/SIZE-seed-N. What is there already is left as it is, and a run that was stopped goes on. About an hour of one core in all; sizes can be
trained side by side: `--sizes large --n-processes 1` beside the others.

Figures of each last model: bits per byte of held-out text and BLiMP (every 20th pair), beside the first one that was kept.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from common import SHARED, Figure, Statement, finish, over
from lexframe.intervals import t_interval
from lexframe.spaces.language_model.opening import open_causal_model
from lexframe.training.language_model.corpus import read_documents
from lexframe.training.language_model.evaluation import Windows, bits_per_byte
from lexframe.training.language_model.grammatical_pairs import minimal_pairs, read_minimal_pairs

SIZES = {
    "small": {"n-layers": 4, "d-model": 96, "n-heads": 3, "d-ff": 256},
    "medium": {"n-layers": 6, "d-model": 160, "n-heads": 5, "d-ff": 432},
    "large": {"n-layers": 8, "d-model": 256, "n-heads": 4, "d-ff": 672},
}
"""Of .8, 2.5 and 7.3 million parameters, embeddings included: half of the smallest are embeddings."""
CONTEXT = 256
TOKENS = 4_194_304
KEPT = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of corpus, tokenizer and runs")
    parser.add_argument("--quick", action="store_true", help="a 32nd of the tokens, 50 kB of text and every 400th pair")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--seed", type=int, default=0, help="of weights and order of the data")
    parser.add_argument("--n-processes", type=int, help="of each training; default: one a core")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is absent: the corpus does not stand beside the project")
    prepare(options.out)
    claims: list[Statement] = []
    for size in options.sizes:
        name = size if options.seed == 0 else f"{size}-seed-{options.seed}"
        kept = train(options.out, name, size, options)
        claims += [*figures(name, kept[-1], options.quick), *figures(f"{name} at first", kept[0], options.quick)]
    everything = options.sizes == list(SIZES) and options.seed == 0 and not options.quick
    finish(claims, keep_as="task_space_checkpoints" if everything else None)


def prepare(out: Path) -> None:
    """Corpus and tokenizer, where they are missing."""
    if not (out / "corpus" / "corpus.parquet").is_file():
        pretrain("corpus", SHARED / "corpus" / "train-00.txt.xz", "--out", out / "corpus")
    if not (out / "tokenizer" / "tokenizer.json").is_file():
        pretrain("tokenizer", out / "corpus", "--out", out / "tokenizer", "--vocab-size", 4096)


def train(out: Path, name: str, size: str, options: argparse.Namespace) -> list[Path]:
    """The models kept along the run called `name`, in the order of training."""
    folder = out / name
    if not (folder / "model" / "training.json").is_file():
        tokens = TOKENS // 32 if options.quick else TOKENS
        plan = {**SIZES[size], "context": CONTEXT, "short-context": CONTEXT, "batch-tokens": 4096, "max-tokens": tokens, "keep": KEPT}
        plan |= {"checkpoint-minutes": 2, "seed": options.seed}
        if options.n_processes is not None:
            plan["n-processes"] = options.n_processes
        settings = [part for setting, value in plan.items() for part in (f"--{setting}", value)]
        pretrain("train", out / "corpus", "--tokenizer", out / "tokenizer", "--out", folder, *settings)
    return sorted((folder / "models").iterdir())


def pretrain(*command: object) -> None:
    """Run `lexframe pretrain` with these words."""
    subprocess.run([sys.executable, "-m", "lexframe", "pretrain", *map(str, command)], check=True)


def figures(name: str, folder: Path, quick: bool) -> list[Statement]:
    model, tokenizer = open_causal_model(str(folder))
    held_out = read_documents(SHARED / "corpus" / "valid.txt.xz")
    text = bits_per_byte(model, tokenizer, held_out, windows=Windows(CONTEXT, CONTEXT // 2), max_bytes=50_000 if quick else 500_000)
    pairs = minimal_pairs(model, tokenizer, read_minimal_pairs(SHARED / "data" / "blimp" / "pairs.jsonl.gz")[:: 400 if quick else 20])
    by_paradigm = t_interval(list(pairs.by_paradigm.values()), unit="paradigms")
    named = f"{name} ({model.num_parameters():,} parameters, {int(folder.name.removeprefix('tokens-')):,} tokens seen)"
    print(f"{named}: {text.bits_per_byte} bits per byte, BLiMP {by_paradigm}", flush=True)
    return [
        Figure(f"{named}: bits per byte of held-out text", over(text.bits_per_byte, "documents", text.n_documents)),
        Figure(f"{named}: BLiMP, {pairs.n_pairs:,} pairs", by_paradigm),
    ]


if __name__ == "__main__":
    main()
