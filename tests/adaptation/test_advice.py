"""Verdicts: the majority of training, guessing, n-grams; and what is recommended."""

import json

import numpy as np
import pytest

from lexframe.adaptation import Draws, adapt, compare, load_adapter
from lexframe.adaptation.advice import Controls, advise, few_tests, gain_over, verdict_on
from lexframe.adaptation.page import accuracy_table, adaptation_report, comparison_report
from lexframe.data import Table
from lexframe.intervals import mean_over_draws
from lexframe.verdicts import Worth
from tests.planted import planted_space, planted_table
from tests.tiny_models import tiny_space


def first(n_right, n=200, n_draws=1):
    return np.tile((np.arange(n) < n_right).astype(float), (n_draws, 1))


def controls(majority=100, n_labels=4, ngrams=None):
    return Controls("refund", first(majority), n_labels, ngrams)


@pytest.mark.parametrize(
    ("n_right", "against", "worth", "words"),
    [
        (160, controls(), Worth.HOLDS, "It is right on 80.0% of the 200 test texts, always answering 'refund' on 50.0%."),
        (100, controls(), Worth.WORTHLESS, "Do not use this: it is right on 50.0%"),
        (70, controls(), Worth.WORTHLESS, "always answering 'refund' on 50.0%"),
        (103, controls(), Worth.UNSURE, "Not shown to be of use"),
        (45, controls(30, 4), Worth.WORTHLESS, "guessing on 25.0%"),  # above the majority, and below guessing
        (160, controls(ngrams=first(180)), Worth.WORTHLESS, "n-grams are enough here: use them (tfidf is better by 10.0 points ["),
        (
            160,
            controls(ngrams=first(163)),
            Worth.UNSURE,
            "n-grams are enough here: use them (tfidf is better by 1.5 points, which may be chance)",
        ),
        (160, controls(ngrams=first(150)), Worth.HOLDS, "and n-grams, without the model, on 75.0%; better than n-grams by 5.0 points ["),
    ],
)
def test_a_verdict_names_what_it_was_held_against(n_right, against, worth, words):
    found = verdict_on(first(n_right), against)
    assert found.worth is worth
    assert words in str(found)


def test_what_picking_gained_is_taken_off():
    assert verdict_on(first(112), controls()).worth is Worth.HOLDS
    assert verdict_on(first(112), controls(), less=0.06).worth is Worth.WORTHLESS


def test_too_few_texts_tell_nothing():
    assert gain_over(first(4, 4), first(0, 4)).interval is None
    assert verdict_on(first(4, 4), Controls("a", first(0, 4), 2)).worth is Worth.UNSURE
    assert "4 test texts tell nothing" in few_tests(4)[0]
    assert "60 test texts tell little" in few_tests(60)[0]
    assert few_tests(100) == []
    assert few_tests(1)[0].startswith("1 test text tells")


def advice(right, **options):
    against = Controls("a", (np.arange(400) < 100).astype(float)[np.newaxis], 4)
    return advise(right, options.get("seconds", dict.fromkeys(right, 0.1)), options.get("against", against), shots=4)


def test_the_cheapest_that_is_not_surely_beaten_is_recommended():
    rng = np.random.default_rng(0)
    base = rng.random((3, 400))
    right = {"cheap": (base < 0.70).astype(float), "dear": (base < 0.71).astype(float), "poor": (base < 0.5).astype(float)}
    found = advice(right, seconds={"cheap": 1.0, "dear": 90.0, "poor": 0.0})
    assert (found.recommended, found.best) == ("cheap", "dear")
    assert "dear is" in found.sentence()
    assert found.accuracy == mean_over_draws(right["cheap"])  # nothing as cheap was in the race


def test_nothing_is_recommended_below_a_constant_answer():
    rng = np.random.default_rng(1)
    right = {name: (rng.random((2, 400)) < 0.33).astype(float) for name in ("one", "two")}
    against = Controls("a", (np.arange(400) < 141).astype(float)[np.newaxis], 4)
    found = advice(right, against=against)
    assert found.recommended is None
    assert "With 4 labels a class: nothing here is worth using" in found.sentence()
    assert "Do not use this" in found.sentence()


