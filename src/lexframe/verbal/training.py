"""The loop: predict a batch, ask for better parameters, judge them on held-out rows, take them or go back.

Xiao, Bamler, Schölkopf, Liu (2024), Verbalized Machine Learning, arXiv:2406.04344, algorithm 1; held-out rows, acceptance and populations
are added. Everything is decided by the seed and the answers, so a run whose answers are kept goes on where it ended.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from lexframe.verbal.asking import Failure, run_together
from lexframe.verbal.clients.metered import BudgetSpentError, MeteredClient
from lexframe.verbal.history import Step, best_texts
from lexframe.verbal.learner import Learner
from lexframe.verbal.losses import Predicted, loss_name, residuals, row_losses
from lexframe.verbal.optimizers.base import Asked, Past, Proposal, TrainingView
from lexframe.verbal.optimizers.registry import optimizer_named
from lexframe.verbal.parameters import Parameters, first_parameters
from lexframe.verbal.prompts import Seen
from lexframe.verbal.selection import acceptance_named, resampled
from lexframe.verbal.settings import Settings
from lexframe.verbal.task import Sample, Task, stand_in_for

LEAST_HELD_OUT = 2
NAN = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training came to.

    Attributes
    ----------
    parameters : Parameters
        Those to predict with.
    loss : float
        Of these on held-out rows.
    first : tuple of (Parameters, float)
        Those that training began with, and their loss.
    steps : tuple of Step
    ended : str
        ``steps``, ``patience`` or ``budget``.
    held_out : ndarray of int
        Places of the rows that proposals were judged on.
    failures : tuple of Failure
        Predictions that could not be read, and proposals of a step that the budget did not let end.
    learner : Learner
        Predicts with these parameters.
    """

    parameters: Parameters
    loss: float
    first: tuple[Parameters, float]
    steps: tuple[Step, ...]
    ended: str
    held_out: Int[np.ndarray, " n"]
    failures: tuple[Failure, ...]
    learner: Learner


@dataclass(frozen=True, slots=True)
class _Chain:
    parameters: Parameters
    loss: float
    past: tuple[Past, ...] = ()


