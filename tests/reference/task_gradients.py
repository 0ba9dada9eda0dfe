"""Gradients of blocks of pairs, a text at a time without padding, and the Gram matrix of blocks as the settings weigh them."""

from itertools import pairwise

import numpy as np

from tests.reference.ordinary_text import slow_moments
from tests.reference.scored_tokens import unpadded_next_tokens


def slow_block_gradient(model, pairs):
    """Mean gradient of the margin over pairs, by the name of the tensor."""
    model.zero_grad(set_to_none=True)
    margins = [unpadded_next_tokens(model, pair.good) - unpadded_next_tokens(model, pair.bad) for pair in pairs]
    (sum(margins) / len(margins)).backward()
    return {name: each.grad.double().numpy().copy() for name, each in model.named_parameters()}


def slow_gradients(model, tasks, *, windows=None, **chosen):
    """One row of all numbers a block, of tasks that are lists of blocks of pairs; `chosen` are settings that are on."""
    rows = [slow_block_gradient(model, block) for blocks in tasks for block in blocks]
    if windows is not None:
        general, squares = slow_moments(model, windows)
        if chosen.get("adam_scale"):
            scales = {name: 1 / np.sqrt(each + 0.01 * each.mean()) for name, each in squares.items()}
            rows = [{name: each * scales[name] for name, each in row.items()} for row in rows]
            general = {name: each * scales[name] for name, each in general.items()}
        if chosen.get("remove_general"):
            length = sum((each**2).sum() for each in general.values())
            along = [sum((row[name] * general[name]).sum() for name in general) / length for row in rows]
            rows = [{name: each - amount * general[name] for name, each in row.items()} for row, amount in zip(rows, along, strict=True)]
    if chosen.get("per_tensor"):
        lengths = {name: np.sqrt(np.mean([(row[name] ** 2).sum() for row in rows])) for name in rows[0]}
        rows = [{name: each / lengths[name] for name, each in row.items()} for row in rows]
    flat = [np.concatenate([each.ravel() for each in row.values()]) for row in rows]
    if chosen.get("equal_blocks"):
        flat = [each / np.sqrt(each @ each) for each in flat]
    if chosen.get("center"):
        n_pairs = [len(block) for blocks in tasks for block in blocks]
        ends = np.cumsum([0, *(len(blocks) for blocks in tasks)])
        means = [np.average(flat[start:stop], axis=0, weights=n_pairs[start:stop]) for start, stop in pairwise(ends)]
        flat = [each - sum(means) / len(means) for each in flat]
    return np.stack(flat)
