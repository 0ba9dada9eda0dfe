"""Mantel's test against all orders and against loops; the area against scikit-learn's."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lexframe.exceptions import InputError
from lexframe.task_space.reading.hypotheses import same_group
from lexframe.task_space.reading.mantel import mantel, within_between
from lexframe.task_space.reading.matrices import drawn_pairs


def symmetric(rng, *shape):
    matrix = rng.normal(size=shape)
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2


def upper(matrix):
    return matrix[np.triu_indices(len(matrix), 1)]


def residual_matrix(matrix, controls):
    """The slow way: least squares on the controls, put back into a matrix."""
    design = np.stack([np.ones(len(upper(matrix))), *map(upper, controls)], axis=1)
    residuals = upper(matrix) - design @ np.linalg.pinv(design) @ upper(matrix)
    whole = np.zeros_like(matrix)
    whole[np.triu_indices(len(matrix), 1)] = residuals
    return whole + whole.T


@pytest.mark.parametrize("n_controls", [0, 1, 2])
def test_r_and_p_are_those_of_all_orders(rng, n_controls):
    similarity, hypothesis = symmetric(rng, 6, 6), symmetric(rng, 6, 6)
    hypothesis += 0.7 * similarity
    controls = [symmetric(rng, 6, 6) for _ in range(n_controls)]
    ours, theirs = residual_matrix(similarity, controls), residual_matrix(hypothesis, controls)
    r = np.corrcoef(upper(ours), upper(theirs))[0, 1]
    orders = [list(order) for order in permutations(range(6))]
    all_r = [np.corrcoef(upper(ours[np.ix_(order, order)]), upper(theirs))[0, 1] for order in orders]
    exact = np.mean(np.array(all_r) >= r - 1e-12)
    found = mantel(similarity, hypothesis, controls=controls)
    assert found.r == pytest.approx(r)
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4)
    assert (found.n_tasks, found.n_controls, found.n_permutations) == (6, n_controls, 10_000)


def test_the_partial_r_is_the_partial_correlation(rng):
    similarity, hypothesis, control = (symmetric(rng, 9, 9) for _ in range(3))
    similarity += control
    r = np.corrcoef([upper(similarity), upper(hypothesis), upper(control)])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert mantel(similarity, hypothesis, controls={"words": control}, n_permutations=1).r == pytest.approx(expected)


def test_groups_that_shared_words_explain_go_away_with_the_control(rng):
    words = symmetric(rng, 20, 20)
    groups = same_group([str(number % 4) for number in range(20)])
    leaked = words + groups  # words are shared within groups
    similarity = leaked + 0.3 * symmetric(rng, 20, 20)
    assert mantel(similarity, groups, n_permutations=999).p < 0.01
    assert mantel(similarity, groups, controls=[leaked], n_permutations=999).p > 0.05
    assert mantel(similarity + groups, groups, controls=[leaked], n_permutations=999).p < 0.01


def test_the_smallest_p_and_the_side(rng):
    groups = same_group([str(number // 4) for number in range(16)])
    found = mantel(groups + 0.01 * symmetric(rng, 16, 16), groups, n_permutations=199)
    assert found.p == pytest.approx(1 / 200)
    assert mantel(-groups + 0.01 * symmetric(rng, 16, 16), groups, n_permutations=199).p == pytest.approx(1.0)
    assert "r = 1.00" in found.summary()
    assert found.to_dict()["n_tasks"] == 16


def test_orders_that_do_as_well_count():
    pairs = same_group(["a", "a", "b", "b"])
    found = mantel(pairs, pairs)  # 8 of the 24 orders keep both groups together
    assert found.r == pytest.approx(1)
    assert found.p == pytest.approx(1 / 3, abs=0.02)


def test_p_is_uniform_where_nothing_is(rng):
    values = [mantel(symmetric(rng, 8, 8), symmetric(rng, 8, 8), n_permutations=99, seed=seed).p for seed in range(200)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=0.045)


def test_the_diagonal_scale_and_order_of_tasks_do_not_matter(rng):
    similarity, hypothesis = symmetric(rng, 7, 7), symmetric(rng, 7, 7)
    found = mantel(similarity, hypothesis, n_permutations=50)
    order = rng.permutation(7)
    moved = mantel(similarity[np.ix_(order, order)], hypothesis[np.ix_(order, order)], n_permutations=50)
    assert moved.r == pytest.approx(found.r)
    scaled = mantel(3 * similarity + 2 + 5 * np.eye(7), hypothesis, n_permutations=50)
    assert (scaled.r, scaled.p) == (pytest.approx(found.r), found.p)


def test_several_blocks_of_permutations_are_as_good_as_one(rng, monkeypatch):
    similarity, hypothesis = symmetric(rng, 6, 6), symmetric(rng, 6, 6)
    once = mantel(similarity, hypothesis, n_permutations=3000)
    monkeypatch.setattr("lexframe.task_space.reading.mantel._CELLS_AT_ONCE", 15 * 7)
    assert mantel(similarity, hypothesis, n_permutations=3000).p == pytest.approx(once.p, abs=0.05)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a, b: {"similarity": a[:3, :3], "hypothesis": b[:3, :3]}, "3 tasks; expected 4 or more"),
        (lambda a, b: {"similarity": np.eye(6)}, "similarity is the same for all pairs"),
        (lambda a, b: {"hypothesis": np.ones((6, 6))}, "hypothesis is the same for all pairs"),
        (lambda a, b: {"similarity": np.where(np.eye(6) > 0, np.nan, a)}, "6 cells that are not finite"),
        (lambda a, b: {"similarity": a[:5]}, r"shape \(5, 6\)"),
        (lambda a, b: {"hypothesis": b[:5, :5]}, "5 tasks; expected 6"),
        (lambda a, b: {"similarity": a + np.triu(np.ones((6, 6)), 1)}, "not symmetric"),
        (lambda a, b: {"controls": [2 * b + 1]}, "explain hypothesis wholly"),
        (lambda a, b: {"controls": [a]}, "explain similarity wholly"),
        (lambda a, b: {"controls": [b[:4, :4]]}, r"controls\[0\] is of 4 tasks"),
        (lambda a, b: {"n_permutations": 0}, "n_permutations is 0"),
    ],
)
def test_what_cannot_be_tested(rng, change, said, without_type_checks):
    similarity, hypothesis = symmetric(rng, 6, 6), symmetric(rng, 6, 6)
    with pytest.raises(InputError, match=said):
        mantel(**({"similarity": similarity, "hypothesis": hypothesis} | change(similarity, hypothesis)))


GROUPS = ["a", "a", "b", "b", "b", None, "c", "c"]


def kinds(groups):
    rows, columns = np.triu_indices(len(groups), 1)
    known = np.array([groups[row] is not None and groups[column] is not None for row, column in zip(rows, columns, strict=True)])
    same = np.array([groups[row] == groups[column] for row, column in zip(rows, columns, strict=True)])
    return known, same


def test_the_area_is_that_of_the_roc_curve(rng):
    similarity = np.round(symmetric(rng, 8, 8), 1)  # with ties
    known, same = kinds(GROUPS)
    found = within_between(similarity, GROUPS)
    assert found.auc.value == pytest.approx(roc_auc_score(same[known], upper(similarity)[known]))
    assert (found.n_within, found.n_between) == (5, 16)
    assert found.within == pytest.approx(upper(similarity)[known & same].mean())
    assert found.between == pytest.approx(upper(similarity)[known & ~same].mean())
    assert (found.auc.unit, found.auc.n_units) == ("tasks", 8)
    assert "5 pairs" in found.summary()
    assert found.to_dict()["auc"]["value"] == found.auc.value


def test_the_area_after_controls(rng):
    similarity, control = symmetric(rng, 8, 8), symmetric(rng, 8, 8)
    similarity += 3 * control
    known, same = kinds(GROUPS)
    residuals = upper(residual_matrix(similarity, [control]))
    found = within_between(similarity, GROUPS, controls=[control])
    assert found.auc.value == pytest.approx(roc_auc_score(same[known], residuals[known]))
    assert found.within == pytest.approx(upper(similarity)[known & same].mean())  # as it is
    assert within_between(3 * control, GROUPS, controls=[control]).auc.value == pytest.approx(0.5)  # nothing is left: all are ties


def test_tasks_drawn_anew_are_copies_without_pairs_of_one(rng, monkeypatch):
    monkeypatch.setattr("lexframe.task_space.reading.mantel._DRAWS", 150)
    similarity, control = symmetric(rng, 8, 8), symmetric(rng, 8, 8)
    found = within_between(similarity, GROUPS, controls=[control], seed=3)
    counts = np.random.default_rng(3).multinomial(8, np.full(8, 1 / 8), size=150)
    areas = []
    for row in counts:
        drawn = np.repeat(np.arange(8), row)
        pairs = [(a, b) for place, a in enumerate(drawn) for b in drawn[place + 1 :] if a != b]
        values = np.array([[similarity[pair], control[pair]] for pair in pairs])
        same = np.array([GROUPS[a] == GROUPS[b] for a, b in pairs])
        known = np.array([GROUPS[a] is not None and GROUPS[b] is not None for a, b in pairs])
        if 0 < same[known].sum() < known.sum():
            design = np.stack([np.ones(len(pairs)), values[:, 1]], axis=1)
            residuals = np.round(values[:, 0] - design @ np.linalg.lstsq(design, values[:, 0], rcond=None)[0], 10)
            apart = residuals[known & same][:, np.newaxis] - residuals[known & ~same]
            areas.append(np.mean((apart > 0) + 0.5 * (apart == 0)))
    np.testing.assert_allclose([found.auc.low, found.auc.high], np.percentile(areas, [2.5, 97.5]), atol=1e-9)


def test_pairs_come_as_often_as_both_tasks_do():
    weights = drawn_pairs(5, 400, 0)
    assert weights.shape == (400, 10)
    assert weights.mean() == pytest.approx(1 - 1 / 5, abs=0.05)  # E[c_i c_j] = n (n - 1) / n^2
    np.testing.assert_array_equal(weights, drawn_pairs(5, 400, 0))


def test_resamples_give_the_interval_where_there_are_some(rng):
    similarity = same_group(GROUPS) + 0.8 * symmetric(rng, 8, 8)
    resampled = (similarity + 0.3 * symmetric(rng, 40, 8, 8)).astype(np.float32)
    resampled[3, 0, 1] = np.nan
    known, same = kinds(GROUPS)
    areas = [roc_auc_score(same[known], upper(one)[known]) for number, one in enumerate(resampled) if number != 3]
    found = within_between(similarity, GROUPS, resampled=resampled)
    np.testing.assert_allclose([found.auc.low, found.auc.high], np.percentile(areas, [2.5, 97.5]))
    assert found.auc.unit == "draws of pairs"


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["a", "b", "c", "d"], "no pair of tasks of one group"),
        (["a", "a", "a", None], "no pair of tasks of two groups"),
        (["a", "a", "b"], "3 groups and 4 tasks"),
    ],
)
def test_groups_that_cannot_be_told_apart(rng, groups, said):
    with pytest.raises(InputError, match=said):
        within_between(symmetric(rng, 4, 4), groups)


def test_resamples_of_other_tasks(rng, without_type_checks):
    with pytest.raises(InputError, match="expected matrices of 4 tasks"):
        within_between(symmetric(rng, 4, 4), ["a", "a", "b", "b"], resampled=np.zeros((3, 5, 5)))
    with pytest.raises(InputError, match="0 of 3 resamples are finite"):
        within_between(symmetric(rng, 4, 4), ["a", "a", "b", "b"], resampled=np.full((3, 4, 4), np.nan))
