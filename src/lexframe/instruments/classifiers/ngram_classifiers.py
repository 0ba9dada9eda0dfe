"""Classifiers of texts by their n-grams, which ask no model: what every other classifier has to beat.

Both choose their penalty inside the labels, are linear in the n-grams once they are fitted, and are kept as that.
"""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.threads import one_thread
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.linalg import folds_by_class, rows_by_class, softmax
from lexframe.ngrams import NGramCounts, NGramVocabulary, Sparse, inverse_document_frequencies, tfidf

MOST_ROWS_TO_CHOOSE = 1000
LEAST_ROWS_OF_A_CLASS = 3
_LEAST = 1e-12
_JITTER = 1e-6
"""Added to squared lengths, which are 2, so that texts that stand twice have a root too."""


class NGramClassifier(PersistentEstimator, ClassifierMixin, BaseEstimator):
    """A linear map of the n-grams of a text: the fitted form that both classifiers share.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    vocabulary_ : NGramVocabulary
        The n-grams of the texts of training.
    coef_ : ndarray of shape (n_classes, n_ngrams), float32
    intercept_ : ndarray of shape (n_classes,)
    strength_ : float
        The inverse penalty chosen, by log-loss.
    """

    strengths: tuple[float, ...]
    n_folds: int
    random_state: int

    def fit(self, texts: Any, y: Any) -> "NGramClassifier":
        """Count the n-grams, choose the penalty, and fit on all texts.

        Parameters
        ----------
        texts : sequence of str
        y : sequence
            The class of each.

        Raises
        ------
        InputError
            If there is not one class for each text, or no text at all.
        """
        texts = texts_in(texts)
        if len(texts) != len(y) or not len(texts):
            raise InputError(f"There are {len(texts)} texts and {len(y)} classes. Give one or more texts, and a class for each.")
        check_classification_targets(y)
        found = NGramCounts.of(texts)
        return self.fit_counts(found.vocabulary, found.counts, np.asarray(y))

    def fit_counts(self, vocabulary: NGramVocabulary, counts: Sparse, y: np.ndarray) -> "NGramClassifier":
        """:meth:`fit` on n-grams that are counted already, each of which stands in some text.

        Parameters
        ----------
        vocabulary : NGramVocabulary
        counts : sparse of shape (n_texts, n_ngrams)
        y : ndarray of shape (n_texts,)
        """
        self.vocabulary_, self.n_features_in_ = vocabulary, len(vocabulary)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self._learn(counts)
        if len(self.classes_) == 1 or not counts.shape[1]:  # the shares of the classes are all that can be known
            self.strength_ = self._middle
            coef = np.zeros((len(self.classes_), counts.shape[1]))
            intercept = self._scores(np.bincount(numbers) / len(numbers))
        else:
            with one_thread(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The number of unique classes")  # classes of one text are no regression
                self.strength_ = self._choose(counts, numbers)
                coef, intercept = self._map(counts, numbers, self.strength_)
        self.coef_, self.intercept_ = coef.astype(np.float32), intercept.astype(np.float64)
        return self

    def predict_proba(self, texts: Any) -> Float[np.ndarray, "n_texts n_classes"]:
        """Probability of each class."""
        check_is_fitted(self)
        return self.counts_proba(self.vocabulary_.counts(texts_in(texts)))

    def counts_proba(self, counts: Sparse) -> Float[np.ndarray, "n_texts n_classes"]:
        """:meth:`predict_proba` of n-grams that are counted already, in the columns of the vocabulary."""
        return self._proba(self._features(counts) @ self.coef_.T + self.intercept_)

    def predict(self, texts: Any) -> np.ndarray:
        """The class with the largest probability."""
        best = self.predict_proba(texts).argmax(axis=1)
        return cast(np.ndarray, self.classes_[best])

    @property
    def n_parameters(self) -> int:
        """Numbers that were learnt from labels."""
        return int(self.coef_.size + self.intercept_.size)

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """The vocabulary and the map."""
        return {**self.vocabulary_.to_arrays(), "coef": self.coef_, "intercept": self.intercept_, "strength": np.array([self.strength_])}

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the vocabulary and the map back."""
        self.vocabulary_ = NGramVocabulary.from_arrays(arrays)
        self.coef_, self.intercept_, self.strength_ = arrays["coef"], arrays["intercept"], float(arrays["strength"][0])
        if self.coef_.shape != (len(self.classes_), len(self.vocabulary_)):
            raise ValueError(f"coef has shape {self.coef_.shape}, for {len(self.classes_)} classes and {len(self.vocabulary_)} n-grams")

    @property
    def _middle(self) -> float:
        return self.strengths[len(self.strengths) // 2]

    def _choose(self, counts: Sparse, numbers: Int[np.ndarray, " n_texts"]) -> float:
        """The inverse penalty with the least log-loss on held-out texts; the middle one where none can be held out."""
        least = max(MOST_ROWS_TO_CHOOSE, LEAST_ROWS_OF_A_CLASS * len(self.classes_))
        part = rows_by_class(numbers, least, seed=self.random_state, least=LEAST_ROWS_OF_A_CLASS)
        folds = folds_by_class(numbers[part], self.n_folds, seed=self.random_state) if len(self.strengths) > 1 else []
        if not folds:
            return self._middle
        rows, numbers, losses = self._rows(counts[part]), numbers[part], np.zeros(len(self.strengths))
        for train, held_out in folds:
            for place, (coef, intercept) in enumerate(self._maps(rows[train], numbers[train], self.strengths)):
                probabilities = self._proba(rows[held_out] @ coef.T + intercept)
                losses[place] -= np.log(np.maximum(probabilities[np.arange(len(held_out)), numbers[held_out]], _LEAST)).sum()
        return self.strengths[int(losses.argmin())]

    def _map(self, counts: Sparse, numbers: Int[np.ndarray, " n_texts"], strength: float) -> tuple[np.ndarray, np.ndarray]:
        (found,) = self._maps(self._features(counts), numbers, (strength,))
        return found

    def _rows(self, counts: Sparse) -> Any:
        """What penalties are tried on: the features, or rows with the same products."""
        return self._features(counts)

    def _learn(self, counts: Sparse) -> None:
        """What is known of n-grams without labels."""

    @abstractmethod
    def _features(self, counts: Sparse) -> Sparse:
        """What the map reads of counted texts."""

    @abstractmethod
    def _maps(self, features: Any, numbers: Int[np.ndarray, " n_texts"], strengths: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Coefficients and intercepts for each inverse penalty."""

    @abstractmethod
    def _scores(self, shares: Float[np.ndarray, " n_classes"]) -> Float[np.ndarray, " n_classes"]:
        """Intercepts that give each class its share."""

    @abstractmethod
    def _proba(self, scores: Float[np.ndarray, "n_texts n_classes"]) -> Float[np.ndarray, "n_texts n_classes"]:
        """Probabilities from what the map gives."""


class TfidfClassifier(NGramClassifier):
    """Multinomial logistic regression on the TF-IDF of words, pairs of words, and two to five characters.

    Parameters
    ----------
    strengths : sequence of float
        Inverse penalties to try (scikit-learn's C); the middle one stands where nothing can be chosen.
    n_folds : int
        Folds of the choice, over some 1,000 texts drawn by class.
    random_state : int
        Of the folds.

    Attributes
    ----------
    rarity_ : ndarray of shape (n_ngrams,), float32
        Inverse document frequencies in training.

    Examples
    --------
    >>> texts = ["the parcel is late", "a refund please", "where is my parcel", "refund my money"]
    >>> TfidfClassifier().fit(texts, ["delivery", "money", "delivery", "money"]).predict(["no parcel yet"]).tolist()
    ['delivery']
    """

    artifact_kind = "tfidf-classifier"

    def __init__(self, *, strengths: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0), n_folds: int = 3, random_state: int = 0):
        self.strengths = strengths
        self.n_folds = n_folds
        self.random_state = random_state

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """The vocabulary, how rare its n-grams are, and the map."""
        return {**super().fitted_arrays(), "rarity": self.rarity_}

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take them back."""
        super().set_fitted_arrays(arrays)
        self.rarity_ = arrays["rarity"]

    def _learn(self, counts: Sparse) -> None:
        self.rarity_ = inverse_document_frequencies(counts)

    def _features(self, counts: Sparse) -> Sparse:
        return tfidf(counts, self.rarity_, len(self.vocabulary_.words))

    def _rows(self, counts: Sparse) -> Any:
        features = self._features(counts)
        if features.shape[0] >= features.shape[1]:
            return features
        # An L2 penalty sees products of texts alone. The root of their table has the same ones in as many columns as there are
        # texts, some 50 times fewer, and a fit takes a tenth of the time.
        # In float64, since rounding of float32 over many texts of few words is larger than what is added.
        exact = features.astype(np.float64)
        gram = (exact @ exact.T).toarray()
        return np.linalg.cholesky(gram + _JITTER * np.eye(len(gram))).astype(np.float32)

    def _maps(self, features: Any, numbers: Int[np.ndarray, " n_texts"], strengths: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        # Each penalty begins where the one before it ended. A looser tolerance would stop the solver long before the minimum, since
        # it is held against the gradient of each of many thousand n-grams.
        model = LogisticRegression(max_iter=1000, warm_start=True)
        for strength in strengths:
            model.set_params(C=strength).fit(features, numbers)
            coef, intercept = model.coef_, model.intercept_
            if len(coef) == 1:
                coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
            found.append((coef.copy(), intercept.copy()))
        return found

    def _scores(self, shares: Float[np.ndarray, " n_classes"]) -> Float[np.ndarray, " n_classes"]:
        return np.log(shares)

    def _proba(self, scores: Float[np.ndarray, "n_texts n_classes"]) -> Float[np.ndarray, "n_texts n_classes"]:
        return softmax(scores)


class LexicalNB(NGramClassifier):
    r"""Logistic regression on n-grams that are weighted by naive Bayes, one class against the rest.

    Of an n-gram counts only whether it stands in a text. For each class it is multiplied by the log-ratio

    .. math:: r = \ln \frac{p / \lVert p \rVert_1}{q / \lVert q \rVert_1}, \quad p = \alpha + \sum_{i \in class} f_i, \quad
              q = \alpha + \sum_{i \notin class} f_i

    [1]_, eq. (2), and a logistic regression on the products says the class; probabilities of all classes are brought to the sum 1.

    Parameters
    ----------
    alpha : float
        What each n-gram is counted beforehand.
    strengths, n_folds, random_state
        See :class:`TfidfClassifier`.

    Notes
    -----
    The paper counts words and pairs alone, and draws the coefficients of a support vector machine to their mean; here two to five
    characters are counted too, and there is no such mean: the penalty is chosen.

    References
    ----------
    .. [1] Wang and Manning (2012), Baselines and bigrams: simple, good sentiment and topic classification, ACL.
    """

    artifact_kind = "lexical-nb"

    def __init__(
        self, *, alpha: float = 1.0, strengths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0), n_folds: int = 3, random_state: int = 0
    ):
        self.alpha = alpha
        self.strengths = strengths
        self.n_folds = n_folds
        self.random_state = random_state

    def _features(self, counts: Sparse) -> Sparse:
        present = counts.copy()
        present.data = np.ones_like(present.data)
        return present

    def _maps(self, features: Any, numbers: Int[np.ndarray, " n_texts"], strengths: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
        present, n_classes = features, len(self.classes_)
        in_class = np.stack([present[numbers == number].sum(axis=0) for number in range(n_classes)]).astype(np.float64)
        everywhere = in_class.sum(axis=0)
        coef = np.zeros((len(strengths), n_classes, present.shape[1]))
        intercept = np.zeros((len(strengths), n_classes))
        columns = present.indices
        # Of two classes one is enough: the other has the same ratios with the sign turned.
        for number in range(n_classes if n_classes > 2 else 1):
            ratio = log_ratio(in_class[number], everywhere - in_class[number], self.alpha)
            weighted = present.copy()
            weighted.data = present.data * ratio[columns].astype(np.float32)
            for place, strength in enumerate(strengths):
                # The dual solver is several times as quick where columns are many times the rows.
                model = LogisticRegression(C=strength, solver="liblinear", dual=True, tol=1e-3, max_iter=1000, random_state=0)
                model.fit(weighted, numbers == number)
                coef[place, number], intercept[place, number] = model.coef_[0] * ratio, model.intercept_[0]
        if n_classes == 2:
            coef[:, 1], intercept[:, 1] = -coef[:, 0], -intercept[:, 0]
        return list(zip(coef, intercept, strict=True))

    def _scores(self, shares: Float[np.ndarray, " n_classes"]) -> Float[np.ndarray, " n_classes"]:
        return np.log(shares) - np.log(np.maximum(1 - shares, _LEAST))

    def _proba(self, scores: Float[np.ndarray, "n_texts n_classes"]) -> Float[np.ndarray, "n_texts n_classes"]:
        # Logarithms of the logistic function, so that what every regression finds next to impossible still has a sum.
        return softmax(-np.logaddexp(0, -scores))


def log_ratio(
    inside: Float[np.ndarray, " n_ngrams"], outside: Float[np.ndarray, " n_ngrams"], alpha: float
) -> Float[np.ndarray, " n_ngrams"]:
    """How much more often each n-gram stands in texts of a class than in others, in nats; see :class:`LexicalNB`.

    Parameters
    ----------
    inside, outside : ndarray of shape (n_ngrams,)
        Texts of the class, and of all others, that hold it.
    alpha : float
    """
    inside, outside = inside + alpha, outside + alpha
    return cast(np.ndarray, np.log(inside / inside.sum()) - np.log(outside / outside.sum()))
