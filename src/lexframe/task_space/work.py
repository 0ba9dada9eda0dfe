"""How long work is done: piece by piece, in processes where asked for, and kept so that a run that was stopped goes on."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lexframe.exceptions import InputError
from lexframe.files import json_text, replacing
from lexframe.latents.workers import WorkerPool
from lexframe.spaces.base import Progress, Space

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Work:
    """How the work is done; it changes no number.

    Attributes
    ----------
    n_processes : int
        Processes of one thread each.
    max_gib : float or None
        Most memory to use, in GiB. Default: what is free.
    folder : Path or None
        Folder where finished pieces are kept, so that a run that was stopped goes on; None keeps nothing.
    """

    n_processes: int = 1
    max_gib: float | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.n_processes < 1:
            raise InputError(f"n_processes is {self.n_processes}; expected 1 or more.", parameter="n_processes")

    @contextmanager
    def place(self) -> Iterator[Path]:
        """The folder that was named, or one that goes away at the end."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="lexframe-tasks-") as folder:
            yield Path(folder)


def hashed(what: Any) -> str:
    """Hex digits that differ where plain values do.

    Parameters
    ----------
    what : object
        Of plain values, mappings and sequences.
    """
    return hashlib.sha256(json_text(what, sort_keys=True).encode()).hexdigest()[:24]


def pieces_done(
    space: Space, function: Callable[[Any, Any], Arrays], jobs: Mapping[str, Any], work: Work, *, progress: Progress = iter
) -> dict[str, Arrays]:
    """What ``function(space, job)`` gives for every job, by its key; what an earlier run has kept is not done again.

    Parameters
    ----------
    space : Space
    function : callable
        Of a module, so that other processes find it.
    jobs : mapping of str to object
        By keys that say all that decides the arrays: they name the files.
    work : Work
    progress : callable
        Wraps the iteration over what is left to do.

    Returns
    -------
    dict of str to (dict of str to ndarray)
        In the order of `jobs`.
    """
    found = {key: kept for key in jobs if work.folder is not None and (kept := _kept(work.folder / f"{key}.safetensors")) is not None}
    left = [key for key in jobs if key not in found]
    with _mapping(space, min(work.n_processes, max(1, len(left)))) as mapped:
        for key, arrays in zip(progress(left), mapped(function, [jobs[key] for key in left]), strict=True):
            if work.folder is not None:
                with replacing(work.folder / f"{key}.safetensors") as temporary:
                    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
            found[key] = arrays
    return {key: found[key] for key in jobs}


@contextmanager
def _mapping(space: Space, n_processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """How a function is applied to jobs: here, or in processes."""
    if n_processes == 1:
        yield lambda function, jobs: (function(space, job) for job in jobs)
        return
    with WorkerPool(space, n_processes) as pool:
        yield pool.map


def _kept(path: Path) -> Arrays | None:
    """Arrays that an earlier run has kept; None where there are none, or only half of a file, whose piece is done again."""
    try:
        return dict(load_file(path)) if path.is_file() else None
    except (SafetensorError, OSError):
        return None
