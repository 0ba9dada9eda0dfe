"""Posterior calibration with the names of the labels, with random words in their place, and with no scores at all.

    python benchmarks/posterior_study.py --part report [--model embedded] [--sets dbpedia14,desk] [--quick]
    python benchmarks/posterior_study.py --part report --shots 16,64,256,all --draws 3
    python benchmarks/posterior_study.py --part design --constants

Constants are chosen on the sets of DESIGN, on texts of training files alone; the sets of REPORT had no part in any choice (see
posterior_sets.py). All variants see the same labels, the same texts without labels and the same features. Cells are kept under --out, a
file a set, and what is there is not measured again; every run puts together all that was measured.
"""

import argparse
import collections
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from common import RESULTS, SHARED, Claim, Control, Figure, Goal, finish, judged
from lexframe.adaptation.cells import ALL, Shots
from lexframe.adaptation.draws import Draws, draw_labels, shots_order
from lexframe.files import write_text
from lexframe.instruments import PosteriorCalibration
from lexframe.instruments.classifiers import opinion_pool, posterior_calibration, prior_trust, shrunken_discriminant, zero_shot_prior
from lexframe.instruments.classifiers.column_layout import PHRASES, WORDS
from lexframe.instruments.classifiers.prior_trust import PriorTrust
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces.base import VocabularySpace
from posterior_sets import DESIGN, REPORT, StudySet, open_study_model, study_set

