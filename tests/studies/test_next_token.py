"""Generation in a domain: the frozen row is the model itself, kNN-LM is its slow loop, and what cannot be read is refused."""

import json
import sys

import numpy as np
import pytest
import torch
from tokenizers import processors

from lexframe.exceptions import DataError, InputError, MissingExtraError, ModelError
from lexframe.spaces.language_model.next_tokens import LanguageModelNextTokens
from lexframe.studies.lora_language_model import train_lora
from lexframe.studies.nearest_states import NeighborPrediction, fit_neighbors, mixed_losses, nearest_states, neighbor_probability
from lexframe.studies.next_token import NEXT_TOKEN_METHODS, LoraTime, compare_next_token
from lexframe.studies.next_token_states import read_next_tokens
from lexframe.training.language_model.evaluation import Windows, bits_per_byte
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

DOCUMENTS = ["the cat sat on the mat, " * 6, "caffè and naïve words", "x", "", "one two three four five six seven eight nine ten"]
CACHED = tuple(method for method in NEXT_TOKEN_METHODS if method != "lora")


def cat_texts(n, seed):
    """A small domain with a grammar of its own, which a random model does not know."""
    rng = np.random.default_rng(seed)
    nouns, verbs = ["cat", "dog", "mat"], ["sat", "sat on", "good", "bad"]
    return [f"the {rng.choice(nouns)} {rng.choice(verbs)} the {rng.choice(nouns)}" for _ in range(n)]


def windows_of(texts):
    return [np.array([0, *tiny_tokenizer().backend_tokenizer.encode(text).ids]) for text in texts]


@pytest.fixture(scope="module")
def outcome():
    return compare_next_token(tiny_space("llama"), cat_texts(150, 0), cat_texts(40, 1), methods=CACHED, windows=Windows(16))


# A bias, a soft cap, two scales, a head of its own and positions that are learnt.
@pytest.mark.parametrize("family", ["phi", "gemma2", "cohere", "granite", "llama", "gpt2"])
@pytest.mark.parametrize(("context", "stride"), [(16, 8), (5, 5), (64, 1)])
def test_the_frozen_row_is_the_models_own_bits_per_byte(family, context, stride):
    space = tiny_space(family)
    result = compare_next_token(space, "the cat sat on the mat " * 20, DOCUMENTS, methods=["frozen"], windows=Windows(context, stride, 3))
    expected = bits_per_byte(space.model, space.tokenizer, DOCUMENTS, windows=Windows(context, stride))
    assert result.methods["frozen"].bits_per_byte.value == pytest.approx(expected.bits_per_byte.value, rel=1e-5)
    assert (result.n_held_out_tokens, result.n_held_out_bytes) == (expected.n_tokens, expected.n_bytes)
    assert result.methods["frozen"].difference.value == 0
    assert result.methods["frozen"].perplexity.value == pytest.approx(
        2 ** (expected.bits_per_byte.value * expected.n_bytes / expected.n_tokens), rel=1e-4
    )


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_positions_follow_the_text_whatever_the_batch(batch_size):
    known = read_next_tokens(tiny_space("llama").next_tokens, DOCUMENTS, context=8, stride=4, batch_size=batch_size)
    whole = read_next_tokens(tiny_space("llama").next_tokens, DOCUMENTS, context=64, stride=64)
    np.testing.assert_array_equal(known.next_ids, np.concatenate([ids[1:] for ids in windows_of(DOCUMENTS)]))
    for number, text in enumerate(DOCUMENTS):
        assert known.n_bytes[known.documents == number].sum() == len(text.encode())
    assert (np.diff(known.windows) >= 0).all()
    first = known.windows == 0  # in the first window nothing before it is lacking
    np.testing.assert_allclose(known.states[first], whole.states[: first.sum()], atol=1e-5)
    assert known.states.shape == whole.states.shape == (len(known), 32)


def test_a_tokenizer_without_separator_leaves_the_first_token_out():
    tokenizer = type(tiny_tokenizer())(tokenizer_object=tiny_tokenizer().backend_tokenizer)
    known = read_next_tokens(LanguageModelNextTokens(tiny_model("llama"), tokenizer), DOCUMENTS, context=64)
    np.testing.assert_array_equal(known.next_ids, np.concatenate([ids[2:] for ids in windows_of(DOCUMENTS)]))
    texts = [text for text, ids in zip(DOCUMENTS, windows_of(DOCUMENTS), strict=True) if len(ids) > 2]
    assert known.n_bytes.sum() == sum(len(text.encode()) for text in texts)


