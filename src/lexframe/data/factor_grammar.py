"""A small English grammar whose sentences have known factors: written, read back exactly, and edited one factor at a time.

A space that decodes can be asked here what has no answer on ordinary text: whether a point stands for a sentence at all, which
factor a move of the point has changed, and what else it has changed on the way. Sentences are lower case, without a full stop,
of 5 to 10 words: "the old women did not carry the basket at home".
"""

from collections.abc import Container
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from lexframe.exceptions import InputError

SUBJECTS = {
    "baker": "bakers",
    "boy": "boys",
    "child": "children",
    "doctor": "doctors",
    "farmer": "farmers",
    "guard": "guards",
    "king": "kings",
    "lady": "ladies",
    "nurse": "nurses",
    "painter": "painters",
    "sailor": "sailors",
    "teacher": "teachers",
    "thief": "thieves",
    "woman": "women",
}
"""Plural of each subject."""

VERBS = {
    "break": ("breaks", "broke"),
    "buy": ("buys", "bought"),
    "carry": ("carries", "carried"),
    "draw": ("draws", "drew"),
    "drop": ("drops", "dropped"),
    "find": ("finds", "found"),
    "fix": ("fixes", "fixed"),
    "hide": ("hides", "hid"),
    "lose": ("loses", "lost"),
    "see": ("sees", "saw"),
    "sell": ("sells", "sold"),
    "take": ("takes", "took"),
    "wash": ("washes", "washed"),
    "watch": ("watches", "watched"),
}
"""Third person singular and past of each verb. No two forms of a verb are equal, so tense and number can be read back."""

OBJECTS = ("ball", "basket", "bell", "book", "box", "chair", "clock", "cup", "drum", "lamp", "mirror", "ring", "table", "wagon")
NONE = "none"
"""Value of a slot that is left empty."""

FACTORS: dict[str, tuple[str, ...]] = {
    "subject": tuple(SUBJECTS),
    "verb": tuple(VERBS),
    "object": OBJECTS,
    "tense": ("past", "present", "future"),
    "number": ("singular", "plural"),
    "polarity": ("affirmative", "negative"),
    "adjective": (NONE, "old", "young", "tall", "tired"),
    "place": (NONE, "outside", "upstairs", "at home", "in town", "at school"),
}
"""Values of every factor, in the order of the fields of :class:`FactorSentence`. The grammar has one sentence for each combination."""

_SUBJECT_OF = {form: (noun, number) for noun, plural in SUBJECTS.items() for form, number in ((noun, "singular"), (plural, "plural"))}
_FINITE = {
    form: (verb, tense, number)
    for verb, (third, past) in VERBS.items()
    for form, tense, number in ((verb, "present", "plural"), (third, "present", "singular"), (past, "past", "either"))
}
"""Verb, tense and the number it agrees with, of each form that stands without an auxiliary."""


