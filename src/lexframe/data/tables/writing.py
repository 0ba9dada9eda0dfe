"""Columns out as .jsonl, .csv, .tsv or .parquet, whichever the name of the file says."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lexframe.exceptions import InputError
from lexframe.files import json_text, replacing, write_text

FORMS = (".jsonl", ".csv", ".tsv", ".parquet")


def require_form(path: Path, parameter: str) -> None:
    """Refuse a name that says no form, before anything is computed.

    Raises
    ------
    InputError
    """
    if path.suffix.lower() not in FORMS:
        raise InputError(f"{path}: unknown kind of file. Name it {', '.join(FORMS[:-1])} or {FORMS[-1]}.", parameter=parameter)


def write_columns(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of one length.

    Parameters
    ----------
    path : Path
        Replaced at once.
    columns : mapping of str to sequence

    Raises
    ------
    InputError
        If the name says no form, or the file cannot be written.
    """
    require_form(path, "out")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet

        with replacing(path) as temporary:
            pyarrow.parquet.write_table(pyarrow.table({name: list(column) for name, column in columns.items()}), temporary)
        return
    write_text(path, json_lines(columns) if suffix == ".jsonl" else _delimited(columns, "\t" if suffix == ".tsv" else ","))


def json_lines(columns: Mapping[str, Sequence[Any]]) -> str:
    """An object a row, a line each."""
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return "".join(json_text(row) + "\n" for row in rows)


def _delimited(columns: Mapping[str, Sequence[Any]], delimiter: str) -> str:
    buffer = io.StringIO()
    # every text in quotes, so that one with a carriage return, which the writer would leave bare, stays one row
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue()
