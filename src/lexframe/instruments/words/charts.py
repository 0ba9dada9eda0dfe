"""Charts of analogies."""

from typing import TYPE_CHECKING, Any

from lexframe.drawing.theme import INK, MUTED, PALETTE, themed
from lexframe.instruments.words.analogy import BASELINES

if TYPE_CHECKING:
    import altair as alt


def analogy_chart(result: Any) -> "alt.LayerChart":
    """Accuracy by relation and method, with 95% intervals; baselines in grey, all relations together last.

    Parameters
    ----------
    result : lexframe.instruments.AnalogyEvaluation
    """
    import altair as alt

    rows = [
        {
            "relation": score.relation,
            "method": score.method,
            "accuracy": score.accuracy.value,
            "low": score.accuracy.low,
            "high": score.accuracy.high,
            "about": f"{score.method}, {score.relation}: {score.accuracy}, {score.n_covered:,} of {score.n_questions:,} questions covered",
        }
        for score in result.scores
    ]
    learned = [method for method in result.methods if method not in BASELINES]
    baselines = [method for method in result.methods if method in BASELINES]
    colors = [*(PALETTE[number % len(PALETTE)] for number in range(len(learned))), *[MUTED, INK][: len(baselines)]]
    relations = list(dict.fromkeys(score.relation for score in result.scores))
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("relation:N", sort=relations, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=260)),
        yOffset=alt.YOffset("method:N", sort=[*learned, *baselines]),
        color=alt.Color(
            "method:N",
            sort=[*learned, *baselines],
            scale=alt.Scale(domain=[*learned, *baselines], range=colors),
            legend=alt.Legend(title=None, orient="top"),
        ),
    )
    x = alt.X(
        "low:Q",
        scale=alt.Scale(domain=[0, 1]),
        title="share of right answers, with 95% interval; questions without vectors count as wrong",
        axis=alt.Axis(format=".1f", tickCount=6),
    )
    intervals = base.mark_rule(strokeWidth=2, opacity=0.4).encode(x=x, x2="high:Q")
    points = base.mark_point(filled=True, size=40, opacity=1).encode(x="accuracy:Q", description="about:N", tooltip="about:N")
    return themed((intervals + points).properties(width=560, height=alt.Step(11)))
