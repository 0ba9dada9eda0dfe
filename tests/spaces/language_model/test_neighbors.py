"""A row is that of its text alone, whoever stands beside it, in families that pad well and in those that do not."""

import numpy as np
import pytest
import torch

from lexframe.exceptions import ModelError
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.batching import Together
from lexframe.spaces.language_model.neighbors import together
from tests.spaces.language_model.made_up import MadeUpModel
from tests.tiny_models import OTHERS, OTHERS_MASKED, TEXTS, tiny_model, tiny_space, tiny_tokenizer

PAD_BADLY = {"fnet", "convbert"}


@pytest.mark.parametrize("family", [*OTHERS, *OTHERS_MASKED, "gpt2", "bert", "mixtral"])
def test_rows_beside_neighbors_are_those_alone(family):
    space = tiny_space(family)
    layers = range(space.n_layers + 1)
    alone = np.concatenate([space.encode_layers([text], layers=layers) for text in TEXTS])
    np.testing.assert_allclose(space.encode_layers(TEXTS, layers=layers), alone, atol=1e-5 * np.abs(alone).max())
    for text, states in zip(TEXTS, space.token_states_of(TEXTS, layers=layers), strict=True):
        np.testing.assert_allclose(states.states, space.token_states(text, layers=layers).states, atol=1e-5 * np.abs(alone).max())


@pytest.mark.parametrize("family", [*OTHERS, *OTHERS_MASKED, "gpt2", "bert"])
def test_only_those_that_pad_badly_are_read_by_length(family):
    assert together(tiny_model(family)) is (Together.EQUAL_LENGTHS if family in PAD_BADLY else Together.PADDED)


def test_padding_would_change_rows_of_fnet():
    """What the check is for: without it, rows come out otherwise."""
    model = tiny_model("fnet")
    ids = torch.tensor([[5, 9, 13]])
    with torch.no_grad():
        alone = model.fnet(input_ids=ids).last_hidden_state[0]
        beside = model.fnet(input_ids=torch.nn.functional.pad(ids, (0, 4), value=1)).last_hidden_state[0, :3]
    assert (alone - beside).abs().max() > 0.1


@pytest.mark.parametrize(
    ("leak", "expected"),
    [
        (None, Together.PADDED),
        (lambda states: states.mean(dim=1, keepdim=True), Together.EQUAL_LENGTHS),  # over tokens, padding among them
        (lambda states: states.mean(dim=(0, 1), keepdim=True), Together.ALONE),  # over texts too, as a batch norm in training
    ],
)
def test_a_family_that_nobody_knows(leak, expected):
    model = MadeUpModel(leak)
    assert together(model) is expected
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    assert space.together == expected.value
    alone = np.concatenate([space.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(space.encode(TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(space.encode(TEXTS, batch_size=4), alone, atol=1e-5)


def test_what_differs_from_time_to_time_is_refused():
    model = MadeUpModel(torch.rand_like)
    with pytest.raises(ModelError, match="another state each time"):
        LanguageModelSpace(model, tokenizer=tiny_tokenizer()).encode(["a dog"])


def test_a_model_is_tried_once(monkeypatch):
    model = MadeUpModel()
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    space.encode(["a dog"])
    calls = []
    model.inner.register_forward_hook(lambda *_: calls.append(1))
    space.encode(["a cat"])
    LanguageModelSpace(model, tokenizer=tiny_tokenizer()).encode(["a mat"])
    assert len(calls) == 2


def test_half_precision_is_no_reason_to_read_one_by_one():
    for family in ("llama", "bert", "mixtral"):
        import copy

        assert together(copy.deepcopy(tiny_model(family)).bfloat16()) is Together.PADDED


@pytest.mark.parametrize("error", [RuntimeError, AssertionError, KeyError])
def test_a_model_that_takes_no_padded_texts_reads_equal_lengths(error):
    def refuse_padding(states):
        if len(states) == 2:  # the one batch that is padded
            raise error("no padding, please")
        return torch.zeros_like(states)

    assert together(MadeUpModel(refuse_padding)) is Together.EQUAL_LENGTHS
