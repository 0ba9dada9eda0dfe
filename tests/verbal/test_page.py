"""The page of a run: its numbers, every step, nothing that runs, and words for what is missing."""

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from lexframe.verbal import page as page_module
from lexframe.verbal.asking import Failure
from lexframe.verbal.changes import changed_words
from lexframe.verbal.charts import loss_chart
from lexframe.verbal.clients.metered import Spent
from lexframe.verbal.clients.scripted import ScriptedClient
from lexframe.verbal.fitting import Checks, classification_sample, fit, regression_sample, task_of
from lexframe.verbal.language import Rules
from lexframe.verbal.learner import Reading
from lexframe.verbal.page import LONG_SAME, MOST_FAILURES, MOST_STEPS, OPEN_STEPS, failure_groups, method_rows, run_report, shown_steps
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.run import number
from lexframe.verbal.settings import Selection, Settings, Steps
from tests.adaptation.test_page import ATTACK
from tests.verbal.students import obeys, proposal
from tests.verbal.test_charts import empty_run, line_run, sentences_run, text_run

HOSTILE = f"{ATTACK} {{% raw %}} 😀👩‍👧 {'unbroken' * 40} \ud800 \x07 end"
"""Half a character and a bell stand near its end."""


class Elements(HTMLParser):
    """Tags and attributes as a browser sees them, and text without them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.seen = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.seen.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.seen).split())


@pytest.fixture
def undrawn(monkeypatch):
    """Drawing takes most of the time of a page; most tests look at its text."""
    monkeypatch.setattr(page_module, "svg", lambda _: "<svg></svg>")


@pytest.fixture(scope="module")
def line():
    return line_run()


@pytest.fixture(scope="module")
def spoiled():
    return sentences_run()


@pytest.fixture(scope="module")
def population():
    settings = Settings(Steps(steps=6), selection=Selection(population=3), reading=Reading(tries=1))
    return line_run(wrong=0.35, settings=settings, checks=Checks(obedience_rows=0))


def page_of(run, tmp_path, **options):
    page = run_report(run, tmp_path / "run.html", **options).read_text(encoding="utf-8")
    seen = Elements(page)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not [value for name, value in seen.attributes if name in ("href", "src", "xlink:href") and not value.startswith("#")]
    assert not re.search(r"url\((?!#)|@import", page)
    assert "default-src 'none'" in page
    return page


def text_of(page):
    return Elements(page).text


def test_the_page_holds_its_numbers_and_runs_nothing(line, tmp_path):
    page = page_of(line, tmp_path, title="A & <b>B</b>")
    text = text_of(page)
    assert "A &amp; &lt;b&gt;B&lt;/b&gt;" in page
    assert str(line.verdict) in text
    assert line.summary() in text.replace("Beats always giving one answer ", "")
    assert line.parameters.sentences in text
    assert line.parameters.program.source in text
    assert f"{number(line.loss)}; before training it was {number(line.first[1])}" in text
    for score in (line.score, *line.baselines):
        assert f"{number(score.value.value)} {number(score.value.low)} to {number(score.value.high)}" in text
    total = line.spent["all"]
    assert f"in all {total.calls:,} {total.prompt_tokens:,} {total.completion_tokens:,}" in text
    assert f"proposals {line.spent['propose'].calls:,} {line.spent['propose'].prompt_tokens:,}" in text
    assert ">money<" not in page
    assert page.count("<svg") == 3
    assert '"seed": 0' in text
    assert '"batch_size": 10' in text
    assert line.obedience.summary() in text
    assert "None: every answer could be read." in text
    assert "<h2>To be known before trusting this</h2>" not in page


def test_the_parts_stand_in_their_order(line, undrawn, tmp_path):
    page = page_of(line, tmp_path, extra_charts=[("Texts <i>", loss_chart(line), "Where they <b>lie</b>.")])
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "The parameters that came out",
        "Against plain methods",
        "What it says, and how the loss went",
        "The path of the parameters",
        "How it got there",
        "Does the model do what a text says?",
        "Answers that could not be read",
        "What it cost",
        "What made these numbers",
    ]
    assert "<h3>Texts &lt;i&gt;</h3>" in page
    assert "Where they &lt;b&gt;lie&lt;/b&gt;." in page
    assert page.count("<svg") == 4


def test_every_step_is_there_marked_against_its_parent(line, undrawn, tmp_path):
    page = page_of(line, tmp_path)
    assert page.count('<li class="step">') == len(line.steps)
    assert page.split("more steps")[0].count('<li class="step">') == OPEN_STEPS
    assert f"{len(line.steps) - OPEN_STEPS} more steps" in page
    for step in line.steps:
        assert f"<b>Step {step.number}</b>" in page
        assert f"{number(step.loss_before)} → {number(step.loss_after)}" in text_of(page)
    first = line.steps[0]
    for change in changed_words(first.parent.text, first.proposed.text):
        tag = {"added": "ins", "removed": "del"}.get(change.kind)
        assert f"<{tag}>{escape(change.text)}</{tag}>" in page if tag else escape(change.text) in page
    assert page.count("accepted</span>") == sum(step.accepted for step in line.steps)
    assert page.count("refused</span>") == sum(step.outcome == "refused" for step in line.steps)


def test_chains_and_proposals_that_nobody_could_read(population, undrawn, tmp_path):
    page = page_of(population, tmp_path)
    assert page.count('<li class="step">') == len(population.steps)
    assert "chain 3" in page
    unread = [step for step in population.steps if step.proposed is None]
    assert unread
    assert page.count("unreadable</span>") == len(unread)
    assert page.count("An answer that could not be read:") == len(unread)
    assert "no Formula block" in page
    assert "&lt;b&gt;I am lost.&lt;/b&gt;" in page


def test_the_same_text_again_is_said_to_be_so(line, undrawn, tmp_path):
    step = replace(line.steps[0], proposed=line.steps[0].parent, reasoning="")
    page = page_of(replace(line, steps=(step,)), tmp_path)
    assert "It proposed the same text again." in page
    assert "The optimizer gave no reason." in page
    assert "more step" not in page


def test_very_many_steps_are_cut(line, undrawn, tmp_path):
    steps = tuple(replace(line.steps[number % 6], number=number + 1) for number in range(MOST_STEPS + 25))
    run = replace(line, steps=steps)
    shown = shown_steps(run)
    assert [step["number"] for step in (shown[0], shown[-1])] == [1, MOST_STEPS + 25]
    assert len(shown) == MOST_STEPS
    assert "25 in the middle are left out here" in page_of(run, tmp_path)


def test_people_s_texts_are_escaped_wherever_they_stand(tmp_path):
    label, column = f"<b>{ATTACK}</b>", f"<i>{ATTACK}</i>"
    rng = np.random.default_rng(0)
    sample = classification_sample(pd.DataFrame({column: rng.normal(size=30), "n": rng.normal(size=30)}), [label, "😀"] * 15)
    block = 'Rules: if n > 0.5 then "😀"\nelse "😀"'
    client = ScriptedClient(
        lambda request: obeys(request) if request.purpose == "predict" else proposal(HOSTILE, HOSTILE, block), name=ATTACK
    )
    run = fit(
        client, task_of(sample, is_regression=False, prior=HOSTILE), sample, Settings(Steps(steps=2)), checks=Checks(obedience_rows=0)
    )
    failures = (Failure("predict", 1, f"odd {ATTACK}", HOSTILE), Failure(f"<u>{ATTACK}</u>", 2, ATTACK, ""))
    examples = Parameters(HOSTILE, None, ((HOSTILE, label), ("x = 1", "😀")))
    steps = (*run.steps, replace(run.steps[0], proposed=None, failures=failures), replace(run.steps[0], proposed=examples))
    spent = run.spent | {ATTACK: Spent(1, 2, 3)}
    run = replace(run, steps=steps, failures=failures, notes=(HOSTILE,), spent=spent, parameters=run.steps[0].proposed)
    page = page_of(run, tmp_path, title=HOSTILE, extra_charts=[(HOSTILE, loss_chart(run), HOSTILE)])
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20
    assert "{{ 7*7 }}" in page
    assert "{% raw %}" in page
    assert "😀" in page
    assert "unbroken" * 40 in page
    assert "\ud800" not in page
    assert "\x07" not in page
    page = page_of(replace(run, parameters=examples, score=None), tmp_path)
    assert "Examples that the model is shown" in page
    assert "Nothing was scored: the budget ended first." in text_of(page).replace("nothing", "Nothing")


def test_long_texts_are_folded_and_what_did_not_change_is_left_out(line, undrawn, tmp_path):
    long = " ".join(f"Rule {number} holds." for number in range(400))[:6_000]
    before = Parameters(long, line.parameters.program)
    steps = (
        replace(line.steps[0], parent=before, proposed=Parameters(long.replace("Rule 200 ", "Clause 200 "), before.program)),
        replace(line.steps[1], proposed=before),
    )
    page = page_of(replace(line, steps=steps, parameters=before), tmp_path)
    assert "<del>Rule</del><ins>Clause</ins>" in page
    assert len(re.findall(r"\[… [\d,]+ letters as before …\]", page)) == 2
    assert page.count("<summary>the text, marked</summary>") == 1
    assert "the rest of 6,000 letters" in page
    kept = shown_steps(replace(line, steps=steps))[0]["pieces"]
    assert max(len(piece["text"]) for piece in kept) < LONG_SAME
    assert not re.search(r"<p[^>]*>\s*<details", page)  # a paragraph cannot hold a fold


def test_failures_are_counted_by_reason(spoiled, undrawn, tmp_path):
    groups = failure_groups(spoiled)
    every = [*spoiled.failures, *(failure for step in spoiled.steps for failure in step.failures)]
    assert groups["n"] == len(every) > 0
    assert sum(n for *_, n in groups["reasons"]) == len(every)
    text = text_of(page_of(spoiled, tmp_path))
    for purpose, reason, n in groups["reasons"]:
        assert f"{purpose} {reason} {n}" in text
    reasons = tuple(Failure("predict", 1, f"reason {number}", "x" * 700) for number in range(MOST_FAILURES + 10))
    page = page_of(replace(spoiled, failures=reasons), tmp_path)
    assert "other reasons" in page
    assert f"the first {MOST_FAILURES} of" in page
    assert "(100 more letters)" in page


def test_a_model_that_does_not_obey_is_marked_at_the_top(undrawn, tmp_path):
    sample = classification_sample([f"text {word} {n}" for n in range(20) for word in ("refund", "order")], ["a", "b"] * 20)
    client = ScriptedClient(lambda request: "Output: a" if request.purpose == "predict" else proposal("No.", "Nothing."))
    run = fit(client, task_of(sample, is_regression=False, kind="sentences"), sample, Settings(Steps(steps=1)))
    assert run.is_verbal is False
    page = page_of(run, tmp_path)
    top, rest = page.split('id="parameters"')
    assert '<span class="flag lacks">Not verbal</span>What a text says does not decide' in top
    assert '<span class="flag worthless">Worthless</span>Do not use this' in top
    assert '<span class="flag lacks">Not verbal</span>' in rest
    assert f"{run.obedience.with_text.value:.2f}" in text_of(rest)
    assert f"{run.obedience.above_nonsense.value:+.2f}" in text_of(rest)


def test_obedience_that_was_not_measured_is_said_to_be_so(line, population, undrawn, tmp_path):
    assert "This was not measured. The block above is computed, so predictions do not depend on it." in page_of(population, tmp_path)
    sentences = replace(line, parameters=Parameters("Add."), obedience=None)
    assert "so nothing shows that the text decides what this model answers" in page_of(sentences, tmp_path)


def test_money_and_notes(undrawn, tmp_path):
    run = text_run()
    text = text_of(page_of(run, tmp_path))
    total = run.spent["all"]
    assert f"{(total.prompt_tokens + 4 * total.completion_tokens) / 1e6:,.4f} EUR" in text
    assert "scores are of the rows that proposals were judged on, so the model's own is too good" in text
    assert "so the model's own score is too good; the plain methods did not see them" in text
    assert "the labels are billing, other" in text
    assert run.parameters.program == Rules.parse('if has("refund") then billing\nelse other', ("text",), ("billing", "other"))
    assert run.parameters.program.source.splitlines()[0] in text


def test_a_plain_method_that_is_surely_better_stands_out(line, undrawn, tmp_path):
    assert 'class="answer unsure">' not in page_of(line, tmp_path)
    worse = replace(line.score, value=line.baselines[0].value, by_row=line.baselines[0].by_row)
    page = page_of(replace(line, score=worse), tmp_path)
    assert '<p class="answer unsure">A plain method does better: ' in page


def test_the_plain_methods_are_sorted_with_what_is_gained_over_each(line):
    rows = method_rows(line)
    assert [row["sort"] for row in rows] == sorted(row["sort"] for row in rows)
    mean = next(row for row in rows if row["name"] == "mean")
    gain = line.gain_over(line.baselines[0])
    assert mean["gain"] == f"+{number(gain.value)}"
    assert mean["gain_interval"] == f"+{number(gain.low)} to +{number(gain.high)}"
    assert [row["gain"] for row in rows if row["own"]] == [None]


def test_a_run_without_a_step(undrawn, tmp_path):
    run = empty_run()
    page = page_of(run, tmp_path)
    text = text_of(page)
    assert "No step was made: the budget ended first." in text
    assert "The budget was 1 call, and ended the run." in text
    assert '<li class="step">' not in page
    assert "The budget ended before obedience was measured." in text
    assert page.count("<svg") == 2


def test_a_run_read_from_its_folder_has_the_same_page(line, undrawn, tmp_path):
    line.save(tmp_path / "kept")
    again = type(line).load(tmp_path / "kept")
    assert page_of(again, tmp_path) == page_of(line, tmp_path)
    assert again.report(tmp_path / "other.html").exists()


def test_published_settings_have_no_held_out_rows(undrawn, tmp_path):
    sample = regression_sample([[0.0], [1.0], [2.0], [3.0]], [1, 2, 3, 4])
    client = ScriptedClient(lambda request: "Output: 5" if request.purpose == "predict" else proposal("So.", "Say five."))
    task = task_of(sample, is_regression=True, kind="sentences")
    page = page_of(fit(client, task, sample, Settings.published(steps=2), checks=Checks(obedience_rows=0)), tmp_path)
    assert "There were no held-out rows." in page
    assert "held out to judge" not in page
    assert "all methods were scored on the very rows that they learned from" in page
