r"""Retrofitting: word vectors drawn towards those of the words that a lexical graph links them with.

With :math:`\hat q_i` the vector of a word before and :math:`q_i` after, Faruqui et al. (2015) repeat

.. math:: q_i \leftarrow \frac{\sum_j \beta_{ij} q_j + \alpha\, \hat q_i}{\sum_j \beta_{ij} + \alpha}, \qquad \beta_{ij} = w_{ij} / \deg_i .

Its fixed point is a linear system. Row i times :math:`\deg_i = \sum_j w_{ij}` makes the system symmetric and positive definite,
:math:`((1 + \alpha) D - W)\, Q = \alpha D \hat Q`, and its condition after scaling by D is at most :math:`(2 + \alpha) / \alpha`
whatever the graph, so conjugate gradients end in a few dozen steps.

A graph moves the words it holds and no others. The map that is fitted here carries the change to words that the graph does not hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from lexframe.data.edges import Edge
from lexframe.data.word_vectors import WordVectors
from lexframe.exceptions import DataError, InputError
from lexframe.instruments.words.lexical_graph import adjacency
from lexframe.linalg import unit_rows
from lexframe.text_forms import counted

_TOLERANCE = 1e-10
_MAX_STEPS = 10_000


def retrofit(
    vectors: Float[np.ndarray, "n_words n_dims"], weights: scipy.sparse.csr_array, *, alpha: float = 1.0
) -> Float[np.ndarray, "n_words n_dims"]:
    r"""The fixed point of Faruqui et al. (2015), eq. (2), without its iteration.

    Parameters
    ----------
    vectors : ndarray of shape (n_words, n_dims)
        :math:`\hat q`.
    weights : sparse array of shape (n_words, n_words)
        :math:`w`, symmetric, with an empty diagonal. :math:`\beta_{ij} = w_{ij} / \sum_j w_{ij}`, which for weights of 1 is the
        paper's 1 / degree.
    alpha : float
        How strongly a word is held where it was; the paper's 1 by default.

    Returns
    -------
    ndarray of shape (n_words, n_dims), float64
        Words without a link stay where they were.
    """
    moved = vectors.astype(np.float64)
    degrees = weights.sum(axis=1)
    linked = np.flatnonzero(degrees > 0)
    if len(linked):
        part, degree = weights[linked][:, linked], degrees[linked][:, np.newaxis]
        moved[linked] = _conjugate_gradients(part, degree, alpha, moved[linked])
    return moved


def _conjugate_gradients(weights: scipy.sparse.csr_array, degrees: np.ndarray, alpha: float, start: np.ndarray) -> np.ndarray:
    """Solve ((1 + alpha) D − W) Q = alpha D start, a column a dimension, preconditioned by the diagonal."""
    diagonal = (1 + alpha) * degrees
    target = alpha * degrees * start
    solution = start.copy()
    residual = target - (diagonal * solution - weights @ solution)
    scaled = residual / diagonal
    direction = scaled.copy()
    power = (residual * scaled).sum(axis=0)
    goal = _TOLERANCE**2 * np.maximum((target * target / diagonal).sum(axis=0), np.finfo(np.float64).tiny)
    for _ in range(_MAX_STEPS):
        if (power <= goal).all():
            break
        image = diagonal * direction - weights @ direction
        curvature = (direction * image).sum(axis=0)
        step = np.divide(power, curvature, out=np.zeros_like(power), where=curvature > 0)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        before, power = power, (residual * scaled).sum(axis=0)
        direction = scaled + np.divide(power, before, out=np.zeros_like(power), where=before > 0) * direction
    return solution


class Retrofitting(BaseEstimator):
    r"""Retrofit the words of a graph, and carry what changed to all other words by a ridge map.

    The map (see :class:`ChangeMap`) is fitted on the words of the graph, from where they were to how they moved. Its penalty is found by
    cross-validation over those words; an infinite penalty, which changes no cosine, is among the choices.

    Parameters
    ----------
    alpha : float
        See :func:`retrofit`.
    relation_weights : mapping of str to float, optional
        See :func:`adjacency`.
    penalties : sequence of float
        See :func:`change_map`; infinity, which changes no cosine, is always tried too.
    n_folds : int
        Of the cross-validation.
    random_state : int
        Of the folds.

    Attributes
    ----------
    retrofitted_ : WordVectors
        The words of the graph, moved.
    map_ : ChangeMap
        What moves words outside the graph.
    penalty_ : float
        The penalty chosen.
    explained_ : dict of float to float
        By penalty: of the squared change of graph words beyond their common contraction, the share that a map explains which was
        fitted on other graph words; 0 for infinity.

    Notes
    -----
    Vectors are brought to unit length first, as the authors' program does. The map is that of explicit retrofitting (Glavaš and
    Vulić, 2018) made linear, so that it has a closed form.

    References
    ----------
    Faruqui et al. (2015), Retrofitting Word Vectors to Semantic Lexicons, arXiv:1411.4166.
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        relation_weights: Mapping[str, float] | None = None,
        penalties: Sequence[float] = (0.01, 0.1, 1.0, 10.0, 100.0),
        n_folds: int = 5,
        random_state: int = 0,
    ):
        self.alpha = alpha
        self.relation_weights = relation_weights
        self.penalties = penalties
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X: WordVectors, edges: Iterable[Edge]) -> "Retrofitting":
        """Retrofit the words of the graph and fit the map.

        Parameters
        ----------
        X : WordVectors
            Holds the words of the graph; others play no part.
        edges : iterable of Edge
            Links of the graph.

        Raises
        ------
        DataError
            If fewer linked words than twice the folds have a vector.
        InputError
            If `alpha` is not above 0, or a weight is negative.
        """
        if not self.alpha > 0:
            raise InputError(f"alpha is {self.alpha}; expected a number above 0: with 0 all linked words fall together.")
        units = X.unit()
        weights = adjacency(edges, units, self.relation_weights)
        linked = np.flatnonzero(weights.sum(axis=1) > 0)
        if len(linked) < 2 * self.n_folds:
            raise DataError(
                f"Only {counted(len(linked), 'linked word has', 'linked words have')} a vector; expected {2 * self.n_folds} or more. "
                "Check the spelling and the case of the graph's words, or give more edges."
            )
        moved = retrofit(units.vectors, weights, alpha=self.alpha)[linked]
        before = units.vectors[linked].astype(np.float64)
        self.retrofitted_ = units.restricted(units.words[row] for row in linked).with_vectors(moved, made_by=self._made_by())
        self.explained_ = _explained(before, moved, self.penalties, self.n_folds, self.random_state)
        self.penalty_ = max(self.explained_, key=lambda penalty: (self.explained_[penalty], penalty))
        self.map_ = change_map(before, moved, self.penalty_)
        return self

    def transform(self, X: WordVectors) -> WordVectors:
        """The words of the graph where retrofitting put them, and all others where the map does.

        Parameters
        ----------
        X : WordVectors
            Of the same source as the words that were fitted.

        Returns
        -------
        WordVectors
        """
        moved = self.mapped(X)
        both = [(row, self.retrofitted_.index[word]) for row, word in enumerate(X.words) if word in self.retrofitted_]
        vectors = moved.vectors.copy()
        vectors[[row for row, _ in both]] = self.retrofitted_.vectors[[row for _, row in both]]
        return moved.with_vectors(vectors, made_by={})

    def mapped(self, X: WordVectors) -> WordVectors:
        """All words moved by the map alone, those of the graph too.

        Parameters
        ----------
        X : WordVectors
            See :meth:`transform`.

        Returns
        -------
        WordVectors

        Raises
        ------
        InputError
            If the vectors have another number of dimensions.
        """
        check_is_fitted(self)
        if X.n_dims != len(self.map_.center):
            raise InputError(
                f"The vectors have {X.n_dims} dimensions, but those fitted had {len(self.map_.center)}. Give vectors of the same source."
            )
        units = unit_rows(X.vectors)
        return X.with_vectors(self.map_(units), made_by=self._made_by())

    def _made_by(self) -> dict[str, Any]:
        return {"retrofitting": {"alpha": self.alpha, "relation_weights": dict(self.relation_weights or {})}}


