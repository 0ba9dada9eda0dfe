"""``lexframe analogy``, ``analogies`` and ``retrofit`` as a person meets them."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from lexframe.cli.main import main
from lexframe.cli.retrofit import relation_factors
from lexframe.data import read_word_vectors
from lexframe.exceptions import InputError


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.fixture
def vectors(tmp_path):
    rng = np.random.default_rng(0)
    stems, mark = rng.normal(size=(20, 30)) * 3, rng.normal(size=30)
    path = tmp_path / "words.vec"
    rows = [(f"w{i}{'s' * plural}", stem + plural * mark) for i, stem in enumerate(stems) for plural in (0, 1)]
    path.write_text("".join(f"{word} {' '.join(f'{value:.4f}' for value in row)}\n" for word, row in rows))
    return path


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "questions.txt"
    lines = [f"w{i} w{i}s W{j} w{j}s\n" for i in range(6) for j in range(6) if i != j]
    path.write_text(": plural\n" + "".join(lines) + ": <b>odd</b>\nw1 w2 w3 unknown\n")
    return path


def test_one_question(vectors, capsys):
    assert run("analogy", "w0", "w0s", "w1", "--source", vectors) == 0
    shown, notes = capsys.readouterr()
    assert shown.splitlines()[2].split()[0] == "w1s"
    assert len(shown.splitlines()) == 2 + 8
    assert "w0, w0s and w1 are left out" in notes
    assert run("analogy", "w0", "w0s", "w1", "--source", vectors, "--method", "b-only", "--honest", "--limit", 3, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ranked"][0]["word"] == "w1"
    assert len(document["ranked"]) == 3
    assert document["exclude"] is False


@pytest.mark.parametrize("source", ["embedding", "head", "basis", "states"])
def test_the_words_of_a_model(source, model, capsys):
    assert run("analogy", "cat", "dog", "sat mat", "-m", model, "--source", source, "--template", "the {text}", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["provenance"]["space"]["kind"] == "LanguageModelSpace"
    assert not {"cat", "dog", "sat mat"} & {row["word"] for row in document["ranked"]}


def test_a_file_of_questions(vectors, questions, tmp_path, capsys):
    assert run("analogies", questions, "--source", vectors, "--report", tmp_path / "r.html") == 0
    shown, notes = capsys.readouterr()
    row = next(line.split() for line in shown.splitlines() if line.strip().startswith("plural"))
    assert row[:4] == ["plural", "30", "of", "30"]
    assert row[4] == "1.000"
    assert "0 of 1" in shown
    assert "honest: no word left out" in shown
    assert "report:" in notes
    page = (tmp_path / "r.html").read_text()
    assert "default-src 'none'" in page
    assert "<b>odd</b>" not in page
    assert "&lt;b&gt;odd" in page


def test_several_sources_and_the_table(vectors, questions, model, tmp_path, capsys):
    options = ("--source", "basis", "--source", vectors, "-m", model, "--methods", "3cosadd, b-only")
    assert run("analogies", questions, *options, "--csv", tmp_path / "t.csv", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [len(result["scores"]) for result in document["results"]] == [6, 6]
    assert document["questions"] == 31
    table = pd.read_csv(tmp_path / "t.csv")
    assert len(table) == 12
    assert table["source"].nunique() == 2
    assert run("analogies", questions, "-m", model, "--single-token", "--methods", "b-only", "--json") == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["scores"][-1]["n_covered"] == 0


def test_options_of_the_questions(vectors, questions, capsys):
    def covered(*options):
        assert run("analogies", questions, "--source", vectors, "--methods", "3cosadd", "--json", *options) == 0
        return json.loads(capsys.readouterr().out)["results"][0]["scores"][-1]["n_covered"]

    assert covered() == 30
    assert covered("--case") == 0
    assert covered("--limit", 4) == 2
    questions.write_text(questions.read_text() + "three words only\n")
    assert run("analogies", questions, "--source", vectors) == 2
    assert "3 words; a question has four" in capsys.readouterr().err
    assert covered("--skip-odd") == 30


def test_retrofit(vectors, tmp_path, capsys):
    edges = tmp_path / "edges.tsv"
    edges.write_text("".join(f"w{i}\tw{i}s\tplural\n" for i in range(10)))
    out = tmp_path / "moved.vec"
    assert run("retrofit", edges, "--source", vectors, "--out", out) == 0
    assert "20 of 40 words are linked" in capsys.readouterr().err
    before, after = read_word_vectors(vectors).unit(), read_word_vectors(out)
    assert after.words == before.words

    def gap(found, word):
        return np.linalg.norm(found.of([word]) - found.of([f"{word}s"]))

    assert gap(after, "w3") == pytest.approx(gap(before, "w3") / 3, rel=1e-4)  # (2p + q)/3 against (p + 2q)/3
    assert run("retrofit", edges, "--source", vectors, "--out", out, "--weight", "plural=3", "--alpha", "0.5", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["graph_words"] == 20
    assert gap(read_word_vectors(out), "w3") == pytest.approx(gap(before, "w3") / 5, rel=1e-4)


def test_retrofit_the_words_of_a_model(model, tmp_path, capsys):
    edges = tmp_path / "edges.csv"
    words = ["cat", "dog", "mat", "sat", "ran", "on", "two", "cats", "three", "one", "good", "bad"]
    edges.write_text("".join(f"{word},{other}\n" for word, other in itertools.pairwise(words)))
    assert run("retrofit", edges, "-m", model, "--out", tmp_path / "m.vec") == 0
    assert "12 of" in capsys.readouterr().err
    assert set(words) <= set(read_word_vectors(tmp_path / "m.vec").words)


def test_words_with_blanks_are_retrofitted_and_written(tmp_path, capsys):
    rng = np.random.default_rng(0)
    words = ["new york", "boston", "paris", "rome", "oslo", "bonn", "kiev", "riga", "lima", "cairo", "delhi", "tokyo"]
    lines = [f"{word} {' '.join(f'{number:.3f}' for number in rng.normal(size=4))}" for word in words]
    (tmp_path / "v.vec").write_text("12 4\n" + "\n".join(lines) + "\n")
    (tmp_path / "e.tsv").write_text("".join(f"{word}\t{other}\n" for word, other in itertools.pairwise(words)))
    given = ("retrofit", tmp_path / "e.tsv", "--source", tmp_path / "v.vec", "--out")
    assert run(*given, tmp_path / "m.vec") == 0
    assert "1 word with blanks within: gensim cannot read" in capsys.readouterr().err
    assert set(read_word_vectors(tmp_path / "m.vec").words) == set(words)
    assert run(*given, tmp_path / "n.vec", "--blanks", "_") == 0
    models = pytest.importorskip("gensim.models")
    assert "new_york" in models.KeyedVectors.load_word2vec_format(str(tmp_path / "n.vec")).key_to_index


def test_pieces_of_an_unknown_word_are_said(model, capsys):
    assert run("analogy", "cat", "dog", "caaat", "-m", model) == 0
    said = capsys.readouterr().err
    assert "'caaat' is no word of the vocabulary" in said
    assert "Did you mean cat?" in said
    assert run("analogy", "CAT", "dog", "mat", "-m", model) == 0
    assert "no word of the vocabulary" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("analogy", "w0", "w0s", "nothing", "--source", "{vectors}"), "No vector for 'nothing'"),
        (("analogy", "w0", "w0s", "w1", "--source", "{vectors}", "--method", "lrcos"), "not one of '3cosadd'"),
        (("analogy", "w0", "w0s", "w1", "--source", "magic"), "expected one of embedding, head, basis, states, or a file"),
        (("analogy", "w0", "w0s", "w1", "--source", "nowhere.vec"), "nowhere.vec: no such file"),
        (("analogies", "nowhere"), "no such file or folder"),
        (("analogies", "{questions}", "--source", "{vectors}", "--methods", "magic"), "no analogy method 'magic'"),
        (("retrofit", "nowhere.tsv", "--out", "x.vec"), "nowhere.tsv: no such file"),
        (("retrofit", "{questions}", "--out", "x.vec"), "heads questions of analogies"),
        (("analogy", "w0", "w0s", "w01", "--source", "{vectors}"), "Did you mean w"),
    ],
)
def test_one_line_when_something_is_wrong(arguments, message, vectors, questions, capsys):
    assert run(*(argument.format(vectors=vectors, questions=questions) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_factors_of_relations():
    assert relation_factors(["synonym=2", "part of=0.5"]) == {"synonym": 2.0, "part of": 0.5}
    for entry in ("synonym", "synonym=much", "=2"):
        with pytest.raises(InputError, match="write RELATION=FACTOR"):
            relation_factors([entry])
