"""Text for pretraining: read shards of documents, report on them, drop what a language model should not see.

One document at a time goes through the filters, so memory holds hashes and not text.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.data.readers import stream_rows
from lexframe.data.tables.encodings import text_lines
from lexframe.exceptions import DataError
from lexframe.files import replacing, write_json

TEXT_SUFFIXES = (".txt", ".jsonl", ".parquet", ".csv", "and the like, also packed")
_WORD = re.compile(r"\w+")
_ROW_GROUP = 2_000


@dataclass(frozen=True, slots=True)
class CorpusRules:
    """What a document must be to stay.

    Attributes
    ----------
    min_words : int
        Documents with fewer words are dropped.
    max_symbol_share : float
        Largest share of characters that are neither letters, digits nor white space.
    near_duplicate_similarity : float
        Estimated Jaccard similarity of five-word shingles from which on the later document is dropped;
        above 1 turns the check off.
    """

    min_words: int = 20
    max_symbol_share: float = 0.2
    near_duplicate_similarity: float = 0.8


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """What was read, kept and dropped, with the hash of the text that was kept."""

    n_read: int
    n_kept: int
    bytes_read: int
    bytes_kept: int
    words_kept: int
    dropped: dict[str, int]
    sha256: str
    sources: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return asdict(self)


def read_documents(path: str | Path, *, text_column: str = "text") -> Iterator[str]:
    """Documents of one shard.

    Parameters
    ----------
    path : str or Path
        ``.txt``, also packed, with a blank line between documents; or any other file that :func:`~lexframe.data.stream_rows` reads,
        with the text in `text_column`. A folder stands for the ``corpus.parquet`` within it.
    text_column : str
        Name of the text field.

    Yields
    ------
    str
        One document, white space stripped at both ends.

    Raises
    ------
    DataError
        If the file is missing, of another kind, not UTF-8, damaged, or has no such column.
    """
    path = shard_file(path)
    name = path.name.lower()
    if name.endswith(".txt") or Path(name).stem.endswith(".txt"):
        yield from _plain_documents(path)
        return
    for row in stream_rows(path, text=text_column, keep_blank=True):
        yield row.text.strip()


def shard_file(path: str | Path) -> Path:
    """The file that holds the text: `path` itself, or the ``corpus.parquet`` of a folder that :func:`clean_corpus` made.

    Raises
    ------
    DataError
        If there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "corpus.parquet"
    if not path.is_file():
        raise DataError(f"{path}: no such file. Name a shard of text ({', '.join(TEXT_SUFFIXES)}).")
    return path


def read_json_lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers, from 1, and objects of a ``.jsonl`` file, also ``.gz`` or ``.xz``; blank lines are passed over.

    Raises
    ------
    DataError
        If the file is missing, damaged, not UTF-8, or a line is not a JSON object.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file. Name a .jsonl file (also .jsonl.gz, .jsonl.xz).")
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON ({error}). Expected one JSON object a line.") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: holds {type(row).__name__}. Expected one JSON object a line.")
        yield number, row


def _plain_documents(path: Path) -> Iterator[str]:
    lines: list[str] = []
    for line in text_lines(path):
        if line.strip():
            lines.append(line)
        elif lines:
            yield "".join(lines).strip()
            lines = []
    if lines:
        yield "".join(lines).strip()


class NearDuplicates:
    """Finds documents whose five-word shingles overlap, by one-permutation minhash and banding.

    A document is hashed once into `n_bins` minima; two documents agree in a bin with probability equal to
    their Jaccard similarity. Candidates share a band of `band_size` bins, and are then compared in all bins.

    Parameters
    ----------
    similarity : float
        Jaccard similarity from which on two documents count as near duplicates.
    n_bins, band_size : int
        Length of the signature, and of the bands that candidates must share.
    """

    def __init__(self, similarity: float = 0.8, *, n_bins: int = 64, band_size: int = 4):
        self.similarity, self.n_bins, self.band_size = similarity, n_bins, band_size
        self._signatures: list[np.ndarray] = []
        self._bands: dict[tuple[int, bytes], list[int]] = {}

    def seen(self, text: str) -> bool:
        """Whether a near duplicate of `text` came before; if not, `text` is remembered."""
        signature = shingle_signature(text, n_bins=self.n_bins)
        if signature is None:
            return False
        keys = [(start, signature[start : start + self.band_size].tobytes()) for start in range(0, self.n_bins, self.band_size)]
        candidates = {number for key in keys for number in self._bands.get(key, ())}
        if any(np.mean(self._signatures[number] == signature) >= self.similarity for number in candidates):
            return True
        self._signatures.append(signature)
        for key in keys:
            self._bands.setdefault(key, []).append(len(self._signatures) - 1)
        return False


