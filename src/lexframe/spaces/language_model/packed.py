"""Texts read one behind the other in one row, so that no padding is computed and every product is large.

Norms, products and activations take tokens one by one, so they do not mind where a text ends: they are the model's own modules, called
on the tokens of many texts at once. Attention alone looks at texts, and is asked for a few of one length at a time. Nothing is copied
and no hook is set, so several threads may read with one model, and weights that change are read as they are.

How the modules of a block are wired is written here for the families below. A model is read this way only after its states on a few
texts have been compared with those that it gives itself; where anything is unknown, moved or hooked, its own forward pass is used.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lexframe.spaces.language_model.anatomy import anatomy, evaluation_mode, probe_ids, text_config, unwrapped
from lexframe.spaces.language_model.foreign import does_nothing, of_others
from lexframe.spaces.language_model.layers import read_states
from lexframe.spaces.language_model.neighbors import alike
from lexframe.spaces.tokenization import TokenizedText

_DECODERS = frozenset({"LlamaModel", "MistralModel", "Qwen2Model", "Qwen3Model"})
_ENCODERS = frozenset({"BertModel"})
_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})
"""Kinds of rotary positions that do not depend on how long the longest text of a pass is."""
_KNOWN: "WeakKeyDictionary[nn.Module, bool]" = WeakKeyDictionary()
_PROBED = (9, 5, 5, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Texts one behind the other.

    Attributes
    ----------
    ids, positions, types : Tensor of int, shape (1, n_tokens)
        Positions are counted from the beginning of each text.
    runs : tuple of (int, int)
        Texts beside each other that are equally long: how many, and how many tokens each has.
    """

    ids: Tensor
    positions: Tensor
    types: Tensor
    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, texts: Sequence[TokenizedText], *, types: bool = False) -> "Row":
        """Texts in their order; those of one length side by side are attended to together. Without `types` all are 0."""
        lengths = [len(text.ids) for text in texts]
        segments = [text.types if types and text.types is not None else np.zeros(len(text.ids), dtype=np.int64) for text in texts]
        rows = ([text.ids for text in texts], [np.arange(length) for length in lengths], segments)
        ids, positions, kinds = (torch.from_numpy(np.concatenate(row))[None] for row in rows)
        return cls(ids, positions, kinds, tuple((len(list(run)), length) for length, run in itertools.groupby(lengths)))

    def last(self) -> Tensor:
        """Places of the last token of each text; shape (n_texts,)."""
        return torch.tensor([length for n, length in self.runs for _ in range(n)]).cumsum(0) - 1

    def padded(self, states: Tensor) -> Tensor:
        """States (n_tokens, n_dims) as (n_texts, n_longest, n_dims), zero behind the end of a text."""
        longest = max(length for _, length in self.runs)
        found = states.new_zeros((sum(n for n, _ in self.runs), longest, states.shape[-1]))
        text, token = 0, 0
        for n, length in self.runs:
            found[text : text + n, :length] = states[token : token + n * length].unflatten(0, (n, length))
            text, token = text + n, token + n * length
        return found


class PackedReader:
    """Reads rows of texts with the modules of a model.

    Parameters
    ----------
    model : nn.Module
        One that :func:`packed_reader` has found fit.

    Attributes
    ----------
    n_layers : int
        States are those of layers 0 … n_layers.
    """

    def __init__(self, model: nn.Module):
        parts = anatomy(model)
        assert parts.blocks is not None
        self._body: Any = parts.body
        self._blocks, self.n_layers = list(parts.blocks), parts.n_layers
        self._wiring: Any = (_Decoder if type(parts.body).__name__ in _DECODERS else _Encoder)(parts.body)

    def states(self, row: Row, layers: Sequence[int], *, only: Tensor | None = None) -> dict[int, Tensor]:
        """States of every token at `layers`; see :func:`~lexframe.spaces.language_model.layers.read_states`.

        Parameters
        ----------
        row : Row
        layers : sequence of int
            Counted from the front: 0 … n_layers.
        only : Tensor of int, shape (n_texts,), optional
            Place of the one token of each text whose state is wanted at the deepest layer: the last block is computed for no other.

        Returns
        -------
        dict of int to Tensor of shape (n_tokens, n_dims)
            With `only`, that of the deepest layer has shape (n_texts, n_dims).
        """
        deepest, read = max(layers), {}
        with of_others(self._body, f"read {row.ids.shape[1]} tokens"):
            states, around = self._wiring.begin(row)
            for layer in range(deepest + 1):
                if layer == self.n_layers:
                    states = self._wiring.end(states)
                if layer in layers:
                    read[layer] = states if only is None or deepest else states[only]
                if layer < deepest:
                    wanted = only if layer == deepest - 1 else None
                    states = self._wiring.block(self._blocks[layer], states, row, around, wanted)
        return read

    def last_states(self, texts: Sequence[TokenizedText], *, types: bool) -> Tensor:
        """Last states of texts, padded with zeros on the right; shape (n_texts, n_longest, n_dims).

        Parameters
        ----------
        texts : sequence of TokenizedText
        types : bool
            Whether numbers of segments are read; without, all are 0.
        """
        row = Row.of(texts, types=types)
        return row.padded(self.states(row, [self.n_layers])[self.n_layers])


