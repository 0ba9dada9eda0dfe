"""The client of OpenAI-compatible endpoints, against a real server on the loopback that does what servers do wrong."""

import json
import logging
import math
import re
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError, MissingExtraError
from lexframe.verbal.clients.base import ROLES, ClientError, Message, NoLogProbabilities, Reply, Request
from lexframe.verbal.clients.endpoint import EndpointClient, Pacing
from lexframe.verbal.clients.endpoint_choices import LEAST, Position, choice_scores
from lexframe.verbal.clients.endpoint_dialect import Dialect
from lexframe.verbal.clients.endpoint_failures import MOST_SHOWN, Problem, Redaction

pytest.importorskip("openai", reason="needs the SDK: pip install 'lexframe[verbal]'")

KEY = "an-unmistakable-key-0123456789"


def completion(content="yes", **fields):
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **fields}]}


def answer(document, status=200, headers=()):
    """A response with `document` as JSON, or as it is where it is text."""

    def respond(handler):
        data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        handler.send_response(status)
        for name, value in dict(headers).items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "text/html" if isinstance(document, str) else "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return respond


def half_a_body(handler):
    data = json.dumps(completion()).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(2 * len(data)))
    handler.end_headers()
    handler.wfile.write(data)
    handler.close_connection = True


def hang(handler):
    handler.server.endpoint.released.wait(20)
    handler.close_connection = True


def drip(handler):
    """A byte now and then, so that no single read takes long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not handler.server.endpoint.released.wait(0.05):
        try:
            handler.wfile.write(b" ")
        except OSError:
            break
    handler.close_connection = True


class Endpoint:
    """A server that follows a plan: a list of responses, the last for ever, or a function of the body."""

    def __init__(self):
        self.plan = [answer(completion())]
        self.bodies, self.headers, self.paths = [], [], []
        self.lock, self.released = threading.Lock(), threading.Event()
        self.under_way = self.most_under_way = 0

    def next_response(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.headers.append(handler.headers)
            self.paths.append(handler.path)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            (self.plan(body) if callable(self.plan) else self.plan[min(number, len(self.plan) - 1)])(handler)
        finally:
            with self.lock:
                self.under_way -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.endpoint.next_response(self)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the plan."""


@pytest.fixture
def endpoint():
    with Server(("127.0.0.1", 0), Handler) as server:
        server.endpoint = found = Endpoint()
        found.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            found.released.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def slept():
    return []


@pytest.fixture
def client(endpoint, slept):
    def make(*, environment=(), clock=time.time, **options):
        pacing = Pacing(sleep=slept.append, clock=clock)
        options = {"model": "toy", "base_url": f"http://{endpoint.host}/v1", "timeout": 10.0, **options}
        return EndpointClient(environment=dict(environment), pacing=pacing, **options)

    return make


def asking(text="Is it?", **fields):
    return Request((Message("user", text),), **{"max_tokens": 8, **fields})


def failing(client, *requests):
    """What is yielded and what is raised."""
    done = []
    with pytest.raises(ClientError) as raised:
        done += client.answers(list(requests) or [asking()])
    assert "\n" not in str(raised.value)
    return done, raised.value


