from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, HalfspaceIntersection

from lexframe.audit.published.hull import convex_hull, hull_jaccard, overlap_area
from lexframe.exceptions import InputError

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
whole = st.integers(-4, 4)
few_points = st.lists(st.tuples(whole, whole), max_size=10).map(lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 2))
coordinate = st.floats(-1e3, 1e3, allow_subnormal=False)
any_points = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=20).map(lambda rows: np.array(rows, dtype=np.float64))


def exact(points):
    return [tuple(Fraction(float(value)) for value in point) for point in points]


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def between(a, b, p):
    return turn(a, b, p) == 0 and min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def slow_corners(points):
    """Points of whole numbers that lie in no triangle and on no segment of others."""
    distinct = sorted({(int(x), int(y)) for x, y in points})
    corners = []
    for p in distinct:
        others = [other for other in distinct if other != p]
        on_segment = any(between(a, b, p) for a in others for b in others)
        in_triangle = any(turn(a, b, p) > 0 and turn(b, c, p) > 0 and turn(c, a, p) > 0 for a in others for b in others for c in others)
        if not (on_segment or in_triangle):
            corners.append(p)
    return set(corners)


def test_a_square_with_known_points():
    hull = convex_hull(np.vstack([SQUARE[::-1], [[0.5, 0.5], [0.5, 0.0], [0.2, 0.9]]]))
    np.testing.assert_array_equal(hull.vertices, SQUARE)  # counter-clockwise from the lower left; (0.5, 0) is on a side
    assert hull.area == 1.0
    points = np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 0.3], [0.5, 1.0], [1.001, 0.5], [0.5, -0.001], [2.0, 2.0], [-1.0, 0.5]])
    assert hull.contains(points).tolist() == [True, True, True, True, False, False, False, False]


@pytest.mark.parametrize("shape", ["gaussian", "uniform", "circle", "far away", "float32", "stretched"])
def test_the_corners_and_the_area_of_qhull(shape, rng):
    angle = rng.uniform(0, 2 * np.pi, 400)
    points = {
        "gaussian": rng.normal(size=(3000, 2)),
        "uniform": rng.random((3000, 2)),
        "circle": np.stack([np.cos(angle), np.sin(angle)], axis=1),
        "far away": rng.normal(size=(500, 2)) + 1e5,
        "float32": rng.normal(size=(3000, 2)).astype(np.float32),
        "stretched": rng.normal(size=(500, 2)) * [1e6, 1e-3],
    }[shape]
    hull, theirs = convex_hull(points), ConvexHull(points)
    assert hull.area == pytest.approx(theirs.volume, rel=1e-9)
    if shape != "stretched":  # where qhull merges corners that are too close to a side
        assert {tuple(p) for p in hull.vertices} == {tuple(p) for p in points[theirs.vertices].astype(np.float64)}


@given(few_points)
def test_the_corners_are_exactly_those_of_the_definition(points):
    assert {tuple(p) for p in convex_hull(points).vertices} == slow_corners(points)


@given(any_points)
def test_the_hull_turns_left_holds_its_points_and_is_its_own_hull(points):
    hull = convex_hull(points)
    corners = exact(hull.vertices)
    assert len(corners) < 3 or all(turn(corners[i - 2], corners[i - 1], corners[i]) > 0 for i in range(len(corners)))
    assert hull.contains(points).all()
    np.testing.assert_array_equal(convex_hull(hull.vertices).vertices, hull.vertices)


def test_corners_that_rounding_would_lose():
    # The middle point lies 2**-60 to the right of the line between the others: products of float64 cannot tell.
    points = np.array([[0.0, 0.0], [0.5, 0.5 - 2.0**-54], [1.0, 1.0], [0.0, 1.0]])
    assert len(convex_hull(points).vertices) == 4
    points[1, 1] = 0.5
    assert len(convex_hull(points).vertices) == 3


def test_the_filter_leaves_out_no_corner(rng, monkeypatch):
    grid = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0)), axis=-1).reshape(-1, 2)
    clouds = [grid, grid @ np.array([[0.6, 0.8], [-0.8, 0.6]]), rng.integers(0, 9, (500, 2)).astype(float), rng.normal(size=(500, 2)) + 1e6]
    filtered = [convex_hull(points).vertices for points in clouds]
    monkeypatch.setattr("lexframe.audit.published.hull._FEWEST_TO_FILTER", 10**9)
    for points, vertices in zip(clouds, filtered, strict=True):
        np.testing.assert_array_equal(convex_hull(points).vertices, vertices)


def test_a_hundred_thousand_points_and_as_many_corners(rng):
    angle = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    hull = convex_hull(circle)
    assert len(hull.vertices) > 99_990
    assert hull.area == pytest.approx(np.pi, rel=1e-8)
    assert len(convex_hull(rng.normal(size=(100_000, 2))).vertices) < 60


@pytest.mark.parametrize(
    ("points", "vertices"),
    [
        (np.zeros((0, 2)), []),
        ([[2.0, 3.0]], [[2, 3]]),
        ([[2.0, 3.0]] * 70, [[2, 3]]),
        ([[1.0, 1.0], [0.0, 0.0]], [[0, 0], [1, 1]]),
        ([[0.3 * i, 0.1 * i] for i in (0, 2, 1, 8, 4)], [[0, 0], [2.4, 0.8]]),
        ([[5.0, i] for i in range(80)], [[5, 0], [5, 79]]),
    ],
)
def test_degenerate_hulls(points, vertices):
    hull = convex_hull(np.array(points, dtype=np.float64))
    np.testing.assert_allclose(hull.vertices, np.array(vertices, dtype=np.float64).reshape(-1, 2))
    assert hull.area == 0
    assert hull.contains(np.array(points, dtype=np.float64)).all()
    assert not hull.contains(np.array([[5.0, 80.0], [5.1, 7.0], [0.5, 0.6], [2.0, 3.1], [-0.3, -0.1]])).any()
    assert hull_jaccard(hull, hull) == (len(vertices) > 0)


