"""What a task space finds where the truth is known: the rules of a planted grammar, and first order against what happens."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score

from common import Claim, Control, Figure, Goal, Statement, judged
from lexframe.data.agreement_grammar import AgreementGrammar
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces import open_space
from lexframe.task_space import Contrast, Task, TransferSettings, build_task_space, measure_transfer
from lexframe.task_space.reading.clusters import cluster_tasks
from lexframe.task_space.reading.mantel import mantel, within_between
from task_space_grammar import STEPS, grammar_space, grammar_tasks, trained

N_PAIRS, N_SHARED = 200, 3
"""Pairs a paradigm, and seeds of the grammar with shared words, which take minutes each to train."""


def planted_claims(folder: Path, out: Path, *, quick: bool = False) -> list[Statement]:
    """Seeds of the planted grammar: groups, words, swapped sides, halves, masks."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) if quick else folder
        rows = [planted(place / f"seed-{seed}", AgreementGrammar(), seed, quick=quick) for seed in range(1 if quick else 5)]
        shared = AgreementGrammar(shared_words=True)
        others = (
            [] if quick else [words_only(place.parent / f"{place.name}-shared" / f"seed-{seed}", shared, seed) for seed in range(N_SHARED)]
        )
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name, values in table.items():
        print(f"  {name:48} " + " ".join(f"{value:+.3f}" for value in values))
    by_chance = Control("groups shuffled", seeds(table["AUC, groups shuffled"]))
    head = "planted grammar:"
    statements: list[Statement] = [
        *judged(f"{head} paradigms of one rule over those of two, AUC", seeds(table["AUC"]), Goal(at_least=0.95), by_chance),
        *judged(
            f"{head} adjusted Rand index of four clusters",
            seeds(table["Rand"]),
            Goal(at_least=0.9),
            Control("groups shuffled", seeds(table["Rand, groups shuffled"])),
        ),
        *judged(
            f"{head} similarity of two halves of one paradigm",
            seeds(table["halves"]),
            Goal.within(0.9, 1.1),
            Control("of two paradigms", seeds(table["mean similarity"])),
        ),
        *judged(
            f"{head} reliability with sides swapped at random",
            seeds(table["swapped"]),
            Goal(at_most=0.1),
            Control("as they are", seeds(table["reliability"])),
        ),
        *judged(
            f"{head} nats that a mask of the largest 1% gains over a random one",
            seeds(table["mask"]),
            Goal(above=0),
            Control("a random one over itself", 0.0),
        ),
        Figure(f"{head} similarity of paradigms of one rule", seeds(table["within"])),
        Figure(f"{head} similarity of paradigms of two rules", seeds(table["between"])),
    ]
    if others:
        words = seeds(np.array([row["words"] for row in others]))
        rules = seeds(np.array([row["rules"] for row in others]))
        statements += judged(
            f"{head} words shared across rules, partial Mantel r of words",
            words,
            Goal(at_most=0.2),
            Control("partial Mantel r of rules", rules),
        )
    return statements


def seeds(values: np.ndarray) -> Estimate:
    return t_interval(values, unit="seeds")