def test_what_is_sent_and_what_comes_back(endpoint, client):
    endpoint.plan = [answer({**completion("It is."), "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}})]
    request = Request((Message("system", "Be short."), Message("user", "Is it?")), 8, temperature=0.5, seed=7)
    ((place, reply),) = client().answers([request])
    assert (place, reply) == (0, Reply("It is.", 12, 3, None, reply.seconds))
    assert reply.seconds > 0
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Is it?"}]
    assert endpoint.bodies == [{"model": "toy", "messages": messages, "temperature": 0.5, "seed": 7, "max_tokens": 8}]
    assert endpoint.paths == ["/v1/chat/completions"]


def test_no_requests_no_answers(endpoint, client):
    assert list(client().answers([])) == []
    assert not endpoint.bodies


@pytest.mark.parametrize("used", [None, {}, {"prompt_tokens": None, "completion_tokens": -1}, {"prompt_tokens": True}, "none"])
def test_tokens_are_estimated_where_the_server_counts_none(endpoint, client, used):
    endpoint.plan = [answer({**completion("12345"), "usage": used})]
    request = asking("12345678")
    ((_, reply),) = client().answers([request])
    assert (reply.prompt_tokens, reply.completion_tokens) == (2 + 4 + 3, 2)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "image", "url": "x"}, {"type": "text", "text": "b"}], "ab"),
        (["a", 1, "b"], "ab"),
        ("ünï", "ünï"),
    ],
)
def test_content(endpoint, client, content, text):
    document = completion(content)
    document["choices"][0]["message"]["reasoning_content"] = "Hmm."
    endpoint.plan = [answer(document)]
    assert [reply.text for _, reply in client().answers([asking()])] == [text]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (answer({"error": {"message": "boom."}}, 500), "status 500: boom."),
        (answer({"error": "busy"}, 503), "status 503: busy."),
        (answer({"detail": "slow down"}, 429), "status 429: slow down."),
        (answer("", 408), "status 408."),
        (answer({}, 409), "status 409: {}."),
        (answer("<!doctype html><h1>Bad gateway</h1>", 502), "status 502: an HTML page."),
        (answer("<html>Welcome</html>"), "what came back is not JSON: an HTML page."),
        (answer('{"choices": ['), 'what came back is not JSON: {"choices": [.'),
        (answer("[" * 100_000), "what came back is not JSON: [["),
        (answer({"choices": []}), 'the answer holds no choice: {"choices": []}.'),
        (answer([1]), "the answer holds no choice: [1]."),
        (answer({"error": {"message": "the model is gone"}}), "the answer holds no choice: the model is gone."),
        (answer({"choices": [{"index": 0}]}), "the answer holds no message"),
        (answer({"choices": ["yes"]}), "the answer holds no message"),
        (answer(completion(7)), "the answer holds no message"),
        (half_a_body, "the connection failed (peer closed connection"),
    ],
)
def test_trouble_that_passes_and_trouble_that_stays(endpoint, client, slept, trouble, said):
    endpoint.plan = [trouble, trouble, answer(completion("at last"))]
    assert [reply.text for _, reply in client().answers([asking()])] == ["at last"]
    assert len(endpoint.bodies) == 3
    assert len(slept) == 2
    endpoint.plan = [trouble]
    endpoint.bodies.clear()
    done, error = failing(client(retries=2))
    assert not done
    assert str(error).startswith(f"Asking {endpoint.host} for a chat completion of toy failed after 3 tries: {said}")
    assert len(endpoint.bodies) == 3
    assert len(str(error)) < 500


@pytest.mark.parametrize("trouble", [hang, drip])
def test_no_answer_in_time(endpoint, client, trouble):
    endpoint.plan = [trouble, answer(completion("at last"))]
    assert [reply.text for _, reply in client(timeout=0.3).answers([asking()])] == ["at last"]
    endpoint.plan = [trouble]
    begin = time.monotonic()
    _, error = failing(client(timeout=0.3, retries=0))
    assert time.monotonic() - begin < 5
    assert "failed after 1 try: no answer within 0.3 seconds. Allow more time with timeout" in str(error)


def test_nobody_there(client, slept):
    with Server(("127.0.0.1", 0), Handler) as server:
        port = server.server_port
    _, error = failing(client(base_url=f"http://127.0.0.1:{port}/v1", retries=1))
    assert re.fullmatch(
        rf"Asking 127.0.0.1:{port} for a chat completion of toy failed after 2 tries: the connection failed \(.*refused\). "
        "Start the server, or check base_url.",
        str(error),
    )
    assert len(slept) == 1


@pytest.mark.parametrize(
    ("status", "advice"),
    [(400, "Change what the message names"), (401, "Check that the key"), (403, "Check that the key"), (404, "name of the model")],
)
def test_what_asking_again_does_not_help(endpoint, client, slept, status, advice):
    endpoint.plan = [answer({"error": {"message": "no"}}, status)]
    _, error = failing(client())
    assert f"failed after 1 try: status {status}: no. " in str(error)
    assert advice in str(error)
    assert not slept
    assert len(endpoint.bodies) == 1


def test_redirections_are_not_followed(endpoint, client):
    endpoint.plan = [answer({}, 307, {"Location": f"http://{endpoint.host}/elsewhere"})]
    _, error = failing(client())
    assert "status 307" in str(error)
    assert "give the address that they go to" in str(error)
    assert endpoint.paths == ["/v1/chat/completions"]


