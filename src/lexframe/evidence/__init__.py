"""Protocols: what is compared with what, on which texts, with which intervals."""

from lexframe.evidence.adaptation import METHODS, AdaptationResult, MethodResult, adapt
from lexframe.evidence.adapter import Adapter, Predictions, load_adapter
from lexframe.evidence.cells import Cell, CellStore
from lexframe.evidence.comparison import ComparisonResult, compare
from lexframe.evidence.metrics import bootstrap, paired_difference
from lexframe.evidence.problem import Classifier, EncodedTexts, Method, Problem
from lexframe.evidence.selection import SelectionScore, SelectionStudy, measure_selection, topic_words
from lexframe.evidence.steering_choice import SideEffectBudget, SteeringChoice, SteeringPoint, choose_steering
from lexframe.resampling import Estimate

__all__ = [
    "METHODS",
    "AdaptationResult",
    "Adapter",
    "Cell",
    "CellStore",
    "Classifier",
    "ComparisonResult",
    "EncodedTexts",
    "Estimate",
    "Method",
    "MethodResult",
    "Predictions",
    "Problem",
    "SelectionScore",
    "SelectionStudy",
    "SideEffectBudget",
    "SteeringChoice",
    "SteeringPoint",
    "adapt",
    "bootstrap",
    "choose_steering",
    "compare",
    "load_adapter",
    "measure_selection",
    "paired_difference",
    "topic_words",
]
