"""The posterior mode of a logistic regression with a zero-shot prior, slow and obvious: Newton's method with the full Hessian."""

import numpy as np


def negative_log_posterior(W, b, features, offset, y, precision):
    """Minus the log-posterior, a text at a time, up to a constant."""
    total = 0.5 * precision * (W**2).sum() + 0.5 * (b**2).sum()
    for x, z, label in zip(features, offset, y, strict=True):
        f = z + b + W.T @ x
        total -= f[label] - np.log(np.exp(f - f.max()).sum()) - f.max()
    return total


def posterior_mode(features, offset, y, precision, *, n_steps=60):
    """W and b at the maximum, from the gradient and the Hessian written out parameter by parameter."""
    n, d = features.shape
    k = offset.shape[1]
    # One design row a text and class: the derivative of f_c with respect to all parameters.
    design = np.zeros((n, k, d * k + k))
    for i in range(n):
        for c in range(k):
            design[i, c, c : d * k : k] = features[i]
            design[i, c, d * k + c] = 1
    prior = np.concatenate([np.full(d * k, precision), np.ones(k)])
    theta = np.zeros(d * k + k)
    for _ in range(n_steps):
        f = design @ theta + offset
        p = np.exp(f - f.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        gradient = prior * theta + np.einsum("icp,ic->p", design, p - np.eye(k)[y])
        hessian = np.diag(prior)
        for i in range(n):
            hessian += design[i].T @ (np.diag(p[i]) - np.outer(p[i], p[i])) @ design[i]
        theta = theta - np.linalg.solve(hessian, gradient)
    return theta[: d * k].reshape(d, k), theta[d * k :]


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
