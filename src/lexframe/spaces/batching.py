"""Which texts go through a model together: equal texts once, like lengths side by side, no more tokens than fit."""

from collections.abc import Callable, Sequence
from enum import Enum

import numpy as np
import torch
from jaxtyping import Int

from lexframe.exceptions import InputError
from lexframe.spaces.base import Progress
from lexframe.spaces.threads import side_by_side
from lexframe.spaces.tokenization import TokenizedText

TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 65_536}
"""Tokens of one forward pass. On a CPU the states of a block then stay in its caches; a GPU needs many to be busy."""

PACKED_AT_ONCE = range(256, 1024)
"""Tokens of a row of texts that are packed, on one core. Products are as fast with 512 tokens as with 2,048, and all that is between them
stays in the caches of the core."""

COPIES_AT_ONCE = 8
"""Tokens of a shared beginning that may be copied, for every token of a pass: copying is cheap, but takes memory."""


class Together(Enum):
    """Which texts may go through a model in one pass without changing one another."""

    PADDED = "any"
    EQUAL_LENGTHS = "those of one length"
    ALONE = "none"


def length_batches(
    lengths: Int[np.ndarray, " n_texts"], *, most_tokens: int, most_texts: int | None = None, together: Together = Together.PADDED
) -> list[np.ndarray]:
    """Rows by falling length, cut into batches.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_texts,)
        Tokens of each text.
    most_tokens : int
        Tokens of a batch, padding included. A longer text stands alone.
    most_texts : int, optional
        Texts of a batch.
    together : Together
        What may stand in one batch.

    Returns
    -------
    list of ndarray of int
        Every row once. A batch that is half full ends where the length changes, so that where many texts are equally long
        next to nothing is padded.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    for stop in range(1, len(order) + 1):
        longest, n_texts = int(lengths[order[start]]), stop - start
        if stop < len(order):
            full = (n_texts + 1) * longest > most_tokens or n_texts == most_texts
            shorter = lengths[order[stop]] < lengths[order[stop - 1]]
            apart = together is Together.ALONE or (together is Together.EQUAL_LENGTHS and shorter)
            if not (full or apart or (shorter and 2 * n_texts * longest >= most_tokens)):
                continue
        batches.append(order[start:stop])
        start = stop
    return batches


def encode_batches(
    texts: Sequence[TokenizedText],
    forward: Callable[[list[TokenizedText]], np.ndarray],
    *,
    device: torch.device,
    n_shared: int = 0,
    most_texts: int | None = None,
    together: Together = Together.PADDED,
    packed: bool = False,
    progress: Progress = iter,
) -> np.ndarray:
    """What `forward` gives for every text, in the order of `texts`.

    Parameters
    ----------
    texts : sequence of TokenizedText
        One at least. Those with the same ids and span are read once.
    forward : callable
        From a batch of texts to an array with a row a text.
    device : torch.device
        Where `forward` runs. Batches that do not fit into its memory are halved until they do.
    n_shared : int
        Tokens at the beginning of every text that are not computed again.
    most_texts : int, optional
        Texts of a batch; by default as many as `TOKENS_AT_ONCE` allows.
    together : Together
        What may stand in one batch.
    packed : bool
        Whether `forward` pads nothing and may run in several threads at once.
    progress : callable
        Wraps the iteration over batches.

    Raises
    ------
    InputError
        If a single text does not fit into the memory of the device.
    """
    numbers: dict[tuple[bytes, bytes], int] = {}
    first_rows: list[int] = []
    which = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        key = (text.ids.tobytes(), b"" if text.span is None else text.span.tobytes())
        which[row] = number = numbers.setdefault(key, len(first_rows))
        if number == len(first_rows):
            first_rows.append(row)
    lengths = np.array([len(texts[row].ids) - n_shared for row in first_rows], dtype=np.int64)
    budget = TOKENS_AT_ONCE.get(device.type, TOKENS_AT_ONCE["cuda"])
    results: np.ndarray | None = None
    if most_texts is None and n_shared:  # what is shared is not computed again, but copied for every text
        most_texts = max(1, COPIES_AT_ONCE * budget // n_shared)
        most_tokens = budget
    else:
        budget = _row_tokens(int(lengths.sum())) if packed else budget
        most_tokens = budget if most_texts is None else 2**62
    batches = length_batches(lengths, most_tokens=most_tokens, most_texts=most_texts, together=together)

    def part_of(batch: np.ndarray) -> np.ndarray:
        return _forward_in_memory([texts[first_rows[number]] for number in batch], forward)

    parts = side_by_side(part_of, batches) if packed else map(part_of, batches)
    for batch in progress(batches):
        part = next(parts)
        if results is None:
            results = np.empty((len(first_rows), *part.shape[1:]), dtype=part.dtype)
        results[batch] = part
    assert results is not None
    return results if len(first_rows) == len(texts) else results[which]


def _row_tokens(n_tokens: int) -> int:
    """So many that every thread gets some rows of about the same size."""
    return min(max(-(-n_tokens // (4 * torch.get_num_threads())), PACKED_AT_ONCE.start), PACKED_AT_ONCE.stop)


def _forward_in_memory(texts: list[TokenizedText], forward: Callable[[list[TokenizedText]], np.ndarray]) -> np.ndarray:
    try:
        return forward(texts)
    except torch.OutOfMemoryError as error:
        if len(texts) == 1:
            raise InputError(
                f"A text of {len(texts[0].ids)} tokens does not fit into the device's memory. Set a smaller max_length, or device='cpu'."
            ) from error
    # Outside the handler, which would keep the failed pass alive.
    torch.cuda.empty_cache()
    half = len(texts) // 2
    return np.concatenate([_forward_in_memory(part, forward) for part in (texts[:half], texts[half:])])
