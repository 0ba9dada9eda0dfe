"""Our own optimizer: rows sorted by what the model got wrong, the best parameters so far, and what became of the last steps."""

from lexframe.verbal.asking import Asking
from lexframe.verbal.clients.base import Message
from lexframe.verbal.optimizers.base import Optimizer, Past, TrainingView, ask_for_parameters, opening, proposal_of
from lexframe.verbal.prompts import best_block, goal, parameters_block, proposal_format, rows_with_residuals


class Residuals(Optimizer):
    """Residuals by row, the best texts with their losses, and its last steps with what became of them."""

    name = "residuals"
    says = "residuals by row, the best texts so far with their losses, its last steps"

    def propose(self, view: TrainingView) -> Asking:
        """One call; see :class:`Optimizer`."""
        blocks = [opening(), goal(view.task), rows_with_residuals(view.task, view.seen), parameters_block(view.parameters)]
        if view.best:
            blocks.append(best_block(view.best, view.loss_name))
        if view.past:
            blocks.append("## Your last steps\n" + "\n\n".join(map(_told, view.past)))
        blocks.append("## Instruction\nWrite descriptions that make the residuals smaller, on other rows from the same source too.")
        question = "\n\n".join([*blocks, proposal_format(view.task)])
        (answer,) = yield [ask_for_parameters(view, [Message("user", question)])]
        return proposal_of(answer, question)


def _told(past: Past) -> str:
    became = "It was accepted" if past.accepted else "It was refused"
    return f"You wrote:\n{past.reply.strip()}\n{became}: the loss went from {past.loss_before:.4g} to {past.loss_after:.4g}."
