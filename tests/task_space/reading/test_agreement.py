"""Agreement of spaces: ranks of drawn pairs as if the pairs were written out, and a ceiling that spaces of one truth reach."""

import numpy as np
import pytest
import scipy.stats

from lexframe.task_space.reading.agreement import noise_ceiling, rank_correlation, space_pairs, weighted_ranks, whole_reliability


def test_rank_correlation_is_spearmans_with_ties(rng):
    one, other = np.round(rng.normal(size=(2, 40)), 1)
    other += one
    assert rank_correlation(one, other) == pytest.approx(scipy.stats.spearmanr(one, other).statistic)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert np.isnan(rank_correlation(one, np.ones(40)))


def test_weighted_ranks_are_those_of_copies(rng):
    values = rng.integers(0, 5, 12).astype(float)
    weights = rng.integers(0, 4, (6, 12)).astype(float)
    for row, found in zip(weights, weighted_ranks(values, weights), strict=True):
        copies = np.repeat(np.arange(12), row.astype(int))
        expected = scipy.stats.rankdata(values[copies])
        differences = found[copies] - expected
        np.testing.assert_allclose(differences, differences[0])


def test_intervals_are_over_tasks_drawn_anew(rng):
    values = rng.normal(size=(2, 21))
    values[1] += values[0]
    found = space_pairs(["a", "b"], values, [0.5, 0.6], 7, n_resamples=60, seed=5)[0]
    counts = np.random.default_rng(5).multinomial(7, np.full(7, 1 / 7), size=60)
    whole = np.zeros((2, 7, 7))
    whole[:, *np.triu_indices(7, 1)] = values
    whole += np.swapaxes(whole, 1, 2)
    drawn = []
    for row in counts:
        tasks = np.repeat(np.arange(7), row)
        pairs = [(a, b) for place, a in enumerate(tasks) for b in tasks[place + 1 :] if a != b]
        if len(set(tasks)) > 2:  # two tasks make one pair, and that no correlation
            drawn.append(scipy.stats.spearmanr(*[[matrix[pair] for pair in pairs] for matrix in whole]).statistic)
    assert found.rsa.value == pytest.approx(scipy.stats.spearmanr(*values).statistic)
    np.testing.assert_allclose([found.rsa.low, found.rsa.high], np.percentile(drawn, [2.5, 97.5]))
    assert found.rsa.over == "7 tasks"
    ceiling = np.sqrt(1 / 1.5 * 1.2 / 1.6)
    assert found.ceiling == pytest.approx(ceiling)
    for name in ("value", "low", "high"):
        assert getattr(found.corrected, name) == pytest.approx(getattr(found.rsa, name) / ceiling)


def test_spaces_of_one_truth_reach_their_ceiling(rng):
    # Two halves of all pairs have twice the noise of all: their agreement alone would promise too little.
    truth = rng.normal(size=20_000)
    scales = (0.5, 1.0)
    whole = [truth + scale * rng.normal(size=20_000) for scale in scales]
    halves = [np.corrcoef(*(truth + scale * np.sqrt(2) * rng.normal(size=(2, 20_000))))[0, 1] for scale in scales]
    ceiling = noise_ceiling(*map(whole_reliability, halves))
    assert np.corrcoef(*whole)[0, 1] / ceiling == pytest.approx(1, abs=0.02)
    assert np.corrcoef(*whole)[0, 1] / noise_ceiling(*halves) > 1.15


@pytest.mark.parametrize("retest", [0.0, -0.2, float("nan")])
def test_what_is_not_repeatable_has_no_ceiling(rng, retest):
    found = space_pairs(["a", "b"], rng.normal(size=(2, 6)), [0.5, retest], 4, n_resamples=10)[0]
    assert np.isnan(found.ceiling)
    assert np.isnan(found.corrected.value)
    assert found.to_dict()["corrected"] == {"value": None, "interval": None}


def test_every_two_spaces_once(rng):
    found = space_pairs(list("abc"), rng.normal(size=(3, 6)), [0.5] * 3, 4, n_resamples=10)
    assert [(pair.first, pair.second) for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
