"""Fitting a tuned lens on texts: a ridge regression a layer, then steps of natural gradient, each kept only where it helps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float

from lexframe.checks import checked_texts
from lexframe.exceptions import InputError
from lexframe.instruments.traces.lens import Lens
from lexframe.instruments.traces.tuned_lens import LayerFit, TunedLens
from lexframe.linalg import softmax
from lexframe.spaces.base import LensSpace, Progress
from lexframe.text_forms import counted
from lexframe.typing import ModelName, Texts

RIDGES = (1e-4, 1e-2, 1.0)
"""Candidates for the ridge, as shares of the mean variance of x."""
STAGES = ("logit", "ridge", "trained")
_BLOCK_TOKENS = 1024
_LEAST_TOKENS = 64
_HELD_OUT_TOKENS = 2048
_LEAST_HELD_OUT = 256
_HELD_OUT_LOGITS = 1 << 24
"""Of held-out tokens at one layer: what a choice among few candidates needs does not grow with the vocabulary, what it costs does."""
_MAX_LOGITS = 1 << 24
"""Numbers in the logits that are held at once, 64 MiB in float32."""
_FISHER_TOKENS = 512
_FISHER_DRAWS = 4
_DAMPING = 0.05
"""Share of the mean eigenvalue that is added to the Fisher information before it is inverted."""
_FIRST_RATE = 5.0
"""Of the steps, divided by n_dims: the noise of a block grows with the dimensions that are fitted to it."""


Rows = Float[np.ndarray, "n n_dims"]


def fit_tuned_lens(
    space: LensSpace | ModelName,
    texts: Texts,
    *,
    n_steps: int = 100,
    max_tokens: int = 100_000,
    precision: str = "float32",
    seed: int = 0,
    progress: Progress = iter,
) -> TunedLens:
    """Fit a tuned lens on any texts.

    Parameters
    ----------
    space : LensSpace or str
    texts : sequence of str
        A tenth of their tokens, 2,048 at most (341 beside a vocabulary of 49,152), is kept apart for the choices.
    n_steps : int
        Steps of natural gradient after the ridge, of 1,024 tokens each; 0 leaves the ridge alone.
    max_tokens : int
        Tokens that are read at most.
    precision : {"float32", "bfloat16"}
        Of the products with the head in the steps; choices are made in float32.
    seed : int
        Of the order of texts and the draws of the Fisher information.
    progress : callable
        Wraps the iteration over blocks of texts, then that over steps.

    Returns
    -------
    TunedLens

    Raises
    ------
    InputError
        If the texts have fewer than 64 tokens in all.
    """
    space = LensSpace.of(space)
    texts = checked_texts(texts)
    rng = np.random.default_rng(seed)
    held_out, known = _split(_draw_texts(space, texts, max_tokens, rng))
    apart = _states(space, held_out)
    if sum(space.token_counts(known).tolist()) < _LEAST_TOKENS or not len(apart[0]):
        raise InputError(
            f"{counted(len(texts), 'text holds', 'texts hold')} too few tokens to fit a lens. Give two texts or more; "
            f"a tenth is kept apart, and the rest needs {_LEAST_TOKENS} tokens or more."
        )
    maps = _ridge_maps(space, known, apart, progress)
    found = _Maps(np.stack([m.matrix for m in maps]), np.stack([m.offset for m in maps]))
    trained = _train(space, known, found, maps, n_steps=n_steps, precision=precision, rng=rng, progress=progress) if n_steps else found
    fits, matrices, offsets = [], np.zeros_like(found.matrices), np.zeros_like(found.offsets)
    for layer, x in enumerate(apart[:-1]):
        kl = {"logit": maps[layer].logit_kl, "ridge": maps[layer].kl, "trained": maps[layer].kl}
        if n_steps:
            (kl["trained"],) = _divergences_of(space, apart[-1], [x + trained.moves(layer, x)])
        chosen = min(STAGES, key=lambda stage: kl[stage])
        if chosen != "logit":
            source = trained if chosen == "trained" else found
            matrices[layer], offsets[layer] = source.matrices[layer], source.offsets[layer]
        fits.append(LayerFit(layer, kl, chosen, maps[layer].ridge))
    return TunedLens(matrices.astype(np.float32), offsets.astype(np.float32), space.fingerprint, fits)


def mean_divergences(
    space: LensSpace | ModelName, lens: Lens, texts: Texts, *, precision: str = "float32", progress: Progress = iter
) -> Float[np.ndarray, " n_layers"]:
    """Mean divergence of the model's distribution from a lens's at every layer, over all tokens of some texts.

    Parameters
    ----------
    space : LensSpace or str
    lens : Lens
    texts : sequence of str
        Not those that the lens was fitted on.
    precision : {"float32", "bfloat16"}
        Of the products with the head at inner layers.
    progress : callable
        Wraps the iteration over blocks of texts.

    Returns
    -------
    ndarray of shape (n_layers + 1,), float64
        In nats a token; the last is 0.
    """
    space = LensSpace.of(space)
    texts = checked_texts(texts)
    totals, count = np.zeros(space.n_layers + 1), 0
    for block in progress(_text_blocks(space, texts)):
        states = _raw_states(space, block)
        inputs = [lens.inputs(space, state, layer=layer) for layer, state in enumerate(states)]
        size = max(1, _MAX_LOGITS // space.n_vocab)
        for rows in (slice(start, start + size) for start in range(0, len(inputs[-1]), size)):
            final = _probabilities(space, inputs[-1][rows])
            for layer, x in enumerate(inputs[:-1]):
                totals[layer] += _divergences(final, lens.logits(space, x[rows], layer=layer, precision=precision)).sum()
        count += len(inputs[-1])
    return totals / max(count, 1)


@dataclass(frozen=True, slots=True)
class _Maps:
    """A and b of the inner layers."""

    matrices: Float[np.ndarray, "n_layers n_dims n_dims"]
    offsets: Float[np.ndarray, "n_layers n_dims"]

    def moves(self, layer: int, x: Rows) -> Rows:
        """XA + b."""
        return (x @ self.matrices[layer] + self.offsets[layer]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _RidgeMap:
    """One layer's ridge regression, with what the steps need: mean of x and inverse covariance."""

    matrix: Float[np.ndarray, "n_dims n_dims"]
    offset: Float[np.ndarray, " n_dims"]
    mean: Float[np.ndarray, " n_dims"]
    inverse_covariance: Float[np.ndarray, "n_dims n_dims"]
    ridge: float
    kl: float
    logit_kl: float


