import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from lexframe.audit.published.hull import convex_hull
from lexframe.audit.published.hull_distance import hull_distances, in_hull
from lexframe.exceptions import InputError, LexframeError


def slow_distance(point, members):
    """Sequential least squares over the weights."""
    n = len(members)
    answer = scipy.optimize.minimize(
        lambda w: 0.5 * np.sum((members.T @ w - point) ** 2),
        np.full(n, 1 / n),
        jac=lambda w: members @ (members.T @ w - point),
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    return np.linalg.norm(members.T @ answer.x - point)


def nnls_distance(point, members):
    """Non-negative least squares with the sum of the weights held at 1 by a heavy row."""
    heavy = 1e6
    weights = scipy.optimize.nnls(np.vstack([members.T, heavy * np.ones(len(members))]), np.append(point, heavy))[0]
    return np.linalg.norm(members.T @ weights - point)


def segment_distance(p, a, b):
    along = np.clip((p - a) @ (b - a) / max((b - a) @ (b - a), 1e-300), 0, 1)
    return np.linalg.norm(p - a - along * (b - a))


@pytest.mark.parametrize(("n_members", "n_dims"), [(2, 3), (5, 2), (8, 5), (20, 4), (6, 12)])
def test_distances_of_general_solvers(n_members, n_dims, rng):
    members = rng.normal(size=(n_members, n_dims))
    points = np.vstack([rng.normal(size=(6, n_dims)) * 2, rng.dirichlet(np.ones(n_members), 3) @ members])
    found = hull_distances(points, members)
    np.testing.assert_allclose(found.distances, [nnls_distance(p, members) for p in points], atol=1e-5)
    np.testing.assert_allclose(found.distances, [slow_distance(p, members) for p in points], atol=1e-4)
    assert (found.gaps <= 1e-9 * max(found.extent, np.linalg.norm(points - members.mean(axis=0), axis=1).max())).all()


def test_in_the_plane_it_is_the_distance_to_the_polygon(rng):
    members, points = rng.normal(size=(30, 2)), rng.normal(size=(300, 2)) * 2
    hull = convex_hull(members)
    sides = list(zip(hull.vertices, np.roll(hull.vertices, -1, axis=0), strict=True))
    outside = ~hull.contains(points)
    expected = [min(segment_distance(p, a, b) for a, b in sides) * o for p, o in zip(points, outside, strict=True)]
    found = hull_distances(points, members)
    np.testing.assert_allclose(found.distances, expected, atol=1e-12)
    np.testing.assert_array_equal(found.inside, ~outside)
    np.testing.assert_array_equal(in_hull(points, members), ~outside)


def test_the_gap_bounds_the_distance(rng):
    """With a loose tolerance it stops early, and says so."""
    members, points = rng.normal(size=(200, 20)), rng.normal(size=(30, 20))
    exact, loose = hull_distances(points, members), hull_distances(points, members, tolerance=0.05)
    assert (loose.gaps > 1e-3).any()
    assert (loose.n_steps < exact.n_steps).any()
    assert (loose.distances >= exact.distances - 1e-12).all()
    assert (loose.distances - loose.gaps <= exact.distances + 1e-12).all()


@pytest.mark.parametrize("n_dims", [1, 2, 3, 6])
def test_the_linear_program_agrees(n_dims, rng):
    members = (rng.normal(size=(25, n_dims)) + 7).astype(np.float32)
    points = (rng.normal(size=(40, n_dims)) + 7).astype(np.float32)
    found = hull_distances(points, members)
    np.testing.assert_array_equal(in_hull(points, members), found.inside)
    assert 0 < found.inside.sum() < 40 or n_dims == 6
    assert hull_distances(members, members).inside.all()
    assert in_hull(members, members).all()


def test_known_distances():
    simplex = np.eye(4)
    points = np.array([[0.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [2.0, 0, 0, 0], [0, 0, 0.5, 0.5], [-1.0, -1, -1, -1]])
    found = hull_distances(points, simplex)
    np.testing.assert_allclose(found.distances, [0.5, 0, 1, 0, 2.5], atol=1e-15)
    assert in_hull(points, simplex).tolist() == [False, True, False, True, False]


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.integers(1, 5))
def test_moving_turning_and_scaling_all(seed, scale, n_dims):
    rng = np.random.default_rng(seed)
    members, points, shift = rng.normal(size=(9, n_dims)), rng.normal(size=(4, n_dims)), rng.normal(size=n_dims) * 10
    turned = np.linalg.qr(rng.normal(size=(n_dims, n_dims)))[0]
    before = hull_distances(points, members).distances
    after = hull_distances((points @ turned) * scale + shift, (members @ turned) * scale + shift).distances
    np.testing.assert_allclose(after, before * scale, atol=1e-6 * scale)


@pytest.mark.parametrize("repeat", [1, 7])
def test_degenerate_members(repeat):
    one, line = np.tile([[1.0, 2.0, 2.0]], (repeat, 1)), np.repeat([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]], repeat, axis=0)
    points = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [2.5, 0.0, 0.0], [4.0, 0.0, 1.0]])
    np.testing.assert_allclose(hull_distances(points, one).distances, np.linalg.norm(points - one[0], axis=1), rtol=1e-12)
    np.testing.assert_allclose(hull_distances(points, line).distances, [0, np.sqrt(8), 0, np.sqrt(2)], atol=1e-12)
    assert in_hull(points, one).tolist() == [False, True, False, False]
    assert in_hull(points, line).tolist() == [True, False, True, False]