def test_a_best_that_is_chance_is_not_said_to_hold():
    """Twelve methods that guess beside a constant answer: the best of them looks better than it, by having been picked."""
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        right = {str(number): (rng.random((1, 400)) < 0.5).astype(float) for number in range(12)}
        against = Controls("a", (rng.random((1, 400)) < 0.5).astype(float), 2)
        held += advice(right, against=against).verdict.worth is Worth.HOLDS
    assert held <= 5


@pytest.fixture(scope="module")
def noise():
    """Labels that mean nothing, one of them twice as frequent."""
    rng = np.random.default_rng(0)
    words = ["please", "the", "today", "hello", "my", "was", "card", "box"]

    def table(n):
        texts = tuple(" ".join(rng.choice(words, 4)) for _ in range(n))
        return Table(texts, tuple(rng.choice(["card", "card", "card", "bed", "key"], n).tolist()), "here", 0, tuple(range(n)))

    return table(60), table(150)


def test_an_adapter_that_is_worthless_says_so_wherever_it_goes(noise, tmp_path):
    result, adapter = adapt(planted_space(), *noise, methods="lda")
    assert result.majority_accuracy == pytest.approx(np.mean(np.array(noise[1].labels) == "card"))
    assert result.verdict.worth is Worth.WORTHLESS
    assert result.recommended is None
    assert "Do not use this" in result.summary()
    assert result.to_dict()["verdict"]["worth"] == "worthless"
    assert result.to_dict()["majority"] == {"label": "card", "accuracy": result.majority_accuracy}
    page = adaptation_report(result, tmp_path / "page.html").read_text()
    assert "Do not use this" in page
    assert 'class="chosen"' not in page
    adapter.save(tmp_path / "adapter")
    loaded = load_adapter(tmp_path / "adapter", space=planted_space())
    assert loaded.verdict == result.verdict
    predictions = loaded.predict(["please the box"])
    assert "Do not use this" in predictions.summary()
    assert json.loads(json.dumps(predictions.to_dict()))["verdict"]["worth"] == "worthless"


def test_one_that_holds_is_starred_and_quiet():
    result, adapter = adapt(planted_space(), planted_table(40, 0), planted_table(40, 1), methods="lda,posterior")
    assert result.ngrams.accuracy.value > 0.9  # the words give the class away, so n-grams stand beside it though nobody asked
    assert set(result.methods) == {"lda", "posterior"}
    assert result.to_dict()["n_grams"]["accuracy"] == result.ngrams.accuracy.value
    assert result.ngrams.cell.method in ("tfidf", "lexical-nb")
    assert "n-grams are enough here: use them" in result.summary()  # both are right on all texts
    assert adapter.verdict == result.verdict
    assert result.summary().startswith("With 120 labeled texts, ")


def test_a_comparison_recommends_and_marks_the_same_method(noise, tmp_path):
    result = compare({"toy": planted_space()}, *noise, methods="lda,class-mean", draws=Draws((4, "all"), (0, 1)))
    assert [cell.shots for cell in result.references if cell.method == "tfidf"] == [4, 4, "all"]
    assert {cell.method for cell in result.references} == {"tfidf", "lexical-nb"}
    assert all("nothing here is worth using" in line for line in result.summary().splitlines())
    assert not any(cell and cell["recommended"] for row in accuracy_table(result, "toy") for cell in row["cells"])
    assert all(entry["recommended"] is None for entry in result.to_dict()["recommended"])
    table = comparison_report(result, tmp_path / "page.html").read_text().split("<tbody>")[1].split("</tbody>")[0]
    assert "<b>" not in table
    good = compare({"toy": planted_space()}, planted_table(20, 0), planted_table(40, 1), methods="lda,n-grams", draws=Draws((8,), (0, 1)))
    assert good.recommendation("toy", 8).recommended == "tfidf"
    assert good.summary().endswith("; n-grams are enough here: use them.")
    assert tuple(cell for cell in good.references if cell.method == "tfidf") == tuple(cell for cell in good.cells if cell.method == "tfidf")


def test_words_that_a_model_does_not_know_are_judged_like_any_other():
    labels = ("cat", "dog", "cat", "dog") * 30
    texts = tuple(f"the {word} sat" for word in labels)
    table = Table(texts, labels, "here", 0, tuple(range(120)))
    result, _ = adapt(tiny_space("gpt2"), table, table, methods="zero-shot", label_words={"cat": ["zzqx"], "dog": ["xqzz"]})
    assert result.verdict.worth is Worth.WORTHLESS
    assert "n-grams are enough here: use them (" in str(result.verdict)
