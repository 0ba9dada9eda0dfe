"""A verb: ``lexframe letters TEXT``."""

from typing import Annotated

import typer


def letters(
    text: Annotated[str, typer.Argument(help="Any text.")],
) -> None:
    """Count letters."""
    from letters.counts import count_letters

    typer.echo(count_letters([text]).summary())
