"""Analogies and retrofitting the slow, obvious way: one question, one word, one link at a time."""

import math

import numpy as np
from sklearn.linear_model import LogisticRegression


def cos(u, v):
    lengths = math.sqrt(float(u @ u)) * math.sqrt(float(v @ v))
    return float(u @ v) / lengths if lengths else 0.0


def unit(v):
    length = math.sqrt(float(v @ v))
    return v / length if length else v


def score(method, x, a, a_, b):
    if method == "3cosadd":
        return cos(x, a_) - cos(x, a) + cos(x, b)
    if method == "3cosmul":
        s_a, s_a_, s_b = ((cos(x, other) + 1) / 2 for other in (a, a_, b))
        return s_a_ * s_b / (s_a + 0.001)
    if method == "pairdirection":
        return cos(unit(x) - unit(b), unit(a_) - unit(a)) if np.linalg.norm(unit(x) - unit(b)) > 1e-3 else 0.0
    return cos(x, b) if method == "b-only" else cos(x, a_)


def ranking(vectors, a, a_, b, method, exclude):
    """Row numbers, the best first; equal scores in the order of rows."""
    rows = [row for row in range(len(vectors)) if not (exclude and row in (a, a_, b))]
    return sorted(rows, key=lambda row: (-round(score(method, vectors[row], vectors[a], vectors[a_], vectors[b]), 6), row))


def left_out(pairs, asked):
    """The pairs that share no word with the one asked."""
    return [pair for pair in pairs if not set(pair) & set(asked)]


def cos_avg(vectors, pairs, asked):
    """Scores of all words, by the mean offset of the other pairs."""
    units = np.array([unit(v) for v in vectors])
    kept = left_out(pairs, asked)
    offset = np.mean([units[target] - units[source] for source, target in kept], axis=0)
    return np.array([cos(x, units[asked[0]] + offset) for x in units])


def lr_cos(vectors, pairs, asked, randoms):
    """Scores of all words, by scikit-learn's logistic regression on the other pairs."""
    units = np.array([unit(v) for v in vectors]).astype(np.float64)
    kept = left_out(pairs, asked)
    positives = sorted({target for _, target in kept})
    negatives = [*sorted({source for source, _ in kept} - set(positives)), *randoms]
    model = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-10, max_iter=10_000)
    model.fit(units[[*positives, *negatives]], [1] * len(positives) + [0] * len(negatives))
    return model.predict_proba(units)[:, 1] * np.array([cos(x, units[asked[0]]) for x in units])


def retrofit(vectors, links, *, alpha=1.0, n_iterations=2000):
    """The paper's iteration. `links` maps a row to {row: weight}."""
    moved = vectors.astype(np.float64).copy()
    for _ in range(n_iterations):
        for row, others in links.items():
            total = sum(others.values())
            beta = {other: weight / total for other, weight in others.items()}
            moved[row] = (sum(beta[other] * moved[other] for other in others) + alpha * vectors[row]) / (sum(beta.values()) + alpha)
    return moved
