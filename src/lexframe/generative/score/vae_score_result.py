"""What a text VAE is worth, and how it is read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lexframe.checks import plain
from lexframe.generative.score.vae_measures import vae_measures
from lexframe.generative.score.vae_score_parts import VAEScoreParts
from lexframe.generative.score.vae_warnings import vae_warnings
from lexframe.results import Result, WithPage
from lexframe.text_forms import counted

if TYPE_CHECKING:
    import altair
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class TextVAEScore(VAEScoreParts, Result, WithPage):
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

    page: ClassVar[str] = "lexframe.generative.page:text_vae_report"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the numbers warn of, in sentences, the gravest first; empty where there is nothing."""
        return vae_warnings(self)

    def summary(self) -> str:
        """The gravest warning, or what the latent costs, tells and saves where there is none."""
        own = self.own_point
        text = (
            f"{counted(len(self.rows), 'text')}: minus the ELBO {own.total.value:.2f} nats a text, KL "
            f"{self.kl.value:.2f}, {self.units.n_active[0]} "
            f"of {self.units.n_dims} dimensions active, {self.reconstructions.rates()['word_accuracy']:.0%} of words reconstructed."
        )
        warnings = self.warnings
        if not warnings:
            return f"{text} Nothing to warn of."
        return f"{text} {warnings[0]}" + (f" There are {len(warnings) - 1} more warnings." if len(warnings) > 1 else "")

    def to_dict(self) -> dict[str, Any]:
        """Every measure and the warnings as plain types, for JSON; what is not finite is None."""
        parts = ("kl", "units", "information", "likelihood", "plain", "reconstructions", "gain", "rate_distortion", "samples", "diversity")
        found = {name: getattr(self, name) for name in (*parts, "sample_perplexity", "real_perplexity", "memorization", "factors")}
        return {
            "n_texts": len(self.rows),
            "warnings": list(self.warnings),
            **{name: None if part is None else plain(part.to_dict()) for name, part in found.items()},
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a measure: ``part``, ``measure``, ``value``, ``low`` and ``high`` (95%), ``unit``, ``n_texts``, ``good``."""
        import pandas as pd

        return pd.DataFrame([measure.to_dict() for measure in vae_measures(self)])

    def chart(self) -> "altair.VConcatChart":
        """KL per dimension, gain by position, rate and distortion: an Altair chart."""
        from lexframe.generative.score.charts import score_chart

        return score_chart(self)
