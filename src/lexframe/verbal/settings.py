"""The settings of training, in one place; every one of them has a default that does something sensible."""

from dataclasses import asdict, dataclass, field
from typing import Any

from lexframe.exceptions import InputError
from lexframe.verbal.clients.metered import Budget, Price
from lexframe.verbal.learner import Reading
from lexframe.verbal.optimizers.registry import optimizer_named
from lexframe.verbal.selection import acceptance_named


@dataclass(frozen=True, slots=True)
class Steps:
    """How long training goes on, and on what.

    Attributes
    ----------
    steps : int
        Proposals of each chain.
    batch_size : int
        Rows that a proposal is made from.
    held_out : float
        Part of the rows that proposals are judged on; 0 judges them on the batch.
    shuffles : bool
        Draw batches at random, each row once an epoch; else in the order of the rows, as published.
    patience : int
        Steps without a lower loss after which training ends; 0 never ends it.
    """

    steps: int = 10
    batch_size: int = 10
    held_out: float = 0.3
    shuffles: bool = True
    patience: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or not 0 <= self.held_out < 1 or self.patience < 0:
            raise InputError(
                f"steps is {self.steps}, batch_size {self.batch_size}, held_out {self.held_out} and patience {self.patience}; expected 1 "
                "or more, 1 or more, a part of the rows from 0 to below 1, and 0 or more."
            )


@dataclass(frozen=True, slots=True)
class Proposing:
    """How proposals are asked for.

    Attributes
    ----------
    optimizer : str
        What proposals are made from: residuals, published, best-texts, textual-gradient, or random, which is the control.
    proposal_tokens : int
        Most tokens of a proposal.
    proposal_temperature : float
        Of a proposal: above 0, so that two tries differ.
    best : int
        Texts with their losses that the optimizer sees.
    history : int
        Own steps that the optimizer sees.
    constrained : bool
        Hold proposals to the format, where the client can.
    """

    optimizer: str = "residuals"
    proposal_tokens: int = 400
    proposal_temperature: float = 0.7
    best: int = 3
    history: int = 1
    constrained: bool = True

    def __post_init__(self) -> None:
        optimizer_named(self.optimizer)
        if self.proposal_tokens < 1 or not self.proposal_temperature >= 0 or self.best < 0 or self.history < 0:
            raise InputError("A proposal has 1 token or more; its temperature, best and history are 0 or more.")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which proposals are taken.

    Attributes
    ----------
    acceptance : {"not-worse", "metropolis", "always"}
        When a proposal is taken: not-worse, metropolis, or always, as published.
    selection_temperature : float
        Of ``metropolis``, and of resampling.
    population : int
        Chains side by side; more than one are resampled after every step.
    """

    acceptance: str = "not-worse"
    selection_temperature: float = 0.1
    population: int = 1

    def __post_init__(self) -> None:
        acceptance_named(self.acceptance, self.selection_temperature)
        if self.population < 1 or not self.selection_temperature > 0:
            found = f"population is {self.population} and selection_temperature {self.selection_temperature}"
            raise InputError(f"{found}; expected 1 or more, and above 0.")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides what training does, beside the client and the rows.

    Attributes
    ----------
    steps : Steps
    proposing : Proposing
    selection : Selection
    reading : Reading
    budget : Budget
    price : Price
    seed : int
        Of splits, batches, selection, and of the draws of the model.
    """

    steps: Steps = field(default_factory=Steps)
    proposing: Proposing = field(default_factory=Proposing)
    selection: Selection = field(default_factory=Selection)
    reading: Reading = field(default_factory=Reading)
    budget: Budget = field(default_factory=Budget)
    price: Price = field(default_factory=Price)
    seed: int = 0

    @classmethod
    def published(cls, *, steps: int = 50, seed: int = 0, budget: Budget | None = None) -> "Settings":
        """As in the code of the paper: no held-out rows, no shuffling, every proposal taken, an explanation with every prediction."""
        return cls(
            Steps(steps=steps, held_out=0.0, shuffles=False),
            Proposing(optimizer="published", best=0),
            Selection(acceptance="always"),
            Reading(explains=True, answer_tokens=160, constrained=False, by_probability=False),
            budget or Budget(),
            seed=seed,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Settings":
        """Back from :meth:`to_dict`."""
        parts = {"steps": Steps, "proposing": Proposing, "selection": Selection, "reading": Reading, "budget": Budget, "price": Price}
        return cls(**{name: part(**document[name]) for name, part in parts.items()}, seed=document["seed"])
