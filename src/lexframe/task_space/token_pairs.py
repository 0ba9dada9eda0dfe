"""Pairs as tokens: which of them are scored, which pairs cannot be used, and how the sides differ in length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lexframe.spaces.base.training import ScoredTokens, SequenceNetwork
from lexframe.task_space.tasks import Task


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Both sides of a pair as the model reads them."""

    good: ScoredTokens
    bad: ScoredTokens

    @property
    def is_unequal(self) -> bool:
        """Whether one side has more scored tokens than the other."""
        return len(self.good.scored) != len(self.bad.scored)

    @property
    def n_tokens(self) -> int:
        """Tokens of both sides."""
        return len(self.good.ids) + len(self.bad.ids)


@dataclass(frozen=True, slots=True)
class TokenTask:
    """A task as tokens.

    Attributes
    ----------
    name : str
    pairs : tuple of TokenPair
        Those that can be used.
    n_identical, n_too_long, n_empty, n_repeated : int
        Pairs left out: both sides are the same tokens, a side is longer than the model reads, a side has nothing that is scored, or the
        pair stands there already. A pair that stood in both halves of a task would make it agree with itself.
    """

    name: str
    pairs: tuple[TokenPair, ...]
    n_identical: int
    n_too_long: int
    n_empty: int
    n_repeated: int

    @property
    def unequal(self) -> float:
        """Share of pairs whose sides differ in their number of scored tokens."""
        return float(np.mean([pair.is_unequal for pair in self.pairs])) if self.pairs else 0.0

    @property
    def left_out(self) -> str:
        """Such as ``"3 with identical sides, 2 beyond the context"``; empty where nothing was left out."""
        counts = (
            (self.n_identical, "with identical sides"),
            (self.n_too_long, "beyond the context"),
            (self.n_empty, "with a side of which nothing is scored"),
            (self.n_repeated, "that stand there twice"),
        )
        return ", ".join(f"{number} {what}" for number, what in counts if number)


def tokenized(network: SequenceNetwork, task: Task, *, contrast_only: bool = False) -> TokenTask:
    """The pairs of a task as tokens.

    Parameters
    ----------
    network : SequenceNetwork
        Whose tokens they are.
    task : Task
    contrast_only : bool
        Score only the tokens from the first to the last that differ.

    Returns
    -------
    TokenTask
    """
    prompts = [pair.prompt for pair in task.pairs]
    good = network.tokens(prompts, [pair.good for pair in task.pairs])
    bad = network.tokens(prompts, [pair.bad for pair in task.pairs])
    kept: dict[tuple[ScoredTokens, ScoredTokens], TokenPair] = {}
    n_identical = n_too_long = n_empty = 0
    for one, other in zip(good, bad, strict=True):
        if one.ids == other.ids:
            n_identical += 1
        elif max(len(one.ids), len(other.ids)) > network.max_length:
            n_too_long += 1
        elif not one.scored or not other.scored:
            n_empty += 1
        else:
            kept[one, other] = contrast(one, other) if contrast_only else TokenPair(one, other)
    n_repeated = len(task.pairs) - n_identical - n_too_long - n_empty - len(kept)
    return TokenTask(task.name, tuple(kept.values()), n_identical, n_too_long, n_empty, n_repeated)


def contrast(good: ScoredTokens, bad: ScoredTokens) -> TokenPair:
    """A pair in which only the tokens count in which the sides differ, from the first to the last.

    Where one side lacks a token that the other has, such as an ending, the token after it counts on both sides: a side of which nothing
    is scored would say nothing.

    Parameters
    ----------
    good, bad : ScoredTokens
        That differ.
    """
    start, end = _common(good.ids, bad.ids)
    while True:
        sides = [_within(side, start, len(side.ids) - end) for side in (good, bad)]
        if all(side.scored for side in sides) or start == end == 0:
            return TokenPair(*sides)
        start, end = (start, end - 1) if end else (start - 1, end)


def _common(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """Tokens that two texts share at the beginning, and at the end behind that."""
    shorter = min(len(one), len(other))
    start = next((place for place in range(shorter) if one[place] != other[place]), shorter)
    end = next((place for place in range(shorter - start) if one[-1 - place] != other[-1 - place]), shorter - start)
    return start, end


def _within(side: ScoredTokens, start: int, stop: int) -> ScoredTokens:
    return replace(side, scored=tuple(place for place in side.scored if start <= place < stop))
