"""Verbs are found in tables and in other packages, and say the same words for the same things."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lexframe.__main__
import lexframe.cli.verbs
from lexframe.cli.main import VERBS, app, main
from lexframe.cli.verbs import Group, plug_ins
from tests.cli.verbs import commands

SRC = Path(lexframe.__file__).parent
MEANINGS = {
    "--model": "model of --model",
    "--text": "Column that holds the texts.",
    "--pair": "Column of the second text, where rows hold two.",
    "--json": "Print one JSON document.",
    "--report": "HTML file for the report.",
}
OLD = (
    "--labels",
    "--layers",
    "--seeds",
    "--lower",
    "--pool",
    "--top",
    "--sheet",
    "--save",
    "--nearest",
    "--restrict",
    "--text-column",
    "--most",
    "-n",
    "-k",
)


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.fixture(scope="module")
def verbs():
    return commands(app)


def entries(group):
    for entry in group.verbs.values():
        yield from entries(entry) if isinstance(entry, Group) else [entry]


def test_every_verb_is_built_and_says_what_it_does(verbs):
    assert len(verbs) == len([*entries(VERBS)])
    assert all(verb.help for verb in verbs.values())
    options = [(name, each) for name, verb in verbs.items() for each in verb.params if each.param_type_name == "option"]
    assert [f"{name} {each.opts}" for name, each in options if not each.help] == []


def test_a_file_holds_one_verb(verbs):
    homes = [entry.split(":")[0] for entry in entries(VERBS)]
    assert {home for home in homes if homes.count(home) > 1} == {"store"}  # nine of a few lines each


def test_the_same_word_is_the_same_option_in_every_verb(verbs):
    for name, verb in verbs.items():
        options = {option: each for each in verb.params if each.param_type_name == "option" for option in each.opts}
        assert "--json" in options, name
        assert not set(options) & set(OLD), name
        for option in set(options) & {"--text", "--pair", "--json", "--report"}:
            assert options[option].help == MEANINGS[option], f"{name} {option}"
        if "--model" in options:
            assert "-m" in options, name
        if "--label" in options:
            assert re.match(r"Column that holds the (labels|category)\.", options["--label"].help), name
        if "--limit" in options:
            assert options["--limit"].min in (1, 2), name


def test_options_reach_the_verb_under_the_name_that_errors_use(verbs):
    for name, verb in verbs.items():
        for each in verb.params:
            long = [option for option in each.opts if option.startswith("--")]
            special = ("as_json", "as_text", "id_column", "class_name", "map_method", "file", "models")
            if each.param_type_name == "option" and each.name not in special:
                assert long == [f"--{each.name.replace('_', '-')}"], name


def test_a_page_of_help_shows_choices_and_names_and_no_types(verbs, capsys):
    for name in verbs:
        assert run(*name.split(), "-h") == 0
        page = capsys.readouterr().out
        shown = [line for line in page.splitlines() if line.startswith("  -")]
        assert not [line for line in shown if re.search(r"<(str|int|path|float|list)\b(?!\d)[^|]*>", line)], name
        assert not re.search(r"\{[a-z]", page.splitlines()[0]), name
    assert run("neighbors", "-h") == 0
    assert "<cosine|standardized|inner-product|euclidean|whitened>" in capsys.readouterr().out


def test_what_is_typed_wrong_is_one_line_that_names_the_page(capsys):
    for arguments, says in (
        (("neighbors",), "lexframe neighbors: missing argument 'STORE'"),
        (("neighbors", "x", "--limit", "many"), "expected a whole number"),
        (("neighbors", "x", "--metric", "near"), "'near' is not one of 'cosine'"),
        (("neighbors", "x", "--metrik", "cosine"), "no such option: --metrik"),
    ):
        assert run(*arguments) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.endswith("See 'lexframe neighbors --help'.\n")
        assert said.count("\n") == 1


def test_it_runs_as_a_module_and_completes():
    assert lexframe.__main__.main is main
    shown = subprocess.run([sys.executable, "-m", "lexframe", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == lexframe.__version__
    asked = {"_LEXFRAME_COMPLETE": "complete_bash", "COMP_WORDS": "lexframe neighbors --me", "COMP_CWORD": "2"}
    code = "from lexframe.cli.main import main; main()"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked)
    assert found.stdout.split() == ["--metric"]


def test_a_file_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for place, says in ((tmp_path, "is a folder"), (tmp_path / "file" / "page.html", "is a file and no folder")):
        assert run("trace", "She opened", "-m", "./nowhere", "--report", place) == 2
        said = capsys.readouterr().err
        assert says in said
        assert "--report" in said


def test_files_and_numbers_are_refused_before_the_model_is_opened(tmp_path, capsys):
    (tmp_path / "few.txt").write_text("one\ntwo\n")
    few = str(tmp_path / "few.txt")
    for arguments, says in (
        (("trace", "She", "--lens", "nothing"), "is no lens"),
        (("trace", "She", " "), "Prompt 2 of 2 is empty"),
        (("steer", "She", "--words", "good"), "--against"),
        (("steer", "She", "--words", "good", "--against", "bad", "--layer", "deep"), "auto or a number"),
        (("steer", "She", "--positive", few, "--negative", few), "five or more"),
    ):
        assert run(*arguments, "-m", "./nowhere") == 2
        assert says in capsys.readouterr().err


def test_the_library_names_no_option():
    """Messages speak of parameters; only the command line knows what a person types."""
    found = []
    for path in sorted(SRC.rglob("*.py")):
        if path.is_relative_to(SRC / "cli"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            other = (
                "torch.distributed.run" in line or "control-vector" in line or "pip install" in line or "llama-gguf-split" in line
            )  # options of other programs
            if re.search(r"(?<![\w-])--[a-z]", line) and not other:
                found.append(f"{path.relative_to(SRC)}:{number} {line.strip()}")
    assert not found, "\n".join(found)


def test_what_is_no_verb_is_answered_with_those_that_are_near(capsys):
    assert run("adopt") == 2
    assert "Did you mean 'adapt'" in capsys.readouterr().err
    assert run("vae", "trian") == 2
    assert "Did you mean 'train'" in capsys.readouterr().err


COUNT = """
import typer

