r"""From layer to layer by one linear map for all prompts: "Lines of Thought" and the plainer maps it has to beat.

The paper fits :math:`x(t+\tau) \approx U(t+\tau) \Lambda U(t)^T x(t) + w` to last-token states, with the left singular vectors U of each
layer's states, :math:`\Lambda` the ratio of their singular values and w Gaussian with variance :math:`\alpha e^{\lambda (t+\tau)}` [1]_. It
pairs directions by their rank alone and judges the map on the prompts it was fitted on. Here every map is judged on other prompts, beside
a ridge map with an intercept, the mean of the layer, and no map at all.

.. [1] Sarfati et al. (2024), Lines of Thought in Large Language Models, arXiv:2410.01545.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.stats
from jaxtyping import Float, Int

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import altair
    import pandas

MAPS = ("ridge", "paired", "identity", "mean")
_RIDGES = 10.0 ** np.arange(-8, 3)
"""Tried strengths, in units of the mean variance of the states."""


@dataclass(frozen=True, slots=True, eq=False)
class AffineMap:
    """``states @ matrix + offset``.

    Attributes
    ----------
    matrix : ndarray of shape (n_dims, n_dims)
    offset : ndarray of shape (n_dims,)
    """

    matrix: Float[np.ndarray, "n_dims n_dims"]
    offset: Float[np.ndarray, " n_dims"]

    def __call__(self, states: Float[np.ndarray, "n n_dims"]) -> Float[np.ndarray, "n n_dims"]:
        """What the map makes of some states."""
        return states @ self.matrix + self.offset


def paired_map(start: Float[np.ndarray, "n n_dims"], end: Float[np.ndarray, "n n_dims"]) -> AffineMap:
    r"""The paper's map: singular directions of two layers, paired by the size of their singular values.

    Singular vectors have no sign of their own. Each pair gets the one with which its coordinates agree over these prompts, which the
    paper leaves open; any other choice does worse on them.

    Parameters
    ----------
    start, end : ndarray of shape (n, n_dims)
        States of the same prompts at two layers, not centered, as in the paper.

    Returns
    -------
    AffineMap
        Without an offset.
    """
    (_, s_start, v_start), (_, s_end, v_end) = (np.linalg.svd(states, full_matrices=False) for states in (start, end))
    signs = np.sign(((start @ v_start.T) * (end @ v_end.T)).sum(axis=0))
    kept = s_start > 1e-10 * s_start[0]
    ratios = np.divide(s_end, s_start, out=np.zeros_like(s_end), where=kept) * signs
    return AffineMap((v_start.T * ratios) @ v_end, np.zeros(end.shape[1]))


def ridge_map(start: Float[np.ndarray, "n n_dims"], end: Float[np.ndarray, "n n_dims"]) -> AffineMap:
    """Least squares with an intercept, and as much ridge as generalised cross-validation on these prompts asks for.

    Parameters
    ----------
    start, end : ndarray of shape (n, n_dims)
        States of the same prompts at two layers.

    References
    ----------
    Golub, Heath and Wahba (1979), Generalized cross-validation as a method for choosing a good ridge parameter.
    """
    center, target = start.mean(axis=0), end.mean(axis=0)
    left, s, right = np.linalg.svd(start - center, full_matrices=False)
    wanted = end - target
    inside = left.T @ wanted
    outside = max(float((wanted**2).sum() - (inside**2).sum()), 0.0)
    unit = float((s**2).mean())
    scores = []
    for ridge in _RIDGES * unit:
        kept = s**2 / (s**2 + ridge)
        missed = outside + float((((1 - kept)[:, np.newaxis] * inside) ** 2).sum())
        scores.append(missed / max(len(start) - 1 - kept.sum(), 1e-9) ** 2)
    ridge = float(_RIDGES[int(np.argmin(scores))]) * unit
    matrix = (right.T * np.divide(s, s**2 + ridge, out=np.zeros_like(s), where=s > 0)) @ inside
    return AffineMap(matrix, target - center @ matrix)


def _fitted(name: str, start: np.ndarray, end: np.ndarray) -> AffineMap:
    n_dims = end.shape[1]
    if name == "identity":
        return AffineMap(np.eye(n_dims), np.zeros(n_dims))
    if name == "mean":
        return AffineMap(np.zeros((n_dims, n_dims)), end.mean(axis=0))
    return (ridge_map if name == "ridge" else paired_map)(start, end)


@dataclass(frozen=True, slots=True)
class NoiseGrowth:
    r"""Fit of :math:`\ln \mathrm{variance} = \ln \alpha + \lambda t`.

    Attributes
    ----------
    alpha : float
        Variance a coordinate at depth 0, in the units of the states squared.
    rate : Estimate
        The paper's λ: the growth of ln variance a layer, its interval by Student's t; infinite for two depths.
    r_squared : float
        Share of the spread of ln variance that the line explains.
    """

    alpha: float
    rate: Estimate
    r_squared: float

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain types, for JSON."""
        return {"alpha": plain(self.alpha), "rate": self.rate.to_dict(), "r_squared": plain(self.r_squared)}


