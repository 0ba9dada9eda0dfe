"""Log-probabilities of texts that have gradients, against one token at a time."""

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.base.training import GradientSpace, ScoredTokens
from tests.reference.scored_tokens import slow_hidden_tokens, slow_next_tokens
from tests.tiny_models import FEW_CAUSAL, tiny_model, tiny_space, tiny_tokenizer

PROMPTS = ["", "the c", "", "one two", "a dog sat on"]
TEXTS = ["the cat sat on the mat", "at sat on the mat", "x", " three four, caffè and naïve words of it", " a mat"]


def own_tokenizer(*, masked=False, **roles):
    """One that a test may change."""
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tiny_tokenizer(masked=masked).backend_tokenizer.to_str()), **roles
    )


def hiding_space(family):
    """Over a masked model, with a tokenizer that has a token that hides."""
    return LanguageModelSpace(tiny_model(family), tokenizer=own_tokenizer(masked=True, pad_token="<pad>", mask_token="<mask>"))


@pytest.mark.parametrize("family", FEW_CAUSAL)
def test_log_probabilities_are_those_of_one_token_at_a_time(family):
    network = tiny_space(family).sequence_network()
    tokens = network.tokens(PROMPTS, TEXTS)
    slow = [slow_next_tokens(tiny_model(family), each) for each in tokens]
    np.testing.assert_allclose(network.log_probabilities(tokens).detach(), slow, atol=1e-4)
    turned = network.log_probabilities([*tokens[::-1], tokens[0]]).detach()  # in other company
    np.testing.assert_allclose(turned, [*slow[::-1], slow[0]], atol=1e-4)
    np.testing.assert_allclose(network.log_probabilities(tokens[1:2]).detach(), slow[1:2], atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "fnet"])  # the second reads only texts of one length together
def test_of_a_masked_model_each_token_is_hidden_in_turn(family):
    space = hiding_space(family)
    network = space.sequence_network()
    tokens = network.tokens(PROMPTS, TEXTS)
    slow = [slow_hidden_tokens(tiny_model(family), each, space.tokenizer.mask_token_id) for each in tokens]
    mixed = network.log_probabilities([*tokens, *tokens, tokens[1]]).detach()  # in other company
    np.testing.assert_allclose(mixed, [*slow, *slow, slow[1]], atol=1e-4)
    assert tokens[0].ids[0] == tokens[0].ids[-1] == 0  # the special tokens around a text stay, and are not scored
    assert tokens[0].scored == tuple(range(1, len(tokens[0].ids) - 1))


def test_of_a_prompt_nothing_is_scored_but_the_token_that_ends_in_the_text():
    network = tiny_space("llama").sequence_network()
    names = network.tokenizer.convert_ids_to_tokens
    (apart, merged, alone) = network.tokens(["the cat", "the c", ""], [" sat", "at sat", "the cat sat"])
    assert [names(each.ids) for each in (apart, merged, alone)] == [["<s>", "t", "he", "Ġcat", "Ġsat"]] * 3
    assert [each.scored for each in (apart, merged, alone)] == [(4,), (3, 4), (1, 2, 3, 4)]
    last, first, whole = network.log_probabilities([apart, ScoredTokens(apart.ids, (1, 2, 3)), alone]).tolist()
    assert last + first == pytest.approx(whole, abs=1e-5)


def test_nothing_is_cut_and_the_tokenizer_keeps_its_settings():
    tokenizer = own_tokenizer(bos_token="<s>", pad_token="<pad>")
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    network = LanguageModelSpace(tiny_model("llama"), tokenizer=tokenizer).sequence_network()
    assert network.tokens([""], [TEXTS[0]]) == tiny_space("llama").sequence_network().tokens([""], [TEXTS[0]])
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 3
    assert tokenizer.backend_tokenizer.padding["length"] == 9


