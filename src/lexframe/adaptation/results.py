"""What the results of an adaptation and of a comparison have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lexframe.adaptation.advice import Controls
from lexframe.adaptation.problem import Method
from lexframe.provenance import Provenance
from lexframe.results import Result

MOVES = "semantic-calibration"
"""The method that moves points, which the map of an adaptation shows."""


@dataclass(frozen=True, slots=True)
class MethodsResult(Result):
    """Methods on the same labels and the same test texts.

    Attributes
    ----------
    labels : tuple of str
        Sorted; class numbers index it.
    truth : ndarray of int, shape (n_test,)
        Class numbers of the test texts.
    majority : int
        Class number of the most frequent label in training; the first of equal ones.
    about : tuple of Method
        The methods that were asked for: what each is.
    left_out : dict of str to str
        Methods that could not work here, and why.
    notes : tuple of str
        What a reader should know of the data: duplicates, short classes, texts that were cut.
    counts : dict
        Texts in training and in test, among others.
    provenance : Provenance
    """

    labels: tuple[str, ...]
    truth: np.ndarray
    majority: int
    about: tuple[Method, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    counts: dict[str, int]
    provenance: Provenance

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / len(self.labels)

    @property
    def majority_accuracy(self) -> float:
        """Accuracy of always giving the label that is most frequent in training."""
        return float(np.mean(self.truth == self.majority))

    def _controls(self, ngrams: Mapping[str, np.ndarray]) -> Controls:
        """Against the better of some methods that read n-grams, by name where they are right; none is given without labels."""
        constant = (self.truth == self.majority).astype(float)[np.newaxis]
        plain = Controls(self.labels[self.majority], constant, len(self.labels))
        best = max(ngrams, key=lambda name: float(ngrams[name].mean()), default=None)
        return plain if best is None else replace(plain, ngrams=ngrams[best], ngrams_method=best)

    @property
    def descriptions(self) -> dict[str, str]:
        """Half a sentence on each method."""
        return {method.name: method.description for method in self.about}

    @property
    def families(self) -> dict[str, str]:
        """What each method works on."""
        return {method.name: method.family for method in self.about}

    @property
    def variants(self) -> tuple[str, ...]:
        """Methods that show what a part of another adds, and are not advised."""
        return tuple(method.name for method in self.about if method.variant)

    def _shared(self) -> dict[str, Any]:
        return {
            "labels": list(self.labels),
            "chance": self.chance,
            "majority": {"label": self.labels[self.majority], "accuracy": self.majority_accuracy},
            "counts": self.counts,
            "notes": list(self.notes),
            "left_out": self.left_out,
            "provenance": self.provenance.to_dict(),
        }
