"""A task space of minimal pairs: time, memory, reliability, what the grouping of linguists explains, and the overlap of units beside it."""

import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import Control, Exact, Figure, Goal, Statement, judged, over
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces import LanguageModelSpace
from lexframe.task_space import GradientSettings, Task, TaskSpace, Work, build_task_space
from lexframe.task_space.reading.hypotheses import same_group
from lexframe.task_space.reading.mantel import mantel, within_between
from lexframe.task_space.reading.matrices import off_diagonal
from task_space_units import unit_overlaps, unit_scores

MINUTES, GIB = 45.0, 5.0
PRECISION = {"embedded": "float32"}
"""Of products; a larger model runs as it is used, in bfloat16."""


def space_of(model: str, tasks: Sequence[Task], out: Path, *, n_processes: int) -> TaskSpace:
    """The task space, built or as an earlier run has kept it."""
    if not (out / "artifact.json").is_file():
        built(model, tasks, out / "work", n_processes=n_processes).save(out)
    return TaskSpace.load(out)


def built(model: str, tasks: Sequence[Task], work: Path, *, n_processes: int) -> TaskSpace:
    settings = GradientSettings(precision=PRECISION.get(model, "bfloat16"))
    return build_task_space(model, tasks, settings=settings, work=Work(n_processes=n_processes, folder=work), progress=told)


def cost_claims(model: str, tasks: Sequence[Task], *, n_processes: int) -> list[Statement]:
    """A space built in one go: minutes of a core, and memory."""
    before = spent()["core minutes"]
    with tempfile.TemporaryDirectory() as scratch:
        found = built(model, tasks, Path(scratch), n_processes=n_processes)
    cost = spent()
    minutes = cost["core minutes"] - before
    head = f"{Path(model).name}, {found.n_tasks} tasks"
    print(f"  {head}: {minutes:.1f} minutes of a core, {cost['gib']:.2f} GiB in {n_processes} processes")
    every, kept = Control("every pair by itself", 10 * minutes), Control("every gradient kept", 36.0)
    return [
        Exact(f"{head}: minutes of a core", minutes, Goal(at_most=2 * MINUTES), every),
        Exact(f"{head}: memory of {n_processes} processes, GiB", cost["gib"], Goal(at_most=GIB), kept),
    ]


