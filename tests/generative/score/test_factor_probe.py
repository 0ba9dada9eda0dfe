"""Probes of factors that are there, are not there, or are given wrongly."""

import json

import numpy as np
import pytest
from scipy.stats import binom

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.factor_probe import probe_factors
from lexframe.generative.score.factors import checked_factors


def planted(n=600, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 6))
    tense = np.where(points @ [1, 1, 0, 0, 0, 0] > 0, "past", "present")
    subject = np.array(["cat", "dog", "owl"])[np.argmax(points[:, 2:5], axis=1)]
    size = 3 + points @ [0, 0, 1, 0, 0, 2.0] + rng.normal(size=n)
    return points, {"tense": tense, "subject": subject, "size": size, "coin": rng.integers(0, 2, n), "noise": rng.normal(size=n)}


def test_planted_factors_are_found_and_others_are_not():
    points, factors = planted()
    found = {score.name: score for score in probe_factors(points, factors).scores}
    assert found["tense"].score.low > 0.95
    assert found["subject"].score.low > 0.9
    assert found["size"].score.value == pytest.approx(5 / 6, abs=0.03)  # variance 5 of 6 is told by the points
    assert found["size"].metric == "r2"
    low, high = binom.ppf([0.0001, 0.9999], 600, 0.5) / 600
    assert low < found["coin"].score.value < high
    assert found["noise"].score.high < 0.03
    for name, score in found.items():
        assert abs(score.shuffled - score.baseline) < 0.1, name
    assert found["tense"].baseline == max(np.mean(factors["tense"] == "past"), np.mean(factors["tense"] == "present"))
    assert [found[name].n_categories for name in ("tense", "subject", "size")] == [2, 3, 0]


def test_a_collapsed_latent_gives_the_baseline():
    _, factors = planted()
    scores = probe_factors(np.zeros((600, 3)), {"subject": factors["subject"], "size": factors["size"]}).scores
    assert scores[0].score.value == pytest.approx(scores[0].baseline, abs=0.02)
    assert scores[1].score.value == pytest.approx(0, abs=0.02)


def test_scale_and_shift_of_dimensions_do_not_matter():
    points, factors = planted(200)
    one = {name: factors[name] for name in ("tense", "size")}
    first, second = (probe_factors(table, one).scores for table in (points, points * [1e-4, 1, 1, 1e3, 1, 1] + 50))
    assert first[0].score.value == pytest.approx(second[0].score.value)
    assert first[1].score.value == pytest.approx(second[1].score.value, abs=1e-6)


def test_texts_without_a_factor_are_left_out():
    points, factors = planted()
    tense = [value if row % 3 else None for row, value in enumerate(factors["tense"].tolist())]
    size = np.where(np.arange(600) % 2, factors["size"], np.nan)
    scores = probe_factors(points, {"tense": tense, "size": size}).scores
    assert [score.n_texts for score in scores] == [400, 300]
    assert scores[0].score.value > 0.9
    assert scores[1].score.value > 0.75


def test_what_counts_as_a_category():
    points = np.zeros((4, 1))
    given = {"whole": [10, 2, 2, 10], "truth": [True, False, True, True], "word": ["b", "a", "b", "a"], "amount": [0.5, 1.0, 2.0, None]}
    whole, truth, word, amount = checked_factors(points, given)
    assert [factor.is_numeric for factor in (whole, truth, word, amount)] == [False, False, False, True]
    assert (whole.categories, whole.values.tolist()) == (("2", "10"), [1, 0, 0, 1])
    assert (truth.categories, word.categories, amount.categories) == (("False", "True"), ("a", "b"), ())
    assert amount.present.tolist() == [True, True, True, False]
    mixed = checked_factors(points, {"mixed": [1, "1", "x", 2]})[0]
    assert mixed.categories == ("1", "2", "1", "x")


def test_to_dict_is_json():
    points, factors = planted(100)
    document = json.loads(json.dumps(probe_factors(points, {"tense": factors["tense"]}).to_dict()))
    assert document["n_folds"] == 5
    assert document["scores"][0]["name"] == "tense"


def test_bad_input():
    points = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(InputError, match="no factor"):
        probe_factors(points, {})
    with pytest.raises(InputError, match="'x' has 3 values, but there are 20 points"):
        probe_factors(points, {"x": [1, 2, 3]})
    with pytest.raises(DataError, match="'x' has 1 different values among 20"):
        probe_factors(points, {"x": ["a"] * 20})
    with pytest.raises(DataError, match="'x' has 0 different values among 0"):
        probe_factors(points, {"x": [None] * 20})
    with pytest.raises(DataError, match="Category 'b' of factor 'x' has 2 texts; expected 5"):
        probe_factors(points, {"x": ["a"] * 18 + ["b"] * 2})
    with pytest.raises(DataError, match="3 texts have factor 'x'; expected 10"):
        probe_factors(points, {"x": [0.1, 0.2, 0.3] + [None] * 17})
    with pytest.raises(DataError, match="infinite value"):
        probe_factors(points, {"x": [np.inf] + [0.0] * 19})
    with pytest.raises(InputError, match="n_folds is 1"):
        probe_factors(points, {"x": ["a", "b"] * 10}, n_folds=1)
    points[3, 1] = np.nan
    with pytest.raises(DataError, match="Point 3 holds NaN"):
        probe_factors(points, {"x": ["a", "b"] * 10})
    with pytest.raises(DataError, match="expected two texts or more"):
        probe_factors(np.zeros((1, 2)), {"x": ["a"]})
