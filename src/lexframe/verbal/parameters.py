"""Parameters that are text: sentences, with a block that is executed or with examples that are shown."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexframe.verbal.language import Formula, Lookup, Program, Rules
from lexframe.verbal.rows import number_text
from lexframe.verbal.task import Task

HEADINGS: dict[str, type[Program]] = {"Formula": Formula, "Rules": Rules, "Lookup": Lookup}
"""Over a block, and what it is read as."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a model, θ in the paper.

    Attributes
    ----------
    sentences : str
    program : Program or None
        What is executed in place of asking the model.
    examples : tuple of (str, str)
        Rows and targets as a prompt shows them.
    """

    sentences: str
    program: Program | None = None
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """All of it, as a prompt and a page show it."""
        parts = [self.sentences]
        if self.program is not None:
            parts.append(f"{heading_of(self.program)}:\n{self.program.source}")
        if self.examples:
            parts.append("Examples:\n" + "\n".join(f"{row} -> {target}" for row, target in self.examples))
        return "\n\n".join(parts)

    @property
    def digest(self) -> str:
        """Twelve hex digits of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        program = None if self.program is None else {"kind": heading_of(self.program), "source": self.program.source}
        return {"sentences": self.sentences, "program": program, "examples": [list(pair) for pair in self.examples]}

    @classmethod
    def from_dict(cls, document: dict[str, Any], task: Task) -> "Parameters":
        """Back from :meth:`to_dict`."""
        kept = document["program"]
        program = None if kept is None else read_program(kept["kind"], kept["source"], task)
        return cls(document["sentences"], program, tuple((row, target) for row, target in document["examples"]))


def first_parameters(task: Task, stand_in: float | str) -> Parameters:
    """Those that training begins with: what is predicted, the prior, and where parameters are executed a program that always says the same.

    Parameters
    ----------
    task : Task
    stand_in : float or str
        What the program says: the mean of the targets, or the label that is most frequent.
    """
    if task.kind != "program":
        return Parameters(task.first_sentences)
    if task.is_regression:
        return Parameters(task.first_sentences, Formula.parse(number_text(float(stand_in), task.digits), task.columns))
    return Parameters(task.first_sentences, Rules.parse(f'else "{stand_in}"', task.columns, task.labels))


def heading_of(program: Program) -> str:
    """What stands over a program of this kind in a prompt."""
    return next(heading for heading, kind in HEADINGS.items() if isinstance(program, kind))


def block_headings(task: Task) -> tuple[str, ...]:
    """Over the blocks that parameters of this task may hold."""
    if task.kind != "program":
        return ()
    return ("Formula",) if task.is_regression else ("Rules", "Lookup") if task.reads_text else ("Rules",)


def read_program(heading: str, source: str, task: Task) -> Program:
    """The program that a block holds.

    Parameters
    ----------
    heading : str
        One of :func:`block_headings`.
    source : str
        Untrusted.
    task : Task

    Raises
    ------
    ProgramError
        If it is none in the language, or takes a text for a number.
    """
    if heading == "Formula":
        program: Program = Formula.parse(source, task.columns)
    else:
        program = Rules.parse(source, task.columns, task.labels) if heading == "Rules" else Lookup.parse(source, task.labels)
    blank = {name: np.array([""], dtype=object) if name in task.text_columns else np.ones(1) for name in task.columns}
    program.predict(blank)
    return program
