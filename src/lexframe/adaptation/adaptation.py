"""Adapting a frozen model to labeled texts: every method on the same points, compared on the same test texts."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from lexframe.adaptation.adapter import Adapter
from lexframe.adaptation.draws import class_numbers, hold_out
from lexframe.adaptation.metrics import bootstrap, confusion, paired_difference
from lexframe.adaptation.problem import EncodedTexts, default_representations
from lexframe.data.readers import Table
from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.linear_probe import LogisticProbe, ShrinkageLDA
from lexframe.instruments.classifiers.posterior_calibration import PosteriorCalibration
from lexframe.instruments.classifiers.semantic_calibration import SemanticCalibration
from lexframe.instruments.frame.nearest_basis import NearestBasis
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.intervals import Estimate
from lexframe.linalg import metric_root, softmax
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress, Representation, Space, VocabularySpace

ZERO_SHOT = ("zero-shot", "nearest-basis")
CONTROLS = ("lda", "logistic")
TRAINED = (*CONTROLS, "vds", "posterior")
METHODS = (*ZERO_SHOT, *TRAINED)
DESCRIPTIONS = {
    "zero-shot": "the model's own logits for the label words",
    "nearest-basis": "the label whose semantic basis is nearest",
    "lda": "linear discriminant analysis, shrunken covariance",
    "logistic": "L2 logistic regression, penalty by cross-validation",
    "vds": "semantic calibration: points moved towards the label bases",
    "posterior": "posterior calibration: logistic regression with the zero-shot classifier as its prior, over several layers",
}


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method on the test texts.

    Attributes
    ----------
    method : str
    accuracy, macro_f1 : Estimate
        With 95% bootstrap intervals over test texts.
    difference : Estimate
        Accuracy minus that of the best plain control (``lda`` or ``logistic``, whichever is better on these test
        texts), paired over texts.
    fit_seconds, predict_seconds : float
        On points that are already encoded.
    probabilities : ndarray of shape (n_test, n_classes)
    """

    method: str
    accuracy: Estimate
    macro_f1: Estimate
    difference: Estimate
    fit_seconds: float
    predict_seconds: float
    probabilities: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; intervals as [low, high]."""
        return {
            "accuracy": self.accuracy.value,
            "accuracy_interval": [self.accuracy.low, self.accuracy.high],
            "macro_f1": self.macro_f1.value,
            "macro_f1_interval": [self.macro_f1.low, self.macro_f1.high],
            "accuracy_minus_best_control": self.difference.value,
            "accuracy_minus_best_control_interval": [self.difference.low, self.difference.high],
            "fit_seconds": round(self.fit_seconds, 4),
            "predict_seconds": round(self.predict_seconds, 4),
        }


@dataclass(frozen=True, slots=True)
class AdaptationResult:
    """A frozen model adapted to a labeled set, method by method.

    Attributes
    ----------
    labels : tuple of str
        Sorted; class numbers index it.
    label_words : dict
        Words that stand for each label, with the number of tokens they take.
    methods : dict of str to MethodResult
    chosen : str
        The trained method with the best cross-validated accuracy inside the training labels; it is what is saved.
    chosen_accuracy_in_training : float or None
        That accuracy; None where no method was trained.
    test_texts : tuple of str
    truth : ndarray of int, shape (n_test,)
    points, moved_points : ndarray of shape (n_test, n_dims)
        Test points in the metric of the frame: as encoded, and as moved by semantic calibration.
    bases : ndarray of shape (n_labels, n_dims) or None
        Label bases in the same metric; None in a space without a vocabulary.
    counts : dict
        Texts in training and test, blank rows left out, texts cut to the context.
    encode_seconds : float
    provenance : Provenance
    """

    labels: tuple[str, ...]
    label_words: dict[str, list[dict[str, Any]]]
    methods: dict[str, MethodResult]
    chosen: str
    chosen_accuracy_in_training: float | None
    test_texts: tuple[str, ...]
    truth: np.ndarray
    points: np.ndarray
    moved_points: np.ndarray
    bases: np.ndarray | None
    counts: dict[str, int]
    encode_seconds: float
    provenance: Provenance

    @property
    def chance(self) -> float:
        """Accuracy of always giving the most frequent test label."""
        return float(np.bincount(self.truth).max() / len(self.truth))

    @property
    def best_control(self) -> str:
        """The plain control (``lda`` or ``logistic``) that is more accurate on the test texts."""
        return max((name for name in CONTROLS if name in self.methods), key=lambda name: self.methods[name].accuracy.value)

    def confusion(self, method: str | None = None) -> np.ndarray:
        """Counts with true labels as rows; of the chosen method by default."""
        predicted = self.methods[method or self.chosen].probabilities.argmax(axis=1)
        return confusion(self.truth, predicted, len(self.labels))

    def answer(self) -> str:
        """The result in a sentence."""
        best = self.methods[self.chosen].accuracy
        zero = max((self.methods[name] for name in ZERO_SHOT if name in self.methods), key=lambda m: m.accuracy.value, default=None)
        text = (
            f"With {self.counts['train']:,} labels, {DESCRIPTIONS[self.chosen].split(':')[0]} on the frozen model's points reaches "
            f"{best.value:.1%} [{best.low:.1%}, {best.high:.1%}] on {self.counts['test']:,} test texts"
        )
        if zero is not None:
            text += f"; the vocabulary alone, without a label, reaches {zero.accuracy.value:.1%}"
        return f"{text}; always giving the most frequent label, {self.chance:.1%}."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "answer": self.answer(),
            "labels": list(self.labels),
            "label_words": self.label_words,
            "methods": {name: result.to_dict() for name, result in self.methods.items()},
            "chosen": self.chosen,
            "chosen_accuracy_in_training": self.chosen_accuracy_in_training,
            "chance": self.chance,
            "counts": self.counts,
            "encode_seconds": round(self.encode_seconds, 3),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> Any:
        """The comparison as a pandas table, a row a method."""
        import pandas as pd

        return pd.DataFrame.from_dict({name: result.to_dict() for name, result in self.methods.items()}, orient="index")

    def chart(self) -> Any:
        """Accuracy of every method with its interval, an Altair chart."""
        from lexframe.adaptation.charts import method_chart

        return method_chart(self)

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(float_format="{:.3f}".format)


def adapt(
    space: Space,
    train: Table,
    test: Table | None = None,
    *,
    label_words: Mapping[str, Sequence[str]] | None = None,
    methods: Sequence[str] = METHODS,
    readout: str = "invariant",
    representations: Sequence[Representation] | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> tuple[AdaptationResult, Adapter | None]:
    """Fit every method on the same points and compare them on the same test texts.

    Parameters
    ----------
    space : Space
        Frozen. With a vocabulary the zero-shot methods and the label bases come from it; points are then what the
        head reads (see :meth:`VocabularySpace.head_input`).
    train, test : Table
        Labeled texts. Without `test` a fifth of `train`, drawn by class, is held out.
    label_words : mapping of str to sequence of str, optional
        Default: each label's own name.
    methods : sequence of str
        Among ``zero-shot``, ``nearest-basis``, ``lda``, ``logistic``, ``vds``, ``posterior``. The two zero-shot methods
        need a vocabulary.
    readout : {"invariant", "cosine"}
        Of the frame.
    representations : sequence of Representation, optional
        Layers and poolings that ``posterior`` reads beside the space's own points; the other methods read these alone.
        Default: :func:`~lexframe.adaptation.problem.default_representations`.
    seed : int
        Of the splits, the calibration and the bootstrap.
    batch_size : int, optional
        Texts in one forward pass.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    result : AdaptationResult
    adapter : Adapter or None
        The chosen method, fitted on all training labels, with its space; None where nothing was fitted.

    Raises
    ------
    DataError
        If there is only one class, or a test label that training lacks.
    InputError
        If a method is unknown or needs a vocabulary that the space lacks.
    """
    methods = _checked_methods(methods, space)
    if test is None:
        train, test = hold_out(train, seed)
    labels, y, truth = class_numbers(train, test)
    words = {label: list(label_words[label]) if label_words else [label] for label in labels}
    reading = tuple(default_representations(space) if representations is None else representations) if "posterior" in methods else ()
    encoded = EncodedTexts(space, [*train.texts, *test.texts], representations=reading, batch_size=batch_size, progress=progress)
    X_test = encoded.points[len(train) :]
    bases = VocabularyFrame(space).label_bases(words, readout=readout) if isinstance(space, VocabularySpace) else None
    factories: dict[str, Callable[[], Any]] = {
        "nearest-basis": lambda: NearestBasis(bases),
        "lda": ShrinkageLDA,
        "logistic": lambda: LogisticProbe(random_state=seed),
        "vds": lambda: SemanticCalibration(bases, random_state=seed),
        "posterior": lambda: PosteriorCalibration(
            labels,
            blocks=[block.shape[1] for block in encoded.blocks()],
            center_prior=isinstance(space, VocabularySpace),
            random_state=seed,
        ),
    }
    names = np.array(labels)
    fitted: dict[str, Adapter] = {}
    raw: dict[str, tuple[np.ndarray, float, float]] = {}
    columns: dict[str, np.ndarray] = {}
    for method in methods:
        if method == "zero-shot":
            start = time.perf_counter()
            zero_shot = softmax(encoded.label_scores(list(words.values()))[len(train) :])
            raw[method] = (zero_shot, 0.0, time.perf_counter() - start)
            continue
        instrument = factories[method]()
        adapter = Adapter(space, instrument, reading, words) if method == "posterior" else Adapter(space, instrument)
        columns[method] = adapter.columns(encoded)
        start = time.perf_counter()
        instrument.fit(columns[method][: len(train)], names[y])
        fit_seconds = time.perf_counter() - start
        start = time.perf_counter()
        probabilities = instrument.predict_proba(columns[method][len(train) :])
        raw[method] = (probabilities, fit_seconds, time.perf_counter() - start)
        fitted[method] = adapter
    trained = [method for method in methods if method in TRAINED]
    scores = {method: _cross_validated(factories[method], columns[method][: len(train)], names[y], seed) for method in trained}
    chosen = max(trained, key=lambda method: scores[method]) if trained else methods[-1]

    result = AdaptationResult(
        labels=labels,
        label_words=_word_facts(space, words),
        methods=_evaluate(raw, truth, seed),
        chosen=chosen,
        chosen_accuracy_in_training=scores.get(chosen),
        test_texts=test.texts,
        truth=truth,
        points=_in_metric(X_test, bases),
        moved_points=_in_metric(fitted["vds"].instrument.transform(X_test) if "vds" in fitted else X_test, bases),
        bases=_in_metric(bases.vectors, bases) if bases else None,
        counts=_counts(space, train, test),
        encode_seconds=encoded.encode_seconds,
        provenance=Provenance(
            space=space.fingerprint,
            seed=seed,
            parameters={"readout": readout, "methods": list(methods), "train": train.source, "test": test.source},
        ),
    )
    return result, fitted.get(chosen)


def _checked_methods(methods: Sequence[str], space: Space) -> tuple[str, ...]:
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods:
        raise InputError(f"Unknown method {', '.join(unknown) or '(none given)'}; there are {', '.join(METHODS)}.")
    if isinstance(space, VocabularySpace):
        return tuple(method for method in METHODS if method in methods)
    left = tuple(method for method in METHODS if method in methods and method not in ZERO_SHOT)
    if not left:
        raise InputError(
            f"This space has no vocabulary, so there is no zero-shot answer. Use a language model, or the methods {', '.join(TRAINED)}."
        )
    return left


def _cross_validated(factory: Callable[[], Any], X: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Accuracy over three folds of the training labels; over none if a class has fewer than three."""
    n_folds = min(3, int(np.unique(y, return_counts=True)[1].min()))
    if n_folds < 2:
        return 0.0
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(X, y)
    return float(np.mean([np.mean(factory().fit(X[train], y[train]).predict(X[held_out]) == y[held_out]) for train, held_out in folds]))


