r"""The region of the latent space that a family of prompts fills, and whether two families fill different ones.

The region is spanned by the first k principal axes of the family's states. Axes are estimates: two halves of one family give two
different subspaces. So an overlap means something only beside the overlap of halves (the ceiling), of groups drawn without regard to
family (the null) and of random subspaces (k over the dimensions).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.stats
from jaxtyping import Float, Int

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.instruments.traces.trace import effective_rank
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.typing import Vectors

if TYPE_CHECKING:
    import altair
    import pandas

_FEWEST = 8
"""Prompts of a family: halves of four can still have three axes."""


def principal_axes(points: Vectors, n_axes: int, *, center: bool = True) -> Float[np.ndarray, "n_dims n_axes"]:
    """The first principal axes of points, as orthonormal columns, the widest first.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_dims)
    n_axes : int
        At least 1; no more than the directions in which the points differ.
    center : bool
        Take the mean of the points off. Without it their common offset counts as a direction of the region.

    Returns
    -------
    ndarray of shape (n_dims, n_axes), float64
        The largest entry of a column is positive.

    Raises
    ------
    InputError
        If there are fewer than two points, they are all equal, or they span fewer axes than asked for.
    """
    points = points.astype(np.float64)
    if len(points) < 2:
        raise InputError(f"{len(points)} points have no principal axes. Give two prompts or more.")
    if center:
        points = points - points.mean(axis=0)
    wide = len(points) < points.shape[1]
    gram = points @ points.T if wide else points.T @ points
    n = len(gram)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=[max(0, n - max(1, n_axes)), n - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > 1e-10 * max(float(np.trace(gram)), np.finfo(np.float64).tiny)).sum())
    if rank == 0:
        raise InputError(f"All {len(points)} points are equal, so they span nothing. Give prompts whose states differ.")
    if not 1 <= n_axes <= rank:
        raise InputError(f"{n_axes} axes were asked for, but {len(points)} points span {rank}. Ask for 1 to {rank}, or give more prompts.")
    axes = points.T @ vectors / np.sqrt(values) if wide else vectors
    return axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(n_axes)])


def axes_above_noise(points: Vectors, *, n_draws: int = 20, quantile: float = 0.95, seed: int = 0) -> int:
    """How many principal axes are wider than those of the same numbers with each column shuffled.

    Parallel analysis [1]_ [2]_: the first axis that is no wider than the `quantile` of its like ends the count. A share of the variance
    would instead count axes of pure noise, and the more of them the fewer the points.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_dims)
        Two or more. An axis far wider than the rest widens the shuffled columns too, so the count is then on the careful side.
    n_draws : int
        Of the shuffled columns.
    quantile : float
        In (0, 1).
    seed : int
        Of the draws.

    Returns
    -------
    int
        0 where nothing stands out.

    References
    ----------
    .. [1] Horn (1965), A rationale and test for the number of factors in factor analysis.
    .. [2] Buja and Eyuboglu (1992), Remarks on parallel analysis.
    """
    rng = np.random.default_rng(seed)
    found = _variances(points)
    noise = np.quantile([_variances(rng.permuted(points, axis=0)) for _ in range(n_draws)], quantile, axis=0)
    return int(np.logical_and.accumulate(found > noise).sum())


def _variances(points: np.ndarray) -> np.ndarray:
    """Along principal axes, the largest first."""
    centered = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    return scipy.linalg.svdvals(centered) ** 2


def principal_angles_deg(
    first: Float[np.ndarray, "n_dims n_first"], second: Float[np.ndarray, "n_dims n_second"]
) -> Float[np.ndarray, " k"]:
    """Angles between two subspaces, the smallest first, in degrees.

    Parameters
    ----------
    first, second : ndarray of shape (n_dims, n_axes)
        Orthonormal columns.

    Returns
    -------
    ndarray of shape (min(n_first, n_second),), float64
    """
    return np.sort(np.degrees(scipy.linalg.subspace_angles(first, second)))


def subspace_overlap(first: Float[np.ndarray, "n_dims n_first"], second: Float[np.ndarray, "n_dims n_second"]) -> float:
    r"""Mean squared cosine of the principal angles, :math:`\|U_A^T U_B\|_F^2 / k`: 1 if one holds the other, 0 if they are orthogonal.

    Random subspaces have max(n_first, n_second) / n_dims on average.

    Parameters
    ----------
    first, second : ndarray of shape (n_dims, n_axes)
        Orthonormal columns; k is the smaller number of them.
    """
    return float(((first.T @ second) ** 2).sum() / min(first.shape[1], second.shape[1]))


def share_inside(points: Vectors, axes: Float[np.ndarray, "n_dims n_axes"]) -> Float[np.ndarray, " n_points"]:
    """Share of each point's squared length that lies in a subspace, in [0, 1]; 0 for a zero point.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_dims)
        From wherever the subspace has its origin.
    axes : ndarray of shape (n_dims, n_axes)
        Orthonormal columns.
    """
    points = points.astype(np.float64)
    lengths = (points**2).sum(axis=1)
    return np.divide(((points @ axes) ** 2).sum(axis=1), lengths, out=np.zeros(len(points)), where=lengths > 0)


def holm(p_values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """P-values after Holm's step-down correction for their number: no more than a share of 5% of families of tests has one below 0.05.

    Parameters
    ----------
    p_values : ndarray of shape (n,)

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p_values)
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    found = np.empty(len(p_values))
    found[order] = np.minimum(raised, 1.0)
    return found


