"""The comparison: what it must find, what it must not, and how an adapter is kept and refused."""

import json

import numpy as np
import pytest

from lexframe import desk
from lexframe.adaptation import adapt, compare, load_adapter, make_methods, method_names, require_savable
from lexframe.adaptation.cells import ALL
from lexframe.adaptation.draws import Draws
from lexframe.adaptation.problem import Method
from lexframe.data import Table, desk_noisy_labels
from lexframe.data.desk_messages import PARENTS
from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from tests.planted import LABELS, planted_space, planted_table
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer


@pytest.fixture(scope="module")
def outcome():
    return adapt(planted_space(), planted_table(40, 0), planted_table(30, 1))


def test_planted_classes_are_found_by_every_trained_method(outcome):
    result, _ = outcome
    assert tuple(result.methods) == method_names("default")
    for method in ("lda", "logistic", "semantic-calibration", "posterior"):
        assert result.methods[method].accuracy.value > 0.85, method  # chance is a third
        assert result.methods[method].accuracy.low <= result.methods[method].accuracy.value <= result.methods[method].accuracy.high


def test_shuffled_training_labels_give_chance():
    # Three clusters leave little room for chance to even out within one shuffle, hence the mean over several.
    values = []
    for seed in range(6):
        result, _ = adapt(
            planted_space(), planted_table(30, seed, shuffled=True), planted_table(15, 100 + seed), methods=["lda", "nearest-basis"]
        )
        values.append(result.methods["lda"].accuracy.value)
    assert abs(np.mean(values) - 1 / 3) < 4 * max(np.std(values) / np.sqrt(6), 0.02)
    assert np.mean(values) < 0.6


def test_the_choice_is_made_without_the_test_and_the_same_call_gives_the_same_numbers(outcome):
    result, _ = outcome
    test = planted_table(30, 1)
    turned = Table(test.texts, (*test.labels[1:], test.labels[0]), test.source, 0, test.rows)
    other, _ = adapt(planted_space(), planted_table(40, 0), turned)
    assert other.chosen == result.chosen
    assert other.chosen_accuracy_in_training == result.chosen_accuracy_in_training
    for name, method in result.methods.items():
        assert np.array_equal(method.probabilities, other.methods[name].probabilities)


@pytest.mark.parametrize("family", ["gpt2", "phi", "gemma2", "bert"])  # the last three: a bias, a soft cap, a transform
def test_zero_shot_is_the_models_own_softmax(family):
    space = tiny_space(family)
    texts = ("the cat sat", "a dog on the mat", "one two", "x y z") * 5
    table = Table(texts, ("cat", "dog", "cat", "dog") * 5, "here", 0, tuple(range(20)))
    result, _ = adapt(space, table, table, methods=["zero-shot"], label_words={"cat": ["cat"], "dog": ["dog"]})
    logits = space.logits(space.encode(texts))
    scores = np.stack([logits[:, list(space.word_ids(word))].mean(1) for word in ("cat", "dog")], 1)
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(result.methods["zero-shot"].probabilities, expected, atol=1e-5)


def test_the_result_as_json_and_as_a_table(outcome):
    result, _ = outcome
    document = json.loads(json.dumps(result.to_dict()))
    assert set(document["methods"]) == set(method_names("default"))
    assert {"accuracy", "macro_f1", "accuracy_interval", "macro_f1_interval", "fit_seconds"} <= set(
        document["methods"]["semantic-calibration"]
    )
    assert document["encode_seconds"] >= 0
    assert document["provenance"]["space"]["digest"] == planted_space().fingerprint.digest
    assert result.to_frame().shape[0] == len(method_names("default"))
    assert "<table" in result._repr_html_()
    assert result.confusion().sum() == 90


def test_without_a_test_a_fifth_is_held_out():
    result, _ = adapt(planted_space(), planted_table(20, 0), methods=["lda"])
    assert (result.counts["train"], result.counts["test"]) == (48, 12)
    assert set(np.bincount(result.truth)) == {4}


def test_a_space_without_vocabulary_takes_the_trained_methods():
    from lexframe.spaces import SentenceEncoderSpace

    space = SentenceEncoderSpace(tiny_model("bert").bert, tokenizer=tiny_tokenizer(masked=True))
    result, _ = adapt(space, planted_table(12, 0), planted_table(6, 1))
    assert tuple(result.methods) == ("zero-shot", "tfidf", "lexical-nb", "lda", "logistic", "semantic-calibration", "posterior")
    assert result.bases is None
    assert result.chosen != "zero-shot"
    assert "the names of the labels alone, without a label, reach " in result.summary()
    with pytest.raises(InputError, match="no output vocabulary"):
        adapt(space, planted_table(12, 0), methods=["nearest-basis"])


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (("a", "a", "a"), ("a",), "one class only"),
        (("a", "b", "a", "b"), ("a", "c"), "'c'.*lacks|lacks.*'c'"),
        (("a", "b"), None, "single text cannot be split"),
    ],
)
def test_labels_that_cannot_be_used(train, test, message):
    def table(labels):
        return Table(tuple("please the" for _ in labels), labels, "file.csv", 0, tuple(range(len(labels))))

    with pytest.raises(DataError, match=message):
        adapt(planted_space(), table(train), None if test is None else table(test), methods=["lda"])


