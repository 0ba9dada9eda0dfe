"""Posterior calibration, slow and obvious: discriminants fitted anew without each text, and the pool's loss a text at a time."""

import numpy as np


def discriminant_scores(x, features, y, n_classes, ridge, *, free, pull):
    """Scores of one text: class means drawn to zero, in the covariance of these rows over `free` plus a ridge."""
    counts = np.bincount(y, minlength=n_classes)
    covariance = ridge * np.eye(features.shape[1])
    drawn = np.zeros((n_classes, features.shape[1]))
    for c in range(n_classes):
        if counts[c]:
            mean = features[y == c].mean(axis=0)
            drawn[c] = counts[c] / (counts[c] + pull) * mean
            for row in features[y == c]:
                covariance += np.outer(row - mean, row - mean) / free
    inverse = np.linalg.inv(covariance)
    scores = np.array([x @ inverse @ m - 0.5 * m @ inverse @ m for m in drawn])
    return scores - scores.mean()


def pull(features, y, ridge, *, free):
    """Spread of texts around their class means, over that of the class means beyond chance; both in the metric of the covariance."""
    classes = np.unique(y)
    within = sum((features[y == c] - features[y == c].mean(axis=0)).T @ (features[y == c] - features[y == c].mean(axis=0)) for c in classes)
    inverse = np.linalg.inv(within / free + ridge * np.eye(features.shape[1]))
    scatter = np.trace(inverse @ within / free)
    squares = sum(np.sum(y == c) * features[y == c].mean(axis=0) @ inverse @ features[y == c].mean(axis=0) for c in classes)
    return scatter / ((squares - scatter * len(classes)) / len(y))


def pool_loss(weights, intercept, opinions, y, means, spreads, log_shares):
    """Minus the log-posterior of a pool's weights, up to a constant; 0.5 and 0.3 are those of the docs."""
    total = 0.5 * sum(((w - m) / s) ** 2 for w, m, s in zip(weights, means, spreads, strict=True))
    total += 0.5 * sum((b - 0.5 * share) ** 2 / (0.3**2 + (0.3 * share) ** 2) for b, share in zip(intercept, log_shares, strict=True))
    for i, label in enumerate(y):
        f = intercept + sum(w * opinion[i] for w, opinion in zip(weights, opinions, strict=True))
        total -= f[label] - np.log(np.exp(f - f.max()).sum()) - f.max()
    return total


def log_evidence(scores, y, *, n_points=41, width=6.0):
    """Of two classes with softmax(α z + b), b ~ N(0, I), α ~ N(1, 1): the integral on a grid, a point at a time; also E[α]."""
    grid = np.linspace(-width, width, n_points)
    step = grid[1] - grid[0]
    values, weights = [], []
    for difference in grid:  # only b_1 - b_0 ~ N(0, 2) matters
        for alpha in grid + 1:
            log = -0.5 * difference**2 / 2 - 0.5 * np.log(4 * np.pi) - 0.5 * (alpha - 1) ** 2 - 0.5 * np.log(2 * np.pi)
            for z, label in zip(scores, y, strict=True):
                side = (alpha * (z[1] - z[0]) + difference) * (1 if label == 1 else -1)
                log -= np.logaddexp(0, -side)
            values.append(log)
            weights.append(alpha)
    values = np.array(values)
    total = np.log(np.exp(values - values.max()).sum() * step**2) + values.max()
    return total, float((np.exp(values - values.max()) * weights).sum() / np.exp(values - values.max()).sum())


def propagated(features, scores, queries, *, temperature=0.25):
    """One step of label propagation, a pair of texts at a time; spread over `features` as the scores are."""

    def heard(x):
        shares = np.exp((scores - scores.max(1, keepdims=True)) / temperature)
        shares /= shares.sum(1, keepdims=True)
        total = np.zeros(scores.shape[1])
        for other, share in zip(features, shares, strict=True):
            total += (x @ other) * (share - shares.mean(0))
        return total / len(features)

    size = np.std(scores - scores.mean(0)) / np.std([heard(x) for x in features])
    return size * np.array([heard(x) for x in queries])
