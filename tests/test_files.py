"""A final name holds the old file or the new one, never half of one."""

import errno
import json
import os
from datetime import date

import numpy as np
import pandas as pd
import pytest

from lexframe.exceptions import InputError
from lexframe.files import json_text, replacing, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_in_a_new_folder(tmp_path):
    write_text(tmp_path / "a" / "b" / "notes.txt", "naïve\n")
    assert (tmp_path / "a" / "b" / "notes.txt").read_bytes() == b"na\xc3\xafve\n"
    assert names(tmp_path / "a" / "b") == ["notes.txt"]


def test_the_old_file_stays_whole_until_the_new_one_is(tmp_path):
    target = tmp_path / "notes.txt"
    target.write_text("old")
    with replacing(target) as temporary:
        temporary.write_text("new, half-wr")
        assert target.read_text() == "old"
        assert temporary.parent == tmp_path  # a rename within one folder is atomic
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["notes.txt"]


def write_and(then, target):
    with replacing(target) as temporary:
        temporary.write_text("half")
        then()


@pytest.mark.parametrize("error", [RuntimeError("stopped"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "notes.txt"
    target.write_text("old")

    def fail():
        raise error

    with pytest.raises(type(error)):
        write_and(fail, target)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_full_disk_is_said_in_one_line_and_leaves_the_old_file(tmp_path, monkeypatch, step):
    target = tmp_path / "notes.txt"
    target.write_text("old")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step != "write":
        monkeypatch.setattr(os, step, full)
    with pytest.raises(InputError, match=r"notes\.txt cannot be written: No space left on device") as caught:
        write_and(full if step == "write" else lambda: None, target)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["notes.txt"]


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "taken" / "notes.txt", "x")
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_folder_where_the_file_should_be(tmp_path):
    (tmp_path / "notes.txt").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "notes.txt", "x")
    assert names(tmp_path) == ["notes.txt"]
    assert names(tmp_path / "notes.txt") == []


@pytest.mark.parametrize("made_by", ["mode", "system"])
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, made_by):
    if made_by == "mode":
        if os.geteuid() == 0:
            pytest.skip("file modes do not bind the superuser; runs for every other user")
        tmp_path.chmod(0o500)
    else:

        def refuse(**options):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr("tempfile.mkstemp", refuse)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            write_text(tmp_path / "notes.txt", "x")
    finally:
        tmp_path.chmod(0o700)
    assert names(tmp_path) == []


def test_the_file_has_ordinary_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "notes.txt", "x")
        assert os.umask(0o027) == 0o027  # and the mask itself is left alone
    finally:
        os.umask(before)
    assert (tmp_path / "notes.txt").stat().st_mode & 0o777 == 0o640


def test_json_is_readable_and_strict(tmp_path):
    target = tmp_path / "facts.json"
    write_json(target, {"label": "naïve", "values": [1, 2.5, None]})
    assert json.loads(target.read_text(encoding="utf-8")) == {"label": "naïve", "values": [1, 2.5, None]}
    assert "naïve" in target.read_text(encoding="utf-8")
    with pytest.raises(TypeError):
        write_json(target, {"value": object()})
    assert json.loads(target.read_text(encoding="utf-8"))["label"] == "naïve"
    assert names(tmp_path) == ["facts.json"]


def test_json_has_no_numbers_that_json_lacks():
    value = {"a": [float("nan"), float("inf"), np.float32("nan"), None, 1.5], "b": (date(2024, 1, 31), pd.NaT, pd.NA, np.int64(3)), 4: True}
    text = json_text(value)
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == {
        "a": [None, None, None, None, 1.5], "b": ["2024-01-31", None, None, 3], "4": True,
    }  # fmt: skip
    assert "\n" not in text
    assert json_text({"é": 1, "a": 2}, sort_keys=True, ascii_only=True) == '{"a": 2, "\\u00e9": 1}'
