"""Answers without labels: by hand, against the model itself, and where there is nothing to read."""

import numpy as np
import pytest

from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.adaptation.methods.zero_shot import BatchCalibration, ContextualCalibration, NearestBasisZeroShot, ZeroShot
from lexframe.adaptation.problem import Problem
from lexframe.exceptions import InputError
from lexframe.instruments import VocabularyFrame
from lexframe.spaces import SentenceEncoderSpace, ToySpace
from tests.planted import LABELS, planted_space, planted_table
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

METHODS = [ZeroShot, ContextualCalibration, BatchCalibration, NearestBasisZeroShot]
NONE = np.zeros(0, dtype=np.int64)


def problem_of(space, texts, words, rows=NONE, y=NONE, **options):
    rows, y = np.asarray(rows, dtype=np.int64), np.asarray(y, dtype=np.int64)
    return Problem(EncodedTexts(space, texts), tuple(sorted(words)), words, rows, y, **options)


def planted_problem(**options):
    return problem_of(planted_space(), planted_table(10, 0).texts, {label: [label] for label in LABELS}, **options)


@pytest.fixture
def toy():
    """Logits that can be worked out by hand: mask says log 3 for good, film says log 2 for bad, all else nothing."""
    vectors = {"good": [1.0, 0.0], "bad": [0.0, 1.0], "mask": [np.log(3), 0.0], "film": [0.0, np.log(2)]}
    return ToySpace(vectors, unembedding=[[1, 0], [0, 1], [0, 0], [0, 0]])


GOOD_BAD = {"bad": ["bad"], "good": ["good"]}


@pytest.mark.parametrize("family", ["gpt2", "phi", "gemma2", "bert"])  # the last three: a bias, a soft cap, a transform
def test_zero_shot_is_the_models_own_softmax(family):
    space = tiny_space(family)
    texts, words = ["the cat sat", "a dog on the mat", "x"], {"animal": ["cat", "dog"], "thing": ["mat"]}
    found = ZeroShot().fit(problem_of(space, texts, words)).predict_proba(np.arange(3))
    logits = space.logits(space.encode(texts)).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    ids = [[i for word in listed for i in space.word_ids(word)] for listed in words.values()]
    scores = np.exp(np.stack([log_p[:, columns].mean(1) for columns in ids], 1))
    np.testing.assert_allclose(found, scores / scores.sum(1, keepdims=True), atol=1e-6)


def test_contextual_calibration_by_hand(toy):
    # "N/A" and "" say nothing, so good 1/2; "[MASK]" says good 3/4: the mean is 7/12. Of the film the model says good
    # 1/3. (1/3) / (7/12) = 4/7 and (2/3) / (5/12) = 8/5, which scale to 5/19 and 14/19.
    classifier = ContextualCalibration().fit(problem_of(toy, ["film"], GOOD_BAD))
    np.testing.assert_allclose(classifier.predict_proba(np.array([0])), [[14 / 19, 5 / 19]], rtol=1e-6)
    assert classifier.choices["prior"] == pytest.approx({"bad": 5 / 12, "good": 7 / 12})


def test_content_free_inputs_stand_in_the_template():
    space = tiny_space("gpt2", template="Say {text} now")
    prior = ContextualCalibration().fit(problem_of(space, ["x"], {"a": ["cat"], "b": ["dog"]})).choices["prior"]
    whole = tiny_space("gpt2")
    filled = problem_of(whole, ["Say N/A now", "Say [MASK] now", "Say  now"], {"a": ["cat"], "b": ["dog"]})
    np.testing.assert_allclose(list(prior.values()), ZeroShot().fit(filled).predict_proba(np.arange(3)).mean(0), atol=1e-5)


def test_batch_calibration_by_hand(toy):
    # Mean over film (bad: log 2) and an unknown text (nothing) is log(2) / 2 for bad: of the film √2 : 1 is left.
    problem = problem_of(toy, ["film", "?"], GOOD_BAD, rows=[0], y=[0], unlabeled=np.array([1]))
    classifier = BatchCalibration().fit(problem)
    np.testing.assert_allclose(classifier.predict_proba(np.array([0]))[0], np.array([np.sqrt(2), 1]) / (np.sqrt(2) + 1), rtol=1e-6)
    assert classifier.choices == {"texts": 2}


def test_batch_calibration_counts_a_text_once_and_never_a_test_text(toy):
    row = np.array([0])
    one = problem_of(toy, ["film", "film film mask"], GOOD_BAD, rows=[0], y=[0], unlabeled=row)
    other = problem_of(toy, ["film", "good good"], GOOD_BAD, rows=[0], y=[0])
    assert BatchCalibration().fit(one).choices == {"texts": 1}
    assert np.array_equal(BatchCalibration().fit(one).predict_proba(row), BatchCalibration().fit(other).predict_proba(row))