def noise_growth(variances: Float[np.ndarray, " n"], depths: Int[np.ndarray, " n"] | Float[np.ndarray, " n"]) -> NoiseGrowth:
    """How fast the variance that no map explains grows with depth.

    Parameters
    ----------
    variances : ndarray of shape (n,)
        Positive.
    depths : ndarray of shape (n,)
        Layer of each; two different ones or more.

    Returns
    -------
    NoiseGrowth

    Raises
    ------
    InputError
        If there are fewer than two depths or a variance is not positive.
    """
    if len(np.unique(depths)) < 2:
        raise InputError(f"A growth rate needs variances at two depths or more; {len(np.unique(depths))} was given. Use more layers.")
    if not (variances > 0).all():
        raise InputError(
            "A residual variance is zero: the map is exact there, so there is no noise whose growth could be fitted. Leave it out."
        )
    fit = scipy.stats.linregress(depths, np.log(variances))
    reach = float(scipy.stats.t.ppf(0.975, len(depths) - 2) * fit.stderr) if len(depths) > 2 else np.inf
    rate = Estimate(float(fit.slope), float(fit.slope - reach), float(fit.slope + reach))
    return NoiseGrowth(float(np.exp(fit.intercept)), rate, float(fit.rvalue**2))


@dataclass(frozen=True, slots=True, eq=False)
class TransportStudy(Result):
    """How well one map for all prompts carries states from layer to layer, on prompts it was not fitted on.

    Attributes
    ----------
    layers : tuple of int
    n_train, n_test : int
        Prompts of either part.
    errors : dict of str to ndarray of shape (n_layers, n_layers)
        By map, ``[start, end]``: squared error on the test prompts over that of the layer's mean over the training prompts, so that 1 is
        no better than the mean and 0 is exact; NaN unless start comes before end.
    variances : dict of str to ndarray of shape (n_layers, n_layers)
        Mean squared error a coordinate, in the units of the states squared.
    growth : dict of str to NoiseGrowth
        By fitted map, over the steps from each layer to the next.
    provenance : Provenance
    """

    layers: tuple[int, ...]
    n_train: int
    n_test: int
    errors: dict[str, Float[np.ndarray, "n_layers n_layers"]]
    variances: dict[str, Float[np.ndarray, "n_layers n_layers"]]
    growth: dict[str, NoiseGrowth]
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def one_step(self) -> dict[str, Float[np.ndarray, " n_steps"]]:
        """Errors from each layer to the next, by map."""
        return {name: np.diagonal(table, offset=1).copy() for name, table in self.errors.items()}

    def summary(self) -> str:
        """What each map leaves unexplained from a layer to the next, beside the layer's mean."""
        left = {name: float(np.nanmean(errors)) for name, errors in self.one_step.items()}
        best = min(left, key=lambda name: left[name])
        listed = ", ".join(f"{name} {value:.3f}" for name, value in left.items())
        text = f"From a layer to the next, on {self.n_test} held-out prompts, maps leave unexplained: {listed} (1 is the layer's mean)."
        return text if left[best] < 1 else f"{text} No map carries states on."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; what is not defined is None."""
        return {
            "layers": list(self.layers),
            "n_train": self.n_train,
            "n_test": self.n_test,
            "steps": plain(self.to_frame().to_dict(orient="records")),
            "growth": {name: fit.to_dict() for name, fit in self.growth.items()},
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a map and pair of layers."""
        import pandas as pd

        rows = [
            {
                "map": name,
                "start": self.layers[i],
                "end": self.layers[j],
                "error": float(table[i, j]),
                "variance": float(self.variances[name][i, j]),
            }
            for name, table in self.errors.items()
            for i in range(len(self.layers))
            for j in range(i + 1, len(self.layers))
        ]
        return pd.DataFrame(rows)

    def chart(self) -> "altair.LayerChart":
        """Errors of the maps by layer; see :func:`lexframe.studies.subspace_charts.transport_chart`."""
        from lexframe.studies.subspace_charts import transport_chart

        return transport_chart(self)


