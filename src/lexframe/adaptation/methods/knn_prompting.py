"""kNN prompting: what the model would say next is a text's description, and the labeled texts that are described most alike vote."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from lexframe.adaptation.methods.in_context import (
    balanced_order,
    demonstration,
    prompt_obstacle,
    require_causal,
    shortened,
)
from lexframe.adaptation.problem import Classifier, Method, Probabilities, Problem, Rows
from lexframe.exceptions import InputError
from lexframe.linalg import softmax
from lexframe.spaces.base import PromptSpace, Space
from lexframe.spaces.templates import Template
from lexframe.typing import Points

NEIGHBORS = (1, 3, 5, 9, 17, 33, 65, 129, 257)
"""Numbers of voters to choose among, as far as there are labels for them."""

LEAST_SHOTS_TO_SHOW = 4
"""Labels of a class below which none can be spared for a demonstration."""

SHOWN_SHARE = 0.5
"""Most of the context that the demonstrations take together."""

LEAST_TOKENS = 16
"""Tokens below which the text of a demonstration is not cut, however many classes share the room."""

MOST_LEFT_OUT = 1000
"""Labeled texts that are left out, one at a time, to choose the number of voters."""

BLOCK_NUMBERS = 2**23
"""Probabilities in one block: 64 MB in float64."""

Distances = Float[np.ndarray, "n_queries n_anchors"]
NearestAnchors = tuple[Float[np.ndarray, "n_queries n_neighbors"], Int[np.ndarray, "n_queries n_neighbors"]]


def smoothed(logits: Float[np.ndarray, "n_texts n_vocab"], smoothing: float) -> Float[np.ndarray, "n_texts n_vocab"]:
    """Softmax over the vocabulary, with the share `smoothing` of it spread evenly, so that nothing is impossible; float64."""
    return (1 - smoothing) * softmax(logits.astype(np.float64)) + smoothing / logits.shape[1]


def kl_divergence(anchors: Float[np.ndarray, "n_anchors n_vocab"], log_queries: Float[np.ndarray, "n_queries n_vocab"]) -> Distances:
    r"""Divergence of every anchor from every query, in nats, a row a query.

    :math:`KL(a \,\|\, q) = \sum_v a_v \log a_v - \sum_v a_v \log q_v`: an entropy an anchor and one matrix product, so nothing
    of the size n_queries × n_anchors × n_vocab is held.

    Parameters
    ----------
    anchors : ndarray of shape (n_anchors, n_vocab)
        Positive rows that sum to one.
    log_queries : ndarray of shape (n_queries, n_vocab)
        Logarithms of such rows.

    Returns
    -------
    ndarray of shape (n_queries, n_anchors)
        At least 0; rounding below it is cut off.
    """
    negative_entropy = np.einsum("av,av->a", anchors, np.log(anchors))
    return np.maximum(negative_entropy - log_queries @ anchors.T, 0)


def nearest_anchors(
    space: PromptSpace,
    anchors: Float32[np.ndarray, "n_anchors n_dims"],
    queries: Float32[np.ndarray, "n_queries n_dims"],
    most: int,
    smoothing: float,
    *,
    own: Int[np.ndarray, " n_queries"] | None = None,
) -> NearestAnchors:
    """The `most` anchors from which each query diverges least, nearest first.

    Distributions are made from the points block by block: a distribution is as long as the vocabulary, a point is not.

    Parameters
    ----------
    space : PromptSpace
        Its head gives the next-token distribution at a point.
    anchors, queries : ndarray of shape (n_anchors, n_dims) and (n_queries, n_dims), float32
        Points of `space`.
    most : int
        At most n_anchors, and less by one where `own` is given.
    smoothing : float
        See :func:`smoothed`.
    own : ndarray of int, shape (n_queries,), optional
        An anchor that each query does not count: itself.

    Returns
    -------
    distances : ndarray of shape (n_queries, most), float64
        :func:`kl_divergence` of the anchor from the query, in nats.
    order : ndarray of int, shape (n_queries, most)
        Which anchors.
    """
    n_rows = max(16, BLOCK_NUMBERS // space.n_vocab)
    distances, order = np.empty((len(queries), most)), np.empty((len(queries), most), dtype=np.int64)
    for start in range(0, len(queries), n_rows):
        rows = slice(start, start + n_rows)
        asked = np.log(smoothed(space.logits(queries[rows]), smoothing))
        blocks = (smoothed(space.logits(anchors[first : first + n_rows]), smoothing) for first in range(0, len(anchors), n_rows))
        found = np.concatenate([kl_divergence(block, asked) for block in blocks], axis=1)
        if own is not None:
            found[np.arange(len(found)), own[rows]] = np.inf
        order[rows] = np.argsort(found, axis=1, kind="stable")[:, :most]
        distances[rows] = np.take_along_axis(found, order[rows], axis=1)
    return distances, order


def vote(distances: Float[np.ndarray, "n_queries k"], classes: Int[np.ndarray, "n_queries k"], n_labels: int) -> Probabilities:
    r"""Probabilities from the classes of the k nearest anchors.

    Voter i counts :math:`w_i \propto \exp(-d_i / \bar d)` with :math:`\bar d` the mean of the k distances, the weights summing to
    k, so that the nearest decides between equals. One more vote is shared by all labels, so that none is impossible.
    """
    k = distances.shape[1]
    mean = distances.mean(axis=1, keepdims=True)
    weights = k * softmax(-distances / np.where(mean > 0, mean, 1))
    votes = np.zeros((len(distances), n_labels))
    np.add.at(votes, (np.arange(len(distances))[:, np.newaxis], classes), weights)
    return (votes + 1 / n_labels) / (k + 1)


def choose_neighbors(
    distances: Float[np.ndarray, "n_queries most"], classes: Int[np.ndarray, "n_queries most"], y: Rows, n_labels: int
) -> tuple[int, float]:
    """Number of voters with the best leave-one-out accuracy, and that accuracy; the lower log-loss decides between equals.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, most)
        Of labeled texts, left out one at a time, to their nearest other anchors, nearest first.
    classes : ndarray of int, shape (n_queries, most)
        Class numbers of these anchors.
    y : ndarray of int, shape (n_queries,)
        Class numbers of the labeled texts.
    n_labels : int
        Number of classes.
    """
    scores = []
    for k in [k for k in NEIGHBORS if k <= distances.shape[1]]:
        probabilities = vote(distances[:, :k], classes[:, :k], n_labels)
        accuracy = float(np.mean(probabilities.argmax(axis=1) == y))
        scores.append((accuracy, float(np.log(probabilities[np.arange(len(y)), y]).mean()), k))
    accuracy, _, k = max(scores)
    return k, accuracy


@dataclass
class KNNPromptingClassifier:
    """Anchors that vote.

    Attributes
    ----------
    problem : Problem
    reader : PromptSpace
        Its template holds the demonstrations.
    anchors : ndarray of shape (n_anchors, n_dims)
        Last states of the labeled texts; their distributions are made from them block by block.
    y : ndarray of int, shape (n_anchors,)
        Class numbers.
    smoothing : float
        See :func:`smoothed`.
    choices : dict
        ``neighbors`` is the number of voters, ``demonstrations`` how many labeled texts stand in every prompt instead of
        voting.
    n_parameters : int
        0: the labeled texts themselves are what is kept.
    """

    problem: Problem
    reader: PromptSpace
    anchors: Points
    y: Rows
    smoothing: float
    choices: dict[str, Any]
    n_parameters: int = 0

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probability of each label for rows of the problem's encoded texts."""
        points = _read(self.reader, self.problem, rows)
        distances, order = nearest_anchors(self.reader, self.anchors, points, self.choices["neighbors"], self.smoothing)
        return vote(distances, self.y[order], self.problem.n_labels)


