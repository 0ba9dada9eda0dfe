"""Tasks in a plane, as far apart as they are unlike, with the reach of each place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.task_space.reading.matrices import checked_matrix, usable_resamples

MOST_RESAMPLES = 100
"""Covariances of places in a plane need no more."""

_LONG, _SHORT = (2000, 1e-10), (300, 1e-7)
"""Steps at most, and the relative gain at which to stop: of the map, and of the maps of resamples, which begin at it."""


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Where a task lies in so many maps of a hundred.

    Attributes
    ----------
    center : tuple of float
    radii : tuple of float
        Half the long and half the short axis.
    angle_deg : float
        Of the long axis, counted from the first axis of the map towards the second, in (-90, 90].
    """

    center: tuple[float, float]
    radii: tuple[float, float]
    angle_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class TaskMap:
    """Tasks in a plane.

    Attributes
    ----------
    coordinates : ndarray of shape (n_tasks, 2)
        Around 0. The first axis is the one along which tasks differ most, and on either the task farthest out lies on the positive
        side. The unit is that of the distance, the root of 2 (1 - similarity).
    stress : float
        Kruskal's stress-1: how far the plane is from the distances, as a share of its own. Above .2 it is a poor picture.
    covariances : ndarray of shape (n_tasks, 2, 2), or None
        Of the places of each task over maps of resamples.
    n_resamples : int
        How many of them there are.
    """

    coordinates: Float[np.ndarray, "n 2"]
    stress: float
    covariances: Float[np.ndarray, "n 2 2"] | None = None
    n_resamples: int = 0

    def ellipses(self, level: float = 0.95) -> tuple[Ellipse, ...]:
        """Ellipses of the normal distribution around the places; none where there were no resamples.

        Parameters
        ----------
        level : float
            Share of the maps that they hold, in (0, 1).

        Raises
        ------
        InputError
            If the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise InputError(f"level is {level}; expected a share between 0 and 1, such as 0.95.", parameter="level")
        if self.covariances is None:
            return ()
        reach = float(scipy.stats.chi2.ppf(level, 2))
        return tuple(_ellipse(place, spread, reach) for place, spread in zip(self.coordinates, self.covariances, strict=True))

    def summary(self) -> str:
        """How much of the distances the plane shows."""
        worth = "a poor picture of them: read the matrix" if self.stress > 0.2 else "a fair picture of them"
        return f"The plane holds the distances of {len(self.coordinates)} tasks at a stress of {self.stress:.2f}, {worth}."

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {name: plain(getattr(self, name)) for name in ("coordinates", "stress", "covariances", "n_resamples")}


def map_tasks(
    similarity: Float[np.ndarray, "n n"], *, resampled: Float[np.ndarray, "n_resamples n n"] | None = None, seed: int = 0
) -> TaskMap:
    """Lay tasks out in a plane by metric multidimensional scaling.

    The distance of two tasks is the root of 2 (1 - similarity), the chord between unit vectors of that cosine, so that tasks whose
    directions lie in one plane are shown without any loss; a similarity that noise pushes beyond 1 or -1 counts as that. The layout
    begins at classical scaling and majorizes the stress (SMACOF), which has no chance in it. Maps of resamples begin at the map, and
    are moved and turned onto it, mirrored where that fits better, but not scaled.

    Parameters
    ----------
    similarity : ndarray of shape (n_tasks, n_tasks)
        Symmetric; its diagonal takes no part.
    resampled : ndarray of shape (n_resamples, n_tasks, n_tasks), optional
        The matrix in resamples; at most 100 of those that are finite are used.
    seed : int
        Which of them, where there are more.

    Returns
    -------
    TaskMap

    Raises
    ------
    InputError
        If there are fewer than 3 tasks, or a matrix is not finite, not symmetric or of another size.
    """
    distances = _chords(checked_matrix(similarity, least=3))
    coordinates = _turned(_smacof(distances[np.newaxis], _classical(distances)[np.newaxis], *_LONG)[0])
    stress = _stress(distances, coordinates)
    if resampled is None:
        return TaskMap(coordinates, stress)
    kept = usable_resamples(resampled, len(distances))
    if len(kept) > MOST_RESAMPLES:
        kept = kept[np.sort(np.random.default_rng(seed).choice(len(kept), MOST_RESAMPLES, replace=False))]
    starts = np.repeat(coordinates[np.newaxis], len(kept), axis=0)
    maps = aligned_maps(_smacof(_chords(kept), starts, *_SHORT), coordinates)
    around = maps - maps.mean(axis=0)
    covariances = np.einsum("bni,bnj->nij", around, around) / (len(maps) - 1)
    return TaskMap(coordinates, stress, covariances, len(maps))


def _chords(similarity: Float[np.ndarray, "*b n n"]) -> Float[np.ndarray, "*b n n"]:
    cosines = np.clip((similarity + np.swapaxes(similarity, -1, -2)) / 2, -1.0, 1.0)
    distances = np.sqrt(2 * (1 - cosines))
    places = np.arange(distances.shape[-1])
    distances[..., places, places] = 0.0
    return distances


def _classical(distances: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n 2"]:
    """Principal coordinates: exact where the distances are those of points in a plane."""
    squares = distances**2
    centered = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, np.newaxis] + squares.mean()
    values, vectors = np.linalg.eigh(-centered / 2)
    return vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0.0))


def _smacof(
    distances: Float[np.ndarray, "b n n"], starts: Float[np.ndarray, "b n 2"], most_steps: int, tolerance: float
) -> Float[np.ndarray, "b n 2"]:
    """Majorize the raw stress of many maps at once, each step the Guttman transform.

    A step to twice its length lowers the stress as well and gets there in half as many (de Leeuw and Heiser, 1980); the last is plain,
    since doubled ones keep the scale of the start.
    """
    total = (distances**2).sum() / 2
    places, last = starts, np.inf
    for _ in range(most_steps):
        transformed, raw = _guttman(distances, places)
        if last - raw <= tolerance * total:
            return transformed
        places, last = 2 * transformed - places, raw
    return _guttman(distances, places)[0]


def _guttman(distances: Float[np.ndarray, "b n n"], places: Float[np.ndarray, "b n 2"]) -> tuple[Float[np.ndarray, "b n 2"], float]:
    """The next places, and the raw stress of these, summed over maps."""
    own = _apart(places)
    raw = float(((distances - own) ** 2).sum() / 2)
    ratios = np.divide(distances, own, out=np.zeros_like(own), where=own > 0)
    pulled = ratios.sum(axis=-1, keepdims=True) * places - ratios @ places
    return pulled / distances.shape[-1], raw


def _apart(places: Float[np.ndarray, "*b n 2"]) -> Float[np.ndarray, "*b n n"]:
    x, y = places[..., 0], places[..., 1]
    across, along = (each[..., :, np.newaxis] - each[..., np.newaxis, :] for each in (x, y))
    return np.asarray(np.sqrt(across**2 + along**2))  # three times as fast as hypot, which guards against sizes that no map has


def _stress(distances: Float[np.ndarray, "n n"], coordinates: Float[np.ndarray, "n 2"]) -> float:
    own = _apart(coordinates)
    size = float((own**2).sum())
    return float(np.sqrt(((distances - own) ** 2).sum() / size)) if size else 0.0


def _turned(coordinates: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Around 0, on the principal axes, with the sign rule of :class:`TaskMap`."""
    centered = coordinates - coordinates.mean(axis=0)
    turned = centered @ np.linalg.svd(centered, full_matrices=False)[2].T
    farthest = turned[np.abs(turned).argmax(axis=0), [0, 1]]
    return turned * np.where(farthest < 0, -1.0, 1.0)


def aligned_maps(maps: Float[np.ndarray, "b n 2"], onto: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "b n 2"]:
    """Maps moved and turned onto one, mirrored where that fits better: orthogonal Procrustes with translation, without scaling.

    Parameters
    ----------
    maps : ndarray of shape (n_maps, n_tasks, 2)
    onto : ndarray of shape (n_tasks, 2)
        The map that stays.
    """
    centered = maps - maps.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.swapaxes(centered, 1, 2) @ (onto - onto.mean(axis=0)))
    return centered @ (left @ right) + onto.mean(axis=0)


def _ellipse(place: Sequence[float] | np.ndarray, spread: Float[np.ndarray, "2 2"], reach: float) -> Ellipse:
    values, vectors = np.linalg.eigh(spread)
    short, long = np.sqrt(np.maximum(values, 0.0) * reach)
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    angle = angle - 180 if angle > 90 else angle + 180 if angle <= -90 else angle
    return Ellipse((float(place[0]), float(place[1])), (float(long), float(short)), angle)
