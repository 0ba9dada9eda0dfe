"""Charts of a transfer: what tuning on one task does to all others, whether gradients foretold it, and what it costs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.drawing.label_places import text_width
from lexframe.drawing.theme import CATEGORY_COLORS, INK, MUTED, RULE, SHAPES, themed
from lexframe.task_space.looks import Plane, similarity_color, task_names

if TYPE_CHECKING:
    import altair as alt

_NAME, _TOP, _MARGIN, _SIDE, _SMALL = 34, 20.0, 24.0, 660, 336
_DRAWN = 4000
"""Most pairs of tasks that are drawn one by one."""


def target_order(transfer: Any) -> list[int]:
    """Targets as charts and tables have them: those of one group side by side, in the order in which groups first come.

    Parameters
    ----------
    transfer : Transfer
    """
    first = {group: place for place, group in reversed(list(enumerate(transfer.groups)))}
    return sorted(range(len(transfer.targets)), key=lambda row: (first[transfer.groups[row]], row))


def transfer_chart(transfer: Any, arm: str | None = None, *, small: bool = False) -> "alt.LayerChart":
    """How far the margin of every task rises when the model is tuned on one, in nats: a row a source, a column a target.

    Rows and columns have the numbers of the targets, groups side by side; a source's own cell has a dark rim. All ways to tune have one
    scale.

    Parameters
    ----------
    transfer : Transfer
    arm : str, optional
        Default: the first.
    small : bool
        With numbers in the place of names, for narrow screens.
    """
    number = 0 if arm is None else list(transfer.arms).index(arm)
    order = target_order(transfer)
    rows = [(place, list(transfer.sources).index(transfer.targets[column])) for place, column in enumerate(order)
            if transfer.targets[column] in transfer.sources]  # fmt: skip
    shown = [task_names(transfer.targets, _NAME)[column] for column in order]
    cell = _SMALL // len(order) if small else round(_SIDE / len(order))
    cell = int(np.clip(cell, 4 if small else 12, 46))
    left, side, size = (_MARGIN if small else 0.0), float(cell * len(order)), 11.0 if cell < 13 else 12.0
    width = left + side + (4 if small else 36 + max(text_width(shown[place], size) for place, _ in rows))
    plane = Plane(float(round(width)), _TOP + cell * len(rows))
    every = np.asarray(transfer.gain_margin, dtype=np.float64)
    layers = _cells(
        plane, every[number][np.ix_([source for _, source in rows], order)], [place for place, _ in rows], shown, (left, cell), every
    )
    middles = [_TOP + (row + 0.5) * cell for row in range(len(rows))]
    step = 1 if cell >= 17 else 5
    columns = [column for column in range(len(order)) if step == 1 or column == 0 or (column + 1) % step == 0]
    above = [{"x": left + (column + 0.5) * cell, "y": _TOP - 9, "text": str(column + 1)} for column in columns]
    at_numbers = left - 6 if small else side + 24
    numbers = [
        {"x": at_numbers, "y": y, "text": str(place + 1)}
        for y, (place, _) in zip(middles, rows, strict=True)
        if not small or cell >= 12 or (place + 1) % 5 == 0
    ]
    layers += [plane.texts(above, size=12.0, align="center", color=MUTED), plane.texts(numbers, size=size, align="right", color=MUTED)]
    if not small:
        named = [{"x": side + 30, "y": y, "text": shown[place]} for y, (place, _) in zip(middles, rows, strict=True)]
        layers.append(plane.texts(named, size=size))
    return plane.drawn(layers)


def _cells(
    plane: Plane,
    gains: Float[np.ndarray, "n_rows n_columns"],
    own: Sequence[int],
    names: Sequence[str],
    at: tuple[float, int],
    every: Float[np.ndarray, "n_arms n_sources n_targets"],
) -> list[Any]:
    """Shades of gains, with a rim around each source's own."""
    import altair as alt

    left, cell = at
    rows, rims = [], []
    for row, (column_of_own, values) in enumerate(zip(own, gains.tolist(), strict=True)):
        for column, value in enumerate(values):
            place = {"x": left + column * cell, "y": _TOP + row * cell, "x2": left + (column + 1) * cell, "y2": _TOP + (row + 1) * cell}
            rows.append(place | {"value": value, "about": f"tuned on {names[column_of_own]}: {names[column]} {value:+.2f} nats"})
            rims += [place] if column == column_of_own else []
    corners = {"x": plane.x(), "y": plane.y(), "x2": "x2:Q", "y2": "y2:Q"}
    told = {"description": "about:N", "tooltip": "about:N"} if cell >= 12 else {}  # smaller ones cannot be pointed at
    shades = similarity_color(every, "change of the margin, nats", step=0.5)
    return [
        alt.Chart(alt.Data(values=rows)).mark_rect(stroke=RULE, strokeWidth=min(0.5, cell / 24)).encode(**corners, color=shades, **told),
        alt.Chart(alt.Data(values=rims)).mark_rect(filled=False, stroke=INK, strokeWidth=min(1.6, cell / 6)).encode(**corners),
    ]


