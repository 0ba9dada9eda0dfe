"""Spaces whose states can be moved while they read, and which write on from a text."""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.spaces.base.lens import LensSpace
from lexframe.spaces.base.space import Progress
from lexframe.spaces.base.tokens import TokenSpace

HOW = ("add", "replace", "remove")
PLACES = ("all", "last")


@dataclass(frozen=True, slots=True, eq=False)
class Intervention:
    """What is done to the states of one layer while a model reads or writes.

    Attributes
    ----------
    layer : int
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    vector : ndarray of shape (n_dims,)
        In the units of the states.
    strength : float
        Factor on the vector.
    how : {"add", "replace", "remove"}
        ``add`` gives h + strength v; ``replace`` gives (1 - strength) h + strength v; ``remove`` takes `strength` times the part
        of h along v away. A strength of 0 changes nothing.
    where : {"all", "last"}
        Every token, or the last of each text; of a text that is being written, the last is each new token in turn.
    keep_norm : bool
        Give every moved state back the length it had.

    Raises
    ------
    InputError
        If the vector holds no finite numbers, or a word is none of those above.
    """

    layer: int
    vector: Float[np.ndarray, " n_dims"]
    strength: float = 1.0
    how: str = "add"
    where: str = "all"
    keep_norm: bool = False

    def __post_init__(self) -> None:
        if self.how not in HOW or self.where not in PLACES:
            raise InputError(
                f"An intervention is {self.how!r} at {self.where!r}; expected how to be one of {', '.join(HOW)} "
                f"and where of {', '.join(PLACES)}."
            )
        if not (np.isfinite(self.vector).all() and np.isfinite(self.strength)):
            raise InputError(
                f"The vector that moves states of layer {self.layer}, or its strength, is not finite. Fit the direction again."
            )


class SteerableSpace(TokenSpace):
    """A space whose states can be moved while it reads, and which writes on from a text."""

    @property
    def model_type(self) -> str:
        """Family of the model as Hugging Face names it, such as ``llama``; empty where it has none."""
        return ""

    @abstractmethod
    def intervened(self, interventions: Sequence[Intervention]) -> AbstractContextManager[None]:
        """Within this context every state, point and word of the space comes from moved states.

        They apply in their order, within those of a surrounding context. Nothing stays when it is left, by whatever way. The
        fingerprint is another within, so points of the moved space are not taken for those of the space.

        Parameters
        ----------
        interventions : sequence of Intervention
            Any number, none included.

        Raises
        ------
        InputError
            If a layer does not exist or a vector has another width than its states.
        """

    @abstractmethod
    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> list[str]:
        """What the model writes after each prompt.

        Parameters
        ----------
        prompts : sequence of str
            Within the template of the space, if it has one; in a chat a text ends with the turn.
        max_new_tokens : int
            A text ends there, or where the model ends it.
        temperature : float
            0 takes the likeliest token each time; above, tokens are drawn.
        top_p : float
            Draw from the likeliest tokens that together have this probability.
        seed : int
            Of the draws; the global generators are left alone.
        batch_size : int, optional
            Prompts in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        list of str
            Without the prompts.

        Raises
        ------
        InputError
            If the model does not write, or a prompt leaves it no room.
        """


class PatchableSpace(LensSpace, SteerableSpace):
    """A space whose states can be moved and whose last state says, through the output head, which token comes next."""
