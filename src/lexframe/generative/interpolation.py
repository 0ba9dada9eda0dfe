"""The texts along a path between two texts, and how evenly they change."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from lexframe.checks import checked_texts, plain
from lexframe.exceptions import InputError
from lexframe.generative.texts.word_edits import word_distance
from lexframe.instruments.edits.paths import PATHS, has_great_circle, linear_path, require_steps, spherical_path
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import DecodableSpace, Progress
from lexframe.spaces.decoding import Decoding
from lexframe.text_forms import counted, normalized
from lexframe.typing import ModelName, Points
from lexframe.verdicts import Verdict, Worth

if TYPE_CHECKING:
    import altair
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class Interpolation(Result):
    """The texts on the way from one text to another.

    Distances are word edit distances over the length of the longer text, in [0, 1]. What a measure cannot say is NaN: where all
    texts are one text nothing changes, and no change is monotone or smooth.

    Attributes
    ----------
    start_text, end_text : str
        What was read; the ends of `texts` are their reconstructions.
    path : {"linear", "spherical"}
        The path that was taken: linear also where a spherical one was asked for and there is none.
    same_ends : bool
        Both ends have one point, so this is a path of one text.
    fractions : ndarray of shape (n_steps,), float64
        Of the way, from 0 to 1.
    points : ndarray of shape (n_steps, n_dims), float32
    texts : tuple of str
        One a point.
    distances_to_start, distances_to_end : ndarray of shape (n_steps,), float64
        Of every text to the first and the last of `texts`.
    monotone_share : float
        With :math:`p = d_s/(d_s+d_e)` from these distances, the share of neighbouring texts that differ in which p rises.
    rank_correlation : float
        Spearman's, of the fraction with p.
    smoothness : float
        Distance of the re-encoded ends over the sum of distances of re-encoded neighbors: 1 for a straight way.
    largest_step : float
        The largest of these distances over their sum: 1 where one jump does it all, 1 / (n_steps - 1) where all are equal. A path that
        stays at one end and then jumps to the other has a smoothness of 1, and shows here.
    provenance : Provenance
    """

    start_text: str
    end_text: str
    path: str
    same_ends: bool
    fractions: Float[np.ndarray, " n_steps"]
    points: Points
    texts: tuple[str, ...]
    distances_to_start: Float[np.ndarray, " n_steps"]
    distances_to_end: Float[np.ndarray, " n_steps"]
    monotone_share: float
    rank_correlation: float
    smoothness: float
    largest_step: float
    provenance: Provenance

    @property
    def distinct_texts(self) -> tuple[str, ...]:
        """Every text once, in the order in which they come."""
        return tuple(dict.fromkeys(self.texts))

    @property
    def ends_kept(self) -> tuple[bool, bool]:
        """Whether each end is written as it was read, but for case and blanks."""
        return normalized(self.texts[0]) == normalized(self.start_text), normalized(self.texts[-1]) == normalized(self.end_text)

    @property
    def verdict(self) -> Verdict:
        """Whether the path is one between the two texts that were given: both have to come back, and something has to change."""
        lost = [text for text, kept in zip((self.start_text, self.end_text), self.ends_kept, strict=True) if not kept]
        if self.same_ends or len(self.distinct_texts) == 1:
            return Verdict(Worth.WORTHLESS, "The path writes one text, so it shows nothing of the way between two.")
        if lost:
            which = "Neither text comes" if len(lost) == 2 else f"{lost[0][:60]!r} does not come"
            return Verdict(
                Worth.WORTHLESS if len(lost) == 2 else Worth.UNSURE,
                f"{which} back when its own point is written, so the path runs between other texts than those given: the space does "
                "not hold them. Give texts like those it was trained on.",
            )
        return Verdict(Worth.HOLDS, "Both texts come back when their own points are written.")

    def summary(self) -> str:
        """How many texts lie on the path, how evenly they change, and whether it is the path that was asked for."""
        text = f"{counted(len(self.distinct_texts), 'different text')} on a {self.path} path of {len(self.texts)} points"
        if self.same_ends or len(self.distinct_texts) == 1:
            return f"{text}. {self.verdict}"
        found = (
            f"{text}: {self.monotone_share:.0%} of the changes lead away from the start and towards the end, and the largest holds "
            f"{self.largest_step:.0%} of all change."
        )
        return found if self.verdict.worth is Worth.HOLDS else f"{found} {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON, without the points."""
        names = ("start_text", "end_text", "path", "same_ends", "fractions", "texts", "distances_to_start", "distances_to_end")
        measures = ("monotone_share", "rank_correlation", "smoothness", "largest_step")
        found = {name: plain(getattr(self, name)) for name in (*names, *measures)}
        found |= {"ends_kept": list(self.ends_kept), "verdict": self.verdict.to_dict()}
        return found | {"n_distinct": len(self.distinct_texts), "provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a point."""
        import pandas as pd

        names = {"fraction": "fractions", "text": "texts", "distance_to_start": "distances_to_start", "distance_to_end": "distances_to_end"}
        return pd.DataFrame({column: list(getattr(self, name)) for column, name in names.items()})

    def chart(self) -> "altair.LayerChart":
        """Distances of the texts to both ends."""
        from lexframe.generative.charts import interpolation_chart

        return interpolation_chart(self)


def interpolate(
    space: DecodableSpace | ModelName,
    start_text: str,
    end_text: str,
    *,
    n_steps: int = 9,
    path: str = "linear",
    decoding: Decoding | None = None,
    progress: Progress = iter,
) -> Interpolation:
    """The texts on the way from one text to another; see :func:`interpolate_pairs` for the parameters.

    Parameters
    ----------
    space : DecodableSpace or str
    start_text, end_text : str
    n_steps : int
    path : {"linear", "spherical"}
    decoding : Decoding, optional
    progress : callable
    """
    space = DecodableSpace.of(space)
    pairs = [(start_text, end_text)]
    return interpolate_pairs(space, pairs, n_steps=n_steps, path=path, decoding=decoding, progress=progress)[0]


def interpolate_pairs(
    space: DecodableSpace | ModelName,
    pairs: Sequence[Sequence[str]],
    *,
    n_steps: int = 9,
    path: str = "linear",
    decoding: Decoding | None = None,
    progress: Progress = iter,
) -> tuple[Interpolation, ...]:
    """The texts on the way between the two of every pair, all decoded together.

    Parameters
    ----------
    space : DecodableSpace or str
    pairs : sequence of (str, str)
        Where each path starts and ends.
    n_steps : int
        Points of a path, both ends included.
    path : {"linear", "spherical"}
        See :func:`~lexframe.instruments.edits.paths.linear_path` and :func:`~lexframe.instruments.edits.paths.spherical_path`.
    decoding : Decoding, optional
        Default: the likeliest token each time.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    tuple of Interpolation

    Raises
    ------
    InputError
        If there is no pair, one has not two texts, `n_steps` is below 2, or the path is unknown.
    """
    space = DecodableSpace.of(space)
    decoding = decoding or Decoding()
    if path not in PATHS:
        raise InputError(f"path is {path!r}; expected one of {', '.join(PATHS)}.")
    require_steps(n_steps)
    ends = [text for number, pair in enumerate(pairs) for text in _two_texts(pair, number)]
    checked_texts(ends, what="pairs")
    along = linear_path if path == "linear" else spherical_path
    encoded = space.encode(ends, batch_size=decoding.batch_size, progress=progress).reshape(len(ends) // 2, 2, -1)
    points = np.concatenate([along(start, end, n_steps) for start, end in encoded])
    texts = decoding.texts(space, points, progress=progress)
    again = space.encode(texts, batch_size=decoding.batch_size, progress=progress)
    parameters = {"path": path, "n_steps": n_steps} | decoding.parameters
    provenance = Provenance(space=space.fingerprint, seed=decoding.seed, parameters=parameters)
    results = []
    for number, (start, end) in enumerate(encoded):
        rows = slice(number * n_steps, (number + 1) * n_steps)
        written = tuple(texts[rows])
        to_start, to_end = (np.array([word_distance(text, one) for text in written]) for one in (written[0], written[-1]))
        monotone_share, rank_correlation = _monotonicity(written, to_start, to_end)
        smoothness, largest_step = _smoothness(again[rows])
        results.append(
            Interpolation(
                start_text=ends[2 * number],
                end_text=ends[2 * number + 1],
                path=path if path == "linear" or has_great_circle(start, end) else "linear",
                same_ends=bool(np.array_equal(start, end)),
                fractions=np.linspace(0.0, 1.0, n_steps),
                points=points[rows],
                texts=written,
                distances_to_start=to_start,
                distances_to_end=to_end,
                monotone_share=monotone_share,
                rank_correlation=rank_correlation,
                smoothness=smoothness,
                largest_step=largest_step,
                provenance=provenance,
            )
        )
    return tuple(results)


def _monotonicity(texts: Sequence[str], to_start: np.ndarray, to_end: np.ndarray) -> tuple[float, float]:
    """Share of changes that go forward, and Spearman's correlation with the fraction of the way."""
    if to_end[0] == 0:  # both ends are one text: no direction is forward
        return np.nan, np.nan
    part = to_start / (to_start + to_end)
    changed = np.array([text != following for text, following in itertools.pairwise(texts)])
    share = float((np.diff(part)[changed] > 1e-12).mean())
    return share, float(scipy.stats.spearmanr(np.arange(len(part)), part.round(12)).statistic)


def _smoothness(points: np.ndarray) -> tuple[float, float]:
    steps = np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=1)
    if steps.sum() == 0:
        return np.nan, np.nan
    return float(np.linalg.norm(points[-1].astype(np.float64) - points[0]) / steps.sum()), float(steps.max() / steps.sum())


def _two_texts(pair: Sequence[str], number: int) -> Sequence[str]:
    if isinstance(pair, str) or len(pair) != 2:
        found = "one text" if isinstance(pair, str) or len(pair) == 1 else f"{len(pair)} texts"
        raise InputError(f"Pair {number} has {found}; expected two: the text to start from and the text to end at.")
    return pair
