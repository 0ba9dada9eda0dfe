"""The nearest training text against comparing with all, and the longest shared run against looking at every run."""

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.generative.texts import word_index
from lexframe.generative.texts.nearest_texts import memorization_check, nearest_texts
from lexframe.generative.texts.shared_runs import longest_shared_runs
from lexframe.generative.texts.word_edits import word_distance, words_of
from lexframe.generative.texts.word_index import WordIndex

TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join), min_size=1, max_size=12)


def brute_force(text, training):
    similarities = [1 - word_distance(text, other) for other in training]
    best = max(similarities)
    return next(row for row, value in enumerate(similarities) if value > best - 1e-12), best


def slow_run(text, training):
    """The first of the longest runs, by trying all."""
    words, best = words_of(text), ()
    others = [words_of(other) for other in training]
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            run = words[start:end]
            if len(run) > len(best) and any(run == other[i : i + len(run)] for other in others for i in range(len(other))):
                best = run
    return best


@given(texts=TEXTS, training=TEXTS)
def test_the_nearest_is_found_and_the_run_is_the_longest(texts, training):
    found = nearest_texts([*texts, "unheard of"], training)
    for row, text in enumerate(found.texts):
        place, similarity = brute_force(text, training)
        assert found.similarities[row] == pytest.approx(similarity)
        assert found.nearest_rows[row] == place
        assert found.nearest[row] == training[place]
        assert tuple(found.longest_runs[row].split()) == slow_run(text, training)
        assert found.run_lengths[row] == len(slow_run(text, training))


def zipf_texts(rng, n, *, n_words=300):
    """Texts of 5 to 14 words, a few of them frequent, as in people's sentences."""
    shares = 1 / np.arange(1, n_words + 1)
    return [" ".join(f"w{word}" for word in rng.choice(n_words, p=shares / shares.sum(), size=rng.integers(5, 15))) for _ in range(n)]


@pytest.mark.parametrize("block", [3, 2048])
def test_the_nearest_of_many_is_found(rng, monkeypatch, block):
    """Frequent words, more candidates than one look and more than one block of them."""
    monkeypatch.setattr(word_index, "_BLOCK", block)
    training = zipf_texts(rng, 300, n_words=12)
    index = WordIndex(training)
    for text in zipf_texts(rng, 8, n_words=12):
        assert index.nearest(text)[0] == brute_force(text, training)[0]


def test_few_are_compared(rng, monkeypatch):
    """The bound leaves out most: that is what makes it fast."""
    index = WordIndex(zipf_texts(rng, 5000))
    compared, similarities = [], index._similarities
    monkeypatch.setattr(WordIndex, "_similarities", lambda self, words, rows: (compared.append(len(rows)), similarities(words, rows))[1])
    samples = zipf_texts(rng, 20)
    for text in samples:
        index.nearest(text)
    assert sum(compared) < 0.2 * len(samples) * index.n_distinct_


def test_it_is_fast(rng):
    training, samples = zipf_texts(rng, 5000), zipf_texts(rng, 100)
    start = time.process_time()
    nearest_texts(samples, training)
    assert time.process_time() - start < 3


def test_a_model_that_copies_is_told_from_one_that_does_not(rng):
    training, held_out, fresh = zipf_texts(rng, 500), zipf_texts(rng, 60), zipf_texts(rng, 60)
    copied = [training[row].upper().replace(" ", "  ") for row in range(30)] + fresh[:30]
    check = memorization_check(copied, training, held_out)
    assert check.samples.rates()["copied_share"] >= 0.5
    np.testing.assert_array_equal(check.samples.similarities[:30], 1)
    assert check.samples.is_copy[:30].all()
    assert check.held_out.rates()["copied_share"] == 0
    assert check.nearer_probability > 0.7
    fair = memorization_check(fresh, training, held_out)
    assert 0.35 < fair.nearer_probability < 0.65
    assert fair.to_frame()["kind"].value_counts().to_dict() == {"sample": 60, "held_out": 60}
    alone = memorization_check(fresh, training)
    assert alone.held_out is None
    assert alone.to_dict()["nearer_probability"] is None
    assert json.loads(json.dumps(fair.to_dict(), allow_nan=False))["n_training"] == 500


def test_both_parts_are_as_alone(rng):
    training, held_out, samples = zipf_texts(rng, 200), zipf_texts(rng, 5), zipf_texts(rng, 7)
    check = memorization_check(samples, training, held_out)
    assert check.samples.to_dict() == nearest_texts(samples, training).to_dict()
    assert check.held_out.to_dict() == nearest_texts(held_out, training).to_dict()


def test_the_probability_counts_ties_half():
    check = memorization_check(["a b", "c d"], ["a b"], ["a x", "c y"])
    np.testing.assert_allclose(check.samples.similarities, [1, 0])
    np.testing.assert_allclose(check.held_out.similarities, [0.5, 0])
    assert check.nearer_probability == pytest.approx((1 + 1 + 0 + 0.5) / 4)


def test_punctuation_makes_no_copy_but_the_same_words():
    found = nearest_texts(["A dog runs!", "a DOG  runs.", ""], ["a dog runs.", "!"])
    assert found.is_copy.tolist() == [False, True, False]
    np.testing.assert_array_equal(found.similarities, 1)  # nothing and a mark have no words alike
    assert found.nearest[2] == "!"


def test_a_run_does_not_cross_texts_and_need_not_be_in_the_nearest():
    assert longest_shared_runs(["one two three four"], ["zero one two", "three four five", "two three x"]) == [("one", "two")]
    assert longest_shared_runs(["b c", "", "x"], ["a b c d"]) == [("b", "c"), (), ()]


def test_texts_without_any_word_to_share(rng):
    found = nearest_texts(["nothing like it"], zipf_texts(rng, 100))
    assert (found.nearest_rows[0], found.similarities[0], found.run_lengths[0]) == (0, 0, 0)
    assert nearest_texts(["a"], [""]).similarities[0] == 0


def test_bad_input(without_type_checks):
    with pytest.raises(InputError, match="texts is empty"):
        nearest_texts([], ["a"])
    with pytest.raises(InputError, match="training_texts is empty"):
        nearest_texts(["a"], [])
    with pytest.raises(InputError, match="held_out is empty"):
        memorization_check(["a"], ["a"], [])
    with pytest.raises(InputError, match=r"samples\[0\] is missing"):
        memorization_check([None], ["a"])
