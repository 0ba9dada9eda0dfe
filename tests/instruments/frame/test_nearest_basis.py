"""Four points in the plane, worked by hand."""

import numpy as np
import pytest

from lexframe.instruments import LabelBases, NearestBasis, VocabularyFrame
from lexframe.spaces import ToySpace

BASES = LabelBases(labels=("north", "east"), vectors=np.array([[0.0, 2.0], [1.0, 0.0]]), token_ids=((0,), (1,)))
POINTS = np.array([[3.0, 4.0], [4.0, 3.0], [-1.0, 0.1], [0.0, 0.0]])


def test_similarities_probabilities_and_labels():
    model = NearestBasis(BASES, temperature=0.5).fit(POINTS, ["east", "east", "north", "north"])
    assert model.classes_.tolist() == ["east", "north"]
    np.testing.assert_array_equal(model.vectors_, [[1, 0], [0, 2]])
    third = np.array([-1, 0.1]) / np.sqrt(1.01)
    np.testing.assert_allclose(model.similarity(POINTS), [[0.6, 0.8], [0.8, 0.6], third, [0, 0]])
    assert model.predict(POINTS).tolist() == ["north", "east", "north", "east"]  # a tie goes to the first label
    odds = np.exp((0.8 - 0.6) / 0.5)
    np.testing.assert_allclose(model.predict_proba(POINTS)[0], [1 / (1 + odds), odds / (1 + odds)])
    np.testing.assert_allclose(model.predict_proba(POINTS)[3], [0.5, 0.5])


def test_the_metric_of_the_bases_is_used():
    metric = np.array([[2.0, 1.0], [1.0, 2.0]])
    model = NearestBasis(LabelBases(BASES.labels, BASES.vectors, BASES.token_ids, metric)).fit(POINTS, ["east"] * 4)
    # For (3, 4): a·a = 2·9 + 2·12 + 2·16 = 74, with east 2·3 + 4 = 10 over √2, with north (3 + 8)·2 over √8
    np.testing.assert_allclose(model.similarity(POINTS[:1]), [[10 / np.sqrt(74 * 2), 22 / np.sqrt(74 * 8)]])


def test_nothing_is_learnt_from_the_points_when_there_are_bases(rng):
    first = NearestBasis(BASES).fit(POINTS, ["east", "east", "north", "north"])
    second = NearestBasis(BASES).fit(rng.normal(size=(6, 2)), ["north"] * 6)
    np.testing.assert_array_equal(first.predict_proba(POINTS), second.predict_proba(POINTS))


def test_labels_unseen_in_training_can_be_predicted():
    model = NearestBasis(BASES).fit(POINTS[:2], ["east", "east"])
    assert model.classes_.tolist() == ["east", "north"]
    assert model.predict([[0.0, 1.0]]).tolist() == ["north"]


def test_without_bases_class_means_take_their_place():
    model = NearestBasis().fit(POINTS, [1, 1, 0, 0])
    np.testing.assert_allclose(model.vectors_, [[-0.5, 0.05], [3.5, 3.5]])
    assert model.classes_.tolist() == [0, 1]
    assert model.predict(POINTS[:3]).tolist() == [1, 1, 0]


def test_a_label_without_a_basis_is_named():
    with pytest.raises(ValueError, match=r"No basis for the labels \['west'\]; there are bases for \['north', 'east'\]"):
        NearestBasis(BASES).fit(POINTS, ["west", "east", "east", "east"])


def test_points_of_another_space_are_refused():
    with pytest.raises(ValueError, match="2 dimensions, but the points have 3"):
        NearestBasis(BASES).fit(np.ones((2, 3)), ["east", "north"])


def test_zero_shot_from_words_to_labels():
    space = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0], "purrs": [0.9, 0.1], "barks": [0.1, 0.9]})
    bases = VocabularyFrame(space).label_bases({"cats": ["cat"], "dogs": ["dog"]})
    texts = ["it purrs", "barks and barks", "cat"]
    model = NearestBasis(bases).fit(space.encode(texts), ["cats", "dogs", "cats"])
    assert model.predict(space.encode(texts)).tolist() == ["cats", "dogs", "cats"]
