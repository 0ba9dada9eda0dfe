"""How many analogies come out right, beside baselines that never look at the analogy, with intervals.

Every method is judged on the same questions twice: as is usual, with the words of the question left out of the answers, and
honestly, with every word allowed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int

from lexframe.data.analogy_questions import AnalogyQuestion
from lexframe.data.word_vectors import WordVectors
from lexframe.exceptions import InputError
from lexframe.instruments.words.analogy import METHODS, CosineBlock, Vocabulary, cosines, folded
from lexframe.instruments.words.analogy_relations import RELATION_METHODS, RelationPairs
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress

ALL_METHODS = (*METHODS, *RELATION_METHODS)
TOTAL = "all relations"
WORD_BLOCK, QUESTION_BLOCK = 4096, 64
"""Scores held at once: 1 MiB, which stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class AnalogyScore:
    """One method on the questions of one relation, or of all.

    Attributes
    ----------
    method, relation : str
        `relation` is :data:`TOTAL` for all questions together.
    n_questions, n_covered : int
        Covered are those whose three words and at least one answer have a vector. The others count as wrong.
    accuracy, low, high : float
        Share of right answers with the words of the question left out, and its 95% interval over pairs.
    covered_accuracy : float
        The same over covered questions alone; NaN where there are none.
    honest_accuracy : float
        Share of right answers when every word may be the answer.
    """

    method: str
    relation: str
    n_questions: int
    n_covered: int
    accuracy: float
    low: float
    high: float
    covered_accuracy: float
    honest_accuracy: float


@dataclass(frozen=True, slots=True)
class QuartileScore:
    """One method on the covered questions whose answers are about equally frequent.

    Attributes
    ----------
    method : str
    quartile : int
        Of the distinct answers by frequency; 1 holds the most frequent.
    n_questions : int
    accuracy : float
        With the words of the question left out; NaN where there are no questions.
    """

    method: str
    quartile: int
    n_questions: int
    accuracy: float


