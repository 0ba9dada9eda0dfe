"""Whether tasks are as alike as a hypothesis has them: permutations of tasks, and pairs within groups against pairs between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate
from lexframe.task_space.reading.matrices import checked_matrix, drawn_estimate, drawn_pairs, off_diagonal, usable_resamples

LEAST_TASKS = 4
"""Of three tasks there are three pairs and six orders: no permutation test can say anything."""

_DRAWS, _CELLS_AT_ONCE = 1000, 2_000_000
_NOTHING = 1e-10
"""Share of a matrix's spread below which nothing but rounding is left of it."""

Matrices = Sequence[Float[np.ndarray, "n n"]] | Mapping[str, Float[np.ndarray, "n n"]]


@dataclass(frozen=True, slots=True)
class MantelTest:
    """How a matrix of similarities goes with a hypothesis, and whether chance does as well.

    Attributes
    ----------
    r : float
        Correlation over pairs of tasks; partial where there are controls.
    p : float
        One-sided: share of permutations, the observed order among them, that do at least as well.
    n_permutations, n_tasks, n_controls : int
    """

    r: float
    p: float
    n_permutations: int
    n_tasks: int
    n_controls: int

    def summary(self) -> str:
        """The test in a sentence."""
        given = f", given {self.n_controls} controls" if self.n_controls > 1 else ", given one control" if self.n_controls else ""
        return (
            f"The similarity goes with the hypothesis at r = {self.r:.2f}{given} (one-sided p = {self.p:.2g}; {self.n_permutations:,} "
            f"permutations of {self.n_tasks} tasks)."
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {name: plain(getattr(self, name)) for name in ("r", "p", "n_permutations", "n_tasks", "n_controls")}


@dataclass(frozen=True, slots=True)
class Separation:
    """Pairs of tasks of one group against pairs of tasks of two groups.

    Attributes
    ----------
    auc : Estimate
        Chance that a pair within a group is more alike than a pair between groups, ties half: .5 where groups make no difference.
        After the controls, if there are some.
    within, between : float
        Mean similarity of both kinds of pairs, as it is, whether there are controls or not.
    n_within, n_between : int
        How many pairs there are of each.
    """

    auc: Estimate
    within: float
    between: float
    n_within: int
    n_between: int

    def summary(self) -> str:
        """Both means and the area in a sentence."""
        return (
            f"Similarity is {self.within:.2f} on average within groups ({self.n_within} pairs) and {self.between:.2f} between them "
            f"({self.n_between}); AUC {self.auc}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        numbers = {name: plain(getattr(self, name)) for name in ("within", "between", "n_within", "n_between")}
        return {"auc": self.auc.to_dict(), **numbers}


def mantel(
    similarity: Float[np.ndarray, "n n"],
    hypothesis: Float[np.ndarray, "n n"],
    *,
    controls: Matrices = (),
    n_permutations: int = 10_000,
    seed: int = 0,
) -> MantelTest:
    """Mantel's test of a matrix against a hypothesis, and its partial form where there are controls.

    Pairs of tasks are not independent, tasks are: a permutation moves rows and columns together. With controls, what they explain
    linearly is taken out of both matrices, the residuals are correlated, and the residual matrix of the similarity is what is
    permuted [1]_.

    Parameters
    ----------
    similarity, hypothesis : ndarray of shape (n_tasks, n_tasks)
        Symmetric; their diagonals take no part.
    controls : sequence of ndarray, or mapping of str to ndarray
        Of the same shape.
    n_permutations : int
        The smallest p is 1 / (1 + n_permutations).
    seed : int
        Of the permutations.

    Returns
    -------
    MantelTest

    Raises
    ------
    InputError
        If there are fewer than 4 tasks, a matrix is constant, not finite, not symmetric or of another size, or the controls explain
        one of both wholly.

    References
    ----------
    .. [1] Smouse, Long and Sokal (1986), Multiple regression and correlation extensions of the Mantel test of matrix correspondence,
       Systematic Zoology 35.
    """
    matrix = checked_matrix(similarity, least=LEAST_TASKS)
    n_tasks = len(matrix)
    against = off_diagonal(checked_matrix(hypothesis, n_tasks=n_tasks, what="hypothesis"))
    design = _design(controls, n_tasks)
    if n_permutations < 1:
        raise InputError(f"n_permutations is {n_permutations}; expected 1 or more.", parameter="n_permutations")
    ours = _unit(_residuals(off_diagonal(matrix), design), off_diagonal(matrix), "similarity")
    theirs = _unit(_residuals(against, design), against, "hypothesis")
    r = float(ours @ theirs)
    drawn = _permuted_correlations(ours, theirs, n_tasks, n_permutations, seed)
    count = int((drawn >= r - 1e-12).sum())  # an order that gives the same pairs sums them in another order
    return MantelTest(r, (1 + count) / (1 + n_permutations), n_permutations, n_tasks, design.shape[1] - 1)


def _permuted_correlations(
    ours: Float[np.ndarray, " n_pairs"], theirs: Float[np.ndarray, " n_pairs"], n_tasks: int, n_permutations: int, seed: int
) -> Float[np.ndarray, " n_permutations"]:
    """Of vectors of unit length and mean 0; a permutation only orders the pairs, so both stay so."""
    rows, columns = np.triu_indices(n_tasks, 1)
    whole = np.zeros((n_tasks, n_tasks))
    whole[rows, columns] = whole[columns, rows] = ours
    rng = np.random.default_rng(seed)
    found = np.empty(n_permutations)
    step = max(_CELLS_AT_ONCE // len(rows), 1)
    for start in range(0, n_permutations, step):
        stop = min(start + step, n_permutations)
        orders = rng.permuted(np.tile(np.arange(n_tasks), (stop - start, 1)), axis=1)
        found[start:stop] = whole.ravel()[orders[:, rows] * n_tasks + orders[:, columns]] @ theirs
    return found


def within_between(
    similarity: Float[np.ndarray, "n n"],
    groups: Sequence[str | None],
    *,
    controls: Matrices = (),
    resampled: Float[np.ndarray, "n_resamples n n"] | None = None,
    seed: int = 0,
) -> Separation:
    """Whether tasks of one group are more alike than tasks of two, as an area under the ROC curve.

    Parameters
    ----------
    similarity : ndarray of shape (n_tasks, n_tasks)
        Symmetric; its diagonal takes no part.
    groups : sequence of str or None
        One a task. Pairs with a task that has none are left out.
    controls : sequence of ndarray, or mapping of str to ndarray
        What they explain linearly, over all pairs, is taken out first.
    resampled : ndarray of shape (n_resamples, n_tasks, n_tasks), optional
        The matrix in resamples: the interval is then over what was drawn for them, for these tasks. Default: over the tasks, which are
        drawn anew 1000 times; a pair of a task with its own copy is left out.
    seed : int
        Of the draws of tasks.

    Returns
    -------
    Separation

    Raises
    ------
    InputError
        If there are fewer than 4 tasks, no pair within a group or none between two, or a matrix is not finite, not symmetric or of
        another size.
    """
    matrix = checked_matrix(similarity, least=LEAST_TASKS)
    n_tasks = len(matrix)
    if len(groups) != n_tasks:
        raise InputError(f"There are {len(groups)} groups and {n_tasks} tasks; expected one a task, or None.", parameter="groups")
    values, design = off_diagonal(matrix), _design(controls, n_tasks)
    within, between = _kinds_of_pairs(groups)
    if not within.any() or not between.any():
        missing = "of one group" if not within.any() else "of two groups"
        raise InputError(f"There is no pair of tasks {missing}. Give two groups or more, one of them with two tasks.", parameter="groups")
    ones = np.ones((1, len(values)))
    scale = float(np.abs(values).max()) or 1.0
    auc = float(_areas(_residuals(values, design) / scale, within, between, ones)[0])
    if resampled is not None:
        kept = off_diagonal(usable_resamples(resampled, n_tasks))
        drawn = np.array([_areas(_residuals(one, design) / scale, within, between, ones)[0] for one in kept])
        estimate = drawn_estimate(auc, drawn, "draws of pairs")
    else:
        weights = drawn_pairs(n_tasks, _DRAWS, seed)
        if design.shape[1] == 1:
            drawn = _areas(values / scale, within, between, weights)
        else:
            drawn = np.array([_areas(_residuals(values, design, one) / scale, within, between, one[np.newaxis])[0] for one in weights])
        estimate = drawn_estimate(auc, drawn, "tasks", n_tasks)
    return Separation(estimate, float(values[within].mean()), float(values[between].mean()), int(within.sum()), int(between.sum()))


def _kinds_of_pairs(groups: Sequence[str | None]) -> tuple[Bool[np.ndarray, " n_pairs"], Bool[np.ndarray, " n_pairs"]]:
    pairs = list(combinations(groups, 2))  # in the order of the upper triangle
    known = np.array([one is not None and other is not None for one, other in pairs])
    same = np.array([one == other for one, other in pairs])
    return known & same, known & ~same


def _areas(
    values: Float[np.ndarray, " n_pairs"],
    within: Bool[np.ndarray, " n_pairs"],
    between: Bool[np.ndarray, " n_pairs"],
    weights: Float[np.ndarray, "n_draws n_pairs"],
) -> Float[np.ndarray, " n_draws"]:
    """Weighted share of (within, between) in which the first is larger, ties half; NaN where there is none of either."""
    rounded = np.round(values, 12)  # residuals of equal pairs differ by their rounding
    order = np.argsort(rounded, kind="stable")
    starts = np.flatnonzero(np.diff(rounded[order], prepend=np.nan) != 0)
    inside, outside = (np.add.reduceat((weights * kind)[:, order], starts, axis=1) for kind in (within, between))
    below = np.cumsum(outside, axis=1) - outside / 2
    with np.errstate(invalid="ignore"):
        return (inside * below).sum(axis=1) / (inside.sum(axis=1) * outside.sum(axis=1))


def _design(controls: Matrices, n_tasks: int) -> Float[np.ndarray, "n_pairs n_columns"]:
    """A column of ones, and one a control, standardized."""
    matrices = list(controls.values()) if isinstance(controls, Mapping) else list(controls)
    columns = [np.ones(n_tasks * (n_tasks - 1) // 2)]
    for number, control in enumerate(matrices):
        column = off_diagonal(checked_matrix(control, n_tasks=n_tasks, what=f"controls[{number}]"))
        centered = column - column.mean()
        spread = float(np.sqrt((centered**2).mean()))
        columns.append(centered / spread if spread > _NOTHING * max(1.0, float(np.abs(column).max())) else np.zeros_like(column))
    return np.stack(columns, axis=1)


def _residuals(
    values: Float[np.ndarray, " n_pairs"],
    design: Float[np.ndarray, "n_pairs n_columns"],
    weights: Float[np.ndarray, " n_pairs"] | None = None,
) -> Float[np.ndarray, " n_pairs"]:
    roots = np.ones(len(values)) if weights is None else np.sqrt(weights)
    slopes = np.linalg.lstsq(design * roots[:, np.newaxis], values * roots, rcond=None)[0]
    return values - design @ slopes


def _unit(residuals: Float[np.ndarray, " n_pairs"], values: Float[np.ndarray, " n_pairs"], what: str) -> Float[np.ndarray, " n_pairs"]:
    spread = float(np.linalg.norm(values - values.mean()))
    if not spread > _NOTHING * max(1.0, float(np.abs(values).max())):
        raise InputError(f"{what} is the same for all pairs of tasks; expected one that differs. There is nothing to test.", parameter=what)
    length = float(np.linalg.norm(residuals))
    if not length > _NOTHING * 100 * spread:
        raise InputError(
            f"The controls explain {what} wholly, so nothing is left to correlate. Leave the control out that says the same.",
            parameter="controls",
        )
    return residuals / length
