"""What the output head reads at every position of some documents, window by window, and the token that follows there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from lexframe.exceptions import InputError
from lexframe.spaces.base import NextTokens, Progress
from lexframe.spaces.batching import length_batches


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
    model: NextTokens,
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
    model : NextTokens
        Of a :class:`~lexframe.spaces.base.NextTokenSpace`.
    documents : sequence of str
        Each begins with the document separator; empty ones have no position.
    context, stride, batch_size, progress
        See :func:`compare_next_token`.

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
    _check_windows(model, context, stride)
    ids, n_bytes = model.documents(documents)
    # (document, first input, last input + 1, first input whose next token is predicted here)
    pieces = [(number, *window) for number, sequence in enumerate(ids) for window in windows_of(len(sequence) - 1, context, stride)]
    parts: list[np.ndarray | None] = [None] * len(pieces)
    read = np.array([stop - start for _, start, stop, _ in pieces], dtype=np.int64)
    for batch in progress(length_batches(read, most_tokens=batch_size * context)):
        inputs = [ids[number][start:stop] for number, start, stop, _ in (pieces[piece] for piece in batch)]
        for piece, states in zip(batch, model.states(inputs), strict=True):
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


def _check_windows(model: NextTokens, context: int, stride: int) -> None:
    if context < 1 or not 1 <= stride <= context:
        raise InputError(f"context is {context} and stride {stride}; expected 1 <= stride <= context, so that no token is left out.")
    longest = model.max_length
    if context > longest:
        raise InputError(f"context is {context}, but the model takes {longest} tokens at most. Ask for a context of {longest} or less.")


def windows_of(n_inputs: int, context: int, stride: int) -> list[tuple[int, int, int]]:
    """Windows (start, stop, first): inputs start … stop are read, the tokens after inputs first … stop are predicted."""
    windows, start, done = [], 0, 0
    while done < n_inputs:
        stop = min(start + context, n_inputs)
        windows.append((start, stop, done))
        start, done = start + stride, stop
    return windows


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([*parts, np.zeros(0, dtype=np.int64)])
