"""Parquet: types, missing values, names of classes in the metadata."""

import datetime
import decimal
import json

import datasets
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from lexframe.data import read_table, stream_rows
from lexframe.data.tables.parquet_rows import class_names
from lexframe.exceptions import DataError


def written(tmp_path, labels, *, texts=None, metadata=None, kind=None):
    path = tmp_path / "items.parquet"
    texts = texts or [f"text {number}" for number in range(len(labels))]
    table = pyarrow.table({"text": texts, "label": pyarrow.array(labels, kind)})
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


@pytest.mark.parametrize(
    ("labels", "kind", "expected"),
    [
        ([0.0, 1.0, 2.0], "float64", ("0", "1", "2")),
        ([0, 1, 2], "int8", ("0", "1", "2")),
        ([0.5, 1.0], "float32", ("0.5", "1")),
        ([True, False], "bool", ("True", "False")),
        ([decimal.Decimal("1.00"), decimal.Decimal("1.50")], None, ("1", "1.50")),
        ([datetime.date(2026, 1, 2), datetime.date(2026, 1, 3)], None, ("2026-01-02", "2026-01-03")),
        ([datetime.datetime(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4)], None, ("2026-01-02", "2026-01-02T03:04:00")),
        ([b"x", b"y"], None, ("x", "y")),
    ],
)
def test_types_of_labels(tmp_path, labels, kind, expected):
    assert read_table(written(tmp_path, labels, kind=kind)).labels == expected


def test_missing_values_and_categories_of_pandas(tmp_path):
    path = tmp_path / "items.parquet"
    pd.DataFrame({"text": ["a", None, "c"], "label": [1.0, 1.0, float("nan")]}).to_parquet(path)
    table = read_table(path, unlabelled="skip")
    assert (table.texts, table.labels, table.n_blank, table.n_unlabelled) == (("a",), ("1",), 1, 1)
    with pytest.raises(DataError, match="row 3: the field 'label' is empty"):
        read_table(path)
    pd.DataFrame({"text": ["a", "b"], "label": pd.Categorical(["y", "x"])}).to_parquet(path)
    assert read_table(path).labels == ("y", "x")


def test_names_of_classes_as_datasets_writes_them(tmp_path):
    path = tmp_path / "items.parquet"
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["fault", "money"])})
    datasets.Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": [1, 0, -1, None]}, features=features).to_parquet(str(path))
    table = read_table(path, unlabelled="skip")
    assert (table.texts, table.labels, table.n_unlabelled) == (("a", "b"), ("money", "fault"), 2)
    assert table.notes[0] == "names the 2 classes of 'label' in its metadata; the names were taken"
    assert [row.columns["label"] for row in stream_rows(path, columns=["label"])] == ["money", "fault", None, None]
    assert read_table(path, label=None).notes == ()


def test_odd_classes(tmp_path):
    features = {"info": {"features": {"label": {"names": ["fault"], "_type": "ClassLabel"}}}}
    with pytest.raises(DataError, match="row 2: the field 'label' is 1, but the metadata name 1 class"):
        read_table(written(tmp_path, [0, 1], metadata={"huggingface": json.dumps(features)}))
    for odd in (
        b"",
        b"[]",
        b"{}",
        b'{"info": {"features": []}}',
        b'{"info": {"features": {"label": {"names": 3, "_type": "ClassLabel"}}}}',
    ):
        assert class_names({b"huggingface": odd}) == {}
    assert class_names(None) == {}


def test_lists_and_columns_that_stand_twice(tmp_path):
    with pytest.raises(DataError, match="row 1: the field 'label' holds a list, not text"):
        read_table(written(tmp_path, [["x"], ["y"]]))
    path = tmp_path / "twice.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([["a"], ["b"], ["x"]], names=["text", "text", "label"]), path)
    with pytest.raises(DataError, match="2 columns are named 'text'"):
        read_table(path)


def test_a_name_with_a_point(tmp_path):
    path = tmp_path / "items.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"my.text": ["a"], "my": [{"text": "b"}], "label": ["x"]}), path)
    assert read_table(path, text="my.text").texts == ("a",)
