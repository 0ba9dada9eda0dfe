"""SetFit: what it needs, what it trains, what it leaves alone. Training itself needs the extra setfit."""

import importlib.util
import logging
import random
import sys

import numpy as np
import pytest
import torch
import transformers

from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.adaptation.methods.setfit import SetFit, global_generators, n_pairs, paired_rows, sentence_transformer
from lexframe.adaptation.problem import Problem
from lexframe.exceptions import InputError, MissingExtraError
from lexframe.spaces.weights import weights_hash
from tests.adaptation.methods.test_weights import accuracy, encoder_space, planted_problem
from tests.tiny_models import tiny_space


def needs_setfit(test):
    """The package brings half a minute of imports and training along."""
    is_missing = importlib.util.find_spec("setfit") is None
    return pytest.mark.long(pytest.mark.skipif(is_missing, reason="until the extra setfit is installed")(test))


FAST = {"learning_rate": 1e-2, "max_steps": 60, "batch_size": 8}


def test_it_needs_a_sentence_encoder():
    space = tiny_space("llama")
    assert "LanguageModelSpace is none" in str(SetFit().obstacle(space))
    with pytest.raises(InputError, match="setfit trains sentence encoders"):
        SetFit().fit(planted_problem(space, 3)[0])


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "setfit", None)
    problem, _, _ = planted_problem(encoder_space(), 3)
    assert "pip install 'lexframe[setfit]'" in str(SetFit().obstacle(problem.space))
    with pytest.raises(MissingExtraError, match=r"lexframe\[setfit\]"):
        SetFit().fit(problem)


@pytest.mark.parametrize("options", [{"learning_rate": 0.0}, {"max_steps": -1}, {"batch_size": 0}])
def test_settings_that_cannot_be(options):
    with pytest.raises(InputError, match="above 0, at least 0 and 1"):
        SetFit(**options)


def test_without_a_step_it_is_logistic_regression_on_the_points():
    from sklearn.linear_model import LogisticRegression

    problem, test, _ = planted_problem(encoder_space(template="query: {text}"), 6)
    classifier = SetFit(max_steps=0).fit(problem)
    points = problem.space.encode(problem.encoded.texts)
    expected = LogisticRegression(max_iter=2000).fit(points[problem.rows], problem.y).predict_proba(points[test])
    # The solver stops at its own tolerance, in another precision.
    np.testing.assert_allclose(classifier.predict_proba(test), expected, atol=1e-3)
    assert classifier.n_parameters == 32 + 1  # two classes share one row
    assert classifier.predict_proba(test[:0]).shape == (0, 2)


def test_pairs_are_counted_as_the_package_counts_them():
    assert n_pairs(np.array([0, 0, 1])) == 2 * 4  # like: 00 01 11 22, unlike: 02 12
    assert n_pairs(np.arange(8)) == 2 * 28
    assert n_pairs(np.repeat(np.arange(2), 10_000)) == 2 * 10_000 * 10_001


def test_pairs_of_many_texts_are_drawn_by_class():
    texts = [str(number) for number in range(2000)]
    y = np.repeat([0, 1], (1500, 500))
    problem = Problem(EncodedTexts(encoder_space(), texts), ("a", "b"), {"a": ["a"], "b": ["b"]}, np.arange(2000), y)
    rows = paired_rows(problem)
    assert len(set(rows)) == 512
    assert np.bincount(y[rows]).tolist() == [384, 128]


@pytest.mark.parametrize("n_rare", [1, 2])
def test_a_rare_class_is_paired_and_leaves_the_others_drawn_by_class(n_rare):
    y = np.repeat([0, 1, 2], (1500, 500, n_rare))
    texts, labels = [str(number) for number in range(len(y))], ("a", "b", "c")
    problem = Problem(EncodedTexts(encoder_space(), texts), labels, {label: [label] for label in labels}, np.arange(len(y)), y)
    counts = np.bincount(y[paired_rows(problem)], minlength=3)
    assert counts.sum() == 512
    assert counts[2] == 1
    assert abs(counts[0] - 3 * counts[1]) <= 3


@needs_setfit
@pytest.mark.parametrize(("pooling", "normalize"), [("mean", True), ("first", False), ("last", False)])
def test_the_same_encoder_stands_in_both_packages(pooling, normalize, tmp_path):
    space = encoder_space(pooling=pooling, normalize=normalize)
    texts = ["the cat sat on the mat", "a dog", "x", "one two three"]
    found = sentence_transformer(space.trainable_copy(), tmp_path / "encoder").encode(texts, show_progress_bar=False)
    np.testing.assert_allclose(found, space.encode(texts), atol=1e-5)


@needs_setfit
def test_planted_classes_are_learnt_and_the_callers_model_is_untouched(capfd):
    space = encoder_space()
    before = weights_hash(space.model)
    problem, test, truth = planted_problem(space, 24, most_filler=1)
    classifier = SetFit(**FAST).fit(problem)
    assert weights_hash(space.model) == before
    assert weights_hash(classifier.network.body) != before
    assert accuracy(classifier, test, truth) > 0.85
    np.testing.assert_allclose(classifier.predict_proba(test).sum(axis=1), 1, atol=1e-12)
    assert classifier.n_parameters == sum(p.numel() for p in space.model.parameters()) + 33
    assert classifier.choices["steps"] == 60
    assert classifier.choices["learning_rate"] == 1e-2
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@needs_setfit
def test_contrastive_training_draws_classes_together():
    problem, _, _ = planted_problem(encoder_space(), 24, most_filler=1)

    def gap(space):
        """How much nearer by cosine two texts of one class are than two of different classes."""
        points = space.encode(problem.texts(problem.rows))
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
        similarity, like = points @ points.T, problem.y[:, None] == problem.y
        return similarity[like & ~np.eye(len(points), dtype=bool)].mean() - similarity[~like].mean()

    trained = SetFit(**FAST).fit(problem).network.space
    assert gap(trained) > gap(problem.space) + 0.5


@needs_setfit
def test_shuffled_labels_give_chance():
    values = []
    for seed in range(4):
        problem, test, truth = planted_problem(encoder_space(), 8, seed=seed, shuffled=True)
        values.append(accuracy(SetFit(**{**FAST, "max_steps": 10}).fit(problem), test, truth))
    assert abs(np.mean(values) - 0.5) < max(4 * np.std(values) / np.sqrt(len(values)), 0.15)
    assert np.mean(values) < 0.8


def test_the_generators_of_the_process_are_left_alone():
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()  # noqa: NPY002

    before = states()
    with global_generators():
        transformers.set_seed(3)
        assert states() != before
    assert states() == before


@needs_setfit
def test_the_same_seed_gives_the_same_numbers():
    problem, test, _ = planted_problem(encoder_space(), 4)
    importlib.import_module("setfit")  # which sets a level of its own
    state = torch.random.get_rng_state()
    level = logging.getLogger("setfit").level
    first, again = (SetFit(**{**FAST, "max_steps": 4}).fit(problem).predict_proba(test) for _ in range(2))
    assert np.array_equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert logging.getLogger("setfit").level == level


@needs_setfit
def test_few_pairs_are_shown_once():
    problem, _, _ = planted_problem(encoder_space(), 2)
    classifier = SetFit(batch_size=4).fit(problem)
    assert classifier.choices["steps"] == n_pairs(problem.y) // 4 == 3  # 6 like pairs, twice
