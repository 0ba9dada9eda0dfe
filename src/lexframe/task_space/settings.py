"""What the gradient of a task is, and how tasks are tuned on: plain values, checked once. Without torch, as the command line reads them."""

from dataclasses import dataclass
from typing import Any

from lexframe.exceptions import InputError
from lexframe.text_forms import listed

LEAST_DIMS = 255
ARM_NAMES = ("differential", "random", "one-sided", "full", "plain")
"""Ways to tune; see :data:`lexframe.task_space.tuning.ARMS`."""


@dataclass(frozen=True, slots=True)
class GradientSettings:
    """What the gradient of a task is.

    Attributes
    ----------
    contrast_only : bool
        Score only the tokens from the first to the last in which the sides of a pair differ.
    per_token : bool
        Divide each side's log-probability by its scored tokens, for sides of different length.
    per_tensor : bool
        Give every tensor of the model the same weight, whatever the size of its gradients. Without it, a few scales of norms and the
        embedding decide.
    equal_blocks : bool
        Give every block of pairs the same length, so that a few pairs with large gradients do not decide.
    center : bool
        Take out the mean gradient over all tasks: what every better side has in common. For ten tasks or more.
    adam_scale : bool
        Divide by the root of the second moments of gradients on ordinary text, as Adam does; needs a corpus.
    remove_general : bool
        Take out the direction of the gradient on ordinary text; needs a corpus.
    precision : str
        Of matrix products: float32, or bfloat16, which is faster and right to two or three digits.
    n_dims : int
        Numbers that stand for a gradient; the error of a cosine falls with their root.
    pairs_a_block : int
        Pairs whose gradients are taken together; intervals are over blocks.
    """

    contrast_only: bool = False
    per_token: bool = False
    per_tensor: bool = True
    equal_blocks: bool = True
    center: bool = False
    adam_scale: bool = False
    remove_general: bool = False
    precision: str = "float32"
    n_dims: int = 131_072
    pairs_a_block: int = 10

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision is {self.precision!r}; expected float32 or bfloat16.", parameter="precision")
        if self.pairs_a_block < 1:
            raise InputError(f"pairs_a_block is {self.pairs_a_block}; expected 1 or more.", parameter="pairs_a_block")
        if self.n_dims < LEAST_DIMS:
            raise InputError(
                f"n_dims is {self.n_dims}; expected {LEAST_DIMS} or more, or the error is larger than what is measured.", parameter="n_dims"
            )

    def of_blocks(self) -> dict[str, Any]:
        """What decides the gradient of a block; the rest decides what is made of many."""
        return {name: getattr(self, name) for name in ("per_token", "adam_scale", "precision", "n_dims")}

    @property
    def needs_corpus(self) -> bool:
        """Whether gradients on ordinary text are part of it."""
        return self.adam_scale or self.remove_general


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """How tasks are tuned on.

    Attributes
    ----------
    arms : tuple of str
        Ways to tune: differential, random, one-sided, full, plain.
    share : float
        Of every tensor that moves; the numbers with the largest gradients.
    gain : float
        How far: what first order promises for the margin of the task itself, in nats, when it is tuned on by its largest differentials.
        Every arm moves equally far.
    n_steps : int
        Steps of equal length.
    contrast_only : bool
        Score only the tokens from the first to the last in which the sides of a pair differ.
    per_token : bool
        Divide each side's log-probability by its scored tokens, for sides of different length.
    precision : str
        Of matrix products: float32, or bfloat16, which is faster and right to two or three digits.
    n_dims : int
        Numbers that stand for a gradient in what first order predicts.
    """

    arms: tuple[str, ...] = ("differential", "random", "one-sided")
    share: float = 0.01
    gain: float = 1.0
    n_steps: int = 4
    contrast_only: bool = False
    per_token: bool = False
    precision: str = "float32"
    n_dims: int = 131_072

    def __post_init__(self) -> None:
        unknown = [arm for arm in self.arms if arm not in ARM_NAMES]
        if unknown or not self.arms or len(set(self.arms)) < len(self.arms):
            raise InputError(f"arms is {listed(self.arms) or 'empty'}; expected some of {listed(ARM_NAMES)}, each once.", parameter="arms")
        if not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}; expected a number above 0 and up to 1.", parameter="share")
        if not self.gain > 0:
            raise InputError(f"gain is {self.gain}; expected nats above 0.", parameter="gain")
        if self.n_steps < 1:
            raise InputError(f"n_steps is {self.n_steps}; expected 1 or more.", parameter="n_steps")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision is {self.precision!r}; expected float32 or bfloat16.", parameter="precision")
