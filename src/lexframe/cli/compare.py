"""``lexframe compare``: which method, and how many labels."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.model_options import ModelOptions, Models, open_models
from lexframe.exceptions import InputError


def compare(
    train: Annotated[Path, typer.Argument(help=table_options.LABELED)],
    *,
    test: Annotated[Path | None, typer.Option(help="Labeled texts to test on. Default: a fifth of TRAIN is held out.")] = None,
    text: options.Text = "text",
    pair: options.Pair = None,
    label: options.Label = "label",
    label_words: options.LabelWords = None,
    files: table_options.Labeled,
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Comma-separated, or 'all', or 'quick' (points and vocabulary alone).")
    ] = "all",
    shots: Annotated[str, typer.Option(help="Labels a class, comma-separated; 0 for none, 'all' for all.")] = "0,4,16",
    draws: Annotated[int, typer.Option(min=1, help="Draws of labels: the more, the narrower the intervals.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the first draw; the others follow it.")] = 0,
    models: Models = None,
    reading: Annotated[ModelOptions, FieldsOf(ModelOptions, without=("model",))],
    representations: Annotated[
        str | None,
        typer.Option(help="LAYER:POOLING, comma-separated: what methods over points may use. Default: three layers, last and mean."),
    ] = None,
    max_test: Annotated[int, typer.Option(help="Most test texts, drawn by class; 0 takes all.")] = 500,
    drop_duplicates: Annotated[bool, typer.Option("--drop-duplicates", help="Leave out training texts that stand in the test.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for finished cells, so that a stopped comparison goes on.")] = None,
    csv: options.Csv = None,
    report: options.Report = None,
    as_json: options.Json = False,
) -> None:
    """Compare ways to adapt a frozen model on the same labels: which method, and how many labels."""
    from lexframe.adaptation import Draws, make_methods
    from lexframe.adaptation import compare as run
    from lexframe.adaptation.draws import hold_out
    from lexframe.data import label_words_from
    from lexframe.files import write_text
    from lexframe.latents import Reading, TextReader
    from lexframe.spaces.base import Representation

    tables = [files.read(path, text=text, pair=pair, label=label) for path in (train, test) if path is not None]
    train_table, test_table = tables if len(tables) == 2 else hold_out(tables[0], seed)
    words = label_words_from(label_words or [], tables[0].labels or ())
    chosen = make_methods(methods)
    wanted = tuple(Representation.parse(part) for part in representations.split(",")) if representations else None
    spaces = open_models(models, reading, train_table.texts)
    readings = {name: Reading.thirds(space) if wanted is None else Reading(wanted) for name, space in spaces.items()}
    result = run(
        {name: TextReader(space, readings[name], batch_size=reading.batch_size) for name, space in spaces.items()},
        train_table,
        test_table,
        methods=chosen,
        draws=Draws(parse_shots(shots), range(seed, seed + draws), max_test or None, drop_duplicates),
        label_words=words,
        folder=None if out is None else out / "cells",
        progress=printing.progress("comparing"),
    )
    if csv is not None:
        write_text(csv, result.to_frame().to_csv(index=False))
    if report is not None:
        from lexframe.adaptation.page import comparison_report

        comparison_report(result, report)
    if as_json:
        printing.document(result.to_dict())
    else:
        _print(result)
        for path, what in ((out, "cells"), (csv, "table"), (report, "report")):
            if path is not None:
                printing.note(f"{what}: {path}")


def parse_shots(text: str) -> list[int | str]:
    """``0,4,all`` as numbers of labels a class.

    Raises
    ------
    InputError
        If a part is neither a number from 0 up nor ``all``.
    """
    shots: list[int | str] = []
    for part in (part.strip() for part in text.split(",")):
        if part != "all" and not part.isdecimal():
            raise InputError(f"--shots has {part!r}; expected numbers of labels a class from 0 up, or all, such as 0,4,16,all.")
        shots.append(part if part == "all" else int(part))
    return list(dict.fromkeys(shots))


def _print(result: Any) -> None:
    for model in result.models:
        if len(result.models) > 1:
            printing.note(f"\n{model}")
        picked = {n: result.recommendation(model, n).recommended for n in result.shots}
        rows = []
        for method in result.methods:
            if not any(result.select(model, method, n) for n in result.shots):
                continue
            found = [result.accuracy(model, method, n) if result.select(model, method, n) else None for n in result.shots]
            seconds = [result.fit_seconds(model, method, n) for n in result.shots if result.select(model, method, n)]
            cells = [
                f"{'* ' if picked[n] == method else ''}{accuracy.value:.3f} ±{(accuracy.high - accuracy.low) / 2:.3f}" if accuracy else ""
                for n, accuracy in zip(result.shots, found, strict=True)
            ]
            rows.append([method, *cells, f"{seconds[-1]:.2f} s" if seconds else ""])
        printing.table(["method", *(f"{n} a class" if n != "all" else "all labels" for n in result.shots), "last fit"], rows)
    printing.note("\n* recommended with so many labels")
    printing.note(result.summary())
    for line in result.notes:
        printing.note(f"note: {line}")
    for method, why in result.left_out.items():
        printing.note(f"left out: {method}: {why}")
