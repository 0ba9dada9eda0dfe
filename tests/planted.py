"""A toy space and texts whose classes are planted in it: what every method should find."""

import numpy as np

from lexframe.data import Table
from lexframe.spaces import ToySpace

LABELS = ("money", "parcel", "room")
WORDS = {
    "money": ["invoice", "card", "paid", "charge"],
    "parcel": ["courier", "shipped", "tracking", "box"],
    "room": ["night", "bed", "stay", "key"],
    "filler": ["please", "the", "today", "hello", "my", "was"],
}


def planted_space(n_dims: int = 8) -> ToySpace:
    """Words of a class lie near the class's own word; filler words lie anywhere. All share a large common part."""
    rng = np.random.default_rng(3)
    common = 2 * rng.normal(size=n_dims)
    vectors = {}
    for label, words in WORDS.items():
        center = 2 * rng.normal(size=n_dims) if label != "filler" else np.zeros(n_dims)
        if label != "filler":
            vectors[label] = (common + center).tolist()
        for word in words:
            vectors[word] = (common + center + 0.7 * rng.normal(size=n_dims)).tolist()
    return ToySpace(vectors)


def planted_table(n_per_class: int, seed: int, *, shuffled: bool = False) -> Table:
    """Texts of two words of their class among filler; with `shuffled` the labels mean nothing."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for label in LABELS:
        for _ in range(n_per_class):
            words = [*rng.choice(WORDS[label], 2), *rng.choice(WORDS["filler"], 3)]
            texts.append(" ".join(rng.permutation(words).tolist()))
            labels.append(label)
    if shuffled:
        labels = rng.permutation(labels).tolist()
    order = rng.permutation(len(texts))
    return Table(tuple(texts[i] for i in order), tuple(labels[i] for i in order), f"planted {seed}", 0, tuple(range(len(texts))))
