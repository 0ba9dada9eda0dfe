"""Every text comes back from the tokenizer unchanged, and the corpus is encoded once."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError, InputError
from lexframe.training.language_model.tokenizer import (
    END_OF_TEXT,
    encode_corpus,
    encoded_corpus,
    save_tokenizer,
    train_tokenizer,
)

TRAINED = train_tokenizer(["the cat sat on the mat"] * 3 + ["naïve café"], vocab_size=270)


@given(st.text())
def test_round_trip_of_any_text(text):
    assert TRAINED.decode(TRAINED.encode(text, add_special_tokens=False)) == text


def test_the_separator_is_beginning_end_and_padding(tokenizer):
    assert len(tokenizer) == 300
    separator = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    assert {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id} == {separator}


def test_too_small_a_vocabulary():
    with pytest.raises(DataError, match="need 258 or more"):
        train_tokenizer(["text"], vocab_size=257)


def test_too_little_text():
    with pytest.raises(DataError, match="fewer than the 5000 asked for"):
        train_tokenizer(["a little text"], vocab_size=5000)


def test_encoded_documents_come_back_in_order(documents, tokenizer, tokens_file):
    tokens = np.load(tokens_file)
    assert tokens.dtype == np.uint16
    starts = np.flatnonzero(tokens == tokenizer.bos_token_id)
    assert [tokenizer.decode(piece[1:]) for piece in np.split(tokens, starts[1:])] == documents
    n_bytes = sum(len(text.encode()) for text in documents)
    noted = json.loads(Path(tokens_file).with_suffix(".json").read_text())
    assert noted == {"n_tokens": len(tokens), "n_documents": len(documents), "n_bytes": n_bytes, "key": ""}


def test_an_empty_corpus(tokenizer, tmp_path):
    with pytest.raises(DataError, match="no documents"):
        encode_corpus([], tokenizer, tmp_path / "tokens.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_earlier_tokens(documents, tokenizer, tmp_path, monkeypatch):
    out = encode_corpus(documents, tokenizer, tmp_path / "tokens.npy")
    before = out.read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        encode_corpus(documents[:2], tokenizer, out)
    assert out.read_bytes() == before
    with pytest.raises(InputError, match="No space left"):
        save_tokenizer(tokenizer, tmp_path / "tokenizer")
    assert {path.name for path in tmp_path.iterdir()} <= {"tokens.npy", "tokens.json", "tokenizer"}
    assert list((tmp_path / "tokenizer").iterdir()) == []


def test_a_corpus_is_encoded_again_only_if_it_or_the_tokenizer_changed(documents, tokenizer, tmp_path):
    corpus, out = tmp_path / "a.txt", tmp_path / "tokens.npy"
    corpus.write_text("\n\n".join(documents), encoding="utf-8")

    def times_encoded(tokenizer):
        seen = []

        def count(items):
            for item in items:
                seen.append(item)
                yield item

        encoded_corpus(corpus, tokenizer, out, progress=count)
        return len(seen) // len(documents)

    assert [times_encoded(tokenizer), times_encoded(tokenizer), times_encoded(TRAINED), times_encoded(TRAINED)] == [1, 0, 1, 0]
    corpus.write_text("\n\n".join(reversed(documents)), encoding="utf-8")
    assert times_encoded(TRAINED) == 1
    assert TRAINED.decode(np.load(out)[1:20]) == TRAINED.decode(TRAINED(documents[-1])["input_ids"][:19])


def test_tokens_without_their_note_are_not_trusted(documents, tokenizer, tmp_path):
    corpus, out = tmp_path / "a.txt", tmp_path / "tokens.npy"
    corpus.write_text("\n\n".join(documents), encoding="utf-8")
    encoded_corpus(corpus, tokenizer, out)
    whole = out.read_bytes()
    np.save(out, np.arange(3, dtype=np.uint16))
    out.with_suffix(".json").unlink()
    assert encoded_corpus(corpus, tokenizer, out).read_bytes() == whole


def test_a_saved_tokenizer_is_the_same(tokenizer, documents, tmp_path):
    from transformers import AutoTokenizer

    opened = AutoTokenizer.from_pretrained(save_tokenizer(tokenizer, tmp_path / "tokenizer"))
    assert opened(documents)["input_ids"] == tokenizer(documents)["input_ids"]
    assert opened.bos_token == opened.eos_token == opened.pad_token == END_OF_TEXT
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer"]
