"""Cells of a comparison: one method, one number of labels, one draw; kept on disk so that none is computed twice."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lexframe.adaptation.metrics import accuracy, calibration_error, log_loss, macro_f1
from lexframe.exceptions import InputError
from lexframe.files import json_text, replacing

FORMAT = 1
ALL = "all"
Shots = int | str
"""Labels a class, or ``"all"``."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One method, fitted on one draw of labels, on the test texts.

    Attributes
    ----------
    model, method : str
    shots : int or "all"
        Labels a class that were asked for.
    seed : int
        Of the draw and of the method.
    n_labels : int
        Labels that were there: fewer than shots times classes where a class is small.
    accuracy, macro_f1 : float
        Shares in [0, 1].
    log_loss : float
        In nats.
    calibration_error : float
        A share in [0, 1].
    fit_seconds, predict_seconds : float
        On texts that are already encoded; `predict_seconds` for 1,000 texts.
    encode_seconds : float
        Of all texts of the comparison, once for all methods; 0 for one that asks no model.
    n_parameters : int
        Numbers learnt from labels.
    peak_memory_mb : float
        How far resident memory rose during the fit, in MiB.
    choices : dict
        What was chosen inside the training labels.
    predicted : ndarray of int16, shape (n_test,)
    log_probability : ndarray of float32, shape (n_test,)
        Of the true class, in nats.
    """

    model: str
    method: str
    shots: Shots
    seed: int
    n_labels: int
    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    fit_seconds: float
    predict_seconds: float
    encode_seconds: float
    n_parameters: int
    peak_memory_mb: float
    choices: dict[str, Any] = field(default_factory=dict)
    predicted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int16), repr=False)
    log_probability: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON, without the arrays."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ARRAYS}


ARRAYS = ("predicted", "log_probability")


def measured(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """The metrics of a cell, with its arrays.

    Parameters
    ----------
    truth : ndarray of int, shape (n_test,)
        Class numbers.
    probabilities : ndarray of shape (n_test, n_labels)
        Rows sum to 1.
    """
    predicted = probabilities.argmax(axis=1)
    return {
        "accuracy": accuracy(truth, predicted),
        "macro_f1": macro_f1(truth, predicted),
        "log_loss": log_loss(truth, probabilities),
        "calibration_error": calibration_error(truth, probabilities),
        "predicted": predicted.astype(np.int16),
        "log_probability": np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).astype(np.float32),
    }


class CellStore:
    """A folder of finished cells, a file a cell; a file is either whole or absent.

    Parameters
    ----------
    folder : str or Path, optional
        Made when the first cell is kept. Without one nothing is kept.
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder = None if folder is None else Path(folder)

    def get(self, key: Mapping[str, Any]) -> Cell | None:
        """The cell of that key, or None if it is not there.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="np") as file:
                facts = json.loads(file.metadata()["cell"])
                return Cell(**facts, **{name: file.get_tensor(name) for name in ARRAYS})
        except (SafetensorError, TypeError, KeyError, ValueError) as error:
            raise InputError(f"{path} is not a whole cell of a comparison. Remove it, and it will be computed again.") from error

    def put(self, key: Mapping[str, Any], cell: Cell) -> None:
        """Keep a cell under its key."""
        path = self._path(key)
        if path is None:
            return
        with replacing(path) as temporary:
            save_file({name: getattr(cell, name) for name in ARRAYS}, temporary, metadata={"cell": json.dumps(cell.to_dict())})

    def _path(self, key: Mapping[str, Any]) -> Path | None:
        if self.folder is None:
            return None
        digest = hashlib.sha256(json_text({"format": FORMAT, **key}, sort_keys=True, ascii_only=True).encode()).hexdigest()[:20]
        return self.folder / f"{digest}.safetensors"