def _draw_texts(space: LensSpace, texts: Sequence[str], max_tokens: int, rng: np.random.Generator) -> list[str]:
    """Texts that are not empty, in random order, until they have so many tokens."""
    order = [texts[row] for row in rng.permutation(len(texts)) if texts[row].strip()]
    counts = np.cumsum(space.token_counts(order)) if order else np.zeros(0)
    return order[: int(np.searchsorted(counts, max_tokens)) + 1]


def _split(texts: list[str]) -> tuple[list[str], list[str]]:
    """A tenth, at least one text, and the rest."""
    n_held_out = max(1, len(texts) // 10)
    return texts[:n_held_out], texts[n_held_out:]


def _text_blocks(space: LensSpace, texts: Sequence[str]) -> list[list[str]]:
    """Texts in blocks of about so many tokens."""
    blocks: list[list[str]] = []
    room = 0
    for text, count in zip(texts, space.token_counts(texts).tolist(), strict=True):
        if room < count or not blocks:
            blocks.append([])
            room = _BLOCK_TOKENS
        blocks[-1].append(text)
        room -= count
    return blocks


def _raw_states(space: LensSpace, texts: Sequence[str]) -> list[Rows]:
    """States of all tokens of some texts, layer by layer."""
    found = [states.states for block in _text_blocks(space, texts) for states in space.token_states_of(block)]
    return list(np.concatenate(found, axis=1)) if found else [np.zeros((0, 1), dtype=np.float32)]


def _states(space: LensSpace, texts: Sequence[str]) -> list[Rows]:
    """What the head makes of the states of held-out tokens, layer by layer; of so many at most, fewer where each makes many logits."""
    states = _raw_states(space, texts)
    kept = _spread(len(states[0]), min(_HELD_OUT_TOKENS, max(_LEAST_HELD_OUT, _HELD_OUT_LOGITS // space.n_vocab)))
    return [space.lens.input(state[kept], layer=layer) for layer, state in enumerate(states)] if len(kept) else states


def _spread(n: int, most: int) -> np.ndarray:
    """At most so many of n rows, evenly spread."""
    return np.unique((np.linspace(0, 1, max(most, 1), endpoint=False) * n).astype(np.int64)) if n else np.zeros(0, dtype=np.int64)


def _probabilities(space: LensSpace, inputs: Rows) -> Float[np.ndarray, "n n_vocab"]:
    return softmax(space.lens.logits(inputs))


def _divergences(final: Float[np.ndarray, "n n_vocab"], logits: Float[np.ndarray, "n n_vocab"]) -> Float[np.ndarray, " n"]:
    """KL(final ‖ lens) of each row, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_lens = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    log_final = np.log(np.maximum(final, np.finfo(np.float32).tiny))
    return np.einsum("ij,ij->i", final, log_final - log_lens, dtype=np.float64)


def _divergences_of(space: LensSpace, final_inputs: Rows, candidates: Sequence[Rows]) -> list[float]:
    """Mean over rows of each candidate, a few rows at a time: distributions of all of them would not fit beside a large vocabulary."""
    size, totals = max(1, _MAX_LOGITS // space.n_vocab), np.zeros(len(candidates))
    for rows in (slice(start, start + size) for start in range(0, len(final_inputs), size)):
        final = _probabilities(space, final_inputs[rows])
        totals += [_divergences(final, space.lens.logits(inputs[rows])).sum() for inputs in candidates]
    return (totals / len(final_inputs)).tolist()


def _ridge_maps(space: LensSpace, texts: list[str], apart: list[Rows], progress: Progress) -> list[_RidgeMap]:
    """The regression of y - x on x for every inner layer, from sums over all tokens."""
    n_layers, n_dims = len(apart) - 1, apart[0].shape[1]
    count, sums = 0, np.zeros((n_layers, 2, n_dims))
    squares, products = np.zeros((n_layers, n_dims, n_dims)), np.zeros((n_layers, n_dims, n_dims))
    for block in progress(_text_blocks(space, texts)):
        inputs = [space.lens.input(state, layer=layer).astype(np.float64) for layer, state in enumerate(_raw_states(space, block))]
        count += len(inputs[-1])
        for layer, x in enumerate(inputs[:-1]):
            rest = inputs[-1] - x
            sums[layer] += x.sum(axis=0), rest.sum(axis=0)
            squares[layer] += x.T @ x
            products[layer] += x.T @ rest
    maps = []
    for layer, x in enumerate(apart[:-1]):
        mean, rest_mean = sums[layer] / count
        covariance = squares[layer] / count - np.outer(mean, mean)
        cross = products[layer] / count - np.outer(mean, rest_mean)
        maps.append(_best_ridge(space, covariance, cross, mean, rest_mean, x, apart[-1]))
    return maps


def _best_ridge(
    space: LensSpace, covariance: np.ndarray, cross: np.ndarray, mean: np.ndarray, rest_mean: np.ndarray, x: Rows, final_inputs: Rows
) -> _RidgeMap:
    scale = max(float(np.trace(covariance)) / len(covariance), np.finfo(np.float64).tiny)
    solved = []
    for ridge in RIDGES:
        inverse = scipy.linalg.inv(covariance + ridge * scale * np.eye(len(covariance)))
        matrix = inverse @ cross
        solved.append((matrix, rest_mean - mean @ matrix, mean, inverse, ridge))
    moved = [(x + x @ matrix + offset).astype(np.float32) for matrix, offset, *_ in solved]
    logit_kl, *kl = _divergences_of(space, final_inputs, [x, *moved])
    best = int(np.argmin(kl))
    return _RidgeMap(*solved[best], kl[best], logit_kl)


def _train(
    space: LensSpace,
    texts: list[str],
    start: _Maps,
    maps: list[_RidgeMap],
    *,
    n_steps: int,
    precision: str,
    rng: np.random.Generator,
    progress: Progress,
) -> _Maps:
    r"""Steps of natural gradient on the divergence, all layers at once, at a rate that falls to zero; the mean of the last third.

    The Gauss-Newton matrix of an affine map is about the product of the covariance of x and the Fisher information F of the
    head (Martens and Grosse, 2015, K-FAC), so :math:`\Sigma^{-1} X^T G F^{-1}` is a step in coordinates in which all directions are alike.
    """
    matrices, offsets = start.matrices.copy(), start.offsets.copy()
    mean_matrices, mean_offsets, n_averaged = np.zeros_like(matrices), np.zeros_like(offsets), 0
    inverse_fisher: np.ndarray | None = None
    blocks = _text_blocks(space, texts)
    order: list[int] = []
    for step in progress(range(n_steps)):
        order = order or rng.permutation(len(blocks)).tolist()
        states = _raw_states(space, blocks[order.pop()])
        kept = _spread(len(states[0]), _MAX_LOGITS // space.n_vocab)
        inputs = [space.lens.input(state[kept], layer=layer) for layer, state in enumerate(states)]
        final = softmax(space.lens.logits(inputs[-1], precision=precision))
        if inverse_fisher is None:
            inverse_fisher = _inverse_fisher(space, inputs[-1], final, rng)
        rate = _FIRST_RATE / inputs[-1].shape[1] * (1 - step / n_steps)
        for layer, x in enumerate(inputs[:-1]):
            moved = x + _Maps(matrices, offsets).moves(layer, x)
            error = softmax(space.lens.logits(moved, precision=precision)) - final
            gradient = space.lens.pullback(moved, error, precision=precision).astype(np.float64) @ inverse_fisher / len(x)
            change = maps[layer].inverse_covariance @ ((x - maps[layer].mean).T @ gradient)
            matrices[layer] -= rate * change
            offsets[layer] -= rate * (gradient.sum(axis=0) - maps[layer].mean @ change)
        if step >= 2 * n_steps // 3:
            mean_matrices, mean_offsets, n_averaged = mean_matrices + matrices, mean_offsets + offsets, n_averaged + 1
    return _Maps(mean_matrices / n_averaged, mean_offsets / n_averaged)


def _inverse_fisher(space: LensSpace, inputs: Rows, final: Float[np.ndarray, "n n_vocab"], rng: np.random.Generator) -> np.ndarray:
    """Inverse of the mean Fisher information of the head, from gradients of tokens drawn from the model's own distribution."""
    inputs, final = inputs[:_FISHER_TOKENS], final[:_FISHER_TOKENS]
    fisher = np.zeros((inputs.shape[1],) * 2)
    bounds = final.cumsum(axis=1)
    rows = np.arange(len(final))
    for _ in range(_FISHER_DRAWS):
        drawn = np.minimum((rng.random((len(final), 1)) * bounds[:, -1:] > bounds).sum(axis=1), final.shape[1] - 1)
        error = final.copy()
        error[rows, drawn] -= 1
        gradient = space.lens.pullback(inputs, error).astype(np.float64)
        fisher += gradient.T @ gradient / (len(final) * _FISHER_DRAWS)
    damping = _DAMPING * max(float(np.trace(fisher)) / len(fisher), np.finfo(np.float64).tiny)
    return scipy.linalg.inv(fisher + damping * np.eye(len(fisher)))
