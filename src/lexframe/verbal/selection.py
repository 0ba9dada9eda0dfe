"""Whether a proposal is taken, and which chains go on."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError


class Acceptance(ABC):
    """A rule of acceptance.

    Attributes
    ----------
    name : str
        As it is chosen.
    keeps_best : bool
        Whether training ends with the parameters of the lowest loss; else with the last.
    """

    name: ClassVar[str]
    keeps_best: ClassVar[bool] = True

    @abstractmethod
    def accepts(self, loss: float, proposed: float, generator: np.random.Generator) -> bool:
        """Whether to go on from the proposal.

        Parameters
        ----------
        loss, proposed : float
            Held-out losses of the current parameters and of those proposed.
        generator : numpy.random.Generator
        """


class NotWorse(Acceptance):
    """Accept what does not worsen the held-out loss."""

    name = "not-worse"

    def accepts(self, loss: float, proposed: float, generator: np.random.Generator) -> bool:
        """See :class:`Acceptance`."""
        return proposed <= loss


class Always(Acceptance):
    """Accept everything, as published."""

    name = "always"
    keeps_best = False

    def accepts(self, loss: float, proposed: float, generator: np.random.Generator) -> bool:
        """See :class:`Acceptance`."""
        return True


class Metropolis(Acceptance):
    """Accept what is worse with probability exp(-Δ / T), Δ being the growth of the loss as a part of the first one.

    Parameters
    ----------
    temperature : float
        T, above 0.
    """

    name = "metropolis"

    def __init__(self, temperature: float = 0.1):
        if not temperature > 0:
            raise InputError(f"The temperature of selection is {temperature}; expected above 0. 'not-worse' is what 0 would be.")
        self.temperature = temperature
        self.unit: float | None = None

    def accepts(self, loss: float, proposed: float, generator: np.random.Generator) -> bool:
        """See :class:`Acceptance`."""
        if self.unit is None:  # losses have units of their own; the first one is the ruler
            self.unit = max(abs(loss), 1e-12)
        drawn = float(generator.random())  # drawn always, so that what is drawn later does not depend on it
        return proposed <= loss or drawn < math.exp(-(proposed - loss) / (self.temperature * self.unit))


ACCEPTANCES: dict[str, type[Acceptance]] = {each.name: each for each in (NotWorse, Metropolis, Always)}


def acceptance_named(name: str, temperature: float) -> Acceptance:
    """The rule of a name.

    Parameters
    ----------
    name : str
    temperature : float
        Of ``metropolis``.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in ACCEPTANCES:
        raise InputError(f"There is no rule of acceptance {name!r}. Choose one of {', '.join(ACCEPTANCES)}.", parameter="acceptance")
    return Metropolis(temperature) if name == Metropolis.name else ACCEPTANCES[name]()


def resampled(losses: Sequence[float] | Float[np.ndarray, " n"], temperature: float, generator: np.random.Generator) -> list[int]:
    """Which chains go on, drawn in proportion to exp(-loss / (T · spread)) by systematic resampling.

    The best chain always goes on: its weight is 1 / n or more, and of so wide a part of the line every grid of n points holds one.

    Parameters
    ----------
    losses : sequence of float
        Of the chains.
    temperature : float
        T; the spread is the standard deviation of the losses.
    generator : numpy.random.Generator

    Returns
    -------
    list of int
        Places of the chains, as many as there are, in order.
    """
    values = np.asarray(losses, dtype=np.float64)
    n = len(values)
    spread = float(values.std())
    offset = float(generator.random())
    if n < 2 or spread == 0 or not np.isfinite(values).all():  # chains that nobody judged cannot be weighed
        return list(range(n))
    weights = np.exp(-(values - values.min()) / (temperature * spread))
    edges = np.cumsum(weights / weights.sum())
    chosen: list[int] = np.minimum(np.searchsorted(edges, (np.arange(n) + offset) / n), n - 1).tolist()
    return chosen
