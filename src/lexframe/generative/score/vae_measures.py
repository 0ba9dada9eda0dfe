"""The measures of a text VAE as rows of a table, each with its unit and with what a good value looks like."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lexframe.generative.score.vae_score_parts import VAEScoreParts
from lexframe.generative.texts.text_perplexity import TextPerplexity
from lexframe.intervals import Estimate, mean_estimate
from lexframe.text_forms import counted

_DIVERSITY = (
    ("different texts", "distinct_texts", "share"),
    ("different words", "distinct_1", "share of words"),
    ("different pairs of words", "distinct_2", "share of pairs"),
    ("self-BLEU", "self_bleu", "0 to 1"),
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One number.

    Attributes
    ----------
    part : str
        ``likelihood``, ``latent``, ``reconstruction``, ``samples`` or ``factors``.
    measure : str
        Its name.
    value : float
    low, high : float or None
        95% interval over texts; None where there is none.
    unit : str
    n_texts : int
        Texts, or samples, that it is over.
    good : str
        What a good value looks like.
    """

    part: str
    measure: str
    value: float
    low: float | None
    high: float | None
    unit: str
    n_texts: int
    good: str

    def to_dict(self) -> dict[str, Any]:
        """Every field."""
        return asdict(self)


def vae_measures(score: VAEScoreParts) -> tuple[Measure, ...]:
    """Every measure that a score holds, in the order in which they are read."""
    return (*_likelihood(score), *_latent(score), *_reconstruction(score), *_samples(score), *_memorization(score), *_factors(score))


def _row(part: str, name: str, found: Estimate | float, unit: str, n_texts: int, good: str) -> Measure:
    if isinstance(found, Estimate):
        return Measure(part, name, found.value, found.low, found.high, unit, n_texts, good)
    return Measure(part, name, float(found), None, None, unit, n_texts, good)


def _likelihood(score: VAEScoreParts) -> Iterator[Measure]:
    part, found, own = "likelihood", score.likelihood, score.own_point
    n_decoded = len(score.reconstructions.texts)
    good = "far below a plain language model: z tells the text"
    yield _row(part, "reconstruction", own.distortion, "nats a text", n_decoded, good)
    yield _row(part, "negative ELBO", own.total, "nats a text", n_decoded, "low; weighing more samples lowers it")
    for bound in found.bounds:
        name = f"bound of {counted(bound.n_samples, 'sample')}"
        yield _row(part, name, bound.nats_per_text, "nats a text", found.n_texts, "low; at most the plain language model's")
    last = found.bounds[-1]
    by = f"by {counted(last.n_samples, 'sample')}"
    yield _row(part, "perplexity per token", last.perplexity_per_token, by, found.n_texts, "low")
    if last.perplexity_per_word is not None:
        good = "low; comparable between tokenizers"
        yield _row(part, "perplexity per word", last.perplexity_per_word, by, found.n_texts - found.n_cut, good)
    effective = mean_estimate(found.effective_samples, seed=score.provenance.seed or 0)
    yield _row(part, "effective samples", effective, f"of {last.n_samples:,}", found.n_texts, "many; near 1 one z carries the bound")
    yield _row(part, "texts with a dominant sample", found.dominated_share, "share", found.n_texts, "below 0.1")
    if score.plain is not None:
        good = "the mark that the bound has to meet"
        yield _row(part, "plain language model", score.plain.nats_per_text, "nats a text", found.n_texts, good)
        yield _row(part, "plain language model, perplexity per token", score.plain.perplexity_per_token, "", found.n_texts, good)
        good = "below 0: the latent pays"
        yield _row(part, "bound less plain language model", score.plain.difference, "nats a text", found.n_texts, good)


