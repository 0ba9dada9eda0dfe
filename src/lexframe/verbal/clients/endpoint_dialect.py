"""How a server wants to be asked: OpenAI-compatible servers differ in what they refuse, which is found out by asking."""

import re
from threading import Lock
from typing import Any

from lexframe.verbal.clients.base import Request
from lexframe.verbal.clients.endpoint_failures import Problem

MOST_LISTED, FEWER_LISTED = 20, 5
"""Likeliest tokens asked for at each place, and of servers that refuse so many."""
REFUSING = re.compile(
    r"support|unexpected|unknown|unrecogni[sz]ed|not permitted|not allowed|extra|deprecated|invalid (?:field|param|arg)", re.IGNORECASE
)
"""Without such a word a message about a parameter is one about its value, which asking without it would hide."""
DROPPED = {
    "seed": "{host} refuses seed: what is drawn cannot be drawn again.",
    "temperature": "{host} refuses temperature: its own is used, so that the answer need not be the likeliest.",
}
RENAMED = "{host} is asked with max_completion_tokens, in which it counts what a model thinks before it answers."
SHORTENED = f"{{host}} lists fewer than {MOST_LISTED} tokens a place: choices are scored with {FEWER_LISTED}."


class Dialect:
    """What is sent to one server; what it refused once is not sent again, by any thread.

    Parameters
    ----------
    host : str
        For the notes.
    """

    def __init__(self, host: str):
        self.notes: list[str] = []
        self._host = host
        self._lock = Lock()
        self._length = "max_tokens"
        self._listed = MOST_LISTED
        self._dropped: set[str] = set()

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Arguments of a chat completion."""
        length, listed, dropped = self._length, self._listed, frozenset(self._dropped)
        body = {
            "model": model,
            "messages": [{"role": message.role, "content": _sendable(message.content)} for message in request.messages],
            "temperature": request.temperature,
            "seed": request.seed,
            length: max(request.max_tokens, 1),
        }
        if request.choices:
            body |= {"logprobs": True, "top_logprobs": listed}
        return {name: value for name, value in body.items() if name not in dropped}

    def learns(self, sent: dict[str, Any], problem: Problem) -> bool:
        """Whether `problem` refuses something in `sent` that is asked differently from now on."""
        if problem.status not in (400, 422):
            return False
        with self._lock:
            refused = [name for name in DROPPED if name in sent and _refuses(problem, name)]
            for name in refused:
                self._note(DROPPED[name], new=name not in self._dropped)
                self._dropped.add(name)
            renames = "max_tokens" in sent and "max_completion_tokens" in problem.body
            if renames:
                self._note(RENAMED, new=self._length == "max_tokens")
                self._length = "max_completion_tokens"
            shortens = sent.get("top_logprobs") == MOST_LISTED and _names(problem, "top_logprobs") and not _refuses(problem, "logprobs")
            if shortens:
                self._note(SHORTENED, new=self._listed == MOST_LISTED)
                self._listed = FEWER_LISTED
            return bool(refused) or renames or shortens

    def _note(self, text: str, *, new: bool) -> None:
        if new:
            self.notes.append(text.format(host=self._host))


def refuses_log_probabilities(sent: dict[str, Any], problem: Problem) -> bool:
    """Whether `problem` is that the server gives no log-probabilities."""
    asked = "logprobs" in sent and problem.status in (400, 422)
    return asked and (_names(problem, "logprobs") or _names(problem, "top_logprobs"))


def _refuses(problem: Problem, name: str) -> bool:
    """Whether a parameter as such is refused; the field ``param`` of an error, where there is one, says which is meant."""
    meant = problem.parameter == name if problem.parameter else _names(problem, name)
    return meant and REFUSING.search(problem.body) is not None


def _names(problem: Problem, name: str) -> bool:
    return problem.parameter == name or re.search(rf"(?<!\w){name}(?!\w)", problem.body) is not None


def _sendable(text: str) -> str:
    """Half a surrogate pair is no character and cannot be sent; a question mark stands for it."""
    return text.encode("utf-8", "replace").decode("utf-8")
