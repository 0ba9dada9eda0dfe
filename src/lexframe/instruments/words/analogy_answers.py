"""What a method answers to every question: the best word of all, usual and honest, block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from lexframe.data.analogy_questions import AnalogyQuestion
from lexframe.instruments.words.analogy import ANALOGY_METHODS, CosineBlock, Vocabulary, cosines
from lexframe.instruments.words.analogy_relations import RELATION_METHODS, RelationPairs

WORD_BLOCK, QUESTION_BLOCK = 4096, 64
"""Scores held at once: 1 MiB, which stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class AskedQuestions:
    """Covered questions as rows of the vocabulary, padded with -1 where one has fewer words."""

    number: Int[np.ndarray, " n"]
    words: Int[np.ndarray, "n 3"]
    spellings: Int[np.ndarray, "n width"]
    b_spellings: Int[np.ndarray, "n b_width"]
    answers: Int[np.ndarray, "n n_answers"]
    questions: tuple[AnalogyQuestion, ...]


def asked_questions(vocabulary: Vocabulary, questions: Sequence[AnalogyQuestion]) -> AskedQuestions:
    """The covered ones among the questions."""
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
    return AskedQuestions(
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


def first_spellings(vocabulary: Vocabulary) -> Int[np.ndarray, " n_words"]:
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


def answered_by_words(vocabulary: Vocabulary, asked: AskedQuestions, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows answered by a method of :data:`ANALOGY_METHODS`, usual and honest."""
    rows, place = np.unique(asked.words, return_inverse=True)
    place = place.reshape(asked.words.shape)
    units, answers, score = vocabulary.units, _Answers(asked.spellings), ANALOGY_METHODS[method]
    among = cosines(units, rows, units[rows])
    for words in _blocks(len(units), WORD_BLOCK):
        block = CosineBlock(cosines(units, rows, units[words]), among)
        for part in _blocks(len(place), QUESTION_BLOCK):
            answers.update(part, score(block, *place[part].T), words.start)
    return answers.rows()


def answered_by_relations(vocabulary: Vocabulary, asked: AskedQuestions, method: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows answered by a method of :data:`RELATION_METHODS`, usual and honest: once a pair, handed to all its questions."""
    usual, honest = (np.full(len(asked.number), -1, dtype=np.int64) for _ in range(2))
    names = [question.relation for question in asked.questions]
    for relation in dict.fromkeys(names):
        members = np.array([number for number, name in enumerate(names) if name == relation])
        found, number_of = _relation_pairs(asked, members)
        score = RELATION_METHODS[method](vocabulary.units, found, np.random.default_rng(seed))
        first = np.array([members[np.argmax(number_of == number)] for number in range(number_of.max() + 1)])
        answers = _Answers(asked.b_spellings[first])
        for words in _blocks(len(vocabulary.units), WORD_BLOCK):
            answers.update(slice(0, len(first)), score(vocabulary.units[words])[: len(first)], words.start)
        for rows, into in zip(answers.rows(), (usual, honest), strict=True):
            into[members] = rows[number_of]
    return usual, honest


def _relation_pairs(asked: AskedQuestions, members: Int[np.ndarray, " n"]) -> tuple[RelationPairs, Int[np.ndarray, " n"]]:
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


def is_right(rows: np.ndarray, asked: AskedQuestions, spelling_of: np.ndarray, n_questions: int) -> Bool[np.ndarray, " n_questions"]:
    """Whether the word answered is one of the answers, in any spelling; questions that are not covered are wrong."""
    spelt = np.where(rows >= 0, spelling_of[rows], -2)
    right = np.zeros(n_questions, dtype=bool)
    right[asked.number] = (spelt[:, np.newaxis] == asked.answers).any(axis=1)
    return right
