"""Ids and numbers that do not fit are one line; words with high ids are words like any other."""

import copy

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lexframe.exceptions import ModelError
from lexframe.spaces import LanguageModelSpace
from tests.tiny_models import TEXTS, tiny_model, tiny_tokenizer


def words_with_ids(**ids):
    made = Tokenizer(models.WordLevel({"<s>": 0, "<unk>": 1, **ids}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", unk_token="<unk>")


def test_a_word_behind_a_hole_in_the_ids_has_its_row_and_its_logit():
    space = LanguageModelSpace(tiny_model("llama"), tokenizer=words_with_ids(cat=2, dog=310))
    assert space.n_vocab == 311  # of 320 rows; the tokenizer knows four tokens
    assert space.word_ids("dog") == (310,)
    model = tiny_model("llama")
    row = model.lm_head.weight[310].detach().numpy()
    np.testing.assert_array_equal(space.unembedding()[310], row)
    points = space.encode(["cat dog"])
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([[2, 310]])).logits[0, -1, 310]
    np.testing.assert_allclose(space.logits(points)[0, 310], expected, atol=1e-5)
    assert space.token_texts([310]) == ["dog"]


@pytest.mark.parametrize("ask", ["encode", "token_states", "heads"])
def test_an_id_that_the_model_has_no_row_for_is_one_line(ask):
    space = LanguageModelSpace(tiny_model("llama"), tokenizer=words_with_ids(cat=2, dog=320))
    questions = {
        "encode": lambda: space.encode(["cat", "dog"]),
        "token_states": lambda: space.token_states("dog"),
        "heads": lambda: space.heads.outputs(["dog"]),
    }
    with pytest.raises(ModelError, match=r"the id 320.*rows for 320 tokens"):
        questions[ask]()


@pytest.mark.parametrize(("dtype", "advice"), [(torch.float32, "damaged"), (torch.float16, "bfloat16")])
def test_states_that_are_no_numbers_are_one_line_that_names_the_layer(dtype, advice):
    model = copy.deepcopy(tiny_model("llama")).to(dtype)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    with pytest.raises(ModelError, match=f"layer 2 that are not finite.*{advice}"):
        space.encode_layers(TEXTS, layers=[0, 1, 2])
    assert np.isfinite(space.encode_layers(TEXTS, layers=[0, 1])).all()
    with pytest.raises(ModelError, match="not finite"):
        space.token_states(TEXTS[0])
