"""Rules of acceptance, and which chains go on."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.verbal.selection import Always, Metropolis, NotWorse, acceptance_named, resampled

ANY = np.random.default_rng(0)


def test_not_worse_takes_what_is_equal():
    assert NotWorse().accepts(1.0, 1.0, ANY)
    assert NotWorse().accepts(1.0, 0.5, ANY)
    assert not NotWorse().accepts(1.0, 1.0001, ANY)
    assert Always().accepts(1.0, math.inf, ANY)


def test_metropolis_takes_what_is_worse_as_often_as_it_should():
    generator = np.random.default_rng(0)
    rule = Metropolis(0.5)
    taken = [rule.accepts(2.0, 3.0, generator) for _ in range(20_000)]  # (3 - 2) / (0.5 * 2) = 1
    assert np.mean(taken) == pytest.approx(math.exp(-1), abs=0.01)
    assert all(rule.accepts(2.0, 1.0, generator) for _ in range(100))


def test_the_unit_of_metropolis_is_the_first_loss_it_saw():
    generator = np.random.default_rng(0)
    rule = Metropolis(0.5)
    rule.accepts(2.0, 2.0, generator)
    taken = [rule.accepts(1.0, 2.0, generator) for _ in range(20_000)]
    assert np.mean(taken) == pytest.approx(math.exp(-1), abs=0.01)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=9), st.integers(0, 10))
def test_the_best_chain_always_goes_on(losses, seed):
    chosen = resampled(losses, 0.1, np.random.default_rng(seed))
    assert len(chosen) == len(losses)
    assert min(losses) == min(losses[place] for place in chosen)


def test_chains_go_on_as_often_as_their_weights_say():
    generator = np.random.default_rng(0)
    losses = np.array([0.0, 1.0, 2.0, 3.0])
    weights = np.exp(-losses / losses.std())
    counts = np.zeros(4)
    for _ in range(5_000):
        for place in resampled(losses, 1.0, generator):
            counts[place] += 1
    np.testing.assert_allclose(counts / counts.sum(), weights / weights.sum(), atol=0.01)


def test_chains_that_nobody_judged_stay():
    assert resampled([math.nan, 1.0, 2.0], 0.1, np.random.default_rng(0)) == [0, 1, 2]


def test_equal_chains_stay():
    assert resampled([1.0, 1.0, 1.0], 0.1, ANY) == [0, 1, 2]


def test_unknown_rules_and_temperatures_are_refused():
    with pytest.raises(InputError, match="no rule of acceptance 'best'"):
        acceptance_named("best", 0.1)
    with pytest.raises(InputError, match="expected above 0"):
        Metropolis(0.0)
