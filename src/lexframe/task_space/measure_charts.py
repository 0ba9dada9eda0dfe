"""Charts of how surely tasks are measured, where in the model they are alike, and which parameters they share."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from lexframe.drawing.theme import ACCENT, INK, MUTED, RULE, themed
from lexframe.files import json_text
from lexframe.task_space.looks import group_looks, task_names
from lexframe.task_space.reading.hypotheses import same_group
from lexframe.task_space.reading.matrices import off_diagonal

if TYPE_CHECKING:
    import altair as alt

WITHIN, BETWEEN, ALL = "within a group", "between groups", "two tasks"
_LOOKS = {WITHIN: (ACCENT, "circle"), BETWEEN: ("#d1702c", "triangle-up"), ALL: (ACCENT, "circle")}
_NAME, _WIDTH = 30, 230
_DRAWN = 3000
"""Most pairs of tasks that are drawn one by one."""


def reliability_chart(space: Any, *, least: float = 0.1, alone: bool = False) -> "alt.HConcatChart | alt.LayerChart":
    """Reliability, accuracy and margin of every task with 95% intervals, the most reliable on top.

    Parameters
    ----------
    space : TaskSpace
    least : float
        Reliability below which tasks are left out, as a dashed line; of an accuracy the line is at chance, of a margin at 0.
    alone : bool
        Draw the reliability alone, for narrow screens.
    """
    import altair as alt

    looks, names = group_looks(space.groups), task_names(space.names, _NAME)
    order = sorted(range(space.n_tasks), key=lambda row: -space.tasks[row].reliability.value)
    panels = {"reliability": ("reliability: cosine of two halves", least, (0.0, 1.0)), "accuracy": ("accuracy", 0.5, (0.4, 1.0))}
    panels |= {"margin": ("mean margin, nats", 0.0, (0.0, 0.0))}
    drawn: list[Any] = []
    for measure, (title, level, (low, high)) in panels.items():
        rows = []
        for row in order:
            found = getattr(space.tasks[row], measure)
            ends = found.interval or (found.value, found.value)
            about = f"{names[row]}, {measure}: {found.value:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"
            facts = {"name": names[row], "group": looks.of_task[row], "about": about}
            rows.append(facts | {"value": found.value, "low": ends[0], "high": ends[1]})
        reach = [row[key] for row in rows for key in ("low", "high")]
        scale = alt.Scale(domain=[min(low, *reach), max(high, *reach)], nice=low == high)
        x = alt.X("low:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5, format="~g"))
        labels = {"ticks": False, "domain": False, "labelLimit": 0, "labelPadding": 6, "labels": not drawn}
        y = alt.Y("name:N", sort=[row["name"] for row in rows], title=None, axis=alt.Axis(**labels))
        base = alt.Chart(alt.Data(values=rows)).encode(y=y, color=looks.color(), description="about:N", tooltip="about:N")
        rule = alt.Chart(alt.Data(values=[{"level": level}])).mark_rule(strokeDash=[5, 4], color=MUTED)
        panel = alt.layer(
            rule.encode(x=alt.X("level:Q", scale=scale)),
            base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=x, x2="high:Q"),
            base.mark_point(filled=True, size=62, opacity=1).encode(x=alt.X("value:Q", scale=scale), shape=looks.shape()),
        )
        drawn.append(panel.properties(width=160 if alone else _WIDTH if not drawn else 200, height=17 * len(rows)))
    return themed(drawn[0] if alone else alt.hconcat(*drawn, spacing=24))


def depth_chart(space: Any) -> "alt.LayerChart":
    """Mean similarity within groups and between them, in every part of the model, the last on top, with the middle half of the pairs.

    Parameters
    ----------
    space : TaskSpace
    """
    import altair as alt

    values = off_diagonal(np.asarray(space.part_similarity, dtype=np.float64))
    rows: list[dict[str, Any]] = []
    for kind, chosen in pair_kinds(space).items():
        for place, (part, found) in enumerate(zip(space.parts, values[:, chosen], strict=True)):
            defined = found[~np.isnan(found)]
            if not len(defined):
                continue
            low, high = np.percentile(defined, [25, 75])
            about = f"{part}, {kind}: mean {defined.mean():.2f}, middle half {low:.2f} to {high:.2f}, {len(defined):,} pairs"
            rows.append(
                {"place": place, "kind": kind, "value": float(defined.mean()), "low": float(low), "high": float(high), "about": about}
            )
    ends = [row[key] for row in rows for key in ("low", "high", "value")] or [0.0]
    scale = alt.Scale(domain=[min(0.0, *ends), max(0.5, *ends)], nice=True)
    kinds = list(pair_kinds(space))
    color, shape = _looks(kinds, alt.Legend(title=None, orient="top", symbolOpacity=1, symbolSize=80, labelFontSize=12))
    labels = f"{json_text(list(space.parts))}[datum.value]"
    axis = alt.Axis(
        ticks=False, domain=False, title=None, labelExpr=labels, labelPadding=6, values=list(range(len(space.parts))), grid=False
    )
    y = alt.Y("place:Q", scale=alt.Scale(domain=[-0.6, len(space.parts) - 0.4], nice=False), axis=axis)
    x = alt.X("value:Q", title="mean similarity", scale=scale, axis=alt.Axis(tickCount=5, format=".1f"))
    base = alt.Chart(alt.Data(values=rows)).encode(y=y, color=color)
    zero = alt.Chart(alt.Data(values=[{"value": 0}])).mark_rule(color=RULE, strokeWidth=1.5).encode(x=x)
    layers = [
        zero,
        base.mark_rule(strokeWidth=6, opacity=0.18).encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
        base.mark_line(strokeWidth=1.8).encode(x=x, order="place:Q", detail="kind:N"),
        base.mark_point(filled=True, size=75, opacity=1).encode(x=x, shape=shape, description="about:N", tooltip="about:N"),
    ]
    return themed(alt.layer(*layers).properties(width=300, height=max(26 * len(space.parts), 120)))


def overlap_chart(space: Any) -> "alt.LayerChart":
    """Shared parameters of every two tasks by their similarity, with what chance shares and what two halves of one task share.

    Parameters
    ----------
    space : TaskSpace
    """
    import altair as alt

    similar, shared = off_diagonal(np.asarray(space.similarity)), off_diagonal(np.asarray(space.overlap))
    names = task_names(space.names, _NAME)
    first, second = np.triu_indices(space.n_tasks, 1)
    drawn = np.random.default_rng(0).permutation(len(similar))[:_DRAWN]
    rows = [
        {"similarity": float(similar[pair]), "share": float(shared[pair]), "kind": kind, "about": about}
        for kind, chosen in pair_kinds(space).items()
        for pair in drawn[chosen[drawn]].tolist()
        for about in [f"{names[first[pair]]} and {names[second[pair]]}: similarity {similar[pair]:.2f}, {shared[pair]:.1%} shared"]
    ]
    own = float(np.nanmean(np.diag(space.overlap)))
    top = 1.08 * max(own, space.overlap_chance, *(row["share"] for row in rows), 1e-6)
    y = alt.Y(
        "share:Q",
        title="selected parameters shared",
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    x = alt.X("similarity:Q", title="similarity", scale=alt.Scale(nice=True, zero=True), axis=alt.Axis(format=".1f", tickCount=6))
    kinds = list(pair_kinds(space))
    color, shape = _looks(kinds, alt.Legend(title=None, orient="top", symbolOpacity=1, symbolSize=80, labelFontSize=12))
    dots = alt.Chart(alt.Data(values=rows)).mark_point(filled=True, size=34, opacity=0.6)
    levels = [{"share": space.overlap_chance, "text": "chance"}, {"share": own, "text": "two halves of one task"}]
    rules = alt.Chart(alt.Data(values=levels)).encode(y=y)
    layers = [
        rules.mark_rule(strokeDash=[5, 4], color=MUTED, strokeWidth=1.2),
        dots.encode(x=x, y=y, color=color, shape=shape, description="about:N", tooltip="about:N"),
        rules.mark_text(align="right", dy=-7, fontSize=12, color="white", stroke="white", strokeWidth=4).encode(
            x=alt.value(338), text="text:N"
        ),
        rules.mark_text(align="right", dy=-7, fontSize=12, color=INK).encode(x=alt.value(338), text="text:N"),
    ]
    return themed(alt.layer(*layers).properties(width=340, height=260))


def pair_kinds(space: Any) -> dict[str, Bool[np.ndarray, " n_pairs"]]:
    """Which pairs of tasks are of which kind; one kind alone where groups tell none apart.

    Parameters
    ----------
    space : TaskSpace
    """
    same = off_diagonal(same_group(space.groups)) > 0
    has_group = np.array([float(group is not None) for group in space.groups])
    known = off_diagonal(np.outer(has_group, has_group)) > 0
    if not same.any() or not (known & ~same).any():
        return {ALL: np.ones(len(same), dtype=bool)}
    return {WITHIN: same, BETWEEN: known & ~same}


def _looks(kinds: list[str], legend: "alt.Legend") -> "tuple[alt.Color, alt.Shape]":
    import altair as alt

    shown = None if len(kinds) == 1 else legend
    colors, shapes = zip(*(_LOOKS[kind] for kind in kinds), strict=True)
    return (
        alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=list(colors)), legend=shown),
        alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=list(shapes)), legend=shown),
    )
