"""The one format of what is kept: a folder with ``artifact.json`` and the safetensors file that it names.

Nothing in such a folder can run when it is opened, every array is checked against the hash that the JSON holds, and whatever
interrupts the writing, the folder holds the earlier artifact whole or the new one.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lexframe.checks import plain
from lexframe.exceptions import DataError, LexframeError
from lexframe.files import replacing, write_json
from lexframe.provenance import Provenance, array_hash

FORMAT = 2
"""Of the folder. The JSON files of format 1 had a name for every kind."""
NAME = "artifact.json"
_EARLIER = ("instrument.json", "direction.json", "index.json")  # what folders of format 1 hold
_DAMAGE = (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError)

Kept = TypeVar("Kept", bound="Persistent")  # not Self, which the type checks of the suite cannot resolve in a method


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is kept of a fitted object.

    Attributes
    ----------
    kind : str
        Says which class it belongs to, such as ``"direction"``.
    parameters : dict
        Plain values, of JSON.
    arrays : dict of str to ndarray
    provenance : Provenance
    version : int
        Of the kind; a class that reads another way what it keeps counts on.
    """

    kind: str
    parameters: dict[str, Any]
    arrays: dict[str, np.ndarray]
    provenance: Provenance
    version: int = 1

    def describe(self) -> dict[str, Any]:
        """As plain types, without the values of the arrays."""
        return {
            "kind": self.kind,
            "version": self.version,
            "parameters": self.parameters,
            "arrays": {name: {"shape": list(array.shape), "type": str(array.dtype)} for name, array in self.arrays.items()},
            "provenance": self.provenance.to_dict(),
        }


class Persistent(ABC):
    """Something fitted that can be kept in a folder and opened again."""

    artifact_kind: ClassVar[str]

    @abstractmethod
    def to_artifact(self) -> Artifact:
        """What is kept of it."""

    @classmethod
    @abstractmethod
    def from_artifact(cls: type[Kept], artifact: Artifact) -> Kept:
        """Back from :meth:`to_artifact`; a built-in error such as KeyError where something is missing or of another form."""

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write it to a folder, which is made when missing; what an earlier call wrote there is replaced in one step."""
        write_artifact(self.to_artifact(), folder)

    @classmethod
    def load(cls: type[Kept], folder: str | os.PathLike[str]) -> Kept:
        """Open what :meth:`save` wrote.

        Raises
        ------
        DataError
            If the folder holds nothing of this kind, or something damaged or of another format.
        """
        artifact = read_artifact(folder, kind=cls.artifact_kind)
        with damage_named(folder, cls.artifact_kind):
            return cls.from_artifact(artifact)


def write_artifact(artifact: Artifact, folder: str | os.PathLike[str]) -> None:
    """Write ``artifact.json`` and ``arrays-<hash>.safetensors``.

    The JSON names the arrays by their hash and is replaced last. Arrays of an earlier artifact are removed once the new one is in place.

    Parameters
    ----------
    artifact : Artifact
    folder : str or PathLike
        Made when missing.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    folder = Path(folder)
    arrays = {name: np.ascontiguousarray(array) for name, array in artifact.arrays.items()}
    digest = array_hash(sorted(arrays.items()))
    current = folder / _arrays_name(digest)
    with replacing(current) as temporary:
        save_file(arrays, temporary)
    write_json(
        folder / NAME,
        {
            "format": FORMAT,
            "kind": artifact.kind,
            "version": artifact.version,
            "arrays": digest,
            "parameters": plain(artifact.parameters),
            "provenance": artifact.provenance.to_dict(),
        },
    )
    for earlier in folder.glob("arrays-*.safetensors"):
        if earlier != current:
            earlier.unlink(missing_ok=True)


def read_artifact(folder: str | os.PathLike[str], *, kind: str | None = None, version: int = 1) -> Artifact:
    """Open what :func:`write_artifact` wrote, checked against its hashes.

    Parameters
    ----------
    folder : str or PathLike
    kind : str, optional
        What it has to be. Default: any.
    version : int
        The latest version of the kind that can be read.

    Raises
    ------
    DataError
        If the folder holds no artifact, one of another kind or of a later format, or a damaged one.
    """
    folder = Path(folder)
    what = kind or "artifact"
    if folder.is_file():
        raise DataError(f"{folder} is a file; what lexframe keeps is a folder with {NAME}. Name the folder, or make it again.")
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        earlier = next((name for name in _EARLIER if (folder / name).is_file()), None)
        if earlier is not None:
            raise DataError(f"{folder} is of an earlier format ({earlier}), which this version does not read. Make it again.") from error
        raise DataError(f"{folder} holds no {what}: {NAME} is missing. Make one, or name another folder.") from error
    except (OSError, ValueError) as error:
        raise _damaged(folder, what, error) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{folder}/{NAME} is not of the format {FORMAT} that this version reads. Make it again, or update lexframe.")
    if kind is not None and document.get("kind") != kind:
        raise DataError(f"{folder} holds a {document.get('kind')!s:.40}, where a {kind} is expected. Name another folder.")
    if not isinstance(document.get("version"), int) or not 1 <= document["version"] <= version:
        raise DataError(f"{folder} holds version {document.get('version')!s:.10} of a {what}; this lexframe reads 1 to {version}.")
    with damage_named(folder, what):
        arrays = load_file(folder / _arrays_name(document["arrays"]))
        if array_hash(sorted(arrays.items())) != document["arrays"]:
            raise ValueError("the arrays are not those that were written")
        return Artifact(
            kind=document["kind"],
            parameters=dict(document["parameters"]),
            arrays=arrays,
            provenance=Provenance.from_dict(document["provenance"]),
            version=document["version"],
        )


@contextmanager
def damage_named(folder: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turn whatever goes wrong while an artifact is read into one line that names the folder; errors of ours pass."""
    try:
        yield
    except LexframeError:
        raise
    except FileNotFoundError as error:
        missing = Path(error.filename).name if error.filename else "a file"
        raise DataError(f"{folder} holds no whole {what}: {missing} is missing. Make it again.") from error
    except _DAMAGE as error:
        raise _damaged(Path(folder), what, error) from error


def _damaged(folder: Path, what: str, error: Exception) -> DataError:
    return DataError(
        f"{folder} holds a damaged {what} ({str(error).splitlines()[0] if str(error) else type(error).__name__}). Make it again."
    )


def _arrays_name(digest: str) -> str:
    return f"arrays-{int(digest, 16):016x}.safetensors"  # a number, so it cannot lead out of the folder
