"""What is kept of blocks, worked out tensor by tensor, against whole gradients."""

import copy
import functools

import numpy as np
import pytest
import torch

from lexframe.exceptions import ModelError
from lexframe.spaces import LanguageModelSpace
from lexframe.task_space import gradients
from lexframe.task_space.block_gradients import Machinery, Measuring
from lexframe.task_space.gradients import in_passes, mean_gradient, trained_parameters
from lexframe.task_space.ordinary_text import OrdinaryText
from lexframe.task_space.settings import GradientSettings
from lexframe.task_space.tasks import Contrast, Task
from lexframe.task_space.token_pairs import tokenized
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

PAIRS = (
    Contrast("the cat sat on the mat", "the dog sat on the mat"),
    Contrast("a dog sat", "a dog on sat"),
    Contrast("words", "naïve words"),
    Contrast(" sat on the mat", " on sat", prompt="a dog"),
    Contrast("one two three", "one three two"),
)


@pytest.mark.parametrize("most_tokens", [30, 2048])  # of blocks that go through in several passes, and in one
def test_they_are_the_sketch_and_the_sample_of_the_mean_gradient(most_tokens, monkeypatch, tmp_path):
    monkeypatch.setattr(gradients, "in_passes", functools.partial(in_passes, most_tokens=most_tokens))
    space = tiny_space("llama_tied")
    network = space.sequence_network()
    parameters = trained_parameters(network)
    scale = [torch.rand_like(each) for each in parameters.values()]
    OrdinaryText(scale, [-each for each in scale]).save(tmp_path / "ordinary")
    pairs = tokenized(network, Task("t", PAIRS)).pairs
    blocks = (pairs[:3], pairs[3:])
    machinery = Machinery(space, Measuring(GradientSettings(n_dims=2000, per_token=True, adam_scale=True), str(tmp_path / "ordinary"), 5))
    kept = [machinery.blocks(blocks), machinery.blocks(blocks)][1]  # nothing is left over from what was measured before
    whole = [mean_gradient(network, list(parameters.values()), block, per_token=True) for block in blocks]
    for row, found in enumerate(whole):
        scaled = [gradient * by for gradient, by in zip(found.parameters, scale, strict=True)]
        for kind, short in (("sketches", machinery.layout.sketch), ("coordinates", machinery.layout.sample)):
            expected = short.of(scaled)
            np.testing.assert_allclose(getattr(kept, kind)[row], expected, atol=1e-5 * np.abs(expected).max(), err_msg=kind)
    sizes = [len(block) for block in blocks]
    assert sizes[0] != sizes[1]  # a pair counts the same in whichever block it is
    states = np.average([each.state.numpy() for each in whole], axis=0, weights=sizes)
    np.testing.assert_allclose(kept.state, states, atol=1e-5)
    np.testing.assert_allclose(kept.margins, torch.cat([each.margins for each in whole]), atol=1e-5)
    assert set(kept.arrays()) == {"sketches", "coordinates", "state", "margins"}
    assert all(each.grad is None for each in machinery.network.body.parameters())


def test_the_model_of_the_space_has_no_gradient_and_no_hook():
    space = LanguageModelSpace(copy.deepcopy(tiny_model("llama")).requires_grad_(False), tokenizer=tiny_tokenizer())
    machinery = Machinery(space, Measuring(GradientSettings(n_dims=1000), None, 0))
    machinery.blocks((tokenized(machinery.network, Task("t", PAIRS)).pairs,))
    for each in space.model.parameters():
        assert not each.requires_grad
        assert each.grad is None
        assert not each._post_accumulate_grad_hooks


def test_gradients_that_are_not_finite_are_refused():
    model = copy.deepcopy(tiny_model("llama"))
    with torch.no_grad():
        model.lm_head.weight[5, 3] = float("nan")
    machinery = Machinery(LanguageModelSpace(model, tokenizer=tiny_tokenizer()), Measuring(GradientSettings(n_dims=1000), None, 0))
    with pytest.raises(ModelError, match="gradient is not finite"):
        machinery.blocks((tokenized(machinery.network, Task("t", PAIRS)).pairs,))
