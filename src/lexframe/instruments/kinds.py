"""Instruments by the kind that their artifacts carry, so that a folder can be opened without knowing what is in it."""

import importlib
import importlib.metadata
import os
from typing import Any

from lexframe.artifacts import Artifact, Persistent, damage_named, read_artifact
from lexframe.exceptions import DataError

ENTRY_POINTS = "lexframe.instruments"
"""Group in which other packages name theirs: kind = module:class."""
KINDS = {
    "classifier-gradient-edit": "lexframe.instruments.edits.attribute_edit:ClassifierGradientEdit",
    "concept-direction": "lexframe.instruments.directions.concept_direction:ConceptDirection",
    "direction": "lexframe.instruments.directions.direction:Direction",
    "lexical-nb": "lexframe.instruments.classifiers.ngram_classifiers:LexicalNB",
    "logistic-probe": "lexframe.instruments.classifiers.linear_probe:LogisticProbe",
    "matched-difference-edit": "lexframe.instruments.edits.matched_edit:MatchedDifferenceEdit",
    "mean-difference-edit": "lexframe.instruments.edits.attribute_edit:MeanDifferenceEdit",
    "nearest-basis": "lexframe.instruments.frame.nearest_basis:NearestBasis",
    "posterior-calibration": "lexframe.instruments.classifiers.posterior_calibration:PosteriorCalibration",
    "semantic-calibration": "lexframe.instruments.classifiers.semantic_calibration:SemanticCalibration",
    "shrinkage-lda": "lexframe.instruments.classifiers.linear_probe:ShrinkageLDA",
    "tfidf-classifier": "lexframe.instruments.classifiers.ngram_classifiers:TfidfClassifier",
    "tuned-lens": "lexframe.instruments.traces.tuned_lens:TunedLens",
}


def instrument_kinds() -> dict[str, str]:
    """Kinds with the place of their class, ``module:class``: ours, then those of installed packages."""
    found = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    return found | KINDS


def instrument_of(artifact: Artifact) -> Any:
    """The instrument that an artifact holds.

    Raises
    ------
    DataError
        If no class here reads its kind, or its version is later than the class's.
    """
    place = instrument_kinds().get(artifact.kind)
    if place is None:
        raise DataError(
            f"{artifact.kind!s:.40} is no instrument that this installation knows; it knows {', '.join(sorted(instrument_kinds()))}. "
            "Install the package that it comes from, or update lexframe."
        )
    module, name = place.split(":")
    cls: type[Persistent] = getattr(importlib.import_module(module), name)
    if not 1 <= artifact.version <= cls.artifact_version:
        raise DataError(
            f"There is version {artifact.version} of a {artifact.kind}; this lexframe reads 1 to {cls.artifact_version}. Update lexframe."
        )
    return cls.from_artifact(artifact)


def load_instrument(folder: str | os.PathLike[str]) -> Any:
    """Open an instrument of whatever kind.

    Parameters
    ----------
    folder : str or PathLike
        Where its ``save`` wrote it.

    Returns
    -------
    instrument
        Fitted, ready to be used.

    Raises
    ------
    DataError
        If the folder holds no instrument, or one that is damaged or of a later version.
    """
    artifact = read_artifact(folder, version=None)
    with damage_named(folder, artifact.kind):
        return instrument_of(artifact)
