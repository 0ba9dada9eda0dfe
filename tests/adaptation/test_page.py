"""The report and its charts: complete, offline, and nothing in people's text can run."""

import re

import numpy as np
import pytest

from lexframe.adaptation import adapt
from lexframe.adaptation.charts import confusion_chart, map_chart, method_chart
from lexframe.adaptation.page import adaptation_report, notable_texts
from lexframe.data import Table
from lexframe.drawing.plane import map_coordinates
from lexframe.drawing.theme import shortened
from tests.planted import planted_space, planted_table

ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} javascript:alert(3) please"


@pytest.fixture(scope="module")
def result():
    test = planted_table(10, 1)
    hostile = Table((ATTACK, *test.texts[1:]), test.labels, "<b>test</b>", 0, test.rows)
    return adapt(planted_space(), planted_table(20, 0), hostile)[0]


def test_the_report_holds_its_numbers_and_runs_nothing(result, tmp_path):
    page = adaptation_report(result, tmp_path / "report.html").read_text()
    assert result.methods["lda"].accuracy.value == pytest.approx(
        float(re.search(r"<td>lda.*?number\">([\d.]+)", page, re.S).group(1)), abs=6e-4
    )
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "onerror=alert" not in re.sub(r"&[a-z#0-9]+;", "", re.sub(r"<title>.*?</title>|<li>.*?</li>", "", page, flags=re.S))
    assert "<img" not in page
    assert "<b>test</b>" not in page
    assert not re.search(r"(src|href)=[\"'](https?:)?//", page)
    for heading in (
        "The numbers",
        "The map",
        "What is taken for what",
        "The hardest texts",
        "The most surprising answers",
        "What made these numbers",
    ):
        assert heading in page


def test_points_of_the_map_show_their_text(result, tmp_path):
    page = adaptation_report(result, tmp_path / "report.html").read_text()
    assert page.count("<title>") > 2 * len(result.test_texts)
    assert "semantic basis of money" in page


def test_notable_texts_are_ordered(result):
    hardest, surprising = notable_texts(result)
    assert [item["p_true"] for item in hardest] == sorted(item["p_true"] for item in hardest)
    assert all(item["true"] != item["predicted"] for item in surprising)


def test_every_chart_is_a_valid_specification(result):
    import vl_convert

    for chart in (method_chart(result), map_chart(result), confusion_chart(result), result.chart()):
        assert vl_convert.vegalite_to_png(chart.to_json()).startswith(b"\x89PNG")


def test_map_coordinates_keep_what_decides(rng):
    bases = rng.normal(size=(4, 20))
    moved = bases[rng.integers(0, 4, 50)] + 0.1 * rng.normal(size=(50, 20)) + 5 * rng.normal(size=20)
    before, after, drawn = map_coordinates(rng.normal(size=(50, 20)), moved, bases)
    assert before.shape == after.shape == (50, 2)
    assert drawn.shape == (4, 2)
    np.testing.assert_allclose(after.mean(0), 0, atol=1e-9)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_maps_of_few_labels_have_two_axes(rng, n_labels):
    before, _, drawn = map_coordinates(rng.normal(size=(9, 5)), rng.normal(size=(9, 5)), rng.normal(size=(n_labels, 5)))
    assert before.shape == (9, 2)
    assert drawn.shape == (n_labels, 2)
    assert np.isfinite(drawn).all()


def test_shortened_is_one_line():
    assert shortened("a\n b\tc", 10) == "a b c"
    assert shortened("abcdef", 4) == "abc…"
