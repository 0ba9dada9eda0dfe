"""What a run will cost, before its first call: training is rehearsed with a model that answers at typical length."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from lexframe.exceptions import InputError
from lexframe.text_forms import counted
from lexframe.verbal.asking import TRIES
from lexframe.verbal.clients.base import Client, Message, Reply, Request
from lexframe.verbal.clients.metered import Budget, BudgetSpentError, MeteredClient, Price, Spent
from lexframe.verbal.history import Step
from lexframe.verbal.obedience import measure_obedience
from lexframe.verbal.parameters import block_headings
from lexframe.verbal.parsing import DESCRIPTIONS, OUTPUT, REASONING
from lexframe.verbal.selection import Acceptance
from lexframe.verbal.settings import Settings
from lexframe.verbal.task import Sample, Task
from lexframe.verbal.training import Training

MOST_REHEARSED = 60
"""Steps that are rehearsed; what later ones cost is taken to be what the last of these did."""
FEW_PROPOSALS = 3
"""Fewer than this are no training, whatever came of them."""


@dataclass(frozen=True, slots=True)
class ReplyLengths:
    """How long answers are taken to be, in tokens.

    Attributes
    ----------
    predict, propose, criticize : int
    """

    predict: int = 6
    propose: int = 90
    criticize: int = 60

    def of(self, purpose: str) -> int:
        """For a request of this purpose."""
        return {"propose": self.propose, "criticize": self.criticize}.get(purpose, self.predict)

    @classmethod
    def measured(cls, by_purpose: dict[str, Spent]) -> "ReplyLengths":
        """Mean lengths of what was answered so far, such as by a first step; what was not asked yet is taken as elsewhere."""
        means = {name: round(spent.completion_tokens / spent.calls) for name, spent in by_purpose.items() if spent.calls}
        return cls(**{name: means[name] for name in ("predict", "propose", "criticize") if name in means})


@dataclass(frozen=True, slots=True)
class Projection:
    """What training is expected to cost.

    Attributes
    ----------
    expected : Spent
        If every answer is as long as assumed and can be read: the middle of `low` and `high`. Its seconds are 0.
    low, high : Spent
        If no proposal is taken, and if every one is: what is taken makes later prompts longer.
    most : Spent
        If every answer is as long as allowed, and the last of all tries.
    proposals : int
        That the budget buys.
    unlimited : Spent
        What the same run would cost without a budget.
    price : Price
    budget : Budget
    """

    expected: Spent
    low: Spent
    high: Spent
    most: Spent
    proposals: int
    unlimited: Spent
    price: Price
    budget: Budget

    @property
    def money(self) -> float:
        """Expected, in the currency of the price."""
        return self.price.of(self.expected.prompt_tokens, self.expected.completion_tokens)

    @property
    def warning(self) -> str:
        """What is wrong with the budget; empty where nothing is."""
        if self.proposals >= FEW_PROPOSALS or not self.budget.is_limited:
            return ""
        return (
            f"The budget buys {counted(self.proposals, 'proposal')}, which is no training. The whole run is expected to take "
            f"{counted(self.unlimited.calls, 'call')} and {counted(self.unlimited.tokens, 'token')}."
        )

    def summary(self) -> str:
        """One line, before the first call."""
        money = f", {self.money:.4f} {self.price.currency}" if self.price.prompt or self.price.completion else ""
        return (
            f"Expected: {counted(self.expected.calls, 'call')}, {self.expected.prompt_tokens:,} tokens read and "
            f"{self.expected.completion_tokens:,} written{money}, for {counted(self.proposals, 'proposal')} ({self.low.tokens:,} to "
            f"{self.high.tokens:,} tokens, by how many are taken); at most "
            f"{counted(self.most.calls, 'call')} and {counted(self.most.tokens, 'token')} if every answer has to be asked for "
            f"{TRIES} times."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return {
            "expected": self.expected.to_dict(),
            "low": self.low.to_dict(),
            "high": self.high.to_dict(),
            "most": self.most.to_dict(),
            "proposals": self.proposals,
            "unlimited": self.unlimited.to_dict(),
            "money": self.money,
            "currency": self.price.currency,
            "warning": self.warning,
        }


class _Rehearsed(Acceptance):
    """Takes all proposals, or none."""

    name = "rehearsed"

    def __init__(self, takes: bool):
        self._takes = takes

    def accepts(self, loss: float, proposed: float, generator: Any) -> bool:
        return self._takes


class _Rehearsal(Client):
    """Answers in the format, at the length that is assumed; no model is asked."""

    def __init__(self, client: Client, task: Task, lengths: ReplyLengths):
        self._client, self._task, self._lengths = client, task, lengths
        self.constrains, self.scores = client.constrains, client.scores
        self._n_proposals = 0

    @property
    def identity(self) -> str:
        return "rehearsal"

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for place, request in enumerate(requests):
            length = 0 if request.choices else min(self._lengths.of(request.purpose), request.max_tokens)
            scores = (0.0,) * len(request.choices) or None
            yield place, Reply(self._text(request, length), self._client.count_tokens(request), length, scores)

    def _text(self, request: Request, length: int) -> str:
        if request.purpose == "predict":
            return f"{OUTPUT}: {'0' if self._task.is_regression else self._task.labels[0]}"
        if request.purpose != "propose":
            return "word " * length
        self._n_proposals += 1  # no two are the same, so that each is judged
        return self._proposal(max(length - self._tokens(self._proposal(1)), 1))

    def _proposal(self, n_words: int) -> str:
        """One whose descriptions have so many words."""
        text = f"{REASONING}: word\n{DESCRIPTIONS}: {self._n_proposals} {'word ' * n_words}"
        for heading in block_headings(self._task)[:1]:
            source = str(self._n_proposals) if heading == "Formula" else f'else "{self._task.labels[0]}"'
            text += f"\n{heading}: {source}"
        return text

    def _tokens(self, text: str) -> int:
        empty, full = (self._client.count_tokens(Request((Message("user", content),), 1)) for content in ("", text))
        return full - empty

    def count_tokens(self, request: Request) -> int:
        return self._client.count_tokens(request)

    def most_tokens(self, request: Request) -> int:
        return self._client.most_tokens(request)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a run asks for beside training.

    Attributes
    ----------
    obedience_rows : int
        Rows on which obedience is measured first; 0 leaves it out.
    test : Sample or None
        Rows that are scored at the end.
    """

    obedience_rows: int = 0
    test: Sample | None = None


