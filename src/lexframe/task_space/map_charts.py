"""The map of a task space: places, how far they reach, and names that do not run into one another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.drawing.label_places import place_labels, text_width
from lexframe.drawing.theme import MUTED
from lexframe.task_space.looks import Plane, group_looks, legend_height, task_names
from lexframe.task_space.reading.task_map import TaskMap

if TYPE_CHECKING:
    import altair as alt

_NAME, _SIZE = 34, 12.0
_WIDE, _NARROW = (940.0, 110.0, 540.0), (400.0, 34.0, 500.0)
"""Width, margin at the sides and greatest height: with names, and with numbers for narrow screens."""
_MANY, _WIDER, _HIGHER = 24, 7.0, 9.0
"""Tasks from which a map with names is wider, and by how many pixels a task it is wider and higher."""
_EDGE, _LEAST_HEIGHT, _LINE_FROM, _CORNERS = 30.0, 300.0, 9.0, 49
_REACH = 0.4
"""Share of the extent of all places by which ellipses may widen a picture on each side."""


def map_chart(space: Any, task_map: TaskMap, *, numbers: Sequence[int] | None = None) -> "alt.LayerChart":
    """Tasks in a plane, in one scale for both axes, each in the ellipse that holds 95% of its places in resamples.

    Parameters
    ----------
    space : TaskSpace
    task_map : TaskMap
        Of its tasks.
    numbers : sequence of int, optional
        A number for each task, to write in the place of its name in a picture for narrow screens.
    """
    import altair as alt

    outlines = [_outline(ellipse) for ellipse in task_map.ellipses()]
    places, outlines, (width, height) = _in_pixels(task_map.coordinates, outlines, *_bounds(space.n_tasks, with_names=numbers is None))
    looks = group_looks(space.groups)
    plane = Plane(width, height + legend_height(looks, width))
    names = task_names(space.names, 60)
    shown = task_names(space.names, _NAME) if numbers is None else [str(number) for number in numbers]
    points = [
        {"x": float(x), "y": float(y), "group": group, "about": f"{name}: {group}" if looks.has_groups else name}
        for (x, y), group, name in zip(places, looks.of_task, names, strict=True)
    ]
    lines = [
        {"x": float(x), "y": float(y), "group": group, "task": row, "corner": corner}
        for row, (group, outline) in enumerate(zip(looks.of_task, outlines, strict=False))
        for corner, (x, y) in enumerate(outline)
    ]
    labels, leaders = _labels((width, height), places, shown)
    at = {"x": plane.x(), "y": plane.y()}
    rings = alt.Chart(alt.Data(values=lines)).mark_line(
        interpolate="linear-closed", filled=True, fillOpacity=min(0.09, 2 / max(space.n_tasks, 1)), strokeOpacity=0.5, strokeWidth=1
    )
    seen = {"fill": alt.Fill(**looks.color().to_dict()), "stroke": looks.color()}
    dots = alt.Chart(alt.Data(values=points)).mark_point(filled=True, size=70, opacity=1, stroke="white", strokeWidth=0.7)
    rim: dict[str, Any] = {"color": "white", "stroke": "white", "strokeWidth": 3, "strokeJoin": "round", "opacity": 0.85}
    return plane.drawn(
        [
            rings.encode(**at, **seen, detail="task:N", order="corner:Q"),
            alt.Chart(alt.Data(values=leaders)).mark_rule(color=MUTED, strokeWidth=0.8).encode(**at, x2="x2:Q", y2="y2:Q"),
            dots.encode(**at, color=looks.color(), shape=looks.shape(), description="about:N", tooltip="about:N"),
            plane.texts(labels, size=_SIZE, align="center", **rim),
            plane.texts(labels, size=_SIZE, align="center"),
            *(looks.legend(plane, height) if looks.has_groups else []),
        ]
    )


def _bounds(n_tasks: int, *, with_names: bool) -> tuple[float, float, float]:
    width, margin, height = _WIDE if with_names else _NARROW
    if not with_names:
        return width, margin, height
    return min(width + _WIDER * max(n_tasks - _MANY, 0), 1240.0), margin, min(height + _HIGHER * n_tasks, 1040.0)


def _outline(ellipse: Any) -> Float[np.ndarray, "c 2"]:
    turns = np.linspace(0, 2 * np.pi, _CORNERS)[:-1]
    angle = np.radians(ellipse.angle_deg)
    own = np.stack([ellipse.radii[0] * np.cos(turns), ellipse.radii[1] * np.sin(turns)], axis=1)
    return own @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + np.array(ellipse.center)


def _in_pixels(
    places: Float[np.ndarray, "n 2"], outlines: Sequence[Float[np.ndarray, "c 2"]], widest: float, margin: float, highest: float
) -> tuple[Float[np.ndarray, "n 2"], list[Float[np.ndarray, "c 2"]], tuple[float, float]]:
    """Places and outlines in pixels, with width and height; ellipses may widen the picture, up to a bound at which they are cut."""
    low, high = places.min(axis=0), places.max(axis=0)
    reach = np.maximum(high - low, 1e-9) * _REACH
    if len(outlines):
        corners = np.concatenate(outlines)
        low, high = np.maximum(corners.min(axis=0), low - reach), np.minimum(corners.max(axis=0), high + reach)
    span = np.maximum(high - low, 1e-9)
    scale = min((widest - 2 * margin) / span[0], (highest - 2 * _EDGE) / span[1])
    width = round(float(np.clip(span[0] * scale + 2 * margin, 0.8 * widest, widest)))
    height = round(float(np.clip(span[1] * scale + 2 * _EDGE, _LEAST_HEIGHT, highest)))
    middle, size = (low + high) / 2, np.array([float(width), float(height)])

    def turned(points: np.ndarray) -> np.ndarray:
        return (points - middle) * scale * np.array([1.0, -1.0]) + size / 2

    return turned(places), [np.clip(turned(outline), 1.0, size - 1) for outline in outlines], (float(width), float(height))


def _labels(
    extent: tuple[float, float], places: Float[np.ndarray, "n 2"], shown: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Texts at their places, and lines to those that stand farther off."""
    sizes = np.array([[text_width(text, _SIZE), _SIZE + 3] for text in shown])
    found = place_labels(places, sizes, extent)
    labels = [{"x": place.center[0], "y": place.center[1], "text": text} for place, text in zip(found, shown, strict=True)]
    leaders = [
        {"x": float(x), "y": float(y), "x2": place.end[0], "y2": place.end[1]}
        for (x, y), place in zip(places, found, strict=True)
        if place.distance > _LINE_FROM
    ]
    return labels, leaders
