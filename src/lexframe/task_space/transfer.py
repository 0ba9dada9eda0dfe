"""What tuning on one task does to all others: measured, beside what first order says of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lexframe.checks import checked_texts, plain
from lexframe.exceptions import DataError, InputError
from lexframe.instruments.directions.neutral_texts import NEUTRAL_TEXTS
from lexframe.intervals import ratio_over_items
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress
from lexframe.spaces.base.training import GradientSpace, ScoredTokens, SequenceNetwork
from lexframe.task_space.building import LEAST_PAIRS
from lexframe.task_space.gradients import in_passes, log_probabilities, mean_gradient, trained_parameters
from lexframe.task_space.layout import Layout
from lexframe.task_space.settings import TransferSettings
from lexframe.task_space.tasks import Task, checked_tasks
from lexframe.task_space.token_pairs import TokenPair, tokenized
from lexframe.task_space.transfer_result import Transfer
from lexframe.task_space.tuning import ARMS, Arm, arm_masks, largest, masked_norm, tune, weights_kept
from lexframe.task_space.work import Work, hashed, pieces_done
from lexframe.text_forms import listed
from lexframe.typing import ModelName, Texts


@dataclass(frozen=True, slots=True)
class Halves:
    """The pairs of a task: those that are learnt from and those that are tested.

    Attributes
    ----------
    name : str
    learnt, tested : tuple of TokenPair
    """

    name: str
    learnt: tuple[TokenPair, ...]
    tested: tuple[TokenPair, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is the same for every task that is tuned on.

    Attributes
    ----------
    settings : TransferSettings
    tasks : tuple of Halves
    neutral : tuple of ScoredTokens
    seed : int
    """

    settings: TransferSettings
    tasks: tuple[Halves, ...]
    neutral: tuple[ScoredTokens, ...]
    seed: int


class Bench:
    """A network on which tasks are tuned one after the other; its weights are always as they were in the end.

    Parameters
    ----------
    space : GradientSpace
    trial : Trial
    """

    def __init__(self, space: GradientSpace, trial: Trial):
        self.trial, self.settings = trial, trial.settings
        self.network = space.sequence_network(precision=trial.settings.precision)
        named = trained_parameters(self.network)
        self.parameters = list(named.values())
        self.layout = Layout({name: each.numel() for name, each in named.items()}, trial.settings.n_dims, trial.seed)

    def scores(self) -> dict[str, np.ndarray]:
        """Margins of all tested pairs, a task after the other, and nats of the neutral texts."""
        with torch.no_grad():
            pairs = [pair for task in self.trial.tasks for pair in task.tested]
            margins = []
            for part in in_passes(pairs):
                good, bad = log_probabilities(self.network, part, per_token=self.settings.per_token)
                margins.append(good - bad)
            nats = [-self.network.log_probabilities([text]) for text in self.trial.neutral]
        return {"margins": torch.cat(margins).double().cpu().numpy(), "nats": torch.cat(nats).double().cpu().numpy()}

    def target(self, task: int) -> np.ndarray:
        """Sketch of the gradient of a task's tested margin, before anything is tuned."""
        found = mean_gradient(self.network, self.parameters, self.trial.tasks[task].tested, per_token=self.settings.per_token)
        return self.layout.sketch.of(found.parameters)

    def source(self, task: int) -> dict[str, np.ndarray]:
        """Scores and the sketch of the update after each arm of tuning on a task."""
        settings, learnt = self.settings, self.trial.tasks[task].learnt
        own = mean_gradient(self.network, self.parameters, learnt, per_token=settings.per_token)
        norm = masked_norm(own.parameters, largest(own.parameters, settings.share))
        length = settings.gain / norm if norm > 0 else 0.0
        found: dict[str, np.ndarray] = {"length": np.array([length])}
        for name in settings.arms:
            arm = ARMS[name]
            start = own
            if arm.one_sided:
                start = mean_gradient(self.network, self.parameters, learnt, per_token=settings.per_token, one_sided=True)
            masks = arm_masks(arm, start.parameters, settings.share, seed=self.trial.seed + task)
            with weights_kept(self.parameters) as before:
                self._tune(learnt, arm, masks, length)
                update = [parameter.detach() - old for parameter, old in zip(self.parameters, before, strict=True)]
                scores = self.scores()
            found |= {f"{name}.{key}": values for key, values in scores.items()} | {f"{name}.update": self.layout.sketch.of(update)}
        return found

    def _tune(self, pairs: Sequence[TokenPair], arm: Arm, masks: Sequence[torch.Tensor], length: float) -> None:
        per_token, n_steps = self.settings.per_token, self.settings.n_steps
        tune(self.network, self.parameters, pairs, arm, masks, length=length, n_steps=n_steps, per_token=per_token)


