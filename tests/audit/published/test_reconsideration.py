import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.audit.published.reconsideration import category_extent, published_reconsideration
from lexframe.exceptions import InputError

lengths = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=30).map(lambda rows: np.array(rows, dtype=np.float64))
extents = st.floats(0, 1e6, allow_subnormal=False)


def formula(distances, extent):
    """As printed in the paper."""
    k = -np.log(0.5) / (np.median(distances) - extent)
    return 100 * np.exp(-k * (distances - extent))


def test_the_formula_as_printed(rng):
    distances = rng.uniform(2, 9, 51)
    found = published_reconsideration(distances, 3.0)
    np.testing.assert_allclose(found.raw, formula(distances, 3.0), rtol=1e-12)
    np.testing.assert_allclose(found.guarded, np.minimum(found.raw, 100), rtol=1e-12)
    assert (found.raw > 100).any()
    assert (found.median, found.reference, found.quantile, found.note) == (np.median(distances), np.median(distances), 0.5, "")


def test_100_at_the_extent_and_50_at_the_median():
    found = published_reconsideration(np.array([2.0, 4.0, 6.0, 8.0]), 2.0)  # the median is 5
    np.testing.assert_allclose(found.raw, 100 * 0.5 ** (np.array([0.0, 2, 4, 6]) / 3), rtol=1e-12)
    assert published_reconsideration(np.array([2.0, 5.0, 8.0]), 2.0).raw.tolist() == pytest.approx([100, 50, 25])


@given(lengths, extents)
def test_guarded_never_grows_and_stays_within_bounds(distances, extent):
    found = published_reconsideration(np.sort(distances), extent)
    assert np.isfinite(found.guarded).all()
    assert found.raw is None or np.isfinite(found.raw).all()
    assert ((found.guarded >= 0) & (found.guarded <= 100)).all()
    assert (np.diff(found.guarded) <= 0).all()
    assert (found.note == "") == (found.quantile == 0.5)
    assert (found.raw is None) == (found.median == extent)


@given(lengths, extents, st.integers(-10, 10))
def test_rescaling_all_distances_changes_nothing(distances, extent, power):
    """By powers of two, which round nothing."""
    before, after = published_reconsideration(distances, extent), published_reconsideration(distances * 2.0**power, extent * 2.0**power)
    np.testing.assert_array_equal(after.guarded, before.guarded)
    assert (after.raw is None) == (before.raw is None)
    if before.raw is not None:
        np.testing.assert_array_equal(after.raw, before.raw)
    assert (after.quantile, after.note) == (before.quantile, before.note)


@pytest.mark.parametrize("scale", [1e-3, 7.3, 1e5])
def test_rescaling_by_any_number(scale, rng):
    distances = rng.uniform(1, 3, 20)
    np.testing.assert_allclose(
        published_reconsideration(distances * scale, 1.5 * scale).raw, published_reconsideration(distances, 1.5).raw, rtol=1e-9
    )


@pytest.mark.parametrize(("extent", "quantile"), [(5.0, 0.6), (5.5, 0.6), (6.0, 0.7), (7.9, 0.8), (8.5, 0.9), (9.0, 0.95), (9.7, 1.0)])
def test_the_first_quantile_beyond_the_extent(extent, quantile):
    """Distances 0, 1, ..., 10: the quantile q is 10 q."""
    distances = np.arange(11.0)
    found = published_reconsideration(distances, extent)
    assert found.quantile == quantile
    assert found.reference == pytest.approx(10 * quantile)
    assert f"the {quantile} quantile" in found.note
    expected = np.minimum(100 * 0.5 ** ((distances - extent) / (10 * quantile - extent)), 100)
    np.testing.assert_allclose(found.guarded, expected, rtol=1e-9)
    if extent == 5.0:
        assert found.raw is None
        assert "divides by zero" in found.note
    else:
        np.testing.assert_allclose(found.raw, formula(distances, extent), rtol=1e-12)
        assert (np.diff(found.raw) > 0).all()
        assert "grows with the distance" in found.note


@pytest.mark.parametrize(("distances", "raw_is_there"), [([1.0, 2.0, 3.0], True), ([3.0, 3.0], False), ([0.0, 3.0, 3.0], False)])
def test_no_item_beyond_the_extent(distances, raw_is_there):
    found = published_reconsideration(np.array(distances), 3.0)
    assert found.guarded.tolist() == [100.0] * len(distances)
    assert (found.reference, found.quantile) == (None, None)
    assert "No external item lies beyond the extent either" in found.note
    assert (found.raw is not None) == raw_is_there


def test_what_would_overflow_is_held():
    found = published_reconsideration(np.array([1.0, 1.0, 1e9]), 1.0 + 1e-9)
    assert np.isfinite(found.raw).all()
    assert found.raw[2] > 1e300
    tiny = published_reconsideration(np.array([0.0, 1.0, np.nextafter(1.0, 2)]), 1.0, population=np.array([np.nextafter(1.0, 2)]))
    assert np.isfinite(tiny.raw).all()
    assert tiny.guarded.tolist() == pytest.approx([100, 100, 50])


def test_the_median_of_a_population():
    found = published_reconsideration(np.array([4.0]), 2.0, population=np.array([4.0, 6.0, 10.0]))
    assert found.raw[0] == pytest.approx(100 * 0.5**0.5)
    assert published_reconsideration(np.array([4.0, 9.0]), 5.0, population=np.array([1.0, 2.0])).guarded.tolist() == [100, 0]


def test_no_external_item():
    found = published_reconsideration(np.zeros(0), 2.0)
    assert (found.raw, found.median, len(found.guarded)) == (None, None, 0)
    assert "no external item" in found.note
    assert published_reconsideration(np.array([1.0, 3.0]), 2.0, population=np.zeros(0)).guarded.tolist() == [100, 0]


def test_the_extent_by_quantile():
    distances = np.arange(11.0)[::-1].copy()
    assert [category_extent(distances, quantile=share) for share in (0.5, 0.9, 1.0)] == [5.0, 9.0, 10.0]
    assert category_extent(distances, quantile=0.25) == 2.5
    assert category_extent(np.array([3.0], np.float32), quantile=0.5) == 3.0


def test_plain_types():
    document = json.loads(json.dumps(published_reconsideration(np.array([1.0, 2.0, 4.0]), 1.0).to_dict()))
    assert document["raw"] == pytest.approx([100, 50, 12.5])
    assert published_reconsideration(np.array([1.0]), 1.0).to_dict()["raw"] is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: published_reconsideration(np.array([1.0, -2.0]), 1.0), "Entry 1 of distances_of_external is -2.0"),
        (lambda: published_reconsideration(np.array([1.0]), 1.0, population=np.array([np.nan])), "Entry 0 of population is nan"),
        (lambda: published_reconsideration(np.array([1.0]), float("inf")), "extent is inf"),
        (lambda: published_reconsideration(np.array([1.0]), -1.0), "extent is -1.0"),
        (lambda: category_extent(np.zeros(0)), "no member, so it has no extent"),
        (lambda: category_extent(np.array([np.inf])), "Entry 0 of member_distances is inf"),
        (lambda: category_extent(np.ones(2), quantile=1.1), "quantile is 1.1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
