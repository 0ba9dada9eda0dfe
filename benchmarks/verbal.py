"""Verbalized learning with scripted models: what the loop is worth, against GEPA at equal calls, what it costs, and what it adds to a call.

    python benchmarks/verbal.py [--parts students,peer,cost,overhead,priors] [--quick]

What a small language model makes of it stands in verbal_smollm2.py. DSPy and TextGrad, against which the time of a call is measured,
need an environment of their own; where they are absent, one line says so.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from common import Control, Exact, Figure, Goal, Statement, every_pair, exponent, finish, judged, peer, times
from lexframe.intervals import Estimate, t_interval
from lexframe.verbal import (
    Budget,
    CallLog,
    Checks,
    KeptClient,
    Learner,
    MeteredClient,
    Parameters,
    ReplyLengths,
    Request,
    Sample,
    ScriptedClient,
    Selection,
    Settings,
    Steps,
    fit,
    project,
    regression_sample,
    task_of,
)
from lexframe.verbal.training import split_rows, train
from verbal_peer import World, as_client, gepa_text, loss_of
from verbal_tasks import linear

PARTS = ("students", "peer", "cost", "overhead", "priors")
CALLS = 300


# --- students that do as they are told ---


def least_squares(features: list[Callable[[np.ndarray], np.ndarray]], form: str) -> ScriptedClient:
    """A model that does least squares on every row that it was ever shown."""
    import re

    rows: dict[float, float] = {}

    def script(request: Request) -> str:
        for x, y in re.findall(r"^\d+\. x = (\S+) \|.*\| target (\S+) \|", request.messages[-1].content, re.MULTILINE):
            rows[float(x)] = float(y)
        x = np.array(list(rows))
        found = np.linalg.lstsq(np.stack([feature(x) for feature in features], axis=1), np.array(list(rows.values())), rcond=None)[0]
        formula = form.format(*(repr(float(value)) for value in found))
        return f"Reasoning: least squares.\nNew Pattern Descriptions: {formula}\nFormula: y = {formula}"

    return ScriptedClient(script)


FUNCTIONS = {
    "linear": ([np.ones_like, lambda x: x], "{0} + {1}*x", lambda x: 4 + 3 * x, (0.0, 2.0), 0.1),
    "polynomial": ([np.ones_like, lambda x: x, lambda x: x**2], "{0} + {1}*x + {2}*x^2", lambda x: 3 * x**2 + x + 2, (-3.0, 1.0), 1.0),
    "sine": ([np.ones_like, np.sin], "{0} + {1}*sin(x)", lambda x: np.sin(x) + 2, (-3.0, 3.0), 0.01),
}


def students(seeds: int) -> list[Statement]:
    """Held-out loss over the variance of the noise; and for the line the error of its coefficients in standard errors."""
    claims: list[Statement] = []
    for name, (features, form, truth, ends, noise) in FUNCTIONS.items():
        ratios, first, errors = [], [], []
        for seed in range(seeds):
            generator = np.random.default_rng([seed, 11])
            x = generator.uniform(*ends, 200)
            sample = regression_sample(x.reshape(-1, 1), truth(x) + noise * generator.normal(size=200))
            settings = Settings(Steps(steps=10, batch_size=20), selection=Selection(acceptance="always"), seed=seed)
            task = task_of(sample, is_regression=True, digits=None)
            found = train(MeteredClient(least_squares(features, form)), task, sample, settings)
            program = found.parameters.program
            assert program is not None
            fresh = generator.uniform(*ends, 1000)
            ratios.append(float(np.mean((program.predict({"x": fresh}) - truth(fresh)) ** 2) / noise**2))
            first.append(float(found.first[1] / noise**2))
            if name == "linear":
                learned, _ = split_rows(task, sample.targets, settings.steps.held_out, seed)
                table = np.stack([feature(x[learned]) for feature in features], axis=1)
                deviation = noise * np.sqrt(np.diag(np.linalg.inv(table.T @ table)))
                b, total = program.predict({"x": np.array([0.0, 1.0])})
                errors.append(float(np.max(np.abs(np.array([b - 4, total - b - 3]) / deviation))))
        claims += judged(
            f"{name}: squared error of the fit over the variance of the noise, after 10 steps",
            t_interval(ratios, unit="seeds"), Goal(below=0.1), Control("before training", t_interval(first, unit="seeds")),
        )  # fmt: skip
        if errors:
            share = float(np.mean(np.array(errors) < 2))
            claims.append(Figure("linear: share of seeds with both coefficients within two standard errors (.91 is expected)", share))
    return claims


# --- against the peer, at equal calls ---


def ended_with(world: World, sample: Sample, settings: Settings, kind: str = "sentences") -> str:
    task = task_of(sample, is_regression=True, kind=kind)
    return train(MeteredClient(as_client(world), settings.budget), task, sample, settings).parameters.text


def against_peer(seeds: int) -> list[Statement]:
    losses: dict[str, list[float]] = {}
    budget = Budget(calls=CALLS)
    ours = Settings(Steps(steps=10_000), budget=budget)
    many = replace(ours, selection=Selection(acceptance="metropolis", population=4))
    for seed in range(seeds):
        train_rows, test_rows = linear(seed, 40, 500)
        learned, held = split_rows(task_of(train_rows, is_regression=True), train_rows.targets, 0.3, seed)
        contenders: dict[str, Callable[[World], str | None]] = {
            "verbal": lambda world, rows=train_rows, seed=seed: ended_with(world, rows, replace(ours, seed=seed)),
            "verbal, population of 4": lambda world, rows=train_rows, seed=seed: ended_with(world, rows, replace(many, seed=seed)),
            "verbal, executed": lambda world, rows=train_rows, seed=seed: ended_with(world, rows, replace(ours, seed=seed), "program"),
            "published chain": lambda world, rows=train_rows, seed=seed: ended_with(
                world, rows, replace(Settings.published(steps=10_000, budget=budget), seed=seed)
            ),
            "gepa, minibatch 3": lambda world, rows=train_rows, a=learned, b=held: gepa_text(
                world, rows.take(a), rows.take(b), CALLS, minibatch=3
            ),
            "gepa, minibatch 10": lambda world, rows=train_rows, a=learned, b=held: gepa_text(
                world, rows.take(a), rows.take(b), CALLS, minibatch=10
            ),
        }
        for name, run in contenders.items():
            world = World(seed)
            text = run(world)
            if text is not None:
                losses.setdefault(name, []).append(loss_of(text, test_rows))
                losses.setdefault(f"{name}: calls", []).append(world.calls)
    claims: list[Statement] = []
    for name, found in losses.items():
        print(f"{name}: median {np.median(found):.4g}, mean {np.mean(found):.4g}, worst {np.max(found):.4g}")
    for name in (name for name in losses if not name.endswith("calls")):
        claims.append(Figure(f"scripted line, {CALLS} calls: median loss, {name}", _median(losses[name])))
        claims.append(Figure(f"scripted line, {CALLS} calls: worst loss of {seeds} seeds, {name}", float(np.max(losses[name]))))
    chain = losses["published chain"]
    for name in ("verbal", "verbal, population of 4", "verbal, executed"):
        ratio = np.max(losses[name]) / np.max(chain)
        broken = np.max(chain) / np.max(chain)
        claims.append(
            Exact(
                f"scripted line: worst loss of {seeds} seeds over that of the published chain, {name}",
                float(ratio),
                Goal(at_most=0.5),
                Control("the chain itself", float(broken)),
            )
        )
        peers = [peer_name for peer_name in losses if peer_name.startswith("gepa") and not peer_name.endswith("calls")]
        if peers:
            best = min(peers, key=lambda peer_name: np.median(losses[peer_name]))
            gain = np.log(losses[best]) - np.log(losses[name])
            of_chain = np.log(losses[best]) - np.log(chain)
            claims += judged(
                f"scripted line: median of log(loss of GEPA / loss), {name}, best of its two minibatches",
                _median(gain.tolist()), Goal(at_least=0), Control("the published chain", _median(of_chain.tolist())),
            )  # fmt: skip
    return claims


def _median(values: list[float]) -> Estimate:
    """Median over seeds with a bootstrap interval."""
    generator = np.random.default_rng(0)
    drawn = np.median(generator.choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(values) > 1 else (float("nan"), float("nan"))
    return Estimate(float(np.median(values)), float(low), float(high), "seeds", len(values))


# --- what it costs ---


def cost(seeds: int) -> list[Statement]:
    """Projected tokens over spent ones: before the first call, and after two steps whose lengths are known."""
    before, after, calls = [], [], []
    for seed in range(seeds):
        sample, _ = linear(seed, 60, 2)
        settings = Settings(Steps(steps=10), seed=seed)
        for kind in ("program", "sentences"):
            task = task_of(sample, is_regression=True, kind=kind)
            client = as_client(World(seed))
            pilot = MeteredClient(client)
            train(pilot, task, sample, replace(settings, steps=replace(settings.steps, steps=2)))
            first = project(client, task, sample, settings)
            known = project(client, task, sample, settings, lengths=ReplyLengths.measured(pilot.by_purpose))
            spent = fit(as_client(World(seed)), task, sample, settings, checks=Checks(obedience_rows=0)).spent["all"]
            before.append(first.expected.tokens / spent.tokens)
            after.append(known.expected.tokens / spent.tokens)
            calls.append(known.expected.calls / spent.calls)
    found = {
        "calls, projected over spent": calls,
        "tokens, projected over spent, lengths of answers known": after,
        "tokens, projected over spent, before the first call": before,
    }
    return [
        claim
        for name, ratios in found.items()
        for claim in judged(
            f"scripted line: {name}", t_interval(ratios, unit="runs"), Goal.within(0.95, 1.05), Control("half as many steps", 0.5)
        )
    ]


# --- what it adds to a call ---


def overhead(rounds: int, n: int = 300) -> list[Statement]:
    """Milliseconds a call beside the model's own, which takes none: predictions through budget, log on disk, parser."""
    contenders: dict[str, Callable[[int], None]] = {"lexframe": _ours}
    dspy, textgrad = peer("dspy"), peer("textgrad")
    if dspy is not None:
        contenders["dspy"] = lambda count: _dspy(dspy, count)
    if textgrad is not None:
        contenders["textgrad"] = lambda count: _textgrad(textgrad, count)
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():  # what is loaded at the first call is no part of a call
        run(2)
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run(n)
            taken[name].append((time.perf_counter() - start) / n * 1e3)
    claims: list[Statement] = [Figure(f"milliseconds a call, {name}", t_interval(found, unit="runs")) for name, found in taken.items()]
    claims += judged(
        "milliseconds that a call takes beside the model's own",
        t_interval(taken["lexframe"], unit="runs"),
        Goal(at_most=2),
        Control("a call that waits for 3 ms", 3.0),
    )
    sizes = (100, 1_000) if rounds < 5 else (100, 1_000, 10_000)
    table = np.array([[_seconds(_ours, size) for size in sizes] for _ in range(3)])
    claims += judged("growth of the time of calls with their number: exponent", exponent(sizes, table), Goal(at_most=1.1), every_pair())
    for name in ("dspy", "textgrad"):
        if name in taken:
            claims.append(Figure(f"time of a call, {name} over lexframe", times(taken[name], taken["lexframe"])))
    return claims


