"""Edits and Gaussians from labeled texts of a writer whose coordinates are its words."""

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.generative.edited_texts import edit_texts
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.edits.edits_from_texts import class_gaussians_from_texts, edit_from_texts
from tests.generative.toy_writer import ALL_TEXTS, ToyWriter

VERBS = [text.split()[1] for text in ALL_TEXTS]
PAIRS = [" ".join(text.split()[:2]) for text in ALL_TEXTS]
"""Four classes: he or she, and the verb."""


@pytest.fixture
def space():
    return ToyWriter()


def test_the_mean_difference_of_two_classes_is_that_of_their_points(space):
    edit = edit_from_texts(space, ALL_TEXTS, VERBS, "sang")
    np.testing.assert_allclose(edit.direction_.vector(), [0, 2, 0, 0])
    assert edit.target_ == "sang"
    np.testing.assert_allclose(edit_from_texts(space, ALL_TEXTS, VERBS, "spoke").direction_.vector(), [0, -2, 0, 0])


def test_among_several_classes_the_others_are_the_other_side(space):
    edit = edit_from_texts(space, ALL_TEXTS, PAIRS, "she sang")
    np.testing.assert_allclose(edit.direction_.vector(), [4 / 3, 4 / 3, 0, 0])
    assert edit.classes_ == ("not she sang", "she sang")


@pytest.mark.parametrize("method", ["mean-difference", "classifier"])
def test_the_class_is_written_after_the_edit(space, method):
    edit = edit_from_texts(space, ALL_TEXTS, PAIRS, "she sang", method=method)
    found = edit_texts(space, ["he spoke softly today"], edit, strength=1.5)
    assert found.edited == ("she sang softly today",)


def test_the_gaussians_hold_the_spread_of_the_posteriors(space):
    gaussians = class_gaussians_from_texts(space, ALL_TEXTS, PAIRS)
    assert gaussians.classes_ == ("he sang", "he spoke", "she sang", "she spoke")
    np.testing.assert_allclose(gaussians.means_[2], [1, 1, 0, 0], atol=1e-12)
    bare = ToyWriter(log_variance=-30.0)
    narrow = class_gaussians_from_texts(bare, ALL_TEXTS, PAIRS)
    added = np.diagonal(gaussians.covariances_ - narrow.covariances_, axis1=1, axis2=2)
    np.testing.assert_allclose(added, np.exp(-3), rtol=1e-6)


def test_a_direction_moves_as_its_edit_does(space, tmp_path):
    edit = edit_from_texts(space, ALL_TEXTS, VERBS, "sang")
    points = space.encode(ALL_TEXTS)
    edit.direction_.save(tmp_path)
    kept = Direction.load(tmp_path)
    np.testing.assert_array_equal(kept.move(points, 0.7), edit.move(points, 0.7))
    assert (kept.positive, kept.negative, kept.method) == ("sang", "spoke", "mean_difference")
    for found in (edit, kept):
        found.require(space.fingerprint)
        with pytest.raises(FingerprintMismatch):
            found.require(ToyWriter(n_ignored=2).fingerprint)


def test_what_is_wrong_is_said_before_texts_are_encoded():
    class Shut(ToyWriter):
        def encode(self, texts, **options):
            raise AssertionError("encoded")

    for labels, target, method, says in (
        (VERBS, "hummed", "mean-difference", "'hummed' is no class here; the classes are 'sang', 'spoke'"),
        (VERBS[:-1], "sang", "mean-difference", "16 points, but 15 labels"),
        (["a", *["b"] * 15], "a", "mean-difference", "the class 'a' has one text"),
        (VERBS, "sang", "magic", "mean-difference, classifier"),
    ):
        with pytest.raises(InputError, match=says):
            edit_from_texts(Shut(), ALL_TEXTS, labels, target, method=method)
    with pytest.raises(InputError, match="the class 'a' has one text"):
        class_gaussians_from_texts(Shut(), ALL_TEXTS, ["a", *["b"] * 15])
