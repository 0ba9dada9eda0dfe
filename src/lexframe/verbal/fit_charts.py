"""What a model of text says, drawn: over its inputs where it is executed, or against the targets.

Text of people's data enters charts as data or as the name of an axis, cut and on one line: never as an expression. What a color says, a
shape, a dash or a place says too.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import ACCENT, CATEGORY_COLORS, INK, MUTED, shortened, themed
from lexframe.verbal.rows import Rows
from lexframe.verbal.task import Sample

if TYPE_CHECKING:
    import altair as alt

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
_WIDTH, _HEIGHT = 350, 260
_ROWS, _CURVE, _CELLS, _LEVELS = 400, 241, 56, 14
"""Most rows of a kind that are drawn, points of a curve, cells of a side of a plane, colors of its numbers."""
_FORMAT, _GRAY = ".6~g", "#b4bac2"


def fit_kind(run: Any) -> str | None:
    """What :func:`fit_chart` draws.

    Parameters
    ----------
    run : lexframe.verbal.run.VerbalRun

    Returns
    -------
    str or None
        ``curve`` over one input; ``plane`` or ``regions`` over two, of numbers and of labels; ``predictions`` or only ``errors`` against
        the target, where inputs are others or nobody is there to ask; None where nothing can be drawn.
    """
    numbers, is_regression = run.sample.rows.numbers, run.task.is_regression
    width = 0 if numbers is None else numbers.shape[1]
    if run.parameters.program is None:
        return "errors" if is_regression and run.score is not None else None
    if width == 2:
        return "plane" if is_regression else "regions"
    if is_regression:
        return "curve" if width == 1 else "predictions"
    return None


def fit_chart(run: Any) -> "alt.LayerChart | None":
    """What the model says, over its inputs or against the targets; see :func:`fit_kind`.

    Parameters
    ----------
    run : lexframe.verbal.run.VerbalRun

    Returns
    -------
    altair.LayerChart or None
    """
    kind = fit_kind(run)
    if kind is None:
        return None
    draw = {"curve": _curve, "plane": _plane, "regions": _plane, "predictions": _against_target, "errors": _against_target}
    return themed(draw[kind](run))


def _curve(run: Any) -> "alt.LayerChart":
    import altair as alt

    (name,) = run.sample.rows.names
    known = run.sample.rows.columns[name]
    low, high = float(known.min()), float(known.max())
    start, end = _wider(np.concatenate([known, run.tested.rows.columns[name]]))
    grid = np.unique(np.concatenate([np.linspace(start, end, _CURVE), [low, high]]))
    fitted, first = (_curve_rows(model, name, grid) for model in (run, replace(run, parameters=run.first[0])))
    targets = np.concatenate([run.sample.targets, run.tested.targets])
    inside = np.array([row["y"] for row in fitted if row["y"] is not None and low <= row["x"] <= high])
    y_scale = alt.Scale(domain=_reach(targets, inside), nice=False, zero=False)
    x = alt.X("x:Q", title=_axis_name(name), scale=alt.Scale(domain=[start, end], nice=False), axis=alt.Axis(grid=False, tickCount=6))
    y = alt.Y("y:Q", title=_axis_name(run.task.target), scale=y_scale, axis=alt.Axis(tickCount=5, format=_FORMAT))
    layers = []
    is_trained = run.first[0].digest != run.parameters.digest
    if is_trained:
        layers.append(_line(first, x, y, color=MUTED, strokeWidth=1.5, strokeDash=[2, 3]))
    layers.append(_points(run, x, y, lambda sample: sample.rows.columns[name], lambda sample: sample.targets))
    parts = (
        [row for row in fitted if test(row["x"])] for test in (lambda at: at <= low, lambda at: low <= at <= high, lambda at: at >= high)
    )
    for part, dash in zip(parts, ([6, 4], [], [6, 4]), strict=True):
        layers.append(_line(part, x, y, color=INK, strokeWidth=2.4, strokeDash=dash))
    title = alt.TitleParams(
        "What the model says", subtitle="Line: the model, dashed beyond its rows." + (" Dotted: before training." if is_trained else "")
    )
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _curve_rows(run: Any, name: str, grid: np.ndarray) -> list[dict[str, Any]]:
    found = run.predict(Rows({name: grid}))
    values = found.values.astype(np.float64)
    return [
        {"x": float(at), "y": float(value) if known and abs(value) < 1e15 else None}
        for at, value, known in zip(grid, values, found.answered, strict=True)
    ]


def _line(rows: list[dict[str, Any]], x: "alt.X", y: "alt.Y", **look: Any) -> "alt.Chart":
    import altair as alt

    return alt.Chart(alt.Data(values=rows)).mark_line(clip=True, **look).encode(x=x, y=y)


def _plane(run: Any) -> "alt.LayerChart":
    """Cells of the plane of two inputs, neighbors that are alike drawn as one, and rows on top."""
    import altair as alt

    names = run.sample.rows.names
    ends = [_wider(np.concatenate([run.sample.rows.columns[name], run.tested.rows.columns[name]])) for name in names]
    edges = [np.linspace(*end, _CELLS + 1) for end in ends]
    across, up = np.meshgrid(*((edge[1:] + edge[:-1]) / 2 for edge in edges))
    predicted = run.predict(Rows(dict(zip(names, (across.ravel(), up.ravel()), strict=True)))).values.reshape(across.shape)
    x, y = (
        alt.X("x:Q", title=_axis_name(names[0]), scale=alt.Scale(domain=list(ends[0]), nice=False), axis=alt.Axis(grid=False, tickCount=6)),
        alt.Y("y:Q", title=_axis_name(names[1]), scale=alt.Scale(domain=list(ends[1]), nice=False), axis=alt.Axis(grid=False, tickCount=6)),
    )
    places = (lambda sample: sample.rows.columns[names[0]], lambda sample: sample.rows.columns[names[1]])
    if run.task.is_regression:
        low, high = float(run.sample.targets.min()), float(run.sample.targets.max())
        levels = np.clip((predicted - low) / (high - low or 1.0) * _LEVELS, 0, _LEVELS - 1).astype(int)
        cells = _merged(levels, edges, lambda level: low + (level + 0.5) * (high - low) / _LEVELS)
        legend = alt.Legend(title=_axis_name(run.task.target), orient="right", gradientLength=200, tickCount=5, format=_FORMAT)
        field, scale = "value:Q", alt.Scale(domain=[low, high], scheme="viridis", clamp=True)
        rows = _points(run, x, y, *places, color=alt.Color(field, scale=scale, legend=legend))
        says = "Ground: the model. Points: rows, in the color of their target."
    else:
        shown, look = _label_looks(run.task.labels, run.sample.targets)
        light = {name: _lighter(color) for name, (color, _) in look.items()}
        cells = _merged(np.vectorize(shown.__getitem__, otypes=[object])(predicted), edges, str)
        field, scale = "value:N", alt.Scale(domain=list(light), range=list(light.values()))
        rows = _label_points(run, x, y, places, shown, look)
        says = "Ground: what the model says. Points: rows with their label."
    base = alt.Chart(alt.Data(values=cells)).mark_rect(strokeWidth=0.7)
    base = base.encode(
        x=x,
        x2="x2:Q",
        y=y,
        y2="y2:Q",
        color=alt.Color(field, scale=scale, legend=None),
        stroke=alt.Stroke(field, scale=scale, legend=None),
    )
    layered = alt.layer(base, rows).resolve_scale(color="independent", stroke="independent", shape="independent")
    return layered.properties(width=_WIDTH, height=_WIDTH - 40, title=alt.TitleParams("What the model says", subtitle=says))


def _merged(levels: np.ndarray, edges: Sequence[np.ndarray], value: Any) -> list[dict[str, Any]]:
    """Rectangles of equal cells along each row of the plane: a few hundred in place of thousands."""
    found = []
    for row, (bottom, top) in enumerate(pairwise(edges[1])):
        starts = [0, *(at for at in range(1, levels.shape[1]) if levels[row, at] != levels[row, at - 1]), levels.shape[1]]
        for start, end in pairwise(starts):
            box = {"x": float(edges[0][start]), "x2": float(edges[0][end]), "y": float(bottom), "y2": float(top)}
            found.append({**box, "value": value(levels[row, start])})
    return found


def _against_target(run: Any) -> "alt.LayerChart":
    """Predictions of the tested rows against their targets; the size of the errors where no prediction is kept."""
    import altair as alt

    targets = run.tested.targets.astype(np.float64)
    is_executed = run.parameters.program is not None
    values = run.predict(run.tested.rows).values.astype(np.float64) if is_executed else np.sqrt(run.score.by_row)
    across = _reach(targets, targets)
    target = _axis_name(run.task.target)
    x = alt.X("x:Q", title=f"{target}, as it is", scale=alt.Scale(domain=across, nice=False), axis=alt.Axis(grid=False, tickCount=6))
    up = _reach(targets, values) if is_executed else [0.0, 1.08 * float(max(values.max(), 1e-12))]
    named = f"{target}, as predicted" if is_executed else "distance of the prediction"
    y = alt.Y("y:Q", title=named, scale=alt.Scale(domain=up, nice=False, zero=False), axis=alt.Axis(tickCount=5, format=_FORMAT))
    constant = np.sqrt(run.baselines[0].by_row) if run.baselines else np.zeros(0)
    order = np.argsort(targets, kind="stable")[: len(constant)]
    plain = across if is_executed else targets[order].tolist()
    ruled = across if is_executed else constant[order].tolist()
    line = _line([{"x": at, "y": value} for at, value in zip(plain, ruled, strict=True)], x, y, color=MUTED, strokeDash=[5, 4])
    kept = _some(len(targets), 2 * _ROWS)
    rows = [{"x": float(targets[i]), "y": float(values[i]), "about": f"target {targets[i]:.4g}, {values[i]:.4g}"} for i in kept]
    points = alt.Chart(alt.Data(values=rows)).mark_point(filled=True, clip=True, size=45, opacity=0.75, color=ACCENT)
    points = points.encode(x=x, y=y, description="about:N", tooltip="about:N")
    title = alt.TitleParams(
        "Predicted against true" if is_executed else "How far off each prediction is",
        subtitle="Dashed: where a perfect model would be." if is_executed else "Dashed: always answering the mean. Lower is better.",
    )
    return alt.layer(line, points).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _groups(run: Any) -> list[tuple[str, Sample]]:
    """Rows by what they were for; those of the test last, so that they lie on top."""
    if run.test is not None:
        return [("training rows", run.sample), ("test rows", run.test)]
    learned = np.setdiff1d(np.arange(len(run.sample)), run.held_out)
    if not len(learned):
        return [("training rows", run.sample)]
    return [("rows it learned from", run.sample.take(learned)), ("rows it was judged on", run.tested)]


def _points(run: Any, x: "alt.X", y: "alt.Y", across: Any, up: Any, color: Any = None) -> "alt.Chart":
    """Rows with their targets, their kind by shape, and by color where that says nothing else."""
    import altair as alt

    rows, names = [], []
    for name, sample in _groups(run):
        names.append(name)
        for i in _some(len(sample), _ROWS):
            at, height, value = float(across(sample)[i]), float(up(sample)[i]), float(sample.targets[i])
            rows.append({"x": at, "y": height, "value": value, "group": name, "about": f"{name}: target {value:.4g}"})
    legend = alt.Legend(title=None, orient="bottom", columns=2, symbolOpacity=1, symbolSize=70)
    scales = [alt.Scale(domain=names, range=looks[: len(names)]) for looks in (["circle", "square"], ["#56b4e9", "#d55e00"], [26, 44])]
    base = alt.Chart(alt.Data(values=rows))
    marked = base.mark_point(filled=True, clip=True, opacity=0.8) if color is None else base.mark_point(filled=True, clip=True, opacity=1)
    shape = alt.Shape("group:N", scale=scales[0], legend=legend)
    size = alt.Size("group:N", scale=scales[2], legend=None)
    marked = marked.encode(x=x, y=y, shape=shape, size=size, description="about:N", tooltip="about:N")
    if color is None:
        return marked.encode(color=alt.Color("group:N", scale=scales[1], legend=legend))
    return marked.encode(color=color, stroke=alt.value("white"), strokeWidth=alt.value(0.8))


def _label_points(run: Any, x: "alt.X", y: "alt.Y", places: Any, shown: dict[str, str], look: dict[str, tuple[str, str]]) -> "alt.Chart":
    """Rows by label; those of the test with a dark rim."""
    import altair as alt

    groups = _groups(run)
    rows = [
        {
            "x": float(places[0](sample)[i]),
            "y": float(places[1](sample)[i]),
            "label": shown[sample.targets[i]],
            "tested": place > 0,
            "about": f"{name}: {shown[sample.targets[i]]}",
        }
        for place, (name, sample) in enumerate(groups)
        for i in _some(len(sample), _ROWS)
    ]
    legend = alt.Legend(title=_axis_name(run.task.target), orient="bottom", columns=3, symbolOpacity=1, symbolSize=70, symbolStrokeWidth=0)
    color, shape = ([each[place] for each in look.values()] for place in (0, 1))
    rim = alt.Scale(domain=[False, True], range=["white", INK])
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=44, opacity=1, strokeWidth=1.1)
        .encode(
            x=x,
            y=y,
            color=alt.Color("label:N", scale=alt.Scale(domain=list(look), range=color), legend=legend),
            shape=alt.Shape("label:N", scale=alt.Scale(domain=list(look), range=shape), legend=legend),
            stroke=alt.Stroke("tested:N", scale=rim, legend=None),
            description="about:N",
            tooltip="about:N",
        )
    )


def _label_looks(labels: Sequence[str], targets: np.ndarray) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """A short name of every label, and color and shape of each name; labels beyond the most frequent twelve share one."""
    counts = Counter(targets.tolist())
    frequent = sorted(sorted(labels, key=lambda label: -counts[label])[: len(CATEGORY_COLORS)], key=list(labels).index)
    shown: dict[str, str] = {}
    for label in frequent:
        short = name = shortened(readable(label), 24) or "(blank)"
        number = 1
        while name in shown.values():
            number += 1
            name = f"{short} ({number})"
        shown[label] = name
    look = {name: (CATEGORY_COLORS[i], SHAPES[i % len(SHAPES)]) for i, name in enumerate(shown.values())}
    if len(frequent) < len(labels):
        others = "all other labels"
        look[others] = (_GRAY, "circle")
        shown |= {label: others for label in labels if label not in shown}
    return shown, look


def _lighter(color: str) -> str:
    parts = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * 0.25):02x}" for part in parts)


def _wider(values: np.ndarray) -> tuple[float, float]:
    """A third more than the values reach, half of it on either side."""
    low, high = float(values.min()), float(values.max())
    margin = (high - low) / 6 or 1.0
    return low - margin, high + margin


def _reach(targets: np.ndarray, values: np.ndarray) -> list[float]:
    """From the lowest to the highest, as far as predictions do not make the targets a line: then only where most of them are seen."""
    low, high = float(targets.min()), float(targets.max())
    span = high - low or max(abs(high), 1.0)
    ends = [low, high]
    if len(values):
        most = float(np.median(values))
        far = abs(most - (low + high) / 2) > 2 * span
        lowest, highest = float(values.min()), float(values.max())
        ends = [min(low, lowest if far else max(lowest, low - span)), max(high, highest if far else min(highest, high + span))]
    margin = 0.06 * (ends[1] - ends[0]) or 1.0
    return [ends[0] - margin, ends[1] + margin]


def _axis_name(name: str) -> str:
    return shortened(readable(name), 40)


def _some(n: int, most: int) -> list[int]:
    """Places at random, the same ones every time."""
    return list(range(n)) if n <= most else np.sort(np.random.default_rng(0).permutation(n)[:most]).tolist()
