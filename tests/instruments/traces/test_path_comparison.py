"""Paths of several prompts: alignment by hand, divergences against the slow reference, a map in the frame's own coordinates."""

import itertools

import numpy as np
import pytest

from lexframe import VocabularyFrame
from lexframe.exceptions import InputError
from lexframe.instruments.traces.lens import FrameLens, LogitLens
from lexframe.instruments.traces.path_comparison import align, compare_paths, path_map
from lexframe.instruments.traces.trace import trace
from tests.reference import lens as reference
from tests.tiny_models import tiny_space

PROMPTS = ["one two three four", "the cat sat on the mat", "one two three cat"]


@pytest.fixture(scope="module")
def space():
    return tiny_space("gpt2")


@pytest.fixture(scope="module")
def traces(space):
    return trace(space, PROMPTS)


def cheapest_by_search(distances):
    """Every monotone path from corner to corner, the slow way."""
    n, m = distances.shape

    def from_here(i, j):
        if (i, j) == (n - 1, m - 1):
            return 0.0
        steps = []
        if i + 1 < n and j + 1 < m:
            steps.append(2 * distances[i + 1, j + 1] + from_here(i + 1, j + 1))
        if i + 1 < n:
            steps.append(distances[i + 1, j] + from_here(i + 1, j))
        if j + 1 < m:
            steps.append(distances[i, j + 1] + from_here(i, j + 1))
        return min(steps)

    return (2 * distances[0, 0] + from_here(0, 0)) / (n + m)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (4, 4), (5, 3)])
def test_alignment_is_the_cheapest_there_is(n, m, rng):
    distances = rng.random((n, m))
    assert align(distances) == pytest.approx(cheapest_by_search(distances))


def test_a_path_that_waits_is_still_the_same_path():
    points, slow = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0, 1.0, 2.0])
    assert align(np.abs(points[:, np.newaxis] - slow)) == 0
    assert align(np.abs(points[:, np.newaxis] - slow[::-1])) > 0.5


def test_divergences_are_those_of_the_distributions(space, traces):
    found = compare_paths(space, traces)
    for layer, (i, j) in itertools.product(range(4), [(0, 1), (2, 1)]):
        p, q = (reference.softmax(space.lens.logits(traces[k].last_inputs[layer : layer + 1])[0]) for k in (i, j))
        assert found.divergence[layer, i, j] == pytest.approx(reference.js(p, q), abs=1e-6)
    np.testing.assert_allclose(found.divergence, found.divergence.transpose(0, 2, 1))
    np.testing.assert_allclose(found.path_distance, found.path_distance.T)
    assert (np.diagonal(found.divergence, axis1=1, axis2=2) == 0).all()
    assert found.divergence.max() <= np.log(2) + 1e-9


def test_a_prompt_beside_itself_parts_nowhere(space, traces):
    found = compare_paths(space, [traces[0], traces[0]])
    np.testing.assert_allclose(found.divergence, 0, atol=1e-9)
    assert found.path_distance[0, 1] == pytest.approx(0, abs=1e-4)


def test_what_cannot_be_compared_is_refused(space, traces):
    with pytest.raises(InputError, match="two or more"):
        compare_paths(space, traces[:1])
    with pytest.raises(InputError, match="with the same"):
        compare_paths(space, traces, lens=FrameLens.of(space))


def test_cosines_on_the_map_are_the_invariant_readout(space, traces):
    found = path_map(space, traces, max_words=5)
    assert len(found.words) <= 5
    assert found.paths.shape == (3, 4, 32)
    ids = [int(trace.statistics.top_ids[-1, -1, 0]) for trace in traces]
    assert space.token_texts(ids[:1])[0] == found.words[0]
    frame = VocabularyFrame(space, center=True)
    expected = frame.similarity(traces[0].last_inputs, ids[:1])[:, 0]
    np.testing.assert_allclose(found.paths[0] @ found.bases[0], expected, atol=1e-5)


def test_the_lens_of_the_comparison_is_the_lens_of_the_traces(space):
    lens = FrameLens.of(space)
    frame, plain = (compare_paths(space, trace(space, PROMPTS[:2], lens=each), lens=each) for each in (lens, LogitLens()))
    assert not np.allclose(frame.divergence[1], plain.divergence[1])
    np.testing.assert_allclose(frame.divergence[-1], plain.divergence[-1], atol=1e-6)
