"""The trade between what a latent costs and what it saves: rate and distortion of one model along a path of posteriors, and of several."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from lexframe.checks import checked_texts
from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.diagonal_gaussian import checked_moments
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.score.likelihoods import checked_likelihoods, checked_posterior_of
from lexframe.intervals import Estimate, mean_estimate
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import LatentVariableSpace, Posterior, Progress
from lexframe.typing import ModelName, Texts

if TYPE_CHECKING:
    import altair
    import pandas

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
PAIRS_A_BLOCK = 2**16  # of text and z that are held at once


@dataclass(frozen=True, slots=True)
class RatePoint:
    """What texts cost under one posterior of one model.

    Attributes
    ----------
    model : str
        Its name in pictures and tables.
    weight : float
        Of the texts against the prior; 1 is the model's own posterior. See :func:`tempered`.
    rate : Estimate
        Mean KL(q(z | x) ‖ p(z)), in nats a text.
    distortion : Estimate
        Mean of -log p(x | z) at z from q, in nats a text.
    total : Estimate
        Their sum, minus the ELBO.
    """

    model: str
    weight: float
    rate: Estimate
    distortion: Estimate
    total: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "model": self.model,
            "weight": self.weight,
            "rate": self.rate.to_dict(),
            "distortion": self.distortion.to_dict(),
            "total": self.total.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class RateDistortion(Result):
    """Points of one model or several, on the same texts.

    Attributes
    ----------
    points : tuple of RatePoint
        In the order they were given.
    plain_language_model : Estimate or None
        Nats a text of a language model without a latent. It stands at rate 0, and the line rate + distortion = this is where a latent
        begins to pay: below it the ELBO alone beats the language model.
    provenance : Provenance
    """

    points: tuple[RatePoint, ...]
    plain_language_model: Estimate | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def frontier(self) -> tuple[RatePoint, ...]:
        """Points that no other beats in both rate and distortion, in rising order of rate."""
        kept = pareto_frontier(
            np.array([point.rate.value for point in self.points]), np.array([point.distortion.value for point in self.points])
        )
        return tuple(sorted((p for p, keep in zip(self.points, kept, strict=True) if keep), key=lambda point: point.rate.value))

    def summary(self) -> str:
        """The least cost of a text, and whether the latent pays against a plain language model."""
        if not self.points:
            return "There is no point to compare."
        best = min(self.points, key=lambda point: point.total.value)
        text = (
            f"Rate and distortion add up to {best.total.value:.2f} nats a text at the least ({best.model}, texts weighted {best.weight:g}: "
            f"rate {best.rate.value:.2f})."
        )
        plain = self.plain_language_model
        if plain is None:
            return text
        pays = "the latent pays" if best.total.value < plain.value else "the latent does not pay by this bound"
        return f"{text} A plain language model needs {plain.value:.2f}: {pays}."

    def to_dict(self) -> dict[str, Any]:
        """The points, which of them are on the frontier, and the reference, for JSON."""
        frontier = self.frontier
        return {
            "points": [point.to_dict() | {"on_frontier": point in frontier} for point in self.points],
            "plain_language_model": None if self.plain_language_model is None else self.plain_language_model.to_dict(),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a model and weight."""
        import pandas as pd

        rows = []
        for point in self.points:
            row: dict[str, Any] = {"model": point.model, "weight": point.weight}
            for name in ("rate", "distortion", "total"):
                found = getattr(point, name)
                row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
            rows.append(row)
        return pd.DataFrame(rows)

    def chart(self) -> "altair.LayerChart":
        """Distortion against rate."""
        from lexframe.generative.score.charts import rate_distortion_chart

        return rate_distortion_chart(self)


def pareto_frontier(rates: Float[np.ndarray, " n_points"], distortions: Float[np.ndarray, " n_points"]) -> Bool[np.ndarray, " n_points"]:
    """Which points no other beats: none has at most the same rate and distortion and less of one of them.

    Parameters
    ----------
    rates, distortions : ndarray of shape (n_points,)
        Lower is better for both. Equal points stand or fall together.

    Raises
    ------
    InputError
        If they are not finite.
    """
    if not (np.isfinite(rates).all() and np.isfinite(distortions).all()):
        raise InputError("A rate or distortion is NaN or infinite, so there is no frontier. Leave that point out.")
    no_more = (rates[:, np.newaxis] <= rates) & (distortions[:, np.newaxis] <= distortions)
    less = (rates[:, np.newaxis] < rates) | (distortions[:, np.newaxis] < distortions)
    return np.logical_not((no_more & less).any(axis=0))


