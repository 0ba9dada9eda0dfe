"""The shell of pretraining: what it prints, what it writes, and what it passes on."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from lexframe.cli.main import app
from lexframe.exceptions import DataError, InputError, ModelError
from tests.tiny_models import tiny_model, tiny_tokenizer
from tests.training.conftest import random_text


def call(*arguments):
    """Standard output of a call that ends well; errors come up as they were raised."""
    result = CliRunner().invoke(app, ["pretrain", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def text_file(tmp_path, rng):
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(random_text(rng, size) for size in (40, 300, 500, 3, 3000)), encoding="utf-8")
    return path


@pytest.fixture
def model_folder(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def pairs_file(tmp_path):
    rows = [{"good": "the cat sat", "bad": "sat cat the", "uid": uid, "term": "order"} for uid in ("p1", "p2")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_help_loads_no_heavy_package():
    help_page = "from lexframe.cli.main import app; app(['pretrain', '--help'], standalone_mode=False)"
    code = f"import sys; {help_page}; print(sorted({{'torch', 'transformers', 'numpy'}} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "tokenizer" in shown
    assert shown.splitlines()[-1] == "[]"


def test_corpus_then_tokenizer_then_tokens(text_file, tmp_path, monkeypatch):
    document = json.loads(call("corpus", text_file, "--out", tmp_path / "corpus", "--json"))
    assert (document["n_read"], document["n_kept"], document["dropped"]) == (5, 4, {"too short": 1})
    assert json.loads(call("corpus", text_file, "--out", tmp_path / "all", "--min-words", 1, "--json"))["n_kept"] == 5
    document = json.loads(call("tokenizer", tmp_path / "corpus", "--out", tmp_path / "tokenizer", "--vocab-size", 280, "--json"))
    assert document == {"tokenizer": str(tmp_path / "tokenizer"), "vocab_size": 280}

    given = {}

    def pretend(plan, tokens_file, tokenizer, out, *, n_processes):
        given.update(plan=plan, n_tokens=len(np.load(tokens_file)), n_processes=n_processes)
        (out / "model").mkdir()
        (out / "model" / "training.json").write_text(json.dumps({"steps": 3, "tokens": 24576, "seconds": 1.5}))
        return out / "model"

    monkeypatch.setattr("lexframe.training.language_model.launch.pretrain", pretend)
    options = [
        "--max-tokens",
        30_000,
        "--n-layers",
        2,
        "--d-model",
        64,
        "--matrix-lr",
        0.01,
        "--no-compile",
        "--n-processes",
        1,
        "--seed",
        4,
    ]
    printed = call("train", tmp_path / "corpus", "--tokenizer", tmp_path / "tokenizer", "--out", tmp_path / "run", *options)
    assert "24,576" in printed
    plan = given["plan"]
    assert (plan.max_tokens, plan.max_minutes, plan.n_layers, plan.d_model, plan.matrix_lr) == (30_000, None, 2, 64, 0.01)
    assert (plan.compile, plan.seed, given["n_processes"]) == (False, 4, 1)
    assert given["n_tokens"] == json.loads((tmp_path / "run" / "tokens.json").read_text())["n_tokens"]


def test_defaults_are_those_of_the_plan(text_file, tmp_path, monkeypatch):
    from lexframe.training.language_model.plan import PretrainingPlan

    tiny_tokenizer().save_pretrained(tmp_path / "tokenizer")
    plans = []

    def pretend(plan, *arguments, n_processes):
        plans.append(plan)
        raise InputError("far enough")

    monkeypatch.setattr("lexframe.training.language_model.launch.pretrain", pretend)
    with pytest.raises(InputError, match="far enough"):
        call("train", text_file, "--tokenizer", tmp_path / "tokenizer", "--out", tmp_path / "run", "--max-minutes", 3)
    assert plans == [PretrainingPlan(max_minutes=3.0)]


def test_a_run_without_an_end_is_refused_before_anything_is_written(text_file, tmp_path):
    with pytest.raises(InputError, match="has no end"):
        call("train", text_file, "--tokenizer", tmp_path, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_eval_as_a_table(model_folder, text_file, pairs_file):
    options = ["--corpus", text_file, "--blimp", pairs_file, "--samples", "--context", 32, "--max-bytes", 500]
    lines = call("eval", "--model", model_folder, *options).splitlines()
    names = [line[:13].rstrip() for line in lines]
    assert names[:7] == ["model", "parameters", "separator", "bits per byte", "  scored", "  windows", "minimal pairs"]
    assert names.count("sample") == 4
    assert {line[13:15] for line in lines} == {"  "}  # values stand in one column
    assert lines[1].endswith("in float32")
    assert "<s>" in lines[2]
    assert "500 bytes" in lines[4]
    assert "32 tokens, stride 16" in lines[5]


def test_eval_of_fewer_pairs_in_another_precision(model_folder, pairs_file):
    options = ["--blimp", pairs_file, "--max-pairs", 2, "--dtype", "bfloat16", "--json"]
    document = json.loads(call("eval", "--model", model_folder, *options))
    assert document["n_pairs"] == 2
    assert document["provenance"]["parameters"]["dtype"] == "bfloat16"


def test_eval_as_json_is_one_document(model_folder, text_file, pairs_file):
    options = ["--corpus", text_file, "--blimp", pairs_file, "--context", 32, "--stride", 8, "--max-bytes", 500, "--json"]
    document = json.loads(call("eval", "--model", model_folder, *options))
    assert isinstance(document["bits_per_byte"], float)
    assert isinstance(document["blimp"], float)
    assert (document["context"], document["stride"], document["samples"]) == (32, 8, None)
    assert document["model"] == str(model_folder)
    only_pairs = json.loads(call("eval", "--model", model_folder, "--blimp", pairs_file, "--json"))
    assert only_pairs["bits_per_byte"] is None
    assert only_pairs["blimp"] == document["blimp"]


def test_errors_come_up_from_below(model_folder, text_file, pairs_file, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        call("eval", "--model", model_folder, "--corpus", tmp_path / "none.txt")
    (tmp_path / "other.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"the field 'good' .* is missing"):
        call("eval", "--model", model_folder, "--blimp", tmp_path / "other.jsonl")
    with pytest.raises(ModelError, match="no such folder"):
        call("eval", "--model", tmp_path / "none", "--corpus", text_file)
    with pytest.raises(InputError, match="context is 512, but the model takes 64"):
        call("eval", "--model", model_folder, "--corpus", text_file)
    with pytest.raises(InputError, match="Nothing to evaluate"):
        call("eval", "--model", model_folder)
    with pytest.raises(DataError, match="no such file"):
        call("corpus", tmp_path / "none.txt", "--out", tmp_path / "corpus")
    with pytest.raises(DataError, match="need 258 or more"):
        call("tokenizer", text_file, "--out", tmp_path / "tokenizer", "--vocab-size", 10)
    assert not (tmp_path / "tokenizer").exists()
