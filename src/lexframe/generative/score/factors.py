"""Known factors of texts, such as tense or number: which are categories, which are numbers, which texts have them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from lexframe.exceptions import DataError, InputError


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """One factor of some texts.

    Attributes
    ----------
    name : str
    is_numeric : bool
        Whether its values are amounts rather than categories.
    values : ndarray of shape (n_texts,)
        Amounts, or the numbers of the categories in the order of `categories`; NaN where a text has none.
    categories : tuple of str
        Empty for amounts.
    present : ndarray of bool, shape (n_texts,)
        Which texts have a value.
    """

    name: str
    is_numeric: bool
    values: Float[np.ndarray, " n_texts"]
    categories: tuple[str, ...]
    present: Bool[np.ndarray, " n_texts"]


def checked_factors(points: Float[np.ndarray, "n_texts n_dims"], factors: Mapping[str, Iterable[Any]]) -> tuple[Factor, ...]:
    """Factors in the form that probes take.

    Values that are all floats make a factor of amounts; words, truth values and whole numbers are categories. None and NaN mean that a
    text has no value.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims)
        Of the texts.
    factors : mapping of str to iterable
        A value a text for each factor.

    Returns
    -------
    tuple of Factor

    Raises
    ------
    InputError
        If there is no factor, or one has not as many values as there are points.
    DataError
        If points are fewer than two or not finite, an amount is infinite, or a factor has fewer than two different values.
    """
    if points.ndim != 2 or len(points) < 2 or not points.shape[1]:
        raise DataError(f"The points have shape {points.shape}; expected two texts or more in one dimension or more.")
    if not np.isfinite(points).all():
        raise DataError(f"Point {int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])} holds NaN or infinity. Leave that text out.")
    if not factors:
        raise InputError("There is no factor to look for. Give at least one, such as {'tense': ['past', 'present', ...]}.")
    return tuple(_factor(name, list(values), len(points)) for name, values in factors.items())


def _factor(name: str, values: list[Any], n_texts: int) -> Factor:
    if len(values) != n_texts:
        raise InputError(
            f"Factor {name!r} has {len(values)} values, but there are {n_texts} points. Give one a text, None where it has none."
        )
    present = np.array([value is not None and value == value for value in values])
    given = [value for value, has in zip(values, present, strict=True) if has]
    numeric = bool(given) and all(isinstance(value, (float, np.floating)) for value in given)
    distinct = sorted(set(given), key=lambda value: (not isinstance(value, Real), value if isinstance(value, Real) else 0, str(value)))
    if len(distinct) < 2:
        raise DataError(f"Factor {name!r} has {len(distinct)} different values among {len(given)}; expected 2 or more. Leave it out.")
    if numeric and not np.isfinite(given).all():
        raise DataError(f"Factor {name!r} has an infinite value. Give finite numbers, or None.")
    numbers = np.full(n_texts, np.nan)
    place = {value: number for number, value in enumerate(distinct)}
    numbers[present] = np.array(given, dtype=np.float64) if numeric else [place[value] for value in given]
    return Factor(name, numeric, numbers, () if numeric else tuple(str(value) for value in distinct), present)
