"""``lexframe vae sentences``: plain short sentences out of shards of text."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.exceptions import InputError


def sentences(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARDS...", help="Files of text: .txt(.xz), .jsonl(.gz, .xz), .parquet.")],
    out: Annotated[Path, typer.Option(help="File to write: .txt, a sentence a line.")],
    text: options.Text = "text",
    min_words: Annotated[int, typer.Option(help="Shortest sentence.")] = 5,
    max_words: Annotated[int, typer.Option(help="Longest sentence.")] = 12,
    n_common: Annotated[int, typer.Option(help="Every word must be one of so many most frequent ones; 0 allows all.")] = 6000,
    as_json: options.Json = False,
) -> None:
    """Take plain short sentences out of SHARDS, each once."""
    from lexframe.files import write_text
    from lexframe.training.language_model.corpus import read_documents, shard_file
    from lexframe.training.language_model.sentences import SentenceRules, plain_sentences

    if out.suffix != ".txt":
        raise InputError(f"--out is {str(out)!r}; expected a file that ends in .txt.")
    if out.resolve() in {shard.resolve() for shard in shards}:
        raise InputError(f"--out {out} is one of the shards, which it would replace. Name another file.")
    rules = SentenceRules(min_words=min_words, max_words=max_words, n_common=n_common)
    files = [shard_file(shard) for shard in shards]  # one that is missing should show before the others are read
    documents = (document for file in files for document in read_documents(file, text_column=text))
    found = plain_sentences(documents, rules, progress=printing.progress("documents"))
    write_text(out, "\n".join(found.texts) + "\n")
    if as_json:
        printing.document(found.to_dict() | {"sentences": str(out)})
        return
    printing.table(
        ["sentences", "number"],
        [[f"of {min_words} to {max_words} words", f"{found.n_found:,}"], ["kept: common words, each once", f"{len(found.texts):,}"]],
    )
    printing.note(f"\nwritten: {out}")
