"""What prompts that go through a model one after the other begin with: which of them have it in common, and whether it is read once."""

import itertools
from collections.abc import Sequence

import numpy as np
from torch import nn
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from lexframe.spaces.batching import Together
from lexframe.spaces.language_model.interventions import moves_in_force
from lexframe.spaces.language_model.layers import evaluation_mode, n_layers, text_config
from lexframe.spaces.language_model.neighbors import together
from lexframe.spaces.language_model.prefix import Prefix, looks_back_only, shared_length


def by_beginning(prompts: Sequence[np.ndarray]) -> list[list[int]]:
    """Places of prompts, those with a long beginning in common together.

    Parameters
    ----------
    prompts : sequence of ndarray of int64

    Returns
    -------
    list of list of int
        Every place once. In the order of their ids, a group ends where two neighbors have less than half of what those beside them have
        in common: prompts of two instructions share no more than what the template says at its beginning.
    """
    order = sorted(range(len(prompts)), key=lambda place: prompts[place].tolist())
    common = [0, *(shared_length([prompts[one], prompts[other]]) for one, other in itertools.pairwise(order)), 0]
    groups: list[list[int]] = []
    for number, place in enumerate(order):
        if not groups or 2 * common[number] < max(common[number - 1], common[number + 1]):
            groups.append([])
        groups[-1].append(place)
    return groups


def new_memory(model: nn.Module) -> DynamicCache | None:
    """An empty memory of keys and values; None for a model that has another, looks ahead, or is moved while it reads.

    Parameters
    ----------
    model : nn.Module
        A transformers model.
    """
    if any(moves_in_force(model)) or together(model) is not Together.PADDED or not looks_back_only(model):
        return None
    memory = DynamicCache(config=text_config(model))
    return None if {type(layer) for layer in memory.layers} - {DynamicLayer, DynamicSlidingWindowLayer} else memory


def read_once(model: nn.Module, prompts: Sequence[np.ndarray]) -> Prefix | None:
    """What all prompts begin with, read; None where that saves nothing or is not possible.

    Parameters
    ----------
    model : nn.Module
    prompts : sequence of ndarray of int64
    """
    if new_memory(model) is None:
        return None
    with evaluation_mode(model):
        return Prefix.of(model, prompts, [n_layers(model)], next(model.parameters()).device)
