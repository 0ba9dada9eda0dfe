"""The command line as a person meets it: exit codes, streams, and one line when something is wrong."""

import csv
import json
import subprocess
import sys

import pytest

from lexframe.adaptation import make_methods
from lexframe.cli.main import main
from lexframe.data import desk, read_table
from tests.planted import planted_table
from tests.tiny_models import tiny_model, tiny_tokenizer


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, table in (("train", planted_table(12, 0)), ("test", planted_table(6, 1))):
        path = tmp_path / f"{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["message", "category"])
            writer.writerows(zip(table.texts, table.labels, strict=True))
        paths.append(str(path))
    return paths


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


COLUMNS = ("--text", "message", "--label", "category")


def test_adapt_save_predict(files, model, tmp_path, capsys):
    train, test = files
    assert run("adapt", train, "--test", test, *COLUMNS, "-m", model, "--out", tmp_path / "adapter", "--report", tmp_path / "r.html") == 0
    out, err = capsys.readouterr()
    assert all(method in out for method in ("zero-shot", "nearest-basis", "lda", "logistic", "semantic-calibration"))
    assert "saved" in err
    assert (tmp_path / "r.html").stat().st_size > 10_000
    assert run("predict", tmp_path / "adapter", test, "--text", "message") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 18
    assert set(rows[0]) == {"text", "label", "probability"}
    assert run("predict", tmp_path / "adapter", test, "--text", "message", "--out", tmp_path / "p.jsonl") == 0
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == 18


