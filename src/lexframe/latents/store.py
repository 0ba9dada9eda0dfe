"""The latent store: points of texts on disk, with what made them, as a Lance dataset.

Lance does the files, commits, versions, deletions, scans and compaction. What is added: every column of points knows
the space it comes from and refuses others, every row carries a checksum, and there is one writer at a time.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from lexframe.checks import plain
from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.latents.files import UNFINISHED, cannot_write, first_line, held_for_writing, is_empty, is_remote, write_fragment
from lexframe.latents.reading import StoredRows
from lexframe.latents.schema import CHECKSUM, VectorColumn, read_document, store_schema
from lexframe.latents.verification import Verification, provenance_of, verified
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.text_forms import counted


@dataclass(frozen=True, slots=True)
class StoreInfo(Result):
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
    provenance : Provenance
        Of the first column of points.
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
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """Rows, columns of points and size."""
        columns = ", ".join(column.name for column in self.vectors)
        size = f"{self.n_bytes / 1e6:,.1f} MB, version {self.version}"
        return f"{self.path}: {counted(self.n_rows, 'row')} with points in {columns or 'no column'}, {size}."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        names = ("path", "n_rows", "version", "n_versions", "n_fragments", "n_bytes", "metadata", "facts")
        found = {name: plain(getattr(self, name)) for name in names}
        return found | {"vectors": [column.to_dict() for column in self.vectors], "provenance": self.provenance.to_dict()}

    def to_frame(self) -> pd.DataFrame:
        """A row a column, of points or of metadata."""
        rows: list[dict[str, Any]] = [
            {"column": column.name, "type": "points", "space": str(column.fingerprint)} for column in self.vectors
        ]
        rows += [{"column": name, "type": kind, "space": None} for name, kind in self.metadata.items()]
        return pd.DataFrame(rows, columns=["column", "type", "space"])


class LatentStore(StoredRows):
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
        self._reopen(version)

    def _reopen(self, version: int | None = None) -> None:
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
        _require_free(path)
        try:
            with held_for_writing(path):
                _require_free(path)
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
        with held_for_writing(self.path):
            self._dataset = self._open(None)
            if self.version != 1 or len(self):
                raise InputError(f"{self.path} is not empty any more: another process has written it. Run the same again.")
            lance.write_dataset(schema.empty_table(), self.path, mode="overwrite", storage_options=self._options)
        self._reopen()

    @classmethod
    def exists(cls, path: str | Path, *, storage_options: Mapping[str, str] | None = None) -> bool:
        """Whether a dataset stands at `path`."""
        if not is_remote(path):
            return any((Path(path) / "_versions").glob("*.manifest"))
        import lance

        try:
            lance.dataset(str(path), storage_options=dict(storage_options or {}) or None)
        except (OSError, ValueError):
            return False
        return True

    def __repr__(self) -> str:
        return f"LatentStore({self.path!r}, version={self.version}, {counted(len(self), 'row')}, {', '.join(self.vectors)})"

    @property
    def version(self) -> int:
        """Number of the version that is open."""
        return int(self._dataset.version)

    @property
    def dataset(self) -> Any:
        """The Lance dataset, for DuckDB, Polars, Ray and others that read it. Write through this class."""
        return self._dataset

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

        with held_for_writing(self.path):
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

    def delete(self, where: str) -> int:
        """Delete the rows that meet a condition; returns how many. :meth:`restore` brings them back."""
        with held_for_writing(self.path):
            self._dataset = self._open(None)
            before, condition = len(self), self._condition(where)
            self._guarded(lambda: self._dataset.delete(condition))
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
        with held_for_writing(self.path):
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

        with held_for_writing(self.path):
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
        return verified(self._dataset, self.path, self.vectors)

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
            provenance=provenance_of(self.vectors, self.path, self.version),
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

        make_one = "Make one with 'lexframe encode' or 'lexframe store import'"
        if not is_remote(self.path) and not Path(self.path).exists():
            raise DataError(f"{self.path}: no such store. {make_one}.")
        if not is_remote(self.path) and not (Path(self.path) / "_versions").is_dir():
            raise DataError(f"{self.path} is no latent store. Name the folder of one. {make_one}.")
        try:
            return lance.dataset(self.path, version=version, storage_options=self._options)
        except (OSError, ValueError) as error:
            if version is not None:
                raise InputError(f"{self.path} has no version {version} that can be opened ({first_line(error)}).") from error
            raise DataError(f"{self.path} cannot be opened as a store: {first_line(error)}. Check that the folder is whole.") from error


def _require_free(path: str | Path) -> None:
    """Raise unless a store can be made at a place: where nothing is, in an empty folder, or where a run was killed before it had one."""
    if is_remote(path) or not Path(path).exists():
        return
    if not Path(path).is_dir():
        raise InputError(f"{path} exists already and is a file. Name a folder for the store, a new or an empty one.")
    if any((Path(path) / "_versions").glob("*.manifest")):  # a run that was stopped before its first commit leaves none
        raise InputError(f"{path} exists already. Open it to add rows, or name another place.")
    others = sorted(found.name for found in Path(path).iterdir() if found.name not in UNFINISHED and not is_empty(found))
    if others:
        raise InputError(f"{path} exists already, is no store and holds {others[0]}. Name a new or an empty folder for the store.")
