"""The look that all charts share, and labels that do not run into one another; it knows no result."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

INK, MUTED, RULE, ACCENT = "#1c2430", "#6b7480", "#d9dee5", "#2f6f8f"
PALETTE = [
    "#2f6f8f",
    "#d1702c",
    "#4b9560",
    "#b5476b",
    "#7a62b5",
    "#a8892b",
    "#3ba3a0",
    "#8a5a44",
    "#5c6b7d",
    "#c95d9c",
    "#6f9d2e",
    "#4465c9",
]
CATEGORY_COLORS = [
    "#0072b2",
    "#d55e00",
    "#117733",
    "#aa4499",
    "#56b4e9",
    "#999933",
    "#882255",
    "#44aa99",
    "#332288",
    "#cc6677",
    "#555555",
    "#c98a00",
]
"""From the palettes of Okabe and Ito and of Tol, made for color-blind readers."""


def themed(chart: Any) -> Any:
    """The look that all charts share."""
    return (
        chart.configure(font="Helvetica Neue, Helvetica, Arial, sans-serif", background="white")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK, titleColor=MUTED, titleFontWeight="normal", gridColor=RULE, domainColor=RULE, tickColor=RULE, labelFontSize=12
        )
        .configure_title(color=INK, fontSize=14, fontWeight=600, anchor="start", subtitleColor=MUTED, subtitleFontSize=12)
        .configure_legend(labelColor=INK, titleColor=MUTED, titleFontWeight="normal", labelFontSize=12, labelLimit=240)
    )


def shortened(text: str, length: int) -> str:
    """`text` on one line, cut at `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def spread_out(values: Sequence[float], *, least: float, low: float, high: float) -> list[float]:
    """Places for labels: each as near its value as can be, in the order of the values, at least so far apart, within bounds."""
    order = np.argsort(values, kind="stable")
    places = np.array(values, dtype=float)
    for before, after in pairwise(order):
        places[after] = max(places[after], places[before] + least)
    if len(order):
        places[order[-1]] = min(places[order[-1]], high)
    for after, before in pairwise(order[::-1]):
        places[before] = min(places[before], places[after] - least)
    return [float(max(place, low)) for place in places]
