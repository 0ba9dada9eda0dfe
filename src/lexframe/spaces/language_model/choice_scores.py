"""How probable a causal language model finds each of some continuations, with what they have in common read once.

Log-probabilities are computed in float32, whatever the precision of the model, and added up in float64.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lexframe.exceptions import ModelError
from lexframe.spaces.language_model.anatomy import known_arguments
from lexframe.spaces.language_model.beginnings import new_memory
from lexframe.spaces.language_model.foreign import of_others
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.language_model.prefix import Prefix, shared_length

_IGNORED = -100
_MAX_LOGITS = 1 << 24
"""Numbers in one array of logits, 64 MiB."""
_MOST_ROWS = 64
"""Continuations that are read together, each with a copy of what stands before it."""

Scores = Float[np.ndarray, " n_continuations"]


def common_length(continuations: Sequence[Sequence[int]]) -> int:
    """Tokens that all continuations begin with, leaving each of them one; 0 where they are all the same.

    Parameters
    ----------
    continuations : sequence of sequence of int
    """
    if len({tuple(each) for each in continuations}) < 2:
        return 0
    return shared_length([np.array(each, dtype=np.int64) for each in continuations])


def continuation_scores(
    model: nn.Module, contexts: Sequence[np.ndarray], continuations: Sequence[Sequence[Sequence[int]]], *, prefix: Prefix | None = None
) -> list[Scores]:
    """Log-probability of each continuation of each context, in nats.

    Parameters
    ----------
    model : nn.Module
        A causal language model of the transformers library.
    contexts : sequence of ndarray of int64
        Of one length.
    continuations : sequence of sequence of sequence of int
        At least one a context, of at least one token each.
    prefix : Prefix, optional
        What all contexts begin with, read before.

    Returns
    -------
    list of ndarray of shape (n_continuations,), float64

    Raises
    ------
    ModelError
        If a score is not a finite number.
    """
    with evaluation_mode(model):
        memory = new_memory(model) if prefix is None else copy.deepcopy(prefix.memory)  # reading on extends it
        if memory is None:
            found = [
                np.array([_alone(model, context, each) for each in following])
                for context, following in zip(contexts, continuations, strict=True)
            ]
        else:
            found = _remembering(model, contexts, continuations, memory, 0 if prefix is None else prefix.n_tokens)
    if not all(np.isfinite(scores).all() for scores in found):
        raise ModelError("The model gives log-probabilities that are not finite numbers. Its weights are damaged, or training diverged.")
    return found


def _alone(model: nn.Module, context: np.ndarray, continuation: Sequence[int]) -> float:
    """One sequence, read from its beginning."""
    ids = torch.from_numpy(np.concatenate([context, continuation])).to(next(model.parameters()).device).unsqueeze(0)
    n_scored = len(continuation)
    logits = _logits(model, ids[:, :-1], torch.ones_like(ids[:, :-1]), n_scored)
    return float(_summed(logits, ids[:, -n_scored:])[0])


def _remembering(
    model: nn.Module, contexts: Sequence[np.ndarray], continuations: Sequence[Sequence[Sequence[int]]], memory: Any, n_known: int
) -> list[Scores]:
    """Contexts side by side, then all that follows them, from a memory of what stands before."""
    device = next(model.parameters()).device
    if n_known:
        memory.batch_repeat_interleave(len(contexts))
    whole = torch.from_numpy(np.stack(contexts)).to(device)
    logits = _logits(model, whole[:, n_known:], torch.ones_like(whole), 1, memory)
    rows = [number for number, following in enumerate(continuations) for _ in following]
    flat = [each for following in continuations for each in following]
    scores = _summed(logits[rows], torch.tensor([[each[0]] for each in flat], device=device))
    longest = max(map(len, flat)) - 1
    most = max(1, min(_MOST_ROWS, _MAX_LOGITS // (max(1, longest) * logits.shape[-1])))
    for start in range(0, len(flat) if longest else 0, most):
        part = slice(start, start + most)
        copied = copy.deepcopy(memory) if start + most < len(flat) else memory
        copied.batch_select_indices(torch.tensor(rows[part], device=device))
        scores[part] += _after(model, flat[part], copied, whole.shape[1])
    bounds = np.cumsum([len(following) for following in continuations])[:-1]
    return np.split(scores, bounds)


def _after(model: nn.Module, continuations: Sequence[Sequence[int]], memory: Any, n_known: int) -> Scores:
    """Log-probability of what follows the first token of each continuation."""
    longest = max(2, *map(len, continuations)) - 1
    ids = np.zeros((len(continuations), longest), dtype=np.int64)
    mask = np.zeros((len(continuations), n_known + longest), dtype=np.int64)
    targets = np.full((len(continuations), longest), _IGNORED, dtype=np.int64)
    mask[:, :n_known] = 1
    for row, each in enumerate(continuations):
        ids[row, : len(each) - 1], targets[row, : len(each) - 1] = each[:-1], each[1:]
        mask[row, n_known : n_known + len(each) - 1] = 1
    read, seen, wanted = (torch.from_numpy(array).to(next(model.parameters()).device) for array in (ids, mask, targets))
    return _summed(_logits(model, read, seen, longest, memory), wanted)


def _logits(model: nn.Module, ids: Tensor, mask: Tensor, n_last: int, memory: Any = None) -> Tensor:
    """Logits after the last tokens of each row."""
    asked: dict[str, Any] = {"use_cache": memory is not None, "logits_to_keep": n_last, "return_dict": True}
    if memory is not None:
        asked["past_key_values"] = memory
    with of_others(model, f"score continuations of {ids.shape[1]} tokens"):
        logits: Tensor = model(input_ids=ids, attention_mask=mask, **known_arguments(model, asked)).logits
    return logits[:, -n_last:]


def _summed(logits: Tensor, targets: Tensor) -> Scores:
    """Log-probability of the targets of each row, those that are ignored left out."""
    nats = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=_IGNORED, reduction="none")
    summed: np.ndarray = -nats.view(targets.shape).double().sum(1).cpu().numpy()
    return summed
