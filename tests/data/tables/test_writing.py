"""Columns that are written come back as they were."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.data import read_table
from lexframe.data.tables.writing import json_lines, require_form, write_columns
from lexframe.exceptions import InputError

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(texts, st.sampled_from(["x", "a, b", 'q"'])), min_size=1, max_size=6))
def test_there_and_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("written")
    columns = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    for name in ("a.jsonl", "a.csv", "a.tsv", "a.parquet"):
        write_columns(folder / name, columns)
        table = read_table(folder / name, keep_blank=True, quotes="double")
        assert (list(table.texts), list(table.labels)) == (columns["text"], columns["label"])


def test_json_is_strict_and_names_say_the_form(tmp_path):
    assert [json.loads(line) for line in json_lines({"a": [1, 2], "b": ["x", None]}).splitlines()] == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": None},
    ]
    assert json.loads(json_lines({"a": [math.nan]})) == {"a": None}
    for name in ("a", "a.xlsx", "a.json"):
        with pytest.raises(InputError, match=r"Name it \.jsonl, \.csv, \.tsv or \.parquet") as caught:
            require_form(Path(name), "out")
        assert caught.value.parameters == ("out",)
