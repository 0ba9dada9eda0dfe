"""Finished cells are kept whole, found again, and told apart."""

import numpy as np
import pytest

from lexframe.adaptation.cells import Cell, CellStore, measured
from lexframe.exceptions import InputError


def cell(rng, **changes):
    truth = rng.integers(3, size=20)
    probabilities = rng.dirichlet(np.ones(3), size=20)
    facts = {
        "model": "toy", "method": "lda", "shots": 4, "seed": 0, "n_labels": 12, "fit_seconds": 0.1, "predict_seconds": 0.2,
        "encode_seconds": 0.3, "n_parameters": 9, "peak_memory_mb": 1.5, "choices": {"representation": "own points"},
    }  # fmt: skip
    return Cell(**(facts | measured(truth, probabilities) | changes))


def test_there_and_back(rng, tmp_path):
    kept, key = cell(rng), {"method": {"name": "lda"}, "seed": 0}
    store = CellStore(tmp_path / "cells")
    assert store.get(key) is None
    store.put(key, kept)
    found = store.get(key)
    assert found.to_dict() == kept.to_dict()
    np.testing.assert_array_equal(found.predicted, kept.predicted)
    np.testing.assert_array_equal(found.log_probability, kept.log_probability)


def test_another_key_is_another_cell(rng, tmp_path):
    store = CellStore(tmp_path)
    store.put({"seed": 0}, cell(rng))
    assert store.get({"seed": 1}) is None
    assert store.get({"seed": 0, "words": {}}) is None


def test_without_a_folder_nothing_is_kept(rng):
    store = CellStore()
    store.put({"seed": 0}, cell(rng))
    assert store.get({"seed": 0}) is None


def test_a_damaged_cell_is_refused(rng, tmp_path):
    store = CellStore(tmp_path)
    store.put({"seed": 0}, cell(rng))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="not a whole cell"):
        store.get({"seed": 0})


def test_the_metrics_agree_with_scikit_learn(rng):
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    truth = rng.integers(3, size=200)
    probabilities = rng.dirichlet(np.ones(3), size=200)
    found = measured(truth, probabilities)
    predicted = probabilities.argmax(1)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert found["log_loss"] == pytest.approx(log_loss(truth, probabilities))
    assert found["log_loss"] == pytest.approx(-found["log_probability"].mean(), abs=1e-5)


def test_calibration_error_of_cases_worked_out_by_hand():
    from lexframe.adaptation.metrics import calibration_error

    truth = np.array([0, 0, 1, 1])
    sure = np.array([[1.0, 0.0]] * 4)  # always sure of class 0, right half the time
    assert calibration_error(truth, sure) == pytest.approx(0.5)
    even = np.array([[0.5, 0.5]] * 4)
    assert calibration_error(truth, even) == pytest.approx(0.0)
    mixed = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    # Bins: two of confidence 0.9, both right: 0.1 apart; one of 0.7, right: 0.3; one of 0.6, wrong: 0.6.
    assert calibration_error(truth, mixed) == pytest.approx((2 * 0.1 + 0.3 + 0.6) / 4)
