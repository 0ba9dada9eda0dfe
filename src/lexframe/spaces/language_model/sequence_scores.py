"""How probable a causal language model finds sequences of tokens, whatever their length, in windows that go through it together.

Scores are computed in float32 and added up in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.base import Progress
from lexframe.spaces.batching import Together
from lexframe.spaces.language_model.anatomy import known_arguments
from lexframe.spaces.language_model.foreign import of_others
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.language_model.neighbors import together
from lexframe.spaces.language_model.separator import document_separator

_IGNORED = -100
_MAX_LOGITS = 1 << 24
"""Numbers in one array of logits, 64 MiB: larger ones only wait for memory."""


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a sequence that goes through the model at once.

    Inputs `start` to `stop` are read, and the tokens that follow inputs `first` to `stop` are scored.
    """

    start: int
    stop: int
    first: int


def sliding_windows(n_inputs: int, *, context: int, stride: int) -> list[Window]:
    """Windows that score each of `n_inputs` next tokens once.

    Parameters
    ----------
    n_inputs : int
        Length of the sequence, its last token left out: nothing follows it.
    context : int
        Longest window.
    stride : int
        Distance between the beginnings of two windows. Past the first window, a token is scored with
        ``context - stride + 1`` tokens before it, or more.

    Returns
    -------
    list of Window
    """
    windows, start, scored = [], 0, 0
    while scored < n_inputs:
        stop = min(start + context, n_inputs)
        windows.append(Window(start, stop, scored))
        start, scored = start + stride, stop
    return windows


def sequence_log_probabilities(
    model: nn.Module,
    sequences: Sequence[Int[np.ndarray, " _"]],
    *,
    context: int,
    stride: int,
    batch_tokens: int,
    progress: Progress = iter,
) -> Float[np.ndarray, " n_sequences"]:
    """Log-probability of each sequence given its first token, in nats.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model of the transformers library.
    sequences : sequence of ndarray
        Token ids.
    context, stride : int
        See :func:`sliding_windows`.
    batch_tokens : int
        Tokens per pass through the model; fewer where the vocabulary is large.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    ndarray of shape (n_sequences,), float64
        Zero for sequences of one token or none.

    Raises
    ------
    InputError
        If context or stride make no sense, or the model cannot take so long a context.
    ModelError
        If the ids are not of this model's vocabulary, or a score is not a finite number.
    """
    _check_windows(model, context, stride)
    n_vocab = model.get_input_embeddings().num_embeddings  # type: ignore[operator]
    largest = max((int(ids.max()) for ids in sequences if len(ids)), default=0)
    if largest >= n_vocab:
        raise ModelError(f"The tokenizer gives the id {largest}, but the model knows {n_vocab} tokens. Use the tokenizer of this model.")
    pieces = [
        (number, window) for number, ids in enumerate(sequences) for window in sliding_windows(len(ids) - 1, context=context, stride=stride)
    ]
    # Windows with equally many unscored inputs and of similar length go together: little is padded, little left over.
    pieces.sort(key=lambda piece: (piece[1].first - piece[1].start, piece[1].stop - piece[1].start), reverse=True)
    totals = np.zeros(len(sequences))
    with evaluation_mode(model):
        for batch in progress(_batches(pieces, min(batch_tokens, _MAX_LOGITS // n_vocab), together(model))):
            scores = _window_log_probabilities(model, [(sequences[number], window) for number, window in batch])
            np.add.at(totals, [number for number, _ in batch], scores)
    if not np.isfinite(totals).all():
        raise ModelError("The model gives log-probabilities that are not finite numbers. Its weights are damaged, or training diverged.")
    return totals


def _check_windows(model: nn.Module, context: int, stride: int) -> None:
    if context < 1 or not 1 <= stride <= context:
        raise InputError(f"context is {context} and stride {stride}; expected 1 <= stride <= context, so that no token is left out.")
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)  # type: ignore[operator, union-attr]
    if longest is not None and context > longest:
        raise InputError(f"context is {context}, but the model takes {longest} tokens at most. Ask for a context of {longest} or less.")


def _batches(pieces: Sequence[tuple[int, Window]], batch_tokens: int, company: Together) -> list[list[tuple[int, Window]]]:
    """Split at changes of the number of unscored inputs, and where a batch, padded, would exceed its tokens."""
    batches: list[list[tuple[int, Window]]] = []
    unscored = longest = 0
    for number, window in pieces:
        skipped, length = window.first - window.start, window.stop - window.start
        apart = company is Together.ALONE or (company is Together.EQUAL_LENGTHS and length != longest)
        if not batches or apart or skipped != unscored or (len(batches[-1]) + 1) * longest > batch_tokens:
            batches.append([])
            unscored, longest = skipped, length  # the first is the longest: pieces are sorted
        batches[-1].append((number, window))
    return batches


def _window_log_probabilities(model: nn.Module, batch: Sequence[tuple[Int[np.ndarray, " _"], Window]]) -> Float[np.ndarray, " n_windows"]:
    """Summed log-probability of the scored tokens of each window, all of which have equally many unscored inputs."""
    length = max(window.stop - window.start for _, window in batch)
    skipped = batch[0][1].first - batch[0][1].start
    inputs = np.zeros((len(batch), length), dtype=np.int64)
    mask = np.zeros((len(batch), length), dtype=np.int64)
    targets = np.full((len(batch), length), _IGNORED, dtype=np.int64)
    for row, (ids, window) in enumerate(batch):
        n_inputs = window.stop - window.start
        inputs[row, :n_inputs] = ids[window.start : window.stop]
        mask[row, :n_inputs] = 1
        targets[row, :n_inputs] = ids[window.start + 1 : window.stop + 1]
    device = next(model.parameters()).device
    asked = {"use_cache": False, "logits_to_keep": torch.arange(skipped, length, device=device)}
    read, seen = torch.from_numpy(inputs).to(device), torch.from_numpy(mask).to(device)
    with of_others(model, f"score windows of {length} tokens"):
        logits = model(input_ids=read, attention_mask=seen, **known_arguments(model, asked)).logits
    logits = logits if logits.shape[1] == length - skipped else logits[:, skipped:]
    wanted = torch.from_numpy(targets[:, skipped:]).to(device)
    nats = nn.functional.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), ignore_index=_IGNORED, reduction="none")
    return -nats.view(wanted.shape).double().sum(1).cpu().numpy()


def separated_ids(tokenizer: Any, texts: Sequence[str]) -> list[Int[np.ndarray, " _"]]:
    """Ids of each text after the document separator, if the tokenizer has one.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Read only: its own truncation and padding are left out of it. The separator is that of :func:`document_separator`; no other
        special tokens are added.
    texts : sequence of str
        As they stand.

    Returns
    -------
    list of ndarray of int64

    Raises
    ------
    ModelError
        If it is not a fast tokenizer.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{type(tokenizer).__name__} is not a fast tokenizer. Use one with a tokenizer.json, which AutoTokenizer loads by default."
        )
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None or backend.padding is not None:  # the caller's settings stay as they are
        backend = type(backend).from_str(backend.to_str())
        backend.no_truncation()
        backend.no_padding()
    separator = document_separator(tokenizer)
    found = []
    for encoding in backend.encode_batch_fast(texts, add_special_tokens=False):
        start = [] if separator is None or encoding.ids[:1] == [separator] else [separator]  # typed already: not twice
        found.append(np.array([*start, *encoding.ids], dtype=np.int64))
    return found
