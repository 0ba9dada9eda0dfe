"""Charts as the pages of task spaces hold them: never so small that their text cannot be read; wide ones scroll on narrow screens."""

import re
from dataclasses import dataclass
from typing import Any

from lexframe.drawing.page import svg

_WIDTH = re.compile(r'<svg[^>]*?\bwidth="([\d.]+)"')
_LEAST, _MOST, _COLUMN = 0.9, 1.12, 944
"""How far a drawing may shrink and grow, and the pixels between the margins of a page."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and its bounds.

    Attributes
    ----------
    svg : str
    least, most : int
        Widths in pixels.
    is_wide : bool
        Whether it needs more than the width of the text.
    """

    svg: str
    least: int
    most: int
    is_wide: bool


def figure(chart: Any) -> Figure:
    """A chart, drawn.

    Parameters
    ----------
    chart : altair.Chart
    """
    drawing = svg(chart)
    found = _WIDTH.search(drawing)
    width = float(found[1]) if found else float(_COLUMN)
    return Figure(drawing, round(_LEAST * width), round(_MOST * width), width > _COLUMN)
