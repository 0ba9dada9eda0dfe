"""Lark grammars that hold a language model to the language, small enough that a tiny one writes something sensible.

They are written in the dialect of llguidance, where ``{0,5}`` is a number of repetitions. A sentence is a program in nearly its canonical
spelling; it is shorter than any limit unless names of columns are very long.
"""

from collections.abc import Iterable, Sequence

from lexframe.exceptions import InputError
from lexframe.files import json_text
from lexframe.verbal.language.base import listed
from lexframe.verbal.language.lines import checked_labels
from lexframe.verbal.language.vocabulary import can_be_named, column_text

_MAX_TERMS = 6
_MAX_RULES = 4
_NUMBER = r"/[0-9]{1,4}(\.[0-9]{1,3})?/"
_WORD = r"/\p{L}{2,20}( \p{L}{2,20})?/"


def formula_grammar(columns: Sequence[str]) -> str:
    """The grammar of short sums of products.

    Parameters
    ----------
    columns : sequence of str
        Columns of numbers. Those whose name the language cannot write are left out.

    Returns
    -------
    str
        Its sentences are read by :meth:`Formula.parse`.

    Raises
    ------
    InputError
        If no column can be named.
    """
    return f"""start: "-"? term (SIGN term){{0,{_MAX_TERMS - 1}}}
term: NUMBER | (NUMBER " * ")? factor (" * " factor)?
factor: COLUMN | COLUMN "**" EXPONENT | FUNCTION "(" inner ")"
inner: (NUMBER " * ")? COLUMN (SIGN NUMBER)?
SIGN: " + " | " - "
EXPONENT: "2" | "3"
NUMBER: {_NUMBER}
FUNCTION: {_choice(("sin", "cos", "exp", "log", "sqrt", "abs", "tanh"))}
COLUMN: {_choice(_columns(columns))}
"""


def rules_grammar(columns: Sequence[str], labels: Sequence[str], is_text: bool) -> str:
    """The grammar of a few rules and an else line.

    Parameters
    ----------
    columns : sequence of str
        Columns of numbers; not looked at if the rules are about words.
    labels : sequence of str
    is_text : bool
        Whether conditions ask for words rather than compare columns with numbers.

    Returns
    -------
    str
        Its sentences are read by :meth:`Rules.parse`.

    Raises
    ------
    InputError
        If no column can be named, or the labels are none.
    """
    if is_text:
        test = f"""test: "not "? "has(" PHRASE ")" | "count(" PHRASE ") >= " TIMES
TIMES: /[1-9]/
PHRASE: "\\"" WORD "\\""
WORD: {_WORD}"""
    else:
        test = f"""test: COLUMN COMPARISON "-"? NUMBER
COMPARISON: " < " | " <= " | " > " | " >= "
NUMBER: {_NUMBER}
COLUMN: {_choice(_columns(columns))}"""
    return f"""start: rule{{1,{_MAX_RULES}}} "else " LABEL
rule: "if " test (JOINT test)? " then " LABEL "\\n"
{test}
JOINT: " and " | " or "
LABEL: {_choice(f'"{label}"' for label in checked_labels(labels))}
"""


def _columns(columns: Sequence[str]) -> list[str]:
    named = [column_text(column) for column in columns if can_be_named(column)]
    if not named:
        raise InputError(f"columns has no name that a program can write ({listed(columns)}). Give one without backticks and line breaks.")
    return named


def _choice(texts: Iterable[str]) -> str:
    """Lark's spelling of one of several texts."""
    return " | ".join(json_text(text) for text in texts)
