"""``lexframe compare``: which method, and how many labels."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, show
from lexframe.cli.adapt import DEFAULT_TEMPLATE
from lexframe.cli.model_options import open_model, typed
from lexframe.exceptions import InputError


def compare(
    train: Annotated[Path, typer.Argument(help="Labeled texts: .jsonl(.gz), .csv, .tsv or .parquet.")],
    test: Annotated[Path | None, typer.Option(help="Labeled texts to test on. Default: a fifth of TRAIN is held out.")] = None,
    text: options.Text = "text",
    pair: options.Pair = None,
    label: Annotated[str, typer.Option("--label", "--labels", help="Column that holds the labels.")] = "label",
    label_words: Annotated[
        list[str] | None, typer.Option(help="label=word or label=word,word; repeat. Default: the label's own name.")
    ] = None,
    methods: Annotated[str, typer.Option(help="Comma-separated, or 'all', or 'quick' (points and vocabulary alone).")] = "all",
    shots: Annotated[str, typer.Option(help="Labels a class, comma-separated; 0 for none, 'all' for all.")] = "0,4,16",
    seeds: Annotated[int, typer.Option(help="Draws of labels.")] = 3,
    model: Annotated[list[str] | None, typer.Option(help="'embedded', a folder or a hub id; repeat to compare models.")] = None,
    layer: options.Layer = -1,
    pooling: options.Pooling = "last",
    representations: Annotated[
        str | None,
        typer.Option(help="LAYER:POOLING, comma-separated: what methods over points may use. Default: three layers, last and mean."),
    ] = None,
    template: options.Template = DEFAULT_TEMPLATE,
    max_length: options.MaxLength = None,
    truncation: options.Truncation = "right",
    dtype: options.Dtype = "float32",
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    batch_size: options.BatchSize = None,
    max_test: Annotated[int, typer.Option(help="Most test texts, drawn by class; 0 takes all.")] = 500,
    drop_duplicates: Annotated[bool, typer.Option("--drop-duplicates", help="Leave out training texts that stand in the test.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for finished cells, so that a stopped comparison goes on, and for the table.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file for the report.")] = None,
    as_json: options.Json = False,
) -> None:
    """Compare ways to adapt a frozen model on the same labels: which method, and how many labels."""
    from lexframe.adaptation import Draws, make_methods
    from lexframe.adaptation import compare as run
    from lexframe.adaptation.draws import hold_out
    from lexframe.data import label_words_from, read_table
    from lexframe.latents import Reading, TextReader
    from lexframe.spaces.base import Representation

    if seeds < 1:
        raise InputError(f"--seeds is {seeds}; expected the number of draws, 1 or more.")
    tables = [read_table(path, text=text, pair=pair, label=label) for path in (train, test) if path is not None]
    train_table, test_table = tables if len(tables) == 2 else hold_out(tables[0], 0)
    words = label_words_from(label_words or [], tables[0].labels or ())
    chosen = make_methods(methods)
    settings = typed(
        layer=layer, pooling=pooling, template=template, max_length=max_length, truncation=truncation, dtype=dtype, device=device,
        revision=revision, trust_remote_code=trust_remote_code,
    )  # fmt: skip
    spaces = {name: open_model(name, prompt=DEFAULT_TEMPLATE, **settings) for name in model or ["embedded"]}
    wanted = tuple(Representation.parse(part) for part in representations.split(",")) if representations else None
    readings = {name: Reading.thirds(space) if wanted is None else Reading(wanted) for name, space in spaces.items()}
    result = run(
        {name: TextReader(space, readings[name], batch_size=batch_size) for name, space in spaces.items()},
        train_table,
        test_table,
        methods=chosen,
        draws=Draws(parse_shots(shots), range(seeds), max_test or None, drop_duplicates),
        label_words=words,
        folder=None if out is None else out / "cells",
        progress=show.progress("comparing"),
    )
    if out is not None:
        save_table(result, out)
    if report is not None:
        from lexframe.adaptation.page import comparison_report

        comparison_report(result, report)
    if as_json:
        show.document(result.to_dict())
    else:
        _print(result)
        for path, what in ((out, "table and cells"), (report, "report")):
            if path is not None:
                show.note(f"{what}: {path}")


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


def save_table(result: Any, folder: Path) -> None:
    """Write the tidy table as ``cells.csv``, a row a cell."""
    from lexframe.files import write_text

    write_text(folder / "cells.csv", result.to_frame().to_csv(index=False))


def _print(result: Any) -> None:
    for model in result.models:
        if len(result.models) > 1:
            show.note(f"\n{model}")
        rows = []
        for method in result.methods:
            found = [result.accuracy(model, method, n) if result.select(model, method, n) else None for n in result.shots]
            seconds = [result.fit_seconds(model, method, n) for n in result.shots if result.select(model, method, n)]
            cells = [f"{accuracy.value:.3f} ±{(accuracy.high - accuracy.low) / 2:.3f}" if accuracy else "" for accuracy in found]
            rows.append([method, *cells, f"{seconds[-1]:.2f} s" if seconds else ""])
        show.table(["method", *(f"{n} a class" if n != "all" else "all labels" for n in result.shots), "last fit"], rows)
    show.note("")
    show.note(result.summary())
    for line in result.notes:
        show.note(f"note: {line}")
    for method, why in result.left_out.items():
        show.note(f"left out: {method}: {why}")
