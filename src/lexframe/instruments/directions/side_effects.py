"""What steering does besides: divergence on texts it should leave alone, fluency, and repetition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.spaces.base import LensSpace, PromptSpace, TokenSpace
from lexframe.spaces.base.prompts import as_read

_BARE = "{text}"
"""The template that puts nothing around a text."""

ROWS_AT_ONCE = 256
"""Tokens whose logits are held together: a vocabulary of 256,000 then takes 256 MB."""

PerText = Float[np.ndarray, " n_texts"]


@dataclass(frozen=True, slots=True)
class SideEffectBudget:
    """How much may change besides. None switches a limit off.

    Attributes
    ----------
    divergence : float or None
        Most KL(unsteered ‖ steered) on neutral texts, in nats per token.
    perplexity_ratio : float or None
        Most perplexity of neutral texts under the steered model over that under the unsteered one.
    fluency_ratio : float or None
        Most perplexity of steered over that of unsteered generations, both under the unsteered model.
    distinct_ratio : float or None
        Least share of different word pairs in steered generations over that in unsteered ones.
    """

    divergence: float | None = 0.5
    perplexity_ratio: float | None = 1.5
    fluency_ratio: float | None = 1.5
    distinct_ratio: float | None = 0.8

    def exceeded_by(self, **measured: float) -> tuple[str, ...]:
        """Names of the limits that measured values break; a value that is not a number breaks its limit."""
        broken = []
        for name, value in measured.items():
            limit = getattr(self, name)
            within = limit is None or (value >= limit if name == "distinct_ratio" else value <= limit)
            broken += [] if within else [name]
        return tuple(broken)


@dataclass(frozen=True, slots=True)
class NeutralEffect:
    """How a moved model reads neutral texts, a value a text.

    Attributes
    ----------
    divergence : ndarray of shape (n_texts,)
        Mean over tokens of KL(unmoved ‖ moved) between next-token distributions, in nats.
    log_loss_change : ndarray of shape (n_texts,)
        Change of the mean negative log-probability per token, in nats; its exponential is the ratio of perplexities.
    """

    divergence: PerText
    log_loss_change: PerText


class NeutralReading:
    """How the unmoved model reads neutral texts, to compare moved ones with.

    Parameters
    ----------
    space : LensSpace
        As it is now.
    texts : sequence of str
        Two tokens each or more.

    Raises
    ------
    InputError
        If there is no text, or one is too short to predict anything in.
    """

    def __init__(self, space: TokenSpace, texts: Sequence[str]):
        if not texts:
            raise InputError("No neutral text is given, so side effects cannot be measured. Give some ordinary sentences.")
        self.space, self.texts = head_space(space), tuple(texts)
        self._read = [token_inputs(self.space, text) for text in self.texts]
        short = [text for text, (ids, _) in zip(self.texts, self._read, strict=True) if len(ids) < 2]
        if short:
            raise InputError(f"The neutral text {short[0]!r} has fewer than two tokens. Give whole sentences.")

    def compared(self) -> NeutralEffect:
        """The effect of whatever moves the space now; nothing moved gives zeros."""
        divergences, changes = [], []
        moved = [token_inputs(self.space, text)[1] for text in self.texts]
        pairs = [part for (_, inputs), moved_inputs in zip(self._read, moved, strict=True) for part in (inputs[:-1], moved_inputs[:-1])]
        found = _log_probabilities_of(self.space, pairs)
        for ids, _ in self._read:
            before, after = next(found), next(found)
            follows = (np.arange(len(ids) - 1), ids[1:])
            changes.append(float((before[follows] - after[follows]).mean(dtype=np.float64)))
            divergences.append(float(np.einsum("ij,ij->i", np.exp(before), before - after).mean(dtype=np.float64)))
        return NeutralEffect(np.array(divergences), np.array(changes))


def continuation_log_loss(space: TokenSpace, prompts: Sequence[str], continuations: Sequence[str]) -> PerText:
    """Mean negative log-probability of the tokens of each continuation after its prompt.

    Parameters
    ----------
    space : LensSpace
        Its template stands around the prompts, and continuations after it.
    prompts, continuations : sequence of str
        As many of both; written one after the other as they stand.

    Returns
    -------
    ndarray of shape (n_texts,)
        In nats per token; not a number for a continuation without tokens.
    """
    head, written, parts = head_space(space), [], []
    for prompt, continuation in zip(as_read(space, prompts), continuations, strict=True):
        ids, inputs = token_inputs(head, prompt + continuation)
        read = np.array(head.token_states(prompt, layers=[0]).ids)[: len(ids)]
        same = read == ids[: len(read)]  # a tokenizer may end a prompt with a token of its own, or join its last one with what follows
        start = max(len(read) if same.all() else int(same.argmin()), 1)
        written.append(ids[start:])
        parts.append(inputs[start - 1 : -1] if len(ids) > start else inputs[:0])
    found = _log_probabilities_of(head, parts)
    scored = ((ids, next(found)) for ids in written)
    return np.array([-float(part[np.arange(len(ids)), ids].mean()) if len(ids) else np.nan for ids, part in scored], dtype=np.float64)


def distinct_share(texts: Sequence[str], *, n: int = 2) -> float:
    """Mean over texts of the share of different n-grams of words; texts shorter than that count as 1.

    Parameters
    ----------
    texts : sequence of str
    n : int
        Words in a row.

    Returns
    -------
    float
        In [0, 1]; 1 where nothing is repeated. Not a number without texts.

    References
    ----------
    Li et al. (2016), arXiv:1510.03055 (distinct-n), there over all texts together.
    """
    shares = []
    for text in texts:
        words = text.split()
        grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
        shares.append(len(set(grams)) / len(grams) if grams else 1.0)
    return float(np.mean(shares)) if shares else float("nan")


def head_space(space: TokenSpace) -> LensSpace:
    """The space as one whose head reads states, with nothing around texts.

    Raises
    ------
    InputError
        If it has no head, or puts a template around texts and has no reader without.
    """
    if not isinstance(space, LensSpace):
        raise InputError(f"{type(space).__name__} has no output head, so next tokens cannot be scored. Use a LanguageModelSpace.")
    template = space.fingerprint.template
    if template == _BARE:
        return space
    if not isinstance(space, PromptSpace) or not isinstance(reader := space.prompt_reader(truncation=space.truncation), LensSpace):
        raise InputError(f"Prompts are read as they stand, but the space puts the template {template!r} around them. Open it without.")
    return reader


def token_inputs(space: LensSpace, text: str) -> tuple[np.ndarray, Float[np.ndarray, "n_tokens n_dims"]]:
    """Ids of a text, and what the head reads at each of its tokens."""
    states = space.token_states(text, layers=[-1])
    return np.array(states.ids), space.lens.input(states.states[0], layer=-1)


def _log_probabilities_of(space: LensSpace, parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Of every part in turn. Parts go through the head together, as many as :data:`ROWS_AT_ONCE` allows: a head in half precision is
    widened anew for every product, which of a few rows takes longer than the product.
    """
    start = 0
    while start < len(parts):
        end, n_rows = start + 1, len(parts[start])
        while end < len(parts) and n_rows + len(parts[end]) <= ROWS_AT_ONCE:
            n_rows += len(parts[end])
            end += 1
        rows = np.concatenate(parts[start:end])
        found = _log_probabilities(space, rows) if len(rows) else rows
        yield from np.split(found, np.cumsum([len(part) for part in parts[start : end - 1]], dtype=np.int64))
        start = end


def _log_probabilities(space: LensSpace, inputs: np.ndarray) -> np.ndarray:
    logits = space.lens.logits(inputs)
    logits -= logits.max(axis=1, keepdims=True)  # in place and in float32: a large vocabulary makes this most of the work
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits
