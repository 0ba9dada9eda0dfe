"""How probable choices are as an answer, as far as the log-probabilities of an endpoint say it.

An endpoint lists the likeliest tokens of each place of the answer that it wrote, twenty at most. It does not say how probable a text
is that it has not written, so that what is known of a choice is how it begins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LEAST = 1e-6
"""Probability that a choice has at least: what is not listed is rare, not impossible."""


@dataclass(frozen=True, slots=True)
class Position:
    """One place of the answer.

    Attributes
    ----------
    token : str
        What was written there.
    listed : tuple of (str, float)
        The likeliest tokens, the one written among them, and their probabilities.
    """

    token: str
    listed: tuple[tuple[str, float], ...]


def positions_in(logprobs: Any) -> list[Position] | None:
    """The places of an answer, out of the field ``logprobs`` of a chat completion; None where it lists no alternatives.

    Raises
    ------
    ValueError
        If the field is there and is not what the protocol says.
    """
    try:
        content = (logprobs or {}).get("content") or []
        positions = [Position(str(place["token"]), _listed(place)) for place in content if place.get("top_logprobs")]
    except (AttributeError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("the log-probabilities are not as the protocol has them") from error
    return positions or None


def choice_scores(positions: Sequence[Position], choices: Sequence[str], lead: str) -> tuple[float, ...]:
    """Natural logarithm of the probability that the answer begins as each choice does.

    Tokens and choices are compared without blanks around them and without regard to case. A token counts for the choices that begin
    with it; where none does, for the longest that it begins with. Where it counts for several, and it is the one that was written,
    its probability is divided by what is listed at the next place. Where it was not written, nobody knows how it would go on: it
    counts for the choice that it spells completely, or else for all of them alike. Choices without a token share what the list leaves
    of one, and have 1e-6 at least.

    Parameters
    ----------
    positions : sequence of Position
    choices : sequence of str
    lead : str
        Places that spell it, at the beginning of the answer, are passed over.
    """
    probabilities = _probabilities(_after_lead(positions, lead), [_folded(choice) for choice in choices])
    return tuple(math.log(min(max(probability, LEAST), 1.0)) for probability in probabilities)


def _listed(place: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    top = [(str(item["token"]), _probability(item["logprob"])) for item in place["top_logprobs"]]
    written = str(place["token"])
    if written not in (token for token, _ in top) and "logprob" in place:  # a drawn token may be none of the likeliest
        top.append((written, _probability(place["logprob"])))
    return tuple(top)


def _probability(logarithm: Any) -> float:
    probability = math.exp(min(float(logarithm), 0.0))
    if math.isnan(probability):
        raise TypeError("not a number")
    return probability


def _folded(text: str) -> str:
    return text.strip().casefold()


def _after_lead(positions: Sequence[Position], lead: str) -> Sequence[Position]:
    """From the place where the choice begins: behind the lead, if it was written, and behind blanks."""
    wanted, written, start = "".join(lead.casefold().split()), "", 0
    for place, position in enumerate(positions):
        if not wanted or not wanted.startswith(written) or written == wanted:
            break
        written += "".join(position.token.casefold().split())
        if written == wanted:
            start = place + 1
    while start < len(positions) - 1 and not positions[start].token.strip():
        start += 1
    return positions[start:] or positions


def _probabilities(positions: Sequence[Position], rests: Sequence[str]) -> list[float]:
    """Probability of each rest of a choice at the first of `positions`; an empty rest is one that is complete."""
    here, written = positions[0], _folded(positions[0].token)
    mass = [0.0] * len(rests)
    reached = [False] * len(rests)
    divided: list[float] | None = None
    for token, probability in here.listed:
        folded = _folded(token)
        fitting = _fitting(folded, rests)
        shares = [1.0] * len(fitting)
        if len(fitting) > 1 and folded == written and len(positions) > 1:
            divided = divided or _probabilities(positions[1:], [rests[place][len(folded) :].lstrip() for place in fitting])
            shares = divided
        elif len(fitting) > 1:
            fitting = [place for place in fitting if rests[place] == folded] or fitting
        for place, share in zip(fitting, shares, strict=False):
            mass[place] += probability * share
            reached[place] = True
    left = max(1.0 - sum(probability for _, probability in here.listed), 0.0)
    unseen = sum(1 for rest, seen in zip(rests, reached, strict=True) if rest and not seen)
    goes_on = min(sum(mass), 1.0)
    return [
        probability if seen else max(1.0 - goes_on, LEAST) if not rest else max(left / unseen, LEAST)
        for rest, probability, seen in zip(rests, mass, reached, strict=True)
    ]


def _fitting(token: str, rests: Sequence[str]) -> list[int]:
    """Which rests a token may be the beginning of, or, if it is of none, the longest that it begins with."""
    if not token:
        return []
    begun = [place for place, rest in enumerate(rests) if rest.startswith(token)]
    if begun:
        return begun
    passed = [place for place, rest in enumerate(rests) if rest and token.startswith(rest)]
    longest = max((len(rests[place]) for place in passed), default=0)
    return [place for place in passed if len(rests[place]) == longest]
