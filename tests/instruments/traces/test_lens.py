"""Lenses against the model's own logits, a slow reference, and cases worked out by hand."""

import numpy as np
import pytest
import torch

from lexframe import ToySpace, VocabularyFrame
from lexframe.instruments.traces import lens as lens_module
from lexframe.instruments.traces.lens import FrameLens, LogitLens, read_through
from tests.reference import lens as reference
from tests.tiny_models import CAUSAL, FAMILIES, tiny_space

TEXT = "one two three four five six"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lens_on_the_last_layer_is_the_model(family):
    space = tiny_space(family)
    states = space.token_states(TEXT)
    with torch.no_grad():
        expected = space.model(input_ids=torch.tensor([states.ids])).logits[0, :, : space.n_vocab].numpy()
    for lens in (LogitLens(), FrameLens.of(space)):
        found = lens.logits(space, lens.inputs(space, states.states[-1], layer=-1), layer=-1)
        np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("family", sorted(CAUSAL))
def test_statistics_equal_the_slow_reference(family):
    space = tiny_space(family)
    states = space.token_states(TEXT)
    logits = np.stack(
        [space.lens.logits(space.lens.input(state, layer=layer)) for layer, state in zip(states.layers, states.states, strict=True)]
    )
    found, expected = read_through(space, LogitLens(), states.states, states.layers, n_top=3), reference.statistics(logits)
    for name in ("entropy", "kl_to_final", "js_to_previous", "answer_probability"):
        np.testing.assert_allclose(getattr(found, name), expected[name], atol=2e-5, err_msg=name)
    np.testing.assert_array_equal(found.answer_rank, expected["answer_rank"])
    np.testing.assert_array_equal(found.top_ids, expected["top_ids"])


def test_blocks_change_nothing(monkeypatch):
    space = tiny_space("gpt2")
    states = space.token_states(TEXT)
    whole = read_through(space, LogitLens(), states.states, states.layers)
    monkeypatch.setattr(lens_module, "_MAX_LOGITS", 1)
    one_by_one = read_through(space, LogitLens(), states.states, states.layers)
    np.testing.assert_allclose(one_by_one.entropy, whole.entropy, atol=1e-5)
    np.testing.assert_array_equal(one_by_one.top_ids, whole.top_ids)
    np.testing.assert_allclose(one_by_one.js_to_previous, whole.js_to_previous, atol=1e-5)


@pytest.mark.parametrize("n_items", [5, 255, 256, 600, 5000])
def test_the_likeliest_are_found_by_groups(n_items, rng):
    values = torch.from_numpy(rng.random((4, n_items), dtype=np.float32))
    found, ids = lens_module._likeliest(values, 3)
    expected = values.topk(3, dim=1)
    torch.testing.assert_close(found, expected.values)
    torch.testing.assert_close(ids, expected.indices)


def test_bounds_hold_and_peaked_distributions_do_no_harm(rng):
    space = ToySpace({f"w{i}": row.tolist() for i, row in enumerate(rng.normal(size=(40, 6)) * 60)})
    states = space.token_states("w1 w2 w3 w4")
    found = read_through(space, LogitLens(), states.states, states.layers)
    for name in ("entropy", "kl_to_final", "js_to_previous", "answer_probability"):
        assert np.isfinite(getattr(found, name)).all(), name
        assert (getattr(found, name) >= 0).all(), name
    assert found.js_to_previous.max() <= np.log(2) + 1e-5
    assert (found.kl_to_final[-1] == 0).all()


def test_the_answer_is_followed_where_it_is_asked_for():
    space = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0], "cow": [-1.0, 0.0]})
    states = space.token_states("cat dog")
    answers = np.full(2, space.word_ids("cow")[0])
    found = read_through(space, LogitLens(), states.states, states.layers, answers=answers)
    np.testing.assert_array_equal(found.answer_rank, [[2, 1], [2, 2]])


def test_the_frame_lens_orders_words_as_the_invariant_readout_does(rng):
    space = ToySpace({f"w{i}": row.tolist() for i, row in enumerate(rng.normal(size=(30, 5)) * rng.uniform(0.2, 3, size=(30, 1)))})
    states = space.token_states("w0 w5 w9 w20", layers=[0]).states[0]
    found = FrameLens.of(space).logits(space, states, layer=0)
    readout = VocabularyFrame(space, center=True).similarity(states)
    np.testing.assert_array_equal(found.argsort(axis=1), readout.argsort(axis=1))
    plain = space.lens.logits(states)
    assert (found.argmax(axis=1) != plain.argmax(axis=1)).any()
