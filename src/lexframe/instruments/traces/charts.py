"""Charts of traced prompts: tables of layers by tokens, curves along the layers, paths on a map."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.drawing.plane import map_coordinates
from lexframe.drawing.theme import INK, MUTED, PALETTE, themed
from lexframe.exceptions import InputError
from lexframe.files import json_text
from lexframe.text_forms import printable

if TYPE_CHECKING:
    import altair as alt

TITLES = {
    "entropy": "entropy, nats",
    "kl_to_final": "divergence from the model's answer, nats",
    "js_to_previous": "change from the layer before, nats",
    "answer_rank": "items likelier than the answer",
    "answer_probability": "probability of the answer",
}
_LETTERS = 22


def trace_chart(trace: Any, statistic: str = "entropy") -> "alt.LayerChart":
    """One statistic at every layer and token; the last layer on top, the likeliest item written in each cell.

    Parameters
    ----------
    trace : lexframe.instruments.PromptTrace
    statistic : str
        A key of ``TITLES``.
    """
    import altair as alt

    if statistic not in TITLES:
        raise InputError(f"statistic is {statistic!r}; expected one of {', '.join(TITLES)}.")
    values = getattr(trace.statistics, statistic)
    rows = [
        {
            "layer": layer,
            "place": place,
            "token": visible(trace.tokens[place]),
            "value": float(values[row, place]),
            "item": visible(trace.top_tokens[row][place][0]),
        }
        for row, layer in enumerate(trace.layers)
        for place in range(len(trace.tokens))
    ]
    names = [visible(token) for token in trace.tokens]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("place:O", title=None, axis=alt.Axis(orient="top", labelAngle=-40, labelExpr=_labels(names), ticks=False, domain=False)),
        y=alt.Y("layer:O", sort="descending", title="layer", axis=alt.Axis(ticks=False, domain=False)),
    )
    scheme = alt.Scale(scheme="blues", type="symlog" if statistic in ("answer_rank", "kl_to_final") else "linear")
    cells = base.mark_rect(stroke="white").encode(
        color=alt.Color("value:Q", scale=scheme, legend=alt.Legend(title=TITLES[statistic], orient="bottom", gradientLength=240)),
        tooltip=["token:N", "layer:O", "item:N", alt.Tooltip("value:Q", format=".3f")],
    )
    high = float(np.quantile(values, 0.75))
    words = base.mark_text(fontSize=10).encode(
        text="item:N", color=alt.condition(f"datum.value > {high}", alt.value("white"), alt.value(INK))
    )
    return themed((cells + words).properties(width=alt.Step(58), height=alt.Step(22)))


def _labels(names: Sequence[str]) -> str:
    """A Vega expression that looks labels up; people's text enters it as a JSON list and nothing else."""
    return f"{json_text(list(names), ascii_only=True)}[datum.value]"


def visible(token: str) -> str:
    """A token as one can see it: blanks and control characters written out, cut where long."""
    shown = printable(token.strip() or repr(token)[1:-1].replace(" ", "␣"))
    return shown if len(shown) <= _LETTERS else f"{shown[: _LETTERS - 1]}…"


def depth_chart(traces: Sequence[Any]) -> "alt.HConcatChart":
    """Entropy, divergence from the final answer and the answer's probability at the last token, along the layers; a line a prompt.

    Parameters
    ----------
    traces : sequence of lexframe.instruments.PromptTrace
    """
    import altair as alt

    names = numbered(traces)
    panels = []
    for statistic in ("entropy", "kl_to_final", "answer_probability"):
        rows = [
            {"layer": layer, "value": float(value), "prompt": name}
            for name, trace in zip(names, traces, strict=True)
            for layer, value in zip(trace.layers, getattr(trace.statistics, statistic)[:, -1], strict=True)
        ]
        panels.append(
            alt.Chart(alt.Data(values=rows))
            .mark_line(point=True, strokeWidth=2)
            .encode(
                x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0)),
                y=alt.Y("value:Q", title=TITLES[statistic]),
                color=alt.Color(
                    "prompt:N",
                    scale=alt.Scale(domain=names, range=[PALETTE[i % len(PALETTE)] for i in range(len(names))]),
                    legend=alt.Legend(title=None, orient="bottom", labelLimit=600, columns=1) if len(names) > 1 else None,
                ),
            )
            .properties(width=255, height=190)
        )
    return themed(alt.hconcat(*panels))


