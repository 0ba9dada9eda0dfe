"""Subspaces against planted ones, chance against its closed form, and p-values that are uniform where nothing is planted."""

import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lexframe import ToySpace, VocabularyFrame
from lexframe.exceptions import InputError
from lexframe.studies.subspace import (
    axes_above_noise,
    compare_families,
    holm,
    principal_angles_deg,
    principal_axes,
    share_inside,
    subspace_overlap,
    words_in_subspace,
)


def orthonormal(rng, n_dims, n_axes):
    return np.linalg.qr(rng.normal(size=(n_dims, n_axes)))[0]


def family(rng, axes, n, noise=0.05, mean=0.0):
    """Points that vary along some axes, in two layers: in the second the noise is as large as they are."""
    inside = rng.normal(size=(n, axes.shape[1])) @ axes.T
    return np.stack([inside + scale * rng.normal(size=(n, len(axes))) + mean for scale in (noise, 1.0)])


@pytest.mark.parametrize(("n", "n_dims"), [(40, 12), (10, 60)])
def test_the_axes_are_those_of_the_singular_value_decomposition(rng, n, n_dims):
    points = rng.normal(size=(n, n_dims)) * np.linspace(3, 1, n_dims) + 5
    axes = principal_axes(points, 3)
    expected = np.linalg.svd(points - points.mean(0), full_matrices=False)[2][:3].T
    np.testing.assert_allclose(np.abs((axes * expected).sum(0)), 1, atol=1e-8)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-8)
    assert abs(principal_axes(points, 1, center=False)[:, 0] @ np.ones(n_dims)) > 0.95 * np.sqrt(n_dims)


@pytest.mark.parametrize("degrees", [[0, 0, 0], [10, 40, 75], [90, 90, 90]])
def test_planted_principal_angles_are_found(rng, degrees):
    first, second = np.split(orthonormal(rng, 20, 6), 2, axis=1)
    angles = np.radians(degrees)
    turned = first * np.cos(angles) + second * np.sin(angles)
    np.testing.assert_allclose(principal_angles_deg(first, turned), degrees, atol=1e-5)
    assert subspace_overlap(first, turned) == pytest.approx(np.mean(np.cos(angles) ** 2))


def test_identical_orthogonal_and_nested_subspaces(rng):
    axes = orthonormal(rng, 30, 8)
    assert subspace_overlap(axes, axes @ orthonormal(rng, 8, 8)) == pytest.approx(1)
    assert subspace_overlap(axes[:, :4], axes[:, 4:]) == pytest.approx(0)
    assert subspace_overlap(axes, axes[:, :3]) == pytest.approx(1)


