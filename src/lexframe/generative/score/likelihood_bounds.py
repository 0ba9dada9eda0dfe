"""How likely a latent-variable model finds texts: bounds that draw near the truth as more z are weighed, and perplexities."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.checks import checked_texts
from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.importance_weighted import effective_sample_size, grouped_log_likelihood, largest_weight_share, log_weights
from lexframe.intervals import Estimate, mean_estimate, ratio_estimate
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import LatentVariableSpace, Posterior, Progress
from lexframe.text_forms import counted
from lexframe.typing import ModelName, Texts

if TYPE_CHECKING:
    import pandas

N_SAMPLES = (1, 10, 100, 1000)


@dataclass(frozen=True, slots=True)
class LikelihoodBound:
    """The bound that so many z a text give, over all texts.

    Attributes
    ----------
    n_samples : int
        K. With 1 it is the ELBO.
    nats_per_text : Estimate
        Minus the bound on log p(x): lower is better, and the truth is lower still.
    perplexity_per_token : Estimate
        e to the nats of all texts over their tokens, the end of each text being one.
    perplexity_per_word : Estimate or None
        e to the nats over the words: stretches without white space, and one more a text for its end. Texts that are cut are left out;
        None where fewer than two are left.
    """

    n_samples: int
    nats_per_text: Estimate
    perplexity_per_token: Estimate
    perplexity_per_word: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "n_samples": self.n_samples,
            "nats_per_text": self.nats_per_text.to_dict(),
            "perplexity_per_token": self.perplexity_per_token.to_dict(),
            "perplexity_per_word": None if self.perplexity_per_word is None else self.perplexity_per_word.to_dict(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ImportanceWeighted(Result):
    """Importance-weighted likelihood of some texts.

    Attributes
    ----------
    bounds : tuple of LikelihoodBound
        In rising order of the samples that each weighs. All are of one set of samples.
    log_likelihoods : ndarray of shape (n_texts, n_bounds)
        Bounds on log p(x) of each text, in nats.
    effective_samples : ndarray of shape (n_texts,)
        Effective size of the whole set of samples of each text; see :func:`effective_sample_size`.
    dominated_share : float
        Share of texts where a single sample has more than half of the weight. Their bounds rest on one z: more samples would still
        raise them.
    n_texts, n_tokens, n_words, n_cut : int
        Texts, their tokens with the ends, words with the ends of the texts that are not cut, and texts that are cut.
    provenance : Provenance
    """

    bounds: tuple[LikelihoodBound, ...]
    log_likelihoods: Float[np.ndarray, "n_texts n_bounds"]
    effective_samples: Float[np.ndarray, " n_texts"]
    dominated_share: float
    n_texts: int
    n_tokens: int
    n_words: int
    n_cut: int
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """The bound of the most samples, and whether it can be relied on."""
        last = self.bounds[-1]
        text = (
            f"At most {last.nats_per_text.value:.2f} nats a text [{last.nats_per_text.low:.2f}, {last.nats_per_text.high:.2f}] with "
            f"{counted(last.n_samples, 'sample')} over {counted(self.n_texts, 'text')}, perplexity "
            f"{last.perplexity_per_token.value:.1f} a token."
        )
        if self.dominated_share <= 0.1 or last.n_samples == 1:
            return text
        return f"{text} In {self.dominated_share:.0%} of texts one sample decides, so more samples would still lower the nats."

    def to_dict(self) -> dict[str, Any]:
        """The bounds and what they rest on, for JSON; without the numbers of each text."""
        return {
            "bounds": [bound.to_dict() for bound in self.bounds],
            "effective_samples": {"mean": float(self.effective_samples.mean()), "least": float(self.effective_samples.min())},
            "dominated_share": self.dominated_share,
            "n_texts": self.n_texts,
            "n_tokens": self.n_tokens,
            "n_words": self.n_words,
            "n_cut": self.n_cut,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a number of samples."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for bound in self.bounds:
            nats, word = bound.nats_per_text, bound.perplexity_per_word
            row = {"n_samples": bound.n_samples, "nats_per_text": nats.value, "low": nats.low, "high": nats.high}
            row["perplexity_per_token"] = bound.perplexity_per_token.value
            rows.append(row | {"perplexity_per_word": np.nan if word is None else word.value})
        return pd.DataFrame(rows)


def importance_weighted(
    space: LatentVariableSpace | ModelName,
    texts: Texts,
    *,
    n_samples: Sequence[int] = N_SAMPLES,
    posterior: Posterior | None = None,
    n_tokens: Int[np.ndarray, " n_texts"] | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> ImportanceWeighted:
    """Likelihood bounds and perplexities of texts under a latent-variable model, for several numbers of samples.

    The most samples are drawn once; a bound of fewer is the mean over disjoint groups of them.

    Parameters
    ----------
    space : LatentVariableSpace or str
        The model.
    texts : sequence of str
        Two or more.
    n_samples : sequence of int
        Every K that a bound is asked for.
    posterior : Posterior, optional
        The q of these texts. Default: ``space.posterior(texts)``.
    n_tokens : ndarray of int, shape (n_texts,), optional
        Tokens of each text with its end. Default: as many as the model gives likelihoods of.
    seed : int
        Of the samples and the intervals.
    batch_size : int, optional
        Pairs of text and z in one pass.
    progress : callable
        Wraps the iteration over blocks of pairs.

    Returns
    -------
    ImportanceWeighted

    Raises
    ------
    InputError, DataError
        If there are fewer than two texts or no number of samples, the posterior is of other texts or another space, or the model gives
        NaN.
    """
    space = LatentVariableSpace.of(space)
    texts = checked_texts(texts)
    counts = sorted(set(n_samples))
    if not counts or counts[0] < 1:
        raise InputError(f"n_samples is {list(n_samples)}; expected numbers of 1 or more, such as 1, 100 and 1000.")
    if len(texts) < 2:
        raise DataError(f"There is {len(texts)} text to weigh; expected 2 or more, as the interval is over texts. Give more texts.")
    if n_tokens is not None and (n_tokens.shape != (len(texts),) or n_tokens.min() < 1):
        raise InputError(f"n_tokens has shape {n_tokens.shape}; expected a number of 1 or more for each of {len(texts)} texts.")
    posterior = space.posterior(texts, batch_size=batch_size) if posterior is None else posterior
    weights = log_weights(space, texts, posterior, n_samples=counts[-1], seed=seed, batch_size=batch_size, progress=progress)
    if n_tokens is None:
        n_tokens = np.array([len(tokens) for tokens in space.token_log_likelihoods(texts, posterior.means, batch_size=batch_size)])
    whole = ~np.asarray(space.truncated(texts), dtype=bool)
    n_words = np.array([len(text.split()) + 1 for text in texts])
    bounds = np.stack([grouped_log_likelihood(weights, count) for count in counts], axis=1)
    return ImportanceWeighted(
        bounds=tuple(
            LikelihoodBound(
                n_samples=count,
                nats_per_text=mean_estimate(-bounds[:, column], seed=seed),
                perplexity_per_token=_perplexity(-bounds[:, column], n_tokens, seed),
                perplexity_per_word=_perplexity(-bounds[whole, column], n_words[whole], seed) if whole.sum() > 1 else None,
            )
            for column, count in enumerate(counts)
        ),
        log_likelihoods=bounds,
        effective_samples=effective_sample_size(weights),
        dominated_share=float((largest_weight_share(weights) > 0.5).mean()),
        n_texts=len(texts),
        n_tokens=int(n_tokens.sum()),
        n_words=int(n_words[whole].sum()),
        n_cut=int((~whole).sum()),
        provenance=Provenance(space=space.fingerprint, seed=seed, parameters={"n_samples": counts}),
    )


def _perplexity(costs: Float[np.ndarray, " n_texts"], counts: Int[np.ndarray, " n_texts"], seed: int) -> Estimate:
    nats = ratio_estimate(costs, counts.astype(np.float64), seed=seed)
    with np.errstate(over="ignore"):  # a hopeless bound has an infinite perplexity
        return nats.mapped(np.exp)
