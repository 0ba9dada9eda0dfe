"""The plain linear controls: shrinkage LDA and L2 logistic regression."""

from functools import partial

import numpy as np

from lexframe.adaptation.methods.on_points import fit_on_points
from lexframe.adaptation.problem import Classifier, Method, Problem
from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.linear_probe import LinearReadout, LogisticProbe, ShrinkageLDA

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse penalties; the third stands where nothing can be chosen."""


def _size(estimator: LinearReadout) -> int:
    return int(estimator.coef_.size + estimator.intercept_.size)


class LDA(Method):
    """Linear discriminant analysis with a shrunken covariance.

    Parameters
    ----------
    together : bool
        Whether all representations are read side by side, as posterior calibration does; else the one that cross-validation chooses.
    """

    name = "lda"
    description = "linear discriminant analysis, shrunken covariance"
    family = "points"
    control = True
    savable = True
    least_shots = 2

    def __init__(self, *, together: bool = False):
        self.together = together
        if together:
            self.name = "lda-all"
            self.description = "linear discriminant analysis on all layers and poolings side by side"

    def fit(self, problem: Problem) -> Classifier:
        """Class means and one covariance.

        Raises
        ------
        InputError
            If there are no more labeled texts than classes, which leave nothing within a class.
        """
        if len(problem.rows) <= problem.n_labels:
            raise InputError(
                f"{self.name} needs more labeled texts than labels, and has {len(problem.rows)} for {problem.n_labels}. Give more."
            )
        return fit_on_points(problem, {"lda": ShrinkageLDA}, _size, least_to_choose=3, together=self.together)


class Logistic(Method):
    """L2 logistic regression, penalty by cross-validation.

    Parameters
    ----------
    together : bool
        See :class:`LDA`.
    """

    name = "logistic"
    description = "L2 logistic regression, penalty by cross-validation"
    family = "points"
    control = True
    savable = True

    def __init__(self, *, together: bool = False):
        self.together = together
        if together:
            self.name = "logistic-all"
            self.description = "L2 logistic regression on all layers and poolings side by side"

    def fit(self, problem: Problem) -> Classifier:
        """Choose penalty and representation together, then fit."""
        strengths = sorted(STRENGTHS, key=lambda strength: abs(np.log(strength / STRENGTHS[len(STRENGTHS) // 2])))
        factories = {f"strength {strength:g}": partial(LogisticProbe, strengths=(strength,)) for strength in strengths}
        return fit_on_points(problem, factories, _size, together=self.together)
