"""Charts of a run: how the loss went, and what plain methods do on the same rows.

What a color says, a shape, a dash or a place says too.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.drawing.theme import ACCENT, INK, MUTED, themed
from lexframe.verbal.fit_charts import fit_chart, fit_kind
from lexframe.verbal.losses import loss_name

if TYPE_CHECKING:
    import altair as alt

__all__ = ["baseline_chart", "fit_chart", "fit_kind", "loss_chart"]

FORMAT = ".6~g"
OUTCOMES = {
    "accepted": ("#0072b2", "circle"),
    "refused": ("#d55e00", "triangle-down"),
    "unreadable": ("#555555", "cross"),
    "not judged": ("#aa4499", "diamond"),
}
OWN = "this model"
"""What a chart calls the model of the run, beside the names of plain methods."""
WIDE_RANGE = 30
"""Largest over smallest value from which a scale is logarithmic."""
_STEPS = 1_200
"""Most steps that are drawn."""


def loss_chart(run: Any) -> "alt.LayerChart":
    """Loss of every proposal by step: its outcome by color and shape, the lowest so far as a line, the one before training dashed.

    A proposal without a loss of its own stands where its chain stood. Where there are no held-out rows, losses are of the batches.

    Parameters
    ----------
    run : lexframe.verbal.run.VerbalRun
    """
    import altair as alt

    name = _loss_name(run)
    judged_apart = run.settings.steps.held_out > 0
    points, lines = _steps(run)
    best = _lowest(run) if judged_apart else []
    scale, axis = _loss_scale([row["loss"] for row in (*points, *best)])
    last = max((step.number for step in run.steps), default=1)
    x = alt.X(
        "step:Q", title="step", scale=alt.Scale(domain=[0, last], nice=False), axis=alt.Axis(values=_whole(last), format="d", grid=False)
    )
    y = alt.Y("loss:Q", title=f"{name}, lower is better", scale=scale, axis=axis)
    looks = {outcome: look for outcome, look in OUTCOMES.items() if any(row["outcome"] == outcome for row in points)}
    legend = alt.Legend(title=None, orient="bottom", columns=4, symbolOpacity=1, symbolSize=80) if looks else None
    layers: list[Any] = []
    if len({row["chain"] for row in lines}) > 1:
        layers.append(
            alt.Chart(alt.Data(values=lines))
            .mark_line(color=MUTED, opacity=0.4, strokeWidth=1)
            .encode(x=x, y=y, detail="chain:N", order="step:Q")
        )
    layers.append(
        alt.Chart(alt.Data(values=best)).mark_line(interpolate="step-after", color=INK, strokeWidth=1.8).encode(x=x, y=y, order="step:Q")
    )
    first = run.first[1]
    layers.append(
        alt.Chart(alt.Data(values=[{"loss": first}] if math.isfinite(first) else [])).mark_rule(strokeDash=[5, 4], color=MUTED).encode(y=y)
    )
    layers.append(
        alt.Chart(alt.Data(values=points))
        .mark_point(filled=True, size=75, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=alt.Color("outcome:N", scale=alt.Scale(domain=list(looks), range=[color for color, _ in looks.values()]), legend=legend),
            shape=alt.Shape("outcome:N", scale=alt.Scale(domain=list(looks), range=[shape for _, shape in looks.values()]), legend=legend),
            description="about:N",
            tooltip="about:N",
        )
    )
    where = "on held-out rows" if judged_apart else "on each batch"
    says = ["Line: the lowest so far."] if best else []
    says += ["Dashed: before training."] if math.isfinite(first) else []
    says = [" ".join(says) or "No loss was measured.", *(["Gray: each chain."] if len(layers) > 3 else [])]
    title = alt.TitleParams(f"Loss {where}, step by step", subtitle=says)
    return themed(alt.layer(*layers).properties(width=350, height=240, title=title))


def _loss_name(run: Any) -> str:
    asked = run.provenance.parameters.get("scores", False) and run.settings.reading.by_probability
    return loss_name(run.task, has_probabilities=bool(asked and run.parameters.program is None))


def _steps(run: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A point a proposal, and where its chain stood after it; of very many steps an even choice."""
    before: dict[tuple[int, int], float] = {(step.number, step.chain): step.loss_before for step in run.steps}
    points, lines = [], []
    for step in (run.steps[place] for place in _even(len(run.steps), _STEPS)):
        loss = step.loss_after
        if not math.isfinite(loss):  # one that was taken unjudged has the loss that the next step begins with
            loss = before.get((step.number + 1, step.chain), math.nan) if step.accepted else step.loss_before
        if not math.isfinite(loss):
            continue
        where = {"step": step.number, "chain": step.chain}
        about = f"step {step.number}{f', chain {step.chain + 1}' if run.settings.selection.population > 1 else ''}: {step.outcome}"
        told = f", loss {loss:.4g}" if step.outcome in ("accepted", "refused") else ""
        points.append({**where, "loss": loss, "outcome": step.outcome, "about": about + told})
        stood = loss if step.accepted else step.loss_before
        if math.isfinite(stood):
            lines.append({**where, "loss": stood})
    return points, lines


