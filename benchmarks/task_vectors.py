"""Task vectors and function vectors: a toy whose truth is planted, the same toy without it, and a language model on word tasks.

    python benchmarks/task_vectors.py [--quick] [--model smollm2]

- the toy, trained at every seed with the auxiliary loss: share of the few-shot accuracy, wrong task, random vector, layer, heads
- the toy trained on prompts alone: whether a task vector comes by itself
- v_AD + v_BC - v_AC on the toy's parallelogram of tasks
- word tasks from the relations of the Google analogies, read from the shared folder, on the model, with the same controls
- of a larger model than the embedded one: tasks that people try first, opposites of our own among them, at every second layer of the upper
  two thirds, with two more controls: the mean vector of the other tasks, and the input as the first token that is read. Tables by task
  and by layer are kept as results/task_vectors-MODEL-tasks.csv and -layers.csv
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import SHARED, Control, Figure, Goal, Statement, finish, judged
from lexframe.instruments import PatchResult, composed, task_vectors
from lexframe.instruments.patching.answer_scores import first_tokens
from lexframe.instruments.patching.task import draw_prompts
from lexframe.instruments.patching.task_vector import patched_scores
from lexframe.intervals import t_interval
from lexframe.spaces import Intervention
from lexframe.spaces.base import Representation
from lexframe.studies import HeadStudySize, StudySize, function_vector_study, task_vector_study
from lexframe.studies.in_context_toy import InContextToy, train_in_context_toy
from real_model import default_model, opened, results_name, short_name
from word_task_layers import larger_claims
from word_tasks import google_tasks

SEEDS = (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, the planted toy and two word tasks")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--out", type=Path, default=Path("runs/task_vectors"), help="where finished seeds of a larger model are kept")
    options = parser.parse_args()
    seeds = SEEDS[:1] if options.quick else SEEDS

    claims: list[Statement] = []
    if options.quick or options.model == "embedded":
        claims += planted_claims([train_in_context_toy(seed=seed) for seed in seeds])
    if not options.quick and options.model == "embedded":
        claims += plain_claims([train_in_context_toy(seed=seed, planted_layer=None) for seed in seeds])
    if (SHARED / "data" / "analogies_google").is_dir():
        small = options.quick or options.model == "embedded"
        claims += word_claims(options.model, seeds, quick=options.quick) if small else larger_claims(options.model, seeds, options.out)
    finish(claims, keep_as=None if options.quick else results_name("task_vectors", options.model))


def planted_claims(toys: Sequence[InContextToy]) -> list[Statement]:
    """The planted toys: what is known to be there is found, and the controls stay where they should."""
    start = time.perf_counter()
    studies = [task_vector_study(toy.space(), toy.tasks()) for toy in toys]
    seconds = (time.perf_counter() - start) / len(toys)
    show("toy, planted", studies)
    heads = [function_vector_study(toy.space(), toy.tasks(), size=HeadStudySize(n_top=3))[0] for toy in toys]
    show("toy, planted: function vectors of 3 of 12 heads", heads)
    at_planted = np.array([np.mean([choice.layer == 2 for choice in study.choices]) for study in studies])
    n_layers = toys[0].space().n_layers
    few, patched = accuracies(studies, "few-shot"), accuracies(studies, "patched")
    random, zero = accuracies(studies, "random vector"), accuracies(studies, "zero-shot")
    drawn = accuracies(heads, "random heads")
    vector = accuracies(heads, "function vector")
    by_chance = Control("a random vector", t_interval(random / few, unit="seeds"))
    as_wrong = Control("a random vector, answers of the own task", t_interval(random, unit="seeds"))
    moved = Control("patched less zero-shot", t_interval(patched - zero, unit="seeds"))
    shuffled = accuracies(studies, "shuffled labels") - zero
    heads_alone = Control("3 random heads less zero-shot", t_interval(drawn - zero, unit="seeds"))
    return [
        *over_seeds("toy: patched, share of the few-shot accuracy", shares(studies, "patched"), Goal(at_least=0.8), by_chance),
        *over_seeds("toy: vector of another task, answers of that task", others(studies, "other task"), Goal(at_least=0.8), as_wrong),
        *over_seeds("toy: the same in demonstrations of the own task", others(studies, "overridden"), Goal(at_least=0.5), as_wrong),
        *over_seeds("toy: random vector less zero-shot", random - zero, Goal(at_most=0.1), moved),
        *over_seeds("toy: vector of shuffled demonstrations less zero-shot", shuffled, Goal(at_most=0.1), moved),
        *over_seeds(
            "toy: splits in which development pairs choose the planted layer",
            at_planted,
            Goal(at_least=1),
            Control("a layer at random", 1 / n_layers),
        ),
        *over_seeds("toy: function vector of 3 heads less 3 random heads", vector - drawn, Goal(above=0), heads_alone),
        *over_seeds("toy: v_AD + v_BC - v_AC, accuracy on B -> D", np.array([composition(toy) for toy in toys])),
        Figure("toy: seconds of a study of 8 tasks, 3 splits", seconds),
    ]


def plain_claims(toys: Sequence[InContextToy]) -> list[Statement]:
    """Trained on prompts alone: demonstrations work, and a vector from the separator carries nothing."""
    studies = [task_vector_study(toy.space(), toy.tasks()) for toy in toys]
    show("toy, trained on prompts alone", studies)
    few, patched = accuracies(studies, "few-shot"), shares(studies, "patched")
    zero = Control("no demonstrations", t_interval(accuracies(studies, "zero-shot"), unit="seeds"))
    by_chance = Control("a random vector", t_interval(accuracies(studies, "random vector") / few, unit="seeds"))
    return [
        *over_seeds("toy without planting: few-shot accuracy", few, Goal(at_least=0.9), zero),
        *over_seeds("toy without planting: patched, share of the few-shot accuracy", patched, Goal(at_least=0.8), by_chance),
        *over_seeds(
            "toy without planting: state of another task's prompt with the same input, answers of that task",
            np.array([swapped(toy) for toy in toys]),
        ),
    ]


def swapped(toy: InContextToy, layer: int = 2) -> float:
    """Share answered as task B when a prompt of task A gets the separator's state of a prompt of B that asks for the same input."""
    space, tasks, rng, right = toy.space(), toy.tasks(), np.random.default_rng(0), []
    for place, own in enumerate(tasks):
        other = tasks[(place + 1) % len(tasks)]
        for (query, target), (_, expected) in zip(own.pairs, other.pairs, strict=True):
            if target == expected:
                continue
            prompt, donor = (draw_prompts(task, [query], task.pairs, n_shots=5, rng=rng) for task in (own, other))
            (state,) = space.encode_representations(donor, [Representation(layer, "last")])[:, 0]
            move = Intervention(layer=layer, vector=state, how="replace", where="last")
            right.append(patched_scores(space, prompt, first_tokens(space, [expected])[:, np.newaxis], move).right[0, 0])
    return float(np.mean(right))


