"""Conditions take exactly the rows that they mean, and what is no condition is refused with its place."""

import datetime as dt
import re
import struct

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.latents import LatentStore, VectorColumn
from lexframe.latents.filter_columns import Columns
from lexframe.latents.filter_rendering import canonical
from lexframe.latents.filters import DEEPEST, pointed_at
from lexframe.latents.rows import table_of
from lexframe.provenance import SpaceFingerprint
from tests.reference.three_valued import conditions
from tests.strategies import COSTLY

COLUMN = VectorColumn("points", 1, SpaceFingerprint(kind="ToySpace", model="toy", weights="abc"))


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


TEXTS = st.text(st.sampled_from(["a", "b", "%", "_", "\\", "'", '"', "`", "\n", "é", ";", "-"]), max_size=3)
WHOLE = st.sampled_from([0, 1, -1, 2, 2**31 - 1, -(2**31), 2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
REAL = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, 2.5, 1e300, -1e-300, 3.0000000000000004])
REAL32 = st.sampled_from([single(value) for value in (0.0, -0.0, 0.1, -1.5, 3.0)])
TYPES = {
    "label": ("text", TEXTS, pa.string()),
    "Label": ("text", TEXTS, pa.string()),
    "a 'name'": ("text", TEXTS, pa.string()),
    "n": ("int", WHOLE, pa.int64()),
    "small": ("int", st.sampled_from([0, 1, -5, 2**31 - 1, -(2**31)]), pa.int32()),
    "unsigned": ("int", st.sampled_from([0, 1, 2**63, 2**64 - 1]), pa.uint64()),
    "score": ("float", REAL | st.just(float("nan")), pa.float64()),
    "half": ("float", REAL32, pa.float32()),
    "cut": ("bool", st.booleans(), pa.bool_()),
}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values, _) in TYPES.items()}), min_size=1, max_size=7)
ASKED = {name: (kind, values) for name, (kind, values, _) in TYPES.items()}
ASKED |= dict.fromkeys(["small", "unsigned"], ("int", WHOLE))  # what they cannot hold may be asked for
ASKED["score"] = ("float", REAL)


def made(path, rows):
    store = LatentStore.create(path, [COLUMN], metadata={name: kind for name, (_, _, kind) in TYPES.items()})
    columns = {name: [row[name] for row in rows] for name in TYPES}
    ids = [str(number) for number in range(len(rows))]
    table = table_of(ids, {"points": np.arange(len(rows), dtype=np.float32)[:, np.newaxis]}, columns, store.schema)
    store.append(table)
    return store


@COSTLY
@given(rows=ROWS, condition=conditions(ASKED))
def test_a_condition_takes_the_rows_that_it_means(rows, condition, tmp_path_factory):
    text, meaning = condition
    store = made(tmp_path_factory.mktemp("filters") / "s", rows)
    kept = [number for number, row in enumerate(rows) if meaning(row) is not True]
    taken = [number for number, row in enumerate(rows) if meaning(row) is True]
    assert store.query(text)["id"].tolist() == [str(number) for number in taken], text
    assert store.row_numbers(text).tolist() == taken
    assert store.points(where=text)[:, 0].tolist() == taken
    assert store.count(text) == len(taken)
    assert store.delete(text) == len(taken)
    assert store.query()["id"].tolist() == [str(number) for number in kept], text


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rows = [
        {
            "label": "refund", "Label": None, "a 'name'": "x", "n": 3, "small": 1, "unsigned": 2, "score": float("nan"), "half": 0.1,
            "cut": True,
        },
        dict.fromkeys(TYPES) | {"label": "late", "score": 7.0, "n": 4},
    ]  # fmt: skip
    return made(tmp_path_factory.mktemp("one") / "s", rows)


PIECES = (
    *("label", "n", "score", "cut", "=", "!=", "<", "(", ")", "'", '"', "`", "AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "BETWEEN"),
    *("1", ".5", "'a'", ",", ";", "-", "--", "/*", ".", "true", "\\", "NaN", "0x1", "1e9"),
)


@COSTLY
@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join))
def test_any_text_is_a_condition_or_refused_with_its_place(store, text):
    said = None
    try:
        store.query(text)
    except InputError as error:
        said = str(error)
    if said is not None:
        assert said.startswith("The condition is not understood: "), text
        assert re.search(r"\n    .*\n *\^$", said), text
        assert "Lance" not in said


