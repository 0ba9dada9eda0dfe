"""``lexframe store`` as a person meets it: what is taken, what is asked, what is refused."""

import io
import json

import numpy as np
import pytest

from lexframe.cli.main import main
from lexframe.latents import LatentStore, VectorColumn, import_vectors
from lexframe.latents.rows import table_of
from lexframe.provenance import SpaceFingerprint


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.fixture
def store(tmp_path):
    table = {"Label": ["late", "refund", None, "late"], "year": [2020, 2021, 2022, 2023], "score": [0.5, float("nan"), 2.0, 3.0]}
    import_vectors(np.eye(4, dtype=np.float32), tmp_path / "s", made_by="me", metadata=table)
    return tmp_path / "s"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_double_quoted_name_is_a_column(store, capsys):
    assert run("store", "delete", store, "--where", "\"Label\" != 'refund'", "--yes") == 0
    assert "2 rows deleted, 2 left" in capsys.readouterr().err
    assert LatentStore(store).query()["id"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("where", "what"), [("Label = 'late'", "2 of 4 rows"), ("true", "ALL 4 rows"), ("year > 0", "ALL 4 rows"), ("score > 0", "3 of 4 rows")]
)
def test_without_a_terminal_nothing_is_deleted_unasked(store, where, what, capsys):
    assert run("store", "delete", store, "--where", where) == 2
    error = capsys.readouterr().err
    assert f"takes {what}" in error
    assert "--yes" in error
    assert len(LatentStore(store)) == 4


@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("n\n", 4), ("\n", 4)])
def test_in_a_terminal_it_asks(store, answer, left, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run("store", "delete", store, "--where", "Label = 'late'") == 0
    assert "2 of 4 rows" in capsys.readouterr().err
    assert len(LatentStore(store)) == left


def test_to_delete_everything_is_asked_in_other_words(store, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run("store", "delete", store, "--where", "Label IS NULL OR Label IS NOT NULL") == 0
    assert "ALL 4 rows" in capsys.readouterr().err
    assert len(LatentStore(store)) == 4


def test_a_condition_that_takes_nothing_asks_nothing(store, capsys):
    before = LatentStore(store).version
    assert run("store", "delete", store, "--where", "year > 3000") == 0
    assert "0 rows deleted, 4 left" in capsys.readouterr().err
    assert LatentStore(store).version == before


@pytest.mark.parametrize("verb", [("query",), ("delete", "--yes"), ("export", "--out", "x.parquet"), ("neighbors",)])
def test_what_is_no_condition_is_pointed_at(store, verb, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = ("neighbors", store, "--row", "0") if verb == ("neighbors",) else ("store", verb[0], store, *verb[1:])
    assert run(*before, "--where", "year > 2020 AND Label = 'late; DROP") == 2
    first, text, caret = capsys.readouterr().err.rstrip("\n").split("\n")
    assert "is never closed" in first
    assert "verify" not in first
    assert text[caret.index("^") :] == "'late; DROP"
    assert len(LatentStore(store)) == 4


def test_json_is_strict_and_rows_go_to_csv_with_points(store, tmp_path, capsys):
    assert run("store", "query", store, "--json") == 0
    rows = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["rows"]
    assert rows[1] == {"id": "1", "Label": "refund", "year": 2021, "score": None}
    assert (
        run("store", "query", store, "--csv", tmp_path / "o.csv", "--columns", "Label,vector", "--where", "score >= 2", "--limit", "1") == 0
    )
    assert (tmp_path / "o.csv").read_text().splitlines() == ["Label,vector_0,vector_1,vector_2,vector_3", ",0.0,0.0,1.0,0.0"]
    assert run("store", "query", store, "--columns", "Lable") == 2
    assert "no column 'Lable'" in capsys.readouterr().err


def test_a_folder_that_is_no_store(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    assert run("store", "info", tmp_path) == 2
    assert "is no latent store" in capsys.readouterr().err
    np.save(tmp_path / "v.npy", np.eye(2, dtype=np.float32))
    assert run("store", "import", tmp_path / "v.npy", "--out", tmp_path, "--made-by", "me") == 2
    assert "Name a new or an empty folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "v.npy"]


def test_states_of_a_language_model_are_standardized_unless_asked_otherwise(tmp_path, capsys):
    rng = np.random.default_rng(0)
    points = (100 + rng.normal(size=(40, 3)) * [1, 1, 30]).astype(np.float32)
    points[7] = points[0] + np.float32([0.01, 0.01, 40])  # near, but for the dimension that spreads
    column = VectorColumn("layer_last_last", 3, SpaceFingerprint(kind="language-model", model="m", weights="w"))
    made = LatentStore.create(tmp_path / "s", [column])
    made.append(table_of([str(row) for row in range(40)], {column.name: points}, {}, made.schema))
    assert run("neighbors", tmp_path / "s", "--row", "0", "--limit", "99", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    moved = (points - points.mean(0)) / points.std(0)
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    assert found["metric"] == "standardized"
    assert [row["id"] for row in found["rows"]] == [str(row) for row in np.argsort(-(moved @ moved[0]))]
    assert run("neighbors", tmp_path / "s", "--row", "0") == 0
    assert "one cone" in capsys.readouterr().err
    assert run("neighbors", tmp_path / "s", "--row", "0", "--metric", "cosine") == 0
    shown = capsys.readouterr()
    assert "one cone" not in shown.err
    assert shown.out.split()[0] == "cosine"
    np.testing.assert_array_equal(made.points(), points)  # the store keeps what was put in
    assert run("neighbors", tmp_path / "s", " ") == 2
    assert "TEXT is empty" in capsys.readouterr().err


def test_a_column_called_score_does_not_take_the_place_of_the_nearness(store, capsys):
    assert run("neighbors", store, "--row", "0", "--limit", "9", "--json") == 0
    found = {row["id"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert found["0"]["score"] == pytest.approx(1.0)
    assert [found[row]["score"] for row in "123"] == pytest.approx([0, 0, 0], abs=1e-6)
    assert [found[row]["stored_score"] for row in "0123"] == [0.5, None, 2.0, 3.0]


def test_a_missing_value_is_shown_as_nothing(store, capsys):
    for arguments in (("store", "query", store), ("neighbors", store, "--row", "0", "--limit", "9")):
        assert run(*arguments) == 0
        shown = capsys.readouterr().out
        assert "2022" in shown
        assert not {"None", "nan"} & set(shown.split())
