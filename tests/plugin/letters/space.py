"""A space: a text is how often each letter stands in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import OpenableSpace, Progress
from lexframe.typing import Points

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class LetterSpace(OpenableSpace):
    """Counts of letters.

    Parameters
    ----------
    model : str
        ``letters``; there is one model.
    shares : bool
        Whether counts are divided by the letters of the text.
    """

    kind = "letters"

    def __init__(self, model: str = "letters", *, shares: bool = False):
        self.model, self.shares = model, shares

    @classmethod
    def recognizes(cls, model: str) -> bool:
        """By its name."""
        return model == "letters"

    @classmethod
    def reopening(cls, fingerprint: SpaceFingerprint) -> dict[str, Any]:
        """Whether they were shares."""
        return {"shares": fingerprint.pooling == "shares"}

    @property
    def n_dims(self) -> int:
        """A dimension a letter."""
        return len(ALPHABET)

    @property
    def fingerprint(self) -> SpaceFingerprint:
        """Of the two kinds of counting."""
        return SpaceFingerprint(kind=type(self).__name__, model=self.model, weights=ALPHABET, pooling="shares" if self.shares else "counts")

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Counts, or shares."""
        counts = [[text.lower().count(letter) for letter in ALPHABET] for text in progress(texts)]
        points = np.array(counts, dtype=np.float32).reshape(len(counts), self.n_dims)
        return points / np.maximum(points.sum(axis=1, keepdims=True), 1) if self.shares else points
