r"""A linear discriminant with a ridge, and what it says of every text that it did not see: one closed form, no fold fitted.

Leaving a text out of the mean of its class and out of the covariance changes both by rank one, so the scores of all texts, each
without itself, cost about as much as the scores themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lexframe.linalg import gram_matrix, softmax

RIDGES = tuple(float(value) for value in np.geomspace(1e2, 1e-2, 9))
"""Values of the ridge, in units of the mean variance of a coordinate; the strongest first, which wins where all are equal."""
MOST_PULL = 100.0
"""Texts of a class that the center of all counts for at most, where the means lie no further from it than by chance."""
TEMPERATURE_STEPS = 30
LEAST_EIGENVALUE = 1e-9
"""Of the scatter within classes, as a share of the largest: below it there is nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Discriminant:
    r"""A fitted discriminant: scores are ``features @ coef.T + intercept``, in nats up to a constant a row.

    Attributes
    ----------
    coef : ndarray of shape (n_classes, n_dims)
    intercept : ndarray of shape (n_classes,)
        A class without a text is taken to lie at the center of all.
    left_out : ndarray of shape (n_rows, n_classes)
        Scores of the rows that were asked for, each found without that row.
    precision : float
        The ridge over the mean variance of a coordinate: the strength of the prior on every coefficient.
    """

    coef: Float[np.ndarray, "k d"]
    intercept: Float[np.ndarray, " k"]
    left_out: Float[np.ndarray, "m k"]
    precision: float


def shrunken_discriminant(
    features: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    n_classes: int,
    *,
    rows: Int[np.ndarray, " m"] | None = None,
    ridges: Sequence[float] = RIDGES,
) -> Discriminant:
    r"""Discriminant with the ridge, and on the scale, at which the left-out scores make the labels most probable.

    .. math::
        s_c(x) = a \big( x^T \Sigma^{-1} f_c m_c - \tfrac12 f_c^2 m_c^T \Sigma^{-1} m_c \big),\quad
        f_c = \frac{n_c}{n_c + \kappa},\quad \Sigma = \frac{S}{n - k} + \lambda I

    S is the scatter within classes. The mean m_c of few texts is long by chance, so it is drawn towards the center of all as far as
    chance explains: κ = t/B, with t the squared distance of a text from the mean of its class, and B that of the class means from the
    center, less what chance adds to it. Without that, a class of one text would be claimed for many. log a has a standard normal
    prior around scores of unit spread, so few texts cannot call a discriminant worthless.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        Centered: the origin stands for a class that has no text.
    y : ndarray of int, shape (n,)
        Class numbers.
    n_classes : int
        k; some may have no text.
    rows : ndarray of int, shape (m,), optional
        For which left-out scores are wanted and by which the ridge is chosen. Default: all. Those whose class has no other text are
        given scores, but decide nothing.
    ridges : sequence of float
        Values of λ, in units of the mean variance of a coordinate.

    Returns
    -------
    Discriminant
        With scores of zero where all features are equal.

    References
    ----------
    Friedman (1989), Regularized discriminant analysis, JASA 84: the ridge. Morris (1983), Parametric empirical Bayes inference, JASA 78:
    means drawn together as far as chance explains. Lachenbruch and Mickey (1968), Estimation of error rates in discriminant analysis,
    Technometrics 10: leaving one out by a rank-one change.
    """
    rows = np.arange(len(y)) if rows is None else rows
    counts = np.bincount(y, minlength=n_classes).astype(np.float64)
    sums = np.eye(n_classes)[:, y] @ features
    means = sums / np.maximum(counts, 1)[:, np.newaxis]
    mean_square = float((features.astype(np.float64) ** 2).mean()) if features.size else 0.0
    variance = mean_square - float((features.mean(axis=0) ** 2).mean()) if len(y) else 0.0
    if variance <= 1e-12 * max(mean_square, 1e-300):
        nothing = np.zeros((n_classes, features.shape[1]))
        return Discriminant(nothing, np.zeros(n_classes), np.zeros((len(rows), n_classes)), max(ridges))
    spread, directions = _within(features, y, means, counts)
    products = _Products.of(features[rows], means, directions)
    best: tuple[float, float, float, np.ndarray] | None = None
    deciding = counts[y[rows]] > 1
    for ridge in ridges:
        scores = products.left_out(y[rows], counts, spread, ridge * variance)
        scale, loss = _temperature(scores[deciding], y[rows][deciding]) if deciding.any() else (_unit(scores), 0.0)
        if best is None or loss < best[0] - 1e-9:
            best = (loss, ridge, scale, scores)
    assert best is not None
    _, ridge, scale, scores = best
    coef, intercept = products.linear(means, directions, counts, spread, ridge * variance)
    return Discriminant(scale * coef, scale * intercept, scale * scores, float(ridge))