def _seconds(run: Callable[[int], None], n: int) -> float:
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


def _ours(n: int) -> None:
    sample = regression_sample(np.arange(float(n)).reshape(-1, 1), np.arange(float(n)))
    task = task_of(sample, is_regression=True, kind="sentences")
    with tempfile.TemporaryDirectory() as folder, CallLog(Path(folder) / "calls.jsonl") as log:
        client = MeteredClient(KeptClient(ScriptedClient(lambda request: "Output: 4"), log), Budget(calls=10 * n))
        Learner(client, task, 0.0).predict(Parameters("The output is four."), sample.rows)


def _dspy(dspy: object, n: int) -> None:
    from dspy.utils import DummyLM  # type: ignore[import-not-found]

    model = DummyLM([{"y": "4"}] * n)
    predict = dspy.Predict("x -> y")  # type: ignore[attr-defined]
    with dspy.context(lm=model):  # type: ignore[attr-defined]
        for number in range(n):
            predict(x=f"x = {number}")


def _textgrad(textgrad: object, n: int) -> None:
    from textgrad.engine import EngineLM  # type: ignore[import-not-found]

    class Fake(EngineLM):
        model_string = "fake"

        def generate(self, prompt: str, system_prompt: str | None = None, **options: object) -> str:
            return "Output: 4"

        def __call__(self, prompt: str, **options: object) -> str:
            return self.generate(prompt)

    model = textgrad.BlackboxLLM(Fake(), "The output is four.")  # type: ignore[attr-defined]
    for number in range(n):
        model(textgrad.Variable(f"x = {number}", requires_grad=False, role_description="input"))  # type: ignore[attr-defined]


