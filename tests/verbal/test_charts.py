"""Charts of a run: what they draw is what the run holds, small enough to be sent, and nothing is drawn out of nothing."""

import json
import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import vl_convert

from lexframe.intervals import Estimate
from lexframe.verbal import charts as charts_module
from lexframe.verbal.charts import OWN, baseline_chart, loss_chart
from lexframe.verbal.clients.metered import Budget, Price
from lexframe.verbal.clients.scripted import ScriptedClient
from lexframe.verbal.fit_charts import _label_looks, fit_chart, fit_kind
from lexframe.verbal.fitting import Checks, classification_sample, fit, regression_sample, task_of
from lexframe.verbal.language import Formula
from lexframe.verbal.learner import Reading
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.settings import Selection, Settings, Steps
from tests.verbal.students import LeastSquares, obeys, proposal

MAX_POINTS = 4_000
ODD_LABEL = "</script><script>alert(1)</script> {{ 7*7 }}"
CIRCLES = "Rules: if a*a + b*b > 1.2 then outer\nelse inner"


def spoiled(script, probability):
    """A script whose answers hold nothing of use now and then, and now and then propose what is worse."""
    draws = random.Random(0)

    def answer(request):
        if draws.random() < probability:
            return "Output: nan" if request.purpose == "predict" else "Reasoning: <b>I am lost.</b>"
        if request.purpose == "propose" and draws.random() < probability and request.messages[-1].content.find("Formula") >= 0:
            return proposal("Worse.", "Everything is a thousand.", "Formula: y = 1000")
        return script(request)

    return answer


