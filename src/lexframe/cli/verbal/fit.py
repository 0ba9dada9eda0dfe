"""``lexframe verbal fit``: train a model whose parameters are sentences."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.verbal import inputs
from lexframe.cli.verbal.answering import Answered
from lexframe.text_forms import counted, printable


def fit(
    table: Annotated[Path, typer.Argument(help=f"Rows with their labels or numbers: {table_options.KINDS}")],
    *,
    columns: inputs.AboutColumns,
    files: table_options.Texts,
    test: Annotated[Path | None, typer.Option(help="Rows for the scores. Default: those that proposals were judged on.")] = None,
    model: inputs.AboutModel,
    answering: Answered,
    steps: inputs.AboutSteps,
    proposing: inputs.AboutProposing,
    selection: inputs.AboutSelection,
    spending: inputs.AboutSpending,
    obedience_rows: Annotated[int, typer.Option(min=0, help="Rows to measure obedience on, three calls each; 0 leaves it out.")] = 24,
    stated: Annotated[str, typer.Option(metavar="TEXT", help="Measure obedience with this text, which names the labels.")] = "",
    points: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="For texts: posterior calibration on this model too, such as minilm."),
    ] = None,
    seed: inputs.Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the run: every call is kept there, so that a run can go on.")] = None,
    report: options.Report = None,
    as_json: options.Json = False,
) -> None:
    """Train a model whose parameters are sentences: propose, judge, take or go back; with the cost before and plain methods beside it."""
    from lexframe.spaces import open_space
    from lexframe.verbal import Checks, Watching
    from lexframe.verbal import fit as train

    sample = columns.sample(files, table)
    task = model.task(sample, columns)
    tested = None if test is None else columns.tested(files, test, task, sample)
    settings = spending.within(model.settings(steps, proposing, selection, seed))
    client = answering.client()
    run = train(
        client,
        task,
        sample,
        settings,
        test=tested,
        folder=out,
        checks=Checks(obedience_rows, stated, None if points is None else open_space(points)),
        watching=Watching(_projected, lambda measured: printing.note(measured.summary()), _stepped),
    )
    for note in getattr(client, "notes", []):
        printing.note(f"note: {note}")
    if as_json:
        printing.document(run.to_dict())
    else:
        show_run(run)
    if report is not None:
        run.report(report)
    for what, path in (("report", report), ("run", out)):
        if path is not None:
            printing.note(f"{what}: {path}")


def _projected(projection: Any) -> None:
    printing.note(projection.summary())
    if projection.warning:
        printing.note(f"warning: {projection.warning}")


def _stepped(step: Any) -> None:
    after = f" -> {step.loss_after:.4g}" if step.loss_after == step.loss_after else ""
    failures = f"; {counted(len(step.failures), 'answer')} could not be read" if step.failures else ""
    printing.note(
        f"step {step.number}{f'.{step.chain}' if step.chain else ''}: {step.outcome}, loss {step.loss_before:.4g}{after}{failures}"
    )


def show_run(run: Any) -> None:
    """The scores on standard output, and what they mean; then the parameters.

    Parameters
    ----------
    run : VerbalRun
    """
    scores = [] if run.score is None else [("* verbal", run.score)]
    scores += [(f"  {each.name}", each) for each in run.baselines]
    what = "mean squared error" if run.task.is_regression else "accuracy"
    printing.table(
        ["  method", f"{what}  95% interval"],
        [[name, f"{each.value.value:.4g}  {each.value.low:.4g} to {each.value.high:.4g}"] for name, each in scores],
    )
    typer.echo("\nParameters\n" + "\n".join(f"  {printable(line)}" for line in run.parameters.text.splitlines()))
    printing.note(f"\n{run.summary()}")
    for note in run.notes:
        printing.note(f"note: {note}")