@pytest.mark.parametrize(
    ("text", "n_taken"),
    [
        ("\"label\" != 'refund'", 1),
        ("`label` = 'refund'", 1),
        ('"Label" IS NULL', 2),
        ("label='refund'AND n=3", 1),
        ("cut", 1),
        ("NOT cut", 0),
        ("true", 2),
        ("not false", 2),
        ("score > 5", 1),  # NaN is no large number
        ("NOT score > 5", 0),
        ("score IS NULL", 1),
        ("n > 2.5", 2),
        ("n < 3.5", 1),
        ("n >= 3.5", 1),
        ("n <= 3.5", 1),
        ("3.5 > n", 1),
        ("3.5 >= n", 1),
        ("2.5 < n", 2),
        ("n = 3.0", 1),
        ("n < 99999999999999999999", 2),
        ("small > -99999999999999999999", 1),
        ("n in (3, 99999999999999999999)", 1),
        ("n = n", 2),
        ("label = Label", 0),
        ("label LIKE '%'", 2),
        ("(((n = 3)))", 1),
        ("half = 0.1", 1),
        ("n > -1e3", 2),
    ],
)
def test_what_conditions_take(store, text, n_taken):
    assert store.count(text) == n_taken


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "it is empty", 0),
        ("  ", "it is empty", 2),
        ("label = 'refund", "what ' opens here is never closed", 8),
        ('"label = 5', 'what " opens here is never closed', 0),
        ("label = 'a'; n = 3", "one condition at a time", 11),
        ("label = 'a' n = 3", "n is left over", 12),
        ("label = 'a' -- all", "- is left over", 12),
        ("n = 3)", r"\) is left over", 5),
        ("Lable = 'a'", "there is no column Lable; did you mean", 0),
        ("SCORE = 1", "did you mean score?", 0),
        ("wxyz = 1", "there is no column wxyz; there are id, label", 0),
        ('label = "refund"', "no column refund.* A text stands in single quotes: 'refund'", 8),
        ("label = refund", "A text stands in single quotes: 'refund'", 8),
        ("'label' = 'refund'", "two values are compared, and no column is named; a column stands without single quotes", 0),
        ("1 = 1", "no column is named", 0),
        ("label = 5", "label holds text, and 5 is a number; quote it: '5'", 8),
        ("n = '3'", "n holds whole numbers, and '3' is a text; write it without quotes", 4),
        ("n = true", "true is a truth value", 4),
        ("cut = 1", "cut holds true or false, and 1 is a number", 6),
        ("cut < true", "= and != only", 6),
        ("n = 2.5", "none of which is 2.5", 4),
        ("n = label", "they cannot be compared", 4),
        ("label", "a comparison such as = is missing", 5),
        ("label = NULL", "write IS NULL", 8),
        ("label NOT = 'a'", "after NOT come IN, LIKE or BETWEEN", 10),
        ("label IS 'a'", "after IS comes NULL or NOT NULL", 9),
        ("label == 'a'", "with one =", 6),
        ("label LIKE 5", "wants a pattern", 11),
        ("n LIKE '3'", "LIKE is for columns of text", 7),
        (r"label LIKE 'a\b'", "a backslash in a pattern", 11),
        ("n IN ()", r"\) stands where a value is expected", 6),
        ("n IN (1", "the end stands where \\) is expected", 7),
        ("n BETWEEN 1", "BETWEEN 2 AND 5", 11),
        ("lower(label) = 'a'", "functions such as lower", 0),
        ("points = 1", "only IS NULL and IS NOT NULL", 9),
        ("label = 'é' ⚠", "'⚠' is not understood", 12),
        ("1a = 3", "a number is followed by a letter", 0),
        ("label = 'a\0'", "NUL", 8),
        ("score = 1e999", "too large", 8),
        ("n = " + "9" * 500, "too long", 4),
        ("NOT " * (DEEPEST + 1) + "cut", "within one another", 4 * DEEPEST),
        ("(" * 5000 + "cut" + ")" * 5000, "within one another", DEEPEST),
    ],
)
def test_what_is_refused_is_pointed_at(store, text, message, place):
    for ask in (store.query, store.count, store.row_numbers, store.delete):
        with pytest.raises(InputError, match=message) as caught:
            ask(text)
        assert str(caught.value).endswith(pointed_at(text, place))
    assert len(store) == 2


def test_many_parts_are_answered_at_once(store):
    assert store.count(" OR ".join(f"n = {number}" for number in range(1000))) == 2
    assert store.count(" AND ".join(["NOT (n = 3 OR n = 5)"] * 50)) == 1
    assert store.count("NOT (" * 10 + "(" * 15 + "n = 3" + ")" * 25) == 1
    assert store.count(f"n IN ({', '.join(map(str, range(5000)))})") == 2
    with pytest.raises(InputError, match="more than 1000 comparisons"):
        store.count(" OR ".join(["n = 3"] * 1001))


def test_a_condition_is_text(store, without_type_checks):
    with pytest.raises(InputError, match="int was given"):
        store.count(5)


