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
SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "M0,-1.35L0.34,-0.41L1.28,-0.41L0.51,0.16L0.8,1.09L0,0.54L-0.8,1.09L-0.51,0.16L-1.28,-0.41L-0.34,-0.41Z",  # a star
    "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z",  # a saltire
    "triangle-right",
    "M0,-1.15L1.09,-0.36L0.68,0.93L-0.68,0.93L-1.09,-0.36Z",  # a pentagon
    "triangle-left",
    "M-1.2,-0.48L1.2,-0.48L1.2,0.48L-1.2,0.48Z",  # a bar
]
"""A shape for each of these colors, since no dozen colors are told apart by everybody."""


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
