"""``lexframe verbal``: every verb on small files, with an endpoint that a script plays."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lexframe.data import read_table
from lexframe.verbal import Message, Request
from lexframe.verbal.clients.kept import kept_calls
from tests.cli.vae.calls import refused, run
from tests.verbal.students import LeastSquares, obeys, proposal

pytest.importorskip("openai", reason="until openai is installed: pip install 'lexframe[verbal]'")


class Endpoint:
    """A server of the OpenAI protocol on the loopback that a script plays."""

    def __init__(self, script):
        endpoint = self
        self.script, self.n_calls, self.keys = script, 0, set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.n_calls += 1
                endpoint.keys.add(self.headers.get("Authorization"))
                content = endpoint.script(body["messages"][-1]["content"])
                usage = {"prompt_tokens": 10, "completion_tokens": len(content.split()), "total_tokens": 20}
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
                reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
                data = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def options(self):
        return ("--endpoint", f"http://127.0.0.1:{self.server.server_address[1]}/v1", "--model", "m", "--concurrency", "1")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def as_request(prompt):
    purpose = "predict" if prompt.startswith("# Inference") or "\n# Inference" in prompt else "propose"
    return Request((Message("user", prompt),), max_tokens=10, purpose=purpose)


@pytest.fixture
def regression():
    student = LeastSquares([np.ones_like, lambda x: x], "{0} + {1}*size")
    endpoint = Endpoint(lambda prompt: student(as_request(prompt)).replace("y = ", "price = "))
    yield endpoint
    endpoint.close()


@pytest.fixture
def classification():
    def script(prompt):
        if as_request(prompt).purpose == "predict":
            return obeys(as_request(prompt))
        return proposal("why not", "Refunds are billing.", 'Rules: if has("refund") then billing\nelse other')

    endpoint = Endpoint(script)
    yield endpoint
    endpoint.close()


@pytest.fixture
def prices(tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for name in ("train", "test"):
        x = generator.uniform(0, 2, 50)
        lines = [f"{a:.4f},{4 + 3 * a + 0.1 * generator.normal():.4f}" for a in x]
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text("size,price\n" + "\n".join(lines) + "\n")
    return paths


@pytest.fixture
def messages(tmp_path):
    path = tmp_path / "messages.jsonl"
    rows = [{"note": f"{'my refund' if n % 2 else 'a parcel'} {n}", "kind": "billing" if n % 2 else "other"} for n in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_run_from_fit_to_replay(prices, regression, tmp_path, capsys):
    out, page = tmp_path / "run", tmp_path / "page.html"
    train, test = prices
    arguments = ("verbal", "fit", train, "--target", "price", "--test", test, "--steps", "3", "--out", out, "--report", page)
    assert run(*arguments, *regression.options, "--obedience-rows", "8") == 0
    said = capsys.readouterr()
    assert said.err.startswith("Expected: 27 calls")
    assert "The model obeys: accuracy 1.00" in said.err
    assert said.err.index("The model obeys") < said.err.index("step 1: accepted")
    assert "* verbal" in said.out
    assert "ridge" in said.out
    assert "Formula:" in said.out
    assert "<script" not in page.read_text()
    asked = regression.n_calls
    assert asked == 3 * 8 + 3 == len(list(kept_calls(out / "calls.jsonl")))

    assert run(*arguments, *regression.options, "--obedience-rows", "8") == 0
    assert regression.n_calls == asked, "the same run again makes no call"
    capsys.readouterr()

    assert run("verbal", "replay", out) == 0
    assert "the same, step by step and word by word; 27 kept answers, no call" in capsys.readouterr().err
    assert run("verbal", "predict", out, test) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 50
    assert set(rows[0]) == {"size", "price", "answered"}
    assert all(abs(row["price"] - 4 - 3 * row["size"]) < 0.3 for row in rows)
    assert run("verbal", "show", out) == 0
    shown = capsys.readouterr().out
    assert "loss before" in shown
    assert run("verbal", "show", out, "--step", "0") == 0
    assert capsys.readouterr().out.startswith("The model predicts a number from the input.")
    assert run("verbal", "show", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ended"] == "steps"
    assert run("verbal", "show", out, "--csv", tmp_path / "steps.csv") == 0
    assert len((tmp_path / "steps.csv").read_text().splitlines()) >= 4
    capsys.readouterr()
    assert run("verbal", "diff", out) == 0
    changed = capsys.readouterr().out
    assert "{+" in changed
    assert "[-" in changed
    assert run("verbal", "diff", out, "--before", "1", "--after", "1", "--json") == 0
    assert {change["kind"] for change in json.loads(capsys.readouterr().out)["changes"]} == {"same"}
    assert run("verbal", "cost", out) == 0
    assert "propose" in capsys.readouterr().out
    assert regression.n_calls == asked


def test_texts_are_classified(messages, classification, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ("verbal", "fit", messages, "--label", "kind", "--text", "note", "--steps", "2", "--out", out, "--json")
    assert run(*arguments, *classification.options, "--obedience-rows", "0", "--points", "embedded") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["score"]["value"] == 1.0
    assert "n-grams, logistic" in found["baselines"]
    assert found["baselines"]["posterior calibration"]["value"] > 0.5
    assert found["obedience"] is None
    new = tmp_path / "new.csv"
    new.write_text("note\nA refund please\nHello\n")
    assert run("verbal", "predict", out, new, "--out", tmp_path / "found.csv") == 0
    assert read_table(tmp_path / "found.csv", text="note", label="kind").labels == ("billing", "other")


def test_what_it_will_cost_is_said_without_a_call(prices, regression, capsys):
    arguments = ("verbal", "cost", prices[0], "--target", "price", *regression.options)
    assert run(*arguments, "--price-prompt", "2", "--price-completion", "8") == 0
    assert "USD" in capsys.readouterr().out
    assert run(*arguments, "--budget-calls", "2", "--obedience-rows", "0", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["proposals"] == 2
    assert "which is no training" in found["warning"]
    assert regression.n_calls == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "price", "--label", "price"), "one of them"),
        ((), "one of them"),
        (("--target", "size", "--inputs", "size"), "cannot be an input as well"),
        (("--target", "nothing"), "no field 'nothing'"),
        (("--target", "price", "--budget-calls", "0"), "--budget-calls"),
        (("--target", "price", "--budget-money", "1"), "--price-prompt"),
        (("--target", "price", "--steps", "0"), "steps is 0"),
        (("--target", "price", "--optimizer", "magic"), "no --optimizer 'magic'. Choose one of residuals, published"),
        (("--target", "price", "--acceptance", "magic"), "no rule of --acceptance 'magic'"),
        (("--target", "price", "--model", "embedded"), "no chat template"),
        (("--target", "price", "--endpoint", "ftp://host"), "http"),
        (("--target", "price", "--endpoint", "https://user:secret@host/v1"), "password"),
        (("--target", "price", "--endpoint", "https://example.invalid/v1", "--key-variable", "NO_SUCH_KEY"), "NO_SUCH_KEY"),
        (("--target", "price", "--endpoint", "http://127.0.0.1:9/v1", "--dtype", "float32"), "--dtype"),
    ],
)
def test_what_is_wrong_is_one_line(prices, arguments, message, capsys):
    line = refused(capsys, "verbal", "fit", prices[0], *arguments)
    assert message in line


def test_a_server_that_is_not_there_is_one_line_and_nothing_is_lost(prices, tmp_path, capsys):
    arguments = ("verbal", "fit", prices[0], "--target", "price", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m", "--retries", "0")
    assert run(*arguments, "--out", tmp_path / "run") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "127.0.0.1" in said
    assert "secret" not in said


def test_a_key_stands_nowhere(messages, classification, tmp_path, capsys, monkeypatch):
    secret = "sk-test-0123456789abcdef"
    monkeypatch.setenv("SOME_KEY", secret)
    out, page = tmp_path / "run", tmp_path / "page.html"
    options = ("--key-variable", "SOME_KEY", "--out", out, "--report", page, "--steps", "1", "--obedience-rows", "0")
    assert run("verbal", "fit", messages, "--label", "kind", "--text", "note", *classification.options, *options) == 0
    said = capsys.readouterr()
    assert classification.keys == {f"Bearer {secret}"}
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) >= 4
    assert not [path for path in kept if secret.encode() in path.read_bytes()]
    assert secret not in said.out + said.err


def test_folders_without_a_run_are_named(tmp_path, capsys):
    assert "holds no verbal-run" in refused(capsys, "verbal", "show", tmp_path)
    assert "holds no verbal-run" in refused(capsys, "verbal", "replay", tmp_path)
    assert "holds no verbal-run" in refused(capsys, "verbal", "diff", tmp_path)
