r"""Posterior calibration: the vocabulary says what each text might mean, the labels say where that is wrong.

One posterior from several views of a text: the zero-shot classifier, and a discriminant on every block of points. With no label it is
the zero-shot classifier exactly; as labels come, they say how far to trust it, and how far each block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from lexframe.exceptions import DataError
from lexframe.instruments.classifiers.opinion_pool import pool_opinions
from lexframe.instruments.classifiers.prior_trust import prior_trust
from lexframe.instruments.classifiers.shrunken_discriminant import RIDGES, Discriminant, shrunken_discriminant
from lexframe.instruments.classifiers.threads import one_thread
from lexframe.instruments.classifiers.zero_shot_prior import propagation, shrunken_mean
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.linalg import rows_by_class, softmax

WORDS, PHRASES = "words", "phrases"
"""What zero-shot scores are of: log-probabilities of label words in a vocabulary, or cosines with phrases in the space itself."""

# Constants of the prior, chosen on texts of the training files of trec, subj, mr, carer and agnews, never on a test set.
TRUST_LOG_ODDS = {WORDS: -2.0, PHRASES: 2.0}
WORDS_BESIDE_PHRASES = 0.15
EXPECTED_WEIGHT, WEIGHT_SPREAD, WEIGHT_POWER = 0.7, 0.75, -0.77
LABELS_OF_HALF_WEIGHT = 3.0
TRUST_SPREAD = 1.0
VARIANCE_PRIOR = 10
SHARE_PRIOR = 0.5  # Jeffreys: one label among hundreds stays rare
MOST_ROWS_LEFT_OUT = 2000
LEAST_ROWS_OF_A_CLASS = 3
MOST_ROWS_TO_SMOOTH = 4000
ROWS_OF_HALF_SMOOTHING = 50
_SCALING = ("mean", "spread", "center")
_FOUND = ("coef", "intercept", "score_weights", "trust", "prior_probability", "weights", "precisions", "view_shares")


class PosteriorCalibration(PersistentEstimator, ClassifierMixin, BaseEstimator):
    r"""Zero-shot scores and discriminants on blocks of points, pooled by how well each predicts the labels.

    Parameters
    ----------
    prior_labels : sequence, optional
        Labels that have zero-shot scores. With them the first columns of X are tables of such scores, one a view that has a prior, each
        of ``len(prior_labels)`` columns in nats and in this order, and the model can be fitted on no rows at all (see
        :func:`~lexframe.adaptation.encoded_texts.label_scores`). Without, X holds points alone and the prior is flat.
    views : sequence of sequence of int, optional
        Widths of the blocks of points in the other columns, by view: a model with three layers has three blocks, a second model is a
        second view. Default: one view of one block.
    priors : sequence of {"words", "phrases"} or None, optional
        What the zero-shot scores of each view are of, None for a view without. Default: those of the first view are of words if there
        are `prior_labels`. Scores of words are centered, because frequent words score high for every text, and doubted more.
    ridges : sequence of float
        Values of λ, the precision of the prior of a block's coefficients, among which the labels choose for every block.
    random_state : int
        Of the rows that are looked at where there are very many.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted; all of `prior_labels`, seen in training or not.
    coef_ : ndarray of shape (n_classes, n_point_columns)
        Of all that is linear in the features: discriminants, and the neighbourhood's part of the prior.
    intercept_ : ndarray of shape (n_classes,)
    score_weights_ : ndarray of shape (n_priors,)
        Of a text's own zero-shot scores.
    smoothing_share_ : float
        n / (n + 50) of n rows, labeled or not: how much of the prior is the neighbourhood's. 0 without any.
    trust_ : ndarray of shape (n_priors,)
        The weight that the labels leave to each table of zero-shot scores.
    prior_probability_ : ndarray of shape (n_priors,)
        That the scores say anything of the labels; 1 without labels. See
        :func:`~lexframe.instruments.classifiers.prior_trust.prior_trust`.
    weights_ : ndarray of shape (n_blocks,)
        Of the discriminant on each block; 0 for one that is useless.
    precisions_ : ndarray of shape (n_blocks,)
        λ of each block, in units of the mean variance of its coordinates; infinite without labels.
    view_shares_ : ndarray of shape (n_views,)
        How much of the scores' spread over the texts at hand is each view's; adds up to 1.
    n_parameters_ : int

    Notes
    -----
    Each block is standardised by coordinate, with variances shrunken towards their mean as if ten more points had it,
    and each row of a block is scaled to one length, so that no layer and no long text drowns the others.
    """

    artifact_kind = "posterior-calibration"
    artifact_version = 2

    def __init__(
        self,
        prior_labels: Sequence[Any] | None = None,
        *,
        views: Sequence[Sequence[int]] | None = None,
        priors: Sequence[str | None] | None = None,
        ridges: Sequence[float] = RIDGES,
        random_state: int = 0,
    ):
        self.prior_labels = prior_labels
        self.views = views
        self.priors = priors
        self.ridges = ridges
        self.random_state = random_state

    def fit(self, X: Any, y: Any, unlabeled: Any = None) -> "PosteriorCalibration":
        """Weigh the zero-shot scores, fit a discriminant on every block, and pool them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            Zero-shot scores, if any, then points.
        y : array-like of shape (n_samples,)
            Labels.
        unlabeled : array-like of shape (n_unlabeled, n_columns), optional
            Columns of texts without a label. With those of X they scale the points, and centre and smooth the zero-shot scores; 4,000 of
            them are enough, and no more are looked at.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=1 if self.prior_labels is None else 0)
        self._set_classes(y)
        with one_thread(X.size):
            self._fit(X, np.searchsorted(self.classes_, y), unlabeled)
        self.n_parameters_ = self.coef_.size + self.intercept_.size + len(self.trust_)
        return self

    def _fit(self, X: np.ndarray, y: np.ndarray, unlabeled: Any) -> None:
        layout = self._layout(X.shape[1])
        tables, points = self._columns(self._with_unlabeled(X, unlabeled), layout)
        self._set_scaling(points, layout)
        features = self._features(points, layout)
        self.center_ = features.mean(axis=0) if len(features) else np.zeros(features.shape[1])
        features -= self.center_
        rows = rows_by_class(y, max(MOST_ROWS_LEFT_OUT, LEAST_ROWS_OF_A_CLASS * len(self.classes_)), seed=self.random_state, least=3)
        self.smoothing_share_ = len(features) / (len(features) + ROWS_OF_HALF_SMOOTHING) if tables else 0.0
        priors = [
            _Prior.of(table, features[:, part], self.smoothing_share_, centered=kind == WORDS)
            for table, part, kind in zip(tables, layout.prior_parts, layout.prior_kinds, strict=True)
        ]
        blocks = [self._discriminant(features[: len(X), part], y, rows) for part in layout.block_parts] if len(X) else []
        self._pool(priors, blocks, features, y, rows, layout)

    def _discriminant(self, features: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Discriminant:
        return shrunken_discriminant(features, y, len(self.classes_), rows=rows, ridges=sorted(self.ridges, reverse=True))

    def _pool(
        self, priors: list["_Prior"], blocks: list[Discriminant], features: np.ndarray, y: np.ndarray, rows: np.ndarray, layout: "_Layout"
    ) -> None:
        """Weights of all opinions, and the linear map that they add up to."""
        kinds, n_classes = layout.prior_kinds, len(self.classes_)
        tables = [prior.scores_of(features[:, part]) for prior, part in zip(priors, layout.prior_parts, strict=True)]
        believed = [WORDS_BESIDE_PHRASES if kind == WORDS and PHRASES in kinds else 1.0 for kind in kinds]
        trusts = [
            prior_trust(share * table[: len(y)], y, log_odds=TRUST_LOG_ODDS[kind])
            for table, share, kind in zip(tables, believed, kinds, strict=True)
        ]
        expected = [share * trust.weight for share, trust in zip(believed, trusts, strict=True)]
        usual = max(len(blocks), 1) ** WEIGHT_POWER
        labels = len(y) / n_classes
        means = [*expected, *[EXPECTED_WEIGHT * usual * labels / (labels + LABELS_OF_HALF_WEIGHT)] * len(blocks)]
        spreads = [*[TRUST_SPREAD] * len(tables), *[WEIGHT_SPREAD * usual] * len(blocks)]
        counts = np.bincount(y, minlength=n_classes)
        told = rows[counts[y[rows]] > 1]  # what is left out has others of its class
        opinions = [table[told] for table in tables] + [block.left_out[np.isin(rows, told)] for block in blocks]
        stacked = np.stack(opinions) if opinions else np.zeros((0, len(told), n_classes))
        frequencies = (counts + SHARE_PRIOR) / (len(y) + SHARE_PRIOR * n_classes)
        pool = pool_opinions(stacked, y[told], means, spreads, frequencies)
        self.trust_, self.weights_ = pool.weights[: len(tables)], pool.weights[len(tables) :]
        if not len(blocks):
            self.weights_ = np.zeros(len(layout.block_parts))
        self.prior_probability_ = np.array([trust.probability for trust in trusts])
        self.precisions_ = np.array([block.precision for block in blocks] or [np.inf] * len(layout.block_parts))
        self._add_up(priors, blocks, pool.intercept, features, layout)
        self._set_shares(tables, blocks, features, layout)

    def _add_up(
        self, priors: list["_Prior"], blocks: list[Discriminant], intercept: np.ndarray, features: np.ndarray, layout: "_Layout"
    ) -> None:
        self.coef_, self.intercept_ = np.zeros((len(self.classes_), features.shape[1])), intercept.copy()
        self.score_weights_ = np.zeros(len(priors))
        for number, (trust, prior, part) in enumerate(zip(self.trust_, priors, layout.prior_parts, strict=True)):
            self.score_weights_[number] = trust * (1 - prior.share)
            self.coef_[:, part] += trust * prior.smoothing.T
            self.intercept_ += trust * prior.offset
        for weight, block, part in zip(self.weights_, blocks, layout.block_parts, strict=False):
            self.coef_[:, part] += weight * block.coef
            self.intercept_ += weight * block.intercept

    def _set_shares(self, tables: list[np.ndarray], blocks: list[Discriminant], features: np.ndarray, layout: "_Layout") -> None:
        """Spread of what each view adds to the scores of the texts at hand, over classes and texts."""
        said = [np.zeros((len(features), len(self.classes_))) for _ in layout.views]
        for trust, table, view in zip(self.trust_, tables, layout.prior_views, strict=True):
            said[view] += trust * table
        for weight, block, part, view in zip(self.weights_, blocks, layout.block_parts, layout.block_views, strict=False):
            said[view] += weight * (features[:, part] @ block.coef.T + block.intercept)
        spreads = np.array([scores.std() if scores.size else 0.0 for scores in said])
        self.view_shares_ = spreads / spreads.sum() if spreads.sum() > 0 else np.full(len(said), 1 / len(said))

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds, shape (n_samples, n_classes); for two classes their difference, shape (n_samples,)."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior probabilities of the classes, shape (n_samples, n_classes)."""
        return softmax(self._scores(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """Scaling, the linear map, and the weights that it came from."""
        return {name: np.atleast_1d(getattr(self, f"{name}_")) for name in (*_SCALING, *_FOUND)}

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take scaling, the linear map and the weights back."""
        lacking = [name for name in (*_SCALING, *_FOUND) if name not in arrays]
        if lacking:
            raise DataError(f"This posterior calibration was fitted by an earlier lexframe: it lacks {', '.join(lacking)}. Fit it again.")
        for name in (*_SCALING, *_FOUND):
            setattr(self, f"{name}_", arrays[name])

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        layout = self._layout(X.shape[1])
        tables, points = self._columns(X, layout)
        scores = (self._features(points, layout) - self.center_) @ self.coef_.T + self.intercept_
        for weight, table in zip(self.score_weights_, tables, strict=True):
            scores += weight * table
        return scores

    def _set_classes(self, y: np.ndarray) -> None:
        if len(y):
            check_classification_targets(y)
        seen = unique_labels(y) if len(y) else np.array([])
        if self.prior_labels is None:
            self.classes_ = seen
        else:
            self.classes_ = np.array(sorted(self.prior_labels))
            missing = sorted(set(seen.tolist()) - set(self.classes_.tolist()))
            if missing:
                raise ValueError(f"No zero-shot score for the labels {missing[:5]}; prior_labels holds {self.classes_.tolist()[:8]}.")
        if len(self.classes_) < 2:
            raise ValueError(f"PosteriorCalibration needs two classes or more, but y has 1 class: {self.classes_.tolist()}.")

    def _layout(self, n_columns: int) -> "_Layout":
        """Which columns are what."""
        n_labels = 0 if self.prior_labels is None else len(self.prior_labels)
        n_views = 1 if self.views is None else len(self.views)
        kinds = [WORDS, *[None] * (n_views - 1)] if self.priors is None else list(self.priors)
        if len(kinds) != n_views or not set(kinds) <= {WORDS, PHRASES, None}:
            raise ValueError(f"priors is {kinds}; expected one of '{WORDS}', '{PHRASES}' and None for each of {n_views} views.")
        kinds = kinds if n_labels else [None] * n_views
        n_scores = n_labels * sum(kind is not None for kind in kinds)
        if n_columns <= n_scores:
            raise ValueError(f"X has {n_columns} columns; expected {n_scores} zero-shot scores and the points after them.")
        views = [[n_columns - n_scores]] if self.views is None else [[int(width) for width in widths] for widths in self.views]
        widths = [width for view in views for width in view]
        if sum(widths) != n_columns - n_scores:
            raise ValueError(f"views {views} add up to {sum(widths)} columns, but there are {n_columns - n_scores} of points.")
        return _Layout(views, kinds)

    def _columns(self, X: np.ndarray, layout: "_Layout") -> tuple[list[np.ndarray], np.ndarray]:
        """Tables of zero-shot scores in the order of `classes_`, centered by row, and the points."""
        if self.prior_labels is None:
            return [], X
        n_labels = len(self.prior_labels)
        order = np.argsort(np.array(list(self.prior_labels)))
        tables = [X[:, number * n_labels : (number + 1) * n_labels][:, order] for number in range(len(layout.prior_kinds))]
        return [table - table.mean(axis=1, keepdims=True) for table in tables], X[:, n_labels * len(tables) :]

    def _with_unlabeled(self, X: np.ndarray, unlabeled: Any) -> np.ndarray:
        """Columns of the labeled rows, then of the others; too many are thinned out at random."""
        if unlabeled is None:
            return X
        more = check_array(unlabeled, dtype=np.float64, ensure_min_samples=0)
        if more.shape[1] != X.shape[1]:
            raise ValueError(f"unlabeled has {more.shape[1]} columns, X has {X.shape[1]}; expected the same columns.")
        room = max(MOST_ROWS_TO_SMOOTH - len(X), 0)
        if len(more) > room:
            more = more[np.random.default_rng(self.random_state).permutation(len(more))[:room]]
        return np.concatenate([X, more])

    def _set_scaling(self, points: np.ndarray, layout: "_Layout") -> None:
        """Mean and spread of every coordinate; few points say little of a spread, so it is drawn to that of its block."""
        n_rows, n_columns = points.shape
        self.mean_ = points.mean(axis=0) if n_rows else np.zeros(n_columns)
        self.spread_ = np.ones(n_columns)
        for part in layout.block_parts:
            variance = points[:, part].var(axis=0) if n_rows else np.ones(part.stop - part.start)
            shrunken = (n_rows * variance + VARIANCE_PRIOR * variance.mean()) / (n_rows + VARIANCE_PRIOR)
            self.spread_[part] = np.sqrt(shrunken) if variance.mean() > 0 else 1.0

    def _features(self, points: np.ndarray, layout: "_Layout") -> np.ndarray:
        """φ: standardised coordinates, every block of a row scaled to mean square 1."""
        standardized = (points - self.mean_) / self.spread_
        for part in layout.block_parts:
            block = standardized[:, part]
            lengths = np.sqrt(np.einsum("ij,ij->i", block, block))[:, np.newaxis]
            block *= np.sqrt(part.stop - part.start) / np.where(lengths > 1e-12, lengths, 1.0)
        return standardized


class _Layout:
    """Views, blocks and tables of scores, as slices of the columns of points."""

    def __init__(self, views: list[list[int]], kinds: list[str | None]):
        self.views = views
        edges = np.cumsum([0, *[width for view in views for width in view]])
        self.block_parts = [slice(int(start), int(stop)) for start, stop in pairwise(edges)]
        self.block_views = [number for number, view in enumerate(views) for _ in view]
        self.prior_views = [number for number, kind in enumerate(kinds) if kind is not None]
        self.prior_kinds = [kind for kind in kinds if kind is not None]
        ends = np.cumsum([0, *[sum(view) for view in views]])
        self.prior_parts = [slice(int(ends[view]), int(ends[view + 1])) for view in self.prior_views]


@dataclass(frozen=True)
class _Prior:
    """A table of zero-shot scores, and what the neighbourhood says: ``(1 - share)`` times a text's own scores, and a map of its features.

    Attributes
    ----------
    scores : ndarray of shape (n_rows, n_classes)
    share : float
    smoothing : ndarray of shape (n_columns of the view, n_classes)
    offset : ndarray of shape (n_classes,)
        Takes the mean of scores of words out; gives back what smoothing takes from the mean of cosines, which tells the common classes.
    """

    scores: np.ndarray
    share: float
    smoothing: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, features: np.ndarray, share: float, *, centered: bool) -> "_Prior":
        """Over all rows, labeled or not."""
        mean = shrunken_mean(scores) if len(scores) else np.zeros(scores.shape[1])
        smoothing = share * propagation(features, scores - mean if centered else scores)
        return cls(scores, share, smoothing, -(1 - share) * mean if centered else share * mean)

    def scores_of(self, features: np.ndarray) -> np.ndarray:
        """Smoothed scores of all rows."""
        return (1 - self.share) * self.scores + features @ self.smoothing + self.offset
