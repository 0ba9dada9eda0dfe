"""``lexframe tasks``: pairs in, a task space and its page out; what was typed wrong is a line."""

import csv
import json
from functools import partial
from pathlib import Path

import pytest

import lexframe.task_space
from lexframe.cli.tasks.compare import short_names
from lexframe.cli.tasks.inputs import Pairs, SpokenLabels, shown
from lexframe.exceptions import DataError, InputError
from lexframe.task_space import GradientSettings, TaskSpace, Transfer, Work, assembly, figures, page
from tests.cli.vae.calls import refused, run
from tests.task_space.made_spaces import made_space, made_transfer
from tests.task_space.small_tasks import CATS, PLURALS, PLURALS_AGAIN

SMALL = ("--n-dims", 2000)


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Three tasks of two groups, and one of too few pairs."""
    rows = [
        {"good": pair.good, "bad": pair.bad, "task": task.name, "group": task.group, "field": task.field}
        for task in (CATS, PLURALS, PLURALS_AGAIN)
        for pair in task.pairs
    ]
    rows.append({"good": "a cat", "bad": "cat a", "task": "tiny\x1b[2J", "group": "g", "field": "f"})
    return lines(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for name, seed in (("early", 0), ("late", 1)):
        made_space(seed=seed).save(folder / name)
    made_transfer().save(folder / "transfer")
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Few resamples, and pages without pictures: how both are made is tested where they are made."""
    for name in ("resampled_similarities", "subspace_overlaps"):
        monkeypatch.setattr(assembly, name, partial(getattr(assembly, name), n_resamples=8))
    names = ("matrix", "small_matrix", "map", "small_map", "reliability", "small_reliability", "depth", "overlap")
    monkeypatch.setattr(page, "_charts", lambda *_: dict.fromkeys(names))


def test_pairs_become_a_space_that_is_shown_and_kept(model, pairs, quick, tmp_path, capsys):
    arguments = ("tasks", "build", pairs, "-m", model, *SMALL, "--max-pairs", 10, "--contrast-only")
    assert run(*arguments, "--out", tmp_path / "a", "--csv", tmp_path / "a.csv") == 0
    out, err = capsys.readouterr()
    space = TaskSpace.load(tmp_path / "a")
    assert out.startswith(str(space.verdict))
    assert space.settings["contrast_only"]
    assert {task.n_pairs for task in space.tasks} == {10}
    for task in space.tasks:
        row = next(line for line in out.splitlines() if line.strip().startswith(f"{task.name}  "))
        name, value, low, high = space.neighbors(task.name, limit=1)[0]
        assert f"{task.accuracy.value:.2f}" in row
        assert row.endswith(f"{name} {value:.2f} [{low:.2f}, {high:.2f}]")
    assert "left out: tiny�[2J: it has 1 pair that can be used" in err
    assert "\x1b" not in out + err
    assert f"task space: {tmp_path / 'a'}" in err
    with (tmp_path / "a.csv").open() as file:
        assert len(list(csv.DictReader(file))) == space.n_tasks * (space.n_tasks - 1) // 2


def test_ordinary_text_is_read_where_it_is_asked_for(model, pairs, tmp_path, capsys, monkeypatch):
    (tmp_path / "corpus.txt").write_text("the cat sat\n\na dog\n")
    arguments = ("tasks", "build", pairs, "-m", model, *SMALL, "--remove-general", "--out", tmp_path / "a")
    assert "--corpus" in refused(capsys, *arguments)
    given = {}
    monkeypatch.setattr(lexframe.task_space, "build_task_space", lambda space, tasks, **options: given.update(options) or made_space())
    assert (
        run(*arguments, "--corpus", tmp_path / "corpus.txt", "--json", "--seed", 5, "--n-processes", 2, "--folder", tmp_path / "kept") == 0
    )
    assert given["corpus"] == ["the cat sat", "a dog"]
    assert given["settings"] == GradientSettings(remove_general=True, n_dims=2000)
    assert given["work"] == Work(n_processes=2, folder=tmp_path / "kept")
    assert given["seed"] == 5
    document = json.loads(capsys.readouterr().out)
    assert document["out"] == str(tmp_path / "a")
    assert document["tasks"][0]["name"] == "a_0"


