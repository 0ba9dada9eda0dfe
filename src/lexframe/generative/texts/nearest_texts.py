"""Memorization check: the nearest training text of each sample, beside those of held-out texts.

Real texts resemble each other, the more the shorter they are. So a sample near a training text says nothing by itself; what counts is
whether samples are nearer than real texts which the model has not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from lexframe.checks import checked_texts, plain
from lexframe.generative.texts.shared_runs import longest_shared_runs
from lexframe.generative.texts.word_index import WordIndex
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Progress
from lexframe.text_forms import normalized
from lexframe.typing import Texts

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class NearestTexts(Result):
    """For each text the nearest training text, and what both have in common word for word.

    Attributes
    ----------
    texts : tuple of str
    nearest : tuple of str
        Training text with the highest similarity, the first of equals.
    nearest_rows : ndarray of int64, shape (n_texts,)
        Its place among the training texts.
    similarities : ndarray of shape (n_texts,), float64
        1 minus the word edit distance over the length of the longer text, in [0, 1].
    is_copy : ndarray of bool, shape (n_texts,)
        Equal to a training text but for case and white space. A similarity of 1 may differ in punctuation.
    longest_runs : tuple of str
        The longest run of words that stands in any training text, not in the nearest alone.
    run_lengths : ndarray of int64, shape (n_texts,)
        Words of these runs.
    provenance : Provenance
    """

    texts: tuple[str, ...]
    nearest: tuple[str, ...]
    nearest_rows: Int64[np.ndarray, " n_texts"]
    similarities: Float[np.ndarray, " n_texts"]
    is_copy: Bool[np.ndarray, " n_texts"]
    longest_runs: tuple[str, ...]
    run_lengths: Int64[np.ndarray, " n_texts"]
    provenance: Provenance = field(default_factory=Provenance)

    def rates(self) -> dict[str, float]:
        """Over the texts: shares of copies, quartiles of the similarity, mean and largest run."""
        low, middle, high = np.quantile(self.similarities, [0.25, 0.5, 0.75]).tolist()
        return {
            "copied_share": float(self.is_copy.mean()),
            "similarity_q25": low,
            "similarity_median": middle,
            "similarity_q75": high,
            "run_mean": float(self.run_lengths.mean()),
            "run_largest": int(self.run_lengths.max()),
        }

    def summary(self) -> str:
        """Copies, the median similarity and the longest run, in a sentence."""
        rates = self.rates()
        return (
            f"{rates['copied_share']:.0%} of {len(self.texts):,} texts are copies of training texts; the nearest has a similarity of "
            f"{rates['similarity_median']:.2f} (median), the longest shared run is {rates['run_largest']} words."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        found = {name: plain(getattr(self, name)) for name in _COLUMNS}
        return found | {"rates": self.rates(), "provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a text."""
        import pandas as pd

        return pd.DataFrame({name: list(getattr(self, name)) for name in _COLUMNS})


_COLUMNS = ("texts", "nearest", "nearest_rows", "similarities", "is_copy", "longest_runs", "run_lengths")


