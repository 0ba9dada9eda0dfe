"""Charts of text VAEs: which dimensions are used, where in a text they help, what they cost and save, and how that came about."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import ACCENT, INK, MUTED, PALETTE, RULE, shortened, spread_out, themed
from lexframe.exceptions import InputError
from lexframe.generative.interpolation import Interpolation
from lexframe.generative.score.active_units import ActiveUnits
from lexframe.generative.score.position_gain import PositionGain
from lexframe.generative.score.rate_distortion import RateDistortion

if TYPE_CHECKING:
    import altair as alt

WARM, PALE = "#d1702c", "#9fc0d0"
LEAST_BAR = 14
"""Pixels of a bar that is wide enough for the number of its dimension below it."""
STRETCHES, SETTLED = 40, 0.15
"""Stretches that steps in training are averaged over, and the share of the budget after which lines stay within their panel."""
_WIDTH, _HEIGHT = 560, 240
_NAME = 34


def score_chart(score: Any) -> "alt.VConcatChart":
    """The three charts of a score, one above the other.

    Parameters
    ----------
    score : lexframe.generative.score.vae_score_result.TextVAEScore
    """
    import altair as alt

    parts = [_kl_layers(score.units, _WIDTH), _position_layers(score.gain, _WIDTH), _balance_layers(score.rate_distortion, _WIDTH)]
    return themed(alt.vconcat(*parts, spacing=34).resolve_scale(color="independent"))


def kl_chart(units: ActiveUnits, *, width: int = _WIDTH) -> "alt.LayerChart":
    """KL of every dimension, the largest first, colored by whether it says something about the text.

    Parameters
    ----------
    units : ActiveUnits
    width : int
        Of the panel, in pixels.
    """
    return themed(_kl_layers(units, width))


def _kl_layers(units: ActiveUnits, width: int) -> "alt.LayerChart":
    import altair as alt

    low, high = units.thresholds[0], units.thresholds[-1]
    kinds = {
        f"active: the mean varies by more than {high:g}": ACCENT,
        f"weakly active: by more than {low:g}": PALE,
        "idle: costs nats, tells nothing": WARM,
        "unused": RULE,
    }
    names = list(kinds)
    order = np.argsort(-units.mean_kl, kind="stable")
    rows = []
    for rank, dimension in enumerate(order.tolist()):
        variance, kl = float(units.variances[dimension]), float(units.mean_kl[dimension])
        kind = names[0] if variance > high else names[1] if variance > low else names[3] if kl < units.unused_below else names[2]
        about = f"dimension {dimension}: {kl:.3f} nats, variance of the mean {variance:.3f}"
        rows.append({"rank": rank, "dimension": str(dimension), "kl": kl, "kind": kind, "about": about})
    numbered = units.n_dims * LEAST_BAR <= width
    shown = [name for name in names if any(row["kind"] == name for row in rows)]
    total = float(units.mean_kl.sum())
    axis = alt.Axis(labels=numbered, ticks=False, labelAngle=0, labelFontSize=10 if units.n_dims > 20 else 12, labelColor=MUTED)
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("dimension:N", sort=[row["dimension"] for row in rows], title="dimension, by its KL", axis=axis),
            y=alt.Y("kl:Q", title="mean KL, nats", axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=shown, range=[kinds[name] for name in shown]),
                legend=alt.Legend(title=None, orient="top", columns=2, labelLimit=320, symbolType="square"),
            ),
            description="about:N",
            tooltip="about:N",
        )
    )
    subtitle = f"{units.n_active[0]} of {units.n_dims} active, {units.n_unused} unused, {units.n_idle} idle; {total:.2f} nats in all"
    return alt.layer(bars).properties(width=width, height=_HEIGHT, title=alt.TitleParams("What each dimension costs", subtitle=subtitle))


def position_chart(gain: PositionGain, *, width: int = _WIDTH) -> "alt.LayerChart":
    """What the right z adds to the log-likelihood of a token, over the length of a text, with its 95% band.

    Parameters
    ----------
    gain : PositionGain
    width : int
        Of the panel, in pixels.
    """
    return themed(_position_layers(gain, width))


def _position_layers(gain: PositionGain, width: int) -> "alt.LayerChart":
    import altair as alt

    rows: list[dict[str, Any]] = [
        {
            "place": point.position,
            "gain": point.gain.value,
            "low": point.gain.low,
            "high": point.gain.high,
            "about": f"{point.position:.0%} of the way: {point.gain.value:.3f} [{point.gain.low:.3f}, {point.gain.high:.3f}] nats a token, "
            f"of {point.loss:.2f} to gain",
        }
        for point in gain.by_share
    ]
    even = float(np.mean([point.gain.value for point in gain.by_share]))  # stretches hold equally many tokens
    x = alt.X(
        "place:Q",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
        title="place in the text",
    )
    top = max(max(row["high"] for row in rows), 1e-3)
    bottom = min(0.0, min(row["low"] for row in rows))
    y = alt.Scale(domain=[bottom, 1.08 * top], nice=False)
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    band = base.mark_area(color=ACCENT, opacity=0.18).encode(
        y=alt.Y("low:Q", scale=y, title="gain, nats a token", axis=alt.Axis(tickCount=5)), y2="high:Q"
    )
    line = base.mark_line(color=ACCENT, strokeWidth=2.4).encode(y=alt.Y("gain:Q", scale=y))
    dots = base.mark_circle(color=ACCENT, size=34, opacity=1).encode(y=alt.Y("gain:Q", scale=y), description="about:N", tooltip="about:N")
    mean = alt.Chart(alt.Data(values=[{"even": even, "place": 1.0, "text": "were it even"}]))
    rule = mean.mark_rule(color=MUTED, strokeDash=[4, 4]).encode(y=alt.Y("even:Q", scale=y))
    name = mean.mark_text(align="left", dx=6, color=MUTED, fontSize=12).encode(x=x, y=alt.Y("even:Q", scale=y), text="text:N")
    found = gain.gain_per_text
    said = {"none": "no gain", "undecided": "not sure whether spread"}.get(gain.verdict, gain.verdict)
    subtitle = f"{said}: {found.value:.1f} nats a text [{found.low:.1f}, {found.high:.1f}] with its own z rather than another's"
    return alt.layer(rule, band, line, dots, name).properties(
        width=width, height=_HEIGHT, title=alt.TitleParams("Where in a text the latent helps", subtitle=subtitle)
    )


def rate_distortion_chart(found: RateDistortion, *, width: int = _WIDTH) -> "alt.LayerChart":
    """Distortion against rate along the path of each model, its own point, and the line where the ELBO equals a plain language model.

    Parameters
    ----------
    found : RateDistortion
    width : int
        Of the panel, in pixels.
    """
    return themed(_balance_layers(found, width))


def _balance_layers(found: RateDistortion, width: int) -> "alt.LayerChart":
    import altair as alt

    models = list(dict.fromkeys(point.model for point in found.points))
    names = {model: f"{number}: {shortened(readable(model), _NAME)}" for number, model in enumerate(models, start=1)}
    rows: list[dict[str, Any]] = [
        {
            "model": names[point.model],
            "rate": point.rate.value,
            "distortion": point.distortion.value,
            "weight": f"{point.weight:g}",
            "own": point.weight == 1,
            "about": f"{shortened(readable(point.model), _NAME)}, texts weighted {point.weight:g}: rate {point.rate.value:.2f}, distortion "
            f"{point.distortion.value:.2f}, together {point.total.value:.2f} nats a text",
        }
        for point in sorted(found.points, key=lambda point: (models.index(point.model), point.weight))
    ]
    right = 1.06 * max(max(row["rate"] for row in rows), 1.0)
    lowest, highest = (bound(row["distortion"] for row in rows) for bound in (min, max))
    plain = found.plain_language_model
    highest = highest if plain is None else max(highest, plain.value)
    margin = 0.08 * (highest - lowest or 1.0)
    bottom, top = max(0.0, lowest - margin), highest + margin
    x = alt.X("rate:Q", scale=alt.Scale(domain=[0, right], nice=False), title="rate: KL, nats a text", axis=alt.Axis(tickCount=6))
    scale = alt.Scale(domain=[bottom, top], nice=False)
    y = alt.Y("distortion:Q", scale=scale, title="distortion: reconstruction, nats a text", axis=alt.Axis(tickCount=6))
    color = alt.Color(
        "model:N",
        scale=alt.Scale(domain=list(names.values()), range=[PALETTE[i % len(PALETTE)] for i in range(len(names))]),
        legend=alt.Legend(title=None, orient="bottom", columns=1, symbolType="stroke") if len(models) > 1 else None,
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=color)
    layers = [base.mark_line(strokeWidth=2.2).encode(order="rate:Q")]
    layers.append(base.mark_circle(size=46, opacity=1).encode(description="about:N", tooltip="about:N"))
    own = base.transform_filter("datum.own")
    layers.append(
        own.mark_point(filled=True, size=190, shape="diamond", opacity=1, stroke="white", strokeWidth=1.2).encode(description="about:N")
    )
    diamond = "diamond: the model's own posterior" if len(models) == 1 else "diamonds: the models' own posteriors"
    subtitle = [f"{diamond}; along the line the text weighs less or more against the prior"]
    if len(models) == 1:
        layers.append(_weight_names(rows, x, y, right, top - bottom))
        subtitle = [f"{diamond}; numbers: weight of the text against the prior"]
    if plain is not None:
        layers = [*_plain_line(plain.value, right, bottom, top, x, y), *layers]
        subtitle.append(f"dashed: where both add up to the {plain.value:.1f} nats of a plain language model; below it the latent pays")
    title = "What the latent costs and saves"
    return alt.layer(*layers).properties(width=width, height=300, title=alt.TitleParams(title, subtitle=subtitle))


def _weight_names(rows: Sequence[dict[str, Any]], x: Any, y: Any, right: float, height: float) -> "alt.Chart":
    """The weights beside their points; of points that lie together the one that comes first is named, the own point always."""
    import altair as alt

    kept: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: not row["own"]):
        near = any(abs(row["rate"] - k["rate"]) < 0.045 * right and abs(row["distortion"] - k["distortion"]) < 0.07 * height for k in kept)
        if not near:
            kept.append(row)
    return alt.Chart(alt.Data(values=kept)).mark_text(align="left", dx=9, dy=-8, fontSize=11, color=INK).encode(x=x, y=y, text="weight:N")


def _plain_line(nats: float, right: float, bottom: float, top: float, x: Any, y: Any) -> "list[alt.Chart]":
    """Where rate and distortion add up to the plain language model's nats, as far as the panel shows it."""
    import altair as alt

    start, end = max(0.0, nats - top), min(right, nats - bottom)
    if end <= start:
        return []
    line = [{"rate": place, "distortion": nats - place} for place in (start, end)]
    return [alt.Chart(alt.Data(values=line)).mark_line(color=MUTED, strokeDash=[5, 4], strokeWidth=1.6).encode(x=x, y=y)]


def interpolation_chart(found: Interpolation, *, width: int = _WIDTH) -> "alt.LayerChart":
    """Distance of every text of a path to the first and to the last of them.

    Parameters
    ----------
    found : Interpolation
    width : int
        Of the panel, in pixels.
    """
    import altair as alt

    ends = {"to the start": (found.distances_to_start, ACCENT), "to the end": (found.distances_to_end, WARM)}
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
    width = width or (_WIDTH if len(courses) == 1 else max(210, 780 // len(courses)))
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
