"""People's word vectors: text files of word2vec, fastText and GloVe, and word2vec's binary files."""

import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.data.tables.encodings import text_lines
from lexframe.data.word_vectors import WordVectors
from lexframe.exceptions import DataError, InputError
from lexframe.files import replacing
from lexframe.provenance import Provenance

BINARY_SUFFIXES = (".bin", ".bin.gz")
_CHUNK = 10_000
_LINES_TO_COUNT = 100
_BLANKS = re.compile(r"[ \t]+")
"""Other white space, such as a no-break space, is part of a word."""
_LONGEST_WORD = 4096
"""Bytes; a longer word in a binary file means that its places are wrong."""

_Row = tuple[str, np.ndarray, str]
"""A word, its vector, and what to call the place in a message."""


def read_word_vectors(path: str | Path, *, limit: int | None = None, words: Collection[str] | None = None) -> WordVectors:
    """Read word vectors, row by row, in single precision.

    Parameters
    ----------
    path : str or Path
        ``.bin`` (also ``.bin.gz``) is word2vec's binary format; anything else (``.txt``, ``.vec``, ``.gz``) is text with a word a line
        and its numbers behind it, with or without a first line "words dimensions". Words may hold blanks, and lines may begin with
        some; lines with numbers alone have no word and are left out.
    limit : int, optional
        Rows to look at; such files begin with the most frequent words.
    words : collection of str, optional
        Keep these words alone.

    Returns
    -------
    WordVectors
        In the order of the file. Of a word that stands twice the first is kept. The provenance counts the others, and what has no word.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut off, not UTF-8, empty, or a line has another number of dimensions or something that is
        no finite number.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        raise DataError(
            f"{path}: no such file. Name a file of word vectors: text (.txt, .vec, also .gz) or word2vec's binary format (.bin)."
        )
    rows = _binary_rows(path, limit) if path.name.lower().endswith(BINARY_SUFFIXES) else _text_rows(path, limit)
    wanted = None if words is None else frozenset(words)
    kept: dict[str, None] = {}
    chunks: list[np.ndarray] = []
    current: list[np.ndarray] = []
    n_repeated = n_without_word = 0
    for word, vector, where in rows:
        if not word:
            n_without_word += 1
            continue
        if not np.isfinite(vector).all():
            raise DataError(f"{where}: the vector of {word!r} holds NaN or infinity. Remove the word.")
        if wanted is not None and word not in wanted:
            continue
        if word in kept:
            n_repeated += 1
            continue
        kept[word] = None
        current.append(vector)
        if len(current) == _CHUNK:  # one array a chunk, as small arrays cost more than their numbers
            chunks.append(np.stack(current))
            current = []
    if current:
        chunks.append(np.stack(current))
    if not kept:
        raise DataError(f"{path} holds no vector{' of the words asked for' if words is not None else ''}. Check that it is the right file.")
    made_by = Provenance(parameters={"file": path.name, "limit": limit, "n_repeated_words": n_repeated, "n_without_word": n_without_word})
    return WordVectors(tuple(kept), np.concatenate(chunks), source=str(path), provenance=made_by)


def require_writable(words: Sequence[str], *, blanks: str = " ") -> None:
    """Refuse, before any work, words that a text file of vectors has no place for.

    Parameters
    ----------
    words : sequence of str
    blanks : str
        See :func:`write_word_vectors`.

    Raises
    ------
    InputError
        If a word is empty, begins or ends with white space, holds a tab, a line break or two blanks in a row, or two words would be
        written alike.
    """
    odd = [
        word
        for word in words
        if not word or word != word.strip() or "  " in word or re.search(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", word)
    ]
    if odd:
        raise InputError(
            f"The word {odd[0]!r} cannot be written into a text file of word vectors ({len(odd)} in all): it is empty, or its white space "
            "would be read as the end of a word or a line. Leave such words out."
        )
    written: dict[str, str] = {}
    for word in words:
        other = written.setdefault(word.replace(" ", blanks), word)
        if other != word:
            raise InputError(
                f"The words {other!r} and {word!r} would both be written {word.replace(' ', blanks)!r}. Choose another sign for blanks."
            )


def write_word_vectors(vectors: WordVectors, path: str | Path, *, blanks: str = " ") -> Path:
    """Write word vectors as text with a first line "words dimensions", which word2vec, fastText and gensim read.

    Parameters
    ----------
    vectors : WordVectors
    path : str or Path
        Replaced atomically; ``.gz`` is packed.
    blanks : str
        What stands in the file for a blank within a word. As they are, blanks are read back by :func:`read_word_vectors`; word2vec and
        gensim take them for the end of the word, so ``"_"`` is for these.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If a word cannot be written (see :func:`require_writable`), or the file cannot be written.
    """
    path = Path(path)
    require_writable(vectors.words, blanks=blanks)
    with (
        replacing(path) as temporary,
        (gzip.open if path.suffix == ".gz" else open)(temporary, "wt", encoding="utf-8", newline="\n") as file,
    ):
        file.write(f"{len(vectors)} {vectors.n_dims}\n")
        numbers = " ".join(["%.9g"] * vectors.n_dims)  # nine digits hold every single-precision number
        for word, vector in zip(vectors.words, vectors.vectors, strict=True):
            file.write(f"{word.replace(' ', blanks)} {numbers % tuple(vector.tolist())}\n")
    return path


def _text_rows(path: Path, limit: int | None) -> Iterator[_Row]:
    lines: Iterator[tuple[int, str]] = ((number, line.rstrip(" \t\r\n")) for number, line in enumerate(text_lines(path), start=1))
    lines = (numbered for numbered in lines if numbered[1])
    first = list(islice(lines, _LINES_TO_COUNT))
    header = _BLANKS.split(first[0][1].lstrip(" \t")) if first else []
    n_words = int(header[0]) if len(header) == 2 and all(field.isdecimal() for field in header) else None
    n_dims = int(header[1]) if n_words is not None else _dimensions([line for _, line in first])
    if n_dims < 1 and first:
        raise DataError(
            f"{path}, line {first[0][0]}: {first[0][1][:40]!r} is no word with numbers behind it. Give a text file of word vectors."
        )
    found = 0
    for number, line in islice(chain(first[n_words is not None :], lines), limit):
        where = f"{path}, line {number}"
        yield (*_parsed(line, n_dims, where), where)
        found += 1
    if n_words is not None and found != min(n_words, n_words if limit is None else limit):
        raise DataError(f"{path}: the first line says {n_words:,} words, but there are {found:,}. The file may be cut off; fetch it again.")


def _dimensions(lines: Sequence[str]) -> int:
    """How many numbers stand behind the words: what most of the first lines agree on, as words may hold blanks or be numbers."""
    counts: dict[int, int] = {}
    for line in lines:
        fields = _BLANKS.split(line.lstrip(" \t"))
        n_numbers = next((n for n, field in enumerate(reversed(fields)) if not _is_number(field)), len(fields))
        n_numbers = min(n_numbers, len(fields) - 1)  # the first field is of the word, a number or not
        counts[n_numbers] = counts.get(n_numbers, 0) + 1
    return max(counts, key=counts.__getitem__, default=0)  # of equals the first line's


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _parsed(line: str, n_dims: int, where: str) -> tuple[str, np.ndarray]:
    """Word and vector of a line, from the right: a word may hold blanks. It is empty where a line begins with blanks and has no word."""
    fields = _BLANKS.split(line)
    if not fields[0] and len(fields) > n_dims + 1:  # blanks before a word
        del fields[0]
    numbers = fields[-n_dims:]
    if len(fields) <= n_dims:
        raise DataError(f"{where}: {len(fields) - 1} numbers behind the word, expected {n_dims}. Correct the line or remove it.")
    try:
        vector = np.array(numbers, dtype=np.float32)
    except ValueError as error:
        raise DataError(
            f"{where}: {str(error).rsplit(':', 1)[-1].strip()} is no number; expected {n_dims} numbers behind the word. "
            "Correct the line or remove it."
        ) from error
    return " ".join(fields[:-n_dims]), vector


def _binary_rows(path: Path, limit: int | None) -> Iterator[_Row]:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            header = file.readline(100).split()
            if len(header) != 2 or not all(field.isdigit() for field in header) or int(header[1]) < 1:
                raise DataError(
                    f"{path}: does not begin with the numbers of words and dimensions. Give a file in word2vec's binary format."
                )
            n_words, n_dims = map(int, header)
            for number in range(1, min(n_words, limit if limit is not None else n_words) + 1):
                where = f"{path}, word {number} of {n_words:,}"
                word = _binary_word(file, where)
                content = file.read(4 * n_dims)
                if len(content) < 4 * n_dims:
                    raise DataError(f"{where}: the file ends within the vector. It is cut off; fetch it again.")
                yield word, np.frombuffer(content, dtype="<f4").astype(np.float32), where
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. Check that the file is whole and readable."
        ) from error


def _binary_word(file: Any, where: str) -> str:
    """The bytes up to a blank; writers disagree whether a line feed comes before."""
    letters = bytearray()
    while len(letters) <= _LONGEST_WORD:
        letter = file.read(1)
        if letter == b" ":
            break
        if not letter:
            raise DataError(f"{where}: the file ends before the word does. It is cut off; fetch it again.")
        if letter != b"\n" or letters:
            letters += letter
    try:
        word = letters.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: the word is not UTF-8. The file is damaged, or is not in word2vec's binary format.") from error
    if len(letters) > _LONGEST_WORD or not word:
        raise DataError(f"{where}: no word where one should be. The file is damaged, or is not in word2vec's binary format.")
    return word
