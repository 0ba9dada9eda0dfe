"""What to use, and whether it is worth using: held against a constant answer, guessing, and n-grams."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.adaptation.cells import Shots
from lexframe.best_of_many import cross_fitted_best, gaps_to_best
from lexframe.intervals import Estimate, mean_over_draws, share_over_draws
from lexframe.verdicts import Verdict, Worth, judged

QUICK_SECONDS = 2.0
"""Fits that are shorter differ in nothing that a person would notice."""
FEWEST_APART = 6
"""Texts on which two answers have to differ before a sign test could tell them apart at 5%."""
FEWEST_TESTS, ENOUGH_TESTS = 20, 100
NGRAMS = ("tfidf", "lexical-nb")
"""Methods that ask no model; every other is held against the one that is better on the same test texts."""

Right = Float[np.ndarray, "n_draws n_test"]


@dataclass(frozen=True, slots=True)
class Controls:
    """What a classifier has to beat.

    Attributes
    ----------
    label : str
        The most frequent label in training.
    majority : ndarray of shape (1, n_test)
        1 where that label is right, whatever was drawn.
    n_labels : int
        Guessing is right on one in so many.
    ngrams : ndarray of shape (n_draws, n_test) or None
        Where n-grams without a model are right, fitted on the same labels; None without labels.
    ngrams_method : str
        Which of ``NGRAMS`` that is.
    """

    label: str
    majority: Float[np.ndarray, "1 n_test"]
    n_labels: int
    ngrams: Right | None = None
    ngrams_method: str = NGRAMS[0]

    @property
    def least(self) -> float:
        """Accuracy that a constant answer or guessing reaches."""
        return max(float(self.majority.mean()), 1 / self.n_labels)


def gain_over(right: Right, control: Right, *, less: float = 0.0) -> Estimate:
    """How much more often one is right than the other, paired; no interval where too few texts tell them apart.

    Parameters
    ----------
    right, control : ndarray of shape (n_draws, n_test)
    less : float
        What the first owes to having been picked on these texts; below 0, what the second does.
    """
    difference = right - control
    found = mean_over_draws(difference)
    if np.count_nonzero(difference.any(axis=0)) < FEWEST_APART:
        return Estimate(found.value - less, float("nan"), float("nan"))
    return Estimate(found.value - less, found.low - less, found.high - less)


def verdict_on(right: Right, controls: Controls, *, less: float = 0.0, is_ngrams: bool = False) -> Verdict:
    """Whether a classifier is worth using.

    It has to beat the most frequent training label and guessing, and n-grams must not be better: surely better, and the classifier is
    not to be used; better by what may be chance, and it is not shown to be of use.

    Parameters
    ----------
    right : ndarray of shape (n_draws, n_test)
    controls : Controls
    less : float
        See :func:`gain_over`.
    is_ngrams : bool
        Whether the classifier is n-grams itself.
    """
    accuracy, majority = float(right.mean()) - less, float(controls.majority.mean())
    n_test, held_against = right.shape[1], controls.ngrams if not is_ngrams else None
    of = f"no more than {n_test}" if n_test < FEWEST_TESTS else f"the {n_test:,}"
    parts = [f"always answering {controls.label!r} on {majority:.1%}"]
    if 1 / controls.n_labels > majority:
        parts.append(f"guessing on {1 / controls.n_labels:.1%}")
    control = 1 / controls.n_labels if 1 / controls.n_labels > majority else controls.majority
    found = [judged(gain_over(right, np.broadcast_to(control, right.shape), less=less), "")]
    ending = ""
    if held_against is not None:
        parts.append(f"n-grams, without the model, on {held_against.mean():.1%}")
        gain = gain_over(right, held_against, less=less)
        if gain.value < 0:
            sure = gain.interval is not None and gain.interval[1] < 0
            found.append(Verdict(Worth.WORTHLESS if sure else Worth.UNSURE, ""))
        ending = f"; {against_ngrams(gain, controls.ngrams_method)}"
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
    reason = f"It is right on {accuracy:.1%} of {of} test texts, {listed}{ending}."
    order = (Worth.WORTHLESS, Worth.UNSURE, Worth.HOLDS)
    return Verdict(min((verdict.worth for verdict in found), key=order.index), reason)


def against_ngrams(gain: Estimate, method: str) -> str:
    """The headline: how much better than n-grams, or that they are enough.

    Parameters
    ----------
    gain : Estimate
        Accuracy less that of n-grams.
    method : str
        The method that reads n-grams.
    """
    chance = gain.interval is None or gain.interval[0] <= 0 <= gain.interval[1]
    ending = ", which may be chance" if chance else ""
    if gain.value > 0:
        return f"better than n-grams by {_points(gain)}{ending}"
    lead = Estimate(-gain.value, -gain.high, -gain.low)
    return f"n-grams are enough here: use them ({method} is {'as good' if lead.value == 0 else f'better by {_points(lead)}{ending}'})"


def _points(gain: Estimate) -> str:
    interval = "" if gain.interval is None else f" [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
    return f"{100 * gain.value:.1f} points{interval}"


def few_tests(n_test: int) -> list[str]:
    """A note where the test texts are too few to tell anything."""
    if n_test >= ENOUGH_TESTS:
        return []
    says = "nothing" if n_test < FEWEST_TESTS else "little"
    texts = f"{n_test} test text tells" if n_test == 1 else f"{n_test} test texts tell"
    return [
        f"{texts} {says}: an accuracy near a half is known to ±{min(98 / np.sqrt(n_test), 50):.0f} points. Give {ENOUGH_TESTS} or more."
    ]


@dataclass(frozen=True, slots=True)
class Advice:
    """What to use with so many labels.

    Attributes
    ----------
    model : str
    shots : int or "all"
    method : str
        The cheapest method that the best does not surely beat; fits within two seconds count as equally cheap.
    accuracy : Estimate
        Of texts, and draws, that had no part in picking it.
    measured : float
        The same as the table has it, which picking the best makes too large.
    verdict : Verdict
        Of the method, on that accuracy.
    best : str
        The method that is best in the table.
    gap : Estimate
        Best less method, with an interval that holds for all pairs at once.
    over_ngrams : str
        How the method stands against n-grams, for the headline; empty without labels, and where nothing else was tried.
    """

    model: str
    shots: Shots
    method: str
    accuracy: Estimate
    measured: float
    verdict: Verdict
    best: str
    gap: Estimate
    over_ngrams: str = ""

    @property
    def recommended(self) -> str | None:
        """The method, unless it is not to be used."""
        return None if self.verdict.worth is Worth.WORTHLESS else self.method

    def sentence(self) -> str:
        """In words."""
        labels = {0: "Without labels", "all": "With all labels"}.get(
            self.shots, f"With {self.shots} label{'s' if self.shots != 1 else ''} a class"
        )
        accuracy = self.accuracy
        if self.recommended is None:
            return f"{labels}: nothing here is worth using. The best that was tried is {self.method}. {self.verdict}"
        text = f"{labels}: {self.method}, {accuracy.value:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}]"
        if abs(self.measured - accuracy.value) >= 0.0005:
            text += f" on texts that did not pick it ({self.measured:.1%} in the table)"
        if self.best != self.method:
            text += f"; {self.best} is {self.gap.value:.1%} higher, which may be chance, and takes longer to fit"
        if self.verdict.worth is Worth.UNSURE:
            return f"{text}. {self.verdict}"
        return f"{text}; {self.over_ngrams}." if self.over_ngrams else f"{text}."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "model": self.model,
            "shots": self.shots,
            "recommended": self.recommended,
            "method": self.method,
            "accuracy": self.accuracy.to_dict(),
            "accuracy_in_table": self.measured,
            "verdict": self.verdict.to_dict(),
            "best_in_table": self.best,
            "best_minus_method": self.gap.to_dict(),
            "against_n_grams": self.over_ngrams,
        }


def advise(right: Mapping[str, Right], seconds: Mapping[str, float], controls: Controls, *, model: str = "", shots: Shots = 0) -> Advice:
    """Pick a method, and say what it is worth.

    Parameters
    ----------
    right : mapping of str to ndarray of shape (n_draws, n_test)
        By method, on the same draws and texts, 1 where it was right.
    seconds : mapping of str to float
        To fit.
    controls : Controls
    model, shots
        What is advised on.
    """
    names = list(right)
    tables = np.stack([right[name] for name in names])
    means = tables.mean(axis=(1, 2))
    best, gaps = gaps_to_best(tables)
    cost = [max(seconds[name], QUICK_SECONDS) for name in names]
    equal = [row for row, gap in enumerate(gaps) if not gap.low > 0]
    useful = [row for row in equal if means[row] > controls.least] or [best]
    pick = min(useful, key=lambda row: (cost[row], -means[row]))
    rivals = [row for row in useful if cost[row] == cost[pick]]
    measured = float(means[pick])
    less = max(measured - cross_fitted_best(tables[rivals]), 0.0) if len(rivals) > 1 else 0.0
    plain, is_ngrams = share_over_draws(tables[pick]), names[pick] in NGRAMS
    over_ngrams = ""
    if is_ngrams and any(name not in NGRAMS for name in names):
        over_ngrams = "n-grams are enough here: use them"
    elif controls.ngrams is not None and not is_ngrams:
        over_ngrams = against_ngrams(gain_over(tables[pick], controls.ngrams, less=less), controls.ngrams_method)
    return Advice(
        model=model,
        shots=shots,
        method=names[pick],
        accuracy=Estimate(plain.value - less, max(plain.low - less, 0.0), plain.high - less),
        measured=measured,
        verdict=verdict_on(tables[pick], controls, less=less, is_ngrams=is_ngrams),
        best=names[best],
        gap=gaps[pick],
        over_ngrams=over_ngrams,
    )
