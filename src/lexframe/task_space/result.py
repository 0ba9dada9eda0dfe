"""How the abilities of a model relate: a similarity for every two tasks, with its interval, and what else could explain it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from lexframe.artifacts import Artifact, Persistent
from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.text_forms import counted
from lexframe.verdicts import Verdict, Worth

if TYPE_CHECKING:
    import altair
    import pandas

LEAST_RELIABILITY = 0.1
"""Tasks whose halves agree less are left out: what they have in common with others cannot be told from noise."""
WEAK_RETEST = 0.5

Table = Float[np.ndarray, "n_tasks n_tasks"]
_TABLES = ("similarity", "low", "high", "overlap", "overlap_low", "overlap_high", "part_similarity", "resampled")


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is known of one task.

    Attributes
    ----------
    name : str
    group, field : str or None
        As the task has them.
    n_pairs, n_blocks : int
        Pairs that were used, and the blocks that they were put into.
    accuracy : Estimate
        Share of pairs whose better side the model finds more probable; ties count half.
    margin : Estimate
        Mean log-probability of the better side less that of the other, in nats.
    reliability : Estimate
        Expected cosine of the mean gradients of two halves of the pairs.
    unequal : float
        Share of pairs whose sides differ in their number of scored tokens.
    toward, away : tuple of (str, float)
        Vocabulary items whose bases the task's direction in the last state points to, and those that it points away from, with their
        similarity. Empty where the model has no frame.
    """

    name: str
    group: str | None
    field: str | None
    n_pairs: int
    n_blocks: int
    accuracy: Estimate
    margin: Estimate
    reliability: Estimate
    unequal: float = 0.0
    toward: tuple[tuple[str, float], ...] = ()
    away: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        names = ("name", "group", "field", "n_pairs", "n_blocks", "unequal", "toward", "away")
        estimates = {name: getattr(self, name).to_dict() for name in ("accuracy", "margin", "reliability")}
        return {name: plain(getattr(self, name)) for name in names} | estimates

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "TaskFacts":
        """Back from :meth:`to_dict`."""
        found: dict[str, Any] = {name: document[name] for name in ("name", "group", "field", "n_pairs", "n_blocks", "unequal")}
        found |= {name: Estimate.from_dict(document[name]) for name in ("accuracy", "margin", "reliability")}
        found |= {name: tuple((str(word), float(value)) for word, value in document[name]) for name in ("toward", "away")}
        return cls(**found)


