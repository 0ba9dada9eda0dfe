"""The optimiser against linear algebra and against PyTorch's own optimisers."""

import pytest
import torch
from torch import nn

from lexframe.training.language_model.network import build_model
from lexframe.training.muon import MuonAdamW, matrix_and_other_parameters, orthogonalize


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("shape", [(16, 16), (24, 10), (10, 24), (1, 5)])
def test_orthogonalize_keeps_singular_vectors_and_levels_singular_values(shape):
    rank = min(shape)
    left, right = torch.linalg.qr(torch.randn(3, shape[0], rank)).Q, torch.linalg.qr(torch.randn(3, shape[1], rank)).Q
    values = torch.linspace(0.1, 1, rank) * 40
    levelled = left.mT @ orthogonalize(left * values @ right.mT) @ right  # diagonal, if the singular vectors are kept
    diagonal = levelled.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(levelled, torch.diag_embed(diagonal), atol=1e-4)
    assert diagonal.min() > 0.65
    assert diagonal.max() < 1.2


def test_singular_values_of_a_gaussian_matrix():
    values = torch.linalg.svdvals(orthogonalize(torch.randn(4, 64, 24)))
    assert values.min() > 0.65
    assert values.max() < 1.2


def test_orthogonalize_does_not_depend_on_scale_or_on_the_stack():
    matrices = torch.randn(3, 8, 6)
    together = orthogonalize(matrices)
    assert torch.allclose(together, orthogonalize(matrices * 1000), atol=1e-4)
    assert torch.allclose(together[1], orthogonalize(matrices[1:2])[0], atol=1e-6)
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 4)), torch.zeros(1, 4, 4))


def test_hidden_matrices_go_to_muon_and_everything_else_to_adamw(make_plan, tokenizer):
    model = build_model(make_plan(), tokenizer)
    matrices, others = matrix_and_other_parameters(model)
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert {names[parameter].split(".")[-2] for parameter in matrices} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    assert sorted(names[parameter] for parameter in others if parameter.ndim == 2) == ["model.embed_tokens.weight"]
    assert len(matrices) + len(others) == len(names)


def test_an_untied_head_and_frozen_parameters():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 4), "hidden": nn.Linear(4, 4), "lm_head": nn.Linear(4, 5)})
    model["hidden"].bias.requires_grad_(False)
    matrices, others = matrix_and_other_parameters(model)
    assert [parameter.shape for parameter in matrices] == [(4, 4)]
    assert len(others) == 3


def minimize(parameters, optimizer, steps):
    target = torch.linspace(-1, 1, parameters[0].numel()).view_as(parameters[0])
    for _ in range(steps):
        optimizer.zero_grad()
        sum(((parameter - target).pow(4) + parameter.pow(2)).sum() for parameter in parameters).backward()
        optimizer.step()


def test_the_rest_moves_as_torch_adamw_moves_it():
    ours, theirs = (nn.Parameter(torch.linspace(-2, 3, 12)) for _ in range(2))
    minimize([ours], MuonAdamW([], [ours], lr=0.03, weight_decay=0.1, betas=(0.8, 0.9)), 30)
    minimize([theirs], torch.optim.AdamW([theirs], lr=0.03, weight_decay=0.1, betas=(0.8, 0.9)), 30)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_matrices_move_as_torch_muon_moves_them(shape):
    start = torch.randn(shape)
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    minimize([ours], MuonAdamW([ours], [], matrix_lr=0.02, matrix_weight_decay=0.1, dtype=torch.bfloat16), 10)
    minimize([theirs], torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95), 10)
    assert (ours - start).norm() > 0.1
    assert (ours - theirs).norm() < 0.05 * (ours - start).norm()  # both iterate in bfloat16 and round at other places


def test_matrices_of_one_shape_do_not_mix():
    one, two = (nn.Parameter(torch.randn(4, 3)) for _ in range(2))
    alone = nn.Parameter(one.detach().clone())
    minimize([one, two], MuonAdamW([one, two], []), 5)
    minimize([alone], MuonAdamW([alone], []), 5)
    assert torch.allclose(one, alone, atol=1e-6)


def test_parameters_without_a_gradient_stay_and_a_closure_is_called():
    moved, still = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(3, 2))
    optimizer = MuonAdamW([moved, still], [])

    def closure():
        loss = moved.sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 6
    assert torch.equal(still, torch.ones(3, 2))
    assert not torch.equal(moved, torch.ones(3, 2))


def test_the_update_looks_ahead_by_nesterov():
    """Of two steps the second goes along the gradient mixed with the buffer that already holds it."""
    parameter, momentum = nn.Parameter(torch.zeros(6, 6)), 0.95
    optimizer = MuonAdamW([parameter], [], matrix_lr=1.0, matrix_weight_decay=0.0)
    buffer = torch.zeros(6, 6)
    for _ in range(2):
        before = parameter.detach().clone()
        parameter.grad = torch.randn(6, 6)
        buffer = momentum * buffer + (1 - momentum) * parameter.grad
        ahead = (1 - momentum) * parameter.grad + momentum * buffer
        optimizer.step()
        torch.testing.assert_close(before - parameter.detach(), orthogonalize(ahead[None])[0])
    assert not torch.allclose(orthogonalize(ahead[None])[0], orthogonalize(buffer[None])[0], atol=0.05)
