"""Columns of files whose rows are no texts."""

import gzip

import pytest

from lexframe.data import read_columns
from lexframe.exceptions import DataError


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "x,y\n1,2\n,4\n"),
        ("a.tsv", "x\ty\n1\t2\n\t4\n"),
        ("a.jsonl", '{"x": 1, "y": 2}\n{"x": null, "y": 4}\n'),
        ("a.json", '[{"x": 1, "y": 2}, {"y": 4}]'),
    ],
)
def test_columns_of_every_kind_of_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    found = read_columns(path, ["y"], others=True)
    assert list(found.values) == ["y", "x"]
    assert [str(value) for value in found.values["y"]] == ["2", "4"]
    assert [str(value) for value in found.values["x"]] == ["1", "None"]
    assert len(found) == 2
    assert list(read_columns(path, ["y"]).values) == ["y"]


def test_packed_files_and_delimiters(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"x;y\n1,5;2\n"))
    assert read_columns(path, ["x", "y"]).values == {"x": ["1,5"], "y": ["2"]}


@pytest.mark.parametrize(
    ("content", "names", "message"),
    [
        ("x,y\n1,2\n", ["z"], "no field 'z'"),
        ("x,y\n", ["x"], "no row"),
        ('{"x": [1]}', ["x"], "the field 'x'"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, names, message):
    path = tmp_path / ("a.jsonl" if content.startswith("{") else "a.csv")
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_columns(path, names)
