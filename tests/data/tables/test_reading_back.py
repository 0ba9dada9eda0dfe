"""What independent writers wrote is read back with every value unchanged, or refused; any bytes give a table or one line."""

import contextlib
import csv
import io
import json

import openpyxl
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lexframe.data import Table, read_table, stream_rows
from lexframe.data.tables.kinds import SUFFIXES
from lexframe.exceptions import DataError

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
PIECES = [
    "a",
    "parcel",
    " ",
    ",",
    ";",
    "\t",
    "|",
    '"',
    '""',
    "\n",
    "\r\n",
    "\\",
    '\\"',
    "é",
    "–",
    "pos",
    "neg",
    "1,5",
    "'",
    "=",
    "sep=;",
    "text",
]
texts = st.text(letters, max_size=12) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
labels = st.sampled_from(["pos", "neg", "a b", "é", "0", "0.0", "nan", "None", "NA", "true", '"q"', "x,y"])
tables = st.lists(st.tuples(texts, labels), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@contextlib.contextmanager
def refused_by_name(path):
    try:
        yield
    except DataError as refused:
        message = str(refused)
        assert str(path) in message


def is_the_same(found, rows):
    """Whether a table is what was written, apart from blank rows."""
    kept = [(number, text, label.strip()) for number, (text, label) in enumerate(rows) if text.strip()]
    return list(zip(found.rows, found.texts, found.labels, strict=True)) == kept and found.n_blank == len(rows) - len(kept)


@given(
    tables,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]),
    st.sampled_from([".csv", ".tsv"]),
    st.booleans(),
)
def test_dialects_of_the_csv_module(folder, rows, delimiter, quoting, line_end, encoding, suffix, label_first):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerows(row[::-1] if label_first else row for row in [("text", "label"), *rows])
    written = buffer.getvalue().encode(encoding, "ignore" if encoding == "cp1252" else "strict")
    if encoding == "cp1252":
        rows = [tuple(cell.encode("cp1252", "ignore").decode("cp1252") for cell in row) for row in rows]
        with contextlib.suppress(UnicodeDecodeError):
            assume(written.decode("utf-8").isascii())  # bytes that are both mean what they are as UTF-8
    path = folder / f"dialect{suffix}"
    path.write_bytes(written)
    try:
        found = read_table(path, unlabelled="keep")
    except DataError:
        return
    assert is_the_same(found, rows)


plain = st.text(st.sampled_from("ab é–,;\t|"), min_size=1, max_size=10).filter(str.strip)
plain_tables = st.lists(st.tuples(plain, labels), min_size=1, max_size=8)


@given(
    plain_tables,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([".csv", ".tsv"]),
)
def test_texts_of_one_line_are_never_refused(folder, rows, delimiter, line_end, encoding, suffix):
    frame = pd.DataFrame(rows, columns=["text", "label"])
    path = folder / f"pandas{suffix}"
    frame.to_csv(path, index=False, sep=delimiter, lineterminator=line_end, encoding=encoding)
    assert is_the_same(read_table(path), rows)
    as_pandas = pd.read_csv(path, sep=delimiter, encoding=encoding, keep_default_na=False, dtype=str)
    assert list(read_table(path).texts) == as_pandas["text"].tolist()


prose = st.lists(st.sampled_from(["Dear Sir,", "see, I paid", "late again.", "Bye,"]), min_size=1, max_size=5).map("\n".join)


@given(st.lists(st.tuples(prose, st.sampled_from(["x", "y"])), min_size=1))
def test_texts_of_several_lines_with_commas(folder, rows):
    path = folder / "lines.csv"
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    assert is_the_same(read_table(path), rows)


@given(
    st.binary(max_size=200) | st.text(max_size=80).map(str.encode),
    st.sampled_from([*SUFFIXES, ".csv.gz", ".jsonl.xz", ".tsv.zip", ".json.bz2"]),
)
def test_any_bytes_give_a_table_or_one_line(folder, content, suffix):
    path = folder / f"bytes{suffix}"
    path.write_bytes(content)
    for label in ("label", None):
        with refused_by_name(path):
            assert isinstance(read_table(path, label=label), Table)


fragments = st.lists(
    st.sampled_from(
        ["text", "label", "text,label", "text\tlabel", "\n", "\r", "\r\n", ",", ";", "\t", '"', '\\"', "a", "b c", "é",
         '{"text": "a"', "}", "[", "]",
         '"label": 1', ", ", "null", "NaN", '{"text": ["a"], "label": ["b"]}', "\0", "\ufeff", "sep=;"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(fragments, st.sampled_from([".csv", ".tsv", ".json", ".jsonl", ".txt"]), st.sampled_from(["utf-8", "utf-16", "utf-32", "cp1252"]))
def test_what_nearly_is_a_table(folder, content, suffix, encoding):
    path = folder / f"nearly{suffix}"
    path.write_bytes(content.encode(encoding, "ignore"))
    for options in ({}, {"label": None, "keep_blank": True}, {"quotes": False}, {"quotes": "backslash"}, {"delimiter": ";"}):
        with refused_by_name(path):
            assert not any("\0" in text for text in read_table(path, **options).texts)


every_kind = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10).filter(str.strip), labels | st.integers(-5, 5)
    ),
    min_size=1,
    max_size=6,
)


@given(every_kind)
def test_every_kind_of_file_gives_the_same_table(folder, rows):
    rows = [
        (text, label) for text, label in rows if not text.startswith(("=", "#")) and "_x" not in text
    ]  # formulas, and escapes of workbooks
    assume(rows)
    frame = pd.DataFrame([(text, str(label)) for text, label in rows], columns=["text", "label"])
    frame.to_csv(folder / "same.csv", index=False)
    frame.to_csv(folder / "same.tsv", index=False, sep="\t")
    frame.to_csv(folder / "semicolons.csv", index=False, sep=";", encoding="utf-16")
    frame.to_parquet(folder / "same.parquet")
    frame.to_json(folder / "same.jsonl", orient="records", lines=True)
    for orient in ("records", "columns", "split", "index"):
        frame.to_json(folder / f"{orient}.json", orient=orient)
    (folder / "lists.json").write_text(json.dumps(frame.to_dict(orient="list"), indent=2))
    (folder / "typed.jsonl").write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    book = openpyxl.Workbook()
    for row in [("text", "label"), *rows]:
        book.active.append(row)
    book.save(folder / "same.xlsx")
    for name in ("same.csv", "same.tsv", "semicolons.csv", "same.parquet", "same.jsonl", "records.json", "columns.json", "split.json",
                 "index.json", "lists.json", "typed.jsonl", "same.xlsx"):  # fmt: skip
        found = read_table(folder / name)
        assert (name, found.texts, found.labels) == (name, tuple(frame["text"]), tuple(frame["label"]))
        assert tuple(row.text for row in stream_rows(folder / name)) == found.texts
