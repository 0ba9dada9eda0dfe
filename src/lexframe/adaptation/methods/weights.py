"""What the methods that change weights share: rate and number of steps are chosen inside the labels, then all of them train."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lexframe.adaptation.methods.extras import extra_obstacle
from lexframe.adaptation.methods.label_readouts import LabelReadout, count_reached, label_readout, scores_of, weights_obstacle
from lexframe.adaptation.methods.optimizing import Course, optimize, readout_loss, split_rows
from lexframe.adaptation.problem import Method, Probabilities, Problem, Rows
from lexframe.exceptions import InputError
from lexframe.linalg import softmax
from lexframe.seeding import seeded
from lexframe.spaces.base import Space
from lexframe.spaces.precision import fastest_precision
from lexframe.spaces.tokenization import TokenizedText

LEAST_TO_CHOOSE = 16
"""Labels of a class from which some of it is held out to choose rate and steps on: a fifth of fewer picks by luck."""

_MOST_EPOCHS = 20
_LOOKS = 10  # at the held-out texts, spread over a run
_PATIENCE = 3  # looks without a better log-loss, after which a run ends
_LOOKS_TO_CATCH_UP = 2  # after them a rate that is behind another is given up


@dataclass
class TrainedReadout:
    """A trained copy of a model; see :class:`~lexframe.adaptation.problem.Classifier`.

    Attributes
    ----------
    readout : LabelReadout
    problem : Problem
    n_parameters : int
        Numbers that training could change and that the answer depends on.
    choices : dict
    """

    readout: LabelReadout
    problem: Problem
    n_parameters: int
    choices: dict[str, Any]

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probability of each label: every text goes through the trained model."""
        if not len(rows):
            return np.zeros((0, self.problem.n_labels))
        texts = self.readout.network.tokenize(self.problem.texts(rows))
        return softmax(scores_of(self.readout, texts, self.problem.encoded.batch_size))


