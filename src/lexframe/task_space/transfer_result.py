"""What tuning on tasks did to all tasks, as a result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from lexframe.artifacts import Artifact, Persistent
from lexframe.checks import plain
from lexframe.intervals import Estimate, t_interval
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.text_forms import counted
from lexframe.verdicts import Verdict, Worth, judged

if TYPE_CHECKING:
    import altair
    import pandas

Change = Float[np.ndarray, "n_arms n_sources n_targets"]
_ARRAYS = (
    "n_tested",
    "margin_before",
    "accuracy_before",
    "margin_after",
    "accuracy_after",
    "predicted",
    "bits_change",
    "length",
)
OWN_ARM, CONTROL = "differential", "random"


@dataclass(frozen=True, slots=True, eq=False)
class Transfer(WithPage, Persistent, Result):
    """What tuning on each source did to every target.

    Attributes
    ----------
    sources, targets : tuple of str
        Tasks that were tuned on, and those that were tested.
    groups : tuple of (str or None)
        Of the targets.
    arms : tuple of str
        Ways to tune; see :class:`TransferSettings`.
    n_tested : ndarray of int, shape (n_targets,)
        Pairs that were tested.
    margin_before, accuracy_before : ndarray of shape (n_targets,)
        Mean margin in nats, and the share of pairs whose better side is the more probable one, ties half.
    margin_after, accuracy_after : ndarray of shape (n_arms, n_sources, n_targets)
    predicted : ndarray of shape (n_arms, n_sources, n_targets)
        Change of the margin to first order.
    bits_before : Estimate
        Bits per byte of neutral texts.
    bits_change : ndarray of shape (n_arms, n_sources)
        Their change; above 0 is harm.
    length : ndarray of shape (n_sources,)
        How far the weights moved, the same in every arm.
    settings : dict
    notes : tuple of str
    provenance : Provenance
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    groups: tuple[str | None, ...]
    arms: tuple[str, ...]
    n_tested: Int[np.ndarray, " n_targets"]
    margin_before: Float[np.ndarray, " n_targets"]
    accuracy_before: Float[np.ndarray, " n_targets"]
    margin_after: Change
    accuracy_after: Change
    predicted: Change
    bits_before: Estimate
    bits_change: Float[np.ndarray, "n_arms n_sources"]
    length: Float[np.ndarray, " n_sources"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    artifact_kind: ClassVar[str] = "task-transfer"
    page: ClassVar[str] = "lexframe.task_space.transfer_page:transfer_report"

    @property
    def gain_margin(self) -> Change:
        """Change of the mean margin, in nats; it knows no ceiling."""
        return self.margin_after - self.margin_before

    @property
    def gain_logit(self) -> Change:
        """Change of the log-odds of the accuracy, which counts the same near the ceiling; half a pair is added to either side."""
        return self._log_odds(self.accuracy_after) - self._log_odds(self.accuracy_before)

    def _log_odds(self, accuracy: np.ndarray) -> np.ndarray:
        right = accuracy * self.n_tested + 0.5
        return np.asarray(np.log(right / (self.n_tested + 1 - right)), dtype=np.float64)

    def own(self, changes: Change) -> Float[np.ndarray, "n_arms n_sources"]:
        """Of every source, what became of itself.

        Parameters
        ----------
        changes : ndarray of shape (n_arms, n_sources, n_targets)
        """
        rows = [self.targets.index(name) for name in self.sources]
        return np.asarray(changes[:, np.arange(len(rows)), rows])

    def others(self, changes: Change, *, same_group: bool) -> Float[np.ndarray, "n_arms n_sources"]:
        """Of every source, the mean over other targets of its group, or of other groups; NaN where there is none.

        Parameters
        ----------
        changes : ndarray of shape (n_arms, n_sources, n_targets)
        same_group : bool
        """
        means = np.full(changes.shape[:2], np.nan)
        for row, name in enumerate(self.sources):
            group = self.groups[self.targets.index(name)]
            chosen = [
                i
                for i, (target, other) in enumerate(zip(self.targets, self.groups, strict=True))
                if target != name and (group is not None and other == group) == same_group
            ]
            if chosen:
                means[:, row] = changes[:, row, chosen].mean(axis=1)
        return means

    @property
    def verdict(self) -> Verdict:
        """Whether tuning within the largest differentials helps the task itself more than within as many random numbers."""
        first = self.arms.index(OWN_ARM) if OWN_ARM in self.arms else 0
        gains = self.own(self.gain_margin)
        gain = t_interval(gains[first], unit="tasks")
        reason = f"Tuned on, a task gains {gain} nats of its own margin ({self.arms[first]})"
        if CONTROL in self.arms and self.arms[first] != CONTROL:
            other = t_interval(gains[self.arms.index(CONTROL)], unit="tasks")
            over = t_interval(gains[first] - gains[self.arms.index(CONTROL)], unit="tasks")
            return judged(over, f"{reason}, and {other} where as many random parameters move equally far.")
        verdict = judged(gain, f"{reason}.")
        return Verdict(min(verdict.worth, Worth.UNSURE, key=[Worth.WORTHLESS, Worth.UNSURE, Worth.HOLDS].index), verdict.reason)

    def summary(self) -> str:
        """The verdict, what others gain, and the price in bits per byte, an arm a line."""
        lines = [f"{counted(len(self.sources), 'task')} tuned on, {len(self.targets)} tested. {self.verdict}"]
        for row, arm in enumerate(self.arms):
            near, far = (self.others(self.gain_margin, same_group=same)[row] for same in (True, False))
            parts = [f"itself {self.own(self.gain_margin)[row].mean():+.3f}"]
            parts += [
                f"{name} {np.nanmean(values):+.3f}" for name, values in (("its group", near), ("others", far)) if not np.isnan(values).all()
            ]
            lines.append(f"{arm}: {', '.join(parts)} nats; {self.bits_change[row].mean():+.4f} bits per byte of neutral text.")
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return self._facts() | {name: plain(getattr(self, name)) for name in _ARRAYS} | {"provenance": self.provenance.to_dict()}

    def _facts(self) -> dict[str, Any]:
        names = ("sources", "targets", "groups", "arms", "notes")
        facts = {name: list(getattr(self, name)) for name in names}
        return facts | {
            "bits_before": self.bits_before.to_dict(),
            "settings": plain(dict(self.settings)),
            "verdict": self.verdict.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row for every arm, source and target."""
        import pandas as pd

        shape = self.margin_after.shape
        arms, sources, targets = (np.array(each, dtype=object) for each in (self.arms, self.sources, self.targets))
        where = np.indices(shape).reshape(3, -1)
        columns: dict[str, Any] = {"arm": arms[where[0]], "source": sources[where[1]], "target": targets[where[2]]}
        columns |= {name: getattr(self, name).ravel() for name in ("gain_margin", "predicted", "gain_logit", "accuracy_after")}
        return pd.DataFrame(columns | {"bits_change": np.repeat(self.bits_change.ravel(), shape[2])})

    def chart(self) -> "altair.Chart":
        """Gains of targets by sources."""
        from lexframe.task_space.charts import transfer_chart

        return transfer_chart(self)

    def to_artifact(self) -> Artifact:
        """What is kept; see :class:`~lexframe.artifacts.Persistent`."""
        facts = self._facts()
        del facts["verdict"]
        return Artifact(self.artifact_kind, facts, {name: np.asarray(getattr(self, name)) for name in _ARRAYS}, self.provenance)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "Transfer":
        """Back from :meth:`to_artifact`."""
        facts = artifact.parameters
        values: dict[str, Any] = {name: tuple(facts[name]) for name in ("sources", "targets", "groups", "arms", "notes")}
        values |= {name: artifact.arrays[name] for name in _ARRAYS}
        return cls(
            **values,
            bits_before=Estimate.from_dict(facts["bits_before"]),
            settings=facts["settings"],
            provenance=artifact.provenance,
        )
