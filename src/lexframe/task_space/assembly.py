"""From what is kept of the gradients to the result: weights, similarities, intervals, and what else is said of the tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from lexframe.exceptions import DataError, InputError, ModelError
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.intervals import Estimate, mean_estimate, share_over_items
from lexframe.spaces.base import VocabularySpace
from lexframe.task_space.block_gradients import BlockGradients
from lexframe.task_space.layout import Layout
from lexframe.task_space.reading.hypotheses import controls_of
from lexframe.task_space.result import LEAST_RELIABILITY, DroppedTask, TaskFacts, TaskSpace
from lexframe.task_space.settings import GradientSettings
from lexframe.task_space.similarity import Blocks, resampled_similarities, retest, task_similarities
from lexframe.task_space.subspaces import subspace_overlaps
from lexframe.task_space.tasks import Task
from lexframe.task_space.token_pairs import TokenPair, TokenTask
from lexframe.text_forms import counted

N_WORDS = 5
LEAST_TO_CENTER = 10
PART_SPLITS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Tasks and what was measured of each, in one order.

    Attributes
    ----------
    tasks : sequence of Task
    as_tokens : sequence of TokenTask
    blocks : sequence of blocks of TokenPair
    gradients : sequence of BlockGradients
    """

    tasks: Sequence[Task]
    as_tokens: Sequence[TokenTask]
    blocks: Sequence[tuple[tuple[TokenPair, ...], ...]]
    gradients: Sequence[BlockGradients]


def assembled(
    space: Any,
    measured: Measured,
    layout: Layout,
    settings: GradientSettings,
    *,
    general: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> TaskSpace:
    """The task space of measured gradients.

    Parameters
    ----------
    space : Space
        Whose vocabulary names the directions.
    measured : Measured
    layout : Layout
    settings : GradientSettings
        How gradients are weighed.
    general : tuple of ndarray, optional
        Sketch and sample of a direction to take out of every gradient.
    seed : int

    Raises
    ------
    DataError
        If fewer than two tasks can be told from noise.
    """
    sizes = [np.array([len(block) for block in task], dtype=np.int64) for task in measured.blocks]
    blocks = Blocks(np.repeat(np.arange(len(sizes)), [len(each) for each in sizes]), np.concatenate(sizes))
    sketches, coordinates = weighed(measured, blocks, layout, settings, general)
    grams = part_grams(sketches, layout)
    gram = grams.sum(axis=0)
    found = task_similarities(gram, blocks, seed=seed)
    resampled, reliabilities = resampled_similarities(gram, blocks, seed=seed)
    reliability = [centred(*each) for each in zip(found.reliability, reliabilities.T, strict=True)]
    kept = [task for task, each in enumerate(found.reliability) if each >= LEAST_RELIABILITY]
    noisy = [task for task in range(blocks.n_tasks) if task not in kept]
    dropped = [DroppedTask(measured.tasks[task].name, _unreliable(reliability[task])) for task in noisy]
    if len(kept) < 2:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in dropped[:3])
        found_out = f"{counted(len(kept), 'task')} can be told from noise, and two are needed"
        raise DataError(f"{found_out}. Give more pairs to each, or another model. {reasons}.")
    chosen = np.ix_(kept, kept)
    spread = resampled[:, kept][:, :, kept]
    low, high = _interval(found.similarity[chosen], spread)
    own, rows = blocks.of_tasks(kept)
    inside = np.ix_(rows, rows)
    overlaps = subspace_overlaps(coordinates[rows], layout.sample.starts, own, seed=seed)
    words = _near_words(space, [measured.gradients[task].state for task in kept])
    return TaskSpace(
        tasks=tuple(
            _facts(measured, task, reliability[task], near, len(sizes[task]), seed) for task, near in zip(kept, words, strict=True)
        ),
        dropped=tuple(dropped),
        similarity=found.similarity[chosen],
        low=low,
        high=high,
        resampled=spread.astype(np.float32),
        overlap=overlaps.overlap,
        overlap_low=overlaps.low,
        overlap_high=overlaps.high,
        overlap_chance=overlaps.chance,
        parts=layout.parts,
        part_similarity=np.stack([task_similarities(each[inside], own, n_splits=PART_SPLITS, seed=seed).similarity for each in grams]),
        controls=controls_of([measured.tasks[task] for task in kept]),
        retest=retest(gram[inside], own, seed=seed),
        error=layout.sketch.error(np.stack([sketches[blocks.task == task].mean(axis=0) for task in kept])),
    )


def weighed(
    measured: Measured, blocks: Blocks, layout: Layout, settings: GradientSettings, general: tuple[np.ndarray, np.ndarray] | None
) -> tuple[Float32[np.ndarray, "n_blocks n"], Float32[np.ndarray, "n_blocks n_coordinates"]]:
    """Sketches and samples of all blocks as the settings weigh them.

    Parameters
    ----------
    measured : Measured
    blocks : Blocks
    layout : Layout
    settings : GradientSettings
    general : tuple of ndarray or None
        See :func:`assembled`.
    """
    sketches = np.concatenate([each.sketches for each in measured.gradients])
    coordinates = np.concatenate([each.coordinates for each in measured.gradients])
    if general is not None:
        sketches, coordinates = without_direction(sketches, coordinates, *general)
    if settings.per_tensor:
        sketches = sketches * tensor_weights(sketches, layout.sketch.starts)
    if settings.equal_blocks:
        lengths = np.linalg.norm(sketches, axis=1, keepdims=True)
        scale = 1 / np.where(lengths > 0, lengths, 1)
        sketches, coordinates = sketches * scale, coordinates * scale
    if settings.center:
        if blocks.n_tasks < LEAST_TO_CENTER:
            raise InputError(
                f"center takes out the mean over tasks, which holds a part of each: with {counted(blocks.n_tasks, 'task')} it makes them "
                f"opposites. Give {LEAST_TO_CENTER} tasks or more, or leave it.",
                parameter="center",
            )
        mean = blocks.means(np.ones(len(blocks.task))).mean(axis=0).astype(np.float32)  # every task counts the same
        sketches, coordinates = sketches - mean @ sketches, coordinates - mean @ coordinates
    return sketches.astype(np.float32), coordinates.astype(np.float32)


