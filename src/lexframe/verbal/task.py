"""What is to be learned: inputs, a target, and for classification its labels."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexframe.checks import is_missing, plain
from lexframe.exceptions import InputError
from lexframe.text_forms import whole_letters
from lexframe.verbal.rows import Rows, as_numbers, number_text

MOST = 1e150
"""Size of a target: the square of a larger one is no number."""
KINDS = ("sentences", "program", "examples")
"""Of parameters: sentences alone; with a block that is executed; with examples that are shown."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a model whose parameters are sentences is to do.

    Attributes
    ----------
    columns : tuple of str
        Names of the inputs.
    target : str
        Name of what is predicted.
    labels : tuple of str
        In order; empty for regression.
    text_columns : tuple of str
        Those of the inputs that hold texts; the others hold numbers.
    prior : str
        What the first parameters say.
    kind : {"sentences", "program", "examples"}
        Of the parameters.
    digits : int or None
        Significant ones of every number in a prompt; None for all.
    """

    columns: tuple[str, ...]
    target: str = "y"
    labels: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    prior: str = ""
    kind: str = "program"
    digits: int | None = 4

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"The parameters are {self.kind!r}; expected one of {', '.join(KINDS)}.")
        if len(self.target.splitlines()) != 1:
            raise InputError(f"The target is called {self.target!r:.40}; expected a name on one line. Rename it.")

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number."""
        return not self.labels

    @property
    def reads_text(self) -> bool:
        """Whether the only input is a text."""
        return len(self.columns) == 1 and self.columns == self.text_columns

    @property
    def first_sentences(self) -> str:
        """What the first parameters say: what kind of model it is, and the prior."""
        what = "a number from the input" if self.is_regression else f"one of {len(self.labels)} labels for the input"
        return f"The model predicts {what}.{' ' if self.prior else ''}{self.prior}"

    def target_text(self, value: float | str) -> str:
        """A target as a prompt shows it, on one line."""
        return number_text(float(value), self.digits) if self.is_regression else " ".join(str(value).split())

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return {name: plain(getattr(self, name)) for name in Task.__dataclass_fields__}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Task":
        """Back from :meth:`to_dict`."""
        return cls(**document | {name: tuple(document[name]) for name in ("columns", "labels", "text_columns")})


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows with their targets.

    Attributes
    ----------
    rows : Rows
    targets : ndarray of shape (n_rows,)
        Numbers as float64, labels as objects.
    """

    rows: Rows
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: Any) -> "Sample":
        """Some of them, in the order given."""
        return Sample(self.rows.take(places), self.targets[np.asarray(places, dtype=np.int64)])


def stand_in_for(task: Task, targets: np.ndarray) -> Any:
    """What is predicted where there is nothing to go by: the mean, or the most frequent label, of equal ones the first."""
    if task.is_regression:
        return float(targets.mean())
    counts = Counter(targets.tolist())
    return max(task.labels, key=lambda label: counts[label])


def number_targets(given: Any, n_rows: int) -> np.ndarray:
    """Targets of a regression.

    Raises
    ------
    InputError
        If one is missing, no finite number, or all are the same.
    """
    values = _as_many(given, n_rows)
    if values and all(isinstance(value, str) for value in values):
        numbers = as_numbers(values)
        if numbers is None:
            odd = next(value for value in values if as_numbers([value]) is None)
            raise InputError(f"The target {odd[:40]!r} is no finite number. Regression needs numbers; VerbalClassifier takes labels.")
        values = numbers.tolist()
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"The targets are no numbers ({str(error)[:60]}). VerbalClassifier takes labels.") from error
    if numbers.ndim != 1:
        raise InputError(f"The targets have shape {numbers.shape}; expected one number a row.")
    odd = np.flatnonzero(~np.isfinite(numbers))
    if odd.size:
        raise InputError(f"The target of row {odd[0] + 1} is {numbers[odd[0]]}; expected a finite number. Leave the row out.")
    large = np.flatnonzero(np.abs(numbers) > MOST)
    if large.size:
        raise InputError(f"The target of row {large[0] + 1} is {numbers[large[0]]:g}; its square is no number. Give it in larger units.")
    return numbers


def label_targets(given: Any, n_rows: int) -> np.ndarray:
    """Targets of a classification, as texts.

    Raises
    ------
    InputError
        If one is missing.
    """
    values = _as_many(given, n_rows)
    for row, value in enumerate(values):
        if is_missing(value):
            raise InputError(f"Row {row + 1} has no label. Give it one, or leave the row out.")
    labels = np.empty(len(values), dtype=object)
    labels[:] = [whole_letters(str(plain(value))) for value in values]
    return labels


def _as_many(given: Any, n_rows: int) -> list[Any]:
    values = given.tolist() if isinstance(given, np.ndarray) else list(given)
    if len(values) != n_rows:
        raise InputError(f"There are {n_rows} rows and {len(values)} targets. Give as many of each.")
    return values
