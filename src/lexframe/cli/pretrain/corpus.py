"""``lexframe pretrain corpus``: shards of text cleaned into one corpus."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.cli.pretrain.inputs import show_facts


def corpus(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARDS...", help="Files of text: .txt(.xz), .jsonl(.gz, .xz), .parquet.")],
    out: Annotated[Path, typer.Option(help="Folder for corpus.parquet and report.json.")],
    text: options.Text = "text",
    min_words: Annotated[int, typer.Option(help="Drop documents with fewer words.")] = 20,
    max_symbol_share: Annotated[float, typer.Option(help="Drop documents with more symbols among their characters.")] = 0.2,
    near_duplicate_similarity: Annotated[
        float, typer.Option(help="Drop documents this similar to an earlier one; above 1: keep them.")
    ] = 0.8,
    as_json: options.Json = False,
) -> None:
    """Clean SHARDS into one corpus: drop short, symbol-heavy and duplicate documents, and say how many."""
    from lexframe.training.language_model.corpus import CorpusRules, clean_corpus

    rules = CorpusRules(min_words=min_words, max_symbol_share=max_symbol_share, near_duplicate_similarity=near_duplicate_similarity)
    report = clean_corpus(shards, out, rules=rules, text_column=text, progress=printing.progress("documents"))
    rows = [
        ("documents read", f"{report.n_read:,}"),
        *((f"dropped: {reason}", f"{n:,}") for reason, n in report.dropped.items()),
        ("documents kept", f"{report.n_kept:,}"),
        ("words kept", f"{report.words_kept:,}"),
        ("bytes kept", f"{report.bytes_kept:,}"),
        ("written", str(out / "corpus.parquet")),
    ]
    show_facts(report.to_dict() | {"corpus": str(out / "corpus.parquet")}, rows, as_json=as_json)
