"""The transport model on states made by it: the rate, the rank and the better map are known."""

import json

import numpy as np
import pytest
import scipy.linalg

from lexframe.exceptions import InputError
from lexframe.studies.transport import MAPS, AffineMap, noise_growth, paired_map, ridge_map, singular_axes, study_transport


def rotations(rng, n_layers, n_dims, angle=0.3):
    """Orthogonal bases of each layer, each turned a little from the one before."""
    bases = [np.linalg.qr(rng.normal(size=(n_dims, n_dims)))[0]]
    for _ in range(n_layers - 1):
        skew = rng.normal(size=(n_dims, n_dims)) * angle / np.sqrt(n_dims)
        bases.append(scipy.linalg.expm((skew - skew.T) / 2) @ bases[-1])
    return bases


def diffusion(rng, *, n=6000, n_layers=8, n_dims=10, alpha=0.05, rate=0.25, growth=0.1, n_substeps=20):
    """States of dx = (rotation + growth) x dt + sqrt(alpha rate exp(rate t)) dW, by Euler and Maruyama within each layer."""
    bases = rotations(rng, n_layers, n_dims)
    x = rng.normal(size=(n, n_dims)) * np.geomspace(8, 1, n_dims) @ bases[0].T
    states, dt = [x], 1 / n_substeps
    for layer in range(1, n_layers):
        turn = bases[layer] @ bases[layer - 1].T
        for sub in range(n_substeps):
            t = layer - 1 + sub * dt
            x = x * np.exp(growth * dt) + np.sqrt(alpha * rate * np.exp(rate * t) * dt) * rng.normal(size=x.shape)
        x = x @ turn.T
        states.append(x)
    return np.stack(states)


def test_the_planted_growth_rate_is_found_within_five_percent(rng):
    states = diffusion(rng)
    study = study_transport(states, range(8), every_pair=False)
    assert study.growth["ridge"].rate.value == pytest.approx(0.25, rel=0.05)
    assert study.growth["ridge"].r_squared > 0.99
    # A step integrates alpha (exp(rate (t + 1)) - exp(rate t)), which the growth of the states then lifts by at most exp(0.2).
    assert 1 <= study.growth["ridge"].alpha / (0.05 * (1 - np.exp(-0.25))) <= np.exp(0.2)


def test_a_line_is_fitted_exactly():
    depths = np.arange(1, 7)
    fit = noise_growth(0.3 * np.exp(0.2 * depths), depths)
    np.testing.assert_allclose([fit.alpha, fit.rate.value, fit.rate.low, fit.rate.high, fit.r_squared], [0.3, 0.2, 0.2, 0.2, 1], rtol=1e-6)
    two = noise_growth(np.array([1.0, 2.0]), np.array([1, 2]))
    assert two.rate.value == pytest.approx(np.log(2))
    assert two.rate.high == np.inf


def test_the_interval_of_the_rate_covers_it_about_as_often_as_it_says(rng):
    depths = np.arange(6)
    fits = [noise_growth(np.exp(0.3 * depths + 0.2 * rng.normal(size=6)), depths) for _ in range(300)]
    assert 0.9 <= np.mean([fit.rate.low <= 0.3 <= fit.rate.high for fit in fits]) <= 0.99


def test_an_affine_map_is_found_by_the_ridge_and_not_by_the_pairing(rng):
    start = rng.normal(size=(300, 8)) * np.geomspace(3, 1, 8)
    end = start @ rng.normal(size=(8, 8)) + 4
    np.testing.assert_allclose(ridge_map(start, end)(start), end, atol=1e-4)
    assert np.abs(paired_map(start, end)(start) - end).mean() > 0.5


def test_the_pairing_is_exact_where_the_order_of_directions_stays(rng):
    left, right = (np.linalg.qr(rng.normal(size=(8, 8)))[0] for _ in range(2))
    parts = np.linalg.qr(rng.normal(size=(100, 8)))[0] * np.geomspace(9, 1, 8)
    start, end = parts @ left.T, (parts * np.geomspace(2, 1, 8)) @ right.T
    np.testing.assert_allclose(paired_map(start, end)(start), end, atol=1e-8)


