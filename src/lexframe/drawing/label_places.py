"""Where the names of points go in a picture: near their points, on no other name, and off the points; it knows no result."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_WIDTHS = {0.24: "ijl'|", 0.3: "tfI.,:;!/\\ []", 0.36: 'r()-{}"', 0.52: "ckvxyzJ", 0.86: "mwMW@%"}
_OF_LETTER = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_RINGS = (7, 11, 16, 23, 32, 43, 57, 74, 95, 120, 150, 190, 240, 300)
"""Pixels between a point and its label that are tried."""
_ANGLES = np.arange(24) * (2 * np.pi / 24)
_ROUNDS, _FINE = 3, 12.0
"""Times that labels are looked at, and the cost up to which one is left where it is."""
_COSTS = {"point": 90.0, "line on label": 150.0, "line on point": 12.0, "label on line": 150.0, "lines": 40.0}
"""Pixels of distance that a label takes rather than to stand so: on a point, its line across a label, and so on."""
_ON_LABEL, _OUTSIDE = 1e4, 1e9
_TRIED, _AT_ONCE = 72, 12
"""Places that are looked at closely, all and in one go."""
_GAP = 2.0
_MIDDLING = 0.57
"""Width of a letter as a share of the size of the font."""


@dataclass(frozen=True, slots=True)
class LabelPlace:
    """Where a label stands.

    Attributes
    ----------
    center : tuple of float
    end : tuple of float
        Where a line from the point meets the label.
    distance : float
        From the point to there.
    """

    center: tuple[float, float]
    end: tuple[float, float]
    distance: float


def text_width(text: str, size: float) -> float:
    """About how wide a text in Helvetica or Arial is; rather too much than too little.

    Parameters
    ----------
    text : str
    size : float
        Of the font, in pixels.
    """
    return size * sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> float:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return _OF_LETTER.get(letter, 0.72 if letter.isupper() else _MIDDLING)


def place_labels(
    points: Float[np.ndarray, "n 2"],
    sizes: Float[np.ndarray, "n 2"],
    extent: tuple[float, float],
    *,
    radius: float = 6.0,
) -> list[LabelPlace]:
    """Places for the labels of points, found greedily and then improved one at a time.

    A label that finds no place near its point stands farther off, where a line can lead to it. Lines keep off other labels where they
    can.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        In pixels.
    sizes : ndarray of shape (n, 2)
        Width and height of each label.
    extent : tuple of float
        Width and height of the picture, which labels do not leave.
    radius : float
        Of the points.

    Returns
    -------
    list of LabelPlace
        In the order of the points.
    """
    crowd = np.hypot(*(points[:, np.newaxis] - points).transpose(2, 0, 1))
    order = np.argsort((crowd < 90).sum(axis=1), kind="stable").tolist()  # those that stand alone take little from others
    centers, ends, costs = np.full((len(points), 2), np.nan), np.full((len(points), 2), np.nan), np.full(len(points), np.inf)
    for _ in range(_ROUNDS):
        for row in (row for row in order if costs[row] > _FINE):
            others = np.flatnonzero(~np.isnan(centers[:, 0]) & (np.arange(len(points)) != row))
            around = _Surroundings(
                np.concatenate([centers[others], sizes[others]], axis=1),
                np.concatenate([points[others], ends[others]], axis=1),
                np.delete(points, row, axis=0),
                radius,
            )
            centers[row], ends[row], costs[row] = _best(points[row], sizes[row], around, extent)
    distances = np.hypot(*(ends - points).T)
    return [
        LabelPlace((float(x), float(y)), (float(to_x), float(to_y)), float(distance))
        for (x, y), (to_x, to_y), distance in zip(centers, ends, distances, strict=True)
    ]


def _best(
    point: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"], around: "_Surroundings", extent: tuple[float, float]
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"], float]:
    """The place that costs least, looking closely at a few at a time: the others cannot cost less than what is known of them."""
    centers, ends, least = _candidates(point, size, around.boxes, extent)
    cost = np.full(len(centers), np.inf)
    for start in range(0, min(_TRIED, len(centers)), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        cost[part] = least[part] + around.cost(centers[part], ends[part], point, size)
        if start + _AT_ONCE < len(least) and cost.min() <= least[start + _AT_ONCE]:
            break
    best = int(cost.argmin())
    return centers[best], ends[best], float(cost[best])


def _candidates(
    point: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"], boxes: Float[np.ndarray, "k 4"], extent: tuple[float, float]
) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m 2"], Float[np.ndarray, " m"]]:
    """Centers, the best first by distance and by the labels that they would hide; where lines to them end; what they cost at least."""
    ways = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    off = [np.min((size / 2 + ring) / np.maximum(np.abs(ways), 1e-9), axis=1, keepdims=True) for ring in _RINGS]  # one edge is so far off
    centers = np.concatenate([point + ways * each for each in off])
    ends = np.clip(point, centers - size / 2, centers + size / 2)
    cost = np.hypot(*(ends - point).T)
    cost = cost + _OUTSIDE * ((centers < size / 2) | (centers > np.array(extent) - size / 2)).any(axis=1)
    near = np.abs(centers[:, np.newaxis] - boxes[:, :2]) < (size + boxes[:, 2:]) / 2 + _GAP
    cost += _ON_LABEL * near.all(axis=2).sum(axis=1)
    order = np.argsort(cost, kind="stable")
    return centers[order], ends[order], cost[order]


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """What stands around a label: other labels as centers and sizes, lines as starts and ends, other points."""

    boxes: Float[np.ndarray, "k 4"]
    lines: Float[np.ndarray, "k 4"]
    points: Float[np.ndarray, "r 2"]
    radius: float

    def cost(
        self, centers: Float[np.ndarray, "m 2"], ends: Float[np.ndarray, "m 2"], point: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"]
    ) -> Float[np.ndarray, " m"]:
        """What labels at these centers would hide, and what their lines would cross."""
        places, halves = self.boxes[:, :2], self.boxes[:, 2:] / 2
        hidden = (np.abs(centers[:, np.newaxis] - self.points) < size / 2 + self.radius).all(axis=2)
        own = _steps(np.broadcast_to(point, ends.shape), ends)[:, :, np.newaxis]
        on_label = (np.abs(own - places) < halves).all(axis=3).any(axis=1)
        on_point = (((own - self.points) ** 2).sum(axis=3) < self.radius**2).any(axis=1)
        theirs = _steps(self.lines[:, :2], self.lines[:, 2:])
        under = (np.abs(centers[:, np.newaxis, np.newaxis] - theirs) < size / 2 + 1).all(axis=3).any(axis=2)
        crossed = _crossing(point, ends, self.lines)
        found = {"point": hidden, "line on label": on_label, "line on point": on_point, "label on line": under, "lines": crossed}
        return np.asarray(sum(_COSTS[what] * each.sum(axis=1) for what, each in found.items()), dtype=np.float64)


def _steps(starts: Float[np.ndarray, "n 2"], ends: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n s 2"]:
    """Points along lines."""
    shares = np.linspace(0.1, 0.98, 12)[:, np.newaxis]
    return starts[:, np.newaxis] + shares * (ends - starts)[:, np.newaxis]


def _crossing(start: Float[np.ndarray, "2"], ends: Float[np.ndarray, "m 2"], lines: Float[np.ndarray, "k 4"]) -> np.ndarray:
    """Which lines from one start cross which others."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.sign((b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0]))

    to, first, second = ends[:, np.newaxis], lines[np.newaxis, :, :2], lines[np.newaxis, :, 2:]
    return (side(start, to, first) * side(start, to, second) < 0) & (side(first, second, start) * side(first, second, to) < 0)


def shown_names(names: Sequence[str], length: int) -> list[str]:
    """Names on one line, no two the same, with the middle left out of long ones: names of one kind differ at their ends.

    Parameters
    ----------
    names : sequence of str
    length : int
        Letters of middling width that a name takes at most, a number that tells equal ones apart not counted.
    """
    result: list[str] = []
    taken: set[str] = set()
    for name in names:
        short = shown = _without_middle(" ".join(name.split()) or "(blank)", length * _MIDDLING)
        number = 1
        while shown in taken:
            number += 1
            shown = f"{short} ({number})"
        taken.add(shown)
        result.append(shown)
    return result


def _without_middle(line: str, width: float) -> str:
    widths = np.cumsum([_letter_width(letter) for letter in line])
    if widths[-1] <= width:
        return line
    half = (width - 1) / 2
    head, tail = int((widths <= half).sum()), int((widths[-1] - widths < half).sum())
    return f"{line[:head]}…{line[len(line) - tail :]}"
