"""The page of a run: what it is worth, the text that came out, and every step that led to it."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lexframe.drawing.marked_text import readable, shown_text
from lexframe.drawing.page import as_json, svg, write_page
from lexframe.drawing.theme import shortened
from lexframe.files import json_text
from lexframe.intervals import Estimate
from lexframe.text_forms import counted, listed
from lexframe.verbal.asking import Failure
from lexframe.verbal.changes import Change, changed_words
from lexframe.verbal.charts import OWN, baseline_chart, fit_chart, fit_kind, loss_chart
from lexframe.verbal.history import Step
from lexframe.verbal.parameters import Parameters, heading_of
from lexframe.verbal.run import VerbalRun, number

OPEN_STEPS, MOST_STEPS = 3, 400
"""Steps that are seen at once, and steps on the page at all."""
MOST_REASONS, MOST_FAILURES = 20, 40
LONG_CHANGE, LONG_SAME, EDGE = 1_200, 360, 120
"""Letters of a marked text from which it is folded, letters of an unchanged piece from which its middle is left out, what stays of it."""
_NAME, _REASON, _LISTED = 80, 400, 12
_FIGURES = {
    "with_text": "with a text that decides the output",
    "swapped": "with the same text, outputs swapped",
    "nonsense": "with a text that says nothing",
    "above_nonsense": "the text over nonsense",
}
_PURPOSES = {"predict": "predictions", "propose": "proposals", "criticize": "criticisms of a text"}
_METHODS = {
    "mean": "always the mean of the training rows",
    "most frequent": "always the most frequent label",
    "ridge": "a weighted sum of the inputs",
    "polynomial": "a sum of powers of the inputs",
    "kNN": "what the most similar training rows have",
    "tree": "a decision tree",
    "logistic": "a weighted sum of the inputs",
    "quadratic logistic": "a weighted sum of the inputs and their products",
    "n-grams, logistic": "a weight for every word and pair of words",
    "n-grams, naive Bayes": "counts of words and pairs of words",
    "posterior calibration": "labels over the points of a language model",
}


def run_report(
    run: VerbalRun,
    path: str | Path,
    *,
    title: str = "A model whose parameters are text",
    extra_charts: Sequence[tuple[str, Any, str]] = (),
) -> Path:
    """Write the page of a run.

    Parameters
    ----------
    run : VerbalRun
    path : str or Path
        The HTML file; replaced atomically.
    title : str
        Heading.
    extra_charts : sequence of (str, altair.Chart, str)
        Charts with a heading and a sentence each, for what the run does not hold itself, such as the path of the parameters among texts.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    verdict = str(run.verdict)
    lacks, _, rest = run.summary().partition(verdict)
    steps = shown_steps(run)
    fit = fit_chart(run)
    return write_page(
        path,
        Path(__file__).with_name("verbal.html"),
        title=readable(title),
        run=run,
        worth=str(run.verdict.worth),
        verdict=readable(verdict),
        lacks=lacks.strip(),
        rest=readable(rest.strip()),
        is_beaten=_is_beaten(run),
        is_apart=len(run.held_out) < len(run.sample),
        counts=_counts(run),
        parameters=shown_parameters(run.parameters),
        first=shown_parameters(run.first[0]),
        first_loss=number(run.first[1]) if math.isfinite(run.first[1]) else None,
        loss=number(run.loss) if math.isfinite(run.loss) else None,
        asks=_clipped(f"{run.task.target} from {_listed(run.task.columns)}", 300),
        labels=_listed(run.task.labels),
        client=_clipped(run.client, 120),
        charts={
            "baselines": svg(baseline_chart(run)),
            "fit": None if fit is None else svg(fit),
            "loss": svg(loss_chart(run)) if run.steps else None,
        },
        fit_kind=fit_kind(run),
        methods=method_rows(run),
        open_steps=steps[:OPEN_STEPS],
        folded_steps=steps[OPEN_STEPS:],
        n_left_out=max(len(run.steps) - MOST_STEPS, 0),
        extra_charts=[(readable(name), svg(chart), readable(says)) for name, chart, says in extra_charts],
        obedience=_obedience(run),
        failures=failure_groups(run),
        costs=cost_rows(run),
        limits=_limits(run),
        notes=[readable(note) for note in run.notes],
        settings=readable(json_text({"task": run.task.to_dict(), "settings": run.settings.to_dict()}, indent=2)),
        provenance=readable(as_json(run.provenance)),
    )


