"""``lexframe tasks show``: what a task space or a transfer says."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.tasks import inputs
from lexframe.cli.tasks.transfer import show_transfer

_MOST = 10


def show(
    folder: Annotated[Path, typer.Argument(help="Made by lexframe tasks build or transfer with --out.")],
    *,
    task: Annotated[str | None, typer.Option(metavar="NAME", help="One task: what is most like it, and the words it points to.")] = None,
    report: options.Report = None,
    csv: options.Csv = None,
    as_json: options.Json = False,
) -> None:
    """Show a task space: what makes its tasks alike, clusters, every task with its nearest; or a transfer; and the page."""
    from lexframe.artifacts import read_artifact
    from lexframe.task_space import TaskSpace, Transfer
    from lexframe.task_space.space_findings import findings

    if read_artifact(folder, version=None).kind == Transfer.artifact_kind:
        transfer = Transfer.load(folder)
        inputs.write_beside(transfer, report, csv)
        show_transfer(transfer, as_json=as_json)
        return
    space = TaskSpace.load(folder)
    if task is not None:
        show_task(space, task, as_json=as_json)
        return
    found = findings(space)
    inputs.write_beside(space, report, csv, **({"found": found} if report is not None else {}))
    if as_json:
        printing.document(space.to_dict() | {"findings": found.to_dict()})
        return
    inputs.show_space(space)
    typer.echo(f"\n{found.summary()}\n")
    rows = [[f"{name}: {found.reading(name)}", f"{test.r:.2f}", f"{test.p:.2g}"] for name, test in found.tests.items()]
    printing.table(["what makes tasks alike", "r", "p"], rows)
    for name, reason in found.untested.items():
        printing.note(f"not tested: {name}: {reason}")
    for part in (found.clustering, found.task_map):
        if part is not None:
            printing.note(part.summary())


def show_task(space: Any, name: str, *, as_json: bool) -> None:
    """A task with the tasks that are most like it.

    Parameters
    ----------
    space : TaskSpace
    name : str
    as_json : bool
    """
    near = space.neighbors(name, limit=_MOST)
    task = space.tasks[space.names.index(name)]
    words = space.controls.get("words")
    if as_json:
        keys = ("name", "similarity", "low", "high")
        printing.document(task.to_dict() | {"neighbors": [dict(zip(keys, each, strict=True)) for each in near]})
        return
    typer.echo(
        f"{inputs.shown(name)}: reliability {task.reliability}, accuracy {task.accuracy}, margin {task.margin} nats, {task.n_pairs:,} pairs"
    )
    for way, items in (("to", task.toward), ("from", task.away)):
        if items:
            typer.echo(f"points {way}: {', '.join(printing.one_line(repr(word)) for word, _ in items)}")
    rows = []
    for other, value, low, high in near:
        place = space.names.index(other)
        shared = "" if words is None else f"{words[space.names.index(name), place]:.2f}"
        rows.append([inputs.shown(other), inputs.shown(space.groups[place]), f"{value:.2f}", inputs.interval(low, high), shared])
    typer.echo("")
    printing.table(["most alike", "group", "similarity", "95% interval", "words shared"], rows)
