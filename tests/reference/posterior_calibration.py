"""The posterior mode of a logistic regression with a zero-shot prior, slow and obvious: Newton's method with the full Hessian."""

import numpy as np


def negative_log_posterior(W, b, alpha, features, scores, y, precision):
    """Minus the log-posterior, a text at a time, up to a constant."""
    total = 0.5 * precision * (W**2).sum() + 0.5 * (b**2).sum() + 0.5 * (alpha - 1) ** 2
    for x, z, label in zip(features, scores, y, strict=True):
        f = alpha * z + b + W.T @ x
        total -= f[label] - np.log(np.exp(f - f.max()).sum()) - f.max()
    return total


def posterior_mode(features, scores, y, precision, *, n_steps=60):
    """W, b and α at the maximum, from the gradient and the Hessian written out parameter by parameter."""
    n, d = features.shape
    k = scores.shape[1]
    # One design row a text and class: the derivative of f_c with respect to all parameters.
    design = np.zeros((n, k, d * k + k + 1))
    for i in range(n):
        for c in range(k):
            design[i, c, c : d * k : k] = features[i]
            design[i, c, d * k + c] = 1
            design[i, c, -1] = scores[i, c]
    prior = np.concatenate([np.full(d * k, precision), np.ones(k + 1)])
    mean = np.concatenate([np.zeros(d * k + k), [1.0]])
    theta = mean.copy()
    for _ in range(n_steps):
        f = design @ theta
        p = np.exp(f - f.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        gradient = prior * (theta - mean) + np.einsum("icp,ic->p", design, p - np.eye(k)[y])
        hessian = np.diag(prior)
        for i in range(n):
            hessian += design[i].T @ (np.diag(p[i]) - np.outer(p[i], p[i])) @ design[i]
        theta = theta - np.linalg.solve(hessian, gradient)
    return theta[: d * k].reshape(d, k), theta[d * k : -1], theta[-1]


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