def line_run(*, n=60, steps=6, population=1, wrong=0.0, slope=3.0, noise=0.1, name="x", block=None, **options):
    """A run over one number that least squares learn."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, n + 30)
    sample = regression_sample(pd.DataFrame({name: x}), 4 + slope * x + noise * rng.normal(size=len(x)))
    script = LeastSquares([np.ones_like, lambda x: x], "{0} + {1}*x")
    if block:
        script = lambda request: proposal("So.", "As it is.", f"Formula: {block}")  # noqa: E731
    client = ScriptedClient(spoiled(script, wrong), name="least squares")
    settings = Settings(Steps(steps=steps), selection=Selection(population=population))
    train, test = sample.take(range(n)), sample.take(range(n, n + 30))
    checks = options.pop("checks", Checks(obedience_rows=8))
    return fit(client, task_of(train, is_regression=True), train, options.pop("settings", settings), test=test, checks=checks, **options)


def plane_run(*, is_regression=False, labels=("inner", "outer"), block=None):
    """Two circles, or a surface, over two numbers."""
    rng = np.random.default_rng(1)
    angle, radius = rng.uniform(0, 2 * np.pi, 90), np.repeat([0.6, 1.5], 45) + 0.1 * rng.normal(size=90)
    rows = pd.DataFrame({"a": radius * np.cos(angle), "b": radius * np.sin(angle)})
    targets = (rows["a"] ** 2 + 3 * rows["b"]).to_numpy() if is_regression else np.repeat(np.array(labels, dtype=object), 45)
    sample = (regression_sample if is_regression else classification_sample)(rows, targets)
    rules = CIRCLES.replace("inner", json.dumps(labels[0])).replace("outer", json.dumps(labels[1]))
    block = block or ("Formula: y = a^2 + 2*b" if is_regression else rules)
    client = ScriptedClient(lambda request: proposal("Look.", "By the distance.", block), name="circles")
    task = task_of(sample, is_regression=is_regression)
    return fit(client, task, sample, Settings(Steps(steps=2)), checks=Checks(obedience_rows=0))


def text_run(**options):
    """Messages by a word that they hold."""
    texts = [f"please {word} my order {number}" for number in range(20) for word in ("refund", "ship", "track")]
    labels = ["billing" if "refund" in text else "other" for text in texts]
    sample = classification_sample(texts, labels)
    block = 'Rules: if has("refund") then billing\nelse other'
    script = lambda request: obeys(request) if request.purpose == "predict" else proposal("One word decides.", "Refunds.", block)  # noqa: E731
    settings = options.pop("settings", Settings(Steps(steps=3), price=Price(1.0, 4.0, "EUR")))
    return fit(ScriptedClient(script), task_of(sample, is_regression=False), sample, settings, **options)


def sentences_run(*, is_regression=False, wrong=0.3):
    """Parameters that only a model can follow, whose answers are spoiled now and then."""
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, 40).round(3)
    low, high = ("3", "7") if is_regression else ("low", "high")
    stated = f"If x is above 0, the output is {high}. Otherwise the output is {low}."

    def script(request):
        return obeys(request) if request.purpose == "predict" else proposal("The sign decides.", stated)

    if is_regression:
        sample = regression_sample(x.reshape(-1, 1), np.where(x > 0, 7.0, 3.0) + 0.1 * rng.normal(size=40))
    else:
        sample = classification_sample(x.reshape(-1, 1), np.where(x > 0, "high", "low"))
    task = task_of(sample, is_regression=is_regression, kind="sentences")
    return fit(ScriptedClient(spoiled(script, wrong), name="spoiled"), task, sample, Settings(Steps(steps=3)))


def empty_run():
    """A budget that ends before the first proposal."""
    return line_run(settings=Settings(budget=Budget(calls=1)), checks=Checks(obedience_rows=8))


@pytest.fixture(scope="module")
def line():
    return line_run()


@pytest.fixture(scope="module")
def population():
    settings = Settings(Steps(steps=8), selection=Selection(population=3), reading=Reading(tries=1))
    return line_run(wrong=0.35, settings=settings, checks=Checks(obedience_rows=0))


@pytest.fixture(scope="module")
def circles():
    return plane_run()


@pytest.fixture(scope="module")
def sentences():
    return sentences_run(is_regression=True)


def data_of(chart):
    """Rows of every layer, by the fields they have."""
    document = chart.to_dict()
    found = []

    def walk(part):
        if isinstance(part, dict):
            if isinstance(part.get("data"), dict) and "values" in part["data"]:
                found.append(part["data"]["values"])
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(document)
    return found


def layer_with(chart, field):
    return next(rows for rows in data_of(chart) if rows and field in rows[0])


def title_of(chart):
    title = chart.to_dict()["title"]
    says = title.get("subtitle", "")
    return f"{title['text']} {says if isinstance(says, str) else ' '.join(says)}"


def drawn(chart):
    assert sum(map(len, data_of(chart))) <= MAX_POINTS
    drawing = vl_convert.vegalite_to_svg(chart.to_json())
    assert "<script" not in drawing
    return drawing


def axis_titles(chart):
    found = set()

    def walk(part):
        if isinstance(part, dict):
            for name in ("x", "y"):
                if isinstance(part.get(name), dict) and part[name].get("title"):
                    found.add(part[name]["title"])
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(chart.to_dict())
    return found


def test_every_proposal_is_a_point(line):
    chart = loss_chart(line)
    points = layer_with(chart, "outcome")
    assert [(row["step"], row["outcome"], row["loss"]) for row in points] == [
        (step.number, step.outcome, pytest.approx(step.loss_after)) for step in line.steps
    ]
    drawing = drawn(chart)
    assert "accepted" in drawing
    assert "refused" in drawing
    assert "unreadable" not in drawing  # there was none
    assert axis_titles(chart) == {"step", "mean squared error, lower is better"}
    assert "held-out rows" in title_of(chart)


def test_the_line_is_the_lowest_so_far(line):
    best = next(rows for rows in data_of(loss_chart(line)) if len(rows) > 1 and set(rows[0]) == {"step", "loss"})
    assert best[0] == {"step": 0, "loss": line.first[1]}
    assert best[-1] == {"step": len(line.steps), "loss": pytest.approx(min(step.loss_after for step in line.steps))}
    assert all(one["loss"] >= other["loss"] for one, other in pairwise(best))


def test_each_chain_has_a_line_and_unreadable_answers_stand_where_it_stood(population):
    assert "unreadable" in {step.outcome for step in population.steps}
    chart = loss_chart(population)
    chains = next(rows for rows in data_of(chart) if rows and set(rows[0]) == {"step", "chain", "loss"})
    assert {row["chain"] for row in chains} == {0, 1, 2}
    unread = {(row["step"], row["chain"]): row["loss"] for row in layer_with(chart, "outcome") if row["outcome"] == "unreadable"}
    steps = {(step.number, step.chain): step for step in population.steps}
    assert unread
    assert all(loss == steps[where].loss_before for where, loss in unread.items())
    assert "each chain" in title_of(chart)
    assert "unreadable" in drawn(chart)


@pytest.mark.parametrize(
    ("losses", "kind"),
    [([1.0, 20.0], None), ([0.1, 4.0], "log"), ([0.0, 0.5], None), ([0.0, 0.01, 4.0], "symlog"), ([0.0], None), ([], None)],
)
def test_the_scale_of_losses(losses, kind):
    assert charts_module._loss_scale(losses)[0].to_dict().get("type") == kind


def test_a_loss_that_nobody_measured(line):
    steps = tuple(replace(step, loss_before=np.nan, loss_after=np.nan, accepted=False) for step in line.steps)
    nothing = replace(line, steps=steps, first=(line.first[0], np.nan))
    assert "No loss was measured." in drawn(loss_chart(nothing))
    assert drawn(loss_chart(replace(line, steps=())))


def test_proposals_that_are_taken_unjudged_have_the_loss_that_the_next_step_begins_with():
    run = fit(
        ScriptedClient(lambda request: "Output: 5" if request.purpose == "predict" else proposal("So.", "Say five.")),
        task_of(sample := regression_sample([[0.0], [1.0], [2.0], [3.0]], [1, 2, 3, 4]), is_regression=True, kind="sentences"),
        sample,
        Settings.published(steps=3),
        checks=Checks(obedience_rows=0),
    )
    chart = loss_chart(run)
    points = {row["step"]: row["loss"] for row in layer_with(chart, "outcome")}
    assert points[1] == run.steps[1].loss_before
    assert "each batch" in title_of(chart)
    assert "lowest so far" not in title_of(chart)  # losses of different batches do not compare


def test_very_many_steps_are_thinned(line):
    many = tuple(replace(line.steps[0], number=number, accepted=number % 9 == 0) for number in range(1, 5_001))
    assert sum(map(len, data_of(loss_chart(replace(line, steps=many))))) <= MAX_POINTS


def test_the_scores_are_sorted_and_the_own_one_stands_out(line):
    chart = baseline_chart(line)
    rows = layer_with(chart, "low")
    assert [row["value"] for row in rows] == sorted(row["value"] for row in rows)
    assert {row["name"] for row in rows} == {OWN, *(each.name for each in line.baselines)}
    own = next(row for row in rows if row["kind"])
    assert own["value"] == line.score.value.value
    assert (own["low"], own["high"]) == line.score.value.interval
    assert axis_titles(chart) == {"mean squared error, lower is better"}
    assert "30 test rows" in title_of(chart)
    assert OWN in drawn(chart)


def test_accuracies_are_sorted_the_other_way(circles):
    chart = baseline_chart(circles)
    values = [row["value"] for row in layer_with(chart, "low")]
    assert values == sorted(values, reverse=True)
    assert axis_titles(chart) == {"accuracy, higher is better"}
    assert "27 rows it was judged on" in title_of(chart)


def test_scores_of_nothing_and_of_much_stand_on_one_scale(line):
    perfect = replace(line.score, value=Estimate(0.0, 0.0, 0.0), by_row=np.zeros(30))
    drawing = drawn(baseline_chart(replace(line, score=perfect)))
    assert "NaN" not in drawing
    huge = replace(line.score, value=Estimate(1e300, 1e299, np.nan), by_row=np.zeros(30))
    drawing = drawn(baseline_chart(replace(line, score=huge)))
    assert "NaN" not in drawing
    assert "1e+300" in drawing


def test_a_model_without_a_score_has_no_row(line):
    drawing = drawn(baseline_chart(replace(line, score=None)))
    assert OWN not in drawing
    assert "ridge" in drawing


def test_the_curve_is_what_the_model_predicts(line):
    assert fit_kind(line) == "curve"
    chart = fit_chart(line)
    curves = [rows for rows in data_of(chart) if rows and set(rows[0]) == {"x", "y"}]
    assert len(curves) == 4  # before training; left of the rows, among them, right of them
    x = line.sample.rows.columns["x"]
    inside = curves[2]
    assert inside[0]["x"] == pytest.approx(x.min())
    assert inside[-1]["x"] == pytest.approx(x.max())
    expected = line.predict([[row["x"]] for row in inside]).values
    np.testing.assert_allclose([row["y"] for row in inside], expected)
    every = np.concatenate([x, line.test.rows.columns["x"]])
    assert curves[3][-1]["x"] - curves[1][0]["x"] == pytest.approx(np.ptp(every) * 4 / 3)
    points = layer_with(chart, "group")
    assert {row["group"] for row in points} == {"training rows", "test rows"}
    assert len(points) == 90
    drawn(chart)


def test_a_curve_is_broken_where_a_formula_has_no_value_and_huge_values_do_not_flatten_the_rows(line):
    program = Formula.parse("log(x - 1) * 1e6", ("x",))
    chart = fit_chart(replace(line, parameters=Parameters("Odd.", program)))
    assert any(row["y"] is None for rows in data_of(chart) for row in rows if set(row) == {"x", "y"})
    drawn(chart)


def test_the_plane_of_two_circles(circles):
    assert fit_kind(circles) == "regions"
    chart = fit_chart(circles)
    cells = layer_with(chart, "x2")
    assert {row["value"] for row in cells} == {"inner", "outer"}
    area = sum((row["x2"] - row["x"]) * (row["y2"] - row["y"]) for row in cells if row["value"] == "inner")
    assert area == pytest.approx(np.pi * 1.2, rel=0.05)
    assert len(cells) < 300
    points = layer_with(chart, "tested")
    assert len(points) == 90
    assert sum(row["tested"] for row in points) == len(circles.held_out)
    assert axis_titles(chart) == {"a", "b"}
    drawn(chart)


def test_the_plane_of_numbers():
    run = plane_run(is_regression=True)
    assert fit_kind(run) == "plane"
    chart = fit_chart(run)
    values = [row["value"] for row in layer_with(chart, "x2")]
    assert min(values) > run.sample.targets.min()
    assert max(values) < run.sample.targets.max()
    drawn(chart)


def test_labels_beyond_the_most_frequent_share_a_color():
    labels = [f"label {number}" for number in range(15)] + ["x" * 60, "x" * 61, ODD_LABEL]
    targets = np.array([label for number, label in enumerate(labels) for _ in range(40 - number)] + labels[15:] * 60, dtype=object)
    shown, look = _label_looks(labels, targets)
    assert len(look) == 13
    assert len(set(look.values())) == 13
    assert shown["label 14"] == "all other labels"
    assert shown["x" * 60] != shown["x" * 61]


def test_odd_labels_and_columns_are_drawn_as_text():
    chart = fit_chart(plane_run(labels=(ODD_LABEL, "😀")))
    assert "&lt;script&gt;" in drawn(chart)
    chart = fit_chart(line_run(name="<script>{{ 7*7 }}", block="`<script>{{ 7*7 }}`", checks=Checks(obedience_rows=0)))
    assert "&lt;script&gt;{{ 7*7 }}" in drawn(chart)


def test_sentences_leave_only_the_size_of_errors(sentences):
    assert fit_kind(sentences) == "errors"
    chart = fit_chart(sentences)
    rows = layer_with(chart, "about")
    np.testing.assert_allclose(sorted(row["y"] for row in rows), np.sort(np.sqrt(sentences.score.by_row)))
    assert axis_titles(chart) == {"y, as it is", "distance of the prediction"}
    drawn(chart)


def test_more_than_two_inputs_leave_predictions_against_targets():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 3))
    sample = regression_sample(rows, rows.sum(axis=1))
    client = ScriptedClient(lambda request: proposal("Sum.", "A sum.", "Formula: y = x1 + x2 + x3"))
    run = fit(client, task_of(sample, is_regression=True), sample, Settings(Steps(steps=1)), checks=Checks(obedience_rows=0))
    assert fit_kind(run) == "predictions"
    chart = fit_chart(run)
    points = layer_with(chart, "about")
    np.testing.assert_allclose([row["x"] for row in points], [row["y"] for row in points])
    drawn(chart)


def test_texts_are_not_drawn():
    run = text_run()
    assert fit_kind(run) is None
    assert fit_chart(run) is None
    assert fit_kind(sentences_run()) is None


def test_many_rows_are_sampled(line):
    rows = np.random.default_rng(0).uniform(0, 2, 5_000)
    many = regression_sample(pd.DataFrame({"x": rows}), 4 + 3 * rows)
    drawn(fit_chart(replace(line, sample=many, test=many)))


def test_nothing_but_a_budget():
    run = empty_run()
    assert not run.steps
    for chart in (loss_chart(run), baseline_chart(run), fit_chart(run)):
        drawn(chart)
