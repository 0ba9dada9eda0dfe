"""Edge files of every kind, and everything that can be wrong with one."""

import gzip

import pytest

from lexframe.data import Edge, read_edges
from lexframe.exceptions import DataError


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("e.tsv", "cat\tdog\nox\tcow\n", [Edge("cat", "dog"), Edge("ox", "cow")]),
        ("e.txt", "cat\tdog\tcoord\n\nox\tcow\n", [Edge("cat", "dog", "coord"), Edge("ox", "cow")]),
        ("e.csv", "word1,word2,weight\ncat,dog,0.5\nox,cow,2\n", [Edge("cat", "dog", weight=0.5), Edge("ox", "cow", weight=2.0)]),
        ("e.csv", 'cat,"a, b",is\nox,cow,2\n', [Edge("cat", "a, b", "is"), Edge("ox", "cow", "2")]),
        ("e.tsv", "cat\tdog\t3\nox\tcow\n", [Edge("cat", "dog", weight=3.0), Edge("ox", "cow")]),
        ("e.tsv", '"\tinch\n5"\tfoot "x"\n', [Edge('"', "inch"), Edge('5"', 'foot "x"')]),
        ("e.tsv", '"a ""b"""\tcat\n""""\tinch\n', [Edge('a "b"', "cat"), Edge('"', "inch")]),
        ("e.txt", "cat feline kitty\nox cow ox\nhermit\n", [Edge("cat", "feline"), Edge("cat", "kitty"), Edge("ox", "cow")]),
        ("e.txt", "cat dog 0.5\nox cow 2\n", [Edge("cat", "dog", weight=0.5), Edge("ox", "cow", weight=2.0)]),
        (
            "e.jsonl",
            '{"word1": "cat", "word2": "dog", "relation": "coord"}\n\n{"word1": "ox", "word2": "cow", "weight": 2}\n',
            [Edge("cat", "dog", "coord"), Edge("ox", "cow", weight=2.0)],
        ),
    ],
)
def test_every_format(name, content, expected, tmp_path):
    (tmp_path / name).write_text(content)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    assert read_edges(tmp_path / name) == tuple(expected)
    assert read_edges(str(tmp_path / f"{name}.gz")) == tuple(expected)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.tsv", "", "holds no edge"),
        ("e.tsv", "cat\n", "line 1: 1 column; expected a word, a word"),
        ("e.tsv", "cat\tdog\nox\tcow\tis\t2\n", "line 2: 4 columns"),
        ("e.tsv", "cat\tdog\nox\t\n", "line 2: 2 columns"),
        ("e.csv", "cat,dog,-1\n", "line 1: the weight is '-1'"),
        ("e.csv", "cat,dog,inf\n", "line 1: the weight is 'inf'"),
        ("e.csv", 'cat,"dog\n', "line 1: .*Check the quotes"),
        ("e.jsonl", "{\n", "line 1: not JSON"),
        ("e.jsonl", "3\n", "line 1: expected an object"),
        ("e.jsonl", '{"word1": "cat"}\n', "line 1: expected an object"),
        ("e.jsonl", '{"word1": "cat", "word2": "dog", "weight": "heavy"}\n', "line 1: the weight is 'heavy'"),
        ("e.jsonl", '{"word1": "cat", "word2": "dog", "weight": null}\n', "line 1: the weight is None"),
        ("e.txt", ": capital\na b c d\n", "line 1: ': capital' heads questions"),
        ("e.txt", "cat dog 0.5\nox cow -2\n", "line 2: the weight is '-2'"),
        ("e.xls", "cat\tdog\n", "unknown kind of file"),
    ],
)
def test_what_is_wrong(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_edges(tmp_path / name)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere.tsv"):
        with pytest.raises(DataError, match="no such file"):
            read_edges(path)