def test_waits_grow_and_are_drawn_anew_for_each_request(endpoint, client, slept):
    endpoint.plan = [answer({}, 500)]
    failing(client(retries=8))
    for wait, most in zip(slept, [1, 2, 4, 8, 16, 32, 60, 60], strict=True):
        assert most / 2 <= wait <= most
    first = [*slept]
    slept.clear()
    failing(client(retries=8))
    assert slept == first  # the same generator
    slept.clear()
    endpoint.bodies.clear()
    endpoint.plan = lambda body: answer({}, 500) if body["seed"] else answer(completion())
    failing(client(retries=8, concurrency=1), asking(), asking(seed=1))
    assert not set(slept) & set(first)


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("3600", 60.0),
        ("inf", 60.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 20.0),
        ("Fri, 02 Jan 2026 00:00:00 GMT", 60.0),
    ],
)
def test_the_server_says_how_long_to_wait(endpoint, client, slept, asked, waited):
    endpoint.plan = [answer({}, 429, {"Retry-After": asked}), answer(completion())]
    assert len(list(client(clock=lambda: 1767225610.0).answers([asking()]))) == 1
    assert slept == [waited]


@pytest.mark.parametrize("asked", ["0", "-3", "nan", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_wait_that_makes_no_sense_is_our_own(endpoint, client, slept, asked):
    endpoint.plan = [answer({}, 429, {"Retry-After": asked}), answer(completion())]
    assert len(list(client().answers([asking()]))) == 1
    assert 0.5 <= slept[0] <= 1.0


def echo_of_the_key(status):
    """What a careless server does with a key."""
    text = f"Incorrect key {KEY} (Bearer {KEY}), try sk-proj-abc***xyz.\nOr {KEY!r}"
    headers = {"X-Echo": f"Bearer {KEY}"}
    return answer({"error": {"message": text + KEY * 20}}, status, headers)


@pytest.mark.parametrize("status", [401, 500, 200])
def test_the_key_is_sent_and_never_shown(endpoint, client, caplog, status):
    endpoint.plan = [echo_of_the_key(status)]
    made = client(environment={"OTHER_KEY": KEY}, key_variable="OTHER_KEY", retries=1)
    with caplog.at_level(logging.DEBUG):
        for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
            caplog.set_level(logging.DEBUG, logger=name)
        _, error = failing(made)
        logging.getLogger("openai").debug("afterwards %s", "as before")
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert "Incorrect key [key] ([key]), try [key]" in str(error)
    shown = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(made), str(vars(made)), made.identity, caplog.text]
    for text in shown:
        assert KEY not in text
        assert KEY[:20] not in text
        assert "sk-proj" not in text
    assert error.__cause__ is None
    assert error.__context__ is None
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert "afterwards as before" in caplog.text
    loggers = [logger for name, logger in logging.root.manager.loggerDict.items() if name.startswith("httpcore")]
    assert not any(getattr(logger, "filters", ()) for logger in loggers)


@given(st.lists(st.one_of(st.just(KEY), st.text(max_size=80)), max_size=12), st.sampled_from(["", " ", "\n"]))
def test_one_printable_line_without_the_key(pieces, between):
    line = Redaction(KEY).line(between.join(pieces))
    assert len(line) <= MOST_SHOWN
    assert line.isprintable()
    assert KEY[:12] not in line


def test_a_server_on_this_machine_needs_no_key_and_gets_one_that_is_set(endpoint, client):
    assert len(list(client().answers([asking()]))) == 1
    assert len(list(client(environment={"OPENAI_API_KEY": f" {KEY}\n"}).answers([asking()]))) == 1
    assert [headers["Authorization"] for headers in endpoint.headers] == ["Bearer none", f"Bearer {KEY}"]


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_server_on_this_machine_is_not_asked_through_a_proxy(endpoint, client, monkeypatch, proxy):
    monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    assert len(list(client().answers([asking()]))) == 1


def test_a_proxy_that_is_none(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "gopher://me:secret@proxy.example.org")
    made = EndpointClient(model="toy", base_url="https://models.example.org/v1", environment={"OPENAI_API_KEY": KEY})
    _, error = failing(made)
    assert str(error).startswith("No connection to models.example.org can be prepared (")
    assert "secret" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("host", ["-.localhost", "xn--a.localhost", "ä.localhost"])
def test_hosts_that_cannot_be_found(client, host):
    failing(client(base_url=f"http://{host}:9/v1", retries=0))


@pytest.mark.parametrize("url", ["https://api.example.org/v1", None, "http://192.168.0.5:8000/v1", "http://[2001:db8::1]/v1"])
def test_another_machine_needs_a_key(url):
    with pytest.raises(InputError, match=r"needs a key, and the environment variable MY_KEY is not set. Put the key into it") as raised:
        EndpointClient(model="toy", base_url=url, key_variable="MY_KEY", environment={"MY_KEY": " "})
    assert raised.value.parameters == ("key_variable",)


@pytest.mark.parametrize("url", ["http://localhost:8000", "https://[::1]/v1", "http://127.3.2.1", "HTTP://Models.LocalHost/v1/"])
def test_this_machine_needs_none(url):
    made = EndpointClient(model="toy", base_url=url, environment={})
    assert made.base_url == url.lower().rstrip("/")


@pytest.mark.parametrize("key", ["two words", "ünï", "a\x00b", "a\nb"])
def test_a_key_that_no_header_holds(key):
    with pytest.raises(InputError, match="OPENAI_API_KEY holds characters that no key has") as raised:
        EndpointClient(model="toy", environment={"OPENAI_API_KEY": key})
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, "base_url is not the address of a server"),
        ({"base_url": "ftp://localhost"}, "base_url is not the address of a server"),
        ({"base_url": "http://"}, "base_url is not the address of a server"),
        ({"base_url": "http://localhost:port"}, "base_url is not the address of a server"),
        ({"base_url": "http://local host/v1"}, "base_url is not the address of a server"),
        ({"base_url": "http://no..such.host"}, "base_url is not the address of a server"),
        ({"base_url": f"http://{'a' * 70}.org"}, "base_url is not the address of a server"),
        ({"base_url": "http://[::1/v1"}, "base_url is not the address of a server"),
        ({"base_url": f"http://me:{KEY}@localhost/v1"}, "base_url holds a user name or a password for localhost"),
        ({"base_url": f"http://localhost/v1?key={KEY}"}, "base_url has a part after"),
        ({"base_url": "http://localhost/v1#x"}, "base_url has a part after"),
        ({"model": " "}, "model is ' '"),
        ({"model": "a\nb"}, "model is"),
        ({"timeout": 0.0}, "timeout is 0.0"),
        ({"timeout": math.nan}, "timeout is nan"),
        ({"timeout": math.inf}, "timeout is inf"),
        ({"retries": -1}, "retries is -1; expected 0 or more"),
        ({"concurrency": 0}, "concurrency is 0; expected 1 or more"),
    ],
)
def test_wrong_parameters_are_one_line(client, options, message):
    with pytest.raises(InputError, match=f"^{message}") as raised:
        client(**options)
    assert raised.value.parameters == (next(iter(options)),)
    assert KEY not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_key_on_an_open_road_is_noted():
    made = EndpointClient(model="toy", base_url="http://models.example.org/v1", environment={"OPENAI_API_KEY": KEY})
    assert made.notes == ["The key goes to models.example.org unencrypted: its address begins with http://, not https://."]
    assert not EndpointClient(model="toy", environment={"OPENAI_API_KEY": KEY}).notes


