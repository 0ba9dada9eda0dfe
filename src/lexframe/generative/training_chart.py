"""The chart of training runs: what texts cost as the latent came to be used, run beside run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import ACCENT, MUTED, shortened, themed
from lexframe.exceptions import InputError
from lexframe.generative.score.charts import PALE, WARM

if TYPE_CHECKING:
    import altair as alt

STRETCHES, SETTLED = 40, 0.15
"""Stretches that steps in training are averaged over, and the share of the budget after which lines stay within their panel."""
_NAME = 34


def training_chart(runs: Mapping[str, Sequence[Any]], *, width: int | None = None) -> "alt.ConcatChart":
    """The course of training runs, a column a run: reconstruction and bound above, KL with its weight as background below.

    All columns have the same scales, so runs with remedies, without them, and an autoencoder show the balance of the two terms. The KL
    has a logarithmic scale above 1 nat where one run would press the others flat.

    Parameters
    ----------
    runs : mapping of str to sequence of lexframe.training.text_vae.log.TextVAEProgress
        Lines of the log of each run, by the name to show.
    width : int, optional
        Of a column, in pixels. Default: what leaves room for all of them.

    Raises
    ------
    InputError
        If there is no run, or one has no lines.
    """
    import altair as alt

    if not runs or not all(runs.values()):
        empty = next((name for name, lines in runs.items() if not lines), None)
        raise InputError("There is no run to draw." if empty is None else f"The log of {empty!r} has no lines. Train on, or leave it out.")
    courses = [_course(name, lines) for name, lines in runs.items()]
    scales = _training_scales(courses)
    width = width or (560 if len(courses) == 1 else max(210, 780 // len(courses)))
    upper, lower = [], []
    for course in courses:
        place = {"is_first": course is courses[0], "is_last": course is courses[-1]}
        x = alt.Scale(domain=[0, max(row["epoch"] for row in course["weights"])], nice=False)
        title = alt.TitleParams(course["name"], subtitle=course["end"], offset=8, frame="group")
        upper.append(_nats_panel(course, x, scales, is_first=place["is_first"]).properties(width=width, height=190, title=title))
        lower.append(_kl_panel(course, x, scales, **place).properties(width=width, height=150))
    spacing = {"row": 14, "column": 30}
    grid = alt.concat(*upper, *lower, columns=len(courses), bounds="flush", spacing=spacing)
    return themed(grid.resolve_scale(color="shared"))


def _course(name: str, lines: Sequence[Any]) -> dict[str, Any]:
    """What is drawn of a run. Steps in training are averaged over stretches: a batch of long texts costs more than one of short ones."""
    fraction = np.array([line.fraction for line in lines])
    stretches = np.minimum((fraction * STRETCHES).astype(int), STRETCHES - 1)
    training = []
    for stretch in np.unique(stretches).tolist():
        among = [lines[row] for row in np.flatnonzero(stretches == stretch).tolist()]
        means = {name: float(np.mean([getattr(line, name) for line in among])) for name in ("epoch", "fraction", "reconstruction", "kl")}
        training.append(means)
    held = [
        {"epoch": line.epoch, "fraction": line.fraction, "collapsed": bool(line.warning), **line.validation}
        for line in lines
        if line.validation is not None
    ]
    weights = [{"epoch": line.epoch, "weight": line.kl_weight} for line in lines]
    if held:
        end = f"at the end: KL {held[-1]['kl']:.1f}, bound {held[-1]['bound']:.1f}, {held[-1]['active']} active"
    else:
        end = f"at the end: KL {lines[-1].kl:.1f} nats in training"
    return {"name": shortened(readable(name), _NAME), "end": end, "training": training, "held": held, "weights": weights}


def _training_scales(courses: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Common domains. The first moments, when nothing is learned, would press everything else flat: lines leave the panel there."""
    import altair as alt

    every = [row for course in courses for row in (*course["training"], *course["held"])]
    settled = [row for row in every if row["fraction"] > SETTLED] or every
    values = [row[name] for row in settled for name in ("reconstruction", "bound") if name in row]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low or 1.0)
    kls = [row["kl"] for row in every]
    ends = [course["training"][-1]["kl"] for course in courses]
    highest = 1.06 * max(*kls, 1.0)
    is_log = highest > 10 * max(min(ends), 1.0)
    ticks = [tick for tick in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000) if tick <= highest]
    return {
        "nats": alt.Scale(domain=[max(0.0, low - margin), high + margin], nice=False),
        "kl": alt.Scale(domain=[0, highest], nice=False, **({"type": "symlog", "constant": 1} if is_log else {})),
        "kl_axis": {"values": ticks} if is_log else {"tickCount": 5},
    }


