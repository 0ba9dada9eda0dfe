"""One expression that is the prediction, such as ``3 * x + 4``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from lexframe.verbal.language.base import Program, require_length
from lexframe.verbal.language.evaluation import evaluate
from lexframe.verbal.language.expressions import parse_expression
from lexframe.verbal.language.inputs import Inputs
from lexframe.verbal.language.limits import MAX_SOURCE
from lexframe.verbal.language.lines import without_fence
from lexframe.verbal.language.nodes import Node
from lexframe.verbal.language.printing import expression_text
from lexframe.verbal.language.vocabulary import NAME

_LEFT_SIDE = re.compile(rf"\s*(?P<name>{NAME.pattern})\s*(?P<arguments>\([\w\s,]*\))?\s*=(?!=)")
_OUTPUTS = ("y", "f", "output")
"""Names of what is predicted, even where a column has the same."""


@dataclass(frozen=True, slots=True)
class Formula(Program):
    """A prediction by one expression.

    Attributes
    ----------
    expression : Node
    """

    kind: ClassVar[str] = "formula"

    expression: Node

    @classmethod
    def parse(cls, text: str, columns: Sequence[str]) -> "Formula":
        """The formula that a text is.

        Parameters
        ----------
        text : str
            ``y = 3*x + 4``, or the right side alone. Names that are no identifiers stand in backticks; of texts there are
            ``count("word")``, ``has("word")`` and ``length()``.
        columns : sequence of str
            Names that may be used.

        Returns
        -------
        Formula

        Raises
        ------
        ProgramError
            If the text is no formula, or too large.
        """
        require_length(text, MAX_SOURCE, "The formula")
        formula = cls(parse_expression(_right_side(text, columns), columns))
        require_length(formula.source, MAX_SOURCE, "The formula in its full spelling")
        return formula

    @property
    def source(self) -> str:
        """The right side in its canonical spelling."""
        return expression_text(self.expression)

    def predict(self, columns: Mapping[str, np.ndarray]) -> Float64[np.ndarray, " n"]:
        """One number a row; not a number, or infinite, where the formula is. See :meth:`Program.predict`."""
        return evaluate(self.expression, Inputs.of(columns))


def _right_side(text: str, columns: Sequence[str]) -> str:
    """The expression within what language models put around it."""
    text = without_fence(text).strip().removesuffix(".").strip()
    if re.fullmatch(r"`[^`]*`", text) and text[1:-1] not in columns:
        text = text[1:-1].strip().removesuffix(".")
    left = _LEFT_SIDE.match(text)
    # A column on the left is no prediction of anything: "x = 3" may mean a comparison, which the parser will ask for.
    if left and (left["name"] in _OUTPUTS or left["arguments"] or left["name"] not in columns):
        text = text[left.end() :]
    return text
