"""Time and peak memory of adapting as the number of texts grows tenfold twice, with the exponent.

    python benchmarks/cost.py [--quick] [--model embedded]

Each size runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from common import Control, Goal, Statement, every_pair, exponent, finish, judged

PARTS = ("encode", "lda", "logistic", "vds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--size", type=int, help="measure one size in this process and print JSON")
    options = parser.parse_args()
    if options.size:
        print(json.dumps(measure(options.model, options.size)))
        return
    sizes = (40, 400) if options.quick else (100, 1_000, 10_000)
    tables: dict[str, list[list[float]]] = {part: [] for part in (*PARTS, "peak_mb")}
    for _ in range(2 if options.quick else 3):
        results = []
        for size in sizes:
            command = [sys.executable, __file__, "--size", str(size), "--model", options.model]
            results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            seconds = "  ".join(f"{part} {results[-1][part]:7.2f} s" for part in PARTS)
            print(f"{size:6d} texts  {seconds}  peak {results[-1]['peak_mb']:.0f} MB", flush=True)
        for part, table in tables.items():
            table.append([result[part] for result in results])
    pairs, memory = every_pair(), Control("a table of all pairs, by arithmetic", 2.0)
    claims: list[Statement] = []
    for part, table in tables.items():
        value = exponent(sizes, np.array(table))
        claims += judged(f"{part}: exponent in the number of texts", value, Goal(at_most=1.2), memory if part == "peak_mb" else pairs)
    finish(claims, keep_as=None if options.quick else "cost")


def measure(model: str, size: int) -> dict[str, float]:
    """Seconds of each part and peak memory in MB, on desk messages made distinct by a number."""
    from lexframe import LanguageModelSpace, LogisticProbe, SemanticCalibration, ShrinkageLDA, VocabularyFrame, desk

    table = desk("train")
    texts = [f"{table.texts[i % len(table)]} ({i})" for i in range(size)]
    labels = [table.labels[i % len(table)] for i in range(size)]
    space = LanguageModelSpace(model)
    bases = VocabularyFrame(space).label_bases({label: [label] for label in sorted(set(labels))})
    space.encode(texts[:8])
    start = time.perf_counter()
    points = space.encode(texts)
    seconds = {"encode": time.perf_counter() - start}
    for name, instrument in (("lda", ShrinkageLDA()), ("logistic", LogisticProbe()), ("vds", SemanticCalibration(bases))):
        start = time.perf_counter()
        instrument.fit(points, labels)
        seconds[name] = time.perf_counter() - start
    return seconds | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    main()
