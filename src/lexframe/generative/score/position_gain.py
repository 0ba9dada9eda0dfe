"""Where in a text its latent helps: all over, or in the first words only."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from lexframe.checks import checked_texts
from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.derangement import derangements
from lexframe.intervals import Estimate, estimates
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import LatentVariableSpace, Progress
from lexframe.typing import ModelName, Texts

if TYPE_CHECKING:
    import altair
    import pandas

LOADED = 2.0  # a quarter of the text with twice its part of the gain holds half of it
SMALLEST_GAIN = 0.01


@dataclass(frozen=True, slots=True)
class PositionPoint:
    """The gain at one place of the texts.

    Attributes
    ----------
    position : float
        Tokens before it, from 0, or the middle of a stretch as a share of the text, in (0, 1).
    gain : Estimate
        Nats a token.
    loss : float
        Mean of -log p with the z of another text, in nats a token: what there was to gain from.
    n_texts : int
        Texts that reach it.
    """

    position: float
    gain: Estimate
    loss: float
    n_texts: int

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {"position": self.position, "gain": self.gain.to_dict(), "loss": self.loss, "n_texts": self.n_texts}


@dataclass(frozen=True, slots=True)
class PositionGain(Result):
    """What the z of a text, put in place of another text's, adds to the log-likelihood of its tokens, and where.

    A concentration is the part of the whole gain that lies in a stretch over the part of the tokens that lie there: for a quarter of
    each text 1 is even, 4 is all of it, and 2 is half.

    Attributes
    ----------
    gain_per_text : Estimate
        Nats a text, its end included.
    by_position : tuple of PositionPoint
        At each place counted from the start, as far as enough texts reach. A text's end counts as its last token.
    by_share : tuple of PositionPoint
        Over stretches of equal length of each text.
    first_quarter, last_quarter : Estimate or None
        Concentration of the gain there; None where there is no gain to share out.
    end_share : Estimate or None
        Part of the gain that lies in the ends of the texts alone: what z knows of their length. None as above.
    trend : Estimate or None
        Spearman correlation of place and gain over the stretches: -1 falls all the way, 0 has no direction. None as above.
    n_texts, n_derangements : int
        Texts, and how many other texts lent each their z.
    provenance : Provenance
    """

    gain_per_text: Estimate
    by_position: tuple[PositionPoint, ...]
    by_share: tuple[PositionPoint, ...]
    first_quarter: Estimate | None
    last_quarter: Estimate | None
    end_share: Estimate | None
    trend: Estimate | None
    n_texts: int
    n_derangements: int
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def verdict(self) -> str:
        """``none``, ``front-loaded``, ``end-loaded``, ``spread`` or ``undecided``.

        None: the interval of the gain reaches down to 0.01 nats a text. Front-loaded, end-loaded: the whole interval of the
        concentration in the first or the last quarter lies above 2, so that quarter holds more than half of the gain. Spread: both
        intervals lie below 2. Undecided: an interval holds 2.
        """
        if self.first_quarter is None or self.last_quarter is None:
            return "none"
        if self.first_quarter.low > LOADED:
            return "front-loaded"
        if self.last_quarter.low > LOADED:
            return "end-loaded"
        return "spread" if max(self.first_quarter.high, self.last_quarter.high) < LOADED else "undecided"

    def summary(self) -> str:
        """What the right z adds, where, and the verdict."""
        found = self.gain_per_text
        text = f"A text's own z is worth {found.value:.2f} nats more than another text's [{found.low:.2f}, {found.high:.2f}]"
        said = {
            "none": "that is no gain, so the decoder does not listen to the latent",
            "front-loaded": "most of it in the first quarter of a text",
            "end-loaded": "most of it in the last quarter of a text",
            "spread": "spread over the text",
            "undecided": "it is not sure whether it is spread over the text",
        }
        return f"{text}: {said[self.verdict]}."

    def to_dict(self) -> dict[str, Any]:
        """Every field and the verdict, for JSON."""
        named = {name: getattr(self, name) for name in ("first_quarter", "last_quarter", "end_share", "trend")}
        return {
            "gain_per_text": self.gain_per_text.to_dict(),
            "by_position": [point.to_dict() for point in self.by_position],
            "by_share": [point.to_dict() for point in self.by_share],
            **{name: None if value is None else value.to_dict() for name, value in named.items()},
            "verdict": self.verdict,
            "n_texts": self.n_texts,
            "n_derangements": self.n_derangements,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a stretch of the text, from its beginning to its end."""
        import pandas as pd

        rows = [
            {"position": point.position, "gain": point.gain.value, "low": point.gain.low, "high": point.gain.high, "loss": point.loss}
            for point in self.by_share
        ]
        return pd.DataFrame(rows)

    def chart(self) -> "altair.LayerChart":
        """The gain over the length of a text."""
        from lexframe.generative.score.charts import position_chart

        return position_chart(self)


