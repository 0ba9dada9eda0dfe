"""Traces: what they cost beside a forward pass, and how well tuned lenses read inner layers.

    python benchmarks/trace.py [--quick] [--parts cost,memory,lenses] [--seeds 3] [--model smollm2]

Cost: a prompt of some 64 tokens through a GPT-2-shaped model of 124M parameters (random weights), every layer and statistic,
beside one forward pass with its logits, and the plain way: the head over every state, in float32; contenders take turns, and intervals
are over the rounds. Memory: peaks of a process a
prompt length. Lenses: fitted on texts of a set's training file, measured on texts of its test file and of another set's, beside
the logit lens, the ridge alone, and the published recipe for tuned lenses (a map in front of the final norm, started at zero,
Nesterov momentum, linear decay) trained for the processor time that ours took; three draws of texts. With `--model` cost and memory of
that model (its lenses are in lenses.py).
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers as tf

from common import SHARED, Claim, Control, Exact, Figure, Goal, Statement, finish, judged, named_after, on_others, race, times
from encode import gpt2_shaped, random_texts
from lexframe import LanguageModelSpace, read_table
from lexframe.instruments.traces.lens import Lens, LogitLens, read_through
from lexframe.instruments.traces.lens_fitting import fit_tuned_lens, mean_divergences
from lexframe.instruments.traces.trace import trace
from lexframe.intervals import t_interval
from lexframe.spaces.base import LensSpace
from lexframe.spaces.precision import fastest_precision

FITTED_ON, ALSO_ON = "agnews", "mr"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds, one draw, few tokens")
    parser.add_argument("--parts", default="cost,memory,lenses")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print(peak_of(options.peak_of, options.model))
        return
    other = options.model != "embedded"
    parts = "cost,memory" if other else options.parts
    found: list[Statement] = []
    if "cost" in parts:
        found += cost(options.model if other else None, 2 if options.quick else 7)
    if "memory" in parts:
        found += memory(options.model, (16, 64) if options.quick else (16, 64, 256))
    if "lenses" in parts:
        n_tokens, n_steps, seeds = (3_000, 5, range(1)) if options.quick else (20_000, 40, range(options.seeds))
        found += lenses(n_tokens, n_steps, seeds)
    finish(found, keep_as=None if options.quick or options.parts != parser.get_default("parts") else named_after("trace", options.model))


PROMPT = "She opened the door of the old house by the river and saw a letter on the table, and beside it lay a key that "


def cost(model: str | None, rounds: int) -> list[Statement]:
    """Time of a whole trace over that of one forward pass; without a model, of the shape of GPT-2."""
    space, prompt = gpt2_of_124m() if model is None else (LanguageModelSpace(model), (PROMPT * 3)[: len(PROMPT) * 5 // 2].strip())
    ids = torch.tensor([space.token_states(prompt, layers=[0]).ids])

    def forward() -> None:
        with torch.no_grad():
            space.model(input_ids=ids, use_cache=False)

    def plainly() -> None:
        with torch.no_grad():
            found = space.model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states
            head = space.model.get_output_embeddings()
            norm = space.model.transformer.ln_f if model is None else space.model.get_decoder().norm
            for states in found:
                torch.log_softmax(head(norm(states)), dim=-1)

    contenders: dict[str, Callable[[], object]] = {
        "forward pass": forward,
        "plainly": plainly,
        "trace, float32": lambda: trace(space, [prompt]),
    }
    if fastest_precision() == "bfloat16":
        contenders["trace, bfloat16"] = lambda: trace(space, [prompt], precision="bfloat16")
    contenders["states alone"] = lambda: space.token_states(prompt)
    seconds, _ = race(contenders, rounds)
    ratios = {name: times(found, seconds["forward pass"]) for name, found in seconds.items()}
    for name, found in ratios.items():
        print(f"{name:16s} {1000 * seconds[name].mean():7.0f} ms  {found} x a forward pass", flush=True)
    precision = "bfloat16" if "trace, bfloat16" in ratios else "float32"
    title = f"trace of {ids.shape[1]} tokens, inner layers in {precision}, over a forward pass"
    plain = Control("the head over every state, plainly", ratios["plainly"])
    claims: list[Statement] = [
        *judged(title, ratios[f"trace, {precision}"], Goal(at_most=2 if model is None else 2.5), plain),
        Figure(
            f"trace of {ids.shape[1]} tokens, all in float32, over a forward pass ({space.n_layers + 1} heads for one)",
            ratios["trace, float32"],
        ),
    ]
    if precision == "bfloat16":
        states = space.token_states(prompt)
        exact_table, coarse = (read_through(space, LogitLens(), states.states, states.layers, precision=p) for p in ("float32", "bfloat16"))
        off, shifted = (
            float(np.abs(exact_table.kl_to_final - other).max())
            for other in (coarse.kl_to_final, np.roll(exact_table.kl_to_final, 1, axis=0))
        )
        control = Control("the layer before in its place", shifted)
        claims.append(Exact("largest change of a divergence by bfloat16, nats", off, Goal(at_most=0.1), control))
    return claims


def gpt2_of_124m() -> tuple[LanguageModelSpace, str]:
    """The shape of GPT-2 with random weights and a vocabulary of 50,257, and a prompt of 64 tokens."""
    _, tokenizer = gpt2_shaped()
    torch.manual_seed(0)
    space = LanguageModelSpace(tf.GPT2LMHeadModel(tf.GPT2Config()).eval(), tokenizer=tokenizer)
    return space, " ".join(" ".join(random_texts(20)).split()[:64])


def memory(model: str, lengths: Sequence[int]) -> list[Claim]:
    """Peak of a process that traces one prompt, by the prompt's length."""
    command = [sys.executable, __file__, "--model", model, "--peak-of"]
    space = LanguageModelSpace(model)
    runs = [
        [float(subprocess.run([*command, str(n)], capture_output=True, text=True, check=True).stdout.split()[-1]) for n in lengths]
        for _ in range(3)
    ]
    peaks = np.array(runs)
    mean = peaks.mean(axis=0)
    print("peak memory: " + ", ".join(f"{length} tokens {peak:.0f} MiB" for length, peak in zip(lengths, mean, strict=True)))
    whole = (space.n_layers + 1) * space.n_vocab * 4 / 2**20 * (lengths[-1] - lengths[0])  # what layers x tokens x vocabulary would add
    growth = t_interval(peaks[:, -1] - peaks[:, 0], unit="runs")
    text = f"growth of the peak from {lengths[0]} to {lengths[-1]} tokens, MiB, where all distributions would take {whole:.0f}"
    return judged(text, growth, Goal(below=max(32.0, whole / 4)), Control("all distributions, by arithmetic", max(whole, 32.0)))


