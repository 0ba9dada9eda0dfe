"""The forms in which tables stand in JSON."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from lexframe.data import read_table, stream_rows
from lexframe.exceptions import DataError

ROWS = [{"text": "my lamp is broken", "label": "fault"}, {"text": "who pays", "label": "money"}]
COLUMNS = {"text": ["my lamp is broken", "who pays"], "label": ["fault", "money"]}
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
FORMS = {
    "array": json.dumps(ROWS),
    "array over lines": json.dumps(ROWS, indent=2),
    "columns": json.dumps(COLUMNS),
    "columns over lines": json.dumps(COLUMNS, indent=2),
    "columns by index": json.dumps({name: dict(enumerate(column)) for name, column in COLUMNS.items()}),
    "rows by index": json.dumps(dict(enumerate(ROWS))),
    "split": json.dumps({"columns": ["text", "label"], "index": [0, 1], "data": [list(row.values()) for row in ROWS]}),
    "under a key": json.dumps({"data": ROWS}),
    "under a key with others": json.dumps({"version": "1.1", "rows": ROWS, "tags": ["a"]}),
    "columns under a key": json.dumps({"train": COLUMNS}),
    "lines": LINES,
    "lines without the last end": LINES.rstrip(),
    "lines with blank ones": "\n\n" + LINES.replace("\n", "\n\n"),
    "objects over lines": "\n".join(json.dumps(row, indent=2) for row in ROWS),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".ndjson"])
def test_forms_of_a_table(tmp_path, form, suffix):
    path = tmp_path / f"items{suffix}"
    path.write_text(FORMS[form])
    if suffix != ".json" and form not in ("array", "array over lines") and not form.startswith("lines"):
        with pytest.raises(DataError, match=r"line 1: (not JSON|no field|the field .* holds)"):
            read_table(path)
        return
    table = read_table(path)
    assert (table.texts, table.labels, table.rows) == (("my lamp is broken", "who pays"), ("fault", "money"), (0, 1))


def test_one_object_is_one_row(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(ROWS[0]))
    assert read_table(tmp_path / "one.json").texts == ("my lamp is broken",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": [{"text": "a"}], "b": [{"text": "b"}]}', r"2 keys hold tables \('a', 'b'\)"),
        ('{"text": ["a", "b"], "label": ["x"]}', r"columns of different lengths \('text' 2, 'label' 1\)"),
        ('{"columns": ["text"], "data": [["a", "b"]]}', "not as long as 'columns'"),
        ('["a", "b"]', "item 1: str instead of an object"),
        ("12", "int instead of a table"),
        ('[{"text": "a", "label": "x"}, {"text": ', "line 1: not JSON"),
        ('[\n{"text": "a",\n"label": }]', "line 3: not JSON"),
        ("[" * 100_000, "not JSON"),
        ('[{"body": "a", "label": "x"}]', "no field 'text'; there are 'body', 'label'"),
        ('[{"text": ["a"], "label": "x"}]', "item 1: the field 'text' holds a list, not text"),
        ('[{"text": "a", "label": {"x": 1}}]', "item 1: the field 'label' holds an object, not text"),
        ('{"text": "a", "text": "b", "label": "x"}\n{"text": "c", "label": "x"}', "line 1: an object has the field 'text' twice"),
        ('[{"text": "a", "label": "x", "label": "y"}]', "an object has the field 'label' twice"),
        ("", "holds no text"),
        ("[]", "holds no text"),
    ],
)
def test_what_is_no_table(tmp_path, content, message):
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "odd.json")


def test_one_category_however_it_is_typed(tmp_path):
    path = tmp_path / "mixed.jsonl"
    values = ["3", 3, 3.0, "3 ", -0.0, 0, 0.5, 1e20, True, "True", 12345678901234567890]
    path.write_text("".join(json.dumps({"text": f"t{n}", "label": value}) + "\n" for n, value in enumerate(values)))
    assert read_table(path).labels == ("3", "3", "3", "3", "0", "0", "0.5", "1e+20", "True", "True", "12345678901234567890")


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_missing_values(tmp_path, suffix):
    rows = [
        {"text": "a", "label": "x"},
        {"text": "b", "label": None},
        {"text": "c", "label": float("nan")},
        {"text": "d"},
        {"text": None, "label": "x"},
        {"text": float("nan"), "label": "x"},
        {"label": "x"},
        {"text": "nan", "label": "nan"},
    ]
    path = tmp_path / f"gaps{suffix}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if suffix == ".jsonl" else json.dumps(rows))
    with pytest.raises(DataError, match=r"(lines|items) 2, 3, 4: the field 'label' is empty \(3 rows of 5\)") as caught:
        read_table(path)
    assert caught.value.parameters == ("unlabelled",)
    table = read_table(path, unlabelled="skip")
    assert (table.texts, table.labels, table.rows) == (("a", "nan"), ("x", "nan"), (0, 7))
    assert (table.n_blank, table.n_unlabelled) == (3, 3)
    word = "lines" if suffix == ".jsonl" else "items"
    assert f"has 3 rows without a text ({word} 5, 6, 7), left out" in table.notes
    assert f"has 3 rows without a label ({word} 2, 3, 4), left out" in table.notes
    kept = read_table(path, unlabelled="keep", keep_blank=True)
    assert kept.labels == ("x", "", "", "", "x", "x", "x", "nan")
    assert [row.columns["label"] for row in stream_rows(path, columns=["label"])] == ["x", None, None, None, "nan"]


def test_a_field_that_no_row_has(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b", "größe": 1, "say": "\\"nowhere\\": 1"}\n')
    assert [row.columns["größe"] for row in stream_rows(path, columns=["größe"])] == [None, 1]
    path.write_text('{"text": "a"}\n{"text": "b", "gr\\u00f6\\u00dfe": 1}\n')
    assert [row.columns["größe"] for row in stream_rows(path, columns=["größe"])] == [None, 1]
    with pytest.raises(DataError, match="line 1: no field 'color'"):
        list(stream_rows(path, columns=["color"]))


def test_a_field_within_an_object_is_found_by_its_path(tmp_path):
    rows = [{"text": "a", "meta": {"kind": {"name": "x"}}}, {"text": "b"}, {"text": "c", "meta.kind.name": "y"}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "t.json").write_text(json.dumps(rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[:2]), tmp_path / "t.parquet")
    for name, expected in (("t.jsonl", ["x", None, "y"]), ("t.json", ["x", None, "y"]), ("t.parquet", ["x", None])):
        found = [row.columns["meta.kind.name"] for row in stream_rows(tmp_path / name, columns=["meta.kind.name"])]
        assert found == expected, name
        for wrong in ("meta.kind.other", "meta.kind.name.deeper", "other.kind"):
            with pytest.raises(DataError, match=f"no field '{wrong}'"):
                list(stream_rows(tmp_path / name, columns=[wrong]))
