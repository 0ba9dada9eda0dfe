"""Encoding with a real model, SmolLM2-135M in bfloat16, beside transformers and nnsight.

    python benchmarks/encode_smollm2.py [--quick] [--texts 96] [--rounds 7]

Last token, texts of AG News; contenders take turns in one process, and intervals are over the rounds. transformers runs without the head,
on batches of 16 sorted by length, with the threads that torch sets: its whole body, whose state of a middle layer is taken, and the body
cut to the blocks below that layer, which is what a good engineer would write. The rate of matrix products is measured in every round, a
product on each core at once. In float32 every layer is held against the states that transformers hands out.
"""

import argparse
import copy
import sys
import time

import numpy as np
import torch

from common import SHARED, Control, Exact, Goal, Statement, finish, judged, peer, race
from encode import Contender, Forward, cosines, in_batches, nnsight_forward, ratio, real_texts
from lexframe.exceptions import LexframeError
from lexframe.intervals import t_interval
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.threads import side_by_side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few texts, two rounds")
    parser.add_argument("--texts", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    found = real(8, 2) if options.quick else real(options.texts, options.rounds)
    finish(found, keep_as=None if options.quick or not found else "encode_smollm2")


def real(n_texts: int, rounds: int) -> list[Statement]:
    """The middle and the last layer of SmolLM2."""
    try:
        opened = LanguageModelSpace("smollm2", dtype="bfloat16")
    except LexframeError as error:
        sys.stderr.write(f"SmolLM2 is left out: {error}\n")
        return []
    if not (SHARED / "data").is_dir():
        sys.stderr.write("the evaluation sets are absent; SmolLM2 is left out\n")
        return []
    model, tokenizer, texts = opened.model, opened.tokenizer, real_texts(n_texts)
    body, middle = model.model, opened.n_layers // 2
    spaces = {layer: LanguageModelSpace(model, tokenizer=tokenizer, layer=layer) for layer in (middle, opened.n_layers)}
    cut = copy.copy(body)
    cut._modules = {**body._modules, "layers": body.layers[:middle], "norm": torch.nn.Identity()}
    cut.config = copy.copy(body.config)
    cut.config.num_hidden_layers = middle

    def peers_way(forward: Forward) -> Contender:
        return lambda: in_batches(forward, tokenizer, texts)

    whole, below, ours_middle, ours_last = "whole body", "body cut to the blocks", "lexframe, middle layer", "lexframe, last layer"
    contenders: dict[str, Contender] = {
        whole: peers_way(lambda ids, mask: body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state),
        below: peers_way(lambda ids, mask: cut(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state),
        ours_middle: lambda: spaces[middle].encode(texts),
        ours_last: lambda: spaces[opened.n_layers].encode(texts),
    }
    if peer("nnsight"):
        contenders["nnsight"] = peers_way(nnsight_forward(model, lambda traced: traced.model.layers[middle]))
    rates: list[float] = []

    def measured() -> np.ndarray:
        rates.append(rate_on_all_cores())
        return np.array(rates)

    contenders["products"] = measured
    seconds, points = race(contenders, rounds, again=whole)
    n_tokens = int(opened.token_counts(texts).sum())
    block = sum(parameter.numel() for parameter in body.layers[0].parameters() if parameter.ndim == 2)
    print(f"{np.mean(rates) / 1e9:.0f} billion operations a second in products of bfloat16", flush=True)
    for name, found in seconds.items():
        print(f"{name:32s} {n_texts / found.mean():8.1f} texts/s  {n_tokens / found.mean():9.0f} tokens/s", flush=True)
    title = "SmolLM2, bfloat16"
    claims: list[Statement] = [
        *ratio(f"{title}, middle layer: times transformers without head, sorted, whole body", seconds, whole, ours_middle, 3.0),
        *ratio(f"{title}, last layer: times transformers without head, sorted", seconds, whole, ours_last, 1.8),
        *ratio(f"{title}, middle layer: times transformers cut to the blocks below it", seconds, below, ours_middle, 1.2),
    ]
    if "nnsight" in seconds:
        claims += ratio(f"{title}, middle layer: times nnsight, stopped at the layer, sorted", seconds, "nnsight", ours_middle, 1.2)
    kept = np.array(rates[-rounds:])
    for name, n_blocks in ((ours_middle, middle), (ours_last, opened.n_layers)):
        shares = [2 * block * n_blocks * n_tokens / seconds[each] / kept for each in (name, whole)]
        peers_share = Control("transformers, whole body", t_interval(shares[1], unit="runs"))
        claims += judged(
            f"{title}, {name.split(', ')[1]}: share of the rate of matrix products", t_interval(shares[0], unit="runs"),
            Goal(at_least=0.5), peers_share,
        )  # fmt: skip
    least = [float(cosines(found, points[whole]).min()) for found in (points[ours_last], np.roll(points[whole], 1, axis=0))]
    claims.append(
        Exact(f"{title}, last layer: least cosine with transformers", least[0], Goal(at_least=0.99), Control("the next text", least[1]))
    )
    return [*claims, *every_layer(texts[:8])]


def every_layer(texts: list[str]) -> list[Statement]:
    """Points in float32 beside the states of transformers: the largest difference over the largest number of a state."""
    space = LanguageModelSpace("smollm2")
    found = space.encode_layers(texts, layers=range(space.n_layers + 1))
    worst, shifted = 0.0, 0.0
    for row, text in enumerate(texts):
        with torch.no_grad():
            states = space.model.model(**space.tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        own = torch.stack(states)[:, 0, -1].numpy()
        scale = np.abs(own).max(axis=1, keepdims=True)
        worst = max(worst, float((np.abs(found[row] - own) / scale).max()))
        shifted = max(shifted, float((np.abs(np.roll(found[row], 1, axis=0) - own) / scale).max()))
    title = "SmolLM2, float32, every layer: largest difference from transformers over the largest number of the state"
    return [Exact(title, worst, Goal(at_most=1e-5), Control("the layer before", shifted))]


def rate_on_all_cores() -> float:
    """Operations a second in bfloat16, a product on each core at once; the best of several."""
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        n_done = sum(side_by_side(lambda _: products(20), range(torch.get_num_threads())))
        best = max(best, n_done / (time.perf_counter() - start))
    return best


def products(n: int) -> int:
    left, right = torch.ones(512, 576, dtype=torch.bfloat16), torch.ones(1536, 576, dtype=torch.bfloat16)
    for _ in range(n):
        torch.nn.functional.linear(left, right)
    return 2 * n * 512 * 576 * 1536


if __name__ == "__main__":
    main()
