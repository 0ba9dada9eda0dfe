"""What a text VAE is worth, and how it is read."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lexframe.generative.score.vae_measures import vae_measures
from lexframe.generative.score.vae_score_parts import VAEScoreParts
from lexframe.generative.score.vae_warnings import vae_warnings

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class TextVAEScore(VAEScoreParts):
    """What a text VAE is worth, from all sides.

    Attributes
    ----------
    rows : ndarray of int, shape (n_texts,)
        Which of the given texts were scored, in the order that they were drawn in. A measure of fewer texts takes the first of them.
    kl : Estimate
        Mean KL(q(z | x) ‖ p(z)), in nats a text.
    units : ActiveUnits
        KL and use of each dimension.
    information : MutualInformation
    likelihood : ImportanceWeighted
    plain : PlainComparison or None
        Against a plain language model; None where none was given.
    reconstructions : Reconstructions
    gain : PositionGain
    rate_distortion : RateDistortion
        Along the path of posteriors of this model.
    samples : Samples
    diversity : SampleDiversity
    sample_perplexity, real_perplexity : TextPerplexity or None
        Of the samples and of as many real texts under a language model; None where none was asked for, or no text has a word.
    memorization : MemorizationCheck or None
        None without training texts.
    factors : FactorProbes or None
        None where no factors were given.
    provenance : Provenance
    """

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the numbers warn of, in sentences, the gravest first; empty where there is nothing."""
        return vae_warnings(self)

    def to_dict(self) -> dict[str, Any]:
        """Every measure and the warnings as plain types, for JSON; what is not finite is None."""
        parts = ("kl", "units", "information", "likelihood", "plain", "reconstructions", "gain", "rate_distortion", "samples", "diversity")
        found = {name: getattr(self, name) for name in (*parts, "sample_perplexity", "real_perplexity", "memorization", "factors")}
        return {
            "n_texts": len(self.rows),
            "warnings": list(self.warnings),
            **{name: None if part is None else _finite(part.to_dict()) for name, part in found.items()},
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a measure: ``part``, ``measure``, ``value``, ``low`` and ``high`` (95%), ``unit``, ``n_texts``, ``good``."""
        import pandas as pd

        return pd.DataFrame([measure.to_dict() for measure in vae_measures(self)])

    def chart(self) -> Any:
        """KL per dimension, gain by position, rate and distortion: an Altair chart."""
        from lexframe.generative.charts import score_chart

        return score_chart(self)

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(float_format="{:.3f}".format, escape=True, index=False))


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
