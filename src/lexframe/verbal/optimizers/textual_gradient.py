"""Textual gradients: a criticism of the current parameters first, then an edit that follows it.

After Pryzant et al. (2023), Automatic Prompt Optimization with Gradient Descent and Beam Search, arXiv:2305.03495, and Yuksekgonul et al.
(2024), TextGrad, arXiv:2406.07496: two calls a proposal.
"""

from lexframe.verbal.asking import Ask, Asking
from lexframe.verbal.clients.base import Message, Request
from lexframe.verbal.optimizers.base import Optimizer, TrainingView, ask_for_parameters, opening, proposal_of
from lexframe.verbal.parsing import Parsed, UnreadableError
from lexframe.verbal.prompts import goal, parameters_block, proposal_format, rows_with_residuals


class TextualGradient(Optimizer):
    """A criticism, then an edit."""

    name = "textual-gradient"
    calls = 2
    says = "a criticism of the current text, then an edit that follows it"

    def propose(self, view: TrainingView) -> Asking:
        """Two calls, one after the other; see :class:`Optimizer`."""
        told = [opening(), goal(view.task), rows_with_residuals(view.task, view.seen), parameters_block(view.parameters)]
        asked = "## Instruction\nSay in a few sentences what is wrong with the descriptions, given these rows. Do not rewrite them."
        messages = (Message("user", "\n\n".join([*told, asked])),)
        request = Request(messages, view.asked.max_tokens, view.asked.temperature, view.asked.seed, "criticize")
        (criticism,) = yield [Ask(request, _some_text)]
        said = criticism.value if criticism.value is not None else "None was given."
        edit = "## Instruction\nRewrite the descriptions so that the criticism is met."
        # On one line, so that no heading in it stands for one of the answer's.
        question = "\n\n".join([*told, f"## Criticism\n{' '.join(said.split())}", edit, proposal_format(view.task)])
        (answer,) = yield [ask_for_parameters(view, [Message("user", question)])]
        return proposal_of(answer, question, criticism.failures)


def _some_text(text: str) -> Parsed[str]:
    if not text.strip():
        raise UnreadableError("the criticism is empty")
    return Parsed(text.strip(), True)
