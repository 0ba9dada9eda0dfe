"""What tasks could be alike for: one group, the same words, the same contrast, the same templates.

Each hypothesis is a matrix of tasks with ones on its diagonal, to hold a matrix of similarities against. Sentences are taken with their
prompts, in lower case, without punctuation.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse
from jaxtyping import Float

from lexframe.task_space.tasks import Contrast, Task

FREQUENT = 0.01
"""Share of all sentences that a word has to stand in to be a part of a template rather than what fills it."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_START, _END, _FILLED = "<", ">", "_"


def same_group(groups: Sequence[str | None]) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """1 where both tasks have the same group, else 0; a task without a group shares it with none.

    Parameters
    ----------
    groups : sequence of str or None
        One a task.
    """
    rows = [[float(one is not None and one == other) for other in groups] for one in groups]
    return _with_ones(np.array(rows, dtype=np.float64).reshape(len(groups), len(groups)))


def word_overlap(tasks: Sequence[Task]) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """How far tasks use the same words: Bhattacharyya's coefficient of their word frequencies, over both sides of all pairs.

    Parameters
    ----------
    tasks : sequence of Task

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks)
        Cosine of the square roots of the frequencies, in [0, 1]: 1 for equal frequencies, 0 where no word is shared.
    """
    return _cosines([_counted(task, lambda pair: (word for side in _sentences(pair) for word in side)) for task in tasks], np.sqrt)


def contrast_overlap(tasks: Sequence[Task]) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """The same for what tells the sides of a pair apart alone.

    That are the words that one side has and the other has not, or has fewer times. Sides that only order the same words otherwise
    differ in their bigrams.

    Parameters
    ----------
    tasks : sequence of Task

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks)
        A task whose sides do not differ in any word overlaps with none.
    """
    return _cosines([_counted(task, _difference) for task in tasks], np.sqrt)


def template_overlap(tasks: Sequence[Task]) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """How far tasks are built alike: cosine of the counts of bigrams in the skeletons of their sentences.

    In a skeleton every word that stands in fewer than 1% of all sentences of all tasks is a gap, since tasks made of templates differ
    in what fills them and share what does not. Beginning and end of a sentence are part of its bigrams.

    Parameters
    ----------
    tasks : sequence of Task
    """
    sentences = [sentence for task in tasks for pair in task.pairs for sentence in _sentences(pair)]
    within = Counter(word for sentence in sentences for word in set(sentence))
    frequent = {word for word, number in within.items() if number >= FREQUENT * len(sentences)}

    def bigrams(pair: Contrast) -> Iterable[tuple[str, str]]:
        for sentence in _sentences(pair):
            yield from _bigrams([word if word in frequent else _FILLED for word in sentence])

    return _cosines([_counted(task, bigrams) for task in tasks])


def controls_of(tasks: Sequence[Task]) -> dict[str, Float[np.ndarray, "n_tasks n_tasks"]]:
    """What may make tasks look alike though they ask for different things.

    Parameters
    ----------
    tasks : sequence of Task

    Returns
    -------
    dict of str to ndarray
        ``words``, ``contrast`` and ``template``: see :func:`word_overlap`, :func:`contrast_overlap` and :func:`template_overlap`.
    """
    return {"words": word_overlap(tasks), "contrast": contrast_overlap(tasks), "template": template_overlap(tasks)}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _sentences(pair: Contrast) -> tuple[list[str], list[str]]:
    return _words(pair.prompt + pair.good), _words(pair.prompt + pair.bad)


def _bigrams(words: Sequence[str]) -> Iterable[tuple[str, str]]:
    return pairwise([_START, *words, _END])


def _difference(pair: Contrast) -> Iterable[str | tuple[str, str]]:
    good, bad = _words(pair.good), _words(pair.bad)
    found = _apart(Counter(good), Counter(bad))
    return found or _apart(Counter(_bigrams(good)), Counter(_bigrams(bad)))


def _apart(one: Counter, other: Counter) -> list:
    return [*(one - other).elements(), *(other - one).elements()]


def _counted(task: Task, things: Callable[[Contrast], Iterable]) -> Counter:
    return Counter(thing for pair in task.pairs for thing in things(pair))


def _cosines(counts: Sequence[Counter], scaled: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Float[np.ndarray, "n_tasks n_tasks"]:
    columns: dict = {}
    cells = [
        (row, columns.setdefault(thing, len(columns)), float(number)) for row, one in enumerate(counts) for thing, number in one.items()
    ]
    rows, places, numbers = (np.array(part) for part in zip(*cells, strict=True)) if cells else (np.zeros(0, dtype=int),) * 3
    table = scipy.sparse.coo_array((scaled(numbers.astype(np.float64)), (rows, places)), shape=(len(counts), max(len(columns), 1))).tocsr()
    products = (table @ table.T).toarray()
    lengths = np.sqrt(products.diagonal())
    lengths[lengths == 0] = 1.0
    return _with_ones(products / np.outer(lengths, lengths))


def _with_ones(matrix: Float[np.ndarray, "n_tasks n_tasks"]) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """Exactly symmetric, with a diagonal of exactly 1."""
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return matrix
