"""What people hand in, checked before anything is computed with it, and plain values for what they get."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from lexframe.exceptions import InputError

TEXT_COLUMN = "text"
"""The column that is meant where a table with several is given in place of texts."""


def texts_in(given: Any, *, what: str = "texts") -> list[str]:
    """Texts as people hold them, as a list.

    One string is one text. A list, tuple, array, Series, column or generator holds one each; of a table the column ``text`` does, or
    its only one.

    Raises
    ------
    InputError
        If one of them is no text, such as bytes, a number or a missing value: its place is named.
    """
    return list(each_text(given, what=what))


def each_text(given: Any, *, what: str = "texts") -> Iterator[str]:
    """One text after the other, of texts that are not held all at once; see :func:`texts_in`."""
    if isinstance(given, str):
        yield str(given)
        return
    if not isinstance(given, bytes):
        given = _column_of(given, what)
    if isinstance(given, bytes) or getattr(given, "ndim", 1) != 1 or not hasattr(given, "__iter__"):
        shape = f" of shape {given.shape}" if hasattr(given, "shape") else ""
        raise InputError(f"{what} is {type(given).__name__}{shape}; expected texts. Give a list of them, or one column of a table.")
    for row, text in enumerate(given.to_pylist() if hasattr(given, "to_pylist") else given):
        if not isinstance(text, str):
            found = "missing" if is_missing(text) else f"{type(text).__name__} {text!r:.40}"
            raise InputError(f"{what}[{row}] is {found}; expected a text. Leave rows without a text out, or turn the values into text.")
        yield str(text)


def checked_texts(given: Any, *, what: str = "texts") -> list[str]:
    """One text or more, as a list: see :func:`texts_in`.

    Raises
    ------
    InputError
        If there is none, or one is no text.
    """
    texts = texts_in(given, what=what)
    if not texts:
        raise InputError(f"{what} is empty; give one text or more.")
    return texts


def _column_of(given: Any, what: str) -> Any:
    """The column of a table that holds its texts; anything else as it is."""
    names = column_names(given)
    if names is None:
        return given
    meant = TEXT_COLUMN if TEXT_COLUMN in names else names[0] if len(names) == 1 else None
    if meant is None:
        raise InputError(f"{what} is a table with the columns {', '.join(map(repr, names[:8])) or 'none'}. Give the one that holds texts.")
    return given[meant]


def column_names(given: Any) -> list[Any] | None:
    """Names of the columns of a data frame, a data set or a mapping; None of anything else."""
    if isinstance(given, Mapping):
        return list(given)
    names = getattr(given, "column_names", None) or getattr(given, "columns", None)
    return None if names is None or callable(names) or getattr(given, "ndim", 2) != 2 else list(names)


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN of any float, pandas' NA and NaT. A text never does, neither ``"nan"`` nor ``""``."""
    if value is None:
        return True
    if isinstance(value, str | bytes) or (isinstance(value, np.ndarray) and value.ndim):
        return False
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA answers a comparison with NA, which is neither true nor false
        return True


def checked_points(points: Any, n_dims: int | None = None, *, what: str = "points") -> Float[np.ndarray, "n_points n_dims"]:
    """The points as float64.

    Parameters
    ----------
    points : array-like of shape (n_points, n_dims)
    n_dims : int, optional
        The width that they have to have.
    what : str
        Their name in messages.

    Raises
    ------
    InputError
        If they are no table, of another width, or not finite.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.dtype.kind not in "fiu":
        raise InputError(f"{what} has shape {points.shape} and type {points.dtype}; expected a table of numbers, a row a text.")
    if n_dims is not None and points.shape[1] != n_dims:
        raise InputError(f"{what} has {points.shape[1]} dimensions, but {n_dims} are expected here. Use points of the same space.")
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{int((~finite).sum())} of {len(points)} rows of {what} are not finite, the first is row {int(np.argmin(finite))}. "
            "Encode these texts again, or leave them out."
        )
    return points.astype(np.float64)


def checked_vector(vector: Any, n_dims: int | None = None, *, what: str = "vector") -> Float[np.ndarray, " n_dims"]:
    """One vector as float64; see :func:`checked_points`."""
    vector = np.asarray(vector)
    if vector.ndim != 1:
        raise InputError(f"{what} has shape {vector.shape}; expected one vector, shape (n_dims,).")
    return checked_points(vector[np.newaxis], n_dims, what=what)[0]


def class_numbers(labels: Sequence[Hashable] | np.ndarray, n_points: int) -> tuple[tuple[Any, ...], Int64[np.ndarray, " n_points"]]:
    """Classes, sorted, and the number of each point's class.

    Parameters
    ----------
    labels : sequence of hashable, length n_points
    n_points : int

    Returns
    -------
    classes : tuple
        The labels as they were given.
    numbers : ndarray of int64, shape (n_points,)

    Raises
    ------
    InputError
        If there is not one label for each point, one is missing (None or NaN), or a class has fewer than two texts.
    """
    given: list[Any] = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if len(given) != n_points:
        raise InputError(f"There are {n_points} points, but {len(given)} labels. Give one for each point.")
    missing = [row for row, label in enumerate(given) if is_missing(label)]
    if missing:
        raise InputError(f"{len(missing)} labels are missing, the first in row {missing[0]}. Leave these rows out.")
    try:
        classes = tuple(sorted(set(given)))
    except TypeError:  # labels of several types have no order of their own
        classes = tuple(sorted(set(given), key=lambda label: (type(label).__name__, str(label))))
    place = {label: number for number, label in enumerate(classes)}
    numbers = np.array([place[label] for label in given], dtype=np.int64)
    counts = np.bincount(numbers, minlength=len(classes))
    if len(classes) == 0 or counts.min() < 2:
        found = f"the class {classes[int(counts.argmin())]!r} has one text" if len(classes) else "there is none"
        raise InputError(f"Every class needs two texts or more, but {found}: what it shares cannot be told from what is its own.")
    return classes, numbers


def class_number(label: Hashable, classes: Sequence[Any]) -> int:
    """Where a label stands among classes.

    Raises
    ------
    InputError
        If it is none of them.
    """
    if label not in classes:
        raise InputError(f"{label!r} is no class here; the classes are {', '.join(map(repr, classes[:12]))}.")
    return classes.index(label)


def plain(value: Any) -> Any:
    """A value as JSON knows it: arrays and tuples become lists, dates texts, and what is not finite or missing None, at any depth."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, date):  # a time too; pandas' NaT, which is one, stands for none
        return None if is_missing(value) else value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return None if not isinstance(value, str | bool | int) and is_missing(value) else value