def _nats_panel(course: dict[str, Any], x_scale: Any, scales: dict[str, Any], *, is_first: bool) -> "alt.LayerChart":
    import altair as alt

    x = alt.X("epoch:Q", scale=x_scale, title=None, axis=alt.Axis(labels=False, ticks=False, grid=False))
    curves = {"reconstruction, training": PALE, "reconstruction, held out": ACCENT, "bound on -ln p, held out": WARM}
    training, held, bound = curves
    rows = [row | {"nats": row["reconstruction"], "curve": training} for row in course["training"]]
    measured = [row | {"nats": row["reconstruction"], "curve": held} for row in course["held"]]
    measured += [row | {"nats": row["bound"], "curve": bound} for row in course["held"]]
    legend = alt.Legend(title=None, orient="top", direction="horizontal", symbolType="stroke", symbolStrokeWidth=2.4)
    color = alt.Color("curve:N", scale=alt.Scale(domain=list(curves), range=list(curves.values())), legend=legend)
    axis = alt.Axis(tickCount=5, labelOpacity=float(is_first), ticks=is_first)  # unseen labels keep the titles on one line
    y = alt.Y("nats:Q", scale=scales["nats"], title="nats a text" if is_first else None, axis=axis)
    layers = [
        alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=1.6, clip=True).encode(x=x, y=y, color=color),
        alt.Chart(alt.Data(values=measured)).mark_line(strokeWidth=2.4, clip=True).encode(x=x, y=y, color=color),
    ]
    best = [row for row in measured if row["curve"] == bound and row["best"]][-1:]
    if best:
        dot = alt.Chart(alt.Data(values=[row | {"word": "kept"} for row in best])).encode(x=x, y=y)
        layers.append(dot.mark_point(filled=True, size=70, color=WARM, opacity=1))
        is_early = best[0]["fraction"] < 0.3  # the word then leaves the panel on the left
        low, high = scales["nats"].domain
        is_high = best[0]["nats"] > high - 0.12 * (high - low)  # the word would leave it at the top and push the title up
        side = {"align": "left", "dx": 8, "dy": 10} if is_early else {"align": "right", "dx": -4, "dy": 14 if is_high else -12}
        layers.append(dot.mark_text(color=WARM, fontSize=12, **side).encode(text="word:N"))
    return alt.layer(*layers)


def _kl_panel(course: dict[str, Any], x_scale: Any, scales: dict[str, Any], *, is_first: bool, is_last: bool) -> "alt.LayerChart":
    import altair as alt

    x = alt.X("epoch:Q", scale=x_scale, title="passes over the texts", axis=alt.Axis(tickCount=5, grid=False))
    axis = alt.Axis(labels=is_first, ticks=is_first, **scales["kl_axis"])
    y = alt.Y("kl:Q", scale=scales["kl"], title="KL, nats a text" if is_first else None, axis=axis)
    right = alt.Axis(orient="right", values=[0, 0.5, 1], grid=False, title="KL weight, shaded") if is_last else None
    weight = alt.Y("weight:Q", scale=alt.Scale(domain=[0, 1], nice=False, clamp=True), axis=right)
    shade = alt.Chart(alt.Data(values=course["weights"])).mark_area(color=MUTED, opacity=0.16).encode(x=x, y=weight)
    layers = [
        alt.Chart(alt.Data(values=course["training"])).mark_line(color=PALE, strokeWidth=1.6).encode(x=x, y=y),
        alt.Chart(alt.Data(values=course["held"])).mark_line(color=ACCENT, strokeWidth=2.4).encode(x=x, y=y),
    ]
    collapsed = [row for row in course["held"] if row["collapsed"]]
    if collapsed:
        marks = alt.Chart(alt.Data(values=collapsed)).encode(x=x, y=y)
        layers.append(marks.mark_point(shape="cross", size=64, filled=True, color=WARM, opacity=1, angle=45))
        word = alt.Chart(alt.Data(values=[collapsed[len(collapsed) // 2] | {"word": "collapsed"}])).encode(x=x, y=y, text="word:N")
        layers.append(word.mark_text(dy=-14, color=WARM, fontSize=12, fontWeight=600))
    return alt.layer(shade, alt.layer(*layers)).resolve_scale(y="independent")
