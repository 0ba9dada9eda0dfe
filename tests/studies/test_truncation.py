"""States cut to K directions: a planted rank is found, and one cut at the last layer equals the head on projected states."""

import json

import numpy as np
import pytest
import scipy.special

from lexframe.exceptions import InputError
from lexframe.spaces.base import PatchableSpace, TokenStates
from lexframe.studies.state_parts import last_states
from lexframe.studies.transport import singular_axes
from lexframe.studies.truncation import TruncationCost, truncation_cost
from tests.steerable_toy import SteerableToy
from tests.tiny_models import tiny_space


class RemovingToy(SteerableToy, PatchableSpace):
    """Takes directions away at the last token, in both layers."""

    def token_states(self, text, *, layers=None):
        vectors = self._embedding[self._known(text)].astype(np.float64)
        vectors[-1] = self._left(vectors[-1], 0)
        running = np.cumsum(vectors, axis=0) / np.arange(1, len(vectors) + 1)[:, np.newaxis]
        running[-1] = self._left(running[-1], 1)
        chosen = [0, 1] if layers is None else [layer % 2 for layer in layers]
        states = np.stack([(vectors, running)[layer] for layer in chosen]).astype(np.float32)
        words = tuple(text.split())
        return TokenStates(words, tuple(self._known(text)), tuple(chosen), states)

    def _left(self, state, layer):
        for move in self._interventions:
            assert (move.how, move.where) == ("remove", "last")
            if move.layer == layer:
                state = state - move.vector * (state @ move.vector)
        return state


@pytest.fixture
def texts(rng):
    return [" ".join(f"w{i}" for i in rng.integers(0, 40, 5)) for _ in range(60)]


@pytest.mark.parametrize("rank", [2, 5])
def test_the_planted_rank_is_the_smallest_cut_without_cost(rng, texts, rank):
    basis = np.linalg.qr(rng.normal(size=(12, rank)))[0]
    vectors = 4 * rng.normal(size=(40, rank)) @ basis.T + 1e-4 * rng.normal(size=(40, 12))
    space = RemovingToy({f"w{i}": row.tolist() for i, row in enumerate(vectors)})
    axes = singular_axes(last_states(space, texts[:40]).states)
    found = truncation_cost(space, texts[40:], axes, [0, 1], range(1, 13))
    assert found.smallest(0.001) == rank
    assert found.divergence[-1].max() < 1e-6
    assert found.divergence[rank - 2].mean() > 100 * found.divergence[rank - 1].mean()


def test_a_cut_at_the_last_layer_is_the_head_on_projected_states():
    space, texts = tiny_space("llama"), ["one two three", "the cat", "a dog sat on", "four five"]
    found = last_states(space, texts, layers=[-1]).states[0]
    axes = np.linalg.qr(np.random.default_rng(2).normal(size=(32, 32)))[0]
    cost = truncation_cost(space, texts, axes[np.newaxis], [-1], [5, 32])
    kept = axes[:, :5]
    whole, cut = (
        scipy.special.log_softmax(space.lens.logits(states.astype(np.float32)), axis=1) for states in (found, found @ kept @ kept.T)
    )
    np.testing.assert_allclose(cost.divergence[0], (np.exp(whole) * (whole - cut)).sum(axis=1), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(cost.divergence[1], 0, atol=1e-6)
    pairs = [[(np.exp(a) * (a - b)).sum() for b in whole] for a in whole]
    np.testing.assert_allclose(cost.unrelated, np.sum(pairs, axis=1) / 3, rtol=1e-4)


def test_where_no_cut_is_cheap_there_is_no_smallest():
    cost = TruncationCost((1, 2), np.array([[3.0], [2.0]]), np.array([4.0]))
    assert cost.smallest() is None
    assert cost.smallest(0.5) == 2
    json.dumps(cost.to_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": ["cat"]}, "two or more"),
        ({"layers": [1, 2]}, "Axes of 1 layers were given for 2"),
        ({"n_axes": [0]}, "cut to 0 directions"),
        ({"axes": np.eye(32)[np.newaxis, :, :20]}, "20 axes were given of states with 32 dimensions"),
        ({"n_axes": [33]}, "cut to 33 directions"),
        ({"layers": [9]}, "layer 9 does not exist"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"texts": ["cat", "dog"], "axes": np.eye(32)[np.newaxis], "layers": [1], "n_axes": [4]} | change
    with pytest.raises(InputError, match=message):
        truncation_cost(tiny_space("llama"), **arguments)
