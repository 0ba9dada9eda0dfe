"""In which encoding a file is written, found in the whole of it before a row is read, and its lines."""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lexframe.data.tables.sources import Source
from lexframe.exceptions import DataError, InputError

_BLOCK = 1 << 17
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_NUL_SHARE = 0.25
"""Of the first bytes, on one side of the pairs: plain text as UTF-16 has half of them."""
_FOREIGN_SHARE = 0.4
"""Of the letters beyond ASCII in a text that is none of Western Europe's languages."""
_BESIDE_SHARE = 0.5
"""Of the bytes beyond ASCII, beside another such: in Western Europe's languages they stand alone among plain letters."""
WHAT_TO_DO = "Save it as UTF-8, or say what it is with encoding, such as cp1252, cp1251 or shift_jis."


@dataclass(frozen=True, slots=True)
class Writing:
    r"""How the characters of a file are written.

    Attributes
    ----------
    encoding : str
    notes : tuple of str
        What was assumed.
    line_end : str
        ``"\r"`` where no line feed stands in the file and carriage returns do, else ``"\\n"``.
    escapes_quotes : bool
        Whether a backslash stands before a quote anywhere.
    """

    encoding: str
    notes: tuple[str, ...] = ()
    line_end: str = "\n"
    escapes_quotes: bool = False


def writing_of(source: Source, encoding: str | None = None) -> Writing:
    """How a file is written: as `encoding` says, by its byte-order mark, as UTF-8, or else as Windows-1252.

    The file is read once through, since a byte that is no UTF-8 may stand anywhere, and rows must not change their reading midway.

    Parameters
    ----------
    source : Source
    encoding : str, optional

    Raises
    ------
    DataError
        If bytes are no text in that encoding; the line is named.
    """
    notes: tuple[str, ...] = ()
    if encoding is not None:
        try:
            name = codecs.lookup(encoding).name
            b"a".decode(name)
        except (LookupError, ValueError, TypeError) as error:
            raise InputError(
                f"The encoding {encoding!r} is not known; give one such as utf-8, cp1252 or utf-16.", parameter="encoding"
            ) from error
        name = "utf-8-sig" if name == "utf-8" else name
    else:
        name, notes = _by_mark(source)
    signs = _Signs()
    if not _decodes(source, name, signs):
        if encoding is not None or name != "utf-8-sig":
            raise _undecodable(source, name)
        name = _western(source)
        notes = ("is not UTF-8, and was read as Windows-1252; see that its letters are right, or name the encoding",)
    return Writing(name, notes, "\r" if signs.cr and not signs.lf else "\n", signs.escapes_quotes)


def characters(source: Source, writing: Writing, *, newline: str = "") -> Iterator[str]:
    """The lines of a file, each with its end; `newline` is as for :func:`open`."""
    try:
        with source.opened() as raw, io.TextIOWrapper(raw, encoding=writing.encoding, newline=newline) as lines:
            yield from lines
    except UnicodeError as error:
        raise DataError(f"{source.name} changed while it was read. Read it again.") from error


def text_lines(path: object, notes: list[str] | None = None) -> Iterator[str]:
    """Lines that end in a line feed; other separators, which str.splitlines also takes, belong to the text.

    Parameters
    ----------
    path : str or Path
        Also packed (.gz, .bz2, .xz, .zip).
    notes : list of str, optional
        Takes what was assumed. Without it a file that is neither UTF-8 nor has a byte-order mark is refused.

    Raises
    ------
    DataError
        If the file cannot be read or decoded.
    """
    source = Source.of(str(path))
    writing = writing_of(source)
    if notes is None and writing.encoding == "cp1252":
        raise _undecodable(source, "utf-8")
    if notes is not None:
        notes += writing.notes
    yield from characters(source, writing, newline=writing.line_end)


