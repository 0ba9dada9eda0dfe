"""Whatever a language model writes is a program or a ProgramError, soon."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.verbal.language import Formula, Lookup, ProgramError, Rules

COLUMNS, LABELS = ["x", "net price", "if"], ["a", "b c", "2"]
TABLE = {"x": np.array([-1.0, 0.0, 2.0]), "net price": np.zeros(3), "if": np.ones(3), "text": np.array(["a", "b", "x if y"], dtype=object)}

PARSERS = {
    "formula": lambda text: Formula.parse(text, COLUMNS),
    "rules": lambda text: Rules.parse(text, COLUMNS, LABELS),
    "lookup": lambda text: Lookup.parse(text, LABELS),
}
SECONDS = 2.0
"""Processor time for a parse and a prediction: a thousand times what they take, and less than anything that grows with a power."""

_ON_ONE_LINE = (
    "x 3 .5 1e9 `net price` `if` if else then otherwise default and or not -> : = == < <= > >= != + - * / ** ^ ² ( ) , . ; sin max min exp "
    "has count length pi e 'a' \"b c\" “a” a 2 lambda for in is __class__ [ ] { } := \\ # @ % & | ~ ! ? $ ` ' \" \0 \ud800 ٣ ﬁ \u2028"
)
PIECES = _ON_ONE_LINE.split(" ")
written = st.lists(st.sampled_from([*PIECES, "\n", "\nif ", "\nelse ", " "]), max_size=40).flatmap(
    lambda pieces: st.sampled_from(["", " "]).map(lambda blank: blank.join(pieces))
)


def tried(kind, text):
    """The program, checked to be sound, or None for a text that is none; anything else fails the test."""
    before = time.process_time()
    try:
        program = PARSERS[kind](text)
        predicted = program.predict(TABLE)
    except ProgramError as error:
        program, message = None, str(error)
    else:
        message = ""
        assert predicted.shape == (3,)
        assert PARSERS[kind](program.source) == program
    assert "\n" not in message
    assert time.process_time() - before < SECONDS
    return program


@pytest.mark.parametrize("kind", PARSERS)
@given(text=st.text(max_size=2100) | written)
def test_any_text(kind, text):
    tried(kind, text)


@pytest.mark.parametrize("kind", PARSERS)
@given(pieces=st.lists(written, min_size=1, max_size=3))
def test_any_text_in_the_frame_of_a_program(kind, pieces):
    frame = {"formula": "y = {}", "rules": "if {} then a", "lookup": "{} -> b c"}[kind]
    tried(kind, "\n".join(frame.format(piece) for piece in pieces))


REPEATED = [
    "(",
    ")",
    "((",
    "(x,",
    "-",
    "not ",
    "x if ",
    "x if x else ",
    "x**",
    "x<",
    "x and ",
    "`",
    '"',
    "'",
    " ",
    "\n",
    "1",
    ".",
    "```\n",
    "max(",
]
REPEATED += [
    "has(",
    "`x`",
    "2 ",
    "if ",
    "then ",
    "else ",
    "->",
    ":",
    "a:a\n",
    "if x:a\n",
    '"a" -> ',
    "a 1 ",
    "x=",
    "f(x",
    "- ",
    "sin(-",
    "\t2",
]


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize("piece", REPEATED)
def test_one_piece_again_and_again(kind, piece):
    for size in (50, 500, 2000, 16_000, 100_000):
        for text in (piece * (size // len(piece)), (piece * size)[: size - 1] + "x", "if " + (piece * size)[: size - 8] + " x->a"):
            tried(kind, text)


def test_the_fuzz_finds_programs_too():
    assert tried("formula", "y = `net price` + 3x")
    assert tried("rules", "if x then a\nelse 2")
    assert tried("lookup", "x -> b c 2")
