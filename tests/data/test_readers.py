"""Every kind of file, and everything that can be wrong with one: what, where, what to do."""

import gzip
import json
import tracemalloc

import pytest

from lexframe.data import Table, TextRow, label_words_from, read_table, stream_rows
from lexframe.exceptions import DataError

ROWS = [
    ("the parcel came", "delivery"),
    ('she said "no", then\nleft', "feedback"),
    ("naïve café ☕", "feedback"),
    ("tab\tin it", "42"),
]


def write_jsonl(path, rows=ROWS, *, text="text", label="label"):
    path.write_bytes("".join(json.dumps({text: t, label: y}, ensure_ascii=False) + "\n" for t, y in rows).encode())


def write_gz(path, rows=ROWS, **names):
    write_jsonl(path, rows, **names)
    path.write_bytes(gzip.compress(path.read_bytes()))


def write_delimited(delimiter):
    def write(path, rows=ROWS, *, text="text", label="label"):
        lines = [delimiter.join('"' + field.replace('"', '""') + '"' for field in row) for row in [(text, label), *rows]]
        path.write_bytes("\r\n".join([*lines, ""]).encode())

    return write


def write_parquet(path, rows=ROWS, *, text="text", label="label"):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({text: [row[0] for row in rows], label: [row[1] for row in rows]}), path)


WRITERS = {
    ".jsonl": write_jsonl,
    ".jsonl.gz": write_gz,
    ".csv": write_delimited(","),
    ".tsv": write_delimited("\t"),
    ".parquet": write_parquet,
}
each = pytest.mark.parametrize("suffix", WRITERS)


@each
def test_there_and_back(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path)
    table = read_table(path)
    assert table == Table(tuple(t for t, _ in ROWS), tuple(y for _, y in ROWS), str(path), 0, (0, 1, 2, 3))
    assert len(table) == 4
    assert read_table(str(path)) == table


@each
def test_other_column_names(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path, text="body", label="category")
    assert read_table(path, text="body", label="category").labels == tuple(y for _, y in ROWS)
    assert read_table(path, text="body", label=None).labels is None


@each
@pytest.mark.parametrize(("options", "missing"), [({"text": "body"}, "body"), ({"label": "category"}, "category")])
def test_a_column_that_is_not_there(suffix, options, missing, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path)
    with pytest.raises(DataError, match=rf"items.*: no field '{missing}'; there are 'text', 'label'"):
        read_table(path, **options)


@each
def test_blank_texts_are_left_out_and_counted(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path, [("a", "x"), ("", "x"), (" \t ", ""), ("b", "y")])
    table = read_table(path)
    assert (table.texts, table.labels, table.n_blank, table.rows) == (("a", "b"), ("x", "y"), 2, (0, 3))
    kept = read_table(path, label=None, keep_blank=True)
    assert (kept.texts, kept.n_blank, kept.rows) == (("a", "", " \t ", "b"), 0, (0, 1, 2, 3))


@each
@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_label_is_an_error_with_its_row(suffix, blank, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path, [("a", "x"), ("b", blank)])
    with pytest.raises(DataError, match=r"(row|line|lines) [23]: the field 'label' is empty \(1 row of 2\)\. .* unlabelled='skip'"):
        read_table(path)


@each
def test_only_blank_texts(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path, [("", "x"), (" ", "x")])
    with pytest.raises(DataError, match=r"no text \(2 rows are blank\)"):
        read_table(path)


@each
def test_no_row_at_all(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path, [])
    with pytest.raises(DataError, match="holds no text"):
        read_table(path)


@pytest.mark.parametrize("suffix", [*WRITERS, ".txt"])
def test_a_file_of_no_bytes(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"items.*(holds no text|no field|not a readable Parquet|cannot be read)"):
        read_table(path)


@pytest.mark.parametrize("suffix", [*WRITERS, ".txt"])
def test_no_such_file_and_a_folder_of_that_name(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    with pytest.raises(DataError, match="no such file"):
        read_table(path)
    path.mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_table(path)


@pytest.mark.parametrize("name", ["items", "items.doc", "items.csvx", "items.gz.dat"])
def test_unknown_kinds_list_the_known_ones(name, tmp_path):
    (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"unknown kind of file\. Expected one of \.jsonl, .*\.csv, .*\.xlsx, \.txt, also packed"):
        read_table(tmp_path / name)


def test_suffixes_in_capitals(tmp_path):
    write_jsonl(tmp_path / "ITEMS.JSONL")
    assert len(read_table(tmp_path / "ITEMS.JSONL")) == 4


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_nul_bytes(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path, [("a", "x"), ("b\0c", "x")])
    with pytest.raises(DataError, match=r"(row 2|line [23]): the field 'text' holds a NUL byte"):
        read_table(path)
    WRITERS[suffix](path, [("a", "x\0")])
    with pytest.raises(DataError, match=r"(row 1|line [12]): the field 'label' holds a NUL byte"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".csv", ".tsv", ".txt"])
