"""The module, its start, its gradients, and what it learns where the best possible accuracy is known."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from lexframe.instruments import LabelBases, NearestBasis, SemanticCalibration, ShrinkageLDA, VocabularyFrame
from lexframe.instruments.classifiers.semantic_calibration import CalibrationModule
from lexframe.spaces import ToySpace

N_DIMS, N_VOCAB = 16, 48
OBJECTIVES = ["labels", "vocabulary", "gold"]


def frame(seed=0):
    """Bases of a vocabulary of random words whose directions differ in strength."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(N_VOCAB, N_DIMS)) * np.geomspace(1, 0.1, N_DIMS)
    return VocabularyFrame(ToySpace({f"w{number}": row.tolist() for number, row in enumerate(rows)}))


def label_bases(readout="invariant"):
    return frame().label_bases({"no": ["w0"], "yes": ["w1"]}, readout=readout)


class Planted:
    """Points r = α s_y + nuisance, whose covariance is large along a few directions that both classes share."""

    def __init__(self, n=1200, seed=0):
        rng = np.random.default_rng(seed)
        self.bases = label_bases()
        centers = 0.8 * self.bases.vectors / np.linalg.norm(self.bases.vectors, axis=1, keepdims=True)
        gap = centers[1] - centers[0]
        loud = np.stack([gap / np.linalg.norm(gap) + rng.normal(size=N_DIMS) / 2, *rng.normal(size=(2, N_DIMS))])
        loud /= np.linalg.norm(loud, axis=1, keepdims=True)
        covariance = 0.06 * np.eye(N_DIMS) + 6 * loud.T @ loud
        answers = np.arange(n) % 2
        self.X = centers[answers] + rng.multivariate_normal(np.zeros(N_DIMS), covariance, size=n)
        self.y = np.array(self.bases.labels)[answers]
        # Two Gaussians with one covariance: the best accuracy is Φ(Δ / 2) with Δ² = gapᵀ Σ⁻¹ gap.
        self.bayes = float(norm.cdf(np.sqrt(gap @ np.linalg.solve(covariance, gap)) / 2))

    def halves(self):
        middle = len(self.X) // 2
        return self.X[:middle], self.y[:middle], self.X[middle:], self.y[middle:]


@pytest.fixture(scope="module")
def planted():
    return Planted()


def calibration(objective="labels", *, bases=None, **options):
    vocabulary = frame().bases() if objective == "vocabulary" else None
    options = {"max_epochs": 60, "batch_size": 64, "learning_rate": 3e-3, **options}
    return SemanticCalibration(bases or label_bases(), objective=objective, vocabulary=vocabulary, **options)


@pytest.mark.parametrize("n_dims", [16, 64])
def test_the_number_of_parameters(n_dims):
    n_parameters = sum(parameter.numel() for parameter in CalibrationModule(n_dims).parameters())
    assert n_parameters == 33 * n_dims**2 // 8 + 2 * n_dims


def test_a_fitted_model_says_how_many_parameters_it_trained(rng):
    model = SemanticCalibration(max_epochs=1).fit(rng.normal(size=(8, 64)), [0, 1] * 4)
    assert model.n_parameters_ == 33 * 64**2 // 8 + 2 * 64


def test_a_fresh_module_moves_nothing():
    points = torch.randn(5, 24, generator=torch.Generator().manual_seed(0))
    assert torch.equal(CalibrationModule(24)(points), points)


