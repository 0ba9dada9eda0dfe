"""The control: proposals by a model that sees neither rows nor losses. What selection makes of them is luck, and no learning."""

from lexframe.verbal.asking import Asking
from lexframe.verbal.clients.base import Message
from lexframe.verbal.optimizers.base import Optimizer, TrainingView, ask_for_parameters, opening, proposal_of
from lexframe.verbal.prompts import goal, proposal_format


class RandomProposals(Optimizer):
    """Neither rows nor losses are shown."""

    name = "random"
    says = "neither rows nor losses: the control"
    reads_rows = False

    def propose(self, view: TrainingView) -> Asking:
        """One call; see :class:`Optimizer`."""
        instruction = "## Instruction\nInvent descriptions that such a model could have."
        question = "\n\n".join([opening(), goal(view.task), instruction, proposal_format(view.task)])
        (answer,) = yield [ask_for_parameters(view, [Message("user", question)])]
        return proposal_of(answer, question)