def test_broken_utf8_is_found_by_line(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    data = b"".join(b'{"text": "a", "label": "x"}\n' for _ in range(2)) + b'{"text": "caf\xc3\xa9 \xff", "label": "x"}\n'
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    with pytest.raises(DataError, match=r"items.*line 3: not UTF-8 \(byte 0xff\)\. Save it as UTF-8, or say what it is with encoding"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".csv", ".tsv", ".txt"])
def test_a_byte_order_mark_is_not_part_of_the_first_column(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    if suffix == ".txt":
        path.write_bytes(b"\xef\xbb\xbfone\n")
    else:
        WRITERS[suffix](path, [("one", "x")])
        data = gzip.decompress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes()
        data = b"\xef\xbb\xbf" + data
        path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert read_table(path, label=None).texts == ("one",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label"', "line 3: not JSON"),
        ("plain words", "line 3: not JSON"),
        ('["a", "x"]', "line 3: list instead of an object"),
        ('"a"', "line 3: str instead of an object"),
        ('{"text": "a", "label": "x"} {"text"', "line 3: not JSON"),
    ],
)
def test_a_broken_line_is_named(line, message, tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n\n' + line + "\n")  # the blank line counts
    with pytest.raises(DataError, match=message):
        read_table(path)


@pytest.mark.parametrize("value", ["[1]", '{"a": 1}'])
def test_nested_values_are_not_text(value, tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text(f'{{"text": {value}, "label": "x"}}\n')
    with pytest.raises(DataError, match=r"line 1: the field 'text' holds (a list|an object), not text"):
        read_table(path)


def test_numbers_and_nulls_in_jsonl(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "a", "label": 3}\n{"text": null, "label": 3}\n{"text": "b", "label": true}\n')
    table = read_table(path)
    assert (table.texts, table.labels, table.n_blank) == (("a", "b"), ("3", "True"), 1)
    path.write_text('{"text": "a", "label": null}\n')
    with pytest.raises(DataError, match="line 1: the field 'label' is empty"):
        read_table(path)


def test_labels_lose_the_blanks_around_them_and_texts_keep_theirs(tmp_path):
    write_jsonl(tmp_path / "items.jsonl", [(" a ", " x ")])
    table = read_table(tmp_path / "items.jsonl")
    assert (table.texts, table.labels) == ((" a ",), ("x",))
    assert table.notes == ("has 1 label with blanks around (line 1); they were taken off",)


LINE_SEPARATORS = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven"


@each
def test_line_separators_of_unicode_do_not_split_rows(suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    WRITERS[suffix](path, [(LINE_SEPARATORS, "x"), ("b", "y")])
    assert read_table(path).texts == (LINE_SEPARATORS, "b")


def test_line_separators_of_unicode_do_not_split_lines_of_text(tmp_path):
    path = tmp_path / "items.txt"
    path.write_bytes(f"{LINE_SEPARATORS}\nb\n".encode())
    table = read_table(path, label=None)
    assert table.texts == (LINE_SEPARATORS, "b")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_of_text(end, tmp_path):
    path = tmp_path / "items.txt"
    path.write_bytes(end.join(["one, two", "", '"three"', ""]).encode())
    table = read_table(path, label=None)
    assert (table.texts, table.labels, table.n_blank, table.rows) == (("one, two", '"three"'), None, 1, (0, 2))
    assert read_table(path, label=None, keep_blank=True).texts == ("one, two", "", '"three"')
    assert read_table(path, text="anything", label=None).texts == ("one, two", '"three"')
    with pytest.raises(DataError, match="no field 'label'"):
        read_table(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_jsonl_with_either_line_end_and_none_at_the_end(end, tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_bytes(end.join(['{"text": "a", "label": "x"}', '{"text": "b", "label": "y"}']).encode())
    assert read_table(path).texts == ("a", "b")


def test_a_row_with_too_many_fields(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("text,label\na,x\nb, and more,y\n")
    with pytest.raises(DataError, match=r"line 3: 3 fields, more fields than the header names \(2\)\. Quote fields"):
        read_table(path)


def test_a_row_with_too_few_fields(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("text,label\na,x\nb\n")
    with pytest.raises(DataError, match=r"line 3: 1 field, fewer than the header names \(2\)"):
        read_table(path)


def test_a_quote_that_never_ends_does_not_swallow_the_rest_of_the_file(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text('text,label\na,x\n"b,y\nc,z\nd,z\n')
    with pytest.raises(DataError, match="line 3: a quote opens here and does not close"):
        read_table(path, label=None)


def test_a_long_text_in_a_csv(tmp_path):
    path = tmp_path / "items.csv"
    write_delimited(",")(path, [("word " * 40_000, "x")])
    assert len(read_table(path).texts[0]) == 200_000


def spoil(path, *, keep=None, flip=None):
    data = bytearray(path.read_bytes())
    for position in flip or ():
        data[position] ^= 0xFF
    path.write_bytes(bytes(data[: keep or len(data)]))


@pytest.mark.parametrize("damage", [{"keep": 20}, {"flip": [-1]}, {"flip": range(4, 40)}], ids=["cut", "last byte", "pages"])
def test_a_damaged_parquet_file(damage, tmp_path):
    path = tmp_path / "items.parquet"
    write_parquet(path)
    spoil(path, **damage)
    with pytest.raises(DataError, match=r"items\.parquet: not a readable Parquet file"):
        read_table(path)


def test_text_instead_of_parquet(tmp_path):
    (tmp_path / "items.parquet").write_text("text,label\na,x\n")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(tmp_path / "items.parquet")


@pytest.mark.parametrize(
    "damage",
    [{"keep": 60}, {"flip": [0]}, {"flip": [-6]}, {"flip": [12, 13, 14, 15]}],
    ids=["cut", "not gzip", "checksum", "compressed data"],
)
def test_a_damaged_gz_file(damage, tmp_path):
    path = tmp_path / "items.jsonl.gz"
    write_gz(path, [(f"text number {number}", "x") for number in range(200)])
    spoil(path, **damage)
    with pytest.raises(DataError, match=r"items\.jsonl\.gz cannot be read"):
        read_table(path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    write_jsonl(tmp_path / "items.jsonl")

    def refuse(path, *mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(DataError, match=r"items\.jsonl cannot be read: Permission denied"):
        read_table(tmp_path / "items.jsonl")


def test_words_for_labels():
    labels = ["sign_in", "pay-out", "yes/no", "delivery", "delivery"]
    assert label_words_from([], labels) == {"delivery": ["delivery"], "pay-out": ["pay out"], "sign_in": ["sign in"], "yes/no": ["yes no"]}
    given = label_words_from([" delivery = parcel, late ,", "sign_in=login"], labels)
    assert given["delivery"] == ["parcel", "late"]
    assert given["sign_in"] == ["login"]
    assert list(given) == sorted(given)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("delivery", "Write label=word or label=word,word"),
        ("delivery=", "Write label=word or label=word,word"),
        ("delivery= , ", "Write label=word or label=word,word"),
        ("nothing=word", "the label 'nothing', but the labels are delivery, refund"),
    ],
)
def test_words_that_are_not_understood(entry, message):
    with pytest.raises(DataError, match=message):
        label_words_from([entry], ["refund", "delivery"])


def test_half_a_surrogate_pair_and_an_endless_number(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "a \\ud83d b", "label": "x"}\n')
    with pytest.raises(DataError, match=r"line 1.*surrogate"):
        read_table(path)
    path.write_text('{"text": "a", "label": ' + "1" * 5000 + "}\n")
    with pytest.raises(DataError, match="line 1"):
        read_table(path)


def test_two_texts_of_a_row_are_joined(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"text": "one", "text_b": "two", "label": "same"}\n')
    assert read_table(path, pair="text_b").texts == ("one / two",)
    with pytest.raises(DataError, match="no field 'text_c'"):
        read_table(path, pair="text_c")


def test_rows_come_one_by_one_with_their_columns(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text(
        '{"text": "a", "n": 1, "who": null, "ok": true}\n{"text": " "}\n{"text": "b", "n": 2.5, "who": "x", "ok": false}\nbroken\n'
    )
    rows = stream_rows(path, columns=("n", "who", "ok"))
    assert next(rows) == TextRow(0, "a", {"n": 1, "who": None, "ok": True})
    assert next(rows) == TextRow(2, "b", {"n": 2.5, "who": "x", "ok": False})
    with pytest.raises(DataError, match="line 4: not JSON"):
        next(rows)
    with pytest.raises(DataError, match="no field 'color'"):
        next(stream_rows(path, columns=("color",)))


def test_a_long_file_is_not_held_in_memory(tmp_path):
    path = tmp_path / "long.jsonl"
    with path.open("w") as file:
        for number in range(20_000):
            file.write(json.dumps({"text": f"{number} " + "word " * 40}) + "\n")
    tracemalloc.start()
    assert sum(1 for _ in stream_rows(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 10
