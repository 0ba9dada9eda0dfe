"""A whole run: projection, obedience, training, scores on the same rows as plain methods; every call kept, so that it can go on."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.exceptions import InputError, LexframeError
from lexframe.provenance import Provenance
from lexframe.text_forms import counted
from lexframe.verbal.baselines import Score, baselines, cross_validated, posterior_score, score_predicted
from lexframe.verbal.clients.base import Client, ClientError
from lexframe.verbal.clients.kept import NAME, CallLog, KeptClient
from lexframe.verbal.clients.metered import Budget, BudgetSpentError, MeteredClient, Spent
from lexframe.verbal.history import Step
from lexframe.verbal.obedience import LEAST_ROWS, Obedience, measure_obedience, stated_labels
from lexframe.verbal.projection import Beside, Projection, project
from lexframe.verbal.rows import Rows
from lexframe.verbal.run import VerbalRun
from lexframe.verbal.settings import Settings
from lexframe.verbal.task import Sample, Task, label_targets, number_targets
from lexframe.verbal.training import train

MOST_LABELS = 100


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told what, while a run goes on.

    Attributes
    ----------
    projected : callable
        With the projection, before the first call.
    obeyed : callable
        With the obedience, before training.
    stepped : callable
        With every step.
    """

    projected: Callable[[Projection], None] = field(default=lambda projection: None)
    obeyed: Callable[[Obedience], None] = field(default=lambda measured: None)
    stepped: Callable[[Step], None] = field(default=lambda step: None)


@dataclass(frozen=True, slots=True)
class Checks:
    """What is measured beside training.

    Attributes
    ----------
    obedience_rows : int
        Rows on which obedience is measured first, three calls each; 0 leaves it out.
    stated : str
        A text that says which rows have which label, for obedience on the labels themselves; empty for one on inputs alone.
    space : Space or None
        Whose points posterior calibration is fitted on, as a baseline for texts.
    """

    obedience_rows: int = 24
    stated: str = ""
    space: Any = None


def regression_sample(rows: Any, targets: Any, *, names: Any = None) -> Sample:
    """Rows with numbers as targets, checked.

    Parameters
    ----------
    rows : Rows or array-like
        See :meth:`~lexframe.verbal.rows.Rows.of`.
    targets : array-like of shape (n_rows,)
    names : sequence of str, optional
        Of the columns, where they have none.

    Raises
    ------
    InputError
        If there are fewer than two rows, all targets are the same, or a value cannot be used.
    """
    given = Rows.of(rows, names)
    sample = Sample(given, number_targets(targets, len(given)))
    _require_rows(sample)
    if np.ptp(sample.targets) == 0:
        raise InputError(f"Every target is {sample.targets[0]:g}: there is nothing to learn. Give rows whose targets differ.")
    return sample


def classification_sample(rows: Any, targets: Any, *, names: Any = None) -> Sample:
    """Rows with labels as targets, checked.

    Parameters
    ----------
    rows : Rows or array-like
        See :meth:`~lexframe.verbal.rows.Rows.of`.
    targets : array-like of shape (n_rows,)
        Whatever the labels are; they are kept as texts.
    names : sequence of str, optional
        Of the columns, where they have none.

    Raises
    ------
    InputError
        If there are fewer than two rows or labels, too many labels, or a label is empty or missing.
    """
    given = Rows.of(rows, names)
    sample = Sample(given, label_targets(targets, len(given)))
    _require_rows(sample)
    labels = sorted(set(sample.targets.tolist()))
    if len(labels) < 2:
        raise InputError(f"Every row has the label {labels[0]!r}: there is nothing to learn. Give rows of two classes or more.")
    if len(labels) > MOST_LABELS:
        raise InputError(f"There are {len(labels)} labels; a prompt can list at most {MOST_LABELS}. Numbers are for VerbalRegressor.")
    if "" in (label.strip() for label in labels):
        raise InputError("A label is empty. Give it a name, or leave its rows out.")
    return sample


def task_of(
    sample: Sample, *, is_regression: bool, target: str = "y", prior: str = "", kind: str = "program", digits: int | None = 4
) -> Task:
    """The task of some rows.

    Parameters
    ----------
    sample : Sample
    is_regression : bool
    target : str
        Name of what is predicted.
    prior : str
        What the first parameters say.
    kind : {"sentences", "program", "examples"}
    digits : int or None
        Significant ones of numbers in prompts.
    """
    labels = () if is_regression else tuple(sorted(set(sample.targets.tolist())))
    texts = tuple(name for name, column in sample.rows.columns.items() if column.dtype == object)
    return Task(sample.rows.names, target, labels, texts, prior, kind, digits)


