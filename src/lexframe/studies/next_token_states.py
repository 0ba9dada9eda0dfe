"""What the output head reads at every position of some documents, window by window, and the token that follows there."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import nn

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.base import Progress
from lexframe.spaces.batching import length_batches
from lexframe.spaces.language_model.layers import evaluation_mode, find_blocks, longest_input, read_states


@dataclass(frozen=True, slots=True)
class NextTokenStates:
    """What the output head reads at every position of some documents, and the token that follows there.

    Attributes
    ----------
    states : ndarray of shape (n_positions, n_dims), float32
        The last state, after the final norm, in the order of the text.
    next_ids : ndarray of int, shape (n_positions,)
    n_bytes : ndarray of int, shape (n_positions,)
        UTF-8 bytes of the token that follows; they add up to the bytes of the documents.
    documents, windows : ndarray of int, shape (n_positions,)
        Which document, and which window of all, each position belongs to.
    """

    states: Float32[np.ndarray, "n_positions n_dims"]
    next_ids: Int[np.ndarray, " n_positions"]
    n_bytes: Int[np.ndarray, " n_positions"]
    documents: Int[np.ndarray, " n_positions"]
    windows: Int[np.ndarray, " n_positions"]

    def __len__(self) -> int:
        return len(self.next_ids)


def read_next_tokens(
    model: nn.Module,
    tokenizer: Any,
    documents: Sequence[str],
    *,
    context: int = 256,
    stride: int | None = None,
    batch_size: int = 16,
    progress: Progress = iter,
) -> NextTokenStates:
    """The last state at every position of `documents`, and the token that follows.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model of the transformers library.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer; read only.
    documents : sequence of str
        Each begins with the document separator; empty ones have no position.
    context, stride, batch_size, progress
        See :func:`~lexframe.studies.next_token.compare_next_token`.

    Returns
    -------
    NextTokenStates

    Raises
    ------
    InputError
        If context and stride make no sense, or the model cannot take so long a context.
    ModelError
        If the ids are not of this model's vocabulary, or the tokenizer is not a fast one.
    """
    stride = stride if stride is not None else max(1, context // 2)
    _check_windows(model, tokenizer, context, stride)
    ids, n_bytes = tokenized(tokenizer, documents)
    n_rows = model.get_input_embeddings().num_embeddings  # type: ignore[operator]
    largest = max((int(sequence.max()) for sequence in ids if len(sequence)), default=0)
    if largest >= n_rows:
        raise ModelError(f"The tokenizer gives the id {largest}, but the model knows {n_rows} tokens. Use the tokenizer of this model.")
    # (document, first input, last input + 1, first input whose next token is predicted here)
    pieces = [(number, *window) for number, sequence in enumerate(ids) for window in windows_of(len(sequence) - 1, context, stride)]
    parts: list[np.ndarray | None] = [None] * len(pieces)
    read = np.array([stop - start for _, start, stop, _ in pieces], dtype=np.int64)
    with evaluation_mode(model):
        for batch in progress(length_batches(read, most_tokens=batch_size * context)):
            inputs = [ids[number][start:stop] for number, start, stop, _ in (pieces[piece] for piece in batch)]
            for piece, states in zip(batch, _last_states(model, inputs), strict=True):
                _, start, stop, first = pieces[piece]
                parts[piece] = states[first - start : stop - start]
    predicted = [slice(first, stop) for _, _, stop, first in pieces]
    lengths = [part.stop - part.start for part in predicted]
    numbers = [piece[0] for piece in pieces]
    return NextTokenStates(
        states=np.concatenate([part for part in parts if part is not None] or [np.zeros((0, 1), dtype=np.float32)]),
        next_ids=_joined([ids[number][1:][part] for number, part in zip(numbers, predicted, strict=True)]),
        n_bytes=_joined([n_bytes[number][part] for number, part in zip(numbers, predicted, strict=True)]),
        documents=np.repeat(np.array(numbers, dtype=np.int64), lengths),
        windows=np.repeat(np.arange(len(pieces)), lengths),
    )


def _check_windows(model: nn.Module, tokenizer: Any, context: int, stride: int) -> None:
    if context < 1 or not 1 <= stride <= context:
        raise InputError(f"context is {context} and stride {stride}; expected 1 <= stride <= context, so that no token is left out.")
    longest = longest_input(model, tokenizer)
    if context > longest:
        raise InputError(f"context is {context}, but the model takes {longest} tokens at most. Ask for a context of {longest} or less.")


def tokenized(tokenizer: Any, documents: Sequence[str]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Ids of each document after the separator, and the bytes of each token but the first, which is only read."""
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{type(tokenizer).__name__} gives no character offsets. Use a tokenizer with a tokenizer.json.")
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None or backend.padding is not None:  # the caller's settings stay as they are
        backend = type(backend).from_str(backend.to_str())
        backend.no_truncation()
        backend.no_padding()
    separator = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    ids, n_bytes = [], []
    for text, encoding in zip(documents, backend.encode_batch(list(documents), add_special_tokens=False), strict=True):
        start = [] if separator is None else [separator]
        ids.append(np.array([*start, *encoding.ids], dtype=np.int64))
        # A token reaches to the beginning of the next one; the first that is predicted takes all that stands before it.
        bounds = [0, *(begin for begin, _ in encoding.offsets[2 - len(start) :]), len(text)]
        n_bytes.append(np.array([len(text[low:high].encode()) for low, high in itertools.pairwise(bounds)], dtype=np.int64))
    return ids, n_bytes


def windows_of(n_inputs: int, context: int, stride: int) -> list[tuple[int, int, int]]:
    """Windows (start, stop, first): inputs start … stop are read, the tokens after inputs first … stop are predicted."""
    windows, start, done = [], 0, 0
    while done < n_inputs:
        stop = min(start + context, n_inputs)
        windows.append((start, stop, done))
        start, done = start + stride, stop
    return windows


def _last_states(model: nn.Module, inputs: Sequence[np.ndarray]) -> Float32[np.ndarray, "n_windows n_tokens n_dims"]:
    device = next(model.parameters()).device
    ids = torch.zeros(len(inputs), max(map(len, inputs)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(inputs):
        ids[row, : len(sequence)] = torch.from_numpy(sequence)
        mask[row, : len(sequence)] = 1
    last = len(find_blocks(model))
    return read_states(model, ids.to(device), mask.to(device), [last])[last].float().cpu().numpy()


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([*parts, np.zeros(0, dtype=np.int64)])
