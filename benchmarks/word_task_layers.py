"""Task vectors of word tasks in a larger model, layer by layer, with controls; every seed is a cell that is kept."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import RESULTS, Control, Figure, Goal, Statement, judged
from lexframe import LanguageModelSpace
from lexframe.files import write_text
from lexframe.instruments import PatchResult, Task, task_vectors
from lexframe.instruments.patching.answer_scores import first_tokens
from lexframe.instruments.patching.task import split_pairs
from lexframe.instruments.patching.task_vector import patched_scores
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces import Intervention
from lexframe.studies import StudySize, task_vector_study
from real_model import opened, results_name, short_name
from word_tasks import common_tasks

SIZE = StudySize(n_splits=1, n_prompts=8)
READ_FIRST = "own, the input read first"
MEAN = "mean of the other tasks"


def larger_claims(name: str, seeds: Sequence[int], folder: Path) -> list[Statement]:
    """Every seed draws its own split and demonstrations of all tasks; intervals are over tasks, each the mean of its seeds."""
    cells = [cell_of(name, seed, folder) for seed in seeds]
    model = short_name(name)
    by_task = pd.DataFrame([row for cell in cells for row in cell["tasks"]])
    by_layer = pd.DataFrame([row for cell in cells for row in cell["layers"]])
    keep(by_task, f"{results_name('task_vectors', name)}-tasks")
    keep(by_layer, f"{results_name('task_vectors', name)}-layers")
    table = by_task.groupby(["task", "condition"], sort=False)[["accuracy", "other_accuracy"]].mean()
    print(table.unstack("condition").round(3).to_string())
    print(by_layer.groupby(["layer", "vector"], sort=False).accuracy.mean().unstack().round(3).to_string())
    print("; ".join(f"{task}: {' '.join(map(repr, words))}" for task, words in cells[0]["words"].items()))
    single = table.drop(index="all tasks", level="task")

    def of(condition: str, column: str = "accuracy") -> np.ndarray:
        return single.xs(condition, level="condition")[column].dropna().to_numpy()

    random, zero, few, patched = of("random vector"), of("zero-shot"), of("few-shot"), of("patched")
    drawn = f"mean of {len(seeds)} draws"
    claims: list[Statement] = [
        Figure(f"{model}: {condition}, accuracy, {drawn}", over_tasks(of(condition)))
        for condition in ("few-shot", "zero-shot", "patched", "added", "shuffled labels")
    ]
    pairs = [("few-shot", "zero-shot"), *(("patched", one) for one in ("zero-shot", "random vector", "shuffled labels", "other task"))]
    for one, base in pairs:
        less = of(base)
        control = Control("a random vector", over_tasks(random - less))
        if base == "random vector":
            control = Control("no vector", over_tasks(zero - less))
        claims += judged(f"{model}: {one} less {base}, accuracy, {drawn}", over_tasks(of(one) - less), Goal(above=0), control)
    share = Control("a random vector", over_tasks(random / few))
    claims += judged(f"{model}: patched, share of the few-shot accuracy, {drawn}", over_tasks(patched / few), Goal(at_least=0.5), share)
    for condition in ("other task", "overridden"):
        own = Control("the own task's vector", over_tasks(of("patched", "other_accuracy")))
        title = f"{model}: {condition}, answers of the other task, {drawn}"
        claims += judged(title, over_tasks(of(condition, "other_accuracy")), Goal(above=0), own)
    return claims + layer_claims(model, by_layer)


def over_tasks(values: np.ndarray) -> Estimate:
    return t_interval(values, unit="tasks")


def layer_claims(model: str, table: pd.DataFrame) -> list[Statement]:
    """At the layer that is best on the other seeds: the own vector less the mean of the others, and less a question read from its word."""
    mean = table.groupby(["seed", "layer", "vector"]).accuracy.mean().unstack()
    parts = []
    for seed in table.seed.unique():
        best = mean["own"].drop(seed, level="seed").groupby("layer").mean().idxmax()
        parts.append(table[(table.seed == seed) & (table.layer == best)])
    at = pd.concat(parts).groupby(["task", "vector"], sort=False).accuracy.mean().unstack()
    claims: list[Statement] = []
    for which in (MEAN, READ_FIRST):
        control = Control("a random vector", over_tasks((at["random"] - at[which]).to_numpy()))
        title = f"{model}: patched at the layer that is best on other draws, less {which}, accuracy"
        claims += judged(title, over_tasks((at["own"] - at[which]).to_numpy()), Goal(above=0), control)
    return claims


def cell_of(name: str, seed: int, folder: Path) -> dict[str, Any]:
    path = folder / f"{short_name(name)}-{seed}.json"
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    space, tasks = opened(name), common_tasks()
    layers = range(space.n_layers // 3 - 1, space.n_layers, 2)
    study = task_vector_study(space, tasks, layers=layers, size=SIZE, seed=seed)
    sys.stderr.write(f"seed {seed}: {study.summary()}\n")
    cell = {
        "tasks": task_rows(study, seed),
        "words": {task: [word for word, _ in words[:5]] for task, words in study.words.items()},
        "layers": list(layer_rows(space, tasks, layers, seed)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(cell))
    return cell


def task_rows(study: PatchResult, seed: int) -> list[dict[str, Any]]:
    """Scores by task and condition, and the layer that development pairs chose."""
    chosen = {choice.task: choice.layer for choice in study.choices}
    frame = study.to_frame().assign(seed=seed)
    frame["layer"] = frame.task.map(chosen)
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return rows


def layer_rows(space: LanguageModelSpace, tasks: Sequence[Task], layers: Sequence[int], seed: int) -> Iterator[dict[str, Any]]:
    """Test pairs answered with every layer's vector, and with that of the next task, the mean of all others, a random one."""
    splits = [split_pairs(task, n_shots=SIZE.n_shots, rng=np.random.default_rng([seed, place])) for place, task in enumerate(tasks)]
    found = [
        task_vectors(space, replace(task, pairs=split.shown), layers=layers, n_prompts=SIZE.n_prompts, seed=seed)
        for task, split in zip(tasks, splits, strict=True)
    ]
    for place, (task, split) in enumerate(zip(tasks, splits, strict=True)):
        prompts = [task.prompt((), source) for source, _ in split.test]
        first = [prompt.lstrip() for prompt in prompts]
        answers = first_tokens(space, [target for _, target in split.test])[:, np.newaxis]
        for layer in layers:
            vectors = [one.at(layer) for one in found]
            own = vectors[place]
            noise = np.random.default_rng([seed, place, layer]).normal(size=own.shape).astype(np.float32)
            mean = np.mean([one for number, one in enumerate(vectors) if number != place], axis=0)
            for which, vector, asked in (
                ("own", own, prompts),
                ("next task's", vectors[(place + 1) % len(tasks)], prompts),
                (MEAN, mean, prompts),
                ("random", noise * np.linalg.norm(own) / np.linalg.norm(noise), prompts),
                (READ_FIRST, own, first),
            ):
                move = Intervention(layer=layer, vector=vector, how="replace", where="last")
                right = float(patched_scores(space, asked, answers, move).right[:, 0].mean())
                yield {"task": task.name, "layer": layer, "vector": which, "seed": seed, "accuracy": right}


def keep(table: pd.DataFrame, name: str) -> None:
    write_text(RESULTS / f"{name}.csv", table.round(4).to_csv(index=False))