def numbered(traces: Sequence[Any]) -> list[str]:
    """Names that tell prompts apart, however they begin."""
    return [f"{number}: {visible_prompt(trace.prompt)}" for number, trace in enumerate(traces, start=1)]


def visible_prompt(prompt: str, max_letters: int = 70) -> str:
    """The end of a prompt on one line."""
    line = " ".join(prompt.split())
    return line if len(line) <= max_letters else f"…{line[1 - max_letters :]}"


def path_chart(found: Any) -> "alt.LayerChart":
    """Paths of the last token through the layers, and the words they pass.

    The plane is that of :func:`lexframe.drawing.plane.map_coordinates`: it lies among the words, and their places are scaled to
    the paths.

    Parameters
    ----------
    found : lexframe.instruments.PathMap
    """
    import altair as alt

    n_prompts, n_layers, n_dims = found.paths.shape
    points = found.paths.reshape(-1, n_dims)
    bases = found.bases if len(found.words) > 1 else None
    _, drawn, words = map_coordinates(points, points, bases)
    names = [f"{number}: {visible_prompt(prompt)}" for number, prompt in enumerate(found.prompts, start=1)]
    rows = [
        {"x": float(x), "y": float(y), "prompt": names[i // n_layers], "layer": found.layers[i % n_layers]}
        for i, (x, y) in enumerate(drawn)
    ]
    color = alt.Color(
        "prompt:N",
        scale=alt.Scale(domain=names, range=[PALETTE[i % len(PALETTE)] for i in range(n_prompts)]),
        legend=alt.Legend(title=None, orient="bottom", labelLimit=600, columns=1) if n_prompts > 1 else None,
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=alt.X("x:Q", axis=None), y=alt.Y("y:Q", axis=None), color=color)
    layers = [
        base.mark_line(strokeWidth=2, opacity=0.6).encode(order="layer:Q"),
        base.mark_circle(size=70, opacity=1).encode(tooltip=["prompt:N", "layer:O"]),
        base.mark_text(dy=-11, fontSize=11).encode(text="layer:O"),
    ]
    if words is not None:
        landmarks = [{"x": float(x), "y": float(y), "word": visible(word)} for (x, y), word in zip(words, found.words, strict=True)]
        text = alt.Chart(alt.Data(values=landmarks)).encode(x=alt.X("x:Q", axis=None), y=alt.Y("y:Q", axis=None))
        layers = [text.mark_text(fontSize=13, color=MUTED, fontStyle="italic").encode(text="word:N"), *layers]
    return themed(alt.layer(*layers).properties(width=880, height=430))


def parting_chart(comparison: Any) -> "alt.Chart":
    """Divergence of every pair of prompts along the layers.

    Parameters
    ----------
    comparison : lexframe.instruments.PathComparison
    """
    import altair as alt

    n = len(comparison.prompts)
    rows = [
        {"layer": layer, "value": float(comparison.divergence[row, i, j]), "pair": f"{j + 1} and {i + 1}"}
        for row, layer in enumerate(comparison.layers)
        for i in range(n)
        for j in range(i)
    ]
    chart = alt.Chart(alt.Data(values=rows)).mark_line(point=True, strokeWidth=2)
    return themed(
        chart.encode(
            x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("value:Q", title="Jensen-Shannon divergence, nats", scale=alt.Scale(domain=[0, 0.7])),
            color=alt.Color("pair:N", scale=alt.Scale(range=PALETTE), legend=alt.Legend(title="prompts")),
        ).properties(width=520, height=220)
    )
