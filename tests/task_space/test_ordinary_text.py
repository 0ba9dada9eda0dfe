"""Gradients on ordinary text, against a loop over windows."""

import copy
import itertools

import numpy as np
import pytest
import torch

from lexframe.exceptions import DataError
from lexframe.spaces.base.training import ScoredTokens
from lexframe.task_space.gradients import trained_parameters
from lexframe.task_space.ordinary_text import DAMPING, OrdinaryText, measure_ordinary_text, ordinary_windows
from tests.reference.ordinary_text import slow_moments
from tests.tiny_models import tiny_model, tiny_space

WORDS = ["mat", "x", "words", "one", "two", "three", "four", "five", "six", "seven"]
CORPUS = [f"the cat sat on the {word} and a dog too" for word in WORDS]


def test_moments_are_those_of_a_loop_over_windows():
    network = tiny_space("llama_tied").sequence_network()
    windows = ordinary_windows(network, CORPUS)
    parameters = trained_parameters(network)
    seen = []
    found = measure_ordinary_text(network, list(parameters.values()), windows, progress=lambda each: (seen.append(x) or x for x in each))
    means, squares = slow_moments(copy.deepcopy(tiny_model("llama_tied")), windows)
    assert len(seen) == len(windows) == len(CORPUS)
    for name, general, scale in zip(parameters, found.general, found.scale, strict=True):
        np.testing.assert_allclose(general, means[name], atol=1e-4 * np.abs(means[name]).max(), err_msg=name)
        expected = 1 / np.sqrt(squares[name] + DAMPING * squares[name].mean())
        np.testing.assert_allclose(scale, expected, rtol=2e-3, err_msg=name)


def test_what_no_text_moves_is_not_weighed():
    network = tiny_space("llama").sequence_network()
    network.body.register_parameter("unused", torch.nn.Parameter(torch.ones(3)))
    parameters = trained_parameters(network)
    found = measure_ordinary_text(network, list(parameters.values()), ordinary_windows(network, CORPUS[:8]))
    unused = list(parameters).index("unused")
    assert not found.scale[unused].any()
    assert not found.general[unused].any()


def test_windows_are_beginnings_of_the_first_texts_that_have_any():
    network = tiny_space("llama").sequence_network()
    long = "the cat sat on the mat and " * 200
    texts = itertools.chain(["", "  \n"], [long], itertools.repeat(CORPUS[0]))  # without end: no more are read than are used
    windows = ordinary_windows(network, texts, most=9)
    assert len(windows) == 9
    assert len(windows[0].ids) == network.max_length == 64
    assert windows[0].scored == tuple(range(1, 64))
    assert windows[1:] == [*network.tokens([""], CORPUS[:1])] * 8
    network.max_length = 1000
    assert len(ordinary_windows(network, [long] * 8)[0].ids) == 128


def test_too_little_text_is_refused():
    network = tiny_space("llama").sequence_network()
    with pytest.raises(DataError, match="The corpus has 7 texts of two tokens or more; give 8 or more"):
        ordinary_windows(network, ["x", *CORPUS[:7], "", " "])
    with pytest.raises(DataError, match="The corpus has 0 texts"):
        ordinary_windows(network, [])


def test_it_comes_back_from_its_file(tmp_path):
    many = [torch.full((2, i + 1), float(i)) for i in range(12)]  # in order beyond the tenth
    OrdinaryText(many, [-each for each in many]).save(tmp_path / "kept.safetensors")
    back = OrdinaryText.load(tmp_path / "kept.safetensors")
    for i, (scale, general) in enumerate(zip(back.scale, back.general, strict=True)):
        assert torch.equal(scale, many[i])
        assert torch.equal(general, -many[i])
    assert len(back.scale) == 12


def test_a_window_is_scored_token_by_token():
    network = tiny_space("llama").sequence_network()
    (window,) = ordinary_windows(network, CORPUS[:1] * 8)[:1]
    assert isinstance(window, ScoredTokens)
    assert window.scored == tuple(range(1, len(window.ids)))