def without_direction(
    sketches: np.ndarray, coordinates: np.ndarray, direction: np.ndarray, at_coordinates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients less their part along a direction, in the sketch and in the sample.

    Parameters
    ----------
    sketches, coordinates : ndarray of shape (n_blocks, …)
    direction, at_coordinates : ndarray
        Sketch and sample of the direction.
    """
    amounts = sketches @ direction / (float(direction @ direction) or 1.0)
    return sketches - np.outer(amounts, direction), coordinates - np.outer(amounts, at_coordinates).astype(np.float32)


def tensor_weights(sketches: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """A weight for every number of a sketch, so that all tensors have gradients of the same length on average.

    Parameters
    ----------
    sketches : ndarray of shape (n_blocks, n)
    starts : ndarray of int
        Where each tensor begins, and the end of the last.
    """
    squares = np.add.reduceat((sketches.astype(np.float64) ** 2).mean(axis=0), starts[:-1])
    weights = np.where(squares > 0, 1 / np.sqrt(np.where(squares > 0, squares, 1)), 0)
    return np.repeat(weights, np.diff(starts)).astype(np.float32)


def part_grams(sketches: np.ndarray, layout: Layout) -> Float[np.ndarray, "n_parts n_blocks n_blocks"]:
    """Inner products of blocks within each part of the model; their sum is that of the whole.

    Parameters
    ----------
    sketches : ndarray of shape (n_blocks, n)
    layout : Layout
    """
    grams = np.zeros((len(layout.parts), len(sketches), len(sketches)))
    starts = layout.sketch.starts
    for tensor, part in enumerate(layout.part_of):
        own = sketches[:, starts[tensor] : starts[tensor + 1]].astype(np.float64)
        grams[layout.parts.index(part)] += own @ own.T
    return grams


def centred(value: float, drawn: Float[np.ndarray, " n"]) -> Estimate:
    """A value with the spread of its resamples around it.

    Resamples hold fewer different pairs, so that halves agree less than they would: their spread is of use and their mean is not.

    Parameters
    ----------
    value : float
    drawn : ndarray of shape (n_resamples,)
    """
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return Estimate(float(value), float("nan"), float("nan"), "blocks of pairs")
    low, high = np.percentile(defined - defined.mean(), [2.5, 97.5])
    low, high = np.clip(value + np.array([low, high]), -1.0, 1.0)  # of a cosine
    return Estimate(float(value), float(low), float(high), "blocks of pairs")


def _interval(value: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    defined = np.where(np.isnan(drawn), value, drawn)
    low, high = np.percentile(defined - defined.mean(axis=0), [2.5, 97.5], axis=0)
    return value + low, value + high


def _unreliable(reliability: Estimate) -> str:
    return f"the gradients of its halves agree at {reliability}, which is below {LEAST_RELIABILITY:g}"


def _facts(
    measured: Measured,
    task: int,
    reliability: Estimate,
    words: tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...]],
    n_blocks: int,
    seed: int,
) -> TaskFacts:
    given, margins = measured.tasks[task], measured.gradients[task].margins.astype(np.float64)
    return TaskFacts(
        name=given.name,
        group=given.group,
        field=given.field,
        n_pairs=len(margins),
        n_blocks=n_blocks,
        accuracy=share_over_items((margins > 0) + 0.5 * (margins == 0), seed=seed),
        margin=mean_estimate(margins, seed=seed),
        reliability=reliability,
        unequal=measured.as_tokens[task].unequal,
        toward=words[0],
        away=words[1],
    )


def _near_words(space: Any, states: Sequence[np.ndarray]) -> list[tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...]]]:
    """Words of the vocabulary that each direction points to and away from; none where the model has no frame.

    Only items of letters: bases of bytes that never occurred in training lie anywhere.
    """
    nothing: tuple[tuple[str, float], ...] = ()
    try:
        if not isinstance(space, VocabularySpace) or len({len(state) for state in states}) != 1 or not len(states[0]):
            return [(nothing, nothing)] * len(states)
        frame = VocabularyFrame(space)
        words = [i for i, text in enumerate(space.token_texts(range(space.n_vocab))) if text.strip().isalpha() and text.isprintable()]
        similarity = frame.similarity(np.stack(states), words)
    except ModelError:
        return [(nothing, nothing)] * len(states)
    found = []
    for row in similarity:
        order = np.argsort(-row, kind="stable")
        ends = order[:N_WORDS].tolist(), order[::-1][:N_WORDS].tolist()
        toward, away = (tuple(zip(space.token_texts([words[i] for i in end]), row[end].tolist(), strict=True)) for end in ends)
        found.append((toward, away))
    return found
