"""Divergences against scipy, votes by hand, and the choice of voters against the obvious loop."""

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexframe.adaptation.methods import knn_prompting
from lexframe.adaptation.methods.in_context import balanced_order
from lexframe.adaptation.methods.knn_prompting import (
    NEIGHBORS,
    KNNPrompting,
    choose_neighbors,
    kl_divergence,
    nearest_anchors,
    smoothed,
    vote,
)
from lexframe.exceptions import InputError
from lexframe.spaces.weights import weights_hash
from tests.adaptation.methods.test_zero_shot import problem_of
from tests.planted import planted_space
from tests.tiny_models import tiny_space

WORDS = {"cat": ["cat", "mat"], "dog": ["dog"]}
LABELED = ("a dog sat", "the cat", "good mat", "bad one", "two cats", "dog on mat", "three", "x")
NEW = ("the dog", "a cat sat on the mat", "a dog sat")
TEST = np.arange(len(LABELED), len(LABELED) + len(NEW))


def few_labels(space, *, n=8, new=NEW, words=WORDS, seed=0):
    return problem_of(space, LABELED + new, words, rows=np.arange(n), y=np.arange(n) % 2, seed=seed)


def naive_divergences(space, anchors, queries, smoothing):
    """KL(anchor || query), pair by pair, from the model's own logits after each whole prompt."""

    def distribution(text):
        ids = torch.tensor([space.tokenizer.backend_tokenizer.encode(text).ids])
        with torch.no_grad():
            p = space.model(ids).logits[0, -1, : space.n_vocab].double().softmax(0).numpy()
        return (1 - smoothing) * p + smoothing / len(p)

    given, asked = [distribution(text) for text in anchors], [distribution(text) for text in queries]
    return np.array([[scipy.stats.entropy(a, q) for a in given] for q in asked])


@pytest.mark.parametrize("family", ["gpt2", "phi", "gemma2"])
@pytest.mark.parametrize("block", [2**23, 16 * 300])
def test_nearest_anchors_against_a_loop_over_pairs(family, block, monkeypatch):
    space = tiny_space(family)
    anchors, queries = [f"{text} {n}" for text in LABELED[:5] for n in range(4)], [f"{n} {text}" for text in NEW for n in range(6)]
    rows = []
    logits = space.logits
    monkeypatch.setattr(knn_prompting, "BLOCK_NUMBERS", block)
    monkeypatch.setattr(space, "logits", lambda points: rows.append(len(points)) or logits(points))
    found, order = nearest_anchors(space, space.encode(anchors), space.encode(queries), 20, 1e-3)
    expected = naive_divergences(space, anchors, queries, 1e-3)
    np.testing.assert_allclose(np.sort(expected, axis=1), found, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(np.take_along_axis(expected, order, 1), found, rtol=1e-3, atol=1e-7)
    assert max(rows) == (20 if block == 2**23 else 16)
    own = np.arange(18)
    found, order = nearest_anchors(space, space.encode(anchors), space.encode(anchors[:18]), 19, 1e-3, own=own)
    assert np.isfinite(found).all()
    assert not (order == own[:, np.newaxis]).any()


def test_the_divergence_by_hand_and_of_one_sided_logits():
    # KL((3/4, 1/4) || (1/2, 1/2)) = 3/4 log 3/2 + 1/4 log 1/2
    expected = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert kl_divergence(np.array([[0.75, 0.25]]), np.log([[0.5, 0.5]])) == pytest.approx(expected)
    certain = smoothed(np.array([[1e4, 0, 0, 0], [0, 1e4, 0, 0]], dtype=np.float32), 1e-3)
    np.testing.assert_allclose(certain.sum(1), 1, rtol=1e-6)
    p, q = 1 - 1e-3 + 1e-3 / 4, 1e-3 / 4
    np.testing.assert_allclose(kl_divergence(certain, np.log(certain)), (p - q) * np.log(p / q) * (1 - np.eye(2)), rtol=1e-4, atol=1e-6)


def test_votes_by_hand():
    # One voter of class 0 among three labels: (1 + 1/3) / 2 for it, a sixth for the others.
    np.testing.assert_allclose(vote(np.array([[0.7]]), np.array([[0]]), 3), [[2 / 3, 1 / 6, 1 / 6]])
    # Equal distances count the same: two of three for class 1.
    np.testing.assert_allclose(vote(np.full((1, 3), 2.0), np.array([[1, 0, 1]]), 2), [[1.5 / 4, 2.5 / 4]])
    # Distances 1 and 3 have mean 2: weights in the ratio exp(1), and together two votes.
    weight = 2 * np.e / (1 + np.e)
    np.testing.assert_allclose(vote(np.array([[1.0, 3.0]]), np.array([[1, 0]]), 2), [[(2.5 - weight) / 3, (weight + 0.5) / 3]])
    # The same text twice, with both labels: distance zero decides nothing.
    np.testing.assert_allclose(vote(np.zeros((1, 2)), np.array([[1, 0]]), 2), [[0.5, 0.5]])


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 10**6))
def test_votes_are_probabilities_that_never_rule_out_a_label(k, n_labels, seed):
    rng = np.random.default_rng(seed)
    probabilities = vote(np.sort(rng.exponential(size=(4, k)), axis=1), rng.integers(0, n_labels, (4, k)), n_labels)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities >= 1 / n_labels / (k + 1) * 0.999).all()


