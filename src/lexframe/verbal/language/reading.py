"""What a page shows of a program: the columns it uses and its numbers."""

from lexframe.verbal.language.base import Program
from lexframe.verbal.language.formula import Formula
from lexframe.verbal.language.nodes import Column, Number, walk
from lexframe.verbal.language.rules import Rules


def columns_of(program: Program) -> frozenset[str]:
    """Names of the columns that a program computes with.

    Parameters
    ----------
    program : Program

    Returns
    -------
    frozenset of str
        Without the column of texts whose words it asks for, which it does not name.
    """
    expressions = []
    if isinstance(program, Formula):
        expressions = [program.expression]
    elif isinstance(program, Rules):
        expressions = [rule.condition for rule in program.rules]
    return frozenset(node.name for expression in expressions for node in walk(expression) if isinstance(node, Column))


def parameters_of(formula: Formula) -> tuple[float, ...]:
    """Numbers of a formula in the order in which they are read.

    Parameters
    ----------
    formula : Formula

    Returns
    -------
    tuple of float
        Exponents as well; those with a name, such as pi, are none.
    """
    return tuple(node.value for node in walk(formula.expression) if isinstance(node, Number))
