"""Packed files, pipes and the standard input."""

import bz2
import gzip
import io
import lzma
import os
import sys
import threading
import zipfile

import pyarrow
import pyarrow.parquet
import pytest

from lexframe.data import count_rows, read_table, stream_rows
from lexframe.exceptions import DataError

CONTENT = b"text,label\nmy lamp is broken,fault\nwho pays,money\n"
TEXTS = ("my lamp is broken", "who pays")


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("__MACOSX/._items.csv", "x")
        packed.writestr("folder/items.csv", content)
    return buffer.getvalue()


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped}


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_files(tmp_path, packing):
    path = tmp_path / f"items.CSV{packing}"
    path.write_bytes(PACKERS[packing](CONTENT))
    assert read_table(path).texts == TEXTS
    path.write_bytes(PACKERS[packing](CONTENT)[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        read_table(path)
    path.write_bytes(CONTENT)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(path)
    assert count_rows(path) is None


def test_packed_without_saying_so_and_binary_kinds(tmp_path):
    (tmp_path / "items.csv").write_bytes(gzip.compress(CONTENT))
    assert read_table(tmp_path / "items.csv").texts == TEXTS
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS, "label": ["fault", "money"]}), buffer)
    for name, content in (("items.parquet.gz", gzip.compress(buffer.getvalue())), ("items.csv", buffer.getvalue())):
        (tmp_path / name).write_bytes(content)
        assert read_table(tmp_path / name).texts == TEXTS


class Pipe(io.TextIOWrapper):
    def __init__(self, content):
        super().__init__(io.BytesIO(content))


@pytest.mark.parametrize(
    "content",
    [
        CONTENT,
        CONTENT.replace(b",", b"\t"),
        CONTENT.replace(b",", b";").decode().encode("utf-16"),
        b'[{"text": "my lamp is broken", "label": "fault"}, {"text": "who pays", "label": "money"}]',
        b'{"text": "my lamp is broken", "label": "fault"}\n{"text": "who pays", "label": "money"}\n',
        gzip.compress(CONTENT),
    ],
    ids=["csv", "tsv", "utf-16", "json", "jsonl", "gz"],
)
def test_the_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", Pipe(content))
    assert read_table("-").labels == ("fault", "money")
    assert read_table("-").source == "standard input"  # again: it is kept
    assert [row.text for row in stream_rows("-")] == list(TEXTS)
    assert count_rows("-") is None


def test_lines_and_nothing_on_the_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Pipe(b"my lamp is broken\nwho pays, and when\n"))
    assert read_table("-", label=None).texts == ("my lamp is broken", "who pays, and when")
    with pytest.raises(DataError, match="standard input: no field 'text'"):
        read_table("-")
    monkeypatch.setattr(sys, "stdin", Pipe(b"text\none\n"))
    assert read_table("-", label=None).texts == ("one",)
    monkeypatch.setattr(sys, "stdin", Pipe(b""))
    with pytest.raises(DataError, match="standard input"):
        read_table("-", label=None)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="nothing on the standard input"):
        read_table("-")


def test_a_pipe_that_has_a_name(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(CONTENT))
    writer.start()
    try:
        assert read_table(path).texts == TEXTS
        assert read_table(path).texts == TEXTS
    finally:
        writer.join()


def test_text_files_that_are_tables(tmp_path):
    path = tmp_path / "items.txt"
    path.write_bytes("text\tlabel\nmy lamp is broken\tfault\nwho pays\tmoney\n".encode("utf-16"))  # what Excel calls Unicode text
    assert read_table(path).labels == ("fault", "money")
    path.write_text("text\nand more, text\n")
    assert read_table(path, label=None).texts == ("text", "and more, text")
    with pytest.raises(DataError, match=r"no field 'label'; a \.txt file is a text a line"):
        read_table(path)
