"""Expressions computed over whole columns; a formula of language models may divide by zero without a word said."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from lexframe.verbal.language.inputs import Inputs
from lexframe.verbal.language.nodes import (
    Arithmetic,
    Call,
    Choice,
    Column,
    Comparison,
    Constant,
    Logic,
    Negative,
    Node,
    Not,
    Number,
    Words,
    walk,
)
from lexframe.verbal.language.vocabulary import CHOOSERS, CONSTANTS, FUNCTIONS

_OPERATORS: Mapping[str, Callable] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def evaluate(node: Node, inputs: Inputs) -> Float64[np.ndarray, " n"]:
    """The value of an expression in every row.

    Parameters
    ----------
    node : Node
    inputs : Inputs

    Returns
    -------
    ndarray of shape (n,)
        Not a number, or infinite, where the expression is.
    """
    with np.errstate(all="ignore"):
        return np.array(np.broadcast_to(_value(node, inputs), inputs.n_rows), dtype=np.float64)


def holds(node: Node, inputs: Inputs) -> Bool[np.ndarray, " n"]:
    """Where a condition holds: where it is anything but 0, as in Python."""
    return evaluate(node, inputs) != 0


def constant_value(node: Node) -> float | None:
    """The value of an expression without columns and words; None of one that has some."""
    if any(isinstance(part, Column | Words) for part in walk(node)):
        return None
    return float(evaluate(node, Inputs({}, {}, 1))[0])


def _value(node: Node, inputs: Inputs) -> Any:
    """Arrays where columns are in it, NumPy's float64 elsewhere: Python's own floats would raise where these overflow."""
    match node:
        case Number(value):
            return np.float64(value)
        case Constant(name):
            return np.float64(CONSTANTS[name])
        case Column(name):
            return inputs.numbers_of(name)
        case Words(measure, phrase):
            return inputs.measured(measure, phrase)
        case Negative(operand):
            return -_value(operand, inputs)
        case Not(operand):
            return np.float64(1) * (_value(operand, inputs) == 0)
        case Arithmetic(symbol, left, right):
            return _OPERATORS[symbol](_value(left, inputs), _value(right, inputs))
        case Comparison(symbols, operands):
            values = [_value(operand, inputs) for operand in operands]
            pairs = zip(symbols, values, values[1:], strict=False)
            return np.float64(1) * functools.reduce(np.logical_and, [_OPERATORS[symbol](left, right) for symbol, left, right in pairs])
        case Logic(word, operands):
            # The first operand that decides is the value, as in Python: the first 0 of "and", the first other than 0 of "or".
            *before, value = (_value(operand, inputs) for operand in operands)
            for left in reversed(before):
                value = np.where((left == 0) == (word == "and"), left, value)
            return value
        case Choice(then, condition, otherwise):
            return np.where(_value(condition, inputs) != 0, _value(then, inputs), _value(otherwise, inputs))
        case Call(name, arguments):
            values = [_value(argument, inputs) for argument in arguments]
            return functools.reduce(CHOOSERS[name], values) if name in CHOOSERS else FUNCTIONS[name](*values)
    raise AssertionError(f"a node without a value: {type(node).__name__}")
