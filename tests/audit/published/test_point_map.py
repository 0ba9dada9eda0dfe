import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from lexframe.audit.published.point_map import map_points, principal_coordinates
from lexframe.exceptions import InputError, MissingExtraError


@pytest.fixture
def clusters(rng):
    """Four clusters of 40 points in 10 dimensions, far apart."""
    kind = np.repeat(np.arange(4), 40)
    return (8 * rng.normal(size=(4, 10))[kind] + rng.normal(size=(160, 10))).astype(np.float32), kind


@pytest.mark.parametrize("shape", [(200, 6), (5, 40), (9000, 3), (2, 2)])
def test_principal_coordinates_of_scikit_learn(shape, rng):
    points = (rng.normal(size=shape) * np.linspace(3, 1, shape[1]) + 50).astype(np.float32)
    ours = principal_coordinates(points)
    theirs = PCA(2, svd_solver="full").fit_transform(points.astype(np.float64))
    if len(points) == 2:  # differ along one line
        theirs[:, 1] = 0
    theirs *= np.where(np.sum(ours * theirs, axis=0) < 0, -1, 1)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_sign_is_fixed(rng):
    """The largest entry of an axis is positive: points that differ most along one coordinate keep its direction."""
    for direction in (1, -1):
        points = np.zeros((50, 4), np.float32)
        points[:, 2] = direction * np.arange(50)
        points[:, 0] = rng.normal(size=50)
        assert np.corrcoef(principal_coordinates(points)[:, 0], points[:, 2])[0, 1] > 0.99


def test_what_does_not_differ_is_zero(rng):
    equal = np.full((3000, 5), 0.1, np.float32) + np.arange(5, dtype=np.float32)
    assert not principal_coordinates(equal).any()
    line = equal + np.outer(rng.normal(size=3000), np.ones(5)).astype(np.float32)
    coordinates = principal_coordinates(line)
    assert coordinates[:, 0].std() > 1
    assert not coordinates[:, 1].any()
    assert principal_coordinates(rng.normal(size=(7, 1)).astype(np.float32)).shape == (7, 2)
    assert not principal_coordinates(np.ones((1, 3), np.float32)).any()
    assert principal_coordinates(np.zeros((0, 3), np.float32)).shape == (0, 2)


def test_umap_keeps_neighbourhoods_and_is_the_same_again(clusters):
    points, kind = clusters
    found = map_points(points, method="umap", seed=3)
    assert (found.method, found.seed, found.n_neighbors, found.min_dist) == ("umap", 3, 15, 0.1)
    assert trustworthiness(points, found.coordinates, n_neighbors=10) > 0.85
    near = np.argsort(np.linalg.norm(found.coordinates[:, None] - found.coordinates, axis=2), axis=1)[:, 1:6]
    assert np.mean(kind[near] == kind[:, None]) > 0.99
    np.testing.assert_array_equal(map_points(points, method="umap", seed=3).coordinates, found.coordinates)
    assert not np.array_equal(map_points(points, method="umap", seed=4).coordinates, found.coordinates)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_umap_is_given_the_nearest_with_the_row_itself_first(offset, rng, monkeypatch):
    given = {}

    def umap(*, precomputed_knn, **options):
        given["rows"], given["distances"] = precomputed_knn
        return SimpleNamespace(fit_transform=lambda points: np.zeros((len(points), 2), np.float32))

    monkeypatch.setattr("umap.UMAP", umap)
    points = rng.normal(size=(90, 3))
    points[:25] = points[0]  # more copies than neighbors: not every row finds itself
    points = (points + offset).astype(np.float32)
    map_points(points, method="umap", n_neighbors=8)
    np.testing.assert_array_equal(given["rows"][:, 0], np.arange(90))
    assert all(len(set(row)) == 8 for row in given["rows"].tolist())
    apart = np.linalg.norm(points[:, np.newaxis].astype(np.float64) - points, axis=2)
    np.testing.assert_allclose(given["distances"], np.sort(apart, axis=1)[:, :8], atol=2e-3)
    np.testing.assert_allclose(np.take_along_axis(apart, given["rows"], axis=1), given["distances"], atol=2e-3)


@pytest.mark.parametrize("kind", ["copies", "four points", "one dimension", "far away", "all equal"])
def test_umap_of_awkward_points(kind, rng):
    points = {
        "copies": np.repeat(rng.normal(size=(6, 4)), 40, axis=0),
        "four points": rng.normal(size=(4, 4)),
        "one dimension": rng.normal(size=(30, 1)),
        "far away": rng.normal(size=(30, 3)) + 1e4,
        "all equal": np.ones((30, 3)),
    }[kind].astype(np.float32)
    found = map_points(points, method="umap")
    assert np.isfinite(found.coordinates).all()
    assert found.method == "umap"
    assert found.coordinates.any() == (kind != "all equal")
    assert found.n_neighbors == min(15, len(points) - 1)


def test_auto_says_what_it_used(clusters, monkeypatch, rng):
    points, _ = clusters
    assert map_points(points).method == "umap"
    few = map_points(points[:9])
    assert (few.method, few.seed, few.n_neighbors, few.min_dist) == ("pca", None, None, None)
    assert map_points(points[:10]).method == "umap"
    monkeypatch.setattr("lexframe.audit.published.point_map.AUTO_ROWS", (10, 100))
    assert map_points(points).method == "pca"
    assert map_points(points[:100]).method == "umap"
    monkeypatch.setitem(sys.modules, "umap", None)
    assert map_points(points[:100]).method == "pca"
    with pytest.raises(MissingExtraError, match=r"umap-learn is not installed\. Install it with: pip install 'lexframe\[umap\]'"):
        map_points(points, method="umap")


def test_plain_types():
    found = map_points(np.array([[0.0], [2.0]], np.float32), method="pca")
    assert found.to_dict() == {
        "coordinates": [[-1.0, 0.0], [1.0, 0.0]],
        "method": "pca",
        "seed": None,
        "n_neighbors": None,
        "min_dist": None,
    }


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros(3), {}, r"shape \(3,\)"),
        (np.zeros((3, 0)), {}, "at least one dimension"),
        (np.array([[0.0], [np.nan]]), {}, "Row 1 of the points holds NaN"),
        (np.zeros((5, 2)), {"method": "tsne"}, "method is 'tsne'; expected one of auto, pca, umap"),
        (np.eye(5), {"n_neighbors": 1}, "n_neighbors is 1"),
        (np.eye(5), {"min_dist": 1.5}, "min_dist 1.5"),
        (np.eye(3), {"method": "umap"}, "needs 4 points or more, but there are 3"),
    ],
)
def test_bad_input(points, options, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        map_points(points.astype(np.float32), **options)
