r"""Function vectors: the sum of what the heads that carry a task write into the state, added to a question that shows nothing.

:math:`v_t = \sum_{(l,j) \in A} W_{lj}\, \bar a^t_{lj}`, with :math:`\bar a^t_{lj}` the mean output of head j of block l at the last
token of few-shot prompts of task t, W its part of the output projection, and A the heads that raise the right answer most when
their mean output is put into prompts whose demonstrations have each other's outputs (Todd et al., 2023).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.instruments.patching.answer_scores import answer_scores, check_patchable, first_tokens, own_and_other_answers, require_whole
from lexframe.instruments.patching.patch_result import LayerChoice, PatchResult, PatchTally
from lexframe.instruments.patching.task import Pair, Split, Task, draw_dummies, draw_prompts, split_pairs
from lexframe.instruments.patching.task_vector import choose_move, inner_layers, patched_scores, top_words
from lexframe.provenance import Provenance
from lexframe.spaces.base import HeadIntervention, HeadSpace, Intervention, Progress
from lexframe.studies.patching_study import check_tasks

Head = tuple[int, int]
"""Layer 1 … n_layers, and number within it."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadEffects:
    """What each head does for the answer.

    Attributes
    ----------
    effects : ndarray of shape (n_tasks, n_layers, n_heads)
        Mean rise of the answer's probability when the head's mean output is put into prompts with shuffled outputs; row i of the
        second axis is layer i + 1.
    tasks : tuple of str
        In the order of the first axis.
    """

    effects: Float[np.ndarray, "n_tasks n_layers n_heads"]
    tasks: tuple[str, ...]

    def top(self, n_heads: int, *, without: str | None = None) -> tuple[Head, ...]:
        """Heads with the largest effect on average over tasks, best first.

        Parameters
        ----------
        n_heads : int
            How many.
        without : str, optional
            A task that has no say.
        """
        rows = [row for row, task in enumerate(self.tasks) if task != without]
        mean = self.effects[rows].mean(axis=0)
        order = np.argsort(-mean, axis=None, kind="stable")[:n_heads]
        return tuple((int(place // mean.shape[1]) + 1, int(place % mean.shape[1])) for place in order)


def mean_head_outputs(
    space: HeadSpace,
    task: Task,
    *,
    shown: Sequence[Pair] | None = None,
    n_shots: int = 5,
    n_prompts: int = 100,
    seed: int = 0,
    batch_size: int | None = None,
) -> Float[np.ndarray, "n_layers n_heads n_head_dims"]:
    """Mean output of every head at the last token of few-shot prompts with dummy queries, float32.

    Parameters
    ----------
    space : HeadSpace
        A causal language model, without a template.
    task : Task
    shown : sequence of (str, str), optional
        The pairs that prompts are drawn from. Default: all of the task.
    n_shots : int
        Demonstrations of a prompt.
    n_prompts : int
        The paper's number is 100.
    seed : int
        Of the draws.
    batch_size : int, optional
        Prompts in one pass.

    Raises
    ------
    InputError
        If pairs are fewer than shots, or a prompt is longer than the model takes.
    ModelError
        If the heads of the model are not understood.
    """
    rng = np.random.default_rng(seed)
    prompts = draw_dummies(task, task.pairs if shown is None else shown, n_shots=n_shots, n_prompts=n_prompts, rng=rng)
    require_whole(space, prompts)
    return space.heads.outputs(prompts, batch_size=batch_size).mean(axis=0, dtype=np.float64).astype(np.float32)


def head_effects(
    space: HeadSpace,
    task: Task,
    means: Float[np.ndarray, "n_layers n_heads n_head_dims"],
    *,
    shown: Sequence[Pair] | None = None,
    n_shots: int = 5,
    n_prompts: int = 25,
    seed: int = 0,
    batch_size: int | None = None,
) -> Float[np.ndarray, "n_layers n_heads"]:
    """Rise of the answer's probability in prompts with shuffled outputs when the mean output is put into one head at a time.

    Parameters
    ----------
    space : HeadSpace
    task : Task
    means : ndarray of shape (n_layers, n_heads, n_head_dims)
        See :func:`mean_head_outputs`.
    shown : sequence of (str, str), optional
        Demonstrations and questions come from these pairs. Default: all of the task.
    n_shots : int
        Demonstrations of a prompt, two at least.
    n_prompts : int
        The paper's number is 25.
    seed : int
        Of the draws.
    batch_size : int, optional
        Prompts in one pass.
    """
    rng = np.random.default_rng(seed)
    pairs = task.pairs if shown is None else shown
    asked = [pairs[row] for row in rng.integers(0, len(pairs), n_prompts)]
    prompts = draw_prompts(task, [source for source, _ in asked], pairs, n_shots=n_shots, rng=rng, shuffled=True)
    answers = first_tokens(space, [target for _, target in asked])[:, np.newaxis]
    plain = answer_scores(space, prompts, answers, batch_size=batch_size).probability.mean()
    effects = np.zeros(means.shape[:2])
    for layer, head in np.ndindex(*effects.shape):
        with space.heads.replaced([HeadIntervention(layer + 1, head, means[layer, head])]):
            effects[layer, head] = answer_scores(space, prompts, answers, batch_size=batch_size).probability.mean() - plain
    return effects


def vector_of_heads(
    space: HeadSpace, means: Float[np.ndarray, "n_layers n_heads n_head_dims"], heads: Sequence[Head]
) -> Float[np.ndarray, " n_dims"]:
    """Sum over heads of their projected mean output, float32.

    Parameters
    ----------
    space : HeadSpace
    means : ndarray of shape (n_layers, n_heads, n_head_dims)
        See :func:`mean_head_outputs`.
    heads : sequence of (int, int)
        Layer, from 1, and number of each head.

    Raises
    ------
    InputError
        If a head does not exist.
    """
    wrong = [head for head in heads if not (1 <= head[0] <= means.shape[0] and 0 <= head[1] < means.shape[1])]
    if wrong:
        raise InputError(
            f"There is no head {wrong[0][1]} in layer {wrong[0][0]}: layers are 1 to {means.shape[0]}, heads 0 to {means.shape[1] - 1}."
        )
    projected = space.heads.project(means)
    chosen = np.stack([projected[layer - 1, head] for layer, head in heads])
    return chosen.sum(axis=0, dtype=np.float64).astype(np.float32)


@dataclass(frozen=True, slots=True)
class HeadStudySize:
    """How much a study of function vectors asks the model.

    Attributes
    ----------
    n_top : int
        Heads of a vector; the paper takes 10 for models of several hundred heads.
    n_shots : int
        Demonstrations of a prompt, two at least.
    n_prompts, n_effect_prompts : int
        Few-shot prompts for the means, and shuffled ones for the effects.
    n_splits : int
        Draws of shown, development and test pairs.
    """

    n_top: int = 10
    n_shots: int = 5
    n_prompts: int = 100
    n_effect_prompts: int = 25
    n_splits: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """One task in one split."""

    task: Task
    split: Split
    means: Float[np.ndarray, "n_layers n_heads n_head_dims"]
    effects: Float[np.ndarray, "n_layers n_heads"]


def function_vector_study(
    space: HeadSpace,
    tasks: Sequence[Task],
    *,
    layers: Sequence[int] | None = None,
    size: HeadStudySize | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> tuple[PatchResult, HeadEffects]:
    """Find the heads, form the vector of every task, choose its layer on development pairs, and answer test questions with it.

    =========================  ============================================================================================
    few-shot, zero-shot        as in :func:`~lexframe.studies.patching_study.task_vector_study`
    function vector            zero-shot, the vector added to the state of the last token at the chosen layer
    random heads               the same with as many heads drawn at random among the others, at a layer chosen for them
    other task                 zero-shot, the vector of the next task in the list
    shuffled prompts           few-shot with each other's outputs
    shuffled prompts + vector  the same, with the vector added
    =========================  ============================================================================================

    Parameters
    ----------
    space : HeadSpace
        A causal language model, without a template, whose heads are understood.
    tasks : sequence of Task
        Two at least. Heads are chosen for each task by their effect on the other ones, so that no test question has a say.
    layers : sequence of int, optional
        To choose from; see :func:`~lexframe.instruments.patching.task_vector.task_vectors`. Default: 1 … n_layers - 1.
    size : HeadStudySize, optional
        How many heads, prompts, demonstrations and splits.
    seed : int
        Of all draws.
    batch_size : int, optional
        Prompts in one pass.
    progress : callable
        Wraps the iteration over splits.

    Returns
    -------
    result : PatchResult
    effects : HeadEffects
        Mean over splits.

    Raises
    ------
    InputError
        If there are fewer than two tasks, more heads are asked for than can be matched by others, or as for `task_vectors`.
    ModelError
        If the heads of the model are not understood.

    References
    ----------
    Todd, Li, Sharma, Mueller, Wallace, Bau (2023), Function Vectors in Large Language Models, arXiv:2310.15213.
    """
    check_tasks(tasks)
    check_patchable(space)
    size = size or HeadStudySize()
    n_top, n_all = size.n_top, space.heads.n_heads * space.n_layers
    if not 1 <= n_top <= n_all // 2:
        raise InputError(f"n_top is {n_top}; expected 1 to {n_all // 2}, half of the {n_all} heads, so that others are left as a control.")
    chosen = inner_layers(space, layers)
    tally, choices, summed = PatchTally(few_shot="few-shot"), [], []
    words: dict[str, tuple[tuple[str, float], ...]] = {}
    for number in progress(range(size.n_splits)):
        prepared = [
            _prepare(space, task, size, rng=np.random.default_rng([seed, number, place]), batch_size=batch_size)
            for place, task in enumerate(tasks)
        ]
        effects = HeadEffects(np.stack([one.effects for one in prepared]), tuple(task.name for task in tasks))
        summed.append(effects.effects)
        for place, own in enumerate(prepared):
            rng = np.random.default_rng([seed, number, place, 1])
            other = prepared[(place + 1) % len(prepared)]
            heads, random_heads = _heads(effects, own.task.name, n_top, rng)
            move, accuracies = _choose(space, own, vector_of_heads(space, own.means, heads), chosen, batch_size)
            choices.append(LayerChoice(own.task.name, number, move.layer, chosen, tuple(accuracies.tolist())))
            words.setdefault(own.task.name, top_words(space, move.vector, -1))
            moves = {
                "function vector": move,
                "random heads": _choose(space, own, vector_of_heads(space, own.means, random_heads), chosen, batch_size)[0],
                "other task": replace(move, vector=vector_of_heads(space, other.means, heads)),
            }
            _answer(space, own, other.task, moves, tally, n_shots=size.n_shots, rng=rng, batch_size=batch_size)
    parameters = {"tasks": [task.name for task in tasks], "layers": chosen} | asdict(size)
    provenance = Provenance(space=space.fingerprint, seed=seed, parameters=parameters)
    result = PatchResult("Function vectors", tally.scores(seed=seed), tuple(choices), words, provenance)
    return result, HeadEffects(np.mean(summed, axis=0), tuple(task.name for task in tasks))


def _prepare(
    space: HeadSpace,
    task: Task,
    size: HeadStudySize,
    *,
    rng: np.random.Generator,
    batch_size: int | None,
) -> _Prepared:
    n_shots = size.n_shots
    split = split_pairs(task, n_shots=n_shots, rng=rng)
    seed = int(rng.integers(2**31))
    means = mean_head_outputs(space, task, shown=split.shown, n_shots=n_shots, n_prompts=size.n_prompts, seed=seed, batch_size=batch_size)
    effects = head_effects(
        space, task, means, shown=split.shown, n_shots=n_shots, n_prompts=size.n_effect_prompts, seed=seed, batch_size=batch_size
    )
    return _Prepared(task, split, means, effects)


def _heads(effects: HeadEffects, task: str, n_top: int, rng: np.random.Generator) -> tuple[tuple[Head, ...], tuple[Head, ...]]:
    """The heads with the largest effect on the other tasks, and as many of the rest at random."""
    ranked = effects.top(effects.effects[0].size, without=task)
    rest = ranked[n_top:]
    return ranked[:n_top], tuple(rest[row] for row in rng.permutation(len(rest))[:n_top])


def _choose(
    space: HeadSpace, own: _Prepared, vector: Float[np.ndarray, " n_dims"], layers: Sequence[int], batch_size: int | None
) -> tuple[Intervention, Float[np.ndarray, " n_layers"]]:
    moves = [Intervention(layer=layer, vector=vector, where="last") for layer in layers]
    return choose_move(space, own.task, own.split.development, moves, batch_size=batch_size)


def _answer(
    space: HeadSpace,
    own: _Prepared,
    other: Task,
    moves: dict[str, Intervention],
    tally: PatchTally,
    *,
    n_shots: int,
    rng: np.random.Generator,
    batch_size: int | None,
) -> None:
    """The test questions of one task in every condition."""
    task, test, shown = own.task, own.split.test, own.split.shown
    queries = [source for source, _ in test]
    answers = own_and_other_answers(space, test, other)
    zero = [task.prompt((), query) for query in queries]
    few = draw_prompts(task, queries, shown, n_shots=n_shots, rng=rng)
    shuffled = draw_prompts(task, queries, shown, n_shots=n_shots, rng=rng, shuffled=True)
    for condition, prompts in (("few-shot", few), ("zero-shot", zero), ("shuffled prompts", shuffled)):
        tally.add(task.name, condition, test, answer_scores(space, prompts, answers, batch_size=batch_size))
    for condition, move in moves.items():
        tally.add(task.name, condition, test, patched_scores(space, zero, answers, move, batch_size=batch_size))
    steered = patched_scores(space, shuffled, answers, moves["function vector"], batch_size=batch_size)
    tally.add(task.name, "shuffled prompts + vector", test, steered)
