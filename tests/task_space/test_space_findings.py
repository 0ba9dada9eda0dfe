"""What is read in a task space: planted groups are found, words are told from groups, and what cannot be tested says why."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lexframe.task_space.reading.mantel import MantelTest
from lexframe.task_space.space_findings import READINGS, TEXT_HELD, WORDS_HELD, findings, shown_p
from tests.task_space.made_spaces import BETWEEN, WITHIN, made_space


def found_in(space):
    return findings(space, n_permutations=199)


def test_planted_groups_are_found_by_every_reading():
    found = found_in(made_space())
    assert found.separation.within == pytest.approx(WITHIN, abs=0.05)
    assert found.separation.between == pytest.approx(BETWEEN, abs=0.03)
    assert found.separation.auc.value == 1.0
    assert found.beyond_words.auc.value == 1.0  # words are shared at random, so they explain nothing
    assert list(found.tests) == list(READINGS)
    assert found.tests["same group"].r > 0.95
    assert found.tests["same group"].p == pytest.approx(1 / 200, abs=0.01)
    assert abs(found.tests["shared words"].r) < 0.45
    assert {name: found.tests[name].n_controls for name in ("same group", WORDS_HELD, TEXT_HELD)} == {
        "same group": 0, WORDS_HELD: 2, TEXT_HELD: 3,
    }  # fmt: skip
    assert found.clustering.n_clusters == 3
    assert found.agreement == 1.0
    assert found.task_map.covariances.shape == (8, 2, 2)
    assert found.strictest == TEXT_HELD
    assert found.summary().startswith("Tasks of one group are more alike than their words and templates explain (r = 0.9")
    assert "the more alike one 100% of the time (95% interval 100% to 100%)." in found.summary()
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["tests"]["same group"]["reading"] == READINGS["same group"][0]
    assert document["separation"]["auc"]["value"] == 1.0


def test_similarities_that_words_make_are_no_finding_of_groups():
    """Tasks of a group share words, and similarity is nothing else than shared words and noise."""
    words = made_space(noise=0.3).similarity
    similarity = words + made_space(noise=0.1, seed=1).similarity - made_space(noise=0.0).similarity
    found = found_in(replace(made_space(similarity=similarity), controls={"words": words}))
    assert found.is_found("same group")
    assert not found.is_found(WORDS_HELD)
    assert found.strictest == WORDS_HELD
    assert found.beyond_words.auc.value < 0.8 < found.separation.auc.value
    assert found.reading(WORDS_HELD) == READINGS[WORDS_HELD][1]
    assert TEXT_HELD not in found.tests  # nothing more than words to hold
    assert found.summary().startswith("Beyond what their words explain, groups make no difference")


def test_a_negative_correlation_is_no_finding_however_sure():
    upside_down = np.where(made_space().similarity > 0.4, 0.1, 0.6) + 0.01 * made_space().similarity
    np.fill_diagonal(upside_down, 1.0)
    found = found_in(made_space(similarity=upside_down))
    assert found.tests["same group"].r < -0.9
    assert not found.is_found("same group")
    assert found.separation.auc.value < 0.1


def test_without_groups_words_are_still_tested():
    found = found_in(made_space(groups=[None] * 6))
    assert found.separation is found.beyond_words is found.agreement is None
    assert found.untested == dict.fromkeys(["same group", "same field", WORDS_HELD, TEXT_HELD], "it is the same for every two tasks")
    assert list(found.tests) == ["shared words", "shared contrast", "shared template"]
    assert found.summary().startswith("There are no groups of tasks to compare. ")
    assert found.strictest is None


def test_an_interval_over_tasks_that_holds_a_half_is_said():
    found = found_in(made_space(groups=list("aabbc"), noise=0.9, seed=0))
    low, high = found.separation.auc.interval
    assert 0 < low <= 0.5 <= high
    assert found.summary().endswith(": other tasks might not show it).")


def test_few_tasks_are_enough_for_less():
    three = found_in(made_space(groups=list("aab")))
    assert three.clustering is not None
    assert three.task_map is not None
    assert three.separation is None
    assert set(three.untested.values()) == {"there are 3 tasks, and 4 are needed"}
    two = found_in(made_space(groups=list("ab")))
    assert (two.clustering, two.task_map, two.tests) == (None, None, {})
    assert two.summary() == "There are no groups of tasks to compare."
    assert set(two.untested) == set(READINGS)


def test_resamples_without_a_similarity_are_done_without():
    space = made_space(n_resamples=3)
    space.resampled[1:, 0, 1] = np.nan
    found = found_in(space)
    assert found.clustering.stability is None
    assert found.task_map.covariances is None


def test_a_matrix_that_says_nothing_is_not_tested():
    found = found_in(made_space(similarity=np.where(np.eye(8, dtype=bool), 1.0, 0.3)))
    assert found.tests == {}
    assert "nothing is left of it" in found.untested["same group"]


def test_small_p_are_shown_as_bounds():
    shown = [shown_p(MantelTest(0.5, p, 9999, 8, 0)) for p in (0.0001, 0.001, 0.0123, 1.0)]
    assert shown == ["< 0.001", "= 0.001", "= 0.012", "= 1"]
