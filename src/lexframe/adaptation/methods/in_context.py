"""In-context learning: labeled texts stand in front of the text, and the model goes on. Nothing is learnt.

A prompt is a row of demonstrations, each the space's template filled with a labeled text, then the label's first word
and an empty line; the text comes last, in the template. It holds as many whole demonstrations as the context has room for.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32, Int

from lexframe.adaptation.encoded_texts import label_scores
from lexframe.adaptation.methods.zero_shot import ZeroShot
from lexframe.adaptation.problem import Classifier, Method, Probabilities, Problem, Rows
from lexframe.exceptions import InputError
from lexframe.linalg import cosine, softmax
from lexframe.spaces.base import PromptSpace, Space
from lexframe.spaces.precision import fast_products
from lexframe.spaces.templates import Template
from lexframe.typing import Points

SEPARATOR = "\n\n"
"""Stands after every demonstration."""

Counts = Int[np.ndarray, " n_texts"]
Order = Int[np.ndarray, "n_texts n_candidates"]
OrderFunction = Callable[[Rows, int], Order]


def prompt_obstacle(space: Space) -> str | None:
    """Why `space` cannot go on from a prompt, in a sentence that says what to do; None if it can."""
    if not isinstance(space, PromptSpace):
        return f"{type(space).__name__} does not go on from a prompt; use a causal language model, such as gpt2."
    if not space.predicts_next_token:
        name = space.fingerprint.model
        return f"{name} is a masked language model, which does not go on from a prompt; use a causal one, such as gpt2."
    return None


def require_causal(space: Space) -> PromptSpace:
    """The space as one that goes on from a prompt.

    Raises
    ------
    InputError
        If it does not.
    """
    obstacle = prompt_obstacle(space)
    if obstacle is not None:
        raise InputError(obstacle)
    assert isinstance(space, PromptSpace)
    return space


def demonstration(template: Template, text: str, word: str) -> str:
    """A labeled text as it stands in a prompt: template, a blank unless there is one, the label's word, an empty line."""
    filled = template.fill(text)
    return f"{filled}{'' if filled[-1:].isspace() else ' '}{word}{SEPARATOR}"


def prompt(template: Template, demonstrations: Sequence[str], text: str) -> str:
    """Demonstrations, then the text in the template, for the model to go on."""
    return "".join(demonstrations) + template.fill(text)


