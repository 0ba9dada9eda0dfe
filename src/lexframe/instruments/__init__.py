"""Instruments measure or move points."""

import importlib
from typing import Any

_HOME = {
    "LabelBases": "vocabulary_frame",
    "LogisticProbe": "linear_probe",
    "NearestBasis": "nearest_basis",
    "PosteriorCalibration": "posterior_calibration",
    "SemanticCalibration": "semantic_calibration",
    "ShrinkageLDA": "linear_probe",
    "VocabularyFrame": "vocabulary_frame",
    "WordCard": "vocabulary_frame",
    "leverage": "vocabulary_frame",
    "load_instrument": "persistence",
    "save_instrument": "persistence",
    "semantic_basis": "vocabulary_frame",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # Names load their module on first use: the frame needs numpy alone, the calibration torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"lexframe.instruments.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lexframe.instruments' has no attribute {name!r}")
