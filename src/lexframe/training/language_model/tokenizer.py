"""A byte-level BPE tokenizer of our own, and the corpus as one long array of token ids."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.exceptions import DataError
from lexframe.files import replacing, replacing_files, write_json
from lexframe.training.language_model.corpus import file_sha256, read_documents, shard_file

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(documents: Iterable[str], *, vocab_size: int = 8192, at_most: bool = False) -> "PreTrainedTokenizerFast":
    """Byte-level BPE, so that every text has an encoding and comes back unchanged.

    Parameters
    ----------
    documents : iterable of str
        Text to learn the merges from.
    vocab_size : int
        Number of tokens, the 256 bytes and the document separator included.
    at_most : bool
        Take fewer where the text yields no more, instead of refusing it.

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
    if tokenizer.get_vocab_size() < vocab_size and not at_most:
        raise DataError(
            f"The text yields {tokenizer.get_vocab_size()} tokens, fewer than the {vocab_size} asked for. "
            "Give more text or a smaller vocabulary."
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT, clean_up_tokenization_spaces=False
    )


def save_tokenizer(tokenizer: Any, folder: str | Path) -> Path:
    """Write the tokenizer in Hugging Face format, each file whole or not at all."""
    with replacing_files(folder) as temporary:
        tokenizer.save_pretrained(temporary)
    return Path(folder)


def encode_corpus(
    documents: Iterable[str],
    tokenizer: Any,
    out: str | Path,
    *,
    key: str = "",
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
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
    key : str
        Noted beside the counts, to recognise what the array was made of.
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
    for batch in _batched(iter(progress(documents)), batch_size):
        n_bytes += sum(len(text.encode()) for text in batch)
        for ids in tokenizer.backend_tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            pieces.append(np.array([separator, *ids.ids], dtype=dtype))
    if not pieces:
        raise DataError("The corpus has no documents. Give shards with text.")
    tokens = np.concatenate(pieces)
    # Without its note an array is taken for unknown: a stop between the two files must not leave the note of another.
    out.with_suffix(".json").unlink(missing_ok=True)
    with replacing(out) as temporary, temporary.open("wb") as file:
        np.save(file, tokens)
    write_json(out.with_suffix(".json"), {"n_tokens": len(tokens), "n_documents": len(pieces), "n_bytes": n_bytes, "key": key})
    return out


def encoded_corpus(
    corpus: str | Path,
    tokenizer: Any,
    out: str | Path,
    *,
    text_column: str = "text",
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Path:
    """The corpus as token ids in `out`; encoded only if `out` was not made of this corpus by this tokenizer.

    Parameters
    ----------
    corpus : str or Path
        What :func:`~lexframe.training.language_model.corpus.read_documents` reads.
    tokenizer, out, progress
        See :func:`encode_corpus`.
    text_column : str
        Text field of a .jsonl or .parquet shard.

    Returns
    -------
    pathlib.Path
        The file of token ids.
    """
    out = Path(out)
    parts = (file_sha256(shard_file(corpus)), tokenizer.backend_tokenizer.to_str(), text_column)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    note = out.with_suffix(".json")
    if out.is_file() and note.is_file() and json.loads(note.read_text(encoding="utf-8")).get("key") == key:
        return out
    return encode_corpus(read_documents(corpus, text_column=text_column), tokenizer, out, key=key, progress=progress)


def _batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
