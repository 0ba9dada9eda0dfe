"""The one canonical spelling of an expression, with the brackets that it needs and no others."""

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
)
from lexframe.verbal.language.vocabulary import column_text

_CHOICE, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGNED, _POWER, _ATOM = range(10)
"""How tightly parts hold together, as in Python."""
_WHOLE = 1e15
"""Whole numbers below this are printed without a point and exponent."""


def number_text(value: float) -> str:
    """The shortest spelling that reads back as the same number."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < _WHOLE else repr(value)


def quoted(text: str) -> str:
    """A phrase in quotes that do not stand in it."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def expression_text(node: Node) -> str:
    """An expression as text, of which the parser makes an equal expression."""
    return _text(node, _CHOICE)


def _text(node: Node, needed: int) -> str:
    text, rank = _with_rank(node)
    return text if rank >= needed else f"({text})"


def _with_rank(node: Node) -> tuple[str, int]:
    """The text of a node and how tightly it holds together."""
    match node:
        case Number(value):
            text = number_text(value)
            return text, _SIGNED if text.startswith("-") else _ATOM
        case Constant(name):
            return name, _ATOM
        case Column(name):
            return column_text(name), _ATOM
        case Words(measure, phrase):
            return f"{measure}({quoted(phrase) if phrase else ''})", _ATOM
        case Call(name, arguments):
            return f"{name}({', '.join(_text(argument, _CHOICE) for argument in arguments)})", _ATOM
        case Negative(operand):
            return f"-{_text(operand, _SIGNED)}", _SIGNED
        case Not(operand):
            return f"not {_text(operand, _NOT)}", _NOT
        case Arithmetic("**", left, right):
            return f"{_text(left, _ATOM)}**{_text(right, _SIGNED)}", _POWER
        case Arithmetic(symbol, left, right):
            rank = _SUM if symbol in "+-" else _PRODUCT
            return f"{_text(left, rank)} {symbol} {_text(right, rank + 1)}", rank
        case Comparison(symbols, operands):
            first, *others = (_text(operand, _SUM) for operand in operands)
            return first + "".join(f" {symbol} {other}" for symbol, other in zip(symbols, others, strict=True)), _COMPARISON
        case Logic(word, operands):
            rank = _AND if word == "and" else _OR
            return f" {word} ".join(_text(operand, rank + 1) for operand in operands), rank
        case Choice(then, condition, otherwise):
            return f"{_text(then, _OR)} if {_text(condition, _OR)} else {_text(otherwise, _CHOICE)}", _CHOICE
    raise AssertionError(f"a node without a spelling: {type(node).__name__}")
