"""Gaussians with diagonal covariance: what every measure of a posterior checks and computes first."""

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import DataError, InputError
from lexframe.spaces.base import Posterior

WIDEST_LOG_VARIANCE = 100.0  # e^±100 and its inverse are far inside float64; a trained q never comes near
LOG_2_PI = float(np.log(2 * np.pi))


def checked_moments(
    posterior: Posterior, *, least_texts: int = 0
) -> tuple[Float[np.ndarray, "n_texts n_dims"], Float[np.ndarray, "n_texts n_dims"]]:
    """Means and log-variances of a posterior in float64, once they are known to describe Gaussians.

    Parameters
    ----------
    posterior : Posterior
        One Gaussian a text.
    least_texts : int
        How many texts the caller needs.

    Returns
    -------
    means : ndarray of shape (n_texts, n_dims), float64
    log_variances : ndarray of shape (n_texts, n_dims), float64

    Raises
    ------
    InputError
        If means and log-variances are not two tables of one shape.
    DataError
        If a number is not finite, a log-variance lies beyond ±100, or there are fewer texts than needed.
    """
    means, log_variances = np.asarray(posterior.means, np.float64), np.asarray(posterior.log_variances, np.float64)
    if means.ndim != 2 or means.shape != log_variances.shape:
        raise InputError(
            f"The posterior has means of shape {means.shape} and log-variances of shape {log_variances.shape}; expected both to be "
            "(n_texts, n_dims). Take both from one call of posterior()."
        )
    for name, table in (("means", means), ("log-variances", log_variances)):
        bad = np.logical_not(np.isfinite(table).all(axis=1))
        if bad.any():
            raise DataError(
                f"The {name} of text {int(np.flatnonzero(bad)[0])} hold NaN or infinity ({int(bad.sum())} of {len(bad)} texts). "
                "Look at that text, or go back to a checkpoint from before the loss broke."
            )
    if (np.abs(log_variances) > WIDEST_LOG_VARIANCE).any():
        row = int(np.flatnonzero((np.abs(log_variances) > WIDEST_LOG_VARIANCE).any(axis=1))[0])
        raise DataError(
            f"A log-variance of text {row} lies beyond ±{WIDEST_LOG_VARIANCE:.0f}, where a Gaussian is a point or nothing. "
            "Give natural logarithms of variances; clamp them in the encoder."
        )
    if len(means) < least_texts:
        raise DataError(f"The posterior is of {len(means)} texts; expected {least_texts} or more. Give more texts.")
    return means, log_variances


def log_density(
    points: Float[np.ndarray, "*batch n_dims"],
    means: Float[np.ndarray, "*#batch n_dims"],
    log_variances: Float[np.ndarray, "*#batch n_dims"],
) -> Float[np.ndarray, "*batch"]:
    r"""Log N(z; μ, diag σ²) in nats, float64.

    Parameters
    ----------
    points : ndarray of shape (..., n_dims)
        The z.
    means, log_variances : ndarray of shape (..., n_dims)
        Of the Gaussian of each z; an axis of length one goes with all of them.

    Returns
    -------
    ndarray of shape (...,)
        :math:`-\tfrac12 \sum_d \left[(z_d-\mu_d)^2/\sigma_d^2 + \ln\sigma_d^2 + \ln 2\pi\right]`.
    """
    deviations = (points.astype(np.float64) - means) * np.exp(-0.5 * log_variances)
    return -0.5 * (np.square(deviations) + log_variances + LOG_2_PI).sum(axis=-1)
