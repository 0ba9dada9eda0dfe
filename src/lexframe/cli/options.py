"""Options that mean the same in every verb, written once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from lexframe.exceptions import InputError


def writable(option: str) -> Callable[[Path | None], Path | None]:
    """A check that refuses, before any work is done, a file that cannot be written.

    Parameters
    ----------
    option : str
        As it is typed, for the message.
    """

    def checked(path: Path | None) -> Path | None:
        if path is None:
            return None
        if path.is_dir():
            raise InputError(f"{option} {path} is a folder; name a file in it, such as {path / 'report.html'}.")
        above = next((folder for folder in path.absolute().parents if folder.exists()), None)
        if above is not None and not above.is_dir():
            raise InputError(f"{option} {path} cannot be written: {above} is a file and no folder. Name another place.")
        return path

    return checked


Text = Annotated[str, typer.Option("--text", metavar="COLUMN", help="Column that holds the texts.")]
Label = Annotated[str, typer.Option("--label", metavar="COLUMN", help="Column that holds the labels.")]
Pair = Annotated[str | None, typer.Option("--pair", metavar="COLUMN", help="Column of the second text, where rows hold two.")]
LabelWords = Annotated[
    list[str] | None,
    typer.Option("--label-words", metavar="LABEL=WORDS", help="label=word or label=word,word; repeat. Default: the label's own name."),
]
ModelNow = Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="Where the model is now. Default: where it was.")]
Device = Annotated[str | None, typer.Option(metavar="DEVICE", help="Such as cpu or cuda. Default: a GPU if there is one.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Texts in one forward pass. Default: what suits the device.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="FILE", callback=writable("--report"), help="HTML file for the report.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", callback=writable("--csv"), help="CSV file for the table.")]
Readout = Annotated[
    Literal["invariant", "cosine"], typer.Option("--readout", help="How a state is compared with the bases of words; see the frame.")
]
PointType = Annotated[Literal["float32", "float16"], typer.Option("--store-as", help="How points are stored.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def comma_separated(value: str | None) -> tuple[str, ...]:
    """The parts of a list as it is typed, without blanks and empty ones.

    Parameters
    ----------
    value : str or None
        Such as ``"id, year"``.
    """
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())
