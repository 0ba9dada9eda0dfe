"""Labeled texts to learn from and to test on, and one method measured on them: what `adapt` and `compare` share."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from lexframe.adaptation.advice import few_tests
from lexframe.adaptation.cells import Cell, Shots, measured
from lexframe.adaptation.cost import peak_memory
from lexframe.adaptation.draws import Draws, draw_labels, label_numbers, part_of_table, require_distinct, short_classes, without_duplicates
from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.adaptation.problem import TEXTS, Classifier, Method, Probabilities, Problem, Rows, View
from lexframe.adaptation.views import LabelWords
from lexframe.data.readers import Table
from lexframe.exceptions import InputError
from lexframe.latents.text_reader import Reading, TextReader
from lexframe.spaces.base import Progress, Space
from lexframe.typing import ModelName

RARE = 3
"""Texts of a class below which folds are left without one."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Texts whose labels are to be found.

    Attributes
    ----------
    train, test : Table
        Methods see labels of `train` alone.
    labels : tuple of str
        Sorted; class numbers index it.
    label_words : dict of str to list of str
        Words that stand for each label, in the order of `labels`.
    y, truth : ndarray of int, shape (n_train,) and (n_test,)
        Class numbers.
    notes : tuple of str
        What a reader should know of the tables.
    """

    train: Table
    test: Table
    labels: tuple[str, ...]
    label_words: dict[str, list[str]]
    y: Int[np.ndarray, " n_train"]
    truth: Int[np.ndarray, " n_test"]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, train: Table, test: Table, draws: Draws, label_words: Mapping[str, Sequence[str]] | None = None) -> "Task":
        """Check both tables against each other.

        Parameters
        ----------
        train, test : Table
        draws : Draws
            What will be drawn from them.
        label_words : mapping of str to sequence of str, optional
            Default: each label's own name.

        Raises
        ------
        DataError
            If there is only one class, or a test label that training lacks.
        InputError
            If labels share their words.
        """
        train, notes = without_duplicates(train, test, drop=draws.drop_duplicates)
        test = part_of_table(test, draws.max_test)
        labels, y, truth = label_numbers(train, test)
        words = {label: list(label_words[label]) if label_words else [label] for label in labels}
        require_distinct(words)
        return cls(
            train,
            test,
            labels,
            words,
            y,
            truth,
            (*few_tests(len(test)), *rare_classes(labels, y), *notes, *short_classes(labels, y, draws.shots)),
        )

    def encoded(self, reader: TextReader, *, progress: Progress = iter) -> EncodedTexts:
        """All texts with their points, those of training first."""
        return EncodedTexts(reader, [*self.train.texts, *self.test.texts], progress=progress)

    def view(self, name: str, reader: TextReader, words: LabelWords | None = None, *, progress: Progress = iter) -> View:
        """All texts as one model sees them.

        Parameters
        ----------
        name : str
            What people call the model.
        reader : TextReader
        words : mapping of str to sequence of str, optional
            For the labels in this model. Default: those of the task.
        progress : callable
            Wraps the iteration over batches.

        Raises
        ------
        InputError
            If a label has no word there.
        """
        lacking = [label for label in self.labels if not (words or self.label_words).get(label)]
        if lacking:
            raise InputError(f"The label {lacking[0]!r} has no words in {name}. Give one or more.", parameter="label_words")
        chosen = {label: list((words or self.label_words)[label]) for label in self.labels}
        require_distinct(chosen)
        return View(name, self.encoded(reader, progress=progress), chosen)

    @property
    def majority(self) -> int:
        """Class number of the most frequent label in training."""
        return int(np.bincount(self.y).argmax())

    @property
    def test_rows(self) -> Rows:
        """Where the test texts stand among the encoded ones."""
        return np.arange(len(self.train), len(self.train) + len(self.test))

    def problem(self, seen: EncodedTexts | Sequence[View], shots: Shots, seed: int, *, readout: str = "invariant") -> Problem:
        """One draw of labels.

        Parameters
        ----------
        seen : EncodedTexts or sequence of View
            From :meth:`encoded`, or what several models see, from :meth:`view`.
        shots : int or "all"
            Labels a class.
        seed : int
            Of the draw and of everything random inside a method.
        readout : {"invariant", "cosine"}
            Of the vocabulary frame.
        """
        rows = draw_labels(self.y, shots, seed)
        unlabeled = np.setdiff1d(np.arange(len(self.y)), rows)
        first, *others = [View("", seen, self.label_words)] if isinstance(seen, EncodedTexts) else seen
        return Problem(
            first.encoded,
            self.labels,
            first.label_words,
            rows,
            self.y[rows],
            unlabeled,
            seed,
            readout,
            name=first.name,
            others=tuple(others),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One method on one draw of labels.

    Attributes
    ----------
    cell : Cell
        What was measured.
    classifier : Classifier
    probabilities : ndarray of shape (n_test, n_labels)
    """

    cell: Cell
    classifier: Classifier
    probabilities: Probabilities