def word_claims(name: str, seeds: Sequence[int], *, quick: bool) -> list[Statement]:
    """Word tasks on a language model; every seed draws its own splits and demonstrations."""
    space, model = opened(name), short_name(name)
    tasks = google_tasks()[: 2 if quick else None]
    size = StudySize(n_splits=1 if quick else 2, n_prompts=10)
    studies = [task_vector_study(space, tasks, size=size, seed=seed) for seed in seeds]
    show(f"{model}, {', '.join(task.name for task in tasks)}", studies)
    for task in tasks:
        few, patched = (np.mean([study.score(name, task.name).accuracy.value for study in studies]) for name in ("few-shot", "patched"))
        words = " ".join(repr(word) for word, _ in studies[0].words[task.name][:5])
        print(f"  {task.name:12s} few-shot {few:.3f}, patched {patched:.3f}; the head reads {words}")
    few, zero, patched = (accuracies(studies, name) for name in ("few-shot", "zero-shot", "patched"))
    random, shuffled = accuracies(studies, "random vector"), accuracies(studies, "shuffled labels")

    def in_its_place(less: np.ndarray) -> Control:
        return Control("a random vector", t_interval(random - less, unit="seeds"))

    claims = [
        *over_seeds(f"{model}: few-shot less zero-shot accuracy", few - zero, Goal(above=0), in_its_place(zero)),
        *over_seeds(f"{model}: few-shot accuracy", few),
        *over_seeds(f"{model}: patched less zero-shot accuracy", patched - zero, Goal(above=0), in_its_place(zero)),
        *over_seeds(f"{model}: patched less random vector", patched - random, Goal(above=0), in_its_place(random)),
        *over_seeds(f"{model}: patched less shuffled demonstrations", patched - shuffled, Goal(above=0), in_its_place(shuffled)),
    ]
    ranks = {
        name: np.array([study.score(name).median_rank for study in studies]) for name in ("patched", "shuffled labels", "random vector")
    }
    title, best = f"{model}: median rank, patched over shuffled demonstrations", ranks["patched"] / ranks["shuffled labels"]
    at_random = Control("a random vector", t_interval(ranks["random vector"] / ranks["shuffled labels"], unit="seeds"))
    claims += over_seeds(title, best, Goal(below=1), at_random)
    if quick:
        return claims
    heads = [
        function_vector_study(space, tasks, seed=seed, size=HeadStudySize(n_splits=1, n_prompts=30, n_effect_prompts=15))[0]
        for seed in seeds
    ]
    show(f"{space.model_name}: function vectors of 10 heads", heads)
    drawn = accuracies(heads, "random heads")
    title, gain = f"{model}: function vector of 10 heads less 10 random heads", accuracies(heads, "function vector") - drawn
    alone = Control("10 random heads less zero-shot", t_interval(drawn - accuracies(heads, "zero-shot"), unit="seeds"))
    return [*claims, *over_seeds(title, gain, Goal(above=0), alone)]


