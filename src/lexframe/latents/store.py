"""The latent store: points of texts on disk, with what made them, as a Lance dataset.

Lance does the files, commits, versions, deletions, scans and compaction. What is added here: every column of points knows
the space it comes from and refuses others, every row carries a checksum, and there is one writer at a time.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float32, Int64

from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.provenance import SpaceFingerprint, package_versions
from lexframe.typing import Points

METADATA_KEY = b"lexframe.store"
FORMAT = 1
ID, TEXT, CHECKSUM = "id", "text", "checksum"
LOCK_NAME = ".writer.lock"
UNFINISHED = (LOCK_NAME, "_transactions", "data")
"""What a run leaves that was killed before its store had a first version."""
PRECISIONS = {"float32": pa.float32(), "float16": pa.float16()}
ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """A column of points, and the space that made them.

    Attributes
    ----------
    name : str
    n_dims : int
    fingerprint : SpaceFingerprint
    precision : {"float32", "float16"}
        As stored; points are read as float32.
    """

    name: str
    n_dims: int
    fingerprint: SpaceFingerprint
    precision: str = "float32"

    @property
    def type(self) -> pa.DataType:
        """Of the column in Arrow."""
        return pa.list_(PRECISIONS[self.precision], self.n_dims)

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "name": self.name,
            "n_dims": self.n_dims,
            "fingerprint": self.fingerprint.to_dict(),
            "precision": self.precision,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "VectorColumn":
        """Back from :meth:`to_dict`."""
        return cls(**{**document, "fingerprint": SpaceFingerprint.from_dict(document["fingerprint"])})


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    path : str
    n_rows : int
    version, n_versions : int
    n_fragments, n_bytes : int
        Files of the current version, and their size.
    vectors : tuple of VectorColumn
    metadata : dict of str to str
        The other columns and their types.
    facts : dict
        What the writer noted, such as how far bfloat16 strays from float32.
    """

    path: str
    n_rows: int
    version: int
    n_versions: int
    n_fragments: int
    n_bytes: int
    vectors: tuple[VectorColumn, ...]
    metadata: dict[str, str]
    facts: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {**asdict(self), "vectors": [column.to_dict() for column in self.vectors]}


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading every value of a store showed.

    Attributes
    ----------
    n_rows : int
        Rows whose values are as they were written.
    problems : tuple of str
        A line each: the file or the row, and what is wrong with it.
    damaged : tuple of str
        Ids of the damaged rows that can be named.
    """

    n_rows: int
    problems: tuple[str, ...] = ()
    damaged: tuple[str, ...] = field(default=(), repr=False)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {"n_rows": self.n_rows, "holds": self.holds, "problems": list(self.problems), "damaged": list(self.damaged)}


class LatentStore:
    """Points of texts on disk.

    ``LatentStore(path)`` opens one, :meth:`create` makes one. Nothing but the list of files is read until points are asked for.

    Parameters
    ----------
    path : str or Path
        A local folder, or an address of an object store such as ``s3://bucket/latents``.
    version : int, optional
        An older version, to read. Default: the newest.
    storage_options : mapping of str to str, optional
        Keys and region of an object store, as Lance takes them.

    Raises
    ------
    DataError
        If there is no store, or it is not one of ours, or its list of files is damaged.
    """

    def __init__(self, path: str | Path, *, version: int | None = None, storage_options: Mapping[str, str] | None = None):
        self.path = str(path)
        self._options = dict(storage_options or {}) or None
        self._dataset = self._open(version)
        self._document = read_document(self._dataset.schema, self.path)
        self.vectors = {found["name"]: VectorColumn.from_dict(found) for found in self._document["vectors"]}

    @classmethod
    def create(
        cls,
        path: str | Path,
        vectors: Sequence[VectorColumn],
        *,
        metadata: Mapping[str, pa.DataType] | None = None,
        facts: Mapping[str, Any] | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> "LatentStore":
        """Make an empty store.

        Parameters
        ----------
        path : str or Path
            Must not hold a store yet.
        vectors : sequence of VectorColumn
            One at least.
        metadata : mapping of str to pyarrow.DataType, optional
            Other columns, such as ``text`` and ``label``.
        facts : mapping, optional
            Plain values worth keeping with the store.
        storage_options : mapping of str to str, optional
            See :class:`LatentStore`.

        Raises
        ------
        InputError
            If something is there already, names collide, or nothing can be written there.
        """
        import lance

        schema = store_schema(vectors, metadata or {}, facts or {})
        if not _is_remote(path) and Path(path).is_file():
            raise InputError(f"{path} exists already and is a file. Name another place.")
        try:
            with _writer(path):
                if not _is_remote(path) and any(found.name not in UNFINISHED for found in Path(path).iterdir() if not _is_empty(found)):
                    raise InputError(f"{path} exists already. Open it to add rows, or name another place.")
                lance.write_dataset(schema.empty_table(), str(path), mode="create", storage_options=dict(storage_options or {}) or None)
        except OSError as error:
            raise cannot_write(path, error) from error
        return cls(path, storage_options=storage_options)

    def make_anew(
        self, vectors: Sequence[VectorColumn], *, metadata: Mapping[str, pa.DataType] | None = None, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Give a store that holds nothing and never held anything other columns.

        Parameters
        ----------
        vectors, metadata, facts
            As for :meth:`create`.

        Raises
        ------
        InputError
            If it has rows or older versions.
        """
        import lance

        schema = store_schema(vectors, metadata or {}, facts or {})
        with _writer(self.path):
            self._dataset = self._open(None)
            if self.version != 1 or len(self):
                raise InputError(f"{self.path} is not empty any more: another process has written it. Run the same again.")
            lance.write_dataset(schema.empty_table(), self.path, mode="overwrite", storage_options=self._options)
        self.__init__(self.path, storage_options=self._options)  # type: ignore[misc]

    @classmethod
    def exists(cls, path: str | Path, *, storage_options: Mapping[str, str] | None = None) -> bool:
        """Whether a dataset stands at `path`."""
        if not _is_remote(path):
            return any((Path(path) / "_versions").glob("*.manifest"))
        import lance

        try:
            lance.dataset(str(path), storage_options=dict(storage_options or {}) or None)
        except (OSError, ValueError):
            return False
        return True

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    def __repr__(self) -> str:
        return f"LatentStore({self.path!r}, version={self.version}, {len(self):,} rows, {', '.join(self.vectors)})"

    @property
    def version(self) -> int:
        """Number of the version that is open."""
        return int(self._dataset.version)

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, checksum included."""
        return self._dataset.schema

    @property
    def dataset(self) -> Any:
        """The Lance dataset, for DuckDB, Polars, Ray and others that read it. Write through this class."""
        return self._dataset

    @property
    def metadata(self) -> dict[str, pa.DataType]:
        """Columns that are neither points nor ours, by name."""
        return {item.name: item.type for item in self.schema if item.name not in {*self.vectors, CHECKSUM}}

    def require(self, columns: Sequence[VectorColumn]) -> None:
        """Raise unless the points that `columns` describe may stand in this store.

        Raises
        ------
        FingerprintMismatch
            If a column of this store was made by another space.
        InputError
            If columns are missing, unknown, or of another width or precision.
        """
        if {column.name for column in columns} != set(self.vectors):
            raise InputError(
                f"{self.path} holds the points {', '.join(self.vectors)}, but {', '.join(column.name for column in columns)} were given. "
                "Encode the same layers and poolings, or use another store."
            )
        for column in columns:
            own = self.vectors[column.name]
            if own.fingerprint.digest != column.fingerprint.digest:
                raise FingerprintMismatch(str(own.fingerprint), str(column.fingerprint), f"{self.path}, column {column.name},")
            if (own.n_dims, own.precision) != (column.n_dims, column.precision):
                raise InputError(
                    f"{self.path}, column {column.name}: {own.n_dims} dimensions in {own.precision} are stored, "
                    f"{column.n_dims} in {column.precision} were given."
                )

    def append(self, rows: pa.Table) -> None:
        """Add rows, all or none.

        Parameters
        ----------
        rows : pyarrow.Table
            ``id``, all columns of points and of metadata; see :func:`table_of`.

        Raises
        ------
        InputError
            If columns are missing, the store is being written by another process, or nothing can be written.
        """
        with self.writer() as write:
            write([write_fragment(self.path, rows, self.schema, storage_options=self._options)])

    @contextmanager
    def writer(self) -> Iterator[Any]:
        """Hold the store for writing; gives a function that commits fragments made by :func:`write_fragment`.

        Raises
        ------
        InputError
            If another process holds it. On an object store, where nothing can be held, if another process has committed
            in between.
        """
        import lance

        with _writer(self.path):
            self._dataset = self._open(None)

            def commit(fragments: Sequence[str]) -> None:
                wanted = self.version + 1
                operation = lance.LanceOperation.Append([lance.FragmentMetadata.from_json(fragment) for fragment in fragments])
                try:
                    self._dataset = lance.LanceDataset.commit(
                        self.path, operation, read_version=self.version, storage_options=self._options
                    )
                except OSError as error:
                    raise cannot_write(self.path, error) from error
                if self.version != wanted:
                    raise InputError(
                        f"{self.path} was written by another process at the same time: version {self.version} came instead of {wanted}. "
                        "Let one process write; run 'lexframe store verify' to find rows that stand twice."
                    )

            yield commit

    def points(self, column: str | None = None, *, where: str | None = None) -> Points:
        """Points in the order in which they were written, float32, shape (n_rows, n_dims).

        Parameters
        ----------
        column : str, optional
            Needed where the store has several.
        where : str, optional
            SQL over the other columns, such as ``label = 'late' AND year > 2020``.
        """
        chosen = self.column(column)
        n_rows = len(self) if where is None else int(self._guarded(lambda: self._dataset.count_rows(filter=where)))
        found = np.empty((n_rows, chosen.n_dims), dtype=np.float32)
        start = 0
        for batch in self.batches([chosen.name], where=where):
            part = vectors_of(batch, chosen.name)
            found[start : start + len(part)] = part
            start += len(part)
        return found

    def take(self, rows: Sequence[int] | np.ndarray, column: str | None = None) -> Points:
        """Points of rows by number, counted in the order in which they were written."""
        chosen = self.column(column)
        numbers = np.asarray(rows, dtype=np.int64)
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise InputError(f"{self.path} has rows 0 to {len(self) - 1}; {numbers.min()} to {numbers.max()} were asked for.")
        return vectors_of(self._guarded(lambda: self._dataset.take(numbers.tolist(), columns=[chosen.name])), chosen.name)

    def take_metadata(self, rows: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
        """Id and metadata of rows by number, as plain dicts."""
        numbers = np.asarray(rows, dtype=np.int64).tolist()
        return self._guarded(lambda: self._dataset.take(numbers, columns=[*self.metadata])).to_pylist()

    def row_numbers(self, where: str) -> Int64[np.ndarray, " n"]:
        """Numbers of the rows that meet an SQL condition, as :meth:`take` counts them."""
        meets = self._guarded(lambda: self._dataset.to_table(columns=[ID], filter=where, with_row_address=True, scan_in_order=True))
        every = self._guarded(lambda: self._dataset.to_table(columns=[ID], with_row_address=True, scan_in_order=True))
        addresses = every.column("_rowaddr").to_numpy()
        return np.flatnonzero(np.isin(addresses, meets.column("_rowaddr").to_numpy())).astype(np.int64)

    def query(self, where: str | None = None, *, columns: Sequence[str] | None = None, limit: int | None = None) -> pd.DataFrame:
        """Rows as a table, by default without points.

        Parameters
        ----------
        where : str, optional
            SQL over the columns, such as ``label = 'late' AND text LIKE '%train%'``.
        columns : sequence of str, optional
            Default: the id and all metadata.
        limit : int, optional
            Most rows.

        Raises
        ------
        InputError
            If the condition or a column is not understood.
        """
        wanted = [*self.metadata] if columns is None else list(columns)
        unknown = [name for name in wanted if name not in self.schema.names]
        if unknown:
            raise InputError(f"{self.path} has no column {unknown[0]!r}; it has {', '.join(self.schema.names)}.")
        table = self._guarded(lambda: self._dataset.to_table(columns=wanted, filter=where, limit=limit))
        return table.to_pandas()

    def batches(
        self, columns: Sequence[str] | None = None, *, where: str | None = None, n_rows: int = ROWS_AT_ONCE
    ) -> Iterator[pa.RecordBatch]:
        """Rows in the order in which they were written, `n_rows` or fewer at a time."""
        scanner = self._guarded(lambda: self._dataset.scanner(columns=columns, filter=where, batch_size=n_rows, scan_in_order=True))
        reader = iter(scanner.to_batches())
        while True:
            batch = self._guarded(lambda: next(reader, None))
            if batch is None:
                return
            yield batch

    def column(self, name: str | None = None) -> VectorColumn:
        """The column of points of that name; without a name, the only one.

        Raises
        ------
        InputError
            If there is none, or several and no name.
        """
        if name is None and len(self.vectors) == 1:
            return next(iter(self.vectors.values()))
        if name not in self.vectors:
            asked = "no column was named" if name is None else f"there is no column {name!r}"
            raise InputError(f"{self.path}: {asked}; the columns of points are {', '.join(self.vectors)}.")
        return self.vectors[name]

    def delete(self, where: str) -> int:
        """Delete the rows that meet an SQL condition; returns how many. :meth:`restore` brings them back."""
        with _writer(self.path):
            self._dataset = self._open(None)
            before = len(self)
            self._guarded(lambda: self._dataset.delete(where))
            self._dataset = self._open(None)
        return before - len(self)

    def versions(self) -> list[dict[str, Any]]:
        """Versions that can be opened and restored, the oldest first: number and time."""
        return [{"version": int(found["version"]), "time": str(found["timestamp"])} for found in self._dataset.versions()]

    def restore(self, version: int) -> None:
        """Make an older version the newest one. Nothing is lost: the one before stays in :meth:`versions`."""
        numbers = [found["version"] for found in self.versions()]
        if version not in numbers:
            raise InputError(f"{self.path} has no version {version}; it has {numbers[0]} to {numbers[-1]}.")
        with _writer(self.path):
            older = self._dataset.checkout_version(version)
            older.restore()
            self._dataset = self._open(None)

    def compact(self, *, keep_versions: bool = True) -> None:
        """Join small files into large ones and drop deleted rows from them.

        Parameters
        ----------
        keep_versions : bool
            False frees the space of all older versions and of writes that never finished.
        """
        from datetime import timedelta

        with _writer(self.path):
            try:
                self._dataset.optimize.compact_files(materialize_deletions_threshold=0.0)
                self._dataset = self._open(None)
                if not keep_versions:
                    self._dataset.cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)
            except OSError as error:
                raise cannot_write(self.path, error) from error

    def verify(self) -> Verification:
        """Read every value and compare it with its checksum.

        Returns
        -------
        Verification
            Names truncated and unreadable files, rows whose values have changed, and ids that stand twice.
        """
        problems: list[str] = []
        damaged: list[str] = []
        seen: dict[str, int] = {}
        n_rows = 0
        for fragment in self._dataset.get_fragments():
            files = [found.path for found in fragment.data_files()]
            name = ", ".join(files)
            lost = self._lost_files(fragment)
            if lost:
                problems += lost
                continue
            try:
                for batch in fragment.to_batches(batch_size=ROWS_AT_ONCE):
                    ids = batch.column(ID).to_pylist()
                    wrong = np.flatnonzero(checksums(batch, self.vectors) != batch.column(CHECKSUM).to_numpy(zero_copy_only=False))
                    n_rows += len(ids) - len(wrong)
                    damaged += [ids[row] for row in wrong]
                    if len(wrong):
                        listed = ", ".join(repr(ids[row]) for row in wrong[:5])
                        problems.append(f"data/{name}: {len(wrong)} rows are not as they were written, ids {listed}")
                    for identifier in ids:
                        seen[identifier] = seen.get(identifier, 0) + 1
            except (OSError, ValueError, pa.ArrowException, UnicodeDecodeError) as error:
                problems.append(f"data/{name}: cannot be read ({_first_line(error)})")
            except BaseException as error:  # a panic inside Lance is no Exception
                if type(error).__name__ != "PanicException":
                    raise
                problems.append(f"data/{name}: cannot be read ({_first_line(error)})")
        twice = [identifier for identifier, number in seen.items() if number > 1]
        if twice:
            problems.append(f"{len(twice)} ids stand more than once, such as {twice[0]!r}")
        return Verification(n_rows, tuple(problems), tuple(damaged))

    def _lost_files(self, fragment: Any) -> list[str]:
        """Files of a fragment that are missing or shorter or longer than they were written; local stores only."""
        if _is_remote(self.path):
            return []
        problems = []
        for found in fragment.data_files():
            path = Path(self.path) / "data" / found.path
            size, wanted = (path.stat().st_size if path.exists() else None), found.file_size_bytes
            if size is None:
                problems.append(f"data/{found.path}: the file is missing")
            elif wanted and size != wanted:
                problems.append(f"data/{found.path}: {size:,} bytes instead of {wanted:,}")
        return problems

    def info(self) -> StoreInfo:
        """What the store holds, without reading points."""
        fragments = self._dataset.get_fragments()
        return StoreInfo(
            path=self.path,
            n_rows=len(self),
            version=self.version,
            n_versions=len(self.versions()),
            n_fragments=len(fragments),
            n_bytes=sum(found.file_size_bytes or 0 for fragment in fragments for found in fragment.data_files()),
            vectors=tuple(self.vectors.values()),
            metadata={name: str(kind) for name, kind in self.metadata.items()},
            facts=self._document["facts"],
        )

    def digest(self, column: str | None = None) -> str:
        """Sixteen hex digits over which rows there are, in which order, and the column: what an index of it depends on."""
        name = self.column(column).name
        digest = hashlib.blake2b(name.encode(), digest_size=8)
        for batch in self.batches([CHECKSUM]):
            digest.update(batch.column(CHECKSUM).to_numpy(zero_copy_only=False).tobytes())
        return digest.hexdigest()

    def _open(self, version: int | None) -> Any:
        import lance

        if not _is_remote(self.path) and not Path(self.path).is_dir():
            raise DataError(f"{self.path}: no such store. Make one with 'lexframe encode' or 'lexframe store import'.")
        try:
            return lance.dataset(self.path, version=version, storage_options=self._options)
        except (OSError, ValueError) as error:
            if version is not None:
                raise InputError(f"{self.path} has no version {version} that can be opened ({_first_line(error)}).") from error
            raise DataError(f"{self.path} cannot be opened as a store: {_first_line(error)}. Check that the folder is whole.") from error

    def _guarded(self, read: Any) -> Any:
        """Run something that Lance does, and say in one line what it could not do."""
        try:
            return read()
        except (OSError, ValueError, pa.ArrowException) as error:
            message = _first_line(error)
            if any(sign in message for sign in ("filter", "SQL", "sql", "predicate", "No field named", "column", "Schema error", "coerce")):
                raise InputError(f"{self.path}: the condition or column is not understood: {message}") from error
            raise DataError(f"{self.path} cannot be read: {message}. Run 'lexframe store verify' to find the damaged file.") from error


def store_schema(vectors: Sequence[VectorColumn], metadata: Mapping[str, pa.DataType], facts: Mapping[str, Any]) -> pa.Schema:
    """Columns of a store, with what made them.

    Raises
    ------
    InputError
        If there are no vectors, names collide, or a precision is unknown.
    """
    names = [ID, *(name for name in metadata if name != ID), *(column.name for column in vectors), CHECKSUM]
    if not vectors:
        raise InputError("A store needs a column of points.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"The name {twice[0]!r} would stand for two columns. Rename the column of metadata; {ID} and {CHECKSUM} are taken."
        )
    unknown = [column.precision for column in vectors if column.precision not in PRECISIONS]
    if unknown:
        raise InputError(f"precision is {unknown[0]!r}; expected one of {', '.join(PRECISIONS)}.")
    document = {
        "format": FORMAT,
        "vectors": [column.to_dict() for column in vectors],
        "facts": dict(facts),
        "versions": package_versions(("lexframe", "pylance", "torch", "transformers")),
    }
    fields = [pa.field(ID, pa.string(), nullable=False)]
    fields += [pa.field(name, kind) for name, kind in metadata.items() if name != ID]
    fields += [pa.field(column.name, column.type) for column in vectors]
    fields.append(pa.field(CHECKSUM, pa.uint64(), nullable=False))
    return pa.schema(fields, metadata={METADATA_KEY: json.dumps(document).encode()})


def read_document(schema: pa.Schema, path: str) -> dict[str, Any]:
    """What made the points of a dataset.

    Raises
    ------
    DataError
        If the dataset is not a store, or of a later format.
    """
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise DataError(f"{path} is a Lance dataset, but not a store of lexframe: it does not say what made its vectors.")
    try:
        document: dict[str, Any] = json.loads(raw)
    except ValueError as error:
        raise DataError(f"{path}: what the store says of itself is damaged ({_first_line(error)}).") from error
    if document.get("format") != FORMAT:
        raise DataError(f"{path} is a store of format {document.get('format')}; this version reads {FORMAT}. Install a newer lexframe.")
    return document


def table_of(
    ids: Sequence[str],
    points: Mapping[str, Float32[np.ndarray, "n_rows n_dims"]],
    metadata: Mapping[str, Any],
    schema: pa.Schema,
) -> pa.Table:
    """Rows for a store, with their checksums.

    Parameters
    ----------
    ids : sequence of str
    points : mapping of str to ndarray of shape (n_rows, n_dims), float32
        By column.
    metadata : mapping of str to sequence
        Other columns; those of `schema` that are not given are empty.
    schema : pyarrow.Schema
        Of the store.

    Raises
    ------
    InputError
        If a value does not fit its column, or points are not finite in the precision of the store.
    """
    columns: list[Any] = []
    for item in schema:
        if item.name == CHECKSUM:
            continue
        if item.name == ID:
            columns.append(pa.array(ids, pa.string()))
        elif item.name in points:
            columns.append(_vector_array(points[item.name], item))
        else:
            columns.append(metadata_array(metadata.get(item.name), item, len(ids)))
    batch = pa.record_batch(columns, schema=pa.schema([item for item in schema if item.name != CHECKSUM]))
    sums = pa.array(checksums(batch, points), pa.uint64())
    return pa.table([*columns, sums], schema=schema)


def _vector_array(values: np.ndarray, item: pa.Field) -> pa.Array:
    n_dims = item.type.list_size
    if values.ndim != 2 or values.shape[1] != n_dims:
        raise InputError(f"The points for column {item.name!r} have shape {values.shape}; expected (n, {n_dims}).")
    with np.errstate(over="ignore"):  # said below, with the row
        stored = np.ascontiguousarray(values, dtype=item.type.value_type.to_pandas_dtype())
    if not np.isfinite(stored).all():
        row = int(np.flatnonzero(~np.isfinite(stored).all(axis=1))[0])
        raise InputError(
            f"Point {row} for column {item.name!r} is not finite in {item.type.value_type}. "
            "Store it in float32, or look at what makes such values."
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(stored.ravel()), n_dims)


def metadata_array(values: Any, item: pa.Field, n_rows: int) -> pa.Array:
    """A column of metadata: in a column of text anything is written out, in others what does not fit whole is refused."""
    if values is None:
        return pa.nulls(n_rows, item.type)
    if pa.types.is_string(item.type):
        values = [value if value is None or isinstance(value, str) else str(value) for value in values]
    try:
        inferred = pa.array(values)  # first by itself: a type that is given would cut fractions off without a word
        return inferred.cast(item.type, safe=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"Column {item.name!r} holds {item.type}, and a value does not fit: {_first_line(error)}.") from error


def checksums(batch: pa.RecordBatch | pa.Table, vectors: Mapping[str, Any]) -> np.ndarray:
    """A checksum a row, uint64, over everything but the checksum itself: points by their bytes, the rest by its text."""
    names = sorted(name for name in batch.schema.names if name != CHECKSUM)
    plain = [batch.column(name).to_pylist() for name in names if name not in vectors]
    raw = [_raw_vectors(batch.column(name)) for name in names if name in vectors]
    found = np.empty(batch.num_rows, dtype=np.uint64)
    for row in range(batch.num_rows):
        digest = hashlib.blake2b(repr([values[row] for values in plain]).encode("utf-8", "surrogatepass"), digest_size=8)
        for array in raw:
            digest.update(array[row].data)
        found[row] = int.from_bytes(digest.digest(), "little")
    return found


def vectors_of(batch: pa.RecordBatch | pa.Table, name: str) -> Float32[np.ndarray, "n_rows n_dims"]:
    """Points of a batch as a float32 array."""
    return _raw_vectors(batch.column(name)).astype(np.float32)


def _raw_vectors(column: Any) -> np.ndarray:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # an empty one
        return np.zeros((0, array.type.list_size), dtype=array.type.value_type.to_pandas_dtype())
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), array.type.list_size)


def write_fragment(path: str, rows: pa.Table, schema: pa.Schema, *, storage_options: Mapping[str, str] | None = None) -> str:
    """Write rows as data files that no version holds yet, in any process; returns what a commit needs, as JSON.

    Raises
    ------
    InputError
        If the files cannot be written.
    """
    from lance.fragment import write_fragments

    if rows.schema != schema:
        raise InputError(f"The rows have the columns {rows.schema.names}; expected {schema.names}, each of its own type.")
    try:
        (fragment,) = write_fragments(rows, path, schema=schema, mode="append", storage_options=dict(storage_options or {}) or None)
    except OSError as error:
        raise cannot_write(path, error) from error
    return json.dumps(fragment.to_json())


def cannot_write(path: str | Path, error: Exception) -> InputError:
    """What to tell a person whose store cannot be written."""
    return InputError(
        f"{path} cannot be written: {getattr(error, 'strerror', None) or _first_line(error)}. "
        "What was there before is kept; free space, ask for the right to write, or name another place."
    )


@contextmanager
def _writer(path: str | Path) -> Iterator[None]:
    """Hold a local store for writing; the system lets go of it however the process ends."""
    if _is_remote(path):
        yield
        return
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        handle = os.open(Path(path) / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{path} is being written by another process. Wait until it is done, then try again.") from error
        yield
    finally:
        os.close(handle)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _is_remote(path: str | Path) -> bool:
    return "://" in str(path)


def _first_line(error: BaseException) -> str:
    lines = re.sub(r",? ?/\S+\.rs:\d+:\d+", "", str(error)).strip().splitlines()  # places in Lance's source help nobody here
    return lines[0][:240] if lines else type(error).__name__
