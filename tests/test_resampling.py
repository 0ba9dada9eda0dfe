"""Bootstrap intervals against the normal distribution and where there is nothing to draw."""

import numpy as np
import pytest

from lexframe.resampling import bootstrap_ratio


def test_bootstrap_of_a_mean_covers_as_the_normal_distribution_does(rng):
    values = rng.normal(size=400)
    low, high = bootstrap_ratio(values, np.ones(400))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.25 * half)
    assert bootstrap_ratio(values, np.ones(400)) == (low, high)
    assert bootstrap_ratio(values, np.ones(400), seed=1) != (low, high)
    assert bootstrap_ratio(3 * rng.random(9), np.ones(9)) != (3.0, 3.0)
    assert bootstrap_ratio(2 * np.arange(1.0, 9), np.arange(1.0, 9)) == (2, 2)
    assert bootstrap_ratio(np.ones(1), np.ones(1)) is None
