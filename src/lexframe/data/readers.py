"""People's tables: texts, with labels or without, from whatever kind of file they have.

Every reader gives the same :class:`Table`. What cannot be used is said with the file, the line and what to do; what was assumed is said in
its notes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from lexframe.data.tables.kinds import DELIMITED, LINES, SUFFIXES, records_of
from lexframe.data.tables.records import Form, field_of, no_field
from lexframe.data.tables.values import OddValueError, plain_of, text_of
from lexframe.exceptions import DataError, InputError
from lexframe.text_forms import counted

__all__ = ["SUFFIXES", "RowStream", "Table", "TextRow", "count_rows", "label_words_from", "read_table", "stream_rows"]

UNLABELLED = ("refuse", "skip", "keep")
PAIR_SEPARATOR = " / "
_PLACES_NAMED = 3


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
        Rows left out because their text was missing, empty or white space.
    rows : tuple of int
        Row of the file (from 0) that each text stood in.
    n_unlabelled : int
        Rows left out because they had no label.
    notes : tuple of str
        What was assumed and what was left out, each a line that goes on from the name of the file.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] | None
    source: str
    n_blank: int
    rows: tuple[int, ...]
    n_unlabelled: int = 0
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class TextRow:
    """One row of a file.

    Attributes
    ----------
    number : int
        In the file, from 0; blank lines do not count.
    text : str
    columns : dict of str to value
        The other columns that were asked for, as the file gives them: text from .csv and .tsv, typed from the other kinds.
    """

    number: int
    text: str
    columns: dict[str, Any] = field(default_factory=dict)


class RowStream(Iterator[TextRow]):
    """Rows of a file, one after another.

    Attributes
    ----------
    notes : list of str
        What was assumed; complete when the rows have been read.
    """

    def __init__(self, rows: Iterator[TextRow], notes: list[str]):
        self._rows, self.notes = rows, notes

    def __iter__(self) -> Iterator[TextRow]:
        return self._rows

    def __next__(self) -> TextRow:
        return next(self._rows)


def stream_rows(
    path: str | Path,
    *,
    text: str = "text",
    pair: str | None = None,
    columns: Sequence[str] = (),
    keep_blank: bool = False,
    encoding: str | None = None,
    delimiter: str | None = None,
    quotes: str | bool = "auto",
) -> RowStream:
    """Read a file row by row, however long it is; see :func:`read_table` for the rest.

    Workbooks and documents of JSON are held in memory.

    Parameters
    ----------
    path, text, pair
        As for :func:`read_table`.
    columns : sequence of str
        Other columns to read; plain values only.
    keep_blank, encoding, delimiter, quotes
        As for :func:`read_table`.

    Returns
    -------
    RowStream
    """
    records = _Found(path, columns, text, pair, None, Form.checked(encoding, delimiter, quotes))

    def rows() -> Iterator[TextRow]:
        for number, value, row, place in records.texts():
            if keep_blank or value.strip():
                yield TextRow(number, value, {name: records.value(row, name, place, plain_of) for name in columns})

    return RowStream(rows(), records.notes)


def read_table(
    path: str | Path,
    *,
    text: str = "text",
    pair: str | None = None,
    label: str | None = "label",
    keep_blank: bool = False,
    unlabelled: str = "refuse",
    encoding: str | None = None,
    delimiter: str | None = None,
    quotes: str | bool = "auto",
) -> Table:
    """Read texts and labels.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, ``.json``, ``.parquet``, ``.xlsx``, or ``.txt`` with a text a line; packed with gzip,
        bzip2, xz, or alone in a zip; a folder with a sub-folder of ``.txt`` files for each category, or with the parts of one table; ``-``
        for the standard input.
    text : str
        Column of the texts.
    pair : str, optional
        Column of the second text where rows hold two, joined to the first by a stroke.
    label : str or None
        Column of the labels; None reads texts alone.
    keep_blank : bool
        Keep rows whose text is empty or white space, for predictions that must line up with the file.
    unlabelled : str
        What is done with rows that have a text and no label: ``"refuse"``, ``"skip"`` (left out and counted) or ``"keep"`` (the label is
        empty).
    encoding : str, optional
        Default: by the byte-order mark, else UTF-8, else Windows-1252, with a note.
    delimiter : str, optional
        Between fields: a character, or comma, semicolon, tab or bar. Default: found from the header and the first rows.
    quotes : str or bool
        ``"double"`` or True: a field may stand in quotes, and quotes in it are doubled. ``"backslash"``: they have a backslash before them.
        ``"text"`` or False: quotes are letters. ``"auto"``: found; what could be read in two ways is refused.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file is missing, unreadable, lacks a column, has a row without a label, or has no text at all.
    """
    if unlabelled not in UNLABELLED:
        raise InputError(f"unlabelled is {unlabelled!r}; expected {', '.join(UNLABELLED)}.", parameter="unlabelled")
    records = _Found(path, (), text, pair, label, Form.checked(encoding, delimiter, quotes))
    texts, labels, rows = list[str](), list[str](), list[int]()
    blank, bare, trimmed = list[int | str](), list[int | str](), list[int | str]()
    for number, value, row, place in records.texts():
        if not keep_blank and not value.strip():
            blank.append(place)
            continue
        if label is not None:
            written = records.value(row, label, place, text_of)
            name = written.strip()
            if not name and unlabelled != "keep":
                bare.append(place)
                continue
            if name != written:
                trimmed.append(place)
            labels.append(name)
        texts.append(value)
        rows.append(number)
    if bare and unlabelled == "refuse":
        raise DataError(
            f"{records.name}, {records.at(bare)}: the field {label!r} is empty ({counted(len(bare), 'row')} of "
            f"{len(bare) + len(texts):,}). Give every row a label, or leave these rows out with unlabelled='skip'.",
            parameter="unlabelled",
        )
    if not texts:
        left_out = [f"{counted(len(blank), 'row is', 'rows are')} blank"] if blank else []
        left_out += [f"{counted(len(bare), 'row has', 'rows have')} no label"] if bare else []
        why = f" ({', '.join(left_out)})" if left_out else ""
        raise DataError(f"{records.name} holds no text{why}. Give a file with at least one row of text.")
    for places, what in ((blank, "without a text"), (bare, "without a label")):
        if places:
            records.notes.append(f"has {counted(len(places), 'row')} {what} ({records.at(places)}), left out")
    if trimmed:
        records.notes.append(f"has {counted(len(trimmed), 'label')} with blanks around ({records.at(trimmed)}); they were taken off")
    return Table(
        tuple(texts), tuple(labels) if label is not None else None, records.name, len(blank), tuple(rows), len(bare), tuple(records.notes)
    )


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
        if not path.is_file() or not name.endswith((*LINES, ".txt", *DELIMITED)):
            return None
        with path.open("rb") as file:
            return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
    except (OSError, ValueError):  # what is wrong is said when the file is read
        return None


class _Found:
    """The rows of a path, by texts."""

    def __init__(self, path: str | Path, columns: Sequence[str], text: str, pair: str | None, label: str | None, form: Form):
        self.text, self.pair = text, pair
        wanted: dict[str, str | tuple[str, ...]] = {text: "text"}
        for name, parameter in ((pair, "pair"), (label, "label")):
            if name is not None:
                wanted.setdefault(name, parameter)
        self._parameters = wanted | {name: () for name in columns if name not in wanted}
        self._records = records_of(Path(path), self._parameters, text=text, label=label, form=form)
        self.name, self.notes = self._records.name, self._records.notes
        self._known: dict[str, bool] = {}

    def texts(self) -> Iterator[tuple[int, str, Mapping[str, Any], int | str]]:
        """Number, text, fields and place of every row."""
        for number, (place, row) in enumerate(self._records.rows):
            value = self.value(row, self.text, place, text_of)
            if self.pair is not None:
                value = f"{value}{PAIR_SEPARATOR}{self.value(row, self.pair, place, text_of)}"
            yield number, value, row, place

    def value(self, row: Mapping[str, Any], name: str, place: int | str, form: Any) -> Any:
        """A field in the form that is asked for."""
        try:
            return form(field_of(row, name))
        except KeyError:
            if name not in self._known:
                self._known[name] = self._records.has_field(name)
            if self._known[name]:  # other rows have it, so it is missing here
                return form(None)
            raise no_field(self._records.where(place), name, row, self._parameters.get(name, ())) from None
        except OddValueError as error:
            raise DataError(f"{self._records.where(place)}: the field {name!r} {error}") from None

    def at(self, places: Sequence[int | str]) -> str:
        """The first of some places."""
        numbers = [f"{place:,}" if isinstance(place, int) else place for place in islice(places, _PLACES_NAMED)]
        word = "" if isinstance(places[0], str) else f"{self._records.word if len(places) == 1 else self._records.word + 's'} "
        return f"{word}{', '.join(numbers)}{', …' if len(places) > _PLACES_NAMED else ''}"


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
