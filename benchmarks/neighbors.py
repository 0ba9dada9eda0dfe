"""Neighbors beside bare faiss, hnswlib and usearch: recall, time to build, time to ask.

    python benchmarks/neighbors.py [--quick] [--rows 100000] [--rounds 3]

Two sets of points: states of the embedded model for the texts of the evaluation sets (mean of a middle layer), and points in a random
subspace of 32 of 256 dimensions with noise, which is harder than clusters are. Contenders take turns; intervals are over rounds, each with
indexes of its own, and over queries for recall. All
have 16 links, 200 candidates while building, and while asking as many as lexframe has found to be enough for the points. hnswlib and
usearch are measured where they are installed.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from common import SHARED, Control, Figure, Goal, Statement, finish, judged, peer
from lexframe.intervals import Estimate, mean_over_sets, t_interval
from lexframe.latents import NeighborIndex

N_QUERIES, K, LINKS, BUILD = 1000, 10, 16, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 rows, one round")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    n_rows, rounds = (20_000, 1) if options.quick else (options.rows, options.rounds)
    found: list[Statement] = []
    sets = {"random subspace": subspace(n_rows + N_QUERIES)}
    if (SHARED / "data").is_dir() and not options.quick:
        sets["real states"] = states(n_rows + N_QUERIES)
    for name, points in sets.items():
        found += measure(name, points[N_QUERIES:], points[:N_QUERIES], rounds)
    finish(found, keep_as=None if options.quick else "neighbors")


def measure(name: str, points: np.ndarray, queries: np.ndarray, rounds: int) -> list[Statement]:
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30) for x in (points, queries)]
    truth = NeighborIndex(kind="exact").fit(points).search(queries, K).rows
    width = 0  # known once ours has been built

    contenders: dict[str, Callable[[], tuple[Any, Callable[[], np.ndarray]]]] = {
        "lexframe": lambda: our_index(points, queries),
        "faiss": lambda: faiss_index(*unit, width),
    }
    contenders["faiss again"] = contenders["faiss"]  # the control of the times
    if peer("hnswlib"):
        contenders["hnswlib"] = lambda: hnswlib_index(*unit, width)
    if peer("usearch"):
        contenders["usearch"] = lambda: usearch_index(*unit, width)
    build: dict[str, list[float]] = {key: [] for key in contenders}
    ask: dict[str, list[float]] = {key: [] for key in contenders}
    recall: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        held = {}
        for key, make in contenders.items():
            start = time.perf_counter()
            held[key] = make()
            build[key].append(time.perf_counter() - start)
            width = held["lexframe"][0].search_width_
        for _ in range(5):
            for key, (_, search) in held.items():
                start = time.perf_counter()
                rows = search()
                ask[key].append(time.perf_counter() - start)
                recall[key] = found_of(rows, truth)
    held["faiss"][0].hnsw.efSearch = K
    narrow = t_interval(found_of(held["faiss"][1](), truth), unit="queries")
    for key in contenders:
        print(
            f"{name:16s} {len(points):,} x {points.shape[1]}  {key:9s} build {np.mean(build[key]):6.1f} s  "
            f"ask {1e6 * np.mean(ask[key]) / len(queries):6.0f} us a query at width {width}  recall@{K} {recall[key].mean():.4f}",
            flush=True,
        )
    title, control = f"{name}, {len(points):,} rows: recall@{K}", Control(f"bare faiss at a width of {K}", narrow)
    claims: list[Statement] = [*judged(title, t_interval(recall["lexframe"], unit="queries"), Goal(at_least=0.99), control)]
    for what, seconds in (("build", build), ("ask", ask)):
        both = [one + other for one, other in zip(seconds["faiss"], seconds["faiss again"], strict=True)]
        itself = Control("bare faiss, twice", by_round(both, seconds["faiss"], rounds))
        value = by_round(seconds["lexframe"], seconds["faiss"], rounds)
        claims += judged(f"{name}: time to {what}, over bare faiss", value, Goal(at_most=1.05), itself)
        for other in ("hnswlib", "usearch"):
            if other in seconds:
                value = by_round(seconds["lexframe"], seconds[other], rounds)
                claims.append(Figure(f"{name}: time to {what}, over {other}", value))
    return claims


def found_of(rows: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Of each query the share of its nearest that were found."""
    return np.array([len(np.intersect1d(a, b)) / K for a, b in zip(rows, truth, strict=True)])


def by_round(ours: list[float], theirs: list[float], rounds: int) -> Estimate:
    """How many times as long, with the interval over rounds."""
    number = np.repeat(np.arange(rounds), len(ours) // rounds).tolist()
    return mean_over_sets(np.log(np.array(ours) / np.array(theirs)), number, unit="rounds").mapped(np.exp)


def our_index(points: np.ndarray, queries: np.ndarray) -> tuple[Any, Callable[[], np.ndarray]]:
    index = NeighborIndex(kind="graph", n_links=LINKS, build_width=BUILD).fit(points)
    return index, lambda: index.search(queries, K).rows


def faiss_index(points: np.ndarray, queries: np.ndarray, width: int) -> tuple[Any, Callable[[], np.ndarray]]:
    import faiss

    index = faiss.IndexHNSWFlat(points.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = BUILD, width
    index.add(points)
    return index, lambda: index.search(queries, K)[1]


def hnswlib_index(points: np.ndarray, queries: np.ndarray, width: int) -> tuple[Any, Callable[[], np.ndarray]]:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=points.shape[1])
    index.init_index(max_elements=len(points), M=LINKS, ef_construction=BUILD)
    index.add_items(points)
    index.set_ef(width)
    return index, lambda: index.knn_query(queries, K)[0].astype(np.int64)


def usearch_index(points: np.ndarray, queries: np.ndarray, width: int) -> tuple[Any, Callable[[], np.ndarray]]:
    from usearch.index import Index

    index = Index(ndim=points.shape[1], metric="ip", dtype="f32", connectivity=LINKS, expansion_add=BUILD, expansion_search=width)
    index.add(np.arange(len(points)), points)
    return index, lambda: index.search(queries, K).keys.astype(np.int64)


def subspace(n_rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n_rows, 32)) @ rng.normal(size=(32, 256)) + 0.1 * rng.normal(size=(n_rows, 256))
    return points.astype(np.float32)


def states(n_rows: int) -> np.ndarray:
    """Mean states of the third layer of the embedded model, each text once, in random order; fewer where there are fewer texts."""
    from lexframe import LanguageModelSpace
    from lexframe.data import stream_rows
    from lexframe.exceptions import DataError

    texts: dict[str, None] = {}
    for path in sorted((SHARED / "data").glob("*/*.jsonl.gz")):
        try:
            texts.update(dict.fromkeys(row.text[:200] for row in stream_rows(path)))
        except DataError:  # a set without a column of that name
            continue
    chosen = np.random.default_rng(0).permutation(list(texts))[:n_rows].tolist()
    return LanguageModelSpace("embedded", layer=3, pooling="mean", dtype="bfloat16", max_length=32).encode(chosen)


if __name__ == "__main__":
    main()
