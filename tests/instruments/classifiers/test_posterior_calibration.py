"""Posterior calibration: the zero-shot classifier without labels, and better than either side with some."""

import numpy as np
import pytest

from lexframe.instruments import PosteriorCalibration
from lexframe.instruments.classifiers import posterior_calibration as module
from lexframe.instruments.classifiers import zero_shot_prior
from lexframe.instruments.classifiers.shrunken_discriminant import shrunken_discriminant
from lexframe.linalg import softmax
from tests.reference import posterior_calibration as reference

LABELS = ("down", "left", "up")


def planted(rng, n, *, n_dims=20, knowledge=0.6, separation=1.0):
    """Points around three class centres, and zero-shot scores that know a part of the truth."""
    y = rng.integers(3, size=n)
    centers = np.random.default_rng(7).normal(size=(3, n_dims)) * separation
    points = centers[y] + rng.normal(size=(n, n_dims))
    scores = knowledge * 2 * np.eye(3)[y] + rng.normal(size=(n, 3))
    return np.hstack([scores, points]), y


def test_without_labels_it_is_the_zero_shot_classifier_exactly(rng):
    X, _ = planted(rng, 40)
    fitted = PosteriorCalibration(LABELS).fit(X[:0], np.array([], dtype=str))
    np.testing.assert_array_equal(fitted.predict_proba(X), softmax(X[:, :3] - X[:, :3].mean(1, keepdims=True)))
    assert fitted.trust_.tolist() == [1]
    assert fitted.classes_.tolist() == list(LABELS)


def test_the_neighbourhood_speaks_as_written_out_pair_by_pair(rng):
    features, scores = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    scores -= scores.mean(1, keepdims=True)
    queries = rng.normal(size=(5, 4))
    np.testing.assert_allclose(
        queries @ zero_shot_prior.propagation(features, scores), reference.propagated(features, scores, queries), atol=1e-10
    )


def test_equal_texts_or_equal_scores_say_nothing_of_their_neighbours(rng):
    assert not zero_shot_prior.propagation(np.zeros((5, 4)), rng.normal(size=(5, 3))).any()
    assert not zero_shot_prior.propagation(rng.normal(size=(5, 4)), np.ones((5, 3))).any()
    assert zero_shot_prior.propagation(np.zeros((0, 4)), np.zeros((0, 3))).shape == (4, 3)


def test_unlabeled_texts_place_the_prior(rng):
    X, y = planted(rng, 900, knowledge=0.5, separation=0.6)
    X[:, 1] += 4.0  # a frequent label word: every text seems to go left
    test, rest = X[:300], X[300:]
    bare = PosteriorCalibration((0, 1, 2)).fit(X[:0], y[:0])
    placed = PosteriorCalibration((0, 1, 2)).fit(X[:0], y[:0], rest)
    accuracy = {name: np.mean(fitted.predict(test) == y[:300]) for name, fitted in (("bare", bare), ("placed", placed))}
    assert accuracy["bare"] < 0.45
    centered = test[:, :3] - rest[:, :3].mean(0)
    assert accuracy["placed"] > np.mean(centered.argmax(1) == y[:300]) + 0.1  # neighbors say more than a text alone
    assert placed.trust_.tolist() == [1]
    assert placed.smoothing_share_ == 600 / 650


def test_scores_that_are_not_to_be_centred_keep_their_mean(rng):
    X, y = planted(rng, 300)
    X[:, 1] += 4.0
    fitted = PosteriorCalibration((0, 1, 2), priors=["phrases"]).fit(X[:0], y[:0], X)
    assert np.mean(fitted.predict(X) == 1) > 0.6
    many = fitted.decision_function(X)
    np.testing.assert_allclose(many.mean(0) - many.mean(), X[:, :3].mean(0) - X[:, :3].mean(), atol=0.1)
    assert np.mean(PosteriorCalibration((0, 1, 2)).fit(X[:0], y[:0], X).predict(X) == 1) < 0.45  # of words it is taken out


