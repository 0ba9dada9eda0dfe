"""A saved adapter: a fitted instrument and the space it belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.adaptation.problem import EncodedTexts, Fitted
from lexframe.exceptions import DataError, InputError
from lexframe.instruments.classifiers.persistence import load_instrument, save_instrument
from lexframe.latents.text_reader import Reading, TextReader
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.spaces.base import Progress, Space
from lexframe.spaces.registry import reopen_space


@dataclass(frozen=True, slots=True)
class Predictions:
    """Labels for texts.

    Attributes
    ----------
    labels : tuple of str
        One a text.
    probabilities : ndarray of shape (n_texts, n_classes)
    classes : tuple of str
        Columns of `probabilities`.
    provenance : Provenance
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    classes: tuple[str, ...]
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        rows = [
            {"label": label, "probability": float(row.max()), "probabilities": dict(zip(self.classes, row.tolist(), strict=True))}
            for label, row in zip(self.labels, self.probabilities, strict=True)
        ]
        return {"predictions": rows, "provenance": self.provenance.to_dict()}

    def to_frame(self) -> Any:
        """A pandas table, a row a text: label and the probability of each class."""
        import pandas as pd

        return pd.DataFrame(self.probabilities, columns=list(self.classes)).assign(label=list(self.labels))


@dataclass(frozen=True, slots=True)
class Adapter:
    """A fitted instrument with its space.

    Attributes
    ----------
    space : Space
    instrument
        Fitted on points of that space.
    reading : Reading
        The points that it reads.
    label_words : mapping of str to sequence of str
        Words whose zero-shot scores it reads in front of the points, by label; none for an instrument that reads points alone.
    """

    space: Space
    instrument: Any
    reading: Reading = field(default_factory=Reading.own)
    label_words: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, space: Space, fitted: Fitted) -> "Adapter":
        """What a method has fitted, with its space."""
        return cls(space, fitted.instrument, fitted.reading, fitted.label_words)

    def predict(self, texts: Any, *, batch_size: int | None = None, progress: Progress = iter) -> Predictions:
        """Labels and probabilities of `texts`, in their order."""
        reader = TextReader(self.space, self.reading, batch_size=batch_size, remember=False)
        encoded = EncodedTexts(reader, list(texts), progress=progress)
        classes = tuple(str(label) for label in self.instrument.classes_)
        provenance = Provenance(space=self.space.fingerprint, parameters={"instrument": type(self.instrument).__name__})
        if not len(encoded):
            return Predictions((), np.zeros((0, len(classes))), classes, provenance)
        probabilities = self.instrument.predict_proba(self._columns(encoded))
        return Predictions(tuple(classes[column] for column in probabilities.argmax(axis=1)), probabilities, classes, provenance)

    def _columns(self, encoded: EncodedTexts) -> np.ndarray:
        """What the instrument reads of texts: their points, after the zero-shot scores of the label words if there are any."""
        scores = [encoded.label_scores(list(self.label_words.values()))] if self.label_words else []
        return np.concatenate([*scores, *encoded.blocks()], axis=1)

    def save(self, folder: str | Path, *, facts: dict[str, Any] | None = None) -> None:
        """Write the instrument and the fingerprint of its space as safetensors and JSON."""
        save_instrument(
            self.instrument,
            folder,
            facts={
                **(facts or {}),
                "space": self.space.fingerprint.to_dict(),
                "reading": self.reading.to_dict(),
                "label_words": {label: list(words) for label, words in self.label_words.items()},
            },
        )


def load_adapter(folder: str | Path, *, model: str | None = None, space: Space | None = None, device: str | None = None) -> Adapter:
    """Open a saved adapter with the space it was fitted on.

    Parameters
    ----------
    folder : str or Path
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
    """
    instrument, facts = load_instrument(folder)
    try:
        expected = SpaceFingerprint.from_dict(facts["space"])
        reading = Reading.from_dict(facts["reading"])
        label_words = {str(label): [str(word) for word in words] for label, words in facts.get("label_words", {}).items()}
    except (KeyError, TypeError, AttributeError, InputError) as error:
        raise DataError(f"{folder} does not say which space it belongs to. Make it again with adapt.") from error
    if space is None:
        space = reopen_space(expected, model=model, device=device, what=str(folder))
    else:
        expected.require(space.fingerprint, what=str(folder))
    return Adapter(space, instrument, reading, label_words)
