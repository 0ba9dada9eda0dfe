"""What made a number: fingerprints of spaces, and the record that every result carries."""

import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lexframe.exceptions import FingerprintMismatch
from lexframe.files import json_text


@dataclass(frozen=True, slots=True)
class SpaceFingerprint:
    """Everything that decides which point a text becomes.

    Attributes
    ----------
    kind : str
        Class of the space.
    model : str
        Name or folder, for people; two folders may hold the same model, so it is not compared.
    weights, tokenizer : str
        Hashes of the parameters and of the tokenizer.
    layer : int
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    pooling, template : str
        How token states become one point, and the text around each text.
    max_length : int
        Tokens after which a text is cut.
    truncation : str
        The side that is cut off.
    dtype : str
        Precision of the forward pass.
    moves : str
        Hash of the moves of states that are in force, empty where there are none.
    source : str
        Of which file the weights were made, such as ``GGUF Q4_1, sha256 b179…``; for people, and not compared.
    """

    kind: str
    model: str
    weights: str
    tokenizer: str = ""
    layer: int = -1
    pooling: str = ""
    template: str = "{text}"
    max_length: int = 0
    truncation: str = "right"
    dtype: str = "float32"
    moves: str = ""
    source: str = ""

    @property
    def digest(self) -> str:
        """Twelve hex digits that differ when anything but the model's name differs."""
        left_out = {"model", "source"} if self.moves else {"model", "source", "moves"}
        return _digest({key: value for key, value in asdict(self).items() if key not in left_out})

    @property
    def model_digest(self) -> str:
        """Twelve hex digits over what decides the states of all layers: weights, tokenizer and precision.

        Layer, pooling, template and length say which of those states become a point; a vector that is added to states does not
        depend on them.
        """
        return _digest({"weights": self.weights, "tokenizer": self.tokenizer, "dtype": self.dtype})

    def __str__(self) -> str:
        source = f"; {self.source[:40]}" if self.source else ""
        return f"{self.model} (layer {self.layer}, {self.pooling} pooling, template {self.template!r}, {self.dtype}{source}; {self.digest})"

    def require(self, found: "SpaceFingerprint", *, what: str) -> None:
        """Raise FingerprintMismatch unless `found` makes the same points."""
        if self.digest != found.digest:
            raise FingerprintMismatch(str(self), str(found), what)

    def require_model(self, found: "SpaceFingerprint", *, what: str) -> None:
        """Raise FingerprintMismatch unless `found` is of the same model, at whatever layer and pooling."""
        if self.model_digest != found.model_digest:
            expected, other = (f"{space.model} ({space.dtype}; model {space.model_digest})" for space in (self, found))
            raise FingerprintMismatch(
                expected, other, what, advice="Vectors of two models cannot be mixed: use the model it was found on, or find it again."
            )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, with the digest."""
        return asdict(self) | {"digest": self.digest}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "SpaceFingerprint":
        """Back from :meth:`to_dict`."""
        return cls(**{key: value for key, value in document.items() if key != "digest"})


@dataclass(frozen=True, slots=True)
class Provenance:
    """Versions, space, seed and parameters of a result."""

    space: SpaceFingerprint | None = None
    seed: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=lambda: package_versions())

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        space = self.space.to_dict() if self.space else None
        return {"space": space, "seed": self.seed, "parameters": self.parameters, "versions": self.versions}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Provenance":
        """Back from :meth:`to_dict`."""
        space = SpaceFingerprint.from_dict(document["space"]) if document["space"] else None
        return cls(space, document["seed"], document["parameters"], document["versions"])


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha256(json_text(document, sort_keys=True, ascii_only=True).encode()).hexdigest()[:12]


def package_versions(names: Iterable[str] = ("lexframe", "numpy", "scikit-learn", "torch", "transformers")) -> dict[str, str]:
    """Installed versions of `names`, and of Python."""
    found = {name: _installed(name) for name in names}
    return {"python": platform.python_version()} | {name: version for name, version in found.items() if version is not None}


@functools.cache
def _installed(name: str) -> str | None:
    """Looked up once: a package's metadata is a file to read, and there may be a result a category."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def array_hash(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Sixteen hex digits over names, shapes, types and bytes of arrays."""
    digest = hashlib.blake2b(digest_size=8)
    for name, array in arrays:
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
