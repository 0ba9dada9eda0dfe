"""How many analogies come out right, beside baselines that never look at the analogy, with intervals.

Every method is judged on the same questions twice: as is usual, with the words of the question left out of the answers, and
honestly, with every word allowed.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Int

from lexframe.data.analogy_questions import AnalogyQuestion
from lexframe.data.word_vectors import WordVectors
from lexframe.exceptions import InputError
from lexframe.instruments.words.analogy import ANALOGY_METHODS, Vocabulary, folded
from lexframe.instruments.words.analogy_answers import (
    AskedQuestions,
    answered_by_relations,
    answered_by_words,
    asked_questions,
    first_spellings,
    is_right,
)
from lexframe.instruments.words.analogy_relations import RELATION_METHODS
from lexframe.instruments.words.analogy_result import TOTAL, AnalogyEvaluation, AnalogyScore, QuartileScore
from lexframe.intervals import Estimate, product_estimates
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress

ALL_METHODS = (*ANALOGY_METHODS, *RELATION_METHODS)


def evaluate_analogies(
    vectors: WordVectors,
    questions: Iterable[AnalogyQuestion],
    *,
    methods: Sequence[str] = ALL_METHODS,
    lower: bool = True,
    n_resamples: int = 1000,
    seed: int = 0,
    progress: Progress = iter,
) -> AnalogyEvaluation:
    """Answer every question by every method and count.

    Parameters
    ----------
    vectors : WordVectors
        The candidates, the most frequent first; among equal scores the more frequent word is the answer.
    questions : iterable of AnalogyQuestion
        See :func:`lexframe.data.read_questions`.
    methods : sequence of str
        Of :data:`ALL_METHODS`; the baselines belong in every table.
    lower : bool
        Words that differ in case alone are one word, spelt as is most frequent; all spellings can be answers.
    n_resamples : int
        Of the intervals; see :func:`~lexframe.intervals.product_estimates`.
    seed : int
        Of the intervals, and of the random words that LRCos learns from.
    progress : callable
        Wraps the iteration over methods.

    Returns
    -------
    AnalogyEvaluation

    Raises
    ------
    InputError
        If there is no question, or no such method.

    Notes
    -----
    3CosAvg and LRCos answer one question a pair, whatever a and a' are, and leave out b alone. Memory is that of the cosines of the
    asked words with 4,096 others at a time, beside one single-precision copy of the vectors.
    """
    questions = tuple(questions)
    unknown = [method for method in methods if method not in ALL_METHODS]
    if unknown or not methods:
        raise InputError(f"There is no analogy method {', '.join(map(repr, unknown)) or 'named'}; there are {', '.join(ALL_METHODS)}.")
    if not questions:
        raise InputError("There is no question. Give at least one AnalogyQuestion.")
    vocabulary = Vocabulary(vectors, lower)
    asked = asked_questions(vocabulary, questions)
    relations = tuple(dict.fromkeys(question.relation for question in questions))
    relation_of = np.array([relations.index(question.relation) for question in questions])
    pairs = _pair_numbers(questions, lower)
    spelling_of = first_spellings(vocabulary)
    right, honest = {}, {}
    for method in progress(dict.fromkeys(methods)):
        by_words = method in ANALOGY_METHODS
        answered = answered_by_words(vocabulary, asked, method) if by_words else answered_by_relations(vocabulary, asked, method, seed)
        right[method], honest[method] = (is_right(rows, asked, spelling_of, len(questions)) for rows in answered)
    covered = np.zeros(len(questions), dtype=bool)
    covered[asked.number] = True
    scores = []
    for method, answers in right.items():
        by_relation, total = product_estimates(answers.astype(float), relation_of, pairs, n_resamples=n_resamples, seed=seed)
        named = dict(zip([*relations, TOTAL], [*by_relation, total], strict=True))
        scores += _scores(method, answers, honest[method], covered, relation_of, named)
    quartile_of = _quartiles(asked, len(questions))
    return AnalogyEvaluation(
        scores=tuple(scores),
        quartiles=tuple(
            _quartile_score(method, quartile, right[method][quartile_of == quartile]) for method in right for quartile in range(1, 5)
        ),
        methods=tuple(right),
        relations=relations,
        relation_of=relation_of,
        pairs=pairs,
        right=right,
        source=vectors.source,
        n_words=len(vectors),
        provenance=Provenance(
            space=vectors.provenance.space,
            seed=seed,
            parameters={**vectors.provenance.parameters, "lower": lower, "n_resamples": n_resamples},
        ),
    )


def _scores(
    method: str,
    right: np.ndarray,
    honest: np.ndarray,
    covered: np.ndarray,
    relation_of: np.ndarray,
    accuracies: Mapping[str, Estimate],
) -> list[AnalogyScore]:
    scores = []
    for number, (relation, accuracy) in enumerate(accuracies.items()):
        chosen = np.ones(len(right), dtype=bool) if relation == TOTAL else relation_of == number
        n_covered = int(covered[chosen].sum())
        scores.append(
            AnalogyScore(
                method=method,
                relation=relation,
                n_questions=int(chosen.sum()),
                n_covered=n_covered,
                accuracy=accuracy,
                covered_accuracy=float(right[chosen].sum() / n_covered) if n_covered else float("nan"),
                honest_accuracy=float(honest[chosen].mean()),
            )
        )
    return scores


def _quartiles(asked: AskedQuestions, n_questions: int) -> Int[np.ndarray, " n_questions"]:
    """Quartile of the most frequent answer of every question, 1 to 4; 0 where the question is not covered."""
    quartile = np.zeros(n_questions, dtype=np.int64)
    if len(asked.number):
        answer = np.where(asked.answers >= 0, asked.answers, np.iinfo(np.int64).max).min(axis=1)
        edges = np.quantile(np.unique(answer), [0.25, 0.5, 0.75])
        quartile[asked.number] = 1 + np.searchsorted(edges, answer)
    return quartile


def _quartile_score(method: str, quartile: int, right: np.ndarray) -> QuartileScore:
    return QuartileScore(method, quartile, len(right), float(right.mean()) if len(right) else float("nan"))


def _pair_numbers(questions: Sequence[AnalogyQuestion], lower: bool) -> Int[np.ndarray, "n_questions 2"]:
    """Numbers of (a, a') and (b, first answer) within the relation."""
    numbers: dict[str, dict[tuple[str, ...], int]] = {}

    def number(relation: str, *words: str) -> int:
        known = numbers.setdefault(relation, {})
        return known.setdefault(tuple(folded(word, lower=lower) for word in words), len(known))

    return np.array(
        [
            [number(question.relation, question.a, question.a_), number(question.relation, question.b, *question.answers[:1])]
            for question in questions
        ],
        dtype=np.int64,
    )
