"""The chart of an audit in numbers alone: what reviews find, beside reviews in random order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from lexframe.drawing.theme import ACCENT, CATEGORY_COLORS, MUTED, themed

if TYPE_CHECKING:
    import altair as alt


def review_curve_chart(
    at: Int[np.ndarray, " n_points"],
    found: Float[np.ndarray, " n_points"],
    planted: tuple[Int[np.ndarray, " n_reviews"], Float[np.ndarray, " n_reviews"], int] | None = None,
) -> "alt.LayerChart":
    """Wrong labels that reviews are expected to find, against reviews in random order, and planted ones where they were looked for.

    The axis ends where nearly all errors are found. Shares of planted errors stand on the right axis, which is the left one over all
    expected errors. They share their ranking with the errors that were there before, so their line climbs later than the other.

    Parameters
    ----------
    at : ndarray of int, shape (n_points,)
        Numbers of reviews.
    found : ndarray of shape (n_points,)
        Errors that so many reviews are expected to find.
    planted : tuple, optional
        Where errors were planted: numbers of reviews, the share of the planted errors that they find, and how many were planted.
    """
    import altair as alt

    total, n = (float(found[-1]), int(at[-1])) if len(at) else (0.0, 1)
    top = max(total, 1e-9)
    enough = at[min(int(np.searchsorted(found, 0.95 * total)), len(at) - 1)] if len(at) else 1
    last = max(20, int(1.3 * enough))
    if planted is not None and len(planted[0]):
        last = max(last, int(planted[0][min(int(np.searchsorted(planted[1], 0.9)), len(planted[0]) - 1)]))
    last = min(n, last)
    names = ["in the order of this audit", "in random order"]
    rows = [{"reviews": 0, "found": 0.0, "line": name} for name in names]
    rows += [{"reviews": int(x), "found": float(y), "line": names[0]} for x, y in zip(at, found, strict=True) if x <= last]
    rows += [{"reviews": last, "found": float(np.interp(last, at, found)), "line": names[0]}] if len(at) and last not in at else []
    rows += [{"reviews": last, "found": total * last / n, "line": names[1]}]
    shares = []
    if planted is not None:
        reviews, share, n_planted = planted
        names.append(f"{n_planted:,} planted errors (right axis)")
        pairs = [(int(x), float(y)) for x, y in zip(reviews, share, strict=True) if x <= last]
        if pairs and pairs[-1][0] < last:
            pairs.append((last, float(np.interp(last, reviews, share))))
        shares = [{"reviews": x, "share": y, "line": names[2]} for x, y in [(0, 0.0), *pairs]]
    for row in rows:
        row["about"] = f"{row['reviews']:,} reviews {row['line']}: {row['found']:,.1f} of {total:,.1f} expected errors"
    for row in shares:
        row["about"] = f"{row['reviews']:,} reviews: {row['share']:.0%} of the planted errors"
    scale = alt.Scale(domain=names, range=[ACCENT, MUTED, CATEGORY_COLORS[1]][: len(names)])
    legend = alt.Legend(title=None, orient="bottom", columns=1, symbolType="stroke", symbolSize=420, symbolStrokeWidth=2.4, labelLimit=400)
    color = alt.Color("line:N", scale=scale, legend=legend)
    dash = alt.StrokeDash("line:N", scale=alt.Scale(domain=names, range=[[1, 0], [2, 4], [7, 4]][: len(names)]), legend=legend)
    x = alt.X(
        "reviews:Q", scale=alt.Scale(domain=[0, last], nice=False), axis=alt.Axis(format="~s", tickCount=6, grid=False), title="reviews"
    )
    y = alt.Y("found:Q", scale=alt.Scale(domain=[0, 1.04 * top], nice=False), axis=alt.Axis(tickCount=5), title="errors found, expected")
    chart = _line_with_dots(rows, x, y, color, dash)
    if shares:
        axis = alt.Axis(orient="right", format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1], grid=False)
        right = alt.Y("share:Q", scale=alt.Scale(domain=[0, 1.04], nice=False), axis=axis, title="share of the errors")
        chart = alt.layer(chart, _line_with_dots(shares, x, right, color, dash)).resolve_scale(y="independent")
    return themed(chart.properties(width=375, height=250))


def _line_with_dots(
    rows: Sequence[dict[str, object]], x: "alt.X", y: "alt.Y", color: "alt.Color", dash: "alt.StrokeDash"
) -> "alt.LayerChart":
    import altair as alt

    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=color)
    dots = base.mark_circle(size=16, opacity=1).encode(description="about:N", tooltip="about:N")
    return base.mark_line(strokeWidth=2.4).encode(strokeDash=dash) + dots
