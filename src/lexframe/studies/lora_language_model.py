"""LoRA on the language modelling loss, stopped by the clock: the rival that trains the model itself.

One plain loop: AdamW on low-rank updates of every linear layer, windows of the text in random order, a learning rate that falls
to zero as the time runs out. The updates that predict a held-out tail best are kept, the frozen model's own among them, so more
time does not end in overfitting.
"""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from lexframe.adaptation.methods.extras import import_extra
from lexframe.exceptions import InputError
from lexframe.seeding import seeded

_IGNORED = -100

RANK = 8
"""Of the updates; their scale (alpha) is twice that."""
BATCH_TOKENS = 2048
"""Tokens in a step at most; one window at least."""


@dataclass(frozen=True, slots=True)
class LoraRun:
    """A language model after training with LoRA.

    Attributes
    ----------
    model : nn.Module
        A copy of the model with the updates merged in; of the class of the model.
    seconds : float
        From the start of the first step to the end of the last, the checks of the tail included.
    n_parameters : int
        Trained.
    n_steps : int
        Steps until the clock stopped training.
    epochs : float
        How often the text was read.
    tail_loss : float
        Mean loss on the held-out tail in nats a token, of the updates that were kept.
    """

    model: nn.Module
    seconds: float
    n_parameters: int
    n_steps: int
    epochs: float
    tail_loss: float


def train_lora(
    model: nn.Module,
    windows: Sequence[Int[np.ndarray, " _"]],
    tail: Sequence[Int[np.ndarray, " _"]],
    *,
    seconds: float,
    max_steps: int | None = None,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> LoraRun:
    """Train low-rank updates of all linear layers on next-token prediction until the time is used up.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model of the transformers library; a copy is trained, the model itself stays as it is.
    windows, tail : sequence of ndarray of int
        Ids of pieces of text, two tokens or more each: to train on, and to choose the moment when training was best.
    seconds : float
        Wall-clock time for training and for the checks of the tail; the step that is under way when it ends is finished.
        Copying the model, adding the updates and merging them are not counted. There is always one step.
    max_steps : int, optional
        Training stops after so many, even if time is left.
    learning_rate : float
        Of AdamW at the start. It falls linearly with the time that is left.
    seed : int
        Of the updates and of the order of windows. How many steps fit into the time depends on the machine.

    Returns
    -------
    LoraRun

    Raises
    ------
    MissingExtraError
        If peft is not installed.
    InputError
        If there is no window or no time.
    """
    if seconds <= 0 or not len(windows) or not len(tail):
        raise InputError(
            f"LoRA was given {seconds} s, {len(windows)} windows to train on and {len(tail)} held-out ones; it needs some of each."
        )
    trained = _with_updates(model, seed)
    parameters = [parameter for parameter in trained.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    batches = _Batches(windows, seed)
    started = time.perf_counter()
    best, kept = _better(trained, tail, parameters, math.inf, [])  # the updates start at zero: the frozen model
    n_steps, next_check = 0, batches.per_epoch
    trained.train()
    while (left := 1 - (time.perf_counter() - started) / seconds) > 0 or n_steps == 0:
        if n_steps == max_steps:
            break
        optimizer.param_groups[0]["lr"] = learning_rate * max(left, 0.0)
        optimizer.zero_grad()
        _loss(trained, next(batches)).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        n_steps += 1
        if n_steps == next_check:
            next_check += batches.per_epoch
            best, kept = _better(trained, tail, parameters, best, kept)
    if n_steps + batches.per_epoch != next_check:  # there were steps since the last check
        best, kept = _better(trained, tail, parameters, best, kept)
    used = time.perf_counter() - started
    with torch.no_grad():
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.copy_(value)
    return LoraRun(
        model=trained.merge_and_unload().eval(),
        seconds=used,
        n_parameters=sum(parameter.numel() for parameter in parameters),
        n_steps=n_steps,
        epochs=n_steps / batches.per_epoch,
        tail_loss=best,
    )


def _with_updates(model: nn.Module, seed: int) -> Any:
    """A copy of the model with low-rank updates, which start at zero; the head has none."""
    peft = import_extra("peft", "peft")
    from transformers.pytorch_utils import Conv1D

    transposed = any(isinstance(module, Conv1D) for module in model.modules())  # GPT-2 stores its matrices so
    config = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", fan_in_fan_out=transposed)
    with seeded(seed):
        return peft.LoraModel(copy.deepcopy(model), config, "default")


class _Batches:
    """Windows in random order without end, as padded ids and targets, in batches of like length."""

    def __init__(self, windows: Sequence[np.ndarray], seed: int):
        self.windows = windows
        self.rng = np.random.default_rng(seed)
        self.groups = _groups(windows)
        self.per_epoch = len(self.groups)
        self.queue: list[int] = []

    def __next__(self) -> tuple[Tensor, Tensor, Tensor]:
        if not self.queue:
            self.queue = self.rng.permutation(self.per_epoch).tolist()
        return _padded([self.windows[number] for number in self.groups[self.queue.pop()]])


def _groups(windows: Sequence[np.ndarray]) -> list[list[int]]:
    """Numbers of windows that go together: of like length, 2,048 tokens at most when padded, one window at least."""
    order = sorted(range(len(windows)), key=lambda number: len(windows[number]), reverse=True)
    groups: list[list[int]] = []
    for number in order:
        if groups and (len(groups[-1]) + 1) * len(windows[groups[-1][0]]) <= BATCH_TOKENS:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _padded(windows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, mask and targets of shape (n_windows, length): the target of a position is the token that follows it."""
    length = max(len(window) for window in windows) - 1
    inputs = np.zeros((len(windows), length), dtype=np.int64)
    mask = np.zeros_like(inputs)
    targets = np.full_like(inputs, _IGNORED)
    for row, window in enumerate(windows):
        inputs[row, : len(window) - 1] = window[:-1]
        mask[row, : len(window) - 1] = 1
        targets[row, : len(window) - 1] = window[1:]
    return torch.from_numpy(inputs), torch.from_numpy(mask), torch.from_numpy(targets)


def _loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor], reduction: str = "mean") -> Tensor:
    device = next(model.parameters()).device
    inputs, mask, targets = (tensor.to(device) for tensor in batch)
    logits = model(input_ids=inputs, attention_mask=mask, use_cache=False).logits
    return nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=_IGNORED, reduction=reduction)


def _better(
    model: nn.Module, tail: Sequence[np.ndarray], parameters: list[nn.Parameter], best: float, kept: list[Tensor]
) -> tuple[float, list[Tensor]]:
    """The smaller loss on the tail, with the parameters that gave it."""
    model.eval()
    with torch.no_grad():
        total = sum(float(_loss(model, _padded([tail[row] for row in rows]), "sum")) for rows in _groups(tail))
    model.train()
    loss = total / sum(len(window) - 1 for window in tail)
    return (loss, [parameter.detach().clone() for parameter in parameters]) if loss < best else (best, kept)
