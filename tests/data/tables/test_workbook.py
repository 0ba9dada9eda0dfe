"""Workbooks, as openpyxl writes them."""

import datetime

import openpyxl
import pytest

from lexframe.data import read_table, stream_rows
from lexframe.exceptions import DataError


def book(path, *rows, title="Sheet"):
    made = openpyxl.Workbook()
    made.active.title = title
    for row in rows:
        made.active.append(row)
    made.save(path)
    return path


def test_values_and_missing_ones(tmp_path):
    day = datetime.datetime(2026, 3, 4)
    path = book(tmp_path / "a.xlsx", ["text", "label", "n", "day"], ["a", 5, 1.5, day], ["b", 5.0, 2, None], [], [None, 5], [7, True])
    table = read_table(path)
    assert (table.texts, table.labels, table.rows) == (("a", "b", "7"), ("5", "5", "True"), (0, 1, 3))
    assert table.n_blank == 1
    assert table.notes == ("has 1 row without a text (row 5), left out",)
    assert [row.columns for row in stream_rows(path, columns=["n", "day"])][:2] == [{"n": 1.5, "day": "2026-03-04"}, {"n": 2, "day": None}]
    book(path, ["text", "label"], ["a", "x"], ["b", None])
    with pytest.raises(DataError, match="row 3: the field 'label' is empty"):
        read_table(path)
    assert read_table(path, unlabelled="skip").n_unlabelled == 1


def test_the_first_sheet_that_holds_anything(tmp_path):
    made = openpyxl.Workbook()
    made.create_sheet("Items").append([])
    sheet = made["Items"]
    sheet.cell(3, 2, "text")
    sheet.cell(3, 3, " label ")
    sheet.cell(4, 2, "a")
    sheet.cell(4, 3, "x")
    made.create_sheet("More").append(["text", "label"])
    made.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx")
    assert (table.texts, table.labels, table.notes) == (("a",), ("x",), ("has 3 sheets; 'Items' was read",))


def test_formulas_and_errors(tmp_path):
    path = book(tmp_path / "a.xlsx", ["text", "label", "sum"], ["a", "x", "=1+1"], ['="b"', "x", 3])
    with pytest.raises(DataError, match="row 3: the field 'text' holds a formula whose value is not in the file"):
        read_table(path)
    path = book(tmp_path / "b.xlsx", ["text", "label", "sum"], ["a", "x", "=1+1"])
    assert read_table(path).texts == ("a",)  # nobody asks for the sum
    with pytest.raises(DataError, match="row 2: the field 'label' holds the error #N/A"):
        read_table(book(tmp_path / "c.xlsx", ["text", "label"], ["a", "#N/A"]))


def test_headers(tmp_path):
    with pytest.raises(DataError, match="2 columns are named 'text'"):
        read_table(book(tmp_path / "a.xlsx", ["text", "text", "label"], ["a", "b", "x"]))
    with pytest.raises(DataError, match="no field 'text'; there are 'Message', 'label'"):
        read_table(book(tmp_path / "b.xlsx", ["Message", None, "label"], ["a", None, "x"]))
    with pytest.raises(DataError, match="holds no text"):
        read_table(book(tmp_path / "c.xlsx"))
    with pytest.raises(DataError, match="holds no text"):
        read_table(book(tmp_path / "d.xlsx", ["text", "label"]))


@pytest.mark.parametrize("content", [b"", b"text,label\na,x\n", b"PK\x03\x04 and no more"])
def test_what_is_no_workbook(tmp_path, content):
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xlsx: not a readable workbook"):
        read_table(tmp_path / "a.xlsx")


def test_workbooks_under_another_name_and_other_programs(tmp_path):
    book(tmp_path / "a.xlsx", ["text", "label"], ["a", "x"]).rename(tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv").texts == ("a",)
    for suffix, what in (
        (".xls", "an old Excel workbook"),
        (".ods", "a LibreOffice workbook"),
        (".xlsb", "a binary Excel"),
        (".arrow", "an Arrow"),
    ):
        (tmp_path / f"b{suffix}").write_bytes(b"\xd0\xcf\x11\xe0")
        with pytest.raises(DataError, match=f"is {what}.*Save it as .xlsx, .csv or .parquet"):
            read_table(tmp_path / f"b{suffix}")
    (tmp_path / "locked.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    with pytest.raises(DataError, match="old or locked Excel workbook"):
        read_table(tmp_path / "locked.xlsx")
