"""The nearest class mean."""

import numpy as np

from lexframe.adaptation.methods.on_points import fit_on_points
from lexframe.adaptation.problem import Classifier, Method, Problem
from lexframe.instruments.frame.nearest_basis import NearestBasis


class ClassMean(Method):
    """The class whose mean point is nearest by cosine; the temperature of the softmax is fixed."""

    name = "class-mean"
    description = "the nearest class mean"
    family = "points"
    savable = True

    def fit(self, problem: Problem) -> Classifier:
        """Average the points of each class."""
        return fit_on_points(problem, {"class-mean": NearestBasis}, lambda estimator: int(np.size(estimator.vectors_)))
