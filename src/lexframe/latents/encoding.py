"""From texts to a store: block by block, each committed whole, so that a run that was stopped goes on where it was."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, UInt64

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.latents.blocks import N_TOKENS, TRUNCATED, BlockResult, Recipe, TextBlock, encode_block, vector_columns
from lexframe.latents.schema import CHECKSUM, ID, TEXT, VectorColumn, store_schema
from lexframe.latents.store import LatentStore
from lexframe.latents.workers import WorkerPool
from lexframe.linalg import unit_rows
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Representation, Space, TokenSpace

IDS_IN_A_SET = 65_536
ENGINES = ("local", "ray")


@dataclass(frozen=True, slots=True)
class EncodingResult(Result):
    """What a run of :func:`encode_to_store` did.

    Attributes
    ----------
    store : str
    version : int
    n_texts : int
        Texts of the source.
    n_encoded : int
        Texts encoded in this run.
    n_kept : int
        Texts that were in the store already.
    n_tokens, n_truncated : int
        Of the texts encoded in this run; the latter are longer than the model takes and were cut.
    n_workers : int
        0: in the process itself.
    engine : str
    seconds : float
    provenance : Provenance
    """

    store: str
    version: int
    n_texts: int
    n_encoded: int
    n_kept: int
    n_tokens: int
    n_truncated: int
    n_workers: int
    engine: str
    seconds: float
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def texts_per_second(self) -> float:
        """Texts encoded in a second of this run."""
        return self.n_encoded / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Tokens read in a second of this run."""
        return self.n_tokens / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return self._figures() | {"provenance": self.provenance.to_dict()}

    def summary(self) -> str:
        """What the run did and how fast."""
        text = (
            f"{self.n_encoded:,} texts encoded in {self.seconds:.1f} s, {self.n_kept:,} were in {self.store} already "
            f"({self.texts_per_second:,.1f} texts and {self.tokens_per_second:,.0f} tokens a second)."
        )
        return f"{text} {self.n_truncated:,} texts were longer than the model takes and were cut." if self.n_truncated else text

    def to_frame(self) -> pd.DataFrame:
        """One row: what was done."""
        return pd.DataFrame([self._figures()])

    def _figures(self) -> dict[str, Any]:
        names = ("store", "version", "n_texts", "n_encoded", "n_kept", "n_tokens", "n_truncated", "n_workers", "engine", "seconds")
        found = {name: getattr(self, name) for name in (*names, "texts_per_second", "tokens_per_second")}
        return plain(found)


def encode_to_store(
    space: Space,
    blocks: Iterable[TextBlock],
    path: str | Path,
    *,
    representations: Sequence[Representation] = (),
    precision: str = "float32",
    keep_text: bool = True,
    batch_size: int | None = None,
    n_workers: int = 0,
    engine: str = "local",
    facts: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, str] | None = None,
    progress: Callable[["EncodingResult"], None] | None = None,
) -> EncodingResult:
    """Encode texts into a store, a new one or one that holds a part of them already.

    Texts whose id is in the store are passed over, so the same call after a stop goes on where it was, and with a longer
    source adds the rest. A stopped and resumed run ends with the same rows, bit for bit and in the same order.

    Parameters
    ----------
    space : Space
    blocks : iterable of TextBlock
        See :func:`text_blocks`.
    path : str or Path
        Folder or address of the store.
    representations : sequence of Representation
        Layers and poolings, all in one pass. Default: the points of the space itself.
    precision : {"float32", "float16"}
        Of the points in the store.
    keep_text : bool
        Keep the texts too, in the column ``text``.
    batch_size : int, optional
        Texts in one forward pass. Default: what suits the device.
    n_workers : int
        Single-threaded processes; 0 encodes in this one.
    engine : {"local", "ray"}
        Where the workers are: on this machine, or on a Ray cluster (the extra ``ray``).
    facts : mapping, optional
        Plain values to keep with a new store.
    storage_options : mapping of str to str, optional
        Of an object store.
    progress : callable, optional
        Gets what has been done so far, after every block.

    Returns
    -------
    EncodingResult

    Raises
    ------
    FingerprintMismatch
        If the store holds points of another space.
    InputError
        If an id stands for another text in the store or twice in the source, or the store cannot be written.
    InterruptedRunError
        If workers die again and again.
    """
    if engine not in ENGINES:
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}.")
    started = time.perf_counter()
    columns = vector_columns(space, representations, precision=precision)
    source = iter(blocks)
    first = next(source, None)
    store = _opened(path, columns, first, keep_text, facts or {}, storage_options)
    recipe = Recipe(
        store.path,
        store.schema.serialize().to_pybytes(),
        tuple(Representation(column.fingerprint.layer, column.fingerprint.pooling) for column in columns) if representations else (),
        tuple((storage_options or {}).items()),
        batch_size,
    )
    provenance = Provenance(space=space.fingerprint, parameters={"columns": [column.name for column in columns], "precision": precision})
    done = EncodingResult(store.path, store.version, 0, 0, 0, 0, 0, n_workers, engine, 0.0, provenance)
    with ExitStack() as stack:
        write = stack.enter_context(store.writer())
        missing = _Missing(store, [] if first is None else [first], source)  # while the store is held: nobody adds rows behind our back
        for result in _results(space, missing, recipe, n_workers, engine, stack):
            write([result.fragment])
            done = replace(
                done,
                version=store.version,
                n_texts=missing.n_texts,
                n_kept=missing.n_kept,
                n_encoded=done.n_encoded + result.n_texts,
                n_tokens=done.n_tokens + result.n_tokens,
                n_truncated=done.n_truncated + result.n_truncated,
                seconds=time.perf_counter() - started,
            )
            if progress is not None:
                progress(done)
    return replace(done, n_texts=missing.n_texts, n_kept=missing.n_kept, seconds=time.perf_counter() - started)


