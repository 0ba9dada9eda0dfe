"""Texts for a text VAE: what is left out, what is held out, and which texts make a batch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lexframe.exceptions import DataError

FEWEST_TEXTS = 100
"""Distinct texts below which there is nothing a latent could be learned from."""


@dataclass(frozen=True, slots=True)
class TrainingTexts:
    """What is left of people's texts, and what was taken away.

    Attributes
    ----------
    training, validation : list of str
        No text is in both.
    n_empty, n_long : int
        Texts that were blank, or longer than the model takes; they are left out.
    n_repeated : int
        Training and validation texts that stand there already.
    """

    training: list[str]
    validation: list[str]
    n_empty: int
    n_long: int
    n_repeated: int


def split_texts(texts: Sequence[str], *, validation_share: float = 0.1, max_validation: int = 1000, seed: int = 0) -> TrainingTexts:
    """Leave out blank texts, and hold some out; equal texts stay on one side.

    Parameters
    ----------
    texts : sequence of str
    validation_share : float
        Of the distinct texts.
    max_validation : int
        Distinct texts to hold out at most.
    seed : int
        Of the split.

    Raises
    ------
    DataError
        If too few distinct texts are left.
    """
    kept = [text for text in texts if text.strip()]
    distinct = list(dict.fromkeys(kept))
    if len(distinct) < FEWEST_TEXTS:
        raise DataError(
            f"There are {len(distinct)} distinct texts that are not blank, of {len(texts)}; a latent needs {FEWEST_TEXTS} at least to be "
            "learned, and thousands to be good. Give more texts, one a line or a row."
        )
    n_held = max(1, min(max_validation, round(validation_share * len(distinct))))
    held = {distinct[row] for row in np.random.default_rng(seed).permutation(len(distinct))[:n_held]}
    return TrainingTexts(
        training=[text for text in kept if text not in held],
        validation=[text for text in kept if text in held],
        n_empty=len(texts) - len(kept),
        n_long=0,
        n_repeated=len(kept) - len(distinct),
    )


def batch_rows(lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Rows of every batch of an epoch: texts of like length together, so that little is padded, in random order.

    Texts are shuffled, cut into pieces of 50 batches, sorted by length within a piece, and the batches are shuffled again.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), 50 * batch_size):
        piece = order[start : start + 50 * batch_size]
        piece = piece[np.argsort(lengths[piece], kind="stable")]
        batches += [piece[first : first + batch_size] for first in range(0, len(piece), batch_size)]
    return [batches[number] for number in generator.permutation(len(batches))]


def texts_hash(texts: TrainingTexts) -> str:
    """Sixteen hex digits over all texts and their sides."""
    digest = hashlib.blake2b(digest_size=8)
    for text in (*texts.training, "\0", *texts.validation):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
