"""The report as one HTML file: charts are drawn into it as SVG, so it needs no script and no network.

Its content security policy forbids every script, and all text goes through the template's escaping: nothing in
people's data can run.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from lexframe.evidence.adaptation import DESCRIPTIONS, TRAINED
from lexframe.files import write_text
from lexframe.report.analogy_charts import analogy_chart
from lexframe.report.charts import (
    MAX_POINTS,
    confusion_chart,
    cost_chart,
    learning_curves,
    map_chart,
    method_chart,
    shown_methods,
)

_N_TEXTS = 8
_LABELLED_MARK = re.compile(r"<path aria-label=\"([^\"]*)\"([^>]*?)(?:></path>|/>)")


def svg(chart: Any) -> str:
    """A chart as SVG, with the description of each mark shown when the pointer rests on it."""
    import vl_convert

    drawing = vl_convert.vegalite_to_svg(chart.to_json())
    return _LABELLED_MARK.sub(r"<path\2><title>\1</title></path>", drawing)


def adaptation_report(result: Any, path: str | Path, *, title: str = "Adapting a frozen language model") -> Path:
    """Write the report of an adaptation.

    Parameters
    ----------
    result : lexframe.evidence.AdaptationResult
        What :func:`lexframe.evidence.adapt` gave.
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
        "adaptation.html",
        title=title,
        result=result,
        descriptions=DESCRIPTIONS,
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
    result : lexframe.evidence.ComparisonResult
        What :func:`lexframe.evidence.compare` gave.
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
            "encode_seconds": next(cell.encode_seconds for cell in result.cells if cell.model == model),
        }
        for model in result.models
    ]
    return write_page(
        path,
        "comparison.html",
        title=title,
        result=result,
        charts=charts,
        n_shown=len(shown_methods(result, result.models[0])),
        n_seeds=len({cell.seed for cell in result.cells}),
        provenance=as_json(result.provenance),
    )


def analogy_report(results: Sequence[Any], path: str | Path, *, title: str = "Analogies by vector arithmetic") -> Path:
    """Write the report of analogies.

    Parameters
    ----------
    results : sequence of lexframe.instruments.AnalogyEvaluation
        One a source of vectors, of the same questions.
    path : str or Path
        The HTML file; replaced atomically.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.
    """
    return write_page(
        path,
        "analogies.html",
        title=title,
        results=results,
        charts=[svg(analogy_chart(result)) for result in results],
        provenance=json.dumps([result.provenance.to_dict() for result in results], indent=2, ensure_ascii=False),
    )


def accuracy_table(result: Any, model: str) -> list[dict[str, Any]]:
    """A row a method, a cell a number of labels: accuracy and whether it is the highest of its column; None where not measured."""
    best = {shots: result.best(model, shots) for shots in result.shots}
    return [
        {
            "method": method,
            "cells": [
                {"accuracy": result.accuracy(model, method, shots), "best": best[shots] == method}
                if result.select(model, method, shots)
                else None
                for shots in result.shots
            ],
        }
        for method in result.methods
    ]


def write_page(path: str | Path, template: str, **content: Any) -> Path:
    """Fill a template and write the page, atomically; all text is escaped."""
    environment = Environment(
        loader=PackageLoader("lexframe.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    write_text(path, environment.get_template(template).render(**content))
    return Path(path)


def as_json(provenance: Any) -> str:
    """Provenance as a page shows it."""
    return json.dumps(provenance.to_dict(), indent=2, ensure_ascii=False)


def notable_texts(result: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Test texts to read first.

    Returns
    -------
    hardest : list of dict
        Texts to which the trained methods together give their true label the least probability.
    surprising : list of dict
        Texts that the chosen method gets wrong with the most confidence, hardest ones left out.
    """
    everyone = np.mean([method.probabilities for name, method in result.methods.items() if name in TRAINED] or [_chosen(result)], axis=0)
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
