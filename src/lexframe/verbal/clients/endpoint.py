"""Language models behind an OpenAI-compatible address: providers, and servers such as vLLM, llama.cpp and transformers serve."""

import importlib
import importlib.util
import ipaddress
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from lexframe.exceptions import InputError, MissingExtraError
from lexframe.verbal.clients.base import Client, ClientError, NoLogProbabilities, Reply, Request
from lexframe.verbal.clients.endpoint_choices import choice_scores, positions_in
from lexframe.verbal.clients.endpoint_dialect import Dialect, refuses_log_probabilities
from lexframe.verbal.clients.endpoint_failures import ELSEWHERE, Problem, Redaction, body_problem, status_problem, waits

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
"""Where the SDK asks unless the variable names another address."""
BYTES_PER_TOKEN = 4
"""Of English under the vocabularies in use, about."""
MOST_BYTES = 32 * 2**20
"""A longer answer to one request is none."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """How tries follow one another.

    Attributes
    ----------
    first_wait : float
        Seconds after the first failed try at most; each later wait is up to twice as long, and never over a minute.
    seed : int
        Of the jitter.
    sleep : callable or None
        Waits that many seconds. None ends early when another request has failed for good.
    clock : callable
        Seconds since the epoch, for servers that say until when to wait.
    """

    first_wait: float = 1.0
    seed: int = 0
    sleep: Callable[[float], None] | None = None
    clock: Callable[[], float] = time.time


class EndpointClient(Client):
    """A model behind an OpenAI-compatible address, asked through the ``openai`` package.

    Grammars of requests are ignored. Choices are scored with the twenty likeliest tokens of each place of the answer that the model
    writes, which is what such an endpoint can say (:func:`~lexframe.verbal.clients.endpoint_choices.choice_scores`): a lead cannot be
    put into the model's mouth, so that `max_tokens` of the request has to leave room for the lead, if the prompt asks for it, and for
    as much of a choice as tells it from the others.

    Parameters
    ----------
    model : str
        As the endpoint calls it.
    base_url : str or None
        Such as ``http://localhost:8000/v1``. None takes what ``OPENAI_BASE_URL`` names, or OpenAI.
    key_variable : str
        The environment variable that holds the key. A server on this machine needs none.
    environment : mapping of str to str or None
        None is that of the process.
    timeout : float
        Seconds a try: to connect, for the answer to begin, and for the whole of it.
    retries : int
        Further tries of a request after 408, 409, 429 or 5xx, no connection, no answer in time, or an answer that is broken.
    concurrency : int
        Requests under way at the same time.
    pacing : Pacing
        How long it waits in between.

    Attributes
    ----------
    notes : list of str
        What the server refused and is no longer asked for.

    Raises
    ------
    InputError
        If a parameter is wrong, or the variable holds no key and the address is not on this machine. Nothing has been sent then.
    MissingExtraError
        If the package ``openai`` is not installed.
    """

    constrains = False
    scores = True

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None = None,
        key_variable: str = "OPENAI_API_KEY",
        environment: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        retries: int = 5,
        concurrency: int = 4,
        pacing: Pacing = Pacing(),
    ):
        environment = os.environ if environment is None else environment
        if not model.strip() or not model.isprintable():
            raise InputError(f"model is {model!r:.60}; expected the name that the endpoint gives to a model.", parameter="model")
        for name, value, least in (("retries", retries, 0), ("concurrency", concurrency, 1)):
            if value < least:
                raise InputError(f"{name} is {value}; expected {least} or more.", parameter=name)
        if not 0 < timeout < math.inf:
            raise InputError(f"timeout is {timeout}; expected seconds, more than 0.", parameter="timeout")
        self.model, self.timeout, self.retries, self.concurrency, self.pacing = model, timeout, retries, concurrency, pacing
        self.base_url = _checked_url(base_url or environment.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)
        address = urlsplit(self.base_url)
        self.host = address.netloc
        self._is_here = _is_loopback(address.hostname or "")
        self._redaction = Redaction(_key(environment, key_variable, self.host, needed=not self._is_here))
        self._dialect = Dialect(self.host)
        self.notes = self._dialect.notes
        if self._redaction.key and address.scheme == "http" and not self._is_here:
            self.notes.append(f"The key goes to {self.host} unencrypted: its address begins with http://, not https://.")
        if importlib.util.find_spec("openai") is None:
            raise MissingExtraError("openai", "verbal")

    @property
    def identity(self) -> str:
        """Address and name of the model."""
        return f"endpoint {self.base_url.partition('://')[2]} {self.model}"

    def count_tokens(self, request: Request) -> int:
        """Estimate: a token for every four bytes of text, four for every message, and three."""
        return _estimated(_bytes(request)) + 4 * len(request.messages) + 3

    def most_tokens(self, request: Request) -> int:
        """A bound: a token stands for one byte of text at least, and the marks around a message take fewer than eight tokens.

        Vocabularies in use spell any text in pieces of whole bytes. What a server's template adds on its own, such as a system message
        where none is given, it does not know.
        """
        return _bytes(request) + 8 * len(request.messages) + 16

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Answer independent requests, several at a time; see :meth:`Client.answers`.

        When one fails for good, those that have not begun are not sent, those under way end and are yielded, and then it is raised.

        Raises
        ------
        NoLogProbabilities
            If choices are to be scored and the endpoint does not give what that takes.
        ClientError
            If a request was not answered in any of its tries.
        """
        if not requests:
            return
        failure: ClientError | None = None
        stop = Event()
        with self._sdk() as sdk, self._redaction.of_logs(), ThreadPoolExecutor(min(self.concurrency, len(requests))) as pool:
            asked = {pool.submit(self._answer, sdk, place, request, stop): place for place, request in enumerate(requests)}
            try:
                for done in as_completed(asked):
                    outcome = done.result()
                    if isinstance(outcome, Reply):
                        yield asked[done], outcome
                    else:
                        failure = failure or outcome
            finally:  # also when nobody wants the rest
                stop.set()
        if failure is not None:
            self.scores = self.scores and not isinstance(failure, NoLogProbabilities)
            raise failure

    def _sdk(self) -> Any:
        """The SDK's client, to be closed by the caller; tries and redirections are our own."""
        openai = importlib.import_module("openai")
        key = self._redaction.key or "none"
        try:
            # A proxy is asked for other machines only: this one is not reached from there.
            http = openai.DefaultHttpxClient(timeout=self.timeout, follow_redirects=False, trust_env=not self._is_here)
            return openai.OpenAI(api_key=key, base_url=self.base_url, max_retries=0, timeout=self.timeout, http_client=http)
        except Exception as error:  # of several libraries, and their messages may hold the password of a proxy
            what = type(error).__name__
        raise ClientError(
            f"No connection to {self.host} can be prepared ({what}). Check base_url, and the environment variables that name a proxy."
        )

    def _answer(self, sdk: Any, place: int, request: Request, stop: Event) -> Reply | ClientError | None:
        """One request, unless another has failed.

        Errors are returned: one raised here would carry along those with the key in them.
        """
        if stop.is_set():
            return None
        outcome = self._answer_in_tries(sdk, place, request, stop)
        if isinstance(outcome, ClientError):
            stop.set()  # here, so that this thread begins nothing else
        return outcome

    def _answer_in_tries(self, sdk: Any, place: int, request: Request, stop: Event) -> Reply | ClientError:
        draw = random.Random(f"{self.pacing.seed} {place}")
        tries = 0
        while True:
            body = self._dialect.body(request, self.model)
            begin = time.perf_counter()
            outcome = self._try(sdk, body, request)
            if isinstance(outcome, Reply):
                return replace(outcome, seconds=time.perf_counter() - begin)
            if isinstance(outcome, ClientError):
                return outcome
            if self._dialect.learns(body, outcome):
                continue
            if refuses_log_probabilities(body, outcome):
                return self._no_log_probabilities()
            tries += 1
            if not outcome.again or tries > self.retries or stop.is_set():
                return self._failed(outcome, tries)
            (self.pacing.sleep or stop.wait)(waits(tries, outcome, draw.random(), self.pacing.first_wait))
            if stop.is_set():
                return self._failed(outcome, tries)

    def _try(self, sdk: Any, body: dict[str, Any], request: Request) -> Reply | Problem | ClientError:
        """One call."""
        openai = importlib.import_module("openai")
        http = _http_library(openai)
        late = Problem(f"no answer within {self.timeout:g} seconds", "Allow more time with timeout, or ask for shorter answers.")
        received = bytearray()
        begin = time.monotonic()
        try:
            # As a stream, since the SDK's own reading starts its clock anew with every piece that comes.
            with sdk.chat.completions.with_streaming_response.create(**body) as response:
                for piece in response.iter_bytes():
                    received += piece
                    if time.monotonic() - begin > self.timeout:
                        return late
                    if len(received) > MOST_BYTES:
                        return Problem(f"more than {MOST_BYTES // 2**20} MiB came back", ELSEWHERE)
        except openai.APIStatusError as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            return status_problem(error.status_code, headers, error.response.text, self._redaction, self.pacing.clock())
        except (openai.APITimeoutError, http.TimeoutException):
            return late
        except (openai.APIConnectionError, http.HTTPError) as error:
            reason = self._redaction.line(str(error.__cause__ or error)).rstrip(".")
            advice = "Start the server, or check base_url." if self._is_here else "Check base_url and the network, then run again."
            return Problem(f"the connection failed ({reason})", advice)
        return self._read(bytes(received), request)

    def _read(self, received: bytes, request: Request) -> Reply | Problem | ClientError:
        """The reply in the body of a chat completion."""
        text = received.decode("utf-8", "replace")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return body_problem("what came back is not JSON", text, self._redaction)
        choices = document.get("choices") if isinstance(document, dict) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        written = _written(message.get("content")) if isinstance(message, dict) else None
        if not isinstance(first, dict) or written is None:
            return body_problem(f"the answer holds no {'choice' if first is None else 'message'}", text, self._redaction)
        scores = None
        if request.choices:
            try:
                positions = positions_in(first.get("logprobs"))
            except ValueError as error:
                return Problem(str(error), ELSEWHERE)
            if positions is None:
                return self._no_log_probabilities()
            scores = choice_scores(positions, request.choices, request.lead)
        used = document.get("usage")
        return Reply(
            "" if request.choices else written,
            _counted(used, "prompt_tokens", self.count_tokens(request)),
            _counted(used, "completion_tokens", _estimated(len(written.encode("utf-8", "replace")))),
            scores,
        )

    def _failed(self, problem: Problem, tries: int) -> ClientError:
        often = "1 try" if tries == 1 else f"{tries} tries"
        return ClientError(
            f"Asking {self.host} for a chat completion of {self.model} failed after {often}: {problem.what}. {problem.advice}"
        )

    def _no_log_probabilities(self) -> NoLogProbabilities:
        return NoLogProbabilities(f"{self.host} gives no log-probabilities for {self.model}. Ask for answers in words instead.")


