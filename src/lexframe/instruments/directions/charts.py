"""Charts of steering: how far a direction moves a model, and at which cost."""

from typing import TYPE_CHECKING, Any

from lexframe.drawing.theme import INK, MUTED, PALETTE, themed

if TYPE_CHECKING:
    import altair as alt


def steering_chart(result: Any) -> "alt.HConcatChart":
    """Effect against strength, a line a layer, and effect against divergence on neutral texts with random directions beside.

    Parameters
    ----------
    result : lexframe.adaptation.SteeringChoice
    """
    import altair as alt

    rows = [
        {
            "layer": str(point.layer),
            "strength": point.strength,
            "effect": point.effect.value,
            "low": point.effect.low,
            "high": point.effect.high,
            "divergence": point.divergence.value,
            "budget": "exceeded" if point.exceeds else "kept",
            "about": f"layer {point.layer}, strength {point.strength:g}: effect {point.effect}, {point.divergence.value:.2f} nats"
            + (f"; exceeds {', '.join(point.exceeds)}" if point.exceeds else ""),
        }
        for point in result.points
    ]
    chance = [
        {"effect": float(effect), "divergence": float(divergence), "strength": point.strength}
        for point in result.points
        for effect, divergence in zip(point.control_effects, point.control_divergences, strict=True)
    ]
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    color = alt.Color(
        "layer:N",
        scale=alt.Scale(domain=layers, range=[PALETTE[number % len(PALETTE)] for number in range(len(layers))]),
        legend=alt.Legend(title="layer", orient="bottom", symbolOpacity=1),
    )
    filled = alt.FillOpacity("budget:N", scale=alt.Scale(domain=["kept", "exceeded"], range=[1, 0]), legend=None)
    y = alt.Y("effect:Q", title="change of the metric")
    panels = []
    for field, title, heading in (
        ("strength", "strength, in lengths of a typical state", "Effect by strength"),
        ("divergence", "divergence on neutral texts, nats per token", "Effect by cost"),
    ):
        x = alt.X(f"{field}:Q", title=title)
        base = alt.Chart(alt.Data(values=rows)).encode(x=x, color=color)
        controls = alt.Chart(alt.Data(values=chance)).mark_point(shape="cross", size=26, color=MUTED, opacity=0.7).encode(x=x, y=y)
        lines = base.mark_line(strokeWidth=1.8, opacity=0.8).encode(y=y)
        dots = base.mark_point(size=60, filled=False, opacity=1).encode(
            y=y, fill=color, fillOpacity=filled, description="about:N", tooltip="about:N"
        )
        layer = controls + lines + dots
        if field == "strength":
            layer = base.mark_area(opacity=0.08).encode(y=alt.Y("low:Q", title="change of the metric"), y2="high:Q") + layer
        elif result.budget.divergence is not None:
            limit = alt.Chart(alt.Data(values=[{"limit": result.budget.divergence}]))
            layer += limit.mark_rule(strokeDash=[4, 4], color=MUTED).encode(x="limit:Q")
        if result.chosen is not None:
            place = {field: getattr(result.chosen, field) if field == "strength" else result.chosen.divergence.value}
            chosen = alt.Chart(alt.Data(values=[place | {"effect": result.chosen.effect.value}]))
            layer += chosen.mark_point(shape="circle", size=260, color=INK, strokeWidth=1.6, opacity=1).encode(x=x, y=y)
        panels.append(layer.properties(width=400, height=300, title=heading))
    return themed(alt.hconcat(*panels, spacing=40))
