"""Texts before and after an edit of their points, beside a random move of the same length."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import checked_points, checked_texts, plain
from lexframe.exceptions import InputError
from lexframe.generative.texts.word_edits import word_overlap
from lexframe.instruments.edits.attribute_edit import edit_on
from lexframe.instruments.edits.point_edit import PointEdit
from lexframe.intervals import mean_over_items
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import DecodableSpace, Progress
from lexframe.spaces.decoding import Decoding
from lexframe.text_forms import counted, normalized
from lexframe.typing import ModelName, Points, Texts
from lexframe.verdicts import Verdict, Worth, judged

if TYPE_CHECKING:
    import pandas

Judge = Callable[[Points], Float[np.ndarray, " n_points"] | None]
"""Probability of the value edited towards, at each of some points."""


@dataclass(frozen=True, slots=True, eq=False)
class EditedTexts(Result):
    """What an edit made of some texts.

    Probabilities are of the value edited towards, at the points of the decoded texts, encoded anew; they are NaN where nobody judges.
    Content kept is the share of words in common with the reconstruction (Dice's, see
    :func:`~lexframe.generative.texts.word_edits.word_overlap`), in [0, 1].

    Attributes
    ----------
    texts : tuple of str
        As they were given.
    reconstructions : tuple of str
        Decoded from their own points.
    edited : tuple of str
        Decoded from the points after the edit.
    controls : tuple of str
        Decoded after a move of the same length, for each text in a direction drawn evenly from the sphere.
    points, edited_points : ndarray of shape (n_texts, n_dims), float32
        Before and after.
    shifts : ndarray of shape (n_texts,), float64
        Length of each move, in the units of the points.
    edited_point_probabilities : ndarray of shape (n_texts,), float64
        At the edited points themselves. Where these are high and `edited_probabilities` are not, the decoder does not follow.
    probabilities, edited_probabilities, control_probabilities : ndarray of shape (n_texts,), float64
        Of the reconstructions, the edits and the controls.
    content_kept, control_content_kept : ndarray of shape (n_texts,), float64
        By the edits and by the controls.
    provenance : Provenance
        Its parameters describe the edit.
    """

    texts: tuple[str, ...]
    reconstructions: tuple[str, ...]
    edited: tuple[str, ...]
    controls: tuple[str, ...]
    points: Points
    edited_points: Points
    shifts: Float[np.ndarray, " n_texts"]
    edited_point_probabilities: Float[np.ndarray, " n_texts"]
    probabilities: Float[np.ndarray, " n_texts"]
    edited_probabilities: Float[np.ndarray, " n_texts"]
    control_probabilities: Float[np.ndarray, " n_texts"]
    content_kept: Float[np.ndarray, " n_texts"]
    control_content_kept: Float[np.ndarray, " n_texts"]
    provenance: Provenance

    def rates(self) -> dict[str, float | None]:
        """Over the texts, for reconstructions, edits and controls.

        ``*_changed`` is the share whose text is another than the reconstruction, ``*_in_target`` the share with a probability above
        0.5, ``*_content_kept`` a mean. Shares in the target are None where nobody judges.
        """
        found: dict[str, Any] = {}
        for name, texts, kept in (("edit", self.edited, self.content_kept), ("control", self.controls, self.control_content_kept)):
            same = [normalized(text) == normalized(first) for text, first in zip(texts, self.reconstructions, strict=True)]
            found |= {f"{name}_changed": 1 - float(np.mean(same)), f"{name}_content_kept": float(kept.mean())}
        judged = {"reconstruction": self.probabilities, "edit": self.edited_probabilities, "control": self.control_probabilities}
        for name, values in judged.items():
            found[f"{name}_in_target"] = float((values > 0.5).mean()) if np.isfinite(values).all() else None
        return found

    @property
    def verdict(self) -> Verdict | None:
        """Whether the edit brings more texts into the target than a random move does; None where nobody judges.

        The interval is over texts, of the paired difference; a handful of texts is never enough.
        """
        judged_here = (self.edited_probabilities, self.control_probabilities, self.probabilities)
        if not all(np.isfinite(values).all() for values in judged_here):
            return None
        edit, control, before = ((values > 0.5).astype(np.float64) for values in judged_here)
        figures = (
            f"In target after the edit: {int(edit.sum())} of {counted(len(edit), 'text')}; after a random move of the same length: "
            f"{int(control.sum())}; before: {int(before.sum())}."
        )
        if before.all():
            return Verdict(Worth.WORTHLESS, f"{figures} All texts were in the target already, so the edit has nothing to show.")
        if len(edit) < LEAST_TEXTS:
            return Verdict(
                Worth.WORTHLESS if edit.sum() <= control.sum() else Worth.UNSURE,
                f"{figures} So few texts tell nothing of others: give {LEAST_TEXTS} or more.",
            )
        return judged(mean_over_items(edit - control), figures)

    def summary(self) -> str:
        """What the edit changes, beside a random move of the same length."""
        rates = self.rates()
        text = (
            f"The edit changes {rates['edit_changed']:.0%} of {counted(len(self.texts), 'text')} and keeps "
            f"{rates['edit_content_kept']:.0%} of "
            f"their words; a random move of the same length changes {rates['control_changed']:.0%} and keeps "
            f"{rates['control_content_kept']:.0%}."
        )
        return text if self.verdict is None else f"{text} {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON, without the points."""
        found = {name: plain(getattr(self, name)) for name in (*_TEXTS, *_NUMBERS)}
        found["verdict"] = None if self.verdict is None else self.verdict.to_dict()
        return found | {"rates": self.rates(), "provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a text."""
        import pandas as pd

        return pd.DataFrame({name: list(getattr(self, name)) for name in (*_TEXTS, *_NUMBERS)})


LEAST_TEXTS = 10
"""Fewer texts say nothing of how an edit does on others."""
_TEXTS = ("texts", "reconstructions", "edited", "controls")
_NUMBERS = (
    "shifts",
    "edited_point_probabilities",
    "probabilities",
    "edited_probabilities",
    "control_probabilities",
    "content_kept",
    "control_content_kept",
)


def edit_texts(
    space: DecodableSpace | ModelName,
    texts: Texts,
    edit: PointEdit,
    *,
    strength: float = 1.0,
    judge: Judge | None = None,
    decoding: Decoding | None = None,
    progress: Progress = iter,
) -> EditedTexts:
    """Encode texts, move their points, and decode what they were, what they became, and a control.

    Parameters
    ----------
    space : DecodableSpace or str
    texts : sequence of str
    edit : PointEdit
        Such as a Direction, which is added as it is; take ``direction.at(layer)`` of one of several layers.
    strength : float
        See the edit's ``move``.
    judge : callable, optional
        From points to the probability of the value edited towards. Default: the edit's own. A classifier that took no part in the edit,
        such as ``target_probability`` of one fitted on other texts, is the stricter judge.
    decoding : Decoding, optional
        Default: the likeliest token each time. Its seed is that of the control's directions, too.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    EditedTexts

    Raises
    ------
    InputError
        If there is no text, the strength is not finite, or the edit has another width than the space.
    FingerprintMismatch
        If a Direction was found on another model.
    """
    space = DecodableSpace.of(space)
    decoding = decoding or Decoding()
    texts = checked_texts(texts)
    used = edit_on(space.fingerprint, edit)
    points = space.encode(texts, batch_size=decoding.batch_size, progress=progress)
    moved = used.move(points, strength)
    shift = moved.astype(np.float64) - points
    shifts = np.linalg.norm(shift, axis=1)
    control = (points + shifts[:, np.newaxis] * _random_units(shift.shape, decoding.seed)).astype(np.float32)
    written = decoding.texts(space, np.concatenate([points, moved, control]), progress=progress)
    again = space.encode(written, batch_size=decoding.batch_size, progress=progress)
    n = len(texts)
    before, after, drawn = (tuple(written[part * n : (part + 1) * n]) for part in range(3))
    judged = _judged(used.target_probability if judge is None else judge, np.concatenate([moved, again])).reshape(4, n)
    kept, control_kept = (
        np.array([word_overlap(first, second) for first, second in zip(before, others, strict=True)]) for others in (after, drawn)
    )
    parameters = {"edit": type(used).__name__} | used.to_dict() | {"strength": strength} | decoding.parameters
    return EditedTexts(
        texts=tuple(texts),
        reconstructions=before,
        edited=after,
        controls=drawn,
        points=points,
        edited_points=moved,
        shifts=shifts,
        edited_point_probabilities=judged[0],
        probabilities=judged[1],
        edited_probabilities=judged[2],
        control_probabilities=judged[3],
        content_kept=kept,
        control_content_kept=control_kept,
        provenance=Provenance(space=space.fingerprint, seed=decoding.seed, parameters=parameters),
    )


def _random_units(shape: tuple[int, ...], seed: int) -> Float[np.ndarray, "n n_dims"]:
    drawn = np.random.default_rng(seed).normal(size=shape)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _judged(judge: Judge, points: Points) -> Float[np.ndarray, " n"]:
    found = judge(points)
    if found is None:
        return np.full(len(points), np.nan)
    found = np.asarray(found, dtype=np.float64)
    if found.shape != (len(points),):
        raise InputError(f"The judge gave shape {found.shape} for {len(points)} points; expected one probability for each.")
    return checked_points(found[:, np.newaxis], what="The judge's answer")[:, 0]
