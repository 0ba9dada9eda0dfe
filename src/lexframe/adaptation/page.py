"""The pages of an adaptation and of a comparison."""

from pathlib import Path
from typing import Any

import numpy as np

from lexframe.adaptation.charts import MAX_POINTS, confusion_chart, cost_chart, learning_curves, map_chart, method_chart, shown_methods
from lexframe.adaptation.problem import VOCABULARY
from lexframe.drawing.page import as_json, svg, write_page

_N_TEXTS = 8


def adaptation_report(result: Any, path: str | Path, *, title: str = "Adapting a frozen language model") -> Path:
    """Write the report of an adaptation.

    Parameters
    ----------
    result : lexframe.adaptation.AdaptationResult
        What :func:`lexframe.adaptation.adapt` gave.
    path : str or Path
        The HTML file; replaced atomically.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.
    """
    hardest, surprising = notable_texts(result)
    return write_page(
        path,
        Path(__file__).with_name("adaptation.html"),
        title=title,
        result=result,
        n_drawn=min(MAX_POINTS, len(result.test_texts)),
        charts={"methods": svg(method_chart(result)), "map": svg(map_chart(result)), "confusion": svg(confusion_chart(result))},
        hardest=hardest,
        surprising=surprising,
        provenance=as_json(result.provenance),
    )


def comparison_report(result: Any, path: str | Path, *, title: str = "Ways to adapt a frozen model") -> Path:
    """Write the report of a comparison.

    Parameters
    ----------
    result : lexframe.adaptation.ComparisonResult
        What :func:`lexframe.adaptation.compare` gave.
    path : str or Path
        The HTML file; replaced atomically.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.
    """
    charts = [
        {
            "model": model,
            "curves": svg(learning_curves(result, model=model)),
            "cost": svg(cost_chart(result, model=model)),
            "table": accuracy_table(result, model),
            "encode_seconds": max(cell.encode_seconds for cell in result.cells if cell.model == model),
        }
        for model in result.models
    ]
    return write_page(
        path,
        Path(__file__).with_name("comparison.html"),
        title=title,
        result=result,
        charts=charts,
        n_shown=len(shown_methods(result, result.models[0])),
        n_seeds=len({cell.seed for cell in result.cells}),
        provenance=as_json(result.provenance),
    )


def accuracy_table(result: Any, model: str) -> list[dict[str, Any]]:
    """A row a method, a cell a number of labels: accuracy and whether it is recommended there; None where not measured."""
    picked = {shots: result.recommendation(model, shots).recommended for shots in result.shots}
    return [
        {
            "method": method,
            "cells": [
                {"accuracy": result.accuracy(model, method, shots), "recommended": picked[shots] == method}
                if result.select(model, method, shots)
                else None
                for shots in result.shots
            ],
        }
        for method in result.methods
        if any(result.select(model, method, shots) for shots in result.shots)
    ]


def notable_texts(result: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Test texts to read first.

    Returns
    -------
    hardest : list of dict
        Texts to which the methods that learn from labels together give their true label the least probability.
    surprising : list of dict
        Texts that the chosen method gets wrong with the most confidence, hardest ones left out.
    """
    everyone = np.mean(
        [method.probabilities for name, method in result.methods.items() if result.families[name] != VOCABULARY] or [_chosen(result)],
        axis=0,
    )
    rows = np.arange(len(result.truth))
    hardest = np.argsort(everyone[rows, result.truth], kind="stable")[:_N_TEXTS]
    chosen = _chosen(result)
    wrong = np.flatnonzero(chosen.argmax(axis=1) != result.truth)
    surprising = [i for i in wrong[np.argsort(-chosen[wrong].max(axis=1), kind="stable")] if i not in set(hardest.tolist())][:_N_TEXTS]
    return [_card(result, int(i), everyone) for i in hardest], [_card(result, int(i), chosen) for i in surprising]


def _chosen(result: Any) -> np.ndarray:
    return result.methods[result.chosen].probabilities


def _card(result: Any, row: int, probabilities: np.ndarray) -> dict[str, Any]:
    predicted = int(probabilities[row].argmax())
    return {
        "text": result.test_texts[row],
        "true": result.labels[result.truth[row]],
        "predicted": result.labels[predicted],
        "p_true": float(probabilities[row, result.truth[row]]),
        "p_predicted": float(probabilities[row, predicted]),
    }
