"""Task spaces of models of three sizes, each kept six times along its training: what the paper says of size and of time, tested."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import Control, Figure, Goal, Statement, judged, over
from lexframe.intervals import Estimate, t_interval
from lexframe.task_space import Task, TaskSpace, Work, build_task_space, compare_task_spaces

SIZES = ("small", "medium", "large")


def growth_claims(checkpoints: Path, tasks: Sequence[Task], out: Path, *, n_processes: int, quick: bool = False) -> list[Statement]:
    """Spaces of every checkpoint, kept in `out`, and how they differ."""
    spaces: dict[str, dict[str, TaskSpace]] = {}
    for run in sorted(folder for folder in checkpoints.iterdir() if (folder / "models").is_dir()):
        models = sorted((run / "models").iterdir())
        for model in models[-1:] if quick else models:
            kept = out / f"{run.name}-{model.name}"
            if not (kept / "artifact.json").is_file():
                build_task_space(str(model), tasks, work=Work(n_processes=n_processes)).save(kept)
            spaces.setdefault(run.name, {})[model.name] = TaskSpace.load(kept)
    for run, found in spaces.items():
        print(f"{run}\n{compare_task_spaces(found).summary()}" if len(found) > 1 else run, flush=True)
        for name, space in found.items():
            print(f"  {name}: {described(space)}", flush=True)
    common = sorted(set.intersection(*(set(found) for found in spaces.values())))
    last = {run: found[common[-1]] for run, found in spaces.items()}  # all have seen as many tokens there
    statements: list[Statement] = []
    for run, space in last.items():
        statements.append(Figure(f"{run}, last: correlation of the matrices of two halves", over(space.retest, "tasks", space.n_tasks)))
    sizes = [size for size in SIZES if size in last]
    if len(sizes) > 1:
        across = compare_task_spaces({size: last[size] for size in sizes})
        print(f"sizes\n{across.summary()}")
        statements += [
            Figure(f"{pair.first} and {pair.second}, last: agreement by rank over its ceiling", pair.corrected) for pair in across.pairs
        ]
        statements += contrast(last[sizes[0]], last[sizes[-1]], f"{sizes[-1]} less {sizes[0]}, last")
    for run in sizes:
        if len(common) > 1:
            statements += contrast(spaces[run][common[0]], last[run], f"{run}, last checkpoint less first")
    again = [(run, f"{run}-seed-1") for run in sizes if f"{run}-seed-1" in last]
    for one, other in again:
        pair = compare_task_spaces({name: last[name] for name in (one, other)}).pairs[0]
        statements.append(Figure(f"{one}, two seeds: agreement by rank over its ceiling", pair.corrected))
    return statements


def described(space: TaskSpace) -> str:
    within, between = group_means(space, space.names)
    return f"{space.n_tasks} tasks, retest {space.retest.value:.2f}, similarity in a group {within.mean():.3f}, of two {between.mean():.3f}"


def group_means(space: TaskSpace, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of each task, its mean similarity with others of its group, where there are some, and with those of other groups."""
    rows = [space.names.index(name) for name in names]
    matrix, groups = np.clip(space.similarity[np.ix_(rows, rows)], -1, 1), [space.groups[row] for row in rows]
    within, between = [], []
    for row, group in enumerate(groups):
        own = [i for i, other in enumerate(groups) if other == group and i != row]
        others = [i for i, other in enumerate(groups) if other != group]
        within.append(matrix[row, own].mean() if own else np.nan)
        between.append(matrix[row, others].mean())
    found = np.array(within)
    return found[~np.isnan(found)], np.array(between)


def contrast(one: TaskSpace, other: TaskSpace, name: str) -> list[Statement]:
    """Whether tasks of one group, and of two, are more alike in the second space; tasks are those of both."""
    shared = [task for task in one.names if task in other.names]
    before, after = group_means(one, shared), group_means(other, shared)
    within, between = (t_interval(later - earlier, unit="tasks") for earlier, later in zip(before, after, strict=True))
    return [
        *judged(f"{name}: similarity of tasks of one group", within, Goal(above=0), Control("tasks of two groups", between)),
        Figure(f"{name}: similarity of tasks of two groups", as_figure(between)),
    ]


def as_figure(found: Estimate) -> Estimate:
    return over(found, found.unit, found.n_units or 0)
