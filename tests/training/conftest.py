"""A corpus of a few kilobytes, its tokenizer and its tokens: what the training tests share."""

import numpy as np
import pytest
import torch

from lexframe.training.language_model.plan import PretrainingPlan
from lexframe.training.language_model.tokenizer import encode_corpus, train_tokenizer

_WORDS = [
    "the", "a", "old", "new", "river", "house", "teacher", "dog", "garden", "letter", "reads", "sees", "finds", "opens", "likes", "near",
    "under", "with", "and", "slowly", "today", "never",
]  # fmt: skip


def random_text(rng, n_words):
    """Words in random order, sentence by sentence."""
    return " ".join(f"{word}." if rng.random() < 0.1 else word for word in rng.choice(_WORDS, size=n_words))


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    """Bit-equal losses are promised for one device kind; the tests choose the one that every machine has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(scope="session")
def documents():
    rng = np.random.default_rng(1)
    return [random_text(rng, n_words) for n_words in (30, 400, 60, 900, 45, 2000, 120, 3000)]


@pytest.fixture(scope="session")
def tokenizer(documents):
    return train_tokenizer(documents, vocab_size=300)


@pytest.fixture(scope="session")
def tokens_file(documents, tokenizer, tmp_path_factory):
    return encode_corpus(documents, tokenizer, tmp_path_factory.mktemp("tokens") / "tokens.npy")


@pytest.fixture
def make_plan():
    """Plans of a model of two narrow layers; keyword arguments change them."""

    def plan(**changes):
        tiny = {
            "n_layers": 2,
            "d_model": 32,
            "n_heads": 2,
            "d_ff": 48,
            "context": 64,
            "short_context": 32,
            "batch_tokens": 2048,
            "micro_batch_tokens": 1024,
            "max_tokens": 6 * 2048,
            "precision": "float32",
            "compile": False,
        }
        return PretrainingPlan(**{**tiny, **changes})

    return plan
