"""Charts of an adaptation and of a comparison.

Text of people's data enters charts as data only: never as an expression, a title or markup.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.adaptation.results import MOVES
from lexframe.drawing.plane import map_coordinates
from lexframe.drawing.theme import ACCENT, INK, MUTED, PALETTE, shortened, spread_out, themed

if TYPE_CHECKING:
    import altair as alt

MAX_POINTS = 1500
"""Points drawn in a map; more are sampled, and the caption says so."""
_CURVES_HEIGHT, _COST_HEIGHT = 400, 320


def method_chart(result: Any) -> "alt.LayerChart":
    """Accuracy of each method with its 95% interval, and the accuracy of always giving the most frequent training label as a dashed line.

    Parameters
    ----------
    result : lexframe.adaptation.AdaptationResult
    """
    import altair as alt

    rows = [
        {
            "method": name,
            "accuracy": method.accuracy.value,
            "low": method.accuracy.low,
            "high": method.accuracy.high,
            "kind": "saved" if name == result.recommended else "other",
            "label": f"{method.accuracy.value:.3f}",
        }
        for name, method in result.methods.items()
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("method:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelFontSize=13))
    )
    color = alt.Color("kind:N", scale=alt.Scale(domain=["saved", "other"], range=[ACCENT, MUTED]), legend=None)
    x = alt.X(
        "low:Q",
        scale=alt.Scale(domain=[0, 1]),
        title="accuracy on the test texts, with 95% interval",
        axis=alt.Axis(format=".1f", tickCount=6),
    )
    intervals = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=x, x2="high:Q", color=color)
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x="accuracy:Q", color=color)
    labels = base.mark_text(align="left", dx=12, fontSize=13, color=INK).encode(x="high:Q", text="label:N")
    chance = (
        alt.Chart(alt.Data(values=[{"chance": result.majority_accuracy}])).mark_rule(strokeDash=[4, 4], color=MUTED).encode(x="chance:Q")
    )
    return themed((chance + intervals + points + labels).properties(width=560, height=34 * len(rows)))


def map_chart(result: Any) -> "alt.HConcatChart":
    """Test points before and after calibration, colored by true label, with the bases of the labels drawn in.

    Parameters
    ----------
    result : lexframe.adaptation.AdaptationResult
    """
    import altair as alt

    before, after, bases = map_coordinates(result.points, result.moved_points, result.bases)
    kept = np.sort(np.random.default_rng(0).permutation(len(before))[:MAX_POINTS])
    predicted = result.methods[MOVES if MOVES in result.methods else result.chosen].probabilities.argmax(axis=1)
    color = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(result.labels), range=[PALETTE[i % len(PALETTE)] for i in range(len(result.labels))]),
        legend=alt.Legend(title="true label", orient="bottom", columns=min(4, len(result.labels)), symbolOpacity=1),
    )
    everything = np.vstack([part for part in (before, after, bases) if part is not None])
    panels = []
    for title, subtitle, places in (
        ("Before", "points as the frozen model gives them", before),
        ("After", "moved by semantic calibration" if MOVES in result.methods else f"not moved: {MOVES} was not among the methods", after),
    ):
        rows = [
            {
                "x": float(places[i, 0]),
                "y": float(places[i, 1]),
                "label": result.labels[result.truth[i]],
                "about": _about(result, int(i), int(predicted[i])),
            }
            for i in kept
        ]
        scales = [alt.Scale(domain=_padded(everything[:, axis]), nice=False) for axis in (0, 1)]
        plain = alt.Axis(labels=False, ticks=False, domain=False, title=None, grid=False)
        x, y = alt.X("x:Q", scale=scales[0], axis=plain), alt.Y("y:Q", scale=scales[1], axis=plain)
        layer = (
            alt.Chart(alt.Data(values=rows))
            .mark_circle(size=28, opacity=0.62)
            .encode(x=x, y=y, color=color, description="about:N", tooltip="about:N")
        )
        if bases is not None:
            marks = [
                {"x": float(place[0]), "y": float(place[1]), "label": label, "about": f"semantic basis of {label}"}
                for label, place in zip(result.labels, bases, strict=True)
            ]
            drawn = alt.Chart(alt.Data(values=marks)).encode(x=x, y=y)
            layer += drawn.mark_point(shape="diamond", filled=True, size=130, stroke="white", strokeWidth=1.2, opacity=1).encode(
                color=color, description="about:N", tooltip="about:N"
            )
            layer += drawn.mark_text(dy=-13, fontSize=12, fontWeight="bold", stroke="white", strokeWidth=3).encode(text="label:N")
            layer += drawn.mark_text(dy=-13, fontSize=12, fontWeight="bold", color=INK).encode(text="label:N")
        panels.append(layer.properties(width=430, height=380, title=alt.TitleParams(title, subtitle=subtitle)))
    return themed(alt.hconcat(*panels, spacing=36))


def confusion_chart(result: Any) -> "alt.LayerChart":
    """Counts of true against predicted labels, shaded by the share of the true label's texts.

    Parameters
    ----------
    result : lexframe.adaptation.AdaptationResult
    """
    import altair as alt

    counts = result.confusion()
    totals = np.maximum(counts.sum(axis=1), 1)
    rows = [
        {"true": true, "predicted": predicted, "count": int(counts[i, j]), "share": float(counts[i, j] / totals[i])}
        for i, true in enumerate(result.labels)
        for j, predicted in enumerate(result.labels)
    ]
    cell = max(16, min(52, 620 // len(result.labels)))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "predicted:N",
            sort=list(result.labels),
            title="predicted",
            axis=alt.Axis(labelAngle=-40, orient="bottom", ticks=False, domain=False),
        ),
        y=alt.Y("true:N", sort=list(result.labels), title="true", axis=alt.Axis(ticks=False, domain=False)),
    )
    cells = base.mark_rect(stroke="white", strokeWidth=1.5).encode(
        color=alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=["#f3f6f8", ACCENT]), legend=None)
    )
    chart = cells
    if len(result.labels) <= 20:
        numbers = base.mark_text(fontSize=12).encode(
            text="count:Q",
            color=alt.condition("datum.share > 0.55", alt.value("white"), alt.value(INK)),
            opacity=alt.condition("datum.count > 0", alt.value(1), alt.value(0.25)),
        )
        chart = cells + numbers
    return themed(chart.properties(width=cell * len(result.labels), height=cell * len(result.labels)))


def _about(result: Any, row: int, predicted: int) -> str:
    return f"{result.labels[result.truth[row]]}, taken for {result.labels[predicted]}: {shortened(result.test_texts[row], 160)}"


def _padded(values: np.ndarray) -> list[float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return [low - margin, high + margin]


def learning_curves(result: Any, *, model: str | None = None) -> "alt.LayerChart":
    """Accuracy against labels a class, a line a method with its 95% band, and a constant answer dashed.

    Parameters
    ----------
    result : lexframe.adaptation.ComparisonResult
    model : str, optional
        Default: the first.
    """
    import altair as alt

    model = model or result.models[0]
    order = [str(shots) for shots in result.shots]
    rows = [
        {"method": method, "shots": str(shots), "accuracy": found.value, "low": found.low, "high": found.high, "family": family}
        for method, family in shown_methods(result, model)
        for shots in result.shots
        if result.select(model, method, shots)
        for found in [result.accuracy(model, method, shots)]
    ]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    low = min([row["low"] for row in rows] + [result.majority_accuracy])
    bottom, top = max(0.0, low - 0.05), min(1.0, max(row["high"] for row in rows) + 0.03)
    y = alt.Scale(domain=[bottom, top], nice=False)
    color = alt.Color("method:N", scale=alt.Scale(domain=methods, range=PALETTE[: len(methods)]), legend=None)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("shots:O", sort=order, title="labels a class", axis=alt.Axis(labelAngle=0, domain=False)), color=color
    )
    band = base.mark_area(opacity=0.07).encode(y=alt.Y("low:Q", scale=y, title="accuracy, mean over draws"), y2="high:Q")
    line = base.mark_line(strokeWidth=2.2).encode(y=alt.Y("accuracy:Q", scale=y))
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(
        y=alt.Y("accuracy:Q", scale=y), tooltip=["method:N", "shots:O", alt.Tooltip("accuracy:Q", format=".3f")]
    )
    last = [[row for row in rows if row["method"] == method][-1] for method in methods]
    places = spread_out([row["accuracy"] for row in last], least=(top - bottom) * 15 / _CURVES_HEIGHT, low=bottom, high=top)
    named = [{"method": row["method"], "shots": order[-1], "place": place} for row, place in zip(last, places, strict=True)]
    names = (
        alt.Chart(alt.Data(values=named))
        .mark_text(align="left", dx=12, fontSize=12, fontWeight=600)
        .encode(x=alt.X("shots:O", sort=order), y=alt.Y("place:Q", scale=y), text="method:N", color=color)
    )
    chance = (
        alt.Chart(alt.Data(values=[{"chance": result.majority_accuracy}]))
        .mark_rule(strokeDash=[4, 4], color=MUTED)
        .encode(y=alt.Y("chance:Q", scale=y))
    )
    return themed((chance + band + line + dots + names).properties(width=620, height=_CURVES_HEIGHT, padding={"right": 150}))


def shown_methods(result: Any, model: str, *, most: int = 10) -> list[tuple[str, str]]:
    """Methods to draw with their families: the best by mean accuracy, at most as many as colors can be told apart."""
    means = {
        method: float(np.mean(found))
        for method in result.methods
        if (found := [cell.accuracy for cell in result.cells if cell.method == method and cell.model == model])
    }
    best = sorted(means, key=lambda method: -means[method])[:most]
    return [(method, result.families[method]) for method in result.methods if method in best]


def cost_chart(result: Any, *, model: str | None = None) -> "alt.LayerChart":
    """Accuracy against the time to fit, both as means over everything measured; a method each, time on a log scale.

    Parameters
    ----------
    result : lexframe.adaptation.ComparisonResult
    model : str, optional
        Default: the first.
    """
    import altair as alt

    model = model or result.models[0]
    shots = result.shots[-1]
    rows = [
        {
            "method": method,
            "seconds": max(result.fit_seconds(model, method, shots), 1e-4),
            "accuracy": result.accuracy(model, method, shots).value,
            "family": result.families[method],
        }
        for method in result.methods
        if result.select(model, method, shots)
    ]
    accuracies = [row["accuracy"] for row in rows]
    margin = 0.06 * (max(accuracies) - min(accuracies) or 1.0)
    bottom, top = min(accuracies) - margin, max(accuracies) + margin
    exponents = [math.log10(row["seconds"]) for row in rows]
    first, last = math.floor(min(exponents)), math.ceil(max(exponents) + 0.3)
    near = [[j for j in range(len(rows)) if abs(exponents[i] - exponents[j]) < (last - first) / 5] for i in range(len(rows))]
    for i, row in enumerate(rows):  # names of methods that stand side by side are moved apart
        places = spread_out([accuracies[j] for j in near[i]], least=(top - bottom) * 14 / _COST_HEIGHT, low=bottom, high=top)
        row["place"] = places[near[i].index(i)]
    x = alt.X(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[10.0**first, 10.0**last]),
        axis=alt.Axis(values=[10.0**power for power in range(first, last + 1)], format="~g"),
        title=f"seconds to fit ({shots} labels a class; encoding left out)",
    )
    y = alt.Scale(domain=[bottom, top], nice=False)
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        y=alt.Y("accuracy:Q", scale=y, title="accuracy, mean over draws"),
        color=alt.Color("family:N", scale=alt.Scale(range=PALETTE), title="works on", legend=alt.Legend(orient="bottom", symbolOpacity=1)),
    )
    names = base.mark_text(align="left", dx=9, fontSize=12, color=INK).encode(y=alt.Y("place:Q", scale=y), text="method:N")
    return themed((points + names).properties(width=620, height=_COST_HEIGHT, padding={"right": 150}))
