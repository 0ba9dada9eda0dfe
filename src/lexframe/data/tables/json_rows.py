"""Rows of .jsonl and .json files: lines that are objects, or one document that holds a table in one of the usual forms."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lexframe.data.tables.encodings import Writing, characters, writing_of
from lexframe.data.tables.records import Form, Records, holds, no_field
from lexframe.data.tables.sources import Source
from lexframe.exceptions import DataError
from lexframe.files import json_text

EXPECTED = "Expected an array of objects, an object of columns, or an object a line."
_Wanted = Mapping[str, str | tuple[str, ...]]


def read_json_lines(source: Source, wanted: _Wanted, form: Form) -> Records:
    """An object a line; see :func:`read_json` for a file that begins with an array."""
    writing = writing_of(source, form.encoding)
    if _first_letter(source, writing) == "[" and not _is_json(_first_line(source, writing), list, of_scalars=True):
        return read_json(source, wanted, form)
    return Records(
        source.name, "line", _lines(source, writing, wanted), None, [*writing.notes], lambda name: _holds_field(source, writing, name)
    )


def read_json(source: Source, wanted: _Wanted, form: Form) -> Records:
    """One document, or several after one another: an array of objects, columns, objects by index, or one key that holds such.

    Raises
    ------
    DataError
        If the file is no JSON, or holds no table.
    """
    writing = writing_of(source, form.encoding)
    first = _first_line(source, writing)
    if _is_json(first, dict) and _second_line(source, writing).startswith("{"):
        return read_json_lines(source, wanted, form)
    rows = _table(source.name, _documents(source.name, "".join(characters(source, writing)), wanted), wanted)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError(f"{source.name}, item {number}: {type(row).__name__} instead of an object. {EXPECTED}")
    names = dict.fromkeys(name for row in rows for name in row)
    for name, parameter in wanted.items():
        if rows and not any(holds(row, name) for row in rows):
            raise no_field(source.name, name, names, parameter)
    return Records(
        source.name, "item", iter(enumerate(rows, start=1)), None, [*writing.notes], lambda name: any(holds(row, name) for row in rows)
    )


def _lines(source: Source, writing: Writing, wanted: _Wanted) -> Iterator[tuple[int, dict[str, Any]]]:
    marks = [f'"{name}"' for name in wanted]
    for number, line in enumerate(characters(source, writing), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{source.name}, line {number}: not JSON ({str(error).splitlines()[0]}). Every line must be one JSON object."
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{source.name}, line {number}: {type(row).__name__} instead of an object. Every line must be one JSON object.")
        for mark in marks:
            if line.count(mark) > 1:
                json.loads(line, object_pairs_hook=_checked_object(wanted, f"{source.name}, line {number}"))
        yield number, row


def _checked_object(wanted: _Wanted, where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Makes objects, and refuses one that has a field twice: JSON readers take the last without a word."""

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next((name for name in wanted if sum(name == each for each, _ in pairs) > 1), None)
            if twice is not None:
                raise DataError(f"{where}: an object has the field {twice!r} twice. Remove the one that is not meant.")
        return found

    return made


def _documents(name: str, text: str, wanted: _Wanted) -> list[Any]:
    """All JSON documents of a text."""
    decoder, found = json.JSONDecoder(object_pairs_hook=_checked_object(wanted, name)), []
    blank = re.compile(r"\s*")
    place = blank.match(text).end()  # type: ignore[union-attr]
    while place < len(text):
        try:
            document, place = decoder.raw_decode(text, place)
        except DataError:
            raise
        except (ValueError, RecursionError) as error:
            at = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise DataError(f"{name}{at}: not JSON ({str(error).splitlines()[0]}). {EXPECTED}") from error
        found.append(document)
        place = blank.match(text, place).end()  # type: ignore[union-attr]
    return found


def _table(name: str, documents: list[Any], wanted: _Wanted) -> list[Any]:
    """The rows that the documents stand for."""
    if len(documents) != 1:
        return documents
    document = documents[0]
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise DataError(f"{name}: {type(document).__name__} instead of a table. {EXPECTED}")
    if set(document) >= {"columns", "data"} and isinstance(document["data"], list):
        return _split_rows(name, document["columns"], document["data"])
    values = list(document.values())
    if all(each in document for each in wanted):
        return _from_columns(name, document)
    if len(values) == 1 and isinstance(values[0], dict) and any(isinstance(values[0].get(each), list | dict) for each in wanted):
        return _table(name, values, wanted)
    if values and all(isinstance(value, dict) for value in values) and all(any(each in value for value in values) for each in wanted):
        return values  # objects by index
    tables = [key for key, value in document.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(tables) == 1:
        return list(document[tables[0]])
    if len(tables) > 1:
        raise DataError(f"{name}: {len(tables)} keys hold tables ({', '.join(map(repr, tables[:6]))}). Write the one that is meant alone.")
    if len(document) == 1 and isinstance(values[0], dict):
        return _table(name, values, wanted)
    return [document]


def _split_rows(name: str, columns: Any, rows: Sequence[Any]) -> list[dict[str, Any]]:
    if not isinstance(columns, list) or any(not isinstance(row, list) or len(row) != len(columns) for row in rows):
        raise DataError(f"{name}: the rows in 'data' are not as long as 'columns'. {EXPECTED}")
    return [dict(zip(map(str, columns), row, strict=True)) for row in rows]


def _from_columns(name: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns as lists, or as objects by index; a document of plain values is one row."""
    columns = {key: value for key, value in document.items() if isinstance(value, list | dict)}
    if not columns:
        return [document]
    indexes: list[Any] | None = next(([*value] for value in columns.values() if isinstance(value, dict)), None)
    lengths = {key: len(value) for key, value in columns.items()}
    if len(set(lengths.values())) > 1 or any(isinstance(value, dict) and [*value] != indexes for value in columns.values()):
        listed = ", ".join(f"{key!r} {length}" for key, length in [*lengths.items()][:6])
        raise DataError(f"{name}: columns of different lengths ({listed}). {EXPECTED}")
    lists: list[list[Any]] = [list(value.values()) if isinstance(value, dict) else value for value in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _first_lines(source: Source, writing: Writing) -> Iterator[str]:
    return (line.strip() for line in characters(source, writing) if line.strip())


def _first_line(source: Source, writing: Writing) -> str:
    return next(_first_lines(source, writing), "")


def _second_line(source: Source, writing: Writing) -> str:
    lines = _first_lines(source, writing)
    next(lines, "")
    return next(lines, "")


def _first_letter(source: Source, writing: Writing) -> str:
    return _first_line(source, writing)[:1]


def _is_json(text: str, kind: type, *, of_scalars: bool = False) -> bool:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, kind):
        return False
    return not (of_scalars and any(isinstance(item, dict) for item in json.loads(text)))


def _holds_field(source: Source, writing: Writing, name: str) -> bool:
    """Whether a field of that name stands in any line."""
    first = name.partition(".")[0]
    forms = {written for each in (name, first) for written in (json_text(each, ascii_only=True), json_text(each))}
    named = re.compile("|".join(re.escape(form) + r"\s*:" for form in sorted(forms)))
    lines = (line for line in characters(source, writing) if named.search(line))
    return any(_is_json(line, dict) and holds(json.loads(line), name) for line in lines)