@dataclass(frozen=True, slots=True)
class _Products:
    """Inner products of rows and class means, whole and along the directions of the scatter; for any ridge they give Σ⁻¹ between them.

    With variances s along the directions V, Σ⁻¹ = I/λ + V diag(1/(s + λ) - 1/λ) Vᵀ.
    """

    lengths: np.ndarray
    with_means: np.ndarray
    of_means: np.ndarray
    along: np.ndarray
    means_along: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, means: np.ndarray, directions: np.ndarray) -> "_Products":
        return cls(np.einsum("ij,ij->i", rows, rows), rows @ means.T, means @ means.T, rows @ directions, means @ directions)

    def left_out(self, own: np.ndarray, counts: np.ndarray, spread: np.ndarray, ridge: float) -> np.ndarray:
        """Scores of every row without itself, centered over classes."""
        change = 1 / (spread + ridge) - 1 / ridge
        with_means = self.with_means / ridge + (self.along * change) @ self.means_along.T
        of_means = self.of_means / ridge + (self.means_along * change) @ self.means_along.T
        lengths = self.lengths / ridge + (self.along**2) @ change
        pull = _pull(np.diag(of_means), counts, spread, ridge)
        number, members = np.arange(len(own)), counts[own]
        kept, kept_without = _kept(counts, pull), _kept(members - 1, pull)
        grown = members / np.maximum(members - 1, 0.5)  # x less the mean without x, over x less the mean
        to_own = with_means[number, own]
        away = lengths - 2 * to_own + of_means[own, own]  # from the own mean
        # Inner products of x less its own mean with x, and with all means; those of the own mean without x after them.
        of_x, of_others = lengths - to_own, with_means[number] - of_means[own]
        with_own = (members * to_own - lengths) / np.maximum(members - 1, 0.5)
        own_square = (members**2 * of_means[own, own] - 2 * members * to_own + lengths) / np.maximum(members - 1, 0.5) ** 2
        of_own = of_x - grown * away
        # Taking x out of the covariance adds a multiple of Σ⁻¹(x - m)(x - m)ᵀΣ⁻¹ to its inverse.
        removed = grown / max(float(counts.sum() - (counts > 0).sum()), 1.0)
        more = removed / np.maximum(1 - removed * away, 1e-9)
        scores = kept * (with_means + (more * of_x)[:, np.newaxis] * of_others)
        scores -= 0.5 * kept**2 * (np.diag(of_means) + more[:, np.newaxis] * of_others**2)
        own_scores = kept_without * (with_own + more * of_x * of_own) - 0.5 * kept_without**2 * (own_square + more * of_own**2)
        scores[number, own] = np.where(members > 1, own_scores, 0.0)
        return np.asarray(scores - scores.mean(axis=1, keepdims=True))

    def linear(
        self, means: np.ndarray, directions: np.ndarray, counts: np.ndarray, spread: np.ndarray, ridge: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and intercepts with all rows in, centered over classes."""
        change = 1 / (spread + ridge) - 1 / ridge
        coef = means / ridge + (self.means_along * change) @ directions.T
        squares = np.einsum("ij,ij->i", coef, means)
        kept = _kept(counts, _pull(squares, counts, spread, ridge))
        coef, intercept = coef * kept[:, np.newaxis], -0.5 * kept**2 * squares
        return coef - coef.mean(axis=0), intercept - intercept.mean()


def _pull(squares: np.ndarray, counts: np.ndarray, spread: np.ndarray, ridge: float) -> float:
    """κ: texts of a class that the center of all counts for."""
    scatter = float((spread / (spread + ridge)).sum())
    between = float((counts * squares).sum() - scatter * (counts > 0).sum()) / float(counts.sum())
    return min(scatter / max(between, 1e-300), MOST_PULL)


def _kept(counts: np.ndarray, pull: float) -> np.ndarray:
    return np.asarray(np.where(counts > 0, counts / np.maximum(counts + pull, 1e-300), 0.0))


def _within(features: np.ndarray, y: np.ndarray, means: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances within classes and their directions; in the space of the rows where there are fewer of them than dimensions."""
    n, d = features.shape
    n_free = n - int((counts > 0).sum())
    if n_free <= 0:
        return np.zeros(0), np.zeros((d, 0))
    if n >= d:
        values, directions = np.linalg.eigh(gram_matrix(features) - (means * counts[:, np.newaxis]).T @ means)
        return np.maximum(values, 0.0) / n_free, directions
    scattered = features - means[y]
    values, vectors = np.linalg.eigh(scattered @ scattered.T)
    kept = values > LEAST_EIGENVALUE * max(float(values.max()), 1e-300)
    values = values[kept]
    return values / n_free, scattered.T @ (vectors[:, kept] / np.sqrt(values))


def _unit(scores: np.ndarray) -> float:
    spread = float(scores.std()) if scores.size else 0.0
    return 1 / spread if spread > 0 else 1.0


def _temperature(scores: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> tuple[float, float]:
    """Scale of the scores, most probable given the labels and a log-normal prior around unit spread; and the mean log-loss there."""
    unit = _unit(scores)
    scores, rows = scores * unit, np.arange(len(y))
    log_scale = 0.0
    for _ in range(TEMPERATURE_STEPS):
        scale = np.exp(log_scale)
        shares = softmax(scale * scores)
        mean = (shares * scores).sum(axis=1)
        slope = scale * float((mean - scores[rows, y]).sum())
        curvature = scale**2 * float(((shares * scores**2).sum(axis=1) - mean**2).sum())
        step = (slope + log_scale) / (curvature + max(slope, 0.0) + 1)
        log_scale -= float(np.clip(step, -1, 1))
        if abs(step) < 1e-6:
            break
    scale = float(np.exp(log_scale))
    probabilities = softmax(scale * scores)[rows, y]
    return scale * unit, float(-np.log(np.maximum(probabilities, 1e-300)).mean())