def split_rows(task: Task, targets: np.ndarray, part: float, seed: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """Places of rows to learn from and of rows to judge on, at random; of every label as equal a part as its number allows.

    Parameters
    ----------
    task : Task
    targets : ndarray of shape (n_rows,)
    part : float
        To judge on.
    seed : int

    Returns
    -------
    learned, judged : ndarray of int
        In the order of the rows. Both are all rows where the part is 0 or there are too few.
    """
    n = len(targets)
    every = np.arange(n)
    if part == 0 or round(n * part) < LEAST_HELD_OUT or n - round(n * part) < 1:
        return every, every
    order = np.random.default_rng([seed, 0]).permutation(n)
    if not task.is_regression:  # every label comes up as early as any other, so that a first part holds them all
        turn: Counter[Any] = Counter()
        places: list[tuple[float, int]] = []
        for row in order:
            places.append((turn[targets[row]] / max((targets == targets[row]).sum(), 1), len(places)))
            turn[targets[row]] += 1
        order = order[[place for _, place in sorted(places)]]
    judged = np.sort(order[: round(n * part)])
    return np.setdiff1d(every, judged), judged


def batches(n_rows: int, size: int, *, shuffles: bool, seed: int) -> Iterator[Int[np.ndarray, " n"]]:
    """Places of batches without end: every row once an epoch, the last batch of an epoch filled up from the next.

    Parameters
    ----------
    n_rows, size : int
    shuffles : bool
    seed : int
    """
    generator = np.random.default_rng([seed, 1])
    waiting = np.zeros(0, dtype=np.int64)
    while True:
        while len(waiting) < min(size, n_rows):
            epoch = generator.permutation(n_rows) if shuffles else np.arange(n_rows)
            waiting = np.concatenate([waiting, epoch])
        yield waiting[: min(size, n_rows)]
        waiting = waiting[min(size, n_rows) :]


class Training:
    """One run of training; see :func:`train`.

    Parameters
    ----------
    client : MeteredClient
    task : Task
    sample : Sample
        The training rows; no other row is ever seen.
    settings : Settings
    """

    def __init__(self, client: MeteredClient, task: Task, sample: Sample, settings: Settings):
        self.client, self.task, self.settings = client, task, settings
        self.optimizer = optimizer_named(settings.proposing.optimizer)
        self.acceptance = acceptance_named(settings.selection.acceptance, settings.selection.selection_temperature)
        self.learned, self.held_out = split_rows(task, sample.targets, settings.steps.held_out, settings.seed)
        self.sample, self.judges = sample.take(self.learned), sample.take(self.held_out)
        self.judges_apart = settings.steps.held_out > 0
        stand_in = stand_in_for(task, self.sample.targets)
        self.learner = Learner(client, task, stand_in, settings.reading)
        self.start = first_parameters(task, stand_in)
        self.steps: list[Step] = []
        self.first: tuple[Parameters, float] = (self.start, NAN)
        self.chains: list[_Chain] = []
        self.generator = np.random.default_rng([settings.seed, 2])
        self.unfinished: list[Failure] = []

    def run(self, watch: Callable[[Step], None] | None = None) -> Trained:
        """Train until the steps, the patience or the budget end."""
        ended = "steps"
        try:
            first_loss = self._judged(self.start, None)[0] if self.judges_apart else NAN
            self.first = (self.start, first_loss)
            self.chains = [_Chain(self.start, first_loss)] * self.settings.selection.population
            sizes = self.settings.steps
            drawn = batches(len(self.sample), sizes.batch_size, shuffles=sizes.shuffles, seed=self.settings.seed)
            for number in range(1, sizes.steps + 1):
                self._step(number, self.sample.take(next(drawn)), watch)
                if sizes.patience and self._without_gain() >= sizes.patience:
                    ended = "patience"
                    break
        except BudgetSpentError:
            ended = "budget"
        best = best_texts(self.first, self.steps, 1)
        keeps_best = self.acceptance.keeps_best and self.judges_apart and best  # losses on different batches do not compare
        last = self.chains[0] if self.chains else _Chain(*self.first)
        parameters, loss = best[0] if keeps_best else (last.parameters, last.loss)
        return Trained(
            parameters, loss, self.first, tuple(self.steps), ended, self.held_out, (*self.learner.failures, *self.unfinished), self.learner
        )

    def _step(self, number: int, batch: Sample, watch: Callable[[Step], None] | None) -> None:
        predicted: dict[str, Predicted] = {}
        for chain in self.chains:
            if self.optimizer.reads_rows and chain.parameters.digest not in predicted:
                predicted[chain.parameters.digest] = self._read(chain.parameters, batch)
        losses = {digest: float(row_losses(self.task, found, batch.targets).mean()) for digest, found in predicted.items()}
        if not self.judges_apart:
            self.chains = [replace(chain, loss=losses.get(chain.parameters.digest, chain.loss)) for chain in self.chains]
            if number == 1:
                self.first = (self.start, self.chains[0].loss)
        views = [self._view(number, place, chain, batch, predicted.get(chain.parameters.digest)) for place, chain in enumerate(self.chains)]
        proposals: list[Proposal] = run_together(
            self.client, [self.optimizer.propose(view) for view in views], tries=self.settings.reading.tries, failed=self.unfinished
        )
        self.unfinished = []  # each step holds its own from here on
        spent: BudgetSpentError | None = None
        for place, (chain, proposal) in enumerate(zip(self.chains, proposals, strict=True)):
            after, accepted = NAN, False
            if proposal.parameters is not None and spent is None:
                try:
                    after, accepted = self._decided(chain, proposal.parameters, batch)
                except BudgetSpentError as error:  # what was proposed is kept, though nobody judged it
                    spent = error
            step = Step(
                number, place, chain.parameters, proposal.parameters, proposal.reasoning, losses.get(chain.parameters.digest, NAN),
                chain.loss, after, accepted, proposal.failures, self.client.spent.calls,
            )  # fmt: skip
            self.steps.append(step)
            if watch is not None:
                watch(step)
            past = (*chain.past, Past(proposal.question, proposal.reply, chain.loss, after, accepted))
            kept = past[max(len(past) - self.settings.proposing.history, 0) :] if proposal.parameters is not None else chain.past
            self.chains[place] = _Chain(step.kept, after if accepted else chain.loss, kept)
        if spent is not None:
            raise spent
        if len(self.chains) > 1:
            chosen = resampled([chain.loss for chain in self.chains], self.settings.selection.selection_temperature, self.generator)
            self.chains = [self.chains[place] for place in chosen]

    def _decided(self, chain: _Chain, proposed: Parameters, batch: Sample) -> tuple[float, bool]:
        """The loss of a proposal, and whether it is taken; one that cannot be told from the current ones costs no call."""
        if proposed.digest == chain.parameters.digest:
            return chain.loss, True
        if not self.judges_apart and not self.acceptance.keeps_best and self.learner.calls(proposed, 1):
            return NAN, True  # as published: whatever is proposed is taken, and nothing is spent on judging it
        loss, finite = self._judged(proposed, batch)
        return loss, finite and self.acceptance.accepts(chain.loss, loss, self.generator)

    def _judged(self, parameters: Parameters, batch: Sample | None) -> tuple[float, bool]:
        """Mean loss on the rows that proposals are judged on, and whether it is a number."""
        rows = self.judges if self.judges_apart or batch is None else batch
        predicted = self.learner.center_on(parameters, rows.rows)
        loss = float(row_losses(self.task, predicted, rows.targets).mean())
        return loss, bool(np.isfinite(loss))

    def _read(self, parameters: Parameters, batch: Sample) -> Predicted:
        return self.learner.predict(parameters, batch.rows) if self.judges_apart else self.learner.center_on(parameters, batch.rows)

    def _view(self, number: int, place: int, chain: _Chain, batch: Sample, predicted: Predicted | None) -> TrainingView:
        proposing = self.settings.proposing
        wrong = np.zeros(len(batch)) if predicted is None else residuals(self.task, predicted, batch.targets)
        seen = tuple(
            Seen(
                batch.rows.shown(row, self.task.digits),
                "" if predicted is None else self.task.target_text(predicted.values[row]),
                self.task.target_text(batch.targets[row]),
                float(wrong[row]),
            )
            for row in range(len(batch))
        )
        seed = (self.settings.seed * 1_000_000 + number * 1_000 + place) % 2**31
        asked = Asked(proposing.proposal_tokens, proposing.proposal_temperature, seed, proposing.constrained and self.client.constrains)
        best = best_texts(self.first, self.steps, proposing.best) if self.first[1] == self.first[1] else ()
        name = loss_name(self.task, has_probabilities=self.learner.has_probabilities(self.start))
        return TrainingView(self.task, chain.parameters, seen, best, chain.past, name, asked)

    def _without_gain(self) -> int:
        """Steps since the loss last became lower."""
        lowest, at = self.first[1], 0
        for step in self.steps:
            if step.loss_after < lowest or lowest != lowest:
                lowest, at = step.loss_after, step.number
        return self.steps[-1].number - at if self.steps else 0


def train(client: MeteredClient, task: Task, sample: Sample, settings: Settings, *, watch: Callable[[Step], None] | None = None) -> Trained:
    """Train parameters that are text.

    Parameters
    ----------
    client : MeteredClient
        Asked for predictions and for proposals; its budget ends training early, with the best parameters so far.
    task : Task
    sample : Sample
        The training rows, of which some are held out to judge on; no other row is ever seen.
    settings : Settings
    watch : callable, optional
        Called with every step.

    Returns
    -------
    Trained

    Raises
    ------
    ClientError
        If the client gives no answer. What was answered is kept, where it is kept at all.
    """
    return Training(client, task, sample, settings).run(watch)
