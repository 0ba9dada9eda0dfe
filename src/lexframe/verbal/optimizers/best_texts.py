"""Optimization by prompting: the best texts so far with their scores, and a few rows.

After Yang et al. (2023), Large Language Models as Optimizers, arXiv:2309.03409: no residuals and no criticism, the scores say
what works.
"""

from lexframe.verbal.asking import Asking
from lexframe.verbal.clients.base import Message
from lexframe.verbal.optimizers.base import Optimizer, TrainingView, ask_for_parameters, opening, proposal_of
from lexframe.verbal.prompts import best_block, goal, parameters_block, proposal_format


class BestTexts(Optimizer):
    """The best texts with their losses, and rows with their targets."""

    name = "best-texts"
    says = "the best texts so far with their losses, and some rows"

    def propose(self, view: TrainingView) -> Asking:
        """One call; see :class:`Optimizer`."""
        rows = "\n".join(f"{number}. {each.row} | target {each.target}" for number, each in enumerate(view.seen, 1))
        told = best_block(view.best, view.loss_name) if view.best else parameters_block(view.parameters)
        instruction = "## Instruction\nWrite new descriptions that differ from all above and have a lower loss."
        question = "\n\n".join([opening(), goal(view.task), told, f"## Some rows\n{rows}", instruction, proposal_format(view.task)])
        (answer,) = yield [ask_for_parameters(view, [Message("user", question)])]
        return proposal_of(answer, question)