def shown_parameters(parameters: Parameters) -> dict[str, Any]:
    """Sentences, block and examples as the page shows them; very long sentences are folded.

    Parameters
    ----------
    parameters : Parameters
    """
    program = parameters.program
    return {
        "sentences": shown_text(parameters.sentences, fold=LONG_CHANGE),
        "heading": None if program is None else heading_of(program),
        "block": None if program is None else readable(program.source),
        "examples": [(readable(row), readable(target)) for row, target in parameters.examples],
    }


def shown_steps(run: VerbalRun) -> list[dict[str, Any]]:
    """Every step with its text marked against the one before it; of very many those at the beginning and at the end.

    Parameters
    ----------
    run : VerbalRun
    """
    half = MOST_STEPS // 2
    kept = run.steps if len(run.steps) <= MOST_STEPS else (*run.steps[:half], *run.steps[-half:])
    return [_step(step) for step in kept]


def _step(step: Step) -> dict[str, Any]:
    changes = () if step.proposed is None else changed_words(readable(step.parent.text), readable(step.proposed.text))
    pieces = [piece for place, change in enumerate(changes) for piece in _cut(change, place == 0, place == len(changes) - 1)]
    return {
        "number": step.number,
        "chain": step.chain + 1,
        "outcome": step.outcome,
        "before": number(step.loss_before) if math.isfinite(step.loss_before) else None,
        "after": number(step.loss_after) if math.isfinite(step.loss_after) else None,
        "batch": number(step.batch_loss) if math.isfinite(step.batch_loss) else None,
        "calls": counted(step.calls, "call"),
        "reason": shown_text(step.reasoning.strip()),
        "pieces": pieces,
        "is_same": step.proposed is not None and all(change.kind == "same" for change in changes),
        "is_long": sum(len(piece["text"]) for piece in pieces) > LONG_CHANGE,
        "n_added": _words(changes, "added"),
        "n_removed": _words(changes, "removed"),
        "failures": [(failure.attempt, _clipped(failure.reason)) for failure in step.failures],
    }


def _cut(change: Change, is_first: bool, is_last: bool) -> list[dict[str, Any]]:
    """A piece of a text; of a long one that did not change only what stands beside changes."""
    text = change.text
    if change.kind != "same" or len(text) <= LONG_SAME:
        return [{"kind": change.kind, "text": text}]
    head, tail = ("" if is_first else text[:EDGE]), ("" if is_last else text[-EDGE:])
    left_out = len(text) - len(head) - len(tail)
    parts = [("same", head), ("left out", f"{left_out:,} letters as before"), ("same", tail)]
    return [{"kind": kind, "text": part} for kind, part in parts if part]


def _words(changes: Iterable[Change], kind: str) -> str:
    return counted(sum(len(change.text.split()) for change in changes if change.kind == kind), "word")


def method_rows(run: VerbalRun) -> list[dict[str, Any]]:
    """The model and the plain methods, the best first, with what the model gains over each.

    Parameters
    ----------
    run : VerbalRun
    """
    rows = []
    for score in (*([run.score] if run.score is not None else []), *run.baselines):
        is_own = score is run.score
        gain = None if is_own else run.gain_over(score)
        rows.append(
            {
                "name": OWN if is_own else score.name,
                "what": "the parameters above" if is_own else _METHODS.get(score.name, ""),
                "own": is_own,
                "value": number(score.value.value),
                "interval": _interval(score.value),
                "gain": None if gain is None else _signed(gain.value),
                "gain_interval": None if gain is None else _interval(gain, signed=True),
                "sort": score.value.value * (1 if run.task.is_regression else -1),
            }
        )
    return sorted(rows, key=lambda row: row["sort"])


