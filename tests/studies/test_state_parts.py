"""Nuisance means against direct sums, and a planted position effect that must go."""

import numpy as np
import pytest

from lexframe import ToySpace
from lexframe.exceptions import InputError
from lexframe.spaces import LanguageModelSpace
from lexframe.studies.state_parts import LastStates, fit_state_parts, last_states
from tests.tiny_models import tiny_space

TEXTS = ["one two three", "cat", "the cat sat on the mat", "a dog", "four five six seven", "x", "one two"]


@pytest.fixture(scope="module")
def space():
    return tiny_space("llama")


@pytest.mark.parametrize("block", [1, 3, 100])
def test_last_states_come_in_the_order_of_the_texts(space: LanguageModelSpace, block):
    found = last_states(space, TEXTS, layers=[0, 2, -1], block=block)
    assert found.layers == (0, 2, 3)
    for row, text in enumerate(TEXTS):
        alone = space.token_states(text, layers=[0, 2, 3])
        np.testing.assert_allclose(found.states[:, row], alone.states[:, -1], atol=1e-4)
        assert found.positions[row] == len(alone.ids) - 1


@pytest.mark.parametrize("block", [1, 3, 100])
def test_means_equal_those_worked_out_from_all_states_at_once(space, block):
    parts, _ = fit_state_parts(space, TEXTS, layers=[1, 3], fewest=2, block=block)
    states = [space.token_states(text, layers=[1, 3]).states for text in TEXTS]
    reached = [[each[:, place] for each in states if each.shape[1] > place] for place in range(len(parts.counts) + 1)]
    assert [len(each) for each in reached[:-1]] == parts.counts.tolist()
    assert len(reached[-1]) < 2
    means = np.stack([np.mean(each, axis=0) for each in reached[:-1]], axis=1)
    np.testing.assert_allclose(parts.global_mean, means.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(parts.position_mean + parts.global_mean[:, np.newaxis], means, atol=1e-4)
    np.testing.assert_allclose(parts.position_mean.mean(axis=1), 0, atol=1e-5)


def test_a_planted_position_effect_is_removed_and_the_text_stays(rng):
    spiral, subject = rng.normal(size=(1, 6, 4)), rng.normal(size=(1, 300, 4))
    positions = rng.integers(0, 6, 300)

    class Planted(ToySpace):
        def token_states(self, text, *, layers=None):
            row, n = map(int, text.split())
            states = (5 * spiral[:, :n] + subject[:, row, np.newaxis]).astype(np.float32)
            return type(super().token_states("a"))(("a",) * n, (0,) * n, (0,), states)

        def token_counts(self, texts):
            return np.array([int(text.split()[1]) for text in texts])

    space = Planted({"a": [0.0] * 4})
    texts = [f"{row} {place + 1}" for row, place in enumerate(positions)]
    parts, last = fit_state_parts(space, texts, layers=[0])
    np.testing.assert_array_equal(last.states, last_states(space, texts, layers=[0]).states)
    left = parts.residuals(last)[0]
    cosines = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(left, subject[0], strict=True)]
    assert np.median(cosines) > 0.98
    by_place = np.array([left[positions == place].mean(axis=0) for place in range(6)])
    assert np.abs(by_place).max() < 0.5  # it was five times a standard normal


def test_positions_beyond_the_means_take_the_last_one(space):
    parts, _ = fit_state_parts(space, ["one two", "cat dog", "a x"], layers=[1], fewest=1)
    n = len(parts.counts)
    states = np.zeros((1, 2, 32), dtype=np.float32)
    left = parts.residuals(LastStates((1,), states, np.array([n - 1, n + 40])))
    np.testing.assert_array_equal(left[0, 0], left[0, 1])


def test_bad_input_is_refused(space):
    parts, _ = fit_state_parts(space, TEXTS, layers=[1])
    with pytest.raises(InputError, match="same layers"):
        parts.residuals(last_states(space, TEXTS, layers=[2]))
    for collect in (last_states, fit_state_parts):
        with pytest.raises(InputError, match="No text is given"):
            collect(space, [])
        with pytest.raises(InputError, match="layer 9 does not exist"):
            collect(space, TEXTS, layers=[9])
        with pytest.raises(InputError, match="Text number 1 has no token"):
            collect(ToySpace({"cat": [1.0]}), ["cat", "zebra"])
