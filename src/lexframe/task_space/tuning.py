"""Fine-tuning within a small subspace: which numbers of a model move, how far, and back to where they were.

Weber et al. (2024, arXiv:2406.06441) move only the parameters with the largest gradient differentials (FTGD).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lexframe.spaces.base.training import SequenceNetwork
from lexframe.task_space.gradients import mean_gradient
from lexframe.task_space.token_pairs import TokenPair


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to tune.

    Attributes
    ----------
    one_sided : bool
        Along the gradient of the better side's log-probability alone, as plain fine-tuning has it; otherwise along that of the margin.
    mask : {"largest", "random", "all"}
        Which numbers of every tensor move: those with the largest gradients, as many at random, or all.
    """

    one_sided: bool
    mask: str


ARMS = {
    "differential": Arm(one_sided=False, mask="largest"),
    "random": Arm(one_sided=False, mask="random"),
    "one-sided": Arm(one_sided=True, mask="largest"),
    "full": Arm(one_sided=False, mask="all"),
    "plain": Arm(one_sided=True, mask="all"),
}
"""``differential`` is FTGD; ``random`` and ``one-sided`` are its controls, ``full`` moves all weights along the differential, and ``plain``
is ordinary fine-tuning on the better sides."""


def largest(gradients: Sequence[Tensor], share: float) -> list[Tensor]:
    """Masks of the numbers with the largest gradients in every tensor.

    Parameters
    ----------
    gradients : sequence of Tensor
    share : float
        Of every tensor, in (0, 1]; one number at least.

    Returns
    -------
    list of bool Tensor
    """
    masks = []
    for gradient in gradients:
        flat = gradient.detach().abs().flatten()
        mask = torch.zeros_like(flat, dtype=torch.bool)
        mask[flat.topk(_count(flat, share), sorted=False).indices] = True
        masks.append(mask.view_as(gradient))
    return masks


def at_random(gradients: Sequence[Tensor], share: float, *, seed: int) -> list[Tensor]:
    """Masks of as many numbers of every tensor, drawn at random.

    Parameters
    ----------
    gradients : sequence of Tensor
        Only their shapes count.
    share : float
        See :func:`largest`.
    seed : int
    """
    generator = torch.Generator().manual_seed(seed)
    masks = []
    for gradient in gradients:
        drawn = torch.rand(gradient.numel(), generator=generator).to(gradient.device)
        masks.append(largest([drawn], share)[0].view_as(gradient))
    return masks


def _count(flat: Tensor, share: float) -> int:
    return max(1, round(share * len(flat)))


def masked_norm(gradients: Sequence[Tensor], masks: Sequence[Tensor]) -> float:
    """Length of a gradient within masks.

    Parameters
    ----------
    gradients, masks : sequence of Tensor
    """
    # Picking numbers out by a mask lists their places first: of a mask that holds all, that takes longer than the gradient.
    inside = (torch.where(mask, gradient, 0.0) for gradient, mask in zip(gradients, masks, strict=True))
    return sum(float(torch.linalg.vector_norm(part, dtype=torch.float64)) ** 2 for part in inside) ** 0.5


def move(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor], masks: Sequence[Tensor], length: float) -> None:
    """Move parameters along a gradient within masks; all others keep every bit.

    Parameters
    ----------
    parameters : sequence of Parameter
    gradients, masks : sequence of Tensor
    length : float
        Of the move.
    """
    norm = masked_norm(gradients, masks)
    if not norm > 0:
        return
    with torch.no_grad():
        for parameter, gradient, mask in zip(parameters, gradients, masks, strict=True):
            parameter.copy_(torch.where(mask, parameter + (length / norm) * gradient, parameter))


@contextmanager
def weights_kept(parameters: Sequence[nn.Parameter]) -> Iterator[list[Tensor]]:
    """Within this context parameters may change; afterwards they are as before, bit for bit.

    Yields
    ------
    list of Tensor
        The parameters as they were.
    """
    before = [parameter.detach().clone() for parameter in parameters]
    try:
        yield before
    finally:
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)


def arm_masks(arm: Arm, gradients: Sequence[Tensor], share: float, *, seed: int) -> list[Tensor]:
    """Which numbers move in an arm.

    Parameters
    ----------
    arm : Arm
    gradients : sequence of Tensor
        Of the arm, at the beginning.
    share : float
        Of every tensor; ``all`` does not look at it.
    seed : int
        Of random masks.
    """
    if arm.mask == "random":
        return at_random(gradients, share, seed=seed)
    return largest(gradients, 1.0 if arm.mask == "all" else share)


def tune(
    network: SequenceNetwork,
    parameters: Sequence[nn.Parameter],
    pairs: Sequence[TokenPair],
    arm: Arm,
    masks: Sequence[Tensor],
    *,
    length: float,
    n_steps: int,
    per_token: bool = False,
    after_step: Callable[[int], None] = lambda step: None,
) -> None:
    """Move the weights in steps of equal length, each along the gradient as it then is.

    Parameters
    ----------
    network : SequenceNetwork
    parameters : sequence of Parameter
        Of the network.
    pairs : sequence of TokenPair
        To learn from, all in every step.
    arm : Arm
    masks : sequence of Tensor
        See :func:`arm_masks`.
    length : float
        Of all steps together.
    n_steps : int
    per_token : bool
        See :func:`~lexframe.task_space.gradients.log_probabilities`.
    after_step : callable
        Is given the number of each step that is done, from 1.
    """
    for step in range(n_steps):
        found = mean_gradient(network, parameters, pairs, per_token=per_token, one_sided=arm.one_sided)
        move(parameters, found.parameters, masks, length / n_steps)
        after_step(step + 1)
