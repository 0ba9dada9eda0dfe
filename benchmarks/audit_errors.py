"""Every ranking on planted and known wrong labels: against cleanlab, and what each part adds."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audit_bench import FIRST, KINDS, PLANTED, RATES, Bench, Data, plant
from audit_scores import ablation_scores, cleanlab_scores, datalab_score, dense, logistic_probabilities, measured, ours
from common import SHARED, Control, Figure, Goal, Statement, judged, peer
from lexframe.audit.neighbor_votes import choose_neighborhood
from lexframe.data.readers import stream_rows
from lexframe.data.tables.encodings import text_lines
from lexframe.files import write_text
from lexframe.intervals import mean_over_sets, t_interval


def errors(bench: Bench) -> list[Statement]:
    """Every ranking on planted and known wrong labels."""
    cells = [cell for model in bench.models for cell in [*planted_cells(bench, model), *known_cells(bench, model)]]
    table = pd.DataFrame([row for cell in cells for row in cell["rows"]])
    if not bench.quick:
        mean = table.groupby(["model", "set", "kind", "rate", "method"], sort=False)[["ap", "first"]].mean().round(4).reset_index()
        write_text(Path(__file__).parent / "results" / "audit_scores.csv", mean.to_csv(index=False))
    claims: list[Statement] = []
    for model in bench.models:
        for source, label in (
            ("our probabilities", "same probabilities"),
            ("logistic", "its own probabilities"),
            ("points", "points alone"),
        ):
            claims += against(table[table.model == model], source, label, model)
    return claims


def against(table: pd.DataFrame, source: str, label: str, model: str) -> list[Statement]:
    """Paired differences with cleanlab's best ranking from one source: over sets, and in each set over seeds.

    The control is a random order in our place. Labels that people found wrong are there once, so their differences are figures.
    """
    peers = table[table.method.str.startswith(("cleanlab", "Datalab")) & table.method.str.endswith(source)]
    claims: list[Statement] = []
    for known in (False, True):
        some = peers[(peers.kind == "known") == known]
        if some.empty:
            continue
        best = some.groupby("method").ap.mean().idxmax()
        for measure, name in (("ap", "average precision"), ("first", f"precision in the first {FIRST}")):
            keys = ["set", "kind", "rate", "seed"]
            here = table[(table.kind == "known") == known].set_index(keys)
            theirs = some[some.method == best].set_index(keys)[measure]
            difference, chance = ((here[here.method == one][measure] - theirs).dropna() for one in ("lexframe", "random order"))
            of = f"{name} minus {best.removesuffix(f', {source}')} ({label})"
            if not known:
                value, random = (mean_over_sets(one.to_numpy(), one.index.get_level_values("set")) for one in (difference, chance))
                claims += judged(f"{model}, planted: {of}", value, Goal(above=0), Control("a random order in our place", random))
            for (name_of_set,), part in difference.groupby(["set"]):
                what = f"{model}, {name_of_set}: {of}"
                if known:
                    claims.append(Figure(what, float(part.mean())))
                    continue
                value = mean_over_sets(part.to_numpy(), part.index.get_level_values("seed"), unit="seeds")
                random = float(chance.xs(name_of_set, level="set").mean())
                claims += judged(what, value, Goal(above=0), Control("a random order in our place", random))
    return claims


def planted_cells(bench: Bench, model: str) -> Iterator[dict[str, Any]]:
    sets = ("trec",) if bench.quick else PLANTED
    for name in sets:
        for kind in KINDS:
            for rate in RATES[1:2] if bench.quick else RATES:
                for seed in bench.seeds:
                    data = bench.data(model, name, most=bench.most)
                    key = {"model": model, "set": name, "kind": kind, "rate": rate, "seed": seed, "n": len(data.labels)}
                    yield from both_cells(bench, data, key, lambda d=data, k=key: plant(d, k["kind"], k["rate"], k["seed"]))
        sys.stderr.write(f"{model} {name} done\n")


def known_cells(bench: Bench, model: str) -> Iterator[dict[str, Any]]:
    """The wrong labels that crowds have found; items that nobody judged count as right."""
    for name in () if bench.quick else ("news20", "imdb_label_errors"):
        data = bench.data(model, name, part="test")
        rows = list(stream_rows(SHARED / "data" / name / "test.jsonl.gz", columns=["label"]))
        assert len(rows) == len(data.labels)
        wrong = known_errors(name)
        key = {"model": model, "set": name, "kind": "known", "rate": 0.0, "seed": 0, "n": len(data.labels)}
        yield from both_cells(bench, data, key, lambda d=data: d.labels, wrong=wrong)


def both_cells(
    bench: Bench, data: Data, key: dict[str, Any], given: Callable[[], np.ndarray], *, wrong: np.ndarray | None = None
) -> Iterator[dict[str, Any]]:
    """The peers' cell and ours, each made once: peers need not be run again where only our method has changed."""
    for part, rank in (("peers", rank_peers), ("ours 2", rank_ours)):

        def make(rank: Callable[..., Any] = rank) -> dict[str, Any]:
            labels = given()
            return {"rows": rank(data, labels, labels != data.labels if wrong is None else wrong, key)}

        yield bench.cell({"part": part, **key}, make)


