"""Asking until an answer can be read, a bounded number of times; what cannot be read is counted and kept."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lexframe.exceptions import LexframeError
from lexframe.verbal.clients.base import Client, Message, Reply, Request
from lexframe.verbal.parsing import Parsed, UnreadableError

TRIES = 5
RETRY_TEMPERATURE = 0.7
"""At least, from the second try on: the likeliest answer would only come again."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and how its answer is read.

    Attributes
    ----------
    request : Request
    parse : callable
        From the text of an answer to a Parsed; UnreadableError where that fails.
    """

    request: Request
    parse: Callable[[str], Parsed[Any]]


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that could not be read.

    Attributes
    ----------
    purpose : str
        Who asked.
    attempt : int
        From 1.
    reason : str
        Why it could not be read.
    text : str
        What it said.
    """

    purpose: str
    attempt: int
    reason: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return {"purpose": self.purpose, "attempt": self.attempt, "reason": self.reason, "text": self.text}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an ask.

    Attributes
    ----------
    value : object or None
        None where no try could be read.
    strict : bool
        Whether it stood under the headings that were asked for.
    text : str
        The last answer.
    failures : tuple of Failure
        Of the tries before it, or of all.
    """

    value: Any
    strict: bool
    text: str
    failures: tuple[Failure, ...]


def ask_all(client: Client, asks: Sequence[Ask], *, tries: int = TRIES, failed: list[Failure] | None = None) -> list[Answer]:
    """Answers to independent asks; those that could not be read are asked again together, up to `tries` times.

    Parameters
    ----------
    client : Client
    asks : sequence of Ask
    tries : int
        At least 1.
    failed : list of Failure, optional
        Failures are added to it as they come, so that those before an error are not lost.

    Raises
    ------
    ClientError
        If the client gives no answer at all.
    """
    answers: list[Answer] = [Answer(None, False, "", ()) for _ in asks]
    pending = list(range(len(asks)))
    for attempt in range(1, tries + 1):
        if not pending:
            break
        requests = [_again(asks[place].request, attempt, answers[place].failures) for place in pending]
        unread = []
        replies: list[tuple[int, Reply]] = []
        error: LexframeError | None = None
        try:
            for pair in client.answers(requests):
                replies.append(pair)
        except LexframeError as why:  # what came before it is read all the same, so that no failure is lost
            error = why
        for number, reply in sorted(replies, key=lambda pair: pair[0]):
            place = pending[number]
            try:
                parsed = asks[place].parse(reply.text)
            except UnreadableError as problem:
                failure = Failure(asks[place].request.purpose, attempt, str(problem), reply.text)
                answers[place] = replace(answers[place], text=reply.text, failures=(*answers[place].failures, failure))
                unread.append(place)
                if failed is not None:
                    failed.append(failure)
            else:
                answers[place] = replace(answers[place], value=parsed.value, strict=parsed.strict, text=reply.text)
        if error is not None:
            raise error
        pending = unread
    return answers


def _again(request: Request, attempt: int, failures: tuple[Failure, ...]) -> Request:
    """The request of a later try: it says what was missing, and draws anew."""
    if attempt == 1:
        return request
    *before, last = request.messages
    remark = f"(An earlier answer could not be used: {failures[-1].reason[:200]}. Keep to the headings.)"
    return replace(
        request,
        messages=(*before, Message(last.role, f"{remark}\n\n{last.content}")),
        temperature=max(request.temperature, RETRY_TEMPERATURE),
        seed=request.seed + 1_000_003 * (attempt - 1),
    )


Asking = Generator[Sequence[Ask], Sequence[Answer], Any]
"""A procedure that asks now and then: it yields asks, is sent their answers, and returns what it found."""


def run_together(client: Client, procedures: Sequence[Asking], *, tries: int = TRIES, failed: list[Failure] | None = None) -> list[Any]:
    """Run procedures side by side: what they ask at the same time goes to the client together.

    Parameters
    ----------
    client : Client
    procedures : sequence of generator
    tries, failed
        See :func:`ask_all`.

    Returns
    -------
    list
        What each returned.
    """
    results: list[Any] = [None] * len(procedures)
    waiting: dict[int, Sequence[Ask]] = {}

    def step(place: int, answers: Sequence[Answer] | None) -> None:
        try:
            waiting[place] = next(procedures[place]) if answers is None else procedures[place].send(answers)
        except StopIteration as end:
            results[place] = end.value

    for place in range(len(procedures)):
        step(place, None)
    while waiting:
        asked, waiting = waiting, {}
        answers = ask_all(client, [ask for asks in asked.values() for ask in asks], tries=tries, failed=failed)
        start = 0
        for place, asks in asked.items():
            step(place, answers[start : start + len(asks)])
            start += len(asks)
    return results
