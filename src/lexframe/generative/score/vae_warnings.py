"""What the numbers of a text VAE warn of, in plain sentences."""

from collections.abc import Iterator

import numpy as np

from lexframe.generative.score.vae_score_parts import VAEScoreParts
from lexframe.generative.texts.nearest_texts import MemorizationCheck

COLLAPSED = 0.5
"""Nats of KL a text below which the latent is as good as unused."""
DOMINATED = 0.1
"""Share of texts whose bound may rest on one sample."""
IDLE = 0.1
"""Share of dimensions that may cost nats and tell nothing."""
MOSTLY_ENDS = 0.5
NEARER, SEEN, REPEATED = 0.9, 0.5, 0.5
STANDARD_ERRORS = 2.0


def vae_warnings(score: VAEScoreParts) -> tuple[str, ...]:
    """Sentences on what is wrong with the model or with its numbers, the gravest first.

    Parameters
    ----------
    score : VAEScoreParts
    """
    return (*_of_the_latent(score), *_of_the_numbers(score), *_of_the_samples(score))


def _of_the_latent(score: VAEScoreParts) -> Iterator[str]:
    units, gain = score.units, score.gain
    if score.kl.value < COLLAPSED or not units.n_active[0]:
        yield (
            f"The latent has collapsed: KL is {score.kl.value:.2f} nats a text and {units.n_active[0]} of {units.n_dims} dimensions are "
            "active, so the decoder writes as if there were none. Train longer: a latent needs thousands of steps. If it still collapses, "
            "raise free nats, cycles of the KL weight, word dropout or least nats."
        )
        return  # what follows is then true of any model, and says nothing new
    if gain.verdict == "none":
        yield (
            f"The decoder does not listen: a text's own z is worth {gain.gain_per_text.value:.2f} nats more than another text's, although "
            f"KL is {score.kl.value:.1f} nats."
        )
    if gain.verdict == "front-loaded" and gain.first_quarter is not None:
        yield (
            f"The gain is front-loaded: the first quarter of a text holds {gain.first_quarter.value / 4:.0%} of what z adds, so the latent "
            "remembers how texts begin rather than what they say."
        )
    if gain.verdict == "end-loaded" and gain.last_quarter is not None:
        yield f"The gain is end-loaded: the last quarter of a text holds {gain.last_quarter.value / 4:.0%} of what z adds."
    if gain.end_share is not None and gain.end_share.low > MOSTLY_ENDS:
        yield f"{gain.end_share.value:.0%} of what z adds lies in where texts end: the latent knows their length and little else."
    if units.n_idle > IDLE * units.n_dims:
        yield f"{units.n_idle} of {units.n_dims} dimensions are idle: they cost nats and tell nothing about the text."
    if score.plain is not None and score.plain.difference.low > 0:
        yield (
            f"A plain language model is better by {score.plain.difference.value:.2f} nats a text "
            f"[{score.plain.difference.low:.2f}, {score.plain.difference.high:.2f}] than the bound of {score.plain.n_samples:,} samples: "
            "the latent does not pay in likelihood."
        )


def _of_the_numbers(score: VAEScoreParts) -> Iterator[str]:
    information, likelihood = score.information, score.likelihood
    last = likelihood.bounds[-1].n_samples
    if information.at_ceiling:
        yield (
            f"Mutual information, {information.nats.value:.2f} nats, is at its ceiling ln {information.n_texts:,} = "
            f"{information.ceiling:.2f}: the truth lies above, at most about {information.at_most:.1f}. Score more texts to see how far."
        )
    if likelihood.dominated_share > DOMINATED and last > 1:
        yield (
            f"The bound is unreliable: in {likelihood.dominated_share:.0%} of texts one of {last:,} samples has more than half of the "
            "weight, so more samples would still lower the nats."
        )
    if likelihood.n_cut:
        yield (
            f"Cut, as longer than the model takes: {likelihood.n_cut:,} of {likelihood.n_texts:,} texts. What is left of them counts as "
            "the text, and they have no part in the perplexity per word."
        )
    found = score.memorization
    if found is not None and found.held_out is not None and found.held_out.is_copy.mean() > SEEN:
        yield (
            f"{found.held_out.is_copy.mean():.0%} of the scored texts stand among the training texts: every number here is too good. Score "
            "texts that were held out."
        )


def _of_the_samples(score: VAEScoreParts) -> Iterator[str]:
    found, diversity = score.memorization, score.diversity
    if found is not None:
        yield from _of_copies(found)
    if score.samples.empty_share > 0.01:
        yield f"{score.samples.empty_share:.0%} of the samples are blank."
    if diversity.samples.distinct_texts < REPEATED * diversity.real.distinct_texts:
        yield (
            f"Samples repeat each other: {diversity.samples.distinct_texts:.0%} of {diversity.samples.n_texts:,} are different, against "
            f"{diversity.real.distinct_texts:.0%} of as many real texts."
        )


def _of_copies(found: MemorizationCheck) -> Iterator[str]:
    """Short texts recur by themselves, so shares of copies are held against those of real texts."""
    share, n = float(found.samples.is_copy.mean()), len(found.samples.texts)
    if found.held_out is None:
        return
    usual, m = float(found.held_out.is_copy.mean()), len(found.held_out.texts)
    pooled = (share * n + usual * m) / (n + m)
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)))
    if share - usual > STANDARD_ERRORS * error and share > usual:
        yield f"Samples are copied from training: {share:.0%} of them stand there word for word, against {usual:.0%} of real texts."
    elif found.nearer_probability > NEARER:
        yield (
            f"Samples are nearly copied from training: with probability {found.nearer_probability:.2f} a sample is nearer to a training "
            "text than a real text is to its own nearest."
        )
