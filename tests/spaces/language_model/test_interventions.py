"""Moving states: equal to moving them by hand, in every family and wherever a text ends in its batch."""

import copy
from itertools import product

import numpy as np
import pytest
import torch

from lexframe.exceptions import InputError
from lexframe.spaces import Intervention, LanguageModelSpace
from lexframe.spaces.language_model.output_head import OutputHead
from tests.tiny_models import CAUSAL, FAMILIES, FEW_FAMILIES, TEXTS, tiny_model, tiny_space, tiny_tokenizer

WORDS = [text for text in TEXTS if text.strip()]


@pytest.mark.parametrize(("family", "layer"), [*((family, 2) for family in FAMILIES), *product(FEW_FAMILIES, (0, -1))])
def test_adding_moves_the_states_of_that_layer_by_the_vector(family, layer, rng):
    space = tiny_space(family)
    vector = rng.normal(size=32).astype(np.float32)
    before = space.token_states(WORDS[0], layers=[layer]).states
    with space.intervened([Intervention(layer=layer, vector=vector, strength=-0.7)]):
        after = space.token_states(WORDS[0], layers=[layer]).states
    np.testing.assert_allclose(after, before - 0.7 * vector, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_put_in_is_carried_on_by_the_blocks(family):
    """States of another model input, put in at layer 1, give what they give there: a model is its blocks and nothing else."""
    space = tiny_space(family)
    one_token = {"ids": torch.tensor([[7]]), "other": torch.tensor([[11]])}
    with torch.no_grad():
        expected = space.model(input_ids=one_token["other"]).logits
        state = space.model(input_ids=one_token["other"], output_hidden_states=True).hidden_states[1][0, 0].numpy()
        with space.intervened([Intervention(layer=1, vector=state, how="replace")]):
            found = space.model(input_ids=one_token["ids"]).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_the_last_token_is_that_of_each_text(rng):
    space, vector = tiny_space("gpt2"), rng.normal(size=32).astype(np.float32)
    with space.intervened([Intervention(layer=2, vector=vector, where="last")]):
        moved = [space.token_states(text, layers=[2]).states[0] for text in WORDS]
        batched = space.encode_layers(WORDS, layers=[2])[:, 0]
    plain = [space.token_states(text, layers=[2]).states[0] for text in WORDS]
    for before, after, point in zip(plain, moved, batched, strict=True):
        np.testing.assert_allclose(after[:-1], before[:-1], atol=1e-5)
        np.testing.assert_allclose(after[-1], before[-1] + vector, atol=1e-5)
        np.testing.assert_allclose(point, after[-1], atol=1e-5)


def test_removing_leaves_nothing_along_the_vector_and_keeps_the_rest(rng):
    space, vector = tiny_space("llama"), rng.normal(size=32).astype(np.float32)
    unit = vector / np.linalg.norm(vector)
    before = space.token_states(WORDS[0], layers=[1]).states[0]
    with space.intervened([Intervention(layer=1, vector=vector, how="remove")]):
        after = space.token_states(WORDS[0], layers=[1]).states[0]
    np.testing.assert_allclose(after @ unit, 0, atol=1e-5)
    np.testing.assert_allclose(after, before - np.outer(before @ unit, unit), atol=1e-5)


def test_lengths_can_be_kept(rng):
    space, vector = tiny_space("llama"), 3 * rng.normal(size=32).astype(np.float32)
    before = space.token_states(WORDS[0], layers=[1]).states[0]
    with space.intervened([Intervention(layer=1, vector=vector, keep_norm=True)]):
        after = space.token_states(WORDS[0], layers=[1]).states[0]
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), np.linalg.norm(before, axis=1), rtol=1e-5)
    assert not np.allclose(after, before)


def test_moves_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="expected how to be"):
        Intervention(layer=0, vector=np.ones(3), how="multiply")
    with pytest.raises(InputError, match="not finite"):
        Intervention(layer=0, vector=np.array([1.0, np.nan]))


