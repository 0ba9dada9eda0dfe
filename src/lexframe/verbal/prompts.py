"""The prompts of learner and optimizers, in blocks that every one of them shares; texts are joined, never formatted."""

from collections.abc import Sequence
from dataclasses import dataclass

from lexframe.verbal.clients.base import Message
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.parsing import DESCRIPTIONS, EXAMPLES, EXPLANATION, MOST_EXAMPLES, OUTPUT, REASONING
from lexframe.verbal.task import Task

PREDICT, PROPOSE = "Inference step", "Optimization step"
"""What the first line of a prompt says it is for."""

_FUNCTIONS = "sin, cos, tan, exp, log, sqrt, abs, min, max, tanh"


@dataclass(frozen=True, slots=True)
class Seen:
    """A row of the batch with what the model made of it.

    Attributes
    ----------
    row, output, target : str
        As a prompt shows them.
    residual : float
        Target minus output; for labels 1 where they differ, 0 where they do not.
    """

    row: str
    output: str
    target: str
    residual: float


def learner_messages(task: Task, parameters: Parameters, row: str, *, explains: bool = False) -> tuple[Message, ...]:
    """What the model is asked, to predict one row.

    The parameters come first and the row last, so that a client can read what all rows share once.

    Parameters
    ----------
    task : Task
    parameters : Parameters
    row : str
        On one line.
    explains : bool
        Ask for an explanation before the output, as published.
    """
    blocks = [
        f"# {PREDICT}",
        "You are the model. You turn an input into an output by following the pattern descriptions below, and nothing else.",
        f"## Pattern descriptions\n{parameters.text}",
        f"## Output format\n{_output_format(task, explains=explains)}",
        f"## Input\n{row}",
    ]
    return (Message("user", "\n\n".join(blocks)),)


def _output_format(task: Task, *, explains: bool) -> str:
    what = "a number" if task.is_regression else "one of the labels " + labels_line(task)
    first = f"{EXPLANATION}: why, in one sentence\n" if explains else ""
    return f"{first}{OUTPUT}: {what}"


def labels_line(task: Task) -> str:
    """The labels of a task on one line."""
    return "; ".join(" ".join(label.split()) for label in task.labels)


def goal(task: Task) -> str:
    """What the model is to do, in a sentence."""
    columns = ", ".join(task.columns)
    what = f"the number {task.target}" if task.is_regression else f"{task.target}, one of the labels {labels_line(task)},"
    return f"The model predicts {what} from {columns}."


def parameters_block(parameters: Parameters, title: str = "Current pattern descriptions") -> str:
    """Parameters under a title."""
    return f"## {title}\n{parameters.text}"


def aligned_lists(seen: Sequence[Seen]) -> str:
    """Inputs, outputs and targets as three lists, as published."""

    def numbered(name: str) -> str:
        return "\n".join(f"{number}. {getattr(each, name)}" for number, each in enumerate(seen, 1))

    inputs, outputs, targets = map(numbered, ("row", "output", "target"))
    return f"## Inputs\n{inputs}\n\n## Model outputs\n{outputs}\n\n## Target outputs\n{targets}"


def rows_with_residuals(task: Task, seen: Sequence[Seen]) -> str:
    """One line a row with output, target and residual; the largest residuals come first."""
    order = sorted(range(len(seen)), key=lambda place: (-abs(seen[place].residual), place))
    lines = []
    for place in order:
        each = seen[place]
        end = f"residual {task.target_text(each.residual)}" if task.is_regression else "wrong" if each.residual else "right"
        lines.append(f"{place + 1}. {each.row} | output {each.output} | target {each.target} | {end}")
    return "## Rows, the worst first\n" + "\n".join(lines)


def best_block(best: Sequence[tuple[Parameters, float]], loss: str) -> str:
    """The best parameters so far with their losses on held-out rows, the best last."""
    parts = [f"Loss {value:.4g}:\n{parameters.text}" for parameters, value in reversed(best)]
    return f"## Earlier pattern descriptions with their {loss} on other rows (lower is better)\n" + "\n\n".join(parts)


def proposal_format(task: Task) -> str:
    """How new parameters are to be written."""
    lines = [f"{REASONING}: why, in a sentence or two", f"{DESCRIPTIONS}: the new descriptions, with exact values"]
    if task.kind == "program" and task.is_regression:
        columns = ", ".join(map(_column, task.columns))
        lines.append(f"Formula: {task.target} = an expression of {columns} and numbers; it may use {_FUNCTIONS}")
    elif task.kind == "program" and task.reads_text:
        lines.append('Rules: lines such as `if has("word") or has("two words") then label`, and a last line `else label`')
    elif task.kind == "program":
        lines.append(f"Rules: lines such as `if {_column(task.columns[0])} > 1.5 then label`, and a last line `else label`")
    elif task.kind == "examples":
        lines.append(f"{EXAMPLES}: the numbers of at most {MOST_EXAMPLES} rows above that the model should see as examples")
    return "## Output format\n" + "\n".join(lines)


def _column(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