def prediction_chart(transfer: Any) -> "alt.LayerChart":
    """The change of every margin against what the gradients foretold, with the line on which both are equal.

    Parameters
    ----------
    transfer : Transfer
    """
    import altair as alt

    found, foretold = (np.asarray(table, dtype=np.float64) for table in (transfer.gain_margin, transfer.predicted))
    sources, targets = task_names(transfer.sources, 40), task_names(transfer.targets, 40)
    places = np.random.default_rng(0).permutation(found.size)[:_DRAWN]
    rows = []
    for arm, source, target in zip(*np.unravel_index(np.sort(places), found.shape), strict=True):
        seen, said = float(found[arm, source, target]), float(foretold[arm, source, target])
        if np.isfinite(seen) and np.isfinite(said):
            about = f"{transfer.arms[arm]}, tuned on {sources[source]}: {targets[target]} {seen:+.2f} nats, foretold {said:+.2f}"
            rows.append({"seen": seen, "said": said, "arm": transfer.arms[arm], "about": about})
    ends = [row[key] for row in rows for key in ("seen", "said")] or [0.0, 1.0]
    low, high = min(0.0, *ends), max(0.0, *ends)
    scale = alt.Scale(domain=[low, high], nice=True)
    x = alt.X("said:Q", title="foretold change of the margin, nats", scale=scale, axis=alt.Axis(tickCount=6, format="~g"))
    y = alt.Y("seen:Q", title="change that came, nats", scale=scale, axis=alt.Axis(tickCount=6, format="~g"))
    color, shape = _arms(transfer)
    line = alt.Chart(alt.Data(values=[{"said": low, "seen": low}, {"said": high, "seen": high}]))
    layers = [
        line.mark_line(strokeDash=[5, 4], color=MUTED, strokeWidth=1.2).encode(x=x, y=y),
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=36, opacity=0.6)
        .encode(x=x, y=y, color=color, shape=shape, description="about:N", tooltip="about:N"),
    ]
    return themed(alt.layer(*layers).properties(width=340, height=300))


def price_chart(transfer: Any) -> "alt.LayerChart":
    """What tuning costs on neutral text against what it gains on its own task: a point a source, and the mean of every arm, larger.

    Parameters
    ----------
    transfer : Transfer
    """
    import altair as alt

    gains, changes = transfer.own(transfer.gain_margin), np.asarray(transfer.bits_change, dtype=np.float64)
    sources = task_names(transfer.sources, 40)
    rows, means = [], []
    for number, arm in enumerate(transfer.arms):
        defined = np.flatnonzero(np.isfinite(gains[number]) & np.isfinite(changes[number]))
        for row in defined:
            gain, bits = float(gains[number, row]), float(changes[number, row])
            about = f"{arm}, {sources[row]}: {gain:+.2f} nats for {bits:+.4f} bits per byte"
            rows.append({"gain": gain, "bits": bits, "arm": arm, "about": about})
        if len(defined):
            gain, bits = float(gains[number, defined].mean()), float(changes[number, defined].mean())
            means.append({"gain": gain, "bits": bits, "arm": arm, "about": f"{arm}, mean: {gain:+.2f} nats for {bits:+.4f} bits per byte"})
    x = alt.X(
        "gain:Q", title="rise of its own margin, nats", scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(tickCount=6, format="~g")
    )
    y = alt.Y(
        "bits:Q",
        title="rise on neutral text, bits per byte",
        scale=alt.Scale(zero=True, nice=True),
        axis=alt.Axis(tickCount=6, format="~g"),
    )
    color, shape = _arms(transfer)
    seen = {"color": color, "shape": shape, "description": "about:N", "tooltip": "about:N"}
    layers = [
        alt.Chart(alt.Data(values=[{"bits": 0}])).mark_rule(color=MUTED).encode(y=y),
        alt.Chart(alt.Data(values=rows)).mark_point(filled=True, size=46, opacity=0.55).encode(x=x, y=y, **seen),
        alt.Chart(alt.Data(values=means))
        .mark_point(filled=True, size=190, opacity=1, stroke="white", strokeWidth=1.4)
        .encode(x=x, y=y, **seen),
    ]
    return themed(alt.layer(*layers).properties(width=340, height=300))


def _arms(transfer: Any) -> "tuple[alt.Color, alt.Shape]":
    import altair as alt

    arms = list(transfer.arms)
    legend = alt.Legend(title=None, orient="top", symbolOpacity=1, symbolSize=90, labelFontSize=12)
    return (
        alt.Color("arm:N", scale=alt.Scale(domain=arms, range=CATEGORY_COLORS[: len(arms)]), legend=legend),
        alt.Shape("arm:N", scale=alt.Scale(domain=arms, range=SHAPES[: len(arms)]), legend=legend),
    )
