"""Protocols: what is compared with what, on which texts, with which intervals."""

from lexframe.evidence.adaptation import METHODS, AdaptationResult, MethodResult, adapt
from lexframe.evidence.adapter import Adapter, Predictions, load_adapter
from lexframe.evidence.metrics import Estimate, bootstrap, paired_difference

__all__ = [
    "METHODS",
    "AdaptationResult",
    "Adapter",
    "Estimate",
    "MethodResult",
    "Predictions",
    "adapt",
    "bootstrap",
    "load_adapter",
    "paired_difference",
]
