"""The pages of task spaces and transfers: their numbers, nothing that runs, and words for what is missing."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lexframe.intervals import Estimate
from lexframe.task_space import DroppedTask, figures, transfer_page
from lexframe.task_space import page as page_module
from lexframe.task_space.page import (
    FEW_TASKS,
    OPEN_TASKS,
    hypothesis_rows,
    overlap_rows,
    separation_rows,
    task_space_report,
    transfer_report,
)
from lexframe.task_space.space_findings import findings
from lexframe.task_space.transfer_page import agreement, arm_rows, source_rows
from tests.adaptation.test_page import ATTACK
from tests.task_space.made_spaces import made_space, made_transfer
from tests.verbal.test_page import Elements

HOSTILE = f"{ATTACK} {{% raw %}} 😀 {'unbroken' * 40} \ud800 \x07 end"


@pytest.fixture
def undrawn(monkeypatch):
    """Drawing takes most of the time of a page; most tests look at its text."""
    monkeypatch.setattr(figures, "svg", lambda _: '<svg width="400"></svg>')
    for module in (page_module, transfer_page):
        for name in [name for name in vars(module) if name.endswith("_chart")]:
            monkeypatch.setattr(module, name, lambda *given, **options: None)


@pytest.fixture(scope="module")
def space():
    return made_space()


@pytest.fixture(scope="module")
def found(space):
    return findings(space, n_permutations=99)


def page_of(result, tmp_path, write=task_space_report, **options):
    if write is task_space_report:
        options = {"found": findings(result, n_permutations=9)} | options
    page = write(result, tmp_path / "page.html", **options).read_text(encoding="utf-8")
    seen = Elements(page)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not [value for name, value in seen.attributes if name in ("href", "src", "xlink:href") and not value.startswith("#")]
    assert not re.search(r"url\((?!#)|@import", page)
    assert "default-src 'none'" in page
    return page


def text_of(page):
    return Elements(page).text.replace("_ ", "_")  # names may break behind their underscores


def test_the_page_says_first_what_it_is_worth_and_holds_its_numbers(space, found, undrawn, tmp_path):
    page = page_of(space, tmp_path, found=found, title="A & <b>B</b>")
    text = text_of(page)
    assert "A &amp; &lt;b&gt;B&lt;/b&gt;" in page
    body = text[text.index("lexframe · task space") :]
    assert body.index(str(space.verdict)) < body.index(found.summary()) < body.index("Which tasks are alike")
    for name, test in found.tests.items():
        assert f"{name} {found.reading(name)} {test.r:.2f}" in text
    assert f"as it is {found.separation.auc.value:.2f} 1.00 to 1.00" in text
    for task in space.tasks:
        figures_of = (task.reliability, task.accuracy, task.margin)
        shown = " ".join(f"{each.value:.2f} {each.low:.2f} to {each.high:.2f}" for each in figures_of)
        assert f"{task.name} {task.group} {shown} {task.n_pairs} 25%" in text
    table = text[text.index("of unequal length") :]
    by_reliability = sorted(space.tasks, key=lambda task: -task.reliability.value)
    assert np.all(np.diff([table.index(f"{task.name} {task.group} ") for task in by_reliability]) > 0)
    assert "lost : the gradients of its halves agree at 0.030 [0.010, 0.050], which is below 0.1." in text
    assert "two halves of one task 30.0%, pairs within a group 8.0%, pairs between groups 2.0%, chance 1.0% on average" in text
    assert found.clustering.summary() in text
    assert found.task_map.summary() in text
    assert "One pair was left out." in text
    assert '"n_dims": 2000' in text
    assert '"seed": 3' in text
    assert page.count("<svg") == 8


def test_the_nearest_of_a_task_say_what_they_share(space, found, undrawn, tmp_path):
    text = text_of(page_of(space, tmp_path, found=found))
    numbers = {row: place for place, row in enumerate(found.clustering.order, start=1)}
    for row, task in enumerate(space.tasks):
        (name, value, low, high), *_ = space.neighbors(task.name)
        other = space.names.index(name)
        assert space.groups[other] == task.group
        shown = f"{value:.2f} {low:.2f} to {high:.2f} {space.controls['words'][row, other]:.2f} same group"
        assert f"{numbers[row]} {task.name} {task.group} to himself, itself from was {numbers[other]} {name} {shown}" in text


def test_the_parts_stand_in_their_order_and_many_tasks_are_folded(undrawn, tmp_path):
    page = page_of(made_space(groups=[f"g{row % 6}" for row in range(OPEN_TASKS + 2)]), tmp_path)
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Which tasks are alike",
        "The tasks in a plane",
        "What makes tasks alike",
        "The nearest of every task",
        "How surely every task is measured",
        "Where in the model, and in which parameters",
        "What made these numbers",
    ]
    assert "<summary>2 more</summary>" in page
    assert "<details open>" not in page
    assert page.count("<summary>The numbers</summary>") == 1
    assert "<details open><summary>The numbers</summary>" in page_of(made_space(groups=list("aab")), tmp_path)
    assert FEW_TASKS < OPEN_TASKS


@pytest.mark.parametrize("groups", [list("ab"), list("aab"), [None] * 5])
def test_what_is_missing_is_said_and_nothing_is_drawn_of_it(groups, undrawn, tmp_path):
    space = replace(made_space(groups=groups), dropped=(), notes=())
    page = page_of(space, tmp_path)
    text = text_of(page)
    assert "Not tested: same group; " in text
    assert "Left out" not in text
    assert ("The tasks in a plane" in text) == (len(groups) > 2)
    assert "Pairs within a group" not in text
    assert page.count("<svg") == (8 if len(groups) > 2 else 6)
    bare = replace(
        space, tasks=tuple(replace(task, toward=(), away=()) for task in space.tasks), controls={}, retest=Estimate(np.nan, np.nan, np.nan)
    )
    assert "vocabulary items" not in text_of(page_of(bare, tmp_path))


def test_nothing_hostile_runs_or_breaks_the_page(undrawn, tmp_path):
    names = [HOSTILE, f"{HOSTILE} 2", "a\n<b>b</b>", "", "e", "f"]
    space = made_space(names, [HOSTILE, HOSTILE, "<i>", "<i>", "", None])
    tasks = tuple(replace(task, toward=((HOSTILE, 0.1), ("\x1b[2J", 0.0)), away=(("\n", -0.1),)) for task in space.tasks)
    space = replace(space, tasks=tasks, dropped=(DroppedTask(HOSTILE, HOSTILE),), notes=(HOSTILE,), settings={HOSTILE: HOSTILE})
    page = page_of(space, tmp_path, title=HOSTILE)
    for text in ("{% raw %}", "{{ 7*7 }}", "<img src=x"):
        assert text in Elements(page).text
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", page, re.DOTALL)[0]
    assert not re.search("[\x00-\x08\x1b]", page)


def test_rows_hold_what_was_found(space, found):
    assert [row["is_found"] for row in hypothesis_rows(found)] == [found.is_found(name) for name in found.tests]
    assert [row["name"] for row in separation_rows(found)] == ["as it is", "less what shared words explain"]
    assert separation_rows(replace(found, separation=None, beyond_words=None)) == []
    assert overlap_rows(replace(space, tasks=tuple(replace(task, group=None) for task in space.tasks)))[1][0] == "two tasks"


def test_the_page_of_a_transfer_holds_its_numbers(undrawn, tmp_path):
    transfer = made_transfer()
    page = page_of(transfer, tmp_path, transfer_report, title="<b>T</b>")
    text = text_of(page)
    assert "&lt;b&gt;T&lt;/b&gt;" in page
    body = text[text.index("lexframe · transfer") :]
    assert body.index(str(transfer.verdict)) < body.index(agreement(transfer)) < body.index("What it gains")
    assert "only the parameters where the gradients of the two sides differ most move +1.00 +0.50 -0.10 +0.0015" in text
    assert "as many parameters, drawn at random +0.10 +0.05 -0.01 +0.0035" in text
    assert "1 one g 50 0.20 0.20 0.30 +1.00 +0.0020 0.21 +0.10 +0.0040" in text
    assert "2 three g 50 0.60 0.60 0.70 +1.00 +0.0010 0.61 +0.10 +0.0030" in text
    assert "1 one, 2 three, 3 two, 4 four." in text
    assert "tiny was left out" in text
    assert page.count("<svg") == 2 + 2 * 2


def test_predictions_are_held_against_what_came():
    transfer = made_transfer()
    assert agreement(transfer) == (
        "What gradients foretold and what came correlate, over all pairs of tasks, at 1.00 for differential (0.50 nats came for each "
        "foretold), 1.00 for random (0.50 nats came for each foretold)."
    )
    crossed = replace(transfer, predicted=transfer.predicted[:, :, ::-1].copy())
    assert "1.00 for" not in agreement(crossed)
    assert agreement(made_transfer(("one",), ("g",), ("one",))) == ""


def test_hostile_transfers_and_single_tasks(undrawn, tmp_path):
    page_of(made_transfer((HOSTILE, "b"), (HOSTILE, None), (HOSTILE,)), tmp_path, transfer_report, title=HOSTILE)
    alone = made_transfer(("one",), (None,), ("one",), ("plain",))
    assert [(row["near"], row["far"]) for row in arm_rows(alone)] == [("none", "none")]
    assert source_rows(alone)[0]["group"] is None
    assert "all parameters, by the better side alone" in text_of(page_of(alone, tmp_path, transfer_report))
