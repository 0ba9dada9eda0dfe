"""Task spaces of several models, or of one model over its training, held against one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from lexframe.checks import plain
from lexframe.drawing.marked_text import readable
from lexframe.drawing.theme import shortened
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.task_space.reading.agreement import SpacePair, space_pairs
from lexframe.task_space.reading.mantel import Separation, within_between
from lexframe.task_space.reading.matrices import checked_matrix, drawn_estimate, off_diagonal
from lexframe.task_space.reading.stages import StageTest, stage_test
from lexframe.text_forms import counted, listed

LEAST_TASKS = 4


@dataclass(frozen=True, slots=True)
class SpaceFacts:
    """One space, on the tasks that all share.

    Attributes
    ----------
    name : str
    sharing : Estimate
        Mean similarity of two tasks; its interval is over draws of pairs, for these tasks.
    reliability : float
        Mean over tasks of the expected cosine of two halves.
    retest : float
        Correlation of the matrices of two halves of all pairs.
    separation : Separation or None
        Tasks of one group against tasks of two; None where no two tasks have one group, or all have the same.
    """

    name: str
    sharing: Estimate
    reliability: float
    retest: float
    separation: Separation | None

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "name": self.name,
            "sharing": self.sharing.to_dict(),
            "reliability": plain(self.reliability),
            "retest": plain(self.retest),
            "separation": None if self.separation is None else self.separation.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class TaskSpaceComparison(Result, WithPage):
    """Several task spaces on the tasks that all have.

    Attributes
    ----------
    tasks : tuple of str
        Those that all share, in the order of the first space.
    left_out : tuple of str
        Those that one space or several lack.
    spaces : tuple of SpaceFacts
        In the order given.
    pairs : tuple of SpacePair
        Every two spaces, the earlier one first.
    stages : StageTest or None
        None for fewer than three spaces, and where one of them is not repeatable or has no resamples.
    provenance : Provenance
    """

    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    spaces: tuple[SpaceFacts, ...]
    pairs: tuple[SpacePair, ...]
    stages: StageTest | None
    provenance: Provenance

    page: ClassVar[str] = "lexframe.task_space.comparison_page:comparison_report"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the spaces."""
        return tuple(space.name for space in self.spaces)

    @property
    def movement(self) -> tuple[SpacePair, ...]:
        """Each space and the one after it."""
        steps = set(zip(self.names, self.names[1:], strict=False))
        return tuple(pair for pair in self.pairs if (pair.first, pair.second) in steps)

    def summary(self) -> str:
        """How far the spaces agree, whether tasks come to share more, and whether one step stands out."""
        lines = []
        low, high = (choose(self.pairs, key=lambda pair: pair.rsa.value) for choose in (min, max))
        over = f"{counted(len(self.spaces), 'space')} over {counted(len(self.tasks), 'shared task')}"
        if len(self.pairs) == 1:
            lines.append(f"{over}: {low.first} and {low.second} order pairs of tasks alike with a {_said(low)}.")
        else:
            lines.append(f"{over}: {high.first} and {high.second} are the most alike, {_said(high)}.")
            lines.append(f"The least alike are {low.first} and {low.second}, {_said(low)}.")
        first, last = self.spaces[0], self.spaces[-1]
        lines.append(
            f"The mean similarity of two tasks is {first.sharing} in {first.name} and {last.sharing} in {last.name}{_areas(first, last)}."
        )
        lines += [self.stages.summary()] if self.stages is not None else []
        weak = [space.name for space in self.spaces if not space.retest > 0]
        if weak:
            lines.append(f"Two halves of the pairs do not agree in {listed(weak)}, so what it is compared with cannot be judged.")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, for JSON."""
        return {
            "summary": self.summary(),
            "tasks": list(self.tasks),
            "left_out": list(self.left_out),
            "spaces": [space.to_dict() for space in self.spaces],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "stages": None if self.stages is None else self.stages.to_dict(),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> Any:
        """A row for every two spaces."""
        import pandas as pd

        rows = [
            {
                "first": pair.first,
                "second": pair.second,
                "rsa": pair.rsa.value,
                "low": pair.rsa.low,
                "high": pair.rsa.high,
                "ceiling": pair.ceiling,
                "corrected": pair.corrected.value,
                "is_step": pair in self.movement,
            }
            for pair in self.pairs
        ]
        return pd.DataFrame(rows)

    def spaces_frame(self) -> Any:
        """A row a space."""
        import pandas as pd

        rows = []
        for space in self.spaces:
            found = space.separation
            rows.append(
                {
                    "space": space.name,
                    "sharing": space.sharing.value,
                    "within": np.nan if found is None else found.within,
                    "between": np.nan if found is None else found.between,
                    "auc": np.nan if found is None else found.auc.value,
                    "reliability": space.reliability,
                    "retest": space.retest,
                }
            )
        return pd.DataFrame(rows)

    def shown_names(self, most: int = 24) -> dict[str, str]:
        """What pictures call each space: its name, shortened, with its number in front where others would be called the same.

        Parameters
        ----------
        most : int
            Letters of a shortened name.
        """
        short = [shortened(readable(name), most) for name in self.names]
        if len(set(short)) < len(short):
            short = [f"{number} {name}" for number, name in enumerate(short, start=1)]
        return dict(zip(self.names, short, strict=True))

    def chart(self) -> Any:
        """Correlations of every two spaces as a table of shades, an Altair chart."""
        import altair as alt

        from lexframe.drawing.theme import ACCENT, INK, themed

        shown = self.shown_names()
        rows = [
            {"first": shown[first], "second": shown[second], "rsa": plain(pair.rsa.value), "corrected": plain(pair.corrected.value)}
            for pair in self.pairs
            for first, second in ((pair.first, pair.second), (pair.second, pair.first))
        ]
        names = list(shown.values())
        base = alt.Chart(alt.Data(values=rows)).encode(
            x=alt.X("second:N", sort=names, title=None, axis=alt.Axis(labelAngle=-40, ticks=False, domain=False)),
            y=alt.Y("first:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False)),
            tooltip=["first:N", "second:N", alt.Tooltip("rsa:Q", format=".3f"), alt.Tooltip("corrected:Q", format=".3f")],
        )
        shade = alt.Scale(domain=[0, 1], range=["#f3f6f8", ACCENT], clamp=True)
        cells = base.mark_rect(stroke="white", strokeWidth=1.5).encode(color=alt.Color("rsa:Q", scale=shade, legend=None))
        color = alt.condition("datum.rsa > 0.55", alt.value("white"), alt.value(INK))
        numbers = base.mark_text(fontSize=12).encode(text=alt.Text("rsa:Q", format=".2f"), color=color)
        side = max(40, min(64, 620 // len(names))) * len(names)
        return themed((cells + numbers).properties(width=side, height=side, title="Spearman correlation of similarities"))


def compare_task_spaces(spaces: Mapping[str, Any], *, seed: int = 0, n_resamples: int = 1000) -> TaskSpaceComparison:
    """Hold task spaces against one another on the tasks that all share.

    Two spaces are compared by the rank correlation of their similarities over pairs of tasks (representational similarity analysis).
    Noise alone keeps it below 1: its ceiling is the root of the product of both spaces' reliabilities. A space tells how two halves of
    its pairs agree; the matrix of all pairs is more reliable than either half, :math:`2 r / (1 + r)` (Spearman and Brown).

    Parameters
    ----------
    spaces : mapping of str to TaskSpace
        By name, in the order in which steps are to be counted, such as that of training. Anything with the ``names``, ``groups``,
        ``tasks``, ``similarity``, ``resampled`` and ``retest`` of one.
    seed : int
        Of the draws of tasks.
    n_resamples : int
        How often tasks are drawn anew for the intervals of correlations; a pair of a task with its own copy is left out.

    Returns
    -------
    TaskSpaceComparison

    Raises
    ------
    InputError
        If there are fewer than two spaces, they share fewer than 4 tasks, a task has two groups, or a matrix is not finite.
    """
    tasks, rows = _shared(spaces)
    groups = _groups(spaces, tasks, rows)
    names = list(spaces)
    matrices = [
        checked_matrix(np.asarray(space.similarity)[np.ix_(places, places)], what=f"spaces[{name!r}].similarity")
        for (name, space), places in zip(spaces.items(), rows, strict=True)
    ]
    drawn = [_resampled(space, places) for space, places in zip(spaces.values(), rows, strict=True)]
    values, retests = off_diagonal(np.stack(matrices)), [float(space.retest.value) for space in spaces.values()]
    known = set(tasks)
    return TaskSpaceComparison(
        tasks=tuple(tasks),
        left_out=tuple(dict.fromkeys(name for space in spaces.values() for name in space.names if name not in known)),
        spaces=tuple(
            SpaceFacts(
                name=name,
                sharing=drawn_estimate(float(values[number].mean()), drawn[number].mean(axis=1), "draws of pairs"),
                reliability=float(np.mean([spaces[name].tasks[place].reliability.value for place in rows[number]])),
                retest=retests[number],
                separation=_separation(matrices[number], groups, seed),
            )
            for number, name in enumerate(names)
        ),
        pairs=space_pairs(names, values, retests, len(tasks), n_resamples=n_resamples, seed=seed),
        stages=stage_test(names, values, _in_step(drawn), retests),
        provenance=Provenance(seed=seed, parameters={"spaces": names, "n_resamples": n_resamples}),
    )


def _shared(spaces: Mapping[str, Any]) -> tuple[list[str], list[list[int]]]:
    """Tasks of all spaces, and their rows in each."""
    if len(spaces) < 2:
        raise InputError(f"There is {counted(len(spaces), 'space')}; expected 2 or more to compare.", parameter="spaces")
    names = [list(space.names) for space in spaces.values()]
    shared = [task for task in names[0] if all(task in others for others in names[1:])]
    if len(shared) < LEAST_TASKS:
        found = f": {listed(shared)}" if shared else ""
        raise InputError(
            f"The spaces share {counted(len(shared), 'task')}{found}; expected {LEAST_TASKS} or more. Build them from the same tasks.",
            parameter="spaces",
        )
    return shared, [[others.index(task) for task in shared] for others in names]


def _groups(spaces: Mapping[str, Any], tasks: Sequence[str], rows: Sequence[Sequence[int]]) -> list[str | None]:
    found = [[space.groups[place] for place in places] for space, places in zip(spaces.values(), rows, strict=True)]
    for name, groups in zip(spaces, found, strict=True):
        for task, group, first in zip(tasks, groups, found[0], strict=True):
            if group != first:
                raise InputError(
                    f"The task {task!r} has the group {first!r} in {next(iter(spaces))} and {group!r} in {name}. Build both from the same "
                    "tasks.",
                    parameter="spaces",
                )
    return found[0]


def _resampled(space: Any, places: Sequence[int]) -> Float[np.ndarray, "n_resamples n_pairs"]:
    """Similarities of the shared tasks in the resamples of a space; none where it has none."""
    if space.resampled is None:
        return np.zeros((0, len(places) * (len(places) - 1) // 2))
    return off_diagonal(np.asarray(space.resampled)[:, places][:, :, places].astype(np.float64))


def _in_step(drawn: Sequence[Float[np.ndarray, "_ n_pairs"]]) -> Float[np.ndarray, "n_resamples n_spaces n_pairs"]:
    """The resamples that all spaces have, and that are finite in all."""
    number = min(len(one) for one in drawn)
    together = np.stack([one[:number] for one in drawn], axis=1)
    return together[np.isfinite(together).all(axis=(1, 2))]


def _separation(matrix: Float[np.ndarray, "n n"], groups: Sequence[str | None], seed: int) -> Separation | None:
    known = [group for group in groups if group is not None]
    return within_between(matrix, groups, seed=seed) if 1 < len(set(known)) < len(known) else None


def _said(pair: SpacePair) -> str:
    corrected = f", {pair.corrected.value:.2f} of what noise allows" if np.isfinite(pair.corrected.value) else ""
    return f"rank correlation {pair.rsa}{corrected}"


def _areas(first: SpaceFacts, last: SpaceFacts) -> str:
    if first.separation is None or last.separation is None:
        return ""
    return f"; pairs within a group are the more alike ones with an AUC of {first.separation.auc} and {last.separation.auc}"