def test_batch_calibration_without_texts_is_zero_shot_and_says_so():
    problem, rows = planted_problem(), np.arange(30)
    classifier = BatchCalibration().fit(problem)
    assert np.array_equal(classifier.predict_proba(rows), ZeroShot().fit(problem).predict_proba(rows))
    assert classifier.choices["fallback"] == "zero-shot"


def test_nearest_basis_is_the_frames_similarity(toy):
    problem, rows = planted_problem(), np.arange(30)
    similarity = VocabularyFrame(problem.space).label_bases(dict(problem.label_words)).similarity(problem.encoded.points)
    expected = np.exp(similarity / 0.1)
    found = NearestBasisZeroShot().fit(problem).predict_proba(rows)
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True))
    by_hand = NearestBasisZeroShot().fit(problem_of(toy, ["film", "mask mask"], GOOD_BAD))
    np.testing.assert_allclose(by_hand.predict_proba(np.arange(2))[0, 0], 1 / (1 + np.exp(-10)))  # on the basis of bad
    assert by_hand.predict_proba(np.arange(2)).argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labeled", [False, True])
def test_what_every_answer_without_labels_keeps_to(method, labeled):
    given = {"rows": np.arange(6), "y": np.arange(6) % 3} if labeled else {}
    classifier = method().fit(planted_problem(**given))
    probabilities = classifier.predict_proba(np.arange(5, 30))
    assert probabilities.shape == (25, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert np.array_equal(probabilities[::-1], classifier.predict_proba(np.arange(5, 30)[::-1]))
    assert classifier.predict_proba(NONE).shape == (0, 3)
    assert (method.least_shots, classifier.n_parameters, method.uses_unlabeled) == (0, 0, method is BatchCalibration)


@pytest.mark.parametrize("method", METHODS)
def test_columns_follow_the_labels_however_the_words_are_listed(method):
    problem, rows = planted_problem(), np.arange(30)
    turned = problem_of(problem.space, problem.encoded.texts, {label: [label] for label in reversed(LABELS)})
    np.testing.assert_allclose(method().fit(problem).predict_proba(rows), method().fit(turned).predict_proba(rows))


@pytest.mark.parametrize("method", METHODS)
def test_label_words_that_coincide_or_begin_alike(method):
    space = tiny_space("gpt2")
    assert space.word_ids("caffzz")[0] == space.word_ids("caffyy")[0]
    same = method().fit(problem_of(space, ["a dog", "x"], {"a": ["cat"], "b": ["cat"]}))
    np.testing.assert_allclose(same.predict_proba(np.arange(2)), 0.5)
    alike = method().fit(problem_of(space, ["a dog", "x"], {"a": ["caffzz"], "b": ["caffyy"]})).predict_proba(np.arange(2))
    np.testing.assert_allclose(alike.sum(1), 1)
    assert (alike[:, 0] != alike[:, 1]).all()


@pytest.fixture
def encoder():
    return SentenceEncoderSpace(tiny_model("bert").bert, tokenizer=tiny_tokenizer(masked=True))


@pytest.mark.parametrize("method", [ContextualCalibration, NearestBasisZeroShot])
def test_a_space_without_vocabulary_is_an_obstacle(method, encoder):
    assert "no output vocabulary" in method().obstacle(encoder)
    assert method().obstacle(planted_space()) is None
    with pytest.raises(InputError, match="no output vocabulary"):
        method().fit(problem_of(encoder, ["x"], GOOD_BAD))


def test_an_encoder_answers_by_the_cosine_with_the_label_words(encoder):
    assert ZeroShot().obstacle(encoder) is None
    assert BatchCalibration().obstacle(encoder) is None
    texts, words = ["the cat sat", "a dog on the mat", "x"], {"animal": ["cat", "dog"], "thing": ["mat"]}
    problem = problem_of(encoder, texts, words, rows=[0], y=[0], unlabeled=np.array([1]))

    def unit(given):
        points = encoder.encode(given).astype(np.float64)
        return points / np.linalg.norm(points, axis=1, keepdims=True)

    cosines = np.stack([unit(texts) @ unit(listed).mean(axis=0) for listed in words.values()], axis=1) / 0.08
    for method, scores in ((ZeroShot, cosines), (BatchCalibration, cosines - cosines[:2].mean(axis=0))):
        expected = np.exp(scores - scores.max(axis=1, keepdims=True))
        found = method().fit(problem).predict_proba(np.arange(3))
        np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    same = ZeroShot().fit(problem_of(encoder, ["cat", "mat"], {"animal": ["cat"], "thing": ["mat"]}))
    assert same.predict_proba(np.arange(2)).argmax(axis=1).tolist() == [0, 1], "a text is nearest to itself"
