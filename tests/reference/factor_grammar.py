"""The language of the factor grammar as one regular expression, and the spelling rules of English endings with their exceptions."""

import re

from lexframe.data.factor_grammar import FACTORS, OBJECTS, SUBJECTS, VERBS

IRREGULAR_PLURALS = {"child": "children", "thief": "thieves", "woman": "women"}
IRREGULAR_PASTS = {
    "break": "broke", "buy": "bought", "draw": "drew", "drop": "dropped", "find": "found", "hide": "hid", "lose": "lost", "see": "saw",
    "sell": "sold", "take": "took",
}  # fmt: skip


def with_s(word):
    """The plural of a regular noun, which is spelt as the third person of a verb."""
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    return re.sub(r"y$", "ies", word) if re.search(r"[^aeiou]y$", word) else word + "s"


def plural(noun):
    return IRREGULAR_PLURALS.get(noun, with_s(noun))


def past(verb):
    return IRREGULAR_PASTS.get(verb, re.sub(r"y$", "i", verb) + "ed")


def any_of(words):
    return f"(?:{'|'.join(words)})"


def sentence_pattern():
    singular, plurals = any_of(SUBJECTS), any_of(map(plural, SUBJECTS))
    base, third, pasts = any_of(VERBS), any_of(map(with_s, VERBS)), any_of(map(past, VERBS))
    either = f"{pasts}|did not {base}|will (?:not )?{base}"
    adjective, place = (any_of(value for value in FACTORS[slot] if value != "none") for slot in ("adjective", "place"))
    clause = f"(?:{singular} (?:{third}|does not {base}|{either})|{plurals} (?:{base}|do not {base}|{either}))"
    return re.compile(f"the (?:{adjective} )?{clause} the {any_of(OBJECTS)}(?: {place})?")
