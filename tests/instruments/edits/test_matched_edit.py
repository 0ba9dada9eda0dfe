"""Edits that respect other attributes, on points whose differences are known for each group."""

import numpy as np
import pytest

from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.instruments.edits.attribute_edit import MeanDifferenceEdit
from lexframe.instruments.edits.edits_from_texts import edit_from_texts
from lexframe.instruments.edits.matched_edit import MatchedDifferenceEdit
from tests.generative.toy_writer import ALL_TEXTS, ToyWriter


@pytest.fixture
def interplay(rng):
    """Two attributes that mix: in the group "up" the class "b" lies to the right of "a", in "down" it lies to the left."""
    labels = np.array(["a", "b"] * 100)
    groups = np.array(["up"] * 100 + ["down"] * 100)
    center = np.where(groups == "up", 4.0, -4.0)
    shift = np.where(labels == "b", 1.0, -1.0) * np.where(groups == "up", 2.0, -2.0)
    points = np.stack([shift, center, np.where(labels == "b", 3.0, 0.0)], axis=1) + rng.normal(size=(200, 3)) * 0.05
    return points.astype(np.float32), labels, groups


def test_a_point_moves_as_its_group_does(interplay):
    points, labels, groups = interplay
    edit = MatchedDifferenceEdit(target="b", smoothing=0.0).fit(points, labels, groups)
    assert edit.groups_ == ("down", "up")
    moved = edit.move(points)
    for group in ("up", "down"):
        rows, goal = (groups == group) & (labels == "a"), points[(groups == group) & (labels == "b")].mean(axis=0)
        np.testing.assert_allclose(moved[rows].mean(axis=0), goal, atol=1e-5)
    np.testing.assert_allclose(moved[labels == "b"], points[labels == "b"])  # there already
    np.testing.assert_allclose(edit.move(points, 0.5) - points, (moved - points) / 2, atol=1e-5)
    assert (edit.target_probability(points) > 0.5).tolist() == (labels == "b").tolist()
    plain = MeanDifferenceEdit(target="b").fit(points, labels).move(points)
    assert np.abs(plain[labels == "a"][:, 0] - points[labels == "a"][:, 0]).max() < 0.1  # both ways cancel


def test_several_classes_leave_their_own_mean(rng):
    labels = np.repeat(["p", "q", "r"], 40)
    centers = {"p": [0, 0], "q": [5, 0], "r": [0, 7]}
    points = (np.array([centers[label] for label in labels]) + rng.normal(size=(120, 2)) * 0.1).astype(np.float32)
    edit = MatchedDifferenceEdit().fit(points, labels, ["one"] * 120)
    assert edit.target_ == "r"
    moved = edit.move(points)
    for label in "pqr":
        np.testing.assert_allclose(moved[labels == label].mean(axis=0), [0, 7], atol=0.05)


def test_several_attributes_as_rows_of_a_table_and_no_points(interplay):
    points, labels, groups = interplay
    edit = MatchedDifferenceEdit().fit(points, labels, np.stack([groups, ["x"] * 200], axis=1))
    assert edit.groups_ == (("down", "x"), ("up", "x"))
    assert edit.move(points[:0]).shape == (0, 3)


def test_another_target_shares_the_classifiers(interplay):
    points, labels, groups = interplay
    edit = MatchedDifferenceEdit(target="b").fit(points, labels, groups)
    other = edit.towards("a")
    assert other.probe_ is edit.probe_
    assert (edit.target_, other.target_) == ("b", "a")
    np.testing.assert_array_equal(other.move(points), MatchedDifferenceEdit(target="a").fit(points, labels, groups).move(points))
    np.testing.assert_allclose(other.target_probability(points), 1 - edit.target_probability(points))
    with pytest.raises(InputError, match="'c' is no class"):
        edit.towards("c")


