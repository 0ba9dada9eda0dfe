"""Gradients of margins, against what margins do when weights move."""

import copy
import functools
import itertools

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.base.training import ScoredTokens
from lexframe.task_space import gradients
from lexframe.task_space.gradients import derived, in_passes, log_probabilities, mean_gradient, trained_parameters
from lexframe.task_space.settings import GradientSettings
from lexframe.task_space.tasks import Contrast, Task
from lexframe.task_space.token_pairs import TokenPair, tokenized
from tests.reference.margins import slope, slow_margin
from tests.reference.scored_tokens import slow_hidden_tokens, slow_next_tokens, unpadded_next_tokens
from tests.spaces.language_model.test_sequence_network import hiding_space
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

PAIRS = (
    Contrast("the cat sat on the mat", "the dog sat on the mat"),
    Contrast(" sat on the mat", " on sat", prompt="a dog"),
    Contrast("words", "naïve words"),
)
SWAPPED = tuple(Contrast(pair.bad, pair.good, pair.prompt) for pair in PAIRS)

WEIGHTS = {
    "gpt2": ("transformer.wte.weight", "transformer.h.1.attn.c_attn.weight", "transformer.h.0.ln_1.weight", "transformer.ln_f.bias"),
    "llama": ("model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight", "model.norm.weight", "lm_head.weight"),
    "gemma2": ("model.embed_tokens.weight", "model.layers.2.self_attn.k_proj.weight", "model.norm.weight"),
}


def measured(space, pairs=PAIRS, **options):
    """The gradient by name."""
    network = space.sequence_network()
    parameters = trained_parameters(network)
    found = mean_gradient(network, list(parameters.values()), tokenized(network, Task("t", pairs)).pairs, **options)
    return dict(zip(parameters, found.parameters, strict=True)), found


def check_slopes(found, model, measure, names):
    """The gradient along a random direction of every named tensor is how the measure changes there."""
    weights = dict(model.named_parameters())
    for name in names:
        direction = torch.randn(weights[name].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        direction /= direction.norm()
        along = float((found[name].double() * direction).sum())
        assert abs(along - slope(measure, weights[name], direction)) < 3e-5 * float(found[name].norm()), name


@pytest.mark.parametrize("family", WEIGHTS)
def test_it_is_how_the_mean_margin_changes_with_the_weights(family):
    space = tiny_space(family)
    found, whole = measured(space)
    model = copy.deepcopy(tiny_model(family)).double()
    pairs = tokenized(space.sequence_network(), Task("t", PAIRS)).pairs
    score = functools.partial(unpadded_next_tokens, model)
    check_slopes(found, model, lambda: slow_margin(score, pairs), WEIGHTS[family])
    np.testing.assert_allclose(whole.margins, [slow_margin(score, [pair]) for pair in pairs], atol=1e-4)


@pytest.mark.parametrize("options", [{"one_sided": True}, {"per_token": True}])
def test_one_side_alone_and_margins_of_a_token(options):
    space = tiny_space("llama")
    found, whole = measured(space, **options)
    model = copy.deepcopy(tiny_model("llama")).double()
    pairs = tokenized(space.sequence_network(), Task("t", PAIRS)).pairs
    score = functools.partial(unpadded_next_tokens, model)
    check_slopes(found, model, lambda: slow_margin(score, pairs, **options), WEIGHTS["llama"][1:3])
    options.pop("one_sided", None)  # margins are of both sides in any case
    np.testing.assert_allclose(whole.margins, [slow_margin(score, [pair], **options) for pair in pairs], atol=1e-4)


def test_of_a_masked_model_every_token_is_hidden_in_turn():
    space = hiding_space("bert")
    found, whole = measured(space)
    model = copy.deepcopy(tiny_model("bert")).double()
    pairs = tokenized(space.sequence_network(), Task("t", PAIRS)).pairs
    score = functools.partial(slow_hidden_tokens, model, mask_id=space.tokenizer.mask_token_id)
    names = ("bert.embeddings.word_embeddings.weight", "bert.encoder.layer.1.output.LayerNorm.weight")
    check_slopes(found, model, lambda: slow_margin(score, pairs), names)
    assert whole.state is None
    one_token = Task("t", (Contrast("the cat sat", "the dog sat"),))  # as many rows of hidden tokens as there are sides
    network = space.sequence_network()
    parameters = list(trained_parameters(network).values())
    assert mean_gradient(network, parameters, tokenized(network, one_token, contrast_only=True).pairs).state is None


@pytest.mark.parametrize("most_tokens", [1, 40, 100])
def test_passes_of_any_size_give_the_same(most_tokens, monkeypatch):
    space = tiny_space("gpt2")
    _, together = measured(space)
    monkeypatch.setattr(gradients, "in_passes", functools.partial(in_passes, most_tokens=most_tokens))
    _, apart = measured(space)
    for one, other in zip(apart.parameters, together.parameters, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))
    np.testing.assert_allclose(apart.margins, together.margins, atol=1e-4)
    np.testing.assert_allclose(apart.state, together.state, atol=1e-5)