def test_unknown_methods_are_named():
    with pytest.raises(InputError, match="magic"):
        adapt(planted_space(), planted_table(5, 0), methods=["lda", "magic"])


def test_it_is_a_comparison_with_one_draw_of_all_labels(outcome):
    result, _ = outcome
    compared = compare(
        {"toy": planted_space()},
        planted_table(40, 0),
        planted_table(30, 1),
        methods="default",
        draws=Draws((ALL,), (0,), max_test=None),
    )
    for cell in compared.cells:
        own = result.methods[cell.method]
        np.testing.assert_array_equal(own.cell.predicted, cell.predicted)
        np.testing.assert_allclose(own.cell.log_probability, cell.log_probability, atol=1e-6)
        assert own.cell.choices == cell.choices
        assert own.accuracy == compared.accuracy("toy", cell.method, ALL)


def test_every_method_of_the_table_can_be_asked_for():
    result, adapter = adapt(planted_space(), planted_table(12, 0), planted_table(6, 1), methods="quick,vds-gold")
    assert set(result.methods) == {*method_names("quick"), "semantic-calibration-gold"}
    assert result.families[result.chosen] != "vocabulary"
    assert (adapter is None) == (not make_methods(result.chosen)[0].savable)


class Memory(Method):
    """Right on the texts that it has seen, at random elsewhere; cannot be kept."""

    name = "memory"
    description = "the label that was seen with the text"
    family = "points"

    def fit(self, problem):
        seen = dict(zip(problem.texts(problem.rows), problem.y, strict=True))

        class Remembering:
            n_parameters, choices = 0, {}

            def predict_proba(self, rows):
                return np.eye(problem.n_labels)[[seen.get(text, 0) for text in problem.texts(rows)]]

        return Remembering()


def test_the_winner_is_judged_on_labels_that_it_has_not_seen():
    train = planted_table(40, 0)
    result, adapter = adapt(planted_space(2), train, train, methods=[Memory(), "lda"])  # on these test texts it would win
    assert result.methods["memory"].accuracy.value == 1 > result.methods["lda"].accuracy.value
    assert result.chosen == "lda"
    assert adapter is not None
    alone, nothing = adapt(planted_space(), train, methods=[Memory()])
    assert (alone.chosen, nothing) == ("memory", None)


def test_what_cannot_be_saved_says_so_by_name():
    with pytest.raises(InputError, match="cannot be saved of icl-random, lora"):
        require_savable(make_methods("zero-shot,icl-random,lora,lda"))
    with pytest.raises(InputError, match="cannot be saved of zero-shot"):
        require_savable(make_methods("zero-shot"))
    require_savable(make_methods("default"))  # zero-shot among them is never chosen


@pytest.fixture
def folder(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("method", ["lda", "logistic", "class-mean", "vds", "posterior", "posterior-own-points", "nearest-basis"])
def test_an_adapter_comes_back_with_its_space(folder, tmp_path, method):
    from lexframe.spaces import open_space

    space = open_space(str(folder), layer=2, pooling="mean", template="Say {text}.", max_length=20)
    result, adapter = adapt(space, planted_table(12, 0), planted_table(6, 1), methods=method)
    adapter.save(tmp_path / "adapter")
    loaded = load_adapter(tmp_path / "adapter")
    predictions = loaded.predict(result.test_texts)
    np.testing.assert_allclose(predictions.probabilities, result.methods[result.chosen].probabilities, atol=1e-6)
    assert predictions.classes == LABELS
    assert loaded.predict([]).labels == ()
    assert loaded.predict([" "]).probabilities.shape == (1, 3)


def test_an_adapter_refuses_another_model_and_names_both(folder, tmp_path):
    from lexframe.spaces import open_space

    space = open_space(str(folder))
    _, adapter = adapt(space, planted_table(12, 0), methods=["lda"])
    adapter.save(tmp_path / "adapter")
    with pytest.raises(FingerprintMismatch) as error:
        load_adapter(tmp_path / "adapter", space=tiny_space("mistral"))
    assert space.fingerprint.digest in str(error.value)
    assert tiny_space("mistral").fingerprint.digest in str(error.value)
    with pytest.raises(FingerprintMismatch):
        load_adapter(tmp_path / "adapter", space=tiny_space("llama", layer=1))


def test_desk_is_what_it_says():
    train, test, noisy = desk("train"), desk("test"), desk_noisy_labels()
    assert (len(train), len(test)) == (800, 400)
    assert len({text.lower() for text in train.texts + test.texts}) == 1200
    for table, n in ((train, 100), (test, 50)):
        labels, counts = np.unique(table.labels, return_counts=True)
        assert labels.tolist() == sorted(PARENTS)
        assert set(counts) == {n}
    assert noisy.table.texts == train.texts
    assert noisy.true_labels == train.labels
    assert sum(noisy.planted) == 40
    assert [given != true for given, true in zip(noisy.table.labels, noisy.true_labels, strict=True)] == list(noisy.planted)
    with pytest.raises(InputError, match="'train' and 'test'"):
        desk("validation")