def known_errors(name: str) -> np.ndarray:
    lines = text_lines(SHARED / "data" / name / "test.jsonl.gz")
    return np.array([bool(json.loads(line).get("label_error")) for line in lines])


def rank_peers(data: Data, given: np.ndarray, wrong: np.ndarray, key: dict[str, Any]) -> list[dict[str, Any]]:
    """What does not depend on our method."""
    scores: list[tuple[str, np.ndarray]] = []
    if peer("cleanlab") is not None:
        scores += cleanlab_scores(given, logistic_probabilities(data, given, key["seed"]), "logistic")
    if peer("cleanlab.datalab.datalab") is not None:
        scores.append(("Datalab label score, points", datalab_score(data, given)))
    scores.append(("random order", np.random.default_rng(key["seed"]).random(len(given))))
    return rows_of(key, scores, wrong)


def rank_ours(data: Data, given: np.ndarray, wrong: np.ndarray, key: dict[str, Any]) -> list[dict[str, Any]]:
    """Ours, cleanlab on our probabilities, and the parts."""
    near = choose_neighborhood(data.points, given, data.n_categories, 20)
    found = ours(data, given, near)
    probability = 1 - found.informed[:, 0].astype(np.float64)
    scores: list[tuple[str, np.ndarray]] = [("lexframe", probability)]
    if peer("cleanlab") is not None:
        scores += cleanlab_scores(given, dense(found, data.n_categories), "our probabilities")
    if key["kind"] == "known" or key["rate"] == 0.05:
        scores += ablation_scores(data, given, near, found)
    return rows_of(key, scores, wrong)


def rows_of(key: dict[str, Any], scores: Sequence[tuple[str, np.ndarray]], wrong: np.ndarray) -> list[dict[str, Any]]:
    plain = {name: value for name, value in key.items() if name in ("model", "set", "kind", "rate", "seed")}
    return [plain | {"method": name} | measured(wrong, score) for name, score in scores]


def second_opinion(bench: Bench) -> list[Statement]:
    """Of AG News with 5% planted at random: whether items that come first without having been planted are wrong all the same.

    Judged by the other model on the labels as they were, which shares neither weights nor tokens with the first.
    """
    if len(bench.models) < 2:
        return []
    shares, base = [], []
    data, other = (bench.data(model, "agnews", most=bench.most) for model in ("minilm", "embedded"))
    second = ours(other, other.labels)
    doubted = second.posterior[:, 0] < second.posterior[:, 1:].max(axis=1)
    for seed in bench.seeds:
        given = plant(data, "random", 0.05, seed)
        found = ours(data, given)
        first = np.argsort(found.informed[:, 0], kind="stable")[:300]
        shares.append(float(doubted[first[given[first] == data.labels[first]]].mean()))
        base.append(float(doubted.mean()))
    what = f"agnews: items in the first 300 that were not planted and that the other model puts elsewhere too ({base[0]:.2f} of all items)"
    return [Figure(what, t_interval(shares, unit="seeds"))]


def ablation(bench: Bench) -> list[Statement]:
    """What each part adds, over the cells of 5% planted errors and the known ones."""
    claims: list[Statement] = []
    for model in bench.models:
        cells = [*planted_cells(bench, model), *known_cells(bench, model)]
        table = pd.DataFrame([row for cell in cells for row in cell["rows"]])
        table = table[(table.rate == 0.05) | (table.kind == "known")]
        keys = ["set", "kind", "rate", "seed"]
        whole = table[table.method == "lexframe"].set_index(keys).ap
        for method in table.method.unique():
            if method.startswith(("cleanlab", "Datalab", "lexframe")):
                continue
            other = table[table.method == method].set_index(keys).ap
            lead = (whole - other).dropna()
            difference = mean_over_sets(lead.to_numpy(), lead.index.get_level_values("set"))
            claims.append(Figure(f"{model}: the whole minus '{method}', average precision ({other.mean():.3f})", difference))
    return claims
