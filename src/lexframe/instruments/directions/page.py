"""The page of steered texts."""

from pathlib import Path
from typing import Any

from lexframe.drawing.page import as_json, svg, write_page
from lexframe.instruments.directions.charts import steering_chart


def steering_report(texts: Any, direction: Any, path: str | Path, *, choice: Any = None, title: str = "Steering a language model") -> Path:
    """Write the report of steered texts.

    Parameters
    ----------
    texts : lexframe.instruments.SteeredTexts
    direction : lexframe.instruments.Direction
        That was steered along.
    path : str or Path
        The HTML file; replaced atomically.
    choice : lexframe.adaptation.SteeringChoice, optional
        How layer and strength were chosen.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.
    """
    rows = texts.to_dict()["texts"]
    for row in rows:
        for name in ("unsteered_perplexity", "steered_perplexity"):
            row[name] = "–" if row[name] is None else f"{row[name]:,.0f}"
    return write_page(
        path,
        Path(__file__).with_name("steering.html"),
        title=title,
        texts=texts,
        direction=direction,
        choice=choice,
        rows=rows,
        chart=svg(steering_chart(choice)) if choice else "",
        provenance=as_json(texts.provenance),
    )