@dataclass(frozen=True, eq=False)
class AnalogyEvaluation:
    """Methods on the questions of a file.

    Attributes
    ----------
    scores : tuple of AnalogyScore
        By method and relation, all relations together last.
    quartiles : tuple of QuartileScore
    methods, relations : tuple of str
    relation_of : ndarray of int, shape (n_questions,)
        Number of the relation of every question.
    pairs : ndarray of int, shape (n_questions, 2)
        Numbers of the pairs (a, a') and (b, answer) of every question within its relation: what intervals resample.
    right : dict of str to ndarray of bool, shape (n_questions,)
        By method, with the words of the question left out.
    source : str
        Of the vectors.
    n_words : int
        Candidates.
    provenance : Provenance
    """

    scores: tuple[AnalogyScore, ...]
    quartiles: tuple[QuartileScore, ...]
    methods: tuple[str, ...]
    relations: tuple[str, ...]
    relation_of: Int[np.ndarray, " n_questions"]
    pairs: Int[np.ndarray, "n_questions 2"]
    right: dict[str, Bool[np.ndarray, " n_questions"]]
    source: str
    n_words: int
    provenance: Provenance

    def score(self, method: str, relation: str = TOTAL) -> AnalogyScore:
        """Of one method on one relation; default: on all questions.

        Raises
        ------
        InputError
            If it was not measured.
        """
        for score in self.scores:
            if (score.method, score.relation) == (method, relation):
                return score
        raise InputError(
            f"{method!r} on {relation!r} was not measured; there are {', '.join(self.methods)} on {', '.join(self.relations)}."
        )

    def lead(self, method: str, over: str = "b-only", *, n_resamples: int = 1000, random_state: int = 0) -> tuple[float, float, float]:
        """By how much a method is right more often than another, on all questions, with its paired 95% interval.

        Parameters
        ----------
        method, over : str
            Both measured.
        n_resamples, random_state : int
            Of the interval; see :func:`pair_bootstrap`.
        """
        difference = self.right[self.score(method).method].astype(float) - self.right[self.score(over).method].astype(float)
        return pair_bootstrap(difference, self.relation_of, self.pairs, n_resamples=n_resamples, random_state=random_state)[1]

    def to_frame(self) -> Any:
        """The tidy table: a row a method and relation."""
        import pandas as pd

        return pd.DataFrame([{"source": self.source, **asdict(score)} for score in self.scores])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "source": self.source,
            "n_words": self.n_words,
            "scores": [_without_nan(asdict(score)) for score in self.scores],
            "quartiles": [_without_nan(asdict(quartile)) for quartile in self.quartiles],
            "provenance": self.provenance.to_dict(),
        }

    def chart(self) -> Any:
        """Accuracy by relation and method, with intervals and the b-only baseline."""
        from lexframe.instruments.words.charts import analogy_chart

        return analogy_chart(self)

    def _repr_html_(self) -> str:
        table = self.to_frame().pivot_table(index="relation", columns="method", values="accuracy", sort=False)
        return str(table.to_html(float_format="{:.3f}".format))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Covered questions as rows of the vocabulary, padded with -1 where one has fewer words."""

    number: Int[np.ndarray, " n"]
    words: Int[np.ndarray, "n 3"]
    spellings: Int[np.ndarray, "n width"]
    b_spellings: Int[np.ndarray, "n b_width"]
    answers: Int[np.ndarray, "n n_answers"]
    questions: tuple[AnalogyQuestion, ...]


def evaluate_analogies(
    vectors: WordVectors,
    questions: Iterable[AnalogyQuestion],
    *,
    methods: Sequence[str] = ALL_METHODS,
    lower: bool = True,
    n_resamples: int = 1000,
    random_state: int = 0,
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
        Of the intervals; see :func:`pair_bootstrap`.
    random_state : int
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
    asked = _asked(vocabulary, questions)
    relations = tuple(dict.fromkeys(question.relation for question in questions))
    relation_of = np.array([relations.index(question.relation) for question in questions])
    pairs = _pair_numbers(questions, lower)
    spelling_of = _spelling_of(vocabulary)
    right, honest = {}, {}
    for method in progress(dict.fromkeys(methods)):
        answered = _by_words(vocabulary, asked, method) if method in METHODS else _by_relations(vocabulary, asked, method, random_state)
        right[method], honest[method] = (_is_right(rows, asked, spelling_of, len(questions)) for rows in answered)
    covered = np.zeros(len(questions), dtype=bool)
    covered[asked.number] = True
    scores = [
        score
        for method in right
        for score in _scores(method, right[method], honest[method], covered, relations, relation_of, pairs, n_resamples, random_state)
    ]
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
            seed=random_state,
            parameters={**vectors.provenance.parameters, "lower": lower, "n_resamples": n_resamples},
        ),
    )


def pair_bootstrap(
    values: Float[np.ndarray, " n_questions"],
    relation_of: Int[np.ndarray, " n_questions"],
    pairs: Int[np.ndarray, "n_questions 2"],
    *,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> tuple[list[tuple[float, float, float]], tuple[float, float, float]]:
    r"""Means over questions with 95% intervals that know how questions are made.

    Questions are products of pairs: 20 pairs make 380 questions, and a pair that is odd spoils 38 of them. So pairs are drawn with
    replacement, within each relation, and a question counts as often as the product of the draws of its two pairs (the pigeonhole
    bootstrap of Owen, 2007). Relations are not drawn: which ones are asked is a choice.

    Parameters
    ----------
    values : ndarray of shape (n_questions,)
        Right or wrong, or a difference of two methods.
    relation_of : ndarray of int, shape (n_questions,)
        Number of the relation, from 0.
    pairs : ndarray of int, shape (n_questions, 2)
        Numbers of both pairs within the relation, from 0.
    n_resamples, random_state : int
        Equal seeds draw equal pairs, so that methods are compared on the same draws.

    Returns
    -------
    by_relation : list of (mean, low, high)
    total : (mean, low, high)
        Over all questions.
    """
    rng = np.random.default_rng(random_state)
    sums: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    means: list[float] = []
    for relation in range(int(relation_of.max()) + 1):
        chosen = relation_of == relation
        left, right = pairs[chosen].T
        n_pairs = int(max(left.max(), right.max())) + 1
        draws = rng.multinomial(n_pairs, np.full(n_pairs, 1 / n_pairs), size=n_resamples).astype(np.float64)
        for content, into in ((values[chosen].astype(float), sums), (np.ones(len(left)), sizes)):
            table = scipy.sparse.coo_array((content, (left, right)), shape=(n_pairs, n_pairs)).tocsr()
            into.append(np.einsum("rp,rp->r", draws @ table, draws))
        means.append(float(values[chosen].mean()))
    by_relation = [(mean, *_interval(total, size, mean)) for mean, total, size in zip(means, sums, sizes, strict=True)]
    mean = float(values.mean())
    return by_relation, (mean, *_interval(np.sum(sums, axis=0), np.sum(sizes, axis=0), mean))


def _interval(sums: np.ndarray, sizes: np.ndarray, mean: float) -> tuple[float, float]:
    drawn = sums[sizes > 0] / sizes[sizes > 0]  # a draw of one pair alone, again and again, makes no question
    low, high = np.percentile(drawn if len(drawn) else [mean], [2.5, 97.5])
    return float(low), float(high)


def _asked(vocabulary: Vocabulary, questions: Sequence[AnalogyQuestion]) -> _Asked:
    numbers, words, spellings, b_spellings, answers, kept = [], [], [], [], [], []
    for number, question in enumerate(questions):
        given = [vocabulary.rows(word) for word in (question.a, question.a_, question.b)]
        known = [row for row in (vocabulary.row(word) for word in question.answers) if row >= 0]
        if known and all(rows[0] >= 0 for rows in given):
            numbers.append(number)
            kept.append(question)
            words.append([rows[0] for rows in given])
            spellings.append([row for rows in given for row in rows])
            b_spellings.append(given[2])
            answers.append(known)
    return _Asked(
        np.array(numbers, dtype=np.int64),
        np.array(words, dtype=np.int64).reshape(-1, 3),
        _padded(spellings),
        _padded(b_spellings),
        _padded(answers),
        tuple(kept),
    )


def _padded(lists: Sequence[Sequence[int]]) -> Int[np.ndarray, "n width"]:
    width = max(map(len, lists), default=1)
    return np.array([[*numbers, *[-1] * (width - len(numbers))] for numbers in lists], dtype=np.int64).reshape(-1, width)


def _spelling_of(vocabulary: Vocabulary) -> Int[np.ndarray, " n_words"]:
    """Row of the most frequent spelling of every word."""
    first = np.empty(len(vocabulary.vectors), dtype=np.int64)
    for rows in vocabulary.spellings.values():
        first[rows] = rows[0]
    return first


class _Best:
    """The best row so far of every question: the first of equals, so the most frequent word."""

    def __init__(self, n_questions: int):
        self.score = np.full(n_questions, -np.inf, dtype=np.float32)
        self.row = np.full(n_questions, -1, dtype=np.int64)

    def update(self, part: slice, scores: np.ndarray, start: int) -> None:
        top = scores.argmax(axis=1)
        value = scores[np.arange(len(scores)), top]
        better = value > self.score[part]
        self.score[part] = np.where(better, value, self.score[part])
        self.row[part] = np.where(better, top + start, self.row[part])


class _Answers:
    """Best rows with the words of the question left out, and with every word allowed."""

    def __init__(self, left_out: Int[np.ndarray, "n width"]):
        self.left_out = left_out
        self.usual, self.honest = _Best(len(left_out)), _Best(len(left_out))

    def update(self, part: slice, scores: np.ndarray, start: int) -> None:
        self.honest.update(part, scores, start)
        columns = self.left_out[part] - start
        question, place = np.nonzero((columns >= 0) & (columns < scores.shape[1]) & (self.left_out[part] >= 0))
        scores[question, columns[question, place]] = -np.inf
        self.usual.update(part, scores, start)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        return self.usual.row, self.honest.row


def _blocks(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _by_words(vocabulary: Vocabulary, asked: _Asked, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows answered by a method of :data:`METHODS`, usual and honest."""
    rows, place = np.unique(asked.words, return_inverse=True)
    place = place.reshape(asked.words.shape)
    units, answers, score = vocabulary.units, _Answers(asked.spellings), METHODS[method]
    among = cosines(units, rows, units[rows])
    for words in _blocks(len(units), WORD_BLOCK):
        block = CosineBlock(cosines(units, rows, units[words]), among)
        for part in _blocks(len(place), QUESTION_BLOCK):
            answers.update(part, score(block, *place[part].T), words.start)
    return answers.rows()


