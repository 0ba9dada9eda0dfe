"""Time and memory of an audit: against Datalab, and as the items grow."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from audit_bench import Bench
from audit_scores import dense
from common import AGAIN, Control, Goal, Statement, every_pair, exponent, judged, peer, race, times
from lexframe.audit.category_audit import CategoryAudit


def speed(bench: Bench) -> list[Statement]:
    """10,000 items of 384 dimensions in 20 categories, 5% wrong: the whole audit against Datalab's label, outlier and near-duplicate."""
    cleanlab = peer("cleanlab") and peer("cleanlab.datalab.datalab")
    if cleanlab is None:
        return []
    n = 2_000 if bench.quick else 10_000
    points, labels = gaussian_items(n, 384, 20, seed=0)
    probabilities = dense(CategoryAudit(relations=True, check=False).fit(points, labels[0]).result_.posterior, 20)

    def datalab() -> None:
        lab = cleanlab.Datalab({"y": labels[0]}, label_name="y", verbosity=0)
        lab.find_issues(features=points, pred_probs=probabilities, issue_types={"label": {}, "outlier": {}, "near_duplicate": {}})

    contenders = {"ours": lambda: CategoryAudit(relations=True, check=False).fit(points, labels[0]), "Datalab": datalab}
    seconds, _ = race(contenders, 2 if bench.quick else 5, again="Datalab")
    mine, theirs = seconds["ours"].mean(), seconds["Datalab"].mean()
    what = (
        f"{n:,} x 384, 20 categories: time of the audit ({mine:.1f} s, with posteriors) over Datalab's ({theirs:.1f} s, posteriors given)"
    )
    control = Control("Datalab against itself", times(seconds[AGAIN], seconds["Datalab"]))
    return judged(what, times(seconds["ours"], seconds["Datalab"]), Goal(at_most=1), control)


def gaussian_items(n: int, d: int, k: int, seed: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Items around category means in float32, 5% of them under another category; with the given and the true categories."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(k, d)).astype(np.float32) * 0.35
    truth = rng.integers(0, k, n)
    points = means[truth] + rng.standard_normal((n, d), dtype=np.float32)
    given = truth.copy()
    moved = rng.random(n) < 0.05
    given[moved] = (given[moved] + rng.integers(1, k, moved.sum())) % k
    return points, (given, truth)


def growth(bench: Bench) -> list[Statement]:
    """Time and memory as the items grow tenfold twice."""
    sizes = (1_000, 3_000, 9_000) if bench.quick else (10_000, 100_000, 1_000_000)
    seconds, memory = np.empty((2, 2 if bench.quick else 3, len(sizes)))
    for run, place in np.ndindex(seconds.shape):
        n = sizes[place]
        key = {"part": "growth", "n": n, "version": 1, "run": run}

        def make(n: int = n) -> dict[str, Any]:
            done = subprocess.run([sys.executable, __file__, str(n)], capture_output=True, text=True, check=True)
            return json.loads(done.stdout.splitlines()[-1])

        cell = make() if bench.quick else bench.cell(key, make)
        seconds[run, place], memory[run, place] = cell["seconds"], max(cell["memory_mb"], 1.0)
        sys.stderr.write(f"{n:,}: {cell['seconds']:.1f} s, {cell['memory_mb']:.0f} MiB beyond the points\n")
    listed = ", ".join(f"{n:,}: {s:.1f} s" for n, s in zip(sizes, seconds.mean(axis=0), strict=True))
    listed_memory = ", ".join(f"{m:,.0f}" for m in memory.mean(axis=0))
    time_title = f"exponent of time against items of 128 dimensions, 20 categories ({listed})"
    memory_title = f"exponent of memory beyond the points ({listed_memory} MiB)"
    return [
        *judged(time_title, exponent(sizes, seconds), Goal(below=1.2), every_pair()),
        *judged(memory_title, exponent(sizes, memory), Goal(at_most=1), Control("a table of all pairs, by arithmetic", 2.0)),
    ]


def one_size(n: int) -> None:
    """Audit `n` items in a process of its own, and print time and peak memory."""
    points, (given, truth) = gaussian_items(n, 128, 20, seed=0)
    before = _resident("VmRSS")
    names = [f"category {k}" for k in range(20)]
    labels = [names[k] for k in given]
    started = time.perf_counter()
    result = CategoryAudit(check=False).fit(points, labels).result_
    seconds = time.perf_counter() - started
    wrong = given != truth
    found = {"seconds": seconds, "memory_mb": _resident("VmHWM") - before, "ap": float(average_precision_score(wrong, result.probability))}
    print(json.dumps(found | {"steps": result.seconds}))


def _resident(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":  # a process of its own for every size, started by growth
    one_size(int(sys.argv[1]))