def test_the_number_of_voters_against_leaving_out_by_hand(rng):
    y = rng.integers(0, 3, 40)
    centers = 1.5 * rng.normal(size=(3, 2))
    points = centers[y] + rng.normal(size=(40, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=2) ** 2
    left_out = rng.permutation(40)[:25]
    scores = {}
    for k in [k for k in NEIGHBORS if k < 40]:
        right, loss = [], []
        for i in left_out:
            others = [j for j in np.argsort(distances[i], kind="stable") if j != i][:k]
            (p,) = vote(distances[i][others][None], y[others][None], 3)
            right.append(p.argmax() == y[i])
            loss.append(np.log(p[y[i]]))
        scores[k] = (np.mean(right), np.mean(loss))
    best = max(scores, key=lambda k: scores[k])
    assert len({accuracy for accuracy, _ in scores.values()}) > 2
    others = np.array([[j for j in np.argsort(distances[i], kind="stable") if j != i] for i in left_out])
    k, accuracy = choose_neighbors(distances[left_out[:, np.newaxis], others], y[others], y[left_out], 3)
    assert (k, accuracy) == (best, pytest.approx(scores[best][0]))


def test_a_labelled_text_is_its_own_nearest_anchor():
    problem = few_labels(tiny_space("gpt2"), n=6)
    classifier = KNNPrompting().fit(problem)
    classifier.choices["neighbors"] = 1
    assert classifier.predict_proba(problem.rows).argmax(1).tolist() == problem.y.tolist()


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_with_demonstrations_it_is_the_loop_over_whole_prompts(family):
    problem = few_labels(tiny_space(family, template="{text} is"))
    classifier = KNNPrompting(demonstrations=True).fit(problem)
    shown = balanced_order(problem.y, 0)[:2]
    prefix = "".join(f"{LABELED[i]} is {('cat', 'dog')[i % 2]}\n\n" for i in shown)
    voters = [i for i in range(len(LABELED)) if i not in shown]
    assert classifier.choices["demonstrations"] == 2
    assert classifier.y.tolist() == [i % 2 for i in voters]
    prompts = [[f"{prefix}{text} is" for text in texts] for texts in ([LABELED[i] for i in voters], NEW)]
    distances = naive_divergences(problem.space, *prompts, 1e-3)
    order = np.argsort(distances, axis=1)[:, : classifier.choices["neighbors"]]
    expected = vote(np.take_along_axis(distances, order, 1), classifier.y[order], 2)
    np.testing.assert_allclose(classifier.predict_proba(TEST), expected, atol=1e-3)


def test_demonstrations_are_shown_only_where_labels_can_be_spared():
    space = tiny_space("gpt2")
    for n, shown in ((2, 0), (6, 0), (8, 2)):  # one, three and four a class
        classifier = KNNPrompting(demonstrations=True).fit(few_labels(space, n=n))
        assert classifier.choices["demonstrations"] == shown
        assert len(classifier.anchors) == n - shown
        assert classifier.choices["neighbors"] < max(2, n - shown)


def test_a_rare_class_keeps_its_text_and_switches_no_demonstration_off():
    problem = problem_of(
        tiny_space("gpt2"), (*LABELED, "odd", *NEW), {**WORDS, "odd": ["x"]}, rows=np.arange(9), y=np.array([0, 1] * 4 + [2])
    )
    classifier = KNNPrompting(demonstrations=True).fit(problem)
    assert classifier.choices["demonstrations"] == 2
    assert np.bincount(classifier.y).tolist() == [3, 3, 1]


def test_a_single_class_is_never_shown_alone():
    problem = problem_of(tiny_space("gpt2"), LABELED + NEW, WORDS, rows=np.arange(7), y=np.array([0, 0, 0, 0, 1, 1, 1]))
    assert KNNPrompting(demonstrations=True).fit(problem).choices["demonstrations"] == 0


def test_demonstrations_take_half_of_the_context_at_most():
    problem = few_labels(tiny_space("gpt2", template="{text} is", max_length=16))
    classifier = KNNPrompting(demonstrations=True).fit(problem)
    before = classifier.reader.tokenization.template.before
    assert len(problem.space.tokenizer.backend_tokenizer.encode(before).ids) <= 8
    assert classifier.choices["demonstrations"] == before.count("\n\n") < 2
    np.testing.assert_allclose(classifier.predict_proba(TEST).sum(1), 1)


def test_a_text_longer_than_the_context_is_cut_and_the_prompt_stays():
    space = tiny_space("gpt2", template="{text} is")
    problem = few_labels(space, new=("mat " * 90, "mat " * 100, "mat cat " * 60))
    classifier = KNNPrompting(demonstrations=True).fit(problem)
    assert classifier.choices["demonstrations"] == 2
    probabilities = classifier.predict_proba(TEST)
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_leave_one_out_says_whether_demonstrations_help():
    problem = few_labels(tiny_space("gpt2", template="{text} is"))
    tried = {asked: KNNPrompting(demonstrations=asked).fit(problem) for asked in (True, False, None)}
    assert [classifier.choices["demonstrations"] for classifier in tried.values()][:2] == [2, 0]
    found = [classifier.choices["leave_one_out_accuracy"] for classifier in tried.values()]
    assert found[2] == max(found)


def test_braces_in_a_demonstration_are_text():
    problem = problem_of(tiny_space("gpt2"), ("{text}",) * 8 + NEW, WORDS, rows=np.arange(8), y=np.arange(8) % 2)
    classifier = KNNPrompting(demonstrations=True).fit(problem)
    assert classifier.reader.tokenization.template.before.count("{text}") == 2
    np.testing.assert_allclose(classifier.predict_proba(TEST).sum(1), 1)


def test_the_same_seed_gives_the_same_numbers_and_the_model_stays():
    space = tiny_space("llama")
    before = weights_hash(space.model), str(space.tokenization.template), space.tokenizer.backend_tokenizer.to_str()
    first, again, other = (KNNPrompting(demonstrations=True).fit(few_labels(space, seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(first.predict_proba(TEST), again.predict_proba(TEST))
    assert not np.array_equal(first.predict_proba(TEST), other.predict_proba(TEST))  # other demonstrations
    assert (weights_hash(space.model), str(space.tokenization.template), space.tokenizer.backend_tokenizer.to_str()) == before
    assert first.n_parameters == 0
    assert first.predict_proba(TEST[:0]).shape == (0, 2)


def test_label_words_that_coincide_do_no_harm():
    found = KNNPrompting().fit(few_labels(tiny_space("gpt2"), words={"a": ["cat"], "b": ["cat"]})).predict_proba(TEST)
    np.testing.assert_allclose(found.sum(1), 1)  # the labeled texts vote, whatever the labels are called
    assert (found[:, 0] != found[:, 1]).any()


def test_spaces_that_do_not_go_on_from_a_prompt():
    assert "masked language model" in KNNPrompting().obstacle(tiny_space("bert"))
    assert "causal language model" in KNNPrompting().obstacle(planted_space())
    assert KNNPrompting().obstacle(tiny_space("gpt2")) is None
    with pytest.raises(InputError, match="use a causal one"):
        KNNPrompting().fit(few_labels(tiny_space("bert")))


@pytest.mark.parametrize("smoothing", [0.0, 1.0, -1.0])
def test_a_smoothing_that_is_none(smoothing):
    with pytest.raises(InputError, match="smoothing"):
        KNNPrompting(smoothing=smoothing)
