"""``lexframe predict``: use a saved adapter on new texts."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, show


def predict(
    adapter: Annotated[Path, typer.Argument(help="Folder made by lexframe adapt --out.")],
    texts: Annotated[Path, typer.Argument(help="Texts: .jsonl(.gz), .csv, .tsv, .parquet or .txt.")],
    text: options.Text = "text",
    pair: options.Pair = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Where the model is now. Default: where it was.")] = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    out: Annotated[Path | None, typer.Option(help="JSON Lines file, a row a text. Default: standard output.")] = None,
    as_json: options.Json = False,
) -> None:
    """Label new texts with a saved adapter; rows come in the order of the file, blank ones included."""
    from lexframe.adaptation import load_adapter
    from lexframe.data import read_table
    from lexframe.files import write_text

    table = read_table(texts, text=text, pair=pair, label=None, keep_blank=True)
    show.quiet_libraries()
    predictions = load_adapter(adapter, model=model, device=device).predict(
        table.texts, batch_size=batch_size, progress=show.progress("encoding")
    )
    if as_json:
        show.document(predictions.to_dict())
        return
    lines = [
        json.dumps({"text": content, "label": label, "probability": round(float(row.max()), 6)}, ensure_ascii=False)
        for content, label, row in zip(table.texts, predictions.labels, predictions.probabilities, strict=True)
    ]
    if out is None:
        typer.echo("\n".join(lines))
    else:
        write_text(out, "\n".join(lines) + "\n")
        show.note(f"{len(lines):,} predictions: {out}")