def test_the_callers_tokenizer_keeps_its_settings():
    backend = type(tiny_tokenizer().backend_tokenizer).from_str(tiny_tokenizer().backend_tokenizer.to_str())
    backend.enable_truncation(3)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A <s>", special_tokens=[("<s>", 0)])
    tokenizer = type(tiny_tokenizer())(tokenizer_object=backend, bos_token="<s>")
    before = tokenizer.backend_tokenizer.to_str()
    known = read_next_tokens(LanguageModelNextTokens(tiny_model("llama"), tokenizer), DOCUMENTS, context=64)
    np.testing.assert_array_equal(known.next_ids, np.concatenate([ids[1:] for ids in windows_of(DOCUMENTS)]))
    assert tokenizer.backend_tokenizer.to_str() == before


def test_every_method_predicts_the_domain_better_than_the_frozen_model(outcome):
    assert tuple(outcome.methods) == CACHED
    for method in CACHED[1:]:
        score = outcome.methods[method]
        assert score.difference.high < 0, method
        assert score.perplexity.low <= score.perplexity.value <= score.perplexity.high
        assert score.n_parameters > 0
        assert score.choices["tail_loss"] < outcome.methods["frozen"].choices["tail_loss"]
    assert outcome.best_calibration in ("unigram", "affine", "neural")
    assert outcome.unit == "document"
    assert (outcome.n_domain_documents, outcome.n_held_out_documents) == (150, 40)


def test_held_out_text_is_scored_and_nothing_else(outcome):
    other = compare_next_token(tiny_space("llama"), cat_texts(150, 0), ["one two three", "four five"], methods=CACHED, windows=Windows(16))
    for method in CACHED:
        assert other.methods[method].choices == outcome.methods[method].choices
    assert other.best_calibration == outcome.best_calibration


def test_the_same_call_gives_the_same_numbers(outcome):
    again = compare_next_token(tiny_space("llama"), cat_texts(150, 0), cat_texts(40, 1), methods=CACHED, windows=Windows(16))
    for method, score in outcome.methods.items():
        assert again.methods[method].bits_per_byte == score.bits_per_byte
        assert again.methods[method].difference == score.difference


def test_the_result_as_json_and_as_a_table(outcome):
    document = json.loads(json.dumps(outcome.to_dict()))
    assert set(document["methods"]) == set(CACHED)
    assert {"perplexity", "bits_per_byte", "bits_per_byte_minus_frozen", "fit_seconds", "n_parameters"} <= set(
        document["methods"]["affine"]
    )
    assert (document["context"], document["stride"], document["unit"]) == (16, 8, "document")
    assert document["provenance"]["space"]["digest"] == tiny_space("llama").fingerprint.digest
    assert outcome.to_frame().index.tolist() == list(CACHED)
    assert "<table" in outcome._repr_html_()
    assert "perplexity" in outcome.summary()


def test_documents_on_both_sides_are_counted(outcome):
    assert outcome.n_shared_documents == sum(text in cat_texts(150, 0) for text in cat_texts(40, 1)) > 0


def test_one_long_document_has_intervals_over_windows():
    result = compare_next_token(
        tiny_space("llama"), " ".join(cat_texts(60, 0)), " ".join(cat_texts(40, 1)), methods=["unigram"], windows=Windows(16)
    )
    assert result.unit == "window"
    assert result.methods["unigram"].difference.low < result.methods["unigram"].difference.high


def slow_neighbor_probability(query, target, states, ids, k, temperature):
    """The definition, one query at a time."""
    distances = [float(((query - state) ** 2).sum()) for state in states]
    nearest = sorted(range(len(states)), key=lambda row: distances[row])[:k]
    weights = {row: np.exp(-distances[row] / temperature) for row in nearest}
    return sum(weight for row, weight in weights.items() if ids[row] == target) / sum(weights.values())


