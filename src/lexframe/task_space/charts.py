"""Charts of a task space: the matrix beside its tree, the map, how surely tasks are measured, sharing by depth, shared parameters.

Every chart says by a shape, a place or a word what it says by a color.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.cluster.hierarchy as hierarchy

from lexframe.drawing.label_places import text_width
from lexframe.drawing.theme import INK, MUTED, RULE
from lexframe.task_space.looks import GroupLooks, Plane, group_looks, similarity_color, task_names
from lexframe.task_space.map_charts import map_chart
from lexframe.task_space.measure_charts import depth_chart, overlap_chart, reliability_chart
from lexframe.task_space.reading.clusters import Clustering, cluster_tasks
from lexframe.task_space.transfer_charts import prediction_chart, price_chart, transfer_chart

if TYPE_CHECKING:
    import altair as alt

__all__ = [
    "depth_chart",
    "map_chart",
    "matrix_chart",
    "overlap_chart",
    "prediction_chart",
    "price_chart",
    "reliability_chart",
    "transfer_chart",
]

_NAME, _TREE, _TOP = 34, 84.0, 20.0
_SIDE, _SMALL, _CELLS = 660, 336, (12, 46)
"""Pixels of a matrix of medium size and of one for narrow screens, and the sides of a cell at least and at most."""
_MARGIN = 24.0
_WRITTEN_FROM = 34
"""Side of a cell from which its number is written in it."""


def matrix_chart(space: Any, clustering: Clustering | None = None, *, small: bool = False) -> "alt.LayerChart":
    """The similarities, tasks ordered by clusters, with the tree on the left and the groups on the right.

    A cell is small where its interval holds 0. Columns have the numbers of the rows.

    Parameters
    ----------
    space : TaskSpace
    clustering : Clustering, optional
        Of its tasks. Default: one is made, where there are three tasks or more.
    small : bool
        Without the tree and the names, for narrow screens.
    """
    if clustering is None and space.n_tasks > 2:
        clustering = cluster_tasks(np.asarray(space.similarity, dtype=np.float64))
    order = list(range(space.n_tasks)) if clustering is None else list(clustering.order)
    looks = group_looks(space.groups)
    if small:
        cell = int(np.clip(_SMALL // max(len(order), 1), 4, _CELLS[1]))
        plane = Plane(_MARGIN + cell * len(order) + 14, _TOP + cell * len(order))
        layers = [*_cells(plane, space, order, cell, _MARGIN), *_numbers(plane, len(order), cell, _MARGIN)]
        return plane.drawn(
            [*layers, *(_groups(plane, looks, order, cell, _MARGIN + cell * len(order) + 5)[:1] if looks.has_groups else [])]
        )
    cell = int(np.clip(round(_SIDE / max(len(order), 1)), *_CELLS))
    left, side = (_TREE + 8 if clustering is not None else 0.0), float(cell * len(order))
    size = 11.0 if cell < 13 else 12.0
    names = [task_names(space.names, _NAME)[row] for row in order]
    at_names = left + side + (16 if looks.has_groups else 8)
    at_groups = at_names + 28 + max(text_width(name, size) for name in names)
    width = at_groups + (24 + max(text_width(name, size) for name in looks.said) if looks.has_groups else 0)
    plane = Plane(float(round(width)), _TOP + side)
    layers = [*_cells(plane, space, order, cell, left), *_numbers(plane, len(order), cell, left, beside=at_names + 18)]
    texts = [{"x": at_names + 24, "y": _TOP + (row + 0.5) * cell, "text": name} for row, name in enumerate(names)]
    layers.append(plane.texts(texts, size=size))
    layers += _groups(plane, looks, order, cell, left + side + 5, at_groups) if looks.has_groups else []
    layers += [_tree(plane, clustering, cell)] if clustering is not None else []
    return plane.drawn(layers)


def _cells(plane: Plane, space: Any, order: Sequence[int], cell: int, left: float) -> list[Any]:
    import altair as alt

    names = task_names(space.names, 60)
    rows: list[dict[str, Any]] = []
    for place, i in enumerate(order):
        for other, j in enumerate(order):
            if i == j:
                continue
            value, low, high = (float(table[i, j]) for table in (space.similarity, space.low, space.high))
            shrunk = 0.27 * cell if low <= 0 <= high else 0.0
            about = f"{names[i]} and {names[j]}: {value:.2f} [{low:.2f}, {high:.2f}]"
            at = _square(left + other * cell, _TOP + place * cell, cell, shrunk)
            rows.append(at | {"value": value, "text": f"{value:.2f}", "about": about, "is_sure": not shrunk})
    values = space.similarity[~np.eye(len(order), dtype=bool)]
    own = [_square(left + place * cell, _TOP + place * cell, cell) for place in range(len(order))]
    shades = similarity_color(values, "similarity")
    cells = alt.Chart(alt.Data(values=rows)).mark_rect(stroke=RULE, strokeWidth=min(0.5, cell / 24))
    layers: list[Any] = [
        alt.Chart(alt.Data(values=own)).mark_rect(color=RULE).encode(**_corners(plane)),
        cells.encode(**_corners(plane), color=shades, **({"description": "about:N", "tooltip": "about:N"} if cell >= _CELLS[0] else {})),
    ]
    if cell >= _WRITTEN_FROM:
        dark = 0.6 * float(np.abs(values).max(initial=0.0))
        written = [row | {"x": (row["x"] + row["x2"]) / 2, "y": (row["y"] + row["y2"]) / 2} for row in rows if row["is_sure"]]
        for is_dark, color in ((True, "white"), (False, INK)):
            texts = [row for row in written if (abs(row["value"]) > dark) == is_dark]
            layers.append(plane.texts(texts, size=12.0, align="center", color=color))
    return layers


def _square(x: float, y: float, cell: int, shrunk: float = 0.0) -> dict[str, float]:
    return {"x": x + shrunk, "y": y + shrunk, "x2": x + cell - shrunk, "y2": y + cell - shrunk}


def _corners(plane: Plane) -> dict[str, Any]:
    return {"x": plane.x(), "y": plane.y(), "x2": "x2:Q", "y2": "y2:Q"}


def _numbers(plane: Plane, n_tasks: int, cell: int, left: float, *, beside: float | None = None) -> list[Any]:
    """Numbers above the columns and on one side of the rows, all that find room or every fifth."""
    step = 1 if cell >= 17 else 5
    shown = [row for row in range(n_tasks) if step == 1 or row == 0 or (row + 1) % step == 0]
    above = [{"x": left + (row + 0.5) * cell, "y": _TOP - 9, "text": str(row + 1)} for row in shown]
    x = left - 6 if beside is None else beside
    rows = [{"x": x, "y": _TOP + (row + 0.5) * cell, "text": str(row + 1)} for row in (shown if beside is None else range(n_tasks))]
    side = plane.texts(rows, size=11.0 if cell < 13 and beside is not None else 12.0, align="right", color=MUTED)
    return [plane.texts(above, size=12.0, align="center", color=MUTED), side]


def _groups(plane: Plane, looks: GroupLooks, order: Sequence[int], cell: int, bar: float, text: float = 0.0) -> list[Any]:
    """A bar, a shape and a name for every stretch of tasks of one group."""
    import altair as alt

    rows: list[dict[str, Any]] = []
    start = 0
    for (group, said), members in groupby((looks.of_task[row], looks.said[row]) for row in order):
        stop = start + len(list(members))
        top, bottom = _TOP + start * cell, _TOP + stop * cell
        at = {"x": bar, "x2": bar + 6, "y": top + 1, "y2": bottom - 1, "middle": (top + bottom) / 2, "mark": text + 6}
        rows.append(at | {"group": group, "said": said})
        start = stop
    base = alt.Chart(alt.Data(values=rows))
    marks = base.mark_point(filled=True, size=70, opacity=1)
    marks = marks.encode(x=plane.x("mark"), y=plane.y("middle"), color=looks.color(), shape=looks.shape())
    named = [{"x": text + 17, "y": row["middle"], "text": row["said"]} for row in rows]
    return [base.mark_rect().encode(**_corners(plane), color=looks.color()), marks, plane.texts(named, size=11.0 if cell < 13 else 12.0)]


def _tree(plane: Plane, clustering: Clustering, cell: int) -> Any:
    """The tree, its leaves at the rows; what joins at a similarity of 1 joins beside them."""
    import altair as alt

    drawn = hierarchy.dendrogram(clustering.linkage, no_plot=True)
    top = max(float(np.max(clustering.linkage[:, 2])), 1e-9)
    lines = []
    for number, (leaves, heights) in enumerate(zip(drawn["icoord"], drawn["dcoord"], strict=True)):
        for corner, (leaf, height) in enumerate(zip(leaves, heights, strict=True)):
            y, x = _TOP + leaf / 10 * cell, _TREE - height / top * (_TREE - 4)
            lines.append({"x": x, "y": y, "line": number, "corner": corner})
    return (
        alt.Chart(alt.Data(values=lines))
        .mark_line(color=MUTED, strokeWidth=1.2, strokeJoin="miter")
        .encode(x=plane.x(), y=plane.y(), detail="line:N", order="corner:Q")
    )
