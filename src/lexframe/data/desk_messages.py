"""``desk``: 1,200 short messages to a front desk, written for this project, in 8 categories under 3 parents."""

import gzip
import json
from dataclasses import dataclass
from importlib import resources

from lexframe.data.readers import Table
from lexframe.exceptions import InputError

PARENTS = {
    "billing": "money",
    "refund": "money",
    "login": "technical",
    "software": "technical",
    "hardware": "technical",
    "delivery": "service",
    "booking": "service",
    "feedback": "service",
}
"""Parent of each category."""


@dataclass(frozen=True, slots=True)
class NoisyLabels:
    """The training messages with one label in twenty planted wrong.

    Attributes
    ----------
    table : Table
        Messages with the labels as given, wrong ones included.
    true_labels : tuple of str
    planted : tuple of bool
        Which labels are wrong.
    """

    table: Table
    true_labels: tuple[str, ...]
    planted: tuple[bool, ...]


def desk(split: str = "train") -> Table:
    """Messages of one split of the data set that ships with the package.

    Parameters
    ----------
    split : {"train", "test"}
        800 or 400 messages, 100 or 50 a category.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        If there is no such split.
    """
    if split not in ("train", "test"):
        raise InputError(f"desk has no split {split!r}; it has 'train' and 'test'.")
    rows = _rows(split)
    return Table(tuple(row["text"] for row in rows), tuple(row["label"] for row in rows), f"desk/{split}", 0, tuple(range(len(rows))))


def desk_noisy_labels() -> NoisyLabels:
    """The training split with planted wrong labels whose truth is known."""
    rows = _rows("noisy_labels")
    table = Table(tuple(row["text"] for row in rows), tuple(row["label"] for row in rows), "desk/noisy_labels", 0, tuple(range(len(rows))))
    return NoisyLabels(table, tuple(row["true_label"] for row in rows), tuple(row["planted"] for row in rows))


def _rows(name: str) -> list[dict]:
    data = (resources.files("lexframe.data") / "files" / f"desk_{name}.jsonl.gz").read_bytes()
    return [json.loads(line) for line in gzip.decompress(data).decode().splitlines()]
