"""A column holds one type, decided over all of its values; what mixes is refused before anything is written."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.latents import LatentStore, encode_to_store, text_blocks
from lexframe.latents.column_types import ColumnTypes, as_text, column_types, holds
from lexframe.latents.rows import metadata_array

ONE_KIND = {
    "bool": st.booleans(),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(),
}


@given(st.data())
def test_what_a_column_holds_comes_back_as_it_was(data):
    kind = data.draw(st.sampled_from(sorted(ONE_KIND)))
    values = data.draw(st.lists(st.none() | st.just(float("nan")) | ONE_KIND[kind], max_size=8))
    found = column_types({"c": values})["c"]
    present = [value for value in values if value is not None and value == value]
    assert (found is None) == (not present)
    if present:
        assert str(found) == kind
        stored = metadata_array(values, pa.field("c", found), len(values)).to_pylist()
        assert stored == [value if value == value else None for value in values]
        assert [type(value) for value in stored if value is not None] == [type(value) for value in present]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5], "double"),
        ([2.5, 1], "double"),
        ([1, None, 2.5, 2**53], "double"),
        ([np.int64(1), np.float32(0.5)], "double"),
        ([np.bool_(True), None], "bool"),
        ([pd.NA, 3], "int64"),
        ([pd.Timestamp("2024-01-31")], "timestamp[us]"),
        ([["a"], None], "list<item: string>"),
    ],
)
def test_types(values, expected):
    assert str(column_types({"c": values})["c"]) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([3, "high"], r"row 2: c is 'high', a text, and 3, a whole number, in row 1"),
        (["3", 3], r"row 2: c is 3, a whole number, and '3', a text, in row 1"),
        ([True, 4], r"row 2: c is 4, a whole number, and true, true or false, in row 1"),
        ([0, True], "row 2: c is true"),
        ([0.5, None, "high"], "row 3: c is 'high'"),
        ([1, 2.5, "high"], "row 3: c is 'high'"),
        ([2**63], "row 1: c is 9223372036854775808, too large"),
        ([2**53 + 1, 0.5], "row 1: c is 9007199254740993, which loses digits beside .* 0.5 in row 2"),
        ([0.5, 2**53 + 1], "row 2: c is 9007199254740993, which loses digits"),
        ([["a"], "b"], "'c' mixes types"),
    ],
)
def test_what_mixes_is_refused_with_its_row(values, message):
    with pytest.raises(InputError, match=message):
        column_types({"c": values})


def test_what_is_no_plain_value_is_refused_where_rows_are_read():
    types = ColumnTypes(["c"])
    with pytest.raises(InputError, match=r"a.jsonl, row 3: c is \['x'\], of type list.*as text"):
        types.add("c", ["x"], "a.jsonl, row 3")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (None, None),
        (float("nan"), None),
        (True, "true"),
        (4, "4"),
        (2.5, "2.5"),
        (["é", 1], '["é", 1]'),
        ({"a": None}, '{"a": null}'),
    ],
)
def test_values_as_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("stored", "wanted", "fits"),
    [
        (pa.int64(), pa.int64(), True),
        (pa.float64(), pa.int64(), True),
        (pa.int64(), pa.float64(), False),
        (pa.bool_(), pa.int64(), False),
        (pa.string(), pa.int64(), False),
        (pa.int64(), pa.bool_(), False),
        (pa.bool_(), None, True),
    ],
)
def test_what_a_standing_column_takes(stored, wanted, fits):
    assert holds(stored, wanted) == fits


@pytest.mark.parametrize(
    ("kind", "value"),
    [(pa.bool_(), 4), (pa.bool_(), 1.0), (pa.int64(), True), (pa.int64(), 2.5), (pa.int32(), 2**31), (pa.string(), 5), (pa.float64(), True),
     (pa.float64(), 2**53 + 1), (pa.float64(), "1")],
)  # fmt: skip
def test_nothing_is_made_to_fit(kind, value):
    with pytest.raises(InputError, match="does not fit"):
        metadata_array([None, value], pa.field("c", kind), 2)


def test_a_later_run_holds_the_types_of_the_first(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts[:4], metadata={"n": [None, 1, 2, 3]}, block_rows=1), tmp_path / "s")
    assert LatentStore(tmp_path / "s").metadata["n"] == pa.int64()
    with pytest.raises(InputError, match="holds int64 in the column 'n', and the values of this run are double"):
        encode_to_store(space, text_blocks(texts[:6], metadata={"n": [None, 1, 2, 3, 4, 0.5]}, block_rows=1), tmp_path / "s")
    assert len(LatentStore(tmp_path / "s")) == 4
    encode_to_store(space, text_blocks(texts[:6], metadata={"n": [None, 1, 2, 3, 4, 5]}, block_rows=1), tmp_path / "s")
    assert LatentStore(tmp_path / "s").query()["n"].tolist()[1:] == [1, 2, 3, 4, 5]


def test_nothing_is_committed_of_a_column_that_mixes(space, texts, tmp_path):
    with pytest.raises(InputError, match="row 3: n is true"):
        encode_to_store(space, text_blocks(texts[:4], metadata={"n": [1, 2, True, 3]}, block_rows=1), tmp_path / "s")
    assert not (tmp_path / "s").exists()