def _http_library(openai: Any) -> Any:
    """The HTTP library that this version of the SDK is built on; errors while an answer is being read are its own."""
    return importlib.import_module(openai.DefaultHttpxClient.__base__.__module__.partition(".")[0])


def _checked_url(url: str) -> str:
    """The address without a slash at its end, or an error that shows no secrets of it."""
    try:
        address = urlsplit(url)
        address.port  # noqa: B018  raises where it is no number
        (address.hostname or "").encode("idna")  # as the lookup of names does, and none of the libraries says what is wrong
    except ValueError:
        address = urlsplit("")
    hostname = address.hostname or ""
    if address.scheme not in ("http", "https") or not hostname or not url.isprintable() or " " in url:
        raise InputError("base_url is not the address of a server; expected one such as http://localhost:8000/v1.", parameter="base_url")
    if "@" in address.netloc:
        raise InputError(
            f"base_url holds a user name or a password for {hostname}; put a key into the environment variable that key_variable names, "
            "and give the address without them.",
            parameter="base_url",
        )
    if address.query or address.fragment:
        raise InputError(f"base_url has a part after ? or #; give the address on {hostname} without it.", parameter="base_url")
    return f"{address.scheme}://{address.netloc.lower()}{address.path.rstrip('/')}"


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost" or hostname.endswith(".localhost")


def _key(environment: Mapping[str, str], variable: str, host: str, *, needed: bool) -> str:
    """The key; one that cannot be sent in a header would end in an error that shows it."""
    key = environment.get(variable, "").strip()
    if not key and needed:
        raise InputError(
            f"{host} needs a key, and the environment variable {variable} is not set. Put the key into it, or any word where the server "
            "asks for none.",
            parameter="key_variable",
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            f"The environment variable {variable} holds characters that no key has. Put the key alone into it.", parameter="key_variable"
        )
    return key


def _written(content: Any) -> str | None:
    """The text of a message; None where its content is not what the protocol says."""
    if content is None:
        return ""
    if isinstance(content, list):
        texts = [part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else None


def _counted(used: Any, name: str, otherwise: int) -> int:
    count = used.get(name) if isinstance(used, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else otherwise


def _bytes(request: Request) -> int:
    return sum(len(message.content.encode("utf-8", "replace")) for message in request.messages)


def _estimated(length: int) -> int:
    return -(-length // BYTES_PER_TOKEN)
