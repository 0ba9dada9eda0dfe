"""The page of analogies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexframe.drawing.page import svg, write_page
from lexframe.files import json_text
from lexframe.instruments.words.charts import analogy_chart


def analogy_report(results: Any, path: str | Path, *, title: str = "Analogies by vector arithmetic") -> Path:
    """Write the report of analogies.

    Parameters
    ----------
    results : lexframe.instruments.AnalogyEvaluation, or a sequence of them
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
    results = list(results) if isinstance(results, Sequence) else [results]
    return write_page(
        path,
        Path(__file__).with_name("analogies.html"),
        title=title,
        results=results,
        charts=[svg(analogy_chart(result)) for result in results],
        provenance=json_text([result.provenance.to_dict() for result in results], indent=2),
    )
