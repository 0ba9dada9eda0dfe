"""N-grams have an opinion of their own: left out where labels are known, kept with the adapter."""

import numpy as np
import pytest

from lexframe.adaptation import EncodedTexts, Problem, adapt, load_adapter, make_methods
from lexframe.adaptation.ngram_opinion import ngram_opinion, opinion_scores
from lexframe.data import Table
from lexframe.instruments.classifiers.ngram_classifiers import LexicalNB
from lexframe.linalg import folds_by_class
from lexframe.spaces import LexicalSpace

TOPICS = {"garden": ["rose", "lawn", "hedge", "spade", "seed"], "harbor": ["ship", "mast", "anchor", "tide", "rope"]}
FILLER = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def worded(n, seed, *, per_text=1):
    """Texts that are told by a single word among many that say nothing."""
    rng = np.random.default_rng(seed)
    labels = [sorted(TOPICS)[number] for number in rng.integers(2, size=n)]
    texts = [" ".join(rng.permutation([*rng.choice(FILLER, 8), *rng.choice(TOPICS[label], per_text)])) for label in labels]
    return texts, labels


def planted(n, seed):
    texts, labels = worded(n, seed)
    return Table(tuple(texts), tuple(labels), f"planted {seed}", 0, tuple(range(n)))


def problem_of(n, n_test=40):
    texts, said = worded(n + n_test, 0)
    labels = tuple(sorted(TOPICS))
    y = np.searchsorted(labels, said[:n])
    return Problem(EncodedTexts(LexicalSpace().fitted_on(texts[:n]), texts), labels, {label: [label] for label in labels}, np.arange(n), y)


def test_labeled_texts_are_judged_by_what_has_not_seen_their_label():
    problem = problem_of(40)
    opinion = ngram_opinion(problem, np.arange(40))
    texts, names = np.array(problem.encoded.texts), problem.names()
    whole = LexicalNB().fit(texts[:40].tolist(), names)
    np.testing.assert_allclose(opinion.scores[40:], np.log(whole.predict_proba(texts[40:].tolist())), atol=1e-5)
    for train, held_out in folds_by_class(problem.y, 5, seed=0):
        without = LexicalNB(strengths=(whole.strength_,)).fit(texts[train].tolist(), names[train])
        np.testing.assert_allclose(opinion.scores[held_out], np.log(without.predict_proba(texts[held_out].tolist())), atol=1e-5)


def test_labeled_texts_may_stand_anywhere():
    problem = problem_of(40)
    texts = list(problem.encoded.texts)
    turned = Problem(
        EncodedTexts(problem.space, [*texts[40:], *texts[:40]]), problem.labels, problem.label_words, problem.rows + 40, problem.y
    )
    first, second = (ngram_opinion(one, np.arange(40)).scores for one in (problem, turned))
    np.testing.assert_allclose(second, np.concatenate([first[40:], first[:40]]), atol=1e-4)


def test_of_many_labels_those_that_are_asked_for_are_left_out():
    problem = problem_of(60)
    asked = np.arange(0, 60, 6)
    opinion = ngram_opinion(problem, asked)
    whole = LexicalNB().fit(list(problem.encoded.texts[:60]), problem.names())
    same = np.isclose(opinion.scores[:60], np.log(whole.predict_proba(list(problem.encoded.texts[:60]))), atol=1e-6).all(axis=1)
    assert not same[asked].any()
    assert same[np.setdiff1d(np.arange(60), asked)].all()


def test_one_label_of_each_says_nothing():
    problem = problem_of(40)
    first = np.array([int(np.flatnonzero(problem.y == number)[0]) for number in range(2)])
    alone = Problem(problem.encoded, problem.labels, problem.label_words, first, problem.y[first])
    assert ngram_opinion(alone, np.arange(2)) is None
    none = Problem(problem.encoded, problem.labels, problem.label_words, np.arange(0), problem.y[:0])
    assert ngram_opinion(none, np.arange(0)) is None
    assert "opinion_weights" not in make_methods("posterior")[0].fit(alone).choices


def test_a_label_that_training_lacks_is_nearly_impossible():
    classifier = LexicalNB().fit(["rose", "ship", "rose lawn", "ship mast"], ["garden", "harbor", "garden", "harbor"])
    scores = opinion_scores(classifier, np.array([[0.25, 0.75], [1.0, 0.0]]), ["attic", "garden", "harbor"])
    np.testing.assert_allclose(np.exp(scores), [[1e-6, 0.25, 0.75], [1e-6, 1.0, 1e-6]])


@pytest.mark.parametrize("name", ["posterior", "posterior-without-prior"])
def test_where_single_words_decide_the_opinion_decides(name, tmp_path):
    train, test = (planted(n, seed) for n, seed in ((400, 1), (300, 2)))
    result, adapter = adapt("tfidf", train, test, methods=f"{name},lexical-nb")
    assert result.methods[name].accuracy.value > result.methods["lexical-nb"].accuracy.value - 0.03
    _, adapter = adapt("tfidf", train, test, methods=name)
    adapter.save(tmp_path)
    loaded = load_adapter(tmp_path)
    assert loaded.opinion is not None
    np.testing.assert_array_equal(loaded.predict(test.texts).probabilities, adapter.predict(test.texts).probabilities)
    np.testing.assert_allclose(loaded.predict(test.texts).probabilities, result.methods[name].probabilities, atol=1e-5)
