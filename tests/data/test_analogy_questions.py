"""Question files in every format, and everything that can be wrong with one."""

import gzip
import json

import pytest

from lexframe.data import AnalogyQuestion, read_questions
from lexframe.exceptions import DataError

GOOGLE = ": capital-of\nAthens Greece Oslo Norway\n\nOslo Norway Athens Greece\r\n: opposite of\nhot cold big small\n"
EXPECTED = (
    AnalogyQuestion("Athens", "Greece", "Oslo", ("Norway",), "capital-of"),
    AnalogyQuestion("Oslo", "Norway", "Athens", ("Greece",), "capital-of"),
    AnalogyQuestion("hot", "cold", "big", ("small",), "opposite of"),
)


def test_google(tmp_path):
    for name, content in (("q.txt", GOOGLE.encode()), ("q.txt.gz", gzip.compress(GOOGLE.encode()))):
        (tmp_path / name).write_bytes(content)
        found = read_questions(tmp_path / name)
        assert tuple(found) == found.questions == EXPECTED
        assert len(found) == 3
        assert found.notes == ()
        assert found.source.endswith(name)


def test_json_lines(tmp_path):
    rows = [dict(zip(("a", "b", "c", "d", "category"), (q.a, q.a_, q.b, q.answers[0], q.relation), strict=True)) for q in EXPECTED]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    assert read_questions(str(tmp_path / "q.jsonl")).questions == EXPECTED


def test_bats(tmp_path):
    (tmp_path / "1_Inflection").mkdir()
    (tmp_path / "2_Other").mkdir()
    (tmp_path / "1_Inflection" / "I01 [noun].txt").write_text("cat\tcats\ndog\tdogs/doggos\nox\toxen\n")
    (tmp_path / "2_Other" / "L01.txt").write_text("big\tsmall / little\nhot\tcold\n")
    found = read_questions(tmp_path)
    assert len(found) == 3 * 2 + 2
    assert found.questions[0] == AnalogyQuestion("cat", "cats", "dog", ("dogs", "doggos"), "I01 [noun]")
    assert found.questions[2] == AnalogyQuestion("dog", "dogs", "cat", ("cats",), "I01 [noun]")
    assert found.questions[-1] == AnalogyQuestion("hot", "cold", "big", ("small", "little"), "L01")
    assert read_questions(tmp_path / "2_Other" / "L01.txt").questions == found.questions[-2:]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.txt", ": r\na b c\n", "line 2: 3 words; a question has four"),
        ("q.txt", ": r\na b c d\na b c d e\n", "line 3: 5 words"),
        ("q.txt", "a b c d\n", "line 1: a question before the first ': relation'"),
        ("q.txt", ":  \na b c d\n", "line 1: a colon without the name"),
        ("q.txt", ": r\n", "holds no question; expected"),
        ("q.txt", "", "holds no question"),
        ("q.jsonl", "{\n", "line 1: not JSON"),
        ("q.jsonl", '["a"]\n', "line 1: expected an object whose category, a, b, c, d are words"),
        ("q.jsonl", '{"category": "r", "a": "x", "b": "y", "c": "z"}\n', "line 1: expected an object"),
        ("q.jsonl", '{"category": "r", "a": "x", "b": "y", "c": "z", "d": 3}\n', "line 1: expected an object"),
        ("q.txt", "cat\tcats\ndog\t\n", "line 2: expected a word, a tab"),
        ("q.txt", "cat\tcats\ndog\tdogs\tx\n", "line 2: expected a word, a tab"),
        ("q.txt", "cat\tcats\n", "holds no question"),
    ],
)
def test_what_is_wrong(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_questions(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read_questions(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no \.txt file"):
        read_questions(tmp_path)
    (tmp_path / "q.txt").write_bytes(b": r\na b c d\na b \xff d\n")
    with pytest.raises(DataError, match="line 3: not UTF-8"):
        read_questions(tmp_path / "q.txt")
    (tmp_path / "q.txt.gz").write_bytes(gzip.compress(GOOGLE.encode())[:20])
    with pytest.raises(DataError, match="cannot be read"):
        read_questions(tmp_path / "q.txt.gz")


def test_odd_lines_are_counted(tmp_path):
    (tmp_path / "q.txt").write_text("x y z w\n: r\na b c\na b c d\n")
    found = read_questions(tmp_path / "q.txt", skip_odd=True)
    assert found.questions == (AnalogyQuestion("a", "b", "c", ("d",), "r"),)
    assert len(found.notes) == 1
    assert "2 lines were skipped; the first:" in found.notes[0]
    (tmp_path / "q.txt").write_text("x y z w\n")
    with pytest.raises(DataError, match="The first of 1 odd lines"):
        read_questions(tmp_path / "q.txt", skip_odd=True)


@pytest.mark.shared
def test_the_google_set(shared):
    found = read_questions(shared / "data" / "analogies_google" / "questions.jsonl.gz")
    assert len(found) == 19_544
    assert len({question.relation for question in found}) == 14
