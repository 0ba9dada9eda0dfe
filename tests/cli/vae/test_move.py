"""Ways between texts, edits and traversals, and what is refused of each."""

import json

import numpy as np
import pytest

from lexframe.cli.vae.inputs import amounts_of
from lexframe.exceptions import InputError
from lexframe.generative import sample_texts
from lexframe.instruments import Direction, LogisticProbe, MatchedDifferenceEdit, load_instrument
from lexframe.spaces import TextVAESpace
from lexframe.spaces.text_vae.files import save_text_vae
from tests.cli.vae.calls import lines_file, refused, run
from tests.spaces.text_vae.test_space import tiny_vae
from tests.training.text_vae.test_run import sentences


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
    assert "not one of 'linear', 'spherical'" in refused(capsys, "vae", "interpolate", model, *ends, "--path", "straight")
    assert run("vae", "interpolate", model, ends[0]) == 2


def test_edits(model, labeled, poles, tmp_path, capsys):
    texts = sentences(5)
    saved = tmp_path / "rain"
    sides = ("--positive", poles[0], "--negative", poles[1])
    assert run("vae", "edit", model, *texts, *sides, "--out", saved, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["provenance"]["parameters"]["edit"] == "MeanDifferenceEdit"
    assert document["provenance"]["parameters"]["target"] == poles[0].stem
    space = TextVAESpace(str(model))
    means = [space.encode(path.read_text().splitlines()).mean(axis=0) for path in poles]
    direction = Direction.load(saved)
    np.testing.assert_allclose(direction.vector(), means[0] - means[1], atol=1e-5)
    assert (direction.positive, direction.negative) == (poles[0].stem, poles[1].stem)
    assert run("vae", "edit", model, *texts, "--direction", saved, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["edited"] == document["edited"]
    assert again["rates"]["edit_in_target"] is None
    drawn = ("vae", "sample", model, "--limit", 5, "--json")
    assert run(*drawn, "--direction", saved, "--strength", 2.5) == 0
    moved = json.loads(capsys.readouterr().out)
    assert moved["provenance"]["parameters"]["strength"] == 2.5
    assert moved["mean_cosine"] == sample_texts(space, 5, edit=direction, strength=2.5).to_dict()["mean_cosine"]
    assert moved["mean_cosine"] != sample_texts(space, 5).to_dict()["mean_cosine"]
    assert run("vae", "edit", model, *texts, "--positive", poles[1], "--negative", poles[0], "--out", saved) == 0
    assert f"in place of the one towards {poles[0].stem} that stood there" in capsys.readouterr().err
    assert Direction.load(saved).positive == poles[1].stem
    several = ("--labeled", labeled, "--label", "subject", "--towards", "dog")
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
    towards = ("--labeled", wide, "--label", "subject", "--towards", "dog")
    assert run("vae", "edit", model, *texts, *towards, "--keep", "verb", "--out", saved, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(load_instrument(saved), MatchedDifferenceEdit)
    assert run("vae", "edit", model, *texts, "--direction", saved, "--json") == 0
    assert json.loads(capsys.readouterr().out)["edited"] == document["edited"]
    assert document["provenance"]["parameters"]["edit"] == "MatchedDifferenceEdit"
    assert document["provenance"]["parameters"]["n_groups"] == len({text.split()[2] for text in sentences(60)})


def test_edits_that_cannot_be(model, labeled, poles, tmp_path, capsys):
    call = ("vae", "edit", model, "the cat sees rain 1")
    sides = ("--positive", poles[0], "--negative", poles[1])
    several = ("--labeled", labeled, "--label", "subject", "--towards")
    one = lines_file(tmp_path / "one.txt", ["one text"])
    assert run(*call, *sides, "--out", tmp_path / "rain") == 0
    LogisticProbe().fit(np.eye(4), [0, 1, 0, 1]).save(tmp_path / "lens")
    other = save_text_vae(tiny_vae(seed=3), tmp_path / "other")
    for arguments, message in (
        ((), "in one way"),
        (("--positive", poles[0]), "in one way"),
        ((" ", *sides), "Text 2 of 2 is blank"),
        (("--labeled", labeled), "in one way"),
        ((*sides, *several, "dog"), "in one way"),
        ((*several, "ox"), "'ox' is no class here"),
        ((*sides, "--method", "magic"), "mean-difference, classifier"),
        ((*sides, "--strength", "nan"), "finite number"),
        (("--positive", poles[0], "--negative", poles[0]), "are both"),
        (("--positive", poles[0], "--negative", one), "the class 'one' has one text"),
        (("--direction", tmp_path / "none"), "artifact.json is missing"),
        (("--direction", tmp_path / "lens"), "holds a LogisticProbe, which moves no points"),
        (("--direction", tmp_path / "rain", "--method", "classifier"), "Leave --method out"),
        (("--direction", tmp_path / "rain", "--out", tmp_path / "d"), "Leave one of them out"),
        (("--labeled", labeled, "--label", "color", "--towards", "red"), "no field 'color'"),
        ((*several, "dog", "--keep", "color"), "no field 'color'"),
        ((*several, "dog", "--keep", "text"), "No label to keep stands at 10 points"),
        ((*several, "dog", "--keep", "subject", "--method", "classifier"), "Only differences of means"),
        ((*sides, "--keep", "subject"), "--keep names columns of --labeled"),
    ):
        assert message in refused(capsys, *call, *arguments), arguments
    assert "two models" in refused(capsys, "vae", "edit", other, "the cat", "--direction", tmp_path / "rain")
    assert "two models" in refused(capsys, "vae", "sample", other, "--direction", tmp_path / "rain")
    assert "give both" in refused(capsys, "vae", "sample", model, "--strength", 2)


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
