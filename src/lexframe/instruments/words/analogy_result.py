"""What methods of analogy score on the questions of a file: by relation, with intervals, beside the baselines."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Int

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.instruments.words.analogy import BASELINES
from lexframe.intervals import Estimate, product_estimates
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.text_forms import counted

if TYPE_CHECKING:
    import altair
    import pandas

TOTAL = "all relations"


@dataclass(frozen=True, slots=True)
class AnalogyScore:
    """One method on the questions of one relation, or of all.

    Attributes
    ----------
    method, relation : str
        `relation` is :data:`TOTAL` for all questions together.
    n_questions, n_covered : int
        Covered are those whose three words and at least one answer have a vector. The others count as wrong.
    accuracy : Estimate
        Share of right answers with the words of the question left out, its interval over pairs.
    covered_accuracy : float
        The same over covered questions alone; NaN where there are none.
    honest_accuracy : float
        Share of right answers when every word may be the answer.
    """

    method: str
    relation: str
    n_questions: int
    n_covered: int
    accuracy: Estimate
    covered_accuracy: float
    honest_accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Flat, as plain types: the interval stands beside the accuracy as ``low`` and ``high``."""
        found = {name: getattr(self, name) for name in ("method", "relation", "n_questions", "n_covered")}
        found |= {"accuracy": self.accuracy.value, "low": self.accuracy.low, "high": self.accuracy.high}
        return plain(found | {"covered_accuracy": self.covered_accuracy, "honest_accuracy": self.honest_accuracy})


@dataclass(frozen=True, slots=True)
class QuartileScore:
    """One method on the covered questions whose answers are about equally frequent.

    Attributes
    ----------
    method : str
    quartile : int
        Of the distinct answers by frequency; 1 holds the most frequent.
    n_questions : int
    accuracy : float
        With the words of the question left out; NaN where there are no questions.
    """

    method: str
    quartile: int
    n_questions: int
    accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain types, for JSON."""
        return plain(asdict(self))


@dataclass(frozen=True, eq=False)
class AnalogyEvaluation(Result, WithPage):
    """Methods on the questions of a file.

    Attributes
    ----------
    scores : tuple of AnalogyScore
        By method and relation, all relations together last.
    quartiles : tuple of QuartileScore
    methods, relations : tuple of str
    relation_of : ndarray of int, shape (n_questions,)
        Number of the relation of every question.
    pairs : ndarray of int, shape (n_questions, 2)
        Numbers of the pairs (a, a') and (b, answer) of every question within its relation: what intervals resample.
    right : dict of str to ndarray of bool, shape (n_questions,)
        By method, with the words of the question left out.
    source : str
        Of the vectors.
    n_words : int
        Candidates.
    provenance : Provenance
    """

    page: ClassVar[str] = "lexframe.instruments.words.page:analogy_report"

    scores: tuple[AnalogyScore, ...]
    quartiles: tuple[QuartileScore, ...]
    methods: tuple[str, ...]
    relations: tuple[str, ...]
    relation_of: Int[np.ndarray, " n_questions"]
    pairs: Int[np.ndarray, "n_questions 2"]
    right: dict[str, Bool[np.ndarray, " n_questions"]]
    source: str
    n_words: int
    provenance: Provenance

    def score(self, method: str, relation: str = TOTAL) -> AnalogyScore:
        """Of one method on one relation; default: on all questions.

        Raises
        ------
        InputError
            If it was not measured.
        """
        for score in self.scores:
            if (score.method, score.relation) == (method, relation):
                return score
        raise InputError(
            f"{method!r} on {relation!r} was not measured; there are {', '.join(self.methods)} on {', '.join(self.relations)}."
        )

    def lead(self, method: str, over: str = "b-only", *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
        """By how much a method is right more often than another, on all questions, with its paired 95% interval.

        Parameters
        ----------
        method, over : str
            Both measured.
        n_resamples, seed : int
            Of the interval; see :func:`~lexframe.intervals.product_estimates`.
        """
        difference = self.right[self.score(method).method].astype(float) - self.right[self.score(over).method].astype(float)
        return product_estimates(difference, self.relation_of, self.pairs, n_resamples=n_resamples, seed=seed)[1]

    def summary(self) -> str:
        """The best method on all questions, and whether it beats the words nearest to b."""
        totals = {method: self.score(method) for method in self.methods}
        learned = [method for method in self.methods if method not in BASELINES]
        best = max(learned or self.methods, key=lambda method: totals[method].accuracy.value)
        found = totals[best]
        text = (
            f"Best of {counted(len(self.methods), 'method')} is {best}: {found.accuracy.value:.1%} of "
            f"{counted(found.n_questions, 'question')} right "
            f"[{found.accuracy.low:.1%}, {found.accuracy.high:.1%}], {found.n_covered:,} of them covered by {self.n_words:,} words."
        )
        if not found.n_covered:
            return f"{text} No question is covered: these vectors have none of its words, so nothing was measured."
        if best not in BASELINES and "b-only" in self.methods:
            lead = self.lead(best)
            holds = "more than" if lead.low > 0 else "not reliably more than"
            text += f" That is {holds} the words nearest to b, which need no analogy ({totals['b-only'].accuracy.value:.1%})."
        return text

    def to_frame(self) -> "pandas.DataFrame":
        """The tidy table: a row a method and relation."""
        import pandas as pd

        return pd.DataFrame([{"source": self.source, **score.to_dict()} for score in self.scores])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "source": self.source,
            "n_words": self.n_words,
            "scores": [score.to_dict() for score in self.scores],
            "quartiles": [quartile.to_dict() for quartile in self.quartiles],
            "provenance": self.provenance.to_dict(),
        }

    def chart(self) -> "altair.LayerChart":
        """Accuracy by relation and method, with intervals and the b-only baseline."""
        from lexframe.instruments.words.charts import analogy_chart

        return analogy_chart(self)