def fit(
    client: Client | None,
    task: Task,
    sample: Sample,
    settings: Settings | None = None,
    *,
    test: Sample | None = None,
    folder: str | os.PathLike[str] | None = None,
    checks: Checks | None = None,
    watching: Watching | None = None,
) -> VerbalRun:
    """Train parameters that are text, and say what they are worth.

    Parameters
    ----------
    client : Client or None
        Who answers; None goes by what the folder holds alone, and makes no call.
    task : Task
    sample : Sample
        The training rows.
    settings : Settings, optional
    test : Sample, optional
        Rows for the scores; no prompt of training holds anything of them. Default: the rows that proposals were judged on, whose score is
        too good, since the text was chosen on them.
    folder : str or PathLike, optional
        Where every call is kept as soon as it is answered: a run that was killed goes on from there, and the same run again makes no call.
    checks : Checks, optional
    watching : Watching, optional

    Returns
    -------
    VerbalRun
        Also saved in the folder.

    Raises
    ------
    InputError
        If test rows have labels that training rows lack, or a text is longer than the model takes.
    ClientError
        If the client gives no answer. What was answered is kept.
    """
    settings, checks, watching = settings or Settings(), checks or Checks(), watching or Watching()
    if test is not None:
        test = Sample(sample.rows.like(test.rows), test.targets)
        _require_known(task, test)
    with CallLog(None if folder is None else Path(folder) / NAME) as log:
        kept = KeptClient(client, log) if client is not None else _nobody(_kept_run(folder), log, ClientError)
        metered = MeteredClient(kept, settings.budget, settings.price)
        return _run(metered, task, sample, settings, test=test, folder=folder, checks=checks, watching=watching)


def _run(
    client: MeteredClient,
    task: Task,
    sample: Sample,
    settings: Settings,
    *,
    test: Sample | None,
    folder: str | os.PathLike[str] | None,
    checks: Checks,
    watching: Watching | None,
    until: int | None = None,
) -> VerbalRun:
    """The run; `until` is the number of calls at whose end training ends in a replay."""
    notes = _notes_on(sample)
    if watching is not None:  # a replay costs nothing
        beside = Beside(_obedience_rows(checks, sample), test)
        projection = project(client, task, sample, settings, beside=beside)
        watching.projected(projection)
        notes += [projection.warning] if projection.warning else []
    watching = watching or Watching()
    measured = _measured_obedience(client, task, sample, settings, checks, notes)
    if measured is not None:
        watching.obeyed(measured)
    if until is not None:  # a replay ends where the budget ended the run, though more may be kept
        client.budget = Budget(calls=max(until, 1))
    trained = train(client, task, sample, settings, watch=watching.stepped)
    training_calls = client.spent.calls
    if until is not None:
        client.budget = Budget()
    tested = test if test is not None else sample.take(trained.held_out)
    if test is None:
        notes.append("There were no test rows: scores are of the rows that proposals were judged on, so the model's own is too good.")
    found: Score | None = None
    try:
        predicted = trained.learner.predict(trained.parameters, tested.rows)
        found = score_predicted("verbal", task, predicted, tested.targets)
        if not predicted.answered.all():
            notes.append(f"{counted(int((~predicted.answered).sum()), 'row')} of {len(tested)} had no answer; a stand-in was scored.")
    except BudgetSpentError:
        notes.append("The budget ended before the model could be scored.")
    learned = sample if test is not None else sample.take(np.setdiff1d(np.arange(len(sample)), trained.held_out))
    if len(learned):
        plain = baselines(task, learned, tested, seed=settings.seed)
        if checks.space is not None and task.reads_text:
            try:
                plain.append(posterior_score(checks.space, task, learned, tested, seed=settings.seed))
            except LexframeError as error:  # a run that was paid for is not lost over a yardstick
                notes.append(f"Posterior calibration could not be fitted: {error}")
    else:
        plain = cross_validated(task, sample, seed=settings.seed)
        notes.append("Proposals were judged on all rows; plain methods were fitted on four fifths of them and scored on the rest.")
    run = VerbalRun(
        task=task, settings=settings, sample=sample, test=test, parameters=trained.parameters, loss=trained.loss, first=trained.first,
        steps=trained.steps, ended=trained.ended, held_out=trained.held_out, failures=trained.failures,
        centers={digest: center for digest, center in trained.learner.centers.items() if digest == trained.parameters.digest},
        score=found, baselines=tuple(plain), obedience=measured,
        spent={"all": client.spent, **{name: client.by_purpose.get(name, Spent()) for name in sorted(client.by_purpose)}},
        client=client.identity, notes=tuple(notes),
        provenance=Provenance(seed=settings.seed, parameters=_asked(client, checks, training_calls)),
    )  # fmt: skip
    if folder is not None:
        run.save(folder)
    return run


