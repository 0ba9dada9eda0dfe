"""How far zero-shot scores can be trusted: one number, found in the labels before anything is bent."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from lexframe.linalg import rows_by_class, softmax

# Constants of the prior, chosen on texts of the training files of trec, subj, agnews and mr.
MEAN, SPREAD = 1.0, 1.0
LOG_ODDS = 2.0
MOST_ROWS = 2000
MOST_STEPS = 50


@dataclass(frozen=True, slots=True)
class PriorTrust:
    """What the labels say of zero-shot scores.

    Attributes
    ----------
    weight : float
        α, what the scores are multiplied by: the weight that they have if they say something, times the probability that they do.
    probability : float
        That they say something.
    """

    weight: float
    probability: float


def prior_trust(scores: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"], *, log_odds: float = -LOG_ODDS) -> PriorTrust:
    r"""Weight of zero-shot scores z, averaged over two hypotheses: they say something of the labels, or nothing.

    .. math::
        p(y \mid z) = \mathrm{softmax}(\alpha z + b),\quad b \sim N(0, I),\quad
        \alpha \sim N(1, 1) \text{ or } \alpha = 0

    The evidence of both is taken at their modes, by Laplace's approximation. Before any label is seen the odds are exp(`log_odds`) where
    every class has labels, since labels alone are then a safe way; exp(2) where none has, since then the scores are all there is;
    in between in proportion.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        Zero-shot scores of the labeled texts, in nats.
    y : ndarray of int, shape (n,)
        Their class numbers. No more than 2,000 are looked at.
    log_odds : float
        That the scores say something, where every class has labels.

    Returns
    -------
    PriorTrust
        Without labels nothing speaks against the scores: weight 1, probability 1.
    """
    if not len(y):
        return PriorTrust(MEAN, 1.0)
    n_classes = scores.shape[1]
    rows = rows_by_class(y, MOST_ROWS, seed=0)
    scores, y = scores[rows], y[rows]
    weight, evidence = calibrated(scores, y)
    _, evidence_without = calibrated(np.zeros_like(scores), y)
    labeled = len(np.unique(y)) / n_classes
    probability = float(expit(evidence - evidence_without + LOG_ODDS * (1 - labeled) + log_odds * labeled))
    return PriorTrust(probability * weight, probability)


def calibrated(scores: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> tuple[float, float]:
    """Most probable α, and the log-evidence of the labels up to a constant of n and k; Newton's method, halved where it would overshoot.

    Scores that are all zero have the evidence of the intercepts alone.
    """
    n_classes = scores.shape[1]
    truth = np.eye(n_classes)[y]
    mean = np.append(np.zeros(n_classes), MEAN)  # b, then α
    precision = np.append(np.ones(n_classes), 1 / SPREAD**2)
    at = mean.copy()

    def loss(at: np.ndarray) -> float:
        logits = at[-1] * scores + at[:-1]
        top = logits.max(axis=1)
        fit = np.log(np.exp(logits - top[:, np.newaxis]).sum(axis=1)) + top
        return float(fit.sum() - (logits * truth).sum() + 0.5 * (precision * (at - mean) ** 2).sum())

    current = loss(at)
    for _ in range(MOST_STEPS):
        shares = softmax(at[-1] * scores + at[:-1])
        centered = shares * (scores - (shares * scores).sum(axis=1, keepdims=True))
        hessian = np.diag(precision)
        hessian[:-1, :-1] += np.diag(shares.sum(axis=0)) - shares.T @ shares
        hessian[:-1, -1] = hessian[-1, :-1] = centered.sum(axis=0)
        hessian[-1, -1] += (centered * scores).sum()
        residual = shares - truth
        gradient = np.append(residual.sum(axis=0), (residual * scores).sum()) + precision * (at - mean)
        step = np.linalg.solve(hessian, gradient)
        while (found := loss(at - step)) > current and np.abs(step).max() > 1e-9:
            step = step / 2
        if found > current or np.abs(step).max() < 1e-7:
            break
        at, current = at - step, found
    return float(at[-1]), -current - 0.5 * float(np.linalg.slogdet(hessian)[1] - np.log(precision).sum())
