"""Probabilities of wrong labels: Brier score and log-loss beside a constant's and those of the peer's out-of-fold probabilities.

A calibration error separates nothing: the share of wrong labels, said of every item, is calibrated too.
"""

import numpy as np
import pandas as pd

from audit_bench import KINDS, PLANTED, Bench, Data, plant
from audit_scores import brier, log_loss, logistic_probabilities
from common import Control, Figure, Goal, Statement, judged, peer
from lexframe import CategoryAudit
from lexframe.intervals import mean_over_sets

MOST, RATES = 2_000, (0.05, 0.2)
MEASURES = {"Brier score": brier, "log-loss": log_loss}
CONSTANT, PEER = "the estimated rate said of every item", "one minus self-confidence, logistic regression"


def probabilities(bench: Bench) -> list[Statement]:
    """Planted wrong labels at two rates; differences over sets, ours minus the constant's and minus the peer's."""
    peer("cleanlab")  # the same numbers without it: its label quality is the out-of-fold probability of the given label
    claims: list[Statement] = []
    for model in bench.models:
        rows = [row for name in (("trec",) if bench.quick else PLANTED) for row in cells(bench, model, name)]
        table = pd.DataFrame(rows)
        for measure in ("Brier score", "log-loss"):
            ours_, random = (table[f"{who}, {measure}"] for who in ("lexframe", "shuffled"))
            for other in (CONSTANT, PEER):
                theirs = table[f"{other}, {measure}"]
                value, control = (mean_over_sets((one - theirs).to_numpy(), table["set"]) for one in (ours_, random))
                what = f"{model}: {measure} {ours_.mean():.4f}, minus that of {other} ({theirs.mean():.4f})"
                claims += judged(what, value, Goal(below=0), Control("our probabilities in a random order", control))
        claims.append(Figure(f"{model}: expected over planted wrong labels, mean of cells", float((table.expected / table.planted).mean())))
    return claims


def cells(bench: Bench, model: str, name: str) -> list[dict[str, object]]:
    data = bench.data(model, name, most=MOST)
    found = []
    for kind in KINDS:
        for rate in RATES:
            given = plant(data, kind, rate, 0)
            key = {"part": "probabilities 1", "model": model, "set": name, "kind": kind, "rate": rate}
            found.append(bench.cell(key, lambda given=given: measured_cell(data, given)))
    return found


def measured_cell(data: Data, given: np.ndarray) -> dict[str, float]:
    wrong = given != data.labels
    result = CategoryAudit(duplicates=False, relations=False, check=False).fit(data.points, given).result_
    count = result.error_count().value
    rows = np.arange(len(given))
    says = {
        "lexframe": result.probability,
        "shuffled": np.random.default_rng(0).permutation(result.probability),
        CONSTANT: np.full(len(given), count / len(given)),
        PEER: 1 - logistic_probabilities(data, given, 0)[rows, given],
    }
    scores = {f"{who}, {name}": measure(said, wrong) for who, said in says.items() for name, measure in MEASURES.items()}
    return scores | {"expected": count, "planted": int(wrong.sum())}
