"""What a GGUF file says of itself, without its weights.

The format is a list of typed keys, a table of tensors, and the tensors one after another; see the specification in the repository of
ggml (docs/gguf.md). The reader of the package ``gguf`` makes an array of every single token, which takes seconds; this one walks over
the bytes.
"""

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexframe.exceptions import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Numbers of types of a fixed size, as ``struct`` writes them."""
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 8

UNPACKED = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
"""Numbers of the types of tensors that hold plain numbers."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor is in a file.

    Attributes
    ----------
    name : str
    shape : tuple of int
        As torch orders it: the one that moves fastest last.
    type_number : int
        Of ggml.
    offset : int
        Bytes from the beginning of the file.
    """

    name: str
    shape: tuple[int, ...]
    type_number: int
    offset: int

    @property
    def n_elements(self) -> int:
        """Numbers that it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """The keys and the table of tensors of a GGUF file.

    Attributes
    ----------
    path : pathlib.Path
    keys : dict of str to object
        Numbers, strings, booleans and lists of them.
    tensors : tuple of StoredTensor
    n_bytes : int
        Of the whole file.
    """

    path: Path
    keys: dict[str, Any]
    tensors: tuple[StoredTensor, ...]
    n_bytes: int

    @property
    def architecture(self) -> str:
        """Such as ``llama``."""
        return str(self.keys["general.architecture"])

    def own(self, name: str, default: Any = None) -> Any:
        """A key of the architecture, such as ``rope.freq_base``."""
        return self.keys.get(f"{self.architecture}.{name}", default)

    def tensor(self, name: str) -> StoredTensor | None:
        """The tensor of that name, if there is one."""
        return next((each for each in self.tensors if each.name == name), None)

    @property
    def type_numbers(self) -> Counter[int]:
        """Numbers in matrices, by the type in which they are stored; vectors are hardly ever quantized."""
        counts: Counter[int] = Counter()
        for each in self.tensors:
            if len(each.shape) > 1:
                counts[each.type_number] += each.n_elements
        return counts

    @property
    def is_plain(self) -> bool:
        """Whether all matrices hold 16 or 32 bits a number as they stand, with more digits than bfloat16 in some."""
        types = set(self.type_numbers)
        return types <= set(UNPACKED) and types != {30}


def read_header(path: Path) -> GGUFHeader:
    """Read keys and tensors' table of a GGUF file, and check that all tensors are within the file.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    ModelError
        If it is no GGUF file, of a version that is not known, cut short, or of the other byte order.
    """
    try:
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise ModelError(f"{path} is no GGUF file: it does not begin with the four letters GGUF. Download it again.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(path, _Walk(data), n_bytes)
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError, MemoryError) as error:
        raise cut_short(path) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}. Name a GGUF file.") from error


def cut_short(path: Path, *, why: str = "it ends before its last tensor") -> ModelError:
    """What is said of a file that is not whole."""
    return ModelError(f"{path} is cut short or damaged: {why}. Download it again.")


class _Walk:
    """Reads values one after another."""

    def __init__(self, data: mmap.mmap):
        self.data, self.at = data, 4

    def number(self, letter: str) -> Any:
        (value,) = struct.unpack_from(f"<{letter}", self.data, self.at)
        self.at += struct.calcsize(f"<{letter}")
        return value

    def text(self) -> str:
        length = self.number("Q")
        if self.at + length > len(self.data):
            raise IndexError
        self.at += length
        # Names of tokens may hold halves of characters, written as single bytes.
        return self.data[self.at - length : self.at].decode("utf-8", errors="surrogateescape")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_FIXED[kind])
        kind, count = self.number("I"), self.number("Q")
        if count > len(self.data):
            raise IndexError
        if kind in _FIXED:
            values = struct.unpack_from(f"<{count}{_FIXED[kind]}", self.data, self.at)
            self.at += struct.calcsize(f"<{count}{_FIXED[kind]}")
            return list(values)
        return [self.value(kind) for _ in range(count)]


def _read(path: Path, walk: _Walk, n_bytes: int) -> GGUFHeader:
    version = walk.number("I")
    if version not in _VERSIONS:
        swapped = version & 0xFFFF == 0
        what = "written for machines of the other byte order" if swapped else f"of version {version} of the format"
        raise ModelError(f"{path} is {what}; versions 2 and 3 are read. Convert the model again with llama.cpp of today.")
    n_tensors, n_keys = walk.number("Q"), walk.number("Q")
    keys: dict[str, Any] = {}
    for _ in range(n_keys):
        name = walk.text()
        kind = walk.number("I")
        if kind not in _FIXED and kind not in (_STRING, _ARRAY):
            raise cut_short(path, why=f"the key {name!r:.60} is of no known type")
        keys[name] = walk.value(kind)
    if not isinstance(keys.get("general.architecture"), str):
        raise ModelError(f"{path} does not say of which architecture its model is (general.architecture). Convert the model again.")
    table = []
    for _ in range(n_tensors):
        name, n_dims = walk.text(), walk.number("I")
        if n_dims > _MOST_DIMENSIONS:
            raise cut_short(path, why=f"the tensor {name!r:.60} has {n_dims} dimensions")
        sizes = [walk.number("Q") for _ in range(n_dims)]
        table.append((name, tuple(reversed(sizes)), walk.number("I"), walk.number("Q")))
    step = int(keys.get("general.alignment", 32)) or 32
    begin = -(-walk.at // step) * step
    tensors = tuple(StoredTensor(name, shape, kind, begin + offset) for name, shape, kind, offset in table)
    if not tensors:
        raise ModelError(
            f"{path} holds no weights: only a vocabulary, or the later part of a model in several files. Name the whole model."
        )
    if int(keys.get("split.count", 0)) > 1:
        raise ModelError(
            f"{path} is one of {keys['split.count']} parts of a model. Join them with 'llama-gguf-split --merge', and name that."
        )
    _check_ends(path, tensors, n_bytes)
    return GGUFHeader(path, keys, tensors, n_bytes)


def _check_ends(path: Path, tensors: tuple[StoredTensor, ...], n_bytes: int) -> None:
    """Whether every tensor ends within the file; those of packed types are checked where the package that knows their sizes is there."""
    try:
        from gguf import GGML_QUANT_SIZES
    except ImportError:
        sizes: dict[int, tuple[int, int]] = {0: (1, 4), 1: (1, 2), 28: (1, 8), 30: (1, 2)}
    else:
        sizes = {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}
    for each in tensors:
        block, n_block_bytes = sizes.get(each.type_number, (1, 0))
        if each.offset + each.n_elements // block * n_block_bytes > n_bytes or each.offset >= n_bytes:
            raise cut_short(path, why=f"it has {n_bytes:,} bytes and ends before its tensor {each.name!r} does")
