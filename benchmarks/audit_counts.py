"""How often the interval of the number of wrong labels holds the planted number, on sets that nothing of the audit was chosen on.

Nobody knows how many labels of these sets were wrong before any was planted. They are counted too, so a set with many of them pushes
the count up: the count of the labels as they are is shown beside, and the interval is asked for the planted number alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audit_bench import KINDS, Bench, Data, plant
from common import Figure, Statement
from lexframe import CategoryAudit
from lexframe.audit.result import MODEL_ERROR, AuditResult
from lexframe.files import write_text
from lexframe.verdicts import Worth

SETS = ("mr", "mrpc", "snli_small")
MOST, RATES, SEEDS = 1_500, (0.05, 0.2), 3


def counts(bench: Bench) -> list[Statement]:
    """Planted wrong labels at two rates, both kinds where there are three categories or more, three seeds."""
    claims: list[Statement] = []
    for model in bench.models:
        table = pd.DataFrame([row for name in bench.sets[: 1 if bench.quick else None] for row in cells(bench, model, name)])
        if not bench.quick:
            write_text(Path(__file__).parent / "results" / f"audit_counts-{model}-cells.csv", table.round(4).to_csv(index=False))
        for name, some in (*table.groupby("set"), ("all sets", table)):
            counted = some[some.low.notna()]
            what = f"{model}, {name}: of {len(some)} plantings {len(some) - len(counted)} have no interval, the verdict being against it"
            claims.append(Figure(what, float(len(some) - len(counted))))
            if counted.empty:
                continue
            holds = (counted.low <= counted.planted) & (counted.planted <= counted.high)
            below = int((counted.high < counted.planted).sum())
            what = f"{model}, {name}: share of {len(counted)} intervals that hold the planted number ({below} end below it)"
            claims.append(Figure(what, float(holds.mean())))
            off = (counted.expected - counted.planted).abs() > MODEL_ERROR * counted.expected
            claims.append(Figure(f"{model}, {name}: share of {len(counted)} counts more than half of themselves away", float(off.mean())))
    return claims


def cells(bench: Bench, model: str, name: str) -> list[dict[str, Any]]:
    data = bench.data(model, name, most=300 if bench.quick else MOST)
    found = []
    for kind in KINDS if data.n_categories > 2 else KINDS[:1]:  # between two categories there is one way to be wrong
        for rate in RATES:
            for seed in range(1 if bench.quick else SEEDS):
                given = plant(data, kind, rate, seed)
                key = {"part": "counts 1", "model": model, "set": name, "kind": kind, "rate": rate, "seed": seed}
                found.append(bench.cell(key, lambda given=given: planted_count(data, given)))
    as_they_are = bench.cell({"part": "counts 1", "model": model, "set": name, "kind": "none"}, lambda: said(audited(data, data.labels)))
    return [cell | {"expected_before": as_they_are["expected"]} for cell in found]


def planted_count(data: Data, given: np.ndarray) -> dict[str, Any]:
    return said(audited(data, given)) | {"planted": int((given != data.labels).sum())}


def audited(data: Data, given: np.ndarray) -> AuditResult:
    return CategoryAudit(duplicates=False, relations=False).fit(data.points, given).result_


def said(result: AuditResult) -> dict[str, Any]:
    count = result.error_count()
    low, high = count.interval or (None, None)
    return {"expected": count.value, "low": low, "high": high, "of_use": result.verdict().worth is Worth.HOLDS}
