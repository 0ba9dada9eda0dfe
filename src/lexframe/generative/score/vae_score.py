"""All measures of a text VAE in one pass: texts are encoded once, and every part is given what another has found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.checks import checked_texts
from lexframe.exceptions import DataError, InputError
from lexframe.generative.reconstructions import reconstruct_texts
from lexframe.generative.samples import sample_texts
from lexframe.generative.score.active_units import count_active_units
from lexframe.generative.score.factor_probe import probe_factors
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.score.likelihood_bounds import importance_weighted
from lexframe.generative.score.mutual_information import mutual_information
from lexframe.generative.score.plain_comparison import compare_with_plain
from lexframe.generative.score.position_gain import position_gain
from lexframe.generative.score.rate_distortion import WEIGHTS, RateDistortion, rate_distortion
from lexframe.generative.score.vae_score_result import TextVAEScore
from lexframe.generative.texts.nearest_texts import memorization_check
from lexframe.generative.texts.sample_diversity import compare_diversity
from lexframe.generative.texts.text_perplexity import TextPerplexity, text_perplexity
from lexframe.intervals import mean_estimate
from lexframe.provenance import Provenance
from lexframe.spaces.base import LatentVariableSpace, Posterior, Progress
from lexframe.spaces.decoding import Decoding
from lexframe.spaces.language_model.opening import open_causal_model
from lexframe.typing import ModelName, Texts

PlainLanguageModel = Sequence[float] | Float[np.ndarray, " n_texts"] | Callable[[list[str]], Float[np.ndarray, " n_asked"]]


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """How much a score reads, draws and writes.

    Attributes
    ----------
    n_importance_samples : sequence of int
        Every K that a likelihood bound is asked for.
    n_samples : int
        Texts to write from the prior, compared with as many real ones.
    temperature : float
        At which they are written; 0 takes the likeliest word each time.
    language_model : str or None
        Whose perplexity of samples and real texts is compared: ``"embedded"``, a folder or a hub id. None leaves that out.
    n_texts : int
        Texts at most for what needs the posterior alone: KL, dimensions, mutual information and factors.
    n_bound_texts : int
        Texts at most for the importance-weighted bounds.
    n_decoded_texts : int
        Texts at most for reconstructions, gain by position, and rate and distortion.
    weights : sequence of float
        Places on the path of rate and distortion, 1 among them; see :func:`~lexframe.generative.score.rate_distortion.tempered`.
    batch_size : int or None
        Texts in one pass of the model.

    Raises
    ------
    InputError
        If a number of texts is below 2, or the model's own posterior (weight 1) is left out.
    """

    n_importance_samples: Sequence[int] = (1, 10, 100)
    n_samples: int = 200
    temperature: float = 0.0
    language_model: str | None = "embedded"
    n_texts: int = 5000
    n_bound_texts: int = 200
    n_decoded_texts: int = 500
    weights: Sequence[float] = WEIGHTS
    batch_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("n_texts", "n_bound_texts", "n_decoded_texts"):
            if getattr(self, name) < 2:
                raise InputError(f"{name} is {getattr(self, name)}; expected 2 texts or more, as intervals are over texts.")
        if 1 not in self.weights:
            raise InputError(f"weights is {list(self.weights)}; expected 1 among them, which is the model's own posterior.")


def score_text_vae(
    space: LatentVariableSpace | ModelName,
    texts: Texts,
    *,
    settings: ScoreSettings | None = None,
    training_texts: Texts | None = None,
    factors: Mapping[str, Iterable[Any]] | None = None,
    plain_language_model: PlainLanguageModel | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> TextVAEScore:
    """Score a text VAE on texts that it was not trained on.

    Texts are drawn once, without repetition; each measure takes the first of them, as many as its cost allows. Most of the time goes
    into the bounds: ``settings.n_bound_texts`` times the most importance samples passes of the decoder.

    Parameters
    ----------
    space : LatentVariableSpace or str
        The model.
    texts : sequence of str
        Two different ones or more, held out from training.
    settings : ScoreSettings, optional
        How much is read, drawn and written.
    training_texts : sequence of str, optional
        All of what it was trained on, to look for copies among the samples.
    factors : mapping of str to iterable, optional
        Known factors of the texts; see :func:`~lexframe.generative.score.factor_probe.probe_factors`.
    plain_language_model : sequence of float or callable, optional
        Nats that a language model without a latent needs for each of `texts` with its end, or a function that gives them for some
        texts: it is asked for those alone that are compared.
    seed : int
        Of everything that is drawn.
    progress : callable
        Wraps the iterations of every part in turn.

    Returns
    -------
    TextVAEScore

    Raises
    ------
    InputError
        If what belongs to the texts is not one for each.
    DataError
        If there are fewer than two texts, more than half of them are the same, or a likelihood is not finite.
    """
    space = LatentVariableSpace.of(space)
    training_texts = None if training_texts is None else checked_texts(training_texts, what="training_texts")
    given = checked_texts(texts)
    if len(given) < 2:
        raise DataError(f"There is {len(given)} text to score; expected 2 or more, as intervals are over texts. Give some hundred.")
    settings = settings or ScoreSettings()
    batch_size = settings.batch_size
    rows = np.random.default_rng(seed).permutation(len(given))[: settings.n_texts]
    chosen = [given[row] for row in rows]
    decoded, bounded, compared = chosen[: settings.n_decoded_texts], chosen[: settings.n_bound_texts], chosen[: settings.n_samples]
    plain = _plain_nats(plain_language_model, given, rows[: max(len(decoded), len(bounded))])
    common: dict[str, Any] = {"seed": seed, "batch_size": batch_size, "progress": progress}

    posterior = space.posterior(chosen, batch_size=batch_size, progress=progress)
    n_tokens = _token_counts(space, bounded, posterior, batch_size)
    likelihood = importance_weighted(
        space, bounded, n_samples=settings.n_importance_samples, posterior=_first(posterior, len(bounded)), n_tokens=n_tokens, **common
    )
    path = rate_distortion(space, decoded, posterior=_first(posterior, len(decoded)), weights=settings.weights, **common)
    samples = sample_texts(
        space, settings.n_samples, decoding=Decoding(settings.temperature, seed=seed, batch_size=batch_size), progress=progress
    )
    perplexities = _perplexities(samples.texts, compared, settings.language_model, seed, progress)
    return TextVAEScore(
        rows=rows,
        kl=mean_estimate(kl_per_dimension(posterior).sum(axis=1), seed=seed),
        units=count_active_units(posterior),
        information=mutual_information(posterior, seed=seed),
        likelihood=likelihood,
        plain=None if plain is None else compare_with_plain(likelihood, plain[: len(bounded)], n_tokens, seed=seed),
        reconstructions=reconstruct_texts(
            space, decoded, points=posterior.means[: len(decoded)], decoding=Decoding(seed=seed, batch_size=batch_size), progress=progress
        ),
        gain=position_gain(space, decoded, points=posterior.means[: len(decoded)], **common),
        rate_distortion=RateDistortion(
            path,
            None if plain is None else mean_estimate(plain[: len(decoded)], seed=seed),
            Provenance(space=space.fingerprint, seed=seed, parameters={"weights": list(settings.weights)}),
        ),
        samples=samples,
        diversity=compare_diversity(samples.texts, compared),
        sample_perplexity=perplexities[0],
        real_perplexity=perplexities[1],
        memorization=None if training_texts is None else memorization_check(samples.texts, training_texts, compared, progress=progress),
        factors=None if factors is None else _probed(posterior, factors, rows, len(given), seed, progress),
        provenance=Provenance(
            space=space.fingerprint,
            seed=seed,
            parameters={
                "n_importance_samples": list(settings.n_importance_samples),
                "n_samples": settings.n_samples,
                "temperature": settings.temperature,
                "language_model": settings.language_model,
                "n_given": len(given),
                "n_texts": len(chosen),
                "n_bound_texts": len(bounded),
                "n_decoded_texts": len(decoded),
                "n_training_texts": None if training_texts is None else len(training_texts),
            },
        ),
    )


def _plain_nats(
    plain: PlainLanguageModel | None, texts: Sequence[str], rows: Int[np.ndarray, " n_rows"]
) -> Float[np.ndarray, " n_rows"] | None:
    """Nats of the plain language model for the texts of some rows."""
    if plain is None:
        return None
    n = len(rows) if callable(plain) else len(texts)
    nats = np.asarray(plain([texts[row] for row in rows]) if callable(plain) else plain, dtype=np.float64)
    if nats.shape != (n,) or not np.isfinite(nats).all():
        raise InputError(
            f"plain_language_model gives numbers of shape {nats.shape} that are all finite: {bool(np.isfinite(nats).all())}; expected "
            f"the nats of each of {n} texts, in their order."
        )
    return nats if callable(plain) else nats[rows]


def _first(posterior: Posterior, n_texts: int) -> Posterior:
    return Posterior(posterior.means[:n_texts], posterior.log_variances[:n_texts])


def _token_counts(space: LatentVariableSpace, texts: Sequence[str], posterior: Posterior, batch_size: int | None) -> Int[np.ndarray, " n"]:
    """Tokens that the model gives likelihoods of, the ends included."""
    tokens = space.token_log_likelihoods(texts, posterior.means[: len(texts)], batch_size=batch_size)
    return np.array([len(row) for row in tokens], dtype=np.int64)


def _perplexities(
    samples: Sequence[str], real: Sequence[str], language_model: str | None, seed: int, progress: Progress
) -> tuple[TextPerplexity | None, TextPerplexity | None]:
    if language_model is None:
        return None, None
    weights, tokenizer = open_causal_model(language_model)
    found = [
        text_perplexity(weights, tokenizer, side, name=language_model, seed=seed, progress=progress)
        if any(text.split() for text in side)
        else None
        for side in (samples, real)
    ]
    return found[0], found[1]


def _probed(
    posterior: Posterior, factors: Mapping[str, Iterable[Any]], rows: Int[np.ndarray, " n"], n_given: int, seed: int, progress: Progress
) -> Any:
    values = {name: list(column) for name, column in factors.items()}
    wrong = next((name for name, column in values.items() if len(column) != n_given), None)
    if wrong is not None:
        raise InputError(f"Factor {wrong!r} has {len(values[wrong])} values for {n_given} texts. Give one a text, None where it has none.")
    return probe_factors(
        posterior.means, {name: [column[row] for row in rows] for name, column in values.items()}, seed=seed, progress=progress
    )
