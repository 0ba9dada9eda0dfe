"""Reading states of chosen layers from any transformers model, and stopping there.

The state of layer k is what enters block k (0 … n-1), read by a hook in front of that block, so nothing depends
on whether a block returns a tensor or a tuple. When the deepest layer asked for has been read, the forward pass
ends: later blocks, the final norm and the head are not computed. The last state (layer n) is the output of the base
model, after the final norm.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lexframe.exceptions import ModelError


class _DeepestLayerReached(Exception):  # noqa: N818  control flow, not an error
    """Ends a forward pass; never leaves this module."""


def base_model(model: nn.Module) -> nn.Module:
    """The model without its head."""
    base = getattr(model, "base_model", model)
    return base if isinstance(base, nn.Module) else model


def text_config(model: nn.Module) -> Any:
    """The configuration of the part that reads text."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """The list of transformer blocks.

    Raises
    ------
    ModelError
        If no list of ``num_hidden_layers`` modules is found.
    """
    n_layers = getattr(text_config(model), "num_hidden_layers", None)
    lists = [
        (name.count("."), name, module)
        for name, module in base_model(model).named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    if not lists:
        raise ModelError(
            f"{type(model).__name__}: no list of {n_layers} blocks (num_hidden_layers) was found in it, so layers cannot be read. "
            "Encoder-decoder and unusual models are not supported."
        )
    return min(lists, key=lambda item: item[:2])[2]


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


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Dropout off, gradients off; every module gets back the mode it had."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


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
    """
    base, blocks = base_model(model), find_blocks(model)
    n_layers = len(blocks)
    deepest = max(layers)
    read: dict[int, Tensor] = {}
    hooks = []

    def reader(layer: int) -> Any:
        def read_input(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            read[layer] = args[0] if args else kwargs["hidden_states"]
            if layer == deepest:
                raise _DeepestLayerReached

        return read_input

    for layer in sorted(set(layers)):
        if layer < n_layers:
            hooks.append(blocks[layer].register_forward_pre_hook(reader(layer), with_kwargs=True))
    try:
        remembered = {} if memory is None else {"past_key_values": memory, "use_cache": True}
        output = base(input_ids=ids, attention_mask=mask, **(_quiet_arguments(base) | remembered))
        read[n_layers] = output.last_hidden_state
    except _DeepestLayerReached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: read[layer] for layer in layers}


def _quiet_arguments(base: nn.Module) -> dict[str, Any]:
    """Switch off what is not needed, where the model knows the switch."""
    known = inspect.signature(base.forward).parameters
    return {name: value for name, value in {"use_cache": False, "return_dict": True}.items() if name in known}


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
