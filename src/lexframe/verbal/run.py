"""A finished run: its parameters, how it came to them, what it cost, and what plain methods do on the same rows."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from lexframe.artifacts import Artifact, Persistent
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate, mean_over_items
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.text_forms import counted
from lexframe.verbal.asking import Failure
from lexframe.verbal.baselines import Score
from lexframe.verbal.clients.base import Client
from lexframe.verbal.clients.metered import Spent
from lexframe.verbal.history import Step
from lexframe.verbal.learner import Learner
from lexframe.verbal.losses import Predicted
from lexframe.verbal.obedience import Obedience
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.rows import Rows
from lexframe.verbal.settings import Settings
from lexframe.verbal.task import Sample, Task, stand_in_for
from lexframe.verdicts import Verdict, Worth, judged


@dataclass(frozen=True, slots=True, eq=False)
class VerbalRun(Result, WithPage, Persistent):
    """A model whose parameters are text, with all that led to it.

    Attributes
    ----------
    task : Task
    settings : Settings
    sample : Sample
        The training rows.
    test : Sample or None
        Rows that no prompt of training held; None where the rows that proposals were judged on stand in for them.
    parameters : Parameters
    loss : float
        Of these on the rows that proposals were judged on.
    first : tuple of (Parameters, float)
        Those that training began with, and their loss.
    steps : tuple of Step
    ended : str
        ``steps``, ``patience`` or ``budget``.
    held_out : ndarray of int
        Places of the training rows that proposals were judged on.
    failures : tuple of Failure
        Predictions that could not be read.
    centers : dict of str to ndarray
        See :class:`~lexframe.verbal.learner.Learner`.
    score : Score or None
        Of the model on `test`; None where the budget did not reach so far.
    baselines : tuple of Score
        Of plain methods on the same rows.
    obedience : Obedience or None
    spent : dict of str to Spent
        By purpose, and in all.
    client : str
        Who answered.
    notes : tuple of str
        What the reader should know.
    provenance : Provenance
    """

    artifact_kind: ClassVar[str] = "verbal-run"
    page: ClassVar[str] = "lexframe.verbal.page:run_report"

    task: Task
    settings: Settings
    sample: Sample
    test: Sample | None
    parameters: Parameters
    loss: float
    first: tuple[Parameters, float]
    steps: tuple[Step, ...]
    ended: str
    held_out: np.ndarray
    failures: tuple[Failure, ...]
    centers: dict[str, np.ndarray]
    score: Score | None
    baselines: tuple[Score, ...]
    obedience: Obedience | None
    spent: dict[str, Spent]
    client: str
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def tested(self) -> Sample:
        """Rows that scores are of."""
        return self.test if self.test is not None else self.sample.take(self.held_out)

    @property
    def is_verbal(self) -> bool | None:
        """Whether the model obeys texts; None where that was not measured."""
        return None if self.obedience is None else self.obedience.holds

    @property
    def stand_in(self) -> Any:
        """What stands in for an answer that cannot be used."""
        learned = np.setdiff1d(np.arange(len(self.sample)), self.held_out)
        return stand_in_for(self.task, self.sample.targets[learned if len(learned) else self.held_out])

    @property
    def prior_left_at(self) -> int | None:
        """The first step after which no chain's text holds the prior; None where it stayed, or there was none."""
        if not self.task.prior:
            return None
        kept: dict[int, bool] = {}
        for step in self.steps:
            kept.setdefault(step.number, False)
            kept[step.number] |= self.task.prior in step.kept.sentences
        return next((number for number, holds in sorted(kept.items()) if not holds), None)

    @property
    def n_proposals(self) -> int:
        """That could be read."""
        return sum(step.proposed is not None for step in self.steps)

    @property
    def best_baseline(self) -> Score | None:
        """Of the plain methods, the best on these rows."""
        if not self.baselines:
            return None
        sign = -1 if self.task.is_regression else 1
        return max(self.baselines, key=lambda each: sign * each.value.value)

    def gain_over(self, other: Score) -> Estimate | None:
        """How much better the model is than another method on the same rows: accuracy, or squared error less; None without a score."""
        if self.score is None:
            return None
        difference = self.score.by_row - other.by_row
        return mean_over_items(-difference if self.task.is_regression else difference)

    @property
    def verdict(self) -> Verdict:
        """Whether the model is of use: it has to beat the mean, or the most frequent label."""
        if self.score is None:
            return Verdict(Worth.WORTHLESS, "Nothing was scored: the budget ended first.")
        constant = self.baselines[0]
        gain = self.gain_over(constant)
        assert gain is not None
        what = "mean squared error" if self.task.is_regression else "accuracy"
        always = "the mean" if self.task.is_regression else "the most frequent label"
        figures = f"{what[0].upper()}{what[1:]} is {number(self.score.value.value)}, and always answering {always}"
        return judged(gain, f"{figures} gives {number(constant.value.value)}.")

    def summary(self) -> str:
        """What it is worth, what does better, what it cost."""
        sentences = [str(self.verdict)]
        if self.is_verbal is False:
            sentences.insert(0, "Not verbal: what a text says does not decide what this model answers.")
        best = self.best_baseline
        gain = None if best is None else self.gain_over(best)
        if best is not None and gain is not None:
            interval = gain.interval
            if interval is not None and interval[1] < 0:
                sentences.append(f"A plain method does better: {best.name}, {number(best.value.value)}.")
            elif interval is not None and interval[0] > 0:
                sentences.append(f"Better than every plain method, the best of which is {best.name}, {number(best.value.value)}.")
            else:
                sentences.append(f"These rows do not tell it from {best.name}, {number(best.value.value)}.")
        total = self.spent["all"]
        ended = {"steps": "", "patience": " It stopped early: no gain.", "budget": " The budget ended it."}[self.ended]
        taken = sum(step.accepted for step in self.steps)
        sentences.append(
            f"{counted(self.n_proposals, 'proposal')}, {taken} taken; {counted(total.calls, 'call')}, "
            f"{counted(total.tokens, 'token')}.{ended}"
        )
        return " ".join(sentences)

    def predict(self, rows: Any, client: Client | None = None) -> Predicted:
        """Predictions for other rows.

        Parameters
        ----------
        rows : Rows or array-like
        client : Client, optional
            Who answers; parameters that are executed need nobody.

        Raises
        ------
        InputError
            If somebody has to be asked and there is no client, or a column is missing.
        """
        if client is None:
            if self.parameters.program is None:
                raise InputError("These parameters are sentences, which only a language model can follow. Name the model that answers.")
            from lexframe.verbal.clients.scripted import ScriptedClient

            client = ScriptedClient(lambda request: "", name="nobody")
        learner = Learner(client, self.task, self.stand_in, self.settings.reading, centers=dict(self.centers))
        return learner.predict(self.parameters, self.sample.rows.like(rows))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as plain types."""
        return {
            "summary": self.summary(),
            "verdict": self.verdict.to_dict(),
            "is_verbal": self.is_verbal,
            "obedience": None if self.obedience is None else self.obedience.to_dict(),
            "parameters": self.parameters.to_dict(),
            "loss": self.loss,
            "first": {"parameters": self.first[0].to_dict(), "loss": self.first[1]},
            "steps": [step.to_dict() for step in self.steps],
            "ended": self.ended,
            "prior_left_at": self.prior_left_at,
            "score": None if self.score is None else self.score.value.to_dict(),
            "baselines": {each.name: each.value.to_dict() for each in self.baselines},
            "failures": [failure.to_dict() for failure in self.failures],
            "spent": {name: spent.to_dict() for name, spent in self.spent.items()},
            "n_rows": {"train": len(self.sample), "held_out": len(self.held_out), "tested": len(self.tested)},
            "task": self.task.to_dict(),
            "settings": self.settings.to_dict(),
            "client": self.client,
            "notes": list(self.notes),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> Any:
        """One row a step."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "step": step.number,
                    "chain": step.chain,
                    "outcome": step.outcome,
                    "loss_before": step.loss_before,
                    "loss_after": step.loss_after,
                    "batch_loss": step.batch_loss,
                    "calls": step.calls,
                    "parameters": None if step.proposed is None else step.proposed.text,
                    "reasoning": step.reasoning,
                }
                for step in self.steps
            ]
        )

    def chart(self) -> Any:
        """The loss over the steps: an Altair chart."""
        from lexframe.verbal.charts import loss_chart

        return loss_chart(self)

    def to_artifact(self) -> Artifact:
        """Everything, training rows included."""
        kept = self.to_dict()
        scores = [each for each in (self.score, *self.baselines) if each is not None]
        names = ("parameters", "loss", "first", "steps", "ended", "failures", "spent", "task", "settings")
        parameters = {name: kept[name] for name in names}
        parameters |= {
            "client": self.client,
            "notes": list(self.notes),
            "rows": self.sample.rows.to_dict(),
            "targets": self.sample.targets.tolist(),
            "test": None if self.test is None else {"rows": self.test.rows.to_dict(), "targets": self.test.targets.tolist()},
            "scores": [{"name": each.name, **each.value.to_dict()} for each in scores],
            "is_scored": self.score is not None,
            "obedience": kept["obedience"],
            "centers": sorted(self.centers),
        }
        arrays = {f"score-{place}": each.by_row for place, each in enumerate(scores)} | {"held_out": self.held_out.astype(np.int64)}
        arrays |= {f"center-{name}": center for name, center in self.centers.items()}
        return Artifact(self.artifact_kind, parameters, arrays, self.provenance)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "VerbalRun":
        """Back from :meth:`to_artifact`."""
        kept, arrays = artifact.parameters, artifact.arrays
        task = Task.from_dict(kept["task"])
        scores = [Score(each["name"], Estimate.from_dict(each), arrays[f"score-{place}"]) for place, each in enumerate(kept["scores"])]
        test = kept["test"]
        return cls(
            task=task,
            settings=Settings.from_dict(kept["settings"]),
            sample=_sample(task, kept["rows"], kept["targets"]),
            test=None if test is None else _sample(task, test["rows"], test["targets"]),
            parameters=Parameters.from_dict(kept["parameters"], task),
            loss=_float(kept["loss"]),
            first=(Parameters.from_dict(kept["first"]["parameters"], task), _float(kept["first"]["loss"])),
            steps=tuple(Step.from_dict(step, task) for step in kept["steps"]),
            ended=kept["ended"],
            held_out=arrays["held_out"],
            failures=tuple(Failure(**failure) for failure in kept["failures"]),
            centers={name: arrays[f"center-{name}"] for name in kept["centers"]},
            score=scores[0] if kept["is_scored"] else None,
            baselines=tuple(scores[1:] if kept["is_scored"] else scores),
            obedience=None if kept["obedience"] is None else Obedience.from_dict(kept["obedience"]),
            spent={name: Spent(**spent) for name, spent in kept["spent"].items()},
            client=kept["client"],
            notes=tuple(kept["notes"]),
            provenance=artifact.provenance,
        )


def number(value: float) -> str:
    """A figure in a sentence: three significant digits, as short as can be."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.3g}" if abs(value) < 1e4 else f"{value:.2e}"


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _sample(task: Task, rows: dict[str, Any], targets: list[Any]) -> Sample:
    values = np.empty(len(targets), dtype=np.float64 if task.is_regression else object)
    values[:] = targets
    return Sample(Rows.from_dict(rows), values)
