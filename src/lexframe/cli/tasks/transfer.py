"""``lexframe tasks transfer``: what tuning on one task does to all."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.model_options import Weights
from lexframe.cli.tasks import inputs


def transfer(
    files: inputs.Files,
    *,
    model: Weights,
    pairs: inputs.AboutPairs,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="NAME", help="Task to tune on; repeat. Default: every one.")
    ] = None,
    arms: Annotated[
        str, typer.Option(metavar="NAMES", help="Ways to tune, comma-separated: differential, random, one-sided, full, plain.")
    ] = "differential,random,one-sided",
    settings: Annotated[Any, FieldsOf("lexframe.task_space.settings:TransferSettings", without=("arms",))],
    neutral: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts for the price. Default: everyday sentences of our own.")
    ] = None,
    work: inputs.AboutWork,
    seed: inputs.Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the result.")] = None,
    report: options.Report = None,
    csv: options.Csv = None,
    as_json: options.Json = False,
) -> None:
    """Tune a copy of a model on one task after the other, test all tasks, and hold what happened against what gradients foretell."""
    from dataclasses import replace

    from lexframe.spaces.base.training import GradientSpace
    from lexframe.task_space import measure_transfer

    tasks = pairs.read(files, seed)
    found = measure_transfer(
        model.open(needs=GradientSpace),
        tasks,
        settings=replace(settings, arms=options.comma_separated(arms)),
        sources=source or None,
        neutral=None if neutral is None else pairs.documents(neutral),
        work=work,
        seed=seed,
        progress=printing.progress("tuning"),
    )
    if out is not None:
        found.save(out)
    show_transfer(found, as_json=as_json)
    inputs.write_beside(found, report, csv)
    if out is not None:
        printing.note(f"transfer: {out}")


def show_transfer(found: Any, *, as_json: bool) -> None:
    """The verdict, what every way to tune gains and costs, and every task that was tuned on.

    Parameters
    ----------
    found : Transfer
    as_json : bool
    """
    if as_json:
        printing.document(found.to_dict())
        return
    from lexframe.task_space.transfer_page import agreement, arm_rows, source_rows

    typer.echo(printing.one_line(str(found.verdict)) + "\n")
    names = ("arm", "own", "near", "far", "bits")
    header = ["way to tune", "itself, nats", "its group", "others", "bits per byte"]
    printing.table(header, [[row[name] for name in names] for row in arm_rows(found)])
    typer.echo("")
    rows = [
        [inputs.shown(row["name"]), row["accuracy"], *(f"{after} ({gain})" for after, gain, _ in row["figures"])]
        for row in source_rows(found)
    ]
    printing.table(["tuned on", "accuracy", *(f"{arm}: accuracy (nats)" for arm in found.arms)], rows)
    printing.note(f"\n{agreement(found)}".rstrip())
    for note in found.notes:
        printing.note(f"note: {printing.one_line(note)}")
