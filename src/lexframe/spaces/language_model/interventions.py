"""Moving states of a transformers model while it runs, and leaving no trace of it.

An intervention at layer k changes what enters block k, which is the state of that layer as
:mod:`lexframe.spaces.language_model.layers` reads it; one at the last layer changes what the model's body gives out, in front of
the head.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lexframe.provenance import array_hash
from lexframe.spaces.base import HeadIntervention, Intervention
from lexframe.spaces.language_model.anatomy import anatomy
from lexframe.spaces.language_model.layers import base_model, find_blocks, text_reader


@contextmanager
def intervening(model: nn.Module, interventions: Sequence[Intervention]) -> Iterator[None]:
    """Move the states of every forward pass within, whoever starts it.

    Parameters
    ----------
    model : nn.Module
        A transformers model, with or without a head.
    interventions : sequence of Intervention
        Layers counted from the front: 0 … n_layers. Those of one layer apply in their order.
    """
    reader, blocks = text_reader(model), find_blocks(model)
    last_tokens = LastTokens()
    interventions = [move for move in interventions if move.strength]  # nothing is hooked on by those that move nothing
    hooks = []
    if any(move.where == "last" for move in interventions):
        hooks += last_tokens.watching(model)
    for move in interventions:
        step = _step(move, last_tokens, next(model.parameters()))
        if move.layer < len(blocks):
            hooks.append(blocks[move.layer].register_forward_pre_hook(_at_input(step), with_kwargs=True))
        else:
            hooks.append(reader.register_forward_hook(_at_output(step)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


_MOVES = "_lexframe_moves"
"""On the blocks of a model, while states are moved: other spaces over them have to know."""


def moves_in_force(model: nn.Module) -> tuple[tuple[Intervention, ...], tuple[HeadIntervention, ...]]:
    """Moves of states and of heads that are in force on the blocks of a model, whoever set them.

    Parameters
    ----------
    model : nn.Module
        A transformers model, with or without a head.
    """
    found: tuple[tuple[Intervention, ...], tuple[HeadIntervention, ...]] = getattr(anatomy(model).blocks, _MOVES, ((), ()))
    return found


def set_moves(model: nn.Module, moves: tuple[Intervention, ...], heads: tuple[HeadIntervention, ...]) -> None:
    """Note on the blocks of a model what is in force on them; nothing stays where nothing is.

    Parameters
    ----------
    model : nn.Module
    moves : tuple of Intervention
    heads : tuple of HeadIntervention
    """
    blocks = find_blocks(model)
    if moves or heads:
        blocks.__dict__[_MOVES] = (moves, heads)
    else:
        blocks.__dict__.pop(_MOVES, None)


def interventions_hash(interventions: Sequence[Intervention]) -> str:
    """Sixteen hex digits over everything that the interventions do."""
    return array_hash(
        (f"{move.layer} {move.strength} {move.how} {move.where} {move.keep_norm}", np.asarray(move.vector, dtype=np.float64))
        for move in interventions
    )


class LastTokens:
    """Where the texts of the pass that is running end."""

    def __init__(self) -> None:
        self._mask: Tensor | None = None

    def watching(self, model: nn.Module) -> list[Any]:
        """Hooks that keep the mask of every pass: at the body, and at what is called in its place when a model writes."""
        outer, inner = base_model(model), text_reader(model)

        def watch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            mask = kwargs.get("attention_mask")
            if isinstance(mask, Tensor) and mask.ndim == 2:
                self._mask = mask
            elif module is outer or mask is None:  # what stands within may be given a mask that has been worked out already
                self._mask = None

        return [module.register_forward_pre_hook(watch, with_kwargs=True) for module in dict.fromkeys((outer, inner))]

    def rows(self, states: Tensor) -> Tensor:
        """Position of the last real token of each text; the mask may begin with tokens that are remembered from earlier passes."""
        n_texts, n_tokens = states.shape[:2]
        if self._mask is None or len(self._mask) != n_texts or self._mask.shape[1] < n_tokens:
            return torch.full((n_texts,), n_tokens - 1, device=states.device)
        mask = self._mask[:, -n_tokens:].to(states.device)
        return n_tokens - 1 - mask.flip(1).long().argmax(dim=1)


def _step(move: Intervention, last_tokens: LastTokens, like: Tensor) -> Any:
    exact = torch.from_numpy(np.asarray(move.vector, dtype=np.float32))
    unit = (exact / exact.norm().clamp(min=torch.finfo(torch.float32).tiny)).to(like.device, like.dtype)
    vector = exact.to(like.device, like.dtype)
    shift = move.strength * vector

    def moved(states: Tensor) -> Tensor:
        if move.how == "add":
            result = states + shift
        elif move.how == "replace":
            result = states + move.strength * (vector - states)
        else:
            result = states - move.strength * (states @ unit).unsqueeze(-1) * unit
        if move.keep_norm:
            result = result * (
                states.norm(dim=-1, keepdim=True) / result.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(result.dtype).tiny)
            )
        return result

    def step(states: Tensor) -> Tensor:
        if move.strength == 0:
            return states
        if move.where == "all":
            return moved(states)
        rows = torch.arange(len(states), device=states.device)
        ends = last_tokens.rows(states)
        result = states.clone()
        result[rows, ends] = moved(states[rows, ends])
        return result

    return step


def _at_input(step: Any) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (step(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": step(kwargs["hidden_states"])}

    return hook


def _at_output(step: Any) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (step(output[0]), *output[1:])
        output.last_hidden_state = step(output.last_hidden_state)
        return output

    return hook
