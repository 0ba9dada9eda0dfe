"""The contract of a client: requests go in, replies come out with what they cost."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lexframe.exceptions import LexframeError
from lexframe.files import json_text
from lexframe.text_forms import whole_letters

ROLES = ("system", "user", "assistant")


class ClientError(LexframeError):
    """A client gave no answer, and asking again did not help.

    Parameters
    ----------
    message : object
        One line without secrets.
    """

    def __init__(self, message: object = ""):
        super().__init__(message)


class NoLogProbabilities(ClientError):  # noqa: N818  it names what is missing
    """A client turned out not to say how probable choices are; ask for answers in words instead."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes
    ----------
    role : {"system", "user", "assistant"}
    content : str
        As it stands: braces and headings in it mean nothing.
    """

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a constrained answer looks like, for clients that can hold a model to it.

    Attributes
    ----------
    kind : {"regex", "lark"}
    text : str
        The expression or the grammar; the whole answer matches it.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a language model, with everything its answer depends on.

    Attributes
    ----------
    messages : tuple of Message
        The last is a user's.
    max_tokens : int
        The answer ends there.
    temperature : float
        0 takes the likeliest token each time.
    seed : int
        Of what is drawn. Two requests that differ in nothing else are two draws.
    purpose : str
        Who asks, such as ``"predict"`` or ``"propose"``, for counts; the answer does not depend on it.
    grammar : Grammar or None
        What the answer has to match, for a client that `constrains`; others ignore it.
    choices : tuple of str
        Where there are any, what is asked is how probable each is as the answer, of a client that `scores`; nothing is written then.
    lead : str
        With `choices`: what the answer has said before the choice, such as ``"Output: "``.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    purpose: str = ""
    grammar: Grammar | None = None
    choices: tuple[str, ...] = ()
    lead: str = ""

    def key(self, client: str) -> str:
        """Where the answer is kept: a hash of all it depends on, the client included.

        Parameters
        ----------
        client : str
            The identity of the client.
        """
        content = asdict(self)
        del content["purpose"]
        return hashlib.sha256(json_text([client, content], sort_keys=True, ascii_only=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes
    ----------
    text : str
        Empty for a request with choices.
    prompt_tokens, completion_tokens : int
        As the client counts them.
    log_probabilities : tuple of float or None
        One a choice, natural logarithms, not normalized over the choices. None where none were asked for.
    seconds : float
        That it took; not part of what is compared.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    log_probabilities: tuple[float, ...] | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", whole_letters(self.text))

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Reply":
        """Back from :meth:`to_dict`."""
        scores = document["log_probabilities"]
        return cls(
            str(document["text"]),
            int(document["prompt_tokens"]),
            int(document["completion_tokens"]),
            None if scores is None else tuple(map(float, scores)),
            float(document["seconds"]),
        )


class Client(ABC):
    """A language model that answers requests.

    Attributes
    ----------
    constrains : bool
        Whether answers are held to the grammar of a request.
    scores : bool
        Whether it says how probable choices are.
    has_scored : bool
        Whether it has done so.
    """

    constrains: bool = False
    scores: bool = False
    has_scored: bool = False

    @property
    @abstractmethod
    def identity(self) -> str:
        """What decides its answers, beside the request: the model and its weights or address; no secrets."""

    @abstractmethod
    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Answer independent requests, each yielded as soon as it is there, with its place among them.

        Raises
        ------
        ClientError
            If one of them is not answered, whatever was tried. What was answered before has been yielded.
        """

    @abstractmethod
    def count_tokens(self, request: Request) -> int:
        """Tokens of the prompt: exact, or an estimate; for projections."""

    def most_tokens(self, request: Request) -> int:
        """Tokens that the prompt has at most, for a budget that must not be exceeded."""
        return self.count_tokens(request)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity}>"

    def __deepcopy__(self, memo: Any) -> "Client":
        """Itself: a copy of an estimator asks the same model."""
        return self
