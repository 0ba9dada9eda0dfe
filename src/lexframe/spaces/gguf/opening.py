"""From a GGUF file to the folder in the cache that holds its model."""

import hashlib
from pathlib import Path

from lexframe.exceptions import ModelError
from lexframe.spaces.gguf.conversion import convert, require_reader
from lexframe.spaces.gguf.header import read_header
from lexframe.spaces.model_cache import is_kept, kept


def from_gguf(path: Path, *, sha256: str | None = None) -> Path:
    """The folder with the model of a GGUF file; made when it is not there yet.

    Parameters
    ----------
    path : pathlib.Path
    sha256 : str, optional
        Of the file, where it is known already.

    Raises
    ------
    ModelError
        If the file cannot be read as a model.
    MissingExtraError
        If it is not there yet and the package ``gguf`` is not installed.
    InputError
        If the cache cannot be written.
    """
    sha256 = sha256 or file_hash(path)
    if not is_kept(sha256):  # what is wrong with the file shows before anything is written
        read_header(path)
        require_reader()
    return kept(sha256, lambda folder: convert(read_header(path), sha256, folder))


def file_hash(path: Path) -> str:
    """The sha256 of a file, as 64 hex digits.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}. Name a GGUF file.") from error
