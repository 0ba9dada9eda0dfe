"""Rows of .csv and .tsv files. Two rows are never read as one, nor is a cell moved into another column, without a word."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from lexframe.data.tables.encodings import Writing, characters, writing_of
from lexframe.data.tables.layouts import HEAD_CHARACTERS, Layout, escapes_with_backslashes, find_layout, header_of
from lexframe.data.tables.records import Form, Records, checked_columns
from lexframe.data.tables.sources import Source
from lexframe.exceptions import DataError

AS_TEXT = "To read such marks as letters, give quotes='text'"
_Wanted = Mapping[str, str | tuple[str, ...]]


def read_delimited(source: Source, wanted: _Wanted, form: Form, default: str) -> Records:
    """The rows of a delimited file.

    Parameters
    ----------
    source : Source
    wanted : mapping of str to str
        Columns that are asked for, each with the parameter that names it.
    form : Form
    default : str
        The delimiter that the name of the file stands for.

    Raises
    ------
    DataError
        If the header lacks a column or has it twice; while rows are read, if one is not well formed.
    """
    writing = writing_of(source, form.encoding)
    layout = layout_of(source, writing, wanted, form, default)
    records = Records(source.name, "line", iter(()), notes=[*writing.notes, *layout.notes])
    rows = Rows(source, writing, layout, records.notes, judges=form.quotes == "auto")
    header = rows.header()
    if header is None:
        return records
    checked_columns(source.name, header, wanted)
    records.columns = header
    records.rows = ((line, dict(zip(header, row, strict=False))) for line, row in rows)
    return records


def layout_of(source: Source, writing: Writing, wanted: _Wanted, form: Form, default: str) -> Layout:
    """See :func:`~lexframe.data.tables.layouts.find_layout`; quotes with a backslash before them are judged over the whole file.

    Raises
    ------
    DataError
        If the two readings of such quotes are both possible, and differ.
    """
    head = head_of(source, writing)
    layout = find_layout(head, is_whole=len(head) < HEAD_CHARACTERS, wanted=wanted, form=form, default=default)
    if form.quotes != "auto" or not writing.escapes_quotes:
        return layout
    twice = (islice(characters(source, writing), layout.n_skipped, None) for _ in range(2))
    escapes = escapes_with_backslashes(twice, layout.delimiter)
    if escapes is None:
        raise DataError(
            f"{source.name}: it holds backslashes before quote marks, which may be marks or letters. Say which with quotes='backslash' "
            "(marks) or quotes='double' (letters).",
            parameter="quotes",
        )
    if not escapes:
        return layout
    return replace(layout, quotes="backslash", notes=(*layout.notes, "has backslashes before the quotes in its fields, and was read so"))


def head_of(source: Source, writing: Writing) -> str:
    """The first characters of a file."""
    parts, n = [], 0
    for line in characters(source, writing):
        parts.append(line[: HEAD_CHARACTERS - n])
        n += len(parts[-1])
        if n >= HEAD_CHARACTERS:
            break
    return "".join(parts)


class Rows:
    """Rows of a delimited file, each with the line that it begins in.

    Parameters
    ----------
    source, writing, layout
    notes : list of str
        Takes what was assumed.
    judges : bool
        Whether quotes that do not fit are looked at, instead of refused.
    """

    def __init__(self, source: Source, writing: Writing, layout: Layout, notes: list[str], *, judges: bool):
        self.name, self.layout, self.notes, self.judges = source.name, layout, notes, judges
        self._lines = characters(source, writing)
        self._raw: list[str] = []
        self._reader = layout.parted(self._kept())
        self._first_values = lambda: _first_values(source, writing, layout)
        self._header: tuple[str, ...] = ()
        self._before: list[str] = []
        self._joined: list[str] = []
        self._as_text: list[int] = []
        for _ in range(layout.n_skipped):
            next(self._lines, None)

    def header(self) -> tuple[str, ...] | None:
        """The first row; None if there is none."""
        for _, row in self._parted():
            if any(cell.strip() for cell in row):
                self._header = header_of(row)
                return self._header
        return None

    def of_any_length(self) -> Iterator[tuple[int, list[str]]]:
        """The rows as they stand, blank ones too, for callers that know themselves what belongs where."""
        return self._parted()

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        width = len(self._header)
        for line, row in self._parted():
            if len(row) != width:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue  # a blank line
                if len(row) > width and any(cell.strip() for cell in row[width:]):
                    raise DataError(
                        f"{self.name}, line {line}: {len(row)} fields, more fields than the header names ({width}). Quote fields that "
                        "hold what parts fields.",
                        parameter=("delimiter", "quotes"),
                    )
                if len(row) < width:
                    raise DataError(
                        f"{self.name}, line {line}: {len(row)} {'field' if len(row) == 1 else 'fields'}, fewer than the header names "
                        f"({width}). Complete the row, or remove it.",
                        parameter=("delimiter", "quotes"),
                    )
            yield line, row
            self._before = row
        if self._joined:
            self.notes.append(
                f"{'has a text that runs' if len(self._joined) == 1 else f'has {len(self._joined):,} texts that run'} over several lines "
                f"which could be rows (the first: lines {self._joined[0]}). {AS_TEXT} if they are"
            )
        if self._as_text:
            n = len(self._as_text)
            self.notes.append(
                f"has {n:,} {'row' if n == 1 else 'rows'} (the first: line {self._as_text[0]}) with a quote at the beginning of a field "
                "that does not enclose it; it was read as a letter"
            )

    def _kept(self) -> Iterator[str]:
        """The lines, remembered until the row is whole."""
        for line in self._lines:
            self._raw.append(line)
            yield line

    def _parted(self) -> Iterator[tuple[int, list[str]]]:
        reader, raw, skipped = self._reader, self._raw, self.layout.n_skipped
        while True:
            raw.clear()
            line = reader.line_num + skipped + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = self._mended(error, line)
            else:
                if len(raw) > 1 and self.judges and self._header:
                    self._judge(row, line)
            yield line, row

    def _mended(self, error: csv.Error, line: int) -> list[str]:
        """The row with quotes as letters, where that alone is possible: it is one line, and no other field stands in quotes."""
        if self.judges and len(self._raw) == 1 and self._header:
            row = self._split(self._raw[0])
            opened = [cell for cell in row if cell.startswith('"')]
            if len(row) == len(self._header) and not any(len(cell) > 1 and cell.endswith('"') for cell in opened):
                self._as_text.append(line)
                return row
        if "field larger" in str(error):
            raise DataError(f"{self.name}, line {line}: a field of more than {csv.field_size_limit():,} letters.") from error
        opening = self._opening_line(line)
        if "unexpected end" in str(error):
            raise DataError(
                f"{self.name}, line {opening}: a quote opens here and does not close. Close it. {AS_TEXT}.", parameter="quotes"
            ) from error
        raise DataError(
            f"{self.name}, line {opening}: a quote opens here, and what it encloses does not end where the field does. A quote within "
            f"a field is doubled. {AS_TEXT}.",
            parameter="quotes",
        ) from error

    def _opening_line(self, line: int) -> int:
        """The line in which the last quote of the row opens that encloses something, followed from letter to letter."""
        opening, before, is_open, is_letter = line, self.layout.delimiter, False, False
        for number, part in enumerate(self._raw):
            for letter in part:
                if is_letter:  # behind a backslash
                    is_letter = False
                elif letter == "\\" and self.layout.quotes == "backslash":
                    is_letter = True
                elif letter == '"' and is_open:
                    is_open = False
                elif letter == '"' and before == '"':
                    is_open = True  # it was doubled
                elif letter == '"' and before in (self.layout.delimiter, "\n", "\r"):
                    is_open, opening = True, line + number
                before = letter
        return opening

    def _split(self, line: str) -> list[str]:
        return next(iter(replace(self.layout, quotes="text").parted([line])), [])

    def _judge(self, row: list[str], line: int) -> None:
        """Look at a row over several lines: if every line is a row by itself, two rows may be read as one.

        Raises
        ------
        DataError
            If that is likely: the fields are parted by tabs, which texts rarely hold, or values stand where those of other rows do.
        """
        alone = [self._split(part) for part in self._raw]
        width = len(self._header)
        if len(row) != width or any(len(cells) != width for cells in alone):
            return
        lines = f"{line} to {line + len(alone) - 1}"
        first = next((place for place, cell in enumerate(row) if "\n" in cell or "\r" in cell), 0)
        last = width - 1 - next((place for place, cell in enumerate(reversed(row)) if "\n" in cell or "\r" in cell), 0)
        seen = self._first_values()
        for place, value in enumerate(self._before):
            seen[place].add(value)
        swallowed = [
            (place, cell)
            for number, cells in enumerate(alone)
            for place, cell in enumerate(cells)
            if (number > 0 or place > first) and (number < len(alone) - 1 or place < last)
        ]
        if width > 1 and (self.layout.delimiter == "\t" or _are_values(swallowed, seen)):
            raise DataError(
                f"{self.name}, line {line}: a quote opens here and closes in line {line + len(alone) - 1}, but each of these lines is a "
                f"row by itself, too. {AS_TEXT}; if it is one text, quotes='double'.",
                parameter="quotes",
            )
        self._joined.append(lines)


def _are_values(cells: list[tuple[int, str]], seen: list[set[str]]) -> bool:
    """Whether cells are such as stand in rows: none is empty, as before the line breaks of prose, and one has been seen in its column."""
    return all(cell for _, cell in cells) and any(cell in seen[place] for place, cell in cells)


def _first_values(source: Source, writing: Writing, layout: Layout) -> list[set[str]]:
    """What stands in each column of the first rows."""
    rows = layout.parted(io.StringIO(head_of(source, writing), newline=""), strict=False)
    found: list[set[str]] = []
    try:
        for number, row in enumerate(rows):
            if number == layout.n_skipped:
                found = [set() for _ in row]
            elif number > layout.n_skipped and len(row) == len(found):
                for place, value in enumerate(row):
                    found[place].add(value)
    except csv.Error:
        pass
    return found
