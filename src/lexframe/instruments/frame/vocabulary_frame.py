"""The vocabulary as a frame of reference: where in the latent space each word lies.

With U the unembedding (a row a word) and M = UᵀU, the semantic basis of word i is s_i = M⁻¹u_i: the shortest state
whose logits come closest to "this word and no other". On the input side the basis is the embedding row itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import plain, texts_in
from lexframe.exceptions import InputError
from lexframe.linalg import GramInverse, cosine, gram_matrix, invert_gram, unit_rows
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import VocabularySpace
from lexframe.text_forms import counted
from lexframe.typing import Matrix, ModelName, Vectors

if TYPE_CHECKING:
    import pandas

READOUTS = ("invariant", "cosine")
_BLOCK = 8192
"""Rows of the head that are in float64 at once."""


def semantic_basis(unembedding: Matrix, rows: Sequence[int] | None = None, *, gram: GramInverse | None = None) -> Float[np.ndarray, "n d"]:
    r"""State that stands for each vocabulary item.

    Row :math:`i` is :math:`s_i = M^{-1} u_i` with :math:`M = U^T U`, which is row :math:`i` of the transposed
    pseudo-inverse of the head (Gu et al., 2024, section 3). Only the rows asked for are formed.

    Parameters
    ----------
    unembedding : ndarray of shape (n_vocab, n_dims)
        Rows u_i of the head. Logits are ``h @ unembedding.T``; a bias plays no part.
    rows : sequence of int, optional
        Vocabulary items. Default: all.
    gram : GramInverse, optional
        Of the same unembedding, to save the factorisation.

    Returns
    -------
    ndarray of shape (n_rows, n_dims), float64
        In the units of the states, not normalized.

    References
    ----------
    Gu et al. (2024), Vocabulary-Defined Semantics, arXiv:2401.16184.
    """
    gram = gram or invert_gram(gram_matrix(unembedding))
    chosen = unembedding if rows is None else unembedding[list(rows)]
    return chosen.astype(np.float64) @ gram.inverse


def leverage(unembedding: Matrix, rows: Sequence[int] | None = None, *, gram: GramInverse | None = None) -> Float[np.ndarray, " n"]:
    r"""How far each item can have the logits to itself: :math:`u_i^T M^{-1} u_i`, in [0, 1], summing to the rank of U.

    It is the logit of item i at its own basis; 1 would be a one-hot answer.

    Parameters
    ----------
    unembedding, rows, gram
        See :func:`semantic_basis`.

    Returns
    -------
    ndarray of shape (n_rows,), float64
    """
    bases = semantic_basis(unembedding, rows, gram=gram)
    chosen = unembedding if rows is None else unembedding[list(rows)]
    return np.einsum("ij,ij->i", bases, chosen.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class LabelBases:
    """Where the vocabulary says that each label lies.

    Attributes
    ----------
    labels : tuple of str
        In the order of `vectors`.
    vectors : ndarray of shape (n_labels, n_dims), float64
        Basis of each label: the mean over its words of the mean over the word's tokens.
    token_ids : tuple of tuple of int
        All tokens of each label.
    metric : ndarray of shape (n_dims, n_dims) or None
        The inner product in which similarity is a cosine: M for the invariant readout, None for the paper's.
    """

    labels: tuple[str, ...]
    vectors: Float[np.ndarray, "n_labels n_dims"]
    token_ids: tuple[tuple[int, ...], ...]
    metric: Float[np.ndarray, "n_dims n_dims"] | None = None

    def similarity(self, points: Vectors) -> Float[np.ndarray, "n_points n_labels"]:
        """Similarity of points with the labels, in [-1, 1], higher is closer."""
        return cosine(points.astype(np.float64), self.vectors, self.metric)


@dataclass(frozen=True, slots=True)
class WordCard(Result):
    """What the frame says of one word.

    Attributes
    ----------
    word : str
        As asked for.
    tokens : tuple of str
        Its vocabulary items; measures are of their mean.
    nearest : tuple of (str, float)
        Vocabulary items whose bases are most similar to the word's, and that similarity, in [-1, 1].
    leverage : float
        Mean leverage of the tokens; a typical item has n_dims / n_vocab.
    basis_norm, row_norm : float
        Length of the semantic basis, in units of the states, and of the plain row of the head.
    basis_side_effect, row_side_effect : float
        When the word's logit is raised by 1 along the basis, or along the plain row: the mean absolute change of
        all other logits. Smaller is cleaner.
    provenance : Provenance
    """

    word: str
    tokens: tuple[str, ...]
    nearest: tuple[tuple[str, float], ...]
    leverage: float
    basis_norm: float
    row_norm: float
    basis_side_effect: float
    row_side_effect: float
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """What lies nearest, and how clean a step along the basis is."""
        near = ", ".join(token.strip() or repr(token) for token, _ in self.nearest[:3]) or "nothing"
        return (
            f"{self.word} ({counted(len(self.tokens), 'token')}): nearest are {near}. A step along its basis "
            f"that raises its logit by 1 moves "
            f"the others by {self.basis_side_effect:.3f} on average, one along its row by {self.row_side_effect:.3f}."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        names = ("word", "tokens", "leverage", "basis_norm", "row_norm", "basis_side_effect", "row_side_effect")
        document = {name: plain(getattr(self, name)) for name in names}
        document["nearest"] = [{"token": token, "similarity": plain(value)} for token, value in self.nearest]
        return document | {"provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a near vocabulary item."""
        import pandas as pd

        return pd.DataFrame(list(self.nearest), columns=["token", "similarity"])


