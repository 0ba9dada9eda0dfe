r"""Retrofitting: word vectors drawn towards those of the words that a lexical graph links them with.

With :math:`\hat q_i` the vector of a word before and :math:`q_i` after, Faruqui et al. (2015) repeat

.. math:: q_i \leftarrow \frac{\sum_j \beta_{ij} q_j + \alpha\, \hat q_i}{\sum_j \beta_{ij} + \alpha}, \qquad \beta_{ij} = w_{ij} / \deg_i .

Its fixed point is a linear system. Row i times :math:`\deg_i = \sum_j w_{ij}` makes the system symmetric and positive definite,
:math:`((1 + \alpha) D - W)\, Q = \alpha D \hat Q`, and its condition after scaling by D is at most :math:`(2 + \alpha) / \alpha`
whatever the graph, so conjugate gradients end in a few dozen steps.

A graph moves the words it holds and no others. The map that is fitted here carries the change to words that the graph does not hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from lexframe.exceptions import DataError, InputError
from lexframe.instruments.lexical_graph import Edge, adjacency
from lexframe.instruments.word_vectors import WordVectors
from lexframe.linalg import unit_rows

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

    The map :math:`x \mapsto x + x_c B` is fitted on the words of the graph, from where they were to how they moved. Its penalty is found by
    cross-validation over those words; an infinite penalty, which moves no word, is among the choices.

    Parameters
    ----------
    alpha : float
        See :func:`retrofit`.
    relation_weights : mapping of str to float, optional
        See :func:`adjacency`.
    penalties : sequence of float
        Ridge penalties to try, relative to the mean eigenvalue of the Gram matrix of the graph words; infinity is always tried too.
    n_folds : int
        Of the cross-validation.
    random_state : int
        Of the folds.

    Attributes
    ----------
    retrofitted_ : WordVectors
        The words of the graph, moved.
    coef_ : ndarray of shape (n_dims, n_dims)
        B.
    center_, shift_ : ndarray of shape (n_dims,)
        Mean of the graph words, which x_c is taken from, and their mean change; 0 where the penalty is infinite.
    penalty_ : float
        The penalty chosen.
    explained_ : dict of float to float
        By penalty: the share of the squared change that the map foretells for graph words that it was not fitted on.

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
                f"Only {len(linked)} words that the graph links have a vector; expected {2 * self.n_folds} or more. "
                "Check the spelling and the case of the graph's words, or give more edges."
            )
        moved = retrofit(units.vectors, weights, alpha=self.alpha)[linked]
        before = units.vectors[linked].astype(np.float64)
        self.retrofitted_ = units.restricted(units.words[row] for row in linked).with_vectors(moved, made_by=self._made_by())
        self.explained_ = _foretold(before, moved - before, self.penalties, self.n_folds, self.random_state)
        self.penalty_ = max(self.explained_, key=lambda penalty: (self.explained_[penalty], penalty))
        self.center_, self.shift_, self.coef_ = ridge_map(before, moved - before, self.penalty_)
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
        if X.n_dims != len(self.center_):
            raise InputError(
                f"The vectors have {X.n_dims} dimensions, but those fitted had {len(self.center_)}. Give vectors of the same source."
            )
        units = unit_rows(X.vectors)
        return X.with_vectors(units + self.shift_ + (units - self.center_) @ self.coef_, made_by=self._made_by())

    def _made_by(self) -> dict[str, Any]:
        return {"retrofitting": {"alpha": self.alpha, "relation_weights": dict(self.relation_weights or {})}}


def ridge_map(
    X: Float[np.ndarray, "n n_dims"], change: Float[np.ndarray, "n n_dims"], penalty: float
) -> tuple[Float[np.ndarray, " n_dims"], Float[np.ndarray, " n_dims"], Float[np.ndarray, "n_dims n_dims"]]:
    r"""Center c, shift s and matrix B such that :math:`s + (x - c) B` is about the change of x.

    Parameters
    ----------
    X, change : ndarray of shape (n, n_dims)
        Where words were, and how they moved.
    penalty : float
        On the squares of B, relative to the mean eigenvalue of the centred Gram matrix. Infinity gives no change at all, shift included.
    """
    center, shift = X.mean(axis=0), change.mean(axis=0)
    if np.isinf(penalty):
        return center, np.zeros_like(shift), np.zeros((X.shape[1], X.shape[1]))
    centred = X - center
    gram = centred.T @ centred
    ridge = penalty * np.trace(gram) / len(gram) + np.finfo(np.float64).tiny
    return center, shift, scipy.linalg.solve(gram + ridge * np.eye(len(gram)), centred.T @ (change - shift), assume_a="pos")


def _foretold(X: np.ndarray, change: np.ndarray, penalties: Sequence[float], n_folds: int, random_state: int) -> dict[float, float]:
    """By penalty, the share of the squared change of left-out words that the map foretells; 0 for the infinite one."""
    fold_of = np.random.default_rng(random_state).permutation(len(X)) % n_folds
    error = dict.fromkeys([*penalties, float("inf")], 0.0)
    for fold in range(n_folds):
        test = fold_of == fold
        for penalty in error:
            center, shift, coef = ridge_map(X[~test], change[~test], penalty)
            error[penalty] += float(((change[test] - shift - (X[test] - center) @ coef) ** 2).sum())
    total = max(float((change**2).sum()), np.finfo(np.float64).tiny)
    return {penalty: 1 - value / total for penalty, value in error.items()}
