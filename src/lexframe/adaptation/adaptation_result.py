"""What comes out of an adaptation: every method on the test texts, the one that was chosen, and what it is worth."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lexframe.adaptation.advice import NGRAMS, against_ngrams, gain_over, verdict_on
from lexframe.adaptation.cells import Cell
from lexframe.adaptation.metrics import confusion
from lexframe.adaptation.problem import TEXTS, VOCABULARY
from lexframe.adaptation.results import MethodsResult
from lexframe.intervals import Estimate
from lexframe.results import WithPage
from lexframe.text_forms import counted, listed
from lexframe.verdicts import Verdict, Worth

if TYPE_CHECKING:
    import altair
    import pandas


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
    views : tuple of str
        What the models are called that were read; methods that read one of several say which in their name.
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
    views: tuple[str, ...] = ()

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
        """Of all texts by all models, once for all methods."""
        return max(method.cell.encode_seconds for method in self.methods.values())

    @property
    def best_view(self) -> str | None:
        """Of several models read at once: the method on one of them that is most accurate on the test texts."""
        alone = [name for name in self.methods if self._reads_one(name)]
        return max(alone, key=lambda name: self.methods[name].accuracy.value, default=None) if len(self.views) > 1 else None

    def _reads_one(self, method: str) -> bool:
        """Whether a method reads one of several models."""
        return any(method.endswith(f" ({view})") for view in self.views)

    def confusion(self, method: str | None = None) -> np.ndarray:
        """Counts with true labels as rows; of the chosen method by default."""
        predicted = self.methods[method or self.chosen].probabilities.argmax(axis=1)
        return confusion(self.truth, predicted, len(self.labels))

    def summary(self) -> str:
        """The result in a sentence."""
        best, families = self.methods[self.chosen].accuracy, self.families
        bare = [found for name, found in self.methods.items() if families[name] == VOCABULARY]
        where = "" if families[self.chosen] in (TEXTS, "prompts", "weights") else " on the frozen model's points"
        if where and len(self.views) > 1:
            where = "" if self._reads_one(self.chosen) else f" on the points of {listed(self.views)} at once"
        text = (
            f"With {self.counts['train']:,} labeled texts, {self.descriptions[self.chosen].split(':')[0]}{where} reaches "
            f"{best.value:.1%} [{best.low:.1%}, {best.high:.1%}] on {counted(self.counts['test'], 'test text')}"
        )
        if self.best_view is not None and not self._reads_one(self.chosen):
            text += f"; the best on one of them alone, {self.best_view}, {self.methods[self.best_view].accuracy.value:.1%}"
        if bare:
            what = (
                "the names of the labels alone, without a label, reach"
                if self.bases is None or len(self.views) > 1
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
            "views": list(self.views),
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
