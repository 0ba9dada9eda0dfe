"""``lexframe trace`` and ``lexframe lens`` as a person meets them."""

import json

import pytest

from lexframe.cli.main import main


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [f"the cat sat on mat {number} one two three four" for number in range(40)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    return path


def test_a_prompt_is_followed_and_several_are_compared(model, tmp_path, capsys):
    page = tmp_path / "trace.html"
    assert run("trace", "one two three", "the cat sat", "-m", model, "--report", page) == 0
    shown = capsys.readouterr()
    assert shown.out.count("likeliest") == 2
    assert "Where they part" in shown.out
    assert "settles at layer" in shown.err
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_json_is_one_document(model, capsys):
    assert run("trace", "one two three", "the cat", "-m", model, "--answer", "cat", "--limit", "2", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [trace["prompt"] for trace in document["traces"]] == ["one two three", "the cat"]
    assert document["traces"][0]["answer"] == "cat"
    assert len(document["traces"][0]["top"][0][0]) == 2
    assert len(document["comparison"]["divergence"]) == 4


def test_a_tuned_lens_is_fitted_kept_and_used(model, texts, tmp_path, capsys):
    lens = tmp_path / "lens"
    assert run("lens", "fit", texts, "--out", lens, "-m", model, "--steps", "2") == 0
    assert "ridge" in capsys.readouterr().out
    assert run("trace", "one two three", "-m", model, "--lens", lens, "--json") == 0
    tuned = json.loads(capsys.readouterr().out)["traces"][0]
    assert run("trace", "one two three", "-m", model, "--json") == 0
    plain = json.loads(capsys.readouterr().out)["traces"][0]
    assert tuned["lens"] == "tuned"
    assert sum(tuned["kl_to_final"][1]) < sum(plain["kl_to_final"][1])
    assert run("lens", "fit", texts, "--out", lens, "-m", model, "--steps", "0", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["layers"]) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("",), "Prompt 1 of 1 is empty"),
        (("cat", "--lens", "magnifying"), "is no lens"),
        (("cat", "--lens-dtype", "int8"), "'float32', 'bfloat16'"),
        (("cat", "-m", "no/such/folder"), "no/such/folder"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(model, capsys, arguments, said):
    options = () if "-m" in arguments else ("-m", model)
    assert run("trace", *arguments, *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_a_file_that_is_no_lens_is_named(model, texts, capsys):
    assert run("trace", "cat", "-m", model, "--lens", texts) == 2
    assert "is a file; expected a folder" in capsys.readouterr().err


def test_too_few_texts_for_a_lens(model, tmp_path, capsys):
    (tmp_path / "few.txt").write_text("cat\n")
    assert run("lens", "fit", tmp_path / "few.txt", "--out", tmp_path / "lens", "-m", model) == 2
    assert "too few tokens" in capsys.readouterr().err
    assert not (tmp_path / "lens").exists()
