"""Which reader a path needs: by its name, by its first bytes, or, for the standard input, by what it says."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lexframe.data.tables.delimited import head_of, read_delimited
from lexframe.data.tables.encodings import Writing, characters, writing_of
from lexframe.data.tables.folder import parts_of, read_folder
from lexframe.data.tables.json_rows import read_json, read_json_lines
from lexframe.data.tables.layouts import HEAD_CHARACTERS, find_layout, header_under
from lexframe.data.tables.parquet_rows import read_parquet
from lexframe.data.tables.records import Form, Records, checked_columns
from lexframe.data.tables.sources import PACKINGS, STANDARD_INPUT, Source
from lexframe.data.tables.workbook import read_workbook
from lexframe.exceptions import DataError

DELIMITED = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
LINES = (".jsonl", ".ndjson")
BOOKS = (".xlsx", ".xlsm")
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".xlsx", ".txt")
EXPECTED = f"Expected one of {', '.join(SUFFIXES)}, also packed ({', '.join(PACKINGS)}); a folder; or - for the standard input."
_TABLES = (*LINES, *BOOKS, *DELIMITED, ".json", ".parquet")
_OTHERS = {
    ".xls": "an old Excel workbook",
    ".xlsb": "a binary Excel workbook",
    ".ods": "a LibreOffice workbook",
    ".numbers": "a Numbers workbook",
    ".arrow": "an Arrow file",
    ".feather": "a Feather file",
    ".pkl": "a pickle, which can run code when it is opened",
}
_OLE = b"\xd0\xcf\x11\xe0"
_Wanted = Mapping[str, str | tuple[str, ...]]


def records_of(path: Path, wanted: _Wanted, *, text: str, label: str | None, form: Form) -> Records:
    """The rows of a file, a folder or the standard input.

    Parameters
    ----------
    path : Path
    wanted : mapping of str to str
        Columns that are asked for, each with the parameter that names it.
    text : str
        The column of the texts, for files that name no columns.
    label : str or None
        The column of the labels, for folders.
    form : Form

    Raises
    ------
    DataError
        If nothing can be read there.
    """
    if str(path) != STANDARD_INPUT and not path.exists():
        raise DataError(f"{path}: no such file. {EXPECTED}")
    if path.is_dir():
        parts = parts_of(path, _TABLES)
        if parts:
            return _chained(path, parts, wanted, text, label, form)
        records = read_folder(path, text, label, form)
        checked_columns(records.name, records.columns or (), wanted)
        return records
    return _file(Source.of(path), wanted, text, form)


def _file(source: Source, wanted: _Wanted, text: str, form: Form) -> Records:
    if source.suffix in _OTHERS:
        raise DataError(f"{source.name} is {_OTHERS[source.suffix]}, which is not read here. Save it as .xlsx, .csv or .parquet.")
    is_known = source.suffix in (*_TABLES, ".txt")
    if not is_known and source.path.name == Path(source.name).name:  # a file of no known name; what comes through a pipe has none
        raise DataError(f"{source.name}: unknown kind of file. {EXPECTED}")
    head = source.head
    if head.startswith(_OLE):
        raise DataError(f"{source.name} is an old or locked Excel workbook. Save it as .xlsx without a password, or as 'CSV UTF-8'.")
    if source.suffix == ".parquet" or head.startswith(b"PAR1"):
        return read_parquet(source, wanted)
    if source.suffix in BOOKS or head.startswith(b"PK\x03\x04"):
        return read_workbook(source, wanted)
    if source.suffix in LINES:
        return read_json_lines(source, wanted, form)
    if source.suffix == ".json":
        return read_json(source, wanted, form)
    if source.suffix in DELIMITED:
        return read_delimited(source, wanted, form, DELIMITED[source.suffix])
    writing = writing_of(source, form.encoding)
    head_text = head_of(source, writing)
    if not is_known and head_text.lstrip()[:1] in ("{", "["):
        return read_json(source, wanted, form)
    if _is_table(head_text, wanted, form, lone=not is_known):
        return read_delimited(source, wanted, form, "\t")
    if len(wanted) > 1 or form.delimiter is not None:
        if is_known:
            raise DataError(
                f"{source.name}: no field {next(name for name in wanted if name != text)!r}; a .txt file is a text a line, and its first "
                "line names no columns. Name the column that is meant in a first line, or give a .csv or .jsonl file."
            )
        return read_delimited(source, wanted, form, ",")
    return Records(source.name, "line", _lines(source, writing, text), (text,), [*writing.notes])


def _is_table(head: str, wanted: _Wanted, form: Form, *, lone: bool) -> bool:
    """Whether the first line names the columns that are asked for; `lone`: it may name the texts alone."""
    layout = find_layout(head, is_whole=len(head) < HEAD_CHARACTERS, wanted=wanted, form=form, default="\t")
    header = header_under(head, layout)
    return all(name in header for name in wanted) and (lone or len(header) > 1)


def _lines(source: Source, writing: Writing, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    end = writing.line_end
    for number, line in enumerate(characters(source, writing, newline=end), start=1):
        yield number, {text: line.removesuffix(end).removesuffix("\r")}


def _chained(folder: Path, parts: list[Path], wanted: _Wanted, text: str, label: str | None, form: Form) -> Records:
    """The rows of all parts, one after another."""
    current = records_of(parts[0], wanted, text=text, label=label, form=form)
    notes = [f"is a folder; {parts[0].name} was read" if len(parts) == 1 else f"is a folder; its {len(parts)} tables were read as one"]
    records = Records(str(folder), "row", iter(()), current.columns, notes)

    def rows() -> Iterator[tuple[str, Mapping[str, Any]]]:
        part: Records | None = current
        rest = iter(parts[1:])
        while part is not None:
            records.has_field = part.has_field
            for place, row in part.rows:
                yield part.where(place), row
            notes.extend(f"{Path(part.name).name} {note}" for note in part.notes)
            following = next(rest, None)
            part = None if following is None else records_of(following, wanted, text=text, label=label, form=form)

    records.rows = rows()
    return records
