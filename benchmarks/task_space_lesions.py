"""Two tests of what a task selects: words that it never saw, and the removal of its parameters.

- held-out words: pairs are put into two halves that share no word but frequent ones; tuned on one half, how much of the gain on its own
  other pairs do pairs of the other half have?
- removal: the 1% of every tensor with the largest gradients is set to zero, or 1% at random; the loss of the task's margin
"""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from common import Control, Figure, Goal, Statement, judged
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces import open_space
from lexframe.task_space import Contrast, Task, Transfer, TransferSettings, Work, measure_transfer
from lexframe.task_space.gradients import in_passes, log_probabilities, mean_gradient, trained_parameters
from lexframe.task_space.token_pairs import tokenized
from lexframe.task_space.tuning import at_random, largest, weights_kept

FREQUENT = 0.2
"""Words in a larger share of the pairs belong to the template and stand on both sides."""
SHARE, N_PAIRS = 0.01, 24


def by_words(task: Task, *, seed: int, n_tries: int = 200) -> tuple[list[Contrast], list[Contrast]]:
    """Pairs of two vocabularies: rare words are dealt to two sides at random, as often as it takes to keep many pairs whole."""
    sets = [set(re.findall(r"[\w'-]+", f"{pair.good} {pair.bad}".lower())) for pair in task.pairs]
    counts = Counter(word for words in sets for word in words)
    rare = [words - {word for word in words if counts[word] > FREQUENT * len(sets)} for words in sets]
    names = sorted(set().union(*rare))
    place = {word: number for number, word in enumerate(names)}
    rows = [np.array([place[word] for word in words], dtype=np.int64) for words in rare]
    rng, best = np.random.default_rng(seed), ([], [])
    for _ in range(n_tries):
        side = rng.random(len(names)) < 0.5
        halves = [[pair for pair, row in zip(task.pairs, rows, strict=True) if len(row) and (side[row] == which).all()] for which in (0, 1)]
        if min(map(len, halves)) > min(map(len, best)):
            best = (halves[0], halves[1])
    return best


def word_claims(model: str, tasks: Sequence[Task], out: Path, *, n_processes: int) -> list[Statement]:
    """Transfer to held-out words as a share of that to the same words."""
    precision = "float32" if model == "embedded" else "bfloat16"
    settings = TransferSettings(arms=("differential", "random"), share=SHARE, gain=1.0, n_steps=2, precision=precision)
    same, held_out, random = [], [], []
    for task in tasks:
        seen, new = by_words(task, seed=0)
        if min(len(seen), len(new)) < 16:
            sys.stderr.write(f"{task.name}: {len(seen)} and {len(new)} pairs without a word in common; left out\n")
            continue
        folder = out / task.name
        if (folder / "artifact.json").is_file():
            found = Transfer.load(folder)
        else:
            both = [Task("same words", tuple(seen[: 2 * N_PAIRS])), Task("new words", tuple(new[: 2 * N_PAIRS]))]
            found = measure_transfer(model, both, settings=settings, sources=["same words"], work=Work(n_processes=n_processes))
            found.save(folder)
        gains = found.gain_margin[:, 0]
        print(
            f"  {task.name:52} same words {gains[0, 0]:+.2f}, new words {gains[0, 1]:+.2f}, random mask {gains[1, 0]:+.2f} nats", flush=True
        )
        same.append(gains[0, 0])
        held_out.append(gains[0, 1])
        random.append(gains[1, 0])
    share = ratio_of_means(np.array(held_out), np.array(same))
    name = f"{Path(model).name}, {len(same)} tasks: gain on words that tuning never saw, as a share of that on its own"
    return judged(
        name, share, Goal(at_least=0.7), Control("a random mask, on its own words", ratio_of_means(np.array(random), np.array(same)))
    )


def ratio_of_means(one: np.ndarray, other: np.ndarray) -> Estimate:
    """Ratio of two means over the same tasks, with the jackknife."""
    n = len(one)
    whole = one.sum() / other.sum()
    left_out = [(one.sum() - a) / (other.sum() - b) for a, b in zip(one, other, strict=True)]
    return t_interval([n * whole - (n - 1) * value for value in left_out], unit="tasks")


def removal_claims(model: str, tasks: Sequence[Task]) -> list[Statement]:
    """Loss of the margin and of the accuracy of a task when what it selects is set to zero, beside as much at random."""
    network = open_space(model).sequence_network()
    parameters = list(trained_parameters(network).values())
    rows = []
    for number, task in enumerate(tasks):
        pairs = tokenized(network, task).pairs[: 2 * N_PAIRS]
        learnt, tested = pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]
        gradients = mean_gradient(network, parameters, learnt).parameters
        attributions = [gradient * parameter.detach() for gradient, parameter in zip(gradients, parameters, strict=True)]
        masks = {
            "gradient": largest(gradients, SHARE),
            "attribution": largest([each.clamp(min=0) for each in attributions], SHARE),
            "random": at_random(gradients, SHARE, seed=number),
        }
        before = margins_of(network, tested)
        row = []
        for mask in masks.values():
            with weights_kept(parameters), torch.no_grad():
                for parameter, where in zip(parameters, mask, strict=True):
                    parameter[where] = 0
                now = margins_of(network, tested)
            row.append((float((before - now).mean()), float((before > 0).mean() - (now > 0).mean())))
        print(
            f"  {task.name:52} " + ", ".join(f"{name} {a:+.2f} nats {b:+.2f}" for name, (a, b) in zip(masks, row, strict=True)), flush=True
        )
        rows.append(row)
    found = np.array(rows)
    head = f"{Path(model).name}, {len(tasks)} tasks: loss of"
    statements: list[Statement] = []
    for column, what in enumerate(("the margin", "accuracy")):
        for which, name in enumerate(("gradients", "gradient times weight")):
            more = t_interval(found[:, which, column] - 2 * found[:, 2, column], unit="tasks")
            claim = f"{head} {what} without the 1% of largest {name}, less twice that without a random 1%"
            statements += judged(
                claim,
                more,
                Goal(at_least=0),
                Control("a random 1% less twice itself", t_interval(-found[:, 2, column] - 1e-9, unit="tasks")),
            )
        statements += [
            Figure(f"{head} {what}, {name} 1%", t_interval(found[:, which, column], unit="tasks"))
            for which, name in enumerate(("largest gradients", "largest gradient times weight", "random"))
        ]
    return statements


def margins_of(network, pairs) -> np.ndarray:
    with torch.no_grad():
        parts = [log_probabilities(network, part) for part in in_passes(pairs)]
    return torch.cat([good - bad for good, bad in parts]).double().numpy()
