r"""The reconsideration probability exactly as published, and a guarded value beside it.

.. math:: RP(d_c, d) = 100 \, e^{-k (d - d_c)}, \qquad k = -\ln 0.5 \,/\, (\operatorname{median}\{d\} - d_c)

:math:`d_c` is the extent of a category around its centre, :math:`d` the distance of an external item to the centre. It is 100 at the
extent and 50 at the median external item. It is no probability: half of all external items have 50 or more, whatever is true. Within a
category it falls with the distance, so it ranks as the distance does.

References
----------
Bettouche, Safi and Fischer (2024), Contextual Categorization Enhancement through LLMs Latent-Space, arXiv:2404.16442.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float64

from lexframe.exceptions import InputError
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import pandas

UPPER_QUANTILES = (0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_LARGEST_EXPONENT = float(np.log(np.finfo(np.float64).max / 100))


@dataclass(frozen=True, slots=True)
class PublishedReconsideration(Result):
    """Reconsideration probabilities of external items for one category, in percent.

    Attributes
    ----------
    raw : ndarray of shape (n,), or None
        The formula as published. Above 100 for items nearer than the extent; it grows with the distance where the median external
        item is nearer than the extent. None where it is not defined: the median equals the extent, or there is no external item.
    guarded : ndarray of shape (n,), float64
        In [0, 100] and never growing with the distance.
    extent : float
        Distance at which it is 100.
    median : float or None
        Of the external distances; None if there are none.
    reference : float or None
        Distance at which `guarded` is 50; None where no quantile of the external distances is beyond the extent.
    quantile : float or None
        Which quantile of the external distances the reference is: 0.5 as published, or a higher one.
    note : str
        Where and why `guarded` leaves the paper, beyond cutting off above 100; empty where it does not.
    provenance : Provenance
    """

    raw: Float64[np.ndarray, " n"] | None
    guarded: Float64[np.ndarray, " n"]
    extent: float
    median: float | None
    reference: float | None
    quantile: float | None
    note: str
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """How many items have 50% or more, and where the value leaves the paper."""
        n_likely = int((self.guarded >= 50).sum())
        text = f"{n_likely:,} of {len(self.guarded):,} external items have a reconsideration probability of 50% or more."
        return f"{text} {self.note}" if self.note else text

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "raw": None if self.raw is None else self.raw.tolist(),
            "guarded": self.guarded.tolist(),
            "extent": self.extent,
            "median": self.median,
            "reference": self.reference,
            "quantile": self.quantile,
            "note": self.note,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row an item: the value as published, NaN where it is not defined, and the guarded one."""
        import pandas as pd

        raw = np.full(len(self.guarded), np.nan) if self.raw is None else self.raw
        return pd.DataFrame({"raw": raw, "guarded": self.guarded})


def published_reconsideration(
    distances_of_external: Float[np.ndarray, " n"], extent: float, *, population: Float[np.ndarray, " n_population"] | None = None
) -> PublishedReconsideration:
    """Reconsideration probability of external items, as published and guarded.

    Parameters
    ----------
    distances_of_external : ndarray of shape (n,)
        Of items that are not in the category, to its centre.
    extent : float
        d_c, in the same units; see :func:`category_extent`.
    population : ndarray of shape (n_population,), optional
        Distances whose median and quantiles are taken, where `distances_of_external` are only some of the external items. Default:
        those.

    Returns
    -------
    PublishedReconsideration
        Where the median is not beyond the extent, `guarded` takes the first of the quantiles .6, .7, .8, .9, .95 and 1 that is. If
        none is, every external item of the population lies within the extent: it is 100 up to there and 0 beyond.

    Raises
    ------
    InputError
        If a distance or the extent is negative or not finite.
    """
    distances = _checked(distances_of_external, "distances_of_external")
    provenance = Provenance(parameters={"extent": float(extent), "n_population": len(distances if population is None else population)})
    others = distances if population is None else _checked(population, "population")
    if not (np.isfinite(extent) and extent >= 0):
        raise InputError(f"The extent is {extent}; expected a finite distance of 0 or more.")
    if not len(others):
        note = "There is no external item to take the median of: 100 up to the extent, 0 beyond."
        return PublishedReconsideration(None, _step(distances, extent), extent, None, None, None, note, provenance)
    median = float(np.median(others))
    raw = None if median == extent else _decay(distances, extent, median)
    if median > extent:
        assert raw is not None
        return PublishedReconsideration(raw, np.clip(raw, 0.0, 100.0), extent, median, median, 0.5, "", provenance)
    problem = (
        "The median external item lies at the extent: the published formula divides by zero"
        if raw is None
        else "The median external item is nearer than the extent: the published formula grows with the distance"
    )
    for quantile in UPPER_QUANTILES:
        reference = float(np.quantile(others, quantile))
        if reference > extent:
            guarded = np.clip(_decay(distances, extent, reference), 0.0, 100.0)
            return PublishedReconsideration(
                raw, guarded, extent, median, reference, quantile, f"{problem}. 50 is put at the {quantile} quantile instead.", provenance
            )
    note = f"{problem}. No external item lies beyond the extent either: 100 up to the extent, 0 beyond."
    return PublishedReconsideration(raw, _step(distances, extent), extent, median, None, None, note, provenance)


def category_extent(member_distances: Float[np.ndarray, " n_members"], *, quantile: float = 0.9) -> float:
    """The extent of a category around its centre, which the paper leaves open.

    Parameters
    ----------
    member_distances : ndarray of shape (n_members,)
        Of the members to the mean of the members.
    quantile : float
        Share of the members within the extent, from 0 to 1: 0.5 is the median, and leaves half of them outside; 1 holds all members,
        so that one stray member sets it.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If there is no member, a distance is negative or not finite, or the quantile is not in [0, 1].
    """
    distances = _checked(member_distances, "member_distances")
    if not 0 <= quantile <= 1:
        raise InputError(f"quantile is {quantile}; expected 0 to 1.")
    if not len(distances):
        raise InputError("The category has no member, so it has no extent. Leave it out.")
    return float(np.quantile(distances, quantile))


def _decay(distances: np.ndarray, extent: float, half: float) -> np.ndarray:
    """100 at the extent and 50 at `half`; held at the largest number there is instead of overflowing."""
    with np.errstate(over="ignore"):  # a quotient beyond all numbers is cut off on the next line
        exponents = np.log(0.5) * ((distances - extent) / (half - extent))
    return 100.0 * np.exp(np.minimum(exponents, _LARGEST_EXPONENT))


def _step(distances: np.ndarray, extent: float) -> np.ndarray:
    return np.where(distances <= extent, 100.0, 0.0)


def _checked(distances: np.ndarray, name: str) -> np.ndarray:
    distances = np.asarray(distances, dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(distances) & (distances >= 0)))
    if len(wrong):
        raise InputError(f"Entry {wrong[0]} of {name} is {distances[wrong[0]]}; expected finite distances of 0 or more.")
    return distances
