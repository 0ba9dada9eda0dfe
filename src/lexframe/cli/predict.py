"""``lexframe predict``: use a saved adapter on new texts."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.text_forms import counted


def predict(
    adapter: Annotated[Path, typer.Argument(help="Folder made by lexframe adapt --out.")],
    texts: Annotated[Path, typer.Argument(help=table_options.TEXTS)],
    text: Annotated[str | None, typer.Option("--text", metavar="COLUMN", help="Column that holds the texts.")] = None,
    pair: Annotated[
        str | None,
        typer.Option("--pair", metavar="COLUMN", help="Column of the second text, where rows hold two."),
    ] = None,
    *,
    files: table_options.Texts,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", help="Where the model is now, or of several NAME=PLACE; repeat. Default: where they were."
        ),
    ] = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=options.writable("--out"),
            help="A row a text, as .jsonl, .csv, .tsv or .parquet. Default: JSON lines on standard output.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Label new texts with a saved adapter; rows come in the order of the file, blank ones included. Columns as in the training."""
    from lexframe.adaptation import load_adapter
    from lexframe.data.tables.writing import json_lines, require_form, write_columns

    if out is not None:
        require_form(out, "out")
    table = _read(files, texts, text, pair, _columns(adapter))
    printing.quiet_libraries()
    predictions = load_adapter(adapter, model=_places(model), device=device).predict(
        table.texts, batch_size=batch_size, progress=printing.progress("encoding")
    )
    if predictions.verdict is not None and predictions.verdict.worth != "holds":
        printing.note(f"{adapter}: {predictions.verdict}")
    if as_json:
        document = predictions.to_dict()
        rows = [{"text": content} | row for content, row in zip(table.texts, document["predictions"], strict=True)]
        printing.document(document | {"predictions": rows})
        return
    columns = {
        "text": table.texts,
        "label": predictions.labels,
        "probability": [round(float(row.max()), 6) for row in predictions.probabilities],
    }
    if out is None:
        typer.echo(json_lines(columns), nl=False)
    else:
        write_columns(out, columns)
        printing.note(f"{counted(len(table), 'prediction')}: {out}")


def _places(models: list[str] | None) -> str | dict[str, str] | None:
    """Where models are now: one place, or places by name."""
    from lexframe.exceptions import InputError

    if not models or (len(models) == 1 and "=" not in models[0]):
        return models[0] if models else None
    unnamed = next((text for text in models if "=" not in text), None)
    if unnamed is not None:
        raise InputError(f"{unnamed} does not say which model it is. Of several write NAME=PLACE for each.", parameter="model")
    return {name: place for name, _, place in (text.partition("=") for text in models)}


def _columns(adapter: Path) -> dict[str, str | None]:
    """The columns that the adapter was trained on; empty where it does not say."""
    from lexframe.artifacts import read_document

    known = read_document(adapter, kind="adapter")["parameters"].get("facts")
    columns = known.get("columns") if isinstance(known, dict) else None
    return columns if isinstance(columns, dict) else {}


def _read(files: table_options.TextTables, path: Path, text: str | None, pair: str | None, known: dict[str, str | None]) -> Any:
    from lexframe.exceptions import DataError

    remembered = {name: known.get(name) for name, given in (("text", text), ("pair", pair)) if given is None and known.get(name)}
    try:
        return files.read(path, text=text or known.get("text") or "text", pair=pair or known.get("pair"), label=None, keep_blank=True)
    except DataError as error:
        named = [column for name, column in remembered.items() if name in error.parameters]
        if not named:
            raise
        raise DataError(
            f"{str(error).rstrip('.')}; the adapter was trained on {' and '.join(map(repr, named))}.", parameter=error.parameters
        ) from error
