"""Tokens that all texts begin with, such as an instruction or demonstrations, read once for all of them."""

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from lexframe.spaces.language_model.layers import base_model, read_states, text_config

BOTH_WAYS = frozenset(
    {"bert", "bert-generation", "roberta", "roberta-prelayernorm", "electra", "camembert", "xlm-roberta", "xlm-roberta-xl", "data2vec-text",
     "ernie", "megatron-bert", "rembert", "roformer", "xmod", "big_bird", "convbert", "mobilebert"}
)  # fmt: skip
"""Kinds of models that look back only where their configuration says ``is_decoder``."""

LEAST_SHARED = 8
"""Tokens in common below which reading them once saves nothing."""


def shared_length(ids: Sequence[np.ndarray]) -> int:
    """Tokens that all rows begin with, leaving every row one to read; 0 for a single row, which shares with nobody."""
    if len(ids) < 2:
        return 0
    shortest = min(len(row) for row in ids) - 1
    differs = (np.stack([row[:shortest] for row in ids]) != ids[0][:shortest]).any(axis=0)
    return int(differs.argmax()) if differs.any() else shortest


@dataclass(frozen=True)
class Prefix:
    """What a model has read already.

    Attributes
    ----------
    n_tokens : int
    memory : DynamicCache
        Keys and values of the blocks that were run.
    states : dict of int to Tensor of shape (1, n_tokens, n_dims)
        By layer.
    """

    n_tokens: int
    memory: DynamicCache
    states: dict[int, Tensor]

    @classmethod
    def of(cls, model: nn.Module, ids: Sequence[np.ndarray], layers: Sequence[int], device: torch.device) -> "Prefix | None":
        """Read what all rows of `ids` begin with.

        Returns
        -------
        Prefix or None
            None where reading it once would save nothing, and for a model whose memory is not keys and values alone (state
            space models, linear attention) or whose states depend on what comes after them.
        """
        n_shared = shared_length(ids)
        if n_shared < LEAST_SHARED or max(layers) == 0 or not looks_back_only(model):
            return None
        memory = DynamicCache(config=text_config(model))
        if {type(layer) for layer in memory.layers} - {DynamicLayer, DynamicSlidingWindowLayer}:
            return None
        row = torch.from_numpy(ids[0][:n_shared]).unsqueeze(0).to(device)
        states = read_states(model, row, torch.ones_like(row), layers, memory=memory)
        return cls(n_shared, memory, states)

    def read_after(self, model: nn.Module, ids: Tensor, mask: Tensor, layers: Sequence[int]) -> dict[int, Tensor]:
        """States of the prefix and of right-padded `ids` after it, by layer; shape (n_texts, n_prefix + n_tokens, n_dims)."""
        memory = copy.deepcopy(self.memory)  # reading on extends it
        memory.batch_repeat_interleave(len(ids))
        states = read_states(model, ids, mask, layers, memory=memory)
        return {layer: torch.cat([self.states[layer].expand(len(ids), -1, -1), states[layer]], dim=1) for layer in layers}


def looks_back_only(model: nn.Module) -> bool:
    """Whether the model remembers what it has read, and a token's state depends on nothing to its right."""
    can_generate = getattr(model, "can_generate", None)
    remembers = "past_key_values" in inspect.signature(base_model(model).forward).parameters
    config = text_config(model)
    # BERT and its kin have a head for generation, but look ahead unless they are told to be decoders.
    turned = getattr(config, "model_type", "") in BOTH_WAYS and not getattr(config, "is_decoder", False)
    return remembers and not turned and bool(can_generate and can_generate())
