"""The page of a task space: what it says, the matrix and the map, what else could explain it, and how surely all is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.drawing.marked_text import readable
from lexframe.drawing.page import as_json, write_page
from lexframe.drawing.theme import shortened
from lexframe.files import json_text
from lexframe.instruments.traces.charts import visible
from lexframe.intervals import Estimate
from lexframe.task_space.charts import depth_chart, map_chart, matrix_chart, overlap_chart, reliability_chart
from lexframe.task_space.figures import Figure, figure
from lexframe.task_space.measure_charts import pair_kinds
from lexframe.task_space.reading.mantel import Separation
from lexframe.task_space.reading.matrices import off_diagonal
from lexframe.task_space.result import LEAST_RELIABILITY, TaskFacts, TaskSpace
from lexframe.task_space.space_findings import Findings, findings, shown_p
from lexframe.task_space.transfer_page import transfer_report
from lexframe.text_forms import counted

__all__ = ["task_space_report", "transfer_report"]

OPEN_TASKS, FEW_TASKS = 16, 12
"""Tasks whose neighbors are seen at once, and tasks of which all numbers are."""
_NAME, _REASON, _NOTE = 80, 300, 600


def task_space_report(
    space: TaskSpace, path: str | Path, *, found: Findings | None = None, title: str = "How the abilities of a model relate"
) -> Path:
    """Write the page of a task space.

    Parameters
    ----------
    space : TaskSpace
    path : str or Path
        The HTML file; replaced atomically.
    found : Findings, optional
        What :func:`lexframe.task_space.space_findings.findings` read in it. Default: it is read here.
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
    read = findings(space) if found is None else found
    order = range(space.n_tasks) if read.clustering is None else read.clustering.order
    numbers = {row: place for place, row in enumerate(order, start=1)}
    tasks = [_task(space, row, numbers) for row in order]
    return write_page(
        path,
        Path(__file__).with_name("task_space.html"),
        title=readable(title),
        worth=str(space.verdict.worth),
        verdict=readable(str(space.verdict)),
        says=read.summary() if space.n_tasks > 1 else "",
        model=_model(space),
        counts=_counts(space, read),
        charts=_charts(space, read, [numbers[row] for row in range(space.n_tasks)]),
        clustering=None if read.clustering is None else read.clustering.summary(),
        agreement=None if read.agreement is None else f"{read.agreement:.2f}",
        map_says=None if read.task_map is None else read.task_map.summary(),
        n_maps=0 if read.task_map is None else read.task_map.n_resamples,
        tests=hypothesis_rows(read),
        n_permutations=max((test.n_permutations for test in read.tests.values()), default=0),
        untested=dict(read.untested),
        separations=separation_rows(read),
        open_tasks=tasks[:OPEN_TASKS],
        folded_tasks=tasks[OPEN_TASKS:],
        has_groups=any(group is not None for group in space.groups),
        has_words=any(task.toward for task in space.tasks),
        measures=[_measured(task) for task in sorted(space.tasks, key=lambda task: -task.reliability.value)],
        n_few=FEW_TASKS,
        least=f"{LEAST_RELIABILITY:g}",
        dropped=[(_clipped(each.name), _clipped(each.reason, _REASON)) for each in space.dropped],
        overlaps=overlap_rows(space),
        error=f"{space.error:.2g}",
        notes=[_clipped(note, _NOTE) for note in space.notes],
        settings=readable(json_text(dict(space.settings), indent=2)),
        provenance=readable(as_json(space.provenance)),
    )


def hypothesis_rows(read: Findings) -> list[dict[str, Any]]:
    """The tests as a table: hypothesis, correlation, p, and what that says.

    Parameters
    ----------
    read : Findings
    """
    return [
        {"name": name, "r": f"{test.r:.2f}", "p": shown_p(test), "says": read.reading(name), "is_found": read.is_found(name)}
        for name, test in read.tests.items()
    ]


def separation_rows(read: Findings) -> list[dict[str, str | None]]:
    """Pairs within groups against pairs between them, as they are and after what words explain.

    Parameters
    ----------
    read : Findings
    """
    kinds: Mapping[str, Separation | None] = {
        "as it is": read.separation,
        "less what shared words explain": read.beyond_words,
    }
    return [
        {"name": name, "auc": f"{found.auc.value:.2f}", "interval": _ends(found.auc)} for name, found in kinds.items() if found is not None
    ]