@dataclass(frozen=True, slots=True, eq=False)
class MemorizationCheck(Result):
    """Samples against training texts, beside real texts against the same.

    Attributes
    ----------
    samples : NearestTexts
    held_out : NearestTexts or None
        Of real texts that were not trained on.
    n_training : int
        Texts compared with.
    nearer_probability : float
        That a sample is nearer to its nearest training text than a held-out text is to its own, ties counting half: 0.5 where samples
        resemble training texts as real texts do, 1 where all are nearer. NaN without held-out texts.
    provenance : Provenance
    """

    samples: NearestTexts
    held_out: NearestTexts | None
    n_training: int
    nearer_probability: float
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """Samples beside held-out texts, and what that says."""
        text = f"Of {self.n_training:,} training texts: {self.samples.summary()}"
        if self.held_out is None:
            return f"{text} Without held-out texts nobody can say whether that is much: real texts resemble each other too."
        usual = self.held_out.rates()["similarity_median"]
        return (
            f"{text} For held-out texts the median similarity is {usual:.2f}; a sample is nearer than one of them with probability "
            f"{self.nearer_probability:.2f} (0.5 is no memorization, 1 is all)."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "samples": self.samples.to_dict(),
            "held_out": self.held_out.to_dict() if self.held_out else None,
            "n_training": self.n_training,
            "nearer_probability": plain(self.nearer_probability),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a text of either kind; the column ``kind`` says which."""
        import pandas as pd

        parts = {"sample": self.samples, "held_out": self.held_out}
        return pd.concat([found.to_frame().assign(kind=kind) for kind, found in parts.items() if found], ignore_index=True)


def nearest_texts(texts: Texts, training_texts: Texts, *, progress: Progress = iter) -> NearestTexts:
    """The nearest training text of each text, exactly: of all the one with the fewest word edits over the length of the longer of both.

    Parameters
    ----------
    texts : sequence of str
    training_texts : sequence of str
    progress : callable
        Wraps the iteration over different texts.

    Returns
    -------
    NearestTexts

    Raises
    ------
    InputError
        If there is no text on either side, or one is no string.
    """
    return _nearest(checked_texts(texts), checked_texts(training_texts, what="training_texts"), progress)


def memorization_check(
    samples: Texts, training_texts: Texts, held_out: Texts | None = None, *, progress: Progress = iter
) -> MemorizationCheck:
    """Compare samples with training texts, and real texts that were held out with the same.

    Parameters
    ----------
    samples : sequence of str
        Written by the model.
    training_texts : sequence of str
        All of what it was trained on: what is left out cannot be found.
    held_out : sequence of str, optional
        Real texts from the same source, about as long as the samples, that it was not trained on.
    progress : callable
        Wraps the iteration over different texts.

    Returns
    -------
    MemorizationCheck

    Raises
    ------
    InputError
        If there are no samples, training texts or held-out texts, or one is no string.
    """
    training = checked_texts(training_texts, what="training_texts")
    written = checked_texts(samples, what="samples")
    real = [] if held_out is None else checked_texts(held_out, what="held_out")
    both = _nearest([*written, *real], training, progress)
    found, baseline = _rows(both, slice(0, len(written))), _rows(both, slice(len(written), None)) if real else None
    nearer = np.nan if baseline is None else _probability_above(found.similarities, baseline.similarities)
    return MemorizationCheck(found, baseline, len(training), nearer, Provenance(parameters=_sizes(written, training, real)))


def _nearest(texts: Sequence[str], training: Sequence[str], progress: Progress) -> NearestTexts:
    index, exact = WordIndex(training), {normalized(text) for text in training}
    different = {text: index.nearest(text) for text in progress(list(dict.fromkeys(texts)))}
    rows = np.array([different[text][0] for text in texts], dtype=np.int64)
    runs = longest_shared_runs(texts, training)
    return NearestTexts(
        texts=tuple(texts),
        nearest=tuple(training[row] for row in rows.tolist()),
        nearest_rows=rows,
        similarities=np.array([different[text][1] for text in texts]),
        is_copy=np.array([normalized(text) in exact for text in texts]),
        longest_runs=tuple(" ".join(run) for run in runs),
        run_lengths=np.array([len(run) for run in runs], dtype=np.int64),
        provenance=Provenance(parameters=_sizes(texts, training)),
    )


def _rows(found: NearestTexts, rows: slice) -> NearestTexts:
    parts = {name: getattr(found, name)[rows] for name in _COLUMNS}
    parameters = found.provenance.parameters | {"n_texts": len(parts["texts"])}
    return NearestTexts(**parts, provenance=replace(found.provenance, parameters=parameters))


def _sizes(texts: Sequence[str], training: Sequence[str], held_out: Sequence[str] = ()) -> dict[str, int]:
    return {"n_texts": len(texts), "n_training": len(training)} | ({"n_held_out": len(held_out)} if held_out else {})


def _probability_above(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"]) -> float:
    """Mann and Whitney's U over all pairs."""
    import scipy.stats  # a second to import, and only held-out texts need it

    ranks = scipy.stats.rankdata(np.concatenate([first, second]))[: len(first)]
    return float((ranks.sum() - len(first) * (len(first) + 1) / 2) / (len(first) * len(second)))