def test_far_points_and_nearly_equal_members(rng):
    members = 100 + 1e-4 * rng.normal(size=(60, 5))
    far = np.full((1, 5), 1e6)
    expected = np.linalg.norm(far - members.mean(axis=0))
    found = hull_distances(far, members)
    assert found.distances[0] == pytest.approx(expected, rel=1e-8)
    inside = rng.dirichlet(np.ones(60), 5) @ members
    assert hull_distances(inside, members).inside.all()


def test_of_little_use_in_many_dimensions(rng):
    """Held-out draws from the members' own distribution: inside in the plane, outside from some 16 dimensions on."""
    shares = {}
    for n_dims in (2, 4, 8, 16):
        members, held_out = rng.normal(size=(200, n_dims)), rng.normal(size=(200, n_dims))
        shares[n_dims] = hull_distances(held_out, members).inside.mean()
    assert shares[2] > 0.9
    assert shares[2] > shares[4] > shares[8]
    assert shares[8] < 0.2
    assert shares[16] == 0


def test_plain_types():
    found = hull_distances(np.array([[3.0]]), np.array([[0.0], [1.0]]))
    assert found.to_dict() == {"distances": [2.0], "gaps": [0.0], "n_steps": [0], "extent": 0.5}
    assert len(hull_distances(np.zeros((0, 2)), np.eye(2)).distances) == 0


@pytest.mark.parametrize("function", [hull_distances, in_hull])
@pytest.mark.parametrize(
    ("points", "members", "message"),
    [
        (np.zeros((2, 3)), np.zeros((4, 2)), r"shape \(2, 3\), the members \(4, 2\)"),
        (np.zeros(3), np.zeros((4, 3)), r"shape \(3,\)"),
        (np.zeros((2, 3)), np.zeros((0, 3)), "no member, so it has no hull"),
        (np.full((2, 3), np.nan), np.zeros((4, 3)), "Row 0 of the points holds NaN"),
        (np.zeros((2, 3)), np.array([[0.0, 0, 0], [0, np.inf, 0]]), "Row 1 of the members holds NaN"),
    ],
)
def test_bad_input(function, points, members, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        function(points, members)


def test_a_program_without_an_answer_is_no_answer(monkeypatch):
    failed = scipy.optimize.OptimizeResult(status=4, fun=None, message="numerical difficulties")
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *args, **kwargs: failed)
    with pytest.raises(LexframeError, match=r"no answer for row 0 .*numerical difficulties"):
        in_hull(np.zeros((1, 2)), np.eye(2))
