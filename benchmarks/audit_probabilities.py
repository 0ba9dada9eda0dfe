"""Probabilities of wrong labels: Brier score and log-loss beside a constant's and those that cleanlab gives.

A calibration error separates nothing: the share of wrong labels, said of every item, is calibrated too.

cleanlab scores labels; of three numbers that it gives, one minus each is read as the probability that a label is wrong. Its label quality
(self-confidence) on out-of-fold probabilities of a logistic regression with settings that are usual; the same of a logistic regression
on standardised points, its C chosen by cross-validation and its temperature fitted out of fold; and on those Bayes' rule with the noise
matrix and the prior that its confident joint estimates, which is the only one of the three that estimates what is asked for.
"""

import warnings

import numpy as np
import pandas as pd
import scipy.optimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from audit_bench import KINDS, PLANTED, Bench, Data, plant
from audit_scores import brier, log_loss, logistic_probabilities
from common import Control, Figure, Goal, Statement, judged, peer
from lexframe import CategoryAudit
from lexframe.intervals import mean_over_sets

MOST, RATES = 2_000, (0.05, 0.2)
MEASURES = {"Brier score": brier, "log-loss": log_loss}
CONSTANT, PLAIN = "the estimated rate said of every item", "cleanlab's label quality, logistic regression"
TUNED, BAYES = "cleanlab's label quality, tuned and calibrated", "cleanlab's noise matrix and Bayes' rule, tuned and calibrated"
STRENGTHS = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1)
"""C that is tried for logistic regressions on standardised points: the larger, the freer."""


def probabilities(bench: Bench) -> list[Statement]:
    """Planted wrong labels at two rates; differences over sets, ours minus the constant's and minus those of cleanlab."""
    peers = (PLAIN, TUNED, BAYES) if peer("cleanlab") else ()
    claims: list[Statement] = []
    for model in bench.models:
        rows = [row for name in (("trec",) if bench.quick else PLANTED) for row in cells(bench, model, name)]
        table = pd.DataFrame(rows)
        for measure in ("Brier score", "log-loss"):
            ours_, random = (table[f"{who}, {measure}"] for who in ("lexframe", "shuffled"))
            for other in (CONSTANT, *peers):
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
            key = {"part": "probabilities 2", "model": model, "set": name, "kind": kind, "rate": rate}
            found.append(bench.cell(key, lambda given=given: measured_cell(data, given)))
    return found


def measured_cell(data: Data, given: np.ndarray) -> dict[str, float]:
    wrong = given != data.labels
    result = CategoryAudit(duplicates=False, relations=False, check=False).fit(data.points, given).result_
    count = result.error_count().value
    says = {
        "lexframe": result.probability,
        "shuffled": np.random.default_rng(0).permutation(result.probability),
        CONSTANT: np.full(len(given), count / len(given)),
    }
    if peer("cleanlab"):
        from cleanlab.rank import get_label_quality_scores

        plain, tuned = logistic_probabilities(data, given, 0), tuned_probabilities(data, given)
        says |= {name: 1 - get_label_quality_scores(given, held) for name, held in ((PLAIN, plain), (TUNED, tuned))}
        says[BAYES] = bayes_probability(given, tuned)
    scores = {f"{who}, {name}": measure(said, wrong) for who, said in says.items() for name, measure in MEASURES.items()}
    return scores | {"expected": count, "planted": int(wrong.sum())}


def tuned_probabilities(data: Data, given: np.ndarray) -> np.ndarray:
    """Out-of-fold probabilities of a logistic regression on standardised points: C and a temperature of least log-loss."""
    points = StandardScaler().fit_transform(data.points)

    def out_of_fold(c: float, n_folds: int) -> np.ndarray:
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
        return cross_val_predict(LogisticRegression(C=c, max_iter=200), points, given, cv=folds, method="predict_log_proba")

    def loss(logs: np.ndarray, temperature: float = 1.0) -> float:
        return float(-log_softmax(logs / temperature, axis=1)[np.arange(len(given)), given].mean())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of categories with fewer members than folds
        logs = np.maximum(out_of_fold(min(STRENGTHS, key=lambda c: loss(out_of_fold(c, 3))), 5), -50)
    temperature = float(np.exp(scipy.optimize.minimize_scalar(lambda value: loss(logs, float(np.exp(value))), bounds=(-2, 2)).x))
    return np.asarray(softmax(logs / temperature, axis=1))


def bayes_probability(given: np.ndarray, held: np.ndarray) -> np.ndarray:
    """That the label is not the true one, by cleanlab's estimate of P(given | true) and out-of-fold probabilities as P(true | item)."""
    from cleanlab.count import compute_confident_joint, estimate_latent

    _, noise, _ = estimate_latent(compute_confident_joint(given, held), given)
    joint = held * noise[given]  # rows of the noise matrix are given labels, its columns true ones
    total = np.maximum(joint.sum(axis=1), 1e-30)
    return np.asarray(1 - joint[np.arange(len(given)), given] / total)
