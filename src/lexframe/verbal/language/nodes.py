"""What an expression is made of: values that can be compared, printed and walked, and nothing that Python could run."""

from collections.abc import Iterator
from dataclasses import dataclass


class Node:
    """One part of an expression."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number as written, its minus sign included; always a float, so that nothing grows without bound.

    Attributes
    ----------
    value : float
        Finite.
    """

    value: float


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A number that has a name.

    Attributes
    ----------
    name : {"pi", "e"}
    """

    name: str


@dataclass(frozen=True, slots=True)
class Column(Node):
    """The numbers of one column.

    Attributes
    ----------
    name : str
    """

    name: str


@dataclass(frozen=True, slots=True)
class Words(Node):
    """A number that is read off the only column of texts.

    Attributes
    ----------
    measure : {"count", "has", "length"}
    phrase : str
        What is counted; empty for the length.
    """

    measure: str
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """Minus an expression that is no number.

    Attributes
    ----------
    operand : Node
    """

    operand: Node


@dataclass(frozen=True, slots=True)
class Not(Node):
    """1 where the operand is 0, and 0 elsewhere.

    Attributes
    ----------
    operand : Node
    """

    operand: Node


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """Two expressions and what is done with them.

    Attributes
    ----------
    symbol : {"+", "-", "*", "/", "**"}
    left, right : Node
    """

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """1 where every neighbouring pair compares as written, and 0 elsewhere.

    Attributes
    ----------
    symbols : tuple of str
        ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
    operands : tuple of Node
        One more than symbols.
    """

    symbols: tuple[str, ...]
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """Conditions joined, with the values that Python gives: the operand that decides.

    Attributes
    ----------
    word : {"and", "or"}
    operands : tuple of Node
    """

    word: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """One of two expressions, row by row.

    Attributes
    ----------
    then, condition, otherwise : Node
        In the order in which they are written.
    """

    then: Node
    condition: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of one or more expressions.

    Attributes
    ----------
    name : str
    arguments : tuple of Node
    """

    name: str
    arguments: tuple[Node, ...]


def children(node: Node) -> tuple[Node, ...]:
    """The expressions that an expression is made of, in the order in which they are written."""
    match node:
        case Negative(operand) | Not(operand):
            return (operand,)
        case Arithmetic(_, left, right):
            return (left, right)
        case Comparison(_, operands) | Logic(_, operands) | Call(_, operands):
            return operands
        case Choice(then, condition, otherwise):
            return (then, condition, otherwise)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """An expression and everything in it, leaves in the order in which they are written."""
    yield node
    for child in children(node):
        yield from walk(child)
