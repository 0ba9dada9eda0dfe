"""The tables of the paper behind the frame, measured anew: on the sets of a folder, for any model, beside the published figures.

The published figures are of other models (GPT-2 small, Llama 3 8B), so they say what to expect of the *differences*
between methods, not of the values.

References
----------
Gu et al. (2024), Vocabulary-Defined Semantics: Latent Space Clustering for Improving In-Context Learning, arXiv:2401.16184.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from lexframe.adaptation.cells import ALL
from lexframe.adaptation.comparison import compare
from lexframe.adaptation.draws import Draws, content_digest, label_numbers, part_of_table
from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.adaptation.task import reader_of
from lexframe.checks import plain
from lexframe.data.readers import Table, read_table
from lexframe.exceptions import DataError
from lexframe.files import json_text, replacing
from lexframe.instruments.classifiers.semantic_calibration import SemanticCalibration
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Progress, VocabularySpace

if TYPE_CHECKING:
    import pandas

SETS = ("agnews", "carer", "mr", "mrpc", "sst5", "subj", "trec")
PAIRS = {"mrpc": "text_b"}
MAIN_METHODS = ("zero-shot", "icl-random", "knn-prompting", "semantic-calibration", "lda", "logistic", "posterior")
ABLATIONS = (
    "semantic-calibration",
    "semantic-calibration-similarity-matrix",
    "semantic-calibration-matrix-similarity",
    "semantic-calibration-gold",
)
PUBLISHED_MODEL = "GPT-2 small (117M), as published"
PUBLISHED = {
    "semantic-calibration": {"agnews": 0.918, "carer": 0.613, "mr": 0.810, "mrpc": 0.620, "sst5": 0.392, "subj": 0.914, "trec": 0.896},
}
PUBLISHED_MEANS = {"icl-random": 0.329, "knn-prompting": 0.639, "semantic-calibration": 0.745}
PUBLISHED_ABLATION = {
    "semantic-calibration": 0.781,
    "semantic-calibration-similarity-matrix": 0.782,
    "semantic-calibration-matrix-similarity": 0.783,
    "semantic-calibration-gold": 0.790,
}
PUBLISHED_RAND = {"agnews": (0.306, 0.798), "trec": (0.100, 0.767), "subj": (0.001, 0.684), "mrpc": (0.0, 0.114)}
PUBLISHED_NEIGHBOR = {"agnews": (0.704, 0.915)}


@dataclass(frozen=True, slots=True)
class Reproduction(Result):
    """The paper's tables, measured.

    Attributes
    ----------
    main : dict of str to dict of str to float
        Method, then set: accuracy on balanced test sets and macro-F1 on others, as the paper counts.
    ablation : dict of str to dict of str to float
        The same for the module's variants: logits of training and inference, and the gold-only objective.
    clusters : dict of str to dict of str to (float, float)
        Measure (``rand``, ``neighbor``), then set: before and after calibration, on test points.
    skipped : dict of str to str
        Sets that were not measured, and why.
    provenance : Provenance
    """

    main: dict[str, dict[str, float]]
    ablation: dict[str, dict[str, float]]
    clusters: dict[str, dict[str, tuple[float, float]]]
    skipped: dict[str, str]
    provenance: Provenance

    def summary(self) -> str:
        """The paper's method beside the others, on the mean of the sets."""
        means = {method: float(np.mean(list(found.values()))) for method, found in self.main.items() if found}
        listed = ", ".join(f"{method} {mean:.3f}" for method, mean in sorted(means.items(), key=lambda item: -item[1]))
        n_sets = max(map(len, self.main.values()), default=0)
        text = f"Mean over {n_sets} sets: {listed}."
        return f"{text} Left out: {', '.join(self.skipped)}." if self.skipped else text

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON, with the published figures beside."""
        return plain(
            {
                "main": self.main,
                "ablation": self.ablation,
                "clusters": self.clusters,
                "skipped": self.skipped,
                "published": {
                    "note": "figures of other models; compare differences between methods, not values",
                    "model": PUBLISHED_MODEL,
                    "main": PUBLISHED,
                    "means over eight sets": PUBLISHED_MEANS,
                    "ablation (Llama 3 8B, mean over eight sets)": PUBLISHED_ABLATION,
                    "rand": PUBLISHED_RAND,
                    "neighbor": PUBLISHED_NEIGHBOR,
                },
                "provenance": self.provenance.to_dict(),
            }
        )

    def to_frame(self) -> "pandas.DataFrame":
        """A row a table, method and set."""
        import pandas as pd

        rows = [
            {"table": table, "method": method, "set": name, "value": value}
            for table, methods in (("main", self.main), ("ablation", self.ablation))
            for method, found in methods.items()
            for name, value in found.items()
        ]
        return pd.DataFrame(rows, columns=["table", "method", "set", "value"])


def reproduce(
    space: VocabularySpace,
    folder: str | Path,
    *,
    sets: Sequence[str] = SETS,
    max_test: int | None = 500,
    cells: str | Path | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> Reproduction:
    """Measure the paper's tables with all training labels of every set.

    Parameters
    ----------
    space : VocabularySpace
        Frozen.
    folder : str or Path
        Holds ``SET/train.jsonl.gz`` and ``SET/test.jsonl.gz`` with `text` (and `text_b` in pairs) and `label`.
    sets : sequence of str
        Folders to read; one that is missing is skipped and named.
    max_test : int or None
        Most test texts of a set.
    cells : str or Path, optional
        Where finished cells are kept.
    seed : int
        Of demonstrations and calibration.
    progress : callable
        Wraps the iteration over cells.

    Returns
    -------
    Reproduction

    Raises
    ------
    DataError
        If no set is found.
    """
    main: dict[str, dict[str, float]] = {name: {} for name in MAIN_METHODS}
    ablation: dict[str, dict[str, float]] = {name: {} for name in ABLATIONS}
    clusters: dict[str, dict[str, tuple[float, float]]] = {"rand": {}, "neighbor": {}}
    skipped: dict[str, str] = {}
    methods = tuple(dict.fromkeys((*MAIN_METHODS, *ABLATIONS)))
    for name in sets:
        try:
            train, test = (read_table(Path(folder) / name / f"{part}.jsonl.gz", pair=PAIRS.get(name)) for part in ("train", "test"))
        except DataError as error:
            skipped[name] = str(error)
            continue
        test = part_of_table(test, max_test)
        result = compare(
            {"model": space},
            train,
            test,
            methods=methods,
            draws=Draws((ALL,), (seed,), max_test=None),
            folder=None if cells is None else Path(cells) / name,
            progress=progress,
        )
        measure = "accuracy" if is_balanced(result.truth) else "macro_f1"
        for cell in result.cells:
            for table in (main, ablation):
                if cell.method in table:
                    table[cell.method][name] = float(getattr(cell, measure))
        for kind, values in cluster_quality(space, train, test, seed=seed, folder=None if cells is None else Path(cells) / name).items():
            clusters[kind][name] = values
    if len(skipped) == len(sets):
        raise DataError(
            f"{folder} holds none of the sets {', '.join(sets)}. Expected {Path(folder) / sets[0] / 'train.jsonl.gz'} and the like."
        )
    return Reproduction(
        main, ablation, clusters, skipped, Provenance(space=space.fingerprint, seed=seed, parameters={"max_test": max_test})
    )


def is_balanced(truth: np.ndarray) -> bool:
    """Whether no class has 1.5 times the members of another."""
    counts = np.bincount(truth)
    return bool(counts.max() < 1.5 * counts[counts > 0].min())


def cluster_quality(
    space: VocabularySpace, train: Table, test: Table, *, seed: int, folder: str | Path | None = None
) -> dict[str, tuple[float, float]]:
    """How well test points fall into their classes, before and after calibration on the training texts.

    Parameters
    ----------
    space : VocabularySpace
    train, test : Table
    seed : int
        Of the calibration and of k-means.
    folder : str or Path, optional
        Where the points of a comparison and, here, the finished measures are kept.

    Returns
    -------
    dict
        ``rand``: adjusted Rand index of k-means with as many clusters as classes. ``neighbor``: accuracy of the nearest
        training point.
    """
    path = None if folder is None else Path(folder) / f"clusters-{_cluster_key(space, train, test, seed)}.json"
    if path is not None and path.is_file():
        return {kind: (before, after) for kind, (before, after) in json.loads(path.read_text(encoding="utf-8")).items()}
    labels, y, truth = label_numbers(train, test)
    encoded = EncodedTexts(reader_of(space, folder), [*train.texts, *test.texts])
    X, X_test = encoded.points[: len(y)], encoded.points[len(y) :]
    bases = VocabularyFrame(space).label_bases({label: [label] for label in labels})
    calibration = SemanticCalibration(bases, random_state=seed).fit(X, np.array(labels)[y])
    moved, moved_test = calibration.transform(X), calibration.transform(X_test)
    quality = {
        "rand": (_rand(X_test, truth, seed), _rand(moved_test, truth, seed)),
        "neighbor": (_nearest(X, y, X_test, truth), _nearest(moved, y, moved_test, truth)),
    }
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(json_text(quality), encoding="utf-8")
    return quality


def _cluster_key(space: VocabularySpace, train: Table, test: Table, seed: int) -> str:
    return hashlib.sha256(f"{space.fingerprint.digest} {content_digest(train, test)} {seed}".encode()).hexdigest()[:20]


def _rand(points: np.ndarray, truth: np.ndarray, seed: int) -> float:
    clusters = KMeans(len(np.unique(truth)), n_init=4, random_state=seed).fit_predict(points)
    return float(adjusted_rand_score(truth, clusters))


def _nearest(points: np.ndarray, y: np.ndarray, others: np.ndarray, truth: np.ndarray) -> float:
    return float(KNeighborsClassifier(1).fit(points, y).score(others, truth))
