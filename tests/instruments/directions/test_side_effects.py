"""Divergence, perplexity and repetition against the model's own numbers."""

import numpy as np
import pytest
import torch

from lexframe.exceptions import InputError
from lexframe.instruments import find_direction, steered
from lexframe.instruments.directions import side_effects
from lexframe.instruments.directions.side_effects import NeutralReading, continuation_log_loss, distinct_share, head_space
from tests.tiny_models import tiny_space


def log_probabilities(space, text):
    ids = torch.tensor([space.tokenizer(text).input_ids])
    with torch.no_grad():
        logits = space.model(ids).logits[0, :, : space.n_vocab]
    return ids[0], torch.log_softmax(logits.double(), -1)


def test_divergence_and_perplexity_are_those_of_the_models_own_pass():
    space, text = tiny_space("llama"), "one two three four"
    direction = find_direction(space, ["the cat", "a cat"], ["the dog", "a dog"])
    reading = NeutralReading(space, [text])
    still = reading.compared()
    assert abs(still.divergence[0]) < 1e-6
    ids, before = log_probabilities(space, text)
    with steered(space, direction, layer=2, strength=0.7):
        _, after = log_probabilities(space, text)
        found = reading.compared()
    divergence = (before.exp() * (before - after)).sum(-1)[:-1].mean()
    rows = torch.arange(len(ids) - 1)
    change = (before[rows, ids[1:]] - after[rows, ids[1:]]).mean()
    assert found.divergence[0] > 0.01
    np.testing.assert_allclose([found.divergence[0], found.log_loss_change[0]], [float(divergence), float(change)], rtol=1e-3)


def test_loss_of_a_continuation_is_that_of_its_tokens():
    space = tiny_space("gpt2")
    ids, expected = log_probabilities(space, "the cat sat on")
    n_prompt = len(space.tokenizer("the cat").input_ids)
    mean = expected[torch.arange(n_prompt - 1, len(ids) - 1), ids[n_prompt:]].mean()
    found = continuation_log_loss(space, ["the cat", "the cat"], [" sat on", ""])
    assert np.isclose(found[0], -float(mean), rtol=1e-4)
    assert np.isnan(found[1])


@pytest.mark.parametrize("rows_at_once", [1, 5, 1_000])
def test_texts_that_go_through_the_head_together_have_the_numbers_of_each_alone(rows_at_once, monkeypatch):
    space, texts = tiny_space("llama"), ["one two three four", "the cat", "a dog ran to the house", "two three"]
    direction = find_direction(space, ["the cat", "a cat"], ["the dog", "a dog"])
    begun, written = ["the", "a", "one two", "the cat"], [" cat sat", "", " three four five", " sat on the mat"]
    alone = [NeutralReading(space, [text]) for text in texts]
    with steered(space, direction, layer=2, strength=0.7):
        expected = [reading.compared() for reading in alone]
    losses = [continuation_log_loss(space, [start], [rest])[0] for start, rest in zip(begun, written, strict=True)]
    monkeypatch.setattr(side_effects, "ROWS_AT_ONCE", rows_at_once)
    reading = NeutralReading(space, texts)
    with steered(space, direction, layer=2, strength=0.7):
        found = reading.compared()
    np.testing.assert_allclose(found.divergence, [each.divergence[0] for each in expected], rtol=1e-4)
    np.testing.assert_allclose(found.log_loss_change, [each.log_loss_change[0] for each in expected], rtol=1e-4)
    np.testing.assert_allclose(continuation_log_loss(space, begun, written), losses, rtol=1e-5)
    assert np.isnan(losses[1])


def test_distinct_pairs_of_words():
    assert distinct_share(["a b a b a"]) == 0.5
    assert distinct_share(["a b c", "x x x x"]) == (1 + 1 / 3) / 2
    assert distinct_share(["word", ""]) == 1
    assert np.isnan(distinct_share([]))


def test_texts_that_cannot_be_read_are_refused():
    space = tiny_space("gpt2")
    for texts, message in (([], "No neutral text"), (["x"], "fewer than two tokens")):
        with pytest.raises(InputError, match=message):
            NeutralReading(space, texts)


def test_a_template_stands_around_the_prompts_and_not_around_what_follows_or_neutral_texts():
    plain, within = tiny_space("gpt2"), tiny_space("gpt2", template="<{text}> so")
    prompts, following = ["the cat", "a dog"], [" sat on", " ran"]
    filled = [f"<{prompt}> so" for prompt in prompts]
    expected = continuation_log_loss(plain, filled, following)
    np.testing.assert_allclose(continuation_log_loss(within, prompts, following), expected, atol=1e-6)
    assert np.abs(expected - continuation_log_loss(plain, prompts, following)).min() > 1e-3
    assert head_space(within).fingerprint == head_space(plain).fingerprint
    assert head_space(plain) is plain
    texts = ["the cat sat"]
    np.testing.assert_array_equal(NeutralReading(within, texts)._read[0][0], NeutralReading(plain, texts)._read[0][0])
