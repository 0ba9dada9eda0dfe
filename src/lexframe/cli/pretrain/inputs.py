"""What the verbs of ``lexframe pretrain`` have in common: the corpus that they read, and how they print facts."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import printing

Corpus = Annotated[
    Path, typer.Argument(metavar="CORPUS", help="A shard (.txt, .jsonl, .parquet; .xz, .gz) or the folder that 'pretrain corpus' made.")
]


def show_facts(document: dict[str, Any], rows: list[tuple[str, str]], *, as_json: bool) -> None:
    """Print the document, or the rows as two columns."""
    if as_json:
        printing.document(document)
        return
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name:<{width}}  {value}")
