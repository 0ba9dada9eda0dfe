"""Where the bytes of a table come from: a file, packed or not, or the standard input; each can be read more than once."""

import bz2
import gzip
import lzma
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from lexframe.exceptions import DataError

STANDARD_INPUT = "-"
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What unpacking raises; a zip that needs a password is a RuntimeError."""

_MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz"}
_spooled: list[tuple[Any, Any]] = []
"""The standard input of this process, once it was read, and the file that holds it."""


@dataclass(frozen=True)
class Source:
    """The bytes of one table.

    Attributes
    ----------
    name : str
        For messages.
    path : Path
        Where the bytes lie.
    suffix : str
        Kind by name, lower case and without what packs it, such as ``".csv"``; empty where the name does not say.
    packing : str
        Such as ``".gz"``; empty for none.
    """

    name: str
    path: Path
    suffix: str
    packing: str

    @classmethod
    def of(cls, path: str | Path) -> "Source":
        """The source that a path names; ``-`` is the standard input.

        Raises
        ------
        DataError
            If it cannot be opened.
        """
        path = Path(path)
        if str(path) == STANDARD_INPUT:
            kept = _standard_input()
            return cls("standard input", kept, "", _packing_of(kept))
        name = path.name.lower()
        packing = next((each for each in _UNPACKERS if name.endswith(each)), "")
        suffix = Path(name.removesuffix(packing)).suffix
        if packing == ".zip" and path.is_file():
            suffix = _suffix_inside(path) or suffix
        if not path.is_file():  # a pipe, which is read once
            kept = _spool(path, lambda: path.open("rb"))
            return cls(str(path), kept, suffix, packing or _packing_of(kept))
        return cls(str(path), path, suffix, packing or _packing_of(path))

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The bytes, unpacked; what is wrong with them is said in one line."""
        with self.readable(), _UNPACKERS.get(self.packing, _plain)(self.path) as file:
            yield file

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A file of the unpacked bytes, for readers that want a path."""
        if not self.packing:
            yield self.path
            return
        with tempfile.NamedTemporaryFile(suffix=self.suffix) as unpacked:
            with self.opened() as packed, self.readable():
                shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            yield Path(unpacked.name)

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Say of what goes wrong while bytes are read what file it is."""
        try:
            yield
        except _DAMAGED as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(f"{self.name} cannot be read: {why}. Check that the file is whole and readable.") from error

    @cached_property
    def head(self) -> bytes:
        """The first bytes, unpacked."""
        with self.opened() as file:
            return file.read(1 << 16)


def _plain(path: Path) -> Any:
    return path.open("rb")


@contextmanager
def _zip_member(path: Path) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as packed, packed.open(_only_member(path, packed)) as member:
        yield member


def _only_member(path: Path, packed: zipfile.ZipFile) -> str:
    names = [name for name in packed.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        listed = ", ".join(names[:4]) or "none"
        raise DataError(f"{path} packs {len(names)} files ({listed}); expected one. Unpack it, and name the file that is meant.")
    return names[0]


def _suffix_inside(path: Path) -> str:
    """The kind of the one file in a zip: the zip's own name seldom says it, such as ``mail.zip`` with ``mail.csv`` in it."""
    try:
        with zipfile.ZipFile(path) as packed:
            return Path(_only_member(path, packed).lower()).suffix
    except (OSError, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {why}. Check that the file is whole and readable.") from error


_UNPACKERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zip": _zip_member}
PACKINGS = tuple(_UNPACKERS)


def _packing_of(path: Path) -> str:
    """What packs a file whose name does not say so."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError:  # said where the file is read
        return ""
    return next((packing for magic, packing in _MAGIC.items() if start.startswith(magic)), "")


def _standard_input() -> Path:
    """A file that holds the standard input, which can be read only once itself."""
    if not _spooled or _spooled[0][0] is not sys.stdin:
        stream = sys.stdin
        raw = getattr(stream, "buffer", None)
        if raw is None or (hasattr(stream, "isatty") and stream.isatty()):
            raise DataError("There is nothing on the standard input. Give a file, or pipe one in.")
        _spooled[:] = [(stream, _copied("standard input", raw))]
    return Path(_spooled[0][1].name)


def _spool(path: Path, opened: Callable[[], Any]) -> Path:
    known = next((file for key, file in _spooled if key == str(path)), None)
    if known is None:
        try:
            with opened() as raw:
                known = _copied(str(path), raw)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}. Check that the file is whole and readable.") from error
        _spooled.append((str(path), known))
    return Path(known.name)


def _copied(name: str, raw: Any) -> Any:
    file = tempfile.NamedTemporaryFile(prefix="lexframe-")  # noqa: SIM115  it is kept until the process ends
    try:
        shutil.copyfileobj(raw, file)
        file.flush()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}.") from error
    return file