def test_the_address_of_the_environment():
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://Models.example.org:8443/api/v1/"}
    assert EndpointClient(model="toy", environment=environment).identity == "endpoint models.example.org:8443/api/v1 toy"
    assert EndpointClient(model="toy", environment={"OPENAI_API_KEY": KEY}).identity == "endpoint api.openai.com/v1 toy"


def test_the_environment_is_that_of_the_process(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="OPENAI_API_KEY is not set"):
        EndpointClient(model="toy", base_url="https://models.example.org")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    EndpointClient(model="toy", base_url="https://models.example.org")


def test_without_the_sdk(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"openai is not installed. Install it with: pip install 'lexframe\[verbal\]'"):
        client()


def refusing(*names, status=400, **fields):
    """A server that does not know some parameters."""

    def plan(body):
        found = [name for name in names if name in body]
        if not found:
            return answer(completion())
        return answer({"error": {"message": f"Unsupported parameter: '{found[0]}' is not supported with this model.", **fields}}, status)

    return plan


def test_what_is_refused_is_dropped_and_remembered(endpoint, client):
    endpoint.plan = refusing("seed", "temperature")
    made = client(concurrency=1)
    assert len(list(made.answers([asking(), asking()]))) == 2
    assert [sorted(set(body) & {"seed", "temperature"}) for body in endpoint.bodies] == [["seed", "temperature"], ["temperature"], [], []]
    assert len(list(made.answers([asking()]))) == 1
    assert len(endpoint.bodies) == 5
    assert made.notes == [
        f"{endpoint.host} refuses seed: what is drawn cannot be drawn again.",
        f"{endpoint.host} refuses temperature: its own is used, so that the answer need not be the likeliest.",
    ]


