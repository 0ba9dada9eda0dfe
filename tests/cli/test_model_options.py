"""Options reach the model when they are given, and a model that does not take one says so."""

import csv
import json

import pytest

from lexframe.cli.main import main
from lexframe.cli.model_options import ModelOptions
from tests.planted import planted_table
from tests.tiny_models import save_tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("tiny") / "encoder")


@pytest.fixture
def train(tmp_path):
    table = planted_table(12, 0)
    path = tmp_path / "train.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(table.texts, table.labels, strict=True)])
    return str(path)


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


def adapted(capsys, *arguments):
    """The space of ``adapt`` as its result tells it."""
    assert run("adapt", *arguments, "--methods", "lda", "--json") == 0
    return json.loads(capsys.readouterr().out)["provenance"]["space"]


def test_only_what_was_given_is_passed_on():
    assert ModelOptions(model="gpt2", batch_size=3).given() == {}
    asked = ModelOptions(layer=0, max_length=9, trust_remote_code=True)
    assert asked.given() == {"layer": 0, "max_length": 9, "trust_remote_code": True}


def test_the_defaults_of_a_verb_are_not_given_to_an_encoder(encoder, train, capsys):
    space = adapted(capsys, train, "--model", encoder)
    assert (space["kind"], space["pooling"], space["template"]) == ("SentenceEncoderSpace", "first", "{text}")


def test_a_language_model_is_asked_by_a_prompt(model, train, capsys):
    space = adapted(capsys, train, "--model", model)
    assert (space["pooling"], space["template"]) == ("last", "{text} This message is about")
    space = adapted(capsys, train, "--model", model, "--template", "{text}", "--layer", 1, "--pooling", "mean")
    assert (space["layer"], space["pooling"], space["template"]) == (1, "mean", "{text}")


def test_what_is_given_reaches_an_encoder(encoder, train, capsys):
    space = adapted(capsys, train, "--model", encoder, "--pooling", "mean", "--template", "query: {text}", "--max-length", 20)
    assert (space["pooling"], space["template"], space["max_length"]) == ("mean", "query: {text}", 20)


@pytest.mark.parametrize(
    "arguments",
    [
        ("adapt", "--layer", "-1"),  # given, though it is the default
        ("compare", "--layer", "2"),
        ("encode", "--layer", "2,3", "--out", "store"),
    ],
)
def test_what_an_encoder_does_not_take_is_refused_by_name(encoder, train, arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments[0], train, "--model", encoder, *arguments[1:]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "no option" in line]
    assert "is opened as a sentence-encoder space, which has no option" in line
    assert arguments[1] in line


def test_several_poolings_of_an_encoder_are_refused(encoder, train, capsys, tmp_path):
    assert run("encode", train, "--model", encoder, "--pooling", "mean,first", "--out", tmp_path / "store") == 2
    assert "Name one pooling" in capsys.readouterr().err


def test_encode_takes_the_pooling_of_the_encoder(encoder, train, capsys, tmp_path):
    assert run("encode", train, "--model", encoder, "--dtype", "float32", "--out", tmp_path / "store", "--json") == 0
    (column,) = json.loads(capsys.readouterr().out)["store"]["vectors"]
    assert column["fingerprint"]["pooling"] == "first"


@pytest.mark.parametrize(
    "arguments",
    [
        ("trace", "a prompt"),
        ("frame", "show", "cat"),
        ("steer", "a prompt", "--words", "good", "--against", "bad"),
        ("analogy", "cat", "dog", "mat"),
    ],
)
@pytest.mark.parametrize("kind", ["sentence-encoder", "text-vae"])
def test_a_verb_says_what_it_needs(encoder, kind, arguments, capsys):
    assert run(*arguments, "--model", encoder if kind == "sentence-encoder" else "embedded-vae") == 2
    err = capsys.readouterr().err
    assert f"is a {kind}, and this needs a space " in err
    assert "Name another model" in err
