"""Every way to adapt the embedded model, on seven public sets, from no label to all of them.

    python benchmarks/compare.py --out runs/compare [--methods quick] [--model FOLDER]

Finished cells are kept under --out, so the script can be stopped and goes on. The last line is the claims; the means by set, method and
number of labels go to results/compare-MODEL.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from common import SHARED, Claim, finish
from lexframe.cli.adapt import DEFAULT_TEMPLATE
from lexframe.cli.compare import parse_shots
from lexframe.datasets import Table, read_table
from lexframe.evidence import ComparisonResult, compare
from lexframe.evidence.methods import make_methods
from lexframe.files import write_text
from lexframe.spaces import Space, open_space
from lexframe.spaces.registry import is_sentence_encoder

SETS = ("trec", "subj", "agnews", "carer", "mr", "sst5", "mrpc")
FROZEN = {"vocabulary", "prompts", "points"}
TUNED = ("lora", "ia3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, two seeds, methods over points: under a minute")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    parser.add_argument("--methods", default="all")
    parser.add_argument("--shots", default="0,1,4,16,64,256,all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--max-test", type=int, default=1000)
    options = parser.parse_args()
    if options.quick:
        options.methods, options.shots, options.seeds, options.sets, options.max_test = "quick", "0,4,16", 2, "trec,subj", 300
    results = {}
    for name in options.sets.split(","):
        results[name] = run(name, options)
        for line in results[name].advice():
            print(f"{name:8s} {line}", flush=True)
    table = means(results)
    print(table.to_string(float_format="{:.3f}".format))
    kept = "compare" if options.model == "embedded" else f"compare-{Path(options.model).name}"
    if not options.quick:
        rows = pd.concat([result.to_frame().assign(set=name) for name, result in results.items()])
        columns = [
            "accuracy",
            "macro_f1",
            "log_loss",
            "calibration_error",
            "fit_seconds",
            "predict_seconds",
            "encode_seconds",
            "n_parameters",
            "peak_memory_mb",
        ]
        summary = rows.groupby(["set", "method", "shots"], sort=False)[columns].mean().round(5).reset_index()
        write_text(Path(__file__).parent / "results" / f"{kept}-means.csv", summary.to_csv(index=False))
    finish(claims(results), keep_as=None if options.quick else kept)


def run(name: str, options: argparse.Namespace) -> ComparisonResult:
    train, test = (read_set(name, part) for part in ("train", "test"))
    if options.quick:
        train = Table(train.texts[:1500], train.labels[:1500], train.source, 0, train.rows[:1500])
    return compare(
        {"model": open_model(options.model)},
        train,
        test,
        methods=make_methods(options.methods),
        shots=parse_shots(options.shots),
        seeds=range(options.seeds),
        max_test=options.max_test,
        folder=options.out / name,
    )


def open_model(name: str) -> Space:
    return open_space(name) if is_sentence_encoder(name) else open_space(name, template=DEFAULT_TEMPLATE)


def read_set(name: str, part: str) -> Table:
    """One of the shared sets; mrpc holds pairs."""
    return read_table(SHARED / "data" / name / f"{part}.jsonl.gz", pair="text_b" if name == "mrpc" else None)


def means(results: dict[str, ComparisonResult]) -> pd.DataFrame:
    """Mean accuracy over the sets, a row a method, a column a number of labels."""
    rows = [
        {"method": method, "shots": str(shots), "accuracy": result.accuracy("model", method, shots).value}
        for result in results.values()
        for method in result.methods
        for shots in result.shots
        if result.select("model", method, shots)
    ]
    table = pd.DataFrame(rows).pivot_table(index="method", columns="shots", values="accuracy", sort=False)
    return table.assign(mean=table.mean(axis=1))


def gap(results: dict[str, ComparisonResult], others: list[str], shots: int | str) -> tuple[float, tuple[float, float], str]:
    """Posterior calibration minus the best of the others, mean over sets; the interval resamples sets, seeds and texts."""
    values = {}
    for other in others:
        per_set = [result._right("model", "posterior", shots) - result._right("model", other, shots) for result in results.values()]
        values[other] = float(np.mean([part.mean() for part in per_set]))
    best = min(values, key=lambda other: values[other])
    rng = np.random.default_rng(0)
    parts = [result._right("model", "posterior", shots) - result._right("model", best, shots) for result in results.values()]
    draws = [np.mean([resampled(parts[i], rng) for i in rng.integers(0, len(parts), len(parts))]) for _ in range(500)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return values[best], (float(low), float(high)), best


def resampled(values: np.ndarray, rng: np.random.Generator) -> float:
    n_seeds, n_texts = values.shape
    return float(values[rng.integers(0, n_seeds, n_seeds)].mean(axis=0)[rng.integers(0, n_texts, n_texts)].mean())


def share_won(results: dict[str, ComparisonResult], other: str, shots: int | str) -> float:
    """Share of (set, seed) pairs in which posterior calibration is at least as accurate."""
    pairs = [
        ours.accuracy >= theirs.accuracy
        for result in results.values()
        for ours, theirs in zip(result.select("model", "posterior", shots), result.select("model", other, shots), strict=True)
    ]
    return float(np.mean(pairs))


def claims(results: dict[str, ComparisonResult]) -> list[Claim]:
    first = next(iter(results.values()))
    found: list[Claim] = []
    for shots in first.shots:
        present = [m for m in first.methods if m != "posterior" and all(result.select("model", m, shots) for result in results.values())]
        frozen = [method for method in present if first.families[method] in FROZEN]
        value, interval, best = gap(results, frozen, shots)
        won = share_won(results, best, shots)
        found.append(
            Claim(
                f"posterior minus the best other frozen-model method ({best}) at {shots} labels a class, accuracy, {won:.2f} of pairs won",
                value,
                interval,
                ">= -0.005",
                value >= -0.005,
            )
        )
        tuned = [method for method in TUNED if method in present]
        if tuned and shots not in (0, 256, "all"):
            value, interval, best = gap(results, tuned, shots)
            found.append(
                Claim(
                    f"posterior minus the better of LoRA and IA3 ({best}) at {shots} labels a class, accuracy",
                    value,
                    interval,
                    ">= 0",
                    value >= 0,
                )
            )
    table = means(results).drop(columns="mean")
    leads = (table.loc["posterior"] - table.drop("posterior")).mean(axis=1)  # over the numbers of labels that both have
    rival = str(leads.idxmin())
    found.append(
        Claim(
            f"posterior minus the strongest rival ({rival}), accuracy, mean over sets and numbers of labels",
            leads[rival],
            None,
            "> 0",
            leads[rival] > 0,
        )
    )
    return found


if __name__ == "__main__":
    main()
