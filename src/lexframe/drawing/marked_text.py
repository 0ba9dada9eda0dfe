"""People's texts as a page shows them: readable whatever they hold, folded where long, with words marked by what they did."""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FOLD, MAX_LETTERS = 400, 20_000
"""Letters before a text is folded, and letters that a page holds of it at all."""
LEAST_TINT = 0.12
"""Words whose effect is a smaller part of the largest one are left plain: color everywhere says nothing."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text.

    Attributes
    ----------
    text : str
    effect : float or None
        None where the part is no marked word.
    share : float
        Of the largest effect in the text, from 0 to 1.
    """

    text: str
    effect: float | None = None
    share: float = 0.0

    @property
    def kind(self) -> str:
        """How it is drawn: ``plain``, ``faint`` (only its number is told), ``toward`` the suggestion or ``away`` from it."""
        if self.effect is None:
            return "plain"
        if self.share < LEAST_TINT:
            return "faint"
        return "toward" if self.effect > 0 else "away"


@dataclass(frozen=True, slots=True)
class ShownText:
    """A text in pieces.

    Attributes
    ----------
    head : tuple of Piece
        What is seen at once.
    rest : tuple of Piece
        What is folded away.
    n_letters : int
        Of the whole text.
    cut : int
        Letters that are left out of the page.
    loose : tuple of Piece
        Marked words that do not stand in the text.
    """

    head: tuple[Piece, ...]
    rest: tuple[Piece, ...]
    n_letters: int
    cut: int
    loose: tuple[Piece, ...]


def readable(text: str) -> str:
    """A text that any file and any chart can hold: halves of characters and control characters become �."""
    return "".join("�" if unicodedata.category(letter) in ("Cs", "Cc") and letter not in "\t\n\r" else letter for letter in text)


def shown_text(text: str, words: Sequence[tuple[str, float]] = (), *, fold: int = FOLD, max_letters: int = MAX_LETTERS) -> ShownText:
    """A text, its marked words found in it, folded after about `fold` letters.

    Parameters
    ----------
    text : str
    words : sequence of (str, float)
        Words with their effects, best in the order of the text: a word that occurs twice is marked where its turn comes. Words out of
        order are marked at the first place that is free.
    fold : int
        Letters to show; the cut comes at the white space before, where there is some.
    max_letters : int
        Letters to keep in all.
    """
    kept = readable(text[:max_letters])
    effects = [effect if math.isfinite(effect) else 0.0 for _, effect in words]
    largest = max(map(abs, effects), default=0.0)
    places, loose = _places(kept, [word for word, _ in words])
    marks = {span: Piece(kept[slice(*span)], effects[i], abs(effects[i]) / largest if largest else 0.0) for span, i in places.items()}
    at = fold_place(kept, fold)
    return ShownText(
        head=tuple(_pieces(kept, marks, 0, at)),
        rest=tuple(_pieces(kept, marks, at, len(kept))),
        n_letters=len(text),
        cut=len(text) - len(kept),
        loose=tuple(Piece(readable(words[i][0]), effects[i], abs(effects[i]) / largest if largest else 0.0) for i in loose),
    )


def fold_place(text: str, fold: int) -> int:
    """Where to fold: at white space near `fold`, and not at all for the sake of a few letters."""
    if len(text) <= fold + fold // 5:
        return len(text)
    space = max(text.rfind(" ", 0, fold), text.rfind("\n", 0, fold))
    return space + 1 if space > fold // 2 else fold


def _places(text: str, words: Sequence[str]) -> tuple[dict[tuple[int, int], int], list[int]]:
    """Where each word stands, by span, and the numbers of those that stand nowhere."""
    places: dict[tuple[int, int], int] = {}
    taken = bytearray(len(text))
    loose = []
    behind = 0
    for number, word in enumerate(words):
        word = readable(word).strip()
        span = None
        if word:
            span = _find(text, word, behind, taken) or (_find(text, word, 0, taken) if behind else None)
        if span is None:
            loose.append(number)
            continue
        places[span] = number
        taken[slice(*span)] = b"\1" * (span[1] - span[0])
        behind = span[1]
    return places, loose


def _find(text: str, word: str, start: int, taken: bytearray) -> tuple[int, int] | None:
    """The first free place of a word from `start` on: as a word of its own, or else within another."""
    exact = re.escape(word)
    for pattern in (rf"(?<!\w){exact}(?!\w)", exact):
        for found in re.compile(pattern).finditer(text, start):
            if not any(taken[found.start() : found.end()]):
                return found.span()
    return None


def _pieces(text: str, marks: dict[tuple[int, int], Piece], start: int, end: int) -> Iterator[Piece]:
    """The text from `start` to `end`; a word that reaches over the fold is marked on both sides."""
    at = start
    for (left, right), piece in sorted(marks.items()):
        left, right = max(left, start), min(right, end)
        if left >= right:
            continue
        if left > at:
            yield Piece(text[at:left])
        yield Piece(text[left:right], piece.effect, piece.share)
        at = right
    if at < end:
        yield Piece(text[at:end])
