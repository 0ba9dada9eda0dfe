"""A process that is killed where it writes: at one place after the other, none left out.

The work runs in a forked child in which every call that changes a disk counts. The child kills itself right before or right after
the call that the test names by its number. Children fork from a server that has loaded what they need and started no thread.
"""

import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PLACES = (
    "tempfile.mkstemp",
    "os.fsync",
    "os.replace",
    "os.unlink",
    "lance.write_dataset",
    "lance.fragment.write_fragments",
    "lance.LanceDataset.commit",
)
LONGEST = 60
"""Seconds that a child may take."""


class Killer:
    """Kills its own process at a number; even ones lie before a call, odd ones after it.

    Parameters
    ----------
    number : int
        -1 lets it live.
    places : sequence of str
        Calls that count.
    note : Path
        Where it writes where it died.
    lost : Path, optional
        A folder whose files lose what had not reached the disk for certain, as when the power fails: all that was written since the
        beginning and not handed to ``os.fsync``.
    """

    def __init__(self, number: int, places: tuple[str, ...], note: Path, lost: Path | None):
        self.number, self.note, self.lost = number, note, lost
        self.count, self.kept = -1, set(_states(lost))
        for place in places:
            self._watch(place)

    def _watch(self, place: str) -> None:
        owner, name = _owner(place)
        is_static = isinstance(vars(owner).get(name), staticmethod)
        call = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self._passed(f"before {place}")
            found = call(*arguments, **options)
            if place == "os.fsync":
                facts = os.fstat(arguments[0])
                self.kept.add((facts.st_ino, facts.st_mtime_ns))
            self._passed(f"after {place}")
            return found

        setattr(owner, name, staticmethod(counted) if is_static else counted)

    def _passed(self, place: str) -> None:
        self.count += 1
        if self.count != self.number:
            return
        for path in _files(self.lost):
            facts = path.stat()
            if (facts.st_ino, facts.st_mtime_ns) not in self.kept:
                os.truncate(path, facts.st_size // 2)
        self.note.write_text(place, encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)


def _owner(place: str) -> tuple[Any, str]:
    module, _, name = place.rpartition(".")
    try:
        return importlib.import_module(module), name
    except ModuleNotFoundError:  # a class within a module
        module, _, owner = module.rpartition(".")
        return getattr(importlib.import_module(module), owner), name


def _files(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield from (path for path in folder.rglob("*") if path.is_file())


def _states(folder: Path | None) -> Iterator[tuple[int, int]]:
    for path in _files(folder):
        facts = path.stat()
        yield facts.st_ino, facts.st_mtime_ns


def _child(work: Callable[..., None], arguments: tuple[Any, ...], *killer: Any) -> None:
    Killer(*killer)
    work(*arguments)


def killed(
    work: Callable[..., None], *arguments: Any, number: int, note: Path, places: tuple[str, ...] = PLACES, lost: Path | None = None
) -> str | None:
    """Run ``work(*arguments)`` in a child that kills itself; where it died, or None if it came to its end before."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kills.work", "pytest"])
    child = context.Process(target=_child, args=(work, arguments, number, places, note, lost))
    child.start()
    child.join(LONGEST)
    if child.exitcode == 0:
        return None
    if child.exitcode != -signal.SIGKILL:
        child.kill()
        raise AssertionError(f"the work ended with {child.exitcode} (None: it hangs) before number {number}")
    return note.read_text(encoding="utf-8")


def deaths(
    work: Callable[[Path], None], start: Callable[[Path], None], folder: Path, *, power: bool = False, places: tuple[str, ...] = PLACES
) -> Iterator[tuple[Path, str]]:
    """Folders that `work` was killed in, each at another place, and the place; ends with the first number that it survives.

    Parameters
    ----------
    work : callable
        Of ``tests.kills.work``; gets a folder.
    start : callable
        Puts what is there before into the folder.
    folder : Path
        For the folders.
    power : bool
        The power fails as well.
    places : sequence of str
    """
    for number in range(10_000):
        place = folder / f"{number}"
        place.mkdir()
        start(place)
        died = killed(work, place, number=number, note=folder / "note", places=places, lost=place if power else None)
        if died is None:
            return
        yield place, f"{died}, number {number}"
