"""Charts of what a text VAE is worth: which dimensions are used, where in a text they help, what they cost and save."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import ACCENT, INK, MUTED, PALETTE, RULE, shortened, themed

if TYPE_CHECKING:
    import altair as alt

WARM, PALE = PALETTE[1], "#9fc0d0"
LEAST_BAR = 14
"""Pixels of a bar that is wide enough for the number of its dimension below it."""
_WIDTH, _HEIGHT = 560, 240
_NAME = 34


def score_chart(score: Any) -> "alt.VConcatChart":
    """The three charts of a score, one above the other.

    Parameters
    ----------
    score : lexframe.generative.TextVAEScore
    """
    import altair as alt

    parts = [_kl_layers(score.units, _WIDTH), _position_layers(score.gain, _WIDTH), _balance_layers(score.rate_distortion, _WIDTH)]
    return themed(alt.vconcat(*parts, spacing=34).resolve_scale(color="independent"))


def kl_chart(units: Any, *, width: int = _WIDTH) -> "alt.LayerChart":
    """KL of every dimension, the largest first, colored by whether it says something about the text.

    Parameters
    ----------
    units : lexframe.generative.ActiveUnits
    width : int
        Of the panel, in pixels.
    """
    return themed(_kl_layers(units, width))


def _kl_layers(units: Any, width: int) -> "alt.LayerChart":
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
    subtitle = f"{units.n_active[0]} of {units.n_dims} active, {units.n_unused} unused, {units.n_idle} idle; KL {total:.2f} nats in all"
    return alt.layer(bars).properties(width=width, height=_HEIGHT, title=alt.TitleParams("What each dimension costs", subtitle=subtitle))


def position_chart(gain: Any, *, width: int = _WIDTH) -> "alt.LayerChart":
    """What the right z adds to the log-likelihood of a token, over the length of a text, with its 95% band.

    Parameters
    ----------
    gain : lexframe.generative.PositionGain
    width : int
        Of the panel, in pixels.
    """
    return themed(_position_layers(gain, width))


def _position_layers(gain: Any, width: int) -> "alt.LayerChart":
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


def rate_distortion_chart(found: Any, *, width: int = _WIDTH) -> "alt.LayerChart":
    """Distortion against rate along the path of each model, its own point, and the line where the ELBO equals a plain language model.

    Parameters
    ----------
    found : lexframe.generative.RateDistortion
    width : int
        Of the panel, in pixels.
    """
    return themed(_balance_layers(found, width))


def _balance_layers(found: Any, width: int) -> "alt.LayerChart":
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
