"""A Gaussian for each class in a latent: draw points of a class, and say which class a point is of."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special
from jaxtyping import Float

from lexframe.checks import checked_points, class_number, class_numbers
from lexframe.exceptions import InputError
from lexframe.typing import Points, Vectors


class ClassGaussians:
    r"""Gaussians fitted to the points of each class, with covariances that lean on what all classes share.

    With :math:`S_c` the covariance of a class of :math:`n_c` texts and S the shared one, the class has
    :math:`\Sigma_c = (n_c S_c + \kappa S)/(n_c + \kappa)` [1]_, so a class of few texts has nearly the shared shape around its own
    mean. S is the covariance within classes, drawn towards a sphere [2]_. Where the posterior variances of the texts are given their
    mean is part of both: what is drawn is then the class's part of the aggregate posterior, and not of its means alone.

    Parameters
    ----------
    prior_count : float, optional
        κ: how many texts the shared covariance counts for. 0 lets each class have its own (quadratic discriminant analysis),
        ``inf`` gives all the same (linear). Default: as many as there are dimensions.
    shrinkage : "auto" or float in [0, 1]
        Share of the sphere in S; ``auto`` is Ledoit and Wolf's estimate.

    Attributes
    ----------
    classes_ : tuple of labels
    means_ : ndarray of shape (n_classes, n_dims), float64
    covariances_ : ndarray of shape (n_classes, n_dims, n_dims), float64
    counts_ : ndarray of int, shape (n_classes,)
        Their shares are the priors of :meth:`predict_proba`.

    References
    ----------
    .. [1] Friedman (1989), Regularized discriminant analysis, eqs. (14) and (18), with weights that depend on the class's size.
    .. [2] Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices.
    """

    def __init__(self, *, prior_count: float | None = None, shrinkage: str | float = "auto"):
        if prior_count is not None and not prior_count >= 0:
            raise InputError(f"prior_count is {prior_count}; expected a number of texts, 0 or more.")
        if shrinkage != "auto" and (isinstance(shrinkage, str) or not 0 <= shrinkage <= 1):
            raise InputError(f"shrinkage is {shrinkage!r}; expected 'auto' or a share from 0 to 1.")
        self.prior_count, self.shrinkage = prior_count, shrinkage

    def fit(self, points: Vectors, labels: Sequence[Hashable] | np.ndarray, *, log_variances: Vectors | None = None) -> "ClassGaussians":
        """Learn means and covariances.

        Parameters
        ----------
        points : ndarray of shape (n_texts, n_dims)
            Posterior means.
        labels : sequence of hashable, length n_texts
            One class for all is fine: it gives the Gaussian of the aggregate.
        log_variances : ndarray of shape (n_texts, n_dims), optional
            Of the posteriors; see :class:`lexframe.spaces.base.Posterior`.

        Raises
        ------
        InputError
            If something is not finite, labels or variances are not one for each point, a class has one text, or the points of a class
            do not vary and nothing is there to lean on.
        """
        table = checked_points(points)
        self.classes_, numbers = class_numbers(labels, len(table))
        self.counts_ = np.bincount(numbers)
        variances = self._variances(log_variances, table.shape)
        self.means_ = np.stack([table[numbers == number].mean(axis=0) for number in range(len(self.classes_))])
        residuals = table - self.means_[numbers]
        shared = _shrunken_covariance(residuals, self.shrinkage) + np.diag(variances.mean(axis=0))
        kappa = float(table.shape[1]) if self.prior_count is None else self.prior_count
        self.covariances_ = np.empty((len(self.classes_), *shared.shape))
        for number, count in enumerate(self.counts_):
            own = residuals[numbers == number].T @ residuals[numbers == number] / count + np.diag(variances[numbers == number].mean(axis=0))
            weight = 1.0 if np.isinf(kappa) else kappa / (count + kappa)
            self.covariances_[number] = (1 - weight) * own + weight * shared
        self._factors = [self._factor(number) for number in range(len(self.classes_))]
        return self

    def sample(self, label: Hashable, n: int, *, seed: int = 0) -> Points:
        """Points of a class.

        Parameters
        ----------
        label : hashable
        n : int
            How many, 0 or more.
        seed : int
            Of the draws.

        Returns
        -------
        ndarray of shape (n, n_dims), float32

        Raises
        ------
        InputError
            If the label is none of the classes, or `n` is negative.
        """
        number = class_number(label, self.classes_)
        if n < 0:
            raise InputError(f"n is {n}; ask for 0 points or more.")
        noise = np.random.default_rng(seed).standard_normal((n, self.means_.shape[1]))
        return (self.means_[number] + noise @ self._factors[number].T).astype(np.float32)

    def log_densities(self, points: Vectors) -> Float[np.ndarray, "n_points n_classes"]:
        """Log density of each point under each class's Gaussian, in nats."""
        table = checked_points(points, self.means_.shape[1])
        result = np.empty((len(table), len(self.classes_)))
        for number, factor in enumerate(self._factors):
            whitened = scipy.linalg.solve_triangular(factor, (table - self.means_[number]).T, lower=True)
            constant = np.log(np.diag(factor)).sum() + 0.5 * len(factor) * np.log(2 * np.pi)
            result[:, number] = -0.5 * (whitened**2).sum(axis=0) - constant
        return result

    def predict_proba(self, points: Vectors) -> Float[np.ndarray, "n_points n_classes"]:
        """Probability of each class at each point, with the classes' shares as priors; columns as in `classes_`."""
        joint = self.log_densities(points) + np.log(self.counts_ / self.counts_.sum())
        return np.asarray(scipy.special.softmax(joint, axis=1))

    def _variances(self, log_variances: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "n_texts n_dims"]:
        if log_variances is None:
            return np.zeros(shape)
        table = checked_points(log_variances, shape[1], what="log_variances")
        if len(table) != shape[0]:
            raise InputError(f"There are {shape[0]} points, but log_variances of {len(table)} texts. Give one row for each point.")
        return np.exp(table)

    def _factor(self, number: int) -> Float[np.ndarray, "n_dims n_dims"]:
        try:
            return np.asarray(scipy.linalg.cholesky(self.covariances_[number], lower=True))
        except np.linalg.LinAlgError as error:
            raise InputError(
                f"The covariance of the class {self.classes_[number]!r} ({self.counts_[number]} texts) is singular. Give more texts, "
                "raise prior_count so that it leans on the other classes, or leave shrinkage at 'auto'."
            ) from error


def _shrunken_covariance(residuals: Float[np.ndarray, "n n_dims"], shrinkage: str | float) -> Float[np.ndarray, "n_dims n_dims"]:
    """Second moments of centered points, drawn towards a sphere of the same mean variance."""
    from sklearn.covariance import ledoit_wolf, shrunk_covariance  # a second to import, and only fitting needs it

    if isinstance(shrinkage, str):
        return np.asarray(ledoit_wolf(residuals, assume_centered=True)[0])
    return np.asarray(shrunk_covariance(residuals.T @ residuals / len(residuals), shrinkage))
