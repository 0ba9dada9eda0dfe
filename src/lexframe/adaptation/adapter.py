"""A saved adapter: a fitted instrument and the space it belongs to, if it reads points."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.adaptation.fitted import Fitted
from lexframe.adaptation.ngram_opinion import opinion_scores
from lexframe.artifacts import Artifact, Persistent, damage_named, read_artifact
from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.ngram_classifiers import NGramClassifier
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
_OPINION = "opinion"
"""Name of the part that holds a classifier of n-grams which is heard beside a space."""


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


@dataclass(frozen=True, slots=True, eq=False)
class AdapterView:
    """A space, and what an adapter reads of it.

    Attributes
    ----------
    space : Space
    reading : Reading
        The points that are read.
    label_words : mapping of str to sequence of str
        Words whose zero-shot scores are read in front of all points, by label; none where points alone are read.
    opinion : NGramClassifier or None
        A classifier of the texts' n-grams whose scores are read after those of words.
    """

    space: Space
    reading: Reading = field(default_factory=Reading.own)
    label_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    opinion: NGramClassifier | None = None


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
    others : tuple of AdapterView
        Further spaces that it reads.
    opinion : NGramClassifier or None
        See :class:`AdapterView`; that of the first space.
    """

    artifact_kind = "adapter"
    artifact_version = 2

    space: Space | None
    instrument: Any
    reading: Reading = field(default_factory=Reading.own)
    label_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[AdapterView, ...] = ()
    opinion: NGramClassifier | None = None

    @property
    def views(self) -> tuple[AdapterView, ...]:
        """All spaces that it reads, the first one first; none for an instrument that reads texts."""
        return () if self.space is None else (AdapterView(self.space, self.reading, self.label_words, self.opinion), *self.others)

    @property
    def verdict(self) -> Verdict | None:
        """What it was found to be worth when it was fitted; None where that is not known."""
        known = self.facts.get("verdict")
        return None if known is None else Verdict(Worth(known["worth"]), str(known["reason"]))

    @classmethod
    def of(cls, spaces: Sequence[Space], fitted: Fitted) -> "Adapter":
        """What a method has fitted, with those of the spaces of its problem that it reads."""
        read = [AdapterView(spaces[each.view], each.reading, each.label_words, each.opinion) for each in fitted.views]
        return cls._of_views(read, instrument=fitted.instrument)

    @classmethod
    def _of_views(cls, views: Sequence[AdapterView], **parts: Any) -> "Adapter":
        if not views:
            return cls(None, **parts)
        first, others = views[0], tuple(views[1:])
        return cls(first.space, reading=first.reading, label_words=first.label_words, opinion=first.opinion, others=others, **parts)

    def predict(self, texts: Any, *, batch_size: int | None = None, progress: Progress = iter) -> Predictions:
        """Labels and probabilities of `texts`, in their order; one string is one text. Points are for `instrument.predict`."""
        texts, classes = texts_in(texts), tuple(str(label) for label in self.instrument.classes_)
        provenance = Provenance(space=self._fingerprint, parameters={"instrument": type(self.instrument).__name__})
        if not len(texts):
            return Predictions((), np.zeros((0, len(classes))), classes, provenance, self.verdict)
        readers = [TextReader(view.space, view.reading, batch_size=batch_size, remember=False) for view in self.views]
        encoded = [EncodedTexts(reader, texts, progress=progress) for reader in readers]
        probabilities = self.instrument.predict_proba(self._columns(encoded) if encoded else texts)
        labels = tuple(classes[column] for column in probabilities.argmax(axis=1))
        return Predictions(labels, probabilities, classes, provenance, self.verdict)

    @property
    def _fingerprint(self) -> SpaceFingerprint | None:
        return None if self.space is None else self.space.fingerprint

    def _columns(self, encoded: Sequence[EncodedTexts]) -> np.ndarray:
        """What the instrument reads: zero-shot scores of the views with label words, scores of those with an opinion, then all points."""
        seen = list(zip(self.views, encoded, strict=True))
        scores = [texts.label_scores(list(view.label_words.values())) for view, texts in seen if view.label_words]
        opinions = [
            opinion_scores(view.opinion, view.opinion.predict_proba(texts.texts), self.instrument.classes_.tolist())
            for view, texts in seen
            if view.opinion is not None
        ]
        return np.concatenate([*scores, *opinions, *(block for _, texts in seen for block in texts.blocks())], axis=1)

    def to_artifact(self) -> Artifact:
        """The instrument, what it reads, and the fingerprints of its spaces; a space that was fitted on texts lies in it whole."""
        known = {"views": [_kept_view(view) for view in self.views], "facts": dict(self.facts)}
        whole = Artifact(self.artifact_kind, known, {}, Provenance(space=self._fingerprint), self.artifact_version)
        whole = whole.with_part("instrument", self.instrument.to_artifact())
        for number, view in enumerate(self.views):
            if isinstance(view.space, Persistent):
                whole = whole.with_part(f"{_SPACE}_{number}", view.space.to_artifact())
            if view.opinion is not None:
                whole = whole.with_part(f"{_OPINION}_{number}", view.opinion.to_artifact())
        return whole

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "Adapter":
        """Back from :meth:`to_artifact`, with the spaces opened where they were."""
        parts, expected, reads = _parts(artifact), _fingerprints(artifact), _reads(artifact)
        spaces = [_space_in(artifact, number) or reopen_space(found, what="The adapter") for number, found in enumerate(expected)]
        return cls._of_views([AdapterView(space, *read) for space, read in zip(spaces, reads, strict=True)], **parts)


