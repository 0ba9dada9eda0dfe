"""Directions of a model: from texts of two poles, from words of its vocabulary, or by chance as a control."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.instruments.directions.concept_direction import (
    DIRECTION_METHODS,
    Negative,
    Positive,
    concept_direction,
    direction_between,
    typical_length,
)
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.directions.preflight import Preflight
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.linalg import unit_rows
from lexframe.provenance import Provenance
from lexframe.spaces.base import LensSpace, Progress, Representation, TokenSpace, resolve_layer
from lexframe.typing import ModelName, Texts


def find_direction(
    space: TokenSpace | ModelName,
    positive_texts: Texts,
    negative_texts: Texts,
    *,
    layers: Sequence[int] | None = None,
    method: str = "mean_difference",
    pooling: str = "typical",
    paired: bool = False,
    poles: tuple[str, str] = ("positive", "negative"),
    batch_size: int | None = None,
    progress: Progress = iter,
) -> Direction:
    """Direction from the negative to the positive texts at each layer, all layers in one pass.

    Parameters
    ----------
    space : TokenSpace or str
        Whose model reads the texts; its own layer and pooling play no part, its template does.
    positive_texts, negative_texts : sequence of str
        Examples of both poles, two each or more.
    layers : sequence of int, optional
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm. Default: all but 0.
    method : {"mean_difference", "whitened", "pca", "probe"}
        See :func:`lexframe.instruments.directions.concept_direction.concept_direction`.
    pooling : str
        Which states of a text make its point: ``typical`` where the concept runs through the text, ``last`` where the template or
        the text ends in what tells the poles apart. ``typical`` is the mean without massive states, such as that of the first token in
        many decoders: in a plain mean they outweigh the concept, and the direction is that of the texts' lengths.
    paired : bool
        Text i of both belongs together.
    poles : (str, str)
        Names of the positive and the negative pole.
    batch_size : int, optional
        Texts in one forward pass.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    Direction
        Every vector as long as a typical state of its layer (the median length of the texts' last states). Its origin is the midpoint
        of the poles' means.

    Raises
    ------
    InputError
        If a pole has fewer than two texts, both have the same points, or a layer or the method does not exist.
    """
    space = TokenSpace.of(space)
    positive_texts = texts_in(positive_texts, what="positive_texts")
    negative_texts = texts_in(negative_texts, what="negative_texts")
    chosen = _resolved(layers, space.n_layers)
    if method not in DIRECTION_METHODS:  # before the texts are read
        raise InputError(f"method is {method!r}; expected one of {', '.join(DIRECTION_METHODS)}, or use frame_direction for words.")
    for name, texts in zip(poles, (positive_texts, negative_texts), strict=True):
        if len(texts) < 2:
            raise InputError(
                f"The pole {name!r} has {len(texts)} text{'s' if len(texts) != 1 else ''}. Give two of each or more; some dozens are usual."
            )
    asked = [Representation(layer, kind) for kind in (pooling, "last") for layer in chosen]
    points = space.encode_representations([*positive_texts, *negative_texts], asked, batch_size=batch_size, progress=progress)
    n_positive, n_layers = len(positive_texts), len(chosen)
    vectors, preflight, origins, scales = {}, {}, {}, {}
    for column, layer in enumerate(chosen):
        positive, negative = points[:n_positive, column], points[n_positive:, column]
        direction, origins[layer] = direction_between(positive, negative, method=method, paired=paired)
        scales[layer] = typical_length(points[:, n_layers + column])
        vectors[layer] = _of_length(direction, scales[layer])
        preflight[layer] = preflight_of(positive, negative, method=method, paired=paired)
    parameters = {"pooling": pooling, "paired": paired, "n_positive": n_positive, "n_negative": len(negative_texts)}
    return Direction(
        vectors=vectors,
        n_layers=space.n_layers,
        positive=poles[0],
        negative=poles[1],
        method=method,
        provenance=Provenance(space=space.fingerprint, parameters=parameters),
        preflight=preflight,
        origins=origins,
        scales=scales,
    )


def preflight_of(positive: Positive, negative: Negative, *, method: str = "mean_difference", paired: bool = False) -> Preflight:
    """What the training points say beforehand; see :class:`~lexframe.instruments.directions.preflight.Preflight`.

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive, n_dims), (n_negative, n_dims)
        Without pairs, points are paired as they stand in both, as far as the shorter goes.
    method : str
        The separation is measured along the direction that it finds on the other half of the examples.
    paired : bool
        See :func:`~lexframe.instruments.directions.concept_direction.concept_direction`.

    Returns
    -------
    Preflight
    """
    n = min(len(positive), len(negative))
    units = unit_rows(positive[:n].astype(np.float64) - negative[:n])
    pair_cosine = float((np.sum(units.sum(0) ** 2) - np.sum(units**2)) / (n * (n - 1)))
    return Preflight(len(positive), len(negative), pair_cosine, held_out_separation(positive, negative, method=method, paired=paired))


def held_out_separation(positive: Positive, negative: Negative, *, method: str, paired: bool) -> float | None:
    """d′ of both poles along the direction found on the other half, the mean of both halves; None below four examples of a pole."""
    if min(len(positive), len(negative)) < 4:
        return None
    values = []
    for half in (0, 1):
        try:
            direction = concept_direction(positive[half::2], negative[half::2], method=method, paired=paired)
        except InputError:  # a half without any difference separates nothing
            return 0.0
        high, low = (pole[1 - half :: 2].astype(np.float64) @ direction for pole in (positive, negative))
        spread = np.sqrt((high.var(ddof=1) + low.var(ddof=1)) / 2)
        values.append((high.mean() - low.mean()) / max(spread, 1e-12 * np.abs(direction).max()))
    return float(np.mean(values))


def frame_direction(
    space: LensSpace | ModelName,
    positive_words: Texts,
    negative_words: Texts,
    *,
    layers: Sequence[int] = (-1,),
    center: bool = True,
) -> Direction:
    r"""Direction from words alone: mean semantic basis of the positive words minus that of the negative ones.

    With centered rows the basis is :math:`\mathrm{Cov}(\gamma)^{-1}\gamma / V`, so this is, up to the factor V, the steering
    direction that the causal inner product gives [1]_: it raises the log-odds of the words and leaves those of concepts that vary
    independently in the vocabulary alone. That holds for the last state; at inner layers the direction is drawn back through the
    final norm, as if no block came between.

    Parameters
    ----------
    space : LensSpace or str
        Gives the head, the ids of words, and what the head reads at inner layers.
    positive_words, negative_words : sequence of str
        One or more each; a word of several tokens counts as their mean.
    layers : sequence of int
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    center : bool
        Take the mean row off the head first, which the softmax ignores.

    Returns
    -------
    Direction
        Every vector as long as a typical state of its layer (the median length of the words' states, read after a line break).

    Raises
    ------
    VocabularyError
        If the vocabulary cannot write a word.
    InputError
        If a pole has no word, or both have the same bases.

    References
    ----------
    .. [1] Park, Choe and Veitch (2023), The Linear Representation Hypothesis, arXiv:2311.03658, theorem 3.2.
    """
    space = LensSpace.of(space)
    positive_words = texts_in(positive_words, what="positive_words")
    negative_words = texts_in(negative_words, what="negative_words")
    if not positive_words or not negative_words:
        raise InputError("Both poles need one word or more, such as positive_words=['good'], negative_words=['bad'].")
    chosen = _resolved(layers, space.n_layers)
    frame = VocabularyFrame(space, center=center)
    difference = np.subtract(*(np.mean([frame.word_basis(word) for word in words], axis=0) for words in (positive_words, negative_words)))
    if not np.abs(difference).max() > 0:
        raise InputError(f"{', '.join(positive_words)} and {', '.join(negative_words)} have the same basis. Give words that differ.")
    words = [*positive_words, *negative_words]
    # Not as the first that is read: the state of the first token is massive in many decoders, and is no word's.
    states = space.encode_representations([f"\n {word}" for word in words], [Representation(layer, "last") for layer in chosen])
    vectors, scales = {}, {}
    for column, layer in enumerate(chosen):
        drawn_back = difference if layer == space.n_layers else _before_final_norm(space, difference, states[:, column], layer)
        scales[layer] = typical_length(states[:, column])
        vectors[layer] = _of_length(drawn_back, scales[layer])
    names = (", ".join(positive_words), ", ".join(negative_words))
    provenance = Provenance(space=space.fingerprint, parameters={"center": center})
    return Direction(vectors, space.n_layers, *names, "frame", provenance, scales=scales)


def random_direction(like: Direction, *, seed: int) -> Direction:
    """A control: at each layer a vector of the same length whose direction is drawn evenly from the sphere.

    Parameters
    ----------
    like : Direction
        Whose layers, lengths and model are taken.
    seed : int
        Of the draw.
    """
    rng = np.random.default_rng(seed)
    drawn = {layer: rng.normal(size=like.vectors[layer].shape) for layer in sorted(like.vectors)}
    vectors = {
        layer: (vector * np.linalg.norm(like.vectors[layer]) / np.linalg.norm(vector)).astype(np.float32) for layer, vector in drawn.items()
    }
    provenance = replace(like.provenance, seed=seed)
    drawn_by_chance = replace(like, vectors=vectors, provenance=provenance, preflight={}, origins={})
    return replace(drawn_by_chance, positive="chance", negative="chance", method="random")


def _resolved(layers: Sequence[int] | None, n_layers: int) -> list[int]:
    if layers is None:
        return list(range(1, n_layers + 1))
    if not len(layers):
        raise InputError(f"layers is empty; name one or more of 0 … {n_layers}, or leave it out for all.")
    return sorted({resolve_layer(layer, n_layers) for layer in layers})


def _of_length(direction: np.ndarray, length: float) -> np.ndarray:
    return (direction * (length / np.linalg.norm(direction))).astype(np.float32)


def _before_final_norm(space: LensSpace, wanted: np.ndarray, states: np.ndarray, layer: int) -> np.ndarray:
    """The step at a typical state of an inner layer which moves what the head reads by `wanted`, as nearly as a step can.

    Through finite differences, so that it holds of any norm and transform; the norm itself cannot be moved along its state.
    """
    typical = states.mean(0, dtype=np.float64)
    step = 1e-2 * np.linalg.norm(typical) or 1e-2
    around = np.vstack([typical + step * np.eye(len(typical)), typical - step * np.eye(len(typical))]).astype(np.float32)
    read = space.lens.input(around, layer=layer).astype(np.float64)
    jacobian = (read[: len(typical)] - read[len(typical) :]) / (2 * step)  # row i: what the head reads when coordinate i moves
    return np.linalg.lstsq(jacobian.T, wanted, rcond=1e-4)[0]