def test_the_ridge_wins_where_directions_change_their_order(rng):
    parts = rng.normal(size=(400, 6)) * np.geomspace(6, 1, 6)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    swapped = (parts * np.geomspace(6, 1, 6)[::-1] ** 2) @ basis.T
    study = study_transport(np.stack([parts @ basis.T, swapped + 0.1 * rng.normal(size=parts.shape)]), [1, 2])
    assert study.one_step["ridge"][0] < 0.01
    assert study.one_step["paired"][0] > 0.5
    assert study.one_step["mean"][0] == pytest.approx(1)


def test_states_that_stay_are_carried_by_the_identity(rng):
    x = rng.normal(size=(60, 5))
    study = study_transport(np.stack([x, x, x]), [0, 1, 2])
    assert study.one_step["identity"].tolist() == [0, 0]
    assert study.growth == {} or study.growth["ridge"].alpha < 1e-6


def test_ridge_falls_back_on_the_mean_where_nothing_can_be_learned(rng):
    study = study_transport(rng.normal(size=(2, 60, 50)), [1, 2])
    assert study.one_step["ridge"][0] < 1.2
    assert study.one_step["paired"][0] > 1.5


def test_errors_are_those_of_prompts_that_the_map_has_not_seen(rng):
    start = rng.normal(size=(80, 20))
    study = study_transport(np.stack([start, start + rng.normal(size=start.shape)]), [1, 2])
    assert study.one_step["ridge"][0] > 0.5  # what the noise leaves; on its own 56 prompts the map comes to some 0.3
    assert (study.n_train, study.n_test) == (56, 24)


def test_every_pair_or_neighbours_only(rng):
    states = diffusion(rng, n=80, n_layers=4, n_dims=3, n_substeps=2)
    every, neighbors = (study_transport(states, [1, 2, 3, 4], every_pair=each) for each in (True, False))
    assert np.isfinite(every.errors["ridge"]).sum() == 6
    assert np.isfinite(neighbors.errors["ridge"]).sum() == 3
    np.testing.assert_array_equal(every.one_step["paired"], neighbors.one_step["paired"])
    assert len(every.to_frame()) == 6 * len(MAPS)
    json.dumps(every.to_dict(), allow_nan=False)
    assert "ridge" in json.dumps(every.chart().to_dict())
    assert study_transport(states, [1, 2, 3, 4], growth_until=3).growth["ridge"].rate != every.growth["ridge"].rate


def test_singular_axes_span_the_states(rng):
    states = rng.normal(size=(2, 50, 2)) @ rng.normal(size=(2, 2, 6)) + 0.0
    axes = singular_axes(states)
    np.testing.assert_allclose(np.einsum("lnd,ldk->lnk", states, axes[:, :, 2:]), 0, atol=1e-9)


def test_maps_are_affine():
    assert AffineMap(np.eye(2), np.ones(2))(np.zeros((1, 2))).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("states", "layers", "message"),
    [
        (np.zeros((2, 9, 3)), [1], "1 layers for states of 2"),
        (np.zeros((1, 9, 3)), [1], "two or more"),
        (np.zeros((2, 3, 3)), [1, 2], "too few"),
        (np.zeros((2, 0, 3)), [1, 2], "too few"),
    ],
)
def test_bad_states_are_refused(states, layers, message):
    with pytest.raises(InputError, match=message):
        study_transport(states, layers)


def test_bad_variances_are_refused():
    with pytest.raises(InputError, match="two depths"):
        noise_growth(np.array([1.0, 2.0]), np.array([3, 3]))
    with pytest.raises(InputError, match="exact there"):
        noise_growth(np.array([1.0, 0.0]), np.array([1, 2]))
