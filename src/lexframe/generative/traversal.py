"""One direction of a latent at a time: what the decoder writes as a point moves along it and stays where it is otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import checked_points, checked_texts, checked_vector, plain
from lexframe.exceptions import InputError
from lexframe.generative.texts.word_edits import word_distance
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import DecodableSpace, Progress
from lexframe.spaces.decoding import Decoding
from lexframe.typing import ModelName

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class Traversal(Result):
    """Texts along some axes through the point of one text.

    Attributes
    ----------
    text : str
        What was read.
    reconstruction : str
        What its own point is decoded to.
    axes : tuple of str
        Names: the number of a dimension, or the name under which a direction was given.
    units : ndarray of shape (n_axes,), float64
        Length of one standard deviation along each axis, in the units of the points.
    amounts : tuple of float
        In standard deviations.
    is_absolute : bool
        Amounts are places on the axis, counted from the mean; otherwise steps from the text's own place.
    points : ndarray of shape (n_axes, n_amounts, n_dims), float32
    texts : tuple of tuples of str
        For each axis a text an amount.
    changes : ndarray of shape (n_axes, n_amounts), float64
        Word edit distance to the reconstruction over the length of the longer text, in [0, 1]. An axis of zeros is not used.
    provenance : Provenance
    """

    text: str
    reconstruction: str
    axes: tuple[str, ...]
    units: Float[np.ndarray, " n_axes"]
    amounts: tuple[float, ...]
    is_absolute: bool
    points: Float[np.ndarray, "n_axes n_amounts n_dims"]
    texts: tuple[tuple[str, ...], ...]
    changes: Float[np.ndarray, "n_axes n_amounts"]
    provenance: Provenance

    def summary(self) -> str:
        """The axis that changes the text most, and how many change nothing."""
        means = self.changes.mean(axis=1)
        still = int((self.changes == 0).all(axis=1).sum())
        if still == len(self.axes):
            return f"None of {len(self.axes)} axes changes the text within {max(map(abs, self.amounts)):g} standard deviations."
        return (
            f"Of {len(self.axes)} axes {self.axes[int(means.argmax())]} changes the text most ({means.max():.0%} of its words on average); "
            f"{still} change nothing."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON, without the points."""
        names = ("text", "reconstruction", "axes", "units", "amounts", "is_absolute", "texts", "changes")
        return {name: plain(getattr(self, name)) for name in names} | {"provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row an axis and amount. ``to_frame().pivot(index="axis", columns="amount", values="text")`` is the table to read."""
        import pandas as pd

        rows = [
            {"axis": axis, "amount": amount, "text": text, "change": change}
            for axis, texts, changes in zip(self.axes, self.texts, self.changes.tolist(), strict=True)
            for amount, text, change in zip(self.amounts, texts, changes, strict=True)
        ]
        return pd.DataFrame(rows)


def traverse(
    space: DecodableSpace | ModelName,
    text: str,
    *,
    axes: Sequence[int] | Mapping[str, Float[np.ndarray, " n_dims"]] | None = None,
    amounts: Sequence[float] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0),
    reference: Float[np.ndarray, "n_reference n_dims"] | None = None,
    is_absolute: bool = False,
    decoding: Decoding | None = None,
    progress: Progress = iter,
) -> Traversal:
    r"""Move the point of a text along each axis, keep the rest of it, and decode.

    With u the unit vector of an axis and s the standard deviation along it, amount a gives :math:`z + a s u`, or, absolute,
    :math:`z + (u\cdot\bar z + a s - u\cdot z) u`.

    Parameters
    ----------
    space : DecodableSpace or str
    text : str
    axes : sequence of int or mapping of str to ndarray of shape (n_dims,), optional
        Dimensions by number, or directions of any length by name. Default: every dimension.
    amounts : sequence of float
        In standard deviations.
    reference : ndarray of shape (n_reference, n_dims), optional
        Points of many texts, whose mean and spread along an axis are its mean and standard deviation. Default: those of the prior
        N(0, I), so mean 0 and standard deviation 1.
    is_absolute : bool
        Amounts are places on the axis, counted from the mean; otherwise steps from the text's own place.
    decoding : Decoding, optional
        Default: the likeliest token each time.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    Traversal

    Raises
    ------
    InputError
        If there is no axis or amount, an axis does not exist or is zero, something is not finite, or the reference has another width
        than the space, fewer than two points, or no spread along an axis.
    """
    space = DecodableSpace.of(space)
    decoding = decoding or Decoding()
    if isinstance(text, str):
        text = checked_texts([text])[0]
    else:
        raise InputError(f"text is {text!r}; a traversal starts from one text. Call it once for each.")
    names, directions = _directions(axes, space.n_dims)
    steps = np.asarray(amounts, dtype=np.float64)
    if not steps.size or not np.isfinite(steps).all():
        raise InputError(f"amounts is {list(amounts)}; expected one finite number or more, in standard deviations.")
    means, units = _means_and_units(reference, directions, names, space.n_dims)
    origin = space.encode([text], batch_size=decoding.batch_size, progress=progress)[0].astype(np.float64)
    places = steps * units[:, np.newaxis]
    if is_absolute:
        places = places + (means - directions @ origin)[:, np.newaxis]
    points = (origin + places[:, :, np.newaxis] * directions[:, np.newaxis]).astype(np.float32)
    flat = np.concatenate([origin[np.newaxis].astype(np.float32), points.reshape(-1, space.n_dims)])
    written = decoding.texts(space, flat, progress=progress)
    texts = tuple(tuple(written[1 + row * len(steps) : 1 + (row + 1) * len(steps)]) for row in range(len(names)))
    return Traversal(
        text=text,
        reconstruction=written[0],
        axes=names,
        units=units,
        amounts=tuple(steps.tolist()),
        is_absolute=is_absolute,
        points=points,
        texts=texts,
        changes=np.array([[word_distance(written[0], one) for one in row] for row in texts], dtype=np.float64),
        provenance=Provenance(space=space.fingerprint, seed=decoding.seed, parameters=decoding.parameters),
    )


