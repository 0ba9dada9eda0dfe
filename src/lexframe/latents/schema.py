"""What a store says of itself: its columns, and which space made the points of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lexframe.exceptions import DataError, InputError
from lexframe.files import json_text
from lexframe.latents.files import first_line
from lexframe.provenance import SpaceFingerprint, package_versions

METADATA_KEY = b"lexframe.store"
FORMAT = 1
ID, TEXT, CHECKSUM = "id", "text", "checksum"
PRECISIONS = {"float32": pa.float32(), "float16": pa.float16()}


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """A column of points, and the space that made them.

    Attributes
    ----------
    name : str
    n_dims : int
    fingerprint : SpaceFingerprint
    precision : {"float32", "float16"}
        As stored; points are read as float32.
    """

    name: str
    n_dims: int
    fingerprint: SpaceFingerprint
    precision: str = "float32"

    @property
    def type(self) -> pa.DataType:
        """Of the column in Arrow."""
        return pa.list_(PRECISIONS[self.precision], self.n_dims)

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "name": self.name,
            "n_dims": self.n_dims,
            "fingerprint": self.fingerprint.to_dict(),
            "precision": self.precision,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "VectorColumn":
        """Back from :meth:`to_dict`."""
        return cls(**{**document, "fingerprint": SpaceFingerprint.from_dict(document["fingerprint"])})


def store_schema(vectors: Sequence[VectorColumn], metadata: Mapping[str, pa.DataType], facts: Mapping[str, Any]) -> pa.Schema:
    """Columns of a store, with what made them.

    Raises
    ------
    InputError
        If there are no vectors, names collide, or a precision is unknown.
    """
    names = [ID, *(name for name in metadata if name != ID), *(column.name for column in vectors), CHECKSUM]
    if not vectors:
        raise InputError("A store needs a column of points.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"The name {twice[0]!r} would stand for two columns. Rename the column of metadata; {ID} and {CHECKSUM} are taken."
        )
    odd = next((name for name in names if not _can_be_named(name)), None)
    if odd is not None:
        raise InputError(
            f"No column of a store can be named {odd!r}: names are not empty, do not begin with _row, and hold no dots, back quotes or "
            "characters that cannot be printed. Rename that column."
        )
    unknown = [column.precision for column in vectors if column.precision not in PRECISIONS]
    if unknown:
        raise InputError(f"precision is {unknown[0]!r}; expected one of {', '.join(PRECISIONS)}.")
    document = {
        "format": FORMAT,
        "vectors": [column.to_dict() for column in vectors],
        "facts": dict(facts),
        "versions": package_versions(("lexframe", "pylance", "torch", "transformers")),
    }
    fields = [pa.field(ID, pa.string(), nullable=False)]
    fields += [pa.field(name, kind) for name, kind in metadata.items() if name != ID]
    fields += [pa.field(column.name, column.type) for column in vectors]
    fields.append(pa.field(CHECKSUM, pa.uint64(), nullable=False))
    return pa.schema(fields, metadata={METADATA_KEY: json_text(document, ascii_only=True).encode()})


def _can_be_named(name: str) -> bool:
    """Whether Lance takes a name, and conditions can ask for it."""
    return bool(name) and name.isprintable() and not {".", "`"} & set(name) and not name.startswith("_row")


def read_document(schema: pa.Schema, path: str) -> dict[str, Any]:
    """What made the points of a dataset.

    Raises
    ------
    DataError
        If the dataset is not a store, or of a later format.
    """
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise DataError(f"{path} is a Lance dataset, but not a store of lexframe: it does not say what made its vectors.")
    try:
        document: dict[str, Any] = json.loads(raw)
    except ValueError as error:
        raise DataError(f"{path}: what the store says of itself is damaged ({first_line(error)}).") from error
    if document.get("format") != FORMAT:
        raise DataError(f"{path} is a store of format {document.get('format')}; this version reads {FORMAT}. Install a newer lexframe.")
    return document
