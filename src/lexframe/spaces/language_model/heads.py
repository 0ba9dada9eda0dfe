"""Attention heads of a transformers model: reading what each hands on, replacing it, and what it becomes in the state.

The outputs of the heads stand side by side in what enters the output projection of the attention. The projection is found by
what runs: it is the last matrix that the attention of a block multiplies with. Where its shape does not fit that reading, the
model is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lexframe.exceptions import InputError, ModelError
from lexframe.provenance import array_hash
from lexframe.spaces.base import AttentionHeads, HeadIntervention, Progress
from lexframe.spaces.batching import encode_batches
from lexframe.spaces.language_model.interventions import LastTokens, interventions_hash, moves_in_force
from lexframe.spaces.language_model.layers import base_model, evaluation_mode, find_blocks, read_states, text_config
from lexframe.spaces.language_model.reading import ModelReader
from lexframe.spaces.tokenization import TokenizedText


@dataclass(frozen=True)
class HeadPlaces:
    """Where the heads of a model stand.

    Attributes
    ----------
    projections : tuple of nn.Module
        Output projection of the attention of each block.
    n_heads : int
        Of every block.
    n_head_dims : int
        Width of what one head hands on.
    """

    projections: tuple[nn.Module, ...]
    n_heads: int
    n_head_dims: int

    def project(self, outputs: Tensor) -> Tensor:
        """From (n_layers, n_heads, n_head_dims) to (n_layers, n_heads, n_dims), without the bias."""
        return torch.stack([self._one(projection, rows) for projection, rows in zip(self.projections, outputs, strict=True)])

    def _one(self, projection: nn.Module, rows: Tensor) -> Tensor:
        # By the weights, not by calling the module: no hook sees the question, and a bias of few digits does not round the answer.
        kept: Any = projection.weight
        weight: Tensor = (kept.mT if isinstance(projection, nn.Linear) else kept).float()  # GPT-2 keeps its weights the other way round
        return torch.einsum("hd,hdk->hk", rows.float(), weight.unflatten(0, (self.n_heads, self.n_head_dims)))


def find_heads(model: nn.Module) -> HeadPlaces:
    """Find the output projection of every block's attention.

    Parameters
    ----------
    model : nn.Module
        A transformers model, with or without a head.

    Returns
    -------
    HeadPlaces

    Raises
    ------
    ModelError
        If a block has no attention with a matrix behind its heads, or the widths do not fit the number of heads.
    """
    n_heads = getattr(text_config(model), "num_attention_heads", None)
    if not isinstance(n_heads, int):
        raise _not_understood(model, f"its configuration gives {n_heads!r} as num_attention_heads")
    projections, widths = [], set()
    for number, (projection, n_inputs) in enumerate(_last_matrices(model), start=1):
        if projection is None:
            raise _not_understood(model, f"block {number} has no attention that multiplies with a matrix")
        if n_inputs % n_heads or n_inputs != n_heads * _head_width(model, n_inputs, n_heads):
            raise _not_understood(model, f"{n_inputs} numbers enter the output projection of block {number}, for {n_heads} heads")
        projections.append(projection)
        widths.add(n_inputs // n_heads)
    if len(widths) != 1:
        raise _not_understood(model, f"the width of its heads differs from block to block: {sorted(widths)}")
    return HeadPlaces(tuple(projections), n_heads, widths.pop())


def _head_width(model: nn.Module, n_inputs: int, n_heads: int) -> int:
    said = getattr(text_config(model), "head_dim", None)
    return said if isinstance(said, int) else n_inputs // n_heads


def _not_understood(model: nn.Module, what: str) -> ModelError:
    return ModelError(
        f"The attention heads of {type(model).__name__} are not understood: {what}. Use a model whose blocks have multi-head "
        "attention with an output projection; task vectors need no heads."
    )


def _last_matrices(model: nn.Module) -> list[tuple[nn.Module | None, int]]:
    """For each block the matrix that its attention multiplies with last, and the width of what enters it."""
    found: list[tuple[nn.Module | None, int]] = []
    hooks = []

    def watch(place: int) -> Callable[..., None]:
        def note(module: nn.Module, args: tuple[Any, ...]) -> None:
            if args and isinstance(args[0], Tensor):
                found[place] = (module, args[0].shape[-1])

        return note

    for place, block in enumerate(find_blocks(model)):
        found.append((None, 0))
        for name, child in block.named_children():
            # Norms beside the attention often have its name too, but hold no matrix.
            if "att" in name.lower():
                hooks += [module.register_forward_pre_hook(watch(place)) for module in child.modules() if _is_matrix(module)]
    base = base_model(model)
    ids = torch.arange(1, 4, device=next(model.parameters()).device).unsqueeze(0)
    try:
        with evaluation_mode(model):
            base(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _is_matrix(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim == 2 and not isinstance(module, nn.Embedding)


class LanguageModelHeads(AttentionHeads):
    """The attention heads of a transformers model.

    Parameters
    ----------
    reader : ModelReader

    Raises
    ------
    ModelError
        If the attention of the model is not understood.
    """

    def __init__(self, reader: ModelReader):
        self._reader, self._places = reader, find_heads(reader.model)

    @property
    def n_heads(self) -> int:
        """Attention heads of a block."""
        return self._places.n_heads

    def outputs(
        self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter
    ) -> Float[np.ndarray, "n_texts n_layers n_heads n_head_dims"]:
        """What every head hands to the output projection at the last token; see :meth:`AttentionHeads.outputs`."""
        reader, places = self._reader, self._places
        if not len(texts):
            return np.zeros((0, reader.n_layers, places.n_heads, places.n_head_dims), dtype=np.float32)

        def forward(part: list[TokenizedText]) -> np.ndarray:
            batch = reader.batch(part)
            with reading_heads(reader.model, places) as outputs:
                read_states(reader.model, batch.ids, batch.mask, [reader.n_layers])
            return torch.stack(outputs, dim=1).float().cpu().numpy()

        company = reader.together
        with evaluation_mode(reader.model):
            return encode_batches(
                reader.tokenization(texts), forward, device=reader.device, most_texts=batch_size, together=company, progress=progress
            )

    def project(self, outputs: Float[np.ndarray, "n_layers n_heads n_head_dims"]) -> Float[np.ndarray, "n_layers n_heads n_dims"]:
        """What head outputs become in the output projection, without its bias, float32."""
        reader, places = self._reader, self._places
        if outputs.shape != (reader.n_layers, places.n_heads, places.n_head_dims):
            raise InputError(
                f"Head outputs have the shape {outputs.shape}; {reader.name} has {reader.n_layers} layers of {places.n_heads} heads with "
                f"{places.n_head_dims} dimensions. Give what heads.outputs gives, averaged over texts."
            )
        with evaluation_mode(reader.model):
            return places.project(reader.as_tensor(outputs)).float().cpu().numpy()

    @contextmanager
    def replaced(self, interventions: Sequence[HeadIntervention]) -> Iterator[None]:
        """Within this context heads hand on what the interventions say; see :meth:`AttentionHeads.replaced`."""
        check_head_interventions(interventions, self._places)
        reader = self._reader
        before = reader.head_interventions
        with replacing_heads(reader.model, self._places, interventions):
            reader.head_interventions = (*before, *interventions)
            try:
                yield
            finally:
                reader.head_interventions = before


@contextmanager
def reading_heads(model: nn.Module, heads: HeadPlaces) -> Iterator[list[Tensor]]:
    """Within, each pass fills the list with a tensor a block: (n_texts, n_heads, n_head_dims), at the last token of each text."""
    read: list[Tensor] = [torch.empty(0)] * len(heads.projections)

    def reader(place: int) -> Callable[[Tensor, Tensor, Tensor], None]:
        def read_last(states: Tensor, rows: Tensor, ends: Tensor) -> None:
            read[place] = states[rows, ends].unflatten(-1, (heads.n_heads, heads.n_head_dims))

        return read_last

    with _at_projections(model, [(projection, reader(place)) for place, projection in enumerate(heads.projections)]):
        yield read


@contextmanager
def replacing_heads(model: nn.Module, heads: HeadPlaces, interventions: Sequence[HeadIntervention]) -> Iterator[None]:
    """Within, the heads that the interventions name hand on the outputs given there, at the last token of each text."""
    like = next(model.parameters())

    def replacer(move: HeadIntervention) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        columns = slice(move.head * heads.n_head_dims, (move.head + 1) * heads.n_head_dims)
        output = torch.from_numpy(np.asarray(move.output, dtype=np.float32)).to(like.device, like.dtype)

        def replace_last(states: Tensor, rows: Tensor, ends: Tensor) -> Tensor:
            result = states.clone()
            result[rows, ends, columns] = output
            return result

        return replace_last

    with _at_projections(model, [(heads.projections[move.layer - 1], replacer(move)) for move in interventions]):
        yield


@contextmanager
def _at_projections(
    model: nn.Module, steps: Sequence[tuple[nn.Module, Callable[[Tensor, Tensor, Tensor], Tensor | None]]]
) -> Iterator[None]:
    last_tokens = LastTokens()
    hooks = last_tokens.watching(model)

    def before(step: Callable[[Tensor, Tensor, Tensor], Tensor | None]) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            states = args[0]
            result = step(states, torch.arange(len(states), device=states.device), last_tokens.rows(states))
            return None if result is None else (result, *args[1:])

        return hook

    hooks += [projection.register_forward_pre_hook(before(step)) for projection, step in steps]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_head_interventions(interventions: Sequence[HeadIntervention], heads: HeadPlaces) -> None:
    """Refuse interventions on heads that do not exist, or with outputs of another width.

    Raises
    ------
    InputError
    """
    for move in interventions:
        if not (1 <= move.layer <= len(heads.projections) and 0 <= move.head < heads.n_heads):
            raise InputError(
                f"There is no head {move.head} in layer {move.layer}: layers are 1 to {len(heads.projections)}, "
                f"heads 0 to {heads.n_heads - 1}."
            )
        if move.output.shape != (heads.n_head_dims,):
            raise InputError(
                f"The output for head {move.head} of layer {move.layer} has {move.output.size} dimensions, but a head has "
                f"{heads.n_head_dims}. Give what heads.outputs gave on this model."
            )


def moves_hash(model: Any) -> str:
    """What a fingerprint says of the moves that are in force on a model; empty where there are none.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    """
    moves, heads = moves_in_force(model)
    found = [interventions_hash(moves)] if moves else []
    return " ".join([*found, *([head_interventions_hash(heads)] if heads else [])])


def head_interventions_hash(interventions: Sequence[HeadIntervention]) -> str:
    """Sixteen hex digits over what the interventions do."""
    return array_hash((f"{move.layer} {move.head}", np.asarray(move.output, dtype=np.float64)) for move in interventions)
