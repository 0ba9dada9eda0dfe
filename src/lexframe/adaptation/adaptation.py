"""Adapting a frozen model to labeled texts: a comparison with one draw of all labels, whose winner is kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lexframe.adaptation.adaptation_result import AdaptationResult, MethodResult
from lexframe.adaptation.adapter import Adapter
from lexframe.adaptation.advice import NGRAMS
from lexframe.adaptation.cells import ALL
from lexframe.adaptation.draws import Draws, cut_texts, hold_out, shared_first_tokens
from lexframe.adaptation.fitted import SavableClassifier
from lexframe.adaptation.methods.registry import competing, make_methods
from lexframe.adaptation.metrics import macro_f1_estimate
from lexframe.adaptation.problem import Method, Problem, View
from lexframe.adaptation.results import MOVES
from lexframe.adaptation.task import Evaluation, Task, evaluate, no_method, rare_classes_known, reader_of
from lexframe.adaptation.views import LabelWords, Model, OnView, methods_on, models_by_name, require_words, words_of_models
from lexframe.data.in_memory import as_table
from lexframe.exceptions import DataError, InputError
from lexframe.instruments.frame.vocabulary_frame import LabelBases
from lexframe.intervals import mean_over_items, share_over_items
from lexframe.linalg import folds_by_class, metric_root
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress, Space, VocabularySpace

N_FOLDS = 3


def adapt(
    space: Model | Iterable[Model] | Mapping[str, Model],
    train: Any,
    test: Any = None,
    *,
    methods: str | Iterable[str | Method] = "default",
    label_words: LabelWords | Mapping[str, LabelWords] | None = None,
    readout: str = "invariant",
    seed: int = 0,
    progress: Progress = iter,
) -> tuple[AdaptationResult, Adapter | None]:
    """Fit every method on all labels, compare them on the same test texts, and keep the best.

    This is :func:`compare` with one draw of all labels. The best is chosen on held-out training labels, never on the test.

    Parameters
    ----------
    space : Space, str or TextReader, or several in a list or by name
        Frozen; the name of a model opens it. With a vocabulary the zero-shot methods and the label bases come from it; points are then
        what the head reads (see :meth:`VocabularySpace.head_input`). A reader says which layers and poolings methods over points may
        use; a space alone is read a third, two thirds and all the way up. Of several, posterior calibration reads all at once, and
        every method each of them alone; bases and map are of the first.
    train, test : Table, DataFrame, tuple or list
        Labeled texts, in whatever holds them: see :func:`lexframe.data.as_table`. Without `test` a fifth of `train`, drawn by
        class, is held out.
    methods : str or iterable of str or Method
        See :func:`lexframe.adaptation.methods.make_methods`. One that cannot work in the space is left out, with the reason.
    label_words : mapping of str to sequence of str, optional
        By label, or by model and label. Default: each label's own name.
    readout : {"invariant", "cosine"}
        Of the frame.
    seed : int
        Of the splits, the methods and the bootstrap.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    result : AdaptationResult
    adapter : Adapter or None
        The chosen method, fitted on all training labels, with its space; None where it has nothing that can be saved (see
        :func:`lexframe.adaptation.methods.require_savable`).

    Raises
    ------
    DataError
        If there is only one class, or a test label that training lacks.
    InputError
        If a method is unknown, none can work in the space, labels share their words, or a label has none in one of the models.
    """
    train, test = as_table(train), None if test is None else as_table(test, what="test")
    made, readers = make_methods(methods), {name: reader_of(one) for name, one in models_by_name(space).items()}
    able, left_out = methods_on(made, {name: reader.space for name, reader in readers.items()})
    words = words_of_models(label_words, list(readers))
    if not able:
        raise InputError(no_method(left_out))
    if test is None:
        train, test = hold_out(train, seed)
    task = Task.of(train, test, Draws((ALL,), (seed,), max_test=None), next(iter(words.values())))
    readers = {name: reader.fitted_on(task.train.texts) for name, reader in readers.items()}
    views = [task.view(name, reader, words[name], progress=progress) for name, reader in readers.items()]
    spaces = [view.encoded.space for view in views]
    if len(views) > 1:
        for view in views:
            require_words(view.name, view.encoded.space, view.label_words)
    model, encoded = spaces[0], views[0].encoded
    problem = task.problem(views, ALL, seed, readout=readout)
    bases = problem.label_bases() if isinstance(model, VocabularySpace) else None
    found: dict[str, Evaluation] = {}
    for method in progress(able):
        try:
            found[method.name] = evaluate(method, task, problem, ALL)
        except (DataError, InputError) as why:  # such as more labels than it was given texts: the others go on
            left_out[method.name] = str(why)
    able = [method for method in able if method.name in found]
    if not able:
        raise InputError(no_method(left_out))
    references = {
        **found,
        **{method.name: evaluate(method, task, problem, ALL) for method in make_methods(NGRAMS) if method.name not in found},
    }
    compared = _method_results(able, references, task.truth, seed)
    rivals = without_parts(competing(able))
    scores = {method.name: held_out_accuracy(method, problem) for method in rivals if method.learns}
    chosen = best_in_training(scores, rivals, len(problem.rows)) if scores else rivals[0].name
    points = encoded.points[task.test_rows]
    moves = found[MOVES].classifier if MOVES in found else None
    moved = moves.fitted().instrument.transform(points) if isinstance(moves, SavableClassifier) else points
    result = AdaptationResult(
        labels=task.labels,
        truth=task.truth,
        majority=task.majority,
        about=tuple(made if len(views) == 1 else able),
        views=tuple(readers),
        left_out=left_out,
        notes=tuple(dict.fromkeys((*task.notes, *(note for view in views for note in _notes(view))))),
        counts={
            "train": len(train),
            "test": len(test),
            "blank": train.n_blank + test.n_blank,
            "truncated": int(model.truncated(encoded.texts).sum()),
        },
        provenance=Provenance(
            space=model.fingerprint,
            seed=seed,
            parameters={
                "readout": readout,
                "methods": [method.name for method in able],
                "train": train.source,
                "test": test.source,
                **({"views": {view.name: view.encoded.space.fingerprint.to_dict() for view in views}} if len(views) > 1 else {}),
            },
        ),
        label_words=_word_facts(model, task.label_words),
        methods={name: compared[name] for name in found},
        chosen=chosen,
        chosen_accuracy_in_training=scores.get(chosen),
        test_texts=test.texts,
        points=_in_metric(points, bases),
        moved_points=_in_metric(moved, bases),
        bases=_in_metric(bases.vectors, bases) if bases else None,
        ngrams=max((compared[name] for name in NGRAMS), key=lambda result: result.accuracy.value),
    )
    classifier = found[chosen].classifier
    if not isinstance(classifier, SavableClassifier):
        return result, None
    return result, replace(Adapter.of(spaces, classifier.fitted()), facts={"verdict": result.verdict.to_dict()})


def without_parts(methods: Sequence[Method]) -> list[Method]:
    """Without those that read one of the models that the same method reads at once: it has weighed them already.

    Parameters
    ----------
    methods : sequence of Method
    """
    joint = {method.name for method in methods if method.reads_views}
    return [method for method in methods if not (isinstance(method, OnView) and method.method.name in joint)]


def best_in_training(scores: Mapping[str, float], methods: Sequence[Method], n_labels: int) -> str:
    """The best on held-out labels; one that reads all models where no other is better by more than a standard error.

    Parameters
    ----------
    scores : mapping of str to float
        Accuracy by method.
    methods : sequence of Method
    n_labels : int
        That were held out in turn.
    """
    best = max(scores, key=scores.__getitem__)
    if not any(isinstance(method, OnView) for method in methods):
        return best
    error = np.sqrt(scores[best] * (1 - scores[best]) / n_labels)
    joint = [method.name for method in methods if method.reads_views and method.name in scores]
    return next((name for name in joint if scores[name] >= scores[best] - error), best)


def held_out_accuracy(method: Method, problem: Problem) -> float:
    """Accuracy over three folds of the labeled rows; 0 where nothing can be held out, or no class has the labels that the method needs.

    A class with one label stays in training. Of methods that run or train the model for every draw one fold alone is held out.

    Parameters
    ----------
    method : Method
    problem : Problem
    """
    folds = folds_by_class(problem.y, N_FOLDS, seed=problem.seed)
    right = []
    for kept, held_out in folds if method.is_quick else folds[:1]:
        part = replace(problem, rows=problem.rows[kept], y=problem.y[kept])
        if np.bincount(part.y).max() < method.least_shots or len(kept) <= problem.n_labels * (method.least_shots - 1):
            return 0.0
        with rare_classes_known():
            predicted = method.fit(method.seen(part)).predict_proba(problem.rows[held_out]).argmax(axis=1)
        right.append(predicted == problem.y[held_out])
    return float(np.mean(np.concatenate(right))) if right else 0.0


def _method_results(methods: Sequence[Method], found: Mapping[str, Evaluation], truth: np.ndarray, seed: int) -> dict[str, MethodResult]:
    right = {name: (evaluation.cell.predicted == truth).astype(float) for name, evaluation in found.items()}
    controls = [method.name for method in methods if method.control] or list(found)
    control = max(controls, key=lambda name: right[name].mean())
    return {
        name: MethodResult(
            cell=evaluation.cell,
            accuracy=share_over_items(right[name], seed=seed),
            macro_f1=macro_f1_estimate(truth, evaluation.cell.predicted.astype(np.int64), seed=seed),
            difference=mean_over_items(right[name] - right[control], seed=seed),
            probabilities=evaluation.probabilities,
        )
        for name, evaluation in found.items()
    }


def _notes(view: View) -> list[str]:
    """What a reader should know of the texts as a model sees them."""
    space = view.encoded.space
    return [*shared_first_tokens(space, dict(view.label_words)), *cut_texts(space, view.encoded.texts)]


def _word_facts(space: Space, words: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(space, VocabularySpace):
        return {label: [] for label in words}
    return {label: [{"word": word, "n_tokens": len(space.word_ids(word))} for word in listed] for label, listed in words.items()}


def _in_metric(vectors: np.ndarray, bases: LabelBases | None) -> np.ndarray:
    """Coordinates in which the angles of the frame's inner product are plain angles."""
    return vectors if bases is None or bases.metric is None else vectors @ metric_root(bases.metric)