def _by_mark(source: Source) -> tuple[str, tuple[str, ...]]:
    head = source.head[:4096]
    for mark, encoding, name in _MARKS:
        if head.startswith(mark):
            return encoding, (f"was read as {name}",)
    pairs = len(head) // 2
    if pairs and len(head) % 2 == 0:
        for encoding, name, offset in (("utf-16-le", "UTF-16", 1), ("utf-16-be", "UTF-16", 0)):
            there, other = head[offset::2].count(0), head[1 - offset :: 2].count(0)
            if there > 2 * _NUL_SHARE * pairs and other == 0:
                return encoding, (f"was read as {name}",)
    return "utf-8-sig", ()


class _Signs:
    """What stands anywhere in a file."""

    lf = cr = escapes_quotes = False


def _decodes(source: Source, encoding: str, signs: _Signs) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    plain = encoding == "utf-8-sig"
    before: bytes | str = b"" if plain else ""
    try:
        with source.opened() as file:
            while block := file.read(_BLOCK):
                if plain:  # looking at bytes costs next to nothing
                    if not (block.isascii() and not decoder.getstate()[0]):
                        decoder.decode(block)
                    signs.lf, signs.cr = signs.lf or b"\n" in block, signs.cr or b"\r" in block
                    signs.escapes_quotes = signs.escapes_quotes or b'\\"' in block or (before == b"\\" and block[:1] == b'"')
                    before = block[-1:]
                else:
                    text = decoder.decode(block)
                    signs.lf, signs.cr = signs.lf or "\n" in text, signs.cr or "\r" in text
                    signs.escapes_quotes = signs.escapes_quotes or '\\"' in text or (before == "\\" and text[:1] == '"')
                    before = text[-1:]
            decoder.decode(b"", True)
    except (UnicodeError, ValueError):
        return False
    return True


def _western(source: Source) -> str:
    """``cp1252``, where the bytes can be that.

    A few broken bytes among many whole characters are a damaged UTF-8 file; bytes that are mostly beyond ASCII are another language's.
    """
    broken = whole = beyond = beside = letters = 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    possible = True
    with source.opened() as file:
        while block := file.read(_BLOCK):
            text = decoder.decode(block)
            n_broken = text.count("\ufffd")
            broken += n_broken
            whole += len(text) - len(text.encode("ascii", "ignore")) - n_broken
            high = len(block) - len(block.translate(None, _HIGH))
            beyond += high
            beside += sum(map(len, _BESIDE.findall(block)))
            letters += high + len(block) - len(block.translate(None, _LETTERS))
            possible = possible and not any(byte in block for byte in _UNDEFINED)
    if not possible or whole >= broken or beyond > _FOREIGN_SHARE * letters or beside > _BESIDE_SHARE * beyond or b"\0" in source.head:
        raise _undecodable(source, "utf-8")
    return "cp1252"


_BESIDE = re.compile(rb"[\x80-\xff]{2,}")
_HIGH = bytes(range(0x80, 0x100))
_LETTERS = bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))
_UNDEFINED = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")


def _undecodable(source: Source, encoding: str) -> DataError:
    """Which line it is: read again, because a decoder tells no line."""
    name = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8"}.get(encoding, encoding)
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with source.opened() as file:
        while True:
            block = file.read(_BLOCK)
            for start in range(0, max(len(block), 1), 256):  # small parts, so that the lines before the fault are counted
                part = block[start : start + 256]
                state = decoder.getstate()
                try:
                    line += decoder.decode(part, not block).count("\n")
                except UnicodeDecodeError as error:
                    decoder.setstate(state)
                    line += _lines_before(decoder, part)
                    byte = f" (byte {error.object[error.start]:#04x})" if error.start < len(error.object) else ""
                    return DataError(f"{source.name}, line {line}: not {name}{byte}. {WHAT_TO_DO}", parameter="encoding")
                except (UnicodeError, ValueError):
                    return DataError(f"{source.name}: not {name}. {WHAT_TO_DO}", parameter="encoding")
            if not block:
                return DataError(f"{source.name}: not {name}. {WHAT_TO_DO}", parameter="encoding")


def _lines_before(decoder: codecs.IncrementalDecoder, part: bytes) -> int:
    n = 0
    for place in range(len(part)):
        try:
            n += decoder.decode(part[place : place + 1]).count("\n")
        except UnicodeDecodeError:
            break
    return n