def test_a_mean_is_shrunk_as_far_as_chance_could_have_made_it(rng):
    many = rng.normal(loc=(3.0, -3.0), size=(4000, 2))
    np.testing.assert_allclose(zero_shot_prior.shrunken_mean(many), many.mean(0), rtol=1e-3)
    nothing = [np.linalg.norm(zero_shot_prior.shrunken_mean(rng.normal(size=(3, 6)))) for _ in range(200)]
    plain = [np.linalg.norm(rng.normal(size=(3, 6)).mean(0)) for _ in range(200)]
    assert np.mean(nothing) < 0.5 * np.mean(plain)
    assert not zero_shot_prior.shrunken_mean(np.ones((1, 3))).any()


def test_no_more_unlabeled_texts_are_read_than_are_needed(rng, monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS_TO_SMOOTH", 100)
    X, y = planted(rng, 500)
    fitted = PosteriorCalibration((0, 1, 2)).fit(X[:30], y[:30], X[30:])
    assert fitted.smoothing_share_ == 100 / 150
    with pytest.raises(ValueError, match="expected the same columns"):
        PosteriorCalibration((0, 1, 2)).fit(X[:30], y[:30], X[30:, :-1])


def test_it_is_the_pool_of_its_parts_written_out(rng):
    """The linear map that is kept gives the scores of the prior and of both discriminants, weighted."""
    X, y = planted(rng, 200)
    fitted = PosteriorCalibration((0, 1, 2), views=[[12], [8]], priors=["words", None]).fit(X[:80], y[:80], X[80:])
    layout = fitted._layout(23)
    features = fitted._features(X[:, 3:], layout) - fitted.center_
    scores = X[:, :3] - X[:, :3].mean(1, keepdims=True)
    prior = module._Prior.of(scores, features[:, :12], fitted.smoothing_share_, centered=True).scores_of(features[:, :12])
    said = fitted.trust_[0] * prior
    for weight, part in zip(fitted.weights_, (slice(0, 12), slice(12, 20)), strict=True):
        block = shrunken_discriminant(features[:80, part], y[:80], 3)
        said = said + weight * (features[:, part] @ block.coef.T + block.intercept)
    found = fitted.decision_function(X)
    apart = found - said
    np.testing.assert_allclose(apart, np.tile(apart[0], (200, 1)), atol=1e-8)  # the intercept is left
    assert np.abs(apart[0]).max() < 1


def test_a_second_view_that_knows_is_used_and_one_that_does_not_is_left(rng):
    X, y = planted(rng, 900, knowledge=0.0, separation=0.35)
    more = 0.35 * rng.normal(size=(3, 20))[y] + rng.normal(size=(900, 20))
    noise = rng.normal(size=(900, 20))
    rows, test = slice(0, 300), slice(300, 900)

    def right(*views):
        fitted = PosteriorCalibration(views=[[20]] * len(views)).fit(np.hstack([view[rows] for view in views]), y[rows])
        return np.mean(fitted.predict(np.hstack([view[test] for view in views])) == y[test]), fitted

    alone, both, useless = right(X[:, 3:]), right(X[:, 3:], more), right(X[:, 3:], noise)
    assert both[0] > alone[0] + 0.05
    assert useless[0] > alone[0] - 0.02
    assert useless[1].view_shares_[1] < 0.1
    assert both[1].view_shares_.sum() == pytest.approx(1)
    assert both[1].view_shares_.min() > 0.3


def with_opinion(rng, n, *, knowledge):
    """Points, and what another classifier says before them; its labels stand in an order of their own: up, down, left."""
    X, y = planted(rng, n, knowledge=knowledge, separation=0.4)
    return np.hstack([5 * X[:, [2, 0, 1]], X[:, 3:]]), np.array(LABELS)[y]


def opinionated(**settings):
    return PosteriorCalibration(("up", "down", "left"), priors=[None], opinions=[0], **settings)


def test_an_opinion_from_elsewhere_is_heard_as_far_as_it_predicts(rng):
    rows, test = slice(0, 200), slice(200, 900)
    X, y = with_opinion(rng, 900, knowledge=1.0)
    fitted, alone = opinionated().fit(X[rows], y[rows]), PosteriorCalibration().fit(X[rows, 3:], y[rows])
    accuracy = np.mean(fitted.predict(X[test]) == y[test])
    assert accuracy > np.mean(alone.predict(X[test, 3:]) == y[test]) + 0.05
    assert accuracy > np.mean(np.array(("up", "down", "left"))[X[test, :3].argmax(1)] == y[test]) + 0.02
    empty, z = with_opinion(rng, 900, knowledge=0.0)
    ignored, without = opinionated().fit(empty[rows], z[rows]), PosteriorCalibration().fit(empty[rows, 3:], z[rows])
    assert np.mean(ignored.predict(empty[test]) == z[test]) > np.mean(without.predict(empty[test, 3:]) == z[test]) - 0.02
    assert ignored.opinion_weights_[0] < 0.1 * fitted.opinion_weights_[0]


def test_an_opinion_is_added_with_its_weight(rng):
    X, y = with_opinion(rng, 200, knowledge=1.0)
    fitted = opinionated().fit(X, y)
    changed = X.copy()
    changed[:, 0] += 3.0  # of "up", the last class
    np.testing.assert_allclose(
        fitted.decision_function(changed) - fitted.decision_function(X),
        np.tile(fitted.opinion_weights_[0] * np.array([-1.0, -1.0, 2.0]), (200, 1)),
        atol=1e-9,
    )


def test_the_units_of_an_opinion_do_not_matter(rng):
    X, y = with_opinion(rng, 200, knowledge=1.0)
    larger = X.copy()
    larger[:, :3] *= 10.0
    np.testing.assert_allclose(opinionated().fit(larger, y).predict_proba(larger), opinionated().fit(X, y).predict_proba(X), atol=1e-6)


def test_few_labels_say_little_of_an_opinion_and_none_say_nothing(rng):
    X, y = with_opinion(rng, 60, knowledge=1.0)
    assert opinionated().fit(X[:0], y[:0]).opinion_weights_.tolist() == [0]
    np.testing.assert_allclose(opinionated().fit(X[:0], y[:0]).predict_proba(X), 1 / 3)
    one_each = [int(np.flatnonzero(y == label)[0]) for label in LABELS]
    fitted = opinionated().fit(X[one_each], y[one_each])
    assert fitted.opinion_weights_[0] * X[one_each, :3].std() < 0.2 * fitted.weights_[0]  # nothing can be left out of one text


def test_what_is_not_left_out_does_not_decide_how_far_an_opinion_is_believed(rng, monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS_LEFT_OUT", 60)
    X, y = with_opinion(rng, 300, knowledge=1.0)
    changed = X.copy()
    others = np.setdiff1d(np.arange(300), module.rows_left_out(np.searchsorted(LABELS, y), 3, seed=0))
    assert len(others) == 240
    changed[others, :3] = 9.0 * np.eye(3)[rng.integers(3, size=240)]
    np.testing.assert_array_equal(opinionated().fit(X, y).opinion_weights_, opinionated().fit(changed, y).opinion_weights_)


def test_two_tables_of_scores_are_read_in_the_order_of_views(rng):
    X, y = planted(rng, 300, knowledge=1.5)
    strange = 2 * rng.normal(size=(300, 3))
    both = np.hstack([strange, X[:, :3], rng.normal(size=(300, 10)), X[:, 3:]])  # the first view's scores know nothing, the second's do
    fitted = PosteriorCalibration((0, 1, 2), views=[[10], [20]], priors=["words", "words"]).fit(both[:100], y[:100])
    assert fitted.prior_probability_[0] < 0.5
    assert fitted.prior_probability_[1] > 0.99
    assert np.mean(fitted.predict(both[100:]) == y[100:]) > 0.8


def test_words_count_little_beside_phrases_until_labels_say_otherwise(rng):
    X, y = planted(rng, 300, knowledge=2.0)
    strange = 3 * rng.normal(size=(300, 3))
    both = np.hstack([strange, X])
    settings = {"views": [[10], [10]], "priors": ["words", "phrases"]}
    fitted = PosteriorCalibration((0, 1, 2), **settings).fit(both[:0], y[:0])
    np.testing.assert_allclose(fitted.trust_, [0.15, 1])
    assert np.mean(fitted.predict(both) == y) > 0.85
    turned = PosteriorCalibration((0, 1, 2), **settings).fit(np.hstack([X[:, :3], strange, X[:, 3:]])[:200], y[:200])
    assert turned.trust_[0] > turned.trust_[1]


def test_labels_decide_how_far_the_prior_is_trusted(rng):
    knowing, y = planted(rng, 300, knowledge=1.5, separation=0.5)
    ignorant, z = planted(rng, 300, knowledge=0.0, separation=0.0)
    trusted, doubted = PosteriorCalibration((0, 1, 2)).fit(knowing, y), PosteriorCalibration((0, 1, 2)).fit(ignorant, z)
    assert trusted.trust_[0] > 0.8
    assert trusted.prior_probability_[0] > 0.999
    assert abs(doubted.trust_[0]) < 0.2
    assert not PosteriorCalibration().fit(knowing[:, 3:], y).trust_.size


def one_of_each_class(y, shots):
    return np.concatenate([np.flatnonzero(y == label)[:shots] for label in np.unique(y)])


@pytest.mark.parametrize("shots", [1, 4, 16])
def test_scores_that_know_nothing_cost_next_to_nothing(shots):
    """Ten classes, scores of random words: without a way to doubt them they trusted blindly they cost 35, 45 and 22 points here."""
    lost = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        y = np.tile(np.arange(10), 60)
        centers = 0.6 * rng.normal(size=(10, 30))
        points = centers[y] + rng.normal(size=(600, 30))
        scores = points @ rng.normal(size=(30, 10)) / np.sqrt(10)  # as of words: they follow the points, not the classes
        X = np.hstack([scores, points])
        rows, test = one_of_each_class(y[:300], shots), np.arange(300, 600)
        with_scores = PosteriorCalibration(list(range(10))).fit(X[rows], y[rows], X[:300])
        without = PosteriorCalibration().fit(points[rows], y[rows], points[:300])
        lost.append(np.mean(without.predict(points[test]) == y[test]) - np.mean(with_scores.predict(X[test]) == y[test]))
    assert np.mean(lost) < 0.02


@pytest.mark.parametrize(("n", "separation"), [(400, 0.12), (1000, 0.08)])
def test_one_label_of_a_rare_class_changes_nothing_else(n, separation):
    rng = np.random.default_rng(3)
    y = rng.integers(3, size=n + 600)
    points = separation * np.random.default_rng(7).normal(size=(3, 60))[y] + rng.normal(size=(n + 600, 60))
    before = PosteriorCalibration().fit(points[:n], y[:n])
    after = PosteriorCalibration().fit(np.vstack([points[:n], np.full(60, 3.0)]), np.append(y[:n], 3))
    assert abs(np.log(after.precisions_ / before.precisions_)).max() < 1.2  # one step of the grid
    losses = [-np.log(fitted.predict_proba(points[n:])[np.arange(600), y[n:]]).mean() for fitted in (before, after)]
    assert losses[1] == pytest.approx(losses[0], abs=0.015)


def test_labels_that_have_nothing_to_do_with_the_points_leave_them_no_weight(rng):
    X = rng.normal(size=(200, 30))
    fitted = PosteriorCalibration().fit(X, rng.permutation(np.arange(200) % 4))
    assert fitted.predict_proba(X).max() < 0.6
    assert fitted.precisions_[0] > 1


def test_a_spread_of_few_points_is_drawn_to_that_of_its_block():
    points = np.zeros((10, 4))
    points[:5, 0], points[5:, 0] = -2.0, 2.0  # variances 4, 0, 0, 0: on average 1
    fitted = PosteriorCalibration(views=[[4]]).fit(points, [0, 1] * 5)
    np.testing.assert_allclose(fitted.spread_**2, [(10 * 4 + 10) / 20, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("shots", [1, 2, 4, 16])
def test_between_no_labels_and_many_it_beats_both_sides(shots):
    values = {"posterior": [], "zero-shot": [], "labels alone": []}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, y = planted(rng, 600, separation=0.45, knowledge=0.5)
        rows = np.concatenate([np.flatnonzero(y == label)[:shots] for label in range(3)])
        test = np.setdiff1d(np.arange(600), rows)
        posterior = PosteriorCalibration((0, 1, 2)).fit(X[rows], y[rows])
        alone = PosteriorCalibration().fit(X[rows, 3:], y[rows])
        values["posterior"].append(np.mean(posterior.predict(X[test]) == y[test]))
        values["zero-shot"].append(np.mean(X[test, :3].argmax(1) == y[test]))
        values["labels alone"].append(np.mean(alone.predict(X[test, 3:]) == y[test]))
    means = {name: np.mean(found) for name, found in values.items()}
    assert means["posterior"] > means["zero-shot"] - 0.01
    assert means["posterior"] > means["labels alone"]


def test_shuffled_labels_and_a_prior_that_knows_nothing_give_chance():
    rng = np.random.default_rng(5)
    X, y = planted(rng, 900, knowledge=0.0)
    fitted = PosteriorCalibration((0, 1, 2)).fit(X[:300], rng.permutation(y[:300]))
    assert abs(np.mean(fitted.predict(X[300:]) == y[300:]) - 1 / 3) < 0.06


def test_blocks_are_of_one_size_whatever_their_units(rng):
    X, y = planted(rng, 120)
    blown_up = X.copy()
    blown_up[:, 13:] *= 1e4
    settings = {"prior_labels": (0, 1, 2), "views": [[10, 10]]}
    first = PosteriorCalibration(**settings).fit(X, y).predict_proba(X)
    second = PosteriorCalibration(**settings).fit(blown_up, y).predict_proba(blown_up)
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_order_of_the_prior_labels_does_not_matter(rng):
    X, y = planted(rng, 90)
    names = np.array(LABELS)[y]
    turned = X.copy()
    turned[:, :3] = X[:, [2, 0, 1]]
    first = PosteriorCalibration(LABELS).fit(X, names)
    second = PosteriorCalibration((LABELS[2], LABELS[0], LABELS[1])).fit(turned, names)
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(turned), atol=1e-9)


def test_a_label_that_training_lacks_is_still_the_priors(rng):
    X, y = planted(rng, 60, knowledge=3.0)
    seen = y != 2
    fitted = PosteriorCalibration((0, 1, 2)).fit(X[seen], y[seen])
    assert fitted.predict_proba(X).shape == (60, 3)
    assert np.isfinite(fitted.predict_proba(X)).all()


def test_constant_columns_and_equal_points_are_no_trouble():
    X = np.ones((6, 5))
    fitted = PosteriorCalibration().fit(X, [0, 1, 0, 1, 0, 1])
    np.testing.assert_allclose(fitted.predict_proba(X), 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "complaint"),
    [
        (PosteriorCalibration(("a", "b")), "No zero-shot score for the labels"),
        (PosteriorCalibration(tuple(range(30))), "expected 30 scores of labels and the points after them"),
        (PosteriorCalibration(views=[[3, 3]]), "add up to 6 columns"),
        (PosteriorCalibration(views=[[12], [11]], priors=["words"]), "for each of 2 views"),
        (PosteriorCalibration(priors=["verbs"]), "expected one of 'words', 'phrases' and None"),
        (PosteriorCalibration(opinions=[0]), "prior_labels that name the columns"),
        (PosteriorCalibration((0, 1, 2), opinions=[1]), "expected numbers of 1 views"),
    ],
)
def test_what_does_not_fit_together_is_said(estimator, complaint, rng):
    X, y = planted(rng, 30)
    with pytest.raises(ValueError, match=complaint):
        estimator.fit(X, y)


def test_many_classes_with_few_labels_each_are_no_trouble(rng):
    """150 classes of four: more rows than are looked at to choose, and too few left over for one of each class."""
    y = np.repeat(np.arange(150), 4)
    centers = rng.normal(size=(150, 30))
    X = np.hstack([rng.normal(size=(600, 150)), centers[y] + 0.3 * rng.normal(size=(600, 30))])
    assert np.mean(PosteriorCalibration(list(range(150))).fit(X, y).predict(X) == y) > 0.9