def composition(toy: InContextToy) -> float:
    """Accuracy of "mirrored second next" from the vectors of its three neighbors, at the planted layer."""
    space, tasks = toy.space(), {task.name: task for task in toy.tasks()}
    ad, bc, ac = (task_vectors(space, tasks[name], layers=[2]).at(2) for name in ("second next", "mirrored next", "next"))
    goal = tasks["mirrored second next"]
    move = Intervention(layer=2, vector=composed(ad, bc, ac), how="replace", where="last")
    answers = first_tokens(space, [target for _, target in goal.pairs])[:, np.newaxis]
    return float(patched_scores(space, [goal.prompt((), source) for source, _ in goal.pairs], answers, move).right.mean())


def accuracies(studies: Sequence[PatchResult], condition: str) -> np.ndarray:
    return np.array([study.score(condition).accuracy.value for study in studies])


def shares(studies: Sequence[PatchResult], condition: str) -> np.ndarray:
    found = [study.score(condition).few_shot_share for study in studies]
    return np.array([share.value if share else np.nan for share in found])


def others(studies: Sequence[PatchResult], condition: str) -> np.ndarray:
    found = [study.score(condition).other_accuracy for study in studies]
    return np.array([share.value if share else np.nan for share in found])


def over_seeds(claim: str, values: np.ndarray, goal: Goal | None = None, control: Control | None = None) -> Sequence[Statement]:
    """Mean over seeds; a figure where there is no goal."""
    found = t_interval(values, unit="seeds")
    return [Figure(claim, found)] if goal is None or control is None else judged(claim, found, goal, control)


def show(title: str, studies: Sequence[PatchResult]) -> None:
    """Every condition at the first seed, with the interval over test pairs, and the mean over seeds."""
    print(f"\n{title}")
    for condition in studies[0].conditions:
        score = studies[0].score(condition)
        other = f"   other task's {score.other_accuracy}" if score.other_accuracy else ""
        mean = accuracies(studies, condition).mean()
        print(f"  {condition:26s} {mean:.3f} over seeds; {score.accuracy} rank {score.median_rank:.0f}, {score.n_pairs} pairs{other}")


if __name__ == "__main__":
    main()
