"""A loaded model with its tokenizer: what a space over a language model, its lens, its heads and its copies all read from."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lexframe.exceptions import InputError, ModelError, VocabularyError
from lexframe.spaces.base import HeadIntervention, Intervention, Progress, Representation, TokenStates, resolve_layer
from lexframe.spaces.batching import Together, encode_batches, length_batches
from lexframe.spaces.language_model.anatomy import unwrapped
from lexframe.spaces.language_model.interventions import moves_in_force, set_moves
from lexframe.spaces.language_model.layers import evaluation_mode, n_layers, read_states
from lexframe.spaces.language_model.neighbors import together
from lexframe.spaces.language_model.output_head import OutputHead, output_head
from lexframe.spaces.language_model.packed import PackedReader, Row, packed_reader
from lexframe.spaces.language_model.prefix import Prefix
from lexframe.spaces.pooling import Pooling, pool_last, pooling_function
from lexframe.spaces.token_texts import token_texts, token_texts_of
from lexframe.spaces.tokenization import Batch, Tokenization, TokenizedText, pad_batch

Asked = tuple[int, Pooling]
"""A layer, counted from the front, and what makes a point of its states."""


class ModelReader:
    """Reads states of chosen layers from a model, pooled or token by token.

    Parameters
    ----------
    name : str
        Of the model, for messages.
    model : transformers.PreTrainedModel
    tokenization : Tokenization

    Attributes
    ----------
    n_layers : int
        Blocks of the model.
    interventions, head_interventions : tuple
        Those that are in force on the model, whichever space over it has set them: they move the points of all.
    """

    def __init__(self, name: str, model: Any, tokenization: Tokenization):
        self.name, self.model, self.tokenization = name, model, tokenization
        self.n_layers = n_layers(model)

    @property
    def interventions(self) -> tuple[Intervention, ...]:  # noqa: D102  see the class
        return moves_in_force(self.model)[0]

    @interventions.setter
    def interventions(self, moves: tuple[Intervention, ...]) -> None:
        set_moves(self.model, moves, self.head_interventions)

    @property
    def head_interventions(self) -> tuple[HeadIntervention, ...]:  # noqa: D102  see the class
        return moves_in_force(self.model)[1]

    @head_interventions.setter
    def head_interventions(self, moves: tuple[HeadIntervention, ...]) -> None:
        set_moves(self.model, self.interventions, moves)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @cached_property
    def head(self) -> OutputHead:
        """The output head; a ModelError where there is none, or it is not understood."""
        return output_head(self.model)

    @property
    def together(self) -> Together:
        """Which texts go through the model in one pass; tried on a few tokens when it is first asked for."""
        return together(self.model)

    @cached_property
    def n_ids(self) -> int:
        """Ids up to the highest that the tokenizer gives; ids below it that mean nothing are counted too."""
        return max(self.tokenization.tokenizer.get_vocab().values(), default=-1) + 1

    @property
    def n_vocab(self) -> int:
        """Vocabulary items up to the last that the tokenizer knows; rows behind it, which only pad the head, are left out."""
        return min(self.n_ids, self.head.weight.shape[0])

    def as_tensor(self, points: np.ndarray) -> torch.Tensor:
        """Points where the head is, in its precision."""
        return torch.from_numpy(np.ascontiguousarray(points)).to(self.device, self.head.weight.dtype)

    def batch(self, texts: Sequence[TokenizedText]) -> Batch:
        """Ids padded on the right, with their masks, where the model is; a ModelError where the model has no row for an id."""
        refuse_ids(self.model, max(int(text.ids.max()) for text in texts))
        return pad_batch(texts, padding_id=padding_id(self.tokenization.tokenizer, self.model), device=self.device)

    def asked(self, representations: Sequence[Representation]) -> list[Asked]:
        """Layers and poolings; an InputError where there is no such layer or pooling."""
        return [(resolve_layer(wanted.layer, self.n_layers), pooling_function(wanted.pooling)) for wanted in representations]

    def encode(
        self,
        texts: Sequence[str],
        asked: Sequence[Asked],
        *,
        batch_size: int | None,
        progress: Progress,
        spans: Sequence[tuple[int, int]] | None,
    ) -> np.ndarray:
        """Points of texts, at least one, in one pass that stops at the deepest layer; shape (n_texts, n_asked, n_dims)."""
        tokenized = self.tokenization(texts, spans=spans)
        refuse_ids(self.model, max(int(text.ids.max()) for text in tokenized))
        company = self.together
        with evaluation_mode(self.model):
            # The last token of a beginning that is read once is the last of no text.
            shared = company is Together.PADDED and not (self.interventions or self.head_interventions)
            prefix = Prefix.of(self.model, [text.ids for text in tokenized], [layer for layer, _ in asked], self.device) if shared else None

            packed = packed_reader(self.model, tokenized) if company is Together.PADDED and prefix is None else None

            def forward(part: list[TokenizedText]) -> np.ndarray:
                batch = self.batch(part)
                return self._points(
                    self._pooled(batch, asked, prefix) if packed is None else self._packed(packed, part, batch, asked), asked
                )

            return encode_batches(
                tokenized,
                forward,
                device=self.device,
                n_shared=prefix.n_tokens if prefix else 0,
                most_texts=batch_size,
                together=company,
                packed=packed is not None,
                progress=progress,
            )

    def _pooled(self, batch: Batch, asked: Sequence[Asked], prefix: Prefix | None) -> list[Tensor]:
        layers = [layer for layer, _ in asked]
        if prefix is None:
            states = read_states(self.model, batch.ids, batch.mask, layers)
        else:
            states = prefix.read_after(self.model, batch.ids[:, prefix.n_tokens :], batch.mask, layers)
        return [pool(states[layer].float(), batch.mask, batch.span) for layer, pool in asked]

    def _packed(self, reader: PackedReader, texts: Sequence[TokenizedText], batch: Batch, asked: Sequence[Asked]) -> list[Tensor]:
        layers, row = [layer for layer, _ in asked], Row.of(texts)
        # Where points at the deepest layer are all last states, its block is computed for these alone.
        alone = row.last() if all(pool is pool_last for layer, pool in asked if layer == max(layers)) else None
        states = reader.states(row, layers, only=alone)
        return [
            states[layer].float()
            if alone is not None and layer == max(layers)
            else pool(row.padded(states[layer].float()), batch.mask, batch.span)
            for layer, pool in asked
        ]

    def _points(self, pooled: list[Tensor], asked: Sequence[Asked]) -> np.ndarray:
        layers = [layer for layer, _ in asked]
        refuse_widths(layers, [tensor.shape[-1] for tensor in pooled])
        points = torch.stack(pooled, dim=1).cpu().numpy()
        refuse_infinite(self.name, layers, points, next(self.model.parameters()).dtype)
        return points

    def token_states(self, texts: Sequence[str], layers: Sequence[int] | None) -> list[TokenStates]:
        """States of every token of some texts, in one pass."""
        chosen = [resolve_layer(layer, self.n_layers) for layer in (range(self.n_layers + 1) if layers is None else layers)]
        tokenized = self.tokenization(texts)
        if not tokenized:
            return []
        tokenizer, template = self.tokenization.tokenizer, self.tokenization.template
        lengths = np.array([len(text.ids) for text in tokenized])
        found: dict[int, TokenStates] = {}
        for rows in length_batches(lengths, most_tokens=2**62, together=self.together):
            batch = self.batch([tokenized[row] for row in rows])
            with evaluation_mode(self.model):
                read = read_states(self.model, batch.ids, batch.mask, chosen)
            refuse_widths(chosen, [read[layer].shape[-1] for layer in chosen])
            states = np.stack([read[layer].float().cpu().numpy() for layer in chosen])
            for place, row in enumerate(rows.tolist()):
                ids = tokenized[row].ids.tolist()
                own = np.ascontiguousarray(states[:, place, : len(ids)])
                refuse_infinite(self.name, chosen, own.swapaxes(0, 1), next(self.model.parameters()).dtype)
                words = token_texts_of(tokenizer, ids, text=template.fill(texts[row]))
                found[row] = TokenStates(tuple(words), tuple(ids), tuple(chosen), own)
        return [found[row] for row in range(len(tokenized))]

    def word_ids(self, word: str) -> tuple[int, ...]:
        """Ids of `word` as it continues a text: with a blank before it where the tokenizer marks word beginnings."""
        word, tokenizer = word.strip(), self.tokenization.tokenizer
        backend = tokenizer.backend_tokenizer
        candidates = [backend.encode(form, add_special_tokens=False).ids for form in (f" {word}", word)]
        ids = min(candidates, key=len) if word else []
        if not ids or tokenizer.unk_token_id in ids:
            raise VocabularyError(f"The vocabulary of {self.name} cannot write the label word {word!r}. Choose another word for the label.")
        return tuple(ids)

    def token_texts(self, ids: Iterable[int]) -> list[str]:
        """What vocabulary items look like in a text, blanks included."""
        return token_texts(self.tokenization.tokenizer, ids)


def refuse_ids(model: nn.Module, largest: int) -> None:
    """Stop at ids that the embedding of a model has no row for."""
    embeddings = unwrapped(model).get_input_embeddings()  # type: ignore[operator]
    n_rows = getattr(embeddings, "num_embeddings", None)
    if n_rows is not None and largest >= n_rows:
        raise ModelError(
            f"The tokenizer gives the id {largest}, but {type(model).__name__} has rows for {n_rows} tokens. Use the tokenizer of this "
            "model, or give it rows for added tokens (model.resize_token_embeddings)."
        )


def refuse_infinite(name: str, layers: Sequence[int], points: np.ndarray, dtype: torch.dtype) -> None:
    """Stop at states that are no numbers; shape (n, n_layers, n_dims)."""
    finite = np.isfinite(points).all(axis=(0, 2))
    if not finite.all():
        advice = "open it with dtype float32 or bfloat16" if dtype == torch.float16 else "its weights are damaged, or training diverged"
        raise ModelError(f"{name} gives states at layer {layers[int(finite.argmin())]} that are not finite numbers in {dtype}: {advice}.")


def padding_id(tokenizer: Any, model: nn.Module) -> int:
    """Id that fills rows of a batch up: what tokenizer or model say, else 0. Masks keep it out of every state."""
    known = (getattr(holder, "pad_token_id", None) for holder in (tokenizer, model.config))
    return next((value for value in known if isinstance(value, int) and value >= 0), 0)


def refuse_widths(layers: Sequence[int], widths: Sequence[int]) -> None:
    """Stop where states of some layers are wider than those of others, as in OPT-350m."""
    if len(set(widths)) > 1:
        raise InputError(
            f"The layers {sorted(set(layers))} of this model differ in width and do not fit in one array. Ask for them one by one."
        )