def _directions(axes: Any, n_dims: int) -> tuple[tuple[str, ...], Float[np.ndarray, "n_axes n_dims"]]:
    """Names and unit vectors."""
    if axes is None:
        axes = range(n_dims)
    if not len(axes):
        raise InputError("axes is empty; name a dimension or a direction, or leave it out for every dimension.")
    if isinstance(axes, Mapping):
        vectors = np.array([checked_vector(vector, n_dims, what=f"The axis {name!r}") for name, vector in axes.items()])
        lengths = np.linalg.norm(vectors, axis=1)
        if not lengths.all():
            raise InputError(f"The axis {list(axes)[int(lengths.argmin())]!r} is zero, so it points nowhere. Give another vector.")
        return tuple(map(str, axes)), vectors / lengths[:, np.newaxis]
    wrong = [axis for axis in axes if not 0 <= axis < n_dims]
    if wrong:
        raise InputError(f"There is no dimension {wrong[0]}; the space has the dimensions 0 … {n_dims - 1}.")
    return tuple(str(axis) for axis in axes), np.eye(n_dims)[list(axes)]


def _means_and_units(reference: Any, directions: np.ndarray, names: Sequence[str], n_dims: int) -> tuple[np.ndarray, np.ndarray]:
    if reference is None:
        return np.zeros(len(directions)), np.ones(len(directions))
    points = checked_points(reference, n_dims, what="reference")
    if len(points) < 2:
        raise InputError(f"reference has {len(points)} points, which have no spread. Give the points of some hundred texts, or none.")
    along = points @ directions.T
    units = along.std(axis=0, ddof=1)
    still = units <= 1e-12 * np.abs(points).max()
    if still.any():
        raise InputError(f"The reference does not vary along the axis {names[int(still.argmax())]!r}, which gives amounts no unit.")
    return along.mean(axis=0), units
