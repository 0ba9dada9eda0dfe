"""Which words pull an item to the suggested category: what changes when each is left out."""

import re
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from lexframe.audit.category_posterior import CategoryPosterior
from lexframe.checks import texts_in
from lexframe.typing import Points, Texts

MAX_WORDS = 80
_WORD = re.compile(r"\S+")


def word_effects(
    encode: Callable[[Sequence[str]], Points],
    texts: Texts,
    given: Int[np.ndarray, " n_texts"],
    suggested: Int[np.ndarray, " n_texts"],
    found: CategoryPosterior,
) -> list[list[tuple[str, float]]]:
    """Effect of each word on the log-odds of the suggested category against the given one, by distances alone.

    Parameters
    ----------
    encode : callable
        Texts to points of the space that was audited, in the same scaling.
    texts : sequence of str
    given, suggested : ndarray of int, shape (n_texts,)
    found : CategoryPosterior

    Returns
    -------
    list of list of (str, float)
        For every text its words in order, in nats: how far the log-odds fall when the word is left out. Above zero it pulls to the
        suggested category. Of texts with more than 80 words the first 80 are judged, the others are 0.
    """
    texts = texts_in(texts)
    words = [_WORD.findall(text) for text in texts]
    variants = [text for text, listed in zip(texts, words, strict=True) for text in (text, *_without_each(text, listed))]
    odds_given = np.repeat(given, [1 + min(len(listed), MAX_WORDS) for listed in words])
    odds_suggested = np.repeat(suggested, [1 + min(len(listed), MAX_WORDS) for listed in words])
    squared = found.discriminant.distances(found.discriminant.whiten(encode(variants))).astype(np.float64)
    rows = np.arange(len(variants))
    odds = 0.5 * found.weights[0] * (squared[rows, odds_given] - squared[rows, odds_suggested])
    effects, start = [], 0
    for listed in words:
        judged = min(len(listed), MAX_WORDS)
        falls = odds[start] - odds[start + 1 : start + 1 + judged]
        effects.append([(word, float(falls[place]) if place < judged else 0.0) for place, word in enumerate(listed)])
        start += 1 + judged
    return effects


def _without_each(text: str, words: Sequence[str]) -> list[str]:
    """The text without its first word, without its second, and so on; a text of one word becomes a blank."""
    spans = [match.span() for match in _WORD.finditer(text)][:MAX_WORDS]
    return [(text[:start] + text[end:]).strip() or " " for start, end in spans]
