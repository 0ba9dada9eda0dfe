"""What a small model makes of verbalized learning, at equal calls: sentences or a program, with selection or without, and the control.

    python benchmarks/verbal_smollm2.py --out runs/verbal [--tasks linear,mr] [--seeds 3] [--calls 24] [--quick]

Every call is kept under --out, so the script can be stopped and goes on; two processes on different tasks may run side by side. The model
is SmolLM2-135M-Instruct; with --endpoint URL and --model NAME the same study asks any server of the OpenAI protocol.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import Control, Figure, Goal, Statement, finish, judged, over
from lexframe.cli.verbal.answering import Answering
from lexframe.files import write_json
from lexframe.intervals import mean_over_seeds, share_over_items
from lexframe.verbal import (
    Budget,
    CallLog,
    Checks,
    KeptClient,
    MeteredClient,
    Proposing,
    Reading,
    Selection,
    Settings,
    Steps,
    fit,
    measure_obedience,
    stated_labels,
    task_of,
)
from lexframe.verbal.asking import Ask, ask_all
from lexframe.verbal.baselines import baselines, score_predicted
from lexframe.verbal.learner import Learner
from lexframe.verbal.parameters import Parameters
from verbal_tasks import STATED, TASKS


@dataclass(frozen=True)
class Sizes:
    """Rows, and calls of a run."""

    calls: int
    train: int = 100
    test: int = 200


CONSTANT = {"mean", "most frequent"}


@dataclass(frozen=True)
class Variant:
    """A way to train.

    Attributes
    ----------
    kind : str
        Of the parameters.
    selects : bool
        Whether proposals are judged on held-out rows; else each is taken, and the last is what comes out.
    optimizer : str
    times : int
        The calls of the others.
    """

    kind: str
    selects: bool
    optimizer: str = "residuals"
    times: int = 1


VARIANTS = {
    "program, selected": Variant("program", True),
    "program, not selected": Variant("program", False),
    "sentences, selected": Variant("sentences", True),
    "sentences, not selected": Variant("sentences", False),
    "sentences, selected, five times the calls": Variant("sentences", True, times=5),
    "program, selected, random": Variant("program", True, "random"),
}


def settings_of(variant: Variant, seed: int, calls: int) -> Settings:
    return Settings(
        Steps(steps=10_000, batch_size=6, held_out=0.3 if variant.kind == "program" else 0.08),
        Proposing(optimizer=variant.optimizer, proposal_tokens=160, proposal_temperature=0.8),
        Selection(acceptance="not-worse" if variant.selects else "always"),
        Reading(answer_tokens=16),
        Budget(calls=calls * variant.times),
        seed=seed,
    )


def run_cell(client: Any, cell: tuple[str, str, int], sizes: Sizes, out: Path) -> dict[str, Any]:
    """One run: its score on test rows that no prompt of training held, and how it went."""
    (task_name, name, seed), calls = cell, sizes.calls
    place = out / f"{task_name}-{name.replace(', ', '-').replace(' ', '_')}-{seed}-{calls}"
    if (place / "cell.json").is_file():
        return dict(json.loads((place / "cell.json").read_text()))
    train, test = TASKS[task_name](seed, sizes.train, sizes.test)
    variant = VARIANTS[name]
    task = task_of(train, is_regression=task_name == "linear", kind=variant.kind)
    run = fit(client, task, train, settings_of(variant, seed, calls), folder=place, checks=Checks(obedience_rows=0))
    with CallLog(out / f"test-{task_name}.jsonl") as log:  # what two variants begin with is asked once
        asked = KeptClient(client, log)
        found = score_predicted(name, task, run.predict(test.rows, asked), test.targets)
        first = score_predicted(name, task, replace(run, parameters=run.first[0]).predict(test.rows, asked), test.targets)
    made = {
        "score": found.by_row.tolist(),
        "first": first.by_row.tolist(),
        "proposals": run.n_proposals,
        "unreadable": sum(step.proposed is None for step in run.steps),
        "taken": sum(step.accepted for step in run.steps),
        "calls": run.spent["all"].calls,
        "seconds": run.spent["all"].seconds,
        "parameters": run.parameters.text,
        "plain": {each.name: each.by_row.tolist() for each in baselines(task, train, test, seed=seed)},
    }
    write_json(place / "cell.json", made)
    return made


def constrained_answers(client: Any, n: int) -> tuple[int, int]:
    """How many of so many answers can be read at the first try: held to the format, and free."""
    train, _ = TASKS["linear"](0, n, 2)
    parsed = []
    for constrained in (True, False):
        task = task_of(train, is_regression=True, kind="sentences")
        learner = Learner(client, task, 0.0, Reading(answer_tokens=24, constrained=constrained))
        requests = learner.requests(Parameters("The output is 4 plus 3 times x."), train.rows)
        answers = ask_all(client, [Ask(request, learner.parse) for request in requests], tries=1)
        parsed.append(sum(answer.value is not None and answer.strict for answer in answers))
    return parsed[0], parsed[1]


def obedience_on_mr(client: Any, n: int) -> Any:
    """Accuracy with a right text, with its labels swapped, and with nonsense."""
    train, _ = TASKS["mr"](0, n, 2 * n)
    task = task_of(train, is_regression=False, kind="sentences")
    return measure_obedience(client, task, train.rows, stated=stated_labels(task, STATED["mr"], train))


def claims_of(cells: dict[tuple[str, str, int], dict[str, Any]], tasks: list[str], seeds: list[int]) -> list[Statement]:
    claims: list[Statement] = []
    for task in tasks:
        errors = task == "linear"
        what = "mean squared error" if errors else "accuracy"

        def table(pick: Any, task: str = task) -> np.ndarray:
            return np.array([pick(seed) for seed in seeds], dtype=np.float64)

        for name in VARIANTS:
            by_seed = table(lambda seed, name=name, task=task: cells[task, name, seed]["score"])
            claims.append(Figure(f"{task}: {what}, {name}", mean_over_seeds(by_seed, units=("seeds", "rows"))))
        for name in ("program, selected", "sentences, selected"):
            first = table(lambda seed, name=name, task=task: cells[task, name, seed]["first"])
            claims.append(Figure(f"{task}: {what}, {name.split(',')[0]} before training", mean_over_seeds(first, units=("seeds", "rows"))))
        for plain in cells[task, "program, selected", seeds[0]]["plain"]:
            by_seed = table(lambda seed, plain=plain, task=task: cells[task, "program, selected", seed]["plain"][plain])
            claims.append(Figure(f"{task}: {what}, {plain}", mean_over_seeds(by_seed, units=("seeds", "rows"))))
        sign = -1 if errors else 1
        pairs = {
            "selection of programs over none": ("program, selected", "program, not selected"),
            "selection of sentences over none": ("sentences, selected", "sentences, not selected"),
            "programs over sentences, both selected": ("program, selected", "sentences, selected"),
            "programs from rows over the control that sees none": ("program, selected", "program, selected, random"),
        }
        for pair, (one, other) in pairs.items():
            gain = sign * table(
                lambda seed, one=one, other=other, task=task: np.subtract(
                    cells[task, one, seed]["score"], cells[task, other, seed]["score"]
                )
            )
            constant = next(name for name in cells[task, one, seeds[0]]["plain"] if name in CONSTANT)
            same = sign * table(
                lambda seed, constant=constant, other=other, task=task: np.subtract(
                    cells[task, "program, selected", seed]["plain"][constant], cells[task, other, seed]["score"]
                )
            )
            estimate = mean_over_seeds(gain, units=("seeds", "rows"))
            if pair.startswith("programs from rows"):
                claims += judged(
                    f"{task}: {pair}, gain in {what}", estimate, Goal(above=0), Control("always the same answer", float(same.mean()))
                )
            else:
                claims.append(Figure(f"{task}: {pair}, gain in {what}", estimate))
        for name in VARIANTS:
            unread = [cells[task, name, seed]["unreadable"] for seed in seeds]
            made = [cells[task, name, seed]["proposals"] for seed in seeds]
            taken = [cells[task, name, seed]["taken"] for seed in seeds]
            calls = [cells[task, name, seed]["calls"] for seed in seeds]
            print(f"{task}, {name}: calls {calls}, proposals read {made}, unreadable {unread}, taken {taken}")
            print("   ", " | ".join(" ".join(cells[task, name, seed]["parameters"].split())[-110:] for seed in seeds))
    return claims


def of_the_model(client: MeteredClient, quick: bool) -> list[Statement]:
    """Whether answers can be read, and whether the model obeys."""
    n = 10 if quick else 200
    held, free = constrained_answers(client, n)
    share = share_over_items((np.arange(n) < held).astype(np.float64))
    claims: list[Statement] = [
        *judged(
            "share of answers held to the format that can be read",
            over(share, "answers", n),
            Goal(at_least=0.98),
            Control("free text", free / n),
        )
    ]
    if not quick:
        found = obedience_on_mr(client, 100)
        print(found.summary())
        for what in ("with_text", "swapped", "nonsense", "above_nonsense", "above_swapped"):
            claims.append(Figure(f"mr: obedience, {what.replace('_', ' ')}", over(getattr(found, what), "rows", found.n_rows)))
    return claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/verbal"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=24)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--endpoint", default=None)
    parser.add_argument("--only-cells", action="store_true", help="fill cells and claim nothing")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    tasks, seeds, calls = asked.tasks.split(","), list(range(asked.seeds)), asked.calls
    sizes = Sizes(calls)
    if asked.quick:
        tasks, seeds, sizes = ["linear"], [0], Sizes(2, 30, 10)
    client = Answering(model=asked.model, endpoint=asked.endpoint).client()
    cells = {
        (task, name, seed): run_cell(client, (task, name, seed), sizes, asked.out) for seed in seeds for task in tasks for name in VARIANTS
    }
    if asked.only_cells:
        return
    claims = claims_of(cells, tasks, seeds)
    if asked.quick or "mr" in tasks:
        claims += of_the_model(MeteredClient(client), asked.quick)
    finish(claims, keep_as=None if asked.quick else "verbal_smollm2", beside=set(tasks) != set(TASKS))


if __name__ == "__main__":
    main()
