"""Making sentences and training on them: what is printed, what a stopped run says, and one line for every bad input."""

import json
import os
import shutil
import signal
from dataclasses import asdict, fields, replace

import pytest

from lexframe.cli.bundles import named_as_options
from lexframe.cli.vae import train as vae_train
from lexframe.exceptions import InputError
from lexframe.training.text_vae.log import TextVAEProgress
from lexframe.training.text_vae.plan import TextVAEPlan
from tests.cli.vae.calls import TINY, lines_file, refused, run
from tests.training.text_vae.test_run import sentences


def test_sentences_of_shards(tmp_path, capsys):
    shards = [tmp_path / "a.txt", tmp_path / "b.jsonl"]
    shards[0].write_text("The cat sat on the mat. A dog! The cat sat on the mat. It cost 5 pounds in all, Sir.\n")
    shards[1].write_text(json.dumps({"body": "The dog sat on the mat too."}) + "\n")
    out = tmp_path / "sentences.txt"
    assert run("vae", "sentences", *shards, "--text", "body", "--out", out, "--n-common", 0, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"n_found": 3, "n_kept": 2, "sentences": str(out)}
    assert out.read_text() == "The cat sat on the mat.\nThe dog sat on the mat too.\n"
    assert run("vae", "sentences", shards[0], "--out", out) == 0
    assert "kept" in capsys.readouterr().out
    assert "ends in .txt" in refused(capsys, "vae", "sentences", shards[0], "--out", tmp_path / "x.csv")
    assert "no such file" in refused(capsys, "vae", "sentences", shards[0], tmp_path / "none.txt", "--out", out)
    before = shards[0].read_text()
    assert "would be written over" in refused(capsys, "vae", "sentences", *shards, "--text", "body", "--out", tmp_path / "." / "a.txt")
    assert shards[0].read_text() == before
    assert "no sentence is both" in refused(capsys, "vae", "sentences", shards[0], "--out", out, "--min-words", 9, "--max-words", 3)
    assert out.read_text() == "The cat sat on the mat.\n"


def test_defaults_are_those_of_the_plan_and_every_setting_has_an_option(corpus, tmp_path, monkeypatch):
    plans = []

    def pretend(plan, texts, out):
        plans.append(plan)
        raise InputError("far enough")

    monkeypatch.setattr(vae_train, "_trained", pretend)
    assert run("vae", "train", corpus, "--out", tmp_path / "run", "--max-minutes", 3) == 2
    assert plans[0] == TextVAEPlan(max_minutes=3.0)
    assert run("vae", "train", corpus, "--out", tmp_path / "run", "--max-minutes", 3, "--kl-weight", 0, "--importance-share", 0) == 2
    assert plans[1].kl_weight == 0
    wanted = {
        **dict.fromkeys(("n_latent", "memory_tokens", "n_queries", "encoder_layer", "max_tokens", "vocab_size", "d_model"), 3),
        **dict.fromkeys(("n_heads", "encoder_layers", "decoder_layers", "n_cycles", "batch_size", "n_validations", "seed"), 5),
        **dict.fromkeys(("dropout", "warm_share", "rise_share", "free_nats", "word_dropout", "lr", "least_nats"), 0.375),
        **dict.fromkeys(("word_dropout_end", "bag_of_words", "bag_of_words_end", "weight_decay", "matrix_lr", "max_epochs"), 0.625),
        "n_importance_samples": 7,
        "n_training_samples": 6,
        "importance_share": 0.25,
        "writing_share": 0.5,
        "initial_model": "vae",
        "precision": "bfloat16",
        "encoder": "bert",
        "decoder": "gpt",
        "max_minutes": 9.0,
    }
    given = [part for name, value in wanted.items() for part in (f"--{name.replace('_', '-')}", value)]
    flags = ("--no-train-encoder", "--no-train-decoder", "--no-scale-shift")
    assert run("vae", "train", corpus, "--out", tmp_path / "run", *given, *flags) == 2
    expected = wanted | {"kl_weight": 1.0, "train_encoder": False, "train_decoder": False, "scale_shift": False}
    assert asdict(plans[2]) == expected
    assert {field.name for field in fields(TextVAEPlan)} == set(expected)


