"""Maps of tasks: a plane that is one is found without loss, scikit-learn agrees, and ellipses have the size of what was planted."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.manifold import smacof

from lexframe.exceptions import InputError
from lexframe.task_space.reading.task_map import MOST_RESAMPLES, TaskMap, aligned_maps, map_tasks


def on_a_plane(rng, n_tasks=9, *, scale=0.3):
    """Points, and similarities whose chords are their distances."""
    points = rng.normal(size=(n_tasks, 2)) * [1, 0.5] * scale
    return points, 1 - cdist(points, points) ** 2 / 2


def in_space(rng, n_tasks=12, n_dims=5):
    directions = rng.normal(size=(n_tasks, n_dims))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions @ directions.T


def noise(rng, size, *shape):
    matrix = rng.normal(size=shape) * size
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2


def raw_stress(similarity, coordinates):
    distances = np.sqrt(np.maximum(2 - 2 * similarity, 0))
    return ((distances - cdist(coordinates, coordinates)) ** 2).sum() / 2


def test_tasks_of_a_plane_are_shown_without_loss(rng):
    points, similarity = on_a_plane(rng)
    found = map_tasks(similarity)
    np.testing.assert_allclose(cdist(found.coordinates, found.coordinates), cdist(points, points), atol=1e-6)
    assert found.stress < 1e-6
    assert found.covariances is None
    assert found.ellipses() == ()


def test_axes_and_signs_follow_the_rule(rng):
    found = map_tasks(in_space(rng)).coordinates
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    spread = found.T @ found
    assert abs(spread[0, 1]) < 1e-10
    assert spread[0, 0] > spread[1, 1]
    assert (found[np.abs(found).argmax(axis=0), [0, 1]] > 0).all()


def test_stress_is_as_low_as_scikit_learn_finds(rng):
    similarity = in_space(rng)
    found = map_tasks(similarity)
    distances = np.sqrt(np.maximum(2 - 2 * similarity, 0))
    np.fill_diagonal(distances, 0)
    theirs, least = smacof(distances, init=found.coordinates, n_init=1, max_iter=500, eps=1e-12, normalized_stress=False)
    assert raw_stress(similarity, found.coordinates) == pytest.approx(least, rel=1e-5)
    np.testing.assert_allclose(found.coordinates, theirs, atol=1e-2)
    own = cdist(found.coordinates, found.coordinates)
    assert found.stress == pytest.approx(np.sqrt(((distances - own) ** 2).sum() / (own**2).sum()))
    assert found.stress > 0.05
    assert map_tasks(similarity).coordinates.tolist() == found.coordinates.tolist()


def test_a_map_is_better_than_where_it_began(rng):
    similarity = in_space(rng)
    distances = np.sqrt(np.maximum(2 - 2 * similarity, 0))
    centering = np.eye(12) - 1 / 12
    values, vectors = np.linalg.eigh(-centering @ distances**2 @ centering / 2)
    classical = vectors[:, -2:] * np.sqrt(values[-2:])
    assert raw_stress(similarity, map_tasks(similarity).coordinates) < 0.8 * raw_stress(similarity, classical)


def test_noise_beyond_the_bounds_is_cut():
    similarity = np.array([[1, 1.3, -1.2], [1.3, 1, -1.2], [-1.2, -1.2, 1]])
    found = map_tasks(similarity)
    np.testing.assert_allclose(cdist(found.coordinates, found.coordinates), [[0, 0, 2], [0, 0, 2], [2, 2, 0]], atol=1e-5)
    assert map_tasks(np.ones((4, 4))).stress == 0


def test_resamples_that_say_the_same_leave_no_spread(rng):
    _, similarity = on_a_plane(rng)
    found = map_tasks(similarity, resampled=np.repeat(similarity[np.newaxis], 5, axis=0))
    assert np.abs(found.covariances).max() < 1e-10
    assert found.n_resamples == 5


def test_spread_is_that_of_the_places(rng):
    # One task of the plane moves along one direction, far from all others: its ellipse points there and is as long.
    points, similarity = on_a_plane(rng, 30)
    moves = np.array([-0.05, -0.02, 0.03, 0.06])
    direction = np.array([np.cos(0.5), np.sin(0.5)])
    resampled = []
    for move in moves:
        moved = points.copy()
        moved[4] += move * direction
        resampled.append(1 - cdist(moved, moved) ** 2 / 2)
    found = map_tasks(similarity, resampled=np.array(resampled))
    ellipse = found.ellipses(0.95)[4]
    assert ellipse.center == pytest.approx(tuple(found.coordinates[4]))
    assert ellipse.radii[0] == pytest.approx(np.std(moves, ddof=1) * np.sqrt(5.991464547), rel=0.05)
    assert ellipse.radii[1] < ellipse.radii[0] / 5
    others = [spread.trace() for place, spread in enumerate(found.covariances) if place != 4]
    assert max(others) < found.covariances[4].trace() / 10
    # The map is the plane turned, perhaps mirrored: where it took the direction is known.
    turn = np.linalg.lstsq(points - points.mean(axis=0), found.coordinates, rcond=None)[0]
    x, y = direction @ turn
    assert ellipse.angle_deg == pytest.approx((np.degrees(np.arctan2(y, x)) + 90) % 180 - 90, abs=3)


@pytest.mark.parametrize(
    ("spread", "radii", "angle"),
    [
        ([[4, 0], [0, 1]], (2, 1), 0),
        ([[1, 0], [0, 4]], (2, 1), 90),
        ([[2.5, 1.5], [1.5, 2.5]], (2, 1), 45),
        ([[2.5, -1.5], [-1.5, 2.5]], (2, 1), -45),
    ],
)
def test_ellipses_have_the_axes_of_the_covariance(spread, radii, angle):
    found = TaskMap(np.array([[3.0, 4.0]]), 0.1, np.array([spread], dtype=float), 9).ellipses(1 - np.exp(-0.5))  # a reach of 1
    assert found[0].radii == pytest.approx(radii)
    assert found[0].angle_deg == pytest.approx(angle)
    assert found[0].center == (3, 4)


def test_maps_are_moved_turned_and_mirrored_back_and_keep_their_size(rng):
    onto = rng.normal([3, 0], size=(7, 2))
    turn = np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]])
    maps = np.stack([onto @ turn + 5, onto * [1, -1], onto.mean(axis=0) + 2 * (onto - onto.mean(axis=0))])
    found = aligned_maps(maps, onto)
    np.testing.assert_allclose(found[:2], [onto, onto], atol=1e-12)
    np.testing.assert_allclose(found[2], maps[2], atol=1e-12)


def test_at_most_so_many_resamples_and_none_that_is_not_finite(rng):
    similarity = in_space(rng)
    resampled = (similarity + noise(rng, 0.1, MOST_RESAMPLES + 30, 12, 12)).astype(np.float32)
    resampled[7, 1, 2] = np.nan
    found = map_tasks(similarity, resampled=resampled)
    assert found.n_resamples == MOST_RESAMPLES
    again, other = (map_tasks(similarity, resampled=resampled, seed=seed).covariances for seed in (0, 1))
    np.testing.assert_array_equal(found.covariances, again)
    assert np.abs(other - again).max() > 0
    assert map_tasks(similarity, resampled=resampled[:9]).n_resamples == 8
    assert found.to_dict()["n_resamples"] == MOST_RESAMPLES


def test_what_cannot_be_mapped(rng):
    with pytest.raises(InputError, match="2 tasks; expected 3 or more"):
        map_tasks(np.eye(2))
    with pytest.raises(InputError, match="not symmetric"):
        map_tasks(rng.normal(size=(4, 4)))
    with pytest.raises(InputError, match=r"level is 1\.0"):
        map_tasks(np.eye(4)).ellipses(1.0)


def test_the_sentence_says_when_a_map_is_poor():
    assert "a poor picture" in map_tasks(np.eye(20)).summary()
    assert "a fair picture" in map_tasks(np.ones((4, 4))).summary()
