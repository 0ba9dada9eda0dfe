"""The plain linear controls: shrinkage LDA and L2 logistic regression."""

from lexframe.evidence.methods.on_points import fit_on_points
from lexframe.evidence.problem import Classifier, Method, Problem
from lexframe.instruments.linear_probe import LinearReadout, LogisticProbe, ShrinkageLDA


def _size(estimator: LinearReadout) -> int:
    return int(estimator.coef_.size + estimator.intercept_.size)


class LDA(Method):
    """Linear discriminant analysis with a shrunken covariance."""

    name = "lda"
    description = "linear discriminant analysis, shrunken covariance"
    family = "points"
    least_shots = 2

    def fit(self, problem: Problem) -> Classifier:
        """Class means and one covariance."""
        return fit_on_points(problem, ShrinkageLDA, _size, least_to_choose=3)


class Logistic(Method):
    """L2 logistic regression, penalty by cross-validation."""

    name = "logistic"
    description = "L2 logistic regression, penalty by cross-validation"
    family = "points"

    def fit(self, problem: Problem) -> Classifier:
        """Choose penalty and representation, then fit."""
        classifier = fit_on_points(problem, lambda: LogisticProbe(random_state=problem.seed), _size)
        classifier.choices["strength"] = classifier.estimator.strength_
        return classifier
