"""Writing files and folders of files so that a final name never holds half a file."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from lexframe.checks import plain
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


@contextmanager
def new_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder beside `folder`; on success it takes the final name in one step, on failure it is removed.

    What a killed process has left there is removed first, so two processes must not make the same folder at once.

    Parameters
    ----------
    folder : str or PathLike
        The final folder, which must not exist yet. The folder above it is made when missing.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    InputError
        If it cannot be written (no permission, no space).
    """
    target = Path(folder)
    temporary = target.parent / f".{target.name}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            for file in sorted(temporary.rglob("*")):
                if file.is_file():
                    _finish(file)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except _CANNOT_WRITE as error:
        raise _cannot_write(target, error) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(value: Any, *, indent: int | None = None, sort_keys: bool = False, ascii_only: bool = False) -> str:
    """A value as strict JSON, in one line where no indent is given; what is not finite becomes null.

    Whatever leaves the program as JSON is written here: a bare NaN or Infinity is no JSON, and other programs refuse the file.

    Parameters
    ----------
    value : object
        Of plain values, arrays, dates and mappings and sequences; see :func:`lexframe.checks.plain`.
    indent : int, optional
        Of a document that people read.
    sort_keys, ascii_only : bool
        For hashes, whose text must not depend on an order or an encoding.

    Raises
    ------
    TypeError, ValueError
        If it holds what JSON cannot.
    """
    return json.dumps(plain(value), indent=indent, sort_keys=sort_keys, ensure_ascii=ascii_only, allow_nan=False)


def write_json(path: str | os.PathLike[str], document: Any) -> None:
    """Write `document` as indented JSON, atomically."""
    write_text(path, json_text(document, indent=2) + "\n")


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
    return InputError(f"{path} cannot be written: {reason}. What was there before is kept. {advice_on_writing(reason)}")


def advice_on_writing(reason: str) -> str:
    """What to do about a file that cannot be written, from what the system says: advice that does not fit sends people astray."""
    if re.search(r"space|quota|too large", reason, re.IGNORECASE):
        return "Free space, or name another place."
    if re.search(r"permi|denied|read-only", reason, re.IGNORECASE):
        return "Ask for the right to write, or name another place."
    return "Name another place."
