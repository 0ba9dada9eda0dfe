"""Reading states of chosen layers from any transformers model, and stopping there.

The state of layer k is what enters block k (0 … n-1), read by a hook in front of that block, so nothing depends
on whether a block returns a tensor or a tuple. When the deepest layer asked for has been read, the forward pass
ends: later blocks, the final norm and the head are not computed. The last state (layer n) is the output of the base
model, after the final norm. Models without blocks of that kind hand out their states themselves.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from lexframe.exceptions import ModelError
from lexframe.spaces.language_model.anatomy import anatomy, evaluation_mode, first_tensor, known_arguments, text_config, unwrapped
from lexframe.spaces.language_model.foreign import no_hook_left, of_others

__all__ = ["base_model", "evaluation_mode", "find_blocks", "longest_input", "n_layers", "read_states", "text_config", "text_reader"]


class _DeepestLayerReached(Exception):  # noqa: N818  control flow, not an error
    """Ends a forward pass; never leaves this module."""


def base_model(model: nn.Module) -> nn.Module:
    """The model without its head."""
    return anatomy(model).body


def n_layers(model: nn.Module) -> int:
    """Blocks of the model."""
    return anatomy(model).n_layers


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """The list of transformer blocks.

    Raises
    ------
    ModelError
        If no list of modules carries the state on from one to the next.
    """
    blocks = anatomy(model).blocks
    if blocks is None:
        raise ModelError(
            f"The states of {type(unwrapped(model)).__name__} can be read, but no list of blocks hands them on from one to the next, so "
            "they cannot be moved, taken apart or trained between. Use a model of another family for that."
        )
    return blocks


def text_reader(model: nn.Module) -> nn.Module:
    """The innermost module around the blocks that takes ids: what runs in every pass, however it is started.

    It is the base model as a rule; the language model of OPT calls the decoder within it.
    """
    blocks = find_blocks(model)
    around = [
        module for module in base_model(model).modules() if any(inner is blocks for inner in module.modules()) and module is not blocks
    ]
    reading = [module for module in around if "input_ids" in inspect.signature(module.forward).parameters]
    return reading[-1] if reading else base_model(model)


def read_states(model: nn.Module, ids: Tensor, mask: Tensor, layers: Sequence[int], *, memory: Any = None) -> dict[int, Tensor]:
    """States of every token at `layers`.

    Parameters
    ----------
    model : nn.Module
        A transformers model, with or without a head; in evaluation mode.
    ids : Tensor of shape (n_texts, n_tokens)
        Right-padded.
    mask : Tensor of shape (n_texts, n_remembered + n_tokens)
        1 for real tokens, those in `memory` included.
    layers : sequence of int
        Counted from the front: 0 … n_layers.
    memory : transformers.DynamicCache, optional
        Keys and values of what stands before `ids`; those of `ids` are added to it.

    Returns
    -------
    dict of int to Tensor of shape (n_texts, n_tokens, n_dims)
        In the precision of the model.

    Raises
    ------
    ModelError
        If a layer has no state, or several, for every token.
    """
    parts = anatomy(model)
    body, blocks, last = parts.body, parts.blocks, parts.n_layers
    deepest = max(layers)
    read: dict[int, Tensor] = {}
    hooks = []

    def reader(layer: int) -> Any:
        def read_input(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            read[layer] = args[0] if args else kwargs["hidden_states"]
            if layer == deepest:
                raise _DeepestLayerReached

        return read_input

    if blocks is not None:
        hooks = [blocks[layer].register_forward_pre_hook(reader(layer), with_kwargs=True) for layer in sorted(set(layers)) if layer < last]
    asked = {"attention_mask": mask, "use_cache": False, "return_dict": True}
    if memory is not None:
        asked |= {"past_key_values": memory, "use_cache": True}
    if blocks is None and set(layers) != {last}:
        asked["output_hidden_states"] = True
    try:
        with of_others(unwrapped(model), f"read ids of shape {tuple(ids.shape)}"), no_hook_left(body if blocks is None else None):
            output = body(input_ids=ids, **known_arguments(body, asked))
        if blocks is None:
            read |= dict(enumerate(getattr(output, "hidden_states", None) or ()))
        final = first_tensor(output)
        if final is not None:
            read[last] = final
    except _DeepestLayerReached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    for layer in layers:
        _check_shape(model, layer, read.get(layer), ids)
    return {layer: read[layer] for layer in layers}


def _check_shape(model: nn.Module, layer: int, states: Tensor | None, ids: Tensor) -> None:
    if states is not None and states.ndim == 3 and states.shape[:2] == ids.shape and states.is_floating_point():
        return
    found = "there is none" if states is None else f"it is an array of shape {tuple(states.shape)} in {states.dtype}"
    raise ModelError(
        f"The state of layer {layer} of {type(unwrapped(model)).__name__} is not one vector a token: {found}, for ids of shape "
        f"{tuple(ids.shape)}. Models with several streams have one state a token at the end only: ask for layer -1."
    )


def position_limit(model: nn.Module) -> int | None:
    """Most tokens that the positions of the model allow; None where any number goes."""
    limits = [getattr(text_config(model), "max_position_embeddings", None)]
    embeddings = getattr(base_model(model), "embeddings", None)
    positions = getattr(embeddings, "position_embeddings", None)
    if isinstance(positions, nn.Embedding) and positions.padding_idx is not None:
        # RoBERTa and its kin count positions from the padding index onwards.
        limits.append(positions.num_embeddings - positions.padding_idx - 1)
    return min((int(limit) for limit in limits if limit and 0 < limit < 10**9), default=None)  # XLNet says -1: any number


def longest_input(model: nn.Module, tokenizer: Any) -> int:
    """Most tokens the model takes, by its positions and by what the tokenizer says."""
    limits = [getattr(tokenizer, "model_max_length", None), position_limit(model)]
    finite = [int(limit) for limit in limits if limit and limit < 10**9]
    return min(finite) if finite else 512