def study_transport(
    states: Float[np.ndarray, "n_layers n_texts n_dims"],
    layers: Sequence[int],
    *,
    test_share: float = 0.3,
    growth_until: int | None = None,
    every_pair: bool = True,
    seed: int = 0,
) -> TransportStudy:
    """Fit maps between layers on some prompts and judge them on others.

    Parameters
    ----------
    states : ndarray of shape (n_layers, n_texts, n_dims)
        Of last tokens, as they are: the paper removes nothing.
    layers : sequence of int
        What the first axis holds, in their order.
    test_share : float
        Of the prompts, in (0, 1).
    growth_until : int, optional
        Last layer whose residual variance enters the growth rate. Of a model leave out the last, which is after the final norm and so
        in other units. Default: all.
    every_pair : bool
        Maps between all layers, rather than from each to the next only.
    seed : int
        Of the draw of test prompts.

    Returns
    -------
    TransportStudy

    Raises
    ------
    InputError
        If the layers do not fit the states, there are fewer than two, or too few prompts for two parts.
    """
    n_layers, n_texts, _ = states.shape
    if n_layers != len(layers) or n_layers < 2:
        raise InputError(f"There are {len(layers)} layers for states of {n_layers}; expected the same number, two or more.")
    n_test = round(test_share * n_texts)
    if n_test < 2 or n_texts - n_test < 2:
        raise InputError(f"{n_texts} prompts, of which {n_test} for testing, are too few. Give each part two or more.")
    order = np.random.default_rng(seed).permutation(n_texts)
    train, test = (states[:, rows].astype(np.float64) for rows in (order[n_test:], order[:n_test]))
    errors, variances = ({name: np.full((n_layers, n_layers), np.nan) for name in MAPS} for _ in range(2))
    pairs = [(i, j) for i in range(n_layers) for j in range(i + 1, n_layers if every_pair else min(i + 2, n_layers))]
    for i, j in pairs:
        spread = float(((test[j] - train[j].mean(axis=0)) ** 2).mean())
        for name in MAPS:
            missed = test[j] - _fitted(name, train[i], train[j])(test[i])
            variances[name][i, j] = (missed**2).mean()
            errors[name][i, j] = variances[name][i, j] / spread if spread > 0 else np.nan
    ends = np.array([layer for layer in layers[1:] if growth_until is None or layer <= growth_until])
    steps = {name: np.diagonal(variances[name], offset=1)[: len(ends)] for name in ("ridge", "paired")}
    growth = {name: noise_growth(values, ends) for name, values in steps.items() if len(ends) > 1 and (values > 0).all()}
    parameters = {"test_share": test_share, "growth_until": growth_until, "every_pair": every_pair}
    provenance = Provenance(seed=seed, parameters=parameters)
    return TransportStudy(tuple(layers), n_texts - n_test, n_test, errors, variances, growth, provenance)


def singular_axes(states: Float[np.ndarray, "n_layers n n_dims"]) -> Float[np.ndarray, "n_layers n_dims n_axes"]:
    """Left singular vectors of each layer's states, in columns, the largest singular value first; not centered, as in the paper.

    Parameters
    ----------
    states : ndarray of shape (n_layers, n, n_dims)
        More prompts than dimensions, or directions that no prompt has are missing.
    """
    return np.stack([scipy.linalg.svd(layer.astype(np.float64), full_matrices=False)[2].T for layer in states])
