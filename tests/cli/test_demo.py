"""``lexframe demo`` as a newcomer meets it, on planted messages instead of a thousand."""

import json
from dataclasses import replace

import pytest

from lexframe.cli import demo as module
from lexframe.spaces import model_list
from tests.cli.test_main import run
from tests.planted import planted_table


@pytest.fixture
def few_messages(monkeypatch):
    tables = {"train": planted_table(12, 0), "test": planted_table(6, 1)}
    monkeypatch.setattr("lexframe.data.desk", lambda part: tables[part])


def test_all_at_once_beside_each_alone_and_points_are_kept(few_messages, tmp_path, model, capsys):
    arguments = ("demo", "--out", str(tmp_path / "out"), "--model", model, "--model", "tfidf", "--json")
    assert run(*arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"posterior", f"posterior ({model})", "posterior (tfidf)", "tfidf", f"logistic ({model})"} <= set(document["methods"])
    assert (tmp_path / "out" / "report.html").exists()
    assert (tmp_path / "out" / "adapter").is_dir()
    assert len(list((tmp_path / "out" / "points").iterdir())) == 2
    before = document["encode_seconds"]
    assert run(*arguments) == 0
    assert json.loads(capsys.readouterr().out)["encode_seconds"] == before  # nothing was read again


def test_what_is_not_installed_is_left_out_in_one_line(monkeypatch, capsys):
    listed = model_list.named_models()
    for missing, left in ((("minilm",), ["smollm2", "tfidf"]), (("smollm2",), ["embedded"]), ((), list(module.VIEWS))):
        made = [replace(each, is_here=each.name not in missing, install="pip install it") for each in listed]
        monkeypatch.setattr(model_list, "named_models", lambda made=made: made)
        assert module._installed() == left
        said = capsys.readouterr().err
        assert all(f"{name} is not installed" in said for name in missing)