# --- priors ---


def priors(seeds: int) -> list[Statement]:
    """A student that fits what its text names, a line or a sine, and gives up a family once it is left with large residuals twice."""
    right, wrong = "The output is periodic in x.", "The output is a straight line in x."
    losses: dict[str, list[list[float]]] = {}
    left: list[float] = []
    for seed in range(seeds):
        generator = np.random.default_rng([seed, 13])
        x = generator.uniform(-3, 3, 100)
        sample = regression_sample(x.reshape(-1, 1), np.sin(2 * x) + 2 + 0.05 * generator.normal(size=100))
        for name, prior in (("none", ""), ("right", right), ("wrong", wrong)):
            task = task_of(sample, is_regression=True, prior=prior)
            settings = Settings(Steps(steps=8), seed=seed)
            run = fit(_believer(seed), task, sample, settings, checks=Checks(obedience_rows=0))
            best = np.minimum.accumulate([run.first[1], *(step.loss_after for step in run.steps)])
            losses.setdefault(name, []).append(best.tolist())
            if name == "wrong":
                left.append(float(run.prior_left_at or len(run.steps) + 1))
    claims: list[Statement] = []
    for name, found in losses.items():
        table = np.array(found)
        for step in (1, 3, 8):
            claims.append(
                Figure(f"scripted sine, prior {name}: held-out loss after step {step}", t_interval(table[:, step].tolist(), unit="seeds"))
            )
    claims.append(Figure("scripted sine: step at which a wrong prior was left (9: never)", t_interval(left, unit="seeds")))
    return claims