def test_predict_remembers_columns_and_writes_what_the_name_says(files, model, tmp_path, capsys):
    train, test = files
    assert run("adapt", train, *COLUMNS, "-m", model, "--methods", "lda", "--out", tmp_path / "adapter") == 0
    capsys.readouterr()
    assert run("predict", tmp_path / "adapter", test, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    asked = read_table(test, text="message", label=None).texts
    assert [row["text"] for row in document["predictions"]] == list(asked)
    wanted = [row["label"] for row in document["predictions"]]
    for name in ("p.jsonl", "p.csv", "p.tsv", "p.parquet"):
        assert run("predict", tmp_path / "adapter", test, "--out", tmp_path / name) == 0
        written = read_table(tmp_path / name)
        assert (written.texts, list(written.labels)) == (asked, wanted)
    assert (tmp_path / "p.csv").read_text().startswith('"text","label","probability"\n')
    assert run("predict", tmp_path / "adapter", test, "--out", tmp_path / "p.doc") == 2
    assert "Name it .jsonl, .csv, .tsv or .parquet" in capsys.readouterr().err
    (tmp_path / "other.csv").write_text("text,label\na,b\n")
    assert run("predict", tmp_path / "adapter", tmp_path / "other.csv") == 2
    error = capsys.readouterr().err
    assert "no field 'message'; there are 'text', 'label'" in error
    assert "the adapter was trained on 'message' (--text)" in error
    assert run("predict", tmp_path / "adapter", tmp_path / "other.csv", "--text", "text") == 0


def test_json_is_one_document(files, model, capsys):
    train, test = files
    assert run("adapt", train, "--test", test, *COLUMNS, "-m", model, "--methods", "lda, nearest-basis", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["methods"]) == ["nearest-basis", "lda"]
    assert document["counts"]["truncated"] == 0


def test_long_texts_are_counted(files, model, capsys):
    assert run("adapt", files[0], *COLUMNS, "-m", model, "--methods", "lda", "--max-length", "30", "--json") == 0
    assert json.loads(capsys.readouterr().out)["counts"]["truncated"] > 0


def test_another_model_is_refused(files, model, tmp_path, capsys):
    other = tmp_path / "other"
    tiny_model("mistral").save_pretrained(other)
    tiny_tokenizer().save_pretrained(other)
    assert run("adapt", files[0], *COLUMNS, "-m", model, "--methods", "lda", "--out", tmp_path / "adapter") == 0
    capsys.readouterr()
    assert run("predict", tmp_path / "adapter", files[1], "--text", "message", "-m", other) == 2
    assert "was fitted on the space" in capsys.readouterr().err


def test_frame_show(model, capsys):
    assert run("frame", "show", "cat", "sat mat", "-m", model, "--json") == 0
    cards = json.loads(capsys.readouterr().out)["words"]
    assert [card["word"] for card in cards] == ["cat", "sat mat"]
    assert len(cards[0]["nearest"]) == 8
    assert run("frame", "show", "cat", "-m", model) == 0
    assert "near cat:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adapt", "nowhere.csv"), "no such file"),
        (("adapt", "{train}", "--label", "color"), "'color'"),
        (("adapt", "{train}", "-m", "./nowhere"), "no such folder"),
        (("adapt", "{train}", "-m", "{model}", "--methods", "magic"), "magic"),
        (("adapt", "{train}", "-m", "{model}", "--methods", "knn,lda", "--out", "never-made"), "cannot be saved of knn"),
        (("adapt", "{train}", "-m", "{model}", "--label-words", "nonsense"), "label=word"),
        (("adapt", "{train}", "-m", "{model}", "--label-words", "purple=x"), "purple"),
        (("adapt", "{train}", "-m", "{model}", "--template", "nothing"), "exactly once"),
        (("adapt", "{train}", "-m", "{model}", "--layer", "9"), "3 blocks"),
        (("adapt", "{train}", "-m", "{model}", "--readout", "loud"), "not one of 'invariant', 'cosine'"),
        (("predict", "nowhere", "{train}"), "no adapter"),
        (("frame", "show", "", "-m", "{model}"), "vocabulary"),
        (("frame", "show", "cat", "-m", "{model}", "--side", "up"), "'output'"),
    ],
)
def test_what_a_person_gets_wrong_is_one_line_and_exit_code_2(arguments, message, files, model, capsys):
    filled = [argument.format(train=files[0], model=model) for argument in arguments]
    if filled[0] == "adapt" and "--label" not in filled:
        filled += COLUMNS
    elif filled[0] != "frame":
        filled += COLUMNS[:2]
    assert run(*filled) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_usage_errors_have_exit_code_2(capsys):
    assert run("adapt") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_interrupting_leaves_nothing_half_written(files, model, tmp_path, monkeypatch, capsys):
    from lexframe.adaptation import Adapter

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Adapter, "save", interrupted)
    assert (
        run("adapt", files[0], *COLUMNS, "-m", model, "--methods", "lda", "--out", tmp_path / "adapter", "--report", tmp_path / "r.html")
        == 130
    )
    assert not (tmp_path / "r.html").exists()
    assert not list(tmp_path.glob("**/*.part"))


def test_an_output_that_cannot_be_written(files, model, tmp_path, capsys):
    (tmp_path / "adapter").write_text("in the way")
    assert run("adapt", files[0], *COLUMNS, "-m", model, "--methods", "lda", "--out", tmp_path / "adapter") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet():
    code = f"{sys.executable} -m lexframe.cli.main --help | true"
    assert subprocess.run(["bash", "-c", code], capture_output=True, check=False).stderr == b""


def test_the_demo_runs_the_main_job_on_what_comes_along(tmp_path, monkeypatch):
    from lexframe.cli import demo

    called = {}
    monkeypatch.setattr(demo, "adapt_and_show", lambda *given, **options: called.update(given=given, **options))
    demo.demo(out=tmp_path, models=["embedded"], as_json=True)
    spaces, (train, test), words, methods = called["given"]
    assert spaces["embedded"].fingerprint.model == "embedded"
    assert (train.source, test.source) == (desk("train").source, desk("test").source)
    assert sorted(words) == sorted(set(train.labels))
    assert [method.name for method in methods] == [method.name for method in make_methods("default")]
    assert (called["out"], called["report"]) == (tmp_path / "adapter", tmp_path / "report.html")
