"""What changed between two texts, word by word."""

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain
from typing import Literal

Kind = Literal["same", "added", "removed"]

MOST_PAIRS = 1_000_000
"""Equal words, in pairs of one from each text, up to which both are aligned: repetitions without end would take minutes."""
LEAST_ALIKE, FEW = 0.25, 12
"""Part of the words below which old and new stand one after the other, unless there are few: scattered words in common are in the way."""
_WORDS = re.compile(
    r"""
    \d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?      # a number, with its point and its power of ten
    | [\u3040-\u30ff\u3400-\u9fff]         # a letter of a script that has no spaces
    | (?:\w | (?<=\w)['\u2019](?=\w) | [^\x00-\x7f\s\u2010-\u2027\u2030-\u205e\u3000-\u303f\uff00-\uff0f])+  # a word, accents and all
    | [^\w\s]                             # a sign alone
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of two texts.

    Attributes
    ----------
    kind : {"same", "added", "removed"}
        In both, in the later one alone, or in the earlier one alone.
    text : str
    """

    kind: Kind
    text: str


def changed_words(before: str, after: str) -> tuple[Change, ...]:
    """Pieces that make both texts: what is the same and what was added make `after`, what is the same and what was removed `before`.

    Lines are compared, then their numbers, words and signs, then the white space after each. Neighbors are of different kinds, and what
    was removed stands before what was added in its place.

    Parameters
    ----------
    before, after : str
    """
    return tuple(_joined(_pieces(_tokens(before), _tokens(after))))


def plain_diff(before: str, after: str) -> str:
    """Both texts in one for a terminal: removed words in ``[-…-]``, added ones in ``{+…+}``.

    Parameters
    ----------
    before, after : str
    """
    marks = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}
    return "".join(change.text.join(marks[change.kind]) for change in changed_words(before, after))


_Token = tuple[str, str]
"""A word and the white space after it; a text that begins with white space begins with an empty word."""


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        word = _WORDS.match(text, at)
        end = word.end() if word else at
        space = _SPACE.match(text, end)
        assert space is not None
        found.append((text[at:end], space.group()))
        at = space.end()
    return found


def _pieces(old: Sequence[_Token], new: Sequence[_Token]) -> Iterator[Change]:
    """Ends that are alike, then lines that are, then words: a heading stays where it is, however much changed above it."""
    first, last = _ends_alike(old, new)
    yield from _both(old[:first], new[:first])
    sides = [_lines(old[first : len(old) - last]), _lines(new[first : len(new) - last])]
    keys = [[tuple(word for word, _ in line) for line in side] for side in sides]
    for kind, i, j, k, m in _blocks(*keys):
        yield from (_both if kind == "equal" else _aligned)(list(chain(*sides[0][i:j])), list(chain(*sides[1][k:m])))
    yield from _both(old[len(old) - last :], new[len(new) - last :])


def _lines(tokens: Sequence[_Token]) -> list[list[_Token]]:
    lines: list[list[_Token]] = []
    begins = True
    for token in tokens:
        if begins:
            lines.append([])
        lines[-1].append(token)
        begins = "\n" in token[1]
    return lines


_Block = tuple[str, int, int, int, int]


def _blocks(old: Sequence[Hashable], new: Sequence[Hashable]) -> Sequence[_Block]:
    """Runs that are equal and runs that are not, as :meth:`difflib.SequenceMatcher.get_opcodes` has them."""
    counts = Counter(new)
    if sum(number * counts[item] for item, number in Counter(old).items()) > MOST_PAIRS:
        return [("replace", 0, len(old), 0, len(new))]
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def _ends_alike(old: Sequence[_Token], new: Sequence[_Token]) -> tuple[int, int]:
    """How many words are the same at the beginning, and how many at the end of what is left."""
    most = min(len(old), len(new))
    first = next((place for place in range(most) if old[place][0] != new[place][0]), most)
    last = next((place for place in range(most - first) if old[-1 - place][0] != new[-1 - place][0]), most - first)
    return first, last


def _aligned(old: Sequence[_Token], new: Sequence[_Token]) -> Iterator[Change]:
    blocks = _blocks([word for word, _ in old], [word for word, _ in new])
    alike, longer = sum(j - i for kind, i, j, *_ in blocks if kind == "equal"), max(len(old), len(new))
    if longer > FEW and alike < LEAST_ALIKE * longer:
        yield from _replaced(old, new)
        return
    for kind, i, j, k, m in blocks:
        yield from (_both if kind == "equal" else _replaced)(old[i:j], new[k:m])


def _both(old: Sequence[_Token], new: Sequence[_Token]) -> Iterator[Change]:
    """Equal words; the white space after them may differ."""
    for (word, space), (_, other) in zip(old, new, strict=True):
        yield Change("same", word)
        yield from [Change("same", space)] if space == other else [Change("removed", space), Change("added", other)]


def _replaced(old: Sequence[_Token], new: Sequence[_Token]) -> Iterator[Change]:
    """Other words; the same white space after both is left where it is."""
    removed, added = ("".join(word + space for word, space in side) for side in (old, new))
    tail = old[-1][1] if old and new and old[-1][1] == new[-1][1] else ""
    yield Change("removed", removed[: len(removed) - len(tail)])
    yield Change("added", added[: len(added) - len(tail)])
    yield Change("same", tail)


def _joined(changes: Iterator[Change]) -> Iterator[Change]:
    """Without empty pieces, and neighbors of one kind as one."""
    same, removed, added = "", "", ""
    for change in changes:
        if not change.text:
            continue
        if change.kind == "same":
            yield from _said(removed, added)
            same, removed, added = same + change.text, "", ""
            continue
        if same:
            yield Change("same", same)
            same = ""
        removed += change.text if change.kind == "removed" else ""
        added += change.text if change.kind == "added" else ""
    if same:
        yield Change("same", same)
    yield from _said(removed, added)


def _said(removed: str, added: str) -> Iterator[Change]:
    if removed:
        yield Change("removed", removed)
    if added:
        yield Change("added", added)
