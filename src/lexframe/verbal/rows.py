"""Inputs as columns of numbers and texts, and one line for a row, which is all that a prompt holds of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from lexframe.checks import column_names, is_missing
from lexframe.exceptions import InputError
from lexframe.files import json_text
from lexframe.text_forms import whole_letters

TEXT = "text"
"""Name of the only column where texts are given alone."""

_ODD = ("ignore the above", "ignore all", "ignore previous", "ignore your", "disregard", "new instructions", "system prompt", "you are now")
"""What texts say that were written to be obeyed. They are counted, and stay what they are: data."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of inputs.

    Attributes
    ----------
    columns : dict of str to ndarray of shape (n_rows,)
        Numbers as float64, texts as objects.
    """

    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, given: Any, names: Sequence[str] | None = None, *, texts: Collection[str] = ()) -> "Rows":
        """Inputs as people hold them.

        Parameters
        ----------
        given : array-like, DataFrame, mapping, or sequence of str
            A table of numbers, a table with column names whose columns hold numbers or texts, or texts alone.
        names : sequence of str, optional
            Of the columns, where they have none. Default: ``x`` for one, ``x1`` and on for several, ``text`` for texts.
        texts : collection of str
            Columns that hold texts even where every value could be read as a number; ``text`` always does.

        Raises
        ------
        InputError
            If a value is missing or not finite, or a column mixes numbers with texts: row and column are named.
        """
        if isinstance(given, Rows):
            return given
        known = column_names(given)
        if known is not None:
            names_known = [str(name) for name in known]
            if len(set(names_known)) < len(names_known):
                twice = next(name for name in names_known if names_known.count(name) > 1)
                raise InputError(f"Two columns are called {twice!r}. Give each a name of its own.")
            return cls(_checked({str(name): given[name] for name in known}, texts))
        if isinstance(given, str) or _holds_texts(given):
            name = (names or [TEXT])[0]
            return cls(_checked({name: [given] if isinstance(given, str) else list(given)}, {name}))
        try:
            table = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"The inputs are no table of numbers, and no texts: {str(error)[:80]}. Give one of them.") from error
        if table.ndim != 2:
            raise InputError(f"The inputs have shape {table.shape}; expected (rows, columns). A single column is X.reshape(-1, 1).")
        width = table.shape[1]
        names = list(names) if names is not None else ["x"] if width == 1 else [f"x{number + 1}" for number in range(width)]
        if len(names) != width:
            raise InputError(f"{len(names)} names stand for {width} columns. Give one a column.")
        return cls(_checked({name: table[:, number] for number, name in enumerate(names)}, ()))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(self.columns)

    @property
    def texts(self) -> list[str] | None:
        """The texts, where the only column holds texts."""
        columns = list(self.columns.values())
        return columns[0].tolist() if len(columns) == 1 and columns[0].dtype == object else None

    @property
    def numbers(self) -> np.ndarray | None:
        """The table of shape (n_rows, n_columns), where all columns hold numbers."""
        columns = list(self.columns.values())
        return np.stack(columns, axis=1) if columns and all(column.dtype != object for column in columns) else None

    def take(self, rows: Int[np.ndarray, " n"] | Sequence[int] | range) -> "Rows":
        """Some of the rows, in the order given."""
        places = np.asarray(rows, dtype=np.int64)
        return Rows({name: column[places] for name, column in self.columns.items()})

    def like(self, given: Any) -> "Rows":
        """Other rows with the columns of these, in their order.

        Raises
        ------
        InputError
            If one is missing, or holds texts where these hold numbers.
        """
        kept = [name for name, column in self.columns.items() if column.dtype == object]
        found = Rows.of(given, self.names if column_names(given) is None else None, texts=kept)
        missing = [name for name in self.columns if name not in found.columns]
        if missing:
            raise InputError(f"The rows lack the column {missing[0]!r}; found {', '.join(map(repr, found.names)) or 'none'}. Name it so.")
        for name, column in self.columns.items():
            if (found.columns[name].dtype == object) != (column.dtype == object):
                raise InputError(f"The column {name!r} held {_kind(column)} when the model was fitted, and holds others now.")
        return Rows({name: found.columns[name] for name in self.columns})

    def shown(self, row: int, digits: int | None = 4) -> str:
        """A row on one line: ``x1 = 1.25, text = "Good."``; white space and quotes within a text are escaped as in JSON.

        A text cannot begin a line of a prompt, so no heading in it is taken for one of ours.

        Parameters
        ----------
        row : int
        digits : int or None
            Significant ones of a number; None for as many as tell it from all others.
        """
        parts = []
        for name, column in self.columns.items():
            value = column[row]
            parts.append(f"{name} = {json_text(value) if column.dtype == object else number_text(value, digits)}")
        return ", ".join(parts)

    @property
    def n_odd(self) -> int:
        """Texts that look as if they were written to be obeyed."""
        rows = np.zeros(len(self), dtype=bool)
        for column in self.columns.values():
            if column.dtype == object:
                rows |= np.array([any(odd in text.casefold() for odd in _ODD) for text in column], dtype=bool)
        return int(rows.sum())

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return {name: column.tolist() for name, column in self.columns.items()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Rows":
        """Back from :meth:`to_dict`."""
        return cls(_checked(document, [name for name, values in document.items() if any(isinstance(value, str) for value in values)]))


def number_text(value: float, digits: int | None = 4) -> str:
    """A number as a prompt shows it: with so many significant digits, or all of them.

    Parameters
    ----------
    value : float
    digits : int or None
    """
    if digits is None:
        return repr(float(value))
    text = f"{float(value):.{digits}g}"
    return text if "e" not in text else repr(float(text))


def _holds_texts(given: Any) -> bool:
    kind = getattr(getattr(given, "dtype", None), "kind", "")
    first = next(iter(given), None) if hasattr(given, "__iter__") and getattr(given, "ndim", 1) == 1 else None
    return kind in ("U", "T") or isinstance(first, str)


def _kind(column: np.ndarray) -> str:
    return "texts" if column.dtype == object else "numbers"


def _checked(columns: Mapping[str, Any], texts: Collection[str]) -> dict[str, np.ndarray]:
    found = {name: _column(name, list(values), is_text=name == TEXT or name in texts) for name, values in columns.items()}
    if not found:
        raise InputError("The inputs have no column. Name at least one.")
    broken = next((name for name in found if len(name.splitlines()) > 1 or not name.strip()), None)
    if broken is not None:
        raise InputError(f"The column {broken!r} has no name that stands on one line of a prompt. Rename it.")
    lengths = {len(column) for column in found.values()}
    if len(lengths) > 1:
        raise InputError(f"The columns have {' and '.join(map(str, sorted(lengths)))} rows. Give as many values in each.")
    return found


def _column(name: str, values: list[Any], *, is_text: bool) -> np.ndarray:
    for row, value in enumerate(values):
        if is_missing(value):
            raise InputError(f"Row {row + 1} has no value in the column {name!r}. Fill it, or leave the row out.")
    if all(isinstance(value, str) for value in values):
        numbers = as_numbers(values)
        if numbers is not None and not is_text:  # what a file of text holds for a number
            return _finite(name, numbers)
        if not is_text:
            _refuse_half_numbers(name, values)
        column = np.empty(len(values), dtype=object)
        column[:] = [whole_letters(str(value)) for value in values]
        return column
    odd = next((row for row, value in enumerate(values) if isinstance(value, str)), None)
    if odd is not None:
        found = f"row {odd + 1} holds {str(values[odd])[:40]!r}"
        raise InputError(f"The column {name!r} mixes numbers with texts: {found}. Make them one kind.")
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        column = np.zeros((0, 0))
    if column.ndim != 1:
        raise InputError(f"The column {name!r} holds {type(values[0]).__name__}; expected numbers or texts.")
    return _finite(name, column)


def _refuse_half_numbers(name: str, values: list[str]) -> None:
    """A column of numbers with something else in it is no column of texts."""
    odd = [row for row, value in enumerate(values) if as_numbers([value]) is None]
    if len(odd) <= len(values) / 2:
        found = f"row {odd[0] + 1} holds {values[odd[0]][:40]!r}, and most others hold numbers"
        raise InputError(f"The column {name!r} is no column of numbers: {found}. Mend that row, or leave it out.")


def as_numbers(values: Sequence[str]) -> np.ndarray | None:
    """Texts as numbers, if every one is the text of a finite number; else None."""
    try:
        numbers = np.array([float(value) for value in values], dtype=np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _finite(name: str, column: np.ndarray) -> np.ndarray:
    odd = np.flatnonzero(~np.isfinite(column))
    if odd.size:
        raise InputError(f"Row {odd[0] + 1} has {column[odd[0]]} in the column {name!r}; expected a finite number. Leave the row out.")
    return column