def test_many_threads_learn_one_thing_once(endpoint, client, slept):
    endpoint.plan = refusing("seed", status=422)
    made = client(concurrency=4, retries=0)
    assert len(list(made.answers([asking()] * 12))) == 12
    assert len(made.notes) == 1
    assert not slept


def test_what_another_thread_has_learned_is_asked_again_without_a_second_note():
    dialect = Dialect("host")
    refusal = Problem("", "", status=400, body="Unknown field: seed")
    sent = [dialect.body(asking(), "toy") for _ in range(2)]
    assert [dialect.learns(body, refusal) for body in sent] == [True, True]
    assert len(dialect.notes) == 1
    assert not dialect.learns(dialect.body(asking(), "toy"), refusal)  # it was not sent, so that asking again would not help


def test_max_tokens_may_be_named_otherwise(endpoint, client):
    message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    endpoint.plan = lambda body: (
        answer({"error": {"message": message, "param": "max_tokens"}}, 400) if "max_tokens" in body else answer(completion())
    )
    made = client()
    assert len(list(made.answers([asking()]))) == 1
    assert [body.get("max_completion_tokens") for body in endpoint.bodies] == [None, 8]
    assert made.notes == [f"{endpoint.host} is asked with max_completion_tokens, in which it counts what a model thinks before it answers."]


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": "temperature must be at most 1"}},
        {"error": {"message": "The seed and the temperature: unsupported value", "param": "messages"}},
        {"error": {"message": "unexpected end of seeding"}},
    ],
)
def test_a_wrong_value_is_not_hidden(endpoint, client, document):
    endpoint.plan = [answer(document, 400)]
    made = client()
    failing(made)
    assert len(endpoint.bodies) == 1
    assert not made.notes


def test_requests_are_under_way_at_the_same_time(endpoint, client):
    together = threading.Barrier(3, timeout=10)

    def plan(body):
        number = int(body["messages"][0]["content"])
        if number < 3:
            together.wait()  # passes only when three are there
        return answer(completion(f"answer {number}"))

    endpoint.plan = plan
    replies = list(client(concurrency=3).answers([asking(str(number)) for number in range(9)]))
    assert endpoint.most_under_way == 3
    assert sorted(place for place, _ in replies) == list(range(9))
    assert all(reply.text == f"answer {place}" for place, reply in replies)


def test_answers_come_as_soon_as_they_are_there(endpoint, client):
    first = threading.Event()

    def plan(body):
        if body["messages"][0]["content"] == "slow":
            first.wait(10)
        return answer(completion())

    endpoint.plan = plan
    places = []
    for place, _ in client(concurrency=2).answers([asking("slow"), asking("fast")]):
        places.append(place)
        first.set()
    assert places == [1, 0]


def test_one_fails_and_what_was_under_way_is_yielded(endpoint, client):
    begun = threading.Barrier(3, timeout=10)

    def plan(body):
        number = int(body["messages"][0]["content"])
        if number < 3:
            begun.wait()
        if number == 1:
            return answer({"error": {"message": "no"}}, 400)
        time.sleep(0.2)
        return answer(completion(str(number)))

    endpoint.plan = plan
    done, error = failing(client(concurrency=3), *[asking(str(number)) for number in range(12)])
    assert sorted((place, reply.text) for place, reply in done) == [(0, "0"), (2, "2")]
    assert len(endpoint.bodies) == 3
    assert "status 400: no" in str(error)