def failure_groups(run: VerbalRun) -> dict[str, Any]:
    """Answers that could not be read, in training and of the optimizer: how many for which reason, and what they said.

    Parameters
    ----------
    run : VerbalRun
    """
    found: list[Failure] = [*run.failures, *(failure for step in run.steps for failure in step.failures)]
    reasons = Counter((failure.purpose, failure.reason) for failure in found).most_common()
    return {
        "n": len(found),
        "reasons": [(_purpose(purpose), _clipped(reason), n) for (purpose, reason), n in reasons[:MOST_REASONS]],
        "n_other": sum(n for _, n in reasons[MOST_REASONS:]),
        "texts": [
            {
                "purpose": _purpose(failure.purpose),
                "attempt": failure.attempt,
                "reason": _clipped(failure.reason),
                "text": readable(failure.text[:600]),
                "cut": max(len(failure.text) - 600, 0),
            }
            for failure in found[:MOST_FAILURES]
        ],
    }


def cost_rows(run: VerbalRun) -> list[dict[str, Any]]:
    """Calls and tokens by purpose, and in all; money where tokens have a price.

    Parameters
    ----------
    run : VerbalRun
    """
    price = run.settings.price
    has_price = price.prompt > 0 or price.completion > 0
    return [
        {
            "purpose": "in all" if name == "all" else _purpose(name),
            "all": name == "all",
            "calls": f"{spent.calls:,}",
            "read": f"{spent.prompt_tokens:,}",
            "written": f"{spent.completion_tokens:,}",
            "money": f"{price.of(spent.prompt_tokens, spent.completion_tokens):,.4f} {_clipped(price.currency, 12)}" if has_price else None,
        }
        for name, spent in sorted(run.spent.items(), key=lambda pair: (pair[0] == "all", pair[0]))
    ]


def _counts(run: VerbalRun) -> list[tuple[str, str]]:
    tested = "test rows" if run.test is not None else "rows it was judged and scored on"
    counts = [("training rows", len(run.sample))]
    counts += [("of them held out to judge proposals", len(run.held_out))] if run.settings.steps.held_out > 0 else []
    counts += [(tested, len(run.tested)), ("steps", len(run.steps)), ("proposals that could be read", run.n_proposals)]
    counts += [("proposals taken", sum(step.accepted for step in run.steps)), ("calls of the model", run.spent["all"].calls)]
    return [(name, f"{value:,}") for name, value in counts]


def _is_beaten(run: VerbalRun) -> bool:
    """Whether a plain method is surely better."""
    best = run.best_baseline
    gain = None if best is None else run.gain_over(best)
    return gain is not None and gain.interval is not None and gain.interval[1] < 0


def _obedience(run: VerbalRun) -> dict[str, Any] | None:
    measured = run.obedience
    if measured is None:
        return None
    rows = []
    for name, what in _FIGURES.items():
        estimate = getattr(measured, name)
        signed = name == "above_nonsense"
        rows.append((what, f"{estimate.value:+.2f}" if signed else f"{estimate.value:.2f}", _interval(estimate, signed=signed)))
    return {"holds": measured.holds, "summary": readable(measured.summary()), "rows": rows, "text": readable(measured.text)}


def _limits(run: VerbalRun) -> str:
    budget, price = run.settings.budget, run.settings.price
    named = [counted(value, name) for value, name in ((budget.calls, "call"), (budget.tokens, "token")) if value is not None]
    return listed([*named, *([f"{budget.money:,} {_clipped(price.currency, 12)}"] if budget.money is not None else [])])


def _interval(estimate: Estimate, *, signed: bool = False) -> str | None:
    ends = estimate.interval
    return None if ends is None else " to ".join(_signed(end) if signed else number(end) for end in ends)


def _signed(value: float) -> str:
    return number(value) if value < 0 or not math.isfinite(value) else f"+{number(value)}"


def _purpose(name: str) -> str:
    return _PURPOSES.get(name, _clipped(name, _NAME))


def _clipped(text: str, length: int = _REASON) -> str:
    return shortened(readable(text), length)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(_clipped(name, _NAME) for name in names[:_LISTED]) + more
