"""Neighbors beside bare faiss, hnswlib and usearch: recall, time to build, time to ask.

    python benchmarks/neighbors.py [--quick] [--rows 100000] [--rounds 3]

Two sets of points: states of the embedded model for the texts of the evaluation sets (mean of a middle layer), and points in a random
subspace of 32 of 256 dimensions with noise, which is harder than clusters are. Contenders take turns, the best of the rounds counts; all
have 16 links, 200 candidates while building, and while asking as many as lexframe has found to be enough for the points. hnswlib and
usearch are measured where they are installed.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from common import SHARED, Claim, finish
from lexframe.latents import NeighborIndex

N_QUERIES, K, LINKS, BUILD = 1000, 10, 16, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 rows, one round")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    n_rows, rounds = (20_000, 1) if options.quick else (options.rows, options.rounds)
    found: list[Claim] = []
    sets = {"random subspace": subspace(n_rows + N_QUERIES)}
    if (SHARED / "data").is_dir() and not options.quick:
        sets["real states"] = states(n_rows + N_QUERIES)
    for name, points in sets.items():
        found += measure(name, points[N_QUERIES:], points[:N_QUERIES], rounds)
    finish(found, keep_as=None if options.quick else "neighbors")


def measure(name: str, points: np.ndarray, queries: np.ndarray, rounds: int) -> list[Claim]:
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30) for x in (points, queries)]
    truth = NeighborIndex(kind="exact").fit(points).search(queries, K).rows
    width = 0  # known once ours has been built

    contenders: dict[str, Callable[[], tuple[Any, Callable[[], np.ndarray]]]] = {
        "lexframe": lambda: our_index(points, queries),
        "faiss": lambda: faiss_index(*unit, width),
    }
    if importlib.util.find_spec("hnswlib"):
        contenders["hnswlib"] = lambda: hnswlib_index(*unit, width)
    if importlib.util.find_spec("usearch"):
        contenders["usearch"] = lambda: usearch_index(*unit, width)
    build, ask, recall = ({key: float("inf") for key in contenders} for _ in range(3))
    for _ in range(rounds):
        held = {}
        for key, make in contenders.items():
            start = time.perf_counter()
            held[key] = make()
            build[key] = min(build[key], time.perf_counter() - start)
            width = held["lexframe"][0].search_width_
        for _ in range(5):
            for key, (_, search) in held.items():
                start = time.perf_counter()
                rows = search()
                ask[key] = min(ask[key], time.perf_counter() - start)
                recall[key] = float(np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(rows, truth, strict=True)]))
    for key in contenders:
        print(
            f"{name:16s} {len(points):,} x {points.shape[1]}  {key:9s} build {build[key]:6.1f} s  "
            f"ask {1e6 * ask[key] / len(queries):6.0f} us a query at width {width}  recall@{K} {recall[key]:.4f}",
            flush=True,
        )
    ours = recall["lexframe"]
    claims = [Claim(f"{name}, {len(points):,} rows: recall@{K}", ours, None, ">= 0.99", ours >= 0.99)]
    for what, seconds in (("build", build), ("ask", ask)):
        value = seconds["lexframe"] / seconds["faiss"]
        claims.append(Claim(f"{name}: time to {what}, over bare faiss", value, None, "<= 1.05", value <= 1.05))
        for other in ("hnswlib", "usearch"):
            if other in seconds:
                value = seconds["lexframe"] / seconds[other]
                claims.append(Claim(f"{name}: time to {what}, over {other}", value, None, "reported", True))
    return claims


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