class _Decoder:
    """Blocks wired as those of Llama: norm, attention with rotary positions, sum; norm, perceptron, sum."""

    def __init__(self, body: Any):
        self.body = body
        self.rotate: Any = sys.modules[type(body).__module__].apply_rotary_pos_emb

    def begin(self, row: Row) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        states = self.body.embed_tokens(row.ids)
        return states[0], self.body.rotary_emb(states, position_ids=row.positions)

    def end(self, states: Tensor) -> Tensor:
        found: Tensor = self.body.norm(states)
        return found

    def block(self, block: Any, states: Tensor, row: Row, around: tuple[Tensor, Tensor], only: Tensor | None) -> Tensor:
        attention, (cos, sin) = block.self_attn, around
        normed = block.input_layernorm(states)
        asking, asked = (normed, states) if only is None else (normed[only], states[only])
        queries, keys, values = (
            part(given).unflatten(-1, (-1, attention.head_dim))
            for part, given in ((attention.q_proj, asking), (attention.k_proj, normed), (attention.v_proj, normed))
        )
        if hasattr(attention, "q_norm"):
            queries, keys = attention.q_norm(queries), attention.k_norm(keys)
        if only is None:
            queries, keys = self.rotate(queries[None], keys[None], cos, sin, unsqueeze_dim=2)
        else:
            keys = self.rotate(keys[None], keys[None], cos, sin, unsqueeze_dim=2)[1]
            queries = self.rotate(queries[None], queries[None], cos[:, only], sin[:, only], unsqueeze_dim=2)[0]
        mixed = attend(queries[0], keys[0], values, row.runs, causal=True, scale=attention.scaling, one_each=only is not None)
        found = asked + attention.o_proj(mixed.flatten(1))
        result: Tensor = found + block.mlp(block.post_attention_layernorm(found))
        return result


class _Encoder:
    """Blocks wired as those of BERT: attention, sum, norm; perceptron, sum, norm."""

    def __init__(self, body: Any):
        self.body = body

    def begin(self, row: Row) -> tuple[Tensor, None]:
        return self.body.embeddings(input_ids=row.ids, token_type_ids=row.types, position_ids=row.positions)[0], None

    def end(self, states: Tensor) -> Tensor:
        return states

    def block(self, block: Any, states: Tensor, row: Row, around: None, only: Tensor | None) -> Tensor:
        attention = block.attention.self
        asking = states if only is None else states[only]
        queries, keys, values = (
            part(given).unflatten(-1, (-1, attention.attention_head_size))
            for part, given in ((attention.query, asking), (attention.key, states), (attention.value, states))
        )
        mixed = attend(queries, keys, values, row.runs, causal=False, scale=attention.scaling, one_each=only is not None)
        found = block.attention.output(mixed.flatten(1), asking)
        result: Tensor = block.output(block.intermediate(found), found)
        return result


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    runs: Sequence[tuple[int, int]],
    *,
    causal: bool,
    scale: float,
    one_each: bool = False,
) -> Tensor:
    """Attention within each text.

    Parameters
    ----------
    queries, keys, values : Tensor of shape (n_tokens, n_heads, head_width)
        Keys and values may have fewer heads, each for several of the queries'.
    runs : sequence of (int, int)
        See :class:`Row`.
    causal : bool
        Whether a token sees those before it alone.
    scale : float
        On the products.
    one_each : bool
        Whether there is one query a text, which sees all of it: its last, where attention is causal.

    Returns
    -------
    Tensor of the shape of `queries`
    """
    found = torch.empty_like(queries)
    start, first = 0, 0
    for n, length in runs:
        n_asking = 1 if one_each else length
        own, asking = slice(start, start + n * length), slice(first, first + n * n_asking)
        mixed = scaled_dot_product_attention(
            queries[asking].unflatten(0, (n, n_asking)).transpose(1, 2),
            keys[own].unflatten(0, (n, length)).transpose(1, 2),
            values[own].unflatten(0, (n, length)).transpose(1, 2),
            is_causal=causal and n_asking > 1,
            scale=scale,
            enable_gqa=keys.shape[1] != queries.shape[1],
        )
        found[asking].unflatten(0, (n, n_asking)).copy_(mixed.transpose(1, 2))
        start, first = own.stop, asking.stop
    return found