class KNNPrompting(Method):
    """Votes of the labeled texts whose next-token distribution is nearest by Kullback-Leibler divergence.

    Parameters
    ----------
    smoothing : float
        Share of every distribution that is spread evenly over the vocabulary, in (0, 1). It keeps the divergence finite, and
        keeps tokens that are very unlikely either way from deciding it.
    demonstrations : bool, optional
        Whether labeled texts stand in front, where there are enough. Default: whichever does better by leave-one-out.

    Notes
    -----
    With four labels a class or more, one of each may stand in front of every text, the same for all, and does not vote; such
    demonstrations take half of the context at most. Two departures from the paper: it smooths nothing, so that a probability
    that is rounded to zero makes the divergence infinite, and its neighbors all count the same.

    References
    ----------
    Xu et al. (2023), kNN Prompting: Beyond-Context Learning with Calibration-Free Nearest Neighbor Inference,
    arXiv:2303.13824.
    """

    name = "knn-prompting"
    description = "votes of labeled texts with the most similar next-token distribution"
    family = "prompts"

    def __init__(self, *, smoothing: float = 1e-3, demonstrations: bool | None = None):
        if not 0 < smoothing < 1:
            raise InputError(f"smoothing is {smoothing}; expected a share above 0 and below 1.")
        self.smoothing, self.demonstrations = smoothing, demonstrations

    def obstacle(self, space: Space) -> str | None:
        """Needs a causal language model."""
        return prompt_obstacle(space)

    def fit(self, problem: Problem) -> Classifier:
        """Read the labeled texts, with and without demonstrations in front, and choose by leave-one-out."""
        space = require_causal(problem.space)
        with_, without = _demonstrations(space, problem), (np.zeros(0, dtype=np.int64), "")
        options = {None: [with_, without], True: [with_], False: [without]}[self.demonstrations]
        tried = [self._fitted(problem, space, *option) for option in (options if len(with_[0]) else [without])]
        return max(tried, key=lambda classifier: classifier.choices["leave_one_out_accuracy"])

    def _fitted(self, problem: Problem, space: PromptSpace, shown: Rows, prefix: str) -> KNNPromptingClassifier:
        """Anchors read behind `prefix`, and the number of voters that does best by leave-one-out."""
        template = space.template
        around = Template(prefix + template.before, template.after)
        reader = space.prompt_reader(around, truncation=space.truncation)
        voters = np.setdiff1d(np.arange(len(problem.rows)), shown)
        y, points = problem.y[voters], _read(reader, problem, problem.rows[voters])
        left_out = np.random.default_rng(problem.seed).permutation(len(voters))[:MOST_LEFT_OUT]
        most = max(k for k in NEIGHBORS if k == 1 or k < len(voters))
        distances, order = nearest_anchors(reader, points, points[left_out], most, self.smoothing, own=left_out)
        k, accuracy = choose_neighbors(distances, y[order], y[left_out], problem.n_labels)
        choices = {"neighbors": k, "leave_one_out_accuracy": accuracy, "demonstrations": len(shown), "smoothing": self.smoothing}
        return KNNPromptingClassifier(problem, reader, points, y, self.smoothing, choices)


