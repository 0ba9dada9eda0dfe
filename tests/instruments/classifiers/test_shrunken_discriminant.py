"""A discriminant whose left-out scores are exact: against fits that never saw the text, one by one."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lexframe.instruments.classifiers.shrunken_discriminant import shrunken_discriminant
from lexframe.linalg import softmax
from tests.reference import posterior_calibration as reference


def planted(rng, n, *, n_dims=6, n_classes=3, separation=1.0):
    y = np.concatenate([np.repeat(np.arange(n_classes), 2), rng.integers(n_classes, size=n - 2 * n_classes)])
    features = separation * np.random.default_rng(3).normal(size=(n_classes, n_dims))[y] + rng.normal(size=(n, n_dims))
    return features - features.mean(axis=0), y


@pytest.mark.parametrize(("n", "n_dims"), [(25, 6), (12, 40)])
def test_left_out_scores_are_those_of_fits_without_the_text(rng, n, n_dims):
    features, y = planted(rng, n, n_dims=n_dims)
    variance = features.var(axis=0).mean()
    found = shrunken_discriminant(features, y, 3, ridges=(0.3,))
    free = n - 3
    pull = reference.pull(features, y, 0.3 * variance, free=free)
    ratios = []
    for i in range(n):
        rest = np.arange(n) != i
        written_out = reference.discriminant_scores(features[i], features[rest], y[rest], 3, 0.3 * variance, free=free, pull=pull)
        ratio = found.left_out[i] @ written_out / (written_out @ written_out)
        np.testing.assert_allclose(found.left_out[i], ratio * written_out, atol=1e-9)
        ratios.append(ratio)
    np.testing.assert_allclose(ratios, ratios[0])  # one scale for all texts


def test_scores_are_linear_and_those_of_the_reference(rng):
    features, y = planted(rng, 30)
    found = shrunken_discriminant(features, y, 3, ridges=(0.1,))
    ridge = 0.1 * features.var(axis=0).mean()
    pull = reference.pull(features, y, ridge, free=27)
    x = rng.normal(size=6)
    written_out = reference.discriminant_scores(x, features, y, 3, ridge, free=27, pull=pull)
    scores = x @ found.coef.T + found.intercept
    np.testing.assert_allclose(scores / np.linalg.norm(scores), written_out / np.linalg.norm(written_out), atol=1e-9)


def test_of_many_texts_with_next_to_no_ridge_it_is_lda(rng):
    y = np.repeat(np.arange(3), 4000)
    features = 0.8 * rng.normal(size=(3, 5))[y] + rng.normal(size=(12000, 5))
    features -= features.mean(axis=0)
    found = shrunken_discriminant(features, y, 3, ridges=(1e-9,))
    ours, theirs = features @ found.coef.T + found.intercept, LinearDiscriminantAnalysis().fit(features, y).decision_function(features)
    theirs = theirs - theirs.mean(1, keepdims=True)
    slope = (ours * theirs).sum() / (theirs**2).sum()
    assert slope > 0
    np.testing.assert_allclose(ours, slope * theirs, atol=0.01 * np.abs(ours).max())


def test_the_ridge_is_chosen_by_left_out_scores(rng):
    """Noise in many directions: left-out texts ask for a strong ridge, where fitted ones would ask for none."""
    features, y = planted(rng, 60, n_dims=50, separation=0.4)
    assert shrunken_discriminant(features, y, 3).precision >= 1
    clear, z = planted(rng, 600, n_dims=4, separation=2.0)
    clear[:, 0] += 40 * rng.normal(size=600)  # one direction of pure noise, which a weak ridge whitens away
    assert shrunken_discriminant(clear - clear.mean(axis=0), z, 3).precision < 0.1


def test_the_scale_makes_left_out_probabilities_honest(rng):
    features, y = planted(rng, 400, n_dims=30, separation=0.25)
    found = shrunken_discriminant(features, y, 3)
    probabilities = softmax(found.left_out)
    assert probabilities.max(axis=1).mean() == pytest.approx(np.mean(found.left_out.argmax(axis=1) == y), abs=0.06)


def test_a_class_of_one_text_claims_no_more_than_its_share(rng):
    """Its mean is long by chance: undrawn, it would claim more than its third where nothing tells the classes apart."""
    y = np.concatenate([rng.integers(2, size=200), [2]])
    features = 0.3 * rng.normal(size=(3, 40))[y] + rng.normal(size=(201, 40))
    features -= features.mean(axis=0)
    found = shrunken_discriminant(features, y, 3)
    said = (features[:200] @ found.coef.T + found.intercept).argmax(axis=1)
    assert np.mean(said == 2) < 0.25


def test_part_of_the_rows_can_be_left_out(rng):
    features, y = planted(rng, 40)
    rows = np.array([3, 17, 30])
    whole = shrunken_discriminant(features, y, 3, ridges=(0.5,))
    part = shrunken_discriminant(features, y, 3, rows=rows, ridges=(0.5,))
    np.testing.assert_allclose(softmax_direction(part.left_out), softmax_direction(whole.left_out[rows]), atol=1e-9)


def softmax_direction(scores):
    return scores / np.linalg.norm(scores)


def test_a_class_without_a_text_stands_at_the_centre(rng):
    features, y = planted(rng, 30)
    found = shrunken_discriminant(features, y, 4)
    assert found.coef.shape == (4, 6)
    np.testing.assert_allclose(found.coef[3], -found.coef[:3].sum(axis=0), atol=1e-9)  # zero, before centering over classes
    assert np.isfinite(found.left_out).all()


def test_one_text_a_class_gives_nearest_means(rng):
    features, y = np.eye(3) - 1 / 3, np.arange(3)
    found = shrunken_discriminant(features, y, 3)
    assert (features @ found.coef.T + found.intercept).argmax(axis=1).tolist() == [0, 1, 2]
    assert found.precision == 100


def test_equal_features_say_nothing():
    found = shrunken_discriminant(np.zeros((6, 4)), np.array([0, 1, 0, 1, 0, 1]), 2)
    assert not found.coef.any()
    assert not found.left_out.any()


def test_the_order_of_rows_and_classes_does_not_matter(rng):
    features, y = planted(rng, 40)
    order, classes = rng.permutation(40), np.array([2, 0, 1])
    first, second = shrunken_discriminant(features, y, 3), shrunken_discriminant(features[order], np.argsort(classes)[y[order]], 3)
    np.testing.assert_allclose(second.coef, first.coef[classes], atol=1e-8)
    np.testing.assert_allclose(second.left_out, first.left_out[order][:, classes], atol=1e-8)