def _believer(seed: int) -> ScriptedClient:
    import re

    generator = np.random.default_rng([seed, 17])
    doubts = [0]

    def script(request: Request) -> str:
        prompt = request.messages[-1].content
        rows = re.findall(r"^\d+\. x = (\S+) \|.*\| target (\S+) \| residual (\S+)", prompt, re.MULTILINE)
        x, y, residual = (np.array([float(row[place]) for row in rows]) for place in range(3))
        current = prompt.split("## Current pattern descriptions\n")[1].split("\n\n")[0]
        family = "line" if "straight line" in current else "sine" if "periodic" in current else None
        doubts[0] += family is not None and float(np.mean(residual**2)) > 0.1
        if family is None or (family == "line" and doubts[0] > 2):
            family = str(generator.choice(["line", "sine"]))
        feature, form = (x, "x") if family == "line" else (np.sin(2 * x), "sin(2*x)")
        a, b = np.linalg.lstsq(np.column_stack([np.ones(len(x)), feature]), y, rcond=None)[0]
        said = "The output is a straight line in x." if family == "line" else "The output is periodic in x."
        return f"Reasoning: fitted.\nNew Pattern Descriptions: {said}\nFormula: y = {float(a)!r} + {float(b)!r}*{form}"

    return ScriptedClient(script)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    parts = asked.parts.split(",")
    seeds = 2 if asked.quick else 20
    claims: list[Statement] = []
    if "students" in parts:
        claims += students(seeds)
    if "peer" in parts:
        claims += against_peer(seeds)
    if "cost" in parts:
        claims += cost(2 if asked.quick else 10)
    if "overhead" in parts:
        claims += overhead(3 if asked.quick else 10)
    if "priors" in parts:
        claims += priors(seeds)
    finish(claims, keep_as=None if asked.quick else "verbal", beside=set(parts) != set(PARTS))


if __name__ == "__main__":
    main()