@given(few_points, st.lists(st.tuples(whole, whole), min_size=1, max_size=20))
def test_a_point_is_inside_where_the_hull_does_not_grow_by_it(points, asked):
    inside = convex_hull(points).contains(np.array(asked, dtype=np.float64))
    corners = slow_corners(points)
    assert inside.tolist() == [len(points) > 0 and slow_corners(np.vstack([points, [point]])) == corners for point in asked]


def test_beside_and_beyond_vertical_sides():
    hull = convex_hull(np.array([[0.0, 0.0], [0.0, 1.0], [2.0, 5.0], [4.0, 1.0], [4.0, 0.5]]))
    beside = np.array([[-1e-10, 3.0], [0.0, 1.5], [4.0 + 1e-10, 3.0], [4.0, 0.2], [4.0, 1.5]])
    assert not hull.contains(beside).any()
    assert hull.contains(np.array([[-1e-10, 0.5], [0.0, 1.0], [4.0, 0.75], [4.0 + 1e-10, 1.0]])).all()


def test_the_tolerance_grows_with_the_extent():
    for scale in (1e-6, 1.0, 1e6):
        hull = convex_hull(SQUARE * scale)
        assert hull.contains(np.array([[1 + 5e-10, 0.5]]) * scale).all()
        assert not hull.contains(np.array([[1 + 2e-9, 0.5]]) * scale).any()


def test_peeling_drops_the_farthest_from_the_median(rng):
    points = rng.random((100, 2))
    points[17], points[60] = [50.0, 50.0], [-30.0, 0.5]
    hull = convex_hull(points, peel=0.02)
    np.testing.assert_array_equal(hull.vertices, convex_hull(np.delete(points, [17, 60], axis=0)).vertices)
    assert (hull.n_points, hull.n_peeled) == (100, 2)
    assert convex_hull(points, peel=0.29).n_peeled == 29  # 0.29 * 100 is a little less in float64
    assert convex_hull(points, peel=0.009).n_peeled == 0
    assert len(convex_hull(points[:3], peel=0.99).vertices) == 1
    kept = np.argsort(np.abs(points - np.median(points, axis=0)).max(axis=1))[:3]
    assert hull.contains(points[kept]).all()


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 1.0, 3.0])
def test_squares_that_overlap(shift):
    a, b = convex_hull(SQUARE), convex_hull(SQUARE + np.array([shift, shift / 2]))
    shared = max(1 - shift, 0) * max(1 - shift / 2, 0)
    assert overlap_area(a, b) == pytest.approx(shared)
    assert hull_jaccard(a, b) == pytest.approx(shared / (2 - shared))


def test_the_overlap_of_hulls_is_that_of_their_half_planes(rng):
    for _ in range(40):
        points = rng.normal(size=(12, 2)) * rng.uniform(0.3, 2, 2) + 100
        a, b = convex_hull(points), convex_hull(rng.normal(size=(9, 2)) + 100)
        planes = np.vstack([ConvexHull(hull.vertices).equations for hull in (a, b)])
        corners = rng.uniform(97, 103, (4000, 2))
        inside = corners[(corners @ planes[:, :2].T + planes[:, 2] < -1e-6).all(axis=1)]
        if not len(inside):
            continue
        expected = ConvexHull(HalfspaceIntersection(planes, inside[0]).intersections).volume
        assert overlap_area(a, b) == pytest.approx(expected, rel=1e-7)
        assert overlap_area(b, a) == pytest.approx(expected, rel=1e-7)
        assert hull_jaccard(a, b) == pytest.approx(expected / (a.area + b.area - expected), rel=1e-7)


def test_a_hull_inside_another():
    inner = convex_hull(SQUARE / 2 + 0.25)
    assert overlap_area(convex_hull(SQUARE), inner) == pytest.approx(0.25)
    assert overlap_area(inner, convex_hull(SQUARE)) == pytest.approx(0.25)
    assert hull_jaccard(inner, inner) == 1.0
    assert overlap_area(inner, convex_hull(SQUARE[:2])) == 0.0


def test_plain_types():
    assert convex_hull(SQUARE[:2]).to_dict() == {"vertices": [[0.0, 0.0], [1.0, 0.0]], "n_points": 2, "n_peeled": 0}


@pytest.mark.parametrize(
    ("points", "peel", "message"),
    [
        (np.zeros((3, 3)), 0.0, r"shape \(3, 3\); a hull needs \(n, 2\)"),
        (np.zeros(4), 0.0, r"shape \(4,\)"),
        (np.array([[0.0, 0.0], [np.inf, 0.0]]), 0.0, "Row 1 of the points holds NaN or infinity"),
        (SQUARE, 1.0, "peel is 1.0; expected a share from 0 to below 1"),
        (SQUARE, -0.1, "peel is -0.1"),
        (SQUARE, float("nan"), "peel is nan"),
    ],
)
def test_bad_input(points, peel, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        convex_hull(points, peel=peel)
