"""Next-token calibration: the loss and its gradient, that no training is the frozen model, and a domain planted by a known affine map."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from lexframe.instruments.classifiers.affine_move import AffineMove, AffineProblem
from lexframe.instruments.classifiers.next_token_calibration import (
    CALIBRATION_METHODS,
    NextTokenCalibration,
    tail_start,
    unigram_offset,
)
from lexframe.instruments.classifiers.next_token_head import (
    NextTokenHead,
    head_statistics,
    mean_loss_and_gradient,
    next_token_losses,
)
from lexframe.linalg import softmax

N_VOCAB, N_DIMS = 40, 6


class Planted:
    """States of a frozen head U, and a domain in which the next token follows the states after a known affine move."""

    def __init__(self, n=3000, seed=0, *, moved=True, soft_cap=None):
        rng = np.random.default_rng(seed)
        self.soft_cap = soft_cap
        self.unembedding = np.random.default_rng(1).normal(size=(N_VOCAB, N_DIMS)) * np.geomspace(1.5, 0.3, N_DIMS)
        self.bias = np.random.default_rng(2).normal(size=N_VOCAB) / 3
        self.states = rng.normal(size=(n, N_DIMS)) @ np.random.default_rng(3).normal(size=(N_DIMS, N_DIMS)) / 2 + 0.5
        plan = np.random.default_rng(4)
        self.truth = AffineMove(0.3 * plan.normal(size=(N_DIMS, N_DIMS)), 0.5 * plan.normal(size=N_DIMS))
        self.right = self.truth(self.states) if moved else self.states
        self.probabilities = softmax(self.logits(self.right))
        self.next_ids = (rng.random((n, 1)) < self.probabilities.cumsum(axis=1)).argmax(axis=1)

    def logits(self, states):
        logits = states @ self.unembedding.T + self.bias
        return logits if self.soft_cap is None else self.soft_cap * np.tanh(logits / self.soft_cap)

    @property
    def head(self):
        return NextTokenHead(self.unembedding, self.bias, self.soft_cap)

    def excess(self, states, offset=0.0):
        """Mean divergence in nats of the true distribution from the prediction at `states`; 0 is the truth."""
        predicted = softmax(self.logits(states) + offset)
        return float((self.probabilities * np.log(self.probabilities / predicted)).sum(1).mean())

    def calibration(self, method="affine", **options):
        return NextTokenCalibration(self.unembedding, bias=self.bias, soft_cap=self.soft_cap, method=method, **options)


@pytest.fixture(scope="module")
def domain():
    return Planted()


@pytest.fixture(scope="module")
def held_out():
    return Planted(seed=9)


@pytest.mark.parametrize("soft_cap", [None, 2.0])
def test_losses_are_minus_the_log_softmax(soft_cap):
    planted = Planted(n=50, soft_cap=soft_cap)
    expected = -np.log(softmax(planted.logits(planted.states)))[np.arange(50), planted.next_ids]
    np.testing.assert_allclose(next_token_losses(planted.states, planted.next_ids, planted.head), expected, rtol=1e-12)


def test_a_large_vocabulary_in_blocks_is_the_same_as_at_once(domain):
    whole = next_token_losses(domain.states, domain.next_ids, domain.head)
    loss, gradient = mean_loss_and_gradient(domain.states, domain.next_ids, domain.head)
    statistics = head_statistics(domain.states, domain.head)
    for block in (1, 7, 2999, 10**6):
        np.testing.assert_allclose(next_token_losses(domain.states, domain.next_ids, domain.head, block=block), whole, rtol=1e-12)
        again, by_states = mean_loss_and_gradient(domain.states, domain.next_ids, domain.head, block=block)
        assert again == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(by_states, gradient, atol=1e-15)
        np.testing.assert_allclose(head_statistics(domain.states, domain.head, block=block).fisher, statistics.fisher, rtol=1e-9)


@pytest.mark.parametrize("soft_cap", [None, 2.0])
def test_gradient_by_states_equals_finite_differences(soft_cap, rng):
    planted = Planted(n=8, soft_cap=soft_cap)
    loss, gradient = mean_loss_and_gradient(planted.states, planted.next_ids, planted.head)
    assert loss == pytest.approx(next_token_losses(planted.states, planted.next_ids, planted.head).mean(), rel=1e-12)
    for _ in range(5):
        direction = rng.normal(size=planted.states.shape)
        up, down = (next_token_losses(planted.states + step * direction, planted.next_ids, planted.head).mean() for step in (1e-5, -1e-5))
        assert (up - down) / 2e-5 == pytest.approx((gradient * direction).sum(), abs=1e-8)


def problem_of(planted):
    problem = AffineProblem(planted.states, planted.head, head_statistics(planted.states, planted.head).fisher)
    features, penalty = problem.features(planted.states), problem.penalty(len(planted.states), 0.5)
    return problem, lambda B: problem.objective(B, planted.states, features, planted.next_ids, penalty)


def test_gradient_of_the_affine_problem_equals_finite_differences(rng):
    _, objective = problem_of(Planted(n=60))
    B = 0.3 * rng.normal(size=(N_DIMS, N_DIMS + 1))
    gradient = objective(B)[1]
    for _ in range(5):
        direction = rng.normal(size=B.shape)
        difference = (objective(B + 1e-5 * direction)[0] - objective(B - 1e-5 * direction)[0]) / 2e-5
        assert difference == pytest.approx((gradient * direction).sum(), abs=1e-7)


def test_the_affine_problem_is_convex(rng):
    _, objective = problem_of(Planted(n=60))
    for scale in (0.1, 1.0, 10.0):
        first, second = scale * rng.normal(size=(2, N_DIMS, N_DIMS + 1))
        (low, slope), (high, _) = objective(first), objective(second)
        assert objective((first + second) / 2)[0] <= (low + high) / 2
        assert high >= low + (slope * (second - first)).sum()  # above its tangent


def test_the_size_of_the_coefficients_is_the_divergence_of_a_small_move(domain, rng):
    problem, _ = problem_of(domain)
    B = 0.02 * rng.normal(size=(N_DIMS, N_DIMS + 1))
    before, after = (softmax(domain.logits(states)) for states in (domain.states, problem.move(B)(domain.states)))
    divergence = (before * np.log(before / after)).sum(1).mean()
    # The factors of the second-order form are averaged one by one, hence the generous tolerance.
    assert divergence == pytest.approx((B**2).sum() / 2, rel=0.3)


def test_the_move_is_the_one_of_the_coefficients(domain, rng):
    problem, _ = problem_of(domain)
    B = rng.normal(size=(N_DIMS, N_DIMS + 1))
    expected = domain.states + problem.features(domain.states) @ (problem.write @ B).T
    np.testing.assert_allclose(problem.move(B)(domain.states), expected, atol=1e-10)


def test_a_change_of_basis_of_the_states_changes_no_prediction(domain):
    mix = np.random.default_rng(6).normal(size=(N_DIMS, N_DIMS)) + 2 * np.eye(N_DIMS)
    other = NextTokenCalibration(domain.unembedding @ mix, bias=domain.bias, counts=False, max_iterations=100)
    other.fit(domain.states @ np.linalg.inv(mix).T, domain.next_ids)
    same = domain.calibration(counts=False, max_iterations=100).fit(domain.states, domain.next_ids)
    assert other.tail_loss_ == pytest.approx(same.tail_loss_, abs=2e-3)  # the floor under the eigenvalues is not invariant


def test_the_planted_move_is_found(domain, held_out):
    model = domain.calibration(counts=False, expected_moves=(1.0, 10.0), max_iterations=200).fit(domain.states, domain.next_ids)
    assert held_out.excess(held_out.states) > 0.3
    # d (d + 1) numbers from n tokens cost d (d + 1) / 2n nats on average.
    moved = model.transform(held_out.states)
    assert held_out.excess(moved) < 3 * N_DIMS * (N_DIMS + 1) / (2 * 3000)
    fisher = head_statistics(held_out.right, held_out.head).fisher  # what no token shows of a move cannot be found
    missed, planted = (
        np.einsum("ij,jk,ik->i", move, fisher, move).mean() for move in (moved - held_out.right, held_out.states - held_out.right)
    )
    assert missed < 0.03 * planted
    truth = -np.log(held_out.probabilities)[np.arange(len(held_out.next_ids)), held_out.next_ids].mean()
    assert model.losses(held_out.states, held_out.next_ids).mean() == pytest.approx(truth, abs=0.02)


def test_every_method_gets_nearer_to_the_truth_and_the_affine_one_nearest(domain, held_out):
    excess = {}
    for method in CALIBRATION_METHODS:
        model = domain.calibration(method, max_epochs=30, learning_rate=3e-3).fit(domain.states, domain.next_ids)
        offset = 0.0 if model.offset_ is None else model.offset_
        excess[method] = held_out.excess(model.transform(held_out.states), offset)
    frozen = held_out.excess(held_out.states)
    assert excess["affine"] < min(excess["unigram"], excess["neural"])
    assert excess["neural"] < frozen - 0.1
    assert excess["unigram"] < frozen - 0.05


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("method", "options"), [("affine", {"max_iterations": 0}), ("affine", {"expected_moves": ()}), ("neural", {"max_epochs": 0})]
)
def test_without_training_it_is_exactly_the_frozen_model(method, options, dtype, domain):
    states = domain.states.astype(dtype)
    model = domain.calibration(method, counts=False, **options).fit(states, domain.next_ids)
    assert model.transform(states).dtype == dtype
    np.testing.assert_array_equal(model.transform(states), states)
    np.testing.assert_array_equal(model.losses(states, domain.next_ids), next_token_losses(states, domain.next_ids, domain.head))
    assert model.n_parameters_ == 0


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
def test_what_does_not_help_on_the_tail_is_not_done(method, domain):
    cut = tail_start(len(domain.states), 0.1)
    ids = np.where(np.arange(len(domain.states)) < cut, 7, domain.logits(domain.states).argmax(axis=1))
    model = domain.calibration(method, learning_rate=0.1).fit(domain.states, ids)
    np.testing.assert_array_equal(model.transform(domain.states), domain.states)
    np.testing.assert_array_equal(model.losses(domain.states, ids), next_token_losses(domain.states, ids, domain.head))
    assert model.tail_loss_ == pytest.approx(next_token_losses(domain.states[cut:], ids[cut:], domain.head).mean())
    assert (model.n_parameters_, model.choices_) == (0, {})


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
def test_a_domain_that_the_model_knows_already_is_hardly_moved(method):
    known, other = Planted(moved=False), Planted(moved=False, seed=9)
    model = known.calibration(method).fit(known.states, known.next_ids)
    offset = 0.0 if model.offset_ is None else model.offset_
    assert other.excess(model.transform(other.states), offset) < 0.02


def test_the_closed_form_makes_the_mean_prediction_follow_the_counts():
    planted = Planted(n=6000)
    prediction = np.full(N_VOCAB, 1 / N_VOCAB)
    offset = unigram_offset(planted.next_ids, prediction, smoothing=0.0 + 1e-9)
    present = np.bincount(planted.next_ids, minlength=N_VOCAB) > 0
    np.testing.assert_allclose(softmax(offset[np.newaxis])[0][present], np.bincount(planted.next_ids, minlength=N_VOCAB)[present] / 6000)


def test_the_closed_form_is_zero_without_text_and_bounded_with_it():
    prediction = softmax(np.random.default_rng(0).normal(size=(1, N_VOCAB)))[0]
    np.testing.assert_allclose(unigram_offset(np.zeros(0, dtype=np.int64), prediction), 0, atol=1e-12)
    offset = unigram_offset(np.zeros(500, dtype=np.int64), prediction, smoothing=100.0)
    np.testing.assert_allclose(offset[1:], np.log(100 / 600))
    assert np.isfinite(unigram_offset(np.array([3]), np.eye(N_VOCAB)[0])).all()  # tokens that the model never predicts


def test_choices_see_the_tail_and_nothing_after_it(domain):
    cut = tail_start(len(domain.states), 0.1)
    shuffled = domain.next_ids.copy()
    shuffled[cut:] = np.random.default_rng(0).integers(0, N_VOCAB, len(shuffled) - cut)
    assert domain.calibration().fit(domain.states, shuffled).n_parameters_ == 0 or (
        domain.calibration().fit(domain.states, shuffled).tail_loss_ > domain.calibration().fit(domain.states, domain.next_ids).tail_loss_
    )


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
def test_the_same_seed_gives_the_same_numbers_and_global_generators_are_left_alone(method, domain):
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    first, second = (
        domain.calibration(method, max_epochs=2, n_search=500).fit(domain.states, domain.next_ids).losses(domain.states, domain.next_ids)
        for _ in range(2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(first, second)


def test_score_and_clone(domain):
    model = clone(domain.calibration()).fit(domain.states, domain.next_ids)
    assert model.score(domain.states, domain.next_ids) == pytest.approx(-model.losses(domain.states, domain.next_ids).mean())
    with pytest.raises(NotFittedError):
        domain.calibration().transform(domain.states)


@pytest.mark.parametrize(("n", "share", "expected"), [(100, 0.1, 90), (2, 0.1, 1), (3, 0.99, 1), (10, 0.01, 9)])
def test_the_tail_leaves_a_position_on_either_side(n, share, expected):
    assert tail_start(n, share) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "expected one of unigram, affine, neural"),
        ({"tail_share": 0.0}, "between 0 and 1"),
        ({"tail_share": 1.0}, "between 0 and 1"),
        ({"ids": [0, N_VOCAB] * 5}, f"0 to {N_VOCAB - 1}"),
        ({"ids": [0, -1] * 5}, "from -1 to 0"),
        ({"ids": [0.0, 1.0] * 5}, "integers"),
        ({"n": 1, "ids": [0]}, "2 or more"),
        ({"n_dims": 4}, "4 dimensions"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message, domain):
    change = dict(change)
    ids, states = change.pop("ids", [0, 1] * 5), np.zeros((change.pop("n", 10), change.pop("n_dims", N_DIMS)))
    with pytest.raises(ValueError, match=message):
        domain.calibration(**change).fit(states, np.array(ids))


def test_states_of_another_width_are_refused_after_fit(domain):
    model = domain.calibration("unigram").fit(domain.states, domain.next_ids)
    with pytest.raises(ValueError, match="expecting 6 features"):
        model.transform(np.zeros((1, 5)))
    with pytest.raises(ValueError, match="0 to 39"):
        model.losses(domain.states[:1], [99])