@dataclass(frozen=True, slots=True)
class ChangeMap:
    r"""How words change by where they are: :math:`x \mapsto (1 - k)\, x + (x - c)\, C`.

    Drawing linked words together shortens their distances from their mean, whatever the links are: that contraction, k, is set apart
    and given to all of x, which leaves every cosine as it was. What the links alone can say is in C, and the penalty is on C alone.

    Attributes
    ----------
    contraction : float
        k.
    center : ndarray of shape (n_dims,)
        c, the mean of the words that the map was fitted on.
    coef : ndarray of shape (n_dims, n_dims)
        C.
    """

    contraction: float
    center: Float[np.ndarray, " n_dims"]
    coef: Float[np.ndarray, "n_dims n_dims"]

    def __call__(self, X: Float[np.ndarray, "n n_dims"]) -> Float[np.ndarray, "n n_dims"]:
        """Words after the change."""
        return (1 - self.contraction) * X + (X - self.center) @ self.coef


def change_map(X: Float[np.ndarray, "n n_dims"], moved: Float[np.ndarray, "n n_dims"], penalty: float) -> ChangeMap:
    """Fit a :class:`ChangeMap` in closed form, on deviations from the means.

    Parameters
    ----------
    X, moved : ndarray of shape (n, n_dims)
        Where words were, and where they are.
    penalty : float
        On the squares of C, relative to the mean eigenvalue of the Gram matrix of the deviations. Infinity makes C zero.
    """
    center = X.mean(axis=0)
    deviations = X - center
    change = moved - moved.mean(axis=0) - deviations
    gram = deviations.T @ deviations
    squares = max(float(np.trace(gram)), np.finfo(np.float64).tiny)
    k = -float((deviations * change).sum()) / squares
    if np.isinf(penalty):
        return ChangeMap(k, center, np.zeros_like(gram))
    ridge = gram + penalty * squares / len(gram) * np.eye(len(gram))
    return ChangeMap(k, center, scipy.linalg.solve(ridge, deviations.T @ (change + k * deviations), assume_a="pos"))


def _explained(X: np.ndarray, moved: np.ndarray, penalties: Sequence[float], n_folds: int, random_state: int) -> dict[float, float]:
    """By penalty, the share that the map explains of what the contraction leaves, in deviations of left-out words."""
    fold_of = np.random.default_rng(random_state).permutation(len(X)) % n_folds
    error = dict.fromkeys([*penalties, float("inf")], 0.0)
    for fold in range(n_folds):
        test = fold_of == fold
        for penalty in error:
            fitted = change_map(X[~test], moved[~test], penalty)
            shift = moved[~test].mean(axis=0) - (1 - fitted.contraction) * fitted.center
            error[penalty] += float(((moved[test] - shift - fitted(X[test])) ** 2).sum())
    total = max(error[float("inf")], np.finfo(np.float64).tiny)
    return {penalty: 1 - value / total for penalty, value in error.items()}
