"""Columns as conditions see them: which there are, what they hold, and which values may be compared with them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}  # microseconds of a unit; texts of times are no finer than these
_NANOSECOND_YEARS = (1678, 2261)
_SAYS = {
    "text": "text",
    "truth": "true or false",
    "whole": "whole numbers",
    "number": "numbers",
    "date": "dates",
    "time": "times",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or a part of a struct.

    Attributes
    ----------
    path : tuple of str
    type : pyarrow.DataType
    """

    path: tuple[str, ...]
    type: pa.DataType

    @property
    def name(self) -> str:
        """As a person would write it."""
        return ".".join(self.path)

    @property
    def kind(self) -> str:
        """What it holds: text, truth, whole, number, date, time, or other, of which nothing but IS NULL can be asked."""
        kind = self.type
        tests = (
            ("text", pa.types.is_string(kind) or pa.types.is_large_string(kind)),
            ("truth", pa.types.is_boolean(kind)),
            ("whole", pa.types.is_integer(kind)),
            ("number", pa.types.is_floating(kind)),
            ("date", pa.types.is_date32(kind)),
            ("time", pa.types.is_timestamp(kind)),
        )
        return next((name for name, holds in tests if holds), "other")

    @property
    def says(self) -> str:
        """What it holds, in words."""
        return _SAYS.get(self.kind, str(self.type))

    def fitting(self, value: Any, operator: str) -> Any:
        """A value as this column holds it.

        Raises
        ------
        ValueError
            If it cannot be compared with the column; the message says why.
        """
        kind, is_number = self.kind, isinstance(value, int | float) and not isinstance(value, bool)
        if kind == "text" and isinstance(value, str):
            return value
        if kind == "truth" and isinstance(value, bool):
            if operator not in ("=", "!="):
                raise ValueError(f"{self.name} holds true or false; it can be compared with = and != only")
            return value
        if kind == "whole" and is_number:
            return self._whole(value, operator)
        if kind == "number" and is_number:
            with np.errstate(over="ignore"):
                try:
                    found = float(self.type.to_pandas_dtype()(value))
                except OverflowError:
                    found = float("inf")
            if not np.isfinite(found):
                raise ValueError(f"{value} is too large for {self.name}, which holds {self.type}")
            return found + 0.0
        if kind in ("date", "time") and isinstance(value, str):
            return self._moment(value)
        if kind == "other":
            raise ValueError(f"{self.name} holds {self.says}; only IS NULL and IS NOT NULL can be asked of it")
        raise ValueError(f"{self.name} holds {self.says}, and {_written(value)} is {_what(value)}{_advice(kind, value)}")

    def _whole(self, value: int | float, operator: str) -> int:
        if isinstance(value, float):
            if not np.isfinite(value):
                raise ValueError("the number is too large")
            if value != int(value):
                if operator in ("=", "!="):
                    raise ValueError(f"{self.name} holds whole numbers, none of which is {value!r}")
                # x < 2.5 as x <= 2 and so on is said by the nearest whole number on the side that keeps the comparison.
                return int(np.ceil(value)) if operator in ("<", ">=") else int(np.floor(value))
            value = int(value)
        return int(value)

    def _moment(self, text: str) -> date | datetime:
        example = "2024-01-31" if self.kind == "date" else "2024-01-31 08:30:00"
        try:
            if self.kind == "date":
                return date.fromisoformat(text)
            found = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{self.name} holds {self.says}; write them such as '{example}'") from None
        if (self.type.tz is None) != (found.tzinfo is None):
            what = "no zone of time" if self.type.tz is None else f"the zone of time too, such as '{example}+00:00'"
            raise ValueError(f"{self.name} holds {'times without a zone' if self.type.tz is None else 'times of a zone'}; write {what}")
        found = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
        if self.type.unit == "ns" and not _NANOSECOND_YEARS[0] <= found.year <= _NANOSECOND_YEARS[1]:
            raise ValueError(f"{self.name} holds times to the ns, which are of the years {_NANOSECOND_YEARS[0]} to {_NANOSECOND_YEARS[1]}")
        if found.microsecond % _UNITS[self.type.unit]:
            raise ValueError(f"{self.name} holds times to the {self.type.unit}; {text!r} is finer")
        return found


class Columns:
    """Columns of a schema, by the names that people write.

    Parameters
    ----------
    schema : pyarrow.Schema
    """

    def __init__(self, schema: pa.Schema):
        self._types = {item.name: item.type for item in schema}

    def named(self, path: Sequence[str]) -> Column:
        """The column of a name, or the part of a struct.

        Parameters
        ----------
        path : sequence of str
            One name; more where dots join them.

        Raises
        ------
        KeyError
            If there is none. Its first argument says so, and which one may have been meant.
        """
        first, *rest = path
        kind = self._types.get(first)
        if rest and kind is None and (flat := stored_name(".".join(path))) in self._types:
            return Column((flat,), self._types[flat])  # what was kept from within a row stands under such a name
        known = self._types
        for number, part in enumerate(path):
            kind = known.get(part)
            if kind is None:
                raise KeyError(_absent(part, ".".join(path[: number + 1]), [*known]))
            known = {item.name: item.type for item in kind} if pa.types.is_struct(kind) else {}
        if any("`" in part for part in path):
            raise KeyError(f"the name {'.'.join(path)} holds a back quote, and cannot be asked for")
        assert kind is not None
        return Column(tuple(path), kind)


def stored_name(name: str) -> str:
    """The name of the column that holds a value from within a row: no column of a store has a dot in its name."""
    return name.replace(".", "_")


def _absent(part: str, name: str, known: Sequence[str]) -> str:
    folded = {found.casefold(): found for found in known}
    near = difflib.get_close_matches(part.casefold(), folded, n=1)
    listed = f"; there are {', '.join(known[:12])}" if known else ""
    return f"there is no column {name}{f'; did you mean {folded[near[0]]}?' if near else listed}"


def _written(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _what(value: Any) -> str:
    return "a text" if isinstance(value, str) else "a truth value" if isinstance(value, bool) else "a number"


def _advice(kind: str, value: Any) -> str:
    if kind == "text":
        return f"; quote it: '{_written(value)}'"
    if isinstance(value, str) and kind in ("whole", "number", "truth"):
        return "; write it without quotes"
    if kind in ("date", "time"):
        return "; write it in quotes, such as '2024-01-31'"
    return ""
