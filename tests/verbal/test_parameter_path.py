"""The path of parameters in a space of texts."""

import json

import numpy as np
import pytest

from lexframe.exceptions import InputError
from lexframe.spaces import ToySpace
from lexframe.verbal import Budget, Checks, ScriptedClient, Settings, Steps, fit, follow_parameters, regression_sample, task_of
from tests.verbal.students import proposal

SPACE = ToySpace({"flat": [1.0, 0.0, 0.1], "steep": [0.0, 1.0, 0.1], "odd": [0.0, 0.0, 1.0], "the": [0.3, 0.3, 0.3]})
X = np.linspace(0, 2, 40).reshape(-1, 1)


def run_of(texts, **options):
    told = iter(texts)

    def script(request):
        text, formula = next(told)
        return proposal("a", text, f"Formula: {formula}")

    sample = regression_sample(X, 4 + 3 * X[:, 0])
    settings = Settings(Steps(steps=len(texts)), **options)
    return fit(ScriptedClient(script), task_of(sample, is_regression=True), sample, settings, checks=Checks(obedience_rows=0))


def test_the_path_holds_what_was_taken_in_order():
    run = run_of([("the flat", "y = 5 + x"), ("odd", "y = 1000"), ("the steep", "y = 4 + 3*x")])
    found = follow_parameters(run, SPACE)
    assert found.outcomes == ("first", "accepted", "refused", "accepted")
    assert found.steps == (0, 1, 2, 3)
    assert found.kept == (0, 1, 3)
    flat, steep = (SPACE.encode([text])[0] / np.linalg.norm(SPACE.encode([text])[0]) for text in ("the flat", "the steep"))
    np.testing.assert_allclose(found.step_lengths[1], 1 - flat @ steep, atol=1e-6)
    assert found.plane.shape == (4, 2)
    assert 0 < found.share <= 1
    assert "in 2 steps that changed them; refused proposals lie" in found.summary()
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert len(found.to_frame()) == 4
    assert found.chart().to_dict()["layer"]


def test_the_plane_keeps_distances_as_well_as_can_be():
    run = run_of([("flat", "y = 5 + x"), ("steep", "y = 4 + 3*x")])
    found = follow_parameters(run, SPACE)
    centered = found.points - found.points.mean(axis=0)
    np.testing.assert_allclose(found.plane @ found.plane.T, centered @ centered.T, atol=1e-6)  # three points lie in a plane
    assert found.share == pytest.approx(1)


def test_a_run_without_a_proposal_has_no_path():
    with pytest.raises(InputError, match="No text was proposed"):
        follow_parameters(run_of([("flat", "nothing of the kind (")], budget=Budget(calls=1)), SPACE)
