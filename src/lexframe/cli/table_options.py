"""The options of files of texts, written once: how they are read, and what was assumed, which is said on standard error."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lexframe.cli import printing
from lexframe.cli.bundles import FieldsOf
from lexframe.exceptions import DataError

if TYPE_CHECKING:
    from lexframe.data import Columns, Table, TextRow

KINDS = ".csv, .tsv, .jsonl, .json, .parquet, .xlsx or .txt, also packed; a folder; or - for standard input."
LABELED = f"Labeled texts: {KINDS.replace(' or .txt', '').replace('.parquet,', '.parquet or')}"
TEXTS = f"Texts: {KINDS}"


@dataclass(frozen=True, kw_only=True)
class TextTables:
    """How tables of texts are read; what is left out is found in the file.

    Attributes
    ----------
    encoding, delimiter, quotes
        See :func:`lexframe.data.read_table`.
    """

    encoding: Annotated[str | None, typer.Option(metavar="NAME", help="Of the files, such as cp1252. Default: found.")] = None
    delimiter: Annotated[
        str | None, typer.Option(metavar="CHARACTER", help="Between fields: a character, or comma, semicolon, tab or bar. Default: found.")
    ] = None
    quotes: Annotated[
        Literal["auto", "double", "backslash", "text"],
        typer.Option(help="How quotes in fields are written: doubled, behind a backslash, or as plain text. auto finds it."),
    ] = "auto"
    said: set[str] = field(default_factory=set, init=False, compare=False)

    def read(self, path: Path, **columns: Any) -> "Table":
        """A table; see :func:`lexframe.data.read_table`."""
        from lexframe.data import read_table

        table = read_table(path, encoding=self.encoding, delimiter=self.delimiter, quotes=self.quotes, **columns)
        self._say(path, table.notes)
        return table

    def stream(self, path: Path, **columns: Any) -> Iterator["TextRow"]:
        """Rows of a table; see :func:`lexframe.data.stream_rows`."""
        from lexframe.data import stream_rows

        rows = stream_rows(path, encoding=self.encoding, delimiter=self.delimiter, quotes=self.quotes, **columns)
        self._say(path, rows.notes)  # what is known before the first row
        yield from rows
        self._say(path, rows.notes)

    def columns(self, path: Path, names: Sequence[str], *, others: bool = False) -> "Columns":
        """Columns of a table, whatever they hold; see :func:`lexframe.data.read_columns`."""
        from lexframe.data import read_columns

        found = read_columns(path, names, others=others, encoding=self.encoding, delimiter=self.delimiter, quotes=self.quotes)
        self._say(path, found.notes)
        return found

    def _say(self, path: Path, notes: Sequence[str]) -> None:
        """Each remark once, however often a file is read."""
        name = "standard input" if str(path) == "-" else path
        for line in (f"note: {name} {each}." for each in notes):
            if line not in self.said:
                self.said.add(line)
                printing.note(line)


@dataclass(frozen=True, kw_only=True)
class LabeledTables(TextTables):
    """How tables of labeled texts are read.

    Attributes
    ----------
    encoding, delimiter, quotes
        See :class:`TextTables`.
    skip_unlabelled
        Leave rows without a label out, instead of refusing the file.
    """

    skip_unlabelled: Annotated[
        bool, typer.Option("--skip-unlabelled", help="Leave rows without a label out, instead of refusing the file.")
    ] = False

    def read(self, path: Path, **columns: Any) -> "Table":
        """A table; see :func:`lexframe.data.read_table`."""
        try:
            return super().read(path, **({"unlabelled": "skip"} if self.skip_unlabelled else {}) | columns)
        except DataError as error:
            if "unlabelled" in error.parameters:  # on a command line that is a switch
                raise DataError(str(error).replace("unlabelled='skip'", "--skip-unlabelled")) from error
            raise


Texts = Annotated[TextTables, FieldsOf(TextTables)]
Labeled = Annotated[LabeledTables, FieldsOf(LabeledTables)]