@lru_cache(maxsize=1)  # of a process
def _bench(space: Any, trial: Trial) -> Bench:
    return Bench(space, trial)


def worked(space: Any, job: tuple[Trial, str, int]) -> dict[str, np.ndarray]:
    """One piece of a trial, in whatever process this is.

    Parameters
    ----------
    space : GradientSpace
    job : (Trial, str, int)
        The kind of work (``before``, ``target`` or ``source``) and the number of the task.
    """
    trial, kind, task = job
    bench = _bench(space, trial)
    if kind == "before":
        return bench.scores()
    return {"sketch": bench.target(task)} if kind == "target" else bench.source(task)


def measure_transfer(
    space: GradientSpace | ModelName,
    tasks: Sequence[Task],
    *,
    settings: TransferSettings | None = None,
    sources: Sequence[str] | None = None,
    neutral: Texts | None = None,
    work: Work | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> Transfer:
    r"""Tune a copy of the model on each task, and see what happens to all.

    The transfer form of similarity probing [1]_. Half of a task's pairs are learnt from, the others tested. To first order the margin of
    B changes by :math:`\langle \Delta\theta, d_B \rangle`, which stands beside what happened, and the price is the change of the bits per
    byte of neutral texts. All arms move the weights equally far.

    Parameters
    ----------
    space : GradientSpace or str
        A language model; it stays as it is.
    tasks : sequence of Task
        All of them are tested. A task needs 8 pairs that can be used.
    settings : TransferSettings, optional
    sources : sequence of str, optional
        Tasks that are tuned on. Default: all.
    neutral : texts, optional
        For the price. Default: some everyday sentences of our own.
    work : Work, optional
        Processes, memory, and where finished sources are kept.
    seed : int
        Of the halves, of random masks and of the sketch.
    progress : callable
        Wraps the iteration over pieces of work.

    Returns
    -------
    Transfer

    Raises
    ------
    DataError
        If no task can be used.
    InputError
        If a source is no task that can be used.

    References
    ----------
    .. [1] Weber et al. (2024), Interpretability of Language Models via Task Spaces, arXiv:2406.06441.
    """
    space, settings, work = GradientSpace.of(space), settings or TransferSettings(), work or Work()
    given = {task.name: task for task in checked_tasks(tasks)}
    network = space.sequence_network(precision=settings.precision, shared=True)  # it is only asked for tokens
    halves = [halved(network, task, settings, seed=seed) for task in given.values()]
    usable = tuple(each for each in halves if len(each.learnt) + len(each.tested) >= LEAST_PAIRS)
    if not usable:
        raise DataError(f"No task has {LEAST_PAIRS} pairs that can be used. Give more pairs to each.")
    names = [each.name for each in usable]
    chosen = _chosen(names, sources)
    texts = checked_texts(NEUTRAL_TEXTS if neutral is None else neutral, what="neutral")
    trial = Trial(settings, usable, tuple(_cut(each, network.max_length) for each in network.tokens([""] * len(texts), texts)), seed)
    del network  # every process has its own
    pieces = [("before", 0), *(("target", task) for task in range(len(usable))), *(("source", task) for task in chosen)]
    key = hashed([space.fingerprint.model_digest, asdict(trial)])
    jobs = {f"{key}-{kind}-{task}": (trial, kind, task) for kind, task in pieces}
    with work.place():
        found = dict(zip(pieces, pieces_done(space, worked, jobs, work, progress=progress).values(), strict=True))
    _bench.cache_clear()
    return _result(space, trial, given, texts, chosen, found)


def halved(network: SequenceNetwork, task: Task, settings: TransferSettings, *, seed: int) -> Halves:
    """The pairs of a task, cut in two at random.

    Parameters
    ----------
    network : SequenceNetwork
    task : Task
    settings : TransferSettings
    seed : int
    """
    pairs = tokenized(network, task, contrast_only=settings.contrast_only).pairs
    order = np.random.default_rng(seed).permutation(len(pairs))
    learnt, tested = (tuple(pairs[row] for row in rows) for rows in np.array_split(order, 2))
    return Halves(task.name, learnt, tested)


def _chosen(names: Sequence[str], sources: Sequence[str] | None) -> list[int]:
    unknown = [name for name in sources or () if name not in names]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no task that can be used; there are {listed(list(names[:12]))}.", parameter="sources")
    return [names.index(name) for name in (names if sources is None else dict.fromkeys(sources))]


def _cut(tokens: ScoredTokens, length: int) -> ScoredTokens:
    return ScoredTokens(tokens.ids[:length], tuple(place for place in tokens.scored if place < length))


def _result(
    space: GradientSpace, trial: Trial, given: dict[str, Task], texts: Sequence[str], chosen: Sequence[int], found: dict[Any, Any]
) -> Transfer:
    settings = trial.settings
    counts = np.array([len(task.tested) for task in trial.tasks], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    n_bytes = np.array([len(text.encode()) for text in texts], dtype=np.float64)

    def means(margins: Float[np.ndarray, " n_pairs"]) -> np.ndarray:
        return np.add.reduceat(margins, starts) / counts

    def accuracy(margins: Float[np.ndarray, " n_pairs"]) -> np.ndarray:
        return means((margins > 0) + 0.5 * (margins == 0))

    before, targets = found["before", 0], np.stack([found["target", task]["sketch"] for task in range(len(trial.tasks))]).astype(np.float64)
    after = [
        [{key: found["source", task][f"{arm}.{key}"] for key in ("margins", "nats", "update")} for task in chosen] for arm in settings.arms
    ]
    bits = before["nats"] / np.log(2)
    return Transfer(
        sources=tuple(trial.tasks[task].name for task in chosen),
        targets=tuple(task.name for task in trial.tasks),
        groups=tuple(given[task.name].group for task in trial.tasks),
        arms=settings.arms,
        n_tested=counts,
        margin_before=means(before["margins"]),
        accuracy_before=accuracy(before["margins"]),
        margin_after=np.array([[means(each["margins"]) for each in row] for row in after]),
        accuracy_after=np.array([[accuracy(each["margins"]) for each in row] for row in after]),
        predicted=np.array([[targets @ each["update"].astype(np.float64) for each in row] for row in after]),
        bits_before=ratio_over_items(bits, n_bytes, seed=trial.seed),
        bits_change=np.array([[(each["nats"] / np.log(2) - bits).sum() / n_bytes.sum() for each in row] for row in after]),
        length=np.array([float(found["source", task]["length"][0]) for task in chosen]),
        settings=plain(asdict(settings)),
        notes=tuple(
            f"{name} was left out: it has fewer than {LEAST_PAIRS} pairs that can be used."
            for name in given
            if name not in {t.name for t in trial.tasks}
        ),
        provenance=Provenance(space=space.fingerprint, seed=trial.seed, parameters=plain(asdict(settings))),
    )
