"""Weights of a model as they are: their hash, and a copy of them that can be trained."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from lexframe.provenance import array_hash


def weights_hash(model: nn.Module, *, unused: str = "\0") -> str:
    """Sixteen hex digits over all parameters and buffers that a checkpoint would hold, but those whose names begin with `unused`."""
    state = model.state_dict()
    return array_hash((name, _as_array(state[name])) for name in sorted(state) if not name.startswith(unused))


class KnownHash:
    """The hash of a model's weights, worked out again only when they have changed since, such as by a merged adapter.

    Parameters
    ----------
    model : nn.Module
    unused : str
        See :func:`weights_hash`.
    """

    def __init__(self, model: nn.Module, *, unused: str = "\0"):
        self._model, self._unused = model, unused
        self._of: tuple[tuple[Any, ...], str] | None = None

    def __call__(self) -> str:
        """The hash of the weights as they are now."""
        now = _glance(self._model)
        if self._of is None or self._of[0] != now:
            self._of = now, weights_hash(self._model, unused=self._unused)
        return self._of[1]


def _glance(model: nn.Module) -> tuple[Any, ...]:
    """Names, counters of changes and a few numbers of every tensor: what training, merging or replacing weights changes."""
    return tuple(
        (name, None if tensor.is_inference() else tensor._version, tensor.flatten()[:: max(1, tensor.numel() // 16)].double().sum().item())
        for name, tensor in model.state_dict().items()
    )


def _as_array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.view(torch.int16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def float32_copy(model: Any, *, shared: bool = False) -> Any:
    """A copy of a model in float32, without gradients so far.

    Parameters
    ----------
    model : nn.Module
    shared : bool
        Leave weights that are float32 where they are: the copy has parameters of its own, with gradients of its own, over the same numbers.
        For who never changes them.
    """
    own = {id(each): nn.Parameter(each.detach(), requires_grad=each.requires_grad) for each in model.parameters()} if shared else {}
    copied = copy.deepcopy(model, own).float()
    copied.zero_grad(set_to_none=True)
    if next(copied.parameters()).device.type == "cpu":
        copied.set_attn_implementation("eager")  # of texts of classification length a step takes a fifth less than with sdpa
    return copied
