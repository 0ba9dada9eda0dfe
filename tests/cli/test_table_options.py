"""Every verb reads tables alike: options, notes on standard error, rows without a label."""

import io
import json
import sys

import numpy as np
import pytest

from lexframe.cli.main import main
from lexframe.cli.table_options import LabeledTables, TextTables
from lexframe.exceptions import DataError
from lexframe.latents import LatentStore


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


def test_notes_are_said_once_on_standard_error(tmp_path, capsys):
    path = tmp_path / "items.csv"
    path.write_bytes("text;label\nschön;x\n;x\nb;\n".encode("cp1252"))
    files = LabeledTables(skip_unlabelled=True)
    assert files.read(path).texts == ("schön",)
    files.read(path)
    assert list(files.stream(path, columns=["label"]))[1].columns == {"label": ""}
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"note: {path} is not UTF-8, and was read as Windows-1252; see that its letters are right, or name the encoding.",
        f"note: {path} has semicolons between its fields, and was read so.",
        f"note: {path} has 1 row without a text (line 3), left out.",
        f"note: {path} has 1 row without a label (line 4), left out.",
    ]
    with pytest.raises(DataError, match="line 4: the field 'label' is empty"):
        LabeledTables().read(path)
    assert TextTables(encoding="cp1252", delimiter="semicolon", quotes="text").read(path, label=None).texts == ("schön", "b")


@pytest.fixture
def points(tmp_path):
    rng = np.random.default_rng(0)
    labels = ["x", "y"] * 20
    np.save(tmp_path / "vectors.npy", rng.normal(size=(40, 4)) + 5 * np.array([label == "x" for label in labels])[:, np.newaxis])
    return tmp_path / "vectors.npy", labels


def test_audit_leaves_unlabelled_rows_out(tmp_path, capsys, points):
    vectors, labels = points
    path = tmp_path / "items.jsonl"
    rows = [{"text": f"item {n}", "label": label} for n, label in enumerate(labels)]
    rows[7:7] = [{"text": "whose?", "label": float("nan")}, {"text": "whose?", "label": None}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("audit", path, "--vectors", vectors) == 2
    error = capsys.readouterr().err
    assert "lines 8, 9: the field 'label' is empty (2 rows of 42)" in error
    assert "--skip-unlabelled" in error
    assert run("audit", path, "--vectors", vectors, "--skip-unlabelled", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["categories"] == ["x", "y"]
    assert "has 2 rows without a label (lines 8, 9), left out" in err


def test_audit_of_a_store_knows_missing_labels(tmp_path, capsys, model):
    path = tmp_path / "items.jsonl"
    rows = [{"text": f"the cat {n}", "label": "x" if n % 2 else "y"} for n in range(12)] + [{"text": "dog", "label": None}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("encode", path, "--keep", "label", "-m", model, "--out", tmp_path / "store") == 0
    capsys.readouterr()
    assert run("audit", tmp_path / "store") == 2
    assert "1 row has no label in 'label', the first is row 13" in capsys.readouterr().err
    assert run("audit", tmp_path / "store", "--skip-unlabelled", "--json") == 0
    assert json.loads(capsys.readouterr().out)["categories"] == ["x", "y"]


def test_encode_reads_pipes_folders_and_workbooks_worth_of_rows(tmp_path, capsys, model, monkeypatch):
    content = "text;n\nthe cat sat;1\na dog ran;2\n".encode("utf-16")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run("encode", "-", "--keep", "n", "-m", model, "--out", tmp_path / "store") == 0
    rows = LatentStore(tmp_path / "store").query(columns=["id", "text", "n"])
    assert list(rows["id"]) == ["stdin:0", "stdin:1"]
    assert list(rows["text"]) == ["the cat sat", "a dog ran"]
    assert "note: standard input was read as UTF-16." in capsys.readouterr().err
    for name, words in (("cats/1.txt", "the cat sat"), ("dogs/1.txt", "a dog ran")):
        (tmp_path / "animals" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "animals" / name).write_text(words)
    assert run("encode", tmp_path / "animals", "-m", model, "--out", tmp_path / "folder") == 0
    assert list(LatentStore(tmp_path / "folder").query(columns=["id"])["id"]) == ["animals:0", "animals:1"]
    (tmp_path / "ids.jsonl").write_text('{"text": "a", "id": 1}\n{"text": "b", "id": null}\n')
    assert run("encode", tmp_path / "ids.jsonl", "--id", "id", "-m", model, "--out", tmp_path / "ids") == 2
    assert "row 2: the field 'id' is empty" in capsys.readouterr().err
