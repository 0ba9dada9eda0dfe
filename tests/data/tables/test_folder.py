"""Folders: a category a sub-folder, parts of one table, and what is neither."""

import os
import zipfile

import pytest
from sklearn.datasets import load_files

from lexframe.data import read_table
from lexframe.exceptions import DataError


def fill(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


MAIL = {"fault/1.txt": "my lamp\nis broken\n", "fault/2.txt": "no light", "fault/10.txt": "dark", "money/a.txt": "who pays"}


def test_a_category_is_a_folder(tmp_path):
    fill(tmp_path, MAIL | {"readme.md": "of these mails", ".hidden/x.txt": "no", "fault/.DS_Store": b"\0"})
    table = read_table(tmp_path)
    assert table.texts == ("my lamp\nis broken", "no light", "dark", "who pays")
    assert table.labels == ("fault", "fault", "fault", "money")
    assert table.notes == ("holds 1 file beside its sub-folders, which were not read",)
    assert read_table(tmp_path, label=None).texts == table.texts


def test_the_same_as_scikit_learn(tmp_path):
    fill(tmp_path, MAIL)
    theirs = load_files(tmp_path, encoding="utf-8", shuffle=False)
    ours = read_table(tmp_path)
    pairs = {(text.rstrip("\n"), theirs.target_names[label]) for text, label in zip(theirs.data, theirs.target, strict=True)}
    assert set(zip(ours.texts, ours.labels, strict=True)) == pairs


def test_odd_files_are_named(tmp_path):
    fill(tmp_path, MAIL | {"money/b.txt": "  ", "money/c.txt": "schön".encode("cp1252"), "money/d.txt": b"a\0b"})
    with pytest.raises(DataError, match=r"d\.txt: the field 'text' holds a NUL byte"):
        read_table(tmp_path)
    (tmp_path / "money/d.txt").unlink()
    table = read_table(tmp_path)
    assert table.n_blank == 1
    assert any("1 file in another encoding; the first: c.txt is not UTF-8" in note for note in table.notes)
    assert any("without a text" in note and "b.txt" in note for note in table.notes)


def test_texts_of_one_folder_have_no_labels(tmp_path):
    fill(tmp_path, {"1.txt": "a", "2.txt": "b"})
    assert read_table(tmp_path, label=None).texts == ("a", "b")
    with pytest.raises(DataError, match="without sub-folders, so its texts have no labels"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train/fault/1.txt": "a", "test/fault/1.txt": "b"}, "fault is a folder; expected a sub-folder for each category"),
        ({"fault/1.csv": "text\na\n"}, r"1\.csv is no \.txt file"),
        (
            {"train.csv": "text,label\na,x\n", "test.csv": "text,label\nb,x\n"},
            r"is a folder of 2 tables \(test\.csv, train\.csv\)\. Name the one",
        ),
        ({"fault/.x": ""}, "holds no text"),
        ({}, "is a folder without sub-folders"),
    ],
)
def test_folders_that_are_no_table(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        read_table(fill(tmp_path, files))


def test_parts_of_one_table(tmp_path):
    fill(tmp_path, {"train-00000-of-2.csv": "text,label\na,x\n", "train-00001-of-2.csv": "label;text\ny;b\nx;\n", "README.md": "hello"})
    table = read_table(tmp_path)
    assert (table.texts, table.labels, table.rows) == (("a", "b"), ("x", "y"), (0, 1))
    assert "is a folder; its 2 tables were read as one" in table.notes
    assert any("train-00001-of-2.csv has semicolons" in note for note in table.notes)
    (tmp_path / "train-00001-of-2.csv").write_text("text,label\nb,\n")
    with pytest.raises(DataError, match=r"train-00001-of-2\.csv, line 2: the field 'label' is empty"):
        read_table(tmp_path)
    (tmp_path / "train-00001-of-2.csv").unlink()
    assert read_table(tmp_path).notes == ("is a folder; train-00000-of-2.csv was read",)


def test_a_zip_of_several(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.csv", "text,label\na,x\n")
        packed.writestr("b.csv", "text,label\nb,x\n")
    os.rename(tmp_path / "a.zip", tmp_path / "a.csv.zip")  # noqa: PTH104
    with pytest.raises(DataError, match=r"packs 2 files \(a\.csv, b\.csv\); expected one"):
        read_table(tmp_path / "a.csv.zip")


@pytest.mark.parametrize("name", ["mail.zip", "mail.v2.zip", "mail.csv.zip"])
def test_a_zip_is_what_is_in_it(name, tmp_path):
    with zipfile.ZipFile(tmp_path / name, "w") as packed:
        packed.writestr("__MACOSX/._letters.jsonl", b"\0\5\x16")
        packed.writestr("inner/letters.jsonl", '{"text": "a, b", "label": "x"}\n')
    table = read_table(tmp_path / name)
    assert (table.texts, table.labels) == (("a, b",), ("x",))


@pytest.mark.parametrize(
    ("members", "message"), [({}, "packs 0 files"), ({"a.md": "x"}, "unknown kind of file"), (None, "cannot be read: File is not a zip")]
)
def test_a_zip_of_nothing_that_is_read(members, message, tmp_path):
    path = tmp_path / "mail.zip"
    path.write_bytes(b"letters")
    if members is not None:
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
    with pytest.raises(DataError, match=message):
        read_table(path)