@dataclass(frozen=True, slots=True)
class DroppedTask:
    """A task that is not in the space, and why.

    Attributes
    ----------
    name, reason : str
        The reason is a clause, such as "its reliability of .03 is below .1".
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class TaskSpace(WithPage, Persistent, Result):
    """The tasks of a model and their similarities.

    Attributes
    ----------
    tasks : tuple of TaskFacts
        In the order of rows and columns.
    dropped : tuple of DroppedTask
    similarity, low, high : ndarray of shape (n_tasks, n_tasks)
        Cosine of the tasks' mean gradients, corrected for attenuation, with its 95% interval over blocks of pairs. 1 on the diagonal. Noise
        can bring it above 1.
    resampled : ndarray of shape (n_resamples, n_tasks, n_tasks), float32
        The similarities when blocks are drawn anew.
    overlap, overlap_low, overlap_high : ndarray of shape (n_tasks, n_tasks)
        Share of the parameters with the largest gradients that two tasks have in common; on the diagonal two halves of one task.
    overlap_chance : float
        What two random choices share.
    parts : tuple of str
        Of the model, such as ``"block 3"``.
    part_similarity : ndarray of shape (n_parts, n_tasks, n_tasks)
        Similarity within each part; NaN where a task has no reliability in it.
    controls : dict of str to ndarray of shape (n_tasks, n_tasks)
        What the texts of the tasks share: ``words``, ``contrast`` and ``template``.
    retest : Estimate
        Correlation of the matrices from two halves of all pairs.
    error : float
        Standard error of a plain cosine that the sketch of the gradients adds.
    settings : dict
        What was measured, and how.
    notes : tuple of str
        What a reader has to know, a sentence each.
    provenance : Provenance
    """

    tasks: tuple[TaskFacts, ...]
    dropped: tuple[DroppedTask, ...]
    similarity: Table
    low: Table
    high: Table
    resampled: Float[np.ndarray, "n_resamples n_tasks n_tasks"]
    overlap: Table
    overlap_low: Table
    overlap_high: Table
    overlap_chance: float
    parts: tuple[str, ...]
    part_similarity: Float[np.ndarray, "n_parts n_tasks n_tasks"]
    controls: Mapping[str, Table]
    retest: Estimate
    error: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    artifact_kind: ClassVar[str] = "task-space"
    page: ClassVar[str] = "lexframe.task_space.page:task_space_report"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the tasks, in the order of rows."""
        return tuple(task.name for task in self.tasks)

    @property
    def groups(self) -> tuple[str | None, ...]:
        """Of the tasks, in the order of rows."""
        return tuple(task.group for task in self.tasks)

    @property
    def fields(self) -> tuple[str | None, ...]:
        """Of the tasks, in the order of rows."""
        return tuple(task.field for task in self.tasks)

    @property
    def n_tasks(self) -> int:
        """Tasks that are in the space."""
        return len(self.tasks)

    @property
    def verdict(self) -> Verdict:
        """Whether the same matrix comes out of other pairs."""
        found = f"{counted(self.n_tasks, 'task')} can be told from noise, {len(self.dropped)} cannot"
        if self.n_tasks < 2:
            return Verdict(Worth.WORTHLESS, f"{found}: give more pairs, or other tasks.")
        if self.n_tasks < 4 or np.isnan(self.retest.value):
            return Verdict(Worth.UNSURE, f"{found}: too few to say whether other pairs would give the same matrix.")
        reason = f"{found}. Matrices from two halves of the pairs correlate at {self.retest}."
        if not self.retest.value > 0:
            return Verdict(Worth.WORTHLESS, reason)
        return Verdict(Worth.HOLDS if self.retest.value >= WEAK_RETEST else Worth.UNSURE, reason)

    def neighbors(self, name: str, limit: int = 3) -> list[tuple[str, float, float, float]]:
        """The most similar other tasks, each with its similarity and the ends of the interval.

        Parameters
        ----------
        name : str
            Of a task.
        limit : int
            How many.

        Raises
        ------
        InputError
            If there is no such task in the space.
        """
        if name not in self.names:
            raise InputError(f"{name!r} is no task of this space; it has {', '.join(self.names[:12])}.", parameter="name")
        row = self.names.index(name)
        order = [other for other in np.argsort(-self.similarity[row], kind="stable") if other != row]
        return [(self.names[i], *(float(table[row, i]) for table in (self.similarity, self.low, self.high))) for i in order[:limit]]

    def summary(self) -> str:
        """The verdict, the two tasks that are most alike, and what was left out."""
        lines = [str(self.verdict)]
        if self.n_tasks > 1:
            apart = np.where(np.eye(self.n_tasks, dtype=bool), -np.inf, self.similarity)
            i, j = np.unravel_index(int(np.nanargmax(apart)), apart.shape)
            lines[0] += (
                f" Most alike are {self.names[i]} and {self.names[j]}: {self.similarity[i, j]:.2f} "
                f"[{self.low[i, j]:.2f}, {self.high[i, j]:.2f}]."
            )
        lines += [f"Left out: {each.name}: {each.reason}." for each in self.dropped]
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; resamples stay in the folder that :meth:`save` writes."""
        tables = {name: plain(getattr(self, name)) for name in _TABLES if name != "resampled"}
        return tables | self._facts() | {"controls": plain(dict(self.controls)), "provenance": self.provenance.to_dict()}

    def _facts(self) -> dict[str, Any]:
        return {
            "tasks": [task.to_dict() for task in self.tasks],
            "dropped": [{"name": each.name, "reason": each.reason} for each in self.dropped],
            "overlap_chance": plain(self.overlap_chance),
            "parts": list(self.parts),
            "retest": self.retest.to_dict() | {"n_tasks": self.retest.n_units},
            "error": plain(self.error),
            "settings": plain(dict(self.settings)),
            "notes": list(self.notes),
            "verdict": self.verdict.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row for every two tasks: similarity, overlap and what their texts share."""
        import pandas as pd

        i, j = np.triu_indices(self.n_tasks, k=1)
        names = np.array(self.names, dtype=object)
        table = {"task": names[i], "other": names[j]}
        table |= {name: getattr(self, name)[i, j] for name in ("similarity", "low", "high", "overlap")}
        return pd.DataFrame(table | {f"shared {name}": values[i, j] for name, values in self.controls.items()})

    def chart(self) -> "altair.LayerChart":
        """The matrix, ordered by clusters."""
        from lexframe.task_space.charts import matrix_chart

        return matrix_chart(self)

    def to_artifact(self) -> Artifact:
        """What is kept; see :class:`~lexframe.artifacts.Persistent`."""
        arrays = {name: np.asarray(getattr(self, name)) for name in _TABLES}
        arrays |= {f"controls.{name}": values for name, values in self.controls.items()}
        facts = self._facts()
        del facts["verdict"]
        return Artifact(self.artifact_kind, facts, arrays, self.provenance)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "TaskSpace":
        """Back from :meth:`to_artifact`."""
        facts = artifact.parameters
        retest = Estimate.from_dict(facts["retest"])
        return cls(
            tasks=tuple(map(TaskFacts.from_dict, facts["tasks"])),
            dropped=tuple(DroppedTask(**each) for each in facts["dropped"]),
            **{name: artifact.arrays[name] for name in _TABLES},
            overlap_chance=facts["overlap_chance"],
            parts=tuple(facts["parts"]),
            controls={name.removeprefix("controls."): array for name, array in artifact.arrays.items() if name.startswith("controls.")},
            retest=Estimate(retest.value, retest.low, retest.high, "tasks", facts["retest"]["n_tasks"]),
            error=facts["error"],
            settings=facts["settings"],
            notes=tuple(facts["notes"]),
            provenance=artifact.provenance,
        )
