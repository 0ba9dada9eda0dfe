"""Every way to adapt a frozen model, on the same labels and the same test texts, from no label to all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lexframe.adaptation.advice import NGRAMS, Advice, advise
from lexframe.adaptation.cells import Cell, CellStore, Shots
from lexframe.adaptation.draws import Draws, content_digest, cut_texts, shared_first_tokens, shots_order
from lexframe.adaptation.methods.registry import make_methods
from lexframe.adaptation.problem import TEXTS, Method, View
from lexframe.adaptation.results import MethodsResult
from lexframe.adaptation.task import Task, evaluate, no_method, reader_of
from lexframe.adaptation.views import LabelWords, Model, methods_on, models_by_name, require_words, together, words_of_models
from lexframe.data.in_memory import as_table
from lexframe.exceptions import DataError, InputError
from lexframe.intervals import Estimate, mean_over_draws, share_over_draws
from lexframe.provenance import Provenance
from lexframe.results import WithPage
from lexframe.spaces.base import Progress


@dataclass(frozen=True, slots=True)
class ComparisonResult(MethodsResult, WithPage):
    """Cells of one set, for one model or several; those of several that are read at once are a model of their own, ``a + b``.

    Attributes
    ----------
    labels : tuple of str
        Sorted; class numbers index it.
    truth : ndarray of int, shape (n_test,)
        Class numbers of the test texts.
    majority : int
        Class number of the most frequent label in training.
    about : tuple of Method
        The methods that were asked for: what each is.
    left_out : dict of str to str
        Methods that could not work here, and why.
    notes : tuple of str
        What a reader should know of the data: duplicates, short classes, texts that were cut.
    counts : dict
        Texts in training and in test, and labels of the rarest class.
    provenance : Provenance
    cells : tuple of Cell
        By model, method, shots and seed.
    references : tuple of Cell
        Those of n-grams without a model, fitted on the same draws whether they were asked for or not.
    """

    page: ClassVar[str] = "lexframe.adaptation.page:comparison_report"

    cells: tuple[Cell, ...]
    references: tuple[Cell, ...] = ()

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
        return share_over_draws(np.stack(list(self.right(model, method, shots).values())))

    def difference(self, model: str, method: str, other: str, shots: Shots) -> Estimate:
        """Accuracy of `method` minus that of `other`, paired over test texts and the seeds that both have."""
        ours, theirs = self.right(model, method, shots), self.right(model, other, shots)
        return mean_over_draws(np.stack([ours[seed] - theirs[seed] for seed in ours if seed in theirs]))

    def best(self, model: str, shots: Shots) -> str:
        """The method with the highest mean accuracy at that number of labels."""
        return max(self._present(model, shots), key=lambda method: float(np.mean(list(self.right(model, method, shots).values()))))

    def summary(self) -> str:
        """What to use at each number of labels, a line each: the cheapest method that the best one does not surely beat.

        Methods that fit within two seconds count as equally cheap, and the most accurate of them is named. "Surely" holds for all
        pairs of methods at once, and the accuracy is that of texts and draws which had no part in picking the method.
        """
        found = [self.recommendation(model, shots) for model in self.models for shots in self.shots if self._present(model, shots)]
        return "\n".join(one.sentence() if len(self.models) == 1 else f"{one.model}. {one.sentence()}" for one in found)

    def recommendation(self, model: str, shots: Shots) -> Advice:
        """What to use with a model and so many labels a class, and whether it is worth using."""
        offered = [method for method in self._present(model, shots) if method not in self.variants] or self._present(model, shots)
        right = {method: self.right(model, method, shots) for method in offered}
        seeds = [seed for seed in next(iter(right.values())) if all(seed in tables for tables in right.values())]
        cells: dict[str, dict[int, Cell]] = {}
        for cell in self.references:
            if (cell.model, cell.shots) == (model, shots):
                cells.setdefault(cell.method, {})[cell.seed] = cell
        ngrams = {
            name: np.stack([(found[seed].predicted == self.truth).astype(float) for seed in seeds])
            for name, found in cells.items()
            if seeds and all(seed in found for seed in seeds)
        }
        return advise(
            {method: np.stack([tables[seed] for seed in seeds]) for method, tables in right.items()},
            {method: self.fit_seconds(model, method, shots) for method in offered},
            self._controls(ngrams),
            model=model,
            shots=shots,
        )

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
        accuracies = [
            {"model": model, "method": method, "shots": shots, **self.accuracy(model, method, shots).to_dict()}
            for model in self.models
            for method in self.methods
            for shots in self.shots
            if self.select(model, method, shots)
        ]
        return {
            "summary": self.summary(),
            **self._shared(),
            "recommended": [self.recommendation(model, shots).to_dict() for model in self.models for shots in self.shots],
            "accuracy": accuracies,
            "cells": [cell.to_dict() for cell in self.cells],
        }

    def chart(self) -> Any:
        """Learning curves with bands, an Altair chart."""
        from lexframe.adaptation.charts import learning_curves

        return learning_curves(self)

    def _repr_html_(self) -> str:
        table = self.to_frame().pivot_table(index=["model", "method"], columns="shots", values="accuracy", sort=False)
        lines = "<br>".join(escape(line) for line in self.summary().splitlines())
        return f"<p>{lines}</p>{table.to_html(float_format='{:.3f}'.format)}"

    def right(self, model: str, method: str, shots: Shots) -> dict[int, np.ndarray]:
        """By seed, 1 for every test text that was classified rightly and 0 for the others."""
        return {cell.seed: (cell.predicted == self.truth).astype(float) for cell in self.select(model, method, shots)}


def compare(
    spaces: Mapping[str, Model] | Iterable[Model] | Model,
    train: Any,
    test: Any,
    *,
    methods: str | Iterable[str | Method] = "all",
    draws: Draws | None = None,
    label_words: LabelWords | Mapping[str, LabelWords] | None = None,
    folder: str | Path | None = None,
    progress: Progress = iter,
) -> ComparisonResult:
    """Fit every method on the same draws of labels and test it on the same texts.

    Parameters
    ----------
    spaces : mapping of str to Space, str or TextReader
        Frozen models by name; one alone goes by its own name, and a list of names is opened one by one. A reader says which layers
        and poolings methods over points may use; a space alone is read a third, two thirds and all the way up. Of several, methods
        that can read all at once do that too, under the name ``a + b``.
    train, test : Table, DataFrame, tuple or list
        Labeled texts, in whatever holds them: see :func:`lexframe.data.as_table`. Methods see the labels that were drawn, the
        other training texts without labels, and no test label.
    methods : str or iterable of str or Method
        See :func:`lexframe.adaptation.methods.make_methods`. One that cannot work in a space is left out there, with the reason.
    draws : Draws, optional
        How many labels, drawn how often, and how many test texts.
    label_words : mapping of str to sequence of str, optional
        By label, or by model and label. Default: each label's own name.
    folder : str or Path, optional
        Where points and finished cells are kept: a comparison that was stopped goes on there.
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
        If labels share their words, a label has none in one of the models, or no method can work.
    """
    train = as_table(train)
    test = as_table(test, what="test")
    made, draws = make_methods(methods), draws or Draws()
    given = models_by_name(spaces)
    words = words_of_models(label_words, list(given))
    task = Task.of(train, test, draws, next(iter(words.values())))
    run = _Run(task, draws, CellStore(folder), many=len(given) > 1)
    notes, views = [*task.notes], list[View]()
    for name, one in given.items():
        view = task.view(name, reader_of(one, folder, fit_on=task.train.texts), words[name])
        notes += shared_first_tokens(view.encoded.space, dict(view.label_words))
        able, reasons = methods_on(made, {name: view.encoded.space})
        run.leave_out(name, reasons)
        run.measure(name, (view,), able, progress=progress)
        notes += cut_texts(view.encoded.space, view.encoded.texts)
        views.append(view)
    joint = [method for method in made if method.reads_views]
    if len(views) > 1 and joint:
        for view in views:
            require_words(view.name, view.encoded.space, view.label_words)
        run.measure(together(given), tuple(views), joint, progress=progress)
    if not run.cells:
        raise InputError(no_method(run.left_out))
    order = {method.name: number for number, method in enumerate(made)}
    models = [*given, together(given)]
    cells = sorted(run.cells, key=lambda cell: (models.index(cell.model), order[cell.method], shots_order(cell.shots), cell.seed))
    return ComparisonResult(
        labels=task.labels,
        truth=task.truth,
        majority=task.majority,
        about=tuple(made),
        left_out=run.left_out,
        notes=tuple(dict.fromkeys(notes)),
        counts={"train": len(task.train), "test": len(task.test), "rarest class": int(np.bincount(task.y).min())},
        provenance=Provenance(
            space=views[0].encoded.space.fingerprint,
            parameters={
                "train": train.source,
                "test": test.source,
                "shots": list(draws.shots),
                "seeds": list(draws.seeds),
                "max_test": draws.max_test,
            },
        ),
        cells=tuple(cells),
        references=tuple(run.references),
    )


@dataclass
class _Run:
    """Cells as they are computed, or found in the store."""

    task: Task
    draws: Draws
    store: CellStore
    many: bool
    cells: list[Cell] = field(default_factory=list)
    references: list[Cell] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, model: str, reasons: Mapping[str, str]) -> None:
        """Keep why methods are left out, the first reason of each."""
        for method, why in reasons.items():
            self.left_out.setdefault(f"{method} ({model})" if self.many else method, why)

    def measure(self, model: str, views: Sequence[View], methods: Sequence[Method], *, progress: Progress) -> None:
        """All draws of all methods in one model, or in several that are read at once; n-grams, which ask none, on every draw."""
        task, asked = self.task, {method.name for method in methods}
        unasked = [method for method in make_methods(NGRAMS) if method.name not in asked]
        jobs = [(m, shots, seed) for shots, seed in self.draws.each() for m in (*methods, *unasked) if shots_order(shots) >= m.least_shots]
        data = content_digest(task.train, task.test)
        known = [cell for cell in self.references if cell.model != model]
        for method, shots, seed in progress(jobs):
            basis = {"data": data} if method.family == TEXTS else {**_basis(views), "data": data}
            key = {**basis, "method": method.key(), "shots": shots, "seed": seed}
            cell = self.store.get(key)
            if cell is None and method.family == TEXTS:  # no model makes a difference to it
                cell = next((kept for kept in known if (kept.method, kept.shots, kept.seed) == (method.name, shots, seed)), None)
            if cell is None:
                try:
                    cell = evaluate(method, task, task.problem(views, shots, seed), shots, model=model).cell
                except (DataError, InputError) as why:  # such as more labels than it was given texts: the others go on
                    self.leave_out(model, {method.name: str(why)})
                    continue
                self.store.put(key, cell)
            cell = replace(cell, model=model)  # the same model may have had another name when the cell was kept
            if method not in unasked:
                self.cells.append(cell)
            if method.name in NGRAMS:
                self.references.append(cell)


def _basis(views: Sequence[View]) -> dict[str, Any]:
    """What decides a cell, beside the data, the method and the draw."""
    found = [
        {
            "space": view.encoded.space.fingerprint.digest,
            "words": {label: list(words) for label, words in view.label_words.items()},
            "representations": list(view.encoded.block_names),
        }
        for view in views
    ]
    return found[0] if len(found) == 1 else {"views": found}
