"""Encodings: marks, UTF-16 without one, Windows-1252, what is damaged, what is another language's."""

import pytest

from lexframe.data import read_table
from lexframe.data.tables.encodings import text_lines
from lexframe.exceptions import DataError, InputError

CONTENT = "text,label\nDie Tür klemmt – „wieder“,Störung\nWas kostet das?,Geld\n"
TEXTS = ("Die Tür klemmt – „wieder“", "Was kostet das?")


def read(tmp_path, content, name="items.csv", **options):
    (tmp_path / name).write_bytes(content)
    return read_table(tmp_path / name, **options)


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "was read as UTF-16"),
        ("utf-16-le", "was read as UTF-16"),
        ("utf-16-be", "was read as UTF-16"),
        ("utf-32", "was read as UTF-32"),
        ("cp1252", "is not UTF-8, and was read as Windows-1252; see that its letters are right, or name the encoding"),
    ],
)
@pytest.mark.parametrize("name", ["items.csv", "items.txt", "items.jsonl", "items.json"])
def test_encodings_that_are_found(tmp_path, encoding, note, name):
    content = CONTENT
    if name.startswith("items.js"):
        rows = [f'{{"text": "{text}", "label": "x"}}' for text in TEXTS]
        content = "\n".join(rows) if name.endswith("l") else f"[{', '.join(rows)}]"
    table = read(tmp_path, content.encode(encoding), name)
    assert table.texts == TEXTS
    assert (note is None) or note in table.notes
    big = "﻿".encode("utf-16-be") + content.encode("utf-16-be")
    assert read(tmp_path, big, name).texts == TEXTS


def test_an_encoding_that_is_given_wins(tmp_path):
    russian = "text,label\nгде мой заказ,вопрос\n"
    assert read(tmp_path, russian.encode("cp1251"), encoding="cp1251").texts == ("где мой заказ",)
    assert read(tmp_path, russian.encode("utf-8-sig"), encoding="UTF-8").labels == ("вопрос",)
    with pytest.raises(DataError, match=r"line 2: not ascii \(byte 0xc3\)"):
        read(tmp_path, CONTENT.encode(), encoding="ascii")
    for unknown in ("klingon", "rot13", "hex"):
        with pytest.raises(InputError, match=f"The encoding '{unknown}' is not known") as caught:
            read(tmp_path, CONTENT.encode(), encoding=unknown)
        assert caught.value.parameters == ("encoding",)


def test_other_languages_are_not_taken_for_western_ones(tmp_path):
    for text, encoding in (("где мой заказ", "cp1251"), ("注文はどこ", "shift_jis"), ("我的訂單", "big5"), ("που είναι", "cp1253")):
        with pytest.raises(DataError, match=r"line 2: not UTF-8 .*say what it is with encoding, such as cp1252, cp1251 or shift_jis"):
            read(tmp_path, f"text,label\n{text},x\n".encode(encoding))


def test_damaged_utf8_is_not_taken_for_windows_1252(tmp_path):
    with pytest.raises(DataError, match=r"line 3: not UTF-8 \(byte 0xff\)"):
        read(tmp_path, "text,label\nschön,x\n".encode() + b"\xff,x\n")
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        read(tmp_path, "text,label\nschön und gut,x".encode()[:14] + "schön".encode()[:4])
    with pytest.raises(DataError, match="not utf-16"):
        read(tmp_path, "text,label\na,x\n".encode("utf-16")[:-1])
    far = "text,label\n" + "a word or two,x\n" * 30_000
    with pytest.raises(DataError, match=r"line 30002: not UTF-8"):
        read(tmp_path, (far + "schön,x\n").encode()[:-6] + b"\xc3\n" + "schön,x\n".encode())


def test_a_letter_far_down_decides_for_the_whole_file(tmp_path):
    rows = [f"word {number},x" for number in range(40_000)]
    table = read(tmp_path, "\n".join(["text,label", *rows, "schön,x"]).encode("cp1252"))
    assert table.texts[-1] == "schön"
    assert len(table) == 40_001


def test_line_ends_of_old_macs(tmp_path):
    assert read(tmp_path, b"text,label\ra,x\rb,y\r").texts == ("a", "b")
    assert read(tmp_path, b'{"text": "a", "label": "x"}\r{"text": "b", "label": "x"}\r', "items.jsonl").texts == ("a", "b")
    assert read(tmp_path, b"one\rtwo\r", "items.txt", label=None).texts == ("one", "two")


def test_lines_for_others(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("schön 1\n".encode("cp1252"))
    with pytest.raises(DataError, match="line 1: not UTF-8"):
        list(text_lines(path))
    notes = []
    assert list(text_lines(path, notes)) == ["schön 1\n"]
    assert "Windows-1252" in notes[0]
    path.write_bytes("schön\u2028 1\n2\n".encode("utf-16"))
    assert list(text_lines(path)) == ["schön\u2028 1\n", "2\n"]
