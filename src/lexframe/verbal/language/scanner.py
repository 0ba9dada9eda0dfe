"""Untrusted text cut into the signs of the language and written anew in signs of our own.

Python's parser, which knows precedence, then sees names such as ``_7``, listed functions, operators and brackets: not a character of
what the language model wrote.
"""

import bisect
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lexframe.verbal.language.base import ProgramError, listed, shown
from lexframe.verbal.language.limits import MAX_BRACKETS
from lexframe.verbal.language.nodes import Column, Constant, Node, Number
from lexframe.verbal.language.vocabulary import ALIASES, CALLABLE, CONSTANTS, KEYWORDS, NAME

QUOTED = r'"[^"\r\n]*"|\'[^\'\r\n]*\'|“[^”"\r\n]*”'
"""A phrase in quotes; nothing in it is an escape."""
BACKTICKED = r"`[^`\r\n]+`"

_SIGN = re.compile(
    rf"(?P<blank>\s+)|(?P<phrase>{QUOTED})|(?P<column>{BACKTICKED})"
    rf"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>{NAME.pattern})"
    r"|(?P<symbol>\*\*|<=|>=|==|!=|[-+*/<>(),^×·⋅∙∗÷−–≤≥≠²³])"
)
_SPELLINGS = {"^": "**", "÷": "/", "−": "-", "–": "-", "≤": "<=", "≥": ">=", "≠": "!="} | dict.fromkeys("×·⋅∙∗", "*")
_POWERS = {"²": 2.0, "³": 3.0}


@dataclass(frozen=True, slots=True)
class Phrase(Node):
    """Text in quotes, which stands only where a function asks for one.

    Attributes
    ----------
    text : str
    """

    text: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """A text in signs of our own.

    Attributes
    ----------
    code : str
        What Python's parser is given, ASCII on one line.
    leaves : dict of str to Node
        What the names in it stand for.
    original : str
        The text.
    starts : tuple of int
        Where each sign begins in `code`.
    spans : tuple of tuple of int
        Where it came from in `original`.
    """

    code: str
    leaves: dict[str, Node]
    original: str
    starts: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    def piece(self, start: int, end: int) -> str:
        """The part of the original that a part of the code stands for."""
        if not self.starts:
            return self.original
        first, last = (min(max(bisect.bisect_right(self.starts, place) - 1, 0), len(self.spans) - 1) for place in (start, end - 1))
        return self.original[self.spans[first][0] : max(self.spans[last][1], self.spans[first][1])]


class _Scanner:
    """Goes through a text once, and collects signs of our own with the place in the original that each stands for."""

    def __init__(self, text: str, columns: Sequence[str]):
        self.text, self.columns = text, columns
        self.signs: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self.leaves: dict[str, Node] = {}
        self.n_open, self.span = 0, (0, 0)

    def scanned(self) -> Scanned:
        """The whole text."""
        is_after_number = False
        while self.span[1] < len(self.text):
            match = _SIGN.match(self.text, self.span[1])
            if match is None:
                raise ProgramError(_unknown_sign(self.text[self.span[1] :]))
            self.span, kind, written = match.span(), str(match.lastgroup), match.group()
            if kind == "blank":
                continue
            if kind == "name" and self.is_keyword(written):
                kind, written = "symbol", written.lower()
            if is_after_number and (kind in ("name", "column") or written == "("):
                self.add("*")
            is_after_number = kind == "number"
            self.translate(kind, written)
        starts = itertools.accumulate((len(sign) + 1 for sign in self.signs[:-1]), initial=0)
        return Scanned(" ".join(self.signs), self.leaves, self.text, tuple(starts) if self.signs else (), tuple(self.spans))

    def is_keyword(self, name: str) -> bool:
        """Whether a name is a word such as "and"; in capitals it is, unless a column is called that."""
        return name in KEYWORDS or (name.lower() in KEYWORDS and name not in self.columns)

    def translate(self, kind: str, written: str) -> None:
        """Add what one sign of the text stands for."""
        if kind == "number":
            self.add_leaf(_number(written))
        elif kind == "phrase":
            self.add_leaf(Phrase(written[1:-1]))
        elif kind == "column":
            self.add_leaf(_column(written[1:-1], self.columns))
        elif kind == "name":
            self.translate_name(written)
        elif written in _POWERS:
            self.add("**")
            self.add_leaf(Number(_POWERS[written]))
        else:
            self.add(_SPELLINGS.get(written, written))
            self.n_open += (written == "(") - (written == ")")
            if self.n_open > MAX_BRACKETS:
                raise ProgramError(f"More than {MAX_BRACKETS} brackets are open at {shown(self.text[self.span[0] :])}. Use fewer.")

    def translate_name(self, name: str) -> None:
        """Add what a bare name stands for; a column may have the name of a function or of a constant."""
        known = ALIASES.get(name.lower(), name.lower())
        is_called = self.text[self.span[1] :].lstrip().startswith("(")
        if is_called and known in CALLABLE:
            self.add(known)
        elif name in self.columns:
            self.add_leaf(Column(name))
        elif ALIASES.get(name, name) in CONSTANTS:
            self.add_leaf(Constant(known))
        elif known in CALLABLE:
            raise ProgramError(f"The function {known} stands without brackets. Write what it is computed of after it, in brackets.")
        else:
            raise ProgramError(
                f"{shown(name)} is neither a column nor a function of this language. Columns are {listed(self.columns)}; functions are "
                f"{', '.join(CALLABLE)}. Use these, and put names of columns with blanks or signs in backticks."
            )

    def add(self, sign: str) -> None:
        self.signs.append(sign)
        self.spans.append(self.span)

    def add_leaf(self, node: Node) -> None:
        name = f"_{len(self.leaves)}"
        self.leaves[name] = node
        self.add(name)


def scan(text: str, columns: Sequence[str]) -> Scanned:
    """Signs of our own for an expression as language models write them.

    ``^`` is a power, as are ``²`` and ``³``; ``×`` and ``·`` are times, and so is nothing between a number and what follows it, as in
    ``3x`` or ``2 sin(x)``. That product is of the rank of any other: ``1/2x`` is half of x.

    Parameters
    ----------
    text : str
        Not longer than the limit, which the caller has checked.
    columns : sequence of str
        Names that may be used.

    Returns
    -------
    Scanned

    Raises
    ------
    ProgramError
        If a sign, a name or a number is none of the language.
    """
    return _Scanner(text, columns).scanned()


def _number(token: str) -> Number:
    value = float(token)
    if not math.isfinite(value):
        raise ProgramError(f"The number {shown(token)} is too large; numbers go up to 1e308. Write a smaller one.")
    return Number(value)


def _column(name: str, columns: Sequence[str]) -> Column:
    if name not in columns:
        raise ProgramError(f"There is no column {shown(name)}. Columns are {listed(columns)}; use one of these.")
    return Column(name)


def _unknown_sign(rest: str) -> str:
    sign, hint = rest[0], "Use + - * / **, comparisons, and, or, not, brackets, and a if c else b."
    if sign == "=":
        hint = "Write == for a comparison; nothing is assigned here, and functions take no arguments by name."
    elif sign == ".":
        hint = "A full stop stands in numbers alone: there are no attributes. Put names of columns that have one in backticks."
    elif sign in "\"'`“":
        hint = "The quote or backtick is never closed. Close it on the same line."
    return f"{shown(rest)} begins with a sign that is not part of this language. {hint}"
