"""How tasks and their groups look in every chart: names that fit, a color and a shape for a group."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.drawing.label_places import shown_names, text_width
from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import CATEGORY_COLORS, INK, MUTED, SHAPES, themed

if TYPE_CHECKING:
    import altair as alt

OTHERS, NONE = "other groups", "no group"
_GRAY = "#9aa3ad"
_GROUP_LETTERS = 26
SIGNED = ["#8c4a14", "#d99a5b", "#ffffff", "#6fa3c0", "#123f5c"]
"""From below 0 to above: brown and blue are told apart by everybody."""


@dataclass(frozen=True, slots=True)
class GroupLooks:
    """A color and a shape for each group.

    Attributes
    ----------
    of_task : tuple of str
        The look of each task.
    said : tuple of str
        The name of each task's group, also where the group has no look of its own.
    names : tuple of str
        Of all groups that have a look, in the order in which they first come; those that have none of their own last.
    colors, shapes : tuple of str
        One a name.
    """

    of_task: tuple[str, ...]
    said: tuple[str, ...]
    names: tuple[str, ...]
    colors: tuple[str, ...]
    shapes: tuple[str, ...]

    @property
    def has_groups(self) -> bool:
        """Whether there is a group at all."""
        return self.names != (NONE,)

    def color(self) -> "alt.Color":
        """The channel of colors, for a field ``group``."""
        import altair as alt

        return alt.Color("group:N", scale=alt.Scale(domain=list(self.names), range=list(self.colors)), legend=None)

    def shape(self) -> "alt.Shape":
        """The channel of shapes, for a field ``group``."""
        import altair as alt

        return alt.Shape("group:N", scale=alt.Scale(domain=list(self.names), range=list(self.shapes)), legend=None)

    def legend(self, plane: "Plane", top: float) -> list[Any]:
        """Shapes with their names in lines across a picture, from a height on; see :func:`legend_height`."""
        import altair as alt

        rows: list[dict[str, Any]] = [
            {"x": x + 6, "y": top + 12 + y, "group": name, "text": name} for name, x, y in _flow(self.names, plane.width)
        ]
        marks = alt.Chart(alt.Data(values=rows)).mark_point(filled=True, size=80, opacity=1)
        texts = [row | {"x": row["x"] + 12} for row in rows]
        return [marks.encode(x=plane.x(), y=plane.y(), color=self.color(), shape=self.shape()), plane.texts(texts, size=12.0)]


def legend_height(looks: GroupLooks, width: float) -> float:
    """Pixels that the legend of a picture takes.

    Parameters
    ----------
    looks : GroupLooks
    width : float
        Of the picture.
    """
    return 34.0 + max(y for _, _, y in _flow(looks.names, width)) if looks.has_groups else 0.0


def _flow(names: Sequence[str], width: float) -> list[tuple[str, float, float]]:
    """Names in columns of one width, as many as fit."""
    column = max(text_width(name, 12.0) for name in names) + 36
    n = max(1, int(width // column))
    return [(name, (place % n) * column, 22.0 * (place // n) + 11) for place, name in enumerate(names)]


def group_looks(groups: Sequence[str | None]) -> GroupLooks:
    """Looks of the twelve groups with the most tasks; smaller ones share one, and tasks without a group have another.

    Parameters
    ----------
    groups : sequence of str or None
        One a task.
    """
    counts = Counter(group for group in groups if group is not None)
    shown = dict(zip(counts, shown_names([readable(group) for group in counts], _GROUP_LETTERS), strict=True))
    frequent = {group for group, _ in counts.most_common(len(SHAPES))}
    own = [shown[group] for group in counts if group in frequent]
    of_task = tuple(NONE if group is None else shown[group] if group in frequent else OTHERS for group in groups)
    rest = [name for name in (OTHERS, NONE) if name in of_task and name not in own]
    return GroupLooks(
        of_task=of_task,
        said=tuple(NONE if group is None else shown[group] for group in groups),
        names=(*own, *rest),
        colors=(*CATEGORY_COLORS[: len(own)], *[_GRAY] * len(rest)),
        shapes=(*SHAPES[: len(own)], *["circle", "square"][: len(rest)]),
    )


def task_names(names: Sequence[str], length: int) -> list[str]:
    """Names of tasks as a chart shows them: one line each, no two the same.

    Parameters
    ----------
    names : sequence of str
    length : int
        Letters at most.
    """
    return shown_names([readable(name) for name in names], length)


@dataclass(frozen=True, slots=True)
class Plane:
    """A picture that is drawn by pixels, x to the right and y down.

    Attributes
    ----------
    width, height : float
    """

    width: float
    height: float

    def x(self, field: str = "x") -> "alt.X":
        """The channel of a field of pixels from the left."""
        import altair as alt

        return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, self.width], nice=False, zero=False), axis=None)

    def y(self, field: str = "y") -> "alt.Y":
        """The channel of a field of pixels from the top."""
        import altair as alt

        return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, self.height], nice=False, zero=False, reverse=True), axis=None)

    def texts(self, rows: list[dict[str, Any]], *, size: float, align: str = "left", color: str = INK, **options: Any) -> "alt.Chart":
        """Texts of the field ``text``, centered on y."""
        import altair as alt

        mark = {"align": align, "baseline": "middle", "fontSize": size, "color": color} | options
        return alt.Chart(alt.Data(values=rows)).mark_text(**mark).encode(x=self.x(), y=self.y(), text="text:N")

    def drawn(self, layers: Sequence[Any]) -> "alt.LayerChart":
        """The picture of some layers."""
        import altair as alt

        return themed(alt.layer(*layers).properties(width=self.width, height=self.height))


def similarity_color(values: Float[np.ndarray, "*shape"], title: str, *, step: float = 0.25) -> "alt.Color":
    """Shades around a white 0, as far as the largest value goes, in steps.

    Parameters
    ----------
    values : ndarray
        All that is drawn.
    title : str
        Of the legend.
    step : float
        The scale ends at a multiple of it.
    """
    import altair as alt

    top = float(np.nanmax(np.abs(values), initial=0.0))
    end = step * max(1, int(np.ceil(round(top / step, 6))))
    scale = alt.Scale(domain=[-end, -end / 2, 0, end / 2, end], range=SIGNED, clamp=True, interpolate="rgb")
    ticks = {"values": [-end, -end / 2, 0, end / 2, end], "format": ".3~g", "labelFontSize": 12}
    size = {"direction": "horizontal", "gradientLength": 240, "gradientThickness": 12}
    ticks = {"values": [-end, -end / 2, 0, end / 2, end], "format": ".3~g", "labelFontSize": 12}
    size = {"direction": "horizontal", "gradientLength": 240, "gradientThickness": 12}
    legend = alt.Legend(title=title, orient="bottom", titleFontSize=12, titleColor=MUTED, titleLimit=400, **ticks, **size)
    return alt.Color("value:Q", scale=scale, legend=legend)