class VocabularyFrame:
    """The semantic bases of a space, computed once and handed out by word.

    Parameters
    ----------
    space : VocabularySpace or str
        Gives the unembedding, the embedding and the ids of words.
    side : {"output", "input"}
        ``output``: bases from the head, for states that the head reads. ``input``: rows of the embedding, for layer 0.
    center : bool
        Take the mean row off the head first. The softmax ignores that common shift; the bases then do too.
    rcond : float
        See :func:`lexframe.linalg.invert_gram`.
    """

    def __init__(self, space: VocabularySpace | ModelName, *, side: str = "output", center: bool = False, rcond: float = 1e-12):
        if side not in ("output", "input"):
            raise InputError(f"side is {side!r}; expected 'output' (bases of the head) or 'input' (rows of the embedding).")
        self.space, self.side, self.center, self.rcond = VocabularySpace.of(space), side, center, rcond

    @cached_property
    def rows(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """The rows that define the frame: of the head or of the embedding, centered if asked for."""
        rows = self.space.unembedding() if self.side == "output" else self.space.embedding()
        return rows - rows.mean(0) if self.center else rows

    @cached_property
    def gram(self) -> GramInverse:
        """M and its inverse; computed once."""
        return invert_gram(gram_matrix(self.rows), rcond=self.rcond)

    @property
    def provenance(self) -> Provenance:
        """Of everything this frame gives."""
        return Provenance(space=self.space.fingerprint, parameters={"side": self.side, "center": self.center, "rcond": self.rcond})

    def bases(self, ids: Sequence[int] | None = None) -> Float[np.ndarray, "n n_dims"]:
        """Bases of vocabulary items (default: all), float64."""
        if self.side == "input":
            return (self.rows if ids is None else self.rows[list(ids)]).astype(np.float64)
        return semantic_basis(self.rows, ids, gram=self.gram)

    def word_basis(self, word: str) -> Float[np.ndarray, " n_dims"]:
        """Basis of a word: the mean over its tokens."""
        return self.bases(self.space.word_ids(word)).mean(0)

    def leverages(self, ids: Sequence[int] | None = None) -> Float[np.ndarray, " n"]:
        """Leverages of vocabulary items (default: all, which are worked out once)."""
        return leverage(self.rows, ids, gram=self.gram) if ids is not None else self._measures[0].copy()

    @cached_property
    def _measures(self) -> tuple[Float[np.ndarray, " n_vocab"], Float[np.ndarray, " n_vocab"]]:
        """Leverage of every item and length of its basis. They are all that similarities need of the bases, which would not fit in memory
        beside a large vocabulary.
        """
        parts = [self._measured(slice(start, start + _BLOCK)) for start in range(0, len(self.rows), _BLOCK)]
        leverages, lengths = (np.concatenate(each) for each in zip(*parts, strict=True))
        return leverages, lengths

    def _measured(self, chosen: Any) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows[chosen].astype(np.float64)
        bases = rows @ self.gram.inverse
        return np.einsum("ij,ij->i", rows, bases), np.linalg.norm(bases if self.side == "output" else rows, axis=1)

    def similarity(
        self, points: Vectors, ids: Sequence[int] | None = None, *, readout: str = "invariant"
    ) -> Float[np.ndarray, "n_points n_items"]:
        r"""Similarity of points with vocabulary items, in [-1, 1].

        ``invariant`` is :math:`c_i = \mathrm{logit}_i / (\sqrt{\mathrm{lev}_i}\, \|\mathrm{logits}\|_2)`, the cosine
        of s_i and the point in the inner product of M. It does not change when the model is re-parameterised by
        :math:`h \to A^{-T} h,\ U \to U A^T`, which leaves every logit alone. ``cosine`` is the paper's
        :math:`\cos(s_i, h)`, which does change.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
            What the head reads: see :meth:`VocabularySpace.head_input`.
        ids : sequence of int, optional
            Vocabulary items. Default: all.
        readout : {"invariant", "cosine"}
            The inner product.
        """
        leverages, lengths = self._measures if ids is None else self._measured(list(ids))
        lengths = lengths if readout == "cosine" else np.sqrt(np.maximum(leverages, 0.0))
        # s_i = M⁻¹u_i, so its inner product with a point is that of the row with a point that M⁻¹ has mapped: no basis is formed.
        mapped = unit_rows(points, metric := self.metric(readout))
        if self.side == "output":
            mapped = (mapped if metric is None else mapped @ metric) @ self.gram.inverse
        elif metric is not None:
            mapped = mapped @ metric
        found = np.empty((len(mapped), len(lengths)))
        chosen = self.rows if ids is None else self.rows[list(ids)]
        for block in (slice(start, start + _BLOCK) for start in range(0, len(chosen), _BLOCK)):
            found[:, block] = mapped @ chosen[block].T.astype(np.float64)
        return np.clip(found / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)

    def metric(self, readout: str) -> Float[np.ndarray, "n_dims n_dims"] | None:
        """The inner product of a readout: None for the Euclidean one; for the invariant one M, and on the input side
        M⁻¹, because embedding rows change under a re-parameterisation as the rows of U do and bases do not.
        """
        if readout not in READOUTS:
            raise InputError(f"readout is {readout!r}; expected one of {', '.join(READOUTS)}.")
        if readout == "cosine":
            return None
        return self.gram.gram if self.side == "output" else self.gram.inverse

    def label_bases(self, label_words: Mapping[str, Sequence[str]] | Sequence[str], *, readout: str = "invariant") -> LabelBases:
        """Bases of labels, each named by one or more words.

        Parameters
        ----------
        label_words : mapping of str to sequence of str, or sequence of str
            Words that stand for each label; one word may stand alone. Labels in a list are named by themselves.
        readout : {"invariant", "cosine"}
            See :meth:`similarity`.

        Raises
        ------
        VocabularyError
            If the vocabulary cannot write a word.
        InputError
            If a label has no word.
        """
        if not isinstance(label_words, Mapping):
            label_words = {label: [label] for label in texts_in(label_words, what="label_words")}
        label_words = {label: texts_in(words, what=f"label_words[{label!r}]") for label, words in label_words.items()}
        empty = [label for label, words in label_words.items() if not len(words)]
        if empty or not label_words:
            raise InputError(f"No word is given for {', '.join(map(repr, empty)) or 'any label'}. Give every label one word or more.")
        vectors = np.stack([np.mean([self.word_basis(word) for word in words], axis=0) for words in label_words.values()])
        ids = tuple(tuple(i for word in words for i in self.space.word_ids(word)) for words in label_words.values())
        return LabelBases(labels=tuple(label_words), vectors=vectors, token_ids=ids, metric=self.metric(readout))

    def nearest(self, word: str, *, limit: int = 10, readout: str = "invariant") -> list[tuple[str, float]]:
        """Vocabulary items whose bases lie nearest to that of a word, with their similarity; see :meth:`card`.

        Parameters
        ----------
        word : str
            One or more tokens of the vocabulary.
        limit : int
            How many.
        readout : {"invariant", "cosine"}
            See :meth:`card`.
        """
        return list(self.card(word, n_nearest=limit, readout=readout).nearest)

    def card(self, word: str, *, n_nearest: int = 10, readout: str = "invariant") -> WordCard:
        """What the frame says of one word; see :class:`WordCard`.

        Parameters
        ----------
        word : str
            One or more tokens of the vocabulary.
        n_nearest : int
            Vocabulary items to list.
        readout : {"invariant", "cosine"}
            The inner product in which bases are near: the Euclidean one follows directions that the head hardly reads.
        """
        ids = self.space.word_ids(word)
        basis, row = self.bases(ids).mean(0), self.rows[list(ids)].astype(np.float64).mean(0)
        similarity = self.similarity(basis[np.newaxis], readout=readout)[0]
        order = np.argsort(-similarity, kind="stable")
        order = order[~np.isin(order, ids)][:n_nearest]
        return WordCard(
            word=word,
            tokens=tuple(self.space.token_texts(ids)),
            nearest=tuple(zip(self.space.token_texts(order.tolist()), similarity[order].tolist(), strict=True)),
            leverage=float(self.leverages(ids).mean()),
            basis_norm=float(np.linalg.norm(basis)),
            row_norm=float(np.linalg.norm(row)),
            basis_side_effect=side_effect(self.rows, ids, basis),
            row_side_effect=side_effect(self.rows, ids, row),
            provenance=replace(self.provenance, parameters=self.provenance.parameters | {"readout": readout}),
        )


def side_effect(unembedding: Matrix, ids: Sequence[int], direction: Float[np.ndarray, " n_dims"]) -> float:
    """Mean absolute change of the other logits when a step along `direction` raises the mean logit of `ids` by 1.

    Infinite where the direction does not move the logits of `ids` at all.
    """
    change = unembedding.astype(np.float64, copy=False) @ direction
    own = change[list(ids)].mean()
    others = np.delete(change, list(ids))
    if own == 0:
        return float("inf")
    return float(np.abs(others / own).mean()) if len(others) else 0.0
