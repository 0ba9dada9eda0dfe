"""The page of a comparison: how far task spaces agree, and how what tasks share changes from one to the next."""

from pathlib import Path
from typing import Any

import numpy as np

from lexframe.drawing.marked_text import readable
from lexframe.drawing.page import as_json, write_page
from lexframe.drawing.theme import ACCENT, CATEGORY_COLORS, INK, MUTED, shortened, themed
from lexframe.files import json_text
from lexframe.intervals import Estimate
from lexframe.task_space.comparison import TaskSpaceComparison
from lexframe.task_space.figures import figure

MOST_DRAWN = 30
"""Spaces; the pictures of more would be wider than a page."""
_NAME, _NOTE = 60, 600
_ALL, _WITHIN, _BETWEEN = "all tasks", "tasks of one group", "tasks of two groups"


def comparison_report(comparison: TaskSpaceComparison, path: str | Path, *, title: str = "How task spaces agree") -> Path:
    """Write the page of a comparison.

    Parameters
    ----------
    comparison : TaskSpaceComparison
    path : str or Path
        The HTML file; replaced atomically.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    first, *rest = comparison.summary().splitlines()
    drawn = len(comparison.spaces) <= MOST_DRAWN
    left_out = [f"Not all spaces have the task {_clipped(name)}." for name in comparison.left_out]
    return write_page(
        path,
        Path(__file__).with_name("comparison.html"),
        title=readable(title),
        answer=readable(first),
        says=[readable(line) for line in rest],
        counts=[("spaces", f"{len(comparison.spaces):,}"), ("tasks that all share", f"{len(comparison.tasks):,}")],
        charts={"agreement": figure(comparison.chart()), "sharing": figure(sharing_chart(comparison))} if drawn else {},
        spaces=space_rows(comparison),
        pairs=pair_rows(comparison),
        changes=change_rows(comparison),
        notes=[shortened(note, _NOTE) for note in left_out],
        settings=readable(json_text({"tasks": list(comparison.tasks)}, indent=2)),
        provenance=readable(as_json(comparison.provenance)),
    )


def space_rows(comparison: TaskSpaceComparison) -> list[dict[str, str]]:
    """A row a space: what its tasks share, how reliable they are.

    Parameters
    ----------
    comparison : TaskSpaceComparison
    """
    return [
        {
            "name": _clipped(space.name),
            "sharing": _said(space.sharing),
            "within": "" if space.separation is None else f"{space.separation.within:.3f}",
            "between": "" if space.separation is None else f"{space.separation.between:.3f}",
            "auc": "" if space.separation is None else _said(space.separation.auc),
            "reliability": f"{space.reliability:.2f}",
            "retest": f"{space.retest:.2f}",
        }
        for space in comparison.spaces
    ]


def pair_rows(comparison: TaskSpaceComparison) -> list[dict[str, Any]]:
    """A row for every two spaces: steps first.

    Parameters
    ----------
    comparison : TaskSpaceComparison
    """
    steps = comparison.movement
    rows = [
        {
            "first": _clipped(pair.first),
            "second": _clipped(pair.second),
            "is_step": pair in steps,
            "rsa": _said(pair.rsa),
            "ceiling": f"{pair.ceiling:.2f}",
            "corrected": f"{pair.corrected.value:.2f}" if np.isfinite(pair.corrected.value) else "",
        }
        for pair in comparison.pairs
    ]
    return sorted(rows, key=lambda row: not row["is_step"])


def change_rows(comparison: TaskSpaceComparison) -> list[dict[str, Any]]:
    """A row a step with how far it moves the space, of comparisons that test for stages.

    Parameters
    ----------
    comparison : TaskSpaceComparison
    """
    stages = comparison.stages
    if stages is None:
        return []
    return [
        {"first": _clipped(first), "second": _clipped(second), "change": _said(change), "is_largest": number == stages.largest}
        for number, ((first, second), change) in enumerate(zip(stages.steps, stages.changes, strict=True))
    ]


def sharing_chart(comparison: TaskSpaceComparison) -> Any:
    """What tasks share in each space, all of them, those of one group and those of two, an Altair chart.

    Parameters
    ----------
    comparison : TaskSpaceComparison
    """
    import altair as alt

    rows: list[dict[str, Any]] = []
    names = comparison.shown_names()
    for space in comparison.spaces:
        name, ends = names[space.name], space.sharing.interval or (space.sharing.value,) * 2
        rows.append({"space": name, "what": _ALL, "value": space.sharing.value, "low": ends[0], "high": ends[1]})
        if space.separation is not None:
            rows.append({"space": name, "what": _WITHIN, "value": space.separation.within})
            rows.append({"space": name, "what": _BETWEEN, "value": space.separation.between})
    kinds = [kind for kind in (_WITHIN, _ALL, _BETWEEN) if any(row["what"] == kind for row in rows)]
    looks = {_WITHIN: ACCENT, _ALL: INK, _BETWEEN: CATEGORY_COLORS[1]}
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("space:N", sort=list(names.values()), title=None, axis=alt.Axis(labelAngle=-40 if len(names) > 3 else 0, labelLimit=200)),
        color=alt.Color(
            "what:N",
            sort=kinds,
            title=None,
            legend=alt.Legend(orient="bottom", direction="vertical", labelLimit=260),
            scale=alt.Scale(domain=kinds, range=[looks[kind] for kind in kinds]),
        ),
    )
    value = alt.Y("value:Q", title="mean similarity")
    lines = base.mark_line(strokeWidth=2).encode(y=value)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=value, tooltip=["space:N", "what:N", alt.Tooltip("value:Q", format=".3f")]
    )
    reach = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    nothing = alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(y="y:Q")
    parts = (nothing + reach + lines + points) if len(names) > 2 else (nothing + reach + points)
    return themed(parts.properties(width=max(260, min(620, 70 * len(names))), height=260, title="What tasks share"))


def _said(estimate: Estimate) -> str:
    if not np.isfinite(estimate.value):
        return "none"
    ends = estimate.interval
    return f"{estimate.value:.3f}" if ends is None else f"{estimate.value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def _clipped(text: str) -> str:
    return shortened(readable(text), _NAME) or "(blank)"
