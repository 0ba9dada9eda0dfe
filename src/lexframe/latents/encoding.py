"""From texts to a store: block by block, each committed whole, so that a run that was stopped goes on where it was."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lexframe.checks import column_names, plain
from lexframe.exceptions import InputError
from lexframe.latents.blocks import N_TOKENS, TRUNCATED, BlockResult, Recipe, TextBlock, encode_block, text_blocks, vector_columns
from lexframe.latents.column_types import column_types, holds
from lexframe.latents.fitted_spaces import space_of_store
from lexframe.latents.missing_texts import MissingTexts
from lexframe.latents.schema import CHECKSUM, ID, TEXT, VectorColumn, store_schema
from lexframe.latents.store import LatentStore
from lexframe.latents.workers import WorkerPool
from lexframe.linalg import unit_rows
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Representation, Space, TokenSpace
from lexframe.spaces.batching import Together
from lexframe.text_forms import counted
from lexframe.typing import ModelName, Texts

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
            f"{counted(self.n_encoded, 'text')} encoded in {self.seconds:.1f} s, {self.n_kept:,} were in {self.store} already "
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


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What a run of :func:`encode_to_store` keeps, and how.

    Attributes
    ----------
    precision : {"float32", "float16"}
        Of the points in the store.
    keep_text : bool
        Keep the texts too, in the column ``text``.
    facts : mapping or None
        Plain values to keep with a new store.
    storage_options : mapping of str to str or None
        Of an object store.
    """

    precision: str = "float32"
    keep_text: bool = True
    facts: Mapping[str, Any] | None = None
    storage_options: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """Who encodes, and how many texts at once.

    Attributes
    ----------
    n : int
        Single-threaded processes; 0 encodes in this one.
    engine : {"local", "ray"}
        Where they are: on this machine, or on a Ray cluster (the extra ``ray``).
    batch_size : int or None
        Texts in one forward pass; None is what suits the device.

    Raises
    ------
    InputError
        If there is no such engine.
    """

    n: int = 0
    engine: str = "local"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise InputError(f"engine is {self.engine!r}; expected one of {', '.join(ENGINES)}.")


def encode_to_store(
    space: Space | ModelName,
    blocks: Iterable[TextBlock] | Texts,
    path: str | Path,
    *,
    representations: Sequence[Representation] = (),
    settings: StoreSettings | None = None,
    workers: Workers | None = None,
    progress: Callable[["EncodingResult"], None] | None = None,
) -> EncodingResult:
    """Encode texts into a store, a new one or one that holds a part of them already.

    Texts whose id is in the store are passed over, so the same call after a stop goes on where it was, and with a longer
    source adds the rest. A stopped and resumed run ends with the same rows, bit for bit and in the same order.

    Parameters
    ----------
    space : Space or str
        One that is fitted on texts is fitted on these, where they are given as a list, and kept with the store.
    blocks : iterable of TextBlock, or texts
        See :func:`text_blocks`, which cuts texts that are given as they are.
    path : str or Path
        Folder or address of the store.
    representations : sequence of Representation
        Layers and poolings, all in one pass. Default: the points of the space itself.
    settings : StoreSettings, optional
        What is kept, and how. Default: points in float32, and the texts.
    workers : Workers, optional
        Who encodes. Default: this process.
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
    space = Space.of(space)
    if isinstance(blocks, list | tuple) and all(isinstance(text, str) for text in blocks):
        space = space_of_store(space, path, blocks)
    settings, workers = settings or StoreSettings(), workers or Workers()
    started = time.perf_counter()
    columns = vector_columns(space, representations, precision=settings.precision)
    source = _blocks(blocks)
    first = next(source, None)
    store = _opened(path, columns, first, replace(settings, facts={**reading_facts(space), **(settings.facts or {})}))
    recipe = Recipe(
        store.path,
        store.schema.serialize().to_pybytes(),
        tuple(Representation(column.fingerprint.layer, column.fingerprint.pooling) for column in columns) if representations else (),
        tuple((settings.storage_options or {}).items()),
        workers.batch_size,
    )
    parameters = {"columns": [column.name for column in columns], "precision": settings.precision}
    provenance = Provenance(space=space.fingerprint, parameters=parameters)
    done = EncodingResult(store.path, store.version, 0, 0, 0, 0, 0, workers.n, workers.engine, 0.0, provenance)
    with ExitStack() as stack:
        write = stack.enter_context(store.writer())
        missing = MissingTexts(store, [] if first is None else [first], source)  # while the store is held: nobody adds rows behind our back
        for result in _results(space, missing, recipe, workers, stack):
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


def reading_facts(space: Space) -> dict[str, str]:
    """What a reader of a store should know of how its points were read: ``read_together``, where not any texts go through the model
    together because neighbors in a batch would change their points.

    Parameters
    ----------
    space : Space
    """
    together = getattr(space, "together", Together.PADDED.value)
    return {} if together == Together.PADDED.value else {"read_together": together}


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


def _blocks(given: Any) -> Iterator[TextBlock]:
    """Blocks as they are; texts are cut into them."""
    if isinstance(given, str) or column_names(given) is not None:
        return text_blocks(given)
    source = iter(given.to_pylist() if hasattr(given, "to_pylist") else given)
    first = next(source, None)
    rest = source if first is None else chain([first], source)
    return rest if first is None or isinstance(first, TextBlock) else text_blocks(rest)


def _results(space: Space, blocks: Iterable[TextBlock], recipe: Recipe, workers: Workers, stack: ExitStack) -> Iterator[BlockResult]:
    if workers.engine == "ray":
        if space.on_gpu:
            raise InputError(
                "Ray's actors encode on the CPU so far, and the space is on a GPU. Open it with device='cpu', or use the local engine."
            )
        from lexframe.latents.ray_engine import encode_on_ray

        return encode_on_ray(space, blocks, recipe, workers.n or (os.cpu_count() or 1))
    if workers.n and space.on_gpu:
        raise InputError("Workers run on the CPU, and the space is on a GPU. Leave the workers out: one process keeps a GPU busy.")
    if workers.n:
        return stack.enter_context(WorkerPool(space, workers.n)).map(_Task(recipe), blocks)
    return (encode_block(space, block, recipe) for block in blocks)


def _opened(
    path: str | Path,
    columns: Sequence[VectorColumn],
    first: TextBlock | None,
    settings: StoreSettings,
) -> LatentStore:
    facts, storage_options = settings.facts or {}, settings.storage_options
    found: dict[str, pa.DataType | None] = {}
    if first is not None:
        found = {**column_types({name: values for name, values in first.metadata.items() if name not in first.types}), **first.types}
    wanted = {name: pa.string() if kind is None else kind for name, kind in found.items()}
    taken = {ID, TEXT, N_TOKENS, TRUNCATED, CHECKSUM}.intersection(wanted)
    if taken:
        raise InputError(f"The store has a column {sorted(taken)[0]!r} of its own. Rename that column of metadata.")
    if settings.keep_text:
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
    for name, kind in found.items():
        stored = store.metadata[name]
        if not holds(stored, kind):
            raise InputError(
                f"{path} holds {stored} in the column {name!r}, and the values of this run are {kind}. Keep what the store holds, "
                "leave the column out, or use another store."
            )
    return store
