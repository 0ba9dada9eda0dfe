"""What is kept of an audit: everything that its report, its review sheet and its ranking are made from, but not the points."""

import math
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import numpy as np

from lexframe.artifacts import Artifact
from lexframe.audit.category_posterior import CategoryPosterior
from lexframe.audit.discriminant import Discriminant
from lexframe.audit.near_duplicates import DuplicateGroups
from lexframe.audit.neighbor_votes import Neighborhood
from lexframe.audit.ngram_control import are_ngrams
from lexframe.audit.noise_model import NoiseModel
from lexframe.audit.planting import PlantedCheck, PlantedControl
from lexframe.audit.relations import CategoryRelation
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance

_PARTS: dict[str, Any] = {
    "posterior": CategoryPosterior,
    "discriminant": Discriminant,
    "noise": NoiseModel,
    "neighborhood": Neighborhood,
    "duplicates": DuplicateGroups,
    "check": PlantedCheck,
    "control": PlantedControl,
    "gain": Estimate,
}
"""Fields that hold a result of their own."""
NOT_MEASURED = "What n-grams alone find was not measured: the audit was kept before that was done. Audit the items again to know it."


def audit_artifact(result: Any, kind: str, version: int) -> Artifact:
    """An audit as an artifact; see :func:`audit_fields` for the way back.

    Parameters
    ----------
    result : AuditResult
    kind : str
    version : int
        Of the kind.
    """
    parameters, arrays = _apart(result, "")
    parameters["relations"] = [asdict(relation) for relation in result.relations]
    del parameters["provenance"]
    return Artifact(kind, parameters, arrays, result.provenance, version)


def audit_fields(cls: Any, artifact: Artifact) -> dict[str, Any]:
    """What an audit is constructed from.

    Parameters
    ----------
    cls : type
        AuditResult.
    artifact : Artifact
        From :func:`audit_artifact`.
    """
    known = artifact.parameters
    relations = tuple(CategoryRelation(**found | {"categories": tuple(found["categories"])}) for found in known["relations"])
    others = [field for field in fields(cls) if field.name not in ("relations", "provenance")]
    found = {**_together(others, known, artifact.arrays, ""), "relations": relations, "provenance": artifact.provenance}
    if found["check"] is not None and "control" not in known["check"] and found["texts"] and not are_ngrams(artifact.provenance.space):
        found["notes"] += (NOT_MEASURED,)
    return found


def _apart(result: Any, prefix: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Plain values, and arrays under names that say in which part they belong."""
    parameters: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for field in fields(result):
        value, name = getattr(result, field.name), f"{prefix}{field.name}"
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif field.name in _PARTS and is_dataclass(value):
            parameters[field.name], inner = _apart(value, f"{name}/")
            arrays |= inner
        elif isinstance(value, Provenance):
            parameters[field.name] = value.to_dict()
        else:
            parameters[field.name] = value
    return parameters, arrays


def _together(wanted: Any, parameters: dict[str, Any], arrays: dict[str, np.ndarray], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in wanted:
        name = f"{prefix}{field.name}"
        if name in arrays:
            found[field.name] = arrays[name]
        elif field.name == "provenance":
            found[field.name] = Provenance.from_dict(parameters[field.name])
        elif field.name not in parameters and field.default is None:
            found[field.name] = None  # kept before the field was there
        elif isinstance(parameters[field.name], dict) and field.name in _PARTS:
            part = _PARTS[field.name]
            found[field.name] = part(**_together(fields(part), parameters[field.name], arrays, f"{name}/"))
        elif parameters[field.name] is None and field.type is float:
            found[field.name] = math.nan  # JSON has no word for it
        else:
            found[field.name] = _as_tuples(parameters[field.name])
    return found


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
