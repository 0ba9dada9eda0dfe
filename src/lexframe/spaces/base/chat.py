"""Spaces over a language model that answers in a chat."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lexframe.spaces.base.space import Space

Conversation = Sequence[tuple[str, str]]
"""Turns as (role, content); roles are ``system``, ``user`` and ``assistant``."""


class Written(NamedTuple):
    """An answer that a model wrote.

    Attributes
    ----------
    place : int
        Of the conversation among those that were given.
    text : str
        Without the token that ends the turn.
    n_prompt_tokens, n_new_tokens : int
        Read, and written; the token that ends the turn is counted where it was written.
    seconds : float
        Its share of the time of what was written together.
    """

    place: int
    text: str
    n_prompt_tokens: int
    n_new_tokens: int
    seconds: float


class Scored(NamedTuple):
    """How probable the choices of a question are.

    Attributes
    ----------
    place : int
        Of the question among those that were given.
    log_probabilities : ndarray of shape (n_choices,), float64
        See :meth:`ChatModel.choice_log_probabilities`.
    n_prompt_tokens : int
        Of the conversation, without lead and choices.
    seconds : float
        Its share of the time of what was scored together.
    """

    place: int
    log_probabilities: Float[np.ndarray, " n_choices"]
    n_prompt_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """Which of some answers a conversation is given.

    Attributes
    ----------
    conversation : sequence of (str, str)
    lead : str
        What the answer has said before the choice, such as ``"Output: "``.
    choices : sequence of str
        One at least.
    """

    conversation: Conversation
    lead: str
    choices: Sequence[str]


class ChatModel(ABC):
    """A language model that answers conversations. Layer, pooling and template of a space play no part.

    What is typed in a content stays text: names of special tokens in it do not begin or end a turn.
    """

    @property
    @abstractmethod
    def max_length(self) -> int:
        """Tokens that the model takes, prompt and answer together."""

    @abstractmethod
    def prompt_ids(self, conversation: Conversation) -> Int[np.ndarray, " n_tokens"]:
        """What the model reads: the conversation in its chat template, with the assistant's turn begun.

        Parameters
        ----------
        conversation : sequence of (str, str)
            Where a template has no place for a system's turn, its content stands before that of the first user.

        Returns
        -------
        ndarray of int64

        Raises
        ------
        ModelError
            If the template cannot be applied to such turns.
        """

    @abstractmethod
    def write(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        grammars: Sequence[tuple[str, str] | None] | None = None,
        batch_size: int = 8,
    ) -> Iterator[Written]:
        """Answer independent conversations, each yielded as soon as it is there, in any order.

        Parameters
        ----------
        conversations : sequence of sequence of (str, str)
        max_new_tokens : int
            An answer ends there, or with the turn.
        temperature : float
            0 takes the likeliest token each time.
        seeds : sequence of int, optional
            One a conversation; an answer depends on its own alone. Default: 0.
        grammars : sequence of (str, str) or None, optional
            One a conversation: ``("regex", expression)`` or ``("lark", grammar)``, which the whole answer matches, or None. An answer
            that `max_new_tokens` ends may be only the beginning of one that matches: give room for the longest.
        batch_size : int
            Answers that are written together where nothing is drawn.

        Raises
        ------
        InputError
            If a conversation leaves no room for an answer, a grammar is not valid, or the model does not write.
        """

    @abstractmethod
    def score(self, questions: Sequence[ChoiceQuestion], *, batch_size: int = 8) -> Iterator[Scored]:
        """How probable the choices of independent questions are, each yielded as soon as it is there, in any order.

        Parameters
        ----------
        questions : sequence of ChoiceQuestion
            What many of them begin with is read once.
        batch_size : int
            Questions that are read together.

        Raises
        ------
        InputError
            If a question has no choices, or is longer than the model takes.
        """

    def choice_log_probabilities(self, conversation: Conversation, lead: str, choices: Sequence[str]) -> Float[np.ndarray, " n_choices"]:
        """How probable each choice is as the rest of the answer, the end of the turn included, in nats.

        Parameters
        ----------
        conversation : sequence of (str, str)
        lead : str
            What the answer has said before.
        choices : sequence of str
            One at least.

        Returns
        -------
        ndarray of shape (n_choices,), float64
            Not normalized over the choices. Tokens that all of them begin with are left out, as they add the same to each; where all
            are the same, every token of the answer counts.
        """
        return next(self.score([ChoiceQuestion(conversation, lead, choices)])).log_probabilities


class ChatSpace(Space):
    """A space over a language model that answers in a chat."""

    @property
    @abstractmethod
    def chat_model(self) -> ChatModel:
        """The model, in conversations.

        Raises
        ------
        ModelError
            If it was not made to answer in a chat: it has no chat template.
        """