def overlap_rows(space: TaskSpace) -> list[tuple[str, str]]:
    """Mean shares of selected parameters that are common.

    Parameters
    ----------
    space : TaskSpace
    """
    shared = off_diagonal(space.overlap)
    rows = [("two halves of one task", float(np.nanmean(np.diag(space.overlap))))]
    rows += [(f"pairs {kind}" if kind != "two tasks" else kind, float(shared[chosen].mean())) for kind, chosen in pair_kinds(space).items()]
    return [(name, f"{value:.1%}") for name, value in [*rows, ("chance", float(space.overlap_chance))]]


def _charts(space: TaskSpace, read: Findings, numbers: list[int]) -> dict[str, Figure | None]:
    if space.n_tasks < 2:
        return dict.fromkeys(("matrix", "small_matrix", "map", "small_map", "reliability", "small_reliability", "depth", "overlap"))
    placed = read.task_map
    return {
        "matrix": figure(matrix_chart(space, read.clustering)),
        "small_matrix": figure(matrix_chart(space, read.clustering, small=True)),
        "map": None if placed is None else figure(map_chart(space, placed)),
        "small_map": None if placed is None else figure(map_chart(space, placed, numbers=numbers)),
        "reliability": figure(reliability_chart(space, least=LEAST_RELIABILITY)),
        "small_reliability": figure(reliability_chart(space, least=LEAST_RELIABILITY, alone=True)),
        "depth": figure(depth_chart(space)),
        "overlap": figure(overlap_chart(space)),
    }


def _counts(space: TaskSpace, read: Findings) -> list[tuple[str, str]]:
    groups = {group for group in space.groups if group is not None}
    counts = [("tasks told from noise", f"{space.n_tasks:,}"), ("tasks left out", f"{len(space.dropped):,}")]
    counts += [("groups", f"{len(groups):,}")] if groups else []
    counts += [("pairs", f"{sum(task.n_pairs for task in space.tasks):,}")]
    counts += [("correlation of the matrices of two halves", f"{space.retest.value:.2f}")] if np.isfinite(space.retest.value) else []
    counts += [("clusters", f"{read.clustering.n_clusters}")] if read.clustering is not None else []
    return counts


def _task(space: TaskSpace, row: int, numbers: Mapping[int, int]) -> dict[str, Any]:
    """A task with the tasks that are most like it, and the words of its direction."""
    task, near = space.tasks[row], []
    for name, value, low, high in space.neighbors(task.name):
        other = space.names.index(name)
        group, words = space.tasks[other].group, space.controls.get("words")
        near.append(
            {
                "number": numbers[other],
                "name": _clipped(name),
                "value": f"{value:.2f}",
                "interval": f"{low:.2f} to {high:.2f}",
                "same": task.group is not None and group == task.group,
                "group": None if group is None else _clipped(group),
                "words": None if words is None else f"{words[row, other]:.2f}",
                "unsure": low <= 0 <= high,
            }
        )
    return {
        "number": numbers[row],
        "name": _clipped(task.name),
        "group": None if task.group is None else _clipped(task.group),
        "near": near,
        "toward": [visible(readable(word)) for word, _ in task.toward],
        "away": [visible(readable(word)) for word, _ in task.away],
    }


def _measured(task: TaskFacts) -> dict[str, Any]:
    group = None if task.group is None else _clipped(task.group)
    facts = {"name": _clipped(task.name), "group": group, "pairs": f"{task.n_pairs:,}", "unequal": f"{task.unequal:.0%}"}
    figures = {"reliability": task.reliability, "accuracy": task.accuracy, "margin": task.margin}
    return facts | {name: (f"{each.value:.2f}", _ends(each)) for name, each in figures.items()}


def _model(space: TaskSpace) -> str:
    fingerprint = space.provenance.space
    n_pairs = counted(sum(task.n_pairs for task in space.tasks), "pair")
    return f"{n_pairs} of texts, one better than the other, read by {_clipped(fingerprint.model) if fingerprint else 'a model'}."


def _ends(estimate: Estimate) -> str | None:
    ends = estimate.interval
    return None if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def _clipped(text: str, length: int = _NAME) -> str:
    return shortened(readable(text), length) or "(blank)"