def _latent(score: VAEScoreParts) -> Iterator[Measure]:
    part, n, units, information, gain = "latent", len(score.rows), score.units, score.information, score.gain
    yield _row(part, "KL", score.kl, "nats a text", n, "several nats; near 0 the latent is not used")
    yield _row(part, "mutual information", information.nats, "nats", n, "several nats, and 1 or more below its ceiling")
    yield _row(part, "mutual information, bound from above", information.at_most, "nats", n, "near the value")
    yield _row(part, "mutual information, ceiling ln N", information.ceiling, "nats", n, "well above the value; it rises with more texts")
    good = "near 0: the prior lies where the texts lie"
    yield _row(part, "KL of the aggregate posterior", information.aggregate_kl, "nats", n, good)
    of = f"of {units.n_dims} dimensions"
    for threshold, n_active in zip(units.thresholds, units.n_active, strict=True):
        yield _row(part, f"active at {threshold:g}", float(n_active), of, n, "all that are not unused")
    yield _row(part, "unused", float(units.n_unused), of, n, "any: they may be pruned")
    yield _row(part, "idle", float(units.n_idle), of, n, "0: they cost nats and tell nothing")
    n_gain = gain.n_texts
    yield _row(part, "gain of the right z", gain.gain_per_text, "nats a text", n_gain, "above 0")
    for name, concentration in (("first quarter", gain.first_quarter), ("last quarter", gain.last_quarter)):
        if concentration is not None:
            yield _row(part, f"gain in the {name}", concentration, "times its tokens", n_gain, "1 is even; 2 is half of all gain")
    if gain.end_share is not None:
        yield _row(part, "gain in the ends", gain.end_share, "share of the gain", n_gain, "small: z knows more than the length")


def _reconstruction(score: VAEScoreParts) -> Iterator[Measure]:
    part, found = "reconstruction", score.reconstructions
    n = len(found.texts)
    yield _row(part, "exact match", found.exact_match, "share", n, "1 for an autoencoder; less where the latent is a summary")
    yield _row(part, "word accuracy", found.word_accuracy, "share of places", n, "near 1")
    yield _row(part, "BLEU", found.bleu, "0 to 1", n, "near 1")


def _samples(score: VAEScoreParts) -> Iterator[Measure]:
    part, found = "samples", score.samples
    n = len(found.texts)
    agreement = mean_estimate(found.cosines, seed=score.provenance.seed or 0) if n > 1 else None
    yield _row(part, "point read back, R²", found.r2, "share", n, "near 1 in the dimensions that are used")
    if agreement is not None:
        yield _row(part, "point read back, cosine", agreement, "-1 to 1", n, "near 1")
    yield _row(part, "blank samples", found.empty_share, "share", n, "0")
    for name, field, unit in _DIVERSITY:
        for side, texts in (("samples", score.diversity.samples), ("real texts", score.diversity.real)):
            value = getattr(texts, field)
            if value is not None:
                good = "that of the real texts" if side == "samples" else "the mark for the samples"
                yield _row(part, f"{name}, {side}", value, unit, texts.n_texts, good)
    for side, perplexity in (("samples", score.sample_perplexity), ("real texts", score.real_perplexity)):
        if perplexity is not None:
            name = perplexity.provenance.parameters["model"]
            good = "that of the real texts; far below it, samples are dull" if side == "samples" else "the mark for the samples"
            n_scored = int((perplexity.n_words > 0).sum())
            yield _row(part, f"perplexity per word, {side}", _per_word(perplexity), f"under {name}", n_scored, good)


def _per_word(found: TextPerplexity) -> Estimate:
    return found.per_word


def _memorization(score: VAEScoreParts) -> Iterator[Measure]:
    part, found = "samples", score.memorization
    if found is None:
        return
    sides = [("samples", found.samples)] + ([("real texts", found.held_out)] if found.held_out is not None else [])
    for side, texts in sides:
        good = "that of the real texts" if side == "samples" else "the mark for the samples"
        yield _row(part, f"copies of training texts, {side}", float(texts.is_copy.mean()), "share", len(texts.texts), good)
        middle = float(np.median(texts.similarities))
        yield _row(part, f"similarity to the nearest, {side}", middle, "median, 0 to 1", len(texts.texts), good)
    good = "0.5: samples resemble training texts as real texts do"
    yield _row(part, "sample nearer than a real text", found.nearer_probability, "probability", len(found.samples.texts), good)


def _factors(score: VAEScoreParts) -> Iterator[Measure]:
    for found in score.factors.scores if score.factors is not None else ():
        unit = "accuracy" if found.metric == "accuracy" else "share of the variance"
        good = f"near 1; {found.baseline:.2f} without a latent, {found.shuffled:.2f} with shuffled values"
        yield _row("factors", found.name, found.score, unit, found.n_texts, good)
