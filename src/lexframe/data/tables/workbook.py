"""Rows of .xlsx workbooks: the first sheet that holds anything, values in place of formulas."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexframe.data.tables.layouts import header_of
from lexframe.data.tables.records import Records, checked_columns
from lexframe.data.tables.sources import Source
from lexframe.data.tables.values import OddValueError, text_of
from lexframe.exceptions import DataError

_ERRORS = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"}
_Wanted = Mapping[str, str | tuple[str, ...]]


def read_workbook(source: Source, wanted: _Wanted) -> Records:
    """The rows below the first row that is not empty.

    Raises
    ------
    DataError
        If the file is no workbook, its header lacks a column, or a cell holds an error or a formula that was never computed.
    """
    name, header, notes = _sheet(source)
    records = Records(source.name, "row", iter(()), notes=notes)
    if header is None:
        return records
    records.columns = header_of(_named(cell) for cell in header)
    checked_columns(source.name, records.columns, wanted)
    records.rows = _checked(source, name, records.columns, wanted)
    return records


def _sheet(source: Source) -> tuple[str, tuple[Any, ...] | None, list[str]]:
    """The first sheet with anything in it, its header, and what to say of the others."""
    with source.on_disk() as path, _opened(source, path, values=True) as book:
        sheets = [sheet.title for sheet in book.worksheets]
        for title in sheets:
            header = next((row for _, row in _rows(source, book, title) if any(cell is not None for cell in row)), None)
            if header is not None:
                return title, header, [f"has {len(sheets)} sheets; {title!r} was read"] if len(sheets) > 1 else []
    return "", None, []


def _checked(source: Source, title: str, header: tuple[str, ...], wanted: _Wanted) -> Iterator[tuple[int, dict[str, Any]]]:
    asked = {header.index(name): name for name in wanted}
    formulas: set[tuple[int, int]] | None = None
    is_header = True
    with source.on_disk() as path, _opened(source, path, values=True) as book:
        for number, row in _rows(source, book, title):
            cells = {name: row[place] if place < len(row) else None for place, name in asked.items()}
            if formulas is None and not is_header and any(cell is None for cell in cells.values()):
                formulas = _formulas(source, path, title)
            for place, name in asked.items():
                if formulas and (number, place) in formulas and cells[name] is None:
                    raise DataError(
                        f"{source.name}, row {number}: the field {name!r} holds a formula whose value is not in the file. Open and save it "
                        "in a spreadsheet program, or write the value."
                    )
                if isinstance(cells[name], str) and cells[name] in _ERRORS:
                    raise DataError(f"{source.name}, row {number}: the field {name!r} holds the error {cells[name]}. Correct the cell.")
            if all(cell is None for cell in row):
                continue
            if is_header:
                is_header = False
            else:
                yield number, cells


def _named(cell: Any) -> str:
    try:
        return text_of(cell)
    except OddValueError:
        return ""


def _formulas(source: Source, path: Path, title: str) -> set[tuple[int, int]]:
    """Rows, from 1, and columns, from 0, of cells that hold formulas."""
    with _opened(source, path, values=False) as book:
        return {
            (number, place)
            for number, row in _rows(source, book, title)
            for place, cell in enumerate(row)
            if isinstance(cell, str) and cell.startswith("=")
        }


@contextmanager
def _opened(source: Source, path: Path, *, values: bool) -> Iterator[Any]:
    import openpyxl

    with path.open("rb") as file:  # by its name it would be judged by its suffix
        with _quiet(source):
            book = openpyxl.load_workbook(file, read_only=True, data_only=values)
        try:
            yield book
        finally:
            book.close()


def _rows(source: Source, book: Any, title: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
    sheet = book[title]
    with _quiet(source):
        sheet.reset_dimensions()  # some programs write a size that is not theirs
        rows = enumerate(sheet.iter_rows(values_only=True), start=1)
    while True:
        with _quiet(source):
            found = next(rows, None)
        if found is None:
            return
        yield found


class _quiet:  # noqa: N801  it is used as a word
    """Reading a workbook: whatever openpyxl raises is said in one line, and what it does not support is not warned of."""

    def __init__(self, source: Source):
        self.source = source
        self._warnings = warnings.catch_warnings()

    def __enter__(self) -> None:
        self._warnings.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._warnings.__exit__(kind, error, trace)
        if isinstance(error, Exception) and not isinstance(error, DataError):
            why = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(
                f"{self.source.name}: not a readable workbook ({why}). Open and save it in a spreadsheet program as .xlsx or CSV."
            ) from error
