"""What goes wrong between us and an endpoint: whether to ask again and when, and how to say it without secrets."""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_WAIT = 60.0
"""Seconds between two tries at most, whatever a server asks for."""
MOST_SHOWN = 200
"""Characters of what came back that are shown."""
LIKE_A_KEY = re.compile(r"\bBearer\s+(?:\[key\]|[\w.~+/=*-])+|\bsk-[\w.*-]+", re.IGNORECASE)
TALKATIVE = ("openai", "httpx", "httpcore")
"""Beginnings of the names of the loggers that tell what is sent and what comes back."""
ELSEWHERE = "Check that base_url is that of an OpenAI-compatible API; it often ends in /v1."


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a try gave no answer.

    Attributes
    ----------
    what : str
        One line for people, without secrets.
    advice : str
        What to do.
    again : bool
        Whether asking again may help.
    wait : float or None
        Seconds that the server asks to wait.
    status : int or None
    body : str
        What came back, as it is: to find out what was refused, never to be shown.
    parameter : str or None
        The parameter of the request that the server names.
    """

    what: str
    advice: str
    again: bool = True
    wait: float | None = None
    status: int | None = None
    body: str = ""
    parameter: str | None = None


class Redaction:
    """Takes a key, and what looks like one, out of texts; its own representation does not show the key.

    Parameters
    ----------
    key : str
        May be empty.
    """

    def __init__(self, key: str):
        self.key = key

    def __call__(self, text: str) -> str:
        """The text with ``[key]`` for keys."""
        if self.key:
            text = text.replace(self.key, "[key]")
        return LIKE_A_KEY.sub("[key]", text)

    def line(self, text: str) -> str:
        """One short printable line, without keys."""
        # Keys go first: half of one, cut off at the end, would not be found.
        printable = "".join(character if character.isprintable() else " " for character in self(text))
        words = " ".join(printable.split())
        return words if len(words) <= MOST_SHOWN else words[: MOST_SHOWN - 1] + "…"

    @contextmanager
    def of_logs(self) -> Iterator[None]:
        """While it lasts, what the HTTP libraries log is without the key: servers may send it back in a header."""

        def without_key(record: logging.LogRecord) -> bool:
            record.msg, record.args = self(record.getMessage()), ()
            return True

        # A filter holds for one logger and not for those below it, so that every one gets it.
        loggers = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict] if name.split(".")[0].rstrip("2") in TALKATIVE]
        for logger in loggers:
            logger.addFilter(without_key)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(without_key)


def status_problem(status: int, headers: Mapping[str, str], body: str, redaction: Redaction, now: float) -> Problem:
    """What a status other than 2xx means.

    Parameters
    ----------
    status : int
    headers : mapping of str to str
        Names in lower case.
    body : str
    redaction : Redaction
    now : float
        Seconds since the epoch, for a server that says until when to wait.
    """
    message, parameter = _said(body)
    said = redaction.line(message)
    return Problem(
        f"status {status}" + (f": {said.rstrip('.')}" if said else ""),
        _advice(status),
        again=status in (408, 409, 429) or status >= 500,
        wait=_asked_wait(headers, now),
        status=status,
        body=body,
        parameter=parameter,
    )


def body_problem(what: str, body: str, redaction: Redaction) -> Problem:
    """What a 2xx with a body that holds no answer means; an error that stands in it is told."""
    said = redaction.line(_said(body)[0])
    return Problem(f"{what}: {said.rstrip('.')}" if said else what, ELSEWHERE)


def waits(tries: int, problem: Problem, jitter: float, first: float) -> float:
    """Seconds until the next try: what the server asks for, or twice as long each time, between half of that and all of it.

    Parameters
    ----------
    tries : int
        So far, 1 or more.
    problem : Problem
    jitter : float
        In [0, 1), so that many who were refused at once do not come back at once.
    first : float
        Seconds after the first try at most.
    """
    if problem.wait is not None:
        return min(problem.wait, LONGEST_WAIT)
    return min(first * 2.0 ** min(tries - 1, 30), LONGEST_WAIT) * (0.5 + 0.5 * jitter)


def _said(body: str) -> tuple[str, str | None]:
    """Message of an error and the parameter that it names; servers put them in several places."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ("an HTML page" if body.lstrip().startswith("<") else body), None
    if isinstance(document, dict) and document.get("error"):
        document = document["error"]
    if not isinstance(document, dict):
        return (document if isinstance(document, str) else body), None
    parameter = document.get("param")
    message = next((document[name] for name in ("message", "detail", "error_description") if document.get(name)), body)
    return (message if isinstance(message, str) else str(message)), (parameter if isinstance(parameter, str) else None)


def _asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that Retry-After asks for, as a number or as a date; None where it makes no sense."""
    asked = headers.get("retry-after", "").strip()
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) or seconds <= 0 else seconds


def _advice(status: int) -> str:
    if status in (401, 403):
        return "Check that the key is right and may use this model."
    if status == 404:
        return f"Check the name of the model. {ELSEWHERE}"
    if status == 429:
        return "Wait, or ask with a lower concurrency; what the account may spend can be used up as well."
    if status >= 500 or status in (408, 409):
        return "See whether the server is well, then run again."
    if status < 400:
        return "It sends requests elsewhere, which are not followed: give the address that they go to as base_url."
    return "Change what the message names; where a prompt is too long, give fewer or shorter examples."