def test_random_subspaces_overlap_by_rank_over_dimensions(rng):
    found = [subspace_overlap(orthonormal(rng, 40, 6), orthonormal(rng, 40, 6)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(6 / 40, abs=0.01)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_rotation_shift_and_scale_change_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    first, second, rotation = rng.normal(size=(9, 6)), rng.normal(size=(9, 6)), orthonormal(rng, 6, 6)
    before, after = (
        subspace_overlap(*(principal_axes(move(part), 2) for part in (first, second)))
        for move in (lambda x: x, lambda x: scale * x @ rotation + 3)
    )
    assert before == pytest.approx(after, abs=1e-6)


@pytest.mark.parametrize("rank", [0, 2, 5])
def test_parallel_analysis_finds_the_planted_rank(rng, rank):
    points = 3 * rng.normal(size=(150, rank)) @ orthonormal(rng, 30, rank).T + 0.3 * rng.normal(size=(150, 30))
    assert axes_above_noise(points) in ({0, 1} if rank == 0 else {rank})


def test_shares_inside_by_hand():
    axes = np.eye(3)[:, :2]
    np.testing.assert_allclose(share_inside(np.array([[3.0, 4.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), axes), [1, 0.5, 0])


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1, 1])


def test_words_within_a_planted_subspace_come_first_and_others_are_chance(rng):
    axes = orthonormal(rng, 24, 4)
    held = {f"held{i}": (axes @ rng.normal(size=4)).tolist() for i in range(5)}
    other = {f"other{i}": rng.normal(size=24).tolist() for i in range(200)}
    frame = VocabularyFrame(ToySpace(held | other), side="input", center=True)
    words = words_in_subspace(axes, frame, n_top=12)
    assert {word.token for word in words[:5]} == set(held)
    assert all(word.p_value < 1e-3 for word in words[:5])
    assert all(word.p_value > 0.01 for word in words[6:])
    shares = words_in_subspace(orthonormal(rng, 24, 4), frame, n_top=205)
    assert np.mean([word.share for word in shares]) == pytest.approx(4 / 24, abs=0.03)


def test_families_of_one_subspace_and_of_two_are_told_apart(rng):
    first, second = np.split(orthonormal(rng, 20, 6), 2, axis=1)
    apart = compare_families({"a": family(rng, first, 40), "b": family(rng, second, 40)}, [3, 4], n_axes=3, n_permutations=39)
    assert apart.ceiling[0] > 0.95
    assert apart.between[0] < 0.05
    assert apart.p_value[0] == pytest.approx(1 / 40)
    assert apart.overlap[0, 0, 1] == pytest.approx(apart.between[0])
    same = compare_families({"a": family(rng, first, 40), "b": family(rng, first, 40, mean=3.0)}, [3, 4], n_axes=3, n_permutations=39)
    assert same.between[0] > 0.95
    assert same.chance.tolist() == [3 / 20, 3 / 20]
    assert same.ceiling[1] < 0.9  # noise lowers the overlap of halves of one family as well
    assert apart.effective_rank[0].mean() == pytest.approx(3, abs=0.4)


def test_p_values_are_uniform_where_families_do_not_differ(rng):
    axes = orthonormal(rng, 8, 2)
    found = []
    for seed in range(120):
        tables = {name: family(rng, axes, 16)[1:] for name in "ab"}
        found.append(compare_families(tables, [0], n_axes=2, n_permutations=19, seed=seed).p_value[0])
    assert scipy.stats.kstest(np.array(found) - 0.025, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.1) < 0.2


def test_the_rank_comes_from_parallel_analysis_and_the_seed_decides(rng):
    tables = {name: family(rng, orthonormal(rng, 20, 3), 60)[:1] for name in "ab"}
    first, second = (compare_families(tables, [1], n_permutations=9, seed=4) for _ in range(2))
    assert first.n_axes.tolist() == [3]
    assert first.to_dict() == second.to_dict()


def test_results_are_plain_and_can_be_drawn(rng):
    found = compare_families({name: rng.normal(size=(2, 10, 6)) for name in "ab"}, [1, 2], n_axes=2, n_permutations=3)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.to_frame().layer.tolist() == [1, 2]
    assert "two families" in json.dumps(found.chart().to_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": {"a": np.zeros((1, 9, 4))}}, "1 families were given"),
        ({"states": {"a": np.ones((1, 9, 4)), "b": np.zeros((1, 0, 4))}}, "'b' has fewer than 8"),
        ({"states": {"a": np.ones((1, 9, 4)), "b": np.ones((1, 9, 4))}}, "are equal"),
        ({"layers": [1, 2]}, "Name the layer of each row"),
        ({"n_axes": 4}, "4 axes were asked for, but 4 points span 3"),
        ({"n_permutations": 0}, "n_permutations is 0"),
    ],
)
def test_bad_families_are_refused(rng, change, message):
    arguments = {"states": {name: rng.normal(size=(1, 9, 20)) for name in "ab"}, "layers": [1], "n_axes": 2, "n_permutations": 2}
    with pytest.raises(InputError, match=message):
        compare_families(**(arguments | change))


def test_bad_points_are_refused(rng):
    with pytest.raises(InputError, match="1 points have no principal axes"):
        principal_axes(rng.normal(size=(1, 4)), 1)
    with pytest.raises(InputError, match="All 5 points are equal"):
        principal_axes(np.ones((5, 4)), 1)
    for n_axes in (0, 5):
        with pytest.raises(InputError, match="axes were asked for"):
            principal_axes(rng.normal(size=(5, 9)), n_axes)
