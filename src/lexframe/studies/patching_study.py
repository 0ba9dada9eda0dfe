"""Do task vectors work here? Patched questions beside few-shot and zero-shot ones and the controls that would expose a fluke."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lexframe.exceptions import InputError
from lexframe.instruments.patching.answer_scores import answer_scores, check_patchable, own_and_other_answers
from lexframe.instruments.patching.patch_result import LayerChoice, PatchResult, PatchTally
from lexframe.instruments.patching.task import Split, Task, draw_prompts, split_pairs
from lexframe.instruments.patching.task_vector import TaskVectors, choose_move, inner_layers, patched_scores, task_vectors, top_words
from lexframe.provenance import Provenance
from lexframe.spaces.base import Intervention, PatchableSpace, Progress


@dataclass(frozen=True, slots=True)
class StudySize:
    """How much a study of task vectors asks the model.

    Attributes
    ----------
    n_shots : int
        Demonstrations of a prompt.
    n_prompts : int
        Draws of demonstrations, each with a dummy query, that a vector is the mean of.
    n_splits : int
        Draws of shown, development and test pairs; each chooses its own layer.
    """

    n_shots: int = 5
    n_prompts: int = 20
    n_splits: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """One task in one split, with its vector at the layer that development pairs chose."""

    task: Task
    split: Split
    shuffled: TaskVectors
    move: Intervention


def task_vector_study(
    space: PatchableSpace,
    tasks: Sequence[Task],
    *,
    layers: Sequence[int] | None = None,
    size: StudySize | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> PatchResult:
    """Take the vector of every task, choose its layer on development pairs, and answer test questions with it and with controls.

    ===================  ==================================================================================================
    few-shot             demonstrations of the task, and the question
    zero-shot            the question alone
    patched              zero-shot, the task vector in place of the state at the chosen layer
    added                zero-shot, the same vector added to the state: the layer average of the function vectors paper
    random vector        zero-shot, a random vector of the same length in its place
    other task           zero-shot, the vector of the next task in the list, at the layer chosen for that one
    shuffled labels      zero-shot, a vector from demonstrations that have each other's outputs
    overridden           few-shot, the vector of the next task in its place: whose answer comes?
    ===================  ==================================================================================================

    Parameters
    ----------
    space : PatchableSpace
        A causal language model, without a template.
    tasks : sequence of Task
        Two at least, each the control of another. Give tasks that share inputs next to each other: only where both know an input can a
        vector be seen to turn the answer into the other task's.
    layers : sequence of int, optional
        To choose from: 0 is the embedding output, k the output of block k, -1 the last state. Default: 1 … n_layers - 1.
    size : StudySize, optional
        How many prompts, with how many demonstrations, in how many splits.
    seed : int
        Of all draws.
    batch_size : int, optional
        Prompts in one pass.
    progress : callable
        Wraps the iteration over splits.

    Returns
    -------
    PatchResult

    Raises
    ------
    InputError
        If there are fewer than two tasks or two of one name; and as for `task_vectors`.

    References
    ----------
    Hendel, Geva, Globerson (2023), In-Context Learning Creates Task Vectors, arXiv:2310.15916.
    """
    check_tasks(tasks)
    check_patchable(space)
    chosen, size = inner_layers(space, layers), size or StudySize()
    tally, choices = PatchTally(few_shot="few-shot"), []
    words: dict[str, tuple[tuple[str, float], ...]] = {}
    for number in progress(range(size.n_splits)):
        prepared = []
        for place, task in enumerate(tasks):
            rng = np.random.default_rng([seed, number, place])
            own, choice = _prepare(space, task, number, chosen, size, rng=rng, batch_size=batch_size)
            choices.append(choice)
            words.setdefault(task.name, top_words(space, own.move.vector, own.move.layer))
            prepared.append(own)
        for place, own in enumerate(prepared):
            rng = np.random.default_rng([seed, number, place, 1])
            other = prepared[(place + 1) % len(prepared)]
            _answer(space, own, other, tally, n_shots=size.n_shots, rng=rng, batch_size=batch_size)
    parameters: dict[str, Any] = {"tasks": [task.name for task in tasks], "layers": chosen}
    parameters |= asdict(size)
    provenance = Provenance(space=space.fingerprint, seed=seed, parameters=parameters)
    return PatchResult("Task vectors", tally.scores(seed=seed), tuple(choices), words, provenance)


def check_tasks(tasks: Sequence[Task]) -> None:
    """Refuse fewer than two tasks, or two of one name.

    Raises
    ------
    InputError
    """
    names = [task.name for task in tasks]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise InputError(
            f"The tasks are {', '.join(names) or 'none'}; expected two or more of different names, each the control of another."
        )


def _prepare(
    space: PatchableSpace,
    task: Task,
    number: int,
    layers: tuple[int, ...],
    size: StudySize,
    *,
    rng: np.random.Generator,
    batch_size: int | None,
) -> tuple[_Prepared, LayerChoice]:
    """Split the pairs of a task, take its vectors from the shown ones, and choose the layer on the development ones."""
    split = split_pairs(task, n_shots=size.n_shots, rng=rng)
    seed = int(rng.integers(2**31))
    vectors, shuffled = (
        task_vectors(
            space,
            replace(task, pairs=split.shown),
            layers=layers,
            n_shots=size.n_shots,
            n_prompts=size.n_prompts,
            shuffled=shuffled,
            seed=seed,
            batch_size=batch_size,
        )
        for shuffled in (False, True)
    )
    moves = [vectors.move(layer) for layer in layers]
    move, accuracies = choose_move(space, task, split.development, moves, batch_size=batch_size)
    return _Prepared(task, split, shuffled, move), LayerChoice(task.name, number, move.layer, layers, tuple(accuracies.tolist()))


def _answer(
    space: PatchableSpace,
    own: _Prepared,
    other: _Prepared,
    tally: PatchTally,
    *,
    n_shots: int,
    rng: np.random.Generator,
    batch_size: int | None,
) -> None:
    """The test questions of one task in every condition."""
    task, test, layer = own.task, own.split.test, own.move.layer
    queries = [source for source, _ in test]
    answers = own_and_other_answers(space, test, other.task)
    few = draw_prompts(task, queries, own.split.shown, n_shots=n_shots, rng=rng)
    zero = [task.prompt((), query) for query in queries]
    vector = own.move.vector
    noise = rng.normal(size=vector.shape).astype(np.float32)
    noise *= np.linalg.norm(vector) / np.linalg.norm(noise)
    moves = {
        "patched": (zero, own.move),
        "added": (zero, Intervention(layer=layer, vector=vector, where="last")),
        "random vector": (zero, Intervention(layer=layer, vector=noise, how="replace", where="last")),
        "other task": (zero, other.move),
        "shuffled labels": (zero, own.shuffled.move(layer)),
        "overridden": (few, other.move),
    }
    for condition, prompts in (("few-shot", few), ("zero-shot", zero)):
        tally.add(task.name, condition, test, answer_scores(space, prompts, answers, batch_size=batch_size))
    for condition, (prompts, move) in moves.items():
        tally.add(task.name, condition, test, patched_scores(space, prompts, answers, move, batch_size=batch_size))
