r"""Task vectors: what demonstrations leave in the state of the last token, put into a question that shows none.

:math:`\theta_L` is the mean, over draws of demonstrations and dummy queries, of the state of layer L at the last token of the
prompt (Hendel et al., 2023). Put in place of the state of a zero-shot question at that layer and token, it does the task as far
as the task is kept there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import InputError
from lexframe.instruments.patching.answer_scores import AnswerScores, answer_scores, check_patchable, first_tokens, require_whole
from lexframe.instruments.patching.task import Pair, Task, draw_dummies
from lexframe.linalg import softmax
from lexframe.provenance import Provenance
from lexframe.spaces.base import Intervention, PatchableSpace, Representation, resolve_layer


@dataclass(frozen=True, slots=True, eq=False)
class TaskVectors:
    """The task vector of every layer asked for.

    Attributes
    ----------
    task : str
        Name of the task.
    layers : tuple of int
        0 is the embedding output, k the output of block k, n_layers the last state, after the final norm.
    vectors : ndarray of shape (n_layers, n_dims), float32
        In the order of `layers`, in the units of the states.
    provenance : Provenance
    """

    task: str
    layers: tuple[int, ...]
    vectors: Float[np.ndarray, "n_layers n_dims"]
    provenance: Provenance

    def at(self, layer: int) -> Float[np.ndarray, " n_dims"]:
        """The vector of one layer, by its number from the front.

        Raises
        ------
        InputError
            If it was not asked for.
        """
        if layer not in self.layers:
            raise InputError(f"There is no vector of layer {layer} for {self.task!r}, only of {', '.join(map(str, self.layers))}.")
        return self.vectors[self.layers.index(layer)]

    def move(self, layer: int) -> Intervention:
        """What puts the vector of a layer in place of the state of the last token there."""
        return Intervention(layer=layer, vector=self.at(layer), how="replace", where="last")


def inner_layers(space: PatchableSpace, layers: Sequence[int] | None) -> tuple[int, ...]:
    """The layers asked for, from the front; by default 1 … n_layers - 1: before them nothing is known, behind them all is said.

    Raises
    ------
    InputError
        If a layer does not exist, or there is none.
    """
    chosen = tuple(range(1, space.n_layers)) if layers is None else tuple(resolve_layer(layer, space.n_layers) for layer in layers)
    if not chosen:
        raise InputError(f"No layer is left to read: the model has {space.n_layers} blocks. Name layers, or use a deeper model.")
    return chosen


def task_vectors(
    space: PatchableSpace,
    task: Task,
    *,
    layers: Sequence[int] | None = None,
    n_shots: int = 5,
    n_prompts: int = 20,
    shuffled: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
) -> TaskVectors:
    """Mean state of the last token over prompts with demonstrations and a dummy query.

    Parameters
    ----------
    space : PatchableSpace
        A causal language model, without a template.
    task : Task
        What is demonstrated, and how it is written; demonstrations and dummy queries are drawn from its pairs.
    layers : sequence of int, optional
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm. Default: 1 … n_layers - 1.
    n_shots : int
        Demonstrations of a prompt.
    n_prompts : int
        Draws of demonstrations, each with a dummy query.
    shuffled : bool
        Give the demonstrations each other's outputs: the control for what the form alone puts into the state.
    seed : int
        Of the draws.
    batch_size : int, optional
        Prompts in one pass.

    Returns
    -------
    TaskVectors

    Raises
    ------
    InputError
        If the space cannot be patched, a layer does not exist, pairs are fewer than shots or a prompt is longer than the model takes.

    References
    ----------
    Hendel, Geva, Globerson (2023), In-Context Learning Creates Task Vectors, arXiv:2310.15916.
    """
    check_patchable(space)
    chosen = inner_layers(space, layers)
    rng = np.random.default_rng(seed)
    prompts = draw_dummies(task, task.pairs, n_shots=n_shots, n_prompts=n_prompts, rng=rng, shuffled=shuffled)
    require_whole(space, prompts)
    states = space.encode_representations(prompts, [Representation(layer, "last") for layer in chosen], batch_size=batch_size)
    parameters = {"task": task.name, "n_shots": n_shots, "n_prompts": n_prompts, "shuffled": shuffled}
    provenance = Provenance(space=space.fingerprint, seed=seed, parameters=parameters)
    return TaskVectors(task.name, chosen, states.mean(axis=0, dtype=np.float64).astype(np.float32), provenance)


def patched_scores(
    space: PatchableSpace, prompts: Sequence[str], answers: Int[np.ndarray, "n k"], move: Intervention, *, batch_size: int | None = None
) -> AnswerScores:
    """How prompts are answered while states are moved; see :func:`~lexframe.instruments.patching.answer_scores.answer_scores`."""
    with space.intervened([move]):
        return answer_scores(space, prompts, answers, batch_size=batch_size)


def choose_move(
    space: PatchableSpace, task: Task, development: Sequence[Pair], moves: Sequence[Intervention], *, batch_size: int | None = None
) -> tuple[Intervention, Float[np.ndarray, " n_moves"]]:
    """The move that answers most zero-shot questions about the development pairs; among equals the likelier answers decide.

    Returns
    -------
    move : Intervention
    accuracies : ndarray of shape (n_moves,)
        On the development pairs.
    """
    prompts = [task.prompt((), source) for source, _ in development]
    answers = first_tokens(space, [target for _, target in development])[:, np.newaxis]
    scores = [patched_scores(space, prompts, answers, move, batch_size=batch_size) for move in moves]
    order = [(score.right.mean(), score.probability.mean()) for score in scores]
    best = max(range(len(moves)), key=order.__getitem__)
    return moves[best], np.array([accuracy for accuracy, _ in order])


def composed(
    a_to_d: Float[np.ndarray, " n_dims"], b_to_c: Float[np.ndarray, " n_dims"], a_to_c: Float[np.ndarray, " n_dims"]
) -> Float[np.ndarray, " n_dims"]:
    """The vector of B → D that three others give, if tasks add up: v_AD + v_BC - v_AC.

    Parameters
    ----------
    a_to_d, b_to_c, a_to_c : ndarray of shape (n_dims,)
        Task or function vectors of one layer, of tasks such as "the first of a list, in capitals" (A → D).

    Returns
    -------
    ndarray of shape (n_dims,)

    References
    ----------
    Todd et al. (2023), Function Vectors in Large Language Models, arXiv:2310.15213.
    """
    return a_to_d + b_to_c - a_to_c


def top_words(
    space: PatchableSpace, vector: Float[np.ndarray, " n_dims"], layer: int, *, n_words: int = 10
) -> tuple[tuple[str, float], ...]:
    """What the output head reads in a vector of a layer: the tokens with the largest logits, and their probabilities.

    Parameters
    ----------
    space : PatchableSpace
    vector : ndarray of shape (n_dims,)
    layer : int
        The layer whose states the vector is among; decides whether the final norm is still to come.
    n_words : int
        Tokens to list.
    """
    logits = space.lens.logits(space.lens.input(vector[np.newaxis].astype(np.float32), layer=layer)).astype(np.float64)
    shares = softmax(logits)[0]
    order = np.argsort(-shares, kind="stable")[:n_words]
    return tuple(zip(space.token_texts(order.tolist()), shares[order].tolist(), strict=True))
