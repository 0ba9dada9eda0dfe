"""What n-grams of the texts find of the labels that are planted for a model's points."""

import dataclasses

import numpy as np
import pytest

from lexframe import CategoryAudit
from lexframe.artifacts import write_artifact
from lexframe.audit import AuditResult, ngram_control
from lexframe.audit.page import audit_report
from lexframe.audit.planting import PlantedControl
from lexframe.audit.saved_audit import NOT_MEASURED
from lexframe.intervals import Estimate
from lexframe.provenance import SpaceFingerprint
from lexframe.verdicts import Worth

N, K = 240, 3
GIVEN = np.arange(N) % K


def texts_of(topics, seed=0):
    """Four words of one topic each, which topic being what `topics` says."""
    rng = np.random.default_rng(seed)
    stems = ["parcel depot courier van", "invoice refund bank fee", "router cable signal modem"]
    return [" ".join([*rng.choice(stems[topic].split(), 3), *rng.choice(["please", "today", "again", "still"], 2)]) for topic in topics]


def points_of(topics, seed=1):
    rng = np.random.default_rng(seed)
    return (4 * np.eye(K, 8)[topics] + rng.normal(size=(len(topics), 8))).astype(np.float32)


def shuffled(seed=2):
    return np.random.default_rng(seed).permutation(GIVEN)


def audited(points, texts, given=GIVEN, **options):
    return CategoryAudit(duplicates=False, relations=False, **options).fit(points, [f"c{number}" for number in given], texts=texts)


@pytest.fixture(scope="module")
def words_tell():
    return audited(points_of(shuffled()), texts_of(GIVEN)).result_


@pytest.fixture(scope="module")
def points_tell():
    return audited(points_of(GIVEN), texts_of(shuffled())).result_


def test_where_words_tell_and_points_do_not_ngrams_are_advised(words_tell, tmp_path):
    control = words_tell.check.control
    assert control.ngrams > 0.9
    assert control.recall < 0.3
    assert control.gain.high < -0.5
    assert "audit their points, those of the model tfidf, instead" in words_tell.summary()
    assert f"n-grams alone {control.ngrams:.0%}" in words_tell.summary()
    assert words_tell.verdict().worth is not Worth.HOLDS
    assert "audit their points, those of the model tfidf, instead" in audit_report(words_tell, tmp_path / "page.html").read_text()


def test_where_points_tell_and_words_do_not_nobody_is_sent_to_ngrams(points_tell):
    control = points_tell.check.control
    assert control.recall > 0.7
    assert control.ngrams < 0.3
    assert control.gain.low > 0.3
    assert points_tell.verdict().worth is Worth.HOLDS
    assert f"it finds {control.recall:.0%}, n-grams alone {control.ngrams:.0%}, fewer by" in points_tell.summary()
    assert "tfidf" not in points_tell.summary()
    found = points_tell.to_dict()["check"]["control"]
    assert found["ngrams"] == control.ngrams
    assert found["gain"]["value"] == pytest.approx(control.recall - control.ngrams)


def test_the_points_are_judged_as_without_texts(points_tell):
    alone = audited(points_of(GIVEN), None).result_
    assert alone.check.control is None
    assert alone.check.gain == points_tell.check.gain
    np.testing.assert_array_equal(alone.probability, points_tell.probability)
    assert "n-grams" not in alone.summary()
    assert alone.to_dict()["check"]["control"] is None
    assert alone.notes == ()


def test_both_look_for_the_same_labels_and_what_one_suspected_counts_for_neither():
    texts = texts_of(GIVEN)
    wrong = GIVEN.copy()
    wrong[:24] = (wrong[:24] + 1) % K  # words tell these before anything is planted, points that hold nothing do not
    check = audited(points_of(shuffled()), texts, wrong).result_.check
    assert check.n_planted - 24 < check.control.n_planted < check.n_planted
    assert check.control.ngrams > 0.96  # what they suspected beforehand stands in nobody's way
    same = audited(points_of(GIVEN), texts_of(GIVEN)).result_.check
    assert same.control.n_planted == same.n_planted
    assert same.control.recall == pytest.approx(same.recall)  # neither suspects any: one and the same ranking
    assert same.control.gain.value == pytest.approx(same.recall - same.control.ngrams)


def test_ngrams_against_themselves_are_not_measured():
    space = SpaceFingerprint(kind="LexicalSpace", model="tfidf", weights="w")
    points, labels, texts = points_of(GIVEN), list(GIVEN), texts_of(GIVEN)
    estimator = CategoryAudit(duplicates=False, relations=False)
    assert estimator.fit(points, labels, texts=texts, space=space).result_.check.control is None
    other = dataclasses.replace(space, kind="ToySpace")
    assert estimator.fit(points, labels, texts=texts, space=other).result_.check.control is not None


def test_without_a_check_nothing_is_planted_for_ngrams_either():
    result = audited(points_of(GIVEN), texts_of(GIVEN), check=False).result_
    assert result.check is None
    assert "n-grams" not in result.summary()


@pytest.mark.parametrize("text", ["", "?!", "all alike"])
def test_texts_that_tell_nothing_apart_are_said(text):
    result = audited(points_of(GIVEN), [text] * N).result_
    assert result.check.control is None
    assert ngram_control.NO_WORDS in result.notes
    assert result.verdict().worth is Worth.HOLDS


def test_of_many_items_some_are_drawn_by_category(monkeypatch, points_tell):
    monkeypatch.setattr(ngram_control, "MOST_ITEMS", 120)
    check = audited(points_of(GIVEN), texts_of(shuffled())).result_.check
    assert check.control.n_items == 120
    assert check.gain == points_tell.check.gain  # of all items, as before
    assert check.control.recall > 0.6
    assert check.control.ngrams < 0.35
    lost = audited(points_of(shuffled()), texts_of(GIVEN)).result_.check
    assert lost.control.gain.high < -0.5  # the rows of texts, labels and points belong together


def test_a_saved_audit_keeps_it_or_says_that_it_was_not_measured(words_tell, tmp_path):
    words_tell.save(tmp_path / "kept")
    kept = AuditResult.load(tmp_path / "kept")
    assert kept.check.control == words_tell.check.control
    assert kept.summary() == words_tell.summary()
    artifact = words_tell.to_artifact()
    check = {name: value for name, value in artifact.parameters["check"].items() if name != "control"}
    write_artifact(dataclasses.replace(artifact, parameters=artifact.parameters | {"check": check}), tmp_path / "old")
    old = AuditResult.load(tmp_path / "old")
    assert old.check.control is None
    assert NOT_MEASURED in old.notes
    assert NOT_MEASURED not in kept.notes


def test_a_difference_that_is_not_shown_is_no_advice():
    even = PlantedControl(n_items=100, n_planted=40, recall=0.7, ngrams=0.75, gain=Estimate(-0.05, -0.15, 0.05))
    assert even.reason.endswith("n-grams alone 75%; a difference is not shown.")
    none = PlantedControl(100, 0, float("nan"), float("nan"), Estimate(float("nan"), float("nan"), float("nan")))
    assert "could not be measured" in none.reason
    assert none.to_dict()["recall"] is None
