"""The parts of what a text VAE is worth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from lexframe.generative.reconstructions import Reconstructions
from lexframe.generative.samples import Samples
from lexframe.generative.score.active_units import ActiveUnits
from lexframe.generative.score.factor_probe import FactorProbes
from lexframe.generative.score.likelihood_bounds import ImportanceWeighted
from lexframe.generative.score.mutual_information import MutualInformation
from lexframe.generative.score.plain_comparison import PlainComparison
from lexframe.generative.score.position_gain import PositionGain
from lexframe.generative.score.rate_distortion import RateDistortion, RatePoint
from lexframe.generative.texts.nearest_texts import MemorizationCheck
from lexframe.generative.texts.sample_diversity import SampleDiversity
from lexframe.generative.texts.text_perplexity import TextPerplexity
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance


@dataclass(frozen=True, slots=True, eq=False)
class VAEScoreParts:
    """What is measured of a text VAE, part by part.

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
    memorization: MemorizationCheck | None
    factors: FactorProbes | None
    provenance: Provenance

    @property
    def own_point(self) -> RatePoint:
        """Rate and distortion under the model's own posterior: KL, reconstruction and their sum, minus the ELBO."""
        return next(point for point in self.rate_distortion.points if point.weight == 1)
