"""Whether a model does what a text says, measured before anything is trained.

A text that the model obeys decides the output: with its labels swapped, the outputs swap too, so the accuracy with the text and the
accuracy with the swapped text add up to 1, and the first is the higher. A model that goes by what it knows already has both high; one that
takes up a word of the text and no more has both at a half; one that goes by nothing is no better than with nonsense. Such models have no
parameters to train, whatever the losses say.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lexframe.exceptions import InputError
from lexframe.intervals import Estimate, mean_over_items, share_over_items
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.verbal.clients.base import Client
from lexframe.verbal.learner import Learner, Reading
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.rows import Rows
from lexframe.verbal.task import Sample, Task

SUM_LOW, SUM_HIGH = 0.9, 1.1
"""Where the two accuracies of an obedient model add up to."""
LEAST_ROWS = 8
NONSENSE = "The seven lamps of the harbor were painted before the rain, and nobody counted the stairs behind the mill since then."


_ESTIMATES = ("with_text", "swapped", "nonsense", "above_nonsense", "above_swapped")


def _is_sure(gain: Estimate) -> bool:
    return gain.interval is not None and gain.interval[0] > 0


@dataclass(frozen=True, slots=True, eq=False)
class Obedience(Result):
    """How far a model does what a text says.

    Attributes
    ----------
    with_text, swapped, nonsense : Estimate
        Accuracy with a text that decides the output, with the same text whose labels are swapped, and with one that says nothing.
    above_nonsense : Estimate
        Accuracy with the text minus accuracy with nonsense, on the same rows.
    above_swapped : Estimate
        Accuracy with the text minus accuracy with its labels swapped, on the same rows.
    text : str
        That decides the output.
    n_rows : int
        That each was measured on; a call each.
    provenance : Provenance
    """

    with_text: Estimate
    swapped: Estimate
    nonsense: Estimate
    above_nonsense: Estimate
    above_swapped: Estimate
    text: str
    n_rows: int
    provenance: Provenance

    @property
    def total(self) -> float:
        """Accuracy with the text plus accuracy with its labels swapped; 1 for a model that obeys."""
        return self.with_text.value + self.swapped.value

    @property
    def holds(self) -> bool:
        """Whether the model is verbal: the total is within bounds, and the text surely beats nonsense and its own reverse."""
        return SUM_LOW <= self.total <= SUM_HIGH and _is_sure(self.above_nonsense) and _is_sure(self.above_swapped)

    def summary(self) -> str:
        """The figures, and whether the model is verbal."""
        figures = (
            f"accuracy {self.with_text.value:.2f} with a text that decides the output, {self.swapped.value:.2f} with its labels swapped, "
            f"{self.nonsense.value:.2f} with nonsense ({self.n_rows} rows each)"
        )
        if self.holds:
            return f"The model obeys: {figures}."
        if not SUM_LOW <= self.total <= SUM_HIGH:
            why = f"the first two add up to {self.total:.2f}, where a model that obeys has {SUM_LOW} to {SUM_HIGH}"
        elif not _is_sure(self.above_nonsense):
            why = "the text does not surely beat nonsense"
        else:
            why = "the text does not surely beat its own reverse"
        return f"Not verbal: {figures}; {why}. What a text says does not decide what this model answers."

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        estimates = {name: getattr(self, name).to_dict() for name in _ESTIMATES}
        kept = {"total": self.total, "holds": self.holds, "text": self.text, "n_rows": self.n_rows}
        return estimates | kept | {"provenance": self.provenance.to_dict()}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Obedience":
        """Back from :meth:`to_dict`."""
        estimates = {name: Estimate.from_dict(document[name]) for name in _ESTIMATES}
        return cls(**estimates, text=document["text"], n_rows=document["n_rows"], provenance=Provenance.from_dict(document["provenance"]))

    def to_frame(self) -> Any:
        """One row a text."""
        import pandas as pd

        names = ("with_text", "swapped", "nonsense")
        return pd.DataFrame([{"text": name, **getattr(self, name).to_dict()} for name in names])


def measure_obedience(
    client: Client, task: Task, rows: Any, *, reading: Reading | None = None, stated: "Stated | None" = None
) -> Obedience:
    """Measure whether a model does what a text says, on some rows.

    Parameters
    ----------
    client : Client
    task : Task
        Its columns and labels; a regression is asked for one of two numbers.
    rows : Rows or array-like
        Inputs that no test will use; their targets are not needed.
    reading : Reading, optional
        How the model is asked.
    stated : Stated, optional
        A text, the same one swapped, and what it says of each row. Default: one that splits the rows in two by their input alone, so that
        nothing but the text can tell which side has which output.

    Raises
    ------
    InputError
        If there are fewer than eight rows, or they cannot be split.
    """
    rows = Rows.of(rows)
    if len(rows) < LEAST_ROWS:
        raise InputError(f"Obedience is measured on {len(rows)} rows; give at least {LEAST_ROWS}.")
    stated = stated or stated_split(task, rows)
    plain = replace(task, kind="sentences")
    learner = Learner(client, plain, 0.0 if task.is_regression else task.labels[0], reading or Reading())
    right = {}
    for name, text in (("with_text", stated.text), ("swapped", stated.swapped), ("nonsense", stated.nonsense)):
        predicted = learner.center_on(Parameters(text), rows)
        right[name] = _agrees(task, predicted.values, stated.outputs)
    estimates = {name: share_over_items(found) for name, found in right.items()}
    above = {f"above_{name}": mean_over_items(right["with_text"] - right[name]) for name in ("nonsense", "swapped")}
    return Obedience(**estimates, **above, text=stated.text, n_rows=len(rows), provenance=Provenance())


@dataclass(frozen=True, slots=True, eq=False)
class Stated:
    """A text that decides the output of every row.

    Attributes
    ----------
    text, swapped : str
        The second has the outputs the other way round.
    outputs : ndarray of shape (n_rows,)
        What the first says.
    nonsense : str
        Says which outputs there are, and nothing of any row.
    """

    text: str
    swapped: str
    outputs: np.ndarray
    nonsense: str = NONSENSE


def stated_split(task: Task, rows: Rows) -> Stated:
    """A text that splits rows in two halves by an input: a number above a threshold, or a word that a text holds.

    Parameters
    ----------
    task : Task
    rows : Rows

    Raises
    ------
    InputError
        If no input splits them.
    """
    one, other = (7.0, 3.0) if task.is_regression else (task.labels[0], task.labels[1])
    condition, holds = _split(rows)
    shown = [f"{value:g}" if task.is_regression else str(value) for value in (one, other)]
    outputs = np.empty(len(rows), dtype=np.float64 if task.is_regression else object)
    outputs[:] = [one if each else other for each in holds]
    text, swapped = (f"If {condition}, the output is {first}. Otherwise the output is {second}." for first, second in (shown, shown[::-1]))
    return Stated(text, swapped, outputs, f"The output is {shown[0]} or {shown[1]}. {NONSENSE}")


def stated_labels(task: Task, text: str, sample: Sample) -> Stated:
    """A text of the user's own that says which rows have which label, with its labels swapped in a circle.

    Parameters
    ----------
    task : Task
    text : str
        Names every label.
    sample : Sample
        What the text says of these rows is taken to be their label.

    Raises
    ------
    InputError
        If it does not name two labels or more.
    """
    named = [label for label in task.labels if label in text]
    if len(named) < 2:
        raise InputError(f"The text names {len(named)} of the labels; expected two or more, so that they can be swapped.")
    turned = dict(zip(named, [*named[1:], named[0]], strict=True))
    pieces, rest = [], text
    while rest:  # one pass, the longest label first: what was swapped is not swapped back
        label = next((label for label in sorted(named, key=len, reverse=True) if rest.startswith(label)), None)
        pieces.append(rest[0] if label is None else turned[label])
        rest = rest[1 if label is None else len(label) :]
    return Stated(text, "".join(pieces), sample.targets)


def _split(rows: Rows) -> tuple[str, np.ndarray]:
    best: tuple[float, str, np.ndarray] | None = None
    for name, column in rows.columns.items():
        for condition, holds in _words(name, column) if column.dtype == object else [_above(name, column)]:
            off = abs(float(holds.mean()) - 0.5)
            if best is None or off < best[0]:
                best = (off, condition, holds)
    if best is None or best[0] > 0.4:
        raise InputError("No input splits these rows in two, so obedience cannot be measured on them. Give rows that differ.")
    return best[1], best[2]


def _above(name: str, column: np.ndarray) -> tuple[str, np.ndarray]:
    threshold = float(f"{np.median(column):.3g}")
    return f"{name} is above {threshold:g}", column > threshold


def _words(name: str, column: np.ndarray) -> list[tuple[str, np.ndarray]]:
    held = [set("".join(letter if letter.isalpha() else " " for letter in text.casefold()).split()) for text in column]
    words = sorted({word for each in held for word in each if len(word) > 2})
    return [(f"the {name} holds the word '{word}'", np.array([word in each for each in held], dtype=bool)) for word in words]


def _agrees(task: Task, values: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    if task.is_regression:  # of the two numbers, the nearer one
        return (np.abs(values.astype(np.float64) - outputs.astype(np.float64)) < 2).astype(np.float64)
    return (values == outputs).astype(np.float64)
