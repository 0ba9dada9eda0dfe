r"""Short vectors that stand for gradients of all parameters: inner products are kept, with an error that is known.

A tensor of n numbers is folded into k sums of numbers with random signs: number i goes to place i mod k (the count sketch of Charikar,
Chen and Farach-Colton, 2002, with places in turn). Inner products are right on average; their variance is at most
:math:`(\lVert x \rVert^2 \lVert y \rVert^2 + (x \cdot y)^2) / k` where no place gathers more
than its share. k has no divisor in common with n, so that a column of a matrix is spread over all places.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lexframe.exceptions import InputError
from lexframe.task_space.settings import LEAST_DIMS

LEAST = LEAST_DIMS
"""Sums of a tensor at least; smaller tensors are kept as they are."""


@dataclass(frozen=True, eq=False)
class GradientSketch:
    """How gradients of a model become short vectors.

    Attributes
    ----------
    sizes : mapping of str to int
        Numbers in every tensor, by its name, in the order of the model.
    n_dims : int
        About how many numbers a sketch has; a tensor gets its share, and 255 at least.
    seed : int
        Of the signs.
    """

    sizes: Mapping[str, int]
    n_dims: int = 131_072
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_dims < LEAST:
            raise InputError(f"n_dims is {self.n_dims}; expected {LEAST} or more, or the error is larger than what is measured.")

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """Numbers that stand for each tensor."""
        total = sum(self.sizes.values())
        shares = ((size, range(max(LEAST, self.n_dims * size // total), size)) for size in self.sizes.values())
        return tuple(next((k for k in share if math.gcd(k, size) == 1), size) for size, share in shares)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the numbers of each tensor begin, and the end of the last."""
        return np.concatenate([[0], np.cumsum(self.dims)])

    @cached_property
    def _signs(self) -> list[Tensor | None]:
        """A sign for every number, a byte each; None where nothing is folded."""
        generator = torch.Generator().manual_seed(self.seed)
        folded = zip(self.sizes.values(), self.dims, strict=True)
        return [
            None if size == k else torch.randint(0, 2, (size,), dtype=torch.int8, generator=generator).mul_(2).sub_(1) for size, k in folded
        ]

    def of(self, gradients: Sequence[Tensor]) -> Float[np.ndarray, " n"]:
        """The sketch of a gradient.

        Parameters
        ----------
        gradients : sequence of Tensor
            One of each tensor, in their order.

        Returns
        -------
        ndarray of shape (sum(dims),), float32
        """
        return np.concatenate([self.of_tensor(number, each) for number, each in enumerate(gradients)])

    def of_tensor(self, number: int, gradient: Tensor) -> Float[np.ndarray, " k"]:
        """The part of a sketch that stands for one tensor.

        Parameters
        ----------
        number : int
            Of the tensor.
        gradient : Tensor
        """
        return _folded(gradient.detach().flatten(), self._signs[number], self.dims[number]).cpu().numpy()

    def error(self, sketches: Float[np.ndarray, "n_vectors n"]) -> float:
        """Standard error of the cosine of two gradients like these that are at right angles, from what the sketch leaves out.

        Parameters
        ----------
        sketches : ndarray of shape (n_vectors, n)
            As :meth:`of` gives them, of the vectors that are compared.

        Returns
        -------
        float
            0 where no tensor is folded.
        """
        squares = np.add.reduceat(sketches.astype(np.float64) ** 2, self.starts[:-1], axis=1)
        shares = squares / np.maximum(squares.sum(axis=1, keepdims=True), 1e-300)
        k = np.array(self.dims, dtype=np.float64)
        folded = np.array([size != dims for size, dims in zip(self.sizes.values(), self.dims, strict=True)])
        return float(np.sqrt(np.mean((shares**2 / k)[:, folded].sum(axis=1))))


def _folded(numbers: Tensor, signs: Tensor | None, k: int) -> Tensor:
    if signs is None:
        return numbers.float()
    whole = len(numbers) // k * k
    signed = numbers * signs.to(numbers.device)
    sums = signed[:whole].view(-1, k).sum(dim=0)
    sums[: len(numbers) - whole] += signed[whole:]
    return sums.float()


@dataclass(frozen=True, eq=False)
class CoordinateSample:
    """Some numbers of every tensor, the same each time: what is counted among them is counted in all, with the error of a sample.

    Attributes
    ----------
    sizes : mapping of str to int
        As in :class:`GradientSketch`.
    n_coordinates : int
        About how many in all; a tensor gives its share, and 128 at least.
    seed : int
        Of the draw.
    """

    sizes: Mapping[str, int]
    n_coordinates: int = 65_536
    seed: int = 0

    @cached_property
    def places(self) -> list[Tensor]:
        """The places drawn in each tensor, rising."""
        rng = np.random.default_rng(self.seed)
        total = sum(self.sizes.values())
        counts = [min(size, max(128, self.n_coordinates * size // total)) for size in self.sizes.values()]
        drawn = zip(self.sizes.values(), counts, strict=True)
        return [torch.from_numpy(np.sort(rng.choice(size, size=count, replace=False))) for size, count in drawn]

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the numbers of each tensor begin, and the end of the last."""
        return np.concatenate([[0], np.cumsum([len(places) for places in self.places])])

    def of(self, gradients: Sequence[Tensor]) -> Float[np.ndarray, " n"]:
        """The numbers at the places drawn, float32.

        Parameters
        ----------
        gradients : sequence of Tensor
            One of each tensor, in their order.
        """
        return np.concatenate([self.of_tensor(number, each) for number, each in enumerate(gradients)])

    def of_tensor(self, number: int, gradient: Tensor) -> Float[np.ndarray, " k"]:
        """The numbers at the places drawn in one tensor.

        Parameters
        ----------
        number : int
            Of the tensor.
        gradient : Tensor
        """
        return gradient.detach().flatten()[self.places[number].to(gradient.device)].float().cpu().numpy()
