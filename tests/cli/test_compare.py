"""``lexframe compare`` and ``lexframe study reproduce`` as a person meets them."""

import csv
import io
import json

import pytest

from tests.cli.test_main import run
from tests.planted import planted_table

COLUMNS = ("--text", "message", "--label", "category")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    paths = []
    for name, table in (("train", planted_table(12, 0)), ("test", planted_table(6, 1))):
        path = folder / f"{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["message", "category"])
            writer.writerows(zip(table.texts, table.labels, strict=True))
        paths.append(str(path))
    return paths


def test_json_holds_every_cell(files, model, capsys):
    train, test = files
    arguments = ("--methods", "zero-shot,lda,posterior", "--shots", "0,4,all", "--draws", "2", "--json")
    assert run("compare", train, "--test", test, *COLUMNS, "--model", model, *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    cells = document["cells"]
    assert {"method", "shots", "seed", "accuracy", "macro_f1", "log_loss", "fit_seconds"} <= set(cells[0])
    counted = {(method, shots): 0 for method in ("zero-shot", "lda", "posterior") for shots in (0, 4, "all")}
    for cell in cells:
        counted[cell["method"], cell["shots"]] += 1
    assert counted[("posterior", 0)] == counted[("lda", 4)] == 2
    assert counted[("posterior", "all")] == 1
    assert counted[("lda", 0)] == 0
    assert len(document["summary"].splitlines()) == 3


def test_the_table_the_report_and_the_cells(files, model, tmp_path, capsys):
    train, test = files
    out, page = tmp_path / "out", tmp_path / "comparison.html"
    arguments = ("--methods", "quick", "--shots", "0,4", "--draws", "2", "--out", out, "--csv", tmp_path / "cells.csv", "--report", page)
    assert run("compare", train, "--test", test, *COLUMNS, "--model", model, *arguments) == 0
    printed = capsys.readouterr()
    assert "4 a class" in printed.out + printed.err
    assert "Without labels:" in printed.out + printed.err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "cells.csv").read_text())))
    assert len(rows) == len([path for path in (out / "cells").iterdir() if not path.name.startswith("points")])
    assert {row["method"] for row in rows} >= {"zero-shot", "posterior", "logistic"}
    assert page.stat().st_size > 10_000


def test_a_second_run_into_the_same_folder_computes_what_is_missing(files, model, tmp_path, capsys):
    """Kills at every place of a comparison's writing: tests/kills."""
    train, test = files
    arguments = ("--methods", "logistic,lda", "--shots", "4", "--draws", "2", "--json", "--out", tmp_path)

    def cells():
        assert run("compare", train, "--test", test, *COLUMNS, "--model", model, *arguments) == 0
        facts = ("method", "shots", "seed", "accuracy", "log_loss")
        return [[cell[fact] for fact in facts] for cell in json.loads(capsys.readouterr().out)["cells"]]

    first = cells()
    lost, *kept = sorted(path for path in (tmp_path / "cells").glob("*.safetensors") if not path.name.startswith("points"))
    lost.unlink()
    times = [path.stat().st_mtime_ns for path in kept]
    assert cells() == first
    assert lost.exists()
    assert [path.stat().st_mtime_ns for path in kept] == times


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "magic"), "There is no method 'magic'"),
        (("--shots", "four"), "--shots has 'four'"),
        (("--draws", "0"), "greater than or equal to 1"),
        (("--methods", "lda", "--representations", "deep"), "LAYER:POOLING"),
        (("--methods", "lda", "--label-words", "nonsense"), "label=word"),
        (("--methods", "zero-shot", "--label-words", "money=same", "--label-words", "parcel=same"), "share the word 'same'"),
    ],
)
def test_what_a_person_gets_wrong_is_one_line(arguments, message, files, model, capsys):
    assert run("compare", files[0], "--test", files[1], *COLUMNS, "--model", model, *arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert len(err.strip().splitlines()) == 1


def test_short_classes_and_duplicates_are_said(files, model, capsys):
    arguments = ("--methods", "zero-shot,class-mean", "--shots", "50", "--draws", "1", "--json")
    assert run("compare", files[0], "--test", files[0], *COLUMNS, "--model", model, *arguments) == 0
    notes = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert "Fewer than 50 labels in" in notes
    assert "training texts stand in the test as well" in notes


def test_published_tables_need_their_sets(model, tmp_path, capsys):
    assert run("study", "reproduce", tmp_path, "--model", model) == 2
    err = capsys.readouterr().err
    assert str(tmp_path) in err
    assert "Traceback" not in err


def test_several_models_stand_alone_and_together(files, model, tmp_path, capsys):
    train, test = files
    arguments = ["--model", model, "--model", "tfidf", "--layer", "1", "--pooling", "mean"]  # which tfidf does not take
    shared = [train, "--test", test, *COLUMNS, *arguments]
    assert run("compare", *shared, "--methods", "lda,posterior", "--shots", "2", "--draws", "1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in document["recommended"]] == [model, "tfidf", f"{model} + tfidf"]
    adapter = tmp_path / "adapter"
    assert run("adapt", *shared, "--methods", "posterior", "--out", adapter, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["methods"]) == ["posterior", f"posterior ({model})", "posterior (tfidf)"]
    assert run("predict", adapter, test, "--out", tmp_path / "labels.csv") == 0
    assert run("compare", *shared, "--model", "tfidf") == 2
    assert "The model tfidf is named twice" in capsys.readouterr().err
    assert run("compare", train, *COLUMNS, "--model", "tfidf", "--model", "tfidf2", "--layer", "1") == 2
