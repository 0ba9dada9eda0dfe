"""Whether a model's tasks change step by step or in stages."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from lexframe.checks import plain
from lexframe.intervals import Estimate
from lexframe.task_space.reading.agreement import noise_ceiling, whole_reliability
from lexframe.task_space.reading.matrices import drawn_estimate

LEAST_RESAMPLES = 20
"""With fewer no p can be small."""


@dataclass(frozen=True, slots=True)
class StageTest:
    """Whether the steps from space to space are unequal beyond noise, as they would be if tasks came in stages.

    Attributes
    ----------
    steps : tuple of (str, str)
        From which space to which, in the order given.
    changes : tuple of Estimate
        1 minus the corrected correlation, one a step; below 0 where noise is all there is. Intervals are over draws of pairs.
    largest : int
        Place of the largest change.
    share : Estimate
        Its part of all changes, those below 0 taken as 0; NaN where none is above.
    p : float
        Share of resamples in which, were all steps equal, the largest would stand out as far from their mean.
    n_resamples : int
    """

    steps: tuple[tuple[str, str], ...]
    changes: tuple[Estimate, ...]
    largest: int
    share: Estimate
    p: float
    n_resamples: int

    def summary(self) -> str:
        """The largest step, and whether it can be told from the others."""
        if np.isnan(self.share.value):
            return "No step changes the space beyond what noise would."
        first, second = self.steps[self.largest]
        equal = 1 / len(self.steps)
        text = f"The largest step, {first} to {second}, is {self.share.value:.0%} of all change"
        if self.share.interval is not None:
            text += f" [{self.share.low:.0%}, {self.share.high:.0%}]"
        text += f"; equal steps would be {equal:.0%} each (p = {self.p:.2g})"
        if self.p >= 0.05:
            return f"{text}. That is no evidence of stages: noise makes steps as unequal, and it does not show that there are none."
        return f"{text}. The steps are unequal beyond noise; that speaks of stages only if the spaces lie equally far apart in training."

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "steps": plain(self.steps),
            "changes": [change.to_dict() for change in self.changes],
            "largest": self.largest,
            "share": self.share.to_dict(),
            "p": plain(self.p),
            "n_resamples": self.n_resamples,
        }


def stage_test(
    names: Sequence[str],
    values: Float[np.ndarray, "n_spaces n_pairs"],
    resampled: Float[np.ndarray, "n_resamples n_spaces n_pairs"],
    retests: Sequence[float],
) -> StageTest | None:
    """Whether one step from space to space is larger than the others by more than noise makes it.

    A resample of the pairs of texts holds their noise twice, once from the texts and once from the draw: it is as reliable as half of
    the pairs, and its changes are corrected by that. How changes vary over resamples is laid around the changes that were found. Were
    all steps equal, the largest would stand out from their mean as far as the largest of these variations does, so that choosing it is
    part of the test.

    Parameters
    ----------
    names : sequence of str
        Of the spaces, in order.
    values : ndarray of shape (n_spaces, n_pairs)
        Similarities off the diagonal.
    resampled : ndarray of shape (n_resamples, n_spaces, n_pairs)
        The same in resamples, drawn alike for all spaces where they were read from the same texts.
    retests : sequence of float
        How two halves of the pairs of texts agree in each space.

    Returns
    -------
    StageTest or None
        None where there are fewer than two steps, or what a test needs: 20 resamples, and spaces that are repeatable.
    """
    if len(names) < 3 or len(resampled) < LEAST_RESAMPLES or not all(retest > 0 for retest in retests):
        return None
    changes = _changes(values[np.newaxis], [whole_reliability(retest) for retest in retests])[0]
    drawn = _changes(resampled, retests)
    noise = drawn - drawn.mean(axis=0)
    if not np.isfinite(changes).all() or not np.isfinite(noise).all():
        return None
    largest = int(changes.argmax())
    excess = (noise - noise.mean(axis=1, keepdims=True)).max(axis=1)
    count = int((excess >= changes[largest] - changes.mean() - 1e-12).sum())
    shares = _shares(np.vstack([changes, changes + noise]))[:, largest]
    return StageTest(
        steps=tuple(pairwise(names)),
        changes=tuple(
            drawn_estimate(float(change), change + column, "draws of pairs") for change, column in zip(changes, noise.T, strict=True)
        ),
        largest=largest,
        share=drawn_estimate(float(shares[0]), shares[1:], "draws of pairs"),
        p=(1 + count) / (1 + len(noise)),
        n_resamples=len(noise),
    )


def _changes(values: Float[np.ndarray, "n_rows n_spaces n_pairs"], reliabilities: Sequence[float]) -> Float[np.ndarray, "n_rows n_steps"]:
    """1 minus the corrected rank correlation of each space with the next; NaN where a space has one value for all pairs."""
    ranks = scipy.stats.rankdata(values, axis=2)
    ranks -= ranks.mean(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):
        ranks /= np.linalg.norm(ranks, axis=2, keepdims=True)
    ceilings = np.array([noise_ceiling(one, other) for one, other in pairwise(reliabilities)])
    return 1 - (ranks[:, 1:] * ranks[:, :-1]).sum(axis=2) / ceilings


def _shares(changes: Float[np.ndarray, "n_rows n_steps"]) -> Float[np.ndarray, "n_rows n_steps"]:
    risen = np.maximum(changes, 0.0)
    with np.errstate(invalid="ignore"):
        return risen / risen.sum(axis=1, keepdims=True)
