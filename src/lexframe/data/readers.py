"""People's files: texts, with labels or without, from .jsonl, .csv, .tsv, .parquet and .txt.

Every reader gives the same :class:`Table`. What cannot be used is said with the file, the line and what to do.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lexframe.exceptions import DataError

_LONGEST_FIELD = 1 << 30
SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".tsv", ".parquet", ".txt")


@dataclass(frozen=True, slots=True)
class Table:
    """Texts of one file.

    Attributes
    ----------
    texts : tuple of str
    labels : tuple of str or None
        None where the file was read without labels.
    source : str
        The file, for messages and reports.
    n_blank : int
        Rows left out because their text was empty or white space.
    rows : tuple of int
        Row of the file (from 0) that each text stood in.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] | None
    source: str
    n_blank: int
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.texts)


PAIR_SEPARATOR = " / "


@dataclass(frozen=True, slots=True)
class TextRow:
    """One row of a file.

    Attributes
    ----------
    number : int
        In the file, from 0.
    text : str
    columns : dict of str to value
        The other columns that were asked for, as the file gives them: text from .csv and .tsv, typed from .jsonl and .parquet.
    """

    number: int
    text: str
    columns: dict[str, Any] = field(default_factory=dict)


def stream_rows(
    path: str | Path, *, text: str = "text", pair: str | None = None, columns: Sequence[str] = (), keep_blank: bool = False
) -> Iterator[TextRow]:
    """Read a file row by row, however long it is; see :func:`read_table` for the rest.

    Parameters
    ----------
    path, text, pair
        As for :func:`read_table`.
    columns : sequence of str
        Other columns to read; plain values only.
    keep_blank : bool
        As for :func:`read_table`.

    Yields
    ------
    TextRow
    """
    for number, value, row, where in _texts(Path(path), text, pair):
        if keep_blank or value.strip():
            yield TextRow(number, value, {name: _plain(row, name, where) for name in columns})


def read_table(
    path: str | Path, *, text: str = "text", pair: str | None = None, label: str | None = "label", keep_blank: bool = False
) -> Table:
    """Read texts and labels.

    Parameters
    ----------
    path : str or Path
        ``.jsonl`` (also ``.gz``), ``.csv``, ``.tsv``, ``.parquet``, or ``.txt`` with a text a line.
    text : str
        Column of the texts.
    pair : str, optional
        Column of the second text where rows hold two, joined to the first by a stroke.
    label : str or None
        Column of the labels; None reads texts alone.
    keep_blank : bool
        Keep rows whose text is empty or white space, for predictions that must line up with the file.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file is missing, unreadable, not UTF-8, holds NUL bytes, lacks a column, has a row without a label, or
        has no text at all.
    """
    texts, labels, rows, n_blank = [], [], [], 0
    for number, value, row, where in _texts(Path(path), text, pair):
        if not keep_blank and not value.strip():
            n_blank += 1
            continue
        if label is not None:
            name = _field(row, label, where, "label").strip()
            if not name:
                raise DataError(f"{where}: the field {label!r} is empty. Give every row a label, or remove the row.")
            labels.append(name)
        texts.append(value)
        rows.append(number)
    if not texts:
        raise DataError(
            f"{path} holds no text{f' ({n_blank} rows are blank)' if n_blank else ''}. Give a file with at least one row of text."
        )
    return Table(tuple(texts), tuple(labels) if label is not None else None, str(path), n_blank, tuple(rows))


def count_rows(path: str | Path) -> int | None:
    """About how many rows a file has, without reading it as text.

    Parameters
    ----------
    path : str or Path
        See :func:`read_table`.

    Returns
    -------
    int or None
        None where counting would cost as much as reading.
    """
    path = Path(path)
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            import pyarrow.parquet

            return int(pyarrow.parquet.read_metadata(path).num_rows)
        if name.endswith(".gz"):
            return None
        with path.open("rb") as file:
            return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
    except (OSError, ValueError):  # what is wrong is said when the file is read
        return None


def _texts(path: Path, text: str, pair: str | None) -> Iterator[tuple[int, str, dict[str, Any], str]]:
    """Number, text and fields of every row, and what to call it in a message."""
    for number, row in enumerate(_records(path, text)):
        where = f"{path}, row {number + 1}"
        value = _field(row, text, where, "text")
        if pair is not None:
            value = f"{value}{PAIR_SEPARATOR}{_field(row, pair, where, 'pair')}"
        yield number, value, row, where


