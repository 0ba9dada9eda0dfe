"""Writing files and folders of files so that a final name never holds half a file."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from lexframe.exceptions import InputError

_CANNOT_WRITE = (OSError, SafetensorError)  # a full disk is a SafetensorError where weights are written


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the final name, on failure it is removed.

    Parameters
    ----------
    path : str or PathLike
        The final name. Its folder is made when missing.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    InputError
        If the file cannot be written (no permission, no space, a folder in its place).
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        _finish(temporary)
        temporary.replace(target)
    except _CANNOT_WRITE as error:
        raise _cannot_write(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_files(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder beside `folder`; on success its files move into `folder`, on failure they are removed.

    Parameters
    ----------
    folder : str or PathLike
        The final folder, made when missing. Files of other names in it stay.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    InputError
        If the files cannot be written (no permission, no space, a file in place of the folder).
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as name:
            yield Path(name)
            for file in sorted(Path(name).iterdir()):
                _finish(file)
                file.replace(target / file.name)
    except _CANNOT_WRITE as error:
        raise _cannot_write(target, error) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], document: Any) -> None:
    """Write `document` as indented JSON, atomically."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _finish(written: Path) -> None:
    """Bring a file to the disk, with the mode of an ordinary one: mkstemp and safetensors make private files."""
    written.chmod(0o666 & ~_umask())
    with written.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _cannot_write(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path} cannot be written: {reason}. What was there before is kept; free space or name another place.")