def _kept_view(view: AdapterView) -> dict[str, Any]:
    words = {label: list(words) for label, words in view.label_words.items()}
    return {"space": view.space.fingerprint.to_dict(), "reading": view.reading.to_dict(), "label_words": words}


def load_adapter(
    folder: str | os.PathLike[str],
    *,
    model: str | Mapping[str, str] | None = None,
    space: Space | ModelName | Sequence[Space | ModelName] | None = None,
    device: str | None = None,
) -> Adapter:
    """Open a saved adapter with the spaces it was fitted on.

    Parameters
    ----------
    folder : str or PathLike
        Written by :meth:`Adapter.save`.
    model : str or mapping of str to str, optional
        Where the model is now; of several models, where each is now by what it was called. Default: where they were.
    space : Space, str, or a sequence of them, optional
        An open space instead of opening one, or all of them in their order.
    device : str, optional
        Of the models.

    Returns
    -------
    Adapter

    Raises
    ------
    FingerprintMismatch
        If a space makes other points than the one the adapter was fitted on; both are named.
    DataError
        If the folder holds no whole adapter.
    InputError
        If a model is given for an adapter that needs none, or one of several without saying which.
    """
    artifact = read_artifact(folder, kind=Adapter.artifact_kind, version=Adapter.artifact_version)
    with damage_named(folder, Adapter.artifact_kind):  # what is damaged is named before a model is opened
        expected, parts, reads = _fingerprints(artifact), _parts(artifact), _reads(artifact)
        inside = [_space_in(artifact, number) for number in range(len(expected))]
    if not expected and (model is not None or space is not None):
        raise InputError(
            f"{folder} reads texts and needs no model. Leave the model out.", parameter="space" if space is not None else "model"
        )
    if space is not None:
        given = [space] if isinstance(space, Space | str | os.PathLike) else list(space)
        if len(given) != len(expected):
            raise InputError(
                f"{folder} reads {len(expected)} spaces, and {len(given)} are given. Give them all, in its order.", parameter="space"
            )
        spaces = [Space.of(one) for one in given]
        for found, one in zip(expected, spaces, strict=True):
            found.require(one.fingerprint, what=str(folder))
    else:
        places = _places(folder, model, expected)
        spaces = [
            kept if kept is not None and place is None else reopen_space(found, model=place, device=device, what=str(folder))
            for found, kept, place in zip(expected, inside, places, strict=True)
        ]
    return Adapter._of_views([AdapterView(opened, *read) for opened, read in zip(spaces, reads, strict=True)], **parts)


def _places(
    folder: str | os.PathLike[str], model: str | Mapping[str, str] | None, expected: Sequence[SpaceFingerprint]
) -> list[str | None]:
    """Where each model is now; None where it was."""
    names = [found.model for found in expected]
    if isinstance(model, str) and len(names) == 1:
        return [model]
    if isinstance(model, str):
        raise InputError(
            f"{folder} reads {len(names)} models ({', '.join(names)}), and it is not said which is at {model}. Write NAME=PLACE.",
            parameter="model",
        )
    unknown = [name for name in model or {} if name not in names]
    if unknown:
        raise InputError(f"{folder} reads no model {unknown[0]!r}; it reads {', '.join(names)}.", parameter="model")
    return [(model or {}).get(name) for name in names]


def _fingerprints(artifact: Artifact) -> list[SpaceFingerprint]:
    """Of the spaces that it reads, in their order; none for an instrument that reads texts."""
    if artifact.version > 1:
        return [SpaceFingerprint.from_dict(view["space"]) for view in artifact.parameters["views"]]
    if artifact.provenance.space is None:
        raise KeyError("it does not say which space it belongs to")
    return [artifact.provenance.space]


def _space_in(artifact: Artifact, number: int) -> Space | None:
    """The space itself, where it lies in the adapter: one that was fitted on texts."""
    name = f"{_SPACE}_{number}"
    if name not in artifact.parameters:
        return None
    part = artifact.part(name)
    opened = next((cls for cls in map(space_class, space_kinds()) if getattr(cls, "artifact_kind", None) == part.kind), None)
    if opened is None or not issubclass(opened, Persistent):
        raise KeyError(f"no space here is kept as {part.kind!s:.40}")
    space = opened.from_artifact(part)
    assert isinstance(space, Space)
    return space


def _reads(artifact: Artifact) -> list[tuple[Reading, dict[str, list[str]], NGramClassifier | None]]:
    """What is read of each space: the reading, the label words whose scores stand in front, and the opinion that is heard beside it."""
    known = artifact.parameters["views"] if artifact.version > 1 else [artifact.parameters]
    return [
        (
            Reading.from_dict(view["reading"]),
            {str(label): [str(word) for word in words] for label, words in view["label_words"].items()},
            instrument_of(artifact.part(f"{_OPINION}_{number}")) if f"{_OPINION}_{number}" in artifact.parameters else None,
        )
        for number, view in enumerate(known)
    ]


def _parts(artifact: Artifact) -> dict[str, Any]:
    """Everything of an adapter but what it reads."""
    return {"instrument": instrument_of(artifact.part("instrument")), "facts": dict(artifact.parameters["facts"])}
