"""``lexframe vae score``: the table, the document, the report, and one line when something is wrong."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from lexframe.cli.main import app
from lexframe.cli.vae.inputs import model_folder
from lexframe.cli.vae.score import importance_samples, run_names
from lexframe.exceptions import DataError, InputError, LexframeError, ModelError
from lexframe.generative.score.vae_score import ScoreSettings, score_text_vae
from lexframe.spaces import TextVAESpace
from lexframe.spaces.text_vae.files import load_text_vae, save_text_vae
from lexframe.training.text_vae.data import split_texts
from lexframe.training.text_vae.plain_likelihood import plain_nats
from lexframe.training.text_vae.plan import plain_language_model
from lexframe.training.text_vae.run import TextVAETraining
from tests.spaces.text_vae.test_space import tiny_vae
from tests.tiny_models import tiny_model, tiny_tokenizer
from tests.training.text_vae.test_run import TINY, sentences

QUICK = (
    *("--n-importance-samples", "1,4", "--n-samples", "6", "--language-model", "none"),
    *("--limit", "50", "--n-bound-texts", "10", "--n-decoded-texts", "20"),
)


def run(*arguments):
    return CliRunner().invoke(app, ["vae", "score", *map(str, arguments)])


def error_of(*arguments):
    found = run(*arguments).exception
    assert isinstance(found, LexframeError), found
    assert "\n" not in str(found)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained text VAE, a plain language model, and files of texts."""
    folder = tmp_path_factory.mktemp("score")
    texts, plan = split_texts(sentences(), seed=0), replace(TINY, max_epochs=1.0, n_validations=2)
    TextVAETraining(plan, texts, folder / "run").run()
    TextVAETraining(plain_language_model(plan), texts, folder / "plain").run()
    for name, some in (("training", texts.training), ("held", [f"{text} <b>" for text in sentences(80, seed=1)])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"caption": text}) + "\n" for text in some))
    return folder


def test_the_table_the_report_and_the_document_agree(folder, tmp_path):
    given = (folder / "run", folder / "held.jsonl", "--text", "caption", *QUICK)
    page = tmp_path / "page.html"
    options = ("--training", folder / "training.jsonl", "--plain", folder / "plain")
    reported = run(*given, *options, "--run", folder / "run", "--run", folder / "plain", "--report", page)
    assert reported.exit_code == 0, reported.exception
    assert f"report: {page}" in reported.stderr
    found = json.loads(run(*given, *options, "--json").stdout)
    texts = [json.loads(line)["caption"] for line in (folder / "held.jsonl").read_text().splitlines()]
    space, plain = TextVAESpace(str(folder / "run" / "model")), load_text_vae(str(folder / "plain" / "model"))
    sizes = {"n_samples": 6, "n_texts": 50, "n_bound_texts": 10, "n_decoded_texts": 20, "n_importance_samples": (1, 4)}
    training = [json.loads(line)["caption"] for line in (folder / "training.jsonl").read_text().splitlines()]
    alone = score_text_vae(
        space,
        texts,
        training_texts=training,
        plain_language_model=plain_nats(plain, texts),
        settings=ScoreSettings(language_model=None, **sizes),
    )
    for part in ("kl", "likelihood", "information", "samples", "memorization"):
        assert found[part] == json.loads(json.dumps(alone.to_dict()))[part], part
    assert found["plain"]["difference"]["value"] == pytest.approx(alone.plain.difference.value, abs=1e-4)
    shown = reported.stdout
    for name, value in (("KL", alone.kl.value), ("bound of 4 samples", alone.likelihood.bounds[1].nats_per_text.value)):
        (line,) = [line for line in shown.splitlines() if line.strip().startswith(f"{name} (nats a text)  ")]
        assert f" {value:.2f} " in line
    for warning in alone.warnings:
        assert f"warning: {warning}" in reported.stderr
    written = page.read_text(encoding="utf-8")
    assert written.count("<svg") == 5
    for heading in ("How training went", "From one text to another", "The dimensions with most KL", "nearest training text"):
        assert heading in written
    assert "<b>run</b>" not in written
    assert "&lt;b&gt;" in written


def test_samples_are_compared_by_a_language_model(folder, tmp_path):
    tiny_model("llama").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    given = (
        folder / "run" / "model",
        folder / "held.jsonl",
        "--text",
        "caption",
        *QUICK,
        "--n-importance-samples",
        "1",
        "--language-model",
        tmp_path,
    )
    found = json.loads(run(*given, "--json").stdout)
    assert found["sample_perplexity"]["n_texts"] == found["real_perplexity"]["n_texts"] == 6
    assert (found["plain"], found["memorization"]) == (None, None)
    assert found["provenance"]["parameters"]["n_importance_samples"] == [1]


def test_what_is_wrong_is_one_line(folder, tmp_path):
    held = (folder / "held.jsonl", "--text", "caption", *QUICK)
    run_folder = folder / "run"
    for number in ("1,x", "0", ""):
        with pytest.raises(InputError, match="--n-importance-samples is"):
            importance_samples(number)
    assert isinstance(error_of(run_folder, *held, "--n-importance-samples", "many"), InputError)
    assert isinstance(error_of(tmp_path, *held), ModelError)
    assert "has no latent" in str(error_of(folder / "plain", *held))
    assert isinstance(error_of(run_folder, folder / "held.jsonl"), DataError)  # there is no column named text
    assert "has a latent of 4 dimensions" in str(error_of(run_folder, *held, "--plain", run_folder))
    assert "cannot be read as a log" in str(error_of(run_folder, *held, "--run", tmp_path))
    other = save_text_vae(tiny_vae(n_latent=0, max_tokens=3), tmp_path / "short")
    assert "cut by one of the two models only" in str(error_of(run_folder, *held, "--plain", other))
    (tmp_path / "one.txt").write_text("the cat sees rain 1\n")
    assert "1 text to score" in str(error_of(run_folder, tmp_path / "one.txt", *QUICK))


def test_names_of_models_and_runs(folder, tmp_path, monkeypatch):
    assert model_folder(str(folder / "run")) == str(folder / "run" / "model")
    assert model_folder("elsewhere") == "elsewhere"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "embedded-vae" / "model").mkdir(parents=True)
    (tmp_path / "embedded-vae" / "model" / "vae.json").write_text("{}")
    assert model_folder("embedded-vae") == "embedded-vae"  # the one that comes along
    assert run_names([tmp_path / "a" / "x", tmp_path / "y"]) == {"x": tmp_path / "a" / "x", "y": tmp_path / "y"}
    assert set(run_names([tmp_path / "a" / "x", tmp_path / "b" / "x"])) == {str(tmp_path / "a" / "x"), str(tmp_path / "b" / "x")}
