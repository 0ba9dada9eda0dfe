"""``lexframe verbal predict``: use a trained run on new rows."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.verbal import inputs
from lexframe.cli.verbal.answering import Answered
from lexframe.text_forms import counted


def predict(
    run: inputs.Run,
    table: Annotated[Path, typer.Argument(help=f"Rows with the columns of the training: {table_options.KINDS}")],
    *,
    files: table_options.Texts,
    answering: Answered,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", callback=options.writable("--out"), help="A row a row, as .jsonl, .csv, .tsv or .parquet. Default: JSON lines."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Predict new rows; parameters that are executed need no model, sentences ask the one that is named."""
    from lexframe.data.tables.writing import json_lines, require_form, write_columns
    from lexframe.verbal import VerbalRun

    if out is not None:
        require_form(out, "out")
    found = VerbalRun.load(run)
    rows = found.sample.rows.like(files.columns(table, found.task.columns).values)
    client = None if found.parameters.program is not None else answering.client()
    if client is not None and client.identity != found.client:
        printing.note(f"note: these parameters were trained with {found.client}, and {client.identity} follows them now.")
    if found.verdict.worth != "holds":
        printing.note(f"{run}: {found.verdict}")
    predicted = found.predict(rows, client)
    columns = {**{name: column.tolist() for name, column in rows.columns.items()}, found.task.target: predicted.values.tolist()}
    if predicted.probabilities is not None:
        columns["probability"] = [round(float(row.max()), 6) for row in predicted.probabilities]
    columns["answered"] = predicted.answered.tolist()
    if not predicted.answered.all():
        printing.note(f"{counted(int((~predicted.answered).sum()), 'row')} had no answer: a stand-in stands there, and answered is false.")
    if as_json:
        keys = list(columns)
        printing.document({"predictions": [dict(zip(keys, values, strict=True)) for values in zip(*columns.values(), strict=True)]})
    elif out is None:
        typer.echo(json_lines(columns), nl=False)
    else:
        write_columns(out, columns)
        printing.note(f"{counted(len(rows), 'prediction')}: {out}")