def _plain(row: dict[str, Any], name: str, where: str) -> Any:
    """A value that fits a column: numbers and truth values as they are, anything else as text that can be written."""
    value = row.get(name)
    if value is None and name in row:
        return None
    return value if isinstance(value, (bool, int, float)) else _field(row, name, where)


def _field(row: dict[str, Any], name: str, where: str, parameter: str | tuple[str, ...] = ()) -> str:
    if name not in row:
        raise DataError(
            f"{where}: no field {name!r}; there are {', '.join(map(repr, [*row][:8])) or 'none'}. Name the column that is meant.",
            parameter=parameter,
        )
    value = row[name]
    if value is None:
        return ""
    if isinstance(value, (dict, list, bytes)):
        raise DataError(f"{where}: the field {name!r} holds {type(value).__name__}, not text.")
    value = str(value)
    if "\0" in value:
        raise DataError(f"{where}: the field {name!r} holds a NUL byte. The file may be binary or damaged; remove the byte.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"{where}: the field {name!r} holds half of a surrogate pair, which is no text. Write the character whole.")
    return value


def _records(path: Path, text: str) -> Iterator[dict[str, Any]]:
    name = path.name.lower()
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name a file ({', '.join(SUFFIXES)}).")
    if not path.exists():
        raise DataError(f"{path}: no such file. Name a file ({', '.join(SUFFIXES)}).")
    if name.endswith(".parquet"):
        return _parquet(path)
    if name.endswith((".jsonl", ".jsonl.gz")):
        return _jsonl(path)
    if name.endswith(".csv"):
        return _delimited(path, ",")
    if name.endswith(".tsv"):
        return _delimited(path, "\t")
    if name.endswith(".txt"):
        return ({text: line.removesuffix("\n").removesuffix("\r")} for line in text_lines(path))
    raise DataError(f"{path}: unknown kind of file. Expected one of {', '.join(SUFFIXES)}.")


@contextmanager
def _opened(path: Path, newline: str) -> Iterator[IO[str]]:
    """A file as text, unpacked, and what is wrong with it in one line."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline=newline)
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. Check that the file is whole and readable."
        ) from error


def _not_utf8(path: Path) -> DataError:
    """Which line it is: read again, because a text stream tells no place."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as raw:
        for number, line in enumerate(raw, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(f"{path}, line {number}: not UTF-8 (byte {line[error.start]:#04x}). Convert the file to UTF-8.")
    return DataError(f"{path}: not UTF-8. Convert the file to UTF-8.")


def text_lines(path: Path) -> Iterator[str]:
    """Lines that end in a line feed; other separators, which str.splitlines also takes, belong to the text."""
    with _opened(path, "\n") as file:
        yield from file


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: not JSON ({str(error).splitlines()[0]}). Every line must be one JSON object."
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: {type(row).__name__} instead of an object. Every line must be one JSON object.")
        yield row


def _delimited(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))  # the default refuses texts over 128 KiB
    with _opened(path, "") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if None in row:
                    raise DataError(
                        f"{path}, line {reader.line_num}: more fields than the header names. Quote fields that hold the delimiter."
                    )
                yield dict(row)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}. Check the quotes.") from error


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=4096):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]}).") from error


def label_words_from(words: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Words for each label, from ``label=word,word`` entries; a label without an entry is named by itself.

    Underscores, hyphens and slashes in such a name become blanks.

    Parameters
    ----------
    words : sequence of str
        The entries, as given on a command line.
    labels : sequence of str
        All labels; repeated ones count once.

    Returns
    -------
    dict of str to list of str
        In the order of the sorted labels.

    Raises
    ------
    DataError
        If an entry has no ``=``, no word, or names a label that does not exist.
    """
    given: dict[str, list[str]] = {}
    for entry in words:
        label, sign, listed = entry.partition("=")
        label, chosen = label.strip(), [word.strip() for word in listed.split(",") if word.strip()]
        if not sign or not chosen:
            raise DataError(f"The label words {entry!r} are not understood. Write label=word or label=word,word.")
        if label not in labels:
            raise DataError(f"Words are given for the label {label!r}, but the labels are {', '.join(sorted(set(labels))[:12])}.")
        given[label] = chosen
    plain = str.maketrans("_-/", "   ")
    return {label: given.get(label, [label.translate(plain)]) for label in sorted(set(labels))}