def planted(folder: Path, grammar: AgreementGrammar, seed: int, *, quick: bool) -> dict[str, float]:
    model = grammar_space(trained(folder, grammar, seed, STEPS // 10 if quick else STEPS))
    tasks = grammar_tasks(grammar, 40 if quick else N_PAIRS, seed)
    space = build_task_space(
        model, [*tasks, *halves_of(tasks[0]), *(swapped(task, [seed, row]) for row, task in enumerate(tasks))], seed=seed
    )
    own = [row for row, name in enumerate(space.names) if name in {task.name for task in tasks}]
    inside = np.ix_(own, own)
    similarity, groups = space.similarity[inside], [space.groups[row] for row in own]
    mixed = np.random.default_rng(seed).permutation(np.array(groups, dtype=object)).tolist()
    labels = cluster_tasks(similarity, n_clusters=4).labels
    apart = within_between(similarity, groups)
    arms = TransferSettings(arms=("differential", "random"), gain=0.5, n_steps=2)
    moved = measure_transfer(
        model, [replace(task, pairs=task.pairs[:60]) for task in tasks], settings=arms, sources=[tasks[0].name, tasks[4].name], seed=seed
    )
    gains = moved.own(moved.gain_margin)
    mixed_up = [task.reliability.value for task in space.tasks if task.name.startswith("swapped")]
    mixed_up += [float(each.reason.split(" at ")[1].split()[0]) for each in space.dropped if each.name.startswith("swapped")]
    halves = [space.names.index(name) if name in space.names else -1 for name in ("half 0", "half 1")]
    return {
        "AUC": apart.auc.value,
        "AUC, groups shuffled": within_between(similarity, mixed).auc.value,
        "Rand": float(adjusted_rand_score(groups, labels)),
        "Rand, groups shuffled": float(adjusted_rand_score(mixed, labels)),
        "within": apart.within,
        "between": apart.between,
        "mean similarity": float(similarity[np.triu_indices(len(own), 1)].mean()),
        "halves": float(space.similarity[halves[0], halves[1]]) if min(halves) >= 0 else float("nan"),
        "swapped": float(np.mean(mixed_up)),
        "reliability": float(np.mean([space.tasks[row].reliability.value for row in own])),
        "mask": float((gains[0] - gains[1]).mean()),
    }


def words_only(folder: Path, grammar: AgreementGrammar, seed: int) -> dict[str, float]:
    """Where paradigms of different rules share their words: what words explain beside rules, and rules beside words."""
    space = build_task_space(grammar_space(trained(folder, grammar, seed, STEPS)), grammar_tasks(grammar, N_PAIRS, seed), seed=seed)
    by_rule = np.array([[float(one == other) for other in space.groups] for one in space.groups])
    words = space.controls["words"]
    return {
        "words": mantel(space.similarity, words, controls=[by_rule], n_permutations=99).r,
        "rules": mantel(space.similarity, by_rule, controls=[words], n_permutations=99).r,
    }


def halves_of(task: Task) -> list[Task]:
    order = np.random.default_rng(0).permutation(len(task.pairs))  # the grammar writes pairs of opposite markers in turn
    return [Task(f"half {half}", tuple(task.pairs[row] for row in order[half::2])) for half in (0, 1)]


def swapped(task: Task, seed: Sequence[int]) -> Task:
    turned = np.random.default_rng(seed).random(len(task.pairs)) < 0.5
    return Task(f"swapped {task.name}", tuple(Contrast(p.bad, p.good) if turn else p for p, turn in zip(task.pairs, turned, strict=True)))


def order_claims(model: str, *, quick: bool = False) -> list[Statement]:
    """Change of all margins after a small step on each task, over what first order says; the control is the prediction for another task."""
    space = open_space(model)
    tasks = simple_tasks()
    ratios, crossed = [], []
    for seed in (0, 1) if quick else range(5):
        arms = TransferSettings(arms=("full",), gain=0.002, n_steps=1, n_dims=16_000_000)
        found = measure_transfer(space, tasks, settings=arms, seed=seed)
        observed, predicted = found.gain_margin[0], found.predicted[0]
        ratios.append(slope(predicted, observed))
        crossed.append(slope(np.roll(predicted, 1, axis=1), observed))
        print(f"  seed {seed}: observed over predicted {ratios[-1]:.4f}, of another task {crossed[-1]:+.3f}")
    control = Control("what is predicted for another task", seeds(np.array(crossed)))
    return [
        Claim(
            f"{Path(model).name}: change of margins over first order, small steps",
            seeds(np.array(ratios)),
            Goal.within(0.95, 1.05),
            control,
        )
    ]


def slope(predicted: np.ndarray, observed: np.ndarray) -> float:
    return float((predicted * observed).sum() / (predicted**2).sum())


def simple_tasks() -> list[Task]:
    """Agreement, order and pronouns, of our own sentences."""
    nouns = ["dog", "teacher", "farmer", "child", "doctor", "river", "house", "letter", "window", "garden", "singer", "driver"]
    verbs = [("runs", "run"), ("sleeps", "sleep"), ("waits", "wait"), ("falls", "fall"), ("moves", "move"), ("stays", "stay")]
    number = [Contrast(f"The {n} {v[0]} here.", f"The {n} {v[1]} here.") for n in nouns for v in verbs[:3]]
    these = [Contrast(f"I saw these {n}s today.", f"I saw this {n}s today.") for n in nouns] + [
        Contrast(f"She likes these {n}s.", f"She likes this {n}s.") for n in nouns
    ]
    order = [Contrast(f"The old {n} {v[0]}.", f"The {n} old {v[0]}.") for n in nouns for v in verbs[3:]]
    return [Task("number", tuple(number)), Task("these", tuple(these)), Task("order", tuple(order))]
