"""How a space answers prompts: whether the answer is the likeliest next token of the vocabulary, how likely it is, how far down."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lexframe.exceptions import InputError
from lexframe.instruments.patching.task import Pair, Task
from lexframe.linalg import softmax
from lexframe.spaces.base import PatchableSpace, Progress, Representation

ROWS_AT_ONCE = 256
"""Prompts whose logits are held together: a vocabulary of 256,000 then takes 256 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class AnswerScores:
    """Of each prompt and each answer asked about; where an answer is -1 (none), wrong, NaN and -1.

    Attributes
    ----------
    right : ndarray of bool, shape (n_prompts, n_answers)
        The first token of the answer has the largest logit of the vocabulary.
    probability : ndarray of shape (n_prompts, n_answers)
        Of that token.
    rank : ndarray of int, shape (n_prompts, n_answers)
        Tokens with a larger logit; 0 is best.
    """

    right: Bool[np.ndarray, "n k"]
    probability: Float[np.ndarray, "n k"]
    rank: Int[np.ndarray, "n k"]


def check_patchable(space: PatchableSpace) -> None:
    """Refuse a space that task vectors cannot be tried on.

    Raises
    ------
    InputError
        If its states cannot be moved, it does not write, or it puts a template around prompts.
    """
    if not isinstance(space, PatchableSpace):
        raise InputError(
            f"{type(space).__name__} cannot be patched: its states cannot be moved or it has no vocabulary. Use a causal language model, "
            "such as LanguageModelSpace('gpt2')."
        )
    if space.fingerprint.template != "{text}":
        raise InputError(
            f"The space puts the template {space.fingerprint.template!r} around texts, so that a prompt would not end with its separator. "
            "Open it without a template and write the frame into the task's."
        )
    space.generate(["a"], max_new_tokens=1)  # refuses a model whose last state does not say what comes next


def first_tokens(space: PatchableSpace, answers: Sequence[str | None]) -> Int[np.ndarray, " n"]:
    """The token each answer begins with as it continues a prompt; -1 where there is none.

    Raises
    ------
    VocabularyError
        If the vocabulary cannot write an answer.
    """
    return np.array([-1 if answer is None else space.word_ids(answer)[0] for answer in answers], dtype=np.int64)


def own_and_other_answers(space: PatchableSpace, pairs: Sequence[Pair], other: Task) -> Int[np.ndarray, "n 2"]:
    """First tokens of the outputs of `pairs`, and of what another task has for the same inputs where that begins otherwise."""
    known = dict(other.pairs)
    own = first_tokens(space, [target for _, target in pairs])
    others = first_tokens(space, [known.get(source) for source, _ in pairs])
    return np.stack([own, np.where(others == own, -1, others)], axis=1)


def answer_scores(
    space: PatchableSpace,
    prompts: Sequence[str],
    answers: Int[np.ndarray, "n k"],
    *,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> AnswerScores:
    """Read the next token of all prompts in one go, within whatever moves are under way.

    Parameters
    ----------
    space : PatchableSpace
    prompts : sequence of str
        Any number, none included.
    answers : ndarray of int, shape (n_prompts, n_answers)
        Vocabulary items asked about; -1 for none. See :func:`first_tokens`.
    batch_size : int, optional
        Prompts in one pass.
    progress : callable
        Wraps the iteration over batches.

    Raises
    ------
    InputError
        If a prompt is longer than the space takes: a cut one would show other demonstrations than it says.
    """
    require_whole(space, prompts)
    states = space.encode_representations(prompts, [Representation(-1, "last")], batch_size=batch_size, progress=progress)[:, 0]
    right = np.zeros(answers.shape, dtype=bool)
    probability, rank = np.full(answers.shape, np.nan), np.full(answers.shape, -1)
    for start in range(0, len(prompts), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        logits = space.lens.logits(space.lens.input(states[part], layer=-1)).astype(np.float64)
        shares, asked = softmax(logits), answers[part]
        own = np.take_along_axis(logits, np.maximum(asked, 0), axis=1)
        there = asked >= 0
        right[part] = there & (logits.argmax(axis=1)[:, np.newaxis] == asked)
        probability[part] = np.where(there, np.take_along_axis(shares, np.maximum(asked, 0), axis=1), np.nan)
        above = np.stack([(logits > own[:, [column]]).sum(axis=1) for column in range(asked.shape[1])], axis=1)
        rank[part] = np.where(there, above, -1)
    return AnswerScores(right, probability, rank)


def require_whole(space: PatchableSpace, prompts: Sequence[str]) -> None:
    """Refuse prompts that the space would cut.

    Raises
    ------
    InputError
    """
    cut = np.flatnonzero(space.truncated(prompts))
    if len(cut):
        raise InputError(
            f"{len(cut)} of {len(prompts)} prompts are longer than the {space.fingerprint.max_length} tokens that the space takes, such as "
            f"the one that ends with {prompts[cut[0]][-40:]!r}. Ask for fewer shots, or open the space with a larger max_length."
        )
