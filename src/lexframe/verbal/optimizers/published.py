"""The optimizer of the paper: inputs, outputs and targets as lists, its own last step, and new descriptions.

Xiao, Bamler, Schölkopf, Liu (2024), Verbalized Machine Learning, arXiv:2406.04344. As in its code, what is new stands behind the text that
training began with, and every proposal is taken unless a rule of selection says otherwise. The wording is our own.
"""

from dataclasses import replace

from lexframe.verbal.asking import Asking
from lexframe.verbal.clients.base import Message
from lexframe.verbal.optimizers.base import Optimizer, TrainingView, ask_for_parameters, opening, proposal_of
from lexframe.verbal.prompts import aligned_lists, parameters_block, proposal_format

_INSTRUCTION = (
    "## Instruction\nIf the model already fits, keep the descriptions. Otherwise improve them, so that the next batch, drawn from the same "
    "source, is predicted better."
)


class Published(Optimizer):
    """Lists of inputs, outputs and targets, with the last step as history."""

    name = "published"
    says = "inputs, outputs and targets, and its own last step"

    def propose(self, view: TrainingView) -> Asking:
        """One call; see :class:`Optimizer`."""
        blocks = [opening(), aligned_lists(view.seen), parameters_block(view.parameters), _INSTRUCTION, proposal_format(view.task)]
        question = "\n\n".join(blocks)
        turns = [Message(role, text) for past in view.past[-1:] for role, text in (("user", past.question), ("assistant", past.reply))]
        (answer,) = yield [ask_for_parameters(view, (*turns, Message("user", question)))]
        proposal = proposal_of(answer, question)
        if proposal.parameters is None:
            return proposal
        first = view.task.first_sentences
        said = proposal.parameters.sentences
        sentences = said if said.startswith(first) else f"{first} {said}"
        return replace(proposal, parameters=replace(proposal.parameters, sentences=sentences))
