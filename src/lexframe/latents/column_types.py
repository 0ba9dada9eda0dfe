"""One type a column, decided over all of its values; what cannot be of one type is refused with the row and what to do."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from lexframe.checks import is_missing
from lexframe.exceptions import InputError
from lexframe.files import json_text
from lexframe.latents.files import first_line

_TYPES = {"truth": pa.bool_(), "whole": pa.int64(), "number": pa.float64(), "text": pa.string()}
_SAYS = {"truth": "true or false", "whole": "a whole number", "number": "a number", "text": "a text"}
_LIMIT = 2**63


class ColumnTypes:
    """What columns hold, from as many values as there are.

    Whole numbers beside others become numbers, where they keep every digit. Nothing else is made to fit: truth values are no numbers, and a
    number is no text.

    Parameters
    ----------
    names : sequence of str
        Of the columns.
    """

    def __init__(self, names: Sequence[str]):
        self._kinds: dict[str, str | None] = dict.fromkeys(names)
        self._first: dict[tuple[str, str], tuple[Any, str]] = {}  # the first value of each kind, and where it was
        self._long: dict[str, tuple[Any, str]] = {}  # the first whole number that a float cannot hold

    def add(self, name: str, value: Any, where: str) -> None:
        """Take a value into account.

        Raises
        ------
        InputError
            If it does not go with those before it.
        """
        if is_missing(value):
            return
        kind = _kind(value)
        if kind is None:
            raise InputError(
                f"{where}: {name} is {_shown(value)}, of type {type(value).__name__}; a column holds texts, numbers or truth values. "
                f"{_remedy(name)}",
                parameter="as_text",
            )
        before = self._kinds[name]
        self._first.setdefault((name, kind), (value, where))
        if kind == "whole":
            if not -_LIMIT <= value < _LIMIT:
                raise InputError(
                    f"{where}: {name} is {value}, too large for a whole number of 64 bits. {_remedy(name)}", parameter="as_text"
                )
            if int(float(value)) != value:
                self._long.setdefault(name, (value, where))
        if before is None or before == kind:
            self._kinds[name] = kind
        elif {before, kind} == {"whole", "number"}:
            self._kinds[name] = "number"
        else:
            first, place = self._first[name, before] if (name, before) in self._first else self._first[name, "whole"]
            raise _mixed(name, (value, kind, where), (first, before, place))
        if self._kinds[name] == "number" and name in self._long:
            long, place = self._long[name]
            raise InputError(
                f"{place}: {name} is {long}, which loses digits beside numbers with fractions, such as {self._first[name, 'number'][0]} in "
                f"{self._first[name, 'number'][1]}. {_remedy(name)}",
                parameter="as_text",
            )

    def types(self) -> dict[str, pa.DataType | None]:
        """Arrow types by column; None where every value was missing."""
        return {name: None if kind is None else _TYPES[kind] for name, kind in self._kinds.items()}


def column_types(columns: Mapping[str, Iterable[Any]], *, what: str = "row") -> dict[str, pa.DataType | None]:
    """Types of whole columns; see :class:`ColumnTypes`.

    Parameters
    ----------
    columns : mapping of str to iterable
    what : str
        What a value is one of, for messages.

    Raises
    ------
    InputError
        If a column mixes types.
    """
    found: dict[str, pa.DataType | None] = {}
    for name, values in columns.items():
        given = list(values)
        if any(_kind(value) is None and not is_missing(value) for value in given):  # dates, lists and the like, as Arrow sees them
            found[name] = _of_arrow(name, given)
            continue
        types = ColumnTypes([name])
        for number, value in enumerate(given, start=1):
            types.add(name, value, f"{what} {number}")
        found |= types.types()
    return found


def holds(stored: pa.DataType, wanted: pa.DataType | None) -> bool:
    """Whether a column that stands already takes values of a type; None is of a column without values."""
    if wanted is None or stored == wanted:
        return True
    is_number = pa.types.is_integer(wanted) or pa.types.is_floating(wanted)
    return (is_number and pa.types.is_floating(stored)) or (pa.types.is_integer(wanted) and pa.types.is_integer(stored))


def as_text(value: Any) -> str | None:
    """A value as the text of a column: texts as they are, everything else as JSON writes it, missing ones as missing."""
    if isinstance(value, str):
        return value
    if is_missing(value):
        return None
    return str(value) if isinstance(value, date | datetime) else json_text(value)


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "truth"
    if isinstance(value, int | np.integer):
        return "whole"
    return "number" if isinstance(value, float | np.floating) else None


def _mixed(name: str, new: tuple[Any, str, str], old: tuple[Any, str, str]) -> InputError:
    return InputError(
        f"{new[2]}: {name} is {_shown(new[0])}, {_SAYS[new[1]]}, and {_shown(old[0])}, {_SAYS[old[1]]}, in {old[2]}. "
        f"A column holds one type. {_remedy(name)}",
        parameter="as_text",
    )


def _remedy(name: str) -> str:
    return f"Mend the row, or keep {name} as text with as_text."


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool | np.bool_) else str(value)
    text = text if len(text) <= 40 else f"{text[:39]}…"
    return repr(text) if isinstance(value, str) else text


def _of_arrow(name: str, values: list[Any]) -> pa.DataType:
    try:
        return pa.array([None if is_missing(value) else value for value in values]).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"The column {name!r} mixes types: {first_line(error)}. Give it values of one type, or texts.") from error
