"""Perplexities against closed forms, a table of known probabilities, and one token at a time."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from torch import nn

from lexframe.data.factor_sentences import sample_sentences
from lexframe.exceptions import DataError, InputError, ModelError
from lexframe.generative.texts.text_perplexity import language_model_perplexity, text_perplexity
from tests.reference.sequence_scores import Bigram, bigram_table, ids_of, slow_log_probability
from tests.tiny_models import tiny_model, tiny_tokenizer

TEXTS = ["the cat sat on the mat", "a dog", "", " \n", "one two three four five six seven", "caffè and naïve words, 42 of them"]


def uniform_model():
    model = tf.LlamaForCausalLM(tiny_model("llama").config).eval()
    nn.init.zeros_(model.lm_head.weight)
    return model


def test_a_uniform_model_has_the_vocabulary_as_its_perplexity():
    result = text_perplexity(uniform_model(), tiny_tokenizer(), TEXTS, context=64)
    n_tokens = [len(ids_of(text)) - 1 if text.strip() else 0 for text in TEXTS]
    assert result.n_tokens.tolist() == n_tokens
    assert result.n_words.tolist() == [6, 2, 0, 0, 7, 7]
    assert result.n_without_words == 2
    np.testing.assert_allclose(result.nats, np.array(n_tokens) * math.log(320), rtol=1e-6)
    assert result.per_token.value == pytest.approx(320)
    assert result.per_token.interval == pytest.approx((320, 320))
    assert result.per_word.value == pytest.approx(math.exp(sum(n_tokens) * math.log(320) / 22))
    assert result.per_word.low < result.per_word.value < result.per_word.high


def test_a_table_is_added_up_by_hand():
    table = bigram_table()
    result = text_perplexity(Bigram(table), tiny_tokenizer(), TEXTS, context=64)
    nats = [-sum(table[one, other] for one, other in zip(ids_of(text), ids_of(text)[1:], strict=False)) for text in TEXTS]
    nats[3] = 0  # blanks are tokens, but no words
    np.testing.assert_allclose(result.nats, nats, rtol=1e-6)
    assert result.per_token.value == pytest.approx(math.exp(sum(nats) / result.n_tokens.sum()))
    assert result.per_word.value == pytest.approx(math.exp(sum(nats) / 22))


def test_texts_are_scored_alone_and_long_ones_in_windows():
    model = tiny_model("gpt2")
    corpus = [*TEXTS, "a dog " * 40]
    result = text_perplexity(model, tiny_tokenizer(), corpus, batch_tokens=100)  # the model takes 64 tokens
    assert result.provenance.parameters == {"model": "", "context": 64}
    assert result.n_tokens.max() > 64
    expected = [-slow_log_probability(model, ids_of(text), context=64, stride=32) if text.strip() else 0 for text in corpus]
    np.testing.assert_allclose(result.nats, expected, atol=2e-3)
    again = text_perplexity(model, tiny_tokenizer(), corpus[::-1], batch_tokens=1000)
    np.testing.assert_allclose(again.nats[::-1], result.nats, atol=2e-3)


def test_intervals_are_over_texts_and_depend_on_the_seed():
    table = bigram_table(1)
    corpus = [sentence.text for sentence in sample_sentences(80)]
    first, second = (text_perplexity(Bigram(table), tiny_tokenizer(), corpus, seed=seed, context=64) for seed in (0, 1))
    assert first.per_token.value == second.per_token.value
    assert first.per_token.interval != second.per_token.interval
    mean = math.log(first.per_word.value)
    residuals = first.nats - mean * first.n_words  # the delta method for a ratio
    half = 1.96 * residuals.std() * math.sqrt(80) / first.n_words.sum()
    assert np.log(first.per_word.interval) == pytest.approx(
        (math.log(first.per_word.value) - half, math.log(first.per_word.value) + half), abs=half / 3
    )
    assert text_perplexity(Bigram(table), tiny_tokenizer(), ["a dog", ""], context=64).per_word.interval is None


def test_as_plain_types():
    result = text_perplexity(uniform_model(), tiny_tokenizer(), TEXTS, name="flat", context=32)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (document["n_texts"], document["n_without_words"], document["n_words"]) == (6, 2, 22)
    assert document["perplexity_per_token"] == pytest.approx(320)
    assert document["provenance"]["parameters"] == {"model": "flat", "context": 32}


def test_the_embedded_model_prefers_sentences_to_the_same_words_in_disorder(rng):
    corpus = [sentence.text for sentence in sample_sentences(30)]
    shuffled = [" ".join(rng.permutation(text.split())) for text in corpus]
    real, mixed = (language_model_perplexity(texts) for texts in (corpus, shuffled))
    assert real.per_word.high < mixed.per_word.low
    assert real.provenance.parameters["model"] == "embedded"


def test_a_model_is_opened_from_its_folder(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    opened = language_model_perplexity(["a dog", "the cat sat"], str(tmp_path))
    loaded = text_perplexity(tiny_model("llama"), tiny_tokenizer(), ["a dog", "the cat sat"])
    np.testing.assert_allclose(opened.nats, loaded.nats, rtol=1e-5)


def test_a_masked_model_is_refused(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="BertConfig, which predicts no next token"):
        language_model_perplexity(["a dog"], str(tmp_path))


@pytest.mark.parametrize(
    ("texts", "options", "error", "message"),
    [
        ([], {}, DataError, "none of 0 has a word"),
        (["", "  "], {}, DataError, "none of 2 has a word"),
        (["a"], {"context": 65}, InputError, "context is 65, but the model takes 64"),
        (["a"], {"context": 0}, InputError, "context is 0"),
    ],
)
def test_what_is_refused(texts, options, error, message):
    with pytest.raises(error, match=message):
        text_perplexity(tiny_model("llama"), tiny_tokenizer(), texts, **options)


def test_tokenizers_without_a_separator_or_of_another_model_and_missing_models():
    bare = tf.PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer().backend_tokenizer)
    with pytest.raises(ModelError, match="neither a beginning- nor an end-of-text token"):
        text_perplexity(tiny_model("llama"), bare, ["a dog"])
    with pytest.raises(ModelError, match="Use the tokenizer of this model"):
        text_perplexity(Bigram(bigram_table(size=50)), tiny_tokenizer(), ["text"], context=64)
    with pytest.raises(ModelError, match="not finite"):
        text_perplexity(Bigram(torch.full((300, 300), torch.nan)), tiny_tokenizer(), ["text"], context=64)
    with pytest.raises(ModelError, match="no such folder"):
        language_model_perplexity(["a"], str(Path("no") / "such" / "folder"))
