"""What stands between gradients and similarities: directions taken out, weights of tensors, parts, intervals around a value."""

import itertools

import numpy as np
import pytest

from lexframe.task_space.assembly import centred, part_grams, tensor_weights, without_direction
from lexframe.task_space.layout import Layout

SIZES = {"embed.weight": 40, "blocks.0.a": 30, "blocks.0.b": 20, "blocks.1.a": 30, "norm": 10}


def test_a_direction_is_taken_out_of_sketch_and_sample(rng):
    gradients, general = rng.normal(size=(6, 50)).astype(np.float32), rng.normal(size=50).astype(np.float32)
    sampled = np.arange(0, 50, 3)
    found, at_sample = without_direction(gradients, gradients[:, sampled], general, general[sampled])
    np.testing.assert_allclose(found @ general, 0, atol=1e-4)
    np.testing.assert_allclose(at_sample, found[:, sampled], atol=1e-5)
    unit = general / np.linalg.norm(general)
    np.testing.assert_allclose(found, gradients - np.outer(gradients @ unit, unit), atol=1e-5)
    np.testing.assert_array_equal(without_direction(gradients, gradients, 0 * general, 0 * general)[0], gradients)


def test_weights_give_every_tensor_the_same_length(rng):
    scales = np.repeat([100.0, 1, 0.01, 0, 5], list(SIZES.values()))
    sketches = (rng.normal(size=(8, 130)) * scales).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(list(SIZES.values()))])
    weighted = sketches * tensor_weights(sketches, starts)
    lengths = [np.mean((weighted[:, start:stop] ** 2).sum(axis=1)) for start, stop in itertools.pairwise(starts)]
    np.testing.assert_allclose(lengths, [1, 1, 1, 0, 1], rtol=1e-4)


def test_parts_add_up_to_the_whole(rng):
    layout = Layout(SIZES, 1000)  # all are small, and kept as they are
    sketches = rng.normal(size=(5, 130))
    grams = part_grams(sketches, layout)
    assert layout.parts == ("embedding", "block 0", "block 1", "head")
    np.testing.assert_allclose(grams.sum(axis=0), sketches @ sketches.T)
    np.testing.assert_allclose(grams[1], sketches[:, 40:90] @ sketches[:, 40:90].T)
    np.testing.assert_allclose(grams[3], sketches[:, 120:] @ sketches[:, 120:].T)


def test_a_value_has_the_spread_of_its_resamples_around_it(rng):
    drawn = np.append(rng.normal(0.3, 0.05, size=4000), np.nan)
    found = centred(0.5, drawn)
    assert (found.value, found.unit) == (0.5, "blocks of pairs")
    assert (found.low, found.high) == (pytest.approx(0.5 - 1.96 * 0.05, abs=0.01), pytest.approx(0.5 + 1.96 * 0.05, abs=0.01))
    assert centred(0.5, np.array([np.nan])).interval is None
