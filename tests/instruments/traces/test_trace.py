"""Geometry of paths against closed forms, and traces of prompts from the texts in to the tables out."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe import ToySpace
from lexframe.exceptions import InputError, VocabularyError
from lexframe.instruments.traces.lens import FrameLens
from lexframe.instruments.traces.trace import effective_rank, settle_depth, step_lengths, token_curvature_deg, trace, turning_angles_deg
from tests.tiny_models import FEW_FAMILIES, tiny_space


def test_a_straight_line_does_not_turn(rng):
    line = rng.normal(size=5) + np.arange(1, 9)[:, np.newaxis] * rng.normal(size=5)
    np.testing.assert_allclose(turning_angles_deg(line), 0, atol=1e-4)


@pytest.mark.parametrize("n", [3, 4, 6, 100])
def test_a_polygon_turns_by_its_angle(n):
    angles = np.arange(n + 2) * 2 * np.pi / n
    np.testing.assert_allclose(turning_angles_deg(np.stack([np.cos(angles), np.sin(angles)], axis=1)), 360 / n, rtol=1e-6)


def test_independent_points_turn_by_120_and_a_random_walk_by_90(rng):
    points = rng.normal(size=(200, 2000))
    assert abs(turning_angles_deg(points).mean() - 120) < 0.5
    assert abs(turning_angles_deg(points.cumsum(axis=0)).mean() - 90) < 0.5


def test_steps_without_length_have_no_direction():
    path = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    angles = turning_angles_deg(path)
    assert np.isnan(angles[0])
    assert angles[1] == 0


def test_curvature_skips_the_first_token_and_what_does_not_move():
    tokens = np.array([[50.0, 50.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 1.0]])
    # Left: steps (1,0), (0,0), (1,0), (0,1); only the last two follow each other.
    np.testing.assert_allclose(token_curvature_deg(tokens[np.newaxis]), [90])
    assert np.isnan(token_curvature_deg(tokens[np.newaxis, :3]))[0]


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_turning_and_rank_do_not_see_rotation_shift_or_scale(seed, scale):
    rng = np.random.default_rng(seed)
    path, rotation = rng.normal(size=(6, 4)), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    moved = scale * path @ rotation + rng.normal(size=4)
    np.testing.assert_allclose(turning_angles_deg(moved), turning_angles_deg(path), atol=1e-5)
    np.testing.assert_allclose(effective_rank(moved), effective_rank(path), rtol=1e-6)


def test_effective_rank_counts_equal_axes(rng):
    axes = np.linalg.qr(rng.normal(size=(20, 20)))[0][:3]
    points = np.concatenate([axes, -axes])
    np.testing.assert_allclose(effective_rank(points), 3)
    np.testing.assert_allclose(effective_rank(np.outer(np.arange(5), axes[0])), 1)
    assert effective_rank(points[:1]) == 0
    wide = rng.normal(size=(4000, 6)) * [3, 2, 1, 1, 0.5, 0.1]
    variances = np.linalg.eigvalsh(np.cov(wide.T))
    np.testing.assert_allclose(effective_rank(wide), variances.sum() ** 2 / (variances**2).sum())


def test_settle_depth_by_hand():
    ids = np.array([[5, 1, 2], [5, 3, 4], [5, 1, 2], [5, 1, 9]])
    np.testing.assert_array_equal(settle_depth(ids), [0, 2, 3])


def test_step_lengths_are_relative_and_zero_states_have_none():
    states = np.array([[[3.0, 4.0], [0.0, 0.0]], [[3.0, 9.0], [1.0, 0.0]]])
    np.testing.assert_allclose(step_lengths(states), [[1.0, 0.0]])


@pytest.mark.parametrize("family", FEW_FAMILIES)
def test_families_can_be_traced(family):
    (found,) = trace(tiny_space(family), ["one two three four"])
    n_layers, n_tokens = found.statistics.entropy.shape
    assert (n_layers, n_tokens) == (4, len(found.tokens))
    assert found.layers == (0, 1, 2, 3)
    assert (found.settle_depth <= 3).all()
    assert found.statistics.answer_rank[-1].max() == 0  # the default answer is the model's own
    assert found.step_length.shape == (3, n_tokens)
    assert found.turning_angle_deg.shape == (2, n_tokens)
    assert (found.effective_rank <= n_tokens).all()


def test_the_tables_agree_with_each_other():
    (found,) = trace(tiny_space("gpt2"), ["one two three four five"], n_top=2)
    frame, document = found.to_frame(), found.to_dict()
    assert len(frame) == len(found.layers) * len(found.tokens)
    row = frame[(frame.layer == 2) & (frame.position == 1)].iloc[0]
    assert row.token == found.tokens[1]
    assert row.likeliest == found.top_tokens[2][1][0] == document["top"][2][1][0]["token"]
    assert row.entropy == pytest.approx(document["entropy"][2][1])
    json.dumps(document, allow_nan=False)
    passed = found.words_passed()
    assert passed[0][0] == 0
    assert passed[-1][1] == found.top_tokens[-1][-1][0]


def test_an_answer_and_a_lens_can_be_chosen():
    space = ToySpace({"cat": [1.0, 0.1], "dog": [0.0, 1.0], "cow": [-1.0, 0.0]})
    (found,) = trace(space, ["cat dog"], answer="cow")
    assert found.answer == "cow"
    assert (found.statistics.answer_rank > 0).all()
    assert trace(space, ["cat dog"], lens=FrameLens.of(space))[0].lens == "frame"


def test_one_token_is_a_path_without_turns():
    (found,) = trace(tiny_space("llama"), ["x"])
    assert len(found.tokens) == 1
    assert np.isnan(found.token_curvature_deg).all()
    assert (found.effective_rank == 0).all()
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_prompt_longer_than_the_model_is_cut_and_said():
    (found,) = trace(tiny_space("gpt2"), ["cat " * 200])
    assert found.truncated
    assert len(found.tokens) == 64


def test_empty_prompts_and_unknown_answers_are_refused():
    space = tiny_space("gpt2")
    with pytest.raises(InputError, match="Prompt 2 of 2 is empty"):
        trace(space, ["cat", "  "])
    with pytest.raises(VocabularyError):
        trace(ToySpace({"cat": [1.0]}), ["cat"], answer="zebra")
    assert trace(space, []) == []
