"""The contract of an optimizer: it sees where training stands, asks, and returns a proposal."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lexframe.verbal.asking import Answer, Ask, Asking, Failure
from lexframe.verbal.clients.base import Grammar, Message, Request
from lexframe.verbal.language import formula_grammar, rules_grammar
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.parsing import DESCRIPTIONS, REASONING, parse_proposal
from lexframe.verbal.prompts import PROPOSE, Seen
from lexframe.verbal.task import Task


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier step of the same chain.

    Attributes
    ----------
    question, reply : str
        What was asked and what came back.
    loss_before, loss_after : float
        On held-out rows.
    accepted : bool
    """

    question: str
    reply: str
    loss_before: float
    loss_after: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """How proposals are asked for.

    Attributes
    ----------
    max_tokens : int
    temperature : float
    seed : int
        Of this proposal alone.
    constrained : bool
        Hold the answer to the format, where a client can.
    """

    max_tokens: int
    temperature: float
    seed: int
    constrained: bool


@dataclass(frozen=True, slots=True)
class TrainingView:
    """Where a chain stands; nothing of any test row is in it.

    Attributes
    ----------
    task : Task
    parameters : Parameters
        The current ones.
    seen : tuple of Seen
        The batch.
    best : tuple of (Parameters, float)
        The best so far with their losses on held-out rows, the best first.
    past : tuple of Past
        The last steps of this chain, the oldest first.
    loss_name : str
    asked : Asked
    """

    task: Task
    parameters: Parameters
    seen: tuple[Seen, ...]
    best: tuple[tuple[Parameters, float], ...]
    past: tuple[Past, ...]
    loss_name: str
    asked: Asked

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """Rows and targets of the batch."""
        return tuple((each.row, each.target) for each in self.seen)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an optimizer came to.

    Attributes
    ----------
    parameters : Parameters or None
        None where no answer could be read.
    reasoning : str
        Its own words.
    question, reply : str
        The last call.
    failures : tuple of Failure
    """

    parameters: Parameters | None
    reasoning: str
    question: str
    reply: str
    failures: tuple[Failure, ...]


class Optimizer(ABC):
    """A way to propose parameters.

    Attributes
    ----------
    name : str
        As it is chosen.
    calls : int
        Of a proposal whose answers can be read.
    says : str
        What it does, in a few words.
    """

    name: ClassVar[str]
    calls: ClassVar[int] = 1
    says: ClassVar[str]
    reads_rows: ClassVar[bool] = True
    """Whether it needs the outputs of the current model on a batch."""

    @abstractmethod
    def propose(self, view: TrainingView) -> Asking:
        """A procedure that yields asks, is sent their answers, and returns a :class:`Proposal`."""


def ask_for_parameters(view: TrainingView, messages: Sequence[Message]) -> Ask:
    """The ask whose answer holds new parameters."""
    task, asked = view.task, view.asked
    grammar = proposal_grammar(task, len(view.seen)) if asked.constrained else None
    request = Request(tuple(messages), asked.max_tokens, asked.temperature, asked.seed, "propose", grammar)
    return Ask(request, lambda text: parse_proposal(text, task, view.shown))


def proposal_of(answer: Answer, question: str, failures: Sequence[Failure] = ()) -> Proposal:
    """What an answer to :func:`ask_for_parameters` came to."""
    every = (*failures, *answer.failures)
    if answer.value is None:
        return Proposal(None, "", question, answer.text, every)
    return Proposal(answer.value.parameters, answer.value.reasoning, question, answer.text, every)


def opening() -> str:
    """The first lines of a prompt of an optimizer."""
    return f"# {PROPOSE}\n\nYou improve a model whose parameters are the pattern descriptions below. It follows them, and nothing else."


_SENTENCE = "/[A-Z][A-Za-z0-9 ,.;:'()+*=<>-]{8,100}/"
"""Of a constrained answer: one line that begins like a sentence."""


def proposal_grammar(task: Task, n_rows: int) -> Grammar:
    """What a constrained proposal looks like: headings, a line under each, and a block that can be executed.

    Parameters
    ----------
    task : Task
    n_rows : int
        Of the batch, for the numbers of examples.
    """
    lines = [f'"{REASONING}: " SENTENCE "\\n{DESCRIPTIONS}: " SENTENCE']
    rest = f"SENTENCE: {_SENTENCE}\n"
    if task.kind == "program":
        grammar = formula_grammar(task.columns) if task.is_regression else rules_grammar(task.columns, task.labels, task.reads_text)
        heading = "Formula" if task.is_regression else "Rules"
        lines.append(f'"\\n{heading}: " block')
        rest += grammar.replace("start:", "block:", 1)
    elif task.kind == "examples":
        lines.append('"\\nExamples: " NUMBER (", " NUMBER)~0..3')
        rest += f"NUMBER: /{'|'.join(str(number) for number in range(n_rows, 0, -1))}/\n"
    return Grammar("lark", f"start: {' '.join(lines)}\n{rest}")