@pytest.mark.parametrize("one_group", [False, True])
def test_kept_and_opened_it_moves_the_same_towards_any_class(interplay, one_group, tmp_path):
    points, labels, groups = interplay
    keep = ["all"] * len(points) if one_group else [(group, True) for group in groups.tolist()]
    space = ToyWriter().fingerprint
    edit = MatchedDifferenceEdit(target="b", smoothing=2.0).fit(points, labels, keep, space=space)
    edit.save(tmp_path)
    opened = MatchedDifferenceEdit.load(tmp_path)
    assert (opened.groups_, opened.classes_, opened.to_dict()) == (edit.groups_, edit.classes_, edit.to_dict())
    for each, other in ((opened, edit), (opened.towards("a"), edit.towards("a"))):
        np.testing.assert_array_equal(each.move(points), other.move(points))
        np.testing.assert_array_equal(each.target_probability(points), other.target_probability(points))
    opened.require(space)
    with pytest.raises(FingerprintMismatch):
        opened.require(ToyWriter(n_ignored=1).fingerprint)
    next(tmp_path.glob("arrays-*")).unlink()
    with pytest.raises(DataError, match="missing"):
        MatchedDifferenceEdit.load(tmp_path)


def test_fitted_again_it_forgets_what_it_knew(interplay):
    points, labels, groups = interplay
    edit = MatchedDifferenceEdit(target="b").fit(points, labels, groups)
    before = edit.target_probability(points)
    edit.fit(points[::-1], labels, groups)
    assert not np.allclose(edit.target_probability(points), before)


def test_small_groups_lean_on_all_points(interplay):
    points, labels, groups = interplay
    few = np.concatenate([np.arange(100), [100, 101], np.arange(102, 112)])
    edit = MatchedDifferenceEdit(target="b", smoothing=6.0).fit(points[few], labels[few], groups[few])
    overall, own = (
        points[rows][labels[rows] == "b"].mean(axis=0) - points[rows][labels[rows] == "a"].mean(axis=0) for rows in (few, few[100:])
    )
    np.testing.assert_allclose(edit.differences_[0, 0], (own * 6 + overall * 6) / 12, atol=1e-4)  # 6 points a side
    rare = groups.copy()
    rare[:3] = "rare"
    assert MatchedDifferenceEdit().fit(points, labels, rare).groups_ == ("down", "up")


def test_a_group_without_the_target_moves_as_all_do(interplay):
    points, labels, groups = interplay
    rows = (groups == "up") | (labels == "a")
    edit = MatchedDifferenceEdit(target="b").fit(points[rows], labels[rows], groups[rows])
    overall = points[rows][labels[rows] == "b"].mean(axis=0) - points[rows][labels[rows] == "a"].mean(axis=0)
    np.testing.assert_allclose(edit.differences_[0, 0], overall, atol=1e-4)


def test_from_texts():
    space = ToyWriter()
    texts = ALL_TEXTS * 5
    verbs, rest = [text.split()[1] for text in texts], [(text.split()[0], text.split()[2]) for text in texts]
    edit = edit_from_texts(space, texts, verbs, "sang", keep=rest)
    assert len(edit.groups_) == 4
    np.testing.assert_allclose(edit.differences_[:, 1], np.tile([0, 2, 0, 0], (4, 1)), atol=1e-9)
    assert edit.to_dict() == {"edit": "MatchedDifferenceEdit", "target": "sang", "n_groups": 4, "smoothing": 4.0}
    with pytest.raises(InputError, match="Only differences of means"):
        edit_from_texts(space, texts, verbs, "sang", keep=rest, method="classifier")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"keep": ["x"]}, "200 points, but 1 labels to keep"),
        ({"keep": list(range(200))}, "No label to keep stands at 10 points"),
        ({"labels": ["a"] * 200}, "an edit needs two classes"),
        ({"target": "z"}, "'z' is no class here"),
        ({"keep": [None] * 200}, "missing in row 0"),
        ({"keep": ["a", "b"] * 100}, "all points are of one class"),
    ],
)
def test_bad_input(interplay, changes, says):
    points, labels, groups = interplay
    given = {"labels": labels, "keep": groups, "target": None} | changes
    with pytest.raises(InputError, match=says):
        MatchedDifferenceEdit(target=given["target"]).fit(points, given["labels"], given["keep"])


def test_smoothing_is_a_number_of_points():
    with pytest.raises(InputError, match="smoothing is -1"):
        MatchedDifferenceEdit(smoothing=-1.0)
