"""Points to audit texts by, and the words that pull."""

import numpy as np
import pytest

from lexframe import CategoryAudit
from lexframe.audit import audit_points, word_effects
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.base import Space


@pytest.fixture(scope="module")
def space():
    return LanguageModelSpace("embedded")


def test_a_language_model_gives_three_scaled_means(space):
    texts = ["the train is late", "my card was declined", "a window is broken"]
    points, encoder = audit_points(space, texts)
    assert points.shape == (3, 3 * space.n_dims)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)
    for part in np.split(points, 3, axis=1):
        assert np.mean(np.sum(part**2, axis=1)) == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(encoder.encode(texts[:2]), points[:2], atol=1e-4)


class Lengths(Space):
    """Two numbers a text, and no layers."""

    n_dims = 2
    fingerprint = None

    def encode(self, texts, *, batch_size=None, progress=iter):
        return np.array([[len(text), text.count("a")] for text in texts], np.float32).reshape(-1, 2)


def test_a_space_without_layers_gives_its_own_points():
    points, encoder = audit_points(Lengths(), ["cat", "banana"])
    np.testing.assert_array_equal(points, [[3, 1], [6, 3]])
    np.testing.assert_array_equal(encoder.encode(["a"]), [[1, 1]])


def test_no_texts_give_no_points(space):
    points, _ = audit_points(space, [])
    assert points.shape == (0, 3 * space.n_dims)


def test_the_word_that_decides_has_the_largest_effect(space):
    fruit = [f"i ate a {word} today" for word in ("apple", "pear", "plum", "melon", "grape", "cherry")] * 5
    traffic = [f"i drove a {word} today" for word in ("car", "bus", "truck", "van", "tram", "bike")] * 5
    texts = [f"{text} {number}" for number, text in enumerate(fruit + traffic)]
    points, encoder = audit_points(space, texts)
    result = CategoryAudit(duplicates=False, relations=False).fit(points, ["fruit"] * 30 + ["traffic"] * 30).result_
    asked = ["i drove a truck today"]
    effects = word_effects(encoder.encode, asked, np.array([0]), np.array([1]), result.posterior)[0]
    assert [word for word, _ in effects] == asked[0].split()
    assert max(effects, key=lambda pair: pair[1])[0] in ("drove", "truck")


def test_long_texts_and_single_words(space):
    points, encoder = audit_points(space, [f"text number {n}" for n in range(12)])
    result = CategoryAudit(duplicates=False, relations=False).fit(points, ["a", "b"] * 6).result_
    effects = word_effects(encoder.encode, ["word " * 100, "one"], np.array([0, 0]), np.array([1, 1]), result.posterior)
    assert len(effects[0]) == 100
    assert effects[0][90][1] == 0
    assert len(effects[1]) == 1
