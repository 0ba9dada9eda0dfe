"""Stages of training: equal steps pass for equal, a planted jump is found, and the numbers are those of their definition."""

import numpy as np
import pytest
import scipy.stats

from lexframe.task_space.reading.stages import stage_test

N_PAIRS = 300


def walked(rng, angles, *, noise=0.5, n_resamples=100):
    """Spaces that turn from one truth to another, as read with noise, and their resamples, which have it twice."""
    one, other = rng.normal(size=(2, N_PAIRS))
    truth = np.stack([np.cos(angle) * one + np.sin(angle) * other for angle in angles])
    values = truth + noise * rng.normal(size=truth.shape)
    resampled = values + noise * rng.normal(size=(n_resamples, *truth.shape))
    retest = 6 / np.pi * np.arcsin(1 / (1 + 2 * noise**2) / 2)  # the rank correlation that halves have
    return [f"s{number}" for number in range(len(angles))], values, resampled, [retest] * len(angles)


def test_equal_steps_pass_for_equal(rng):
    found = [stage_test(*walked(rng, (0, 0.3, 0.6, 0.9), n_resamples=40)) for _ in range(40)]
    assert np.mean([one.p < 0.05 for one in found]) <= 0.1
    assert "no evidence of stages" in next(one for one in found if one.p >= 0.05).summary()
    changes = np.mean([[change.value for change in one.changes] for one in found], axis=0)
    np.testing.assert_allclose(changes, 1 - np.cos(0.3), atol=0.02)  # noise is corrected for


def test_a_jump_is_found(rng):
    found = stage_test(*walked(rng, (0, 0.1, 1.0, 1.1)))
    assert found.largest == 1
    assert found.p == pytest.approx(1 / 101)
    assert found.share.value > 0.8
    assert found.share.low > 1 / 3
    assert found.share.low <= found.share.value <= found.share.high
    assert "s1 to s2" in found.summary()
    assert "equally far apart in training" in found.summary()


def test_no_movement_is_said(rng):
    names, values, resampled, _ = walked(rng, (0, 0, 0), noise=0.1)
    found = stage_test(names, values, resampled, [0.5] * 3)  # retests that promise less than there is
    assert np.isnan(found.share.value)
    assert found.summary() == "No step changes the space beyond what noise would."
    assert found.to_dict()["share"]["value"] is None


def test_changes_share_and_p_are_those_of_their_definition(rng):
    names, values, resampled, _ = walked(rng, (0, 0.5, 0.7), n_resamples=30)
    retests = [0.6, 0.7, 0.8]

    def changes(rows, reliabilities):
        return np.array(
            [
                1 - scipy.stats.spearmanr(rows[step], rows[step + 1]).statistic / np.sqrt(reliabilities[step] * reliabilities[step + 1])
                for step in (0, 1)
            ]
        )

    observed = changes(values, [2 * retest / (1 + retest) for retest in retests])
    drawn = np.array([changes(rows, retests) for rows in resampled])
    noise = drawn - drawn.mean(axis=0)
    found = stage_test(names, values, resampled, retests)
    np.testing.assert_allclose([change.value for change in found.changes], observed)
    np.testing.assert_allclose([change.high for change in found.changes], np.percentile(observed + noise, 97.5, axis=0))
    assert found.largest == int(observed.argmax())
    risen = np.maximum(observed, 0)
    assert found.share.value == pytest.approx(risen.max() / risen.sum())
    excess = np.abs(noise[:, 0] - noise[:, 1]) / 2
    assert found.p == pytest.approx((1 + (excess >= np.abs(np.diff(observed))[0] / 2).sum()) / 31)
    assert found.steps == (("s0", "s1"), ("s1", "s2"))
    assert found.n_resamples == 30


def test_what_leaves_no_test(rng):
    names, values, resampled, retests = walked(rng, (0, 0.5, 0.7), n_resamples=20)
    assert stage_test(names, values, resampled, retests) is not None
    assert stage_test(names[:2], values[:2], resampled[:, :2], retests[:2]) is None
    assert stage_test(names, values, resampled[:19], retests) is None
    assert stage_test(names, values, resampled, [*retests[:2], 0.0]) is None
    assert stage_test(names, np.ones_like(values), resampled, retests) is None
