"""Edits of texts whose words are known to follow the coordinates."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.generative.edited_texts import edit_texts
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.edits.attribute_edit import ClassifierGradientEdit, MeanDifferenceEdit
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.spaces import Decoding
from lexframe.verdicts import Worth
from tests.generative.toy_writer import ALL_TEXTS, ToyWriter

LABELS = ["sang" in text for text in ALL_TEXTS]
SPOKEN = [text for text in ALL_TEXTS if "spoke" in text]


CONSTANT = MeanDifferenceEdit().fit(ToyWriter(n_ignored=8).encode(ALL_TEXTS), LABELS)


def sings(points):
    return (points[:, 1] > 0).astype(np.float64)


@pytest.fixture(params=["means", "classifier"])
def edit(request):
    points = ToyWriter(n_ignored=8).encode(ALL_TEXTS) + np.random.default_rng(0).normal(size=(16, 12)).astype(np.float32) * 0.05
    made = MeanDifferenceEdit() if request.param == "means" else ClassifierGradientEdit(probability=0.95, radius=100.0)
    return made.fit(points, LABELS)


def test_the_verb_changes_and_the_rest_stays(edit):
    space = ToyWriter(n_ignored=8)
    found = edit_texts(space, SPOKEN, edit, decoding=Decoding(seed=1))
    assert found.reconstructions == tuple(SPOKEN)
    assert found.edited == tuple(text.replace("spoke", "sang") for text in SPOKEN)
    np.testing.assert_allclose(found.content_kept, 3 / 4)
    assert (found.probabilities < 0.5).all()
    assert (found.edited_probabilities > 0.5).all()
    assert (found.edited_point_probabilities > 0.5).all()
    np.testing.assert_allclose(found.shifts, np.linalg.norm(found.edited_points - found.points, axis=1), rtol=1e-6)
    rates = found.rates()
    assert rates["edit_in_target"] == 1
    assert rates["edit_changed"] == 1
    assert rates["reconstruction_in_target"] == 0
    assert rates["control_in_target"] <= 0.5
    assert space.decode_calls == 1


def test_the_control_is_as_long_and_seeded(edit):
    seen = []

    class Watched(ToyWriter):
        def decode(self, points, **options):
            seen.append(points.copy())
            return super().decode(points, **options)

    space = Watched(n_ignored=8)
    first, again, other = (edit_texts(space, SPOKEN, edit, decoding=Decoding(seed=seed)) for seed in (3, 3, 4))
    controls = [points[2 * len(SPOKEN) :] for points in seen]
    np.testing.assert_array_equal(controls[0], controls[1])
    assert (controls[0] != controls[2]).any()
    np.testing.assert_allclose(np.linalg.norm(controls[0] - first.points, axis=1), first.shifts, rtol=1e-5)
    directions = (controls[0] - first.points) / first.shifts[:, np.newaxis]
    assert np.abs(directions @ directions.T - np.eye(len(SPOKEN))).max() < 0.95  # another for each text
    assert first.controls == again.controls
    assert first.to_dict() == again.to_dict()
    assert other.edited == first.edited


def test_strength_zero_changes_nothing(edit):
    found = edit_texts(ToyWriter(n_ignored=8), SPOKEN, edit, strength=0.0)
    assert found.edited == found.reconstructions == found.controls
    assert not found.shifts.any()
    np.testing.assert_array_equal(found.content_kept, 1)
    assert found.rates()["edit_changed"] == 0


def test_a_decoder_that_does_not_follow_shows(edit):
    class Deaf(ToyWriter):
        def decode(self, points, **options):
            return super().decode(-np.ones_like(points), **options)

    found = edit_texts(Deaf(n_ignored=8), SPOKEN, edit)
    assert (found.edited_point_probabilities > 0.5).all()
    assert (found.edited_probabilities < 0.5).all()
    assert found.rates()["edit_changed"] == 0


def direction_for(weights):
    space = SpaceFingerprint(kind="ToyWriter", model="toy", weights=weights)
    return Direction({0: np.array([0, 2, 0, 0], np.float32)}, 0, "sang", "spoke", "mean_difference", Provenance(space=space))


def test_a_direction_and_a_judge_of_ones_own():
    space = ToyWriter()
    unjudged = edit_texts(space, SPOKEN, direction_for("toy-4"))
    assert all("sang" in text for text in unjudged.edited)
    assert np.isnan(unjudged.edited_probabilities).all()
    assert unjudged.rates()["edit_in_target"] is None
    assert json.loads(json.dumps(unjudged.to_dict(), allow_nan=False))["probabilities"] == [None] * len(SPOKEN)
    judged = edit_texts(space, SPOKEN, direction_for("toy-4"), judge=lambda points: (points[:, 1] > 0).astype(np.float64))
    assert judged.rates()["edit_in_target"] == 1
    assert (judged.provenance.parameters["edit"], judged.provenance.parameters["positive"]) == ("Direction", "sang")
    with pytest.raises(FingerprintMismatch):
        edit_texts(space, SPOKEN, direction_for("another"))
    with pytest.raises(InputError, match="is zero"):
        edit_texts(space, SPOKEN, 0 * direction_for("toy-4"))


def test_an_edit_is_judged_beside_the_random_move():
    found = edit_texts(ToyWriter(n_ignored=8), ALL_TEXTS, CONSTANT, judge=sings)
    n = len(ALL_TEXTS)
    sung, none = np.ones(n), np.zeros(n)
    better = replace(found, edited_probabilities=sung, control_probabilities=none, probabilities=none)
    assert better.verdict.worth is Worth.HOLDS
    assert f"after the edit: {n} of {n} texts" in better.summary()
    alike = replace(found, edited_probabilities=sung, control_probabilities=sung, probabilities=none)
    assert alike.verdict.worth is Worth.WORTHLESS
    assert "Do not use this" in alike.summary()
    there_before = replace(found, edited_probabilities=sung, control_probabilities=none, probabilities=sung)
    assert "in the target already" in str(there_before.verdict)
    assert replace(found, probabilities=np.full(n, np.nan)).verdict is None


def test_an_edit_of_one_text_shows_nothing_of_others():
    found = edit_texts(ToyWriter(n_ignored=8), SPOKEN[:1], CONSTANT, judge=sings)
    sure = replace(found, edited_probabilities=np.ones(1), control_probabilities=np.zeros(1), probabilities=np.zeros(1))
    assert sure.verdict.worth is Worth.UNSURE
    assert "after the edit: 1 of 1 text;" in sure.summary()
    assert "give 10 or more" in sure.summary()
    assert sure.to_dict()["verdict"]["worth"] == "unsure"


def test_table_and_document(edit):
    found = edit_texts(ToyWriter(n_ignored=8), SPOKEN[:3], edit)
    frame = found.to_frame()
    assert len(frame) == 3
    assert frame["edited"].tolist() == list(found.edited)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["provenance"]["parameters"]["target"] == "True"
    assert set(frame.columns) <= set(document)


def test_bad_input(edit, without_type_checks):
    space = ToyWriter(n_ignored=8)
    with pytest.raises(InputError, match="texts is empty"):
        edit_texts(space, [], edit)
    with pytest.raises(InputError, match=r"texts\[1\] is missing"):
        edit_texts(space, [SPOKEN[0], float("nan")], edit)
    with pytest.raises(InputError, match="4 dimensions, but 12"):
        edit_texts(ToyWriter(), SPOKEN, edit)
    with pytest.raises(InputError, match="strength is inf"):
        edit_texts(space, SPOKEN, edit, strength=float("inf"))
    with pytest.raises(InputError, match="judge gave shape"):
        edit_texts(space, SPOKEN, edit, judge=lambda points: np.ones(2))
    with pytest.raises(InputError, match="judge's answer"):
        edit_texts(space, SPOKEN, edit, judge=lambda points: np.full(len(points), np.nan))
