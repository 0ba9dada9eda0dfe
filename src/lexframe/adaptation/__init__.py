"""Which way to adapt a frozen model: methods, their comparison on the same labels, and the adapter that is kept."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "adaptation": ["adapt"],
        "adaptation_result": ["AdaptationResult", "MethodResult"],
        "adapter": ["Adapter", "Predictions", "load_adapter"],
        "cells": ["Cell", "CellStore"],
        "comparison": ["ComparisonResult", "compare"],
        "draws": ["Draws"],
        "methods.registry": ["make_methods", "method_names", "require_savable"],
        "fitted": ["Fitted", "ReadView", "SavableClassifier"],
        "encoded_texts": ["EncodedTexts"],
        "problem": ["Classifier", "Method", "Problem", "View"],
    },
)