def precision_deviation(
    fast: Space, exact: Space, texts: Sequence[str], representations: Sequence[Representation] = ()
) -> dict[str, dict[str, float]]:
    """How far points in a fast precision stray from those in float32: cosines of the same texts, by column.

    Parameters
    ----------
    fast, exact : Space
        The same model in both precisions.
    texts : sequence of str
        Some of those to be encoded.
    representations : sequence of Representation
        See :func:`encode_to_store`.

    Returns
    -------
    dict of str to dict
        ``mean_cosine``, ``least_cosine`` and ``n_texts`` of every column.
    """
    pair = []
    for space in (fast, exact):
        if representations:
            assert isinstance(space, TokenSpace)
            pair.append(space.encode_representations(texts, representations))
        else:
            pair.append(space.encode(texts)[:, np.newaxis])
    found = {}
    for number, column in enumerate(vector_columns(exact, representations)):
        cosines = (unit_rows(pair[0][:, number]) * unit_rows(pair[1][:, number])).sum(axis=1)
        found[column.name] = {"mean_cosine": float(cosines.mean()), "least_cosine": float(cosines.min()), "n_texts": float(len(texts))}
    return found


@dataclass(frozen=True, slots=True)
class _Task:
    """What a worker does with a block; picklable, unlike a closure."""

    recipe: Recipe

    def __call__(self, space: Space, block: TextBlock) -> BlockResult:
        return encode_block(space, block, self.recipe)


def _results(
    space: Space, blocks: Iterable[TextBlock], recipe: Recipe, n_workers: int, engine: str, stack: ExitStack
) -> Iterator[BlockResult]:
    if engine == "ray":
        if space.on_gpu:
            raise InputError(
                "Ray's actors encode on the CPU so far, and the space is on a GPU. Open it with device='cpu', or use the local engine."
            )
        from lexframe.latents.ray_engine import encode_on_ray

        return encode_on_ray(space, blocks, recipe, n_workers or (os.cpu_count() or 1))
    if n_workers and space.on_gpu:
        raise InputError("Workers run on the CPU, and the space is on a GPU. Leave the workers out: one process keeps a GPU busy.")
    if n_workers:
        return stack.enter_context(WorkerPool(space, n_workers)).map(_Task(recipe), blocks)
    return (encode_block(space, block, recipe) for block in blocks)


def _opened(
    path: str | Path,
    columns: Sequence[VectorColumn],
    first: TextBlock | None,
    keep_text: bool,
    facts: Mapping[str, Any],
    storage_options: Mapping[str, str] | None,
) -> LatentStore:
    wanted = {} if first is None else metadata_types(first.metadata)
    taken = {ID, TEXT, N_TOKENS, TRUNCATED, CHECKSUM}.intersection(wanted)
    if taken:
        raise InputError(f"The store has a column {sorted(taken)[0]!r} of its own. Rename that column of metadata.")
    if keep_text:
        wanted = {TEXT: pa.string(), **wanted}
    wanted |= {N_TOKENS: pa.int32(), TRUNCATED: pa.bool_()}
    if not LatentStore.exists(path, storage_options=storage_options):
        store_schema(columns, wanted, facts)  # refuses names that collide before anything is made
        return LatentStore.create(path, columns, metadata=wanted, facts=facts, storage_options=storage_options)
    store = LatentStore(path, storage_options=storage_options)
    if store.version == 1 and not len(store):  # a first run that ended before its first commit: what it would have held is open
        store.make_anew(columns, metadata=wanted, facts=facts)
        return store
    store.require(columns)
    own = {name for name in store.metadata if name != ID}
    if own != set(wanted):
        differing = sorted(own ^ set(wanted))
        raise InputError(
            f"{path} holds the columns {', '.join(sorted(own))}; this run writes {', '.join(sorted(wanted))}: {differing[0]!r} differs."
            " Keep the same columns, or use another store."
        )
    return store


