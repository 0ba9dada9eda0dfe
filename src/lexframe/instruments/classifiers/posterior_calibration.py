r"""Posterior calibration: the vocabulary says what each text might mean, the labels say where that is wrong.

One posterior from several views of a text: the zero-shot classifier, and a discriminant on every block of points. With no label it is
the zero-shot classifier exactly; as labels come, they say how far to trust it, and how far each block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from lexframe.exceptions import DataError
from lexframe.instruments.classifiers.column_layout import PHRASES, WORDS, ColumnLayout
from lexframe.instruments.classifiers.opinion_pool import pool_opinions
from lexframe.instruments.classifiers.prior_trust import prior_trust
from lexframe.instruments.classifiers.shrunken_discriminant import RIDGES, Discriminant, shrunken_discriminant
from lexframe.instruments.classifiers.threads import one_thread
from lexframe.instruments.classifiers.zero_shot_prior import propagation, shrunken_mean
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.linalg import rows_by_class, softmax

# Constants of the prior, chosen on texts of the training files of trec, subj, mr, carer and agnews, never on a test set.
TRUST_LOG_ODDS = {WORDS: -2.0, PHRASES: 2.0}
WORDS_BESIDE_PHRASES = 0.15
EXPECTED_WEIGHT, WEIGHT_SPREAD, WEIGHT_POWER = 0.7, 0.75, -0.77
LABELS_OF_HALF_WEIGHT = 3.0
LABELS_OF_HALF_WEIGHT_OF_OPINIONS = 50.0  # a regression on thousands of columns says little of few labels
TRUST_SPREAD = 1.0
VARIANCE_PRIOR = 10
SHARE_PRIOR = 0.5  # Jeffreys: one label among hundreds stays rare
MOST_ROWS_LEFT_OUT = 2000
LEAST_ROWS_OF_A_CLASS = 3
MOST_ROWS_TO_SMOOTH = 4000
ROWS_OF_HALF_SMOOTHING = 50
_SCALING = ("mean", "spread", "center")
_FOUND = ("coef", "intercept", "score_weights", "opinion_weights", "trust", "prior_probability", "weights", "precisions", "view_shares")


def rows_left_out(y: Int[np.ndarray, " n"], n_classes: int, *, seed: int) -> Int[np.ndarray, " m"]:
    """Labeled rows that say how far each opinion is believed: 2,000, or three a class if that is more.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Class numbers.
    n_classes : int
    seed : int
        Of the draw, where there are more rows.
    """
    return rows_by_class(y, max(MOST_ROWS_LEFT_OUT, LEAST_ROWS_OF_A_CLASS * n_classes), seed=seed, least=LEAST_ROWS_OF_A_CLASS)


class PosteriorCalibration(PersistentEstimator, ClassifierMixin, BaseEstimator):
    r"""Zero-shot scores and discriminants on blocks of points, pooled by how well each predicts the labels.

    Parameters
    ----------
    prior_labels : sequence, optional
        Labels that have scores. With them the first columns of X are tables of scores, each of ``len(prior_labels)`` columns in nats and
        in this order: zero-shot scores, one table a view that has a prior (see :func:`~lexframe.adaptation.encoded_texts.label_scores`),
        then those of `opinions`; and the model can be fitted on no rows at all. Without, X holds points alone and the prior is flat.
    views : sequence of sequence of int, optional
        Widths of the blocks of points in the other columns, by view: a model with three layers has three blocks, a second model is a
        second view. Default: one view of one block.
    priors : sequence of {"words", "phrases"} or None, optional
        What the zero-shot scores of each view are of, None for a view without. Default: those of the first view are of words if there
        are `prior_labels`. Scores of words are centered, because frequent words score high for every text, and doubted more.
    opinions : sequence of int
        Views with a table of scores that another classifier learnt from the same labels, such as a regression on n-grams. In `fit` a
        labeled row must have scores of a classifier that has not seen its label, for the rows of :func:`rows_left_out` at least.
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
    opinion_weights_ : ndarray of shape (n_opinions,)
        Of the scores of `opinions`; 0 for useless ones.
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
        opinions: Sequence[int] = (),
        ridges: Sequence[float] = RIDGES,
        random_state: int = 0,
    ):
        self.prior_labels = prior_labels
        self.views = views
        self.priors = priors
        self.opinions = opinions
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
        tables, said, points = layout.split(self._with_unlabeled(X, unlabeled))
        self._set_scaling(points, layout)
        features = self._features(points, layout)
        self.center_ = features.mean(axis=0) if len(features) else np.zeros(features.shape[1])
        features -= self.center_
        rows = rows_left_out(y, len(self.classes_), seed=self.random_state)
        self.smoothing_share_ = len(features) / (len(features) + ROWS_OF_HALF_SMOOTHING) if tables else 0.0
        priors = [
            _Prior.of(table, features[:, part], self.smoothing_share_, centered=kind == WORDS)
            for table, part, kind in zip(tables, layout.prior_parts, layout.prior_kinds, strict=True)
        ]
        blocks = [self._discriminant(features[: len(X), part], y, rows) for part in layout.block_parts] if len(X) else []
        learnt = [_Opinion.of(table, rows) for table in said]
        self._pool(priors, learnt, blocks, features, y, rows, layout)

    def _discriminant(self, features: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Discriminant:
        return shrunken_discriminant(features, y, len(self.classes_), rows=rows, ridges=sorted(self.ridges, reverse=True))

    def _pool(
        self,
        priors: list["_Prior"],
        learnt: list["_Opinion"],
        blocks: list[Discriminant],
        features: np.ndarray,
        y: np.ndarray,
        rows: np.ndarray,
        layout: ColumnLayout,
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
        usual = max(len(blocks) + len(learnt), 1) ** WEIGHT_POWER
        labels = len(y) / n_classes
        of_block, of_learnt = (
            EXPECTED_WEIGHT * usual * labels / (labels + half) for half in (LABELS_OF_HALF_WEIGHT, LABELS_OF_HALF_WEIGHT_OF_OPINIONS)
        )
        means = [*expected, *[of_learnt] * len(learnt), *[of_block] * len(blocks)]
        spreads = [*[TRUST_SPREAD] * len(tables), *[WEIGHT_SPREAD * usual] * (len(learnt) + len(blocks))]
        counts = np.bincount(y, minlength=n_classes)
        told = rows[counts[y[rows]] > 1]  # what is left out has others of its class
        scores = [table[told] for table in tables] + [one.scores[told] for one in learnt]
        scores += [block.left_out[np.isin(rows, told)] for block in blocks]
        stacked = np.stack(scores) if scores else np.zeros((0, len(told), n_classes))
        frequencies = (counts + SHARE_PRIOR) / (len(y) + SHARE_PRIOR * n_classes)
        pool = pool_opinions(stacked, y[told], means, spreads, frequencies)
        self.trust_, weights_of_learnt, self.weights_ = np.split(pool.weights, [len(tables), len(tables) + len(learnt)])
        self.opinion_weights_ = weights_of_learnt * [one.scale for one in learnt]
        if not len(blocks):
            self.weights_ = np.zeros(len(layout.block_parts))
        self.prior_probability_ = np.array([trust.probability for trust in trusts])
        self.precisions_ = np.array([block.precision for block in blocks] or [np.inf] * len(layout.block_parts))
        self._add_up(priors, blocks, pool.intercept, features, layout)
        heard = [*zip(self.trust_, tables, layout.prior_views, strict=True)]
        heard += [(weight, one.scores, view) for weight, one, view in zip(weights_of_learnt, learnt, layout.opinion_views, strict=True)]
        self._set_shares(heard, blocks, features, layout)

    def _add_up(
        self, priors: list["_Prior"], blocks: list[Discriminant], intercept: np.ndarray, features: np.ndarray, layout: ColumnLayout
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

    def _set_shares(
        self, heard: list[tuple[float, np.ndarray, int]], blocks: list[Discriminant], features: np.ndarray, layout: ColumnLayout
    ) -> None:
        """Spread of what each view adds to the scores of the texts at hand, over classes and texts; tables with their weight and view."""
        said = [np.zeros((len(features), len(self.classes_))) for _ in layout.views]
        for weight, table, view in heard:
            said[view] += weight * table
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
        tables, said, points = layout.split(X)
        scores = (self._features(points, layout) - self.center_) @ self.coef_.T + self.intercept_
        for weight, table in zip((*self.score_weights_, *self.opinion_weights_), (*tables, *said), strict=True):
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

    def _layout(self, n_columns: int) -> ColumnLayout:
        """Which columns are what."""
        return ColumnLayout.of(n_columns, labels=self.prior_labels, views=self.views, priors=self.priors, opinions=self.opinions)

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

    def _set_scaling(self, points: np.ndarray, layout: ColumnLayout) -> None:
        """Mean and spread of every coordinate; few points say little of a spread, so it is drawn to that of its block."""
        n_rows, n_columns = points.shape
        self.mean_ = points.mean(axis=0) if n_rows else np.zeros(n_columns)
        self.spread_ = np.ones(n_columns)
        for part in layout.block_parts:
            variance = points[:, part].var(axis=0) if n_rows else np.ones(part.stop - part.start)
            shrunken = (n_rows * variance + VARIANCE_PRIOR * variance.mean()) / (n_rows + VARIANCE_PRIOR)
            self.spread_[part] = np.sqrt(shrunken) if variance.mean() > 0 else 1.0

    def _features(self, points: np.ndarray, layout: ColumnLayout) -> np.ndarray:
        """φ: standardised coordinates, every block of a row scaled to mean square 1."""
        standardized = (points - self.mean_) / self.spread_
        for part in layout.block_parts:
            block = standardized[:, part]
            lengths = np.sqrt(np.einsum("ij,ij->i", block, block))[:, np.newaxis]
            block *= np.sqrt(part.stop - part.start) / np.where(lengths > 1e-12, lengths, 1.0)
        return standardized


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


@dataclass(frozen=True)
class _Opinion:
    """What a classifier that learnt from the labels says of all rows.

    Attributes
    ----------
    scores : ndarray of shape (n_rows, n_classes)
        Of unit spread over the rows whose label it has not seen, as those of discriminants are.
    scale : float
        What the scores were multiplied by.
    """

    scores: np.ndarray
    scale: float

    @classmethod
    def of(cls, scores: np.ndarray, rows: np.ndarray) -> "_Opinion":
        spread = float(scores[rows].std()) if len(rows) else 0.0
        scale = 1 / spread if spread > 0 else 1.0
        return cls(scale * scores, scale)
