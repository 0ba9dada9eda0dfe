"""How the parameters of a model are laid out in what is kept of a gradient, and which part of the model each tensor is of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lexframe.task_space.sketch import CoordinateSample, GradientSketch

_NUMBER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True, eq=False)
class Layout:
    """The tensors of a model and what is kept of each.

    Attributes
    ----------
    sizes : mapping of str to int
        Numbers in every tensor, by its name, in the order of the model.
    n_dims : int
        Of the sketch.
    seed : int
        Of sketch and sample.
    """

    sizes: Mapping[str, int]
    n_dims: int
    seed: int = 0

    @cached_property
    def sketch(self) -> GradientSketch:
        """How gradients become short vectors."""
        return GradientSketch(self.sizes, self.n_dims, self.seed)

    @cached_property
    def sample(self) -> CoordinateSample:
        """The parameters whose gradients are kept as they are."""
        return CoordinateSample(self.sizes, seed=self.seed)

    @cached_property
    def part_of(self) -> tuple[str, ...]:
        """The part of the model that each tensor is of: ``embedding``, ``block 0`` and so on, ``head``.

        By the first number in its name, as the blocks of every family stand in a list. What has none belongs to the embedding where it
        stands before the blocks, and to the head where it stands behind them; a tied head is part of the embedding.
        """
        numbers = [_NUMBER.search(name) for name in self.sizes]
        first = next((row for row, number in enumerate(numbers) if number), len(numbers))
        return tuple(f"block {number[1]}" if number else "embedding" if row < first else "head" for row, number in enumerate(numbers))

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, in the order of the model."""
        return tuple(dict.fromkeys(self.part_of))