@dataclass(frozen=True, slots=True)
class Resolution:
    """How finely the places of a text are told apart.

    Attributes
    ----------
    n_stretches : int
        Parts of equal length that a text is cut into for `by_share`; a token on a cut belongs to both sides in part.
    least_texts : int
        Texts that a place counted from the start must have.

    Raises
    ------
    InputError
        If there are fewer than 3 stretches or 2 texts.
    """

    n_stretches: int = 12
    least_texts: int = 30

    def __post_init__(self) -> None:
        if self.n_stretches < 3 or self.least_texts < 2:
            raise InputError(f"n_stretches and least_texts are {self.n_stretches} and {self.least_texts}; expected at least 3 and 2.")


def position_gain(
    space: LatentVariableSpace | ModelName,
    texts: Texts,
    *,
    points: Float32[np.ndarray, "n_texts n_dims"] | None = None,
    n_derangements: int = 4,
    resolution: Resolution | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> PositionGain:
    """Log-likelihood of every token with the text's own z, less that with the z of other texts, by place.

    A latent that only remembers how a text begins, and how long it is, gains in its first tokens and at its end. Some fall is natural:
    the first words of a text are the least certain, and what follows is partly told by them; `loss` shows how much there was to gain.

    Parameters
    ----------
    space : LatentVariableSpace or str
        The model.
    texts : sequence of str
        Two different ones or more.
    points : ndarray of shape (n_texts, n_dims), float32, optional
        The z of each text. Default: ``space.encode(texts)``, the posterior means.
    n_derangements : int
        Times that all texts swap their z, each with a text that reads otherwise; the mean counts.
    resolution : Resolution, optional
        How finely places are told apart.
    seed : int
        Of the swaps and the intervals.
    batch_size : int, optional
        Texts in one pass.
    progress : callable
        Wraps the iteration over swaps.

    Returns
    -------
    PositionGain

    Raises
    ------
    InputError
        If a count is too small, or the points do not fit the texts and the space.
    DataError
        If there are fewer than two texts, more than half of them are the same, or a log-likelihood is not finite.

    References
    ----------
    Bosc and Vincent (2020), Do sequence-to-sequence VAEs learn global features of sentences?, arXiv:2004.07683, who
    compare with an unconditional model by position; here the model itself without the right z takes its place.
    """
    space = LatentVariableSpace.of(space)
    texts = checked_texts(texts)
    if n_derangements < 1:
        raise InputError(f"n_derangements is {n_derangements}; expected 1 or more.")
    resolution = resolution or Resolution()
    partners = derangements(texts, n_derangements, seed=seed)
    points = space.encode(texts, batch_size=batch_size) if points is None else points
    if points.shape != (len(texts), space.n_dims) or not np.isfinite(points).all():
        raise InputError(
            f"The points have shape {points.shape} or are not finite; expected {len(texts)} rows of {space.n_dims} numbers, a z a text."
        )
    own = space.token_log_likelihoods(texts, points, batch_size=batch_size)
    foreign = [np.zeros(len(tokens)) for tokens in own]
    for partner in progress(partners):
        for row, tokens in enumerate(space.token_log_likelihoods(texts, points[partner], batch_size=batch_size)):
            foreign[row] += tokens / len(partners)
    _check_tokens(texts, own, foreign)
    gains = [with_own - without for with_own, without in zip(own, foreign, strict=True)]
    counts = {"n_derangements": n_derangements, **asdict(resolution)}
    found = _measured(gains, [-tokens for tokens in foreign], len(partners), resolution, seed)
    return replace(found, provenance=Provenance(space=space.fingerprint, seed=seed, parameters=counts))


def _check_tokens(texts: Sequence[str], own: list[np.ndarray], foreign: list[np.ndarray]) -> None:
    for row, pair in enumerate(zip(own, foreign, strict=True)):
        if not all(len(tokens) and np.isfinite(tokens).all() for tokens in pair):
            raise DataError(
                f"The model gives text {row} ({texts[row][:40]!r}) a token log-likelihood that is not finite, or none. "
                "Look at its weights, or go back to a checkpoint from before the loss broke."
            )


def _measured(gains: list[np.ndarray], losses: list[np.ndarray], n_derangements: int, resolution: Resolution, seed: int) -> PositionGain:
    n_stretches, least_texts = resolution.n_stretches, resolution.least_texts
    n_texts, edges = len(gains), np.linspace(0, 1, n_stretches + 1)
    lengths = np.array([len(row) for row in gains])
    n_positions = int((np.sort(lengths)[::-1][least_texts - 1]) if n_texts >= least_texts else 0)
    reached = (lengths[:, np.newaxis] > np.arange(n_positions)).astype(np.float64)
    parts = {
        "text": np.ones((n_texts, 1)),
        "total": np.array([[row.sum()] for row in gains]),
        "quarters": within(gains, np.array([0, 0.25, 0.75, 1]))[:, [0, 2]],
        "end": np.array([[row[-1]] for row in gains]),
        "stretches": within(gains, edges),
        "tokens": lengths[:, np.newaxis] / n_stretches,
        "positions": _first_columns(gains, n_positions),
        "reached": reached,
    }
    ends = np.cumsum([part.shape[1] for part in parts.values()])

    def statistics(sums: Float[np.ndarray, "n_rows n_columns"]) -> Float[np.ndarray, "n_rows n_statistics"]:
        of = dict(zip(parts, np.split(sums, ends[:-1], axis=1), strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):  # no gain to share out, or a draw that does not reach a place
            shares = [4 * of["quarters"] / of["total"], of["end"] / of["total"]]
            found = [of["total"] / of["text"], *shares, spearman_trend(of["stretches"])[:, np.newaxis]]
            found += [of["stretches"] / of["tokens"], of["positions"] / of["reached"]]
        table = np.concatenate(found, axis=1)
        return np.where(np.isfinite(table), table, np.nan)

    table = np.concatenate(list(parts.values()), axis=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # as above, in all draws
        per_text, first, last, end, trend, *places = estimates(table, statistics, seed=seed)
    is_gain = per_text.low > SMALLEST_GAIN
    share_losses = within(losses, edges).sum(axis=0) / parts["tokens"].sum()
    position_losses = _first_columns(losses, n_positions).sum(axis=0) / reached.sum(axis=0)
    return PositionGain(
        gain_per_text=per_text,
        by_position=tuple(
            PositionPoint(float(place), gain, float(position_losses[place]), int(reached[:, place].sum()))
            for place, gain in enumerate(places[n_stretches:])
        ),
        by_share=tuple(
            PositionPoint((number + 0.5) / n_stretches, gain, float(share_losses[number]), n_texts)
            for number, gain in enumerate(places[:n_stretches])
        ),
        first_quarter=first if is_gain else None,
        last_quarter=last if is_gain else None,
        end_share=end if is_gain else None,
        trend=trend if is_gain else None,
        n_texts=n_texts,
        n_derangements=n_derangements,
    )


def _first_columns(rows: list[np.ndarray], n_columns: int) -> Float[np.ndarray, "n_texts n_columns"]:
    """Rows of different lengths side by side, cut at `n_columns` and filled up with zeros."""
    table = np.zeros((len(rows), n_columns))
    for row, values in enumerate(rows):
        table[row, : len(values)] = values[:n_columns]
    return table


def within(values: Sequence[Float[np.ndarray, " _"]], edges: Float[np.ndarray, " n_edges"]) -> Float[np.ndarray, "n_texts n_stretches"]:
    """Sum of each text's values between places given as shares of the text; a token that an edge cuts counts in part on each side.

    Parameters
    ----------
    values : sequence of ndarray of shape (n_tokens,)
        One number a token. Token t of T takes the stretch from t / T to (t + 1) / T.
    edges : ndarray of shape (n_edges,)
        Rising, from 0 to 1.

    Returns
    -------
    ndarray of shape (n_texts, n_edges - 1)
    """
    return np.stack(
        [np.diff(np.interp(edges * len(row), np.arange(len(row) + 1), np.concatenate([[0.0], np.cumsum(row)]))) for row in values]
    )


def spearman_trend(sums: Float[np.ndarray, "n_rows n_places"]) -> Float[np.ndarray, " n_rows"]:
    """Rank correlation of place and value along each row; 0 where all values of a row are equal.

    Parameters
    ----------
    sums : ndarray of shape (n_rows, n_places)
        Values that agree to twelve digits of the largest of their row are equal.
    """
    from scipy.stats import rankdata

    largest = np.abs(sums).max(axis=1, keepdims=True)
    ranks = rankdata(np.round(sums / np.where(largest > 0, largest, 1.0), 12), axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    places = np.arange(sums.shape[1]) - (sums.shape[1] - 1) / 2
    lengths = np.linalg.norm(ranks, axis=1) * np.linalg.norm(places)
    return ranks @ places / np.where(lengths > 0, lengths, 1.0)