def test_a_wait_ends_when_another_request_has_failed(endpoint):
    begun = threading.Barrier(2, timeout=10)

    def plan(body):
        begun.wait()
        if body["seed"]:
            time.sleep(0.2)
            return answer({"error": {"message": "no"}}, 400)
        return answer({}, 503, {"Retry-After": "60"})

    endpoint.plan = plan
    begin = time.monotonic()
    _, error = failing(EndpointClient(model="toy", base_url=f"http://{endpoint.host}", environment={}), asking(), asking(seed=1))
    assert time.monotonic() - begin < 20
    assert "status 400" in str(error)


def test_whoever_stops_listening_pays_for_no_more(endpoint, client):
    answers = client(concurrency=1).answers([asking()] * 10)
    next(answers)
    answers.close()
    assert len(endpoint.bodies) < 10


def test_two_calls_at_once_do_not_mix(endpoint, client):
    endpoint.plan = lambda body: answer(completion(body["messages"][0]["content"]))
    made = client()
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda mark: list(made.answers([asking(f"{mark}{n}") for n in range(8)])), ["a", "b"])
    assert sorted((place, reply.text) for place, reply in one) == [(n, f"a{n}") for n in range(8)]
    assert sorted((place, reply.text) for place, reply in two) == [(n, f"b{n}") for n in range(8)]


texts = st.text(st.characters(codec=None), max_size=60)
turns = st.lists(st.tuples(st.sampled_from(ROLES), texts), min_size=1, max_size=5)


@given(turns, turns)
def test_tokens_are_counted_within_a_bound(one, two):
    made = EndpointClient(model="toy", base_url="http://localhost", environment={})
    one, two, both = (Request(tuple(Message(role, text) for role, text in some), 8) for some in (one, two, one + two))
    assert 0 < made.count_tokens(one) <= made.most_tokens(one)
    assert max(map(made.most_tokens, (one, two))) < made.most_tokens(both) <= made.most_tokens(one) + made.most_tokens(two)
    assert made.count_tokens(both) <= made.count_tokens(one) + made.count_tokens(two)


def test_half_a_surrogate_pair_does_not_stop_a_run(endpoint, client):
    assert len(list(client().answers([asking("a\ud800b")]))) == 1
    assert endpoint.bodies[0]["messages"][0]["content"] == "a?b"


def place(token, **listed):
    """What an endpoint says of one token; names of likeliest tokens and their probabilities."""
    top = [{"token": name, "logprob": math.log(probability)} for name, probability in listed.items()]
    return {"token": token, "logprob": math.log(listed.get(token, 0.01)), "top_logprobs": top}


def test_choices_are_scored_from_the_likeliest_tokens(endpoint, client):
    content = [place("pos", **{"pos": 0.5, " Positive": 0.2, "neg": 0.1, "the": 0.1})]
    endpoint.plan = [answer(completion("pos", logprobs={"content": content}))]
    made = client()
    ((_, reply),) = made.answers([asking(choices=("positive", "Negative", "mixed"))])
    assert reply.log_probabilities == pytest.approx([math.log(0.7), math.log(0.1), math.log(0.1)])
    assert reply.text == ""
    assert endpoint.bodies[0]["logprobs"] is True
    assert endpoint.bodies[0]["top_logprobs"] == 20
    assert made.scores


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"logprobs": None},
        {"logprobs": {"content": None}},
        {"logprobs": {"content": [{"token": "yes", "logprob": -0.1, "top_logprobs": []}]}},
    ],
)
def test_no_log_probabilities(endpoint, client, slept, fields):
    endpoint.plan = [answer(completion(**fields))]
    made = client()
    _, error = failing(made, asking(choices=("yes", "no")))
    assert isinstance(error, NoLogProbabilities)
    assert str(error) == f"{endpoint.host} gives no log-probabilities for toy. Ask for answers in words instead."
    assert not made.scores
    assert not slept


def test_log_probabilities_refused(endpoint, client):
    endpoint.plan = refusing("logprobs", "top_logprobs")
    _, error = failing(client(), asking(choices=("yes", "no")))
    assert isinstance(error, NoLogProbabilities)