def _demonstrations(space: PromptSpace, problem: Problem) -> tuple[Rows, str]:
    """Positions in the labeled rows that are shown, one of every class that can spare it, and what stands in front of every text."""
    counts = np.bincount(problem.y, minlength=problem.n_labels)
    first = balanced_order(problem.y, problem.seed)[: np.count_nonzero(counts)]
    first = first[counts[problem.y[first]] >= LEAST_SHOTS_TO_SHOW]  # a rarer class keeps its texts as anchors
    if len(first) < min(2, problem.n_labels):  # a single class shown would be named everywhere
        return np.zeros(0, dtype=np.int64), ""
    room = SHOWN_SHARE * space.max_length
    texts = shortened(space, problem.texts(problem.rows[first]), max(LEAST_TOKENS, int(room / problem.n_labels)))
    template, words = space.template, problem.words()
    prefix, n_shown = "", 0
    for text, label in zip(texts, problem.y[first], strict=True):
        longer = prefix + demonstration(template, text, words[label][0])
        if space.prompt_lengths([longer + template.fill("")])[0] > room:
            break
        prefix, n_shown = longer, n_shown + 1
    return first[:n_shown], prefix


def _read(reader: PromptSpace, problem: Problem, rows: Rows) -> Points:
    return reader.encode(problem.texts(rows), batch_size=problem.encoded.batch_size)
