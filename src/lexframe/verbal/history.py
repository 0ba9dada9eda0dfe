"""What happened in training: every step with the text it proposed, whether it was taken, and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lexframe.verbal.asking import Failure
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.task import Task


@dataclass(frozen=True, slots=True)
class Step:
    """One proposal.

    Attributes
    ----------
    number : int
        From 1.
    chain : int
        Of the population, from 0.
    parent, proposed : Parameters
        Those it began with; those proposed, or None where no answer could be read.
    reasoning : str
        The optimizer's own words.
    batch_loss : float
        Of the parent on the batch.
    loss_before, loss_after : float
        On held-out rows; NaN after a step without a proposal.
    accepted : bool
    failures : tuple of Failure
        Answers of the optimizer that could not be read.
    calls : int
        Spent so far, by the whole run, when this step had ended.
    """

    number: int
    chain: int
    parent: Parameters
    proposed: Parameters | None
    reasoning: str
    batch_loss: float
    loss_before: float
    loss_after: float
    accepted: bool
    failures: tuple[Failure, ...]
    calls: int

    @property
    def kept(self) -> Parameters:
        """Those that the chain went on with."""
        return self.proposed if self.accepted and self.proposed is not None else self.parent

    @property
    def outcome(self) -> str:
        """``accepted``, ``refused``, ``unreadable``, or ``not judged`` where the budget ended before that."""
        if self.proposed is None:
            return "unreadable"
        return "accepted" if self.accepted else "refused" if self.loss_after == self.loss_after else "not judged"

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return {
            "number": self.number,
            "chain": self.chain,
            "parent": self.parent.to_dict(),
            "proposed": None if self.proposed is None else self.proposed.to_dict(),
            "reasoning": self.reasoning,
            "batch_loss": self.batch_loss,
            "loss_before": self.loss_before,
            "loss_after": self.loss_after,
            "accepted": self.accepted,
            "failures": [failure.to_dict() for failure in self.failures],
            "calls": self.calls,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any], task: Task) -> "Step":
        """Back from :meth:`to_dict`."""
        nan = float("nan")
        losses = {name: nan if document[name] is None else float(document[name]) for name in ("batch_loss", "loss_before", "loss_after")}
        proposed = document["proposed"]
        return cls(
            **document
            | losses
            | {
                "parent": Parameters.from_dict(document["parent"], task),
                "proposed": None if proposed is None else Parameters.from_dict(proposed, task),
                "failures": tuple(Failure(**failure) for failure in document["failures"]),
            }
        )


def best_texts(first: tuple[Parameters, float], steps: Sequence[Step], k: int) -> tuple[tuple[Parameters, float], ...]:
    """The `k` texts of the lowest held-out loss so far, the best first; of equal ones the earliest.

    Parameters
    ----------
    first : tuple of (Parameters, float)
        Those that training began with; left out where they were not judged, their loss being NaN.
    steps : sequence of Step
    k : int
    """
    losses: dict[str, tuple[Parameters, float]] = {first[0].digest: first} if first[1] == first[1] else {}
    for step in steps:
        if step.proposed is not None and step.loss_after == step.loss_after:
            losses.setdefault(step.proposed.digest, (step.proposed, step.loss_after))
    return tuple(sorted(losses.values(), key=lambda pair: pair[1])[:k])