def _evaluate(raw: dict[str, tuple[np.ndarray, float, float]], truth: np.ndarray, seed: int) -> dict[str, MethodResult]:
    predicted = {method: probabilities.argmax(axis=1) for method, (probabilities, _, _) in raw.items()}
    controls = [method for method in raw if method in CONTROLS] or list(raw)
    control = max(controls, key=lambda method: np.mean(predicted[method] == truth))
    return {
        method: MethodResult(
            method=method,
            accuracy=bootstrap(truth, predicted[method], "accuracy", seed=seed),
            macro_f1=bootstrap(truth, predicted[method], "macro_f1", seed=seed),
            difference=paired_difference(predicted[method] == truth, predicted[control] == truth, seed=seed),
            fit_seconds=fit_seconds,
            predict_seconds=predict_seconds,
            probabilities=probabilities,
        )
        for method, (probabilities, fit_seconds, predict_seconds) in raw.items()
    }


def _word_facts(space: Space, words: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(space, VocabularySpace):
        return {label: [] for label in words}
    return {label: [{"word": word, "n_tokens": len(space.word_ids(word))} for word in listed] for label, listed in words.items()}


def _in_metric(vectors: np.ndarray, bases: Any) -> np.ndarray:
    """Coordinates in which the angles of the frame's inner product are plain angles."""
    return vectors if bases is None or bases.metric is None else vectors @ metric_root(bases.metric)


def _counts(space: Space, train: Table, test: Table) -> dict[str, int]:
    return {
        "train": len(train),
        "test": len(test),
        "blank": train.n_blank + test.n_blank,
        "truncated": int(space.truncated(list(train.texts) + list(test.texts)).sum()),
    }