@dataclass(frozen=True, slots=True)
class FactorSentence:
    """The factors of one sentence.

    Attributes
    ----------
    subject : str
        Noun, in the singular whatever its number.
    verb : str
        Infinitive.
    object : str
        Noun; always in the singular.
    tense : {"past", "present", "future"}
    number : {"singular", "plural"}
        Of the subject.
    polarity : {"affirmative", "negative"}
    adjective : str
        Of the subject; "none" where there is none.
    place : str
        One or two words at the end; "none" where there is none.

    Raises
    ------
    InputError
        If a factor has a value that the grammar does not know.
    """

    subject: str
    verb: str
    object: str
    tense: str = "present"
    number: str = "singular"
    polarity: str = "affirmative"
    adjective: str = NONE
    place: str = NONE

    def __post_init__(self) -> None:
        for factor, known in FACTORS.items():
            if getattr(self, factor) not in known:
                check_value(factor, getattr(self, factor))  # which says what is known

    @property
    def text(self) -> str:
        """The sentence."""
        return write(self)

    def to_dict(self) -> dict[str, str]:
        """The factors and the text, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"text": self.text}


class EditOutcome(NamedTuple):
    """What an edit did to a sentence.

    Attributes
    ----------
    changed : bool
        The factor has the value that was wanted.
    rest_kept : bool
        All other factors are what they were.
    """

    changed: bool
    rest_kept: bool


def check_value(factor: str, value: str) -> None:
    """Stop at a factor or a value that the grammar does not know.

    Raises
    ------
    InputError
        Naming those that it does.
    """
    if factor not in FACTORS:
        raise InputError(f"The grammar has no factor {factor!r}; it has {', '.join(FACTORS)}.")
    if value not in FACTORS[factor]:
        raise InputError(f"The grammar knows no {factor} {value!r}; expected one of {', '.join(FACTORS[factor])}.")


def write(sentence: FactorSentence) -> str:
    """The sentence in words.

    Parameters
    ----------
    sentence : FactorSentence

    Returns
    -------
    str
        Words with one blank between them.
    """
    noun = sentence.subject if sentence.number == "singular" else SUBJECTS[sentence.subject]
    adjective, place = (() if slot == NONE else (slot,) for slot in (sentence.adjective, sentence.place))
    return " ".join(("the", *adjective, noun, *_verb_words(sentence), "the", sentence.object, *place))


def _verb_words(sentence: FactorSentence) -> tuple[str, ...]:
    verb, (third, past) = sentence.verb, VERBS[sentence.verb]
    singular, negative = sentence.number == "singular", sentence.polarity == "negative"
    if sentence.tense == "future":
        return ("will", "not", verb) if negative else ("will", verb)
    if sentence.tense == "past":
        return ("did", "not", verb) if negative else (past,)
    if negative:
        return ("does" if singular else "do", "not", verb)
    return (third if singular else verb,)


def read(text: str) -> FactorSentence | None:
    """The factors of a sentence, from its words one after the other.

    Parameters
    ----------
    text : str
        Blanks around and between words do not count; everything else does, capitals and full stops included.

    Returns
    -------
    FactorSentence or None
        None if the text is no sentence of the grammar. ``read(write(sentence)) == sentence`` for every sentence.
    """
    words = text.split()[::-1]  # the next word is the last
    if not _take(words, ("the",)):
        return None
    adjective = _take(words, FACTORS["adjective"][1:]) or NONE
    noun = _take(words, _SUBJECT_OF)
    if not noun:
        return None
    subject, number = _SUBJECT_OF[noun]
    auxiliary = _take(words, ("will", "did", "do" if number == "plural" else "does"))
    negated = _take(words, ("not",)) if auxiliary else ""
    form = _take(words, VERBS if auxiliary else _FINITE)
    if not form:
        return None
    if auxiliary:
        verb, tense = form, {"will": "future", "did": "past"}.get(auxiliary, "present")
        if tense != "future" and not negated:  # no emphatic "did see"
            return None
    else:
        verb, tense, agrees_with = _FINITE[form]
        if agrees_with not in ("either", number):
            return None
    if not _take(words, ("the",)):
        return None
    item, place = _take(words, OBJECTS), " ".join(reversed(words)) or NONE
    if not item or (words and place not in FACTORS["place"][1:]):
        return None
    return FactorSentence(subject, verb, item, tense, number, "negative" if negated else "affirmative", adjective, place)


def _take(words: list[str], known: Container[str]) -> str:
    """The last of `words`, taken off, if it is one that is known there; otherwise nothing."""
    return words.pop() if words and words[-1] in known else ""


def is_grammatical(text: str) -> bool:
    """Whether a text is a sentence of the grammar."""
    return read(text) is not None


def edited(sentence: FactorSentence, **changes: str) -> FactorSentence:
    """The sentence with some factors changed.

    Parameters
    ----------
    sentence : FactorSentence
    **changes : str
        New value of each factor.

    Raises
    ------
    InputError
        If there is no such factor or value.
    """
    for factor, value in changes.items():
        check_value(factor, value)
    return replace(sentence, **changes)


def edit_outcome(before: FactorSentence, after: FactorSentence | str | None, factor: str, target: str) -> EditOutcome:
    """Whether an edit has changed what it should, and nothing else.

    Parameters
    ----------
    before : FactorSentence
        The sentence that was edited.
    after : FactorSentence, str or None
        What came out: a text is read; None, or a text that is no sentence, has neither changed nor kept anything.
    factor, target : str
        What was to be changed, and the value that it should have now.

    Returns
    -------
    EditOutcome

    Raises
    ------
    InputError
        If there is no such factor or value, or the sentence had the value before, so that doing nothing would count as success.
    """
    check_value(factor, target)
    if getattr(before, factor) == target:
        raise InputError(f"The {factor} of {before.text!r} is {target} already, so no edit is asked for. Edit sentences where it is not.")
    found = read(after) if isinstance(after, str) else after
    if found is None:
        return EditOutcome(changed=False, rest_kept=False)
    rest_kept = all(getattr(found, other) == getattr(before, other) for other in FACTORS if other != factor)
    return EditOutcome(changed=getattr(found, factor) == target, rest_kept=rest_kept)
