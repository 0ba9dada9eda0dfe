"""Training with students that do as they are told, that go wrong, and that are killed."""

import numpy as np
import pytest

from lexframe.exceptions import LexframeError
from lexframe.verbal import (
    Budget,
    CallLog,
    Checks,
    KeptClient,
    MeteredClient,
    Proposing,
    Reply,
    ScriptedClient,
    Selection,
    Settings,
    Steps,
    VerbalRun,
    classification_sample,
    fit,
    regression_sample,
    replay,
    task_of,
)
from lexframe.verbal.clients.base import Client
from lexframe.verbal.training import batches, split_rows, train
from tests.verbal.students import Faulty, Gradient, LeastSquares, gradient_step, linear_student, proposal

QUIET = Checks(obedience_rows=0)


def line(n=100, noise=0.1, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.uniform(0, 2, n)
    return regression_sample(x.reshape(-1, 1), 4 + 3 * x + noise * generator.normal(size=n))


def trained(client, sample, settings, *, is_regression=True, **options):
    task = task_of(sample, is_regression=is_regression, **options)
    return train(MeteredClient(client, settings.budget), task, sample, settings)


def coefficients(parameters):
    at = {"x": np.array([0.0, 1.0])}
    b, total = parameters.program.predict(at)
    return b, total - b


@pytest.mark.parametrize("optimizer", ["residuals", "textual-gradient"])
def test_least_squares_recovers_a_line_within_two_standard_errors(optimizer):
    sample = line()
    settings = Settings(Steps(steps=10), Proposing(optimizer=optimizer), Selection(acceptance="always"))
    student = LeastSquares([np.ones_like, lambda x: x], "{0} + {1}*x")

    def script(request):
        return "Steeper." if request.purpose == "criticize" else student(request)

    found = trained(ScriptedClient(script), sample, settings, digits=None)
    x = np.array(student.x)[:, 0]
    table = np.stack([np.ones_like(x), x], axis=1)
    errors = 0.1 * np.sqrt(np.diag(np.linalg.inv(table.T @ table)))
    assert len(x) == 70  # every row to learn from, and none of those that proposals are judged on
    assert (np.abs(np.array(coefficients(found.parameters)) - [4, 3]) < 2 * errors).all()


@pytest.mark.parametrize(
    ("features", "form", "truth", "noise"),
    [
        ([np.ones_like, lambda x: x, lambda x: x**2], "{0} + {1}*x + {2}*x^2", lambda x: 3 * x**2 + x + 2, 1.0),
        ([np.ones_like, np.sin], "{0} + {1}*sin(x)", lambda x: np.sin(x) + 2, 0.01),
    ],
    ids=["polynomial", "sine"],
)
def test_least_squares_comes_down_to_the_noise(features, form, truth, noise):
    generator = np.random.default_rng(1)
    x = generator.uniform(-3, 3, 200)
    sample = regression_sample(x.reshape(-1, 1), truth(x) + noise * generator.normal(size=200))
    found = trained(ScriptedClient(LeastSquares(features, form)), sample, Settings(Steps(steps=10, batch_size=20)))
    assert found.loss == pytest.approx(noise**2, rel=0.45)
    fresh = generator.uniform(-3, 3, 1000)
    errors = found.parameters.program.predict({"x": fresh}) - truth(fresh)
    assert np.mean(errors**2) < 0.2 * noise**2


def test_a_scripted_gradient_step_is_numpys_exactly_over_fifty_steps():
    sample = line(40)
    settings = Settings(Steps(steps=50, held_out=0.0), Proposing(best=0, history=0), Selection(acceptance="always"))
    found = trained(ScriptedClient(Gradient(0.1)), sample, settings, digits=None)
    w, b = 0.0, float(sample.targets.mean())
    x, drawn = sample.rows.columns["x"], batches(40, 10, shuffles=True, seed=0)
    for _ in range(50):
        rows = next(drawn)
        w, b = gradient_step(w, b, x[rows], sample.targets[rows], 0.1)
    assert found.parameters.program.source == f"{w!r} * x + {b!r}"
    assert len(found.steps) == 50


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("population", [1, 3])
def test_a_faulty_client_never_loops_never_ends_worse_and_loses_no_record(seed, population, tmp_path):
    script = Faulty(LeastSquares([np.ones_like, lambda x: x], "{0} + {1}*x"), 0.3, seed)
    client = ScriptedClient(script)
    sample = line()
    settings = Settings(Steps(steps=6), selection=Selection(population=population), seed=seed)
    run = fit(client, task_of(sample, is_regression=True), sample, settings, folder=tmp_path, checks=QUIET)
    assert client.n_calls <= 6 * population * 5
    assert run.loss <= run.first[1]
    assert client.n_calls == len((tmp_path / "calls.jsonl").read_text().splitlines()) == run.spent["all"].calls
    unread = [step for step in run.steps if step.proposed is None]
    assert all(len(step.failures) == 5 for step in unread)
    assert len(run.steps) == 6 * population
    n_failures = sum(len(step.failures) for step in run.steps)
    assert client.n_calls == n_failures + sum(step.proposed is not None for step in run.steps)


def test_a_worse_proposal_is_refused_and_the_chain_goes_on_from_the_old_one():
    texts = iter(["y = 4 + 3*x", "y = 100", "y = 4 + 3*x + 0"])

    def script(request):
        return proposal("a", "b", f"Formula: {next(texts)}")

    found = trained(ScriptedClient(script), line(), Settings(Steps(steps=3)))
    assert [step.outcome for step in found.steps] == ["accepted", "refused", "accepted"]
    assert found.steps[2].parent == found.steps[1].parent == found.steps[0].proposed


def test_what_comes_out_is_the_best_even_where_the_chain_went_on_to_a_worse_one():
    texts = iter(["y = 4 + 3*x", "y = 100"])

    def script(request):
        return proposal("a", "b", f"Formula: {next(texts)}")

    hot = Selection(acceptance="metropolis", selection_temperature=1e9)
    found = trained(ScriptedClient(script), line(), Settings(Steps(steps=2), selection=hot))
    assert [step.accepted for step in found.steps] == [True, True]
    assert found.parameters.program.source == "4 + 3 * x"
    assert found.loss == found.steps[0].loss_after


@pytest.mark.parametrize("history", [0, 1, 3])
def test_the_optimizer_sees_as_many_of_its_steps_as_asked_for(history):
    prompts = []

    def script(request):
        prompts.append(request.messages[-1].content)
        return proposal(f"reason {len(prompts)}.", "b", f"Formula: y = {len(prompts)}")

    trained(ScriptedClient(script), line(), Settings(Steps(steps=6), Proposing(history=history)))
    assert [prompt.count("You wrote:") for prompt in prompts] == [min(number, history) for number in range(6)]
    assert all(f"reason {number}." in prompts[5] for number in range(6 - history, 6))


def test_the_published_chain_takes_everything_and_ends_with_the_last():
    texts = iter(["y = 4 + 3*x", "y = 100"])

    def script(request):
        return proposal("a", f"{request.purpose}", f"Formula: {next(texts)}")

    found = trained(ScriptedClient(script), line(), Settings.published(steps=2), prior="It grows.")
    assert [step.accepted for step in found.steps] == [True, True]
    assert found.parameters.program.source == "100"
    assert found.parameters.sentences == "The model predicts a number from the input. It grows. propose"


def test_it_stops_early_where_nothing_is_gained():
    def script(request):
        return proposal("a", "b", "Formula: y = 100")

    found = trained(ScriptedClient(script), line(), Settings(Steps(steps=20, patience=3)))
    assert (found.ended, len(found.steps)) == ("patience", 3)


def test_a_budget_ends_training_with_the_best_so_far():
    found = trained(linear_student(), line(), Settings(Steps(steps=20), budget=Budget(calls=4)))
    assert (found.ended, len(found.steps)) == ("budget", 4)
    assert found.loss < found.first[1]


def test_a_proposal_that_nobody_could_judge_is_kept():
    sample = line(30)
    settings = Settings(Steps(steps=5), budget=Budget(calls=9 + 10 + 1))

    def script(request):
        return "Output: 5" if request.purpose == "predict" else proposal("a", "b")

    found = trained(ScriptedClient(script), sample, settings, kind="sentences")
    assert found.ended == "budget"
    assert [step.outcome for step in found.steps] == ["not judged"]
    assert found.parameters == found.first[0]


def test_a_population_is_resampled_and_keeps_its_best():
    n = iter(range(100))

    def script(request):
        return proposal("a", "b", f"Formula: y = {next(n) % 7} + 3*x")

    found = trained(ScriptedClient(script), line(), Settings(Steps(steps=4), selection=Selection(population=4, acceptance="metropolis")))
    assert len(found.steps) == 16
    assert found.loss == min(found.first[1], *(step.loss_after for step in found.steps))
    assert {step.chain for step in found.steps} == {0, 1, 2, 3}


class Killed(Client):
    """A client whose process dies after so many calls."""

    def __init__(self, client, after):
        self.client, self.after = client, after

    identity = property(lambda self: self.client.identity)

    def answers(self, requests):
        for place, reply in self.client.answers(requests):
            if self.after == 0:
                raise KeyboardInterrupt
            self.after -= 1
            yield place, reply

    def count_tokens(self, request):
        return self.client.count_tokens(request)


@pytest.mark.parametrize("kind", ["program", "sentences"])
def test_killed_at_any_call_it_goes_on_to_the_same_parameters(kind, tmp_path):
    sample = line(12)

    def student():
        """Answers by what is asked alone, as a model does."""

        def script(request):
            digest = int(request.key("s")[:6], 16)
            if request.purpose == "predict":
                return "nothing" if digest % 5 == 0 else f"Output: {digest % 11}"
            return proposal("why", f"Add {digest % 7}.", f"Formula: y = {digest % 7} + {digest % 5}*x") if digest % 4 else "nothing"

        return ScriptedClient(script)

    task = task_of(sample, is_regression=True, kind=kind)
    settings = Settings(Steps(steps=3, batch_size=4), selection=Selection(population=2, acceptance="metropolis"))

    def run(client, path):
        with CallLog(path) as log:
            return train(MeteredClient(KeptClient(client, log)), task, sample, settings)

    model = student()
    whole = run(model, tmp_path / "whole.jsonl")
    n_calls = model.n_calls
    assert n_calls > 6
    for after in range(n_calls):
        with pytest.raises(KeyboardInterrupt):
            run(Killed(student(), after), tmp_path / f"{after}.jsonl")
        model = student()
        again = run(model, tmp_path / f"{after}.jsonl")
        assert model.n_calls == n_calls - after
        assert again.parameters == whole.parameters
        assert [step.to_dict() for step in again.steps] == [step.to_dict() for step in whole.steps]
    with pytest.raises(KeyboardInterrupt):
        fit(Killed(student(), n_calls // 2), task, sample, settings, folder=tmp_path / "folder", checks=QUIET)
    assert fit(student(), task, sample, settings, folder=tmp_path / "folder", checks=QUIET).parameters == whole.parameters


@pytest.mark.parametrize("budget", [Budget(), Budget(tokens=1500), Budget(calls=5)])
def test_a_replay_makes_no_call_and_comes_out_the_same(budget, tmp_path):
    sample = line()
    fit(linear_student(), task_of(sample, is_regression=True), sample, Settings(Steps(steps=6), budget=budget), folder=tmp_path)
    before = (tmp_path / "calls.jsonl").read_bytes()
    kept, again = replay(tmp_path)
    for name in ("parameters", "steps", "score", "failures", "ended", "spent", "obedience"):
        assert kept.to_dict()[name] == again.to_dict()[name], name
    assert (tmp_path / "calls.jsonl").read_bytes() == before
    assert kept.to_dict() == VerbalRun.load(tmp_path).to_dict()


def test_a_replay_without_an_answer_says_so(tmp_path):
    sample = line()
    fit(linear_student(), task_of(sample, is_regression=True), sample, Settings(Steps(steps=2)), folder=tmp_path, checks=QUIET)
    (tmp_path / "calls.jsonl").write_text("")
    with pytest.raises(LexframeError, match="not kept, and nobody is asked"):
        replay(tmp_path)


@pytest.mark.parametrize("kind", ["program", "sentences", "examples"])
@pytest.mark.parametrize("optimizer", ["residuals", "published", "best-texts", "textual-gradient", "random"])
def test_no_prompt_of_training_holds_anything_of_a_test_row(kind, optimizer):
    sentinel = 8675309.125
    x = np.linspace(0, 1, 30).reshape(-1, 1)
    sample = regression_sample(x, x[:, 0])
    test = regression_sample(x + sentinel, x[:, 0] + 2 * sentinel)
    prompts = []

    def script(request):
        prompts.append((request.purpose, " ".join(message.content for message in request.messages)))
        return "Output: 5" if request.purpose == "predict" else proposal("a", "b", "Formula: x\nExamples: 1, 2")

    task = task_of(sample, is_regression=True, kind=kind, digits=None)
    settings = Settings(Steps(steps=3), Proposing(optimizer=optimizer, history=2))
    fit(ScriptedClient(script), task, sample, settings, test=test, checks=QUIET)
    training = [text for purpose, text in prompts if purpose != "predict"]
    assert training
    assert not [text for text in training if "867530" in text or "17350" in text]
    assert ("867530" in " ".join(text for purpose, text in prompts if purpose == "predict")) == (kind != "program")


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("n", [2, 3, 10, 31])
def test_rows_are_split_once_and_by_label(part, n):
    targets = np.array(["a", "b", "b"] * 11, dtype=object)[:n]
    sample = classification_sample([f"t{row}" for row in range(n)], targets)
    task = task_of(sample, is_regression=False)
    learned, judged = split_rows(task, targets, part, 0)
    if len(judged) == n:
        assert part == 0 or round(n * part) < 2
        return
    assert sorted([*learned, *judged]) == list(range(n))
    assert len(judged) == round(n * part)
    if len(judged) >= 6:
        assert abs((targets[judged] == "a").mean() - 1 / 3) < 0.2


def test_every_row_comes_once_an_epoch():
    drawn = batches(10, 4, shuffles=True, seed=3)
    rows = np.concatenate([next(drawn) for _ in range(5)])
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert next(batches(10, 4, shuffles=False, seed=3)).tolist() == [0, 1, 2, 3]
    assert len(next(batches(3, 10, shuffles=True, seed=0))) == 3


def test_answers_that_come_out_of_order_change_nothing():
    class Backwards(ScriptedClient):
        def answers(self, requests):
            yield from reversed(list(super().answers(requests)))

    sample = line(30)
    task = task_of(sample, is_regression=True, kind="sentences")

    def script(request):
        return f"Output: {len(request.messages[-1].content) % 7}" if request.purpose == "predict" else proposal("a", f"b{request.seed}")

    runs = [fit(kind(script), task, sample, Settings(Steps(steps=3)), checks=QUIET).to_dict() for kind in (ScriptedClient, Backwards)]
    assert runs[0] == runs[1]


def test_kept_calls_can_be_shared_by_two_runs(tmp_path):
    sample = line(30)
    model = linear_student()
    with CallLog(tmp_path / "shared.jsonl") as log:
        client = MeteredClient(KeptClient(model, log))
        train(client, task_of(sample, is_regression=True), sample, Settings(Steps(steps=2)))
        once = model.n_calls
        train(MeteredClient(KeptClient(model, log)), task_of(sample, is_regression=True), sample, Settings(Steps(steps=2)))
    assert model.n_calls == once
    assert isinstance(Reply.from_dict(Reply("a", 1, 2, (0.5,), 0.1).to_dict()), Reply)
