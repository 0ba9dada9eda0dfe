"""``lexframe tasks compare``: task spaces of several models, or of one over its training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.cli.tasks import inputs
from lexframe.exceptions import InputError


def compare(
    folders: Annotated[list[Path], typer.Argument(help="Made by lexframe tasks build; in the order of steps, if they are some.")],
    *,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of tasks.")] = 0,
    report: options.Report = None,
    csv: options.Csv = None,
    as_json: options.Json = False,
) -> None:
    """Hold task spaces against one another: do they order pairs of tasks alike, as far as noise allows, and how far do they move."""
    from lexframe.task_space import TaskSpace, compare_task_spaces

    names = short_names(folders)
    found = compare_task_spaces({name: TaskSpace.load(folder) for name, folder in zip(names, folders, strict=True)}, seed=seed)
    inputs.write_beside(found, report, csv)
    if as_json:
        printing.document(found.to_dict())
        return
    rows = [
        [
            inputs.shown(space.name),
            str(space.sharing),
            f"{space.reliability:.2f}",
            f"{space.retest:.2f}",
            "" if space.separation is None else str(space.separation.auc),
        ]
        for space in found.spaces
    ]
    printing.table(["space", "mean similarity", "reliability", "retest", "AUC of groups"], rows)
    typer.echo("")
    steps = found.movement
    rows = [
        [
            f"{inputs.shown(pair.first)} {'→' if pair in steps else '–'} {inputs.shown(pair.second)}",
            str(pair.rsa),
            f"{pair.ceiling:.2f}",
            f"{pair.corrected.value:.2f}",
        ]
        for pair in found.pairs
    ]
    printing.table(["spaces; → is a step", "rank correlation", "noise ceiling", "of what noise allows"], rows)
    printing.note(f"\n{found.summary()}")
    if found.left_out:
        printing.note(f"left out, since not all spaces have them: {', '.join(map(inputs.shown, found.left_out))}")


def short_names(folders: Sequence[Path]) -> list[str]:
    """A name for each folder: its own, or with the folders above it as far as that tells all apart.

    Parameters
    ----------
    folders : sequence of Path

    Raises
    ------
    InputError
        If a folder is named twice.
    """
    parts = [folder.absolute().parts for folder in folders]
    twice = next((folder for folder, own in zip(folders, parts, strict=True) if parts.count(own) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} is named twice. Name each task space once.")
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(own[-depth:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]
