"""``lexframe steer``: texts side by side, files that come out, and one line when something is wrong."""

import json

import pytest

from lexframe.cli.main import main
from lexframe.cli.steer import _split
from lexframe.cli.table_options import TextTables
from lexframe.exceptions import InputError
from lexframe.instruments import Direction
from tests.tiny_models import tiny_model, tiny_tokenizer


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.fixture
def poles(tmp_path):
    paths = tmp_path / "cats.txt", tmp_path / "dogs.txt"
    for path, word in zip(paths, ("cat", "dog"), strict=True):
        path.write_text("".join(f"the {word} sat on mat number {number}\n" for number in range(10)))
    return paths


def test_texts_side_by_side_and_files(poles, model, tmp_path, capsys):
    pytest.importorskip("gguf", reason="comes with the extra gguf")
    out = {name: tmp_path / name for name in ("direction", "cat.gguf", "report.html")}
    files = ("--out", out["direction"], "--gguf", out["cat.gguf"], "--report", out["report.html"])
    options = ("-m", model, "--layer", "2", "--strength", "0.5", "--max-new-tokens", "4")
    assert run("steer", "the cat", "a dog", "--positive", poles[0], "--negative", poles[1], *options, *files) == 0
    shown, notes = capsys.readouterr()
    assert shown.count("unsteered") == 2
    assert "Towards cats, away from dogs: layer 2, strength 0.5" in notes
    assert Direction.load(out["direction"]).preflight[2].n_positive == 8
    assert all(path.exists() for path in out.values())
    assert run("steer", "the cat", "--direction", out["direction"], *options, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["direction"]["positive"] == "cats"
    assert document["choice"] is None


def test_layer_and_strength_are_chosen_or_the_budget_says_why_not(model, capsys):
    options = ("-m", model, "--layer", "auto", "--strength", "0.01", "--max-new-tokens", "3", "--json")
    code = run("steer", "the cat", "--words", "cat", "--against", "dog", *options)
    shown, notes = capsys.readouterr()
    if code == 0:
        assert json.loads(shown)["choice"]["chosen"]["strength"] == 0.01
    else:
        assert code == 2
        assert "within the budget" in notes


def test_words(model, capsys):
    options = ("-m", model, "--layer", "-1", "--strength", "0.3", "--max-new-tokens", "3", "--json")
    assert run("steer", "the", "--words", "cat, mat", "--against", "dog", *options) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["direction"]["method"] == "frame"
    assert document["layer"] == -1


def test_wrong_options_are_one_line(poles, model, tmp_path, capsys):
    fixed = ("-m", model, "--layer", "1", "--strength", "1")
    few = tmp_path / "few.txt"
    few.write_text("one\ntwo\n")
    other = tmp_path / "other"
    tiny_model("mistral").save_pretrained(other)
    tiny_tokenizer().save_pretrained(other)
    assert run("steer", "x", "--positive", poles[0], "--negative", poles[1], *fixed, "--max-new-tokens", "1", "--out", tmp_path / "d") == 0
    capsys.readouterr()
    for arguments, message in (
        (("x", *fixed), "in one way"),
        (("x", "--positive", poles[0], *fixed), "in one way"),
        (("x", "--words", "cat", "--against", "dog", "--direction", tmp_path, *fixed), "in one way"),
        (("x", "--direction", tmp_path / "none", *fixed), "holds no direction"),
        (("x", "--positive", few, "--negative", poles[1], *fixed), "five or more"),
        (("x", "--positive", poles[0], "--negative", poles[0], *fixed), "same mean point"),
        (("x", "--words", "cat", "--against", "dog", "-m", model, "--layer", "one", "--strength", "1"), "auto or a number"),
        (("x", "--words", "cat", "--against", "dog", "-m", model, "--layer", "1.5", "--strength", "1"), "whole number"),
        (("x", "--words", "cat", "--against", "dog", "-m", model, "--layer", "9", "--strength", "1"), "no vector for layer 9"),
        (("x", "--direction", tmp_path / "d", "-m", other, *fixed[2:]), "two models"),
    ):
        assert run("steer", *arguments) == 2, arguments
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_pairs_stay_pairs_where_a_text_repeats(tmp_path):
    files = [tmp_path / "positive.txt", tmp_path / "negative.txt"]
    files[0].write_text("\n".join(f"p{i}" for i in (0, 1, 2, 3, 4, 4, 6, 7, 8, 9)))
    files[1].write_text("\n".join(f"n{i}" for i in (0, 1, 2, 3, 4, 5, 6, 4, 8, 9)))
    (positive, negative), left_out = _split(files, ("text", TextTables()), paired=True)
    assert list(zip(positive, negative, strict=True)) == [(f"p{i}", f"n{i}") for i in (0, 1, 2, 3, 6, 8)]
    assert left_out == [("p4", "p9"), ("n4", "n9")]
    files[0].write_text("p0\n\n" + "\n".join(f"p{i}" for i in range(2, 10)))
    with pytest.raises(InputError, match="do not pair"):
        _split(files, ("text", TextTables()), paired=True)


def test_one_text_of_a_pole_is_one_text(tmp_path, capsys):
    (tmp_path / "one.txt").write_text("I love this\n")
    with pytest.raises(SystemExit):
        main(["steer", "The film was", "--positive", str(tmp_path / "one.txt"), "--negative", str(tmp_path / "one.txt")])
    assert "one.txt holds 1 text; expected five or more" in capsys.readouterr().err
