"""A space without a model: TF-IDF of words and characters, brought to few dimensions, fitted on the texts at hand.

Every instrument that takes points can be held against it: what it finds here, a model has not added.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
from jaxtyping import Float

from lexframe.artifacts import Artifact, Persistent, damage_named, is_artifact, read_artifact, read_document
from lexframe.exceptions import InputError, LexframeError
from lexframe.ngrams import NGramCounts, NGramVocabulary, Sparse, inverse_document_frequencies, tfidf
from lexframe.provenance import Provenance, SpaceFingerprint, array_hash
from lexframe.spaces.base import FittedSpace, Progress
from lexframe.typing import Points

NAME = "tfidf"
N_DIMS = 1024
MOST_TEXTS = 20_000
"""Texts whose n-grams are counted."""
MOST_AXES = 2048
"""Texts among them whose span holds the points."""
_BATCH = 512
_LEAST_SHARE = 1e-9
"""Of the largest singular value squared: what is below is rounding."""


class LexicalSpace(FittedSpace, Persistent):
    r"""TF-IDF of words, pairs of words, and two to five characters, in the directions in which the fitted texts differ most.

    With F the TF-IDF of the fitted texts (20,000 at most) and :math:`F F^T = U S^2 U^T` over 2,048 of them, a text with the row f lies
    at :math:`f F^T U S^{-1} R`: the largest singular directions, turned by one fixed random rotation R. A rotation leaves every angle
    and distance as it is. Without it an instrument that brings each coordinate to the same spread, as many do, would make as much of
    the smallest direction as of the largest.

    Parameters
    ----------
    model : str
        ``"tfidf"``, which is fitted first, or a folder in which a fitted space is kept.
    n_dims : int, optional
        Most dimensions; fewer where the texts span fewer. Default: 1,024, or what the folder holds.

    Examples
    --------
    >>> space = LexicalSpace().fitted_on(["the parcel is late", "a refund, please", "where is my parcel"])
    >>> space.encode(["no parcel yet"]).shape
    (1, 3)
    """

    kind: ClassVar[str] = "tfidf"
    artifact_kind: ClassVar[str] = "tfidf-space"

    def __init__(self, model: str = NAME, *, n_dims: int | None = None):
        if n_dims is not None and n_dims < 1:
            raise InputError(f"n_dims is {n_dims}; expected 1 or more.", parameter="n_dims")
        self.model_name, self.most_dims = model, N_DIMS if n_dims is None else n_dims
        self._vocabulary: NGramVocabulary | None = None
        if model != NAME:
            if n_dims is not None:
                raise InputError(f"{model} is fitted, and its dimensions with it. Leave n_dims out.", parameter="n_dims")
            artifact = read_artifact(model, kind=self.artifact_kind, version=self.artifact_version)
            with damage_named(model, self.artifact_kind):
                self._take(artifact)

    @classmethod
    def recognizes(cls, model: str) -> bool:
        """``"tfidf"``, or a folder in which a fitted space is kept."""
        if model == NAME or not is_artifact(model):
            return model == NAME
        try:
            return bool(read_document(model)["kind"] == cls.artifact_kind)
        except LexframeError:
            return False

    @classmethod
    def reopening(cls, fingerprint: SpaceFingerprint) -> dict[str, Any]:
        """Nothing: the folder holds all."""
        return {}

    @property
    def is_fitted(self) -> bool:
        """Whether texts have said what the dimensions are."""
        return self._vocabulary is not None

    def fitted_on(self, texts: Sequence[str]) -> "LexicalSpace":
        """The space that these texts give; of more than 20,000 as many are drawn.

        Parameters
        ----------
        texts : sequence of str

        Raises
        ------
        InputError
            If no text has a letter.
        """
        chosen = _drawn(texts, MOST_TEXTS)
        found = NGramCounts.of([texts[row] for row in chosen])
        if not len(found.vocabulary):
            raise InputError(f"None of the {len(texts)} texts that {NAME} is to be fitted on has a letter. Give texts with words.")
        rarity = inverse_document_frequencies(found.counts)
        features = tfidf(found.counts, rarity, len(found.vocabulary.words))
        axes = features[_drawn(range(len(chosen)), MOST_AXES)]
        made = LexicalSpace(n_dims=self.most_dims)
        made._set(found.vocabulary, rarity, axes, _map(axes, self.most_dims))
        return made

    @property
    def n_dims(self) -> int:
        """Dimensions of a point."""
        return self._map.shape[1] if self.is_fitted else self.most_dims

    @property
    def fingerprint(self) -> SpaceFingerprint:
        """Of what it was fitted on: vocabulary, how rare each n-gram is, and the texts that span the points."""
        return SpaceFingerprint(kind="LexicalSpace", model=self.model_name, weights=self._digest if self.is_fitted else "not fitted")

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Points of `texts`; one without a known n-gram is zero.

        Raises
        ------
        InputError
            If the space is not fitted.
        """
        if self._vocabulary is None:
            raise InputError(
                f"{NAME} is not fitted: its dimensions come from texts. Call space.fitted_on(texts) with those to learn from, or name a "
                "folder where a fitted space is kept.",
                parameter="model",
            )
        points = np.zeros((len(texts), self.n_dims), dtype=np.float32)
        size = batch_size or _BATCH
        for start in progress(range(0, len(texts), size)):
            counts = self._vocabulary.counts(texts[start : start + size])
            features = tfidf(counts, self._rarity, len(self._vocabulary.words))
            points[start : start + size] = (features @ self._axes.T).toarray() @ self._map
        return points

    def to_artifact(self) -> Artifact:
        """Vocabulary, how rare each n-gram is, the texts that span the points, and the map.

        Raises
        ------
        InputError
            If the space is not fitted.
        """
        if self._vocabulary is None:
            raise InputError(f"{NAME} is not fitted, so there is nothing to keep. Call space.fitted_on(texts) first.")
        return Artifact(self.artifact_kind, {"most_dims": self.most_dims}, self._arrays(), Provenance(space=self.fingerprint))

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "LexicalSpace":
        """Back from :meth:`to_artifact`."""
        space = cls()
        space._take(artifact)
        return space

    def _arrays(self) -> dict[str, np.ndarray]:
        assert self._vocabulary is not None
        axes = {f"axes_{name}": getattr(self._axes, name) for name in ("data", "indices", "indptr")}
        return {**self._vocabulary.to_arrays(), "rarity": self._rarity, **axes, "map": self._map}

    def _take(self, artifact: Artifact) -> None:
        import scipy.sparse

        arrays = artifact.arrays
        vocabulary = NGramVocabulary.from_arrays(arrays)
        parts = (arrays["axes_data"], arrays["axes_indices"], arrays["axes_indptr"])
        axes = scipy.sparse.csr_array(parts, shape=(len(parts[2]) - 1, len(vocabulary)))
        self.most_dims = int(artifact.parameters["most_dims"])
        self._set(vocabulary, arrays["rarity"], axes, arrays["map"])

    def _set(self, vocabulary: NGramVocabulary, rarity: np.ndarray, axes: Sparse, turned: np.ndarray) -> None:
        if rarity.shape != (len(vocabulary),) or turned.shape[0] != axes.shape[0]:
            raise ValueError("vocabulary, weights and map do not fit together")
        self._vocabulary, self._rarity, self._axes, self._map = vocabulary, rarity, axes, turned
        self._digest = array_hash(sorted(self._arrays().items()))


def _drawn(items: Sequence[Any], most: int) -> list[int]:
    """Rows of `most` items at most, drawn with one seed, rising."""
    rows = np.random.default_rng(0).permutation(len(items))[:most]
    return [int(row) for row in np.sort(rows)]


def _map(axes: Sparse, most_dims: int) -> Float[np.ndarray, "n_axes n_dims"]:
    """From products with the texts that span the points to coordinates: singular directions, turned."""
    gram = (axes @ axes.T).toarray().astype(np.float64)
    first = max(len(gram) - most_dims, 0)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(first, len(gram) - 1))
    kept = values > _LEAST_SHARE * values[-1]
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])  # a singular vector has no sign of its own
    rotation, upper = np.linalg.qr(np.random.default_rng(0).standard_normal((len(values), len(values))))
    rotation = rotation * np.sign(np.diag(upper))
    return ((vectors / np.sqrt(values)) @ rotation).astype(np.float32)
