"""The rate of a latent: how far the posterior of each text lies from the prior, dimension by dimension."""

import numpy as np
from jaxtyping import Float

from lexframe.generative.score.diagonal_gaussian import checked_moments
from lexframe.spaces.base import Posterior


def kl_per_dimension(posterior: Posterior) -> Float[np.ndarray, "n_texts n_dims"]:
    r"""KL(q(z_d | x) ‖ N(0, 1)) of every text and dimension, in nats, float64.

    Parameters
    ----------
    posterior : Posterior
        Any number of texts, none included.

    Returns
    -------
    ndarray of shape (n_texts, n_dims)
        :math:`\tfrac12\left(\mu_d^2 + \sigma_d^2 - 1 - \ln\sigma_d^2\right)`, never below 0. The sum of a row is the KL of the
        text: dimensions are independent under q and under the prior.

    Raises
    ------
    InputError, DataError
        See :func:`~lexframe.generative.score.diagonal_gaussian.checked_moments`.

    References
    ----------
    Kingma and Welling (2014), Auto-Encoding Variational Bayes, appendix B.
    """
    means, log_variances = checked_moments(posterior)
    # expm1 keeps the digits where σ² is close to 1, as it is in every dimension that is not used.
    return 0.5 * (np.square(means) + np.maximum(np.expm1(log_variances) - log_variances, 0.0))
