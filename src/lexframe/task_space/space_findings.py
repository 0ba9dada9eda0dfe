"""What a task space says: whether groups or words make tasks alike, which clusters they form, how they lie in a plane.

The page and the command line show the same findings, so that nothing is worked out twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.metrics import adjusted_rand_score

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.task_space.reading.clusters import Clustering, cluster_tasks
from lexframe.task_space.reading.hypotheses import same_group
from lexframe.task_space.reading.mantel import LEAST_TASKS, MantelTest, Separation, mantel, within_between
from lexframe.task_space.reading.matrices import off_diagonal
from lexframe.task_space.reading.task_map import TaskMap, map_tasks

SURE = 0.05
"""Largest p of a test that is taken to have found something."""
WORDS_HELD, TEXT_HELD = "same group, words held constant", "same group, words and templates held constant"
READINGS = {
    "same group": ("Tasks of one group are more alike.", "Groups make no difference that can be told from chance."),
    "same field": ("Tasks of one field are more alike.", "Fields make no difference that can be told from chance."),
    "shared words": ("Tasks that use the same words are more alike.", "Shared words make no difference that can be told from chance."),
    "shared contrast": (
        "Tasks whose sides differ in the same words are more alike.",
        "Words that tell the sides apart make no difference that can be told from chance.",
    ),
    "shared template": (
        "Tasks made from like templates are more alike.",
        "Shared templates make no difference that can be told from chance.",
    ),
    WORDS_HELD: (
        "Tasks of one group are more alike than their words explain.",
        "Beyond what their words explain, groups make no difference that can be told from chance.",
    ),
    TEXT_HELD: (
        "Tasks of one group are more alike than their words and templates explain.",
        "Beyond what their words and templates explain, groups make no difference that can be told from chance.",
    ),
}
"""Of each test: what it says where it finds something, and where it does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Readings of the matrix of a task space.

    Attributes
    ----------
    separation : Separation or None
        Tasks of one group against tasks of two, over tasks drawn anew; None where groups do not allow it.
    beyond_words : Separation or None
        The same after what words and contrasts explain is taken out.
    tests : mapping of str to MantelTest
        By the name of the hypothesis, a key of ``READINGS``.
    untested : mapping of str to str
        Hypotheses that could not be tested, with the reason, a clause.
    clustering : Clustering or None
        None for fewer than three tasks.
    agreement : float or None
        Adjusted Rand index of clusters and groups, over the tasks that have a group: 1 for the same partition, 0 for what chance gives.
    task_map : TaskMap or None
        None for fewer than three tasks.
    """

    separation: Separation | None
    beyond_words: Separation | None
    tests: Mapping[str, MantelTest] = field(default_factory=dict)
    untested: Mapping[str, str] = field(default_factory=dict)
    clustering: Clustering | None = None
    agreement: float | None = None
    task_map: TaskMap | None = None

    def reading(self, name: str) -> str:
        """What a test says, in a sentence.

        Parameters
        ----------
        name : str
            Of a test that was made.
        """
        return READINGS[name][0 if self.is_found(name) else 1]

    def is_found(self, name: str) -> bool:
        """Whether a test found what it looks for.

        Parameters
        ----------
        name : str
            Of a test that was made.
        """
        return self.tests[name].p <= SURE  # of one side: it is never small where the correlation is below 0

    @property
    def strictest(self) -> str | None:
        """The test of groups that holds most constant, of those that were made."""
        return next((name for name in (TEXT_HELD, WORDS_HELD, "same group") if name in self.tests), None)

    def summary(self) -> str:
        """Whether groups tell which tasks are alike, beyond words, in two sentences."""
        if self.separation is None:
            known = [name for name in ("shared words", "shared contrast", "shared template") if name in self.tests]
            said = " ".join(f"{self.reading(name)[:-1]} ({_figures(self.tests[name])})." for name in known)
            return f"There are no groups of tasks to compare. {said}".strip()
        found, strictest = self.separation, self.strictest
        means = (
            f"Similarity is {found.within:.2f} on average within groups and {found.between:.2f} between them; a pair within a group is "
            f"the more alike one {found.auc.value:.0%} of the time{_between(found)}."
        )
        return means if strictest is None else f"{self.reading(strictest)[:-1]} ({_figures(self.tests[strictest])}). {means}"

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        parts = ("separation", "beyond_words", "clustering", "task_map")
        found = {name: None if getattr(self, name) is None else getattr(self, name).to_dict() for name in parts}
        tests = {name: test.to_dict() | {"reading": self.reading(name)} for name, test in self.tests.items()}
        return {"summary": self.summary(), "tests": tests, "untested": dict(self.untested), "agreement": plain(self.agreement)} | found


def findings(space: Any, *, n_permutations: int = 10_000, seed: int = 0) -> Findings:
    """Read the matrix of a task space.

    Parameters
    ----------
    space : TaskSpace
    n_permutations : int
        Of every test.
    seed : int
        Of permutations, draws of tasks, and the choice of resamples for the map.

    Returns
    -------
    Findings

    Raises
    ------
    InputError
        If a similarity is not finite.
    """
    similarity, n = np.asarray(space.similarity, dtype=np.float64), space.n_tasks
    if n < 3:
        reason = f"there are {n} tasks, and {LEAST_TASKS} are needed"
        return Findings(None, None, untested=dict.fromkeys(READINGS, reason))
    words = {name: space.controls[name] for name in ("words", "contrast") if name in space.controls}
    tests, untested = _tested(space, similarity, words, n_permutations, seed)
    resampled = _finite(space.resampled)
    clustering = cluster_tasks(similarity, resampled=resampled)
    return Findings(
        separation=_separation(similarity, space.groups, {}, seed),
        beyond_words=_separation(similarity, space.groups, words, seed) if words else None,
        tests=tests,
        untested=untested,
        clustering=clustering,
        agreement=_agreement(clustering, space.groups),
        task_map=map_tasks(similarity, resampled=resampled, seed=seed),
    )


def _tested(
    space: Any, similarity: Float[np.ndarray, "n n"], words: Mapping[str, np.ndarray], n_permutations: int, seed: int
) -> tuple[dict[str, MantelTest], dict[str, str]]:
    """The tests that can be made, and why others cannot."""
    group, shared = same_group(space.groups), dict(space.controls)
    hypotheses: dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]] = {"same group": (group, {})}
    hypotheses["same field"] = (same_group(space.fields), {})
    for name in ("words", "contrast", "template"):
        hypotheses |= {f"shared {name}": (shared[name], {})} if name in shared else {}
    hypotheses |= {WORDS_HELD: (group, words)} if words else {}
    hypotheses |= {TEXT_HELD: (group, shared)} if len(shared) > len(words) else {}
    tests, untested = {}, {}
    for name, (hypothesis, controls) in hypotheses.items():
        if space.n_tasks < LEAST_TASKS:
            untested[name] = f"there are {space.n_tasks} tasks, and {LEAST_TASKS} are needed"
        elif np.ptp(off_diagonal(hypothesis)) == 0:
            untested[name] = "it is the same for every two tasks"
        else:
            try:
                tests[name] = mantel(similarity, hypothesis, controls=controls, n_permutations=n_permutations, seed=seed)
            except InputError:
                untested[name] = "nothing is left of it, or of the similarities, once what texts share is held constant"
    return tests, untested


def _separation(
    similarity: Float[np.ndarray, "n n"], groups: tuple[str | None, ...], controls: Mapping[str, np.ndarray], seed: int
) -> Separation | None:
    known = [group for group in groups if group is not None]
    if len(similarity) < LEAST_TASKS or not 1 < len(set(known)) < len(known):
        return None
    return within_between(similarity, groups, controls=controls, seed=seed)


def _agreement(clustering: Clustering, groups: tuple[str | None, ...]) -> float | None:
    known = [row for row, group in enumerate(groups) if group is not None]
    names = [str(groups[row]) for row in known]
    if not 1 < len(set(names)) < len(names):
        return None
    return float(adjusted_rand_score(names, [clustering.labels[row] for row in known]))


def _finite(resampled: Float[np.ndarray, "n_resamples n n"]) -> Float[np.ndarray, "n_resamples n n"] | None:
    """The resamples; None where fewer than two are finite, so that nothing can be read from them."""
    return resampled if np.isfinite(resampled).all(axis=(1, 2)).sum() >= 2 else None


def _figures(test: MantelTest) -> str:
    return f"r = {test.r:.2f}, p {shown_p(test)}"


def shown_p(test: MantelTest) -> str:
    """The p of a test as text has it, such as ``"= 0.03"`` and ``"< 0.001"``.

    Parameters
    ----------
    test : MantelTest
    """
    return "< 0.001" if test.p < 0.001 else f"= {test.p:.2g}"


def _between(found: Separation) -> str:
    ends = found.auc.interval
    if ends is None:
        return ""
    unsure = ": other tasks might not show it" if ends[0] <= 0.5 <= ends[1] else ""
    return f" (95% interval {ends[0]:.0%} to {ends[1]:.0%}{unsure})"
