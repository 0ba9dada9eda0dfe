"""The space without a model: the geometry of TF-IDF itself, folders, and what is said before it is fitted."""

import numpy as np
import pytest

from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.latents import TextEncoder
from lexframe.linalg import cosine
from lexframe.ngrams import NGramCounts, inverse_document_frequencies, tfidf
from lexframe.spaces import LexicalSpace, Space, open_space, recognized_kind, reopen_space, space_class
from lexframe.spaces.base import fitted_space

TEXTS = ["the parcel is late", "a refund please", "where is my parcel", "refund my money", "no parcel yet", "the courier lost it"]


@pytest.fixture(scope="module")
def space():
    return LexicalSpace().fitted_on(TEXTS)


def test_products_of_the_fitted_texts_are_those_of_tfidf(space):
    found = NGramCounts.of(TEXTS)
    features = tfidf(found.counts, inverse_document_frequencies(found.counts), len(found.vocabulary.words))
    points = space.encode(TEXTS)
    np.testing.assert_allclose(points @ points.T, (features @ features.T).toarray(), atol=1e-5)
    assert space.n_dims == len(TEXTS)


def test_another_text_lies_where_the_fitted_ones_see_it(space):
    points, new = space.encode(TEXTS), space.encode(["my parcel was lost"])
    found = NGramCounts.of(TEXTS)
    rarity, n_words = inverse_document_frequencies(found.counts), len(found.vocabulary.words)
    features = tfidf(found.counts, rarity, n_words)
    other = tfidf(found.vocabulary.counts(["my parcel was lost"]), rarity, n_words)
    np.testing.assert_allclose(new @ points.T, (other @ features.T).toarray(), atol=1e-5)
    assert cosine(new, points)[0].argmax() in (0, 2, 4)  # a parcel


def test_the_largest_directions_are_kept():
    few = LexicalSpace(n_dims=3).fitted_on(TEXTS)
    points = few.encode(TEXTS)
    assert points.shape == (6, 3)
    whole = LexicalSpace().fitted_on(TEXTS).encode(TEXTS).astype(np.float64)
    values, vectors = np.linalg.eigh(whole @ whole.T)
    best = (vectors[:, -3:] * values[-3:]) @ vectors[:, -3:].T
    np.testing.assert_allclose(points @ points.T, best, atol=1e-5)


def test_no_coordinate_is_the_first_direction():
    """Coordinates are turned, so that bringing them to the same spread does not blow up the smallest direction."""
    texts = [f"word{number % 7} thing{number % 11} item{number}" for number in range(120)]
    spread = LexicalSpace(n_dims=40).fitted_on(texts).encode(texts).std(axis=0)
    assert spread.max() / spread.min() < 2.5


def test_a_text_without_a_known_n_gram_is_zero(space):
    assert not space.encode(["", "ξψω"]).any()


def test_it_says_that_it_is_not_fitted():
    space = open_space("tfidf")
    assert (type(space), space.is_fitted, space.n_dims) == (LexicalSpace, False, 1024)
    with pytest.raises(InputError, match="tfidf is not fitted: its dimensions come from texts"):
        space.encode(["a"])
    with pytest.raises(InputError, match="nothing to keep"):
        space.to_artifact()
    with pytest.raises(InputError, match="None of the 2 texts"):
        space.fitted_on(["", " "])
    with pytest.raises(InputError, match="n_dims is 0"):
        LexicalSpace(n_dims=0)


def test_fitting_leaves_the_space_as_it_was(space):
    bare = LexicalSpace()
    assert fitted_space(bare, TEXTS).is_fitted
    assert not bare.is_fitted
    assert fitted_space(space, ["other"]) is space


def test_the_fingerprint_tells_what_it_was_fitted_on(space):
    assert LexicalSpace().fitted_on(TEXTS).fingerprint == space.fingerprint
    assert LexicalSpace().fitted_on(TEXTS[1:]).fingerprint.digest != space.fingerprint.digest
    assert LexicalSpace(n_dims=3).fitted_on(TEXTS).fingerprint.digest != space.fingerprint.digest


def test_it_comes_back_from_its_folder(space, tmp_path):
    space.save(tmp_path / "kept")
    folder = str(tmp_path / "kept")
    assert recognized_kind(folder) == "tfidf"
    opened = Space.of(folder)
    np.testing.assert_array_equal(opened.encode(["my parcel", "café"]), space.encode(["my parcel", "café"]))
    assert opened.fingerprint.digest == space.fingerprint.digest
    assert reopen_space(opened.fingerprint).n_dims == space.n_dims
    with pytest.raises(InputError, match="is fitted, and its dimensions with it"):
        open_space(folder, n_dims=3)
    LexicalSpace().fitted_on(["something else"]).save(tmp_path / "kept")
    with pytest.raises(FingerprintMismatch):
        reopen_space(opened.fingerprint)


def test_a_damaged_folder_is_named(space, tmp_path):
    space.save(tmp_path)
    next(tmp_path.glob("arrays-*")).write_bytes(b"no arrays")
    with pytest.raises(DataError, match="damaged tfidf-space"):
        open_space(str(tmp_path))


def test_other_names_and_folders_are_not_of_its_kind(tmp_path):
    assert not LexicalSpace.recognizes("gpt2")
    assert not LexicalSpace.recognizes(str(tmp_path))
    (tmp_path / "artifact.json").write_text("{")
    assert not LexicalSpace.recognizes(str(tmp_path))
    assert space_class("tfidf") is LexicalSpace


def test_more_texts_than_span_the_points(monkeypatch):
    monkeypatch.setattr("lexframe.spaces.lexical.MOST_AXES", 4)
    monkeypatch.setattr("lexframe.spaces.lexical.MOST_TEXTS", 5)
    space = LexicalSpace().fitted_on(TEXTS)
    assert space.n_dims == 4
    assert np.isfinite(space.encode(TEXTS)).all()


def test_as_a_step_of_a_pipeline_it_is_fitted_with_the_pipeline():
    encoder = TextEncoder("tfidf").fit(TEXTS)
    assert encoder.n_features_out_ == len(TEXTS)
    np.testing.assert_array_equal(encoder.transform(TEXTS), LexicalSpace().fitted_on(TEXTS).encode(TEXTS))
