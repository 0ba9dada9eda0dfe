"""The one format of what is kept: a folder with ``artifact.json`` and the safetensors file that it names.

Nothing in such a folder can run when it is opened, every array is checked against the hash that the JSON holds, and whatever
interrupts the writing, the folder holds the earlier artifact whole or the new one.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lexframe.exceptions import DataError, InputError, LexframeError
from lexframe.files import json_text, replacing, write_text
from lexframe.provenance import Provenance, array_hash

FORMAT = 2
"""Of the folder. The JSON files of format 1 had a name for every kind."""
NAME = "artifact.json"
_EARLIER = ("instrument.json", "direction.json", "written.json")  # what folders of format 1 hold
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

    def with_part(self, name: str, part: "Artifact") -> "Artifact":
        """With another artifact inside it, under a name; its provenance is that of the whole.

        Parameters
        ----------
        name : str
            Of the part, which no parameter has.
        part : Artifact
        """
        kept = {"kind": part.kind, "version": part.version, "parameters": part.parameters}
        arrays = {f"{name}/{own}": array for own, array in part.arrays.items()}
        return replace(self, parameters=self.parameters | {name: kept}, arrays=self.arrays | arrays)

    def part(self, name: str) -> "Artifact":
        """What :meth:`with_part` put in.

        Raises
        ------
        KeyError
            If there is no such part.
        """
        kept, prefix = self.parameters[name], f"{name}/"
        arrays = {key.removeprefix(prefix): array for key, array in self.arrays.items() if key.startswith(prefix)}
        return Artifact(kept["kind"], dict(kept["parameters"]), arrays, self.provenance, kept["version"])


class Persistent(ABC):
    """Something fitted that can be kept in a folder and opened again.

    Attributes
    ----------
    artifact_kind : str
        Of the class; no other has it.
    artifact_version : int
        The latest way in which the class keeps itself; it reads earlier ones too.
    """

    __slots__ = ()
    artifact_kind: ClassVar[str]
    artifact_version: ClassVar[int] = 1

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
        artifact = read_artifact(folder, kind=cls.artifact_kind, version=cls.artifact_version)
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
        If it holds what JSON cannot, such as a label that is neither text nor number, or the folder cannot be written.
    """
    folder = Path(folder)
    arrays = {name: np.ascontiguousarray(array) for name, array in artifact.arrays.items()}
    digest = array_hash(sorted(arrays.items()))
    document = _as_json(artifact, digest)
    current = folder / _arrays_name(digest)
    with replacing(current) as temporary:
        save_file(arrays, temporary)
    write_text(folder / NAME, document)
    for earlier in folder.glob("arrays-*.safetensors"):
        if earlier != current:
            earlier.unlink(missing_ok=True)


def _as_json(artifact: Artifact, digest: str) -> str:
    document = {
        "format": FORMAT,
        "kind": artifact.kind,
        "version": artifact.version,
        "arrays": digest,
        "parameters": artifact.parameters,
        "provenance": artifact.provenance.to_dict(),
    }
    try:
        text = json_text(document, indent=2) + "\n"
        text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The {artifact.kind} cannot be kept: {error}. Labels and parameters have to be text, numbers, or lists of them."
        ) from error
    return text


def read_artifact(folder: str | os.PathLike[str], *, kind: str | None = None, version: int | None = 1) -> Artifact:
    """Open what :func:`write_artifact` wrote, checked against its hashes.

    Parameters
    ----------
    folder : str or PathLike
    kind : str, optional
        What it has to be. Default: any.
    version : int, optional
        The latest version of the kind that can be read. None: any, for a reader that looks at it itself.

    Raises
    ------
    DataError
        If the folder holds no artifact, one of another kind or of a later format, or a damaged one.
    """
    folder = Path(folder)
    document = read_document(folder, kind=kind)
    what = kind or "artifact"
    if version is not None and not 1 <= document["version"] <= version:
        raise DataError(f"{folder} holds version {document['version']} of a {what}; this lexframe reads 1 to {version}. Update lexframe.")
    with damage_named(folder, what):
        path = folder / _arrays_name(document["arrays"])
        if not path.is_file():
            raise DataError(f"{folder} holds no whole {what}: {path.name} is missing. Make it again.")
        arrays = load_file(path)
        if array_hash(sorted(arrays.items())) != document["arrays"]:
            raise ValueError("the arrays are not those that were written")
        return Artifact(
            kind=document["kind"],
            parameters=dict(document["parameters"]),
            arrays=arrays,
            provenance=Provenance.from_dict(document["provenance"]),
            version=document["version"],
        )


def read_document(folder: str | os.PathLike[str], *, kind: str | None = None) -> dict[str, Any]:
    """The JSON of an artifact alone; its arrays are not looked at.

    Parameters
    ----------
    folder : str or PathLike
    kind : str, optional
        What it has to be. Default: any.

    Returns
    -------
    dict
        With format, kind, version, arrays (their hash), parameters and provenance.

    Raises
    ------
    DataError
        See :func:`read_artifact`.
    """
    folder = Path(folder)
    what = kind or "artifact"
    if folder.is_file():
        raise DataError(
            f"{folder} is a file; expected a folder with {NAME}. Name that folder; what an earlier version kept in one file is to be "
            "made again."
        )
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
    expected = {"kind": str, "version": int, "arrays": str, "parameters": dict, "provenance": dict}
    wrong = next((name for name, type_ in expected.items() if not isinstance(document.get(name), type_)), None)
    if wrong is not None:
        raise _damaged(folder, what, ValueError(f"{wrong} is missing or of another type"))
    return document


def is_artifact(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds an artifact, whole or damaged."""
    return (Path(folder) / NAME).is_file()


@contextmanager
def damage_named(folder: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turn whatever goes wrong while an artifact is read into one line that names the folder; errors of ours pass."""
    try:
        yield
    except LexframeError:
        raise
    except _DAMAGE as error:
        raise _damaged(Path(folder), what, error) from error


def _damaged(folder: Path, what: str, error: Exception) -> DataError:
    return DataError(
        f"{folder} holds a damaged {what} ({str(error).splitlines()[0] if str(error) else type(error).__name__}). Make it again."
    )


def _arrays_name(digest: str) -> str:
    return f"arrays-{int(digest, 16):016x}.safetensors"  # a number, so it cannot lead out of the folder
