"""Edits against closed forms, and the classifier's against a general constrained optimiser."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
from scipy.special import logsumexp

from lexframe.artifacts import read_document, write_artifact
from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.instruments import load_instrument
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.edits.attribute_edit import ClassifierGradientEdit, MeanDifferenceEdit
from lexframe.instruments.edits.class_projection import nearest_in_class
from lexframe.linalg import shrunken_whitening
from lexframe.provenance import Provenance, SpaceFingerprint


def standard_whitening(points):
    return shrunken_whitening(points / points.std(axis=0))[1].astype(np.float64) / points.std(axis=0)[:, np.newaxis]


@pytest.fixture
def two_classes(rng):
    """Points that differ by class along one axis, with axes of different spread that do not lie along the dimensions."""
    labels = ["calm", "angry"] * 60
    points = rng.normal(size=(120, 4)) * [0.5, 1, 3, 0.2]
    points[::2] += [1.5, 0, 0, 0]  # the calm ones
    return points @ rng.normal(size=(4, 4)), labels


def test_strength_one_moves_mean_to_mean(two_classes):
    points, labels = two_classes
    is_calm = np.array(labels) == "calm"
    edit = MeanDifferenceEdit().fit(points, labels)
    assert edit.target_ == "calm"  # the second, sorted
    np.testing.assert_allclose(edit.move(points[~is_calm]).mean(axis=0), points[is_calm].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(edit.move(points, 0.0), points, atol=1e-6)
    np.testing.assert_allclose(edit.move(points, -2.0), points - 2 * edit.direction_.vector(), atol=1e-5)
    back = MeanDifferenceEdit(target="angry").fit(points, labels)
    np.testing.assert_allclose(back.direction_.vector(), -edit.direction_.vector())
    assert edit.target_probability(points[is_calm]).mean() > 0.8
    np.testing.assert_allclose(edit.target_probability(points) + back.target_probability(points), 1)


def test_labels_of_other_types(two_classes):
    points, labels = two_classes
    flags = [label == "calm" for label in labels]
    for given in (flags, np.array(flags), np.array(flags, dtype=int), ["no" if flag else 0 for flag in flags]):
        assert len(MeanDifferenceEdit().fit(points, given).classes_) == 2
    edit = MeanDifferenceEdit(target=True).fit(points, flags)
    assert edit.target_ is True
    np.testing.assert_allclose(edit.direction_.vector(), MeanDifferenceEdit(target="calm").fit(points, labels).direction_.vector())


@pytest.mark.parametrize("metric", ["whitened", "euclidean"])
@pytest.mark.parametrize("probability", [0.3, 0.9, 0.999])
def test_two_classes_are_the_closed_form(two_classes, metric, probability):
    points, labels = two_classes
    edit = ClassifierGradientEdit(target="calm", probability=probability, metric=metric, radius=1e9).fit(points, labels)
    weights = edit.probe_.coef_[1] - edit.probe_.coef_[0]
    odds = edit.probe_.decision_function(points)
    whitening = standard_whitening(points) if metric == "whitened" else np.eye(4)
    covariance = np.linalg.inv(whitening @ whitening.T)
    short = np.maximum(np.log(probability / (1 - probability)) - odds, 0)
    expected = points + short[:, np.newaxis] * (covariance @ weights) / (weights @ covariance @ weights)
    found = edit.move(points)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    reached = edit.target_probability(found)
    assert (reached > probability - 1e-5).all()
    np.testing.assert_allclose(reached[short > 0], probability, atol=1e-5)
    np.testing.assert_array_equal(found[short == 0], points[short == 0].astype(np.float32))


def test_the_whitened_move_uses_the_direction_in_which_texts_differ(rng):
    """Two axes tell the classes apart; one has ten times the spread of the other, so moving along it is ten times as cheap."""
    labels = [0, 1] * 200
    points = rng.normal(size=(400, 2)) * [1.0, 0.1]
    points[1::2] += [1.0, 0.1]
    move = {}
    for metric in ("whitened", "euclidean"):
        edit = ClassifierGradientEdit(metric=metric, radius=1e9).fit(points, labels)
        shift = edit.move(points)[0] - points[0]
        move[metric] = abs(shift[0] / shift[1])
    assert move["euclidean"] < 0.3
    assert move["whitened"] > 3


def test_never_past_the_radius_and_strength_scales(two_classes):
    points = two_classes[0][:40]
    fitted = {radius: ClassifierGradientEdit(target="calm", radius=radius, probability=0.99).fit(*two_classes) for radius in (0.5, 1e9)}
    whitening = standard_whitening(two_classes[0])
    for strength in (0.5, 1.0, 3.0):
        free = (fitted[1e9].move(points, strength) - points) @ whitening
        held = (fitted[0.5].move(points, strength) - points) @ whitening
        lengths = np.linalg.norm(free, axis=1)
        assert (lengths > 0.5).any()
        np.testing.assert_allclose(np.linalg.norm(held, axis=1), np.minimum(lengths, 0.5), atol=1e-5)
        factor = np.minimum(1, 0.5 / np.maximum(lengths, 1e-9))
        np.testing.assert_allclose(held, free * factor[:, np.newaxis], atol=1e-4)  # the same way, only shorter
    whole, half = fitted[1e9].move(points) - points, fitted[1e9].move(points, 0.5) - points
    np.testing.assert_allclose(half, whole / 2, atol=1e-5)


@pytest.mark.parametrize(("n_classes", "n_dims", "scale"), [(3, 2, 1), (4, 5, 3), (8, 16, 2), (3, 4, 10)])
def test_several_classes_against_a_general_optimiser(rng, n_classes, n_dims, scale):
    coefficients, intercept = rng.normal(size=(n_classes, n_dims)) * scale, rng.normal(size=n_classes)
    start = rng.normal(size=(12, n_dims)) * 2
    found = nearest_in_class(start, coefficients, intercept, 1, 0.9)

    def odds(point):
        logits = coefficients @ point + intercept
        return logits[1] - logsumexp(np.delete(logits, 1)) - np.log(9)

    moved = 0
    for before, after in zip(start, found, strict=True):
        assert odds(after) > -1e-3
        if odds(before) > 0:
            np.testing.assert_array_equal(before, after)
            continue
        moved += 1
        best = scipy.optimize.minimize(
            lambda point, origin=before: ((point - origin) ** 2).sum(),
            after,
            jac=lambda point, origin=before: 2 * (point - origin),
            constraints={"type": "ineq", "fun": odds},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert np.linalg.norm(after - before) <= np.sqrt(best.fun) + 1e-4
    assert moved > 4


def test_several_classes_reach_the_probability(rng):
    labels = ["a", "b", "c"] * 50
    points = rng.normal(size=(150, 5))
    points[1::3, 0] += 3
    points[2::3, 1] += 3
    points = points @ rng.normal(size=(5, 5))
    edit = ClassifierGradientEdit(target="b", probability=0.95, radius=1e9).fit(points, labels)
    assert edit.target_ == "b"
    assert (edit.target_probability(edit.move(points)) > 0.95 - 1e-4).all()


def test_classes_that_no_move_tells_apart_leave_points_alone():
    start = np.ones((2, 3))
    np.testing.assert_array_equal(nearest_in_class(start, np.zeros((2, 3)), np.zeros(2), 1, 0.9), start)


def direction_of(vectors):
    space = SpaceFingerprint(kind="ToyWriter", model="toy", weights="toy-4")
    return Direction(vectors, 2, "high", "low", "mean_difference", Provenance(space=space))


def test_a_direction_is_added_as_it_is():
    vector = np.array([0, 2, 0, 0], np.float32)
    points = np.ones((2, 4), np.float32)
    for edit in (direction_of({1: vector}), direction_of({1: -vector, 2: vector}).at(-1)):
        np.testing.assert_array_equal(edit.move(points, 0.5), points + vector / 2)
        assert edit.target_probability(points) is None
    np.testing.assert_array_equal(Direction.of_points(vector).move(points), points + vector)


@pytest.mark.parametrize(
    "edit",
    [
        MeanDifferenceEdit(target="calm"),
        ClassifierGradientEdit(target="calm", probability=0.7, radius=1.5),
        ClassifierGradientEdit(radius=float("inf"), metric="euclidean"),
    ],
)
def test_kept_and_opened_it_moves_the_same(edit, two_classes, tmp_path):
    points, labels = two_classes
    space = SpaceFingerprint(kind="ToyWriter", model="toy", weights="toy-4")
    edit.fit(points, labels, space=space).save(tmp_path)
    opened = load_instrument(tmp_path)
    assert type(opened) is type(edit)
    np.testing.assert_array_equal(opened.move(points, 0.8), edit.move(points, 0.8))
    np.testing.assert_array_equal(opened.target_probability(points), edit.target_probability(points))
    assert (opened.to_dict(), opened.goal, opened.classes_) == (edit.to_dict(), edit.goal, edit.classes_)
    assert read_document(tmp_path)["provenance"]["space"]["weights"] == "toy-4"
    for each in (edit, opened):
        each.require(space)
        with pytest.raises(FingerprintMismatch):
            each.require(SpaceFingerprint(kind="ToyWriter", model="toy", weights="another"))
    kept = edit.to_artifact()
    for change in ({"arrays": {}}, {"parameters": {}}, {"parameters": kept.parameters | {"classes": ["x", "y"], "target": "z"}}):
        write_artifact(dataclasses.replace(kept, **change), tmp_path)
        with pytest.raises((DataError, InputError)):
            load_instrument(tmp_path)


def test_labels_of_any_plain_kind_come_back(two_classes, tmp_path):
    points, labels = two_classes
    calm = [label == "calm" for label in labels]
    for given in (np.array(calm), [("mood", value) for value in calm], [7 if value else -2 for value in calm]):
        edit = MeanDifferenceEdit().fit(points, given)
        edit.save(tmp_path)
        opened = load_instrument(tmp_path)
        assert (opened.classes_, opened.target_) == (edit.classes_, edit.target_)
        np.testing.assert_array_equal(opened.move(points), edit.move(points))


def test_bad_input(two_classes, without_type_checks):
    points, labels = two_classes
    for edit in (MeanDifferenceEdit(), ClassifierGradientEdit()):
        with pytest.raises(InputError, match="one text"):
            edit.fit(points[:5], ["a", "a", "a", "a", "b"])
        with pytest.raises(InputError, match="120 points, but 3 labels"):
            edit.fit(points, labels[:3])
        with pytest.raises(InputError, match="labels are missing, the first in row 1"):
            edit.fit(points[:4], ["a", None, "b", "b"])
        with pytest.raises(InputError, match="there is none"):
            edit.fit(points[:0], [])
        with pytest.raises(InputError, match="2 of 120 rows of points are not finite, the first is row 3"):
            edit.fit(np.where(np.isin(np.arange(120), [3, 7])[:, np.newaxis], np.nan, points), labels)
        with pytest.raises(InputError, match="expected a table"):
            edit.fit(points[0], labels)
        edit.fit(points, labels)
        with pytest.raises(InputError, match="3 dimensions, but 4"):
            edit.move(points[:, :3])
        with pytest.raises(InputError, match="strength is nan"):
            edit.move(points, float("nan"))
    with pytest.raises(InputError, match="two classes, but there are 3"):
        MeanDifferenceEdit().fit(points, ["a", "b", "c"] * 40)
    with pytest.raises(InputError, match="same mean"):
        MeanDifferenceEdit().fit(np.ones((4, 2)), [0, 1, 0, 1])
    with pytest.raises(InputError, match="All labels are 'a'"):
        ClassifierGradientEdit().fit(points, ["a"] * 120)
    for unknown in (MeanDifferenceEdit(target="glad"), ClassifierGradientEdit(target="glad")):
        with pytest.raises(InputError, match="'glad' is no class here; the classes are 'angry', 'calm'"):
            unknown.fit(points, labels)
    for options in ({"probability": 1.0}, {"probability": 0.0}, {"radius": 0.0}, {"radius": float("nan")}, {"metric": "round"}):
        with pytest.raises(InputError, match=next(iter(options))):
            ClassifierGradientEdit(**options)
    with pytest.raises(InputError, match="zero"):
        Direction.of_points(np.zeros(3))
    with pytest.raises(InputError, match=r"layers \[1, 2\]"):
        direction_of({1: np.ones(4, np.float32), 2: np.ones(4, np.float32)}).move(points)
