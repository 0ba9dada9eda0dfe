"""What the cells of a table stand for: texts, labels, and plain values; missing ones are missing in every kind of file."""

import datetime
import decimal
from typing import Any

from lexframe.checks import is_missing

_EXACT = 2**53
"""Up to here every whole number has a float of its own."""


class OddValueError(ValueError):
    """A value that cannot stand where it stands; the message goes on from the name of the field."""


def text_of(value: Any) -> str:
    """A cell as text: numbers as they are written, whole ones without a point, dates as ISO, nothing where it is missing.

    Raises
    ------
    OddValueError
        If it is a list, an object, or no text that can be written.
    """
    if type(value) is not str:
        if is_missing(value):
            return ""
        value = _written(value)
    if "\0" in value:
        raise OddValueError("holds a NUL byte. The file may be binary or damaged; remove the byte.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise OddValueError("holds half of a surrogate pair, which is no text. Write the character whole.") from None
    return value


def label_of(value: Any) -> str:
    """A cell as the name of a category: as text, without blanks around it; nothing where it is missing."""
    return text_of(value).strip()


def plain_of(value: Any) -> Any:
    """A value that fits a column: numbers and truth values as they are, None where missing, anything else as text."""
    if is_missing(value):
        return None
    return value if isinstance(value, bool | int | float) else text_of(value)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if abs(value) <= _EXACT and value.is_integer() else repr(value)
    if isinstance(value, decimal.Decimal):
        return str(int(value)) if value.is_finite() and value == value.to_integral_value() and abs(value) <= _EXACT else str(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() and value.tzinfo is None else value.isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise OddValueError("holds bytes, not text.") from None
    if isinstance(value, int | datetime.timedelta):
        return str(value)
    raise OddValueError(f"holds {_kind(value)}, not text. Name another column, or write one text in it.")


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list | tuple) else "an object" if isinstance(value, dict) else type(value).__name__
