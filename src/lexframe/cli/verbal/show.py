"""``lexframe verbal show``: a run as it is kept."""

from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.verbal import inputs
from lexframe.cli.verbal.answering import Answered, Answering
from lexframe.cli.verbal.fit import show_run
from lexframe.exceptions import InputError
from lexframe.text_forms import printable

TITLES = {"path": "In a space of sentences", "trace": "Predictions through the layers"}


def show(
    run: inputs.Run,
    *,
    step: Annotated[int | None, typer.Option(min=0, help="The parameters that a step proposed; 0 are those of the beginning.")] = None,
    path: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Draw the path of the parameters in this space, such as minilm.")
    ] = None,
    trace: Annotated[
        int,
        typer.Option(
            min=0, help="Follow the predictions of so many rows through the layers of the model, with the parameters and without."
        ),
    ] = 0,
    answering: Answered,
    report: options.Report = None,
    csv: options.Csv = None,
    as_json: options.Json = False,
) -> None:
    """Show a run: its parameters, scores and history, and the page."""
    from lexframe.verbal import VerbalRun

    found = VerbalRun.load(run)
    readings = {} if path is None else {"path": _path(found, path)}
    readings |= {"trace": _trace(found, trace, answering)} if trace else {}
    for reading in readings.values():
        printing.note(reading.summary())
    if report is not None:
        found.report(report, extra_charts=[(TITLES[name], reading.chart(), reading.summary()) for name, reading in readings.items()])
        printing.note(f"report: {report}")
    if csv is not None:
        from lexframe.data.tables.writing import write_columns

        frame = found.to_frame()
        write_columns(csv, {name: frame[name].tolist() for name in frame})
        printing.note(f"table: {csv}")
    if as_json:
        printing.document(found.to_dict() | {name: reading.to_dict() for name, reading in readings.items()})
        return
    if step is not None:
        chosen = [found.first[0]] if step == 0 else [each.proposed for each in found.steps if each.number == step]
        if not chosen:
            raise InputError(f"{run} has {len(found.steps)} steps; there is none numbered {step}.", parameter="step")
        for parameters in chosen:
            typer.echo("\n".join(printable(line) for line in parameters.text.splitlines()) if parameters else "(unreadable)")
        return
    show_run(found)
    printing.table(
        ["step", "outcome", "loss before", "after", "calls"],
        [[str(each.number), each.outcome, f"{each.loss_before:.4g}", f"{each.loss_after:.4g}", str(each.calls)] for each in found.steps],
    )


def _path(run: Any, model: str) -> Any:
    from lexframe.spaces.registry import open_space
    from lexframe.verbal import follow_parameters

    printing.quiet_libraries()
    return follow_parameters(run, open_space(model))


def _trace(run: Any, n_rows: int, answering: Answering) -> Any:
    """Predictions of the first of the tested rows."""
    from lexframe.spaces.registry import open_space
    from lexframe.verbal import trace_predictions

    if answering.endpoint is not None:
        raise InputError("An endpoint shows no layers. Name a model in this process.", parameter="endpoint")
    printing.quiet_libraries()
    rows = run.tested.rows
    return trace_predictions(open_space(answering.model, chat=True), run.task, run.parameters, rows.take(range(min(n_rows, len(rows)))))
