"""How a delimited file is laid out: its delimiter and what its quotes mean, found from the header and the rows below it."""

import csv
import hashlib
import io
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lexframe.data.tables.records import NAMES, Form

LONGEST_FIELD = 1 << 30
HEAD_CHARACTERS = 1 << 16
_ROWS_LOOKED_AT = 200
_STATED = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_ESCAPE = re.compile(r'(\\["\\])|\\')
csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))  # the default refuses texts over 128 KiB


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a delimited file are to be parted.

    Attributes
    ----------
    delimiter : str
    quotes : str
        ``"double"``, ``"backslash"`` or ``"text"``.
    n_skipped : int
        Lines before the header that say what the delimiter is.
    notes : tuple of str
    """

    delimiter: str
    quotes: str
    n_skipped: int = 0
    notes: tuple[str, ...] = ()

    def parted(self, lines: Iterable[str], *, strict: bool = True) -> Any:
        """A reader of rows; see :func:`csv.reader`."""
        if self.quotes == "text":
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        if self.quotes == "backslash":
            # the csv module drops a backslash before any letter; only those before a quote or another backslash are marks
            marked = (_ESCAPE.sub(lambda found: found[1] or "\\\\", line) if "\\" in line else line for line in lines)
            return csv.reader(marked, delimiter=self.delimiter, escapechar="\\", strict=strict)
        return csv.reader(lines, delimiter=self.delimiter, strict=strict)


def find_layout(head: str, *, is_whole: bool, wanted: Collection[str], form: Form, default: str) -> Layout:
    """The layout of a file.

    A delimiter under which the first row holds every column that is asked for wins; then one under which all rows have as many fields as
    the first; then that of the file's name.

    Parameters
    ----------
    head : str
        The beginning of the file.
    is_whole : bool
        Whether that is all of it.
    wanted : collection of str
        Columns that are asked for.
    form : Form
        What a person said.
    default : str
        The delimiter that the name of the file stands for.
    """
    quotes = form.quotes if form.quotes != "auto" else "double"
    stated = _STATED.fullmatch(head.split("\n", 1)[0].split("\r", 1)[0])
    if stated is not None:
        said = form.delimiter or stated[1]
        return Layout(said, quotes, 1, () if said in (default, form.delimiter) else (_has(said),))
    if form.delimiter is not None:
        return Layout(form.delimiter, quotes)

    named = {name.casefold() for name in wanted}

    def worth(delimiter: str) -> tuple[bool, bool, bool, int]:
        rows = _first_rows(head, Layout(delimiter, quotes), is_whole=is_whole)
        header = header_of(rows[0]) if rows else ()
        parts = len(header) > 1
        has_all = named <= {name.casefold() for name in header} and (parts or delimiter == default)
        even = parts and all(len(row) == len(header) for row in rows)
        return has_all, even, parts and delimiter == default, len(header)

    found = max([default, *(each for each in NAMES if each != default)], key=worth)
    notes = (_has(found),) if found != default else ()
    return Layout(found, quotes, notes=notes)


def _has(delimiter: str) -> str:
    return f"has {NAMES.get(delimiter, repr(delimiter))} between its fields, and was read so"


def header_of(row: Iterable[str]) -> tuple[str, ...]:
    """Names of columns, without the blanks around them."""
    return tuple(name.strip().removeprefix("\ufeff") for name in row)


def header_under(head: str, layout: Layout) -> tuple[str, ...]:
    """The first row of a file under a layout; empty if there is none."""
    lines = iter(io.StringIO(head, newline=""))
    for _ in range(layout.n_skipped):
        next(lines, None)
    try:
        return next((header_of(row) for row in layout.parted(lines, strict=False) if any(cell.strip() for cell in row)), ())
    except csv.Error:
        return ()


def _first_rows(head: str, layout: Layout, *, is_whole: bool) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in layout.parted(io.StringIO(head, newline=""), strict=False):
            if any(cell.strip() for cell in row):
                rows.append(row)
            if len(rows) > _ROWS_LOOKED_AT:
                return rows
    except csv.Error:
        pass
    return rows if is_whole or len(rows) < 2 else rows[:-1]


def escapes_with_backslashes(lines: Iterable[Iterator[str]], delimiter: str) -> bool | None:
    """Whether quotes in fields have a backslash before them, in a file that holds such; None where both readings are possible and differ.

    Parameters
    ----------
    lines : iterable of iterator of str
        The lines of the file, twice.
    delimiter : str
    """
    as_double, as_backslash = (
        _even_digest(Layout(delimiter, quotes), own) for quotes, own in zip(("double", "backslash"), lines, strict=True)
    )
    if as_double is None or as_backslash is None:
        return as_backslash is not None
    return False if as_double == as_backslash else None


def _even_digest(layout: Layout, lines: Iterator[str]) -> bytes | None:
    """A hash over all rows; None if they are not all well formed and of one length."""
    digest, width = hashlib.blake2b(), 0
    try:
        for row in layout.parted(lines):
            if not row:
                continue
            width = width or len(row)
            if len(row) != width:
                return None
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
    except csv.Error:
        return None
    return digest.digest()