@pytest.mark.parametrize("readout", ["invariant", "cosine"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_without_training_it_is_the_nearest_basis(readout, scale, rng):
    X, bases = scale * rng.normal(size=(200, N_DIMS)), label_bases(readout)
    y = rng.choice(bases.labels, size=200)
    model = calibration(bases=bases, max_epochs=0, temperature=0.05).fit(X, y)
    nearest = NearestBasis(bases, temperature=0.05).fit(X, y)
    assert model.n_epochs_ == 0
    np.testing.assert_allclose(model.transform(X), X, atol=1e-5 * scale)
    np.testing.assert_allclose(model.similarity(X), nearest.similarity(X), atol=1e-5)
    assert (model.predict(X) == nearest.predict(X)).all()
    np.testing.assert_allclose(model.predict_proba(X), nearest.predict_proba(X), atol=1e-3)


def test_matrix_logits_without_training_are_the_heads_own(rng):
    X = rng.normal(size=(30, N_DIMS))
    fitted = calibration(max_epochs=0, inference_logits="matrix").fit(X, np.array(["no", "yes"] * 15))
    logits = X @ frame().rows[[0, 1]].T
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-5)


@pytest.mark.parametrize(("training", "inference"), [("matrix", "matrix"), ("matrix", "similarity"), ("similarity", "matrix")])
def test_the_logits_of_the_papers_ablation_learn_the_planted_classes(planted, training, inference):
    X, y, X_test, y_test = planted.halves()
    fitted = calibration(training_logits=training, inference_logits=inference).fit(X, y)
    assert fitted.score(X_test, y_test) > NearestBasis(planted.bases).fit(X, y).score(X_test, y_test)


def test_an_unmoved_point_stays_in_place_under_a_badly_conditioned_metric(rng):
    vectors, metric = rng.normal(size=(2, 4)), np.diag([1.0, 1e-3, 1e-6, 0.0])
    X = rng.normal(size=(20, 4))
    model = SemanticCalibration(LabelBases(("a", "b"), vectors, ((0,), (1,)), metric), max_epochs=0).fit(X, ["a", "b"] * 10)
    np.testing.assert_allclose(model.transform(X), X, atol=1e-5)


def test_gradients_equal_finite_differences():
    generator = torch.Generator().manual_seed(0)
    module = CalibrationModule(8).double()
    with torch.no_grad():
        for parameter in module.parameters():  # away from the start, where the zero gain hides every other gradient
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    points = torch.randn(3, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def moved(points, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (points,))

    assert torch.autograd.gradcheck(moved, (points, *parameters), atol=1e-6)


def test_zero_shot_is_worst_calibration_helps_and_the_linear_control_is_near_the_best_possible(planted):
    X, y, held_out, truth = planted.halves()
    zero_shot = NearestBasis(planted.bases).fit(X, y).score(held_out, truth)
    linear = ShrinkageLDA().fit(X, y).score(held_out, truth)
    error = np.sqrt(planted.bayes * (1 - planted.bayes) / len(truth))
    assert 0.8 < planted.bayes < 0.99
    assert planted.bayes - 0.03 - 3 * error < linear < planted.bayes + 3 * error
    for objective in OBJECTIVES:
        calibrated = calibration(objective).fit(X, y).score(held_out, truth)
        assert zero_shot + 0.08 < calibrated < planted.bayes + 3 * error, objective


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_shuffled_labels_give_chance(planted, objective):
    X, y, held_out, truth = planted.halves()
    rng = np.random.default_rng(5)
    score = calibration(objective, max_epochs=15).fit(X, rng.permutation(y)).score(held_out, rng.permutation(truth))
    assert abs(score - 0.5) < 4 * np.sqrt(0.25 / len(truth))


def test_training_that_only_makes_things_worse_is_undone(rng):
    bases = label_bases()
    answers = np.arange(100) % 2
    X, y = bases.vectors[answers] * (1 + 0.01 * rng.normal(size=(100, 1))), np.array(bases.labels)[answers]
    model = calibration("gold", learning_rate=10.0).fit(X, y)
    assert model.n_epochs_ == 0
    np.testing.assert_array_equal(model.transform(X), X)


def test_training_stops_when_held_out_points_have_not_improved_for_a_while(planted, monkeypatch):
    X, y, *_ = planted.halves()
    losses = iter([3.0, 2.0, 1.0, 1.5, 1.0, 1.2, 0.1])
    monkeypatch.setattr(SemanticCalibration, "_evaluate", lambda *args: next(losses))
    model = calibration(patience=3).fit(X, y)
    assert model.n_epochs_ == 2  # the start, then epochs 1 to 5; epoch 6 would have been better and is never seen
    assert list(losses) == [0.1]


@pytest.mark.parametrize("options", [{"validation_share": 0.0}, {}])
def test_without_held_out_points_all_epochs_are_run(options, planted):
    rows = slice(0, 18)  # fewer than 10 points a class leave none to hold out
    assert calibration(max_epochs=4, **options).fit(planted.X[rows], planted.y[rows]).n_epochs_ == 4


@pytest.mark.parametrize("n_rare", [0, 1, 9])
def test_a_rare_class_stays_in_training_and_the_others_are_held_out(n_rare):
    y = np.repeat([0, 1], (60, 40))
    model = calibration(random_state=3)
    train, held_out = model._split(np.concatenate([y, np.full(n_rare, 2)]))
    assert np.bincount(y[held_out]).tolist() == [6, 4]
    assert np.array_equal(held_out, model._split(y)[1])
    assert sorted([*train, *held_out]) == list(range(100 + n_rare))


def test_a_single_large_class_is_not_what_the_epoch_is_chosen_on():
    train, held_out = calibration()._split(np.repeat([0, 1], (60, 9)))
    assert (len(train), len(held_out)) == (69, 0)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_same_seed_gives_the_same_numbers(planted, objective):
    X, y, *_ = planted.halves()

    def fitted(seed):
        return calibration(objective, max_epochs=3, random_state=seed).fit(X, y).transform(X[:5])

    np.testing.assert_array_equal(fitted(0), fitted(0))
    assert np.abs(fitted(0) - fitted(1)).max() > 1e-6


def test_global_generators_are_left_alone(planted):
    X, y, *_ = planted.halves()
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  the global generator is what is watched
    state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = calibration(max_epochs=2).fit(X, y).transform(X[:3])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    torch.manual_seed(4)
    np.testing.assert_array_equal(calibration(max_epochs=2).fit(X, y).transform(X[:3]), first)


@pytest.mark.parametrize("objective", ["gold", "labels"])
def test_only_the_gold_objective_never_looks_at_other_labels(planted, objective):
    X, y, *_ = planted.halves()

    def moved(third):
        bases = LabelBases(("no", "yes", "zebra"), np.vstack([planted.bases.vectors, third]), ((0,), (1,), (2,)), planted.bases.metric)
        return calibration(objective, bases=bases, max_epochs=3, validation_share=0.0).fit(X, y).transform(X[:20])

    first, second = (moved(np.random.default_rng(seed).normal(size=N_DIMS)) for seed in (0, 1))
    assert np.array_equal(first, second) == (objective == "gold")


def test_only_the_vocabulary_objective_looks_at_other_words(planted):
    X, y, *_ = planted.halves()
    vocabulary = frame().bases()

    def moved(words):
        model = SemanticCalibration(planted.bases, objective="vocabulary", vocabulary=words, max_epochs=3, validation_share=0.0)
        return model.fit(X, y).transform(X[:20])

    changed = np.vstack([vocabulary[:2], -vocabulary[2:]])
    assert np.abs(moved(vocabulary) - moved(changed)).max() > 1e-6


def test_training_brings_points_nearer_to_their_gold_basis(planted):
    X, y, *_ = planted.halves()
    assert planted.bases.labels == ("no", "yes")  # sorted: columns are those of the model
    model = calibration("gold", validation_share=0.0).fit(X, y)
    gold = np.arange(len(y)), np.searchsorted(model.classes_, y)
    after = model.similarity(X)
    assert after[gold].mean() > planted.bases.similarity(X)[gold].mean() + 0.2
    np.testing.assert_allclose(planted.bases.similarity(model.transform(X)), after, atol=1e-4)


def test_similarities_are_bounded(planted):
    X, y, *_ = planted.halves()
    model = calibration(max_epochs=5).fit(X, y)
    for points in (X, 1e6 * X, 1e-6 * X, np.zeros((2, N_DIMS))):
        assert np.abs(model.similarity(points)).max() <= 1 + 1e-6
        assert np.isfinite(model.predict_proba(points)).all()


def test_labels_unseen_in_training_keep_their_basis(planted):
    X, y, *_ = planted.halves()
    model = calibration(max_epochs=2).fit(X[y == "no"], y[y == "no"])
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "words"}, "expected one of labels, vocabulary, gold"),
        ({"temperature": 0.0}, "must be positive"),
        ({"temperature": -1.0}, "must be positive"),
        ({"objective": "vocabulary"}, r"needs bases=.* and vocabulary="),
    ],
)
def test_parameters_that_make_no_sense(options, message, rng):
    with pytest.raises(ValueError, match=message):
        SemanticCalibration(label_bases(), **options).fit(rng.normal(size=(6, N_DIMS)), ["yes", "no"] * 3)


def test_the_vocabulary_without_label_words_is_not_enough(rng):
    with pytest.raises(ValueError, match=r"needs bases="):
        SemanticCalibration(objective="vocabulary", vocabulary=frame().bases()).fit(rng.normal(size=(6, N_DIMS)), [0, 1] * 3)