@pytest.mark.parametrize(("k", "temperature", "weight"), [(1, 1.0, 0.5), (5, 0.7, 0.25), (30, 3.0, 0.9)])
def test_knn_lm_is_its_slow_loop(k, temperature, weight, rng):
    states, ids = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    queries, targets = rng.normal(size=(12, 4)), rng.integers(0, 4, 12)  # token 3 is never stored
    frozen = rng.uniform(0.5, 4, 12)
    slow = np.array([slow_neighbor_probability(q, t, states, ids, k, temperature) for q, t in zip(queries, targets, strict=True)])
    distances, rows = nearest_states(queries, states, k)
    fast = neighbor_probability(distances, ids[rows] == targets[:, None], temperature)
    np.testing.assert_allclose(fast, slow, atol=1e-12)
    np.testing.assert_allclose(mixed_losses(fast, frozen, weight), -np.log(weight * slow + (1 - weight) * np.exp(-frozen)), rtol=1e-9)


def test_nearest_states_in_blocks_are_the_same_as_at_once(rng):
    states, queries = rng.normal(size=(40, 5)).astype(np.float32), rng.normal(size=(17, 5)).astype(np.float32)
    whole = nearest_states(queries, states, 7)
    for block in (1, 40, 123):
        distances, rows = nearest_states(queries, states, 7, block=block)
        np.testing.assert_allclose(distances, whole[0], atol=1e-5)
        np.testing.assert_array_equal(rows, whole[1])


def test_probabilities_of_the_neighbours_add_up(rng):
    distances, rows = nearest_states(rng.normal(size=(6, 4)), rng.normal(size=(30, 4)), 8)
    ids = rng.integers(0, 5, 30)
    total = sum(neighbor_probability(distances, ids[rows] == token, 0.5) for token in range(5))
    np.testing.assert_allclose(total, 1)


def test_neighbours_that_tell_nothing_leave_the_frozen_model_alone(rng):
    states, ids, frozen = rng.normal(size=(300, 4)), rng.integers(0, 1000, 300), np.full(50, 0.1)
    model, loss = fit_neighbors(states, ids, frozen)
    assert model.weight == 0
    assert loss == pytest.approx(0.1)
    np.testing.assert_array_equal(mixed_losses(np.zeros(50), frozen, 0.0), frozen)


def test_neighbours_that_repeat_are_trusted(rng):
    states, ids = np.tile(rng.normal(size=(20, 4)), (10, 1)), np.tile(np.arange(20), 10)
    model, loss = fit_neighbors(states, ids, np.full(40, 6.0))
    assert isinstance(model, NeighborPrediction)
    assert model.weight == 0.9
    assert loss < 0.2
    assert len(model.states) == 200  # the tail is stored once the choice is made


