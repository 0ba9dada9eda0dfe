"""Conditions as Lance understands them, so that they mean there what they mean here.

Negations are pushed inwards (nested ones take the planner underneath exponential time), whole numbers beyond the range of their column
become its limits, and NaN, which Lance takes for the largest number, is missing.
"""

from datetime import date, datetime
from typing import Any

import pyarrow as pa

from lexframe.latents.conditions import All, Among, Compare, Condition, Like, Missing, Not, Some, Truth
from lexframe.latents.filter_columns import Column
from lexframe.latents.filters import parsed

_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_ABOVE = {"=": ">", ">": ">", ">=": ">", "!=": "<=", "<": "<=", "<=": "<="}  # with a value above all that a column can hold
_BELOW = {"=": "<", "<": "<", "<=": "<", "!=": ">=", ">": ">=", ">=": ">="}
_SMALLEST = -(2**63)


def canonical(text: str, schema: pa.Schema) -> str:
    """A condition as people write it, checked, in the form that Lance takes; see :func:`lexframe.latents.filters.parsed`."""
    return rendered(parsed(text, schema))


def rendered(condition: Condition, *, holds: bool = True) -> str:
    """The SQL of a condition, or of its opposite."""
    if isinstance(condition, Not):
        return rendered(condition.part, holds=not holds)
    if isinstance(condition, All | Some):
        joined = " AND " if isinstance(condition, All) == holds else " OR "
        return joined.join(f"({rendered(part, holds=holds)})" for part in condition.parts)
    if isinstance(condition, Truth):
        return "true" if condition.value == holds else "false"
    if isinstance(condition, Missing):
        return f"{_column(condition.column)} IS {'' if holds else 'NOT '}NULL"
    if isinstance(condition, Like):
        return f"{_column(condition.column)} {'' if holds else 'NOT '}LIKE {_text(condition.pattern)}"
    if isinstance(condition, Among):
        return _among(condition.column, condition.values, holds=holds)
    return _compared(condition, condition.operator if holds else _OPPOSITE[condition.operator])


def _compared(condition: Compare, operator: str) -> str:
    column, other = condition.column, condition.other
    if isinstance(other, Column):
        return f"{_column(column)} {operator} {_column(other)}"
    if column.kind == "whole":
        least, most = _limits(column.type)
        if other > most:
            operator, other = _ABOVE[operator], most
        elif other < least:
            operator, other = _BELOW[operator], least
    return f"{_column(column)} {operator} {_value(column, other)}"


def _among(column: Column, values: tuple[Any, ...], *, holds: bool) -> str:
    if column.kind == "whole":
        least, most = _limits(column.type)
        values = tuple(value for value in values if least <= value <= most)
        if not values:  # none of them can be held
            return f"{_column(column)} {'>' if holds else '<='} {_value(column, most)}"
    listed = ", ".join(_value(column, value) for value in dict.fromkeys(values))
    return f"{_column(column)} {'' if holds else 'NOT '}IN ({listed})"


def _column(column: Column) -> str:
    name = ".".join(f"`{part}`" for part in column.path)
    return f"nullif({name}, CAST('NaN' AS {_float(column.type)}))" if column.kind == "number" else name


def _value(column: Column, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value != _SMALLEST else f"({value + 1} - 1)"  # its digits alone do not fit before the sign is seen
    if isinstance(value, float):
        return f"CAST('{value!r}' AS {_float(column.type)})"
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat(' ', 'microseconds')}'"
    return f"date '{value.isoformat()}'" if isinstance(value, date) else _text(value)


def _float(kind: pa.DataType) -> str:
    return "DOUBLE" if kind == pa.float64() else "FLOAT"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _limits(kind: pa.DataType) -> tuple[int, int]:
    if pa.types.is_unsigned_integer(kind):
        return 0, 2**kind.bit_width - 1
    return -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1
