"""Seconds to fit posterior calibration on 10,000 labeled texts, and LoRA and (IA)3 on the same texts in the same run.

    python benchmarks/fit_time.py [--quick]

Encoding is timed and printed, and is not part of the fit: the points are made once for every method and every label. LoRA and (IA)3
see every text once, at one learning rate (100 steps are timed, all take alike); choosing the rate costs them several times as much.
"""

import argparse
import math
import time
from collections.abc import Callable

import numpy as np

from common import AGAIN, Control, Goal, Statement, finish, judged, race, times
from compare import open_model, read_set
from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.adaptation.methods.label_readouts import label_readout
from lexframe.adaptation.methods.optimizing import Course, optimize
from lexframe.adaptation.methods.peft import IA3, LoRA
from lexframe.adaptation.methods.posterior import PosteriorMethod
from lexframe.adaptation.methods.weights import WeightMethod
from lexframe.adaptation.problem import Problem
from lexframe.intervals import t_interval
from lexframe.latents import Reading, TextReader

TIMED_STEPS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="800 texts")
    parser.add_argument("--set", default="agnews")
    options = parser.parse_args()
    n_rows = 800 if options.quick else 10_000
    table = read_set(options.set, "train")
    assert table.labels is not None
    order = np.random.default_rng(0).permutation(len(table))[:n_rows]
    labels = tuple(sorted(set(table.labels)))
    y = np.searchsorted(labels, [table.labels[i] for i in order])
    space = open_model("embedded")
    words = {label: [label] for label in labels}
    found: dict[str, np.ndarray] = {}
    for name, reading in (("its own points", Reading.own()), ("six representations", Reading.thirds(space))):
        encoded = EncodedTexts(TextReader(space, reading), [table.texts[i] for i in order])
        problem = Problem(encoded, labels, words, np.arange(len(order)), y)
        encoded.label_scores(problem.words())
        seconds, _ = race({name: lambda problem=problem: PosteriorMethod().fit(problem)}, 5, again=name)
        found |= {name: seconds[name], AGAIN: seconds[AGAIN]}
        width = sum(block.shape[1] for block in encoded.blocks())
        print(f"posterior on {len(order):,} x {width}: {found[name].mean():.2f} s (encoding {encoded.encode_seconds:.1f} s)", flush=True)
    claims: list[Statement] = []
    n_runs, n_steps = (2, 5) if options.quick else (3, TIMED_STEPS)
    trained = {method.name: np.array([train_seconds(method, problem, n_steps) for _ in range(n_runs)]) for method in (LoRA(), IA3())}
    for name in ("its own points", "six representations"):
        title, lora = f"posterior calibration, {n_rows} labeled texts, {name}, seconds to fit", t_interval(trained["lora"], unit="runs")
        claims += judged(title, t_interval(found[name], unit="runs"), Goal(at_most=1), Control("LoRA, every text once", lora))
    itself = Control("posterior against itself", times(found[AGAIN], found["six representations"]))
    for name, seconds in trained.items():
        print(f"{name}, every text once: {seconds.mean():.1f} s", flush=True)
        title = f"{name}, every text once ({TIMED_STEPS} steps timed), over posterior on six representations, seconds"
        claims += judged(title, times(seconds, found["six representations"][: len(seconds)]), Goal(at_least=100), itself)
    finish(claims, keep_as=None if options.quick else "fit_time")


def train_seconds(method: WeightMethod, problem: Problem, most_steps: int) -> float:
    """One pass over the labeled texts at the middle rate, told from the first steps of it."""
    readout = label_readout(problem)
    method.open_weights(readout)
    texts = readout.network.tokenize(problem.texts(problem.rows))
    n_steps = math.ceil(len(texts) / method.batch_size)
    n_timed = min(most_steps, n_steps)
    course = Course(method.learning_rates[1], n_steps, n_timed, method.batch_size, 0.0, 0)
    return timed(lambda: list(optimize(readout, texts, problem.y, course))) * n_steps / n_timed


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