@contextmanager
def rare_classes_known() -> Iterator[None]:
    """Without scikit-learn's warnings about classes of few texts: a note of ours names the classes, once."""
    with warnings.catch_warnings():
        for begin in ("The least populated class", "The number of unique classes", "Only one sample available"):
            warnings.filterwarnings("ignore", message=begin, category=UserWarning)
        yield


def rare_classes(labels: Sequence[str], y: Rows) -> list[str]:
    """A note on classes of which cross-validation cannot hold out a text in every fold."""
    sizes = np.bincount(y, minlength=len(labels))
    rare = [f"{label} ({size})" for label, size in zip(labels, sizes, strict=True) if size < RARE]
    if not rare:
        return []
    more = f" and {len(rare) - 8} more" if len(rare) > 8 else ""
    return [f"Fewer than {RARE} texts in {', '.join(rare[:8])}{more}: choices by cross-validation are made on next to nothing there."]


def evaluate(method: Method, task: Task, problem: Problem, shots: Shots, *, model: str = "") -> Evaluation:
    """Fit a method on the labeled rows, and measure it on the test texts.

    Parameters
    ----------
    method : Method
    task : Task
    problem : Problem
        From :meth:`Task.problem`.
    shots : int or "all"
        Labels a class that were asked for.
    model : str
        Name of the space, for the cell.
    """
    problem = method.seen(problem)
    views = () if method.family == TEXTS else problem.views
    for view in views:  # neither reading texts nor the zero-shot scores are part of any method's time
        view.encoded.blocks()
        view.label_scores()
    if not views:
        _ = problem.encoded.ngrams
    with peak_memory() as memory:
        started = time.perf_counter()
        with rare_classes_known():
            classifier = method.fit(problem)
        fit_seconds = time.perf_counter() - started
    started = time.perf_counter()
    probabilities = classifier.predict_proba(task.test_rows)
    predict_seconds = (time.perf_counter() - started) * 1000 / len(task.test)
    cell = Cell(
        model=model,
        method=method.name,
        shots=shots,
        seed=problem.seed,
        n_labels=len(problem.rows),
        fit_seconds=fit_seconds,
        predict_seconds=predict_seconds,
        encode_seconds=sum((view.encoded.encode_seconds for view in views), 0.0),
        n_parameters=classifier.n_parameters,
        peak_memory_mb=memory[0],
        choices=classifier.choices,
        **measured(task.truth, probabilities),
    )
    return Evaluation(cell, classifier, probabilities)


def reader_of(
    space: Space | TextReader | ModelName, folder: str | Path | None = None, *, fit_on: Sequence[str] | None = None
) -> TextReader:
    """How a comparison reads texts with what it was given.

    Parameters
    ----------
    space : Space, str or TextReader
        A space alone, or the name of one, is read a third, two thirds and all the way up, beside its own points.
    folder : str or Path, optional
        Where points are kept, a store for every space and reading. A reader with a folder of its own keeps to that.
    fit_on : sequence of str, optional
        The texts of training, for a space that is fitted on texts.
    """
    if isinstance(space, TextReader):
        reader = space
    else:
        space = Space.of(space)
        reader = TextReader(space, Reading.thirds(space))
    if fit_on is not None:
        reader = reader.fitted_on(fit_on)
    if folder is None or reader.folder is not None:
        return reader
    place = Path(folder) / f"points-{reader.reading.digest(reader.space)}"
    return TextReader(reader.space, reader.reading, folder=place, batch_size=reader.batch_size)


def no_method(left_out: Mapping[str, str]) -> str:
    """What to say where every method was left out."""
    return "No method can work here: " + "; ".join(f"{name}: {why}" for name, why in left_out.items())
