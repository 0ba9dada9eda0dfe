"""Decisions over rounds: merged by hand, kept in a file, and everything that can be wrong with one."""

import json

import numpy as np
import pytest

from lexframe.audit.review.decisions import Decisions, append_decisions, load_decisions
from lexframe.exceptions import DataError, InputError


def decisions(*records):
    rows, given, verdicts, categories = zip(*records, strict=True) if records else ((), (), (), ())
    return Decisions.from_lists(rows, verdicts, categories, given)


def records(found):
    return [tuple(record.values()) for record in found.to_dict()["decisions"]]


FIRST = decisions((3, "a", "move", "b"), (5, "a", "keep", ""), (7, "c", "skip", ""), (8, "", "add", "x"), (9, "a", "nowhere", ""))
SECOND = decisions((5, "a", "move", "c, d"), (7, "c", "remove", ""), (8, "", "add", "y"), (3, "b", "keep", ""), (9, "a", "skip", ""))
MERGED = [
    (3, "a", "move", "b"),
    (8, "", "add", "x"),
    (9, "a", "nowhere", ""),  # a later skip says nothing
    (5, "a", "move", "c, d"),
    (7, "c", "remove", ""),
    (8, "", "add", "y"),
    (3, "b", "keep", ""),  # of the label that it had then
]


def test_a_later_decision_takes_the_place_of_an_earlier_one():
    assert records(Decisions.merge(FIRST, SECOND)) == MERGED
    assert records(FIRST.merge(FIRST)) == records(FIRST)
    assert records(FIRST.merge(decisions())) == records(FIRST)
    assert len(decisions().merge(decisions())) == 0


def test_arrays():
    assert FIRST.rows.dtype == np.int64
    assert FIRST.rows[FIRST.verdicts == "move"].tolist() == [3]
    both = Decisions.from_lists([1], ["keep"], [""], ["a"], problems=["p"], notes=["n"]).merge(FIRST)
    assert (both.problems, both.notes) == (("p",), ("n",))


def test_rounds_in_a_file(tmp_path):
    path = tmp_path / "decisions.jsonl"
    append_decisions(path, FIRST, data="d1")
    first = path.read_bytes()
    append_decisions(path, SECOND, data="d1")
    assert path.read_bytes().startswith(first)  # nothing is lost of earlier rounds
    assert records(load_decisions(path, data="d1")) == MERGED
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # an editor that leaves out the last line end
    append_decisions(path, decisions((1, "é\n,", "move", 'q"')))
    assert records(load_decisions(path))[-1] == (1, "é\n,", "move", 'q"')
    with pytest.raises(DataError, match=r"line 11: a decision on other data \('', these are 'd1'\)"):
        load_decisions(path, data="d1")
    append_decisions(tmp_path / "none.jsonl", decisions())
    assert len(load_decisions(tmp_path / "none.jsonl")) == 0


def test_a_round_that_cannot_be_kept_leaves_the_earlier_ones(tmp_path, monkeypatch):
    path = tmp_path / "decisions.jsonl"
    append_decisions(path, FIRST)
    before = path.read_bytes()

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(InputError, match="No space left"):
        append_decisions(path, SECOND)
    assert path.read_bytes() == before
    with pytest.raises(DataError, match="cannot be read"):
        append_decisions(tmp_path, FIRST)


GOOD = {"row": 1, "given": "a", "verdict": "keep", "category": "", "data": ""}


CHANGES = [{"row": "1"}, {"row": True}, {"row": -1}, {"verdict": "x"}, {"given": 3}, {"category": "b"}]


@pytest.mark.parametrize("line", ["{", "3", "{}", *(json.dumps(GOOD | change) for change in CHANGES)])
def test_lines_that_are_no_decision(tmp_path, line):
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + line + "\n")
    with pytest.raises(DataError, match="line 3: no decision"):
        load_decisions(path)
    with pytest.raises(DataError, match="no such file"):
        load_decisions(tmp_path)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (([1], ["keep"], [""], []), "differ in number"),
        (([-1], ["keep"], [""], ["a"]), "on row -1"),
        (([1], ["kept"], [""], ["a"]), "'kept'; expected one of keep, move"),
        (([1], ["move"], [""], ["a"]), "'move' on row 1 names 'no category'"),
        (([1], ["keep"], ["b"], ["a"]), "'keep' on row 1 names 'b'"),
    ],
)
def test_what_is_wrong_is_said(lists, message):
    with pytest.raises(InputError, match=message):
        Decisions.from_lists(*lists)
