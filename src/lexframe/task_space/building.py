"""From pairs to a task space: gradients of blocks of pairs, kept as short vectors, and what their inner products say."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from lexframe.exceptions import DataError, InputError
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress
from lexframe.spaces.base.training import GradientSpace, SequenceNetwork
from lexframe.task_space.assembly import Measured, assembled
from lexframe.task_space.block_gradients import BlockGradients, Measuring, forget_machinery, measured_blocks
from lexframe.task_space.gradients import TOKENS_AT_ONCE, trained_parameters
from lexframe.task_space.layout import Layout
from lexframe.task_space.memory import check_memory, needed_gib
from lexframe.task_space.ordinary_text import OrdinaryText, measure_ordinary_text, ordinary_windows
from lexframe.task_space.result import DroppedTask, TaskSpace
from lexframe.task_space.settings import GradientSettings
from lexframe.task_space.tasks import Task, checked_tasks
from lexframe.task_space.token_pairs import TokenPair, TokenTask, tokenized
from lexframe.task_space.work import Work, hashed, pieces_done
from lexframe.text_forms import counted
from lexframe.typing import ModelName

LEAST_PAIRS, LEAST_BLOCKS = 8, 8
"""Pairs that a task needs, and blocks that it is put into where it has that many pairs."""


def build_task_space(
    space: GradientSpace | ModelName,
    tasks: Sequence[Task],
    *,
    settings: GradientSettings | None = None,
    corpus: Iterable[str] | None = None,
    work: Work | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> TaskSpace:
    r"""How the abilities of a model relate: similarities of the gradients that would improve each.

    For a task A, :math:`d_A` is the mean over its pairs of the gradient of :math:`\log p(x^+) - \log p(x^-)` by all weights (the gradient
    differential of Weber et al. [1]_). Two tasks are alike where the same change of the weights serves both. Cosines are corrected for
    attenuation, tasks whose halves agree less than .1 are left out, and every number has an interval: the paper has none of these.

    Parameters
    ----------
    space : GradientSpace or str
        A language model; it stays as it is.
    tasks : sequence of Task
        As :func:`read_tasks` reads them. A task needs 8 pairs that can be used.
    settings : GradientSettings, optional
        What the gradient of a task is.
    corpus : iterable of str, optional
        Ordinary text, where the settings need it.
    work : Work, optional
        Processes, memory, and where finished tasks are kept.
    seed : int
        Of blocks, splits and the sketch.
    progress : callable
        Wraps the iteration over tasks.

    Returns
    -------
    TaskSpace

    Raises
    ------
    DataError
        If fewer than two tasks can be used.
    InputError
        If a setting needs a corpus and there is none, or the memory does not suffice.
    ModelError
        If the model has no head, or gradients that are not finite.

    References
    ----------
    .. [1] Weber et al. (2024), Interpretability of Language Models via Task Spaces, arXiv:2406.06441.
    """
    space, settings, work = GradientSpace.of(space), settings or GradientSettings(), work or Work()
    if settings.needs_corpus and corpus is None:
        raise InputError("adam_scale and remove_general need ordinary text: give a corpus.", parameter="corpus")
    given = checked_tasks(tasks)
    network = space.sequence_network(precision=settings.precision, shared=True)
    as_tokens = [tokenized(network, task, contrast_only=settings.contrast_only) for task in given]
    usable = [task for task in as_tokens if len(task.pairs) >= LEAST_PAIRS]
    dropped = [DroppedTask(task.name, _too_few(task)) for task in as_tokens if len(task.pairs) < LEAST_PAIRS]
    if len(usable) < 2:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in dropped[:3])
        raise DataError(
            f"{counted(len(usable), 'task')} can be used, and two are needed. Give tasks of {LEAST_PAIRS} pairs or more. {reasons}."
        )
    layout = Layout({name: parameter.numel() for name, parameter in trained_parameters(network).items()}, settings.n_dims, seed)
    blocks = [in_blocks(task.pairs, settings.pairs_a_block, seed=seed) for task in usable]
    _check_memory(network, blocks, layout, settings, work)
    with work.place() as folder:
        model = [space.fingerprint.model_digest, settings.precision]
        ordinary = _ordinary_text(network, corpus or (), folder, model, progress) if settings.needs_corpus else None
        del network  # every process has its own
        measuring = Measuring(settings, ordinary, seed)
        how = [*model, settings.of_blocks(), ordinary and Path(ordinary).name, seed]
        keys = [hashed([how, [[asdict(pair) for pair in block] for block in part]]) for part in blocks]
        jobs = {key: (measuring, part) for key, part in zip(keys, blocks, strict=True)}  # tasks of the same pairs are one job
        try:
            done = pieces_done(space, measured_blocks, jobs, work, progress=progress)
        finally:  # the model may change after a run that was stopped
            forget_machinery()
        found = [BlockGradients(**done[key]) for key in keys]
        named = {task.name: task for task in given}
        measured = Measured(tuple(named[task.name] for task in usable), tuple(usable), blocks, found)
        result = assembled(space, measured, layout, settings, general=_general(settings, layout, ordinary), seed=seed)
    return replace(
        result,
        dropped=(*dropped, *result.dropped),
        settings=asdict(settings),
        notes=(*_notes(space, as_tokens, settings), *result.notes),
        provenance=Provenance(space=space.fingerprint, seed=seed, parameters=asdict(settings)),
    )


def in_blocks(pairs: Sequence[TokenPair], pairs_a_block: int, *, seed: int) -> tuple[tuple[TokenPair, ...], ...]:
    """Pairs put into blocks at random: 8 blocks at least where there are that many pairs.

    Parameters
    ----------
    pairs : sequence of TokenPair
    pairs_a_block : int
        At most.
    seed : int
    """
    size = max(1, min(pairs_a_block, len(pairs) // LEAST_BLOCKS))
    order = np.random.default_rng(seed).permutation(len(pairs))
    return tuple(tuple(pairs[row] for row in rows) for rows in np.array_split(order, -(-len(pairs) // size)))


def _too_few(task: TokenTask) -> str:
    reason = f"it has {counted(len(task.pairs), 'pair')} that can be used, and {LEAST_PAIRS} are needed"
    return f"{reason} ({task.left_out} left out)" if task.left_out else reason


def _in_common(tasks: Sequence[TokenTask]) -> list[str]:
    """Tasks that share pairs, which makes them alike by the noise of those pairs."""
    sets = [set(task.pairs) for task in tasks]
    found = [(len(sets[i] & sets[j]), tasks[i].name, tasks[j].name) for i in range(len(tasks)) for j in range(i)]
    return [
        f"{one} and {other} have {counted(number, 'pair')} in common, which makes them more alike than they are."
        for number, one, other in sorted(found, reverse=True)[:3]
        if number
    ]


def _check_memory(
    network: SequenceNetwork, blocks: Sequence[tuple[tuple[TokenPair, ...], ...]], layout: Layout, settings: GradientSettings, work: Work
) -> None:
    pairs = [pair for task in blocks for block in task for pair in block]
    longest = max(pair.n_tokens for pair in pairs)
    n_tokens = max(longest, min(TOKENS_AT_ONCE, settings.pairs_a_block * longest))
    if not getattr(network, "is_causal", True):  # a copy of the text for every token that is hidden
        n_tokens *= max(len(side.scored) for pair in pairs for side in (pair.good, pair.bad))
    head = network.body.get_output_embeddings()
    needed = needed_gib(
        sum(layout.sizes.values()),
        n_processes=work.n_processes,
        n_vocab=getattr(head, "out_features", 0),
        n_tokens=n_tokens,
        n_kept=sum(map(len, blocks)) * int(layout.sketch.starts[-1] + layout.sample.starts[-1]),
        with_corpus=settings.needs_corpus,
    )
    check_memory(needed, work.max_gib, n_processes=work.n_processes)


def _ordinary_text(network: SequenceNetwork, corpus: Iterable[str], folder: Path, model: list[str], progress: Progress) -> str:
    """The file of gradients on ordinary text, named by the model and the windows that they come from."""
    windows = ordinary_windows(network, corpus)
    path = folder / f"ordinary-{hashed([model, [asdict(window) for window in windows]])}.safetensors"
    if not path.is_file():
        parameters = list(trained_parameters(network).values())
        measure_ordinary_text(network, parameters, windows, progress=progress).save(path)
    return str(path)


def _general(settings: GradientSettings, layout: Layout, ordinary: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Sketch and sample of the gradient on ordinary text, where it is to be taken out."""
    if ordinary is None or not settings.remove_general:
        return None
    found = OrdinaryText.load(ordinary)
    gradients = [g * s for g, s in zip(found.general, found.scale, strict=True)] if settings.adam_scale else found.general
    return layout.sketch.of(gradients), layout.sample.of(gradients)


def _notes(space: GradientSpace, tasks: Sequence[TokenTask], settings: GradientSettings) -> tuple[str, ...]:
    """What a reader has to know of the pairs and of the model."""
    notes = [f"{task.name}: {task.left_out} left out." for task in tasks if task.left_out and len(task.pairs) >= LEAST_PAIRS]
    n_pairs = sum(len(task.pairs) for task in tasks)
    n_unequal = sum(pair.is_unequal for task in tasks for pair in task.pairs)
    if n_unequal > n_pairs / 10 and not settings.per_token:
        notes.append(f"The sides of {n_unequal:,} of {n_pairs:,} pairs differ in their number of tokens; per_token divides by it.")
    notes += _in_common(tasks)
    dtype = space.fingerprint.dtype
    if dtype != "float32":
        notes.append(f"The model is kept in {dtype}; its gradients are those of the same weights in float32.")
    if not getattr(space, "predicts_next_token", True):
        notes.append("The model predicts hidden tokens: log-probabilities are pseudo-log-likelihoods, every token hidden in turn.")
    return tuple(notes)
