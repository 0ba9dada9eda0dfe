"""Steering moves what it should by how much it should, and leaves no trace."""

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch, InputError, VocabularyError
from lexframe.instruments import GeneratedTextMetric, LabelWordOdds, TargetTexts, find_direction, frame_direction, steer, steered
from lexframe.instruments.directions.side_effects import SideEffectBudget
from lexframe.instruments.directions.steering import SteeredTexts
from lexframe.verdicts import Worth
from tests.steerable_toy import steerable_toy
from tests.tiny_models import tiny_space

PROMPTS = ["one old cat", "the red sun", "two new"]
ODDS = LabelWordOdds(("good",), ("bad",))


@pytest.fixture
def toy():
    return steerable_toy()


@pytest.fixture
def direction(toy):
    return frame_direction(toy, ["good"], ["bad"], layers=[0, 1])


def test_nothing_moves_at_strength_zero_and_nothing_stays():
    space = tiny_space("llama")
    direction = find_direction(space, ["the cat", "a cat"], ["the dog", "a dog"])
    before = space.token_states("the cat sat").states
    with steered(space, direction, layer=2, strength=0.0):
        np.testing.assert_array_equal(space.token_states("the cat sat").states, before)
    with steered(space, direction, layer=2, strength=5.0):
        assert not np.allclose(space.token_states("the cat sat").states[2], before[2])
    np.testing.assert_array_equal(space.token_states("the cat sat").states, before)
    with pytest.raises(RuntimeError), steered(space, direction, layer=2, strength=5.0):
        raise RuntimeError
    np.testing.assert_array_equal(space.token_states("the cat sat").states, before)


def test_contexts_nest():
    space = tiny_space("gpt2")
    direction = find_direction(space, ["the cat", "a cat"], ["the dog", "a dog"])
    before = space.token_states("the cat", layers=[1]).states
    with steered(space, direction, layer=1, strength=0.5), steered(space, -direction, layer=1, strength=0.5):
        np.testing.assert_allclose(space.token_states("the cat", layers=[1]).states, before, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1])
def test_the_effect_is_linear_in_the_strength_with_the_slope_of_the_logits(toy, direction, layer):
    rows = dict(zip(toy.words, toy.unembedding(), strict=True))
    slope = direction.vectors[layer] @ (rows["good"] - rows["bad"])
    before = ODDS(toy, PROMPTS)
    for strength in (-1.0, 0.3, 2.0):
        with steered(toy, direction, layer=layer, strength=strength):
            np.testing.assert_allclose(ODDS(toy, PROMPTS) - before, strength * slope, rtol=1e-4)
    assert slope > 0


def test_word_odds_are_those_of_the_models_softmax():
    import torch

    space = tiny_space("gpt2")
    with torch.no_grad():
        logits = space.model(torch.tensor([space.tokenizer("the cat").input_ids])).logits[0, -1, : space.n_vocab]
    chances = torch.softmax(logits, -1).numpy()
    high = [space.word_ids(word)[0] for word in ("good", "cat")]
    expected = np.log(chances[high].sum()) - np.log(chances[space.word_ids("dog")[0]])
    assert np.isclose(LabelWordOdds(("good", "cat"), ("dog",))(space, ["the cat"])[0], expected, atol=1e-4)


def test_words_that_cannot_be_told_apart_are_refused(toy):
    for metric in (LabelWordOdds(("good",), ("good",)), LabelWordOdds((), ("good",))):
        with pytest.raises(InputError, match="first token"):
            metric(toy, PROMPTS)
    with pytest.raises(VocabularyError):
        LabelWordOdds(("unheard",), ("good",))(toy, PROMPTS)


def test_target_texts_become_likelier(toy, direction):
    targets = TargetTexts(("good", "good good"), ("bad",))
    before = targets(toy, PROMPTS)
    with steered(toy, direction, layer=1, strength=0.5):
        assert (targets(toy, PROMPTS) > before).all()
    with pytest.raises(InputError, match="both poles"):
        TargetTexts((), ("bad",))(toy, PROMPTS)


def test_a_score_of_your_own(toy, direction):
    counted = GeneratedTextMetric(lambda texts: [text.count("good") for text in texts], max_new_tokens=3)
    with steered(toy, direction, layer=1, strength=20.0):
        np.testing.assert_array_equal(counted(toy, PROMPTS), 3)
    for bad in (lambda texts: [1.0], lambda texts: [np.nan] * len(texts)):
        with pytest.raises(InputError, match="one number a text"):
            GeneratedTextMetric(bad)(toy, PROMPTS)


def test_another_model_another_layer_and_a_space_without_a_head(direction):
    with pytest.raises(FingerprintMismatch, match="of two models"), steered(steerable_toy(seed=2), direction, layer=1, strength=1.0):
        pass
    with pytest.raises(InputError, match="no vector for layer 4"), steered(steerable_toy(), direction, layer=4, strength=1.0):
        pass


def test_a_template_stands_around_the_prompts_that_are_scored():
    plain, within = tiny_space("gpt2"), tiny_space("gpt2", template="Say {text}")
    expected = ODDS(plain, [f"Say {prompt}" for prompt in PROMPTS])
    np.testing.assert_allclose(ODDS(within, PROMPTS), expected, atol=1e-5)
    assert np.abs(ODDS(plain, PROMPTS) - expected).max() > 1e-3


def test_steered_texts_beside_unsteered_ones(toy, direction):
    texts = steer(toy, direction, PROMPTS, layer=1, strength=20.0, max_new_tokens=4)
    assert texts.steered == (" good good good good",) * 3
    assert texts.unsteered == tuple(toy.generate(PROMPTS, max_new_tokens=4))
    assert (texts.steered_perplexity > texts.unsteered_perplexity).all()
    assert np.isclose(texts.steered_distinct, 1 / 3)
    verdict = texts.verdict()
    assert verdict.worth is Worth.WORTHLESS  # one word over and over
    assert "Do not use this: the text breaks" in texts.summary()
    document = texts.to_dict()
    assert document["verdict"] == verdict.to_dict()
    assert document["texts"][0]["prompt"] == PROMPTS[0]
    assert document["provenance"]["parameters"]["direction"]["method"] == "frame"


@pytest.mark.parametrize(
    ("steered_to", "perplexity", "distinct", "worth", "says"),
    [
        ("they sang", 12.0, 0.9, Worth.UNSURE, "stays fluent"),
        ("they sang", 15.1, 0.9, Worth.WORTHLESS, "1.5 times that without steering"),
        ("they sang", 12.0, 0.71, Worth.WORTHLESS, "71% of the word pairs"),
        ("they ran", 10.0, 0.9, Worth.WORTHLESS, "changes none of 1 text"),
        ("", float("nan"), 0.9, Worth.WORTHLESS, "writes nothing"),
    ],
)
def test_a_text_that_breaks_is_called_so(steered_to, perplexity, distinct, worth, says):
    perplexities = (np.array([10.0]), np.array([perplexity]))
    texts = SteeredTexts(("And",), ("they ran",), (steered_to,), 1, 0.3, *perplexities, 0.9, distinct)
    assert texts.verdict().worth is worth
    assert says in str(texts.verdict())
    assert ("Do not use this" in texts.summary()) is (worth is Worth.WORTHLESS)
    assert texts.verdict(SideEffectBudget(fluency_ratio=None, distinct_ratio=None)).worth is (
        Worth.WORTHLESS if steered_to != "they sang" else Worth.UNSURE
    )
