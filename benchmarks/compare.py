"""Every way to adapt the embedded model, on seven public sets, from no label to all of them.

    python benchmarks/compare.py --out runs/compare [--parts points,tuned] [--model FOLDER]

Finished cells are kept under --out, so the script can be stopped and goes on. The last line is the claims; the means by set, method and
number of labels go to results/compare-MODEL.csv.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from common import SHARED, Control, Goal, Statement, finish, judged, without_test_texts
from lexframe.adaptation import ComparisonResult, Draws, compare
from lexframe.adaptation.draws import rows_of
from lexframe.cli.compare import parse_shots
from lexframe.cli.model_options import DEFAULT_TEMPLATE
from lexframe.data import Table, read_table
from lexframe.files import write_text
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces import Space, open_space
from lexframe.spaces.registry import recognized_kind

SETS = ("trec", "subj", "agnews", "carer", "mr", "sst5", "mrpc")
FROZEN = {"vocabulary", "texts", "prompts", "points"}
VARIANTS = ("posterior-labels-only", "posterior-own-points")
"""Of posterior calibration, with its prior; without it, it is a rival like any other: logistic regression that reads as much."""
TUNED = ("lora", "ia3")
PARTS = {  # methods, labels a class, draws: what reads or trains the model for every cell gets fewer cells
    "points": [("quick,posterior-labels-only,posterior-without-prior", "0,1,4,16,64,256,all", 5)],
    "ablations": [("ablations", "4,64", 3)],
    "prompts": [("icl-random,icl-nearest,knn-prompting", "1,4,16,64", 1)],
    "tuned": [("lora,ia3", "1,4,16", 2), ("lora,ia3", "64", 2)],
    "ceiling": [("fine-tuning", "16,64", 1)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, two draws, methods over points: under a minute")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--max-train", type=int, help="training texts of each set, drawn at random; all unless given")
    parser.add_argument("--max-test", type=int, default=500)
    options = parser.parse_args()
    parts = [part for name in options.parts.split(",") for part in PARTS[name]]
    if options.quick:
        parts, options.sets, options.max_test = [("quick", "0,4,16", 2)], "trec,subj", 300
    results: dict[str, ComparisonResult] = {}
    for name in options.sets.split(","):
        found = [run(name, part, options) for part in parts]
        about = tuple({method.name: method for result in found for method in result.about}.values())
        results[name] = replace(found[0], cells=tuple(cell for result in found for cell in result.cells), about=about)
        for line in results[name].summary().splitlines():
            print(f"{name:8s} {line}", flush=True)
    table = means(results)
    print(table.to_string(float_format="{:.3f}".format))
    kept = "compare" if options.model == "embedded" else "compare-minilm" if "minilm" in options.model.lower() else "compare-other"
    if not options.quick:
        rows = pd.concat([result.to_frame().assign(set=name) for name, result in results.items()])
        columns = [
            "accuracy",
            "macro_f1",
            "log_loss",
            "calibration_error",
            "fit_seconds",
            "predict_seconds",
            "n_parameters",
            "peak_memory_mb",
        ]
        summary = rows.groupby(["set", "method", "shots"], sort=False)[columns].mean().round(4).reset_index()
        write_text(Path(__file__).parent / "results" / f"{kept}-means.csv", summary.to_csv(index=False))
    finish(claims(results), keep_as=None if options.quick else kept)


def run(name: str, part: tuple[str, str, int], options: argparse.Namespace) -> ComparisonResult:
    methods, shots, seeds = part
    train, test = (read_set(name, split) for split in ("train", "test"))
    train = without_test_texts(train, test)
    if options.quick:
        train = Table(train.texts[:1500], train.labels[:1500], train.source, 0, train.rows[:1500])
    if options.max_train and len(train) > options.max_train:
        train = rows_of(train, np.sort(np.random.default_rng(0).permutation(len(train))[: options.max_train]).tolist())
    print(f"{name}: {methods} at {shots}", file=sys.stderr, flush=True)
    return compare(
        {"model": open_model(options.model)},
        train,
        test,
        methods=methods,
        draws=Draws(parse_shots(shots), range(seeds), options.max_test),
        folder=options.out / name,
    )


def open_model(name: str) -> Space:
    return open_space(name) if recognized_kind(name) == "sentence-encoder" else open_space(name, template=DEFAULT_TEMPLATE)


def read_set(name: str, part: str) -> Table:
    """One of the shared sets; mrpc holds pairs."""
    return read_table(SHARED / "data" / name / f"{part}.jsonl.gz", pair="text_b" if name == "mrpc" else None)


def means(results: dict[str, ComparisonResult]) -> pd.DataFrame:
    """Mean accuracy over the sets, a row a method, a column a number of labels; only where every set has it."""
    first = next(iter(results.values()))
    rows = [
        {
            "method": method,
            "shots": str(shots),
            "accuracy": np.mean([result.accuracy("model", method, shots).value for result in results.values()]),
        }
        for method in first.methods
        for shots in first.shots
        if all(result.select("model", method, shots) for result in results.values())
    ]
    return pd.DataFrame(rows).pivot_table(index="method", columns="shots", values="accuracy", sort=False)


def gap(results: dict[str, ComparisonResult], others: list[str], shots: int | str) -> tuple[Estimate, str, float]:
    """Posterior calibration minus the best of the others on the draws that both have: mean with interval over sets, which, share won."""
    differences: dict[str, list[np.ndarray]] = {}
    for other in others:
        differences[other] = []
        for result in results.values():
            ours, theirs = result.right("model", "posterior", shots), result.right("model", other, shots)
            differences[other].append(np.stack([ours[seed] - theirs[seed] for seed in ours if seed in theirs]))
    values = {other: float(np.mean([part.mean() for part in parts])) for other, parts in differences.items()}
    best = min(values, key=values.__getitem__)
    won = float(np.mean([row.mean() >= 0 for part in differences[best] for row in part]))
    return t_interval([float(part.mean()) for part in differences[best]], unit="sets"), best, won


def commonest(results: dict[str, ComparisonResult], other: str, shots: int | str) -> Control:
    """The commonest answer of each set in our place."""
    leads = [np.bincount(one.truth).max() / len(one.truth) - one.accuracy("model", other, shots).value for one in results.values()]
    return Control("always the commonest answer", t_interval([float(lead) for lead in leads], unit="sets"))


def claims(results: dict[str, ComparisonResult]) -> list[Statement]:
    first = next(iter(results.values()))
    found: list[Statement] = []
    for shots in first.shots:
        present = [
            m
            for m in first.methods
            if m not in ("posterior", *VARIANTS) and all(result.select("model", m, shots) for result in results.values())
        ]
        frozen = [method for method in present if first.families[method] in FROZEN]
        if not frozen:  # without labels nothing but the prior can be had from a sentence encoder
            continue
        value, best, won = gap(results, frozen, shots)
        title = (
            f"posterior minus the best other frozen-model method ({best}) at {shots} labels a class, accuracy; {won:.2f} of pairs not lost"
        )
        found += judged(title, value, Goal(at_least=-0.005), commonest(results, best, shots))
        tuned = [method for method in TUNED if method in present]
        if tuned and shots not in (0, 256, "all"):
            value, best, won = gap(results, tuned, shots)
            title = f"posterior minus the better of LoRA and IA3 ({best}) at {shots} labels a class, accuracy; {won:.2f} of pairs not lost"
            found += judged(title, value, Goal(at_least=0), commonest(results, best, shots))
    tables = {name: means({name: result}) for name, result in results.items()}  # by set, over the numbers of labels that both have
    leads = pd.DataFrame({name: (table.loc["posterior"] - table).mean(axis=1) for name, table in tables.items()})
    rivals = leads[[name not in ("posterior", *VARIANTS) for name in leads.index]]
    rival = str(rivals.mean(axis=1).idxmin())
    chance = [np.bincount(one.truth).max() / len(one.truth) - tables[name].loc[rival].mean() for name, one in results.items()]
    title = f"posterior minus the strongest rival ({rival}), accuracy, mean over sets and numbers of labels"
    control = Control("always the commonest answer", t_interval([float(one) for one in chance], unit="sets"))
    found += judged(title, t_interval(rivals.loc[rival].to_numpy(), unit="sets"), Goal(above=0), control)
    return found


if __name__ == "__main__":
    main()