def spent() -> dict[str, float]:
    """Minutes of all cores together so far, which another job on the machine does not lengthen, and the most memory of all processes."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"core minutes": sum(each.ru_utime + each.ru_stime for each in used) / 60, "gib": max(SEEN, default=float("nan"))}


SEEN: list[float] = []
"""GiB of this process and those that it started, what they share counted once, after every task."""


def in_use() -> float:
    family = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    rolls = (Path(f"/proc/{pid}/smaps_rollup") for pid in family)
    sizes = [int(line.split()[1]) for roll in rolls if roll.is_file() for line in roll.read_text().splitlines() if line.startswith("Pss:")]
    return sum(sizes) / 2**20 if sizes else float("nan")


def told(items):
    items = list(items)
    for number, item in enumerate(items, 1):
        yield item
        SEEN.append(in_use())
        sys.stderr.write(f"  {number} of {len(items)}\n")


def blimp_claims(model: str, tasks: Sequence[Task], out: Path, *, n_processes: int) -> list[Statement]:
    found = space_of(model, tasks, out, n_processes=n_processes)
    print(found.summary())
    for task in found.tasks:
        near = ", ".join(f"{name} {value:.2f}" for name, value, _, _ in found.neighbors(task.name, 2))
        print(f"  {task.name:52} {task.group:28} accuracy {task.accuracy.value:.2f}  reliability {task.reliability}  {near}")
    head = f"{Path(model).name}, {found.n_tasks} tasks"
    controls = [found.controls[name] for name in ("words", "contrast", "template")]
    by_group = mantel(found.similarity, same_group(found.groups))
    beside = mantel(found.similarity, same_group(found.groups), controls=controls)
    by_words = [mantel(found.similarity, found.controls[name]) for name in ("words", "contrast", "template")]
    plain = within_between(found.similarity, found.groups)
    apart = within_between(found.similarity, found.groups, controls=controls)
    print(f"  Mantel: group {by_group.r:.2f} (p {by_group.p:.4f}), words held constant {beside.r:.2f} (p {beside.p:.4f})")
    print("  words, contrast, template: " + ", ".join(f"{each.r:.2f} (p {each.p:.4f})" for each in by_words))
    scores = [unit_scores(LanguageModelSpace(model), task) for task in tasks if task.name in found.names]
    units = unit_overlaps(scores)
    rival, rival_apart = within_between(units, found.groups), within_between(units, found.groups, controls=controls)
    selected = within_between(found.overlap, found.groups, controls=controls)
    gain = auc_gain(found.similarity, units, found.groups, controls)
    shuffled = within_between(found.similarity, np.random.default_rng(0).permutation(np.array(found.groups, dtype=object)).tolist())
    print(f"  AUC: {plain.auc}, words regressed out {apart.auc}; units {rival.auc} and {rival_apart.auc}; subspaces {selected.auc}")
    by_chance = Control("groups shuffled", shuffled.auc)
    statements: list[Statement] = [
        *judged(f"{head}: two halves of the pairs, correlation of the matrices", found.retest, Goal(at_least=0.9), units_control(scores)),
        *judged(
            f"{head}: within phenomena over between, AUC, words regressed out", sized(apart.auc, found), Goal(at_least=0.75), by_chance
        ),
        *judged(f"{head}: that AUC less that of the overlap of units", gain, Goal(above=0), Control("units less themselves", 0.0)),
        Figure(f"{head}: within phenomena over between, AUC", sized(plain.auc, found)),
        Figure(f"{head}: units, AUC", sized(rival.auc, found)),
        Figure(f"{head}: units, AUC, words regressed out", sized(rival_apart.auc, found)),
        Figure(f"{head}: selected parameters in common, AUC, words regressed out", sized(selected.auc, found)),
        Exact(
            f"{head}: Mantel p of the grouping, words held constant",
            beside.p,
            Goal(at_most=0.01),
            Control("groups shuffled", chance_p(found)),
        ),
        Figure(f"{head}: Mantel r of the grouping", by_group.r),
        Figure(f"{head}: Mantel r of the grouping, words held constant", beside.r),
        Figure(f"{head}: Mantel r of shared words", by_words[0].r),
        Figure(f"{head}: least reliability of a task", min(task.reliability.value for task in found.tasks)),
        Figure(f"{head}: mean reliability of a task", float(np.mean([task.reliability.value for task in found.tasks]))),
        Figure(f"{head}: error of a cosine from the sketch", found.error),
    ]
    return statements


def sized(found: Estimate, space: TaskSpace) -> Estimate:
    return over(found, "tasks", space.n_tasks)


def chance_p(found: TaskSpace) -> float:
    shuffled = np.random.default_rng(1).permutation(np.array(found.groups, dtype=object)).tolist()
    return mantel(found.similarity, same_group(shuffled)).p


def units_control(scores: Sequence[np.ndarray]) -> Control:
    """Two halves of unit overlaps, as a rival's test-retest."""
    halves = [unit_overlaps([each[[half, half]] for each in scores]) for half in (0, 1)]
    one, other = (off_diagonal(each) for each in halves)
    rng = np.random.default_rng(0)
    return Control("matrix of one half against the other's, tasks shuffled", float(np.corrcoef(one, rng.permutation(other))[0, 1]))


def auc_gain(ours: np.ndarray, theirs: np.ndarray, groups: Sequence[str | None], controls: Sequence[np.ndarray]) -> Estimate:
    """Difference of the areas, with the jackknife over tasks: each left out of both in turn."""
    n = len(ours)

    def gain(rows: Sequence[int]) -> float:
        inside, chosen = np.ix_(rows, rows), [groups[row] for row in rows]
        held = [control[inside] for control in controls]
        one, other = (within_between(each[inside], chosen, controls=held).auc.value for each in (ours, theirs))
        return one - other

    value = gain(range(n))
    return t_interval([n * value - (n - 1) * gain([row for row in range(n) if row != left]) for left in range(n)], unit="tasks")
