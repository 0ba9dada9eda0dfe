"""Charts of an audit of categories: what reviews find, how sure the audit is, the map, and what is taken for what.

Colors are from the palettes of Okabe and Ito and of Tol, made for color-blind readers; no dozen colors are told apart by everybody,
so categories differ in the shape of their points too, and lines in their dashes: nothing is lost in black and white.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from lexframe.audit.result import AuditResult
from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import ACCENT, CATEGORY_COLORS, INK, SHAPES, shortened, spread_out, themed
from lexframe.exceptions import InputError

if TYPE_CHECKING:
    import altair as alt

MAX_COLORED, MAX_RINGED, MAX_GRAY_HULLS, SUSPICIOUS = 12, 400, 12, 0.5
_NAME, _MAP = 26, (860, 560)


def probability_chart(result: AuditResult) -> "alt.LayerChart":
    """How many open items have which probability of a wrong label, in steps of 0.05; counts on a log scale.

    Parameters
    ----------
    result : AuditResult
    """
    import altair as alt

    counts, edges = np.histogram(np.clip(result.probability[result.ranked()], 0, 1), bins=20, range=(0.0, 1.0))
    rows = [
        {"low": float(low), "high": float(high), "count": int(count), "base": 0.7, "about": f"{low:.2f} to {high:.2f}: {count:,} items"}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    top = 10.0 ** np.ceil(np.log10(max(int(counts.max()), 2) * 1.3))
    powers = [10.0**power for power in range(int(np.log10(top)) + 1)]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "low:Q",
            scale=alt.Scale(domain=[0, 1], nice=False),
            axis=alt.Axis(format=".1f", tickCount=6, grid=False),
            title="probability that the label is wrong",
        )
    )
    y = alt.Scale(type="log", domain=[0.7, top], nice=False)
    bars = base.mark_rect(fill=ACCENT, stroke="white", strokeWidth=1.5).encode(
        x2="high:Q",
        y=alt.Y("count:Q", scale=y, axis=alt.Axis(values=powers, format="~s"), title="items, log scale"),
        y2="base:Q",
        description="about:N",
        tooltip="about:N",
    )
    return themed(bars.properties(width=375, height=250))


def map_chart(
    coordinates: Float[np.ndarray, "n_items 2"],
    result: AuditResult,
    hulls: Sequence[tuple[int, np.ndarray]] | None = None,
    max_drawn: int = 4000,
) -> "alt.LayerChart":
    """Items on a map: color and shape tell the given category, rings the suspicious ones, the larger the surer.

    The twelve most frequent categories have a color, a shape and their name at the middle of their members; the others are grey.

    Parameters
    ----------
    coordinates : ndarray of shape (n_items, 2)
        Items without a finite place are left out.
    result : AuditResult
    hulls : sequence of (int, ndarray of shape (m, 2)), optional
        Category numbers and the corners of their hulls, in order around it. A category may have several. Hulls of grey categories are
        left out where there are more than twelve: they would hide everything.
    max_drawn : int
        Points to draw; suspicious ones stay, others are sampled.

    Raises
    ------
    InputError
        If there is not a place for each item, or a hull is not of a category or not of corners in the plane.
    """
    import altair as alt

    if len(coordinates) != len(result):
        raise InputError(f"There are {len(coordinates)} places on the map, but {len(result)} items. Give one for each.")
    outlines = _outlines(hulls or (), len(result.categories))
    colored = frequent_categories(result)
    if sum(number not in colored for number, _ in outlines) > MAX_GRAY_HULLS:
        outlines = [(number, corners) for number, corners in outlines if number in colored]
    names = distinct_names([*(result.categories[number] for number in colored), "all other categories"])
    ringed = suspicious(result)
    kept = drawn_rows(coordinates, ringed, max_drawn)
    ringed = ringed[np.isin(ringed, kept)]
    name_of = dict(zip(colored, names, strict=False))
    frame = np.vstack([coordinates[kept].astype(np.float64), *(corners for _, corners in outlines)]) if len(kept) else np.zeros((1, 2))
    scales = [alt.Scale(domain=_reach(frame[:, axis]), nice=False, zero=False) for axis in (0, 1)]
    plain = alt.Axis(labels=False, ticks=False, domain=False, title=None, grid=False)
    x, y = alt.X("x:Q", scale=scales[0], axis=plain), alt.Y("y:Q", scale=scales[1], axis=plain)
    shown = names if len(colored) < len(result.categories) else names[:-1]
    looks = [*zip(CATEGORY_COLORS[: len(colored)], SHAPES, strict=False), ("#b4bac2", "circle")]
    legend = alt.Legend(title="given category", orient="bottom", columns=4, symbolOpacity=1, symbolSize=90, labelLimit=200)
    color = alt.Color("label:N", scale=alt.Scale(domain=shown, range=[c for c, _ in looks][: len(shown)]), legend=legend)
    shape = alt.Shape("label:N", scale=alt.Scale(domain=shown, range=[s for _, s in looks][: len(shown)]), legend=legend)

    def places(rows: np.ndarray) -> list[dict[str, object]]:
        return [
            {
                "x": float(coordinates[row, 0]),
                "y": float(coordinates[row, 1]),
                "label": name_of.get(int(result.given[row]), names[-1]),
                "probability": float(result.probability[row]),
                "about": about(result, row),
            }
            for row in rows.tolist()
        ]

    is_gray = ~np.isin(result.given[kept], colored)
    layers = []
    if outlines:
        lines = [
            {"x": float(a), "y": float(b), "label": name_of.get(number, names[-1]), "hull": hull, "corner": corner}
            for hull, (number, corners) in enumerate(outlines)
            for corner, (a, b) in enumerate(corners)
        ]
        layers.append(
            alt.Chart(alt.Data(values=lines))
            .mark_line(interpolate="linear-closed", strokeWidth=1.3, opacity=0.75)
            .encode(x=x, y=y, color=color, detail="hull:N", order="corner:Q")
        )
    for rows, size, opacity in ((kept[is_gray], 14, 0.5), (kept[~is_gray], 44, 0.75)):
        layers.append(
            alt.Chart(alt.Data(values=places(rows)))
            .mark_point(filled=True, size=size, opacity=opacity)
            .encode(x=x, y=y, color=color, shape=shape, description="about:N", tooltip="about:N")
        )
    rings = alt.Legend(title="ringed: probability of a wrong label", orient="bottom", values=[0.5, 0.75, 1.0], format=".2f")
    size = alt.Size("probability:Q", scale=alt.Scale(domain=[SUSPICIOUS, 1], range=[60, 230]), legend=rings if len(ringed) else None)
    layers.append(
        alt.Chart(alt.Data(values=places(ringed)))
        .mark_point(shape="circle", fill="transparent", stroke=INK, strokeWidth=1.3, opacity=1)
        .encode(x=x, y=y, size=size, description="about:N", tooltip="about:N")
    )
    layers += _category_names(coordinates, result, colored, names, (x, y), frame)
    return themed(alt.layer(*layers).properties(width=_MAP[0], height=_MAP[1]))


def _category_names(
    coordinates: np.ndarray,
    result: AuditResult,
    colored: Sequence[int],
    names: Sequence[str],
    axes: "tuple[alt.X, alt.Y]",
    frame: np.ndarray,
) -> "list[alt.Chart]":
    """Names at the middle of their members, moved up or down where they would stand on each other; a white rim makes them readable."""
    import altair as alt

    middles = []
    for number, name in zip(colored, names, strict=False):
        members = coordinates[result.given == number]
        members = members[np.isfinite(members).all(axis=1)]
        if len(members):
            middles.append([*np.median(members.astype(np.float64), axis=0).tolist(), name])
    (left, right), (low, high) = (_reach(frame[:, axis]) for axis in (0, 1))
    wide, tall = (right - left) * 7.2 / _MAP[0], (high - low) * 17 / _MAP[1]
    rows = []
    for x, _, name in middles:
        near = [other for other in middles if abs(other[0] - x) < wide * (len(name) + len(other[2])) / 2]
        spread = spread_out([other[1] for other in near], least=tall, low=low, high=high)
        rows.append({"x": x, "y": spread[[other[2] for other in near].index(name)], "name": name})
    base = alt.Chart(alt.Data(values=rows)).encode(x=axes[0], y=axes[1], text="name:N")
    text = {"fontSize": 13, "fontWeight": "bold"}
    return [base.mark_text(stroke="white", strokeWidth=4, strokeJoin="round", opacity=0.9, **text), base.mark_text(color=INK, **text)]


def relations_chart(result: AuditResult, max_categories: int = 15) -> "alt.LayerChart":
    """Expected numbers of items given one category (row) that belong to another (column), for the most confused categories.

    Only categories between which an item or more is expected to have been misplaced are shown.

    Parameters
    ----------
    result : AuditResult
    max_categories : int
    """
    import altair as alt

    numbers, table = confused_categories(result, max_categories)
    names = distinct_names([result.categories[number] for number in numbers])
    rows = [
        {
            "given": names[i],
            "belongs": names[j],
            "count": float(table[i, j]),
            "about": f"given {names[i]}, belongs to {names[j]}: {table[i, j]:.1f} items expected",
        }
        for i in range(len(names))
        for j in range(len(names))
        if i != j
    ]
    axis = {"ticks": False, "domain": False, "labelLimit": 170}
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("belongs:N", sort=names, title="likely belongs to", axis=alt.Axis(labelAngle=-40, orient="bottom", **axis)),
        y=alt.Y("given:N", sort=names, title="given", axis=alt.Axis(**axis)),
    )
    top = float(table.max(initial=1.0))
    cells = base.mark_rect(stroke="white", strokeWidth=1.5).encode(
        color=alt.Color("count:Q", scale=alt.Scale(domain=[0, top], range=["#f3f6f8", ACCENT]), legend=None),
        description="about:N",
        tooltip="about:N",
    )
    written = base.transform_filter("datum.count >= 0.5").mark_text(fontSize=12)
    written = written.encode(
        text=alt.Text("count:Q", format=".0f"), color=alt.condition(f"datum.count > {0.55 * top}", alt.value("white"), alt.value(INK))
    )
    cell = max(30, min(52, 560 // max(len(names), 1)))
    return themed((cells + written).properties(width=cell * len(names), height=max(26, cell - 12) * len(names)))


def confused_categories(result: AuditResult, max_categories: int = 15) -> tuple[list[int], Float[np.ndarray, "k k"]]:
    """Categories between which an item or more is expected to have been misplaced, by number, and the table of expected items.

    Where there are more than `max_categories` of them, those of the strongest pairs.
    """
    table = result.confusion().tocoo()
    pairs = np.flatnonzero((table.row != table.col) & (table.data >= 1))
    pairs = pairs[np.argsort(-table.data[pairs], kind="stable")]
    ends = np.stack([table.row[pairs], table.col[pairs]], axis=1).ravel()
    _, first = np.unique(ends, return_index=True)
    numbers = np.sort(ends[np.sort(first)[:max_categories]])
    place = np.full(len(result.categories), -1)
    place[numbers] = np.arange(len(numbers))
    kept = (table.row != table.col) & (place[table.row] >= 0) & (place[table.col] >= 0)
    dense = np.zeros((len(numbers), len(numbers)))
    np.add.at(dense, (place[table.row[kept]], place[table.col[kept]]), table.data[kept])
    return numbers.tolist(), dense


def frequent_categories(result: AuditResult, max_categories: int = MAX_COLORED) -> list[int]:
    """The most frequent categories by number, ascending; of equally frequent ones those with more expected errors."""
    size = len(result.categories)
    counts = np.bincount(result.given, minlength=size)
    errors = np.bincount(result.given, weights=np.where(result.reviewed, 0.0, result.probability), minlength=size)
    return sorted(np.lexsort((-errors, -counts))[:max_categories].tolist())


def suspicious(result: AuditResult) -> Int[np.ndarray, " n_suspicious"]:
    """Open items that are more likely wrong than right, the likeliest first."""
    rows = result.ranked(MAX_RINGED)
    return rows[result.probability[rows] >= SUSPICIOUS]


def drawn_rows(
    coordinates: Float[np.ndarray, "n_items 2"], ringed: Int[np.ndarray, " n_ringed"], max_drawn: int
) -> Int[np.ndarray, " n_drawn"]:
    """Rows to draw, ascending: those with a place, at most so many, the ringed ones before others."""
    order = np.concatenate([ringed, np.random.default_rng(0).permutation(len(coordinates))])
    order = order[np.isfinite(coordinates).all(axis=1)[order]]
    _, first = np.unique(order, return_index=True)
    return np.sort(order[np.sort(first)][:max_drawn])


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names on one line, cut where long, and numbered where that makes two the same."""
    result: list[str] = []
    for name in names:
        short = shown = shortened(readable(name), _NAME) or "(blank)"
        number = 1
        while shown in result:
            number += 1
            shown = f"{short} ({number})"
        result.append(shown)
    return result


def about(result: AuditResult, row: int) -> str:
    """What a pointer that rests on the item is told."""
    given, suggested = (shortened(readable(result.categories[numbers[row]]), 60) for numbers in (result.given, result.suggested))
    text = "" if result.texts is None else f": {shortened(readable(result.texts[row][:1000]), 140)}"
    if result.reviewed[row]:
        return f"row {row}, given {given}, reviewed{text}"
    return f"row {row}, given {given}, suggested {suggested}, {result.probability[row]:.2f} wrong{text}"


def _outlines(hulls: Sequence[tuple[int, np.ndarray]], n_categories: int) -> list[tuple[int, np.ndarray]]:
    """Hulls that have an outline; a single corner has none."""
    outlines = []
    for number, corners in hulls:
        corners = np.asarray(corners, dtype=np.float64)
        if not 0 <= number < n_categories:
            raise InputError(f"A hull is of category number {number}, but there are {n_categories} categories, from 0.")
        if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
            raise InputError(f"The hull of category {number} has shape {corners.shape}; expected finite corners of shape (m, 2).")
        if len(corners) > 1:
            outlines.append((int(number), corners))
    return outlines


def _reach(values: np.ndarray) -> list[float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 1.0
    return [low - margin, high + margin]
