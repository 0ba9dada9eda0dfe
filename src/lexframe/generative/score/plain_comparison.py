"""A latent-variable model against a language model without a latent, text by text: whether the latent pays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import InputError
from lexframe.generative.score.likelihood_bounds import ImportanceWeighted
from lexframe.intervals import Estimate, mean_estimate, ratio_estimate


@dataclass(frozen=True, slots=True)
class PlainComparison:
    """What the same texts cost with a latent and without one.

    Attributes
    ----------
    n_samples : int
        K of the bound that is compared.
    nats_per_text : Estimate
        Of the plain language model.
    perplexity_per_token : Estimate
        e to its nats over the tokens of the latent-variable model, so that both perplexities have one denominator.
    difference : Estimate
        Bound less plain language model, in nats a text, its interval over pairs: below 0 the latent pays. As the bound lies above the
        truth, a value above 0 does not prove the contrary.
    """

    n_samples: int
    nats_per_text: Estimate
    perplexity_per_token: Estimate
    difference: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "n_samples": self.n_samples,
            "nats_per_text": self.nats_per_text.to_dict(),
            "perplexity_per_token": self.perplexity_per_token.to_dict(),
            "difference": self.difference.to_dict(),
        }


def compare_with_plain(
    likelihood: ImportanceWeighted, plain: Float[np.ndarray, " n_texts"], n_tokens: Int[np.ndarray, " n_texts"], *, seed: int = 0
) -> PlainComparison:
    """Set the bound of the most samples beside the nats of a plain language model.

    Parameters
    ----------
    likelihood : ImportanceWeighted
        Of the texts.
    plain : ndarray of shape (n_texts,)
        Minus the log-probability that a plain language model gives each of the same texts with its end, in nats.
    n_tokens : ndarray of int, shape (n_texts,)
        Tokens of each text with its end.
    seed : int
        Of the intervals.

    Raises
    ------
    InputError
        If there are not as many numbers as texts.
    """
    costs = -likelihood.log_likelihoods[:, -1]
    if len(plain) != len(costs):
        raise InputError(f"There are {len(plain)} nats of the plain language model for {len(costs)} texts. Give one for each, in order.")
    nats = ratio_estimate(plain, n_tokens.astype(np.float64), seed=seed)
    return PlainComparison(
        n_samples=likelihood.bounds[-1].n_samples,
        nats_per_text=mean_estimate(plain, seed=seed),
        perplexity_per_token=nats.mapped(np.exp),
        difference=mean_estimate(costs - plain, seed=seed),
    )
