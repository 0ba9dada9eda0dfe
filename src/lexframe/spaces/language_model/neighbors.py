"""Which texts may go through a model together: those whose states do not change by it, which is tried on a few tokens.

Padding changes the states of models that mix tokens without a mask (FNet), or look past the end of a text (ConvBERT). Texts of
one length need no padding; where even they change one another, as in experts with a common capacity, each goes alone.
"""

import re
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lexframe.exceptions import ModelError
from lexframe.spaces.batching import Together
from lexframe.spaces.language_model.anatomy import anatomy, evaluation_mode, probe_ids, text_config, unwrapped
from lexframe.spaces.language_model.layers import read_states

_SHORT, _LONG = 9, 16
_SPARSE = re.compile(r"^index|keep_window_size")
"""Settings of attention that keeps the best few tokens. Of equal ones it keeps others where more stand beside them, in texts longer than
what is tried here."""
_TOLERANCE, _HALF_TOLERANCE = 2e-4, 0.2
"""Of the median difference to the median number of a token. In half precision another order of sums alone changes the second digit."""
_KNOWN: "WeakKeyDictionary[nn.Module, Together]" = WeakKeyDictionary()


def together(model: nn.Module) -> Together:
    """Which texts may go through `model` in one pass; a model is tried once.

    Parameters
    ----------
    model : nn.Module
        A transformers model, with or without a head, that nobody moves.

    Raises
    ------
    ModelError
        If a text that is read twice, alone, has two states.
    """
    inner = unwrapped(model)
    if inner not in _KNOWN:
        with evaluation_mode(inner):
            _KNOWN[inner] = _tried(inner)
    return _KNOWN[inner]


def _tried(model: nn.Module) -> Together:
    # Different tokens, so that a neighbor that leaks in is seen.
    long = probe_ids(model, _LONG, first=4)
    n_long = long.shape[1]
    n_short = max(1, n_long * _SHORT // _LONG)  # a model with few positions is tried on fewer
    short = probe_ids(model, n_short)
    padded = torch.cat([torch.nn.functional.pad(short, (0, n_long - n_short), value=_padding(model)), long])
    mask = torch.ones_like(padded)
    mask[0, n_short:] = 0
    layers = list(range(anatomy(model).n_layers + 1))
    try:
        alone = _states(model, short, torch.ones_like(short), layers)
    except ModelError:  # several streams, one state at the end
        layers = layers[-1:]
        alone = _states(model, short, torch.ones_like(short), layers)
    if not all(bool(torch.isfinite(states).all()) for states in alone):
        return Together.PADDED  # refused where points are read
    sparse = any(value and _SPARSE.search(name) for name, value in text_config(model).to_dict().items())
    try:
        if not sparse and alike(alone, _states(model, padded, mask, layers)):
            return Together.PADDED
    except ModelError:
        pass  # a model that takes no padded texts; whatever it raises comes as this
    equal = torch.cat([short, probe_ids(model, n_short, first=8), probe_ids(model, n_short, first=5)])
    if alike(alone, _states(model, equal, torch.ones_like(equal), layers)):
        return Together.EQUAL_LENGTHS
    if alike(alone, _states(model, short, torch.ones_like(short), layers)):
        return Together.ALONE
    raise ModelError(
        f"{type(model).__name__} gives another state each time that it reads the same text alone, so there are no points to work with. "
        "Switch off what it draws at random."
    )


def _states(model: nn.Module, ids: Tensor, mask: Tensor, layers: list[int]) -> list[Tensor]:
    read = read_states(model, ids, mask, layers)
    return [read[layer][0] for layer in layers]


def alike(alone: list[Tensor], others: list[Tensor]) -> bool:
    """Whether states are the same but for rounding, in the precision that they have; others may have more rows behind them."""
    # Medians: a few numbers of a state are often a thousand times as large as all others.
    for one, other in zip(alone, others, strict=True):
        tolerance = _TOLERANCE if one.dtype in (torch.float32, torch.float64) else _HALF_TOLERANCE
        scale = one.float().abs().median(dim=-1).values.clamp(min=1e-9)
        differing = (one.float() - other[: len(one)].float()).abs().median(dim=-1).values
        if not bool((differing <= tolerance * scale).all()):
            return False
    return True


def _padding(model: nn.Module) -> int:
    value = getattr(getattr(model, "config", None), "pad_token_id", None)
    return value if isinstance(value, int) and value >= 0 else 0
