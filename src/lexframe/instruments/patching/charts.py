"""The chart of patched prompts: what each condition does to the answers."""

from typing import TYPE_CHECKING, Any

from lexframe.drawing.theme import ACCENT, PALETTE, themed

if TYPE_CHECKING:
    import altair as alt


def patch_chart(result: Any) -> "alt.LayerChart":
    """Accuracy of every condition over all tasks, with its 95% interval, and how often the other task's answer came.

    Parameters
    ----------
    result : lexframe.instruments.PatchResult
    """
    import altair as alt

    task = result.scores[-1].task  # all tasks together stand last
    rows = []
    for condition in result.conditions:
        score = result.score(condition, task)
        for answer, found in (("the task's own", score.accuracy), ("the other task's", score.other_accuracy)):
            if found is not None:
                rows.append({"condition": condition, "answer": answer, "value": found.value, "low": found.low, "high": found.high})
    scale = alt.Scale(domain=["the task's own", "the other task's"], range=[ACCENT, PALETTE[1]])
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("condition:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelFontSize=13)),
        yOffset=alt.YOffset("answer:N", sort=None),
        color=alt.Color("answer:N", scale=scale, title="answer", legend=alt.Legend(orient="bottom", symbolOpacity=1)),
    )
    x = alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), title="share of test questions, with 95% interval", axis=alt.Axis(format=".1f"))
    intervals = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=x, x2="high:Q")
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x="value:Q")
    return themed((intervals + points).properties(width=560, height=46 * len(result.conditions), title=result.title))
