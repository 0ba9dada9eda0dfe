"""A grammar of made-up words with planted rules: four rules with three paradigms each, and minimal pairs for every paradigm.

What a method says of how a model's abilities relate can be held against it, since it is known here: paradigms of one group share a rule.

A sentence is opener, particle, noun, verb, [filler or second noun], marker, adverb; the marker may also stand after the adverb: "zefodu
rusiki dimulo pafori ka lebano". Particles, nouns and verbs are of two classes. The eight markers are split into two sides in four ways,
as el, la, los and las are by number and by gender. A rule says that the marker's side, in the split that this rule goes by, follows from
one thing in the sentence, see :data:`RULES`; everything else is free. So sentences of all groups have one shape, the same markers equally
often in the same places, and each marker is right as often as it is wrong: preferring one gains nothing, and which marker a sentence has
says nothing of its group.

Words other than markers are disjoint: none stands in two paradigms. The opening word tells the model which rule holds, and is another in
each paradigm, so that on the surface nothing is common to a group.

With `shared_words` the paradigms of different groups share their words, three sets of them, and those of one group still share none. If
similarity comes from words, paradigms of different groups come out similar; if from rules, those of one group do. Two paradigms of
different groups that share their words are of one form in a third of cases, as often as two that do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from lexframe.exceptions import InputError

MARKERS = ("ka", "lo", "mi", "ne", "ro", "si", "tu", "va")
SPLITS = ((0, 0, 0, 0, 1, 1, 1, 1), (0, 0, 1, 1, 0, 0, 1, 1), (0, 1, 0, 1, 0, 1, 0, 1), (0, 1, 1, 0, 1, 0, 0, 1))
"""Side of each marker in the four splits. Any two are crossed: the side in one says nothing of the side in another."""

N_OF_CLASS, N_ADVERBS, N_FILLERS = 3, 4, 2
"""Particles, nouns and verbs of each class, adverbs, and fillers in one set of words."""


class Rule(NamedTuple):
    """What the marker's side follows from.

    Attributes
    ----------
    source : {"noun", "verb", "place", "particle"}
        Class of the first noun, of the verb or of the particle, or whether the marker stands after the adverb.
    split : int
        Of :data:`SPLITS`: what the sides are.
    """

    source: str
    split: int


RULES = {
    "agreement": Rule("noun", 0),
    "government": Rule("verb", 1),
    "order": Rule("place", 2),
    "licensing": Rule("particle", 3),
}
"""The rule of each group. To go by one split would make two rules one: a model then learns that words of a class take markers of a side."""

FORMS = ("near", "filler", "attractor")
"""What stands after the verb: nothing, a filler, or a second noun of either class, which no rule looks at."""


class RulePair(NamedTuple):
    """A minimal pair.

    Attributes
    ----------
    paradigm : str
        Group and form, such as "agreement near".
    group : str
        Name of the rule.
    good, bad : str
        Sentences that differ in the marker.
    """

    paradigm: str
    group: str
    good: str
    bad: str


@dataclass(frozen=True, slots=True)
class WordSet:
    """Words of one paradigm, or with shared words of one paradigm in each group.

    Attributes
    ----------
    particles, nouns, verbs : tuple of str
        The first half is of class 0, the second of class 1.
    adverbs, fillers : tuple of str
    """

    particles: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adverbs: tuple[str, ...]
    fillers: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every word."""
        return self.particles + self.nouns + self.verbs + self.adverbs + self.fillers


@dataclass(frozen=True, slots=True)
class Paradigm:
    """One rule in sentences of one form.

    Attributes
    ----------
    group, form : str
        Of :data:`RULES` and :data:`FORMS`.
    opener : str
        First word of its sentences, and of no others.
    words : WordSet
    """

    group: str
    form: str
    opener: str
    words: WordSet

    @property
    def name(self) -> str:
        """Group and form."""
        return f"{self.group} {self.form}"


