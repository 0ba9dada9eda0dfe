"""``lexframe predict``: use a saved adapter on new texts."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.files import json_text
from lexframe.text_forms import counted


def predict(
    adapter: Annotated[Path, typer.Argument(help="Folder made by lexframe adapt --out.")],
    texts: Annotated[Path, typer.Argument(help="Texts: .jsonl(.gz), .csv, .tsv, .parquet or .txt.")],
    text: options.Text = "text",
    pair: options.Pair = None,
    model: options.ModelNow = None,
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
    printing.quiet_libraries()
    predictions = load_adapter(adapter, model=model, device=device).predict(
        table.texts, batch_size=batch_size, progress=printing.progress("encoding")
    )
    if predictions.verdict is not None and predictions.verdict.worth != "holds":
        printing.note(f"{adapter}: {predictions.verdict}")
    if as_json:
        printing.document(predictions.to_dict())
        return
    lines = [
        json_text({"text": content, "label": label, "probability": round(float(row.max()), 6)})
        for content, label, row in zip(table.texts, predictions.labels, predictions.probabilities, strict=True)
    ]
    if out is None:
        typer.echo("\n".join(lines))
    else:
        write_text(out, "\n".join(lines) + "\n")
        printing.note(f"{counted(len(lines), 'prediction')}: {out}")
