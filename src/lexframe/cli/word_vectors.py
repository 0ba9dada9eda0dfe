"""Word vectors as a command line names them: a file, or what is taken from a model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import printing
from lexframe.cli.model_options import ModelOptions

Layer = Annotated[int, typer.Option(help="For states: 0 is the embedding output, k the output of block k, -1 the last state.")]
Templates = Annotated[
    list[str] | None, typer.Option("--template", help="For states: a sentence with {text}; give it again to average over several.")
]
Case = Annotated[bool, typer.Option("--case", help="Words that differ in case are different words.")]
SOURCE_HELP = "embedding, head, basis or states of the model's words, or a file of word vectors (.txt, .vec, .bin, also .gz)."


def named_vectors(
    source: str,
    words: Sequence[str],
    *,
    model: ModelOptions,
    layer: int,
    templates: Sequence[str] | None,
    limit: int | None = None,
    single_token: bool = False,
) -> Any:
    """Word vectors of a file, or of a model's whole words and `words`; with `limit` the first ones alone."""
    from lexframe.instruments.words.word_sources import SOURCES, space_vectors
    from lexframe.spaces.base import VocabularySpace

    if source not in SOURCES and (Path(source).suffix or Path(source).exists()):
        from lexframe.data import read_word_vectors

        return read_word_vectors(source, limit=limit)
    found = space_vectors(
        replace(model, layer=layer).open(needs=VocabularySpace), source, words, single_token_only=single_token,
        templates=templates or ("{text}",), progress=printing.progress(source),
    )  # fmt: skip
    return found if limit is None else found.head(limit)
