"""Options that mean the same in every verb, written once."""

from pathlib import Path
from typing import Annotated

import typer

Text = Annotated[str, typer.Option("--text", help="Column that holds the texts.")]
Label = Annotated[str, typer.Option("--label", help="Column that holds the labels.")]
Pair = Annotated[str | None, typer.Option("--pair", help="Column of the second text, where rows hold two.")]
LabelWords = Annotated[
    list[str] | None, typer.Option("--label-words", help="label=word or label=word,word; repeat. Default: the label's own name.")
]
ModelNow = Annotated[str | None, typer.Option("--model", "-m", help="Where the model is now. Default: where it was.")]
Device = Annotated[str | None, typer.Option(help="Such as cpu or cuda. Default: a GPU if there is one.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Texts in one forward pass. Default: what suits the device.")]
Report = Annotated[Path | None, typer.Option("--report", help="HTML file for the report.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="CSV file for the table.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def comma_separated(value: str | None) -> tuple[str, ...]:
    """The parts of a list as it is typed, without blanks and empty ones.

    Parameters
    ----------
    value : str or None
        Such as ``"id, year"``.
    """
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())
