"""What calls cost, and a budget that is never exceeded: a call is made only if it fits, however long its answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lexframe.exceptions import InputError, LexframeError
from lexframe.verbal.clients.base import Client, NoLogProbabilities, Reply, Request


class BudgetSpentError(LexframeError):
    """The next call might exceed the budget, so it was not made."""


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost.

    Attributes
    ----------
    prompt, completion : float
        Of a million tokens that are read, and that are written.
    currency : str
    """

    prompt: float = 0.0
    completion: float = 0.0
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not (self.prompt >= 0 and self.completion >= 0):
            raise InputError(f"Prices are {self.prompt} and {self.completion}; expected 0 or more, for a million tokens.")

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent at most.

    Attributes
    ----------
    calls, tokens : int or None
        Tokens are those read and those written together. None: no limit.
    money : float or None
        In the currency of the price.

    Raises
    ------
    InputError
        If one of them is 0 or less: then nothing can be done at all.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "money"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                message = f"The budget of {name} is {value}, which allows no call. Give more than 0, or leave it out."
                raise InputError(message, parameter=f"budget_{name}")

    @property
    def is_limited(self) -> bool:
        """Whether anything is limited."""
        return (self.calls, self.tokens, self.money) != (None, None, None)


@dataclass
class Spent:
    """Calls and tokens.

    Attributes
    ----------
    calls, prompt_tokens, completion_tokens : int
    seconds : float
        That answers took, one after the other.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens

    def add(self, reply: Reply) -> None:
        """Count one call."""
        self.calls += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        self.seconds += reply.seconds

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return {
            "calls": self.calls, "prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens, "seconds": self.seconds
        }  # fmt: skip


@dataclass
class MeteredClient(Client):
    """A client whose calls are counted, and made only if they fit into a budget.

    A call counts whether it is answered by the model or from what is kept of an earlier process, so that a run that goes on ends where it
    would have ended. What this client has answered before is free: nobody asks twice.

    Attributes
    ----------
    client : Client
    budget : Budget
    price : Price
    spent : Spent
    by_purpose : dict of str to Spent
    """

    client: Client
    budget: Budget = field(default_factory=Budget)
    price: Price = field(default_factory=Price)
    spent: Spent = field(default_factory=Spent)
    by_purpose: dict[str, Spent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._answered: dict[str, Reply] = {}
        self.constrains, self.scores = self.client.constrains, self.client.scores

    @property
    def identity(self) -> str:
        """That of the client."""
        return self.client.identity

    @property
    def money(self) -> float:
        """Spent so far."""
        return self.price.of(self.spent.prompt_tokens, self.spent.completion_tokens)

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Answer as many as surely fit, then see what they really took, and so on.

        Raises
        ------
        BudgetSpentError
            If the next one might not fit. What was answered before has been yielded.
        """
        keys = [request.key(self.client.identity) for request in requests]
        places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        asked = [own[0] for key, own in places.items() if key not in self._answered]  # of equal requests one is asked
        yield from ((place, self._answered[key]) for place, key in enumerate(keys) if key in self._answered)
        start = 0
        while start < len(asked):
            end = start + self._fitting([requests[place] for place in asked[start:]])
            if end == start:
                raise BudgetSpentError(f"The budget of {self._limits()} is spent: {self._so_far()}.")
            try:
                for number, reply in self.client.answers([requests[place] for place in asked[start:end]]):
                    key = keys[asked[start + number]]
                    self._answered[key] = reply
                    self._count(requests[asked[start + number]], reply)
                    yield from ((place, reply) for place in places[key])
            except NoLogProbabilities:  # the call was made all the same
                request = requests[asked[start]]
                self._count(request, Reply("", self.client.count_tokens(request), 0))
                raise
            start = end

    def _count(self, request: Request, reply: Reply) -> None:
        self.spent.add(reply)
        self.by_purpose.setdefault(request.purpose, Spent()).add(reply)

    def _fitting(self, requests: Sequence[Request]) -> int:
        """How many of the requests, in order, fit whatever they are answered."""
        if not self.budget.is_limited:
            return len(requests)
        calls, tokens, money = self.spent.calls, self.spent.tokens, self.money
        for number, request in enumerate(requests):
            prompt, answer = self.client.most_tokens(request), request.max_tokens
            calls, tokens, money = calls + 1, tokens + prompt + answer, money + self.price.of(prompt, answer)
            over = [
                limit is not None and value > limit
                for value, limit in ((calls, self.budget.calls), (tokens, self.budget.tokens), (money, self.budget.money))
            ]
            if any(over):
                return number
        return len(requests)

    def count_tokens(self, request: Request) -> int:
        """As the client counts them."""
        return self.client.count_tokens(request)

    def most_tokens(self, request: Request) -> int:
        """As the client bounds them."""
        return self.client.most_tokens(request)

    def _limits(self) -> str:
        named = ((self.budget.calls, "calls"), (self.budget.tokens, "tokens"), (self.budget.money, self.price.currency))
        return " and ".join(f"{value:,} {name}" for value, name in named if value is not None)

    def _so_far(self) -> str:
        money = f" and {self.money:.4f} {self.price.currency}" if self.budget.money is not None else ""
        return f"{self.spent.calls:,} calls, {self.spent.tokens:,} tokens{money} so far, and the next call might exceed it"
