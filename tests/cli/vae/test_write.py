"""Writing texts, points of a store and draws with a text VAE, and models that cannot."""

import json

from lexframe.latents import LatentStore
from lexframe.spaces import TextVAESpace
from lexframe.spaces.text_vae.files import save_text_vae
from tests.cli.vae.calls import lines_file, refused, run
from tests.spaces.text_vae.test_space import tiny_vae
from tests.training.text_vae.test_run import sentences


def test_reconstruct(model, trained, tmp_path, capsys):
    texts = sentences(12)
    assert run("vae", "reconstruct", model, *texts[:3], "the " * 30, "--json") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    space = TextVAESpace(str(model))
    assert document["reconstructions"] == space.decode(space.encode(document["texts"]))
    assert document["is_cut"] == [False, False, False, True]
    assert document["rates"]["n_cut"] == 1
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
    assert "no valid Unicode at character 0" in refused(capsys, "vae", "reconstruct", model, "\udcff abc")
    assert "they need --points" in refused(capsys, "vae", "reconstruct", model, "x", "--where", "n_tokens < 3")
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


def test_samples_of_the_prior_and_of_a_class(model, corpus, labeled, capsys):
    writing = ("--limit", 6, "--temperature", 0.8, "--top-p", 0.9)
    assert run("vae", "sample", model, *writing, "--seed", 3) == 0
    first = capsys.readouterr()
    assert len(first.out.splitlines()) == 6
    assert "R²" in first.err
    assert run("vae", "sample", model, *writing, "--seed", 3) == 0
    assert capsys.readouterr().out == first.out
    assert run("vae", "sample", model, *writing, "--seed", 4) == 0
    assert capsys.readouterr().out != first.out
    drawn = ("--labeled", labeled, "--label", "subject", "--class", "dog")
    assert run("vae", "sample", model, *writing, *drawn, "--training", corpus, "--held-out", corpus, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["label"] == "dog"
    assert len(document["memorization"]["samples"]["nearest"]) == 6
    assert document["memorization"]["held_out"]["rates"]["copied_share"] == 1.0
    assert run("vae", "sample", model, "--limit", 1, "--training", corpus) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "training texts" in err
    assert "'ox' is no class here; the classes are" in refused(capsys, "vae", "sample", model, *drawn[:-1], "ox")
    assert "both --class LABEL and --labeled FILE" in refused(capsys, "vae", "sample", model, "--class", "dog")
    assert "give both" in refused(capsys, "vae", "sample", model, "--held-out", corpus)
    assert "top_p 2.0" in refused(capsys, "vae", "sample", model, "--top-p", 2)


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
    assert run("vae", "sample", model, "--limit", 1) == 0
    assert capsys.readouterr().out == "  �[2J a b�\n"
