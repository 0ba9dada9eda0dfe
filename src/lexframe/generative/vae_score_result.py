"""All measures of one text VAE, and how they are read."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from lexframe.generative.active_units import ActiveUnits
from lexframe.generative.factor_probe import FactorProbes
from lexframe.generative.likelihood_bounds import ImportanceWeighted
from lexframe.generative.mutual_information import MutualInformation
from lexframe.generative.nearest_texts import MemorisationCheck
from lexframe.generative.plain_comparison import PlainComparison
from lexframe.generative.position_gain import PositionGain
from lexframe.generative.rate_distortion import RateDistortion, RatePoint
from lexframe.generative.reconstructions import Reconstructions
from lexframe.generative.sample_diversity import SampleDiversity
from lexframe.generative.samples import Samples
from lexframe.generative.text_perplexity import TextPerplexity
from lexframe.provenance import Provenance
from lexframe.resampling import Estimate

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class TextVAEScore:
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
    memorisation : MemorisationCheck or None
        None without training texts.
    factors : FactorProbes or None
        None where no factors were given.
    provenance : Provenance
    """

    rows: Int[np.ndarray, " n_texts"]
    kl: Estimate
    units: ActiveUnits
    information: MutualInformation
    likelihood: ImportanceWeighted
    plain: PlainComparison | None
    reconstructions: Reconstructions
    gain: PositionGain
    rate_distortion: RateDistortion
    samples: Samples
    diversity: SampleDiversity
    sample_perplexity: TextPerplexity | None
    real_perplexity: TextPerplexity | None
    memorisation: MemorisationCheck | None
    factors: FactorProbes | None
    provenance: Provenance

    @property
    def own_point(self) -> RatePoint:
        """Rate and distortion under the model's own posterior: KL, reconstruction and their sum, minus the ELBO."""
        return next(point for point in self.rate_distortion.points if point.weight == 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the numbers warn of, in sentences, the gravest first; empty where there is nothing."""
        from lexframe.generative.vae_warnings import vae_warnings

        return vae_warnings(self)

    def to_dict(self) -> dict[str, Any]:
        """Every measure and the warnings as plain types, for JSON; what is not finite is None."""
        parts = ("kl", "units", "information", "likelihood", "plain", "reconstructions", "gain", "rate_distortion", "samples", "diversity")
        found = {name: getattr(self, name) for name in (*parts, "sample_perplexity", "real_perplexity", "memorisation", "factors")}
        return {
            "n_texts": len(self.rows),
            "warnings": list(self.warnings),
            **{name: None if part is None else _finite(part.to_dict()) for name, part in found.items()},
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a measure: ``part``, ``measure``, ``value``, ``low`` and ``high`` (95%), ``unit``, ``n_texts``, ``good``."""
        import pandas as pd

        from lexframe.generative.vae_measures import vae_measures

        return pd.DataFrame([measure.to_dict() for measure in vae_measures(self)])

    def chart(self) -> Any:
        """KL per dimension, gain by position, rate and distortion: an Altair chart."""
        from lexframe.report.vae_charts import score_chart

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
