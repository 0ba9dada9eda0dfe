"""P-values against the slow definition and scipy; uniform when nothing is planted; false discoveries where they are promised."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lexframe.audit.outliers import (
    adjusted_p,
    benjamini_hochberg,
    benjamini_yekutieli,
    category_p_values,
    conformal_p_values,
    outlier_p_values,
    pooled_p_values,
    reference_needed,
    standardized_scores,
)
from lexframe.exceptions import InputError

draws = st.tuples(st.integers(0, 40), st.integers(1, 6), st.integers(0, 9999), st.booleans())


def draw(n, k, seed, ties):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, n).astype(float) if ties else rng.normal(size=n)
    return scores, rng.choice(np.arange(0, 3 * k, 3), n), rng.random(n) < 0.5


def slow_p_values(scores, numbers, reference):
    result = []
    for i in range(len(scores)):
        others = [j for j in range(len(scores)) if j != i and numbers[j] == numbers[i] and reference[j]]
        result.append((1 + sum(scores[j] >= scores[i] for j in others)) / (1 + len(others)))
    return np.array(result)


@given(draws)
def test_category_p_values_against_the_definition(case):
    scores, numbers, reference = draw(*case)
    everyone = np.ones(len(scores), bool)
    np.testing.assert_allclose(category_p_values(scores, numbers), slow_p_values(scores, numbers, everyone))
    np.testing.assert_allclose(category_p_values(scores, numbers, reference=reference), slow_p_values(scores, numbers, reference))
    held_out = conformal_p_values(scores[reference], scores[~reference])
    alone = category_p_values(scores, np.zeros(len(scores), np.int64), reference=reference)
    np.testing.assert_allclose(alone[~reference], held_out)


@given(draws)
def test_leave_one_out_standardisation_against_leaving_one_out(case):
    scores, numbers, reference = draw(*case)
    standard, has_others = standardized_scores(scores, numbers, reference, 10.0)
    pooled = [scores[reference & (numbers == c)] for c in np.unique(numbers)]
    freedom = sum(max(len(part) - 1, 0) for part in pooled)
    common = sum(((part - part.mean()) ** 2).sum() for part in pooled if len(part)) / freedom if freedom else 0
    for i in range(len(scores)):
        others = scores[[j for j in range(len(scores)) if j != i and numbers[j] == numbers[i] and reference[j]]]
        assert has_others[i] == (len(others) > 0)
        if len(others) and common > 0:
            variance = (((others - others.mean()) ** 2).sum() + 10 * common) / (len(others) - 1 + 10)
            expected = (scores[i] - others.mean()) / np.sqrt(variance * (1 + 1 / len(others)))
            assert standard[i] == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["bh", "by"]), st.integers(1, 4), st.integers(0, 99))
def test_adjusted_against_scipy(values, method, k, seed):
    p = np.array(values)
    np.testing.assert_allclose(adjusted_p(p, method=method), scipy.stats.false_discovery_control(p, method=method), rtol=1e-12)
    numbers = np.random.default_rng(seed).integers(0, k, len(p)) * 7
    within = adjusted_p(p, method=method, numbers=numbers)
    for c in np.unique(numbers):
        expected = scipy.stats.false_discovery_control(p[numbers == c], method=method)
        np.testing.assert_allclose(within[numbers == c], expected, rtol=1e-12)


def test_the_worked_example_of_benjamini_and_hochberg():
    """Their table of 15 p-values: four are called at 0.05, where Bonferroni calls three."""
    p = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0])
    assert benjamini_hochberg(p, 0.05).sum() == 4
    assert benjamini_yekutieli(p, 0.05).sum() == 3
    assert (p <= 0.05 / 15).sum() == 3
    assert benjamini_hochberg(np.array([0.01, 0.02, 0.03, 0.04, 0.05]), 0.05).all()  # each meets the level exactly


def test_uniform_when_nothing_is_planted():
    """One member picked in advance, over many draws, in categories of 50 whose scores differ in place and size."""
    rng = np.random.default_rng(0)
    numbers = np.repeat(np.arange(2000), 50)
    scores = rng.gamma(2.0, size=100_000) * rng.uniform(0.1, 9, 2000)[numbers] + rng.normal(size=2000)[numbers]
    p = category_p_values(scores, numbers)[::50]
    smooth = p - rng.random(2000) / 50  # between the steps of 1/50
    assert scipy.stats.kstest(smooth, "uniform").pvalue > 0.01
    wrong = category_p_values(np.where(np.arange(100_000) % 50 == 0, scores + 1, scores), numbers)[::50]
    assert scipy.stats.kstest(wrong, "uniform").pvalue < 1e-6
    held_out = np.concatenate([conformal_p_values(*np.split(rng.normal(size=50), [49])) for _ in range(2000)])
    assert scipy.stats.kstest(held_out - rng.random(2000) / 50, "uniform").pvalue > 0.01


@pytest.mark.parametrize("size", [2, 4, 9])
def test_pooled_p_values_are_uniform_in_small_categories(size):
    rng = np.random.default_rng(1)
    first = []
    for _ in range(1000):
        scores = (rng.normal(size=(12, size)) + 5 * rng.normal(size=(12, 1))).ravel()
        first.append(pooled_p_values(scores, np.repeat(np.arange(12), size))[0])
    smooth = np.array(first) - rng.random(1000) / (12 * size)
    assert scipy.stats.kstest(smooth, "uniform").pvalue > 0.01


def test_pooled_p_values_reach_where_a_small_category_cannot():
    rng = np.random.default_rng(2)
    numbers = np.concatenate([np.repeat(np.arange(100), 4), np.full(60, 100)])
    scores = rng.normal(size=460) + 10 * rng.normal(size=101)[numbers]
    scores[0] += 8
    assert category_p_values(scores, numbers)[0] == 0.25
    assert pooled_p_values(scores, numbers)[0] == 1 / 460
    both = outlier_p_values(scores, numbers)
    np.testing.assert_array_equal(both[:400], pooled_p_values(scores, numbers)[:400])
    np.testing.assert_array_equal(both[400:], category_p_values(scores, numbers)[400:])


def test_false_discoveries_are_no_more_than_promised():
    rng = np.random.default_rng(3)
    shares, found = {"bh": [], "by": []}, []
    for _ in range(200):
        clean = rng.gamma(2.0, size=500)
        scores = np.concatenate([rng.gamma(2.0, size=180), rng.gamma(2.0, size=20) + 9])
        p = conformal_p_values(clean, scores)
        for method, call in (("bh", benjamini_hochberg), ("by", benjamini_yekutieli)):
            called = call(p, 0.1)
            shares[method].append(called[:180].sum() / max(called.sum(), 1))
        found.append(benjamini_hochberg(p, 0.1)[180:].mean())
    assert np.mean(shares["by"]) <= np.mean(shares["bh"]) <= 0.1
    assert np.mean(shares["bh"]) > 0.05  # it spends what it may
    assert np.mean(found) > 0.8


def test_false_discoveries_over_categories_with_their_own_reference():
    rng = np.random.default_rng(4)
    numbers = np.repeat(np.arange(5), 400)
    reference = np.tile(np.arange(400) < 300, 5)
    planted = np.tile(np.arange(400) >= 390, 5)
    shares = []
    for _ in range(200):
        scores = (rng.normal(size=2000) + 5 * planted) * rng.uniform(1, 5, 5)[numbers]
        called = benjamini_hochberg(category_p_values(scores, numbers, reference=reference)[~reference], 0.1)
        shares.append((called & ~planted[~reference]).sum() / max(called.sum(), 1))
    assert 0.04 < np.mean(shares) <= 0.1


def test_without_a_reference_nothing_is_ever_called():
    """What the docstring says: ranks among each other are 1/n, ..., 1, however wild one score is."""
    scores = np.concatenate([np.random.default_rng(5).normal(size=99), [1e6]])
    p = category_p_values(scores, np.zeros(100, np.int64))
    np.testing.assert_allclose(np.sort(p), np.arange(1, 101) / 100)
    assert not benjamini_hochberg(p, 0.5).any()


@pytest.mark.parametrize("n", [19, 20])
def test_twenty_members_are_enough_for_p_values_of_their_own(n):
    rng = np.random.default_rng(6)
    numbers = np.repeat([0, 1], [n, 60])
    scores = rng.normal(size=n + 60)
    own, pooled, both = (function(scores, numbers) for function in (category_p_values, pooled_p_values, outlier_p_values))
    assert not np.array_equal(own[:n], pooled[:n])
    np.testing.assert_array_equal(both[:n], own[:n] if n >= 20 else pooled[:n])


@pytest.mark.parametrize(("level", "n_asked", "n_outliers"), [(0.1, 400, 400), (0.1, 400, 40), (0.05, 1_000, 7), (0.2, 5, 1), (0.5, 2, 2)])
def test_the_least_reference_that_can_name_so_many(level, n_asked, n_outliers):
    least = reference_needed(level, n_asked, n_outliers)
    scores = np.concatenate([np.full(n_outliers, 9.0), np.full(n_asked - n_outliers, -9.0)])
    for n, named in ((least, n_outliers), (least - 1, 0)):
        p = conformal_p_values(np.zeros(n), scores)
        assert benjamini_hochberg(p, level).sum() == named


def test_odd_shapes():
    for function in (category_p_values, pooled_p_values, outlier_p_values):
        assert function(np.zeros(0), np.zeros(0, np.int64)).shape == (0,)
        np.testing.assert_array_equal(function(np.array([3.0, 1.0]), np.array([0, 5])), [1, 1])  # alone in their categories
        np.testing.assert_array_equal(function(np.full(30, 2.0, np.float32), np.zeros(30, np.int64)), np.ones(30))  # all tied
    assert adjusted_p(np.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(conformal_p_values(np.zeros(0), np.array([1.0])), [1])
    apart = pooled_p_values(np.array([0.0, 0, 0, 5]), np.zeros(4, np.int64), reference=np.array([True, True, True, False]))
    np.testing.assert_array_equal(apart, [1, 1, 1, 0.25])  # no spread at all, and still ranked


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: category_p_values(np.array([1.0, np.nan]), np.array([0, 0])), "number 1 is nan"),
        (lambda: conformal_p_values(np.array([np.inf]), np.array([0.0])), "reference scores, number 0 is inf"),
        (lambda: pooled_p_values(np.array([1.0, np.nan]), np.array([0, 0])), "number 1 is nan"),
        (lambda: pooled_p_values(np.ones(2), np.array([0, 0]), prior_members=0.0), "prior_members is 0"),
        (lambda: adjusted_p(np.array([0.1, 1.2])), "P-value 1 is 1.2"),
        (lambda: adjusted_p(np.array([np.nan])), "P-value 0 is nan"),
        (lambda: adjusted_p(np.array([0.1]), method="holm"), "'holm'; expected 'bh'"),
        (lambda: benjamini_hochberg(np.array([0.1]), 1.0), "level is 1.0"),
    ],
)
def test_what_is_wrong_is_said(call, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        call()
