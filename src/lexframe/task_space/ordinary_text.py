"""Gradients on ordinary text: how far each parameter moves anyway, and the direction in which all text pulls."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lexframe.checks import each_text
from lexframe.exceptions import DataError
from lexframe.files import replacing
from lexframe.spaces.base import Progress
from lexframe.spaces.base.training import ScoredTokens, SequenceNetwork

WINDOW, MOST_WINDOWS = 128, 64
"""Tokens of a window, and windows that are read."""
DAMPING = 0.01
"""Share of a tensor's mean second moment that is added to each: rows of words that the text lacks would else weigh without bound."""


@dataclass(frozen=True, slots=True, eq=False)
class OrdinaryText:
    """What gradients of tasks are held against.

    Attributes
    ----------
    scale : list of Tensor
        One over the root of the second moments of the gradient of a window, as Adam divides by it.
    general : list of Tensor
        The mean gradient of the log-probability of a token.
    """

    scale: list[Tensor]
    general: list[Tensor]

    def save(self, path: str | Path) -> None:
        """Write it to a file of safetensors, atomically."""
        tensors = {f"scale.{i:05}": each.cpu().contiguous() for i, each in enumerate(self.scale)}
        tensors |= {f"general.{i:05}": each.cpu().contiguous() for i, each in enumerate(self.general)}
        with replacing(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: str | Path) -> "OrdinaryText":
        """Back from :meth:`save`; the file is mapped, so that processes share its memory."""
        tensors = load_file(path)
        scale, general = ([tensors[name] for name in sorted(tensors) if name.startswith(kind)] for kind in ("scale.", "general."))
        return cls(scale, general)


def ordinary_windows(network: SequenceNetwork, corpus: Iterable[str], *, most: int = MOST_WINDOWS) -> list[ScoredTokens]:
    """The beginnings of documents, each a window of 128 tokens at most.

    Parameters
    ----------
    network : SequenceNetwork
    corpus : iterable of str
        As many are read as there are windows.
    most : int
        Windows.

    Raises
    ------
    DataError
        If there are fewer than 8 with two tokens or more.
    """
    texts = list(islice((text for text in each_text(corpus, what="corpus") if text.strip()), most))
    length = min(WINDOW, network.max_length)
    windows = []
    for tokens in network.tokens([""] * len(texts), [text[: 12 * WINDOW] for text in texts]):
        scored = tuple(place for place in tokens.scored if place < length)
        if len(scored) > 1:
            windows.append(ScoredTokens(tokens.ids[:length], scored))
    if len(windows) < 8:
        raise DataError(f"The corpus has {len(windows)} texts of two tokens or more; give 8 or more, best 64, of ordinary text.")
    return windows


def measure_ordinary_text(
    network: SequenceNetwork, parameters: Sequence[nn.Parameter], windows: Sequence[ScoredTokens], *, progress: Progress = iter
) -> OrdinaryText:
    """Second moments and mean of the gradients of windows, each the gradient of the mean log-probability of its tokens.

    Parameters
    ----------
    network : SequenceNetwork
    parameters : sequence of Parameter
    windows : sequence of ScoredTokens
    progress : callable
        Wraps the iteration over windows.
    """
    general = [torch.zeros_like(each) for each in parameters]
    squares = [torch.zeros_like(each) for each in parameters]
    for window in progress(windows):
        with torch.enable_grad():
            mean = network.log_probabilities([window]).sum() / len(window.scored)
            found = torch.autograd.grad(mean, list(parameters), allow_unused=True)
        for gradient, first, second in zip(found, general, squares, strict=True):
            if gradient is not None:
                first.add_(gradient, alpha=1 / len(windows))
                second.addcmul_(gradient, gradient, value=1 / len(windows))
    return OrdinaryText([_inverse_root(each) for each in squares], general)


def _inverse_root(second_moments: Tensor) -> Tensor:
    damped = second_moments + DAMPING * second_moments.mean()
    return torch.where(damped > 0, damped.rsqrt(), torch.zeros_like(damped))  # a tensor that no text moves has no scale