def _measured_obedience(
    client: MeteredClient, task: Task, sample: Sample, settings: Settings, checks: Checks, notes: list[str]
) -> Obedience | None:
    """Obedience on some training rows; None with a note where it cannot be measured."""
    if not checks.obedience_rows:
        return None
    if len(sample) < LEAST_ROWS:
        notes.append(f"Obedience was not measured: {counted(len(sample), 'row')}, fewer than {LEAST_ROWS}.")
        return None
    order = np.random.default_rng([settings.seed, 3]).permutation(len(sample))
    rows = sample.take(np.sort(order[: _obedience_rows(checks, sample)]))
    try:
        stated = stated_labels(task, checks.stated, rows) if checks.stated else None
        return measure_obedience(client, task, rows.rows, reading=replace(settings.reading, explains=False), stated=stated)
    except BudgetSpentError:
        notes.append("The budget ended before obedience was measured.")
    except InputError as error:
        if checks.stated:
            raise
        notes.append(f"Obedience was not measured: {error}")
    return None


def _obedience_rows(checks: Checks, sample: Sample) -> int:
    """Rows that obedience is measured on; 0 where it is not."""
    if not checks.obedience_rows or len(sample) < LEAST_ROWS:
        return 0
    return min(max(checks.obedience_rows, LEAST_ROWS), len(sample))


def _notes_on(sample: Sample) -> list[str]:
    """What is odd about the rows, though they can be used."""
    notes = []
    if sample.rows.n_odd:
        notes.append(
            f"{counted(sample.rows.n_odd, 'row')} held text that reads like an instruction to a model. It was given as data, on one line."
        )
    return notes


def _require_rows(sample: Sample) -> None:
    if len(sample) < 2:
        what = counted(len(sample), "sample")
        raise InputError(f"There {'is' if len(sample) == 1 else 'are'} {what}; training needs two rows or more, and some ten to judge on.")


def _require_known(task: Task, test: Sample) -> None:
    if not len(test):
        raise InputError("There are no test rows. Leave the test out, or give some.")
    unknown = Counter(label for label in test.targets.tolist() if label not in task.labels) if task.labels else Counter()
    if unknown:
        raise InputError(f"The test rows have the label {next(iter(unknown))!r}, which no training row has. Leave these rows out.")


def _kept_run(folder: str | os.PathLike[str] | None) -> VerbalRun:
    """A finished run, which says who answered and how it was asked."""
    if folder is None:
        raise ClientError("There is no client, and no folder with kept answers. Give one of them.")
    return VerbalRun.load(folder)


def _nobody(run: VerbalRun, log: CallLog, missing: type[LexframeError]) -> KeptClient:
    """The client of a run without the client: what is kept, asked as it was asked."""
    kept = KeptClient(None, log, identity=run.client, missing=missing)
    kept.scores, kept.constrains = bool(run.provenance.parameters["scores"]), bool(run.provenance.parameters["constrains"])
    return kept


def replay(folder: str | os.PathLike[str]) -> tuple[VerbalRun, VerbalRun]:
    """Run a finished run again from what its folder holds; no call is made.

    Parameters
    ----------
    folder : str or PathLike
        Of the run.

    Returns
    -------
    kept, again : VerbalRun
        The run as it is kept, and as it comes out again.

    Raises
    ------
    DataError
        If the folder holds no finished run.
    ClientError
        If an answer is missing.
    """
    run = VerbalRun.load(folder)
    asked = run.provenance.parameters
    missing = BudgetSpentError if run.settings.budget.is_limited else ClientError
    kept = _nobody(run, CallLog(Path(folder) / NAME, writable=False), missing)
    checks = Checks(obedience_rows=asked["obedience_rows"], stated=asked["stated"])
    until = asked["training_calls"] if run.settings.budget.is_limited else None
    return run, _run(
        MeteredClient(kept, Budget(), run.settings.price), run.task, run.sample, run.settings,
        test=run.test, folder=None, checks=checks, watching=None, until=until,
    )  # fmt: skip


def _asked(client: Client, checks: Checks, training_calls: int) -> dict[str, Any]:
    """What decides the requests of a run, beside its settings, and how many calls had been made when training ended."""
    return {
        "scores": client.scores, "constrains": client.constrains, "obedience_rows": checks.obedience_rows, "stated": checks.stated,
        "training_calls": training_calls,
    }  # fmt: skip


def scored_sample(task: Task, sample: Sample, rows: Any, targets: Any) -> Sample:
    """Rows for scores, with the columns of the training rows: one is enough, and all may be alike.

    Parameters
    ----------
    task : Task
    sample : Sample
        The training rows.
    rows : Rows or array-like
    targets : array-like of shape (n_rows,)

    Raises
    ------
    InputError
        If a column or a value is missing, or there is no row.
    """
    given = sample.rows.like(rows)
    if not len(given):
        raise InputError("There are no test rows. Leave the test out, or give some.")
    return Sample(given, (number_targets if task.is_regression else label_targets)(targets, len(given)))