def tempered(posterior: Posterior, weight: float) -> Posterior:
    r"""The posterior that counts the texts `weight` times against the prior.

    For a posterior that is right, q(z|x) ∝ p(z) p(x|z), the least distortion at a given rate is had at z from p(z) p(x|z)^β, as
    minimising rate + β · distortion shows; where q is only near it, the path is a good one and not the best. In each dimension it is
    the Gaussian of precision :math:`1 + \beta(\sigma^{-2} - 1)` and mean :math:`\beta\mu\sigma^{-2}` over that precision: at β = 0 the
    prior, at 1 q itself. Above 1 means stay where they are and only deviations shrink, since means that move on past those of q lead
    where the decoder was never trained; a dimension that is not used (σ = 1) stays as it is.

    Parameters
    ----------
    posterior : Posterior
        Any number of texts, none included.
    weight : float
        β, 0 or more.

    Returns
    -------
    Posterior

    Raises
    ------
    InputError, DataError
        If the weight is negative or not finite, or the posterior is no table of Gaussians.

    References
    ----------
    Alemi et al. (2018), Fixing a Broken ELBO, arXiv:1711.00464: curves of rate and distortion.
    """
    if not (np.isfinite(weight) and weight >= 0):
        raise InputError(f"The weight of the texts is {weight}; expected a number of 0 (the prior) or more, 1 being the posterior itself.")
    means, log_variances = checked_moments(posterior)
    variances = np.exp(log_variances)
    gain = 1 - variances if weight <= 1 else np.maximum(1 - variances, 0.0)
    # σ² times the new precision. With σ > 1 and β > 1 that precision would fall below 0, so such a deviation is left alone.
    scaled_precision = variances + weight * gain if weight <= 1 else 1.0 + (weight - 1) * gain
    moved = means * weight / scaled_precision if weight <= 1 else means
    return Posterior(moved.astype(np.float32), (log_variances - np.log(scaled_precision)).astype(np.float32))


def rate_distortion(
    space: LatentVariableSpace | ModelName,
    texts: Texts,
    *,
    posterior: Posterior | None = None,
    weights: Sequence[float] = WEIGHTS,
    n_samples: int = 1,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> tuple[RatePoint, ...]:
    """Rate and distortion of a model along the path from its prior through its posterior towards single points.

    Rates are closed forms. Distortions are means over draws; the noise is the same at every weight, so that differences along the path
    are sharper than the points.

    Parameters
    ----------
    space : LatentVariableSpace or str
        The model.
    texts : sequence of str
        Two or more.
    posterior : Posterior, optional
        The q of these texts. Default: ``space.posterior(texts)``.
    weights : sequence of float
        Places on the path; see :func:`tempered`.
    n_samples : int
        Draws of z a text and weight.
    seed : int
        Of the draws and the intervals.
    batch_size : int, optional
        Pairs of text and z in one pass.
    progress : callable
        Wraps the iteration over weights.

    Returns
    -------
    tuple of RatePoint
        In the order of `weights`.

    Raises
    ------
    InputError, DataError
        If there are fewer than two texts, no draw or no weight, a weight is negative, or the posterior is of other texts or another space.
    """
    space = LatentVariableSpace.of(space)
    texts = checked_texts(texts)
    if n_samples < 1 or not len(weights):
        raise InputError(f"{n_samples} draws at {len(weights)} weights were asked for; expected 1 or more of both.")
    if len(texts) < 2:
        raise DataError(f"There is {len(texts)} text; expected 2 or more, as the interval is over texts. Give more texts.")
    posterior = space.posterior(texts, batch_size=batch_size) if posterior is None else posterior
    checked_posterior_of(posterior, texts, space)
    points = []
    for weight in progress([float(weight) for weight in weights]):
        q = tempered(posterior, weight)
        rates = kl_per_dimension(q).sum(axis=1)
        distortions = -_mean_log_likelihoods(space, texts, q, n_samples=n_samples, seed=seed, batch_size=batch_size)
        points.append(
            RatePoint(
                model=space.fingerprint.model,
                weight=weight,
                rate=mean_estimate(rates, seed=seed),
                distortion=mean_estimate(distortions, seed=seed),
                total=mean_estimate(rates + distortions, seed=seed),
            )
        )
    return tuple(points)


def _mean_log_likelihoods(
    space: LatentVariableSpace, texts: Sequence[str], posterior: Posterior, *, n_samples: int, seed: int, batch_size: int | None
) -> Float[np.ndarray, " n_texts"]:
    """Mean over draws of log p(x | z) of each text. A block draws by its first text, so every weight has the same noise."""
    found = np.empty(len(texts))
    n_rows = max(1, PAIRS_A_BLOCK // n_samples)
    for first in range(0, len(texts), n_rows):
        rows = slice(first, first + n_rows)
        part = Posterior(posterior.means[rows], posterior.log_variances[rows])
        draws = np.random.default_rng((seed, first)).integers(2**32)
        points = part.sample(n_samples, seed=int(draws))
        found[rows] = checked_likelihoods(space, texts[rows], points, first=first, batch_size=batch_size).mean(axis=1)
    return found
