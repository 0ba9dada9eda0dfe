"""The page of a comparison holds its numbers, and nothing hostile runs in it."""

import re

import pytest

from lexframe.task_space import compare_task_spaces, comparison_page, figures
from lexframe.task_space.comparison_page import MOST_DRAWN, change_rows, pair_rows, sharing_chart, space_rows
from lexframe.task_space.figures import figure
from tests.adaptation.test_page import ATTACK
from tests.task_space.made_spaces import made_space
from tests.verbal.test_page import Elements

HOSTILE = f"{ATTACK} \ud800 \x07 end"


@pytest.fixture(scope="module")
def compared():
    spaces = {
        name: made_space(noise=noise, seed=seed, n_resamples=25)
        for seed, (name, noise) in enumerate({"a": 0.2, "b": 0.05, HOSTILE: 0.02}.items())
    }
    return compare_task_spaces(spaces, n_resamples=20)


def test_the_page_holds_its_numbers_and_nothing_hostile_runs(compared, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "svg", lambda _: '<svg width="400"></svg>')
    page = compared.report(tmp_path / "page.html", title=HOSTILE).read_text(encoding="utf-8")
    seen = Elements(page)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert page.count("<svg") == 2
    for row in [*space_rows(compared), *pair_rows(compared), *change_rows(compared)]:
        for value in row.values():
            assert isinstance(value, bool) or value in page or "<" in value
    assert "&lt;script&gt;" in page


def test_steps_come_first_and_the_largest_is_named(compared):
    rows = pair_rows(compared)
    assert [row["is_step"] for row in rows] == [True, True, False]
    assert [(row["first"], row["second"]) for row in rows if not row["is_step"]] == [("a", comparison_page._clipped(HOSTILE))]
    assert [row["rsa"] for row in rows] == [str(pair.rsa) for pair in (*compared.movement, compared.pairs[1])]
    changes = change_rows(compared)
    assert [row["change"] for row in changes] == [str(change) for change in compared.stages.changes]
    assert [row["is_largest"] for row in changes].index(True) == compared.stages.largest


def test_the_chart_holds_what_is_shared_within_groups_and_between_them(compared):
    rows = sharing_chart(compared).to_dict()
    values = {(row["space"], row["what"]): row["value"] for row in rows["layer"][1]["data"]["values"]}
    for space in compared.spaces[:2]:
        assert values[space.name, "tasks of one group"] == space.separation.within
        assert values[space.name, "tasks of two groups"] == space.separation.between
        assert values[space.name, "all tasks"] == space.sharing.value


def test_without_groups_and_steps_nothing_is_said_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "svg", lambda _: '<svg width="400"></svg>')
    spaces = {name: made_space(groups=[None] * 6, names=list("abcdef"), seed=seed) for seed, name in enumerate(("early", "late"))}
    found = compare_task_spaces(spaces, n_resamples=20)
    page = found.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Steps or stages" not in page
    assert space_rows(found)[0]["auc"] == ""
    assert {row["what"] for row in sharing_chart(found).to_dict()["layer"][1]["data"]["values"]} == {"all tasks"}


def test_hostile_and_long_names_are_drawn_as_text():
    spaces = {name: made_space(seed=seed, n_resamples=2) for seed, name in enumerate((HOSTILE, f"{'long' * 20}1", f"{'long' * 20}2"))}
    found = compare_task_spaces(spaces, n_resamples=2)
    for chart in (found.chart(), sharing_chart(found)):
        drawing = figure(chart).svg
        assert "<script" not in drawing
        assert len(set(re.findall(r">(\d long[^<]*)<", drawing))) == 2


def test_more_spaces_than_fit_are_a_table_alone(tmp_path):
    space = made_space(n_resamples=2)
    found = compare_task_spaces({str(number): space for number in range(MOST_DRAWN + 1)}, n_resamples=2)
    page = found.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<svg" not in page
    assert len(re.findall(r"<tr>", page)) > MOST_DRAWN * (MOST_DRAWN + 1) / 2
