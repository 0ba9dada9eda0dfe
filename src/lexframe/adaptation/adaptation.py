"""Adapting a frozen model to labeled texts: a comparison with one draw of all labels, whose winner is kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lexframe.adaptation.adapter import Adapter
from lexframe.adaptation.advice import NGRAMS, against_ngrams, gain_over, verdict_on
from lexframe.adaptation.cells import ALL, Cell
from lexframe.adaptation.draws import Draws, cut_texts, hold_out, shared_first_tokens
from lexframe.adaptation.methods.registry import competing, make_methods
from lexframe.adaptation.metrics import confusion, macro_f1_estimate
from lexframe.adaptation.problem import TEXTS, VOCABULARY, Method, Problem, SavableClassifier
from lexframe.adaptation.results import MOVES, MethodsResult
from lexframe.adaptation.task import Evaluation, Task, evaluate, no_method, rare_classes_known, reader_of, usable
from lexframe.data.in_memory import as_table
from lexframe.exceptions import DataError, InputError
from lexframe.instruments.frame.vocabulary_frame import LabelBases
from lexframe.intervals import Estimate, mean_over_items, share_over_items
from lexframe.latents.text_reader import TextReader
from lexframe.linalg import folds_by_class, metric_root
from lexframe.provenance import Provenance
from lexframe.results import WithPage
from lexframe.spaces.base import Progress, Space, VocabularySpace
from lexframe.text_forms import counted
from lexframe.typing import ModelName
from lexframe.verdicts import Verdict, Worth

if TYPE_CHECKING:
    import altair
    import pandas

N_FOLDS = 3


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method on the test texts.

    Attributes
    ----------
    cell : Cell
        What was measured, as in a comparison.
    accuracy, macro_f1 : Estimate
        With 95% bootstrap intervals over test texts.
    difference : Estimate
        Accuracy minus that of the best plain control, whichever is better on these test texts, paired over texts.
    probabilities : ndarray of shape (n_test, n_classes)
    """

    cell: Cell
    accuracy: Estimate
    macro_f1: Estimate
    difference: Estimate
    probabilities: np.ndarray

    def right(self, truth: np.ndarray) -> np.ndarray:
        """1 for every test text that was classified rightly, shape (1, n_test)."""
        return (self.cell.predicted == truth).astype(float)[np.newaxis]

    @property
    def fit_seconds(self) -> float:
        """On points that are already encoded."""
        return self.cell.fit_seconds

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; intervals as [low, high]."""
        return {
            "accuracy": self.accuracy.value,
            "accuracy_interval": [self.accuracy.low, self.accuracy.high],
            "macro_f1": self.macro_f1.value,
            "macro_f1_interval": [self.macro_f1.low, self.macro_f1.high],
            "accuracy_minus_best_control": self.difference.value,
            "accuracy_minus_best_control_interval": [self.difference.low, self.difference.high],
            "log_loss": self.cell.log_loss,
            "calibration_error": self.cell.calibration_error,
            "fit_seconds": round(self.cell.fit_seconds, 4),
            "predict_seconds": round(self.cell.predict_seconds, 4),
            "n_parameters": self.cell.n_parameters,
            "choices": self.cell.choices,
        }


@dataclass(frozen=True, slots=True)
class AdaptationResult(MethodsResult, WithPage):
    """A frozen model adapted to a labeled set, method by method.

    Attributes
    ----------
    labels : tuple of str
        Sorted; class numbers index it.
    truth : ndarray of int, shape (n_test,)
        Class numbers of the test texts.
    majority : int
        Class number of the most frequent label in training.
    about : tuple of Method
        The methods that were asked for: what each is.
    left_out : dict of str to str
        Methods that could not work here, and why.
    notes : tuple of str
        What a reader should know of the data: duplicates, short classes, texts that were cut.
    counts : dict
        Texts in training and in test, blank rows left out, texts cut to the context.
    provenance : Provenance
    label_words : dict
        Words that stand for each label, with the number of tokens they take.
    methods : dict of str to MethodResult
    chosen : str
        The method with the best accuracy on held-out training labels, among those that learn from labels.
    chosen_accuracy_in_training : float or None
        That accuracy; None where no method learns from labels.
    test_texts : tuple of str
    points, moved_points : ndarray of shape (n_test, n_dims)
        Test points in the metric of the frame: as encoded, and as moved by semantic calibration.
    bases : ndarray of shape (n_labels, n_dims) or None
        Label bases in the same metric; None in a space without a vocabulary.
    ngrams : MethodResult
        n-grams without the model on the same labels, whether they were asked for or not: the method that is better on the test texts.
    """

    page: ClassVar[str] = "lexframe.adaptation.page:adaptation_report"

    label_words: dict[str, list[dict[str, Any]]]
    methods: dict[str, MethodResult]
    chosen: str
    chosen_accuracy_in_training: float | None
    test_texts: tuple[str, ...]
    points: np.ndarray
    moved_points: np.ndarray
    bases: np.ndarray | None
    ngrams: MethodResult

    @property
    def verdict(self) -> Verdict:
        """Whether the chosen method beats always giving one answer, guessing, and n-grams."""
        controls = self._controls({self.ngrams.cell.method: self.ngrams.right(self.truth)})
        return verdict_on(self.methods[self.chosen].right(self.truth), controls, is_ngrams=self.chosen in NGRAMS)

    @property
    def over_ngrams(self) -> Estimate:
        """Accuracy of the chosen method less that of n-grams without the model, paired over test texts."""
        return gain_over(self.methods[self.chosen].right(self.truth), self.ngrams.right(self.truth))

    @property
    def recommended(self) -> str | None:
        """The chosen method, unless it is not to be used."""
        return None if self.verdict.worth is Worth.WORTHLESS else self.chosen

    @property
    def controls(self) -> tuple[str, ...]:
        """Plain controls that were fitted."""
        return tuple(method.name for method in self.about if method.control and method.name in self.methods)

    @property
    def best_control(self) -> str | None:
        """The plain control that is most accurate on the test texts; None where there is none."""
        return max(self.controls, key=lambda name: self.methods[name].accuracy.value, default=None)

    @property
    def encode_seconds(self) -> float:
        """Of all texts, once for all methods."""
        return self.methods[self.chosen].cell.encode_seconds

    def confusion(self, method: str | None = None) -> np.ndarray:
        """Counts with true labels as rows; of the chosen method by default."""
        predicted = self.methods[method or self.chosen].probabilities.argmax(axis=1)
        return confusion(self.truth, predicted, len(self.labels))

    def summary(self) -> str:
        """The result in a sentence."""
        best, families = self.methods[self.chosen].accuracy, self.families
        bare = [found for name, found in self.methods.items() if families[name] == VOCABULARY]
        where = "" if families[self.chosen] in (TEXTS, "prompts", "weights") else " on the frozen model's points"
        text = (
            f"With {self.counts['train']:,} labeled texts, {self.descriptions[self.chosen].split(':')[0]}{where} reaches "
            f"{best.value:.1%} [{best.low:.1%}, {best.high:.1%}] on {counted(self.counts['test'], 'test text')}"
        )
        if bare:
            what = (
                "the names of the labels alone, without a label, reach"
                if self.bases is None
                else "the vocabulary alone, without a label, reaches"
            )
            text += f"; {what} {max(found.accuracy.value for found in bare):.1%}"
        if self.verdict.worth is Worth.HOLDS:
            most = f"always answering {self.labels[self.majority]!r}, {self.majority_accuracy:.1%}"
            text = f"{text}; {most}; n-grams without the model, {self.ngrams.accuracy.value:.1%}"
            return f"{text}." if self.chosen in NGRAMS else f"{text}: {against_ngrams(self.over_ngrams, self.ngrams.cell.method)}."
        return f"{text}. {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "summary": self.summary(),
            **self._shared(),
            "label_words": self.label_words,
            "methods": {name: result.to_dict() for name, result in self.methods.items()},
            "chosen": self.chosen,
            "verdict": self.verdict.to_dict(),
            "n_grams": {"method": self.ngrams.cell.method, **self.ngrams.to_dict()},
            "better_than_n_grams_by": self.over_ngrams.to_dict(),
            "chosen_accuracy_in_training": self.chosen_accuracy_in_training,
            "encode_seconds": round(self.encode_seconds, 3),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """The comparison as a pandas table, a row a method."""
        import pandas as pd

        return pd.DataFrame.from_dict({name: result.to_dict() for name, result in self.methods.items()}, orient="index")

    def chart(self) -> "altair.LayerChart":
        """Accuracy of every method with its interval, an Altair chart."""
        from lexframe.adaptation.charts import method_chart

        return method_chart(self)


def adapt(
    space: Space | TextReader | ModelName,
    train: Any,
    test: Any = None,
    *,
    methods: str | Iterable[str | Method] = "default",
    label_words: Mapping[str, Sequence[str]] | None = None,
    readout: str = "invariant",
    seed: int = 0,
    progress: Progress = iter,
) -> tuple[AdaptationResult, Adapter | None]:
    """Fit every method on all labels, compare them on the same test texts, and keep the best.

    This is :func:`compare` with one draw of all labels. The best is chosen on held-out training labels, never on the test.

    Parameters
    ----------
    space : Space, str or TextReader
        Frozen; the name of a model opens it. With a vocabulary the zero-shot methods and the label bases come from it; points are then
        what the head reads (see :meth:`VocabularySpace.head_input`). A reader says which layers and poolings methods over points may
        use; a space alone is read a third, two thirds and all the way up.
    train, test : Table, DataFrame, tuple or list
        Labeled texts, in whatever holds them: see :func:`lexframe.data.as_table`. Without `test` a fifth of `train`, drawn by
        class, is held out.
    methods : str or iterable of str or Method
        See :func:`lexframe.adaptation.methods.make_methods`. One that cannot work in the space is left out, with the reason.
    label_words : mapping of str to sequence of str, optional
        Default: each label's own name.
    readout : {"invariant", "cosine"}
        Of the frame.
    seed : int
        Of the splits, the methods and the bootstrap.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    result : AdaptationResult
    adapter : Adapter or None
        The chosen method, fitted on all training labels, with its space; None where it has nothing that can be saved (see
        :func:`lexframe.adaptation.methods.require_savable`).

    Raises
    ------
    DataError
        If there is only one class, or a test label that training lacks.
    InputError
        If a method is unknown, none can work in the space, or labels share their words.
    """
    train, test = as_table(train), None if test is None else as_table(test, what="test")
    made, reader = make_methods(methods), reader_of(space)
    able, left_out = usable(made, reader.space)
    if not able:
        raise InputError(no_method(left_out))
    if test is None:
        train, test = hold_out(train, seed)
    task = Task.of(train, test, Draws((ALL,), (seed,), max_test=None), label_words)
    reader = reader_of(reader, fit_on=task.train.texts)
    model = reader.space
    encoded = task.encoded(reader, progress=progress)
    problem = task.problem(encoded, ALL, seed, readout=readout)
    bases = problem.label_bases() if isinstance(model, VocabularySpace) else None
    found: dict[str, Evaluation] = {}
    for method in progress(able):
        try:
            found[method.name] = evaluate(method, task, problem, ALL)
        except (DataError, InputError) as why:  # such as more labels than it was given texts: the others go on
            left_out[method.name] = str(why)
    able = [method for method in able if method.name in found]
    if not able:
        raise InputError(no_method(left_out))
    references = {
        **found,
        **{method.name: evaluate(method, task, problem, ALL) for method in make_methods(NGRAMS) if method.name not in found},
    }
    compared = _method_results(able, references, task.truth, seed)
    rivals = competing(able)
    scores = {method.name: held_out_accuracy(method, problem) for method in rivals if method.learns}
    chosen = max(scores, key=scores.__getitem__) if scores else rivals[0].name
    points = encoded.points[task.test_rows]
    moves = found[MOVES].classifier if MOVES in found else None
    moved = moves.fitted().instrument.transform(points) if isinstance(moves, SavableClassifier) else points
    result = AdaptationResult(
        labels=task.labels,
        truth=task.truth,
        majority=task.majority,
        about=tuple(made),
        left_out=left_out,
        notes=(*task.notes, *shared_first_tokens(model, task.label_words), *cut_texts(model, encoded.texts)),
        counts={
            "train": len(train),
            "test": len(test),
            "blank": train.n_blank + test.n_blank,
            "truncated": int(model.truncated(encoded.texts).sum()),
        },
        provenance=Provenance(
            space=model.fingerprint,
            seed=seed,
            parameters={"readout": readout, "methods": [method.name for method in able], "train": train.source, "test": test.source},
        ),
        label_words=_word_facts(model, task.label_words),
        methods={name: compared[name] for name in found},
        chosen=chosen,
        chosen_accuracy_in_training=scores.get(chosen),
        test_texts=test.texts,
        points=_in_metric(points, bases),
        moved_points=_in_metric(moved, bases),
        bases=_in_metric(bases.vectors, bases) if bases else None,
        ngrams=max((compared[name] for name in NGRAMS), key=lambda result: result.accuracy.value),
    )
    classifier = found[chosen].classifier
    if not isinstance(classifier, SavableClassifier):
        return result, None
    return result, replace(Adapter.of(model, classifier.fitted()), facts={"verdict": result.verdict.to_dict()})


def held_out_accuracy(method: Method, problem: Problem) -> float:
    """Accuracy over three folds of the labeled rows; 0 where nothing can be held out, or no class has the labels that the method needs.

    A class with one label stays in training. Of methods that run or train the model for every draw one fold alone is held out.

    Parameters
    ----------
    method : Method
    problem : Problem
    """
    folds = folds_by_class(problem.y, N_FOLDS, seed=problem.seed)
    right = []
    for kept, held_out in folds if method.is_quick else folds[:1]:
        part = replace(problem, rows=problem.rows[kept], y=problem.y[kept])
        if np.bincount(part.y).max() < method.least_shots or len(kept) <= problem.n_labels * (method.least_shots - 1):
            return 0.0
        with rare_classes_known():
            predicted = method.fit(part).predict_proba(problem.rows[held_out]).argmax(axis=1)
        right.append(predicted == problem.y[held_out])
    return float(np.mean(np.concatenate(right))) if right else 0.0


def _method_results(methods: Sequence[Method], found: Mapping[str, Evaluation], truth: np.ndarray, seed: int) -> dict[str, MethodResult]:
    right = {name: (evaluation.cell.predicted == truth).astype(float) for name, evaluation in found.items()}
    controls = [method.name for method in methods if method.control] or list(found)
    control = max(controls, key=lambda name: right[name].mean())
    return {
        name: MethodResult(
            cell=evaluation.cell,
            accuracy=share_over_items(right[name], seed=seed),
            macro_f1=macro_f1_estimate(truth, evaluation.cell.predicted.astype(np.int64), seed=seed),
            difference=mean_over_items(right[name] - right[control], seed=seed),
            probabilities=evaluation.probabilities,
        )
        for name, evaluation in found.items()
    }


def _word_facts(space: Space, words: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(space, VocabularySpace):
        return {label: [] for label in words}
    return {label: [{"word": word, "n_tokens": len(space.word_ids(word))} for word in listed] for label, listed in words.items()}


def _in_metric(vectors: np.ndarray, bases: LabelBases | None) -> np.ndarray:
    """Coordinates in which the angles of the frame's inner product are plain angles."""
    return vectors if bases is None or bases.metric is None else vectors @ metric_root(bases.metric)