def test_greedy_writing_is_the_models_own_arg_max():
    space = tiny_space("gpt2")
    (written,) = space.generate(["the cat"], max_new_tokens=4)
    ids = list(space.tokenizer("the cat").input_ids)
    start = len(ids)
    with torch.no_grad():
        for _ in range(4):
            ids.append(int(space.model(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == space.model.config.eos_token_id:
                break
    assert written == space.tokenizer.decode(ids[start:], skip_special_tokens=True)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_prompts_of_many_lengths_are_written_on_as_if_alone(family):
    space = tiny_space(family)
    prompts = WORDS[:4]
    assert space.generate(prompts, max_new_tokens=5) == [space.generate([prompt], max_new_tokens=5)[0] for prompt in prompts]


def test_moved_states_write_what_states_moved_at_every_step_write(rng):
    """A cache of keys and values must not hide the move from later tokens."""
    space = tiny_space("gpt2")
    move = Intervention(layer=1, vector=5 * rng.normal(size=32).astype(np.float32))
    with space.intervened([move]):
        (written,) = space.generate(["the cat"], max_new_tokens=4)
        ids = list(space.tokenizer("the cat").input_ids)
        start = len(ids)
        with torch.no_grad():
            for _ in range(4):
                ids.append(int(space.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
                if ids[-1] == space.model.config.eos_token_id:
                    break
    assert written == space.tokenizer.decode(ids[start:], skip_special_tokens=True)
    assert written != space.generate(["the cat"], max_new_tokens=4)[0]


def test_draws_follow_the_seed_and_leave_the_global_generators_alone():
    space = tiny_space("gpt2")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = space.generate(["a dog"], temperature=1.0, seed=1)
    torch.testing.assert_close(torch.rand(3), expected)
    assert first == space.generate(["a dog"], temperature=1.0, seed=1)
    assert first != space.generate(["a dog"], temperature=1.0, seed=2)


@pytest.mark.parametrize("family", sorted(CAUSAL))
def test_every_causal_family_writes(family):
    (written,) = tiny_space(family).generate(["the cat"], max_new_tokens=2)
    assert isinstance(written, str)


def test_writing_needs_a_causal_model_room_and_sensible_options():
    with pytest.raises(InputError, match="does not write"):
        tiny_space("bert").generate(["the cat"])
    space = tiny_space("gpt2")
    with pytest.raises(InputError, match="no room"):
        space.generate(["cat " * 100])
    with pytest.raises(InputError, match="max_new_tokens is 0; expected 1 or more"):
        space.generate(["cat"], max_new_tokens=0)
    assert space.generate([]) == []


def test_a_coarse_lens_differs_by_little_even_where_all_logits_are_large(rng):
    space = tiny_space("gpt2")
    with torch.no_grad():
        weight = space.model.get_output_embeddings().weight
        original = weight.clone()
        weight += 40  # a common part that bfloat16 would drown the differences in
        try:
            space = type(space)(space.model, tokenizer=space.tokenizer)
            inputs = rng.normal(size=(6, 32)).astype(np.float32)
            exact, coarse = (space.lens.logits(inputs, precision=precision) for precision in ("float32", "bfloat16"))
        finally:
            weight.copy_(original)
    spread = (exact - exact.mean(1, keepdims=True)).std()
    assert 0 < np.abs(exact - coarse).max() < 0.03 * spread
    with pytest.raises(InputError, match="float32 or bfloat16"):
        space.lens.logits(inputs, precision="int8")


def test_a_coarse_lens_of_a_model_in_bfloat16_is_one_product_in_it(rng, monkeypatch):
    model = copy.deepcopy(tiny_model("llama")).bfloat16()
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    inputs = rng.normal(size=(6, 32)).astype(np.float32)
    gradient = rng.normal(size=(6, space.n_vocab)).astype(np.float32)
    exact, back = space.lens.logits(inputs), space.lens.pullback(inputs, gradient)
    monkeypatch.setattr(OutputHead, "logits", lambda *given: pytest.fail("the head was multiplied in float32"))
    coarse, coarse_back = space.lens.logits(inputs, precision="bfloat16"), space.lens.pullback(inputs, gradient, precision="bfloat16")
    assert 0 < np.abs(exact - coarse).max() < 0.03 * exact.std()
    assert np.abs(back - coarse_back).max() < 0.03 * back.std()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_move_of_the_last_state_reaches_the_models_own_logits(family, rng):
    """Some models run their decoder without their body around it."""
    space, vector = tiny_space(family), rng.normal(size=32).astype(np.float32)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad(), space.intervened([Intervention(layer=-1, vector=vector, how="replace")]):
        found = space.model(input_ids=ids).logits[0, :, : space.n_vocab].numpy()
    expected = space.lens.logits(space.lens.input(np.tile(vector, (3, 1)), layer=-1))
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("family", ["opt", "gpt2"])
def test_where_texts_end_is_asked_anew_in_every_pass(family, rng):
    space = tiny_space(family)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with space.intervened([Intervention(layer=1, vector=rng.normal(size=32).astype(np.float32), where="last")]), torch.no_grad():
        before = space.model(input_ids=ids).logits
        space.encode(["one two three four five", "one two"])
        torch.testing.assert_close(space.model(input_ids=ids).logits, before)


def test_the_head_can_be_asked_for_while_the_last_state_moves():
    space = tiny_space("llama")
    with space.intervened([Intervention(layer=-1, vector=np.ones(32, dtype=np.float32))]):
        assert space.unembedding().shape == (space.n_vocab, 32)


def test_draws_do_not_depend_on_the_other_prompts():
    space = tiny_space("gpt2")
    together = space.generate(["the cat", "one two three four five"], temperature=1.0, seed=3, max_new_tokens=6)
    assert together[0] == space.generate(["the cat"], temperature=1.0, seed=3, max_new_tokens=6)[0]


def test_lens_logits_of_a_model_in_half_precision_keep_their_order(rng):
    model = type(tiny_space("llama").model)(tiny_space("llama").model.config).eval()
    with torch.no_grad():
        model.lm_head.weight += 1  # a part that all words share
    space = type(tiny_space("llama"))(model.to(torch.bfloat16), tokenizer=tiny_space("llama").tokenizer)
    inputs = torch.from_numpy(3 * rng.normal(size=(8, 32)).astype(np.float32) + 3).bfloat16().float().numpy()
    expected = inputs @ space.unembedding().T
    np.testing.assert_allclose(space.lens.logits(inputs), expected, rtol=1e-5, atol=1e-4)
