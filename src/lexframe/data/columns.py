"""Columns of people's files whose rows are no texts: numbers, or whatever stands in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexframe.data.tables.kinds import records_of
from lexframe.data.tables.records import Form, field_of, no_field
from lexframe.data.tables.values import OddValueError, plain_of
from lexframe.exceptions import DataError


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of one file.

    Attributes
    ----------
    values : dict of str to list
        Of one length; an empty field is None.
    source : str
        The file, for messages.
    notes : tuple of str
        What was assumed, each a line that goes on from the name of the file.
    """

    values: dict[str, list[Any]]
    source: str
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), []))


def read_columns(
    path: str | Path,
    names: Sequence[str],
    *,
    others: bool = False,
    encoding: str | None = None,
    delimiter: str | None = None,
    quotes: str | bool = "auto",
) -> Columns:
    """Read columns of a file, whatever they hold.

    Parameters
    ----------
    path : str or Path
        See :func:`lexframe.data.read_table` for the kinds of files.
    names : sequence of str
        Columns that have to be there.
    others : bool
        Read all other columns of the first row too, in their order.
    encoding, delimiter, quotes
        As for :func:`lexframe.data.read_table`.

    Returns
    -------
    Columns

    Raises
    ------
    DataError
        If the file has no row, lacks a column, or a field holds a list or an object.
    """
    wanted: dict[str, str | tuple[str, ...]] = dict.fromkeys(names, ())
    first = next(iter(names), "")
    records = records_of(Path(path), wanted, text=first, label=None, form=Form.checked(encoding, delimiter, quotes))
    asked = dict.fromkeys(names)
    values: dict[str, list[Any]] = {name: [] for name in names}
    n_rows = 0
    for place, row in records.rows:
        if not n_rows and others:
            asked |= dict.fromkeys(str(name) for name in row)
            values = {name: [] for name in asked}
        n_rows += 1
        for name in asked:
            try:
                value = plain_of(field_of(row, name))
            except KeyError:
                if name in names and not records.has_field(name):
                    raise no_field(records.where(place), name, row) from None
                value = None
            except OddValueError as error:
                raise DataError(f"{records.where(place)}: the field {name!r} {error}") from None
            values[name].append(None if isinstance(value, str) and not value.strip() else value)
    if not n_rows:
        raise DataError(f"{records.name} holds no row. Give a file with at least one.")
    return Columns(values, records.name, tuple(records.notes))
