"""How far zero-shot scores are trusted: the evidence against integrals on a grid, and what labels can and cannot say."""

import numpy as np
import pytest

from lexframe.instruments.classifiers.prior_trust import LOG_ODDS, calibrated, prior_trust
from tests.reference import posterior_calibration as reference


def scores_of_two_classes(rng, n, knowledge):
    y = np.arange(n) % 2
    return knowledge * np.eye(2)[y] + rng.normal(size=(n, 2)), y


@pytest.mark.parametrize(("n", "knowledge"), [(2, 1.0), (6, 2.0), (20, 0.0), (20, 1.5)])
def test_evidence_and_weight_are_those_of_the_integral(rng, n, knowledge):
    scores, y = scores_of_two_classes(rng, n, knowledge)
    weight, evidence = calibrated(scores, y)
    nothing = calibrated(np.zeros_like(scores), y)[1]
    expected, mean = reference.log_evidence(scores, y)
    without, _ = reference.log_evidence(np.zeros_like(scores), y)
    assert evidence - nothing == pytest.approx(expected - without, abs=0.15)  # Laplace's approximation
    assert weight == pytest.approx(mean, abs=0.35)  # the mode, where the integral gives the mean


def test_without_labels_nothing_speaks_against_the_scores():
    found = prior_trust(np.zeros((0, 3)), np.zeros(0, dtype=int))
    assert (found.weight, found.probability) == (1.0, 1.0)


def test_scores_that_say_nothing_keep_the_odds_before(rng):
    """exp(-2) where every class has labels, exp(2) where one of many has, in between in proportion."""
    for y, share in (([0, 1, 2, 3], 1.0), ([0, 1], 0.5), ([2], 0.25)):
        found = prior_trust(np.zeros((len(y), 4)), np.array(y))
        assert np.log(found.probability / (1 - found.probability)) == pytest.approx(LOG_ODDS * (1 - 2 * share))
        assert found.weight == pytest.approx(found.probability, rel=1e-3)  # 1, the mean of its prior, times the probability


def test_labels_tell_scores_that_know_from_scores_that_do_not(rng):
    y = np.tile(np.arange(8), 4)
    knowing = 2.5 * np.eye(8)[y] + rng.normal(size=(32, 8))
    assert prior_trust(knowing, y).probability > 0.99
    assert prior_trust(knowing, y).weight > 0.8
    assert prior_trust(rng.normal(size=(32, 8)), y).weight < 0.1
    turned = prior_trust(knowing[:, np.roll(np.arange(8), 1)], y)
    assert turned.probability < 0.05 or turned.weight < 0


def test_a_frequent_class_is_the_intercepts_business(rng):
    """Nine labels in ten of one class, which scores high everywhere by accident: no reason to trust the scores."""
    y = (np.arange(200) % 10 == 0).astype(int)
    scores = np.array([1.5, 0.0]) + rng.normal(size=(200, 2))
    assert prior_trust(scores, y).weight < 0.1


def test_the_order_of_rows_and_classes_does_not_matter(rng):
    y = rng.integers(5, size=40)
    scores = 1.0 * np.eye(5)[y] + rng.normal(size=(40, 5))
    order, classes = rng.permutation(40), rng.permutation(5)
    first = prior_trust(scores, y)
    second = prior_trust(scores[order][:, classes], np.argsort(classes)[y[order]])
    assert second.weight == pytest.approx(first.weight, abs=1e-6)
    assert second.probability == pytest.approx(first.probability, abs=1e-6)


def test_huge_scores_do_no_harm(rng):
    y = rng.integers(3, size=30)
    found = prior_trust(1e4 * rng.normal(size=(30, 3)), y)
    assert np.isfinite([found.weight, found.probability]).all()
    assert abs(found.weight) < 1e-3
