"""Charts of the latent reading: the path of the parameters, and predictions along the layers."""

from typing import Any

import numpy as np

from lexframe.drawing.theme import ACCENT, MUTED, PALETTE, shortened, themed

_COLORS = {"first": MUTED, "accepted": ACCENT, "refused": PALETTE[1], "not judged": PALETTE[3]}
_SHAPES = {"first": "square", "accepted": "circle", "refused": "cross", "not judged": "triangle-up"}


def path_chart(path: Any) -> Any:
    """The texts of a run in a plane: those that were taken joined in their order, refused ones beside them.

    Parameters
    ----------
    path : ParameterPath
    """
    import altair as alt

    rows = [
        {"x": float(x), "y": float(y), "step": step, "outcome": outcome, "text": shortened(text, 160)}
        for (x, y), step, outcome, text in zip(path.plane, path.steps, path.outcomes, path.texts, strict=True)
    ]
    joined = [{**rows[place], "order": order} for order, place in enumerate(path.kept)]
    x, y = alt.X("x:Q", title="first axis"), alt.Y("y:Q", title="second axis")
    line = alt.Chart(alt.Data(values=joined)).mark_line(color=ACCENT, opacity=0.5).encode(x=x, y=y, order="order:O")
    known = list(_COLORS)
    points = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(size=90, filled=True, opacity=0.85)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "outcome:N",
                scale=alt.Scale(domain=known, range=list(_COLORS.values())),
                legend=alt.Legend(orient="bottom", title=None, columns=2),
            ),
            shape=alt.Shape("outcome:N", scale=alt.Scale(domain=known, range=list(_SHAPES.values()))),
            tooltip=["step:Q", "outcome:N", "text:N"],
        )
    )
    numbers = alt.Chart(alt.Data(values=joined)).mark_text(dy=-11, fontSize=11).encode(x=x, y=y, text="step:Q")
    return themed((line + points + numbers).properties(width=300, height=260, title="Where the texts lie: near ones say nearly the same"))


def prediction_chart(found: Any) -> Any:
    """Along the layers: on how many rows the likeliest label is the final one, and what the parameters change.

    Parameters
    ----------
    found : PredictionTrace
    """
    import altair as alt

    final = found.with_parameters[:, -1].argmax(axis=1)
    agree = (found.with_parameters.argmax(axis=2) == final[:, np.newaxis]).mean(axis=0)
    change = found.divergence.mean(axis=0)
    curves = {"rows whose label is the final one": agree, "what the parameters change, nats": change}
    panels = []
    for number, (title, values) in enumerate(curves.items()):
        rows = [{"layer": layer, "value": float(value)} for layer, value in zip(found.layers, values, strict=True)]
        panels.append(
            alt.Chart(alt.Data(values=rows))
            .mark_line(point=True, color=PALETTE[number])
            .encode(
                x=alt.X("layer:Q", title="layer", axis=alt.Axis(tickMinStep=1)),
                y=alt.Y("value:Q", title=None, scale=alt.Scale(domainMin=0)),
                tooltip=["layer:Q", alt.Tooltip("value:Q", format=".3f")],
            )
            .properties(width=300, height=140, title=title)
        )
    return themed(alt.vconcat(*panels))
