"""The steering report: one page, nothing in it can run, and the choice is drawn in."""

import re

import pytest

from lexframe.instruments import choose_steering, find_direction, steer
from lexframe.instruments.directions.page import steering_report
from tests.steerable_toy import steerable_toy

ATTACK = "<script>alert(1)</script> good"


@pytest.fixture(scope="module")
def parts():
    toy = steerable_toy()
    direction = find_direction(
        toy, ["good cat", "good dog", "good sun", "good"], ["bad cat", "bad dog", "bad sun", "bad"], poles=("good", "bad")
    )
    choice = choose_steering(toy, direction, ["one old", "two new"], neutral_texts=["one red cat"], max_new_tokens=2, n_controls=2)
    return steer(toy, direction, [ATTACK, "one"], layer=1, strength=0.4, max_new_tokens=2), direction, choice


def test_the_page_is_whole_and_nothing_runs(parts, tmp_path):
    texts, direction, choice = parts
    page = steering_report(texts, direction, tmp_path / "r.html", choice=choice).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=[\"']http", page)
    assert page.count("<svg") == 1
    assert "random directions" in page
    assert "Pair cosine" in page
    assert len(re.findall(r'<tr class="chosen">', page)) == (choice.chosen is not None)


def test_without_a_choice_there_is_no_grid(parts, tmp_path):
    texts, direction, _ = parts
    page = steering_report(texts, direction, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<svg" not in page
    assert "Layer and strength" not in page
