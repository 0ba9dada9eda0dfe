"""Which way to adapt a frozen model: methods, their comparison on the same labels, and the adapter that is kept."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "adaptation": ["AdaptationResult", "METHODS", "MethodResult", "adapt"],
        "adapter": ["Adapter", "Predictions", "load_adapter"],
        "cells": ["Cell", "CellStore"],
        "comparison": ["ComparisonResult", "compare"],
        "metrics": ["bootstrap", "paired_difference"],
        "problem": ["Classifier", "EncodedTexts", "Method", "Problem"],
    },
)
