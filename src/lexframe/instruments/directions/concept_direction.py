"""The direction in which two poles of a concept differ, from points of both: pure functions, then the estimator.

Which method for what: the mean difference for writing (it moves one pole onto the other), the whitened one for reading (it
answers to the concept and to nothing that varies beside it), the principal axis where pairs differ in one thing alone, the
probe where the poles must be told apart.
"""

from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import ClassifierTags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.linear_probe import LogisticProbe
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.provenance import SpaceFingerprint

DIRECTION_METHODS = ("mean_difference", "whitened", "pca", "probe")

Positive = Float[np.ndarray, "n_positive n_dims"]
Negative = Float[np.ndarray, "n_negative n_dims"]
Vector = Float[np.ndarray, " n_dims"]


def mean_difference(positive: Positive, negative: Negative) -> Vector:
    """Mean of the positive points minus mean of the negative ones: contrastive activation addition (arXiv:2312.06681).

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive, n_dims), (n_negative, n_dims)

    Returns
    -------
    ndarray of shape (n_dims,), float64
        In the units of the points.
    """
    return positive.mean(0, dtype=np.float64) - negative.mean(0, dtype=np.float64)


def whitened_difference(positive: Positive, negative: Negative) -> Vector:
    r"""Fisher's direction :math:`\Sigma^{-1}(\mu_+ - \mu_-)`, with the covariance within the poles, shrunken.

    A concept that varies independently of this one within the poles has no part in it.

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive, n_dims), (n_negative, n_dims)

    Returns
    -------
    ndarray of shape (n_dims,), float64
        In inverse units of the points; the mean difference where the poles have no spread.

    References
    ----------
    Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices.
    """
    from sklearn.covariance import ledoit_wolf  # a second to import, and one method needs it

    difference = mean_difference(positive, negative)
    residuals = np.vstack([pole.astype(np.float64) - pole.mean(0, dtype=np.float64) for pole in (positive, negative)])
    scale = np.abs(residuals).max()
    if scale <= 1e-12 * np.abs(difference).max():
        return difference
    covariance, _ = ledoit_wolf(residuals / scale, assume_centered=True)
    return scipy.linalg.solve(covariance, difference / scale, assume_a="pos") / scale


def principal_axis(positive: Positive, negative: Negative, *, paired: bool = False) -> Vector:
    r"""Main axis of the differences of pairs, through the origin.

    Differences are not centered: centring would take away what all pairs share, which is the concept. Without pairs it is the
    axis of the differences of every positive point with every negative one, whose second moments are
    :math:`\Sigma_+ + \Sigma_- + \delta\delta^T` with :math:`\delta` the mean difference, so that none has to be formed.

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive, n_dims), (n_negative, n_dims)
    paired : bool
        Row i of both belongs together.

    Returns
    -------
    ndarray of shape (n_dims,), float64
        Of length 1, with the positive mean higher along it than the negative.

    References
    ----------
    Zou et al. (2023), Representation Engineering, arXiv:2310.01405.
    """
    difference = mean_difference(positive, negative)
    if paired:
        rows = positive.astype(np.float64) - negative
    else:
        spread = [(pole - pole.mean(0, dtype=np.float64)) / np.sqrt(len(pole)) for pole in (positive, negative)]
        rows = np.vstack([*spread, difference])
    axis = np.linalg.svd(rows, full_matrices=False)[2][0]
    return -axis if axis @ difference < 0 else axis


def probe_direction(positive: Positive, negative: Negative) -> Vector:
    """Weights of a logistic regression that tells the poles apart; its penalty is chosen by cross-validation.

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive, n_dims), (n_negative, n_dims)

    Returns
    -------
    ndarray of shape (n_dims,), float64
        Log-odds of the positive pole for each unit of the points.
    """
    y = np.repeat([0, 1], [len(negative), len(positive)])
    low, high = LogisticProbe().fit(np.vstack([negative, positive]), y).coef_
    return high - low