def peak_of(n_tokens: int, model: str) -> float:
    """MiB at the peak of this process, after tracing so many tokens."""
    space = LanguageModelSpace(model)
    trace(space, ["the " * n_tokens])
    # Not ru_maxrss: a started process begins with the peak of the one that started it.
    return float(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def lenses(n_tokens: int, n_steps: int, seeds: Sequence[int]) -> list[Statement]:
    """Divergence from the model's answer at every inner layer, on texts that no lens was fitted on."""
    if not (SHARED / "data" / FITTED_ON).is_dir():
        sys.stderr.write(f"{SHARED / 'data' / FITTED_ON} is absent; lenses are left out\n")
        return []
    space = LanguageModelSpace("embedded")
    tables: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        texts = draw(FITTED_ON, "train", 4_000, seed)
        start = time.process_time()
        ours = fit_tuned_lens(space, texts, n_steps=n_steps, max_tokens=n_tokens, precision=fastest_precision(), seed=seed)
        seconds = time.process_time() - start
        ridge = fit_tuned_lens(space, texts, n_steps=0, max_tokens=n_tokens, seed=seed)
        published, steps = published_recipe(space, texts, seconds, seed)
        print(f"seed {seed}: {seconds:.0f} s of processor time for ours, {steps} steps of the published recipe in as many", flush=True)
        named: dict[str, Lens] = {"logit": LogitLens(), "ridge": ridge, "ours": ours, "published": published}
        for name, lens in named.items():
            for where in (FITTED_ON, ALSO_ON):
                held_out = draw(where, "test", 80, seed)
                tables.setdefault(f"{name} on {where}", []).append(mean_divergences(space, lens, held_out)[:-1])
    for name, rows in tables.items():
        print(f"{name:22s} " + "  ".join(f"{value:6.3f}" for value in np.mean(rows, axis=0)), flush=True)
    claims: list[Statement] = []
    for where in (FITTED_ON, ALSO_ON):
        found = {name: np.array(tables[f"{name} on {where}"]) for name in named}
        gain = found["ours"] - found["logit"]
        itself = Control("ours on other draws", on_others(found["ours"].mean(axis=1), unit="draws").value)
        for text, values, goal in (
            ("tuned minus logit lens, the layer that gains least, nats", gain.max(axis=1), Goal(below=0)),
            (
                "tuned lens minus the published recipe for the same time, mean over layers, nats",
                (found["ours"] - found["published"]).mean(axis=1),
                Goal(at_most=0),
            ),
            ("steps minus ridge alone, mean over layers, nats", (found["ours"] - found["ridge"]).mean(axis=1), Goal(below=0)),
        ):
            claims += judged(f"{where}: {text}", t_interval(values, unit="draws"), goal, itself)
        for layer, values in enumerate(gain.T):
            claims.append(Figure(f"{where}: tuned minus logit lens at layer {layer}, nats", t_interval(values, unit="draws")))
    return claims


def draw(name: str, part: str, n: int, seed: int) -> list[str]:
    texts = read_table(SHARED / "data" / name / f"{part}.jsonl.gz", label=None).texts
    return [texts[row] for row in np.random.default_rng(seed).permutation(len(texts))[:n]]


class PublishedLens(Lens):
    """Maps in front of the final norm: h + Ah + b, then norm and head."""

    name = "published"

    def __init__(self, maps: list[torch.nn.Linear]):
        self.maps = maps

    def inputs(self, space: LensSpace, states: np.ndarray, *, layer: int) -> np.ndarray:
        if layer >= len(self.maps):
            return space.lens.input(states, layer=layer)
        with torch.no_grad():
            moved = torch.from_numpy(states) + self.maps[layer](torch.from_numpy(states))
        return space.lens.input(moved.numpy(), layer=layer)

    def logits(self, space: LensSpace, inputs: np.ndarray, *, layer: int, precision: str = "float32") -> np.ndarray:
        return space.lens.logits(inputs, precision=precision)


def published_recipe(space: LanguageModelSpace, texts: Sequence[str], seconds: float, seed: int) -> tuple[PublishedLens, int]:
    """Tuned lenses as Belrose et al. train them, for so many seconds of processor time, at the better of two rates.

    The time is given to each rate; the rate is chosen on texts kept apart, so the recipe gets twice our time.
    """
    apart, known = list(texts[:40]), list(texts[40:])
    best: tuple[float, PublishedLens, int] | None = None
    for rate in (1.0, 0.3):
        lens, steps = train_published(space, known, seconds, rate, seed)
        kl = float(mean_divergences(space, lens, apart)[:-1].mean())
        if np.isfinite(kl) and (best is None or kl < best[0]):
            best = (kl, lens, steps)
    assert best is not None
    return best[1], best[2]


def train_published(space: LanguageModelSpace, texts: Sequence[str], seconds: float, rate: float, seed: int) -> tuple[PublishedLens, int]:
    """Nesterov momentum of .9, a rate of (1 - .9) times `rate` that falls to zero with the time, gradients clipped at 1, decay 1e-3."""
    width, n_layers = space.n_dims, space.n_layers
    maps = [torch.nn.Linear(width, width) for _ in range(n_layers)]
    for each in maps:
        torch.nn.init.zeros_(each.weight)
        torch.nn.init.zeros_(each.bias)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1 * rate, momentum=0.9, nesterov=True, weight_decay=1e-3) for m in maps]
    head, norm = space.model.get_output_embeddings(), space.model.model.norm
    order = np.random.default_rng(seed).permutation(len(texts))
    start, step, place = time.process_time(), 0, 0
    while (spent := time.process_time() - start) < seconds:
        block = [texts[order[(place + i) % len(texts)]] for i in range(24)]
        place += 24
        states = np.concatenate([found.states for found in space.token_states_of(block)], axis=1)
        final = torch.log_softmax(head(torch.from_numpy(states[-1])).detach(), dim=-1)
        for layer, (each, optimizer) in enumerate(zip(maps, optimizers, strict=True)):
            hidden = torch.from_numpy(states[layer])
            lens = torch.log_softmax(head(norm(hidden + each(hidden))), dim=-1)
            loss = torch.nn.functional.kl_div(lens, final, log_target=True, reduction="batchmean")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(each.parameters(), 1.0)
            optimizer.param_groups[0]["lr"] = 0.1 * rate * (1 - spent / seconds)
            optimizer.step()
        step += 1
    return PublishedLens(maps), step


if __name__ == "__main__":
    main()