def test_swapped_sides_turn_it_around():
    space = tiny_space("llama")
    (_, there), (_, back) = measured(space), measured(space, SWAPPED)
    for one, other in zip(there.parameters, back.parameters, strict=True):
        np.testing.assert_allclose(one, -other, rtol=1e-3, atol=1e-4 * float(one.abs().max()))
    np.testing.assert_allclose(there.margins, -back.margins, atol=1e-5)
    np.testing.assert_allclose(there.state, -back.state, atol=1e-5)


@pytest.mark.parametrize(("family", "scale"), [("llama", 1.0), ("gpt2", 1.0), ("cohere", 0.3), ("granite", 0.25)])
def test_in_the_state_before_they_differ_it_is_the_difference_of_their_rows_of_the_head(family, scale):
    # At that state d log p(x) / dh = U[x] - sum_y p(y) U[y], and both sides have the state in common: the sums cancel.
    space = tiny_space(family)
    pairs = (
        Contrast("the cat sat on the mat", "the dog sat on the mat"),
        Contrast(" sat", " on sat and words", prompt="a dog"),
        Contrast("x", "words of it"),
    )
    network = space.sequence_network()
    first = [
        next((one, other) for one, other in zip(pair.good.ids, pair.bad.ids, strict=False) if one != other)
        for pair in tokenized(network, Task("t", pairs)).pairs
    ]
    rows = tiny_model(family).get_output_embeddings().weight.detach()
    expected = scale * torch.stack([rows[good] - rows[bad] for good, bad in first]).mean(dim=0)
    _, found = measured(space, pairs)
    np.testing.assert_allclose(found.state, expected, atol=1e-5)


def test_tied_weights_are_one_parameter_and_frozen_ones_have_gradients():
    model = copy.deepcopy(tiny_model("llama_tied")).requires_grad_(False)
    network = LanguageModelSpace(model, tokenizer=tiny_tokenizer()).sequence_network()
    parameters = trained_parameters(network)
    assert not any("lm_head" in name for name in parameters)
    assert sum(each.numel() for each in parameters.values()) == sum(each.numel() for each in model.parameters())
    pairs = tokenized(network, Task("t", PAIRS)).pairs
    assert all(bool(each.any()) for each in mean_gradient(network, list(parameters.values()), pairs).parameters)


def test_weights_that_no_text_moves_have_no_gradient():
    network = tiny_space("llama").sequence_network()
    network.body.register_parameter("unused", torch.nn.Parameter(torch.ones(3)))
    parameters = trained_parameters(network)
    found = mean_gradient(network, list(parameters.values()), tokenized(network, Task("t", PAIRS)).pairs)
    assert not dict(zip(parameters, found.parameters, strict=True))["unused"].any()


def test_log_probabilities_are_of_both_sides():
    network = tiny_space("llama").sequence_network()
    pairs = tokenized(network, Task("t", PAIRS)).pairs
    score = functools.partial(slow_next_tokens, tiny_model("llama"))
    good, bad = log_probabilities(network, pairs)
    np.testing.assert_allclose(good.detach(), [score(pair.good) for pair in pairs], atol=1e-4)
    np.testing.assert_allclose(bad.detach(), [score(pair.bad) for pair in pairs], atol=1e-4)


@given(lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12), most_tokens=st.integers(1, 80))
@example(lengths=[(9, 9), (1, 1), (1, 1)], most_tokens=8)  # what was long is forgotten
def test_passes_hold_as_many_pairs_as_fit(lengths, most_tokens):
    pairs = [TokenPair(*(ScoredTokens((0,) * n, ()) for n in sides)) for sides in lengths]

    def padded(part):
        return 2 * len(part) * max(len(side.ids) for pair in part for side in (pair.good, pair.bad))

    passes = list(in_passes(pairs, most_tokens))
    assert [pair for part in passes for pair in part] == pairs
    assert all(len(part) == 1 or padded(part) <= most_tokens for part in passes)
    for part, following in itertools.pairwise(passes):
        assert padded([*part, following[0]]) > most_tokens


def test_damaged_weights_and_other_settings_are_refused():
    model = copy.deepcopy(tiny_model("llama"))
    with torch.no_grad():
        model.lm_head.weight[5, 3] = float("nan")
    with pytest.raises(ModelError, match="gradient is not finite"):
        measured(LanguageModelSpace(model, tokenizer=tiny_tokenizer()))
    with pytest.raises(InputError, match="precision is 'half'; expected float32 or bfloat16"):
        GradientSettings(precision="half")
    with pytest.raises(InputError, match="pairs_a_block is 0"):
        GradientSettings(pairs_a_block=0)
    asking = [GradientSettings(), GradientSettings(adam_scale=True), GradientSettings(remove_general=True)]
    assert [each.needs_corpus for each in asking] == [False, True, True]


def test_a_model_that_gives_no_gradients_is_named():
    network = tiny_space("llama").sequence_network()

    def fails():
        with derived(network):
            raise RuntimeError("not implemented")

    with pytest.raises(ModelError, match=r"LlamaForCausalLM gives no gradients \(not implemented\). Use a model of another family"):
        fails()
