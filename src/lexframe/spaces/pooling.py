"""Many token states to one point."""

from collections.abc import Callable

import torch
from torch import Tensor

from lexframe.exceptions import InputError

MASSIVE = 8.0
"""Times the median length of a text's states from which a state is left out of the pooling ``typical``."""


def pool_last(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """State of the last real token, whichever side the padding is on."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = (mask * positions).argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), last]


def pool_first(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """State of the first real token, such as [CLS]."""
    return states[torch.arange(len(states), device=states.device), mask.argmax(dim=1)]


def pool_mean(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """Mean over the real tokens, special ones and template included."""
    return _masked_mean(states, mask)


def pool_typical(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """Mean over the real tokens without those whose state is massive: longer than :data:`MASSIVE` times the median of its text.

    Many decoders keep a state of one fixed direction, a hundred times as long as the others, at the first token they read, as a place for
    attention to rest on (Sun et al. 2024, arXiv:2402.17762). A plain mean is then that direction over the number of tokens: the points
    of texts differ by their lengths. Where no state is massive this is :func:`pool_mean`.
    """
    lengths = states.norm(dim=-1)
    real = mask.bool()
    usual = lengths.masked_fill(~real, float("nan")).nanmedian(dim=1, keepdim=True).values
    return _masked_mean(states, real & (lengths <= MASSIVE * usual))


def pool_span(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """Mean over the tokens of the span; a span without tokens (an empty text) falls back to the last token."""
    empty = ~span.any(dim=1)
    mean = _masked_mean(states, span)
    return torch.where(empty[:, None], pool_last(states, mask, span), mean) if empty.any() else mean


def _masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


Pooling = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes states (n_texts, n_tokens, n_dims), mask and span (n_texts, n_tokens)."""

POOLINGS: dict[str, Pooling] = {
    "last": pool_last,
    "mean": pool_mean,
    "first": pool_first,
    "span": pool_span,
    "typical": pool_typical,
}


def pooling_function(name: str) -> Pooling:
    """The pooling of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in POOLINGS:
        raise InputError(f"pooling is {name!r}; expected one of {', '.join(POOLINGS)}.")
    return POOLINGS[name]
