"""One model asked in process and over HTTP: the client of endpoints against the server that transformers brings."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lexframe.spaces.catalogue import NAMED
from lexframe.spaces.registry import open_space
from lexframe.verbal import Checks, Proposing, Reading, Settings, Steps, classification_sample, fit, task_of
from lexframe.verbal.clients.base import Message, NoLogProbabilities, Request
from lexframe.verbal.clients.endpoint import EndpointClient
from lexframe.verbal.clients.local import LocalClient

TRANSFORMERS = Path(sys.executable).with_name("transformers")
MISSING = [package for package in ("openai", "fastapi", "uvicorn") if importlib.util.find_spec(package) is None]
WHEEL = NAMED["smollm2"].package.replace("-", "_")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(MISSING) or not TRANSFORMERS.exists(), reason="needs a server: pip install openai 'transformers[serving]'"),
    pytest.mark.skipif(importlib.util.find_spec(WHEEL) is None, reason=f"needs the model: {NAMED['smollm2'].install_line}"),
]

PROMPTS = ["What is the capital of France?", "Name a colour.", "Say hello in one short sentence.", "Which animal barks?"]
LONGEST_START = 150


@pytest.fixture(scope="module")
def space():
    return open_space("smollm2", chat=True, dtype="float32")


@pytest.fixture(scope="module")
def folder(space, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    space.model.save_pretrained(folder)
    space.tokenizer.save_pretrained(folder)
    # Without this the server takes the likeliest token at any temperature: it sets the temperature and leaves it to the model's own
    # settings whether to draw, except that it never draws at temperature 0.
    settings = folder / "generation_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"do_sample": True}))
    return folder


@pytest.fixture(scope="module")
def address(folder, tmp_path_factory):
    """A server on a free port, until the tests of this file are through."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, TRANSFORMERS, "serve", folder, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--dtype", "float32"], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, home / "log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if server.poll() is None:  # the whole group, of which it is the leader
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(url, server, log):
    end = time.monotonic() + LONGEST_START
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def endpoint(address, folder):
    return EndpointClient(model=str(folder), base_url=address, environment={}, concurrency=2, retries=0)


def asked(client, requests):
    return [reply for _, reply in sorted(client.answers(requests))]


def request(text, **fields):
    return Request((Message("user", text),), **{"max_tokens": 24, **fields})


def test_the_same_answers_in_process_and_over_http(space, endpoint):
    requests = [request(prompt) for prompt in PROMPTS]
    here, there = asked(LocalClient(space), requests), asked(endpoint, requests)
    assert [reply.text for reply in there] == [reply.text for reply in here]
    assert [reply.prompt_tokens for reply in there] == [reply.prompt_tokens for reply in here]
    assert "Paris" in there[0].text
    assert not endpoint.notes
    assert all(reply.prompt_tokens <= endpoint.most_tokens(one) for one, reply in zip(requests, there, strict=True))


def test_a_conversation_is_passed_through(space, endpoint):
    turns = (("system", "Answer in one word."), ("user", "Largest ocean?"), ("assistant", "Pacific."), ("user", "Largest planet?"))
    conversation = Request(tuple(Message(*turn) for turn in turns), 12)
    (here,), (there,) = asked(LocalClient(space), [conversation]), asked(endpoint, [conversation])
    assert (there.text, there.prompt_tokens) == (here.text, here.prompt_tokens)
    assert there.prompt_tokens <= endpoint.most_tokens(conversation)


def test_a_seed_draws_the_same_again(endpoint):
    drawn = [request("Tell me something.", temperature=1.0, seed=seed, max_tokens=12) for seed in (1, 1, 2)]
    one, again, other = (reply.text for single in drawn for reply in asked(endpoint, [single]))
    assert one == again
    assert one != other


def test_it_gives_no_log_probabilities(endpoint):
    with pytest.raises(NoLogProbabilities, match="Ask for answers in words instead"):
        asked(endpoint, [request("Is the sky blue?", choices=("yes", "no"), max_tokens=2)])


def test_the_same_run_in_process_and_over_http(space, endpoint):
    texts = [f"{'my refund never came' if number % 2 else 'where is my parcel'}, number {number}" for number in range(9)]
    sample = classification_sample(texts, ["billing" if number % 2 else "delivery" for number in range(9)])
    settings = Settings(
        Steps(steps=2, batch_size=3),
        Proposing(optimizer="published", proposal_tokens=30, proposal_temperature=0.0, constrained=False),
        reading=Reading(answer_tokens=6, constrained=False, by_probability=False, tries=1),
    )
    task = task_of(sample, is_regression=False, kind="sentences")
    here, there = (fit(client, task, sample, settings, checks=Checks(obedience_rows=0)) for client in (LocalClient(space), endpoint))

    def told(run):
        return [(step.parent.text, step.reasoning, [failure.text for failure in step.failures]) for step in run.steps]

    assert told(there) == told(here)
    assert [failure.text for failure in there.failures] == [failure.text for failure in here.failures]
    assert there.parameters == here.parameters
    assert there.spent["all"].calls == here.spent["all"].calls > 8