class WeightMethod(Method):
    """Trains weights on label scores; a method says which, and within which learning rates.

    Rate and number of steps are chosen inside the training labels: every rate is tried on four fifths of them, the
    log-loss of the held-out fifth says after how many steps to stop (none at all included), and the best pair trains on
    all labels. The middle rate goes first, and one that is behind another after a fifth of its run is given up. A class with
    fewer than 16 labels stays in training; unless two have as many, nothing is held out, and the middle rate and 20 epochs are
    taken.

    Parameters
    ----------
    learning_rates : sequence of float
        Full rates of AdamW to try.
    max_steps : int
        Most steps of one run; there is one run a rate and one on all labels. 20 epochs are the other limit. With many
        labels it decides how much of them is seen at all: `max_steps` times `batch_size` texts.
    batch_size : int
        Texts in one step, of like length.

    Notes
    -----
    The rate rises over the first tenth of a run and falls to zero at its limit, in straight lines. Gradients are clipped
    at norm 1. Weights are kept and moved in float32 whatever the precision of the model, on its device; matrix products of
    training are in bfloat16 where the machine is faster at it (`choices` says so), those of the answer in float32.
    """

    family = "weights"
    extra: ClassVar[str | None] = None
    weight_decay: ClassVar[float] = 0.0

    def __init__(self, *, learning_rates: Sequence[float], max_steps: int, batch_size: int):
        if not learning_rates or min(learning_rates) <= 0:
            raise InputError(f"learning_rates is {list(learning_rates)}; give one or more positive numbers.")
        if max_steps < 0 or batch_size < 1:
            raise InputError(f"max_steps is {max_steps} and batch_size {batch_size}; they must be at least 0 and 1.")
        self.learning_rates = tuple(sorted(learning_rates))
        self.max_steps, self.batch_size = max_steps, batch_size

    def obstacle(self, space: Space) -> str | None:
        """Needs a model whose weights can be trained, and the package that trains them."""
        return weights_obstacle(space) or extra_obstacle(self.extra)

    @abstractmethod
    def open_weights(self, readout: LabelReadout) -> None:
        """Leave `requires_grad` on what is to be trained in the readout's model, adding modules if need be."""

    def fit(self, problem: Problem) -> TrainedReadout:
        """Choose rate and steps inside the labels, then train a copy of the model on all of them."""
        readout = self._opened(problem)
        texts = readout.network.tokenize(problem.texts(problem.rows))
        rate, steps, choices = self._choose(problem, texts)
        done = 0
        if steps:
            course = self._course(problem, rate, horizon=choices["horizon"], steps=steps)
            with seeded(problem.seed):
                done = max(optimize(readout, texts, problem.y, course), default=0)
        if done < steps or (steps and not np.isfinite(scores_of(readout, texts[: self.batch_size], self.batch_size)).all()):
            raise InputError(f"{self.name} diverged after {done} steps at learning rate {rate:g}. Give smaller learning_rates.")
        n_parameters = count_reached(readout.eval(), texts[: self.batch_size])
        readout.requires_grad_(False)
        return TrainedReadout(readout, problem, n_parameters, choices)

    def _opened(self, problem: Problem) -> LabelReadout:
        """A fresh copy, ready to train; what an adapter draws at random depends on the seed alone."""
        readout = label_readout(problem)
        with seeded(problem.seed):
            self.open_weights(readout)
        return readout

    def _course(self, problem: Problem, rate: float, *, horizon: int, steps: int) -> Course:
        return Course(rate, horizon, steps, self.batch_size, self.weight_decay, problem.seed)

    def _horizon(self, n_texts: int) -> int:
        return min(self.max_steps, _MOST_EPOCHS * math.ceil(n_texts / self.batch_size))

    def _choose(self, problem: Problem, texts: list[TokenizedText]) -> tuple[float, int, dict[str, Any]]:
        products = fastest_precision(problem.space.device.partition(":")[0])
        settings = {"max_steps": self.max_steps, "batch_size": self.batch_size, "products": products}
        counts = np.bincount(problem.y)
        if (counts >= LEAST_TO_CHOOSE).sum() < 2:  # of a single class, whatever always names it would look best
            rate = self.learning_rates[len(self.learning_rates) // 2]
            horizon = self._horizon(len(texts))
            how = f"fixed: fewer than two classes with {LEAST_TO_CHOOSE} labels"
            return rate, horizon, {"learning_rate": rate, "steps": horizon, "horizon": horizon, "chosen_by": how, **settings}
        train, held_out = split_rows(problem.y, problem.seed, least=LEAST_TO_CHOOSE)
        horizon = self._horizon(len(train))
        tried: dict[float, dict[int, float]] = {}
        for rate in middle_first(self.learning_rates):
            tried[rate] = self._try(problem, texts, rate, horizon, train, held_out, rivals=list(tried.values()))
        rate = min(tried, key=lambda rate: min(tried[rate].values()))
        steps = min(tried[rate], key=tried[rate].__getitem__)
        return (
            rate,
            steps,
            {
                "learning_rate": rate,
                "steps": steps,
                "horizon": horizon,
                "chosen_by": f"log-loss of {len(held_out)} of {len(texts)} labeled texts, held out",
                "held_out_log_loss": {f"{tested:g}": min(losses.values()) for tested, losses in tried.items()},
                "held_out_log_loss_before": tried[rate][0],
                **settings,
            },
        )

    def _try(
        self,
        problem: Problem,
        texts: list[TokenizedText],
        rate: float,
        horizon: int,
        train: np.ndarray,
        held_out: np.ndarray,
        *,
        rivals: list[dict[int, float]],
    ) -> dict[int, float]:
        """Held-out log-loss by number of steps, 0 included, until it has not improved for a while or a rival stays ahead."""
        readout = self._opened(problem)
        unseen = [texts[row] for row in held_out]
        losses = {0: readout_loss(readout, unseen, problem.y[held_out], self.batch_size)}
        course = self._course(problem, rate, horizon=horizon, steps=horizon)
        every = max(1, horizon // _LOOKS)
        with seeded(problem.seed):
            for step in optimize(readout, [texts[row] for row in train], problem.y[train], course):
                if step % every:
                    continue
                losses[step] = readout_loss(readout, unseen, problem.y[held_out], self.batch_size)
                if step - min(losses, key=losses.__getitem__) >= _PATIENCE * every:
                    break
                if step >= _LOOKS_TO_CATCH_UP * every and min(losses.values()) > min(
                    (best_until(rival, step) for rival in rivals), default=math.inf
                ):
                    break
        return losses


def middle_first(rates: Sequence[float]) -> list[float]:
    """Rates by their distance from the middle one, so that the likeliest sets the mark for the others."""
    middle = len(rates) // 2
    return [rates[i] for i in sorted(range(len(rates)), key=lambda i: abs(i - middle))]


def best_until(losses: dict[int, float], step: int) -> float:
    """The lowest loss of a run in its first `step` steps."""
    return min(loss for taken, loss in losses.items() if taken <= step)
