"""The loop that trains a label readout, and what it needs: batches of like length, a rate that rises and falls, a seed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn

from lexframe.adaptation.methods.label_readouts import LabelReadout, scores_of
from lexframe.adaptation.problem import Rows
from lexframe.linalg import softmax
from lexframe.spaces.precision import fast_products
from lexframe.spaces.tokenization import TokenizedText

_MOST_HELD_OUT = 256  # more would cost more to look at than it adds to the choice
_WARM_UP = 0.1
_LARGEST_GRADIENT = 1.0
_CLASSIFIER_RATE = 1e-2  # of a linear classifier that starts at zero: it has to grow, where the model must only bend
_BATCHES_SORTED_TOGETHER = 16


def batches_of_like_length(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows in batches, epoch after epoch without end.

    Texts are shuffled, then sorted by length among some hundred neighbors of the shuffle, so that little of a batch is
    padding; the order of the batches is shuffled again.
    """
    while True:
        order = rng.permutation(len(lengths))
        chunk = batch_size * _BATCHES_SORTED_TOGETHER
        for start in range(0, len(order), chunk):
            part = order[start : start + chunk]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches = [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
            for number in rng.permutation(len(batches)):
                yield batches[number]


def rate_share(step: int, horizon: int) -> float:
    """Share of the full rate before step `step` (from 0): up in a line over a tenth of `horizon`, then down to zero."""
    warm_up = int(_WARM_UP * horizon)
    return max(0.0, min((step + 1) / (warm_up + 1), (horizon - step) / (horizon - warm_up)))


@dataclass(frozen=True, slots=True)
class Course:
    """How one run goes.

    Attributes
    ----------
    rate : float
        Full learning rate.
    horizon : int
        Steps over which the rate rises and falls.
    steps : int
        Steps after which the run ends, at most `horizon`.
    batch_size : int
    weight_decay : float
    seed : int
        Of dropout and of the order of texts.
    """

    rate: float
    horizon: int
    steps: int
    batch_size: int
    weight_decay: float
    seed: int


def optimize(readout: LabelReadout, texts: Sequence[TokenizedText], y: Rows, course: Course) -> Iterator[int]:
    """Train with AdamW on the cross-entropy over labels; gives the number of steps taken after each of them.

    It ends early, without a step, where the loss is no longer finite.
    """
    targets = torch.from_numpy(np.asarray(y, dtype=np.int64)).to(readout.device)
    of_model = [parameter for parameter in readout.model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": of_model, "lr": course.rate}]
    if own := readout.own_parameters():
        groups.append({"params": own, "lr": _CLASSIFIER_RATE})
    optimizer = torch.optim.AdamW(groups, weight_decay=course.weight_decay)
    full_rates = [group["lr"] for group in groups]
    lengths = np.array([len(text.ids) for text in texts])
    batches = batches_of_like_length(lengths, course.batch_size, np.random.default_rng(course.seed))
    trained = [parameter for group in groups for parameter in group["params"]]
    for step in range(1, course.steps + 1):
        rows = next(batches)
        readout.train()
        with fast_products(readout.device):
            scores = readout(readout.network.batch([texts[row] for row in rows]))
        loss = nn.functional.cross_entropy(scores.float(), targets[torch.from_numpy(rows)])
        if not bool(torch.isfinite(loss)):
            return
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, _LARGEST_GRADIENT)
        for group, full in zip(optimizer.param_groups, full_rates, strict=True):
            group["lr"] = full * rate_share(step - 1, course.horizon)
        optimizer.step()
        yield step


def readout_loss(readout: LabelReadout, texts: Sequence[TokenizedText], y: Rows, batch_size: int) -> float:
    """Mean negative log-probability of the true label, in nats; infinite where scores are not finite."""
    with fast_products(readout.device):
        scores = scores_of(readout, texts, batch_size)
    if not np.isfinite(scores).all():
        return math.inf
    return float(-np.log(np.maximum(softmax(scores)[np.arange(len(y)), y], 1e-300)).mean())


def split_rows(y: Rows, seed: int, *, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and a stratified fifth to choose on: one a class at least, 256 at most where classes allow.

    Classes with fewer than `least` labels stay in training and change nothing of what is held out.
    """
    counts = np.bincount(y)
    rows, rare = np.flatnonzero(counts[y] >= least), np.flatnonzero(counts[y] < least)
    n_held_out = max(int((counts >= least).sum()), min(math.ceil(len(rows) / 5), _MOST_HELD_OUT))
    train, held_out = train_test_split(rows, test_size=n_held_out, stratify=y[rows], random_state=seed)
    return np.concatenate([train, rare]), held_out
