r"""The tuned lens: an affine map a layer, after which the head reads at every layer about what it will read at the last.

With x what the head makes of an inner state and y what it makes of the last, the lens reads :math:`x + xA + b`. A ridge regression of
y - x on x gives A and b in closed form; steps of natural gradient on the divergence of the lens from the model follow. Both see texts
alone, no labels. Whatever does not help on tokens kept apart is not done, layer by layer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from lexframe.artifacts import Artifact, Persistent
from lexframe.instruments.traces.lens import Lens
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.spaces.base import LensSpace, resolve_layer

Rows = Float[np.ndarray, "n n_dims"]


@dataclass(frozen=True, slots=True)
class LayerFit:
    """How well one layer can be read, on tokens that no map was fitted on.

    Attributes
    ----------
    layer : int
    kl : dict of str to float
        Mean divergence of the model's distribution from the lens's, in nats a token: of the logit lens, after the ridge, and after
        the steps.
    chosen : {"logit", "ridge", "trained"}
        The smallest of the three; what the lens uses.
    ridge : float
        Share of the mean variance that was best.
    """

    layer: int
    kl: dict[str, float]
    chosen: str
    ridge: float


class TunedLens(Lens, Persistent):
    """A logit lens with an affine map in front of the head at every inner layer.

    Parameters
    ----------
    matrices : ndarray of shape (n_layers, n_dims, n_dims)
        A of the layers 0 … n_layers - 1.
    offsets : ndarray of shape (n_layers, n_dims)
        b of the same layers.
    fingerprint : SpaceFingerprint
        Of the model it was fitted on.
    fits : sequence of LayerFit
        What was found while fitting.

    References
    ----------
    Belrose et al. (2023), Eliciting latent predictions from transformers with the tuned lens, arXiv:2303.08112. There the
    map stands in front of the final norm and starts at zero.
    """

    name = "tuned"
    artifact_kind = "tuned-lens"

    def __init__(
        self,
        matrices: Float[np.ndarray, "n_layers n_dims n_dims"],
        offsets: Float[np.ndarray, "n_layers n_dims"],
        fingerprint: SpaceFingerprint,
        fits: Sequence[LayerFit] = (),
    ):
        self.matrices, self.offsets, self.fingerprint, self.fits = matrices, offsets, fingerprint, tuple(fits)

    def inputs(self, space: LensSpace, states: Rows, *, layer: int) -> Rows:
        """What the head makes of the states, moved by the layer's map; the last layer is the model's own.

        Raises
        ------
        FingerprintMismatch
            If the lens was fitted on another model.
        """
        self.fingerprint.require_model(space.fingerprint, what="This tuned lens")
        found = space.lens.input(states, layer=layer)
        number = resolve_layer(layer, space.n_layers)
        return found if number == space.n_layers else found + found @ self.matrices[number] + self.offsets[number]

    def logits(self, space: LensSpace, inputs: Rows, *, layer: int, precision: str = "float32") -> Float[np.ndarray, "n n_vocab"]:
        """The head's own logits."""
        return space.lens.logits(inputs, precision=precision)

    def to_artifact(self) -> Artifact:
        """The maps, and how well each layer can be read."""
        arrays = {"matrices": self.matrices, "offsets": self.offsets}
        parameters = {"fits": [asdict(fit) for fit in self.fits]}
        return Artifact(self.artifact_kind, parameters, arrays, Provenance(space=self.fingerprint), self.artifact_version)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "TunedLens":
        """Back from :meth:`to_artifact`."""
        space = artifact.provenance.space
        if space is None:
            raise KeyError("the lens does not say which model it was fitted on")
        fits = [LayerFit(**fit) for fit in artifact.parameters["fits"]]
        return cls(artifact.arrays["matrices"], artifact.arrays["offsets"], space, fits)
