"""``lexframe verbal cost``: what a run will cost, before its first call; or what it did cost."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.verbal import inputs
from lexframe.cli.verbal.answering import Answered


def cost(
    table: Annotated[Path, typer.Argument(help=f"Rows as for verbal fit: {table_options.KINDS} Or the folder of a run: what it did cost.")],
    *,
    columns: inputs.AboutColumns,
    files: table_options.Texts,
    model: inputs.AboutModel,
    answering: Answered,
    steps: inputs.AboutSteps,
    proposing: inputs.AboutProposing,
    selection: inputs.AboutSelection,
    spending: inputs.AboutSpending,
    test: Annotated[Path | None, typer.Option(help="Rows for the scores, as for verbal fit.")] = None,
    obedience_rows: Annotated[int, typer.Option(min=0, help="As for verbal fit.")] = 24,
    seed: inputs.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Say what training would cost, without a call; or of a run, what it did cost."""
    from lexframe.artifacts import is_artifact
    from lexframe.verbal import Beside, VerbalRun, project

    if is_artifact(table):
        run = VerbalRun.load(table)
        if as_json:
            printing.document({name: spent.to_dict() for name, spent in run.spent.items()})
            return
        rows = [
            [name, f"{spent.calls:,}", f"{spent.prompt_tokens:,}", f"{spent.completion_tokens:,}", f"{spent.seconds:,.1f} s"]
            for name, spent in run.spent.items()
        ]
        printing.table(["what for", "calls", "tokens read", "written", "time"], rows)
        return
    sample = columns.sample(files, table)
    settings = spending.within(model.settings(steps, proposing, selection, seed))
    task = model.task(sample, columns)
    tested = None if test is None else columns.tested(files, test, task, sample)
    beside = Beside(min(obedience_rows, len(sample)), tested)
    projection = project(answering.client(), task, sample, settings, beside=beside)
    if as_json:
        printing.document(projection.to_dict())
        return
    typer.echo(projection.summary())
    if projection.warning:
        printing.note(f"warning: {projection.warning}")
