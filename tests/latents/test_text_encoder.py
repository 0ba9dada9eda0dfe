"""Texts in a pipeline, encoded once however often they are asked for."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.latents import LatentStore, TextEncoder
from lexframe.spaces import ToySpace

TOY = ToySpace({"three": [1.0, 0.0], "four": [0.0, 1.0]})


def test_it_says_that_it_takes_texts():
    """check_estimator then leaves it alone, as it does scikit-learn's own vectorizers; what it would check stands below."""
    tags = get_tags(TextEncoder(TOY))
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert TextEncoder(TOY).set_params(batch_size=3).get_params()["batch_size"] == 3
    with pytest.raises(NotFittedError):
        TextEncoder(TOY).transform(["three"])


class Counting(ToySpace):
    """Counts the texts it encodes."""

    encoded = 0

    def encode(self, texts, **options):
        type(self).encoded += len(texts)
        return super().encode(texts, **options)


@pytest.fixture
def counting(space):
    Counting.encoded = 0
    return Counting({word: vector.tolist() for word, vector in zip(space.words, space.embedding(), strict=True)})


def test_points_are_those_of_the_space(space, texts):
    encoder = TextEncoder(space).fit(texts)
    for given in (texts, tuple(texts), np.array(texts), np.array(texts, dtype=object), pd.Series(texts)):
        np.testing.assert_array_equal(encoder.transform(given), space.encode(texts))
    assert encoder.get_feature_names_out().tolist() == [f"point{number}" for number in range(6)]


def test_clones_share_the_space(space):
    encoder = TextEncoder(space, batch_size=3)
    assert clone(encoder).space is space
    assert clone(encoder).get_params() == encoder.get_params()


def test_a_grid_search_encodes_every_text_once(counting, texts, tmp_path):
    y = np.arange(50) % 2
    pipeline = make_pipeline(TextEncoder(counting, cache=tmp_path / "cache"), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1, 10]}, cv=5).fit(texts, y)
    assert Counting.encoded == len(set(texts))
    plain = GridSearchCV(make_pipeline(TextEncoder(counting), LogisticRegression()), {"logisticregression__C": [0.1, 1, 10]}, cv=5).fit(
        texts, y
    )
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    before = Counting.encoded
    cross_val_score(pipeline, texts, y, cv=3)
    assert Counting.encoded == before
    assert len(LatentStore(tmp_path / "cache")) == len(set(texts))


def test_the_cache_of_another_space_is_refused(space, texts, tmp_path):
    TextEncoder(space, cache=tmp_path / "cache").fit(texts).transform(texts)
    with pytest.raises(FingerprintMismatch, match="cannot be mixed"):
        TextEncoder(ToySpace({"w1": [0.0] * 6}), cache=tmp_path / "cache").fit(texts).transform(texts)


def test_a_full_cache_is_read_while_another_process_writes(space, texts, tmp_path):
    encoder = TextEncoder(space, cache=tmp_path / "cache").fit(texts)
    expected = encoder.transform(texts)
    with LatentStore(tmp_path / "cache").writer():
        np.testing.assert_array_equal(encoder.transform(texts), expected)
        with pytest.raises(InputError, match="another process"):
            encoder.transform(["w1 w1 w1 w1 w1 w1 w1 w1 w1 w1"])


def test_no_texts(space, tmp_path):
    assert TextEncoder(space, cache=tmp_path / "cache").fit(["w1"]).transform([]).shape == (0, 6)


@pytest.mark.parametrize(
    ("given", "message"), [(b"one", "texts is bytes"), ([1, 2], r"texts\[0\] is int 1"), (np.array([["a"]]), r"shape \(1, 1\)")]
)
def test_what_is_no_list_of_texts(space, given, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        TextEncoder(space).fit(given)