def test_what_stands_first_is_given_and_is_there_once():
    once, named = tiny_space("gpt2").sequence_network().tokens(["", ""], ["x", "<s>x"])
    assert once == named == ScoredTokens((0, *tiny_tokenizer()("x")["input_ids"]), (1,))
    network = LanguageModelSpace(tiny_model("gpt2"), tokenizer=own_tokenizer()).sequence_network()  # nothing stands between documents
    (tokens,) = network.tokens([""], ["the cat sat"])
    assert (len(tokens.ids), tokens.scored) == (4, (1, 2, 3))


def test_products_in_bfloat16_are_near_and_gradients_stay_float32():
    space = tiny_space("llama")
    exact, coarse = (space.sequence_network(precision=precision) for precision in ("float32", "bfloat16"))
    tokens = exact.tokens(PROMPTS, TEXTS)
    wanted, found = exact.log_probabilities(tokens), coarse.log_probabilities(tokens)
    assert not torch.equal(wanted, found)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.detach(), wanted.detach(), rtol=0.02)
    found.sum().backward()
    assert {each.grad.dtype for each in coarse.body.parameters() if each.grad is not None} == {torch.float32}


def test_the_space_stays_as_it_is():
    model = copy.deepcopy(tiny_model("gpt2")).to(torch.bfloat16).train()
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    next(model.parameters()).requires_grad_(False)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    flags = [each.requires_grad for each in model.parameters()]
    network = space.sequence_network()
    network.log_probabilities(network.tokens([""], ["the cat"])).sum().backward()
    with torch.no_grad():
        for each in network.body.parameters():
            each.add_(1)
    assert model.training
    assert not network.body.training
    assert flags == [each.requires_grad for each in model.parameters()]
    assert all(each.grad is None for each in model.parameters())
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert {each.dtype for each in network.body.parameters()} == {torch.float32}
    assert network.body.get_output_embeddings().weight is network.body.get_input_embeddings().weight  # what is tied stays tied


def test_what_the_head_reads_can_be_watched_and_is_no_longer_afterwards():
    network = tiny_space("llama").sequence_network()
    tokens = network.tokens(PROMPTS, TEXTS)
    with network.watched() as seen:
        network.log_probabilities(tokens)
    assert [tuple(each.shape) for each in seen] == [(len(tokens), max(len(each.ids) for each in tokens) - 1, 32)]
    network.log_probabilities(tokens)
    assert len(seen) == 1
    hidden = hiding_space("bert").sequence_network()
    with hidden.watched() as seen:
        hidden.log_probabilities(hidden.tokens([""], ["x"]))
    assert seen == []  # a row would be a token that is hidden, not a text


def test_models_that_find_no_text_probable_are_refused():
    with pytest.raises(ModelError, match="tokenizer has none that hides") as refused:
        tiny_space("bert").sequence_network()
    assert "\n" not in str(refused.value)
    body = LanguageModelSpace(tiny_model("llama").model, tokenizer=tiny_tokenizer())
    assert isinstance(body, GradientSpace)
    with pytest.raises(ModelError, match="LlamaModel has no head over a vocabulary"):
        body.sequence_network()
    with pytest.raises(InputError, match="precision is 'float16'"):
        tiny_space("llama").sequence_network(precision="float16")


def test_a_shared_copy_has_the_numbers_of_the_model_and_gradients_of_its_own():
    space = tiny_space("llama_tied")
    network = space.sequence_network(shared=True)
    pairs = zip(space.model.parameters(), network.body.parameters(), strict=True)
    assert all(own is not other and own.data_ptr() == other.data_ptr() for own, other in pairs)
    flags = [parameter.requires_grad for parameter in space.model.parameters()]
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network.log_probabilities(network.tokens([""], ["the cat sat"])).sum().backward()
    assert all(parameter.grad is not None for parameter in network.body.parameters())
    assert all(parameter.grad is None for parameter in space.model.parameters())
    assert [parameter.requires_grad for parameter in space.model.parameters()] == flags
    apart = space.sequence_network()
    assert all(own.data_ptr() != other.data_ptr() for own, other in zip(space.model.parameters(), apart.body.parameters(), strict=True))
