"""A direction in a space: through the layers of a model (a steering vector), or of points of one kind; and what it does to points."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.artifacts import Artifact, Persistent
from lexframe.checks import checked_points, checked_vector
from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.instruments.directions.preflight import Preflight
from lexframe.instruments.edits.point_edit import PointEdit, checked_strength
from lexframe.linalg import cosine
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.typing import Points, Vectors

Vector = Float[np.ndarray, " n_dims"]
ByLayer = Mapping[Any, Float[np.ndarray, " _"]]  # layers of one model may differ in width
NUMBERS = (int, float, np.integer, np.floating)


@dataclass(frozen=True, slots=True, eq=False)
class Direction(PointEdit, Persistent):
    """A vector from a negative to a positive pole: one for each of some layers of a model, or one for points of a space without layers.

    Directions of one model can be added, subtracted, negated, and multiplied or divided by numbers; sums cover the layers that
    both have. Those of two models are refused. Methods that take a `layer` need none where the direction has one vector only.

    Attributes
    ----------
    vectors : mapping of int to ndarray of shape (n_dims,), float32
        By layer, counted from the front: 0 is the embedding output, k the output of block k, n_layers the last state, after the
        final norm. What finds a direction among texts makes each as long as a typical state of its layer, so a strength of 0.2 moves
        a state by a fifth of its length. A direction of points has one vector, under None; see :meth:`of_points`.
    n_layers : int or None
        Blocks of the model; None for a direction of points.
    positive, negative : str
        Names of the poles.
    method : str
        How it was found.
    provenance : Provenance
        Of the space it was found with; only its model has to be that of the space it is used with, and for a direction of points
        the layer too. Without a space it is of bare points, and whoever uses it answers for their space.
    preflight : mapping of int to Preflight
        By layer; empty for what was not found from examples.
    origins : mapping of int to ndarray of shape (n_dims,)
        Where projections are measured from, by layer, such as the midpoint of the poles. A layer without one is measured from zero.
    scales : mapping of int to float
        Length of a typical state, by layer; see :meth:`typical`.

    Raises
    ------
    InputError
        If there is no vector, a layer that does not exist, or a vector or origin that is not finite or of another width.
    """

    artifact_kind = "direction"

    vectors: ByLayer
    n_layers: int | None
    positive: str
    negative: str
    method: str
    provenance: Provenance
    preflight: Mapping[Any, Preflight] = field(default_factory=dict)
    origins: ByLayer = field(default_factory=dict)
    scales: Mapping[Any, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.vectors:
            raise InputError("A direction needs a vector of one layer at least, but there is none.")
        for layer, vector in self.vectors.items():
            if (layer is None) != (self.n_layers is None):
                raise InputError("A direction has vectors by layer and n_layers, or one vector under None and no n_layers.")
            if self.n_layers is not None and not 0 <= layer <= self.n_layers:
                raise InputError(f"A direction has a vector for layer {layer}, but the layers of the model are 0 … {self.n_layers}.")
            if not np.isfinite(vector).all():
                raise InputError(f"The vector of {_place(layer)} is not finite. Find the direction again, from other examples.")
            if layer in self.origins:
                checked_vector(self.origins[layer], len(vector), what=f"The origin of {_place(layer)}")

    @classmethod
    def of_points(
        cls,
        vector: Any,
        space: SpaceFingerprint | None = None,
        *,
        positive: str = "positive",
        negative: str = "negative",
        method: str = "given",
        origin: Any = None,
        scale: float | None = None,
    ) -> "Direction":
        """A direction of the points of one space, as a text VAE or a sentence encoder gives them: one vector, no layers.

        Parameters
        ----------
        vector : array-like of shape (n_dims,)
            In the units of the points; strength 1 adds it as it is.
        space : SpaceFingerprint, optional
            Of the space; other points are then refused.
        positive, negative : str
            Names of the poles.
        method : str
            How it was found.
        origin : array-like of shape (n_dims,), optional
            Where projections are measured from.
        scale : float, optional
            Length of a typical point.

        Returns
        -------
        Direction

        Raises
        ------
        InputError
            If the vector is zero or not finite.
        """
        checked = checked_vector(vector, what="direction")
        if not checked.any():
            raise InputError("The direction is zero, so it moves nothing. Find it again, from other examples.")
        return cls(
            vectors={None: checked.astype(np.float32)},
            n_layers=None,
            positive=positive,
            negative=negative,
            method=method,
            provenance=Provenance(space=space),
            origins={} if origin is None else {None: checked_vector(origin, len(checked), what="origin")},
            scales={} if scale is None else {None: float(scale)},
        )

    @property
    def space(self) -> SpaceFingerprint | None:
        """Of the space it was found with; None for a direction of bare points."""
        return self.provenance.space

    @property
    def goal(self) -> str:
        """Name of the positive pole."""
        return self.positive

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that it has, from the front; none for a direction of points."""
        return () if self.n_layers is None else tuple(sorted(self.vectors))

    def vector(self, layer: int | None = None) -> Vector:
        """The vector of one layer; negative numbers count from the last state, -1.

        Parameters
        ----------
        layer : int, optional
            Not needed where there is one vector only.

        Raises
        ------
        InputError
            If the direction has none there, or several and no layer is named.
        """
        found: Vector = self.vectors[self._resolved(layer)]
        return found

    def at(self, layer: int) -> "Direction":
        """The direction of one layer alone.

        Raises
        ------
        InputError
            If it has none there.
        """
        kept = self._resolved(layer)
        preflight, origins, scales = (_only(values, kept) for values in (self.preflight, self.origins, self.scales))
        return replace(self, vectors={kept: self.vectors[kept]}, preflight=preflight, origins=origins, scales=scales)

    def project(self, points: Vectors, layer: int | None = None) -> Float[np.ndarray, " n_points"]:
        """How far along the direction points lie, from its origin, in their own units.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        layer : int, optional

        Returns
        -------
        ndarray of shape (n_points,), float64
        """
        resolved = self._resolved(layer)
        unit = self._unit(resolved)
        return np.asarray((checked_points(points, len(unit)) - self.origins.get(resolved, 0.0)) @ unit)

    def remove(self, points: Vectors, layer: int | None = None) -> Points:
        """Points without their part along the direction: all of them then project to 0.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        layer : int, optional

        Returns
        -------
        ndarray of shape (n_points, n_dims), float32
        """
        along = self.project(points, layer)
        return (np.asarray(points, dtype=np.float64) - along[:, np.newaxis] * self._unit(self._resolved(layer))).astype(np.float32)

    def move(self, points: Vectors, strength: float = 1.0, layer: int | None = None) -> Points:
        """Points plus `strength` times the vector.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        strength : float
            1 adds the vector as it is, a negative number moves towards the negative pole.
        layer : int, optional

        Returns
        -------
        ndarray of shape (n_points, n_dims), float32
        """
        vector = self.vector(layer)
        return (checked_points(points, len(vector)) + checked_strength(strength) * vector.astype(np.float64)).astype(np.float32)

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

    def typical(self) -> "Direction":
        """The same direction with vectors as long as a typical state of their layer: a strength of 0.2 then moves by a fifth of that.

        Raises
        ------
        InputError
            If it does not know the length of a typical state of one of its layers.
        """
        missing = [layer for layer in self.vectors if layer not in self.scales]
        if missing:
            raise InputError(f"The direction {self} has no scale for {_place(missing[0])}. Give scales, or use unit().")
        unit = self.unit()
        return replace(unit, vectors={layer: vector * np.float32(self.scales[layer]) for layer, vector in unit.vectors.items()})

    def cosine(self, other: "Direction") -> dict[int | None, float]:
        """Cosine with another direction of the same model, by layer that both have; under None for directions of points."""
        shared = self._shared(other)
        return {layer: float(cosine(self.vectors[layer][None], other.vectors[layer][None])[0, 0]) for layer in shared}

    def require(self, space: SpaceFingerprint) -> None:
        """Raise FingerprintMismatch unless the direction was found on the model of that space, and on its layer if it is one of points."""
        if self.space is None:
            return
        self.space.require_model(space, what=f"The direction {self}")
        if self.n_layers is None and self.space.layer != space.layer:
            raise FingerprintMismatch(
                str(self.space),
                str(space),
                f"The direction {self}",
                advice="Use points of that layer, or find it again.",
            )

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

    def to_artifact(self) -> Artifact:
        """Vectors and origins by layer, and everything else as parameters."""
        arrays = {_key("vector", layer): np.asarray(vector, dtype=np.float32) for layer, vector in self.vectors.items()}
        arrays |= {_key("origin", layer): np.asarray(origin, dtype=np.float64) for layer, origin in self.origins.items()}
        parameters = {
            "positive": self.positive,
            "negative": self.negative,
            "method": self.method,
            "n_layers": self.n_layers,
            "preflight": {_key("", layer): found.to_dict() for layer, found in self.preflight.items()},
            "scales": {_key("", layer): scale for layer, scale in self.scales.items()},
        }
        return Artifact(self.artifact_kind, parameters, arrays, self.provenance, self.artifact_version)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "Direction":
        """Back from :meth:`to_artifact`."""
        known = artifact.parameters
        return cls(
            vectors=_by_layer("vector", artifact.arrays),
            n_layers=known["n_layers"],
            positive=known["positive"],
            negative=known["negative"],
            method=known["method"],
            provenance=artifact.provenance,
            preflight={layer: Preflight(**found) for layer, found in _by_layer("", known["preflight"]).items()},
            origins=_by_layer("origin", artifact.arrays),
            scales=_by_layer("", known["scales"]),
        )

    def __str__(self) -> str:
        return f"{self.positive!r} against {self.negative!r}"

    def _resolved(self, layer: int | None) -> int | None:
        """The key of a layer."""
        if layer is None:
            if len(self.vectors) > 1:
                raise InputError(f"The direction {self} has vectors for the layers {list(self.layers)}; name one as layer.")
            return next(iter(self.vectors))
        if self.n_layers is None:
            raise InputError(f"The direction {self} is one of points and has no layers, but layer {layer} is asked for. Leave it out.")
        resolved = layer + self.n_layers + 1 if layer < 0 else layer
        if resolved not in self.vectors:
            raise InputError(
                f"The direction has no vector for layer {layer}; it has {', '.join(map(str, self.layers))}. "
                "Find it with that layer among `layers`."
            )
        return resolved

    def _unit(self, layer: int | None) -> Vector:
        vector = self.vectors[layer].astype(np.float64)
        length = float(np.linalg.norm(vector))
        if length == 0:
            raise InputError(f"The vector of {_place(layer)} is zero, so nothing lies along it. Find the direction again.")
        return np.asarray(vector / length)

    def _mapped(self, change: Callable[[np.ndarray], np.ndarray]) -> "Direction":
        return replace(self, vectors={layer: change(vector).astype(np.float32) for layer, vector in self.vectors.items()})

    def _shared(self, other: "Direction") -> Sequence[int | None]:
        if other.space is not None:
            self.require(other.space)
        shared = [layer for layer in sorted(self.vectors) if layer in other.vectors]
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
            provenance=self.provenance if self.space is not None else other.provenance,
            preflight={},  # what was seen of one part says nothing of the sum
            origins={},  # nor does the middle between its poles
        )


def _only(values: Mapping[Any, Any], layer: int | None) -> dict[Any, Any]:
    return {layer: values[layer]} if layer in values else {}


def _place(layer: int | None) -> str:
    return "the points" if layer is None else f"layer {layer}"


def _key(name: str, layer: int | None) -> str:
    """What something of a layer is called in an artifact."""
    return f"{name}.points" if layer is None else f"{name}.layer.{layer}"


def _by_layer(name: str, values: Mapping[str, Any]) -> dict[Any, Any]:
    """Back from :func:`_key`: the values with that name."""
    found = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
    return {None if key == "points" else int(key.removeprefix("layer.")): value for key, value in found.items()}
