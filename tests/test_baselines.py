"""What five lines reach: the learners of benchmarks/baselines.py learn, and are asked as everybody else is."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from lexframe.adaptation import Draws, compare
from lexframe.adaptation.draws import draw_labels
from lexframe.data import Table
from lexframe.spaces import ToySpace

ROOT = Path(__file__).parents[1]
TEXTS = ["the parcel is late", "where is the Parcel?", "a refund please", "refund me, please"] * 3
Y = np.array([2, 2, 5, 5] * 3)
ASKED = ["my parcel", "REFUND!", "zzz"]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("common", "compare", "baselines"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("baselines")
    for name in ("common", "compare", "baselines"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("package", "learner"), [("fasttext", "fasttext_learner"), ("bm25s", "bm25_learner")])
def test_learners_learn_and_the_seed_decides(script, package, learner):
    pytest.importorskip(package)
    found = getattr(script, learner)(TEXTS, Y, 3)(ASKED)
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert found[:2].argmax(axis=1).tolist() == [0, 1]
    assert np.array_equal(found, getattr(script, learner)(TEXTS, Y, 3)(ASKED))
    one = getattr(script, learner)(TEXTS[1:3], Y[1:3], 0)(ASKED)
    assert one[:2].argmax(axis=1).tolist() == [0, 1], "a label a class"


def test_shares_are_those_of_the_best_scores(script):
    votes = np.eye(2)[[0, 0, 1]]
    scores = np.array([[1.0, 2.0, 2.5], [0.0, 0.0, 0.0], [3.0, 0.0, 1.0]])
    np.testing.assert_allclose(script.shares(scores, votes, 1), [[0, 1], [2 / 3, 1 / 3], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(script.shares(scores, votes, 3), [[3 / 5.5, 2.5 / 5.5], [2 / 3, 1 / 3], [3 / 4, 1 / 4]], atol=1e-5)


def test_bm25_leaves_a_text_out_when_it_is_asked_for_its_own_label(script):
    pytest.importorskip("bm25s")
    texts = [f"{color} n{number}" for color in ("red", "blue") for number in range(6)]  # the nearest other text is of the wrong class
    found = script.bm25_learner(texts, np.repeat([0, 1], 6), 0)(["red n1", "blue n3"])
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert (found.max(axis=1) < 0.95).all(), "its own label, counted, would choose one neighbor, which is certain"


def test_labels_are_read_as_words(script):
    labels = ["OfficeHolder", "small_talk", "rec.autos", "comp.os.ms-windows.misc", "description"]
    assert [script.spoken(label) for label in labels] == [
        "Office Holder",
        "small talk",
        "rec autos",
        "comp os ms-windows misc",
        "description",
    ]


def test_a_learner_gives_columns_of_all_labels_on_the_draws_of_everybody(script):
    seen = []

    def learn(texts, y, seed):
        seen.append((tuple(texts), tuple(y.tolist()), seed))
        return lambda asked: np.full((len(asked), len(np.unique(y))), 1 / len(np.unique(y)))

    labels = ("a", "a", "b", "b", "c", "c")
    train = Table(tuple(f"text {number}" for number in range(6)), labels, "train", 0, tuple(range(6)))
    test = Table(("text a", "text c"), ("a", "c"), "test", 0, (0, 1))
    method = script.FiveLines("mine", "a constant", learn)
    space = ToySpace({"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [1.0, 1.0]})
    result = compare({"model": space}, train, test, methods=[method], draws=Draws((1,), (0, 1)))
    y = np.array([0, 0, 1, 1, 2, 2])
    expected = [draw_labels(y, 1, seed) for seed in (0, 1)]
    assert seen == [
        (tuple(train.texts[row] for row in rows), tuple(y[rows].tolist()), seed) for rows, seed in zip(expected, (0, 1), strict=True)
    ]
    assert len(result.select("model", "mine", 1)) == 2


def test_names_turned_is_the_answer_under_the_next_ones_name(script):
    train = Table(("good", "bad", "good", "bad"), ("good", "bad") * 2, "train", 0, tuple(range(4)))
    space = ToySpace({"good": [1.0, 0.0], "bad": [0.0, 1.0]}, unembedding=[[3, 0], [0, 3]])
    result = compare({"model": space}, train, train, methods="zero-shot", draws=Draws((0,), (0,)))
    assert result.accuracy("model", "zero-shot", 0).value == 1
    assert script.names_turned(result) == 0
    words = {"good": ["bad"], "bad": ["good"]}
    turned = compare({"model": space}, train, train, methods="zero-shot", draws=Draws((0,), (0,)), label_words=words)
    assert turned.accuracy("model", "zero-shot", 0).value == 0
    assert script.names_turned(turned) == 1
