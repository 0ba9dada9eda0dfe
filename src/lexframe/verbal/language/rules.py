"""Conditions with labels, of which the first that holds wins."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Shaped

from lexframe.verbal.language.base import Program, ProgramError, require_length, shown
from lexframe.verbal.language.evaluation import holds
from lexframe.verbal.language.expressions import parse_expression
from lexframe.verbal.language.inputs import Inputs
from lexframe.verbal.language.limits import MAX_RULES, MAX_SOURCE
from lexframe.verbal.language.lines import ARROW, checked_labels, label_in, lines_of
from lexframe.verbal.language.nodes import Node
from lexframe.verbal.language.printing import expression_text
from lexframe.verbal.language.scanner import BACKTICKED, QUOTED

_IF = re.compile(r"(?:if|elif|else\s+if|when)\b", re.IGNORECASE)
_ELSE = re.compile(rf"(?:else|otherwise|default)\b\s*(?:then\b|{ARROW}|[:,])?", re.IGNORECASE)
_MIDDLES = tuple(re.compile(rf"{QUOTED}|{BACKTICKED}|(?P<middle>{sign})", re.IGNORECASE) for sign in (r"\bthen\b:?", ARROW, ":"))
"""What stands between condition and label, the surest first; quotes and backticks are stepped over."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of rules.

    Attributes
    ----------
    condition : Node
        Holds where it is anything but 0.
    label : str
    """

    condition: Node
    label: str


@dataclass(frozen=True, slots=True)
class Rules(Program):
    """A prediction by the first rule that holds.

    Attributes
    ----------
    rules : tuple of Rule
    otherwise : str
        The label of rows that no rule covers; empty if nothing is said of them.
    """

    kind: ClassVar[str] = "rules"

    rules: tuple[Rule, ...]
    otherwise: str = ""

    @classmethod
    def parse(cls, text: str, columns: Sequence[str], labels: Sequence[str]) -> "Rules":
        """The rules that a text is.

        Parameters
        ----------
        text : str
            Lines ``if <condition> then <label>``, and at the end ``else <label>`` if one likes. ``->`` or ``:`` may stand for ``then``.
        columns : sequence of str
            Names that conditions may use.
        labels : sequence of str
            What may be predicted.

        Returns
        -------
        Rules

        Raises
        ------
        ProgramError
            If the text is no rules, too large, or names another label.
        InputError
            If the labels are none.
        """
        require_length(text, MAX_SOURCE, "The program")
        labels = checked_labels(labels)
        rules: list[Rule] = []
        otherwise = ""
        for line in lines_of(text):
            if otherwise:
                raise ProgramError(f"{shown(line)} stands after the else line, where nothing is reached. Move it before that line.")
            if start := _IF.match(line):
                rules.append(_rule(line, start.end(), columns, labels))
            elif start := _ELSE.match(line):
                otherwise = label_in(line[start.end() :], labels)
            else:
                raise ProgramError(f"{shown(line)} is no rule. Write lines 'if <condition> then <label>', and 'else <label>' at the end.")
        if len(rules) > MAX_RULES:
            raise ProgramError(f"The program has {len(rules)} rules, and {MAX_RULES} are allowed. Keep those that matter most.")
        if not rules and not otherwise:
            raise ProgramError("The program has no rule. Write lines 'if <condition> then <label>', and 'else <label>' at the end.")
        program = cls(tuple(rules), otherwise)
        require_length(program.source, MAX_SOURCE, "The program in its full spelling")
        return program

    @property
    def source(self) -> str:
        """The rules in their canonical spelling, a line each."""
        lines = [f'if {expression_text(rule.condition)} then "{rule.label}"' for rule in self.rules]
        return "\n".join([*lines, *([f'else "{self.otherwise}"'] if self.otherwise else [])])

    def predict(self, columns: Mapping[str, np.ndarray]) -> Shaped[np.ndarray, " n"]:
        """One label a row, as objects; empty where no rule holds and there is no else line. See :meth:`Program.predict`."""
        inputs = Inputs.of(columns)
        predicted = np.full(inputs.n_rows, self.otherwise, dtype=object)
        for rule in reversed(self.rules):  # what is written last stays: that of the first rule
            predicted[holds(rule.condition, inputs)] = rule.label
        return predicted


def _rule(line: str, start: int, columns: Sequence[str], labels: Sequence[str]) -> Rule:
    """The rule of a line whose condition starts at a place."""
    for middle in _MIDDLES:
        for found in middle.finditer(line, start):
            if found["middle"]:
                return Rule(parse_expression(line[start : found.start()], columns), label_in(line[found.end() :], labels))
    raise ProgramError(f"{shown(line)} has no label. Write it as 'if <condition> then <label>'.")
