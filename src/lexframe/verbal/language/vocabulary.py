"""The words and signs of the language."""

import re
from collections.abc import Callable, Mapping

import numpy as np

FUNCTIONS: Mapping[str, Callable] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "floor": np.floor,
    "round": np.rint,
    "sign": np.sign,
    "tanh": np.tanh,
}
"""Functions of one number. Halves are rounded to the even neighbour, as Python does."""

CHOOSERS: Mapping[str, Callable] = {"min": np.minimum, "max": np.maximum}
"""Functions of two numbers or more."""

MEASURES = ("count", "has", "length")
"""Functions of the words of the only column of texts."""

CONSTANTS: Mapping[str, float] = {"pi": float(np.pi), "e": float(np.e)}

KEYWORDS = ("and", "or", "not", "if", "else")

ALIASES: Mapping[str, str] = {"ln": "log", "π": "pi"}
"""Other names that language models write."""

CALLABLE = (*FUNCTIONS, *CHOOSERS, *MEASURES)

# \w holds superscripts, which are powers here.
NAME = re.compile(r"[^\W\d²³][^\W²³]*")

_RESERVED = {*KEYWORDS, *CALLABLE, *CONSTANTS, *ALIASES, "then"}


def can_be_named(column: str) -> bool:
    """Whether the language has a way to write the name of a column: one with a backtick or a line break has none."""
    return bool(column) and not re.search(r"[`\r\n]", column)


def column_text(column: str) -> str:
    """The name of a column as a program has it: as it is, or in backticks where it would be read as something else."""
    return column if NAME.fullmatch(column) and column.lower() not in _RESERVED else f"`{column}`"