def packed_reader(model: nn.Module, texts: Sequence[TokenizedText]) -> PackedReader | None:
    """The reader of rows of a model, if it is known to give the model's own states; tried on a few tokens once.

    Parameters
    ----------
    model : nn.Module
        A transformers model, with or without a head; in evaluation mode.
    texts : sequence of TokenizedText
        All that will be read, one at least.

    Returns
    -------
    PackedReader or None
        None for another family, on another device than a CPU, where anything is hooked onto the model, and where attention does not reach
        over the longest text.
    """
    inner = unwrapped(model)
    parts = anatomy(inner)
    if (
        parts.blocks is None
        or not _wired_as_known(parts.body)
        or max(len(text.ids) for text in texts) > _reach(inner)
        or _touched(parts.body)
    ):
        return None
    if next(inner.parameters()).device.type != "cpu":
        return None
    if inner not in _KNOWN:
        with evaluation_mode(inner):
            _KNOWN[inner] = _gives_the_same(inner)
    return PackedReader(inner) if _KNOWN[inner] else None


def _wired_as_known(body: nn.Module) -> bool:
    kind = type(body)
    if not kind.__module__.startswith("transformers.models."):
        return False
    config: Any = body.config
    if kind.__name__ in _DECODERS:
        rotation = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
        return rotation in _ROTATIONS and getattr(config, "is_causal", True) is not False
    return kind.__name__ in _ENCODERS and not config.is_decoder


def _reach(model: nn.Module) -> float:
    """Tokens that attention looks back over at least."""
    config = text_config(model)
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    return float("inf") if window is None or (kinds and "sliding_attention" not in kinds) else float(window)


def _touched(body: nn.Module) -> bool:
    """Whether a call of the body or of a module in it does more than its class says."""
    every = nn.modules.module
    if every._global_forward_hooks or every._global_forward_pre_hooks:
        return True
    hooks = (hook for module in body.modules() for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()))
    return not all(map(does_nothing, hooks)) or any("forward" in module.__dict__ for module in body.modules())


def _gives_the_same(model: nn.Module) -> bool:
    """Whether rows of texts have the states that the model itself gives for each text alone."""
    layers = list(range(anatomy(model).n_layers + 1))
    ids = [probe_ids(model, length, first=3 + 2 * number) for number, length in enumerate(_PROBED)]
    row = Row.of([TokenizedText(each[0].numpy(), np.ones(each.shape[1], dtype=bool), False) for each in ids])
    try:
        packed = PackedReader(model).states(row, layers)
        short = PackedReader(model).states(row, layers[-1:], only=row.last())[layers[-1]]
    except Exception:  # whatever it is, the model's own forward pass is there
        return False
    alone = [read_states(model, each, torch.ones_like(each), layers) for each in ids]
    own = [torch.cat([states[layer][0] for states in alone]) for layer in layers]
    return alike(own, [packed[layer] for layer in layers]) and alike([own[-1][row.last()]], [short])
