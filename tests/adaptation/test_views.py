"""Several models at once: each alone under its name, all together in posterior calibration, kept and opened again."""

import json

import numpy as np
import pytest

from lexframe.adaptation import Draws, adapt, compare, load_adapter, make_methods
from lexframe.adaptation.adaptation import best_in_training, without_parts
from lexframe.adaptation.page import adaptation_report, comparison_report
from lexframe.adaptation.views import OnView, methods_on, models_by_name, together, words_of_models
from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.latents import Reading, TextReader
from lexframe.spaces import LexicalSpace, ToySpace
from tests.planted import planted_space, planted_table

TRAIN, TEST = planted_table(20, 0), planted_table(30, 1)


@pytest.fixture(scope="module")
def two():
    return {"good": planted_space(), "poor": planted_space(2)}


@pytest.fixture(scope="module")
def both(two):
    return adapt([*two.values(), "tfidf"], TRAIN, TEST, methods="zero-shot,tfidf,lda,posterior")


def test_names_of_models():
    space = planted_space()
    assert list(models_by_name("gpt2")) == ["gpt2"]
    assert list(models_by_name(["a", "b", "a", "a"])) == ["a", "b", "a (2)", "a (3)"]
    assert list(models_by_name([space, TextReader(space)])) == ["toy", "toy (2)"]
    assert models_by_name({"x": space}) == {"x": space}
    assert together(["a", "b"]) == "a + b"
    with pytest.raises(InputError, match="No model is given"):
        models_by_name([])


def test_every_method_reads_each_model_and_some_read_all(two):
    able, left_out = methods_on(make_methods("nearest-basis,tfidf,lda,posterior"), {"good": planted_space(), "words": LexicalSpace()})
    assert [method.name for method in able] == [
        *("nearest-basis (good)", "tfidf", "lda (good)", "lda (words)"),
        *("posterior", "posterior (good)", "posterior (words)"),
    ]
    assert list(left_out) == ["nearest-basis (words)"]
    one, _ = methods_on(make_methods("tfidf,lda,posterior"), {"good": planted_space()})
    assert [method.name for method in one] == ["tfidf", "lda", "posterior"]
    view = OnView(make_methods("posterior")[0], 1, "words")
    assert (view.savable, view.is_quick, view.learns, view.least_shots, view.control) == (True, True, True, 0, False)
    assert view.key() != OnView(make_methods("posterior")[0], 0, "words (2)").key()


def test_all_at_once_is_chosen_unless_another_is_clearly_better(two):
    able, _ = methods_on(make_methods("tfidf,lda,posterior"), dict(two))
    rivals = without_parts(able)
    assert [method.name for method in rivals] == ["tfidf", "lda (good)", "lda (poor)", "posterior"]
    assert best_in_training({"lda (good)": 0.80, "posterior": 0.77}, rivals, 100) == "posterior"
    assert best_in_training({"lda (good)": 0.80, "posterior": 0.75}, rivals, 100) == "lda (good)"
    assert best_in_training({"lda (good)": 0.80, "posterior": 0.79}, rivals, 10_000) == "lda (good)"
    assert best_in_training({"lda": 0.80, "posterior": 0.79}, make_methods("lda,posterior"), 100) == "lda"  # one model: the best


def test_a_model_alone_gives_what_it_gives_when_it_is_alone(two, both):
    result, _ = both
    alone, _ = adapt(two["poor"], TRAIN, TEST, methods="zero-shot,lda,posterior")
    for name, method in alone.methods.items():
        np.testing.assert_array_equal(result.methods[f"{name} (toy (2))"].probabilities, method.probabilities)
    first, _ = adapt(two["good"], TRAIN, TEST, methods="posterior")
    assert not np.array_equal(result.methods["posterior"].probabilities, first.methods["posterior"].probabilities)
    assert result.views == ("toy", "toy (2)", "tfidf")


def test_what_one_model_lacks_another_has():
    """Two models that see half of the words each: together they tell classes apart that neither tells alone."""
    left = ToySpace({"red": [1.0, 0.0, 0.2], "blue": [0.0, 1.0, 0.1], "warm": [0.5, 0.5, 0.5]})
    right = ToySpace({"loud": [1.0, 0.0, 0.2], "calm": [0.0, 1.0, 0.1], "warm": [0.5, 0.5, 0.5]})
    texts = tuple(f"{color} {sound}" for color in ("red", "blue") for sound in ("loud", "calm")) * 15
    labels = tuple("same" if text in ("red loud", "blue calm") else text for text in texts)
    words = {"same": ["warm"], "red calm": ["red"], "blue loud": ["blue"]}
    more = {"same": ["warm"], "red calm": ["calm"], "blue loud": ["loud"]}
    result, _ = adapt(
        {"left": left, "right": right},
        (texts, labels),
        (texts, labels),
        methods="posterior",
        label_words={"left": words, "right": more},
    )
    joint = result.methods["posterior"].accuracy.value
    assert joint > max(result.methods[f"posterior ({name})"].accuracy.value for name in ("left", "right")) + 0.2
    assert result.label_words["red calm"][0]["word"] == "red"


def test_pages_and_json_name_the_models(both, tmp_path):
    result, _ = both
    page = adaptation_report(result, tmp_path / "page.html").read_text()
    document = json.loads(json.dumps(result.to_dict()))
    assert "posterior (tfidf)" in page
    assert document["views"] == ["toy", "toy (2)", "tfidf"]
    assert list(document["provenance"]["parameters"]["views"]) == ["toy", "toy (2)", "tfidf"]
    assert result.best_view in result.methods
    if result.chosen == "posterior":
        assert "at once" in result.summary()
        assert "the best on one of them alone" in result.summary()


