"""Masks hold what they should, moves touch nothing else, and everything is as before in the end."""

import numpy as np
import pytest
import torch

from lexframe.task_space.gradients import mean_gradient, trained_parameters
from lexframe.task_space.token_pairs import tokenized
from lexframe.task_space.tuning import ARMS, arm_masks, at_random, largest, masked_norm, move, tune, weights_kept
from tests.task_space.small_tasks import CATS
from tests.tiny_models import tiny_space

SHAPES = [(7, 11), (40,), (3, 5, 4)]


@pytest.fixture
def gradients():
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in SHAPES]


@pytest.fixture(scope="module")
def network():
    return tiny_space("llama_tied").sequence_network()


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1.0])
def test_masks_hold_the_largest_of_every_tensor_and_no_other(gradients, share):
    for gradient, mask in zip(gradients, largest(gradients, share), strict=True):
        n = max(1, round(share * gradient.numel()))
        sizes = gradient.abs().flatten().sort(descending=True).values
        assert int(mask.sum()) == n
        assert mask.shape == gradient.shape
        assert (gradient.abs()[mask] >= sizes[n - 1]).all()


def test_random_masks_are_as_large_and_say_nothing_of_the_gradient(gradients):
    masks = at_random(gradients, 0.2, seed=1)
    assert [int(mask.sum()) for mask in masks] == [int(mask.sum()) for mask in largest(gradients, 0.2)]
    assert all(torch.equal(one, other) for one, other in zip(masks, at_random(gradients, 0.2, seed=1), strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(masks, at_random(gradients, 0.2, seed=2), strict=True))
    many = [at_random([torch.arange(50.0)], 0.2, seed=seed)[0] for seed in range(200)]
    share = torch.stack(many).double().mean(0)
    assert abs(share - 0.2).max() < 0.12  # four standard errors


def test_a_move_is_as_long_as_asked_for_and_touches_nothing_else(gradients):
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    before = [parameter.detach().clone() for parameter in parameters]
    masks = largest(gradients, 0.1)
    move(parameters, gradients, masks, 0.25)
    moved = [parameter.detach() - old for parameter, old in zip(parameters, before, strict=True)]
    assert float(sum((each**2).sum() for each in moved)) ** 0.5 == pytest.approx(0.25, rel=1e-5)
    for change, gradient, mask, parameter, old in zip(moved, gradients, masks, parameters, before, strict=True):
        assert torch.equal(parameter[~mask], old[~mask])
        scale = 0.25 / masked_norm(gradients, masks)
        torch.testing.assert_close(change[mask], scale * gradient[mask], rtol=1e-4, atol=1e-6)


def test_without_a_gradient_nothing_moves():
    parameter = torch.nn.Parameter(torch.ones(3))
    move([parameter], [torch.zeros(3)], [torch.ones(3, dtype=torch.bool)], 1.0)
    assert torch.equal(parameter, torch.ones(3))


def test_weights_come_back_bit_for_bit_even_after_an_error(network):
    parameters = list(trained_parameters(network).values())
    before = [parameter.detach().clone() for parameter in parameters]

    def stopped_halfway():
        with weights_kept(parameters), torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1.1)
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stopped_halfway()
    assert all(torch.equal(parameter, old) for parameter, old in zip(parameters, before, strict=True))


@pytest.mark.parametrize("name", ["differential", "one-sided", "full", "plain"])
def test_steps_follow_the_gradient_of_the_arm_within_its_mask(network, name):
    arm = ARMS[name]
    pairs = tokenized(network, CATS).pairs[:4]
    parameters = list(trained_parameters(network).values())
    start = mean_gradient(network, parameters, pairs, one_sided=arm.one_sided)
    masks = arm_masks(arm, start.parameters, 0.05, seed=0)
    assert all(bool(mask.all()) for mask in masks) == (arm.mask == "all")
    seen = []
    with weights_kept(parameters) as before:
        tune(network, parameters, pairs, arm, masks, length=1e-3, n_steps=1, after_step=seen.append)
        update = [parameter.detach() - old for parameter, old in zip(parameters, before, strict=True)]
    flat, along = (torch.cat([each[mask] for each, mask in zip(tensors, masks, strict=True)]) for tensors in (update, start.parameters))
    assert seen == [1]
    assert float(torch.nn.functional.cosine_similarity(flat, along, dim=0)) == pytest.approx(1, abs=1e-3)
    assert float(flat.norm()) == pytest.approx(1e-3, rel=1e-2)


def test_tuning_raises_the_margin_that_it_follows(network):
    pairs = tokenized(network, CATS).pairs[:6]
    parameters = list(trained_parameters(network).values())
    before = mean_gradient(network, parameters, pairs)
    masks = largest(before.parameters, 0.1)
    length = 0.5 / masked_norm(before.parameters, masks)
    with weights_kept(parameters):
        tune(network, parameters, pairs, ARMS["differential"], masks, length=length, n_steps=4)
        after = mean_gradient(network, parameters, pairs).margins
    assert np.isclose(float((after - before.margins).mean()), 0.5, atol=0.25)
