"""Spaces over a model that goes on from a prompt."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from lexframe.spaces.base.space import Space
from lexframe.spaces.base.vocabulary import VocabularySpace
from lexframe.spaces.templates import Template


class PromptSpace(VocabularySpace):
    """A space over a language model that can be asked by prompts: its next token is the answer."""

    @property
    @abstractmethod
    def predicts_next_token(self) -> bool:
        """Whether the model goes on from a text; a masked language model does not."""

    @property
    @abstractmethod
    def template(self) -> Template:
        """What stands around each text."""

    @property
    @abstractmethod
    def max_length(self) -> int:
        """Tokens after which a text is cut, those of the template included."""

    @property
    @abstractmethod
    def truncation(self) -> str:
        """The side of a longer text that is cut off: ``right`` or ``left``."""

    @abstractmethod
    def prompt_reader(self, template: Template | None = None, *, truncation: str = "left") -> "PromptSpace":
        """A second space on the same loaded model: the last state of the last token, which is where the model answers.

        Parameters
        ----------
        template : Template, optional
            Around each text of the reader. Default: none.
        truncation : {"right", "left"}
            The side of a longer text that is cut off.

        Returns
        -------
        PromptSpace
            At the last state, whichever layer this space is of: it is the model that is asked.
        """

    @abstractmethod
    def prompt_lengths(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of each text as it stands, special tokens included: without the template, and nothing is cut."""


def as_read(space: Space, prompts: Sequence[str]) -> list[str]:
    """Prompts with what the template of the space puts around them, such as that of a chat.

    Parameters
    ----------
    space : Space
    prompts : sequence of str
    """
    return [space.template.fill(prompt) for prompt in prompts] if isinstance(space, PromptSpace) else list(prompts)