def test_a_shorter_list_is_taken(endpoint, client):
    listing = completion(logprobs={"content": [place("yes", yes=0.9)]})
    endpoint.plan = lambda body: answer(
        *(({"error": {"message": "top_logprobs must be at most 5"}}, 400) if body["top_logprobs"] > 5 else (listing,))
    )
    made = client()
    assert len(list(made.answers([asking(choices=("yes", "no"))] * 2))) == 2
    assert made.notes == [f"{endpoint.host} lists fewer than 20 tokens a place: choices are scored with 5."]


@pytest.mark.parametrize("content", [[7], [{"top_logprobs": [1]}], [{"token": "a", "top_logprobs": [{"token": "a", "logprob": "x"}]}], 7])
def test_broken_log_probabilities_are_asked_for_again(endpoint, client, content):
    good = completion(logprobs={"content": [place("yes", yes=0.9)]})
    endpoint.plan = [answer(completion(logprobs={"content": content})), answer(good)]
    ((_, reply),) = client().answers([asking(choices=("yes", "no"))])
    assert reply.log_probabilities == pytest.approx([math.log(0.9), math.log(0.1)])


def scored(choices, *places, lead=""):
    positions = [Position(token, tuple(listed.items())) for token, listed in places]
    return [math.exp(score) for score in choice_scores(positions, choices, lead)]


def test_choices_that_begin_alike_are_told_apart_further_on():
    first = (" ne", {" ne": 0.8, "pos": 0.2})
    assert scored(("negative", "neutral", "positive"), first, ("gative", {"gative": 0.75, "utral": 0.25})) == pytest.approx([0.6, 0.2, 0.2])
    assert scored(("negative", "neutral", "positive"), first) == pytest.approx([0.8, 0.8, 0.2])  # nothing further on
    other = ("pos", {"pos": 0.8, "ne": 0.2})
    assert scored(("negative", "neutral"), other, ("itive", {"itive": 1.0})) == pytest.approx([0.2, 0.2])  # it went on otherwise


def test_a_choice_within_another():
    ended = ("", {"": 0.7, " York": 0.3})
    assert scored(("New", "New York"), ("New", {"New": 1.0}), ended) == pytest.approx([0.7, 0.3])
    assert scored(("no", "not"), ("yes", {"yes": 0.5, "no": 0.3, "not": 0.2})) == pytest.approx([0.3, 0.2])


def test_a_token_that_goes_on_behind_a_choice():
    assert scored(("yes", "no"), ("Yes.", {"Yes.": 0.9, "Nope": 0.1})) == pytest.approx([0.9, 0.1])


def test_what_is_not_listed_shares_the_rest():
    assert scored(("a", "b", "c"), ("a", {"a": 0.6})) == pytest.approx([0.6, 0.2, 0.2])
    assert scored(("a", "b"), ("a", {"a": 1.0})) == pytest.approx([1.0, LEAST])


def test_a_lead_that_was_written_is_passed_over():
    spelled = [("Out", {"Out": 1.0}), ("put:", {"put:": 1.0}), ("\n", {"\n": 1.0}), (" b", {" b": 0.7, "a": 0.3})]
    assert scored(("a", "b"), *spelled, lead="Output: ") == pytest.approx([0.3, 0.7])
    assert scored(("a", "b"), spelled[-1], lead="Output: ") == pytest.approx([0.3, 0.7])
    assert scored(("out", "b"), *spelled) == pytest.approx([1.0, LEAST])


tokens = st.text("ab ", max_size=3)
places_drawn = st.lists(st.dictionaries(tokens, st.floats(0, 0.3), min_size=1, max_size=4), min_size=1, max_size=4)


@given(places_drawn, st.lists(st.text("ab ", max_size=6), min_size=1, max_size=4))
def test_scores_are_log_probabilities_whatever_is_written(listed, choices):
    places = [(next(iter(one)), one) for one in listed]
    scores = scored(choices, *places, lead="a")
    assert len(scores) == len(choices)
    assert all(LEAST * 0.999 <= score <= 1 for score in scores)
    turned = scored(choices[::-1], *places, lead="a")
    assert turned[::-1] == pytest.approx(scores)
