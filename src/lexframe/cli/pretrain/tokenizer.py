"""``lexframe pretrain tokenizer``: a tokenizer learned from a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.cli.pretrain.inputs import Corpus, show_facts


def tokenizer(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Folder for the tokenizer.")],
    vocab_size: Annotated[int, typer.Option(help="Tokens, the 256 bytes and the separator included.")] = 8192,
    text: options.Text = "text",
    as_json: options.Json = False,
) -> None:
    """Learn a byte-level BPE tokenizer from CORPUS."""
    from lexframe.training.language_model.corpus import read_documents
    from lexframe.training.language_model.tokenizer import save_tokenizer, train_tokenizer

    documents = printing.progress("documents")(read_documents(corpus, text_column=text))
    learned = train_tokenizer(iter(documents), vocab_size=vocab_size)
    save_tokenizer(learned, out)
    show_facts(
        {"tokenizer": str(out), "vocab_size": len(learned)}, [("tokens", f"{len(learned):,}"), ("written", str(out))], as_json=as_json
    )