def _by_relations(vocabulary: Vocabulary, asked: _Asked, method: str, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows answered by a method of :data:`RELATION_METHODS`, usual and honest: once a pair, handed to all its questions."""
    usual, honest = (np.full(len(asked.number), -1, dtype=np.int64) for _ in range(2))
    names = [question.relation for question in asked.questions]
    for relation in dict.fromkeys(names):
        members = np.array([number for number, name in enumerate(names) if name == relation])
        found, number_of = _relation_pairs(asked, members)
        score = RELATION_METHODS[method](vocabulary.units, found, np.random.default_rng(random_state))
        first = np.array([members[np.argmax(number_of == number)] for number in range(number_of.max() + 1)])
        answers = _Answers(asked.b_spellings[first])
        for words in _blocks(len(vocabulary.units), WORD_BLOCK):
            answers.update(slice(0, len(first)), score(vocabulary.units[words])[: len(first)], words.start)
        for rows, into in zip(answers.rows(), (usual, honest), strict=True):
            into[members] = rows[number_of]
    return usual, honest


def _relation_pairs(asked: _Asked, members: Int[np.ndarray, " n"]) -> tuple[RelationPairs, Int[np.ndarray, " n"]]:
    """Pairs of a relation, those that are asked first, and the number of the pair that each of its questions asks."""
    numbers: dict[tuple[int, ...], int] = {}
    number_of = np.array([numbers.setdefault((int(asked.words[i, 2]), *asked.answers[i].tolist()), len(numbers)) for i in members])
    known = {(key[0], answer) for key in numbers for answer in key[1:]}
    for a, a_ in np.unique(asked.words[members, :2], axis=0).tolist():
        if (a, a_) not in known:
            numbers.setdefault((a, a_), len(numbers))
    keys = list(numbers)
    named = [{row for row in key if row >= 0} for key in keys]
    kept = np.array([[named_here.isdisjoint(other[:2]) for other in keys] for named_here in named])
    return RelationPairs(np.array([key[0] for key in keys]), np.array([key[1] for key in keys]), kept), number_of


def _is_right(rows: np.ndarray, asked: _Asked, spelling_of: np.ndarray, n_questions: int) -> Bool[np.ndarray, " n_questions"]:
    """Whether the word answered is one of the answers, in any spelling; questions that are not covered are wrong."""
    spelt = np.where(rows >= 0, spelling_of[rows], -2)
    right = np.zeros(n_questions, dtype=bool)
    right[asked.number] = (spelt[:, np.newaxis] == asked.answers).any(axis=1)
    return right


def _scores(
    method: str,
    right: np.ndarray,
    honest: np.ndarray,
    covered: np.ndarray,
    relations: Sequence[str],
    relation_of: np.ndarray,
    pairs: np.ndarray,
    n_resamples: int,
    random_state: int,
) -> list[AnalogyScore]:
    by_relation, total = pair_bootstrap(right.astype(float), relation_of, pairs, n_resamples=n_resamples, random_state=random_state)
    scores = []
    for number, (relation, (accuracy, low, high)) in enumerate(zip([*relations, TOTAL], [*by_relation, total], strict=True)):
        chosen = relation_of == number if number < len(relations) else np.ones(len(right), dtype=bool)
        n_covered = int(covered[chosen].sum())
        scores.append(
            AnalogyScore(
                method=method,
                relation=relation,
                n_questions=int(chosen.sum()),
                n_covered=n_covered,
                accuracy=accuracy,
                low=low,
                high=high,
                covered_accuracy=float(right[chosen].sum() / n_covered) if n_covered else float("nan"),
                honest_accuracy=float(honest[chosen].mean()),
            )
        )
    return scores


def _quartiles(asked: _Asked, n_questions: int) -> Int[np.ndarray, " n_questions"]:
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


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
