"""Whether single dimensions of a latent stand for single factors, by the information that each has on each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import InputError
from lexframe.generative.score.factors import checked_factors
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import pandas

N_BINS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Disentanglement(Result):
    """How dimensions and factors belong together.

    Attributes
    ----------
    factors : tuple of str
    gap : float
        Mutual information gap (MIG): mean of `gaps`, from 0 to 1.
    gaps : tuple of float
        Of each factor, how much more of its entropy the best dimension tells than the second.
    best_dimensions : tuple of int
        The dimension that tells most of each factor.
    disentanglement : float
        From 0 to 1: how much each dimension is about one factor only, weighted by what it tells of all.
    completeness : float
        From 0 to 1: how much each factor is told by one dimension only; mean over the factors.
    information : ndarray of shape (n_dims, n_factors)
        Mutual information of binned dimension and factor as a share of the factor's entropy.
    n_texts : int
        That have all factors.
    provenance : Provenance
    """

    factors: tuple[str, ...]
    gap: float
    gaps: tuple[float, ...]
    best_dimensions: tuple[int, ...]
    disentanglement: float
    completeness: float
    information: Float[np.ndarray, "n_dims n_factors"]
    n_texts: int
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """The three measures in a sentence."""
        return (
            f"Over {len(self.factors)} factors and {self.n_texts:,} texts: mutual information gap {self.gap:.2f}, disentanglement "
            f"{self.disentanglement:.2f}, completeness {self.completeness:.2f} (1 is a dimension a factor, 0 is none)."
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "factors": list(self.factors),
            "gap": self.gap,
            "gaps": list(self.gaps),
            "best_dimensions": list(self.best_dimensions),
            "disentanglement": self.disentanglement,
            "completeness": self.completeness,
            "information": self.information.tolist(),
            "n_texts": self.n_texts,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a factor: its gap, the dimension that tells most of it, and how much."""
        import pandas as pd

        told = self.information.max(axis=0)
        columns = {"factor": self.factors, "gap": self.gaps, "best_dimension": self.best_dimensions, "information": told}
        return pd.DataFrame({name: list(values) for name, values in columns.items()})


def disentanglement(
    points: Float[np.ndarray, "n_texts n_dims"], factors: Mapping[str, Iterable[Any]], *, n_bins: int = N_BINS
) -> Disentanglement:
    r"""Mutual information gap, disentanglement and completeness.

    Dimensions, and factors of numbers, are cut into bins of equal width between their least and greatest value. The gap of a factor v is
    :math:`[I(z_{(1)}; v) - I(z_{(2)}; v)] / H(v)` with the two dimensions that tell most [1]_ (there with samples of z).
    Disentanglement and completeness are those of [2]_ with this information as the importance of a dimension for a factor, in place
    of the weights of a regression. Binned information is too high by about (n_bins - 1)(n_values - 1) / 2n nats: few texts hide a gap.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims)
        Such as posterior means.
    factors : mapping of str to iterable
        The value of each factor for each text; see :func:`~lexframe.generative.score.factors.checked_factors`. Texts
        without one are left out.
    n_bins : int
        Bins of a dimension.

    Returns
    -------
    Disentanglement

    Raises
    ------
    InputError, DataError
        If bins are fewer than two, or points and factors do not fit; a factor must have two values or more.

    References
    ----------
    .. [1] Chen et al. (2018), Isolating Sources of Disentanglement in VAEs, arXiv:1802.04942.
    .. [2] Eastwood and Williams (2018), A Framework for the Quantitative Evaluation of Disentangled Representations.
    """
    if n_bins < 2:
        raise InputError(f"n_bins is {n_bins}; expected 2 or more, such as {N_BINS}.")
    checked = checked_factors(points, factors)
    rows = np.flatnonzero(np.all([factor.present for factor in checked], axis=0))
    if len(rows) < 2:
        raise InputError(f"{len(rows)} texts have a value of every factor; expected 2 or more. Leave out factors that are rarely given.")
    bins = [equal_width_bins(column, n_bins) for column in points[rows].astype(np.float64).T]
    information = np.zeros((points.shape[1], len(checked)))
    for column, factor in enumerate(checked):
        values = factor.values[rows]
        classes = equal_width_bins(values, n_bins) if factor.is_numeric else values.astype(np.int64)
        entropy = discrete_information(classes, classes)
        if entropy == 0:
            raise InputError(f"Factor {factor.name!r} has one value in all texts that have every factor. Leave it out.")
        information[:, column] = [discrete_information(binned, classes) / entropy for binned in bins]
    ordered = np.sort(np.concatenate([np.zeros((1, len(checked))), information]), axis=0)  # a single dimension has no rival
    gaps = ordered[-1] - ordered[-2]
    return Disentanglement(
        factors=tuple(factor.name for factor in checked),
        gap=float(gaps.mean()),
        gaps=tuple(float(gap) for gap in gaps),
        best_dimensions=tuple(int(row) for row in information.argmax(axis=0)),
        disentanglement=mean_sharpness(information, weights=information.sum(axis=1)),
        completeness=mean_sharpness(information.T, weights=np.ones(len(checked))),
        information=information,
        n_texts=len(rows),
        provenance=Provenance(parameters={"n_bins": n_bins}),
    )


def equal_width_bins(values: Float[np.ndarray, " n_texts"], n_bins: int) -> Int[np.ndarray, " n_texts"]:
    """Bin of each value, 0 … n_bins - 1; all 0 where the values are equal.

    Parameters
    ----------
    values : ndarray of shape (n_texts,)
        Finite.
    n_bins : int
        Between the least value and the greatest, which falls in the last.
    """
    low, high = values.min(), values.max()
    width = (high - low) / n_bins
    if not width > 0:
        return np.zeros(len(values), dtype=np.int64)
    return np.minimum((values - low) / width, n_bins - 1).astype(np.int64)


def discrete_information(left: Int[np.ndarray, " n_texts"], right: Int[np.ndarray, " n_texts"]) -> float:
    """Mutual information of two codes, in nats, from their counts; of a code with itself its entropy.

    Parameters
    ----------
    left, right : ndarray of int, shape (n_texts,)
        Numbers of 0 or more; what is seldom used makes the table of counts large.
    """
    counts = np.bincount(left * (right.max() + 1) + right, minlength=(left.max() + 1) * (right.max() + 1))
    joint = counts.reshape(left.max() + 1, right.max() + 1) / len(left)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return max(float((joint[seen] * np.log(joint[seen] / independent[seen])).sum()), 0.0)


def mean_sharpness(importance: Float[np.ndarray, "n_rows n_columns"], *, weights: Float[np.ndarray, " n_rows"]) -> float:
    """Weighted mean over rows of one minus the entropy of the row over that of an even one: 1 where each row has a single entry.

    Parameters
    ----------
    importance : ndarray of shape (n_rows, n_columns)
        Not negative. A row of zeros is even; a single column leaves nothing to tell apart and gives 1.
    weights : ndarray of shape (n_rows,)
        Not negative; if all are zero the result is 0.
    """
    if importance.shape[1] == 1:
        return 1.0
    totals = importance.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, importance / np.where(totals > 0, totals, 1.0), 1 / importance.shape[1])
    logs = np.log(np.where(shares > 0, shares, 1.0))
    sharpness = 1 + (shares * logs).sum(axis=1) / np.log(importance.shape[1])
    return float(weights @ sharpness / weights.sum()) if weights.sum() > 0 else 0.0
