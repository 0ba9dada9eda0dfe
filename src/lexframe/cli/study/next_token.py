"""``lexframe study next-token``: what calibrating the last state is worth for predicting a domain's text."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.model_options import Weights


def next_token(
    domain: Annotated[Path, typer.Argument(help="Texts of the domain, to fit on: .jsonl(.gz), .csv, .tsv, .parquet or .txt.")],
    held_out: Annotated[Path, typer.Argument(help="Other texts of it, to score on.")],
    *,
    text: options.Text = "text",
    files: table_options.Texts,
    methods: Annotated[str, typer.Option(help="Comma-separated; lora needs the extra peft.")] = "frozen,unigram,affine,neural,knn-lm",
    context: Annotated[int, typer.Option(min=1, help="Longest window, in tokens.")] = 256,
    model: Weights,
    limit: Annotated[int | None, typer.Option(min=1, help="Texts at most of each file, the first ones.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the calibrations and the intervals.")] = 0,
    csv: options.Csv = None,
    as_json: options.Json = False,
) -> None:
    """Predict the next token in a domain: the frozen model beside calibrations of its last state, kNN-LM and LoRA."""
    from lexframe.files import write_text
    from lexframe.spaces.base import NextTokenSpace
    from lexframe.studies.next_token import compare_next_token
    from lexframe.training.language_model import Windows

    texts = [list(files.read(path, text=text, label=None).texts[:limit]) for path in (domain, held_out)]
    found = compare_next_token(
        model.open(needs=NextTokenSpace), *texts, methods=options.comma_separated(methods), windows=Windows(context, batch_size=16),
        seed=seed, progress=printing.progress("reading"),
    )  # fmt: skip
    if csv is not None:
        write_text(csv, found.to_frame().to_csv())
    if as_json:
        printing.document(found.to_dict())
        return
    _print(found)
    if csv is not None:
        printing.note(f"table: {csv}")


def _print(found: Any) -> None:
    printing.table(
        ["method", "perplexity  95% interval", "bits per byte", "from frozen", "fit"],
        [
            [
                name,
                f"{score.perplexity.value:.1f}  {score.perplexity.low:.1f}–{score.perplexity.high:.1f}",
                f"{score.bits_per_byte.value:.3f}",
                "" if name == "frozen" else f"{score.difference.value:+.3f}",
                f"{score.fit_seconds:.1f} s",
            ]
            for name, score in found.methods.items()
        ],
    )
    printing.note(f"\n{found.summary()}")