class TestLora:
    @pytest.fixture(autouse=True)
    def _peft(self):
        pytest.importorskip("peft", reason="lifts with the extra peft")

    def test_a_row_for_every_multiple_of_the_time_and_the_model_is_left_alone(self):
        space = tiny_space("llama")
        before = {name: tensor.clone() for name, tensor in space.model.state_dict().items()}
        result = compare_next_token(
            space, cat_texts(60, 0), cat_texts(9, 1), methods=["unigram", "lora"], windows=Windows(16), lora=LoraTime(0.3, (1.0, 2.0))
        )
        assert tuple(result.methods) == ("frozen", "unigram", "lora", "lora-2x")
        assert result.methods["lora-2x"].fit_seconds >= 0.6
        assert all(torch.equal(tensor, before[name]) for name, tensor in space.model.state_dict().items())
        assert not space.model.training
        assert not any("lora" in name for name, _ in space.model.named_modules())

    @pytest.mark.parametrize("family", ["llama", "gpt2", "phi"])
    def test_training_helps(self, family):
        held_out = cat_texts(40, 1)
        run = train_lora(tiny_model(family), windows_of(cat_texts(150, 0)), windows_of(cat_texts(20, 2)), seconds=3600.0, max_steps=40)
        before, after = (bits_per_byte(model, tiny_tokenizer(), held_out, windows=Windows(16)) for model in (tiny_model(family), run.model))
        assert after.bits_per_byte.value < 0.95 * before.bits_per_byte.value
        assert (run.n_steps, type(run.model)) == (40, type(tiny_model(family)))

    @pytest.mark.parametrize("family", ["llama", "gpt2"])
    def test_training_that_only_makes_things_worse_is_undone(self, family):
        own = torch.arange(5)[:, None]
        with torch.no_grad():
            for _ in range(20):  # what the model says itself; to learn anything else makes it less likely
                own = torch.cat([own, tiny_model(family)(own).logits[:, -1:].argmax(dim=2)], dim=1)
        windows = windows_of(cat_texts(20, 0))
        run = train_lora(tiny_model(family), windows, list(own.numpy()), seconds=3600.0, max_steps=30, learning_rate=0.03)
        ids = torch.arange(8)[None]
        with torch.no_grad():
            difference = run.model(ids).logits - tiny_model(family)(ids).logits
        assert difference.abs().max() < 1e-4

    def test_the_same_steps_give_the_same_model(self):
        windows = windows_of(cat_texts(20, 0))
        runs = [train_lora(tiny_model("llama"), windows, windows[:3], seconds=1e9, max_steps=3, seed=seed) for seed in (0, 0, 1)]
        assert runs[0].tail_loss == pytest.approx(runs[1].tail_loss, rel=1e-6)
        assert runs[0].tail_loss != runs[2].tail_loss

    def test_time_comes_from_the_best_calibration(self):
        result = compare_next_token(
            tiny_space("llama"),
            cat_texts(60, 0),
            cat_texts(9, 1),
            methods=["affine", "lora"],
            windows=Windows(16),
            lora=LoraTime(multiples=(1.0,)),
        )
        budget = result.encode_seconds + result.methods["affine"].fit_seconds
        assert result.methods["lora"].choices["seconds"] == pytest.approx(budget, abs=1e-3)

    def test_without_time_or_text(self):
        windows = windows_of(cat_texts(3, 0))
        for seconds, known, tail in ((0.0, windows, windows), (1.0, [], windows), (1.0, windows, [])):
            with pytest.raises(InputError, match="needs some of each"):
                train_lora(tiny_model("llama"), known, tail, seconds=seconds)


def test_without_peft_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"lexframe\[peft\]"):
        compare_next_token(
            tiny_space("llama"), cat_texts(30, 0), cat_texts(5, 1), methods=["lora"], windows=Windows(16), lora=LoraTime(0.1, (1.0,))
        )


@pytest.mark.parametrize(
    ("domain", "held_out", "options", "error", "message"),
    [
        ("", "the cat", {}, DataError, "domain text is empty"),
        (["", ""], "the cat", {}, DataError, "domain text is empty"),
        ("the cat", [], {}, DataError, "held-out text is empty"),
        ("the cat", ["the cat", "sat"], {}, DataError, "fewer than one window of 16"),
        ("the cat sat " * 30, "the cat", {}, DataError, "single window"),
        ("the cat sat " * 30, ["a", "b"], {"methods": ["magic"]}, InputError, "magic"),
        ("the cat sat " * 30, ["a", "b"], {"methods": ["lora"]}, InputError, "no time to go by"),
        ("the cat sat " * 30, ["a", "b"], {"windows": Windows(65)}, InputError, "takes 64 tokens"),
        ("the cat sat " * 30, ["a", "b"], {"windows": Windows(16, 17)}, InputError, "stride <= context"),
        ("the cat sat " * 30, ["a", "b"], {"windows": Windows(0, 1)}, InputError, "stride <= context"),
    ],
)
def test_what_cannot_be_read_is_refused(domain, held_out, options, error, message):
    with pytest.raises(error, match=message):
        compare_next_token(tiny_space("llama"), domain, held_out, **{"methods": ["unigram"], "windows": Windows(16), **options})


def test_a_masked_model_is_refused():
    with pytest.raises(InputError, match="does not predict the next token"):
        compare_next_token(tiny_space("bert"), "the cat sat " * 30, ["a", "b"], windows=Windows(16))


def test_ids_of_another_vocabulary_are_refused():
    model = type(tiny_model("llama"))(type(tiny_model("llama").config)(**{**tiny_model("llama").config.to_dict(), "vocab_size": 100}))
    with pytest.raises(ModelError, match="knows 100 tokens"):
        read_next_tokens(LanguageModelNextTokens(model, tiny_tokenizer()), DOCUMENTS, context=16)
