"""A client over a model in this process: answers are held to grammars, choices are scored, counts are exact."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property

from lexframe.spaces.base import ChatSpace, ChoiceQuestion
from lexframe.typing import ModelName
from lexframe.verbal.clients.base import Client, Reply, Request


class LocalClient(Client):
    """Asks the model of a space.

    Parameters
    ----------
    space : ChatSpace or str
        A name is opened, such as ``"smollm2"``. Its layer, pooling and template play no part.
    batch_size : int
        Requests that go through the model together, where that changes nothing.

    Raises
    ------
    ModelError
        If the model was not made to answer in a chat.
    """

    constrains = True
    scores = True

    def __init__(self, space: ChatSpace | ModelName, *, batch_size: int = 8):
        space = ChatSpace.of(space)
        self._space, self._chat, self._batch_size = space, space.chat_model, batch_size

    @property
    def identity(self) -> str:
        """Name of the model, digests of its weights, tokenizer, precision and chat template; moves of its states, while there are any."""
        fingerprint = self._space.fingerprint
        return " ".join(filter(None, [fingerprint.model, fingerprint.model_digest, self._template, fingerprint.moves]))

    @cached_property
    def _template(self) -> str:
        """Digest of what the chat template makes of a conversation: the hash of the tokenizer does not know it."""
        ids = self._chat.prompt_ids([("user", "one"), ("assistant", "two"), ("user", "three")])
        return hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest()[:8]

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Answer requests, those that begin alike one after the other; see :meth:`Client.answers`.

        Raises
        ------
        InputError
            If a request is longer than the model takes, or its grammar is not valid.
        """
        asked: dict[tuple[int, float] | None, list[int]] = {}
        for place, request in enumerate(requests):
            asked.setdefault(None if request.choices else (request.max_tokens, request.temperature), []).append(place)
        for how, places in asked.items():
            chosen = [requests[place] for place in places]
            for number, reply in self._scored(chosen) if how is None else self._written(chosen, *how):
                yield places[number], reply

    def _scored(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        questions = [ChoiceQuestion(_conversation(request), request.lead, request.choices) for request in requests]
        for place, scores, n_prompt_tokens, seconds in self._chat.score(questions, batch_size=self._batch_size):
            yield place, Reply("", n_prompt_tokens, 0, tuple(scores.tolist()), seconds)

    def _written(self, requests: Sequence[Request], max_tokens: int, temperature: float) -> Iterator[tuple[int, Reply]]:
        answers = self._chat.write(
            [_conversation(request) for request in requests],
            max_new_tokens=max_tokens,
            temperature=temperature,
            seeds=[request.seed for request in requests],
            grammars=[None if request.grammar is None else (request.grammar.kind, request.grammar.text) for request in requests],
            batch_size=self._batch_size,
        )
        for place, text, n_prompt_tokens, n_new_tokens, seconds in answers:
            yield place, Reply(text, n_prompt_tokens, n_new_tokens, seconds=seconds)

    def count_tokens(self, request: Request) -> int:
        """Tokens of the prompt, the chat template included: exact."""
        return len(self._chat.prompt_ids(_conversation(request)))


def _conversation(request: Request) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in request.messages]
