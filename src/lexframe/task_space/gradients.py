"""Gradients of margins: how the weights would have to move for a model to find the better side of a pair more probable."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn

from lexframe.exceptions import ModelError
from lexframe.spaces.base.training import SequenceNetwork
from lexframe.task_space.token_pairs import TokenPair

TOKENS_AT_ONCE = 2048
"""Tokens in one pass; blocks of longer texts go through in parts."""


def trained_parameters(network: SequenceNetwork) -> dict[str, nn.Parameter]:
    """Parameters by name, tied ones once; all of them have gradients from now on.

    Parameters
    ----------
    network : SequenceNetwork
    """
    found = {name: parameter for name, parameter in network.body.named_parameters() if parameter.is_floating_point()}
    for parameter in found.values():
        parameter.requires_grad_(True)
    return found


def log_probabilities(network: SequenceNetwork, pairs: Sequence[TokenPair], *, per_token: bool = False) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the better and of the worse sides, in nats.

    Parameters
    ----------
    network : SequenceNetwork
    pairs : sequence of TokenPair
    per_token : bool
        Divided by the scored tokens of the side.

    Returns
    -------
    tuple of Tensor of shape (n_pairs,)
    """
    sides = [pair.good for pair in pairs] + [pair.bad for pair in pairs]
    found = network.log_probabilities(sides)
    if per_token:
        found = found / torch.tensor([max(1, len(side.scored)) for side in sides], device=found.device)
    return found[: len(pairs)], found[len(pairs) :]


def in_passes(pairs: Sequence[TokenPair], most_tokens: int = TOKENS_AT_ONCE) -> Iterator[list[TokenPair]]:
    """Pairs that go through a model together, in their order: as many as have so many tokens, padded.

    Parameters
    ----------
    pairs : sequence of TokenPair
    most_tokens : int
    """
    held: list[TokenPair] = []
    longest = 0
    for pair in pairs:
        length = max(len(pair.good.ids), len(pair.bad.ids))
        if held and 2 * (len(held) + 1) * max(longest, length) > most_tokens:
            yield held
            held, longest = [], 0
        held.append(pair)
        longest = max(longest, length)
    if held:
        yield held


@dataclass(frozen=True, slots=True, eq=False)
class MeanGradient:
    """The mean gradient over some pairs, and what was found on the way.

    Attributes
    ----------
    parameters : list of Tensor
        By the parameters, in their order.
    state : Tensor of shape (n_dims,) or None
        By what the output head reads in front of the first token in which the sides differ, where both have the same state. None where the
        head is no module, predicts hidden tokens, or reads only texts of one length together.
    margins : Tensor of shape (n_pairs,)
        In nats.
    """

    parameters: list[Tensor]
    state: Tensor | None
    margins: Tensor


def mean_gradient(
    network: SequenceNetwork,
    parameters: Sequence[nn.Parameter],
    pairs: Sequence[TokenPair],
    *,
    per_token: bool = False,
    one_sided: bool = False,
) -> MeanGradient:
    r"""The gradient of the mean margin :math:`d = \frac{1}{n} \sum \nabla [\log p(x^+) - \log p(x^-)]`.

    The gradient differential of Weber et al. [1]_ is that of the loss, and so has the other sign.

    Parameters
    ----------
    network : SequenceNetwork
    parameters : sequence of Parameter
        As :func:`trained_parameters` gives them.
    pairs : sequence of TokenPair
        One or more.
    per_token : bool
        See :func:`log_probabilities`.
    one_sided : bool
        The gradient of the better side's log-probability alone, as plain fine-tuning has it.

    Returns
    -------
    MeanGradient

    Raises
    ------
    ModelError
        If a gradient is not finite.

    References
    ----------
    .. [1] Weber et al. (2024), Interpretability of Language Models via Task Spaces, arXiv:2406.06441.
    """
    total = [torch.zeros_like(parameter) for parameter in parameters]
    states, margins = [], []
    for each in passes(network, pairs, per_token=per_token, one_sided=one_sided):
        with derived(network):
            found = torch.autograd.grad(each.wanted, [*parameters, *each.watched], allow_unused=True)
        for before, new in zip(total, found, strict=False):
            if new is not None:
                before.add_(new)
        states += [each.state(gradient) for gradient in found[len(parameters) :] if gradient is not None]
        margins.append(each.margins)
    if not all(bool(torch.isfinite(each).all()) for each in total):
        raise not_finite()
    return MeanGradient(total, torch.stack(states).sum(dim=0) if states else None, torch.cat(margins))


@contextmanager
def derived(network: SequenceNetwork) -> Iterator[None]:
    """Within, a gradient is worked out; a model whose code cannot do that is named in a line.

    Parameters
    ----------
    network : SequenceNetwork

    Raises
    ------
    ModelError
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
        raise ModelError(f"{type(network.body).__name__} gives no gradients ({line}). Use a model of another family.") from error


def not_finite() -> ModelError:
    """What is said of gradients that are not finite."""
    return ModelError("The gradient is not finite. The weights are damaged, or the model cannot be trained in this precision.")


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """Pairs that went through the model together.

    Attributes
    ----------
    pairs : list of TokenPair
    wanted : Tensor
        What is to be derived: their part of the mean.
    watched : list of Tensor
        What the head read, shape (2 * n_pairs, n_tokens, n_dims), better sides first; of none or one.
    margins : Tensor of shape (n_pairs,)
        In nats.
    """

    pairs: list[TokenPair]
    wanted: Tensor
    watched: list[Tensor]
    margins: Tensor

    def state(self, gradient: Tensor) -> Tensor:
        """The gradient by the state in front of the first token in which the sides of a pair differ, summed over sides and pairs.

        Parameters
        ----------
        gradient : Tensor
            By what was watched.
        """
        firsts = [next(i for i, (a, b) in enumerate(zip_longest(pair.good.ids, pair.bad.ids)) if a != b) for pair in self.pairs]
        places = torch.tensor([max(0, first - 1) for first in firsts * 2], device=gradient.device)
        return gradient.float()[torch.arange(len(places), device=gradient.device), places].sum(dim=0)


def passes(network: SequenceNetwork, pairs: Sequence[TokenPair], *, per_token: bool = False, one_sided: bool = False) -> Iterator[Pass]:
    """The forward passes over some pairs, each with what is to be derived; one at a time, so that only its states are held.

    Parameters
    ----------
    network, pairs, per_token, one_sided
        See :func:`mean_gradient`.
    """
    for part in in_passes(pairs):
        with torch.enable_grad(), network.watched() as seen:
            good, bad = log_probabilities(network, part, per_token=per_token)
            wanted = (good if one_sided else good - bad).sum() / len(pairs)
        whole = len(seen) == 1 and seen[0].ndim == 3 and seen[0].shape[0] == 2 * len(part)
        yield Pass(part, wanted, seen if whole else [], (good - bad).detach().float())