def shingle_signature(text: str, *, n_bins: int = 64, shingle_size: int = 5) -> np.ndarray | None:
    """One-permutation minhash of the word shingles of `text`; None if it has too few words.

    Empty bins take the minimum of the next filled bin to the right (rotation), so short texts compare too.
    """
    words = _WORD.findall(text.lower())
    if len(words) < shingle_size + n_bins // 4:
        return None
    codes = np.fromiter((_word_code(word) for word in words), dtype=np.uint64, count=len(words))
    mixed = np.zeros(len(words) - shingle_size + 1, dtype=np.uint64)
    for offset in range(shingle_size):
        mixed = _mix(mixed + codes[offset : offset + len(mixed)] + np.uint64(offset + 1))
    bins = (mixed % np.uint64(n_bins)).astype(np.int64)
    empty = np.iinfo(np.uint64).max
    signature = np.full(n_bins, empty, dtype=np.uint64)
    np.minimum.at(signature, bins, mixed)
    filled = np.flatnonzero(signature != empty)
    return signature[filled[np.searchsorted(filled, np.arange(n_bins)) % len(filled)]]


def _word_code(word: str, _cache: dict[str, int] = {}) -> int:  # noqa: B006  the cache is the point: words repeat
    code = _cache.get(word)
    if code is None:
        code = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        if len(_cache) < 1_000_000:
            _cache[word] = code
    return code


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def symbol_share(text: str) -> float:
    """Share of characters that are neither letters, digits nor white space."""
    if not text:
        return 0.0
    return sum(not (c.isalnum() or c.isspace()) for c in text) / len(text)


def filter_documents(documents: Iterable[str], rules: CorpusRules, dropped: Counter[str]) -> Iterator[str]:
    """The documents that keep all `rules`; `dropped` counts the others by reason."""
    exact: set[bytes] = set()
    near = NearDuplicates(rules.near_duplicate_similarity)
    for text in documents:
        digest = hashlib.blake2b(" ".join(text.lower().split()).encode("utf-8", "replace"), digest_size=16).digest()
        if len(_WORD.findall(text)) < rules.min_words:
            dropped["too short"] += 1
        elif "\0" in text or symbol_share(text) > rules.max_symbol_share:
            dropped["symbol-heavy"] += 1
        elif digest in exact:
            dropped["exact duplicate"] += 1
        elif rules.near_duplicate_similarity <= 1 and near.seen(text):
            dropped["near duplicate"] += 1
        else:
            exact.add(digest)
            yield text


def clean_corpus(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    rules: CorpusRules | None = None,
    text_column: str = "text",
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> CorpusReport:
    """Filter the shards in `paths` into ``out/corpus.parquet``, with ``out/report.json`` beside it.

    Parameters
    ----------
    paths : sequence of str or Path
        Shards, in the order in which duplicates count as later.
    out : str or Path
        Folder for the result.
    rules : CorpusRules, optional
        What a document must be to stay.
    text_column : str
        Text field of .jsonl and .parquet shards.
    progress : callable
        Wraps the iteration over documents.

    Returns
    -------
    CorpusReport

    Raises
    ------
    DataError
        If a shard cannot be read, or nothing is kept.
    """
    import pyarrow
    import pyarrow.parquet

    rules = rules or CorpusRules()
    read: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    digest = hashlib.sha256()

    def documents() -> Iterator[str]:
        for path in paths:
            for text in read_documents(path, text_column=text_column):
                read["documents"] += 1
                read["bytes"] += len(text.encode("utf-8", "replace"))
                yield text

    schema = pyarrow.schema([("text", pyarrow.string())])
    with replacing(Path(out) / "corpus.parquet") as temporary:
        with pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
            batch: list[str] = []
            for text in filter_documents(iter(progress(documents())), rules, dropped):
                encoded = text.encode()
                digest.update(encoded + b"\0")
                kept["documents"] += 1
                kept["bytes"] += len(encoded)
                kept["words"] += len(text.split())
                batch.append(text)
                if len(batch) == _ROW_GROUP:
                    writer.write_table(pyarrow.table({"text": batch}, schema=schema))
                    batch = []
            if batch:
                writer.write_table(pyarrow.table({"text": batch}, schema=schema))
        if not kept["documents"]:
            raise DataError(f"No document is left of {read['documents']} read: {dict(dropped)}. Loosen the rules or name other shards.")
    report = CorpusReport(
        n_read=read["documents"],
        n_kept=kept["documents"],
        bytes_read=read["bytes"],
        bytes_kept=kept["bytes"],
        words_kept=kept["words"],
        dropped=dict(sorted(dropped.items())),
        sha256=digest.hexdigest(),
        sources=_source_hashes(paths),
    )
    write_json(Path(out) / "report.json", report.to_dict())
    return report


def _source_hashes(paths: Sequence[str | Path]) -> dict[str, str]:
    """By file name, which says enough and names no one's folders, unless two files share it."""
    files = [shard_file(path) for path in paths]
    names = Counter(file.name for file in files)
    return {file.name if names[file.name] == 1 else str(file): file_sha256(file) for file in files}


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