def concept_direction(positive: Positive, negative: Negative, *, method: str = "mean_difference", paired: bool = False) -> Vector:
    """Direction from the negative to the positive pole, in the units of its method.

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive, n_dims), (n_negative, n_dims)
        At least two examples each.
    method : {"mean_difference", "whitened", "pca", "probe"}
        See the function of each.
    paired : bool
        Row i of both belongs together; only ``pca`` looks at it.

    Returns
    -------
    ndarray of shape (n_dims,), float64

    Raises
    ------
    InputError
        If the method is unknown, a pole has fewer than two examples, paired poles differ in size, or the poles have one mean.
    """
    if method not in DIRECTION_METHODS:
        raise InputError(f"method is {method!r}; expected one of {', '.join(DIRECTION_METHODS)}.")
    for name, pole in (("positive", positive), ("negative", negative)):
        if len(pole) < 2:
            raise InputError(
                f"The {name} pole has one sample or none (n_samples = {len(pole)}): what it shares with its pole cannot be told from "
                "what is its own. Give two examples of each pole or more; some dozens are usual."
            )
    if paired and len(positive) != len(negative):
        raise InputError(
            f"Pairs need as many positive as negative examples, but there are {len(positive)} and {len(negative)}. "
            "Leave out those without a partner, or set paired=False."
        )
    gap = np.abs(mean_difference(positive, negative)).max()
    if gap <= 1e-10 * max(np.abs(positive).max(), np.abs(negative).max()):
        raise InputError(
            "Both poles have the same mean point, so there is no direction between them. Check that the examples differ, and that the "
            "layer and pooling see the difference: at layer 0 the last token is the same whatever stands before it."
        )
    if method == "mean_difference":
        return mean_difference(positive, negative)
    if method == "whitened":
        return whitened_difference(positive, negative)
    if method == "pca":
        return principal_axis(positive, negative, paired=paired)
    return probe_direction(positive, negative)


def direction_between(
    positive: Positive, negative: Negative, *, method: str = "mean_difference", paired: bool = False
) -> tuple[Vector, Vector]:
    """The direction of two poles, and the midpoint of their means, from which projections are measured.

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive, n_dims), (n_negative, n_dims)
    method : str
    paired : bool
        See :func:`concept_direction`.

    Returns
    -------
    direction, origin : ndarray of shape (n_dims,), float64

    Raises
    ------
    InputError
        See :func:`concept_direction`.
    """
    direction = concept_direction(positive, negative, method=method, paired=paired)
    return direction, (positive.mean(0, dtype=np.float64) + negative.mean(0, dtype=np.float64)) / 2


def typical_length(states: np.ndarray) -> float:
    """The median length of the states that are not zero."""
    lengths = np.linalg.norm(states.astype(np.float64), axis=1)
    return float(np.median(lengths[lengths > 0])) if (lengths > 0).any() else 1.0


class ConceptDirection(PersistentEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The direction between two poles, and how far along it a point lies.

    Parameters
    ----------
    method : {"mean_difference", "whitened", "pca", "probe"}
        How the direction is found; see :func:`concept_direction`.
    paired : bool
        The rows of both poles, each in their order, are pairs; ``pca`` then looks at their differences.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Sorted; the direction points from the first to the second.
    direction_ : ndarray of shape (n_features,)
        Of length 1. Swapping the poles turns it round; shifting all points or scaling them by a positive number leaves it.
    origin_ : ndarray of shape (n_features,)
        Midpoint of the poles' means, which projects to 0.

    Notes
    -----
    Where a method does not say by itself which end is which, the pole ``classes_[1]`` projects higher.
    """

    artifact_kind = "concept-direction"

    def __init__(self, *, method: str = "mean_difference", paired: bool = False):
        self.method = method
        self.paired = paired

    def fit(self, X: Any, y: Any) -> "ConceptDirection":
        """Find the direction from points and their poles."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_ = _two_poles(y)
        negative, positive = (X[y == pole] for pole in self.classes_)
        direction, self.origin_ = direction_between(positive, negative, method=self.method, paired=self.paired)
        self.direction_ = direction / np.linalg.norm(direction)
        self._n_features_out = 1
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Signed distance from the origin along the direction, in the units of the points, shape (n_samples, 1)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return ((X - self.origin_) @ self.direction_)[:, np.newaxis]

    def to_direction(self, space: SpaceFingerprint | None = None) -> Direction:
        """What was found as a :class:`~lexframe.instruments.directions.direction.Direction`, to move points with or to add to others.

        Parameters
        ----------
        space : SpaceFingerprint, optional
            Of the space whose points it was fitted on; a direction that knows it refuses points of others.

        Returns
        -------
        Direction
            Of length 1, with the same origin, so its ``project`` gives what :meth:`transform` gives.
        """
        check_is_fitted(self)
        negative, positive = (str(pole) for pole in self.classes_)
        return Direction.of_points(self.direction_, space, positive=positive, negative=negative, method=self.method, origin=self.origin_)

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """Direction and origin."""
        return {"direction": self.direction_, "origin": self.origin_}

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take direction and origin back."""
        self.direction_, self.origin_ = arrays["direction"], arrays["origin"]
        self._n_features_out = 1

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)  # scikit-learn's checks then offer two classes
        return tags


def _two_poles(y: np.ndarray) -> np.ndarray:
    classes = np.unique(y)
    if len(classes) != 2:
        found = f"{len(classes)} class{'es' if len(classes) > 1 else ''}"
        raise InputError(
            f"ConceptDirection needs two poles, but y has {found}: {classes[:5].tolist()}. Only binary classification is supported. "
            "Keep two of them, or name one pole and call all others the other."
        )
    return classes
