"""Texts that went through a latent and came back: side by side, with what is left of each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from lexframe.checks import checked_texts, plain
from lexframe.generative.texts.bleu import bleu_counts
from lexframe.generative.texts.reconstruction import exact_match, word_accuracy
from lexframe.intervals import Estimate, mean_estimate
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import DecodableSpace, Progress
from lexframe.spaces.decoding import Decoding
from lexframe.typing import ModelName, Points, Texts

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class Reconstructions(Result):
    """Texts, each with what its own point is decoded to.

    Attributes
    ----------
    texts : tuple of str
    reconstructions : tuple of str
    is_exact : ndarray of bool, shape (n_texts,)
        All words, in order; see :func:`~lexframe.generative.texts.reconstruction.exact_match`.
    word_accuracies : ndarray of shape (n_texts,), float64
        Share of places with the right word; see :func:`~lexframe.generative.texts.reconstruction.word_accuracy`.
    is_cut : ndarray of bool, shape (n_texts,)
        Texts longer than the space takes: their ends cannot come back.
    provenance : Provenance
    """

    texts: tuple[str, ...]
    reconstructions: tuple[str, ...]
    is_exact: Bool[np.ndarray, " n_texts"]
    word_accuracies: Float[np.ndarray, " n_texts"]
    is_cut: Bool[np.ndarray, " n_texts"]
    provenance: Provenance

    @property
    def exact_match(self) -> Estimate:
        """Share of texts that come back whole, over two texts or more."""
        return mean_estimate(self.is_exact.astype(np.float64), seed=self.provenance.seed or 0)

    @property
    def word_accuracy(self) -> Estimate:
        """Mean of the word accuracies, over two texts or more."""
        return mean_estimate(self.word_accuracies, seed=self.provenance.seed or 0)

    @property
    def bleu(self) -> Estimate:
        """Of all texts together, in [0, 1]; see :func:`~lexframe.generative.texts.bleu.bleu`."""
        return bleu_counts(self.texts, self.reconstructions).corpus_estimate(seed=self.provenance.seed or 0)

    def rates(self) -> dict[str, int | float]:
        """How many texts, how many of them cut, share of exact ones and mean word accuracy, cut ones included."""
        return {
            "n_texts": len(self.texts),
            "n_cut": int(self.is_cut.sum()),
            "exact_share": float(self.is_exact.mean()),
            "word_accuracy": float(self.word_accuracies.mean()),
        }

    def summary(self) -> str:
        """How many texts come back, and whether that is anything."""
        rates = self.rates()
        text = (
            f"{rates['exact_share']:.1%} of {rates['n_texts']:,} texts come back exactly; {rates['word_accuracy']:.1%} of the words stand "
            f"in their place."
        )
        text += f" {rates['n_cut']:,} texts were cut, as longer than the space takes." if rates["n_cut"] else ""
        return text if rates["word_accuracy"] > 0.1 else f"{text} The decoder does not write what the points stand for."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {name: plain(getattr(self, name)) for name in _COLUMNS} | {
            "rates": self.rates(),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a text."""
        import pandas as pd

        return pd.DataFrame({name: list(getattr(self, name)) for name in _COLUMNS})


_COLUMNS = ("texts", "reconstructions", "is_exact", "word_accuracies", "is_cut")


def reconstruct_texts(
    space: DecodableSpace | ModelName,
    texts: Texts,
    *,
    points: Points | None = None,
    decoding: Decoding | None = None,
    progress: Progress = iter,
) -> Reconstructions:
    """Encode texts, decode their points, and compare.

    Parameters
    ----------
    space : DecodableSpace or str
    texts : sequence of str
    points : ndarray of shape (n_texts, n_dims), float32, optional
        Default: ``space.encode(texts)``.
    decoding : Decoding, optional
        Default: the likeliest token each time.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    Reconstructions

    Raises
    ------
    InputError
        If there is no text, or one is no string.
    """
    space = DecodableSpace.of(space)
    decoding = decoding or Decoding()
    texts = checked_texts(texts)
    points = space.encode(texts, batch_size=decoding.batch_size, progress=progress) if points is None else points
    written = decoding.texts(space, points, progress=progress)
    return Reconstructions(
        texts=tuple(texts),
        reconstructions=tuple(written),
        is_exact=exact_match(texts, written),
        word_accuracies=word_accuracy(texts, written),
        is_cut=np.asarray(space.truncated(texts), dtype=bool),
        provenance=Provenance(space=space.fingerprint, seed=decoding.seed, parameters=decoding.parameters),
    )
