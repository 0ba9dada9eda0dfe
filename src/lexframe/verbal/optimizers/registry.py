"""Optimizers by name."""

from lexframe.exceptions import InputError
from lexframe.verbal.optimizers.base import Optimizer
from lexframe.verbal.optimizers.best_texts import BestTexts
from lexframe.verbal.optimizers.published import Published
from lexframe.verbal.optimizers.random_proposals import RandomProposals
from lexframe.verbal.optimizers.residuals import Residuals
from lexframe.verbal.optimizers.textual_gradient import TextualGradient

OPTIMIZERS: dict[str, type[Optimizer]] = {each.name: each for each in (Residuals, Published, BestTexts, TextualGradient, RandomProposals)}


def optimizer_named(name: str) -> Optimizer:
    """The optimizer of a name.

    Parameters
    ----------
    name : str

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in OPTIMIZERS:
        raise InputError(f"There is no optimizer {name!r}. Choose one of {', '.join(OPTIMIZERS)}.", parameter="optimizer")
    return OPTIMIZERS[name]()
