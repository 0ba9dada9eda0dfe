"""The verbs of text VAEs: what they print and write, what a stopped run says, and one line for every bad input."""

import json
import os
import shutil
import signal
from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from lexframe.cli import vae_train
from lexframe.cli.main import main
from lexframe.cli.vae_inputs import amounts_of
from lexframe.exceptions import InputError
from lexframe.instruments import load_direction
from lexframe.latents import LatentStore
from lexframe.spaces import TextVAESpace
from lexframe.spaces.vae_files import save_text_vae
from lexframe.training.text_vae import TextVAEProgress
from lexframe.training.vae_plan import TextVAEPlan
from tests.spaces.test_text_vae import tiny_vae
from tests.training.test_text_vae import sentences

TINY = (
    *("--n-latent", 4, "--memory-tokens", 2, "--vocab-size", 300, "--d-model", 32, "--encoder-layers", 1, "--decoder-layers", 1),
    *("--max-tokens", 20, "--batch-size", 16, "--n-validations", 4, "--n-importance-samples", 3, "--precision", "float32"),
    *("--free-nats", 2, "--epochs", 2),
)


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


def refused(capsys, *arguments):
    """The one line that a call ends with."""
    capsys.readouterr()
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.strip().splitlines()[-1]


def lines_file(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return lines_file(tmp_path_factory.mktemp("corpus") / "texts.txt", [*sentences(240), "", "the " * 30, "  "])


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """Folder of a run."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert run("vae", "train", corpus, "--out", out, *TINY) == 0
    return out


@pytest.fixture(scope="module")
def model(trained):
    return trained / "model"


@pytest.fixture(scope="module")
def labelled(corpus):
    rows = [f"{text},{text.split()[1]}" for text in sentences(60)]
    return lines_file(corpus.with_name("labelled.csv"), ["text,subject", *rows])


@pytest.fixture(scope="module")
def poles(corpus):
    texts = sentences(240)
    return tuple(
        lines_file(corpus.with_name(f"{name}.txt"), [text for text in texts if word in text][:20])
        for name, word in (("rain", "rain"), ("snow", "snow"))
    )


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
    assert "no sentence is both" in refused(capsys, "vae", "sentences", shards[0], "--out", out, "--min-words", 9, "--max-words", 3)
    assert out.read_text() == "The cat sat on the mat.\n"


def test_defaults_are_those_of_the_plan_and_every_setting_has_an_option(corpus, tmp_path, monkeypatch):
    plans = []

    def pretend(plan, texts, column, out):
        plans.append(plan)
        raise InputError("far enough")

    monkeypatch.setattr(vae_train, "_trained", pretend)
    assert run("vae", "train", corpus, "--out", tmp_path / "run", "--minutes", 3) == 2
    assert plans[0] == TextVAEPlan(max_minutes=3.0)
    wanted = {
        **dict.fromkeys(("n_latent", "memory_tokens", "n_queries", "encoder_layer", "max_tokens", "vocab_size", "d_model"), 3),
        **dict.fromkeys(("n_heads", "encoder_layers", "decoder_layers", "cycles", "batch_size", "n_validations", "seed"), 5),
        **dict.fromkeys(("dropout", "kl_weight", "warm_share", "rise_share", "free_nats", "word_dropout", "lr", "least_nats"), 0.375),
        **dict.fromkeys(("word_dropout_end", "bag_of_words", "bag_of_words_end", "weight_decay", "matrix_lr", "epochs"), 0.625),
        "n_importance_samples": 7,
        "n_training_samples": 6,
        "importance_share": 0.25,
        "writing_share": 0.5,
        "initial_model": "vae",
        "precision": "bfloat16",
        "encoder": "bert",
        "decoder": "gpt",
        "minutes": 9.0,
    }
    given = [part for name, value in wanted.items() for part in (f"--{name.replace('_', '-')}", value)]
    flags = ("--freeze-encoder", "--freeze-decoder", "--no-scale-shift")
    assert run("vae", "train", corpus, "--out", tmp_path / "run", *given, *flags) == 2
    names = {"cycles": "n_cycles", "epochs": "max_epochs", "minutes": "max_minutes"}
    expected = {names.get(name, name): value for name, value in wanted.items()}
    expected |= {"train_encoder": False, "train_decoder": False, "scale_shift": False}
    assert asdict(plans[1]) == expected
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
    assert "n_latent=4 (now 8), lr=0.004 (now 0.01)" in changed
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
MEASURED = {"reconstruction": 22.0, "kl": 0.02, "bound": 21.5, "active": 1, "best": True}


def test_the_line_on_a_terminal_is_rewritten_and_a_collapse_is_said_once(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    lines = vae_train.TrainingLines(4)
    lines(STEP)
    assert terminal.written == "\r 45%  step 1,200  KL weight 1.00  rec 21.25  KL 0.10\033[K"
    lines(replace(STEP, validation=MEASURED, warning="collapsed"))
    assert "rec 21.25  KL 0.10 | held out: rec 22.00  KL 0.02  active 1/4  bound 21.50 (best)\033[K" in terminal.written
    assert terminal.written.count("The latent has collapsed: at full KL weight it holds 0.02 nats a text") == 1
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
        ([f"{'long ' * 30}{number}" for number in range(200)], "Every text is longer than 20 tokens"),
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
    assert "must be trained" in refused(capsys, "vae", "train", corpus, *out, *TINY, "--freeze-decoder")
    assert "no way into the decoder" in refused(capsys, "vae", "train", corpus, *out, *TINY, "--memory-tokens", 0, "--no-scale-shift")
    assert "cannot be written" in refused(capsys, "vae", "train", corpus, "--out", corpus, *TINY)


def test_other_scripts_and_a_plain_language_model(tmp_path, capsys):
    words = ["кошка", "犬", "طائر", "ปลา", "ίππος"]
    texts = [f"{words[i % 5]} {words[i // 5 % 5]} {words[i // 25 % 5]} {i % 3}" for i in range(300)]
    rows = [json.dumps({"satz": text}, ensure_ascii=False) for text in texts]
    file = lines_file(tmp_path / "texts.jsonl", rows)
    short = ("--text", "satz", *TINY, "--max-tokens", 60, "--epochs", 0.2)
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


def test_reconstruct(model, trained, tmp_path, capsys):
    texts = sentences(12)
    assert run("vae", "reconstruct", model, *texts[:3], "the " * 30, "--json") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    space = TextVAESpace(str(model))
    assert document["reconstructions"] == space.decode(space.encode(document["texts"]))
    assert document["is_cut"] == [False, False, False, True]
    assert document["summary"]["n_cut"] == 1
    assert "1 of 4 texts are longer than the 20 tokens" in err
    file = lines_file(tmp_path / "texts.txt", texts)
    assert run("vae", "reconstruct", trained, "--input", file) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 24
    assert f"its model is {model}" in err
    assert "word accuracy" in err
    assert run("vae", "reconstruct", model, texts[0]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert "either as arguments or with --input" in refused(capsys, "vae", "reconstruct", model)
    assert "either as arguments or with --input" in refused(capsys, "vae", "reconstruct", model, "x", "--input", file)


def test_points_of_a_store_are_decoded_and_those_of_another_model_are_not(model, corpus, tmp_path, capsys):
    store = tmp_path / "latents"
    assert run("encode", corpus, "--model", model, "--out", store) == 0
    capsys.readouterr()
    assert run("vae", "reconstruct", model, "--points", store, "--where", "n_tokens < 12", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == len(LatentStore(store).points(where="n_tokens < 12")) > 0
    space = TextVAESpace(str(model))
    assert [row["decoded"] for row in rows] == space.decode(space.encode([row["text"] for row in rows]))
    assert run("vae", "reconstruct", model, "--points", store) == 0
    assert "points of" in capsys.readouterr().err
    other = save_text_vae(tiny_vae(seed=3), tmp_path / "other")
    assert "but the space given is" in refused(capsys, "vae", "reconstruct", other, "--points", store)
    assert "not both" in refused(capsys, "vae", "reconstruct", model, "x", "--points", store)
    assert "no such store" in refused(capsys, "vae", "reconstruct", model, "--points", tmp_path / "none")


def test_samples_of_the_prior_and_of_a_class(model, corpus, labelled, capsys):
    writing = ("-n", 6, "--temperature", 0.8, "--top-p", 0.9)
    assert run("vae", "sample", model, *writing, "--seed", 3) == 0
    first = capsys.readouterr()
    assert len(first.out.splitlines()) == 6
    assert "R²" in first.err
    assert run("vae", "sample", model, *writing, "--seed", 3) == 0
    assert capsys.readouterr().out == first.out
    assert run("vae", "sample", model, *writing, "--seed", 4) == 0
    assert capsys.readouterr().out != first.out
    drawn = ("--labels", labelled, "--label", "subject", "--class", "dog")
    assert run("vae", "sample", model, *writing, *drawn, "--nearest", corpus, "--held-out", corpus, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["label"] == "dog"
    assert len(document["memorisation"]["samples"]["nearest"]) == 6
    assert document["memorisation"]["held_out"]["summary"]["copied_share"] == 1.0
    assert run("vae", "sample", model, "-n", 1, "--nearest", corpus) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "training texts" in err
    assert "'ox' is no class here; the classes are" in refused(capsys, "vae", "sample", model, *drawn[:-1], "ox")
    assert "both --class LABEL and --labels FILE" in refused(capsys, "vae", "sample", model, "--class", "dog")
    assert "give both" in refused(capsys, "vae", "sample", model, "--held-out", corpus)
    assert "top_p 2.0" in refused(capsys, "vae", "sample", model, "--top-p", 2)


def test_interpolation(model, capsys):
    ends = sentences(2)
    assert run("vae", "interpolate", model, *ends, "--steps", 5, "--path", "spherical", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["path"], len(document["texts"])) == ("spherical", 5)
    assert run("vae", "interpolate", model, *ends, "--steps", 5) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 7
    assert "smoothness" in err or "decoded to one text" in err
    assert run("vae", "interpolate", model, ends[0], ends[0]) == 0
    assert "have one point" in capsys.readouterr().err
    assert run("vae", "interpolate", model, ends[0], ends[0], "--json") == 0
    assert json.loads(capsys.readouterr().out)["smoothness"] is None
    assert "linear, spherical" in refused(capsys, "vae", "interpolate", model, *ends, "--path", "straight")
    assert run("vae", "interpolate", model, ends[0]) == 2


def test_edits(model, labelled, poles, tmp_path, capsys):
    texts = sentences(5)
    saved = tmp_path / "rain"
    sides = ("--positive", poles[0], "--negative", poles[1])
    assert run("vae", "edit", model, *texts, *sides, "--save", saved, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["provenance"]["parameters"]["edit"] == "MeanDifferenceEdit"
    assert document["provenance"]["parameters"]["target"] == "positive"
    space = TextVAESpace(str(model))
    means = [space.encode(path.read_text().splitlines()).mean(axis=0) for path in poles]
    direction = load_direction(saved)
    np.testing.assert_allclose(direction.vector(0), means[0] - means[1], atol=1e-5)
    assert (direction.positive, direction.negative) == ("positive", "negative")
    assert run("vae", "edit", model, *texts, "--direction", saved, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["edited"] == document["edited"]
    assert again["summary"]["edit_in_target"] is None
    several = ("--labels", labelled, "--label", "subject", "--towards", "dog")
    for method in ("mean-difference", "classifier"):
        assert run("vae", "edit", model, *texts, *several, "--method", method, "--strength", 0.5, "--json") == 0
        document = json.loads(capsys.readouterr().out)
        assert document["provenance"]["parameters"]["target"] == "dog"
        assert document["provenance"]["parameters"]["strength"] == 0.5
        assert all(0 < value < 1 for value in document["edited_point_probabilities"])
    file = lines_file(tmp_path / "texts.txt", texts)
    assert run("vae", "edit", model, "--input", file, *sides, "--strength", 0) == 0
    out, err = capsys.readouterr()
    assert out.count("  edited  ") == 5 + 1
    assert "moved by 0.00" in err
    rows = [f"{text},{text.split()[1]},{text.split()[2]},{text.split()[-1]}" for text in sentences(60)]
    wide = lines_file(tmp_path / "wide.csv", ["text,subject,verb,number", *rows])
    assert run("vae", "edit", model, *texts, "--labels", wide, "--label", "subject", "--towards", "dog", "--keep", "verb", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["provenance"]["parameters"]["edit"] == "MatchedDifferenceEdit"
    assert document["provenance"]["parameters"]["n_groups"] == len({text.split()[2] for text in sentences(60)})


def test_edits_that_cannot_be(model, labelled, poles, tmp_path, capsys):
    call = ("vae", "edit", model, "the cat sees rain 1")
    sides = ("--positive", poles[0], "--negative", poles[1])
    several = ("--labels", labelled, "--label", "subject", "--towards")
    one = lines_file(tmp_path / "one.txt", ["one text"])
    assert run(*call, *sides, "--save", tmp_path / "rain") == 0
    other = save_text_vae(tiny_vae(seed=3), tmp_path / "other")
    for arguments, message in (
        ((), "in one way"),
        (("--positive", poles[0]), "in one way"),
        (("--labels", labelled), "in one way"),
        ((*sides, *several, "dog"), "in one way"),
        ((*several, "ox"), "'ox' is no class here"),
        ((*sides, "--method", "magic"), "mean-difference, classifier"),
        ((*sides, "--strength", "nan"), "finite number"),
        (("--positive", poles[0], "--negative", poles[0]), "same mean point"),
        (("--positive", poles[0], "--negative", one), "the class 'negative' has one text"),
        (("--direction", tmp_path / "none"), "holds no direction"),
        ((*sides, "--method", "classifier", "--save", tmp_path / "d"), "--save keeps one mean difference"),
        (("--labels", labelled, "--label", "colour", "--towards", "red"), "no field 'colour'"),
        ((*several, "dog", "--keep", "colour"), "no field 'colour'"),
        ((*several, "dog", "--keep", "text"), "No label to keep stands at 10 points"),
        ((*several, "dog", "--keep", "subject", "--method", "classifier"), "Only differences of means"),
        ((*several, "dog", "--keep", "subject", "--save", tmp_path / "d"), "and no --keep"),
        ((*sides, "--keep", "subject"), "--keep names columns of --labels"),
    ):
        assert message in refused(capsys, *call, *arguments), arguments
    assert "two models" in refused(capsys, "vae", "edit", other, "the cat", "--direction", tmp_path / "rain")


def test_traversal(model, capsys):
    text = sentences(1)[0]
    assert run("vae", "traverse", model, text, "--dims", "0,3", "--amounts", "-3..3", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["axes"] == ["0", "3"]
    assert document["amounts"] == [-3, -2, -1, 0, 1, 2, 3]
    assert {row[3] for row in document["texts"]} == {document["reconstruction"]}
    assert run("vae", "traverse", model, text, "--amounts", "-0.5,2", "--absolute") == 0
    out = capsys.readouterr().out
    assert out.count("dimension ") == 4
    assert out.count("-0.5") == 4
    for option, value in (("--dims", "a"), ("--dims", "0,9"), ("--amounts", "3..-3"), ("--amounts", "x"), ("--amounts", "1..y")):
        assert run("vae", "traverse", model, text, option, value) == 2
    assert "no dimension 9" in refused(capsys, "vae", "traverse", model, text, "--dims", "9")


def test_numbers_of_a_range():
    assert amounts_of("--amounts", "-1..2") == [-1, 0, 1, 2]
    assert amounts_of("--amounts", " -1.5, 2") == [-1.5, 2]
    with pytest.raises(InputError, match=r"--amounts is '2\.\.1'"):
        amounts_of("--amounts", "2..1")


def test_models_that_are_no_text_vae(tmp_path, capsys):
    from tests.tiny_models import tiny_model, tiny_tokenizer

    tiny_model("llama").save_pretrained(tmp_path / "lm")
    tiny_tokenizer().save_pretrained(tmp_path / "lm")
    for name in (tmp_path / "lm", "embedded"):
        assert "is a language model and no text VAE" in refused(capsys, "vae", "sample", name)
    assert "no vae.json" in refused(capsys, "vae", "sample", tmp_path / "nowhere")
    assert "no latent" in refused(capsys, "vae", "sample", save_text_vae(tiny_vae(n_latent=0), tmp_path / "plain"))


def test_what_a_model_writes_cannot_steer_the_terminal(model, monkeypatch, capsys):
    monkeypatch.setattr(TextVAESpace, "decode", lambda self, points, **options: ["\x1b[2J a\nb\x07"] * len(points))
    assert run("vae", "sample", model, "-n", 1) == 0
    assert capsys.readouterr().out == "  �[2J a b�\n"