def test_an_adapter_reads_all_its_models_again(two, tmp_path):
    result, adapter = adapt([*two.values(), "tfidf"], TRAIN, TEST, methods="posterior-without-prior,posterior")
    chosen = result.methods[result.chosen]
    spaces = [view.space for view in adapter.views]
    adapter.save(tmp_path)
    loaded = load_adapter(tmp_path, space=[*list(two.values())[: len(spaces) - 1], spaces[-1]])
    np.testing.assert_allclose(loaded.predict(TEST.texts).probabilities, chosen.probabilities, atol=1e-6)
    np.testing.assert_array_equal(loaded.predict(TEST.texts[:3]).probabilities, adapter.predict(TEST.texts[:3]).probabilities)


def test_a_joint_adapter_names_what_does_not_fit(two, tmp_path):
    _, adapter = adapt({"lexical": "tfidf", "good": two["good"]}, TRAIN, TEST, methods="posterior")
    assert len(adapter.views) == 2  # the method that reads both is chosen
    adapter.save(tmp_path)
    with pytest.raises(InputError, match="reads 2 spaces, and 1 are given"):
        load_adapter(tmp_path, space=two["good"])
    with pytest.raises(FingerprintMismatch):
        load_adapter(tmp_path, space=[adapter.views[0].space, two["poor"]])
    with pytest.raises(InputError, match=r"reads 2 models \(tfidf, toy\), and it is not said which is at gpt2"):
        load_adapter(tmp_path, model="gpt2")
    with pytest.raises(InputError, match="reads no model 'bert'; it reads tfidf, toy"):
        load_adapter(tmp_path, model={"bert": "elsewhere"})


def test_a_model_that_was_chosen_alone_is_kept_alone(two, tmp_path):
    _, adapter = adapt(two, TRAIN, TEST, methods="lda")
    assert len(adapter.views) == 1
    assert adapter.space is two["good"]  # the better of the two


def test_a_comparison_has_a_block_for_all_together(two, tmp_path):
    def run():
        return compare(two, TRAIN, TEST, methods="tfidf,lda,posterior", draws=Draws((0, 4), (0, 1)), folder=tmp_path / "out")

    result = run()
    assert result.models == ("good", "poor", "good + poor")
    assert {cell.method for cell in result.cells if cell.model == "good + poor"} == {"posterior"}
    assert result.recommendation("good + poor", 4).over_ngrams
    assert "good + poor. With 4 labels a class: posterior" in result.summary()
    assert "good + poor" in comparison_report(result, tmp_path / "page.html").read_text()
    assert run().to_frame().equals(result.to_frame())  # every cell was kept
    assert "good + poor" not in compare(two, TRAIN, TEST, methods="lda", draws=Draws((4,), (0,))).models


def test_without_labels_the_joint_answer_is_the_prior_of_the_model_with_a_vocabulary(two):
    spaces, name = {"lexical": "tfidf", "good": two["good"]}, "posterior-labels-only"  # which smooths nothing over neighbors
    result = compare(spaces, TRAIN, TEST, methods=name, draws=Draws((0,), (0,)))
    (joint,), (good,) = (result.select(model, name, 0) for model in ("lexical + good", "good"))
    np.testing.assert_array_equal(joint.predicted, good.predicted)
    np.testing.assert_array_equal(joint.log_probability, good.log_probability)


def test_words_by_model():
    words = {"cat": ["cat"]}
    assert words_of_models(None, ["a", "b"]) == {"a": None, "b": None}
    assert words_of_models(words, ["a", "b"]) == {"a": words, "b": words}
    assert words_of_models({"a": words, "b": {"cat": ["Katze"]}}, ["a", "b"])["b"] == {"cat": ["Katze"]}
    with pytest.raises(InputError, match="none are given for 'b'; the models are a, b"):
        words_of_models({"a": words}, ["a", "b"])
    with pytest.raises(InputError, match="'c' is none of the models"):
        words_of_models({"a": words, "b": words, "c": words}, ["a", "b"])


def test_a_label_without_words_in_one_model_is_named(two):
    labels = sorted(set(TRAIN.labels))
    words = {label: [label] for label in labels}
    with pytest.raises(InputError, match=f"The label '{labels[0]}' has no words in poor"):
        adapt(two, TRAIN, TEST, label_words={"good": words, "poor": {label: [label] for label in labels[1:]}})
    with pytest.raises(InputError, match=f"The label '{labels[0]}' has no words in poor"):
        compare(two, TRAIN, TEST, methods="posterior", label_words={"good": words, "poor": words | {labels[0]: []}})
    other = ToySpace({"nothing": [1.0, 0.0], "else": [0.0, 1.0]})
    with pytest.raises(InputError, match=r"has a word that other does not know: .* is not in the vocabulary"):
        adapt({"good": two["good"], "other": other}, TRAIN, TEST)


def test_layers_of_one_model_are_views_too(two):
    readers = {"own": TextReader(two["good"], Reading.own()), "thirds": two["good"]}
    result, _ = adapt(readers, TRAIN, TEST, methods="posterior")
    assert set(result.methods) == {"posterior", "posterior (own)", "posterior (thirds)"}
