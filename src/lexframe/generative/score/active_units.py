"""Which dimensions of a latent say something about the text, which are switched off, and which cost nats for nothing."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from lexframe.exceptions import InputError
from lexframe.generative.score.diagonal_gaussian import checked_moments
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Posterior

if TYPE_CHECKING:
    import altair
    import pandas

THRESHOLDS = (0.01, 0.2)
UNUSED_BELOW = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class ActiveUnits(Result):
    """How the dimensions of a latent are used over some texts.

    Attributes
    ----------
    n_texts, n_dims : int
    thresholds : tuple of float
        On the variance of the means, rising.
    n_active : tuple of int
        Dimensions above each threshold.
    n_unused : int
        Dimensions with a mean KL below `unused_below`: they are the prior whatever the text, and may be pruned.
    n_idle : int
        The rest: inactive at the lowest threshold, yet not the prior. They cost nats and tell nothing.
    unused_below : float
        In nats.
    variances : ndarray of shape (n_dims,)
        Of the posterior means over the texts.
    mean_kl : ndarray of shape (n_dims,)
        In nats.
    provenance : Provenance
    """

    n_texts: int
    n_dims: int
    thresholds: tuple[float, ...]
    n_active: tuple[int, ...]
    n_unused: int
    n_idle: int
    unused_below: float
    variances: Float[np.ndarray, " n_dims"]
    mean_kl: Float[np.ndarray, " n_dims"]
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def settled_share(self) -> float:
        """Share of the dimensions that are active at the lowest threshold or unused; see :attr:`n_active` for a collapse, which has 1."""
        return 1.0 - self.n_idle / self.n_dims

    def summary(self) -> str:
        """How many dimensions are used, and whether the latent has collapsed."""
        text = (
            f"{self.n_active[0]} of {self.n_dims} dimensions are active over {self.n_texts:,} texts, {self.n_unused} unused and "
            f"{self.n_idle} idle; the KL is {self.mean_kl.sum():.2f} nats a text."
        )
        return text if self.n_active[0] else f"{text} The latent has collapsed: it says nothing about the text."

    def to_dict(self) -> dict[str, Any]:
        """Every field and the settled share, for JSON."""
        return {
            "n_texts": self.n_texts,
            "n_dims": self.n_dims,
            "thresholds": list(self.thresholds),
            "n_active": list(self.n_active),
            "n_unused": self.n_unused,
            "n_idle": self.n_idle,
            "unused_below": self.unused_below,
            "settled_share": self.settled_share,
            "variances": self.variances.tolist(),
            "mean_kl": self.mean_kl.tolist(),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a dimension."""
        import pandas as pd

        return pd.DataFrame({"dimension": np.arange(self.n_dims), "variance": self.variances, "mean_kl": self.mean_kl})

    def chart(self) -> "altair.LayerChart":
        """KL of every dimension, the largest first."""
        from lexframe.generative.score.charts import kl_chart

        return kl_chart(self)


def active_units(posterior: Posterior, threshold: float = 0.01) -> Bool[np.ndarray, " n_dims"]:
    """Dimensions whose posterior mean varies with the text: Var_x(E_q[z_d | x]) above a threshold.

    Parameters
    ----------
    posterior : Posterior
        Of two texts or more.
    threshold : float
        On the variance over these texts (divided by n_texts). 0.01 is the paper's; nearly every model that has not collapsed is
        above it in nearly every dimension, and some papers count above 0.2.

    Returns
    -------
    ndarray of bool, shape (n_dims,)

    Raises
    ------
    InputError, DataError
        If the threshold is negative, there are fewer than two texts, or the posterior is no table of Gaussians.

    References
    ----------
    Burda et al. (2016), Importance Weighted Autoencoders, arXiv:1509.00519, section 5.2 (there with 10⁻²).
    """
    _check_thresholds((threshold,))
    means, _ = checked_moments(posterior, least_texts=2)
    return means.var(axis=0) > threshold


def count_active_units(
    posterior: Posterior, *, thresholds: tuple[float, ...] = THRESHOLDS, unused_below: float = UNUSED_BELOW
) -> ActiveUnits:
    r"""Active, unused and idle dimensions.

    The mean KL of a dimension is at least half the variance of its means, as :math:`\sigma^2 - 1 - \ln\sigma^2 \ge 0`. A dimension
    below half the lowest threshold in nats, which is the default, is therefore never active as well.

    Parameters
    ----------
    posterior : Posterior
        Of two texts or more.
    thresholds : tuple of float
        On the variance of the means.
    unused_below : float
        Mean KL in nats below which a dimension counts as unused; at most half the lowest threshold.

    Returns
    -------
    ActiveUnits

    Raises
    ------
    InputError, DataError
        If thresholds do not fit together, there are fewer than two texts, or the posterior is no table of Gaussians.
    """
    thresholds = tuple(sorted(float(threshold) for threshold in thresholds))
    _check_thresholds(thresholds)
    if not 0 < unused_below <= thresholds[0] / 2:
        raise InputError(
            f"unused_below is {unused_below}; expected a KL above 0 and at most {thresholds[0] / 2:g}, half the lowest threshold on the "
            "variance, so that no dimension is active and unused at once."
        )
    means, _ = checked_moments(posterior, least_texts=2)
    variances, mean_kl = means.var(axis=0), kl_per_dimension(posterior).mean(axis=0)
    n_active = tuple(int((variances > threshold).sum()) for threshold in thresholds)
    n_unused = int((mean_kl < unused_below).sum())
    return ActiveUnits(
        n_texts=len(means),
        n_dims=means.shape[1],
        thresholds=thresholds,
        n_active=n_active,
        n_unused=n_unused,
        n_idle=means.shape[1] - n_active[0] - n_unused,
        unused_below=unused_below,
        variances=variances,
        mean_kl=mean_kl,
        provenance=Provenance(parameters={"thresholds": list(thresholds), "unused_below": unused_below}),
    )


def _check_thresholds(thresholds: tuple[float, ...]) -> None:
    if not thresholds or not all(threshold >= 0 for threshold in thresholds):  # NaN fails as well
        raise InputError(f"Thresholds on the variance of the means are {list(thresholds)}; expected numbers of 0 or more, such as 0.01.")
