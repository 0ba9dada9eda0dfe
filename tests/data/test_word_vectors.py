"""Words with vectors: order, look-up, what is refused, what the transformations promise, and where vectors come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.data import WordVectors
from lexframe.exceptions import InputError, VocabularyError
from lexframe.instruments import VocabularyFrame, space_vectors, state_vectors, vocabulary_vectors, whole_words
from lexframe.spaces import Space, ToySpace
from tests.tiny_models import tiny_space


def some(n=6, n_dims=4, seed=0):
    rng = np.random.default_rng(seed)
    return WordVectors(tuple(f"w{i}" for i in range(n)), rng.normal(size=(n, n_dims)).astype(np.float32), source="draws")


def test_look_up():
    vectors = some()
    assert len(vectors) == 6
    assert vectors.n_dims == 4
    assert "w3" in vectors
    assert "x" not in vectors
    assert vectors.rows(["w3", "w0", "w3"]).tolist() == [3, 0, 3]
    np.testing.assert_array_equal(vectors.of(["w3", "w0"]), vectors.vectors[[3, 0]])
    assert vectors.rows([]).shape == (0,)
    with pytest.raises(VocabularyError, match=r"No vector for 'x', 'y' among 6 words of draws"):
        vectors.rows(["w1", "x", "y"])


def test_parts_keep_the_order_of_frequency():
    vectors = some()
    part = vectors.restricted(["w5", "nothing", "w1", "w5"])
    assert part.words == ("w1", "w5")
    np.testing.assert_array_equal(part.vectors, vectors.vectors[[1, 5]])
    assert vectors.head(2).words == ("w0", "w1")
    assert vectors.head(99).words == vectors.words
    assert len(vectors.restricted([])) == 0


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        (("a", "b"), np.zeros((3, 2), dtype=np.float32), "2 words, but 3 vectors"),
        (("a", "b", "a"), np.zeros((3, 2), dtype=np.float32), "'a' stands twice"),
        (("a", "b"), np.array([[1, 2], [np.nan, 0]], dtype=np.float32), "vector of 'b' holds NaN"),
        (("a", "b"), np.array([[np.inf, 2], [np.nan, 0]], dtype=np.float32), r"vector of 'a' .*\(2 words"),
    ],
)
def test_what_is_refused(words, vectors, message):
    with pytest.raises(InputError, match=message):
        WordVectors(words, vectors)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_transformations_keep_their_promise(seed, n_removed):
    vectors = some(60, 5, seed)
    vectors = vectors.with_vectors(vectors.vectors * [5, 3, 2, 1, 0.5] + 2, made_by={})
    centered = vectors.transformed(center=True).vectors
    np.testing.assert_allclose(centered.mean(axis=0), 0, atol=1e-5)
    removed = vectors.transformed(n_components_removed=n_removed).vectors.astype(np.float64)
    before = np.linalg.svd(centered.astype(np.float64), compute_uv=False)
    after = np.linalg.svd(removed, compute_uv=False)
    np.testing.assert_allclose(after[: 5 - n_removed], before[n_removed:], rtol=1e-4)
    assert after[5 - n_removed :].max() < 1e-4 * before[0]
    np.testing.assert_allclose(np.linalg.norm(vectors.unit().vectors, axis=1), 1, rtol=1e-6)


def test_whitening_makes_directions_equal():
    vectors = some(5000, 3)
    white = vectors.with_vectors(vectors.vectors * [9, 3, 1] + 4, made_by={}).transformed(whiten=True).vectors
    np.testing.assert_allclose(np.cov(white.T), np.eye(3), atol=0.03)  # shrinkage draws the weak direction in


def test_nothing_asked_nothing_changed_and_all_is_recorded():
    vectors = some()
    np.testing.assert_array_equal(vectors.transformed().vectors, vectors.vectors)
    assert vectors.transformed(center=True, n_components_removed=2).provenance.parameters == {"center": True, "n_components_removed": 2}
    for n in (-1, 4):
        with pytest.raises(InputError, match=f"n_components_removed is {n}; expected 0 to 3"):
            vectors.transformed(n_components_removed=n)


def test_a_zero_vector_stays_zero():
    vectors = WordVectors(("a", "b"), np.array([[0, 0], [3, 4]], dtype=np.float32))
    np.testing.assert_allclose(vectors.unit().vectors, [[0, 0], [0.6, 0.8]], rtol=1e-6)


SPACE = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0], "sky": [2.0, 2.0], "x1": [5.0, 5.0]}, unembedding=[[1, 2], [3, 1], [0, 1], [1, 1]])


def test_tables_of_a_toy_space():
    assert whole_words(SPACE) == ("cat", "dog", "sky")
    words = ["sky", "cat dog", "zebra", "cat", "sky"]
    found = vocabulary_vectors(SPACE, words)
    assert found.words == ("sky", "cat dog", "cat")
    np.testing.assert_allclose(found.vectors, [[2, 2], [0.5, 0.5], [1, 0]])
    np.testing.assert_allclose(vocabulary_vectors(SPACE, ["cat dog"], table="head").vectors, [[2, 1.5]])
    frame = VocabularyFrame(SPACE)
    np.testing.assert_allclose(vocabulary_vectors(SPACE, ["cat dog"], table="basis").vectors[0], frame.word_basis("cat dog"), rtol=1e-6)
    with pytest.raises(InputError, match="table is 'rows'; expected one of embedding, head, basis"):
        vocabulary_vectors(SPACE, words, table="rows")
    assert len(vocabulary_vectors(SPACE, [])) == 0


def test_all_whole_words_and_some_more():
    found = space_vectors(SPACE, "embedding", ["dog sky", "zebra", "x1", "cat"])
    assert found.words == ("cat", "dog", "sky", "dog sky", "x1")
    assert space_vectors(SPACE, "basis", ["dog sky", "zebra", "x1"], single_token_only=True).words == ("cat", "dog", "sky", "x1")
    states = space_vectors(SPACE, "states", ["dog sky"])
    np.testing.assert_allclose(states.of(["dog sky"]), [[1, 1.5]])
    with pytest.raises(InputError, match="source is 'magic'; expected one of embedding, head, basis, states"):
        space_vectors(SPACE, "magic")

    class Plain(Space):
        n_dims, fingerprint = 2, SPACE.fingerprint

        def encode(self, texts, *, batch_size=None, progress=iter):
            return np.zeros((len(texts), 2), dtype=np.float32)

    with pytest.raises(InputError, match="toy has no vocabulary to take words from"):
        space_vectors(Plain(), "embedding")


def test_states_are_means_over_templates():
    found = state_vectors(SPACE, ["cat", "dog", "cat"], templates=["{text}", "{text} sky"])
    assert found.words == ("cat", "dog")
    np.testing.assert_allclose(found.vectors, [[(1 + 1.5) / 2, 0.5], [0.5, (1 + 1.5) / 2]])
    assert found.provenance.parameters["templates"] == ["{text}", "{text} sky"]
    for templates in ([], ["{text}", "the word"]):
        with pytest.raises(InputError, match=r"has no \{text\}"):
            state_vectors(SPACE, ["cat"], templates=templates)


def test_whole_words_of_a_byte_level_vocabulary_begin_with_a_blank():
    space = tiny_space("llama")
    words = whole_words(space)
    assert {"cat", "dog", "mat"} <= set(words)
    assert len(set(words)) == len(words)
    assert all(space.token_texts(space.word_ids(word)) == [f" {word}"] for word in words)
    found = vocabulary_vectors(space, words)
    np.testing.assert_array_equal(found.of(["cat"])[0], space.embedding()[space.word_ids("cat")[0]])
