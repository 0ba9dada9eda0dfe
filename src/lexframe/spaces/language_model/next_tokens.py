"""A causal language model, read at every position of a document with the token that follows."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.base import HeadArrays, NextTokens
from lexframe.spaces.base.next_tokens import Ids
from lexframe.spaces.batching import length_batches
from lexframe.spaces.language_model.layers import evaluation_mode, longest_input, n_layers, read_states
from lexframe.spaces.language_model.neighbors import together
from lexframe.spaces.language_model.output_head import output_head
from lexframe.spaces.language_model.separator import document_separator


class LanguageModelNextTokens(NextTokens):
    """Reads a model of transformers with its tokenizer, which stay as they are.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model.
    tokenizer : PreTrainedTokenizerFast
    """

    def __init__(self, model: nn.Module, tokenizer: Any):
        self._model, self._tokenizer = model, tokenizer

    @property
    def max_length(self) -> int:
        """Most tokens that the model takes, by its positions and by what the tokenizer says."""
        return longest_input(self._model, self._tokenizer)

    def documents(self, texts: Sequence[str]) -> tuple[list[Ids], list[Ids]]:
        """Ids of each document after the separator, and the bytes of each predicted token; see :meth:`NextTokens.documents`."""
        tokenizer = self._tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"{type(tokenizer).__name__} gives no character offsets. Use a tokenizer with a tokenizer.json.")
        backend = tokenizer.backend_tokenizer
        if backend.truncation is not None or backend.padding is not None:  # the caller's settings stay as they are
            backend = type(backend).from_str(backend.to_str())
            backend.no_truncation()
            backend.no_padding()
        separator = document_separator(tokenizer)
        ids, n_bytes = [], []
        for text, encoding in zip(texts, backend.encode_batch(list(texts), add_special_tokens=False), strict=True):
            start = [] if separator is None or encoding.ids[:1] == [separator] else [separator]  # typed already: not twice
            ids.append(np.array([*start, *encoding.ids], dtype=np.int64))
            # A token reaches to the beginning of the next one; the first that is predicted takes all that stands before it.
            bounds = [0, *(begin for begin, _ in encoding.offsets[2 - len(start) :]), len(text)]
            n_bytes.append(np.array([len(text[low:high].encode()) for low, high in itertools.pairwise(bounds)], dtype=np.int64))
        n_rows = self._model.get_input_embeddings().num_embeddings  # type: ignore[operator]
        largest = max((int(sequence.max()) for sequence in ids if len(sequence)), default=0)
        if largest >= n_rows:
            raise ModelError(f"The tokenizer gives the id {largest}, but the model knows {n_rows} tokens. Use the tokenizer of this model.")
        return ids, n_bytes

    def states(self, sequences: Sequence[Ids]) -> Float[np.ndarray, "n_sequences n_tokens n_dims"]:
        """The last state at every position, float32."""
        device = next(self._model.parameters()).device
        last, longest = n_layers(self._model), max(map(len, sequences))
        lengths = np.array([len(sequence) for sequence in sequences])
        found: np.ndarray | None = None
        for rows in length_batches(lengths, most_tokens=2**62, together=together(self._model)):
            ids = torch.zeros(len(rows), int(lengths[rows].max()), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for place, row in enumerate(rows):
                ids[place, : lengths[row]] = torch.from_numpy(sequences[row])
                mask[place, : lengths[row]] = 1
            with evaluation_mode(self._model):
                states = read_states(self._model, ids.to(device), mask.to(device), [last])[last].float().cpu().numpy()
            if found is None:
                found = np.zeros((len(sequences), longest, states.shape[-1]), dtype=np.float32)
            found[rows, : states.shape[1]] = states
        assert found is not None
        return found

    def head(self) -> HeadArrays:
        """The output head as arrays; a scale on the logits is taken into weight and bias."""
        head = output_head(self._model)
        if "MaskedLM" in type(self._model).__name__:
            raise InputError(f"{type(self._model).__name__} does not predict the next token. Use a causal language model.")
        bias = None if head.bias is None else (head.scale * head.bias.detach()).float().cpu().numpy()
        return HeadArrays((head.scale * head.weight.detach()).float().cpu().numpy(), bias, head.soft_cap)

    def trained(self, train: Callable[[Any], Any]) -> "LanguageModelNextTokens":
        """The same reading of the model that `train` makes of this one."""
        return LanguageModelNextTokens(train(self._model), self._tokenizer)
