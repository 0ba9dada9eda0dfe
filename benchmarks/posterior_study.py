"""How posterior calibration was chosen: each of its parts changed or left out, on texts of training files alone.

    python benchmarks/posterior_study.py [--quick] [--model embedded]

From each set's training file 4,000 texts are drawn: labels come from 3,000 of them, the rest of which are the unlabeled texts, and the
other 1,000 are tested on. No test file is opened.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from common import Control, Goal, Statement, finish, judged
from compare import SETS, open_model, read_set
from lexframe.adaptation.draws import draw_labels
from lexframe.adaptation.methods import make_methods
from lexframe.adaptation.problem import EncodedTexts, Problem
from lexframe.adaptation.task import reader_of
from lexframe.instruments import PosteriorCalibration
from lexframe.instruments.classifiers import posterior_calibration, posterior_mode, zero_shot_prior
from lexframe.intervals import t_interval
from lexframe.spaces.base import Space, VocabularySpace

SHOTS = (0, 1, 4, 16, 64)
SHIPPED = "as shipped"
CONSTANTS: dict[str, dict[str, float]] = {
    SHIPPED: {},
    "temperature of smoothing 0.125": {"SMOOTHING_TEMPERATURE": 0.125},
    "temperature of smoothing 0.5": {"SMOOTHING_TEMPERATURE": 0.5},
    "temperature of smoothing 1": {"SMOOTHING_TEMPERATURE": 1.0},
    "half smoothing at 200 texts": {"ROWS_OF_HALF_SMOOTHING": 200},
    "no smoothing": {"ROWS_OF_HALF_SMOOTHING": float("inf")},
    "trust 0.5 +- 0.5": {"TRUST": 0.5, "TRUST_SPREAD": 0.5},
    "precision of W around 10": {"LOG_PRECISION": float(np.log(10.0))},
    "precision of W around 40": {"LOG_PRECISION": float(np.log(40.0))},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, one draw, 400 texts")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/posterior_study"), help="where points are kept")
    options = parser.parse_args()
    sets, n_draws, n_texts = (SETS[:2], 1, 400) if options.quick else (SETS, options.draws, 4000)
    all_shots = (0, 4) if options.quick else SHOTS
    space = open_model(options.model)
    rows = []
    for name in sets:
        table = read_set(name, "train")
        assert table.labels is not None
        order = np.random.default_rng(99).permutation(len(table))[:n_texts]
        labels = tuple(sorted(set(table.labels)))
        y = np.searchsorted(labels, [table.labels[i] for i in order])
        encoded = EncodedTexts(reader_of(space, options.out), [table.texts[i] for i in order])
        n_pool = 3 * len(order) // 4
        for variant, predict in variants(space).items():
            for shots in all_shots:
                for seed in range(n_draws if shots else 1):
                    drawn = draw_labels(y[:n_pool], shots, seed)
                    problem = Problem(
                        encoded, labels, {label: [label] for label in labels}, drawn, y[drawn], np.setdiff1d(np.arange(n_pool), drawn), seed
                    )
                    probabilities = predict(problem, np.arange(n_pool, len(order)))
                    if probabilities is not None:
                        accuracy = float(np.mean(probabilities.argmax(axis=1) == y[n_pool:]))
                        rows.append({"set": name, "variant": variant, "shots": shots, "draw": seed, "accuracy": accuracy})
        print(name, flush=True)
    table = pd.DataFrame(rows)
    print(table.pivot_table(index="variant", columns="shots", values="accuracy", sort=False).round(4))
    kept = "posterior_study" if options.model == "embedded" else "posterior_study-minilm"
    finish(claims(table), keep_as=None if options.quick else kept)


def variants(space: Space) -> dict[str, Callable[[Problem, np.ndarray], np.ndarray | None]]:
    """What gives probabilities of the test rows, or None where it cannot be fitted."""

    def of_method(name: str) -> Callable[[Problem, np.ndarray], np.ndarray | None]:
        (method,) = make_methods(name)
        return lambda problem, test: None if problem.shots < method.least_shots else method.fit(problem).predict_proba(test)

    def with_constants(changed: dict[str, float]) -> Callable[[Problem, np.ndarray], np.ndarray]:
        def predict(problem: Problem, test: np.ndarray) -> np.ndarray:
            with ExitStack() as stack:
                for name, value in changed.items():
                    home = next(module for module in (posterior_calibration, posterior_mode, zero_shot_prior) if name in vars(module))
                    stack.enter_context(mock.patch.object(home, name, value))
                return posterior(problem, test)

        return predict

    found: dict[str, Callable[[Problem, np.ndarray], Any]] = {name: with_constants(changed) for name, changed in CONSTANTS.items()}
    found["centring the other way"] = lambda problem, test: posterior(problem, test, turned=True)
    others = ("posterior-labels-only", "posterior-without-prior", "posterior-own-points", "batch-calibration", "class-mean", "logistic")
    return found | {name: of_method(name) for name in others if make_methods(name)[0].obstacle(space) is None}


def posterior(problem: Problem, test: np.ndarray, *, turned: bool = False) -> np.ndarray:
    """Posterior calibration on all blocks; `turned` centres the scores of a sentence encoder and not those of a language model."""
    X = np.concatenate([problem.encoded.label_scores(problem.words()), *problem.encoded.blocks()], axis=1)
    estimator = PosteriorCalibration(
        list(range(problem.n_labels)),
        blocks=[block.shape[1] for block in problem.encoded.blocks()],
        center_prior=isinstance(problem.space, VocabularySpace) != turned,
        random_state=problem.seed,
    )
    return estimator.fit(X[problem.rows], problem.y, X[problem.unlabeled]).predict_proba(X[test])


def claims(table: pd.DataFrame) -> list[Statement]:
    """What ships minus each variant, mean over the numbers of labels that both have; intervals over sets.

    The control is what ships against itself on other draws of labels: even draws minus odd ones.
    """
    wide = table.pivot_table(index=["set", "shots"], columns="variant", values="accuracy", sort=False)
    shipped = table[(table.variant == SHIPPED) & (table.shots != 0)]
    by_draw = shipped.assign(odd=shipped.draw % 2).pivot_table(index="set", columns="odd", values="accuracy")
    itself = (by_draw[0] - by_draw[1]).to_numpy() if by_draw.shape[1] == 2 else [np.nan]
    control = Control("the same on other draws", t_interval(itself, unit="sets"))
    found: list[Statement] = []
    for variant in (name for name in wide.columns if name != SHIPPED):
        lead = (wide[SHIPPED] - wide[variant]).dropna().groupby("set").mean().to_numpy()
        found += judged(f"{SHIPPED} minus {variant}, accuracy, training files", t_interval(lead, unit="sets"), Goal(above=0), control)
    return found


if __name__ == "__main__":
    main()