def test_the_caret_stands_below_the_place():
    assert pointed_at("a = 'b", 4) == "    a = 'b\n        ^"
    assert pointed_at("日本 = 'b", 5) == "    日本 = 'b\n           ^"
    assert pointed_at("a\n= 'b", 4) == "    a = 'b\n        ^"
    long = "x" * 300 + "!" + "y" * 300
    shown, caret = pointed_at(long, 300).split("\n")
    assert shown[len(caret) - 1] == "!"
    assert len(shown) < 120


SCHEMA = pa.schema(
    [
        ("day", pa.date32()), ("at", pa.timestamp("us")), ("zoned", pa.timestamp("us", "UTC")), ("ms", pa.timestamp("ms")),
        ("ns", pa.timestamp("ns")), ("meta_year", pa.int64()), ("kind", pa.struct([("Year", pa.int64()), ("in", pa.string())])),
        ("list", pa.list_(pa.string())), ("a`b", pa.int64()), ("select", pa.int64()), ("und", pa.int64()),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day > '2024-01-31'", "`day` > date '2024-01-31'"),
        ("at = '2024-01-31T08:30'", "`at` = timestamp '2024-01-31 08:30:00.000000'"),
        ("zoned = '2024-01-31 08:30:00+02:00'", "`zoned` = timestamp '2024-01-31 06:30:00.000000'"),
        ("meta.year = 5", "`meta_year` = 5"),
        ("kind.Year = 5", "`kind`.`Year` = 5"),
        ('"kind"."in" = \'x\'', "`kind`.`in` = 'x'"),
        ("list IS NOT NULL", "`list` IS NOT NULL"),
        ("select = 1", "`select` = 1"),
        *((f"NOT select {sign} 1", f"`select` {turned} 1") for sign, turned in (("<", ">="), ("<=", ">"), (">", "<="), (">=", "<"))),
        ("NOT (und = 1 AND select IN (1, 2))", "(`und` != 1) OR (`select` NOT IN (1, 2))"),
    ],
)
def test_forms_for_lance(text, expected):
    assert canonical(text, SCHEMA) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("day = '31.1.2024'", "holds dates; write them such as '2024-01-31'"),
        ("day = 5", "'2024-01-31'"),
        ("at = '2024-01-31 08:30:00+02:00'", "no zone"),
        ("zoned = '2024-01-31 08:30:00'", "zone of time too"),
        ("ms = '2024-01-31 08:30:00.000001'", "finer"),
        ("ns = '0001-01-01 00:00:00'", "1678 to 2261"),
        ("kind.year = 5", "no column kind.year; did you mean Year"),
        ("kind = 5", "only IS NULL"),
        ("kind.Year.x = 5", "no column kind.Year.x"),
        ('"a`b" = 5', "back quote"),
        ("list = 'a'", "only IS NULL"),
    ],
)
def test_columns_of_other_types(text, message):
    with pytest.raises(InputError, match=message):
        canonical(text, SCHEMA)


def test_times_are_compared_by_lance_as_they_are_meant(tmp_path):
    moment = dt.datetime(2024, 1, 31, 8, 30)
    rows = {
        "day": [moment.date()], "at": [moment], "zoned": [moment.replace(tzinfo=dt.UTC)], "ms": [moment], "ns": [moment],
        "kind": [{"Year": 5, "in": "x"}],
    }  # fmt: skip
    schema = pa.schema([item for item in SCHEMA if item.name in rows])
    dataset = lance.write_dataset(pa.table(rows, schema=schema), tmp_path / "times")
    for text, n_taken in (
        ("day = '2024-01-31'", 1), ("day < '2024-01-31'", 0), ("at >= '2024-01-31 08:30:00'", 1), ("at > '2024-01-31 08:30:00'", 0),
        ("zoned = '2024-01-31 10:30:00+02:00'", 1), ("zoned < '2024-01-31 08:30:00+00:00'", 0), ("ms = '2024-01-31 08:30:00'", 1),
        ("ns BETWEEN '2024-01-31 08:30:00' AND '2024-01-31 08:30:01'", 1), ("day IN ('2024-01-31')", 1), ("kind.Year = 5", 1),
        ("kind.`in` != 'x'", 0),
    ):  # fmt: skip
        assert dataset.count_rows(filter=canonical(text, schema)) == n_taken, text


def test_nan_is_missing_in_stores_of_earlier_versions_too(tmp_path):
    table = pa.table({"score": [float("nan"), 1.0, 7.0, None]})
    dataset = lance.write_dataset(table, tmp_path / "nan")
    for text, n_taken in (("score > 5", 1), ("NOT score > 5", 1), ("score IS NULL", 2), ("score != 1", 1), ("score NOT IN (1)", 1)):
        assert dataset.count_rows(filter=canonical(text, table.schema)) == n_taken, text


def test_names_near_one_another():
    assert Columns(SCHEMA).named(["kind", "Year"]).says == "whole numbers"
