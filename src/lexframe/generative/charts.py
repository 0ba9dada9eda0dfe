"""The chart of texts along a path."""

from typing import TYPE_CHECKING, Any

from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import ACCENT, PALETTE, shortened, spread_out, themed

if TYPE_CHECKING:
    import altair as alt

_WIDTH, _HEIGHT = 560, 240


def interpolation_chart(found: Any, *, width: int = _WIDTH) -> "alt.LayerChart":
    """Distance of every text of a path to the first and to the last of them.

    Parameters
    ----------
    found : lexframe.generative.Interpolation
    width : int
        Of the panel, in pixels.
    """
    import altair as alt

    ends = {"to the start": (found.distances_to_start, ACCENT), "to the end": (found.distances_to_end, PALETTE[1])}
    rows: list[dict[str, Any]] = [
        {
            "fraction": float(fraction),
            "distance": float(distance),
            "end": name,
            "about": f"{fraction:.0%} of the way, {distance:.2f} {name}: {shortened(readable(text), 160)}",
        }
        for name, (distances, _) in ends.items()
        for fraction, distance, text in zip(found.fractions, distances, found.texts, strict=True)
    ]
    x = alt.X(
        "fraction:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=alt.Axis(format="%", tickCount=5), title="way from start to end"
    )
    scale = alt.Scale(domain=[0, 1.05], nice=False)
    y = alt.Y(
        "distance:Q", scale=scale, axis=alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1]), title="word edit distance, share of the longer text"
    )
    color = alt.Color("end:N", scale=alt.Scale(domain=list(ends), range=[color for _, color in ends.values()]), legend=None)
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=color)
    last = [row for row in rows if row["fraction"] == 1]
    places = spread_out([row["distance"] for row in last], least=0.08, low=0.0, high=1.05)
    named = [row | {"distance": place} for row, place in zip(last, places, strict=True)]
    names = alt.Chart(alt.Data(values=named)).mark_text(align="left", dx=10, fontSize=12, fontWeight=600)
    lines = base.mark_line(strokeWidth=2.2)
    dots = base.mark_circle(size=54, opacity=1).encode(description="about:N", tooltip="about:N")
    layers = alt.layer(lines, dots, names.encode(x=x, y=y, color=color, text="end:N"))
    return themed(layers.properties(width=width, height=_HEIGHT))