def _lowest(run: Any) -> list[dict[str, Any]]:
    """Where the lowest loss so far fell, and the last step."""
    found = [{"step": 0, "loss": run.first[1]}] if math.isfinite(run.first[1]) else []
    for step in run.steps:
        if math.isfinite(step.loss_after) and (not found or step.loss_after < found[-1]["loss"]):
            found.append({"step": step.number, "loss": step.loss_after})
    if found:
        found.append({"step": run.steps[-1].number if run.steps else 1, "loss": found[-1]["loss"]})
    return [found[place] for place in _even(len(found), _STEPS)]


def _loss_scale(losses: Sequence[float]) -> "tuple[alt.Scale, alt.Axis]":
    """From 0 on; logarithmic where losses differ much, and near 0 as far as that goes where some are 0."""
    import altair as alt

    above = [loss for loss in losses if loss > 0]
    if not above or max(above) <= WIDE_RANGE * min(above):
        return alt.Scale(zero=True, nice=True), alt.Axis(tickCount=5, format=FORMAT)
    low, high = min(above), max(above)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [10.0**power for power in powers[:: max(1, math.ceil(len(powers) / 6))]]
    axis = alt.Axis(values=ticks, format=FORMAT, titlePadding=8)
    if len(above) == len(losses):
        return alt.Scale(type="log", domain=[low / 1.4, high * 1.4], nice=False), axis
    return alt.Scale(type="symlog", constant=low / 2, domain=[0, high * 1.4], nice=False), alt.Axis(values=[0, *ticks], format=FORMAT)


def baseline_chart(run: Any) -> "alt.LayerChart":
    """Scores of the model and of plain methods on the same rows with 95% intervals, the best on top, the model's own row marked.

    Parameters
    ----------
    run : lexframe.verbal.run.VerbalRun
    """
    import altair as alt

    scores = [(OWN, run.score.value)] if run.score is not None else []
    scores += [(each.name, each.value) for each in run.baselines]
    is_regression = run.task.is_regression
    scores = sorted(
        (pair for pair in scores if math.isfinite(pair[1].value)), key=lambda pair: pair[1].value * (1 if is_regression else -1)
    )
    rows = []
    for name, found in scores:
        low, high = found.interval or (found.value, found.value)
        about = f"{name}: {found.value:.3g}, 95% interval {low:.3g} to {high:.3g}"
        rows.append({"name": name, "value": found.value, "low": low, "high": high, "kind": name == OWN, "about": about})
    ends = [row[key] for row in rows for key in ("low", "value", "high")]
    axis = alt.Axis(format=FORMAT, tickCount=5)
    scale = alt.Scale(domain=[0, 1])
    if is_regression:
        scale, axis = _loss_scale([end for end in ends if math.isfinite(end)])
    x = alt.X(
        "low:Q", title="mean squared error, lower is better" if is_regression else "accuracy, higher is better", scale=scale, axis=axis
    )
    names = [row["name"] for row in rows]
    weight = alt.condition(f"datum.value === '{OWN}'", alt.value("bold"), alt.value("normal"))
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelFontWeight=weight, labelPadding=8)),
        color=alt.Color("kind:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, MUTED]), legend=None),
        description="about:N",
        tooltip="about:N",
    )
    own = (
        alt.Chart(alt.Data(values=[{"name": OWN}] if OWN in names else [])).mark_rect(color="#e8f0f4").encode(y=alt.Y("name:N", sort=names))
    )
    intervals = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x=x, x2="high:Q")
    points = base.mark_point(filled=True, opacity=1).encode(
        x="value:Q",
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=[True, False], range=["diamond", "circle"]), legend=None),
        size=alt.Size("kind:N", scale=alt.Scale(domain=[True, False], range=[170, 80]), legend=None),
    )
    values = base.mark_text(align="left", fontSize=12).encode(
        x=alt.value(280), text=alt.Text("value:Q", format=".3~g" if is_regression else ".2f"), color=alt.value(INK)
    )
    what = "test rows" if run.test is not None else "rows it was judged on"
    title = alt.TitleParams(f"On the same {len(run.tested):,} {what}", subtitle="With 95% intervals, the best on top.")
    return themed((own + intervals + points + values).properties(width=270, height=max(32 * len(rows), 40), title=title))


def _even(n: int, most: int) -> list[int]:
    """Places from the first to the last, evenly, at most so many."""
    return list(range(n)) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(int)).tolist()


def _whole(last: int) -> list[int]:
    """Ticks at whole steps, some eight of them."""
    return list(range(0, last + 1, max(1, math.ceil(last / 8))))
