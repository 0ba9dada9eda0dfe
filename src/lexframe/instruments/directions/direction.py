"""A direction through the layers of one model (a steering vector), and arithmetic with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.linalg import cosine
from lexframe.provenance import Provenance, SpaceFingerprint

LayerVectors = Mapping[int, Float[np.ndarray, " n_dims"]]
NUMBERS = (int, float, np.integer, np.floating)


@dataclass(frozen=True, slots=True)
class Preflight:
    """What says beforehand whether a direction is likely to steer.

    Attributes
    ----------
    n_positive, n_negative : int
        Examples of each pole.
    pair_cosine : float
        Mean cosine between the differences of training pairs: 1 where all pairs differ in the same way, 0 where in any.
    separation : float or None
        d′ on examples left out: the gap between the poles along the direction over their spread. None with fewer than four
        examples of a pole.

    References
    ----------
    Tan et al. (2024), arXiv:2407.12404, and Braun et al. (2025), arXiv:2505.22637: concepts with low values of either steer
    unreliably.
    """

    n_positive: int
    n_negative: int
    pair_cosine: float
    separation: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A vector for each of some layers, which points from a negative to a positive pole.

    Directions of one model can be added, subtracted, negated, and multiplied or divided by numbers; sums cover the layers that
    both have. Those of two models are refused.

    Attributes
    ----------
    vectors : dict of int to ndarray of shape (n_dims,), float32
        By layer, counted from the front: 0 is the embedding output, k the output of block k, n_layers the last state, after the
        final norm. What finds a direction makes each as long as a typical state of its layer, so a strength of 0.2 moves a
        state by a fifth of its length.
    n_layers : int
        Blocks of the model.
    positive, negative : str
        Names of the poles.
    method : str
        How it was found.
    provenance : Provenance
        Of the space it was found with; only its model has to be that of the space it is used with.
    preflight : dict of int to Preflight
        By layer; empty for what was not found from examples.

    Raises
    ------
    InputError
        If there is no layer, a layer that does not exist, or a vector that is not finite.
    """

    vectors: LayerVectors
    n_layers: int
    positive: str
    negative: str
    method: str
    provenance: Provenance
    preflight: Mapping[int, Preflight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.vectors:
            raise InputError("A direction needs a vector of one layer at least, but there is none.")
        for layer, vector in self.vectors.items():
            if not 0 <= layer <= self.n_layers:
                raise InputError(f"A direction has a vector for layer {layer}, but the layers of the model are 0 … {self.n_layers}.")
            if not np.isfinite(vector).all():
                raise InputError(f"The vector of layer {layer} is not finite. Find the direction again, from other examples.")

    @property
    def space(self) -> SpaceFingerprint:
        """Of the space it was found with."""
        assert self.provenance.space is not None
        return self.provenance.space

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that it has, from the front."""
        return tuple(sorted(self.vectors))

    def vector(self, layer: int) -> Float[np.ndarray, " n_dims"]:
        """The vector of one layer; negative numbers count from the last state, -1.

        Raises
        ------
        InputError
            If the direction has none there.
        """
        resolved = layer + self.n_layers + 1 if layer < 0 else layer
        if resolved not in self.vectors:
            raise InputError(
                f"The direction has no vector for layer {layer}; it has {', '.join(map(str, self.layers))}. "
                "Find it with that layer among `layers`."
            )
        return self.vectors[resolved]

    def __add__(self, other: "Direction") -> "Direction":
        return self._combined(other, 1) if isinstance(other, Direction) else NotImplemented

    def __sub__(self, other: "Direction") -> "Direction":
        return self._combined(other, -1) if isinstance(other, Direction) else NotImplemented

    def __neg__(self) -> "Direction":
        turned = self._mapped(lambda vector: -vector)
        return replace(turned, positive=self.negative, negative=self.positive)

    def __mul__(self, factor: Any) -> "Direction":
        if not isinstance(factor, NUMBERS):
            return NotImplemented
        return self._mapped(lambda vector: vector * np.float32(factor))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> "Direction":
        if not isinstance(divisor, NUMBERS):
            return NotImplemented
        if divisor == 0:
            raise InputError("A direction was divided by 0, which leaves nothing finite.")
        return self * (1 / divisor)

    def unit(self) -> "Direction":
        """The same direction with vectors of length 1, in the units of the states; a zero vector stays zero."""
        return self._mapped(lambda vector: vector / max(float(np.linalg.norm(vector)), np.finfo(np.float32).tiny))

    def cosine(self, other: "Direction") -> dict[int, float]:
        """Cosine with another direction of the same model, by layer that both have."""
        shared = self._shared(other)
        return {layer: float(cosine(self.vectors[layer][None], other.vectors[layer][None])[0, 0]) for layer in shared}

    def require(self, space: SpaceFingerprint) -> None:
        """Raise FingerprintMismatch unless the direction was found on the model of that space."""
        self.space.require_model(space, what=f"The direction {self}")

    def to_dict(self) -> dict[str, Any]:
        """What is known of it as plain types, without the vectors."""
        return {
            "positive": self.positive,
            "negative": self.negative,
            "method": self.method,
            "n_layers": self.n_layers,
            "layers": list(self.layers),
            "preflight": {str(layer): found.to_dict() for layer, found in self.preflight.items()},
            "provenance": self.provenance.to_dict(),
        }

    def __str__(self) -> str:
        return f"{self.positive!r} against {self.negative!r}"

    def _mapped(self, change: Callable[[np.ndarray], np.ndarray]) -> "Direction":
        return replace(self, vectors={layer: change(vector).astype(np.float32) for layer, vector in self.vectors.items()})

    def _shared(self, other: "Direction") -> Sequence[int]:
        self.space.require_model(other.space, what=f"The direction {self}")
        shared = [layer for layer in self.layers if layer in other.vectors]
        if not shared:
            raise InputError(
                f"The directions {self} (layers {list(self.layers)}) and {other} (layers {list(other.layers)}) share no layer."
            )
        return shared

    def _combined(self, other: "Direction", sign: int) -> "Direction":
        mark = "+" if sign > 0 else "-"
        return replace(
            self,
            vectors={layer: self.vectors[layer] + sign * other.vectors[layer] for layer in self._shared(other)},
            positive=f"{self.positive} {mark} {other.positive}",
            negative=f"{self.negative} {mark} {other.negative}",
            method=self.method if self.method == other.method else f"{self.method}, {other.method}",
            preflight={},  # what was seen of one part says nothing of the sum
        )