@dataclass(frozen=True)
class AgreementGrammar:
    """Twelve paradigms: four rules in three forms each.

    Parameters
    ----------
    seed : int
        Of the made-up words.
    shared_words : bool
        Each set of words belongs to one paradigm of every group; otherwise to one paradigm alone.

    Attributes
    ----------
    paradigms : tuple of Paradigm
        Group by group, in the order of :data:`RULES` and :data:`FORMS`.
    """

    seed: int = 0
    shared_words: bool = False
    paradigms: tuple[Paradigm, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names, n_forms = _made_up_words(np.random.default_rng(self.seed)), len(FORMS)
        sets = [_word_set(names) for _ in range(n_forms if self.shared_words else len(RULES) * n_forms)]
        paradigms = [
            Paradigm(group, form, next(names), sets[(row // 2 + column) % n_forms if self.shared_words else row * n_forms + column])
            for (row, group), (column, form) in product(enumerate(RULES), enumerate(FORMS))
        ]
        object.__setattr__(self, "paradigms", tuple(paradigms))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All words, markers first."""
        words = [word for paradigm in self.paradigms for word in (paradigm.opener, *paradigm.words.all)]
        return tuple(dict.fromkeys([*MARKERS, *words]))

    def sentences(self, n: int, rng: np.random.Generator) -> list[str]:
        """Grammatical sentences to learn from, of a paradigm drawn anew for each.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Of the draws.

        Returns
        -------
        list of str
            Every noun stands with all adverbs but one; with that one it stands in the pairs of :meth:`tasks` alone.
        """
        found = []
        for number in rng.integers(len(self.paradigms), size=n):
            paradigm = self.paradigms[number]
            choice = _Choice(*rng.integers(_n_choices(paradigm)).tolist())
            right = _markers(paradigm)[_side(paradigm, choice)][choice.right]
            found.append(_written(paradigm, choice, right, adverb_shift=int(rng.integers(1, N_ADVERBS))))
        return found

    def tasks(self, n_pairs: int, seed: int = 0) -> list[RulePair]:
        """Minimal pairs of every paradigm, with combinations of noun and adverb that no sentence to learn from has.

        Parameters
        ----------
        n_pairs : int
            Of each paradigm; no good sentence comes twice.
        seed : int
            Of the draws.

        Returns
        -------
        list of RulePair
            Paradigm by paradigm. The good marker is of one side and of the other in turns.

        Raises
        ------
        InputError
            If there are not that many.
        """
        most = min(int(np.prod(_n_choices(paradigm))) for paradigm in self.paradigms)
        if not 1 <= n_pairs <= most:
            raise InputError(f"n_pairs is {n_pairs}; expected from 1 to {most}, the sentences of a paradigm.", parameter="n_pairs")
        rng = np.random.default_rng(seed)
        return [pair for paradigm in self.paradigms for pair in _drawn_pairs(paradigm, n_pairs, rng)]


class _Choice(NamedTuple):
    """Numbers of what a sentence is made of, all free; `right` is which of the two right markers stands there."""

    particle: int
    noun: int
    verb: int
    between: int
    place: int
    right: int


def _n_choices(paradigm: Paradigm) -> _Choice:
    n_words = 2 * N_OF_CLASS
    n_between = {"near": 1, "filler": N_FILLERS, "attractor": n_words - 1}[paradigm.form]
    return _Choice(n_words, n_words, n_words, n_between, 2, len(MARKERS) // 2)


def _side(paradigm: Paradigm, choice: _Choice) -> Any:
    """Side of the right markers; of many choices at once where the numbers are arrays."""
    source = RULES[paradigm.group].source
    number = getattr(choice, source)
    return number if source == "place" else number // N_OF_CLASS


def _markers(paradigm: Paradigm) -> tuple[tuple[str, ...], ...]:
    """Those of each side."""
    split = SPLITS[RULES[paradigm.group].split]
    return tuple(tuple(marker for marker, its_side in zip(MARKERS, split, strict=True) if its_side == side) for side in (0, 1))


def _written(paradigm: Paradigm, choice: _Choice, marker: str, *, adverb_shift: int) -> str:
    """The sentence; a shift of 0 is the adverb that the noun has in pairs alone."""
    words = paradigm.words
    noun = words.nouns[choice.noun]
    others = tuple(other for other in words.nouns if other != noun)
    between = {"near": ("",), "filler": words.fillers, "attractor": others}[paradigm.form][choice.between]
    adverb = words.adverbs[(choice.noun + adverb_shift) % N_ADVERBS]
    end = (adverb, marker) if choice.place else (marker, adverb)
    every = (paradigm.opener, words.particles[choice.particle], noun, words.verbs[choice.verb], between, *end)
    return " ".join(word for word in every if word)


def _drawn_pairs(paradigm: Paradigm, n_pairs: int, rng: np.random.Generator) -> Iterator[RulePair]:
    sizes, markers = _n_choices(paradigm), _markers(paradigm)
    drawn = np.stack(np.unravel_index(rng.permutation(int(np.prod(sizes))), sizes))
    sides = _side(paradigm, _Choice(*drawn))
    of_sides = [drawn[:, sides == side].T[: (n_pairs + 1) // 2].tolist() for side in (0, 1)]
    for pair, wrong in enumerate(rng.integers(len(MARKERS) // 2, size=n_pairs).tolist()):
        side = pair % 2
        choice = _Choice(*of_sides[side][pair // 2])
        both = markers[side][choice.right], markers[1 - side][wrong]
        good, bad = (_written(paradigm, choice, marker, adverb_shift=0) for marker in both)
        yield RulePair(paradigm.name, paradigm.group, good, bad)


def _word_set(names: Iterator[str]) -> WordSet:
    sizes = (2 * N_OF_CLASS, 2 * N_OF_CLASS, 2 * N_OF_CLASS, N_ADVERBS, N_FILLERS)
    return WordSet(*(tuple(next(names) for _ in range(size)) for size in sizes))


def _made_up_words(rng: np.random.Generator) -> Iterator[str]:
    """Words of three syllables, none twice; markers have one."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    given: set[str] = set()
    while True:
        word = "".join(rng.choice(syllables, size=3))
        if word not in given:
            given.add(word)
            yield word
