"""A task that demonstrations show: pairs of an input and an output, and how they are written as a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lexframe.exceptions import InputError

Pair = tuple[str, str]
_PLACES = ("{input}", "{separator}", "{output}")


@dataclass(frozen=True, slots=True)
class Task:
    r"""What is to be done with an input, told by pairs.

    Attributes
    ----------
    name : str
        For tables and charts.
    pairs : tuple of (str, str)
        Input and output. An input stands once: every question has one answer.
    separator : str
        What stands behind an input and asks for the output, such as ``" ->"`` or ``"\nA:"``. Vectors are read at its last token.
    template : str
        A demonstration, with ``{input}``, ``{separator}`` and ``{output}`` in this order. A question ends with the separator. Let
        something stand in front of the input: what a model reads first becomes the place that all attention rests on when there is nothing
        to look at, and a word read there is lost to later layers, unless the tokenizer puts a token of its own in front.

    Raises
    ------
    InputError
        If there are no pairs, an input has two outputs or stands twice, a side is blank, or the template lacks a place.
    """

    name: str
    pairs: tuple[Pair, ...]
    separator: str = " ->"
    template: str = "\n{input}{separator} {output}"

    def __post_init__(self) -> None:
        if not self.pairs:
            raise InputError(f"The task {self.name!r} has no pairs. Give some input and output, such as ('hot', 'cold').")
        inputs = [source for source, _ in self.pairs]
        doubled = sorted({source for source in inputs if inputs.count(source) > 1})
        if doubled:
            raise InputError(f"The task {self.name!r} has {doubled[0]!r} as an input more than once. Keep one output for each input.")
        blank = [pair for pair in self.pairs if not (pair[0].strip() and pair[1].strip())]
        if blank:
            raise InputError(f"The task {self.name!r} has a pair with a blank side: {blank[0]!r}. Fill it or leave the pair out.")
        places = [self.template.find(place) for place in _PLACES]
        if min(places) < 0 or places != sorted(places) or any(self.template.count(place) > 1 for place in _PLACES):
            raise InputError(
                f"The template {self.template!r} of the task {self.name!r} must hold {', '.join(_PLACES)}, each once and in this order."
            )

    def prompt(self, demonstrations: Sequence[Pair], query: str) -> str:
        """Demonstrations, and then a question that ends with the separator."""
        before, rest = self.template.split("{input}")
        between, rest = rest.split("{separator}")
        ahead, after = rest.split("{output}")
        shown = "".join(f"{before}{source}{between}{self.separator}{ahead}{target}{after}" for source, target in demonstrations)
        # The blank in front of an answer belongs to the answer's first token.
        return f"{shown}{before}{query}{between}{self.separator}{ahead.rstrip()}"


@dataclass(frozen=True, slots=True)
class Split:
    """The pairs of a task in three parts.

    Attributes
    ----------
    shown : tuple of (str, str)
        Demonstrations and dummy queries come from here alone.
    development : tuple of (str, str)
        Questions that the layer is chosen on.
    test : tuple of (str, str)
        Questions that are reported.
    """

    shown: tuple[Pair, ...]
    development: tuple[Pair, ...]
    test: tuple[Pair, ...]


def split_pairs(task: Task, *, n_shots: int, rng: np.random.Generator, development: float = 0.2, test: float = 0.3) -> Split:
    """Draw a split; most pairs are shown.

    Parameters
    ----------
    task : Task
    n_shots : int
        Demonstrations of a prompt; one more pair must be left for the dummy query.
    rng : numpy.random.Generator
        Draws the order.
    development, test : float
        Shares of the pairs; the test share of the function vectors paper is 0.3.

    Raises
    ------
    InputError
        If too few pairs are left to be shown.
    """
    n_pairs = len(task.pairs)
    n_development, n_test = max(1, round(development * n_pairs)), max(1, round(test * n_pairs))
    n_shown = n_pairs - n_development - n_test
    if n_shots < 1 or n_shown < n_shots + 1:
        raise InputError(
            f"The task {task.name!r} has {n_pairs} pairs: {n_development} for development, {n_test} for the test and {max(n_shown, 0)} to "
            f"show, but {n_shots} shots need at least 1 shot and {n_shots + 1} pairs to show. Give more pairs or ask for fewer shots."
        )
    order = [task.pairs[row] for row in rng.permutation(n_pairs)]
    return Split(tuple(order[:n_shown]), tuple(order[n_shown : n_shown + n_development]), tuple(order[n_shown + n_development :]))


def draw_prompts(
    task: Task,
    queries: Sequence[str],
    shown: Sequence[Pair],
    *,
    n_shots: int,
    rng: np.random.Generator,
    shuffled: bool = False,
) -> list[str]:
    """A prompt for each query, with demonstrations of its own draw that never show the query itself.

    Parameters
    ----------
    task : Task
        How prompts are written.
    queries : sequence of str
        Inputs to ask for.
    shown : sequence of (str, str)
        Pairs to draw from.
    n_shots : int
        Demonstrations of a prompt; 0 gives the question alone.
    rng : numpy.random.Generator
        Draws demonstrations and their order.
    shuffled : bool
        Give every demonstration the output of another one.

    Raises
    ------
    InputError
        If fewer pairs than shots are left without the query, or a single output is to be shuffled.
    """
    if shuffled and n_shots < 2:
        raise InputError(f"{n_shots} shots cannot have their outputs shuffled. Ask for 2 or more.")
    prompts = []
    for query in queries:
        pool = [pair for pair in shown if pair[0] != query]
        if len(pool) < n_shots:
            raise InputError(f"The task {task.name!r} has {len(pool)} pairs to show beside {query!r}, fewer than the {n_shots} shots.")
        drawn = [pool[row] for row in rng.permutation(len(pool))[:n_shots]]
        if shuffled:
            turn = int(rng.integers(1, n_shots))
            drawn = [(source, drawn[(row + turn) % n_shots][1]) for row, (source, _) in enumerate(drawn)]
        prompts.append(task.prompt(drawn, query))
    return prompts


def draw_dummies(
    task: Task, shown: Sequence[Pair], *, n_shots: int, n_prompts: int, rng: np.random.Generator, shuffled: bool = False
) -> list[str]:
    """Prompts with dummy queries that are shown pairs themselves; see :func:`draw_prompts`."""
    queries = [shown[row][0] for row in rng.integers(0, len(shown), n_prompts)]
    return draw_prompts(task, queries, shown, n_shots=n_shots, rng=rng, shuffled=shuffled)
