"""Rows of a table as every reader gives them, and what a person may say about how a file is written."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lexframe.exceptions import DataError, InputError

QUOTES = ("auto", "double", "backslash", "text")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "\\t": "\t"}
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written, where a person says so.

    Attributes
    ----------
    encoding, delimiter : str or None
        None where they are to be found.
    quotes : str
        ``"auto"``, ``"double"`` (fields may stand in quotes, and quotes in them are doubled), ``"backslash"`` (they have a backslash
        before them) or ``"text"`` (quotes are letters like any other).
    """

    encoding: str | None = None
    delimiter: str | None = None
    quotes: str = "auto"

    @classmethod
    def checked(cls, encoding: str | None, delimiter: str | None, quotes: str | bool) -> "Form":
        """The form that options name.

        Raises
        ------
        InputError
            If an option is none of those that exist.
        """
        quotes = {True: "double", False: "text"}.get(quotes, quotes) if isinstance(quotes, bool) else quotes
        if quotes not in QUOTES:
            raise InputError(f"quotes is {quotes!r}; expected {', '.join(QUOTES)}.", parameter="quotes")
        found = None if delimiter is None else DELIMITERS.get(delimiter.lower(), delimiter)
        if found is not None and (len(found) != 1 or found in '"\r\n\0\\'):
            raise InputError(f"delimiter is {delimiter!r}; expected one character, or {', '.join(DELIMITERS)}.", parameter="delimiter")
        return cls(encoding, found, quotes)


@dataclass(slots=True)
class Records:
    """Rows of one table.

    Attributes
    ----------
    name : str
        Of the file, for messages.
    word : str
        What a place counts: line, row or item, from 1.
    rows : iterator of (place, fields)
        A place that is no number names itself.
    columns : tuple of str or None
        None where every row names its own.
    notes : list of str
        What was assumed; complete when the rows have been read. Each goes on from the name of the file.
    has_field : callable
        Whether any row has a field of that name.
    """

    name: str
    word: str
    rows: Iterator[tuple[int | str, Mapping[str, Any]]]
    columns: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    has_field: Callable[[str], bool] = lambda _: False

    def where(self, place: int | str) -> str:
        """How to call a row in a message."""
        return f"{self.name}, {self.word} {place}" if isinstance(place, int) else place


def field_of(row: Mapping[str, Any], name: str) -> Any:
    """The value of a field; ``meta.year`` also finds the field ``year`` of the object ``meta``.

    Raises
    ------
    KeyError
        If the row has no such field.
    """
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(name)
        value = value[part]
    return value


def holds(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row has a field; see :func:`field_of`."""
    try:
        field_of(row, name)
    except KeyError:
        return False
    return True


def no_field(where: str, name: str, columns: Any, parameter: str | tuple[str, ...] = ()) -> DataError:
    """What to say where a column is not there."""
    listed = ", ".join(map(repr, [*columns][:8])) or "none"
    return DataError(f"{where}: no field {name!r}; there are {listed}. Name the column that is meant.", parameter=parameter)


def checked_columns(name: str, columns: tuple[str, ...], wanted: Mapping[str, str | tuple[str, ...]]) -> None:
    """Refuse a header that lacks a column, or names one twice.

    Raises
    ------
    DataError
    """
    for each, parameter in wanted.items():
        if each not in columns and each.partition(".")[0] not in columns:  # the first may be an object that holds the rest
            raise no_field(name, each, [column for column in columns if column], parameter)
        if columns.count(each) > 1:
            raise DataError(
                f"{name}: {columns.count(each)} columns are named {each!r}. Rename those that are not meant.", parameter=parameter
            )
