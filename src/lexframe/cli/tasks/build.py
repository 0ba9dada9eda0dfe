"""``lexframe tasks build``: the task space of a model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.model_options import Weights
from lexframe.cli.tasks import inputs


def build(
    files: inputs.Files,
    *,
    out: Annotated[Path, typer.Option(help="Folder for the task space.")],
    model: Weights,
    pairs: inputs.AboutPairs,
    settings: Annotated[Any, FieldsOf("lexframe.task_space.settings:GradientSettings")],
    corpus: Annotated[Path | None, typer.Option(metavar="FILE", help="Ordinary text, for --adam-scale and --remove-general.")] = None,
    work: inputs.AboutWork,
    seed: inputs.Seed = 0,
    report: options.Report = None,
    csv: options.Csv = None,
    as_json: options.Json = False,
) -> None:
    """Measure how the tasks of a model relate: which would be improved by the same change of its weights, and how sure that is."""
    from lexframe.spaces.base.training import GradientSpace
    from lexframe.task_space import build_task_space

    tasks = pairs.read(files, seed)
    texts = None if corpus is None else pairs.documents(corpus)
    space = build_task_space(
        model.open(needs=GradientSpace),
        tasks,
        settings=settings,
        corpus=texts,
        work=work,
        seed=seed,
        progress=printing.progress("tasks"),
    )
    space.save(out)
    if as_json:
        printing.document(space.to_dict() | {"out": str(out)})
    else:
        inputs.show_space(space)
    inputs.write_beside(space, report, csv)
    printing.note(f"task space: {out}")
