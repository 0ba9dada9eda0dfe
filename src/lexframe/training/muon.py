"""Muon for matrices and AdamW for everything else, as one optimiser.

`torch.optim.Muon` orthogonalises in bfloat16, one matrix at a time. Where the processor has no bfloat16 unit
that is some thirty times slower than float32, so the precision is a parameter here, and matrices of equal
shape go through the iteration together.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
"""Of Muon."""
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, *, steps: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """Push all singular values of each matrix towards 1, keeping its singular vectors.

    Parameters
    ----------
    matrices : Tensor of shape (n, rows, columns)
        A stack of matrices.
    steps : int
        Newton–Schulz iterations of the quintic with coefficients 3.4445, -4.7750, 2.0315.
    dtype : torch.dtype
        Precision of the iteration.

    Returns
    -------
    Tensor of shape (n, rows, columns)
        Singular values lie in about 0.7 to 1.2; the coefficients trade accuracy for speed [1]_.

    References
    ----------
    .. [1] Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrices.to(dtype)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


def matrix_and_other_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split trainable parameters into hidden matrices (for Muon) and the rest: embeddings, heads, norms, biases."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    heads = {id(module.weight) for name, module in model.named_modules() if isinstance(module, nn.Linear) and name.endswith("lm_head")}
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            hidden = parameter.ndim == 2 and id(parameter) not in embeddings | heads
            (matrices if hidden else others).append(parameter)
    return matrices, others


class MuonAdamW(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, for matrices; AdamW for the other parameters.

    Parameters
    ----------
    matrices, others : iterable of nn.Parameter
        See :func:`matrix_and_other_parameters`.
    matrix_lr : float
        Step of the matrices, in units of their spectral norm; scaled by sqrt(max(1, rows / columns)).
    lr : float
        Step of the other parameters.
    matrix_weight_decay, weight_decay : float
        Decoupled decay, times the step.
    betas : tuple of float
        Of AdamW.
    dtype : torch.dtype
        Precision of the orthogonalisation.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        matrix_lr: float = 0.02,
        lr: float = 0.004,
        matrix_weight_decay: float = 0.05,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        dtype: torch.dtype = torch.float32,
    ):
        self.dtype = dtype
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "lr": matrix_lr, "weight_decay": matrix_weight_decay, "momentum": MOMENTUM, "muon": True},
            {"params": list(others), "lr": lr, "weight_decay": weight_decay, "betas": betas, "muon": False},
        ]
        super().__init__([group for group in groups if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (self._muon_step if group["muon"] else self._adamw_step)(group)
        return loss

    def _muon_step(self, group: dict[str, Any]) -> None:
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            buffer = state["momentum_buffer"]
            buffer.lerp_(parameter.grad, 1 - group["momentum"])
            by_shape[parameter.shape].append((parameter, parameter.grad.lerp(buffer, group["momentum"])))
        for shape, pairs in by_shape.items():
            updates = orthogonalize(torch.stack([update for _, update in pairs]), dtype=self.dtype)
            scale = math.sqrt(max(1.0, shape[0] / shape[1]))
            for (parameter, _), update in zip(pairs, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)

    def _adamw_step(self, group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
            state["step"] += 1
            step = state["step"].item()
            state["exp_avg"].lerp_(parameter.grad, 1 - beta1)
            state["exp_avg_sq"].mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            denominator = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt_().add_(1e-8)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.addcdiv_(state["exp_avg"], denominator, value=-group["lr"] / (1 - beta1**step))
