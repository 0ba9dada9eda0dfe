"""Every way to adapt a frozen model, on the same labels and the same test texts, from no label to all of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.adaptation.cells import ALL, Cell, CellStore, Shots, measured
from lexframe.adaptation.cost import peak_memory
from lexframe.adaptation.draws import (
    class_numbers,
    content_digest,
    cut_texts,
    draw_labels,
    part_of_table,
    require_distinct,
    shared_first_tokens,
    short_classes,
    without_duplicates,
)
from lexframe.adaptation.problem import EncodedTexts, Method, Problem, default_representations
from lexframe.data.readers import Table
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress, Representation, Space

SHOTS: tuple[Shots, ...] = (0, 1, 4, 16, 64, 256, ALL)
MAX_TEST = 500
QUICK_SECONDS = 2.0
"""Fits that are shorter differ in nothing that a person would notice."""


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """Cells of one set, for one model or several.

    Attributes
    ----------
    labels : tuple of str
    cells : tuple of Cell
        By model, method, shots and seed.
    truth : ndarray of int, shape (n_test,)
    descriptions, families : dict of str to str
        Of the methods: half a sentence, and what each works on.
    variants : tuple of str
        Methods that show what a part of another adds, and are not advised.
    left_out : dict of str to str
        Methods that could not work here, and why.
    notes : tuple of str
        What a reader should know of the data: duplicates, short classes, texts that were cut.
    counts : dict
        Texts in training and test, and labels of the rarest class.
    provenance : Provenance
    """

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    truth: np.ndarray
    descriptions: dict[str, str]
    families: dict[str, str]
    variants: tuple[str, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    counts: dict[str, int]
    provenance: Provenance

    @property
    def chance(self) -> float:
        """Accuracy of always giving the most frequent test label."""
        return float(np.bincount(self.truth).max() / len(self.truth))

    @property
    def models(self) -> tuple[str, ...]:
        """Models, in the order in which they were given."""
        return tuple(dict.fromkeys(cell.model for cell in self.cells))

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that have a cell."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def shots(self) -> tuple[Shots, ...]:
        """Numbers of labels a class, rising."""
        return tuple(sorted({cell.shots for cell in self.cells}, key=shots_order))

    def select(self, model: str, method: str, shots: Shots) -> list[Cell]:
        """The cells of all seeds."""
        return [cell for cell in self.cells if (cell.model, cell.method, cell.shots) == (model, method, shots)]

    def accuracy(self, model: str, method: str, shots: Shots) -> Estimate:
        """Mean over seeds, with a 95% bootstrap interval over seeds and test texts."""
        return bootstrap_mean(np.stack(list(self.right(model, method, shots).values())))

    def difference(self, model: str, method: str, other: str, shots: Shots) -> Estimate:
        """Accuracy of `method` minus that of `other`, paired over test texts and the seeds that both have."""
        ours, theirs = self.right(model, method, shots), self.right(model, other, shots)
        return bootstrap_mean(np.stack([ours[seed] - theirs[seed] for seed in ours if seed in theirs]))

    def best(self, model: str, shots: Shots) -> str:
        """The method with the highest mean accuracy at that number of labels."""
        return max(self._present(model, shots), key=lambda method: float(np.mean(list(self.right(model, method, shots).values()))))

    def advice(self) -> list[str]:
        """What to use at each number of labels: the cheapest method that the best one does not surely beat.

        Methods that fit within two seconds count as equally cheap, and the most accurate of them is named.
        """
        return [self._advice(model, shots) for model in self.models for shots in self.shots]

    def _advice(self, model: str, shots: Shots) -> str:
        offered = [method for method in self._present(model, shots) if method not in self.variants] or self._present(model, shots)
        accuracies = {method: self.accuracy(model, method, shots).value for method in offered}
        best = max(offered, key=accuracies.__getitem__)
        equal = [method for method in offered if method == best or self.difference(model, best, method, shots).low <= 0]
        pick = min(equal, key=lambda method: (max(self.fit_seconds(model, method, shots), QUICK_SECONDS), -accuracies[method]))
        accuracy = self.accuracy(model, pick, shots)
        labels = {0: "Without labels", ALL: "With all labels"}.get(shots, f"With {shots} label{'s' if shots != 1 else ''} a class")
        text = f"{labels}: {pick}, {accuracy.value:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}]"
        if pick != best:
            gap = self.difference(model, best, pick, shots)
            text += f"; {best} is {gap.value:.1%} higher [{gap.low:.1%}, {gap.high:.1%}], which may be chance, and takes longer to fit"
        return f"{text}." if len(self.models) == 1 else f"{model}. {text}."

    def fit_seconds(self, model: str, method: str, shots: Shots) -> float:
        """Mean over seeds of the time to fit, on encoded texts."""
        return float(np.mean([cell.fit_seconds for cell in self.select(model, method, shots)]))

    def _present(self, model: str, shots: Shots) -> list[str]:
        return [method for method in self.methods if self.select(model, method, shots)]

    def to_frame(self) -> Any:
        """The tidy table: a row a cell."""
        import pandas as pd

        return pd.DataFrame([cell.to_dict() for cell in self.cells])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        summary = [
            {"model": model, "method": method, "shots": shots, **self.accuracy(model, method, shots).to_dict()}
            for model in self.models
            for method in self.methods
            for shots in self.shots
            if self.select(model, method, shots)
        ]
        return {
            "advice": self.advice(),
            "labels": list(self.labels),
            "chance": self.chance,
            "counts": self.counts,
            "notes": list(self.notes),
            "left_out": self.left_out,
            "accuracy": summary,
            "cells": [cell.to_dict() for cell in self.cells],
            "provenance": self.provenance.to_dict(),
        }

    def chart(self) -> Any:
        """Learning curves with bands, an Altair chart."""
        from lexframe.adaptation.charts import learning_curves

        return learning_curves(self)

    def _repr_html_(self) -> str:
        table = self.to_frame().pivot_table(index=["model", "method"], columns="shots", values="accuracy", sort=False)
        return str(table.to_html(float_format="{:.3f}".format))

    def right(self, model: str, method: str, shots: Shots) -> dict[int, np.ndarray]:
        """By seed, 1 for every test text that was classified rightly and 0 for the others."""
        return {cell.seed: (cell.predicted == self.truth).astype(float) for cell in self.select(model, method, shots)}


def draws(shots: Shots, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds that give different draws: one where all labels are taken."""
    return seeds[:1] if shots == ALL else seeds