def shortened(space: PromptSpace, texts: Sequence[str], most_tokens: int) -> list[str]:
    """Texts of at most `most_tokens` tokens: longer ones are cut on the right, after a whole word where there are blanks.

    A text is never cut to less than one character.
    """
    results = list(texts)
    pending = list(range(len(results)))
    while pending:
        counts = space.prompt_lengths([results[i] for i in pending])
        too_long = [(i, count) for i, count in zip(pending, counts.tolist(), strict=True) if count > most_tokens and len(results[i]) > 1]
        for i, count in too_long:
            cut = results[i][: max(1, len(results[i]) * most_tokens // count)]
            results[i] = cut.rpartition(" ")[0].rstrip() or cut
        pending = [i for i, _ in too_long]
    return results


def balanced_order(y: Rows, seed: int) -> Rows:
    """Positions of `y` in rounds: each round holds one of every class that has one left, shuffled.

    So the first k of them are balanced over classes, whatever k is.
    """
    rng = np.random.default_rng(seed)
    members = [rng.permutation(np.flatnonzero(y == number)).tolist() for number in np.unique(y)]
    rounds = ([i for i in taken if i is not None] for taken in zip_longest(*members))
    return np.array([i for taken in rounds for i in rng.permutation(taken).tolist()], dtype=np.int64)


def nearest_order(points: Points, labeled: Float32[np.ndarray, "n_labeled n_dims"], most: int) -> Order:
    """For each point, the `most` labeled points with the largest cosine, largest first; centered on the labeled points."""
    center = labeled.mean(axis=0, dtype=np.float64)
    order = np.empty((len(points), min(most, len(labeled))), dtype=np.int64)
    for start in range(0, len(points), 512):  # never all similarities at once
        similarity = cosine(points[start : start + 512] - center, labeled - center)
        order[start : start + 512] = np.argsort(-similarity, axis=1, kind="stable")[:, : order.shape[1]]
    return order


@dataclass(frozen=True)
class Prompts:
    """Builds prompts that fit into the context.

    Attributes
    ----------
    reader : PromptSpace
        See :meth:`~lexframe.spaces.base.PromptSpace.prompt_reader`; says what fits.
    template : Template
        Around every text.
    demonstrations : tuple of str
        See :func:`demonstration`.
    lengths : ndarray of int, shape (n_demonstrations,)
        Tokens that each takes in a row of demonstrations.
    """

    reader: PromptSpace
    template: Template
    demonstrations: tuple[str, ...]
    lengths: Counts

    @classmethod
    def of(cls, reader: PromptSpace, template: Template, demonstrations: Sequence[str]) -> "Prompts":
        """Measure the demonstrations: each between two others, because tokens may join across their border."""
        twice = reader.prompt_lengths([text + text for text in demonstrations])
        return cls(reader, template, tuple(demonstrations), twice - reader.prompt_lengths(demonstrations))

    @property
    def max_length(self) -> int:
        """Tokens of the context."""
        return self.reader.max_length

    @property
    def most(self) -> int:
        """Demonstrations that no prompt can exceed: as many of the shortest as the context holds."""
        return int((np.cumsum(np.sort(self.lengths)) <= self.max_length).sum())

    def fill(self, texts: Sequence[str], order: Order, *, reverse: bool) -> tuple[list[str], Counts]:
        """A prompt a text, and the number of demonstrations in it.

        Parameters
        ----------
        texts : sequence of str
            What the model is asked about; never cut. A text that fills the context by itself stands alone.
        order : ndarray of int, shape (n_texts, n_candidates)
            Demonstrations of each text; where the context ends, the later ones are left out.
        reverse : bool
            Whether the first in `order` stands last in the prompt, next to the text.
        """
        prompts = [prompt(self.template, (), text) for text in texts]
        # One token more than there is room for: joining may save one, and what does not fit is taken out below.
        room = self.max_length + 1 - self.reader.prompt_lengths(prompts)
        numbers = (np.cumsum(self.lengths[order], axis=1) <= room[:, np.newaxis]).sum(axis=1).astype(np.int64)
        pending = np.flatnonzero(numbers).tolist()
        while pending:
            for i in pending:
                prompts[i] = self._prompt(texts[i], order[i, : numbers[i]], reverse=reverse)
            too_long = self.reader.truncated([prompts[i] for i in pending]).tolist()
            pending = [i for i, cut in zip(pending, too_long, strict=True) if cut]
            numbers[pending] -= 1
        return prompts, numbers

    def _prompt(self, text: str, chosen: Counts, *, reverse: bool) -> str:
        shown = [self.demonstrations[i] for i in chosen.tolist()]
        return prompt(self.template, shown[::-1] if reverse else shown, text)


@dataclass
class InContextClassifier:
    """Answers to prompts with demonstrations; zero-shot where not even one fits.

    Attributes
    ----------
    problem : Problem
    prompts : Prompts
    order : callable
        From rows and a number to so many demonstrations of each row, the one to leave out last first.
    nested : bool
        Whether prompts of all rows begin alike, so that those with equally many demonstrations share them all; otherwise
        the first of the order stands next to the text.
    choices : dict
        ``without_demonstrations`` counts the texts, among those predicted so far, that got the zero-shot answer, and
        ``demonstrations`` is their mean number of demonstrations.
    n_parameters : int
        0: nothing is learnt.
    """

    problem: Problem
    prompts: Prompts
    order: OrderFunction
    nested: bool
    choices: dict[str, Any]
    n_parameters: int = 0
    _numbers: dict[int, int] = field(default_factory=dict, init=False, repr=False)

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probability of each label for rows of the problem's encoded texts."""
        prompts, numbers = self.filled(rows)
        probabilities = np.empty((len(rows), self.problem.n_labels))
        alone = np.flatnonzero(numbers == 0)
        if len(alone):
            probabilities[alone] = ZeroShot().fit(self.problem).predict_proba(rows[alone])
        for group in self._groups(numbers):
            reader = self.prompts.reader
            with fast_products(reader.device):
                points = reader.encode([prompts[i] for i in group], batch_size=self.problem.encoded.batch_size)
            probabilities[group] = softmax(label_scores(self.prompts.reader, points, self.problem.words()))
        self._record(rows, numbers)
        return probabilities

    def filled(self, rows: Rows) -> tuple[list[str], Counts]:
        """The prompts of `rows`, and how many demonstrations each holds."""
        order = self.order(rows, self.prompts.most)
        return self.prompts.fill(self.problem.texts(rows), order, reverse=not self.nested)

    def _groups(self, numbers: Counts) -> list[np.ndarray]:
        shown = np.flatnonzero(numbers)
        if not self.nested:
            return [shown] if len(shown) else []
        return [np.flatnonzero(numbers == number) for number in np.unique(numbers[shown])]

    def _record(self, rows: Rows, numbers: Counts) -> None:
        self._numbers.update(zip(rows.tolist(), numbers.tolist(), strict=True))
        shown = list(self._numbers.values())
        self.choices["without_demonstrations"] = shown.count(0)
        self.choices["demonstrations"] = float(np.mean(shown)) if shown else 0.0


class InContext(Method):
    """In-context learning; what differs is which demonstrations a text gets.

    Parameters
    ----------
    longest_share : float
        Most of the context that the text of one demonstration takes, in (0, 1]; longer texts are cut on the right.

    Notes
    -----
    The context is that of the space, so a space with a smaller `max_length` costs less and shows fewer demonstrations.
    """

    family = "prompts"
    nested: ClassVar[bool]

    def __init__(self, *, longest_share: float = 0.2):
        if not 0 < longest_share <= 1:
            raise InputError(f"longest_share is {longest_share}; expected a share of the context, above 0 and at most 1.")
        self.longest_share = longest_share

    def obstacle(self, space: Space) -> str | None:
        """Needs a causal language model."""
        return prompt_obstacle(space)

    def fit(self, problem: Problem) -> Classifier:
        """Write the demonstrations; nothing is learnt."""
        space = require_causal(problem.space)
        max_length, template = space.max_length, space.template
        candidates = self._candidates(problem, max_length)
        texts, words = problem.texts(problem.rows[candidates]), problem.words()
        kept = shortened(space, texts, max(1, int(self.longest_share * max_length)))
        demonstrations = [demonstration(template, text, words[label][0]) for text, label in zip(kept, problem.y[candidates], strict=True)]
        choices = {
            "longest_share": self.longest_share,
            "shortened": sum(text != whole for text, whole in zip(kept, texts, strict=True)),
            "without_demonstrations": 0,
        }
        prompts = Prompts.of(space.prompt_reader(), template, demonstrations)
        return InContextClassifier(problem, prompts, self._order(problem), self.nested, choices)

    @abstractmethod
    def _candidates(self, problem: Problem, max_length: int) -> Rows:
        """Positions in the labeled rows that may be shown."""

    @abstractmethod
    def _order(self, problem: Problem) -> OrderFunction:
        """Which candidates a text gets, the one to leave out last first."""


class RandomInContext(InContext):
    """The same demonstrations for every text: drawn at random, balanced over classes, in shuffled order."""

    name = "icl-random"
    description = "prompts with random labeled texts in front"
    nested = True

    def _candidates(self, problem: Problem, max_length: int) -> Rows:
        return balanced_order(problem.y, problem.seed)[:max_length]  # a demonstration has a token at least

    def _order(self, problem: Problem) -> OrderFunction:
        return lambda rows, most: np.tile(np.arange(most), (len(rows), 1))


class NearestInContext(InContext):
    """The labeled texts that are nearest to each text in the space, the nearest last, next to the text."""

    name = "icl-nearest"
    description = "prompts with the nearest labeled texts in front"
    nested = False

    def _candidates(self, problem: Problem, max_length: int) -> Rows:
        return np.arange(len(problem.rows))

    def _order(self, problem: Problem) -> OrderFunction:
        def order(rows: Rows, most: int) -> Order:
            points = problem.encoded.points
            return nearest_order(points[rows], points[problem.rows], most)

        return order
