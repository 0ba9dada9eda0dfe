"""Expressions: parsed from untrusted text into nodes of our own, and printed."""

import ast
from collections.abc import Sequence

from lexframe.verbal.language.base import ProgramError, require_length, shown
from lexframe.verbal.language.evaluation import constant_value
from lexframe.verbal.language.limits import MAX_DEPTH, MAX_EXPONENT, MAX_NODES, MAX_SOURCE
from lexframe.verbal.language.nodes import (
    Arithmetic,
    Call,
    Choice,
    Comparison,
    Logic,
    Negative,
    Node,
    Not,
    Number,
    Words,
    walk,
)
from lexframe.verbal.language.scanner import Phrase, Scanned, scan
from lexframe.verbal.language.vocabulary import CHOOSERS, FUNCTIONS, MEASURES

_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_CHAINS = ({"+", "-"}, {"*", "/"})
"""Signs of one rank: what they join from left to right is one level deep, so that a sum of many columns is a flat thing."""


def parse_expression(text: str, columns: Sequence[str]) -> Node:
    """An expression of text that nobody vouches for. Nothing of it is ever run.

    Parameters
    ----------
    text : str
    columns : sequence of str
        Names that may be used.

    Returns
    -------
    Node

    Raises
    ------
    ProgramError
        If it is not an expression of this language, or too large.
    """
    require_length(text, MAX_SOURCE, "The expression")
    scanned = scan(text, columns)
    if not scanned.code:
        raise ProgramError("The expression is empty. Write one, such as 3 * x + 4.")
    try:
        tree = ast.parse(scanned.code, mode="eval")
    except SyntaxError as error:
        place = max((error.offset or 1) - 1, 0)
        piece = scanned.piece(place, len(scanned.code))
        raise ProgramError(f"The expression cannot be read at {shown(piece)}. Check operators and brackets there.") from error
    except (RecursionError, MemoryError, ValueError) as error:
        raise ProgramError(f"The expression {shown(text)} is nested too deeply to be read. Write a flatter one.") from error
    return _Reader(scanned).read(tree.body, 1)


class _Reader:
    """Turns Python's tree into nodes of ours: kinds that are listed, and no others."""

    def __init__(self, scanned: Scanned):
        self.scanned, self.n_nodes = scanned, 0

    def read(self, tree: ast.expr, depth: int) -> Node:
        """The node for a tree at a depth."""
        self.n_nodes += 1
        if self.n_nodes > MAX_NODES:
            raise ProgramError(f"The expression has more than {MAX_NODES} parts; it goes on at {self.shown(tree)}. Write a shorter one.")
        if depth > MAX_DEPTH:
            raise ProgramError(f"The expression is nested more than {MAX_DEPTH} deep at {self.shown(tree)}. Write a flatter one.")
        match tree:
            case ast.Name(id=name) if name in self.scanned.leaves:
                leaf = self.scanned.leaves[name]
                if isinstance(leaf, Phrase):
                    raise ProgramError(f'The text {shown(leaf.text)} stands alone; texts stand in has("…") and count("…") only.')
                return leaf
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.read(operand, depth + 1)
                return Number(-inner.value) if isinstance(inner, Number) else Negative(inner)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self.read(operand, depth + 1))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                symbol = _ARITHMETIC[type(op)]
                node = Arithmetic(symbol, self.read(left, depth + (not _goes_on(symbol, left))), self.read(right, depth + 1))
                return self.checked_power(node, tree) if symbol == "**" else node
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISONS for op in ops):
                return Comparison(tuple(_COMPARISONS[type(op)] for op in ops), self.read_all([left, *others], depth + 1))
            case ast.BoolOp(op=op, values=values):
                return Logic("and" if isinstance(op, ast.And) else "or", self.read_all(values, depth + 1))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                then, condition, otherwise = self.read_all([body, test, orelse], depth + 1)
                return Choice(then, condition, otherwise)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name not in self.scanned.leaves:
                return self.read_call(name, arguments, depth)
        raise ProgramError(
            f"{self.shown(tree)} is {_refused(tree)}, which this language does not have. "
            "Use numbers, columns, + - * / **, comparisons, and, or, not, a if c else b, and the listed functions."
        )

    def read_all(self, trees: Sequence[ast.expr], depth: int) -> tuple[Node, ...]:
        """Nodes of trees that stand side by side."""
        return tuple(self.read(tree, depth) for tree in trees)

    def read_call(self, name: str, arguments: list[ast.expr], depth: int) -> Node:
        """A function with as many arguments, and of the kind, that it takes."""
        if name in MEASURES:
            return self.read_measure(name, arguments)
        if name in FUNCTIONS and len(arguments) != 1:
            raise ProgramError(f"{name} is a function of one number, not of {len(arguments)}. Write it as {name}(x).")
        if name in CHOOSERS and len(arguments) < 2:
            raise ProgramError(f"{name} needs two numbers or more, not {len(arguments)}. Write it as {name}(x, 0).")
        if name not in FUNCTIONS and name not in CHOOSERS:
            raise ProgramError(f"{shown(name)} is not a function of this language. Use one of {', '.join((*FUNCTIONS, *CHOOSERS))}.")
        return Call(name, self.read_all(arguments, depth + 1))

    def read_measure(self, name: str, arguments: list[ast.expr]) -> Words:
        """A count of words, whose argument is a text in quotes."""
        leaves = [self.scanned.leaves.get(getattr(argument, "id", "")) for argument in arguments]
        if name == "length":
            if arguments:
                raise ProgramError("length() is the number of words of the text and takes nothing in its brackets. Write length().")
            return Words(name)
        phrase = " ".join(leaves[0].text.split()) if len(leaves) == 1 and isinstance(leaves[0], Phrase) else ""
        if not phrase:
            raise ProgramError(f'{name} needs one word or phrase in quotes. Write it as {name}("word").')
        return Words(name, phrase)

    def checked_power(self, node: Arithmetic, tree: ast.expr) -> Node:
        """A power that cannot run away: towers and large constant exponents are refused."""
        inside = list(walk(node.right))
        if any(isinstance(part, Arithmetic) and part.symbol == "**" for part in inside):
            raise ProgramError(f"{self.shown(tree)} has a power in an exponent. Exponents are numbers or plain expressions; use one.")
        exponent = constant_value(node.right)
        if exponent is not None and not abs(exponent) <= MAX_EXPONENT:  # not a number is refused as well
            raise ProgramError(
                f"{self.shown(tree)} has the exponent {exponent:g}; sizes up to {MAX_EXPONENT} are allowed. Use a smaller one."
            )
        return node

    def shown(self, tree: ast.expr) -> str:
        """What the language model wrote for this part."""
        return shown(self.scanned.piece(tree.col_offset, tree.end_col_offset or len(self.scanned.code)))


def _goes_on(symbol: str, left: ast.expr) -> bool:
    """Whether the left side is of the same chain of sums or of products."""
    return isinstance(left, ast.BinOp) and any({symbol, _ARITHMETIC.get(type(left.op))} <= chain for chain in _CHAINS)


def _refused(tree: ast.expr) -> str:
    match tree:
        case ast.Tuple():
            return "a list of expressions"
        case ast.Starred():
            return "a starred argument"
        case ast.Call(keywords=[_, *_]):
            return "a call with arguments by name"
        case ast.Call():
            return "a call of something that is no function"
    return f"a part of the kind {type(tree).__name__}"