SHOTS = (1, 4, 16, 64)
NAMES, RANDOM, NONE = "label names", "random words", "no scores"
TRUSTED = "always trusted"
N_POOL, N_TEST, N_DRAWS = 2000, 600, 5
FEW = 4
"""Labels a class up to which something is claimed: with more, even scores that are always trusted do little harm."""
MOST_TRUSTED = 16
"""Labels a class up to which scores that are always trusted are measured."""
MODULES = (posterior_calibration, opinion_pool, shrunken_discriminant, prior_trust, zero_shot_prior)
CONSTANTS: dict[str, dict[str, Any]] = {
    "odds of 1": {"TRUST_LOG_ODDS": {WORDS: 0.0, PHRASES: 0.0}},
    "odds turned": {"TRUST_LOG_ODDS": {WORDS: 2.0, PHRASES: -2.0}},
    "half the weight before": {"EXPECTED_WEIGHT": 0.35},
    "twice the weight before": {"EXPECTED_WEIGHT": 1.4},
    "full weight from the first label": {"LABELS_OF_HALF_WEIGHT": 0.0},
    "free intercepts": {"INTERCEPT_SPREAD": 3.0},
    "means as they are": {"MOST_PULL": 0.0},
    "variances as they are": {"VARIANCE_PRIOR": 0.0},
    "no smoothing": {"ROWS_OF_HALF_SMOOTHING": float("inf")},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, one draw, 300 texts")
    parser.add_argument("--part", choices=("design", "report"), default="report")
    parser.add_argument("--constants", action="store_true", help="each constant changed, in place of the three kinds of scores")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--sets", help="those of the part, unless given")
    parser.add_argument("--draws", type=int, default=N_DRAWS)
    parser.add_argument("--shots", default=",".join(map(str, SHOTS)))
    parser.add_argument("--texts", type=int, default=N_POOL, help="training texts of a set")
    parser.add_argument("--tests", type=int, default=N_TEST)
    parser.add_argument("--out", type=Path, default=Path("runs/posterior_study"), help="where points and cells are kept")
    options = parser.parse_args()
    if options.part == "report" and options.constants:
        raise SystemExit("Constants are looked at on the sets of --part design alone.")
    sets = options.sets.split(",") if options.sets else {"design": DESIGN, "report": REPORT}[options.part]
    shots = [ALL if shot == ALL else int(shot) for shot in options.shots.split(",")]
    if options.quick:
        sets, options.draws, shots, options.texts, options.tests = sets[:2], 1, [1, 4], 200, 100
    space = open_study_model(options.model)
    tag = Path(options.model).name
    kind = "constants" if options.constants else "scores"
    for name in sets:
        cells = options.out / f"{tag}-{kind}-{name}{'-quick' if options.quick else ''}.csv"
        kept = pd.read_csv(cells, dtype={"shots": str}) if cells.exists() and not options.quick else pd.DataFrame(columns=["shots", "draw"])
        there = set(zip(kept.shots, kept.draw, strict=True))
        wanted = [draw for draw in Draws(shots, range(options.draws)).each() if (str(draw[0]), draw[1]) not in there]
        if wanted:
            study = study_set(name, space, options.out / tag, n_pool=options.texts, n_test=options.tests)
            for rows in measured(study, wanted, center=isinstance(space, VocabularySpace), constants=options.constants):
                kept = pd.concat([kept, pd.DataFrame(rows)]) if len(kept) else pd.DataFrame(rows)
                write_text(cells, kept.to_csv(index=False))
        print(name, flush=True)
    found = sorted(options.out.glob(f"{tag}-{kind}-*{'-quick' if options.quick else ''}.csv"))
    table = pd.concat([pd.read_csv(path, dtype={"shots": str}) for path in found if options.quick == path.stem.endswith("-quick")])
    table = table[table.set.isin(DESIGN if options.part == "design" else REPORT)]
    print(table.pivot_table(index="variant", columns="shots", values=["accuracy", "log_loss"], sort=False).round(4).to_string())
    name = f"posterior_{'constants' if options.constants else 'study'}-{options.part}-{tag}"
    if not options.quick:
        means = table.groupby(["set", "variant", "shots"], sort=False).mean(numeric_only=True).drop(columns="draw").round(4)
        write_text(RESULTS / f"{name}-means.csv", means.reset_index().to_csv(index=False))
    statements = of_constants(table) if options.constants else of_scores(table, claimed=options.quick or set(REPORT) <= set(table.set))
    finish(statements, keep_as=None if options.quick else name)


def measured(
    study: StudySet, wanted: Sequence[tuple[Shots, int]], *, center: bool, constants: bool
) -> Iterator[list[dict[str, str | int | float]]]:
    """For each number of labels and draw a row a variant."""
    n_labels = len(study.labels)
    points = np.concatenate(study.encoded.blocks(), axis=1)
    names = study.encoded.label_scores([[label] for label in study.labels])
    n_draws = max(N_DRAWS, *(draw + 1 for _, draw in wanted))  # the words of a draw do not depend on how many draws are measured
    others = np.split(study.encoded.label_scores([[word] for word in random_words(n_draws * n_labels)]), n_draws, axis=1)
    for shots, draw in wanted:
        drawn = draw_labels(study.y[: study.n_pool], shots, draw)
        rest = np.setdiff1d(np.arange(study.n_pool), drawn)

        def fit(scores: np.ndarray | None, drawn: np.ndarray = drawn, rest: np.ndarray = rest, draw: int = draw) -> dict[str, float]:
            X = points if scores is None else np.concatenate([scores, points], axis=1)
            labels = None if scores is None else list(range(n_labels))
            blocks = [block.shape[1] for block in study.encoded.blocks()]
            estimator = PosteriorCalibration(labels, views=[blocks], priors=[WORDS if center else PHRASES], random_state=draw)
            estimator.fit(X[drawn], study.y[drawn], X[rest])
            return judged_on(estimator, X[study.test], study.y[study.test])

        found = variants(fit, names, others[draw], constants=constants)
        if shots_order(shots) > MOST_TRUSTED:
            found = {variant: made for variant, made in found.items() if TRUSTED not in variant}
        yield [{"set": study.name, "variant": variant, "shots": str(shots), "draw": draw, **made()} for variant, made in found.items()]


def variants(
    fit: Callable[[np.ndarray | None], dict[str, float]], names: np.ndarray, strange: np.ndarray, *, constants: bool
) -> dict[str, Callable[[], dict[str, float]]]:
    """What is measured on one draw."""

    def changed(scores: np.ndarray | None, values: dict[str, Any]) -> dict[str, float]:
        with ExitStack() as stack:
            for name, value in values.items():
                home = next(module for module in MODULES if name in vars(module))
                stack.enter_context(mock.patch.object(home, name, value))
            return fit(scores)

    def trusted(scores: np.ndarray) -> dict[str, float]:
        with mock.patch.object(posterior_calibration, "prior_trust", return_value=PriorTrust(1.0, 1.0)):
            return fit(scores)

    if constants:
        found = {"as shipped": lambda: fit(names), "as shipped, random words": lambda: fit(strange)}
        for variant, values in CONSTANTS.items():
            found[variant] = lambda values=values: changed(names, values)
            if "odds" in variant:
                found[f"{variant}, random words"] = lambda values=values: changed(strange, values)
        return found
    return {
        NONE: lambda: fit(None),
        NAMES: lambda: fit(names),
        RANDOM: lambda: fit(strange),
        f"{NAMES}, {TRUSTED}": lambda: trusted(names),
        f"{RANDOM}, {TRUSTED}": lambda: trusted(strange),
    }


def judged_on(estimator: PosteriorCalibration, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    probabilities = estimator.predict_proba(X)
    columns = np.searchsorted(estimator.classes_, y)
    return {
        "accuracy": float(np.mean(estimator.classes_[probabilities.argmax(axis=1)] == y)),
        "log_loss": float(-np.log(np.maximum(probabilities[np.arange(len(y)), columns], 1e-12)).mean()),
        "trust": float(estimator.trust_.sum()),
        "prior_probability": float(estimator.prior_probability_.sum()),
        "precision": float(np.exp(np.log(estimator.precisions_).mean())),
    }


def random_words(n: int) -> list[str]:
    """Words of image captions, which have nothing to do with any set; as labels they mean nothing."""
    with gzip.open(SHARED / "data" / "coco_captions" / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        counts = collections.Counter(word for line in lines for word in re.findall("[a-z]{3,}", json.loads(line)["text"]))
    frequent = sorted(word for word, count in counts.items() if count >= 10)
    return np.random.default_rng(1000).choice(frequent, n, replace=False).tolist()


def difference(table: pd.DataFrame, one: str, other: str, shots: str, value: str = "accuracy") -> Estimate:
    """Between two variants on the same draws; the interval is over sets."""
    wide = table[table.shots == shots].pivot_table(index=["set", "draw"], columns="variant", values=value)
    return t_interval((wide[one] - wide[other]).groupby("set").mean().to_numpy(), unit="sets")


def of_scores(table: pd.DataFrame, *, claimed: bool) -> list[Claim | Figure]:
    """What the prior does, where it is of use and where it is not; of a part of the sets nothing is claimed."""
    found: list[Claim | Figure] = []
    for shots in sorted(table.shots.unique(), key=shots_order):
        among = "with all labels" if shots == ALL else f"at {shots} labels a class"
        harm = difference(table, RANDOM, NONE, shots)
        gain = difference(table, NAMES, NONE, shots)
        harm_title, gain_title = (f"{scores} minus no scores {among}, accuracy" for scores in (RANDOM, NAMES))
        trusted: list[Figure] = []
        if shots_order(shots) <= MOST_TRUSTED:
            always = difference(table, f"{RANDOM}, {TRUSTED}", NONE, shots)
            trusted = [
                Figure(f"{NAMES} minus the same {TRUSTED} {among}, accuracy", difference(table, NAMES, f"{NAMES}, {TRUSTED}", shots))
            ]
        if claimed and shots_order(shots) <= FEW:
            found += judged(harm_title, harm, Goal(at_least=-0.005), Control(f"the same, {TRUSTED}", always))
            found += judged(gain_title, gain, Goal(above=0), Control(RANDOM, harm))
        else:
            found += [Figure(harm_title, harm), Figure(gain_title, gain)]
            trusted += [Figure(f"{RANDOM}, {TRUSTED}, minus no scores {among}, accuracy", always)] if trusted else []
        found += trusted
    return found


def of_constants(table: pd.DataFrame) -> list[Figure]:
    """What ships minus each change, in accuracy and in nats."""
    found = []
    for variant in (name for name in table.variant.unique() if not name.startswith("as shipped")):
        base = "as shipped, random words" if variant.endswith("random words") else "as shipped"
        for shots in sorted(table.shots.unique(), key=shots_order):
            for value in ("accuracy", "log_loss"):
                found.append(
                    Figure(f"{base} minus {variant} at {shots} labels a class, {value}", difference(table, base, variant, shots, value))
                )
    return found


if __name__ == "__main__":
    main()
