"""Scores against closed forms, tables of known probabilities and a slow reference; averages against hand counts."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as tf

from lexframe.exceptions import DataError, InputError, ModelError
from lexframe.training.language_model.evaluation import (
    PROMPTS,
    EvaluationData,
    Windows,
    bits_per_byte,
    evaluate_language_model,
    sample_continuations,
)
from lexframe.training.language_model.grammatical_pairs import minimal_pairs
from tests.reference.sequence_scores import Bigram, bigram_table, ids_of
from tests.tiny_models import TEXTS, tiny_model, tiny_tokenizer
from tests.training.language_model.test_grammatical_pairs import make_pairs, uniform_model

DOCUMENTS = [*TEXTS, "the cat sat on the mat and " * 6, "a dog " * 15, "naïve café, 42 words of it. " * 4]


def test_bits_per_byte_of_a_uniform_model_is_a_closed_form():
    result = bits_per_byte(uniform_model(), tiny_tokenizer(), DOCUMENTS, windows=Windows(32, 16))
    n_tokens = sum(len(ids_of(text)) - 1 for text in DOCUMENTS)
    n_bytes = sum(len(text.encode()) for text in DOCUMENTS)
    assert (result.n_tokens, result.n_bytes, result.n_documents) == (n_tokens, n_bytes, len(DOCUMENTS) - 1)  # one is empty
    assert result.bits_per_byte.value == pytest.approx(math.log2(320) * n_tokens / n_bytes, rel=1e-6)
    assert result.bits_per_byte.low < result.bits_per_byte.value < result.bits_per_byte.high
    assert (result.context, result.stride) == (32, 16)


def test_bits_per_byte_of_a_table_is_added_up_by_hand():
    table = bigram_table()
    result = bits_per_byte(Bigram(table), tiny_tokenizer(), DOCUMENTS, windows=Windows(7, 3))
    nats = -sum(table[one, other] for text in DOCUMENTS for one, other in zip(ids_of(text), ids_of(text)[1:], strict=False))
    assert result.bits_per_byte.value == pytest.approx(nats / math.log(2) / sum(len(text.encode()) for text in DOCUMENTS), rel=1e-6)


def test_without_a_separator_the_first_token_is_unscored():
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer().backend_tokenizer)
    table = bigram_table()
    ids = ids_of("the cat sat")[1:]
    result = bits_per_byte(Bigram(table), tokenizer, ["the cat sat"])
    assert result.n_tokens == len(ids) - 1
    assert result.bits_per_byte.value == pytest.approx(-table[ids[:-1], ids[1:]].sum() / math.log(2) / 11, rel=1e-6)
    assert result.bits_per_byte.interval is None


def test_the_end_of_text_token_stands_in_for_a_missing_beginning():
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer().backend_tokenizer, eos_token="<s>")
    model = Bigram(bigram_table())
    assert bits_per_byte(model, tokenizer, ["a dog"]).to_dict() == bits_per_byte(model, tiny_tokenizer(), ["a dog"]).to_dict()


def test_max_bytes_cuts_at_the_end_of_a_character():
    texts = ["abcdé", "never reached"]
    assert bits_per_byte(uniform_model(), tiny_tokenizer(), texts, max_bytes=5, windows=Windows(64)).n_bytes == 4
    assert bits_per_byte(uniform_model(), tiny_tokenizer(), texts, max_bytes=6, windows=Windows(64)).n_documents == 1
    assert bits_per_byte(uniform_model(), tiny_tokenizer(), texts, max_bytes=9, windows=Windows(64)).n_bytes == 9
    with pytest.raises(InputError, match="max_bytes is 0"):
        bits_per_byte(uniform_model(), tiny_tokenizer(), texts, max_bytes=0)


def test_the_caller_keeps_tokenizer_settings_model_mode_and_gradients():
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer().backend_tokenizer.from_str(tiny_tokenizer().backend_tokenizer.to_str())
    )
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=50)
    model = tf.LlamaForCausalLM(tf.LlamaConfig(**{**tiny_model("llama").config.to_dict(), "attention_dropout": 0.5})).train()
    first, second = (bits_per_byte(model, tokenizer, ["the cat sat on the mat"], windows=Windows(64)) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert first.n_tokens == len(ids_of("the cat sat on the mat")) - 2
    assert model.training
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 3
    assert tokenizer.backend_tokenizer.padding["length"] == 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 65}, "context is 65, but the model takes 64"),
        ({"context": 32, "stride": 33}, "stride 33"),
        ({"context": 32, "stride": 0}, "stride 0"),
    ],
)
def test_windows_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        bits_per_byte(tiny_model("llama"), tiny_tokenizer(), ["text"], windows=Windows(**{"stride": 16, **options}))


def test_no_text_and_a_tokenizer_of_another_model_are_refused():
    with pytest.raises(DataError, match="every document is empty"):
        bits_per_byte(tiny_model("llama"), tiny_tokenizer(), ["", ""])
    with pytest.raises(ModelError, match="Use the tokenizer of this model"):
        bits_per_byte(Bigram(bigram_table(size=50)), tiny_tokenizer(), ["text"])
    with pytest.raises(ModelError, match="not a fast tokenizer"):
        bits_per_byte(tiny_model("llama"), SimpleNamespace(), ["text"])


def test_a_model_that_gives_no_numbers_is_refused():
    with pytest.raises(ModelError, match="not finite"):
        bits_per_byte(Bigram(np.full((300, 300), np.nan)), tiny_tokenizer(), ["text"])


def test_samples_depend_on_the_seed_and_leave_the_random_state():
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = sample_continuations(model, tokenizer, max_new_tokens=8)
    assert torch.equal(torch.rand(2), expected)
    assert [sample["prompt"] for sample in first] == list(PROMPTS)
    assert sample_continuations(model, tokenizer, max_new_tokens=8) == first
    assert sample_continuations(model, tokenizer, max_new_tokens=8, seed=1) != first
    for options in ({"temperature": 0.0}, {"top_p": 0.0}):
        with pytest.raises(InputError, match="expected temperature > 0"):
            sample_continuations(model, tokenizer, **options)


def test_nearly_no_temperature_is_greedy():
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    ids = torch.tensor([ids_of("the cat")])
    with torch.no_grad():
        for _ in range(6):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
    expected = tokenizer.decode(ids[0, len(ids_of("the cat")) :].tolist(), skip_special_tokens=True)
    sample = sample_continuations(model, tokenizer, prompts=["the cat"], max_new_tokens=6, temperature=1e-4)[0]
    assert expected.startswith(sample["continuation"])  # which ends at the end-of-text token


def test_an_evaluation_is_flat_and_holds_what_was_asked_for():
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    result = evaluate_language_model(
        model, tokenizer, EvaluationData(iter(DOCUMENTS), make_pairs(), ["the cat"]), name="tiny", windows=Windows(32)
    )
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["model"] == "tiny"
    assert document["n_parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert document["bits_per_byte"] == bits_per_byte(model, tokenizer, DOCUMENTS, windows=Windows(32, 16)).bits_per_byte.value
    assert document["blimp"] == minimal_pairs(model, tokenizer, make_pairs()).accuracy.value
    assert set(document["blimp_by_phenomenon"]) == {"agreement", "islands"}
    assert (document["context"], document["stride"], len(document["samples"])) == (32, 16, 1)
    assert len(document["bits_per_byte_interval"]) == len(document["blimp_interval"]) == 2
    how = {"context": 32, "stride": None, "max_bytes": None, "separator": "<s>", "dtype": "float32"}
    assert document["provenance"]["parameters"] == how
    only_pairs = evaluate_language_model(model, tokenizer, EvaluationData(pairs=make_pairs()), name="tiny").to_dict()
    assert only_pairs["bits_per_byte"] is only_pairs["context"] is only_pairs["samples"] is None
    with pytest.raises(InputError, match="Nothing to evaluate"):
        EvaluationData()


def test_shared_weights_count_once():
    result = evaluate_language_model(tiny_model("llama_tied"), tiny_tokenizer(), EvaluationData(pairs=make_pairs()), name="tied")
    assert result.n_parameters == sum(parameter.numel() for parameter in tiny_model("llama").parameters()) - 320 * 32
