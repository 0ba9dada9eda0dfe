"""The report of a comparison: its numbers, its curves, and nothing that runs."""

import itertools
import re

import pytest
import vl_convert

from lexframe.adaptation import Draws, compare
from lexframe.adaptation.cells import ALL
from lexframe.adaptation.charts import cost_chart, learning_curves
from lexframe.adaptation.methods import make_methods
from lexframe.adaptation.page import accuracy_table, comparison_report
from lexframe.data import Table
from lexframe.drawing.theme import spread_out
from tests.adaptation.test_page import ATTACK
from tests.planted import planted_space, planted_table


@pytest.fixture(scope="module")
def result():
    train = planted_table(12, 0)
    hostile = Table((ATTACK, *train.texts[1:]), train.labels, "<b>train</b>", 0, train.rows)
    methods = make_methods("zero-shot,lda,posterior")
    return compare({"<i>toy</i>": planted_space()}, hostile, planted_table(8, 1), methods=methods, draws=Draws((0, 4, ALL), (0, 1)))


def test_the_page_holds_its_numbers_and_runs_nothing(result, tmp_path):
    page = comparison_report(result, tmp_path / "comparison.html").read_text()
    shown = f"{result.accuracy('<i>toy</i>', 'posterior', ALL).value:.3f}"
    assert shown in page
    for line in result.summary().splitlines():
        assert line.split(":")[1].strip().split(",")[0] in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "<b>train</b>" not in page
    assert "<i>toy</i>" not in page + result._repr_html_()
    assert not re.search(r"(src|href)=[\"'](https?:)?//", page)


def test_the_table_marks_what_is_recommended_and_leaves_out_what_was_not_measured(result):
    table = {row["method"]: row["cells"] for row in accuracy_table(result, "<i>toy</i>")}
    assert table["lda"][0] is None
    for column, shots in enumerate(result.shots):
        marked = [method for method, cells in table.items() if cells[column] and cells[column]["recommended"]]
        recommended = result.recommendation("<i>toy</i>", shots).recommended
        assert marked == ([recommended] if recommended else [])


def test_its_charts_are_valid_specifications(result):
    for chart in (learning_curves(result), cost_chart(result), result.chart()):
        assert vl_convert.vegalite_to_png(chart.to_json()).startswith(b"\x89PNG")


def test_labels_are_moved_apart_and_stay_in_order_and_inside():
    places = spread_out([0.9, 0.5, 0.9, 0.89], least=0.1, low=0.0, high=1.0)
    in_order = sorted(places)
    assert min(after - before for before, after in itertools.pairwise(in_order)) > 0.1 - 1e-9
    assert in_order.index(places[1]) == 0
    assert in_order.index(places[3]) == 1
    assert max(places) <= 1.0
    assert spread_out([0.2, 0.8], least=0.1, low=0.0, high=1.0) == [0.2, 0.8]
    assert spread_out([], least=0.1, low=0.0, high=1.0) == []


def test_advice_names_the_whole_and_not_its_parts():
    result = compare(
        {"toy": planted_space()},
        planted_table(12, 0),
        planted_table(8, 1),
        methods=make_methods("posterior,posterior-without-prior,posterior-labels-only"),
        draws=Draws((4,), (0,)),
    )
    assert result.variants == ("posterior-labels-only", "posterior-without-prior")
    assert "posterior," in result.summary()
