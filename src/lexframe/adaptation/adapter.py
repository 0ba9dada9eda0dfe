"""A saved adapter: a fitted instrument and the space it belongs to, if it reads points."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.adaptation.problem import EncodedTexts, Fitted
from lexframe.artifacts import Artifact, Persistent, damage_named, read_artifact
from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.instruments.kinds import instrument_of
from lexframe.latents.text_reader import Reading, TextReader
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.results import Result
from lexframe.spaces.base import Progress, Space
from lexframe.spaces.registry import reopen_space, space_class, space_kinds
from lexframe.text_forms import counted
from lexframe.typing import ModelName
from lexframe.verdicts import Verdict, Worth

if TYPE_CHECKING:
    import pandas

_SPACE = "fitted_space"
"""Name of the part that holds a space which was fitted on texts."""


@dataclass(frozen=True, slots=True)
class Predictions(Result):
    """Labels for texts.

    Attributes
    ----------
    labels : tuple of str
        One a text.
    probabilities : ndarray of shape (n_texts, n_classes)
    classes : tuple of str
        Columns of `probabilities`.
    provenance : Provenance
    verdict : Verdict, optional
        What the adapter was found to be worth when it was fitted.
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    classes: tuple[str, ...]
    provenance: Provenance
    verdict: Verdict | None = None

    def summary(self) -> str:
        """How often each label was given."""
        if not self.labels:
            return "No text was given, so there is no label."
        counts = ", ".join(f"{label} {number:,}" for label, number in Counter(self.labels).most_common(8))
        text = f"{counted(len(self.labels), 'text')}: {counts}; {self.probabilities.max(axis=1).mean():.0%} sure on average."
        return text if self.verdict is None or self.verdict.worth is Worth.HOLDS else f"{text} {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        rows = [
            {"label": label, "probability": float(row.max()), "probabilities": dict(zip(self.classes, row.tolist(), strict=True))}
            for label, row in zip(self.labels, self.probabilities, strict=True)
        ]
        verdict = None if self.verdict is None else self.verdict.to_dict()
        return {"predictions": rows, "verdict": verdict, "provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A pandas table, a row a text: label and the probability of each class."""
        import pandas as pd

        return pd.DataFrame(self.probabilities, columns=list(self.classes)).assign(label=list(self.labels))


@dataclass(frozen=True, slots=True)
class Adapter(Persistent):
    """A fitted instrument with its space.

    Attributes
    ----------
    space : Space or None
        None for an instrument that reads texts, such as a classifier of n-grams: it needs no model.
    instrument
        Fitted on points of that space, or on texts.
    reading : Reading
        The points that it reads.
    label_words : mapping of str to sequence of str
        Words whose zero-shot scores it reads in front of the points, by label; none for an instrument that reads points alone.
    facts : mapping
        What else is kept with it, such as how well it did; plain values.
    """

    artifact_kind = "adapter"

    space: Space | None
    instrument: Any
    reading: Reading = field(default_factory=Reading.own)
    label_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict | None:
        """What it was found to be worth when it was fitted; None where that is not known."""
        known = self.facts.get("verdict")
        return None if known is None else Verdict(Worth(known["worth"]), str(known["reason"]))

    @classmethod
    def of(cls, space: Space, fitted: Fitted) -> "Adapter":
        """What a method has fitted, with its space where it reads points of one."""
        if fitted.reading is None:
            return cls(None, fitted.instrument)
        return cls(space, fitted.instrument, fitted.reading, fitted.label_words)

    def predict(self, texts: Any, *, batch_size: int | None = None, progress: Progress = iter) -> Predictions:
        """Labels and probabilities of `texts`, in their order; one string is one text. Points are for `instrument.predict`."""
        texts, classes = texts_in(texts), tuple(str(label) for label in self.instrument.classes_)
        provenance = Provenance(space=self._fingerprint, parameters={"instrument": type(self.instrument).__name__})
        if not len(texts):
            return Predictions((), np.zeros((0, len(classes))), classes, provenance, self.verdict)
        if self.space is None:
            probabilities = self.instrument.predict_proba(texts)
        else:
            reader = TextReader(self.space, self.reading, batch_size=batch_size, remember=False)
            probabilities = self.instrument.predict_proba(self._columns(EncodedTexts(reader, texts, progress=progress)))
        labels = tuple(classes[column] for column in probabilities.argmax(axis=1))
        return Predictions(labels, probabilities, classes, provenance, self.verdict)

    @property
    def _fingerprint(self) -> SpaceFingerprint | None:
        return None if self.space is None else self.space.fingerprint

    def _columns(self, encoded: EncodedTexts) -> np.ndarray:
        """What the instrument reads of texts: their points, after the zero-shot scores of the label words if there are any."""
        scores = [encoded.label_scores(list(self.label_words.values()))] if self.label_words else []
        return np.concatenate([*scores, *encoded.blocks()], axis=1)

    def to_artifact(self) -> Artifact:
        """The instrument, what it reads, and the fingerprint of its space."""
        words = {label: list(words) for label, words in self.label_words.items()}
        known = {
            "reads": "texts" if self.space is None else "points",
            "reading": self.reading.to_dict(),
            "label_words": words,
            "facts": dict(self.facts),
        }
        provenance = Provenance(space=self._fingerprint)
        whole = Artifact(self.artifact_kind, known, {}, provenance, self.artifact_version)
        whole = whole.with_part("instrument", self.instrument.to_artifact())
        return whole.with_part(_SPACE, self.space.to_artifact()) if isinstance(self.space, Persistent) else whole

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "Adapter":
        """Back from :meth:`to_artifact`, with the space opened where it was."""
        expected, parts = _space_of(artifact), _parts(artifact)
        inside = _kept_space(artifact)
        return cls(inside if inside is not None or expected is None else reopen_space(expected, what="The adapter"), **parts)


def load_adapter(
    folder: str | os.PathLike[str], *, model: str | None = None, space: Space | ModelName | None = None, device: str | None = None
) -> Adapter:
    """Open a saved adapter with the space it was fitted on.

    Parameters
    ----------
    folder : str or PathLike
        Written by :meth:`Adapter.save`.
    model : str, optional
        Where the model is now. Default: where it was.
    space : Space, optional
        An open space, instead of opening one.
    device : str, optional
        Of the model.

    Returns
    -------
    Adapter

    Raises
    ------
    FingerprintMismatch
        If the space makes other points than the one the adapter was fitted on; both are named.
    DataError
        If the folder holds no whole adapter.
    InputError
        If a model is given for an adapter that reads texts and needs none.
    """
    artifact = read_artifact(folder, kind=Adapter.artifact_kind, version=Adapter.artifact_version)
    with damage_named(folder, Adapter.artifact_kind):
        expected, inside = _space_of(artifact), _kept_space(artifact)
        parts = _parts(artifact)  # what is damaged is named before a model is opened
    if expected is None:
        if model is not None or space is not None:
            raise InputError(
                f"{folder} reads texts and needs no model. Leave the model out.", parameter="model" if space is None else "space"
            )
        return Adapter(None, **parts)
    if space is None and model is None and inside is not None:
        space = inside
    elif space is None:
        space = reopen_space(expected, model=model, device=device, what=str(folder))
    else:
        space = Space.of(space)
        expected.require(space.fingerprint, what=str(folder))
    return Adapter(space, **parts)


def _space_of(artifact: Artifact) -> SpaceFingerprint | None:
    """The space that its points come from; None for an instrument that reads texts."""
    if artifact.parameters.get("reads", "points") == "texts":
        return None
    if artifact.provenance.space is None:
        raise KeyError("it does not say which space it belongs to")
    return artifact.provenance.space


def _kept_space(artifact: Artifact) -> Space | None:
    """The space itself, where it lies in the adapter: one that was fitted on texts."""
    if _SPACE not in artifact.parameters:
        return None
    part = artifact.part(_SPACE)
    opened = next((cls for cls in map(space_class, space_kinds()) if getattr(cls, "artifact_kind", None) == part.kind), None)
    if opened is None or not issubclass(opened, Persistent):
        raise KeyError(f"no space here is kept as {part.kind!s:.40}")
    space = opened.from_artifact(part)
    assert isinstance(space, Space)
    return space


def _parts(artifact: Artifact) -> dict[str, Any]:
    """Everything of an adapter but its space."""
    known = artifact.parameters
    return {
        "instrument": instrument_of(artifact.part("instrument")),
        "reading": Reading.from_dict(known["reading"]),
        "label_words": {str(label): [str(word) for word in words] for label, words in known["label_words"].items()},
        "facts": dict(known["facts"]),
    }