def shots_order(shots: Shots) -> float:
    """For sorting: ``all`` comes last."""
    return float("inf") if shots == ALL else float(shots)


def bootstrap_mean(values: np.ndarray, *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
    """Mean of values by seed and text, with a percentile interval over resampled seeds and texts.

    Parameters
    ----------
    values : ndarray of shape (n_seeds, n_texts)
        1 where a text was classified rightly, or a difference of two such tables.
    n_resamples, seed : int
        Of the bootstrap. Equal seeds draw equal items, so comparisons on one test set are paired.
    """
    rng = np.random.default_rng(seed)
    n_seeds, n_texts = values.shape
    means = np.empty(n_resamples)
    for number in range(n_resamples):
        over_seeds = values[rng.integers(0, n_seeds, n_seeds)].mean(axis=0)
        means[number] = over_seeds[rng.integers(0, n_texts, n_texts)].mean()
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def compare(
    spaces: Mapping[str, Space],
    train: Table,
    test: Table,
    *,
    methods: Sequence[Method],
    shots: Sequence[Shots] = SHOTS,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    label_words: Mapping[str, Sequence[str]] | None = None,
    representations: Sequence[Representation] | None = None,
    max_test: int | None = MAX_TEST,
    drop_duplicates: bool = False,
    folder: str | Path | None = None,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> ComparisonResult:
    """Fit every method on the same draws of labels and test it on the same texts.

    Parameters
    ----------
    spaces : mapping of str to Space
        Frozen models by name.
    train, test : Table
        Labeled texts. Methods see the labels that were drawn, the other training texts without labels, and no test label.
    methods : sequence of Method
        See :func:`lexframe.adaptation.methods.make_methods`. One that cannot work in a space is left out there, with the reason.
    shots : sequence of int or "all"
        Labels a class. A class with fewer gives what it has.
    seeds : sequence of int
        A draw of labels each; with all labels there is one draw, and the first seed alone is used.
    label_words : mapping of str to sequence of str, optional
        Default: each label's own name.
    representations : sequence of Representation, optional
        Layers and poolings that methods over points may use. Default: :func:`~lexframe.adaptation.problem.default_representations`.
    max_test : int or None
        Most test texts, drawn by class with a fixed seed; prompts are costly. None takes all.
    drop_duplicates : bool
        Leave out training texts that stand in the test as well; they are counted and named in any case.
    folder : str or Path, optional
        Where points and finished cells are kept: a comparison that was stopped goes on there.
    batch_size : int, optional
        Texts in one forward pass.
    progress : callable
        Wraps the iteration over cells.

    Returns
    -------
    ComparisonResult

    Raises
    ------
    DataError
        If there is only one class, or a test label that training lacks.
    InputError
        If labels share their words, or no method can work.
    """
    train, notes = without_duplicates(train, test, drop=drop_duplicates)
    test = part_of_table(test, max_test)
    labels, y, truth = class_numbers(train, test)
    words = {label: list(label_words[label]) if label_words else [label] for label in labels}
    require_distinct(words)
    notes += short_classes(labels, y, shots)
    cells: list[Cell] = []
    left_out: dict[str, str] = {}
    store = CellStore(folder)
    for name, space in spaces.items():
        notes += shared_first_tokens(space, words)
        usable, reasons = _usable(methods, space)
        left_out |= reasons if len(spaces) == 1 else {f"{method} ({name})": why for method, why in reasons.items()}
        wanted = representations if representations is not None else default_representations(space)
        encoded = EncodedTexts(space, [*train.texts, *test.texts], representations=wanted, batch_size=batch_size, folder=folder)
        notes += cut_texts(space, encoded.texts)
        jobs = [(method, n, seed) for n in shots for seed in draws(n, seeds) for method in usable if shots_order(n) >= method.least_shots]
        basis = {
            "space": space.fingerprint.digest,
            "data": content_digest(train, test),
            "words": words,
            "representations": [str(r) for r in wanted],
        }
        for method, n, seed in progress(jobs):
            key = {**basis, "method": method.key(), "shots": n, "seed": seed}
            cell = store.get(key)
            if cell is None:
                cell = _cell(name, method, encoded, labels, words, y, truth, n, seed)
                store.put(key, cell)
            cells.append(replace(cell, model=name))  # the same model may have had another name when the cell was kept
    if not cells:
        raise InputError("No method can work here: " + "; ".join(f"{method}: {why}" for method, why in left_out.items()))
    order = {method.name: number for number, method in enumerate(methods)}
    models = list(spaces)
    cells.sort(key=lambda cell: (models.index(cell.model), order[cell.method], shots_order(cell.shots), cell.seed))
    return ComparisonResult(
        labels=labels,
        cells=tuple(cells),
        truth=truth,
        descriptions={method.name: method.description for method in methods},
        families={method.name: method.family for method in methods},
        variants=tuple(method.name for method in methods if method.variant),
        left_out=left_out,
        notes=tuple(notes),
        counts={"train": len(train), "test": len(test), "rarest class": int(np.bincount(y).min())},
        provenance=Provenance(
            space=next(iter(spaces.values())).fingerprint,
            parameters={"train": train.source, "test": test.source, "shots": list(shots), "seeds": list(seeds), "max_test": max_test},
        ),
    )


def _cell(
    name: str,
    method: Method,
    encoded: EncodedTexts,
    labels: tuple[str, ...],
    words: Mapping[str, Sequence[str]],
    y: np.ndarray,
    truth: np.ndarray,
    shots: Shots,
    seed: int,
) -> Cell:
    rows = draw_labels(y, shots, seed)
    problem = Problem(
        encoded=encoded,
        labels=labels,
        label_words=words,
        rows=rows,
        y=y[rows],
        unlabeled=np.setdiff1d(np.arange(len(y)), rows),
        seed=seed,
    )
    test_rows = np.arange(len(y), len(encoded))
    encoded.blocks()  # neither encoding nor the zero-shot scores are part of any method's time
    encoded.label_scores(problem.words())
    with peak_memory() as memory:
        started = time.perf_counter()
        classifier = method.fit(problem)
        fit_seconds = time.perf_counter() - started
    started = time.perf_counter()
    probabilities = classifier.predict_proba(test_rows)
    predict_seconds = (time.perf_counter() - started) * 1000 / len(test_rows)
    return Cell(
        model=name,
        method=method.name,
        shots=shots,
        seed=seed,
        n_labels=len(rows),
        fit_seconds=fit_seconds,
        predict_seconds=predict_seconds,
        encode_seconds=encoded.encode_seconds,
        n_parameters=classifier.n_parameters,
        peak_memory_mb=memory[0],
        choices=classifier.choices,
        **measured(truth, probabilities),
    )


def _usable(methods: Sequence[Method], space: Space) -> tuple[list[Method], dict[str, str]]:
    reasons = {method.name: why for method in methods if (why := method.obstacle(space)) is not None}
    return [method for method in methods if method.name not in reasons], reasons