def metadata_types(metadata: Mapping[str, Sequence[Any]]) -> dict[str, pa.DataType]:
    """Arrow types of columns by their first values; a column of nothing, or of mixed types, is text."""
    found = {}
    for name, values in metadata.items():
        try:
            kind = pa.array(values).type
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            kind = pa.string()
        found[name] = pa.string() if pa.types.is_null(kind) else kind
    return found


class _Missing:
    """The blocks of a source without the rows that a store holds already.

    A store is looked at once, at the beginning; ids and texts are remembered as two hashes of eight bytes, so that a
    million rows take sixteen megabytes.
    """

    def __init__(self, store: LatentStore, first: Sequence[TextBlock], rest: Iterator[TextBlock]):
        self._path, self._first, self._rest = store.path, first, rest
        self._has_text = TEXT in store.schema.names
        ids, texts = _known(store, self._has_text)
        order = np.argsort(ids)
        self._ids, self._texts = ids[order], texts[order]
        self._seen = _SeenIds()
        self.n_texts = self.n_kept = 0

    def __iter__(self) -> Iterator[TextBlock]:
        for blocks in (self._first, self._rest):
            for block in blocks:
                self.n_texts += len(block)
                present = self._present(block)
                self.n_kept += int(present.sum())
                if not present.all():
                    yield block.only(np.flatnonzero(~present).tolist()) if present.any() else block

    def _present(self, block: TextBlock) -> Bool[np.ndarray, " n"]:
        ids = hashes(block.ids)
        repeated = self._seen.add(ids)
        if repeated is not None:
            raise InputError(f"The id {block.ids[repeated]!r} stands for several texts. Give every text an id of its own, or none.")
        if not len(self._ids):
            return np.zeros(len(block), dtype=bool)
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        present = self._ids[place] == ids
        if self._has_text:
            changed = np.flatnonzero(present & (self._texts[place] != hashes(block.texts)))
            if len(changed):
                raise InputError(
                    f"{self._path} holds another text under the id {block.ids[changed[0]]!r}. Give the texts ids of their own, or "
                    "use another store."
                )
        return present


class _SeenIds:
    """Ids of a run, as hashes of eight bytes: sorted ones, and those of the last blocks in a set until they are many."""

    def __init__(self) -> None:
        self._sorted = np.zeros(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def add(self, ids: UInt64[np.ndarray, " n"]) -> int | None:
        """The place of the first one that was there before; None if all are new, which then are remembered."""
        place = np.minimum(np.searchsorted(self._sorted, ids), max(len(self._sorted) - 1, 0))
        before = self._sorted[place] == ids if len(self._sorted) else np.zeros(len(ids), dtype=bool)
        for row, value in enumerate(ids.tolist()):
            if before[row] or value in self._recent:
                return row
            self._recent.add(value)
        if len(self._recent) >= IDS_IN_A_SET:
            self._sorted = np.sort(np.concatenate([self._sorted, np.fromiter(self._recent, np.uint64, len(self._recent))]))
            self._recent.clear()
        return None


def _known(store: LatentStore, has_text: bool) -> tuple[UInt64[np.ndarray, " n"], UInt64[np.ndarray, " n"]]:
    ids, texts = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.uint64)]
    for batch in store.batches([ID, TEXT] if has_text else [ID]):
        ids.append(hashes(batch.column(ID).to_pylist()))
        texts.append(hashes(batch.column(TEXT).to_pylist()) if has_text else np.zeros(batch.num_rows, dtype=np.uint64))
    return np.concatenate(ids), np.concatenate(texts)


def hashes(texts: Sequence[str]) -> UInt64[np.ndarray, " n"]:
    """Eight bytes of BLAKE2 of every text."""
    wrong = next((text for text in texts if not isinstance(text, str)), None)
    if wrong is not None:
        raise InputError(f"An id or text is {type(wrong).__name__}, not a string: {wrong!r:.60}.")
    joined = b"".join(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(joined, dtype=np.uint64)
