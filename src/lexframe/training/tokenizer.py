"""A byte-level BPE tokenizer of our own, and the corpus as one long array of token ids."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.exceptions import DataError
from lexframe.files import replacing, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(documents: Iterable[str], *, vocab_size: int = 8192) -> "PreTrainedTokenizerFast":
    """Byte-level BPE, so that every text has an encoding and comes back unchanged.

    Parameters
    ----------
    documents : iterable of str
        Text to learn the merges from.
    vocab_size : int
        Number of tokens, the 256 bytes and the document separator included.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
        ``<|endoftext|>`` separates documents and serves as beginning, end and padding.

    Raises
    ------
    DataError
        If there is no text, or too little for so many tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < 258:
        raise DataError(f"vocab_size is {vocab_size}, but 256 bytes, the separator and one merge need 258 or more.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    if tokenizer.get_vocab_size() < vocab_size:
        raise DataError(
            f"The text yields {tokenizer.get_vocab_size()} tokens, fewer than the {vocab_size} asked for. "
            "Give more text or a smaller vocabulary."
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT, clean_up_tokenization_spaces=False
    )


def encode_corpus(
    documents: Iterable[str],
    tokenizer: Any,
    out: str | Path,
    *,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
    batch_size: int = 500,
) -> Path:
    """Write all documents as one array of ids, each document preceded by ``<|endoftext|>``.

    Parameters
    ----------
    documents : iterable of str
        The text.
    tokenizer : PreTrainedTokenizerFast
        As made by :func:`train_tokenizer`.
    out : str or Path
        A ``.npy`` file (uint16 for vocabularies up to 65,536, else uint32); ``.json`` with counts stands beside it.
    progress : callable
        Wraps the iteration over documents.
    batch_size : int
        Documents per call of the tokenizer.

    Returns
    -------
    pathlib.Path
        The file that was written.
    """
    out = Path(out)
    dtype = np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32
    separator = tokenizer.bos_token_id
    pieces: list[np.ndarray] = []
    n_bytes = 0
    for batch in _batched(progress(documents), batch_size):
        n_bytes += sum(len(text.encode()) for text in batch)
        for ids in tokenizer.backend_tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            pieces.append(np.array([separator, *ids.ids], dtype=dtype))
    if not pieces:
        raise DataError("The corpus has no documents. Give shards with text.")
    tokens = np.concatenate(pieces)
    with replacing(out) as temporary, temporary.open("wb") as file:
        np.save(file, tokens)
    write_json(out.with_suffix(".json"), {"n_tokens": len(tokens), "n_documents": len(pieces), "n_bytes": n_bytes})
    return out


def corpus_counts(tokens_file: str | Path) -> dict[str, int]:
    """Numbers of tokens, documents and bytes that :func:`encode_corpus` noted beside its array."""
    counts: dict[str, int] = json.loads(Path(tokens_file).with_suffix(".json").read_text())
    return counts


def _batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
