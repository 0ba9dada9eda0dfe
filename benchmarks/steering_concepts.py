"""Concepts to steer by: texts of both poles for the direction, others for the judge, words, and a beginning that asks for the concept.

Topic and sentiment have labelled sets. Formality has none here: its texts are written by a list of formal and informal forms of the same
statements, openings and endings, in three parts that share none of them: for directions, for the judge, and to see how often it is right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common import SHARED
from lexframe import LanguageModelSpace, LogisticProbe, SentenceEncoderSpace, read_table

CLIPPED = 240
"""Characters of a text that are read: what is judged is short."""


@dataclass(frozen=True)
class Concept:
    """A set, its positive label, the texts that its judge needs, the words that stand for both poles, and how it is asked for in words."""

    name: str
    dataset: str
    positive: str
    n_judged: int
    words: tuple[tuple[str, ...], tuple[str, ...]]
    request: str


CONCEPTS = (
    Concept("topic", "agnews", "sports", 800, (("sports", "game", "team"), ("business", "war", "computer")), "Sports news: "),
    Concept(
        "sentiment", "mr", "positive", 1900, (("good", "great", "wonderful"), ("bad", "boring", "terrible")), "A very positive review: "
    ),
    Concept("formality", "", "formal", 360, (("therefore", "regarding", "sincerely"), ("yeah", "hey", "gonna")), "A formal letter: "),
)

STATEMENTS = (
    ("the meeting has been postponed until next week", "they pushed the meeting back to next week"),
    ("we were unable to locate the requested documents", "we couldn't find the papers you asked for"),
    ("the children are required to remain indoors", "the kids gotta stay inside"),
    ("the payment was received on the third of March", "got your money on march 3rd"),
    ("additional information will be provided shortly", "we'll tell you more in a bit"),
    ("the committee has approved the proposal", "they said yes to the plan"),
    ("the vehicle requires considerable repair", "the car's pretty busted"),
    ("I was not informed of the decision in advance", "nobody told me about it before"),
    ("the hotel did not meet our expectations", "the hotel kinda sucked"),
    ("our colleagues will attend the ceremony", "the guys are coming to the thing too"),
    ("it is advisable to purchase tickets beforehand", "you should grab tickets early"),
    ("the residents have expressed their concern", "folks around here are kinda worried"),
    ("the results are to be published in the autumn", "the results come out this fall"),
    ("your assistance in this matter is appreciated", "thanks a bunch for helping out"),
    ("the equipment must be returned without delay", "bring the stuff back asap"),
    ("the lecture concerned the history of the region", "the talk was about old stuff from around here"),
    ("she intends to relocate to another city", "she's gonna move someplace else"),
    ("the restaurant will be closed for renovation", "the place is shut cuz they're fixing it up"),
    ("numerous applicants were interviewed", "they talked to tons of people"),
    ("the train is expected to arrive shortly", "train's almost here"),
    ("the manuscript contains several errors", "there's a bunch of typos in it"),
    ("we have decided to decline the offer", "we're gonna pass on that one"),
    ("the weather is anticipated to improve", "looks like it's gonna get nicer"),
    ("the patient has recovered completely", "he's totally fine now"),
)
"""The same said formally and informally."""

FRAMES = (
    (
        ("We would like to inform you that {}.", "hey so {}"),
        ("Please be advised that {}.", "just so you know, {}"),
        ("It has come to our attention that {}.", "ok so apparently {} lol"),
        ("I regret to say that {}. I remain at your disposal.", "ugh, {}!! anyway call me"),
    ),
    (
        ("It is my understanding that {}. Yours faithfully.", "dude, {}, right?"),
        ("As stated in our previous correspondence, {}.", "like i said, {}"),
        ("Furthermore, {}, as has been confirmed.", "oh and btw {} haha"),
        ("Kindly note that {}. We thank you for your understanding.", "yeah {}, no worries tho"),
    ),
    (
        ("Dear Sir or Madam, {}. Yours sincerely.", "hiya! {} :)"),
        ("In accordance with the regulations, {}.", "well, you guessed it, {}"),
        ("I am writing to confirm that {}.", "guess what, {}!"),
        ("In this respect it should be emphasized that {}.", "no way, {} omg"),
    ),
)
"""What stands around a statement, formally and informally, for directions, for the judge and for those that it has not seen."""


def caption_beginnings(space: LanguageModelSpace, n: int) -> list[str]:
    """First four words of captions, all of the length in tokens that is most frequent, so that they are written on in one batch."""
    captions = read_table(SHARED / "data" / "coco_captions" / "test.jsonl.gz", label=None).texts
    found = list(dict.fromkeys(" ".join(text.split()[:4]).capitalize() for text in captions[:3000] if len(text.split()) > 8))
    lengths = space.token_counts(found)
    common = np.bincount(lengths).argmax()
    return [text for text, length in zip(found, lengths, strict=True) if length == common][:n]


def formality_texts(part: int) -> tuple[list[str], list[str]]:
    """Formal and informal texts of one part of three; frames and statements are those of this part alone."""
    formal, informal = [], []
    for high, low in STATEMENTS[part::3]:
        for above, below in FRAMES[part]:
            text = above.format(high)
            formal.append(text[:1].upper() + text[1:])
            informal.append(below.format(low))
    return formal, informal


def pole_texts(concept: Concept, n: int, seed: int, clipped: int = CLIPPED) -> tuple[list[str], list[str]]:
    """Texts of the positive and of the negative pole to find directions in: drawn from a training file, or written by rule."""
    rng = np.random.default_rng(seed)
    if not concept.dataset:
        both = formality_texts(0)
        return tuple([texts[row] for row in rng.permutation(len(texts))[:n]] for texts in both)  # type: ignore[return-value]
    table = read_table(SHARED / "data" / concept.dataset / "train.jsonl.gz")
    y = np.array([label == concept.positive for label in table.labels or ()])
    drawn = [[table.texts[row][:clipped] for row in rng.choice(np.flatnonzero(y == pole), n, replace=False)] for pole in (True, False)]
    return drawn[0], drawn[1]


Judge = Callable[[list[str]], np.ndarray]


def trained_judge(concept: Concept, space: SentenceEncoderSpace, n: int) -> tuple[Judge, np.ndarray]:
    """Probability of the positive pole by a probe, and which of the texts left out it has right.

    Texts are those of the test split, balanced, a quarter left out; of formality, those of the other two parts.
    """
    if not concept.dataset:
        (train, y_train), (test, y_test) = (judged_texts(part) for part in (1, 2))
        probe = LogisticProbe().fit(space.encode(train), y_train)
        right = (probe.predict(space.encode(test)) == y_test).astype(float)
        return lambda texts: probe.predict_proba(space.encode(texts))[:, 1], right
    table = read_table(SHARED / "data" / concept.dataset / "test.jsonl.gz")
    y = np.array([label == concept.positive for label in table.labels or ()])
    rng = np.random.default_rng(7)
    rows = rng.permutation(np.concatenate([rng.choice(np.flatnonzero(y == pole), n // 2, replace=False) for pole in (False, True)]))
    points = space.encode([table.texts[row][:CLIPPED] for row in rows])
    n_train = 3 * n // 4
    probe = LogisticProbe().fit(points[:n_train], y[rows[:n_train]])
    right = (probe.predict(points[n_train:]) == y[rows[n_train:]]).astype(float)
    return lambda texts: probe.predict_proba(space.encode(texts))[:, 1], right


def judged_texts(part: int) -> tuple[list[str], np.ndarray]:
    formal, informal = formality_texts(part)
    return [*formal, *informal], np.array([True] * len(formal) + [False] * len(informal))


def natural_formality(judge: Judge) -> tuple[float, float]:
    """Mean probability of formal that the judge gives to abstracts of an encyclopedia and to short messages about feelings."""
    found = []
    for dataset in ("dbpedia14", "carer"):
        table = read_table(SHARED / "data" / dataset / "test.jsonl.gz")
        found.append(float(judge([text[:120] for text in table.texts[:200]]).mean()))
    return found[0], found[1]