def test_a_space_is_shown_with_its_findings_and_page(made, quick, tmp_path, capsys):
    path = tmp_path / "page.html"
    assert run("tasks", "show", made / "early", "--report", path) == 0
    out, err = capsys.readouterr()
    space = TaskSpace.load(made / "early")
    assert out.startswith(str(space.verdict))
    assert "same group: Tasks of one group are more alike." in out
    assert "Tasks of one group are more alike than their words and templates explain (r = 0.9" in out
    assert "8 tasks fall in 3 clusters" in err
    assert "left out: lost: the gradients" in err
    assert str(space.verdict) in path.read_text(encoding="utf-8")
    assert run("tasks", "show", made / "early", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["findings"]["clustering"]["n_clusters"] == 3
    assert document["similarity"] == space.similarity.tolist()


def test_one_task_is_shown_with_all_that_is_like_it(made, capsys):
    assert run("tasks", "show", made / "early", "--task", "a_0") == 0
    out = capsys.readouterr().out
    space = TaskSpace.load(made / "early")
    assert out.startswith(f"a_0: reliability {space.tasks[0].reliability}, accuracy")
    assert "points to: ' himself', ' itself'" in out
    assert [line.split()[0] for line in out.splitlines()[-7:]] == [name for name, *_ in space.neighbors("a_0", limit=7)]
    assert run("tasks", "show", made / "early", "--task", "a_0", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["neighbors"]] == [name for name, *_ in space.neighbors("a_0", limit=10)]
    assert "'x' is no task of this space" in refused(capsys, "tasks", "show", made / "early", "--task", "x")


def test_a_task_is_tuned_on_and_all_are_tested(model, pairs, tmp_path, capsys):
    (tmp_path / "neutral.txt").write_text("the cat sat on the mat\n\na dog\n")
    arguments = ("tasks", "transfer", pairs, "-m", model, *SMALL, "--n-steps", 1, "--neutral", tmp_path / "neutral.txt")
    assert run(*arguments, "--source", "plurals", "--arms", "full, random", "--out", tmp_path / "t", "--csv", tmp_path / "t.csv") == 0
    out, err = capsys.readouterr()
    found = Transfer.load(tmp_path / "t")
    assert (found.sources, found.arms, found.settings["n_steps"]) == (("plurals",), ("full", "random"), 1)
    assert out.startswith(str(found.verdict))
    assert "way to tune" in out
    assert any(line.split()[:1] == ["plurals"] for line in out.splitlines())
    assert "tiny�[2J was left out" in err
    assert run("tasks", "show", tmp_path / "t", "--json") == 0
    assert json.loads(capsys.readouterr().out)["bits_change"] == found.bits_change.tolist()
    assert "--arms" in refused(capsys, *arguments, "--arms", "sideways")
    assert "'x' is no task that can be used" in refused(capsys, *arguments, "--source", "x")


def test_a_transfer_has_its_page(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(figures, "svg", lambda _: "<svg></svg>")
    assert run("tasks", "show", made / "transfer", "--report", tmp_path / "page.html") == 0
    assert "differential: accuracy (nats)" in capsys.readouterr().out
    assert "What learning one task does to the others" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_spaces_are_held_against_one_another(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(figures, "svg", lambda _: "<svg></svg>")
    arguments = ("--csv", tmp_path / "c.csv", "--report", tmp_path / "page.html")
    assert run("tasks", "compare", made / "early", made / "late", *arguments) == 0
    assert "How task spaces agree" in (tmp_path / "page.html").read_text(encoding="utf-8")
    out, err = capsys.readouterr()
    assert "early → late" in out
    assert "2 spaces over 8 shared tasks" in err
    with (tmp_path / "c.csv").open() as file:
        row, *rest = csv.DictReader(file)
    assert not rest
    assert f"{float(row['ceiling']):.2f}" in out
    assert run("tasks", "compare", made / "early", made / "late", "--json") == 0
    assert json.loads(capsys.readouterr().out)["pairs"][0]["rsa"]["value"] == float(row["rsa"])
    assert "is named twice" in refused(capsys, "tasks", "compare", made / "early", made / "early")
    assert "2 or more" in refused(capsys, "tasks", "compare", made / "early")


def test_show_says_what_such_a_folder_is(made, capsys):
    for name, kind in (("early", TaskSpace), ("transfer", Transfer)):
        assert run("show", made / name) == 0
        out, err = capsys.readouterr()
        assert f"holds: {kind.artifact_kind}, version 1\n{kind.load(made / name).verdict}\n" in out
        assert f"lexframe tasks show {made / name} --report PAGE" in err


def test_labeled_texts_become_one_task(tmp_path):
    rows = [{"body": f"text {row}", "kind": ("pos", "neg", "so_so")[row % 3]} for row in range(9)]
    path = lines(tmp_path / "mood.jsonl", rows)
    given = {"template": "{text} I feel", "text": "body", "label": "kind"}
    (task,) = Pairs(**given, label_words=["pos=good,fine"]).read([path], seed=0)
    assert task.name == "mood"
    assert task.pairs[0].prompt == "text 0 I feel"
    assert task.pairs[0].good == " good"
    assert task.pairs[1].good == " neg"
    assert {pair.bad for pair in task.pairs} <= {" good", " neg", " so so"}
    with pytest.raises(DataError, match=r"label 'post', but the labels are neg, pos, so_so"):
        Pairs(**given, label_words=["post=good"]).read([path], seed=0)
    with pytest.raises(DataError, match=r"not understood"):
        Pairs(**given, label_words=["good"]).read([path], seed=0)
    with pytest.raises(DataError, match=r"can be named otherwise with --text and --label"):
        Pairs().read([path], seed=0)


def test_labels_have_their_own_names_where_none_is_given():
    words = SpokenLabels(["pos=good", "neg = bad, poor"])
    assert words["pos"] == ["good"]
    assert words["neg"] == ["bad", "poor"]
    assert words["not_so-bad"] == ["not so bad"]
    assert dict(words) == {"pos": ["good"], "neg": ["bad", "poor"]}
    assert len(words) == 2
    with pytest.raises(DataError, match="'neg', but the labels are none: no file holds labeled texts"):
        words.check()
    assert words.get("neg") == ["bad", "poor"]
    words.get("pos")
    words.check()


def test_folders_get_the_shortest_names_that_differ():
    assert short_names([Path("a/x"), Path("b/y")]) == ["x", "y"]
    assert short_names([Path("a/x"), Path("b/x")]) == ["a/x", "b/x"]
    with pytest.raises(InputError, match="named twice"):
        short_names([Path("a"), Path("./a")])


def test_names_fit_a_terminal():
    assert shown(None) == ""
    assert shown("a\n\x1b[2Jb") == "a �[2Jb"
    assert shown("x" * 100).startswith("xxxx")
    assert len(shown("x" * 100)) < 46