def project(
    client: Client,
    task: Task,
    sample: Sample,
    settings: Settings,
    *,
    lengths: ReplyLengths | None = None,
    beside: Beside | None = None,
) -> Projection:
    """What a run will cost, by a rehearsal in which no model is asked.

    Parameters
    ----------
    client : Client
        For how it counts tokens.
    task : Task
    sample : Sample
    settings : Settings
        With the budget and the price.
    lengths : ReplyLengths, optional
        How long answers are taken to be.
    beside : Beside, optional
        What is asked for beside training. Default: nothing.
    """
    lengths, beside = lengths or ReplyLengths(), beside or Beside()

    def rehearsed(budget: Budget, *, takes: bool) -> tuple[_Spending, int]:
        metered = MeteredClient(_Rehearsal(client, task, lengths), budget, settings.price)
        steps = min(settings.steps.steps, MOST_REHEARSED)
        training = Training(metered, task, sample, replace(settings, steps=replace(settings.steps, patience=0, steps=steps)))
        if training.acceptance.keeps_best:
            training.acceptance = _Rehearsed(takes)
        halfway: list[Spent] = []

        def watch(step: Step) -> None:
            if step.number == steps // 2 and not halfway:
                halfway.append(replace(metered.spent))

        with suppress(BudgetSpentError, InputError):
            if beside.obedience_rows:
                measure_obedience(
                    metered, task, sample.rows.take(range(beside.obedience_rows)), reading=replace(settings.reading, explains=False)
                )
        trained = training.run(watch)
        with suppress(BudgetSpentError):
            if beside.test is not None:
                trained.learner.predict(trained.parameters, beside.test.rows)
        proposals = sum(step.proposed is not None for step in trained.steps)
        spent = _Spending(
            metered.spent, sum(found.calls * _most(settings, name) for name, found in metered.by_purpose.items() if _writes(found))
        )
        more = settings.steps.steps - steps
        if more and trained.ended == "steps" and halfway:
            further = spent.further(halfway[0], steps - steps // 2, more, settings)
            return further[0], proposals + further[1] * settings.selection.population
        return spent, proposals

    unlimited = [rehearsed(Budget(), takes=takes) for takes in (False, True)]
    limited = [rehearsed(settings.budget, takes=takes) for takes in (False, True)] if settings.budget.is_limited else unlimited
    (low, high), n_proposals = [found.spent for found, _ in limited], min(found for _, found in limited)
    tries = settings.reading.tries
    most = Spent(high.calls * tries, high.prompt_tokens * tries, limited[1][0].longest * tries)
    whole = _middle(*(found.spent for found, _ in unlimited))
    return Projection(_middle(low, high), low, high, most, n_proposals, whole, settings.price, settings.budget)


@dataclass(frozen=True, slots=True)
class _Spending:
    """What a rehearsal spent, and what it would have written if every answer were as long as allowed."""

    spent: Spent
    longest: int

    def further(self, halfway: Spent, steps: int, more: int, settings: Settings) -> tuple["_Spending", int]:
        """With what more steps would spend, each as the last ones did, up to the budget; and how many those are."""
        names = ("calls", "prompt_tokens", "completion_tokens")
        each = {name: (getattr(self.spent, name) - getattr(halfway, name)) / steps for name in names}
        a_step = settings.price.of(round(each["prompt_tokens"]), round(each["completion_tokens"]))
        limits = [
            (settings.budget.calls, self.spent.calls, each["calls"]),
            (settings.budget.tokens, self.spent.tokens, each["prompt_tokens"] + each["completion_tokens"]),
            (settings.budget.money, settings.price.of(self.spent.prompt_tokens, self.spent.completion_tokens), a_step),
        ]
        for limit, so_far, cost in limits:
            if limit is not None and cost > 0:
                more = min(more, max(int((limit - so_far) / cost), 0))
        spent = Spent(*(round(getattr(self.spent, name) + more * each[name]) for name in names))
        return _Spending(spent, round(self.longest * spent.calls / max(self.spent.calls, 1))), more


def _writes(spent: Spent) -> bool:
    """Whether answers were written; labels that are scored are read."""
    return spent.completion_tokens > 0


def _middle(low: Spent, high: Spent) -> Spent:
    names = ("calls", "prompt_tokens", "completion_tokens")
    return Spent(*(round((getattr(low, name) + getattr(high, name)) / 2) for name in names))


def _most(settings: Settings, purpose: str) -> int:
    return settings.reading.answer_tokens if purpose == "predict" else settings.proposing.proposal_tokens
