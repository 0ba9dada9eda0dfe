"""Paths against scipy's slerp and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp

from lexframe.exceptions import InputError
from lexframe.instruments.edits.paths import has_great_circle, linear_path, spherical_path


def vectors(seed, n_dims):
    return np.random.default_rng(seed).normal(size=(2, n_dims)).astype(np.float32)


@given(seed=st.integers(0, 999), n_dims=st.integers(2, 40), n_steps=st.integers(2, 15))
def test_spherical_against_scipy(seed, n_dims, n_steps):
    start, end = vectors(seed, n_dims)
    found = spherical_path(start, end, n_steps)
    lengths = [np.linalg.norm(vector.astype(np.float64)) for vector in (start, end)]
    fractions = np.linspace(0, 1, n_steps)
    arc = geometric_slerp(start / lengths[0], end / lengths[1], fractions, tol=1e-12)  # scipy calls pairs within tol antipodes
    expected = arc * ((1 - fractions) * lengths[0] + fractions * lengths[1])[:, np.newaxis]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[[0, -1]], [start, end])
    np.testing.assert_allclose(found[::-1], spherical_path(end, start, n_steps), atol=1e-5)


def test_a_quarter_circle_with_growing_length():
    found = spherical_path(np.array([1.0, 0.0]), np.array([0.0, 3.0]), 3)
    np.testing.assert_allclose(found, [[1, 0], [2 / np.sqrt(2), 2 / np.sqrt(2)], [0, 3]], atol=1e-6)


def test_linear_is_evenly_spaced():
    found = linear_path(np.array([0.0, 4.0]), np.array([4.0, 0.0]), 5)
    np.testing.assert_allclose(found, [[0, 4], [1, 3], [2, 2], [3, 1], [4, 0]])


@pytest.mark.parametrize(
    ("start", "end"),
    [([1.0, 2.0], [2.0, 4.0]), ([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0], [-2.0, -4.0]), ([0.0, 0.0], [1.0, 2.0]), ([1.0, 0.0], [1.0, 1e-9])],
)
def test_without_a_great_circle_the_path_is_straight(start, end):
    start, end = np.array(start), np.array(end)
    assert not has_great_circle(start, end)
    np.testing.assert_array_equal(spherical_path(start, end, 7), linear_path(start, end, 7))


def test_opposite_ends_pass_the_origin():
    np.testing.assert_allclose(spherical_path(np.array([1.0, 1.0]), np.array([-1.0, -1.0]), 3)[1], 0, atol=1e-7)


def test_just_beside_the_threshold_nothing_jumps():
    start = np.array([1.0, 0.0])
    for angle in (2e-6, 5e-7):
        end = np.array([np.cos(angle), np.sin(angle)])
        np.testing.assert_allclose(spherical_path(start, end, 5), linear_path(start, end, 5), atol=1e-7)
        nearly_opposite = np.array([-np.cos(angle), np.sin(angle)])
        assert np.isfinite(spherical_path(start, nearly_opposite, 5)).all()


def test_bad_input(without_type_checks):
    one, two = np.ones(3), np.zeros(2)
    for path in (linear_path, spherical_path):
        with pytest.raises(InputError, match="n_steps is 1"):
            path(one, one, 1)
        with pytest.raises(InputError, match="end has 2 dimensions, but 3"):
            path(one, two, 3)
        with pytest.raises(InputError, match="not finite"):
            path(np.array([1.0, np.nan, 0.0]), one, 3)
        with pytest.raises(InputError, match="one vector"):
            path(np.ones((2, 3)), one, 3)
