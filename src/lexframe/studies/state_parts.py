r"""States of many texts in parts: what all share, what comes with the position, and the rest.

A state at position p of a text is h = global mean + position mean + residual (Song and Zhong, 2023). The first two say nothing of what a
text is about, but they are long: without taking them off, the length of a prompt decides where its last state lies. Means are added up a
block of texts at a time, so memory holds one block and the means, however many texts there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import InputError
from lexframe.spaces.base import Progress, TokenSpace, TokenStates, resolve_layer

_BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class LastStates:
    """The state of each text's last token at some layers.

    Attributes
    ----------
    layers : tuple of int
        Counted from the front, the rows of `states`.
    states : ndarray of shape (n_layers, n_texts, n_dims), float32
    positions : ndarray of int, shape (n_texts,)
        Of the last token, 0 for a text of one.
    """

    layers: tuple[int, ...]
    states: Float[np.ndarray, "n_layers n_texts n_dims"]
    positions: Int[np.ndarray, " n_texts"]


@dataclass(frozen=True, slots=True, eq=False)
class StateParts:
    """What states of background texts have in common at each layer and position.

    Attributes
    ----------
    layers : tuple of int
        Counted from the front, the first axis of the means.
    global_mean : ndarray of shape (n_layers, n_dims), float64
        Mean of the position means, so that long texts do not count more than short ones.
    position_mean : ndarray of shape (n_layers, n_positions, n_dims), float64
        Mean at each position less the global mean.
    counts : ndarray of int, shape (n_positions,)
        Texts that reach each position.
    """

    layers: tuple[int, ...]
    global_mean: Float[np.ndarray, "n_layers n_dims"]
    position_mean: Float[np.ndarray, "n_layers n_positions n_dims"]
    counts: Int[np.ndarray, " n_positions"]

    def residuals(self, found: LastStates) -> Float[np.ndarray, "n_layers n_texts n_dims"]:
        """States less the global mean and the mean of their position, float64.

        A position that too few background texts reach has the mean of the last one that enough reach.

        Parameters
        ----------
        found : LastStates
            At the layers of these means.

        Raises
        ------
        InputError
            If the layers differ.
        """
        if found.layers != self.layers:
            raise InputError(f"The states are of the layers {found.layers}, the means of {self.layers}. Collect both at the same layers.")
        places = np.minimum(found.positions, len(self.counts) - 1)
        return found.states - self.global_mean[:, np.newaxis] - self.position_mean[:, places]


def last_states(
    space: TokenSpace, texts: Sequence[str], *, layers: Sequence[int] | None = None, block: int = _BLOCK, progress: Progress = iter
) -> LastStates:
    """States of the last tokens, read in blocks of texts of like length.

    Parameters
    ----------
    space : TokenSpace
        Its template stands around the texts.
    texts : sequence of str
        None without tokens.
    layers : sequence of int, optional
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm. Default: all.
    block : int
        Texts whose tokens are in memory together.
    progress : callable
        Wraps the iteration over blocks.

    Returns
    -------
    LastStates
        In the order of `texts`.

    Raises
    ------
    InputError
        If a layer does not exist, there is no text or a text has no token.
    """
    chosen = _layers(space, layers)
    return _in_order(chosen, [(rows, *_last_of(read)) for rows, read in _blocks(space, texts, chosen, block, progress)])


def fit_state_parts(
    space: TokenSpace,
    texts: Sequence[str],
    *,
    layers: Sequence[int] | None = None,
    fewest: int = 20,
    block: int = _BLOCK,
    progress: Progress = iter,
) -> tuple[StateParts, LastStates]:
    """Global and position means over all tokens of background texts, and their last states from the same pass.

    Parameters
    ----------
    space : TokenSpace
        Its template stands around the texts.
    texts : sequence of str
        Of every kind that will be compared, in like numbers: what only some kinds have must not pass for common.
    layers : sequence of int, optional
        See :func:`last_states`.
    fewest : int
        A position has a mean of its own if at least so many texts reach it; the first position always has one.
    block : int
        Texts whose tokens are in memory together.
    progress : callable
        Wraps the iteration over blocks.

    Returns
    -------
    parts : StateParts
    last : LastStates
        As of :func:`last_states`.

    Raises
    ------
    InputError
        If a layer does not exist, there is no text or a text has no token.

    References
    ----------
    Song and Zhong (2023), Uncovering hidden geometry in Transformers via disentangling position and context, arXiv:2310.04861.
    """
    chosen = _layers(space, layers)
    sums, counts = np.zeros((len(chosen), 0, 0)), np.zeros(0, dtype=np.int64)
    last = []
    for rows, read in _blocks(space, texts, chosen, block, progress):
        longest = max(len(counts), max(len(text.ids) for text in read))
        more = np.zeros((len(chosen), longest, read[0].states.shape[-1]))
        more[:, : len(counts)] += sums if sums.size else 0.0
        counts = np.pad(counts, (0, longest - len(counts)))
        for text in read:
            more[:, : len(text.ids)] += text.states
            counts[: len(text.ids)] += 1
        sums = more
        last.append((rows, *_last_of(read)))
    kept = max(1, int((counts >= fewest).sum()))
    means = sums[:, :kept] / counts[:kept, np.newaxis]
    common = means.mean(axis=1)
    return StateParts(chosen, common, means - common[:, np.newaxis], counts[:kept]), _in_order(chosen, last)


def _layers(space: TokenSpace, layers: Sequence[int] | None) -> tuple[int, ...]:
    return tuple(resolve_layer(layer, space.n_layers) for layer in (range(space.n_layers + 1) if layers is None else layers))


def _blocks(
    space: TokenSpace, texts: Sequence[str], layers: tuple[int, ...], block: int, progress: Progress
) -> Iterator[tuple[list[int], list[TokenStates]]]:
    """Rows and states of blocks of texts; like lengths go together, since a block is padded to its longest."""
    if not len(texts):
        raise InputError("No text is given, so there are no states to look at. Give one text or more.")
    order = np.argsort(space.token_counts(texts), kind="stable").tolist()
    for start in progress(range(0, len(order), block)):
        rows = order[start : start + block]
        read = space.token_states_of([texts[row] for row in rows], layers=layers)
        empty = [row for row, text in zip(rows, read, strict=True) if not text.ids]
        if empty:
            raise InputError(f"Text number {empty[0]} has no token, so it has no last state. Leave it out.")
        yield rows, read


def _last_of(read: list[TokenStates]) -> tuple[np.ndarray, list[int]]:
    """Last states of a block, copied so that the others can go, and their positions."""
    return np.stack([text.states[:, -1] for text in read], axis=1), [len(text.ids) - 1 for text in read]


def _in_order(layers: tuple[int, ...], blocks: list[tuple[list[int], np.ndarray, list[int]]]) -> LastStates:
    """Blocks put together in the order of the texts."""
    back = np.argsort([row for rows, _, _ in blocks for row in rows])
    states = np.concatenate([states for _, states, _ in blocks], axis=1)[:, back]
    return LastStates(layers, states, np.array([place for _, _, places in blocks for place in places], dtype=np.int64)[back])
