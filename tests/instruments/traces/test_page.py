"""The page of a trace: its numbers, valid charts, nothing that runs, and tokens one can see."""

import re

import pytest
import vl_convert

from lexframe.exceptions import InputError
from lexframe.instruments.traces import page as page_module
from lexframe.instruments.traces.charts import TITLES, depth_chart, parting_chart, path_chart, trace_chart, visible, visible_prompt
from lexframe.instruments.traces.page import trace_report
from lexframe.instruments.traces.path_comparison import compare_paths, path_map
from lexframe.instruments.traces.trace import trace
from tests.adaptation.test_page import ATTACK
from tests.tiny_models import tiny_space


@pytest.fixture(scope="module")
def space():
    return tiny_space("llama")


@pytest.fixture(scope="module")
def traces(space):
    return trace(space, [ATTACK[:40], "one two three four"], n_top=3)


def test_the_page_holds_the_table_and_runs_nothing(space, traces, tmp_path):
    path = trace_report(traces, tmp_path / "trace.html", path_map=path_map(space, traces), comparison=compare_paths(space, traces))
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"'](https?:)?//", page)
    assert page.count("<td tabindex") == sum(4 * len(each.tokens) for each in traces)
    assert f"{traces[1].statistics.top_probabilities[-1, -1, 0]:.3f}" in page
    assert page.count("<svg") == 3


def test_one_prompt_has_no_comparison(space, traces, tmp_path):
    page = trace_report(traces[:1], tmp_path / "trace.html", path_map=path_map(space, traces[:1])).read_text(encoding="utf-8")
    assert "Where the prompts part" not in page
    assert page.count("<svg") == 2


def test_of_many_tokens_the_last_are_shown_and_that_is_said(space, traces, tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "MAX_TOKENS", 2)
    page = trace_report(traces, tmp_path / "trace.html", path_map=path_map(space, traces)).read_text(encoding="utf-8")
    assert page.count("<td tabindex") == 2 * 4 * 2
    assert "the last 2 of" in page


@pytest.mark.parametrize("statistic", TITLES)
def test_tables_are_valid_charts(traces, statistic):
    assert vl_convert.vegalite_to_png(traces[0].chart(statistic).to_json()).startswith(b"\x89PNG")


def test_curves_and_maps_are_valid_charts(space, traces):
    for chart in (depth_chart(traces), parting_chart(compare_paths(space, traces)), path_chart(path_map(space, traces))):
        assert vl_convert.vegalite_to_png(chart.to_json()).startswith(b"\x89PNG")
    assert vl_convert.vegalite_to_png(path_chart(path_map(space, traces[:1], max_words=1)).to_json()).startswith(b"\x89PNG")


def test_an_unknown_statistic_is_refused(traces):
    with pytest.raises(InputError, match="expected one of entropy"):
        trace_chart(traces[0], "beauty")


def test_tokens_can_be_seen():
    assert visible(" cat") == "cat"
    assert visible("  ") == "␣␣"
    assert visible("\n") == "\\n"
    assert "\x07" not in visible("a\x07b")
    assert len(visible("x" * 100)) == 22
    assert visible_prompt("a\n b") == "a b"
    assert len(visible_prompt("word " * 50)) == 70