def count(texts: list[str], as_json: bool = False) -> None:
    \"\"\"Count the texts.\"\"\"
    typer.echo(len(texts))
"""


@pytest.fixture
def other_package(tmp_path, monkeypatch):
    """Installs a package that adds the verb ``count``, and one that would stand in the place of ``adapt``."""

    def install(source):
        name = f"count_{abs(hash(source))}"
        (tmp_path / f"{name}.py").write_text(source)
        facts = tmp_path / "lexframe_count-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: lexframe-count\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[lexframe.verbs]\ncount = {name}:count\nadapt = {name}:count\n")
        monkeypatch.syspath_prepend(tmp_path)
        plug_ins.cache_clear()

    yield install
    plug_ins.cache_clear()


def test_another_package_adds_a_verb(other_package, capsys):
    other_package(COUNT)
    assert run("count", "a", "b") == 0
    assert capsys.readouterr().out == "2\n"
    assert run("--help") == 0
    assert "From the package lexframe-count." in capsys.readouterr().out
    assert run("vae", "--help") == 0
    assert "lexframe-count" not in capsys.readouterr().out  # it is a verb, and none of a group
    assert run("adapt") == 2  # ours stays ours
    assert "TRAIN" in capsys.readouterr().err.upper()


@pytest.mark.parametrize("source", ["import nothing_of_that_name", "syntax = = 2", "raise OSError('two\\nlines')", "count = 3", "x = 1"])
def test_a_broken_package_is_one_line_and_hurts_nobody_else(other_package, source, capsys):
    other_package(source)
    assert run("--help") == 0
    assert "From the package lexframe-count." in capsys.readouterr().out
    assert run("models", "--json") == 0
    capsys.readouterr()
    assert run("count", "a") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert re.match(r"lexframe: The verb 'count' of count_\d+:count cannot be loaded", err)


def test_models_lists_what_ships(capsys):
    import json

    assert run("models", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    cards = {card["name"]: card for card in document["models"] if card["source"] == "lexframe" and card["kind"] != "tfidf"}
    assert set(cards) == {"embedded", "embedded-vae"}
    assert all(card["megabytes"] > 10 and "Apache-2.0" in card["licence"] for card in cards.values())
    assert all(card["n_parameters"] > 6e6 and len(card["hash"]) == 64 and card["is_here"] for card in cards.values())
    assert cards["embedded"]["use"].startswith("A decoder of the Llama type")
    assert run("models") == 0
    shown, notes = capsys.readouterr()
    assert "embedded-vae" in shown
    assert "HUB ID" in notes
