"""Short vectors for long ones: what they keep, and that the error they state is the error they make."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.task_space.sketch import LEAST, CoordinateSample, GradientSketch
from tests.reference.sketch import slow_fold, slow_variance

SEEDS = 300


def sketched(sketch, *vectors):
    return sketch.of([torch.from_numpy(each).float() for each in vectors])


def at_right_angles(x, y):
    return y - (x @ y) / (x @ x) * x


def test_small_tensors_are_kept_as_they_are(rng):
    sizes = {"norm": 7, "least": LEAST, "large": 4000}
    vectors = [rng.normal(size=size) for size in sizes.values()]
    sketch = GradientSketch(sizes, 1000)
    found = sketched(sketch, *vectors)
    np.testing.assert_array_equal(found[: 7 + LEAST], np.concatenate(vectors[:2]).astype(np.float32))
    assert sketch.dims[:2] == (7, LEAST)
    assert found.dtype == np.float32
    assert list(sketch.starts) == [0, 7, 7 + LEAST, len(found)]


def test_others_are_folded_with_a_sign_for_each_number(rng):
    x = rng.normal(size=1000)
    sketch = GradientSketch({"w": 1000}, 300, seed=3)
    (k,) = sketch.dims
    ones = np.stack([sketched(sketch, row) for row in np.eye(1000)])
    signs = ones.sum(axis=1)
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.sum()) < 4 * 1000**0.5
    np.testing.assert_array_equal(np.abs(ones).argmax(axis=1), np.arange(1000) % k)
    np.testing.assert_allclose(sketched(sketch, x), slow_fold(x, signs, k), atol=1e-5)


@given(sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=5), n_dims=st.integers(LEAST, 5000))
def test_a_tensor_gets_its_share_and_no_column_of_it_a_part_of_the_places(sizes, n_dims):
    named = {str(i): size for i, size in enumerate(sizes)}
    for size, k in zip(sizes, GradientSketch(named, n_dims).dims, strict=True):
        assert min(size, LEAST, k) == min(size, LEAST)
        assert k == size or (np.gcd(k, size) == 1 and n_dims * size // sum(sizes) <= k <= max(LEAST, n_dims * size / sum(sizes)) + 40)


def test_inner_products_are_right_on_average_with_the_variance_that_is_stated(rng):
    x, y = rng.normal(size=(2, 1500))
    y += x / 3
    sizes = {"a": 700, "b": 800}
    pairs = [
        np.stack([sketched(sketch, each[:700], each[700:]) for each in (x, y)])
        for sketch in (GradientSketch(sizes, LEAST, seed) for seed in range(SEEDS))
    ]
    products = np.array([float(one @ other) for one, other in pairs])
    dims = GradientSketch(sizes, LEAST).dims
    variance = slow_variance(x[:700], y[:700], dims[0]) + slow_variance(x[700:], y[700:], dims[1])
    assert abs(products.mean() - x @ y) < 4 * np.sqrt(variance / SEEDS)
    assert products.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / SEEDS))
    assert variance <= ((x @ x) * (y @ y) + (x @ y) ** 2) / min(dims)
    seeds = [0, 0, 1]
    first, again, other = (sketched(GradientSketch(sizes, LEAST, seed), x[:700], x[700:]) for seed in seeds)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_error_is_the_spread_of_cosines_over_signs(rng):
    # Three tensors of which the smallest is kept as it is, and most of the length is in the middle one.
    sizes = {"norm": 64, "middle": 1000, "large": 3000}
    scales = np.repeat([1.0, 3.0, 1.0], list(sizes.values()))
    x, y = rng.normal(size=(2, 4064)) * scales
    y = at_right_angles(x, y)
    cosines, errors = [], []
    for seed in range(SEEDS):
        sketch = GradientSketch(sizes, 1000, seed)
        both = np.stack([sketched(sketch, *np.split(each, [64, 1064])) for each in (x, y)])
        cosines.append(both[0] @ both[1] / np.sqrt((x @ x) * (y @ y)))
        errors.append(sketch.error(both))
    assert np.mean(errors) == pytest.approx(np.std(cosines), rel=0.2)
    assert np.std(errors) < 0.1 * np.mean(errors)  # so that one sketch says what its error is
    assert GradientSketch({"norm": 64}).error(np.ones((2, 64), dtype=np.float32)) == 0


@pytest.mark.parametrize("width", [48, 64, 80])  # divided by 2, 3 and 5, as the widths of models are
def test_one_huge_column_makes_no_larger_error_than_is_stated(width, rng):
    # States have a few numbers that are a thousand times as large as others: gradients then lie in a column.
    x, y = rng.normal(size=(2, 200, width))
    x[:, 5] *= 100
    y[:, 5] *= 100
    x, y = x.ravel(), at_right_angles(x.ravel(), y.ravel())
    sketches = [GradientSketch({"w": x.size}, LEAST, seed) for seed in range(60)]
    both = [np.stack([sketched(sketch, each) for each in (x, y)]) for sketch in sketches]
    cosines = [one @ other / np.sqrt((x @ x) * (y @ y)) for one, other in both]
    assert np.std(cosines) < np.mean([sketch.error(each) for sketch, each in zip(sketches, both, strict=True)])


def test_sampled_places_are_distinct_and_rise(rng):
    sizes = {"norm": 100, "small": 1000, "large": 20_000}
    sample = CoordinateSample(sizes, n_coordinates=4000)
    places = [each.numpy() for each in sample.places]
    assert [len(each) for each in places] == [100, 4000 * 1000 // 21_100, 4000 * 20_000 // 21_100]
    assert [len(each) for each in CoordinateSample(sizes, n_coordinates=400).places] == [100, 128, 400 * 20_000 // 21_100]
    for each, size in zip(places, sizes.values(), strict=True):
        assert (np.diff(each) > 0).all()
        assert each[0] >= 0
        assert each[-1] < size
    assert abs(places[2].mean() / 20_000 - 0.5) < 4 / np.sqrt(12 * len(places[2]))  # spread over all of the tensor
    vectors = [rng.normal(size=size).astype(np.float32) for size in sizes.values()]
    expected = np.concatenate([vector[own] for vector, own in zip(vectors, places, strict=True)])
    np.testing.assert_array_equal(sketched(sample, *vectors), expected)
    assert list(sample.starts) == [0, 100, 289, len(expected)]
    again, other = (CoordinateSample(sizes, n_coordinates=4000, seed=seed).places[2] for seed in (0, 1))
    assert torch.equal(again, sample.places[2])
    assert not torch.equal(other, again)


def test_a_sketch_of_too_few_numbers_is_refused():
    with pytest.raises(InputError, match="n_dims is 254; expected 255 or more"):
        GradientSketch({"w": 10_000}, LEAST - 1)