@dataclass(frozen=True, slots=True)
class HeldWord:
    """One vocabulary item and how much of its basis a subspace holds.

    Attributes
    ----------
    token : str
    share : float
        Of the squared length of its basis, less the mean basis.
    p_value : float
        Of a random subspace of that rank holding as much, times the number of items, at most 1.
    """

    token: str
    share: float
    p_value: float


def words_in_subspace(axes: Float[np.ndarray, "n_dims n_axes"], frame: VocabularyFrame, *, n_top: int = 20) -> tuple[HeldWord, ...]:
    r"""The vocabulary items whose semantic bases lie most within a subspace.

    For any fixed vector the share that a random subspace of rank k holds of it is distributed as Beta(k/2, (d - k)/2), so no draws are
    needed for the comparison.

    Parameters
    ----------
    axes : ndarray of shape (n_dims, n_axes)
        Orthonormal columns, in the space that the head reads: of states of the last layer, or of what the lens makes of inner ones.
    frame : VocabularyFrame
    n_top : int
        Items to list, the best held first.

    Returns
    -------
    tuple of HeldWord
    """
    bases = frame.bases()
    shares = share_inside(bases - bases.mean(axis=0), axes)
    top = np.argsort(-shares, kind="stable")[:n_top]
    n_dims, k = axes.shape
    chance = scipy.stats.beta.sf(shares[top], k / 2, (n_dims - k) / 2) if k < n_dims else np.ones(len(top))
    p_values = np.minimum(1.0, chance * len(shares))
    tokens = frame.space.token_texts(top.tolist())
    return tuple(HeldWord(*row) for row in zip(tokens, shares[top].tolist(), p_values.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class SubspaceComparison(Result):
    """Whether families of prompts fill different subspaces, layer by layer. All overlaps are of groups of the same size.

    Attributes
    ----------
    families : tuple of str
    layers : tuple of int
    n_prompts : int
        Of each family; each half has half of them.
    n_axes : ndarray of int, shape (n_layers,)
        Rank of the subspaces.
    overlap : ndarray of shape (n_layers, n_families, n_families)
        Mean overlap of a half of one family with a half of another; on the diagonal, of two halves of the same.
    ceiling, between, null, chance : ndarray of shape (n_layers,)
        Mean overlap of halves of one family, of halves of two, of groups drawn without regard to family, and of random subspaces.
    gap_null : ndarray of shape (n_layers, 2)
        2.5% and 97.5% quantile of ceiling less between when the families are drawn at random.
    p_value, p_holm : ndarray of shape (n_layers,)
        Of a gap as large, if families did not matter; plain, and after Holm's correction over the layers.
    effective_rank : ndarray of shape (n_layers, n_families)
        Participation ratio of the variances of each family.
    provenance : Provenance
    """

    families: tuple[str, ...]
    layers: tuple[int, ...]
    n_prompts: int
    n_axes: Int[np.ndarray, " n_layers"]
    overlap: Float[np.ndarray, "n_layers n_families n_families"]
    ceiling: Float[np.ndarray, " n_layers"]
    between: Float[np.ndarray, " n_layers"]
    null: Float[np.ndarray, " n_layers"]
    chance: Float[np.ndarray, " n_layers"]
    gap_null: Float[np.ndarray, "n_layers 2"]
    p_value: Float[np.ndarray, " n_layers"]
    p_holm: Float[np.ndarray, " n_layers"]
    effective_rank: Float[np.ndarray, "n_layers n_families"]
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """At how many layers the families fill different subspaces."""
        apart = np.flatnonzero(self.p_holm <= 0.05)
        text = f"{len(self.families)} families of {self.n_prompts} prompts fill different subspaces"
        text += f" at {len(apart)} of {len(self.layers)} layers"
        if not len(apart):
            return f"{text}: what tells them apart is no more than chance."
        widest = int(apart[np.argmax((self.ceiling - self.between)[apart])])
        return (
            f"{text} (p at most 0.05 after Holm); the most at layer {self.layers[widest]}, where halves of one family overlap by "
            f"{self.ceiling[widest]:.2f} and of two by {self.between[widest]:.2f}."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        names = ("families", "layers", "n_prompts", "n_axes", "overlap", *_CURVES, "gap_null", "effective_rank")
        return {name: plain(getattr(self, name)) for name in names} | {"provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a layer."""
        import pandas as pd

        curves = {name: getattr(self, name) for name in _CURVES}
        return pd.DataFrame({"layer": self.layers, "n_axes": self.n_axes, **curves, "effective_rank": self.effective_rank.mean(axis=1)})

    def chart(self) -> "altair.LayerChart":
        """Overlap by layer beside ceiling, null and chance; see :func:`lexframe.studies.subspace_charts.overlap_chart`."""
        from lexframe.studies.subspace_charts import overlap_chart

        return overlap_chart(self)


_CURVES = ("ceiling", "between", "null", "chance", "p_value", "p_holm")


def compare_families(
    states: Mapping[str, Float[np.ndarray, "n_layers n_texts n_dims"]],
    layers: Sequence[int],
    *,
    n_axes: int | None = None,
    n_permutations: int = 199,
    seed: int = 0,
) -> SubspaceComparison:
    """Compare the subspaces of families of prompts against what chance and too few prompts make of them.

    Every family is split into halves at random. The statistic is the mean overlap of halves of one family less that of halves of two;
    it is compared with the same after the prompts are dealt out to families at random.

    Parameters
    ----------
    states : mapping of str to ndarray of shape (n_layers, n_texts, n_dims)
        Of two families or more, after whatever is to be removed. The largest number of prompts that all have, made even, is drawn of each.
    layers : sequence of int
        What the first axis holds.
    n_axes : int, optional
        Rank of the subspaces. Default: by parallel analysis of each family at each layer, the smallest, so that no family is
        described by its noise; at least 1.
    n_permutations : int
        1 or more; the smallest p-value is 1 / (n_permutations + 1).
    seed : int
        Of the draws.

    Returns
    -------
    SubspaceComparison

    Raises
    ------
    InputError
        If there are fewer than two families, one has fewer than 8 prompts, the layers do not fit the states, all states of a half are
        equal, halves span fewer axes than asked for, or there is no permutation.
    """
    names, tables = tuple(states), list(states.values())
    _check(names, tables, layers, n_permutations)
    rng = np.random.default_rng(seed)
    n = min(table.shape[1] for table in tables) // 2 * 2
    drawn = [table[:, np.sort(rng.permutation(table.shape[1])[:n])].astype(np.float64) for table in tables]
    # Dealing out the rows anew is the null; the first deal is the truth with random halves, so both are made the same way.
    truth = np.concatenate([family * n + rng.permutation(n) for family in range(len(names))])
    deals = [truth, *(rng.permutation(len(truth)) for _ in range(n_permutations))]
    columns: dict[str, list[Any]] = {name: [] for name in ("n_axes", "overlap", *_CURVES[:-1], "gap_null", "effective_rank")}
    for number in range(len(layers)):
        parts = [table[number] for table in drawn]
        k = n_axes or max(1, min(n // 2 - 1, *(axes_above_noise(part, seed=seed) for part in parts)))
        pooled = np.concatenate(parts)
        overlaps = [_overlaps(pooled[deal].reshape(len(names), 2, n // 2, -1), k) for deal in deals]
        inside, across = np.array([_means(each) for each in overlaps]).T
        gaps = inside - across
        found = {
            "n_axes": k,
            "overlap": overlaps[0],
            "ceiling": inside[0],
            "between": across[0],
            "null": float(np.mean(across[1:])),
            "chance": k / pooled.shape[1],
            "p_value": (1 + (gaps[1:] >= gaps[0]).sum()) / len(gaps),
            "gap_null": np.quantile(gaps[1:], [0.025, 0.975]),
            "effective_rank": [effective_rank(part) for part in parts],
        }
        for name, value in found.items():
            columns[name].append(value)
    arrays = {name: np.array(values) for name, values in columns.items()}
    provenance = Provenance(seed=seed, parameters={"n_axes": n_axes, "n_permutations": n_permutations})
    return SubspaceComparison(names, tuple(layers), n, p_holm=holm(arrays["p_value"]), provenance=provenance, **arrays)


def _check(names: tuple[str, ...], tables: list[np.ndarray], layers: Sequence[int], n_permutations: int) -> None:
    if n_permutations < 1:
        raise InputError(
            f"n_permutations is {n_permutations}; without any there is nothing to compare with. Ask for 1 or more, such as 199."
        )
    if len(names) < 2:
        raise InputError(f"{len(names)} families were given; a comparison needs two or more.")
    small = [name for name, table in zip(names, tables, strict=True) if table.shape[1] < _FEWEST]
    if small:
        raise InputError(f"The family {small[0]!r} has fewer than {_FEWEST} prompts; halves of it would span nothing. Give it more.")
    if {len(table) for table in tables} != {len(layers)}:
        raise InputError(
            f"There are {len(layers)} layers, but the states hold {[len(table) for table in tables]}. Name the layer of each row."
        )


def _overlaps(halves: Float[np.ndarray, "n_families 2 n_half n_dims"], n_axes: int) -> Float[np.ndarray, "n_families n_families"]:
    """Mean overlap of halves of each family with halves of each; on the diagonal, of both halves of one."""
    axes = [[principal_axes(half, n_axes) for half in family] for family in halves]
    n = len(axes)
    found = np.empty((n, n))
    for i in range(n):
        found[i, i] = subspace_overlap(*axes[i])
        for j in range(i):
            found[i, j] = found[j, i] = np.mean([subspace_overlap(a, b) for a in axes[i] for b in axes[j]])
    return found


def _means(overlaps: Float[np.ndarray, "n n"]) -> tuple[float, float]:
    """Of the diagonal and of the rest."""
    diagonal = float(np.diag(overlaps).mean())
    return diagonal, float(overlaps[~np.eye(len(overlaps), dtype=bool)].mean())