def test_training_says_what_it_did_and_goes_on_where_it_was(corpus, trained, tmp_path, capsys):
    capsys.readouterr()
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    assert run("vae", "train", corpus, "--out", out, *TINY) == 0
    shown, notes = capsys.readouterr()
    facts = json.loads((out / "model" / "training.json").read_text())
    best = facts["best"]
    assert f"bound (step {best['step']})" in shown
    assert f"{best['bound']:.2f}" in shown
    assert f"{best['active']} of 4" in shown
    rows = {line.rsplit("  ", 1)[0].strip(): line.split()[-1] for line in shown.splitlines() if line.strip()}
    assert (rows["left out: blank"], rows["left out: too long"]) == ("2", "1")
    assert int(rows["trained on"]) + int(rows["held out"]) == 240
    assert f"Going on from step {facts['steps']}" in notes
    assert "spent already" in notes
    more = (*TINY[:-1], 2.5)
    assert run("vae", "train", corpus, "--out", out, *more, "--json") == 0
    shown, notes = capsys.readouterr()
    document = json.loads(shown)
    assert document["steps"] > facts["steps"]
    assert document["model"] == str(out / "model")
    assert "100%  step" in notes
    assert "/4  bound" in notes
    assert "\r" not in notes  # nobody is watching: a line a validation


def test_a_run_starts_from_the_folder_of_another(corpus, trained, tmp_path, capsys):
    more = ("--initial-model", trained, "--max-epochs", 0.5, "--n-validations", 1, "--n-importance-samples", 2, "--precision", "float32")
    assert run("vae", "train", corpus, "--out", tmp_path / "run", *more) == 0
    assert "/4  bound" in capsys.readouterr().err
    facts = json.loads((tmp_path / "run" / "model" / "training.json").read_text())
    assert facts["plan"]["initial_model"] == str(trained / "model")
    said = refused(capsys, "vae", "train", corpus, "--out", tmp_path / "plain", *more, "--n-latent", 0)
    assert "--n-latent=0 (it has 4)" in said


def test_an_interrupted_run_says_how_to_go_on(corpus, tmp_path, monkeypatch, capsys):
    def interrupt(self, progress):
        self.n_reports += 1
        if progress.validation is not None:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(vae_train.TrainingLines, "__call__", interrupt)
        assert run("vae", "train", corpus, "--out", tmp_path / "run", *TINY) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "run the same command again to go on" in err.splitlines()[-1]
    assert "has not ended" in refused(capsys, "vae", "sample", tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()
    changed = refused(capsys, "vae", "train", corpus, "--out", tmp_path / "run", *TINY, "--n-latent", 8, "--lr", 0.01)
    assert "--n-latent=4 (now 8), --lr=0.004 (now 0.01)" in changed
    other = lines_file(tmp_path / "other.txt", sentences(200, seed=5))
    assert "other texts" in refused(capsys, "vae", "train", other, "--out", tmp_path / "run", *TINY)


class Terminal:
    """Standard error that a person watches."""

    def __init__(self):
        self.written = ""

    def isatty(self):
        return True

    def write(self, text):
        self.written += text

    def flush(self):
        pass


STEP = TextVAEProgress(
    step=1200,
    epoch=1.5,
    fraction=0.45,
    kl_weight=1.0,
    reconstruction=21.25,
    kl=0.1,
    validation=None,
    warning="",
    elapsed_seconds=9.0,
)
MEASURED = {"reconstruction": 22.0, "kl": 0.02, "bound": 21.5, "information": 0.01, "active": 1, "best": True}


def test_the_line_on_a_terminal_is_rewritten_and_a_collapse_is_said_once(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    lines = vae_train.TrainingLines(4)
    lines(STEP)
    assert terminal.written == "\r 45%  step 1,200  KL weight 1.00  rec 21.25  KL 0.10\033[K"
    lines(replace(STEP, validation=MEASURED, warning="collapsed"))
    assert "rec 21.25  KL 0.10 | held out: rec 22.00  KL 0.02  active 1/4  bound 21.50 (best)\033[K" in terminal.written
    assert terminal.written.count("The latent has collapsed: at full KL weight it tells 0.01 nats of a text") == 1
    assert "--free-nats" in terminal.written
    lines(STEP)  # between validations the last one stays, and the warning with it
    lines(replace(STEP, validation=MEASURED, warning="collapsed"))
    assert terminal.written.count("has collapsed") == 1
    lines(replace(STEP, validation=MEASURED))
    lines(replace(STEP, validation=MEASURED, warning="collapsed"))
    assert terminal.written.count("has collapsed") == 2
    monkeypatch.setenv("COLUMNS", "80")
    lines(STEP)  # a narrow terminal has room for what was measured on held-out texts
    assert terminal.written.endswith("\r 45%  KL weight 1.00 | held out: rec 22.00  KL 0.02  active 1/4  bound 21.50 (b\033[K")
    lines.end()
    assert terminal.written.endswith("\n")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([f"line {number}" for number in range(10)], "There are 10 distinct texts"),
        (["the same line"] * 500, "There are 1 distinct texts"),
        (["", "   "] * 200, "There are 0 distinct texts that are not blank, of 400"),
        (["one text"], "a latent needs 100 at least"),
        ([f"{'long ' * 30}{number}" for number in range(200)], "Of 200 texts 200 are longer than 20 tokens"),
    ],
    ids=["ten lines", "identical lines", "empty lines", "one text", "too long"],
)
def test_texts_that_no_latent_can_be_learned_from(lines, message, tmp_path, capsys):
    texts = lines_file(tmp_path / "texts.txt", lines)
    assert message in refused(capsys, "vae", "train", texts, "--out", tmp_path / "run", *TINY)


