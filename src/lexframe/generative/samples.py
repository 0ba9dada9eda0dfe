"""Texts written from points that are drawn, and whether the latent can be read back from them."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import checked_points, plain
from lexframe.exceptions import InputError
from lexframe.instruments.edits.attribute_edit import edit_on
from lexframe.instruments.edits.class_sampling import ClassGaussians
from lexframe.instruments.edits.point_edit import PointEdit
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import DecodableSpace, LatentVariableSpace, Progress
from lexframe.spaces.decoding import Decoding
from lexframe.text_forms import counted, normalized
from lexframe.typing import ModelName, Points, Vectors

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class Samples(Result):
    """Texts written from drawn points, and the points that these texts are encoded to.

    Attributes
    ----------
    texts : tuple of str
    points : ndarray of shape (n_texts, n_dims), float32
        Drawn, and moved where an edit was given.
    reencoded : ndarray of shape (n_texts, n_dims), float32
        Points of the texts.
    cosines : ndarray of shape (n_texts,), float64
        Of both; 0 where one is zero.
    r2 : float
        See :func:`explained_share`. NaN for one text.
    r2_per_dim : ndarray of shape (n_dims,), float64
        The same for each dimension alone: dimensions that the texts do not show are near 0 or below.
    label : object
        The class drawn from; None for the prior.
    provenance : Provenance
    """

    texts: tuple[str, ...]
    points: Points
    reencoded: Points
    cosines: Float[np.ndarray, " n_texts"]
    r2: float
    r2_per_dim: Float[np.ndarray, " n_dims"]
    label: Any
    provenance: Provenance

    @property
    def distinct_share(self) -> float:
        """Different texts over all texts, whatever their case and white space."""
        return len({normalized(text) for text in self.texts}) / len(self.texts)

    @property
    def empty_share(self) -> float:
        """Share of texts that hold nothing but white space."""
        return sum(not text.strip() for text in self.texts) / len(self.texts)

    def summary(self) -> str:
        """How many texts, how many are different, and whether their points are read back from them."""
        read = "R² is not defined" if np.isnan(self.r2) else f"R² {self.r2:.2f}"
        text = (
            f"{counted(len(self.texts), 'text')} from "
            f"{'the prior' if self.label is None else f'the class {self.label}'}: {self.distinct_share:.0%} "
            f"different, {self.empty_share:.0%} blank; points are read back with a mean cosine of {self.cosines.mean():.2f} ({read})."
        )
        return text if np.isnan(self.r2) or self.r2 > 0 else f"{text} The texts do not show the points that they were written from."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON, without the points."""
        return {
            "texts": list(self.texts),
            "label": None if self.label is None else str(self.label),
            "mean_cosine": float(self.cosines.mean()),
            "r2": plain(self.r2),
            "r2_per_dim": plain(self.r2_per_dim),
            "distinct_share": self.distinct_share,
            "empty_share": self.empty_share,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a text."""
        import pandas as pd

        return pd.DataFrame({"text": list(self.texts), "cosine": self.cosines, "is_empty": [not text.strip() for text in self.texts]})


def explained_share(points: Vectors, others: Vectors) -> tuple[float, Float[np.ndarray, " n_dims"]]:
    r"""R² of `others` as guesses of `points`: :math:`1 - \sum(z-\hat z)^2 / \sum(z-\bar z)^2`, over all dimensions and for each.

    1 where the points are read back exactly, 0 where the guess is no better than the mean, below where it is worse.

    Parameters
    ----------
    points, others : ndarray of shape (n_points, n_dims)

    Returns
    -------
    total : float
        NaN where the points do not vary, and so for one point.
    per_dim : ndarray of shape (n_dims,), float64
    """
    truth, guess = points.astype(np.float64), others.astype(np.float64)
    missed, spread = ((truth - guess) ** 2).sum(axis=0), ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    per_dim = np.where(spread > 0, 1 - missed / np.where(spread > 0, spread, 1.0), np.nan)
    return (float(1 - missed.sum() / spread.sum()) if spread.sum() > 0 else np.nan), per_dim


def sample_texts(
    space: DecodableSpace | ModelName,
    n: int,
    *,
    decoding: Decoding | None = None,
    class_gaussians: ClassGaussians | None = None,
    label: Hashable = None,
    edit: PointEdit | None = None,
    strength: float = 1.0,
    progress: Progress = iter,
) -> Samples:
    """Draw points, decode them, and encode what was written.

    Parameters
    ----------
    space : DecodableSpace or str
        A LatentVariableSpace where no `class_gaussians` are given: points are then drawn from its prior, N(0, I).
    n : int
        Texts.
    decoding : Decoding, optional
        Default: the likeliest token each time. Above a temperature of 0 agreement measures the draws of words as
        well. The seed is that of the points; that of the words is derived from it.
    class_gaussians : ClassGaussians, optional
        To draw points of one class.
    label : hashable, optional
        That class.
    edit : PointEdit, optional
        Moves the points before they are written, such as a Direction does.
    strength : float
        Of that move; see the edit's ``move``.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    Samples

    Raises
    ------
    InputError
        If `n` is below 1, only one of class_gaussians and label is given, the label is unknown, the Gaussians have another width than
        the space, the edit too, the strength is not finite, or the space has no prior to draw from.
    FingerprintMismatch
        If `edit` is a Direction of another model.
    """
    space = DecodableSpace.of(space)
    decoding = decoding or Decoding()
    if n < 1:
        raise InputError(f"n is {n}; ask for one text or more.")
    if (class_gaussians is None) != (label is None):
        missing = "class_gaussians" if class_gaussians is None else "label"
        raise InputError(f"To draw from a class both class_gaussians and label are needed, but there is no {missing}.")
    point_seed, word_seed = (int(number) for number in np.random.SeedSequence(decoding.seed).generate_state(2))
    parameters: dict[str, Any] = {**decoding.parameters}
    points = _drawn(space, n, class_gaussians, label, point_seed)
    if edit is not None:
        used = edit_on(space.fingerprint, edit)
        points = used.move(points, strength)
        parameters |= {"edit": type(used).__name__} | used.to_dict() | {"strength": strength}
    texts = replace(decoding, seed=word_seed).texts(space, points, progress=progress)
    reencoded = space.encode(texts, batch_size=decoding.batch_size, progress=progress)
    r2, r2_per_dim = explained_share(points, reencoded)
    return Samples(
        texts=tuple(texts),
        points=points,
        reencoded=reencoded,
        cosines=_row_cosines(points, reencoded),
        r2=r2,
        r2_per_dim=r2_per_dim,
        label=label,
        provenance=Provenance(space=space.fingerprint, seed=decoding.seed, parameters=parameters),
    )


def _drawn(space: DecodableSpace, n: int, gaussians: ClassGaussians | None, label: Hashable, seed: int) -> Points:
    if gaussians is not None:
        points = gaussians.sample(label, n, seed=seed)
        checked_points(points, space.n_dims, what="The points of class_gaussians")
        return points
    if not isinstance(space, LatentVariableSpace):
        raise InputError(
            f"{type(space).__name__} has no prior to draw points from. Fit ClassGaussians on points of texts and give them with a label."
        )
    return np.random.default_rng(seed).standard_normal((n, space.n_dims), dtype=np.float32)


def _row_cosines(points: Points, others: Points) -> Float[np.ndarray, " n_texts"]:
    left, right = points.astype(np.float64), others.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.clip((left * right).sum(axis=1) / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
