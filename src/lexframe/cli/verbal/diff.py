"""``lexframe verbal diff``: what changed between the parameters of two steps."""

from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.verbal import inputs
from lexframe.exceptions import InputError
from lexframe.text_forms import printable


def diff(
    run: inputs.Run,
    *,
    before: Annotated[int, typer.Option("--before", min=0, help="A step; 0 is the beginning.")] = 0,
    after: Annotated[int | None, typer.Option("--after", min=0, help="A later step. Default: the parameters that came out.")] = None,
    as_json: options.Json = False,
) -> None:
    """Mark word by word what changed between the parameters of two steps: [-gone-] and {+new+}; of a population, its first chain."""
    from lexframe.verbal import VerbalRun
    from lexframe.verbal.changes import changed_words, plain_diff

    found = VerbalRun.load(run)
    old, new = _parameters(found, before, run), _parameters(found, after, run)
    if as_json:
        changes = [{"kind": change.kind, "text": change.text} for change in changed_words(old.text, new.text)]
        printing.document({"before": before, "after": after, "changes": changes})
        return
    for line in plain_diff(old.text, new.text).splitlines():
        typer.echo(printable(line))


def _parameters(run: Any, step: int | None, folder: Any) -> Any:
    if step is None:
        return run.parameters
    if step == 0:
        return run.first[0]
    found = next((each for each in run.steps if each.number == step), None)
    if found is None:
        last = run.steps[-1].number if run.steps else 0
        raise InputError(f"{folder} has the steps 0 to {last}; there is none numbered {step}.", parameter=("before", "after"))
    return found.proposed if found.proposed is not None else found.parent
