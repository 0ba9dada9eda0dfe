"""Models that were read from GGUF files, kept in the user's cache folder.

A model is kept under the hash of its file, so that a file that has moved is known again and one that has changed is not taken for the old.
The folder takes its name in one step when it is whole. One process converts a file at a time; others wait, and find it done.
"""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexframe.exceptions import InputError, ModelError
from lexframe.files import advice_on_writing, new_folder
from lexframe.spaces.gguf.origin import ORIGIN, Origin

FOLDER = "LEXFRAME_CACHE"
"""The variable of the environment that names another folder."""

MOST_BYTES = 20_000_000_000
"""What all models together may take; those that were not used for longest go first."""

FRESH_SECONDS = 600
"""Since their last use models stay, whatever the limit says: another process may be opening one."""

_FORMAT = "1"
"""Of what is kept: another one when the conversion gives other files than before."""


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model in the cache.

    Attributes
    ----------
    folder : pathlib.Path
    origin : Origin
    n_bytes : int
    used : float
        Seconds since 1970.
    """

    folder: Path
    origin: Origin
    n_bytes: int
    used: float


def cache_folder() -> Path:
    """Where models are kept: ``LEXFRAME_CACHE``, or ``lexframe`` in the folder of the system for what can be made again."""
    named = os.environ.get(FOLDER)
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path("~/Library/Caches/lexframe").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lexframe"


def kept(sha256: str, make: Callable[[Path], Any]) -> Path:
    """The folder of the model that was made from a file; it is made when it is not there yet.

    Parameters
    ----------
    sha256 : str
        Of the file.
    make : callable
        Writes the model into an empty folder, with its :class:`~lexframe.spaces.gguf.origin.Origin`.

    Raises
    ------
    InputError
        If the cache cannot be written.
    """
    models = cache_folder() / "gguf"
    folder = models / f"{sha256}-{_FORMAT}"
    if not _use(folder):
        with _alone(models, sha256):
            if not _use(folder):  # another process has made it meanwhile
                _write(folder, make)
                clean(MOST_BYTES, keep=folder)
    return folder


def is_kept(sha256: str) -> bool:
    """Whether the model of a file is in the cache."""
    return (cache_folder() / "gguf" / f"{sha256}-{_FORMAT}" / ORIGIN).is_file()


def _write(folder: Path, make: Callable[[Path], Any]) -> None:
    try:
        with new_folder(folder) as temporary:
            make(temporary)
    except ModelError:
        raise
    except InputError as error:
        raise InputError(f"{error} The variable {FOLDER} names another folder for models that were read from GGUF files.") from error


def kept_models() -> list[KeptModel]:
    """Models in the cache, those used last first."""
    found = []
    for folder in _entries():
        origin = Origin.of_folder(folder)
        if origin is not None:
            found.append(KeptModel(folder, origin, _n_bytes(folder), (folder / ORIGIN).stat().st_mtime))
    return sorted(found, key=lambda each: -each.used)


def clean(most_bytes: int = 0, *, keep: Path | None = None) -> list[KeptModel]:
    """Remove models, those that were not used for longest first, until the rest takes no more than so many bytes.

    Parameters
    ----------
    most_bytes : int
        0 removes all, with what killed processes have left.
    keep : pathlib.Path, optional
        A folder that stays; so do those used within the last ten minutes, unless all are removed.

    Returns
    -------
    list of KeptModel
        What was removed.
    """
    models = kept_models()
    total, removed = sum(each.n_bytes for each in models), []
    for each in reversed(models):
        fresh = each.folder == keep or (most_bytes > 0 and time.time() - each.used < FRESH_SECONDS)
        if total > most_bytes and not fresh:
            _remove(each.folder)
            removed.append(each)
            total -= each.n_bytes
    if not most_bytes:
        for folder in _entries(whole=False):
            with suppress(BlockingIOError), _alone(folder.parent, folder.name.strip(".").split("-")[0], wait=False):
                shutil.rmtree(folder, ignore_errors=True)
    return removed


def _entries(*, whole: bool = True) -> list[Path]:
    """Folders of models, or with ``whole=False`` everything that is a folder."""
    models = cache_folder() / "gguf"
    try:
        return sorted(
            each
            for each in models.iterdir()
            if each.is_dir() and (not whole or (each / ORIGIN).is_file()) and (not whole or each.name[0] != ".")
        )
    except OSError:
        return []


def _remove(folder: Path) -> None:
    """Out of the way in one step, so that nobody finds half a model."""
    gone = folder.with_name(f".{folder.name}.gone-{os.getpid()}")
    with suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _use(folder: Path) -> bool:
    """Whether a model is there; it counts as used now."""
    if not (folder / ORIGIN).is_file():
        return False
    with suppress(OSError):  # a cache that others have made, and that may only be read
        os.utime(folder / ORIGIN)
    return True


def _n_bytes(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


@contextmanager
def _alone(models: Path, name: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file's hash; the system lets go of it when a process dies."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        lock = (models / f".{name}.lock").open("w")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{models} cannot be written: {reason}. {advice_on_writing(reason)} Another folder is named by {FOLDER}."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