def test_plans_and_places_that_cannot_be(corpus, tmp_path, capsys):
    out = ("--out", tmp_path / "run")
    assert "no end" in refused(capsys, "vae", "train", corpus, *out)
    assert "no such file" in refused(capsys, "vae", "train", tmp_path / "none.txt", *out, *TINY)
    assert "Set --importance-share to 0" in refused(capsys, "vae", "train", corpus, *out, *TINY, "--kl-weight", 0)
    assert run("vae", "train", corpus, *out, *TINY, "--seed", -1) == 2
    assert "--n-heads is 0" in refused(capsys, "vae", "train", corpus, *out, *TINY, "--n-heads", 0)
    assert "must be trained" in refused(capsys, "vae", "train", corpus, *out, *TINY, "--no-train-decoder")
    assert "no way into the decoder" in refused(capsys, "vae", "train", corpus, *out, *TINY, "--memory-tokens", 0, "--no-scale-shift")
    assert "would be written over" in refused(capsys, "vae", "train", corpus, "--out", corpus, *TINY)


def test_other_scripts_and_a_plain_language_model(tmp_path, capsys):
    words = ["кошка", "犬", "طائر", "ปลา", "ίππος"]
    texts = [f"{words[i % 5]} {words[i // 5 % 5]} {words[i // 25 % 5]} {i % 3}" for i in range(300)]
    rows = [json.dumps({"satz": text}, ensure_ascii=False) for text in texts]
    file = lines_file(tmp_path / "texts.jsonl", rows)
    short = ("--text", "satz", *TINY, "--max-tokens", 60, "--max-epochs", 0.2)
    assert run("vae", "train", file, "--out", tmp_path / "run", *short) == 0
    capsys.readouterr()
    assert run("vae", "reconstruct", tmp_path / "run" / "model", texts[7], "--json") == 0
    assert json.loads(capsys.readouterr().out)["texts"] == [texts[7]]
    plain = tmp_path / "plain"
    assert run("vae", "train", file, "--out", plain, *short, "--n-latent", 0) == 0
    shown = capsys.readouterr().out
    assert "bound" in shown
    assert "active" not in shown
    assert "is a plain language model" in refused(capsys, "vae", "sample", plain / "model")


def test_errors_name_options_and_leave_paths_alone():
    said = "runs/max_tokens was made with max_tokens=3, not n_words. Raise max_tokens."
    options = {"max_tokens": "--max-tokens", "n_words": "--n-words"}
    expected = "runs/max_tokens was made with --max-tokens=3, not n_words. Raise --max-tokens."
    assert named_as_options(said, ("max_tokens", "seed"), options) == expected
    assert named_as_options(said, ("seed",), options) == said
