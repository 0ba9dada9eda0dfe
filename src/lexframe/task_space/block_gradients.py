"""Gradients of blocks of pairs as they are kept: a sketch of all numbers and a sample of some. This is what runs in every process."""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from lexframe.spaces.base import Space
from lexframe.spaces.base.training import GradientSpace
from lexframe.task_space.gradients import derived, not_finite, passes, trained_parameters
from lexframe.task_space.layout import Layout
from lexframe.task_space.ordinary_text import OrdinaryText
from lexframe.task_space.settings import GradientSettings
from lexframe.task_space.token_pairs import TokenPair


@dataclass(frozen=True, slots=True)
class Measuring:
    """How blocks are measured, the same for all of a run.

    Attributes
    ----------
    settings : GradientSettings
    ordinary : str or None
        File of :class:`~lexframe.task_space.ordinary_text.OrdinaryText`, where the settings need it.
    seed : int
        Of the sketch and the sample.
    """

    settings: GradientSettings
    ordinary: str | None
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class BlockGradients:
    """What is kept of the blocks of one task.

    Attributes
    ----------
    sketches : ndarray of shape (n_blocks, n), float32
    coordinates : ndarray of shape (n_blocks, n_coordinates), float32
    state : ndarray of shape (n_dims,), float32
        Mean gradient by what the head reads; of no dimension where the head is no module.
    margins : ndarray of shape (n_pairs,), float64
        In the order of the blocks.
    """

    sketches: Float32[np.ndarray, "n_blocks n"]
    coordinates: Float32[np.ndarray, "n_blocks n_coordinates"]
    state: Float32[np.ndarray, " n_dims"]
    margins: Float[np.ndarray, " n_pairs"]

    def arrays(self) -> dict[str, np.ndarray]:
        """By name."""
        return {name: getattr(self, name) for name in ("sketches", "coordinates", "state", "margins")}


class Machinery:
    """A network whose gradients become short vectors tensor by tensor, as they are worked out: no whole gradient is ever held.

    Parameters
    ----------
    space : GradientSpace
    measuring : Measuring
    """

    def __init__(self, space: GradientSpace, measuring: Measuring):
        self.settings = measuring.settings
        self.network = space.sequence_network(precision=self.settings.precision, shared=True)
        parameters = trained_parameters(self.network)
        self.layout = Layout({name: each.numel() for name, each in parameters.items()}, self.settings.n_dims, measuring.seed)
        ordinary = measuring.ordinary if self.settings.adam_scale else None
        self._scale = None if ordinary is None else OrdinaryText.load(Path(ordinary)).scale
        self._sketch, self._sample = (np.zeros(each.starts[-1], dtype=np.float32) for each in (self.layout.sketch, self.layout.sample))
        for number, parameter in enumerate(parameters.values()):
            parameter.register_post_accumulate_grad_hook(partial(self._keep, number))

    def _keep(self, number: int, parameter: Tensor) -> None:
        """Add the gradient of a tensor to the short vectors, and let it go."""
        gradient, parameter.grad = parameter.grad, None
        assert gradient is not None
        if self._scale is not None:
            gradient.mul_(self._scale[number].to(gradient.device))
        for short, kept in ((self.layout.sketch, self._sketch), (self.layout.sample, self._sample)):
            kept[short.starts[number] : short.starts[number + 1]] += short.of_tensor(number, gradient)

    def blocks(self, blocks: tuple[tuple[TokenPair, ...], ...]) -> BlockGradients:
        """Gradients of the blocks of one task."""
        sketches, coordinates, states, margins = [], [], [], []
        for pairs in blocks:
            self._sketch[:], self._sample[:] = 0, 0
            state: list[Tensor] = []
            for each in passes(self.network, pairs, per_token=self.settings.per_token):
                hooks = [watched.register_hook(lambda g, each=each, state=state: state.append(each.state(g))) for watched in each.watched]
                with derived(self.network):
                    each.wanted.backward()
                for hook in hooks:  # it holds what holds it, and with it all states of the pass
                    hook.remove()
                margins.append(each.margins.cpu().double())
            if not np.isfinite(self._sketch).all():
                raise not_finite()
            sketches.append(self._sketch.copy())
            coordinates.append(self._sample.copy())
            states.append(torch.stack(state).sum(dim=0).cpu() if state else torch.zeros(0))
        return BlockGradients(np.stack(sketches), np.stack(coordinates), _mean(states, blocks), torch.cat(margins).numpy())


def _mean(states: list[Tensor], blocks: tuple[tuple[TokenPair, ...], ...]) -> Float32[np.ndarray, " n_dims"]:
    """Mean over pairs of what blocks have on average."""
    sizes = np.array([len(block) for block in blocks], dtype=np.float32)
    return np.asarray(np.average(torch.stack(states).numpy(), axis=0, weights=sizes), dtype=np.float32)


@lru_cache(maxsize=1)  # of a process: a copy of the model and its signs
def _machinery(space: Any, measuring: Measuring) -> Machinery:
    return Machinery(space, measuring)


def forget_machinery() -> None:
    """Give back what this process holds for :func:`measured_blocks`."""
    _machinery.cache_clear()


def measured_blocks(space: Space, job: tuple[Measuring, tuple[tuple[TokenPair, ...], ...]]) -> dict[str, np.ndarray]:
    """Gradients of the blocks of one task, in whatever process this is; see :meth:`BlockGradients.arrays`.

    Parameters
    ----------
    space : GradientSpace
    job : (Measuring, blocks)
    """
    measuring, blocks = job
    return _machinery(space, measuring).blocks(blocks).arrays()
