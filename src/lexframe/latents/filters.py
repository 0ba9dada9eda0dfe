"""The language of conditions over a store: read and checked here, before Lance sees anything of it.

Lance takes SQL, but not as people mean it: a name in double quotes is a string to it, what stands behind ``;`` is dropped, and a string
that does not end reads like a damaged file. With ``delete`` such a reading costs rows. A general SQL parser would accept thousands of
things more, whose meaning over a store nobody has tested; the language below is small enough to be tested whole::

    condition   conditions joined by AND and OR, NOT before one, parentheses
    comparison  COLUMN = VALUE    also != <> < <= > >=, and COLUMN = COLUMN of one type
                COLUMN IN (VALUE, ...), COLUMN BETWEEN VALUE AND VALUE, COLUMN LIKE 'pattern', each also with NOT
                COLUMN IS NULL, COLUMN IS NOT NULL, or a column of truth values by itself
    VALUE       'text' (a quote in it is doubled), a number, true, false; dates as 'YYYY-MM-DD', times as 'YYYY-MM-DD HH:MM:SS'
    COLUMN      name, "any name", `any name`; parts of a struct with dots

As in SQL a comparison with a missing value is neither true nor false, and only rows for which the condition is true are taken. NaN in a
column of numbers is missing. ``%`` in a pattern stands for any text, ``_`` for one character, a backslash takes their meaning away.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lexframe.exceptions import InputError
from lexframe.latents.conditions import All, Among, Compare, Condition, Like, Missing, Not, Some, Truth
from lexframe.latents.filter_columns import Column, Columns

MOST_PARTS, DEEPEST = 1_000, 40
"""Comparisons of a condition, and parentheses within one another: what the planner underneath takes without a wait."""
_WINDOW = 100
_WORDS = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "BETWEEN", "TRUE", "FALSE"})
_TOKENS = re.compile(
    r"(?P<blank>\s+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign><=|>=|<>|!=|==|[=<>(),.+-])"
)
_QUOTES = {"'": "text", '"': "quoted", "`": "quoted"}
_SIGNS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TURNED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # text, quoted, name, number, sign, word or end
    value: str
    place: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"'{self.value}'" if self.kind == "text" else self.value


def parsed(text: str, schema: pa.Schema) -> Condition:
    """Read a condition.

    Parameters
    ----------
    text : str
    schema : pyarrow.Schema
        Columns that it may name, and their types.

    Raises
    ------
    InputError
        If it is not of the language, names a column that is not there, or compares what cannot be compared. The message shows the place.
    """
    if not isinstance(text, str):
        raise InputError(f"A condition is text, such as \"label = 'late'\"; {type(text).__name__} was given.", parameter="where")
    return _Reader(text, Columns(schema)).read()


class _Reader:
    """Recursive descent over the tokens, one method a level of the grammar."""

    def __init__(self, text: str, columns: Columns):
        self.text, self.columns = text, columns
        self._tokens = self._tokenized()
        self._next = self._depth = self._n_parts = 0

    def read(self) -> Condition:
        """The whole text as one condition."""
        if self._here.kind == "end":
            raise self._wrong("it is empty; write such as label = 'late'", self._here.place)
        found = self._some()
        if self._here.kind != "end":
            raise self._wrong(f"{self._here} is left over; join conditions by AND or OR", self._here.place)
        return found

    def _some(self) -> Condition:
        parts = [self._all()]
        while self._take_word("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _all(self) -> Condition:
        parts = [self._opposite()]
        while self._take_word("AND"):
            parts.append(self._opposite())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _opposite(self) -> Condition:
        if self._is_word("NOT"):
            return Not(self._deeper(self._opposite))
        if self._is_sign("("):
            found = self._deeper(self._some)
            self._expect(")")
            return found
        return self._comparison()

    def _deeper(self, read: Callable[[], Condition]) -> Condition:
        place = self._here.place
        self._next += 1
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} parentheses and NOTs stand within one another", place)
        found = read()
        self._depth -= 1
        return found

    def _comparison(self) -> Condition:
        first = self._here
        self._n_parts += 1
        if self._n_parts > MOST_PARTS:
            raise self._wrong(f"it has more than {MOST_PARTS} comparisons; use IN, or ask several times", first.place)
        if first.kind in ("text", "number") or self._is_sign("-") or self._is_sign("+") or self._word in ("TRUE", "FALSE"):
            return self._value_first()
        column = self._column()
        negated = self._take_word("NOT")
        for word, read in (("IN", self._among), ("LIKE", self._like), ("BETWEEN", self._between)):
            if self._take_word(word):
                found = read(column)
                return Not(found) if negated else found
        if negated:
            raise self._wrong("after NOT come IN, LIKE or BETWEEN here", self._here.place)
        if self._take_word("IS"):
            negated = self._take_word("NOT")
            if not self._take_word("NULL"):
                raise self._wrong("after IS comes NULL or NOT NULL", self._here.place)
            return Not(Missing(column)) if negated else Missing(column)
        if self._here.kind == "sign" and self._here.value in (*_SIGNS, "=="):
            return self._compared(column)
        if column.kind != "truth":
            raise self._wrong(f"{column.name} is followed by {self._here}; a comparison such as = is missing", self._here.place)
        return Compare("=", column, True)

    def _value_first(self) -> Condition:
        """``5 < year``, or ``true`` by itself."""
        place = self._here.place
        is_truth = self._here.kind == "name"
        value = self._value()
        if is_truth and not (self._here.kind == "sign" and self._here.value in (*_SIGNS, "==")):
            return Truth(bool(value))
        operator = self._operator()
        if self._here.kind not in ("name", "quoted") or self._word in _WORDS:
            hint = "; a column stands without single quotes" if isinstance(value, str) else ""
            raise self._wrong(f"two values are compared, and no column is named{hint}", place)
        column = self._column()
        return Compare(_TURNED[operator], column, self._fitting(column, value, place, _TURNED[operator]))

    def _compared(self, column: Column) -> Condition:
        operator = self._operator()
        here = self._here
        if here.kind == "quoted" or (here.kind == "name" and self._word not in _WORDS):
            other = self._column(value_of=column)
            if other.type != column.type or other.kind == "other":
                raise self._wrong(f"{column.name} holds {column.says} and {other.name} {other.says}: they cannot be compared", here.place)
            return Compare(operator, column, other)
        return Compare(operator, column, self._fitting(column, self._value(), here.place, operator))

    def _among(self, column: Column) -> Condition:
        self._expect("(")
        values = []
        while True:
            place = self._here.place
            values.append(self._fitting(column, self._value(), place, "="))
            if not self._take_sign(","):
                break
        self._expect(")")
        return Among(column, tuple(values))

    def _like(self, column: Column) -> Condition:
        here = self._here
        if column.kind != "text":
            raise self._wrong(f"{column.name} holds {column.says}; LIKE is for columns of text", here.place)
        if here.kind != "text":
            raise self._wrong("LIKE wants a pattern in single quotes, such as '%late%'", here.place)
        stray = re.search(r"\\(?![%_\\])", re.sub(r"\\[%_\\]", "__", here.value))
        if stray:
            raise self._wrong(r"a backslash in a pattern stands before %, _ or another backslash; write \\ for itself", here.place)
        self._next += 1
        return Like(column, here.value)

    def _between(self, column: Column) -> Condition:
        place = self._here.place
        low = self._fitting(column, self._value(), place, ">=")
        if not self._take_word("AND"):
            raise self._wrong("BETWEEN wants two values: BETWEEN 2 AND 5", self._here.place)
        place = self._here.place
        high = self._fitting(column, self._value(), place, "<=")
        return All((Compare(">=", column, low), Compare("<=", column, high)))

    def _operator(self) -> str:
        here = self._here
        if here.value == "==" and here.kind == "sign":
            raise self._wrong("equality is written with one =", here.place)
        if here.kind != "sign" or here.value not in _SIGNS:
            raise self._wrong(f"{here} stands where a comparison such as = is expected", here.place)
        self._next += 1
        return _SIGNS[here.value]

    def _value(self) -> Any:
        """A text, a number or a truth value."""
        here = self._here
        if here.kind == "text":
            self._next += 1
            return here.value
        if self._word in ("TRUE", "FALSE"):
            word = self._word
            self._next += 1
            return word == "TRUE"
        if self._word == "NULL":
            raise self._wrong("nothing equals NULL; write IS NULL or IS NOT NULL", here.place)
        sign = "-" if self._take_sign("-") else ""
        if not sign:
            self._take_sign("+")
        number = self._here
        if number.kind != "number":
            hint = "; a text stands in single quotes" if here.kind in ("name", "quoted") else ""
            raise self._wrong(f"{here} stands where a value is expected{hint}", here.place)
        self._next += 1
        if number.value.isdecimal():
            if len(number.value) > 400:
                raise self._wrong("the number is too long", number.place)
            return int(sign + number.value)
        return float(sign + number.value)

    def _column(self, *, value_of: Column | None = None) -> Column:
        here = self._here
        if here.kind not in ("name", "quoted") or (here.kind == "name" and self._word in _WORDS):
            raise self._wrong(f"{here} stands where a column is expected", here.place)
        self._next += 1
        path = [here.value]
        while self._is_sign(".") and self._tokens[self._next + 1].kind in ("name", "quoted"):
            path.append(self._tokens[self._next + 1].value)
            self._next += 2
        if self._is_sign("(") and here.kind == "name":
            raise self._wrong(f"functions such as {here.value}() are not understood here", here.place)
        try:
            return self.columns.named(path)
        except KeyError as error:
            problem = str(error.args[0])
        if value_of is not None and value_of.kind in ("text", "date", "time"):
            problem = f"{problem}. A text stands in single quotes: '{here.value}'"
        raise self._wrong(problem, here.place)

    def _fitting(self, column: Column, value: Any, place: int, operator: str) -> Any:
        try:
            return column.fitting(value, operator)
        except ValueError as error:
            raise self._wrong(str(error), place) from None

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    @property
    def _word(self) -> str:
        return self._here.value.upper() if self._here.kind == "name" else ""

    def _is_word(self, word: str) -> bool:
        return self._word == word

    def _is_sign(self, sign: str) -> bool:
        return self._here.kind == "sign" and self._here.value == sign

    def _take_word(self, word: str) -> bool:
        found = self._is_word(word)
        self._next += found
        return found

    def _take_sign(self, sign: str) -> bool:
        found = self._is_sign(sign)
        self._next += found
        return found

    def _expect(self, sign: str) -> None:
        if not self._take_sign(sign):
            raise self._wrong(f"{self._here} stands where {sign} is expected", self._here.place)

    def _tokenized(self) -> list[_Token]:
        found, place = [], 0
        while place < len(self.text):
            quote = self.text[place]
            if quote in _QUOTES:
                end, value = self._quoted(place, quote)
                found.append(_Token(_QUOTES[quote], value, place))
                place = end
                continue
            match = _TOKENS.match(self.text, place)
            if match is None:
                hint = "; one condition at a time, and nothing behind it" if quote == ";" else ""
                raise self._wrong(f"{quote!r} is not understood{hint}", place)
            if match.lastgroup == "number" and match.end() < len(self.text) and re.match(r"\w", self.text[match.end()]):
                raise self._wrong("a number is followed by a letter; quote names that begin with a digit: `1a`", place)
            if match.lastgroup != "blank":
                found.append(_Token(str(match.lastgroup), match.group(), place))
            place = match.end()
        return [*found, _Token("end", "", len(self.text))]

    def _quoted(self, start: int, quote: str) -> tuple[int, str]:
        """Where what is quoted ends, and what it is; a quote in it is doubled."""
        place = start + 1
        while True:
            end = self.text.find(quote, place)
            if end < 0:
                raise self._wrong(f"what {quote} opens here is never closed", start)
            if self.text[end + 1 : end + 2] != quote:
                value = self.text[start + 1 : end].replace(quote * 2, quote)
                if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                    raise self._wrong("NUL and halves of characters are no text", start)
                return end + 1, value
            place = end + 2

    def _wrong(self, problem: str, place: int) -> InputError:
        return InputError(
            f"The condition is not understood: {problem}.\n{pointed_at(self.text, place)}",
            parameter="where",
        )


def pointed_at(text: str, place: int) -> str:
    """Two lines, indented: a text, or the part of it around a place, and a caret below the place."""
    start = max(0, place - _WINDOW // 2)
    before, after = (
        "".join(letter if letter.isprintable() else " " for letter in part) for part in (text[start:place], text[place : start + _WINDOW])
    )
    lead = "…" if start else ""
    width = sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in before)
    return f"    {lead}{before}{after}{'…' if start + _WINDOW < len(text) else ''}\n    {' ' * (len(lead) + width)}^"
