"""People's own vectors into a store, and a store's rows out to files that everybody reads."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from lexframe.exceptions import DataError, InputError
from lexframe.files import json_text, replacing
from lexframe.latents.column_types import as_text, column_types
from lexframe.latents.files import write_fragment
from lexframe.latents.rows import ROWS_AT_ONCE, table_of, vectors_of
from lexframe.latents.schema import CHECKSUM, ID, VectorColumn
from lexframe.latents.store import LatentStore
from lexframe.provenance import SpaceFingerprint


def import_vectors(
    source: Any,
    path: str | Path,
    *,
    made_by: str,
    column: str | None = None,
    ids: Sequence[str] | str | None = None,
    metadata: Mapping[str, Sequence[Any]] | None = None,
    precision: str = "float32",
) -> LatentStore:
    """Take vectors that somebody has made already into a store, a new one or one of the same maker.

    Parameters
    ----------
    source : ndarray, str, Path, pandas or polars DataFrame, pyarrow Table, or datasets.Dataset
        An array of shape (n_rows, n_dims); a file ``.npy``, ``.npz``, ``.safetensors`` or ``.parquet``; or a table with a column
        of lists. Tables bring their other columns along as metadata.
    path : str or Path
        Of the store.
    made_by : str
        What made the vectors, such as ``"text-embedding-3-small, 2026-05"``. A store takes vectors of one maker.
    column : str, optional
        Which column or array of the source holds the vectors. Default: the only one that can.
    ids : sequence of str or str, optional
        One a row, or the name of the column that holds them. Default: the number of the row, after those in the store.
    metadata : mapping of str to sequence, optional
        More columns, a value a row.
    precision : {"float32", "float16"}
        In the store.

    Returns
    -------
    LatentStore

    Raises
    ------
    DataError
        If the source cannot be read or holds no table of numbers.
    InputError
        If ids are missing or stand twice, or the store does not take these vectors.
    """
    if not made_by.strip():
        raise InputError("made_by is empty. Say what made the vectors, so that others are not mixed with them.")
    points, found = read_vectors(source, column=column)
    columns = {**found, **{name: list(values) for name, values in (metadata or {}).items()}}
    wrong = [name for name, values in columns.items() if len(values) != len(points)]
    if wrong:
        raise InputError(f"The column {wrong[0]!r} has {len(columns[wrong[0]])} values for {len(points)} vectors.")
    # The maker is all that is known of them, so it stands where the hash of the weights would.
    fingerprint = SpaceFingerprint(kind="imported", model=made_by, weights=made_by, template="")
    vectors = VectorColumn("vector", points.shape[1], fingerprint, precision)
    exists = LatentStore.exists(path)
    known = set(LatentStore(path).query(columns=[ID])[ID]) if exists else set()
    free = max((int(name) + 1 for name in known if name.isdecimal()), default=0)
    own_ids = _ids(ids, columns, len(points), free)
    if exists:
        store = LatentStore(path)
        store.require([vectors])
        unknown = sorted(set(columns) - set(store.metadata))
        if unknown:
            raise InputError(f"{path} has no column {unknown[0]!r}; leave it out, or use another store.")
        again = [name for name in own_ids if name in known]
        if again:
            raise InputError(f"{path} holds a row with the id {again[0]!r} already. Give other ids, or delete those rows first.")
    else:
        types = {name: pa.string() if kind is None else kind for name, kind in column_types(columns).items()}
        store = LatentStore.create(path, [vectors], metadata=types)
    fragments = []
    with store.writer() as write:
        if len(store) != len(known):
            raise InputError(f"{path} was written by another process at the same time. Run the same again.")
        for start in range(0, len(points), 16 * ROWS_AT_ONCE):
            rows = slice(start, start + 16 * ROWS_AT_ONCE)
            part = {name: values[rows] for name, values in columns.items()}
            fragments.append(
                write_fragment(store.path, table_of(own_ids[rows], {"vector": points[rows]}, part, store.schema), store.schema)
            )
        if fragments:
            write(fragments)  # all or none
    return store


def read_vectors(source: Any, *, column: str | None = None) -> tuple[np.ndarray, dict[str, list[Any]]]:
    """Vectors, float32 of shape (n_rows, n_dims), and the plain columns beside them; see :func:`import_vectors`."""
    if isinstance(source, np.ndarray):
        return _as_points(source, "the array"), {}
    if isinstance(source, (str, Path)):
        return _read_file(Path(source), column)
    return _from_table(_as_arrow(source), column, type(source).__name__)


def _read_file(path: Path, column: str | None) -> tuple[np.ndarray, dict[str, list[Any]]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file. Name a .npy, .npz, .safetensors or .parquet file.")
    kind = path.suffix.lower()
    try:
        if kind == ".npy":
            return _as_points(np.load(path, mmap_mode="r", allow_pickle=False), str(path)), {}
        if kind == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return _chosen(dict(arrays), column, str(path))
        if kind == ".safetensors":
            from safetensors.numpy import load_file

            return _chosen(load_file(path), column, str(path))
        if kind == ".parquet":
            return _from_table(pyarrow.parquet.read_table(path), column, str(path))
    except InputError:
        raise
    except Exception as error:  # each library has errors of its own for a damaged file
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}.") from error
    raise DataError(f"{path}: unknown kind of file. Expected .npy, .npz, .safetensors or .parquet.")


def _chosen(arrays: Mapping[str, np.ndarray], column: str | None, where: str) -> tuple[np.ndarray, dict[str, list[Any]]]:
    tables = [name for name, array in arrays.items() if array.ndim == 2]
    if column is None and len(tables) == 1:
        column = tables[0]
    if column is None or column not in arrays:
        raise InputError(f"{where} holds the arrays {', '.join(arrays)}. Name the one with the vectors.", parameter="column")
    points = _as_points(arrays[column], f"{where}, {column}")
    beside = {name: array.tolist() for name, array in arrays.items() if name != column and array.shape == (len(points),)}
    return points, beside


def _as_arrow(source: Any) -> pa.Table:
    if isinstance(source, pa.Table):
        return source
    for method in ("to_arrow", "to_table"):  # polars; Lance and pyarrow datasets
        if callable(getattr(source, method, None)):
            return getattr(source, method)()
    inner = getattr(getattr(source, "data", None), "table", None)  # datasets.Dataset
    if isinstance(inner, pa.Table):
        return inner if getattr(source, "_indices", None) is None else source.with_format("arrow")[:]
    if type(source).__module__.startswith("pandas"):
        return pa.Table.from_pandas(source, preserve_index=False)
    raise InputError(f"{type(source).__name__} is no table that is known here. Give an array, a file, or a pandas, polars or Arrow table.")


def _from_table(table: pa.Table, column: str | None, where: str) -> tuple[np.ndarray, dict[str, list[Any]]]:
    lists = [item.name for item in table.schema if pa.types.is_list(item.type) or _is_fixed(item.type) or pa.types.is_large_list(item.type)]
    if column is None and len(lists) == 1:
        column = lists[0]
    if column not in lists:
        raise InputError(f"{where}: columns of lists are {', '.join(lists) or 'none'}. Name the one with the vectors.", parameter="column")
    values = table.column(column).combine_chunks()
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if array.null_count:
        raise DataError(f"{where}: the column {column!r} has {array.null_count} rows without a vector. Remove them.")
    lengths = np.unique(np.asarray([array.type.list_size])) if _is_fixed(array.type) else np.unique(array.value_lengths().to_numpy())
    if len(lengths) != 1:
        raise DataError(f"{where}: the vectors in {column!r} have {len(lengths)} different lengths. All must have one.")
    flat = array.flatten().to_numpy(zero_copy_only=False)
    beside = {item.name: table.column(item.name).to_pylist() for item in table.schema if item.name not in lists}
    return _as_points(flat.reshape(-1, int(lengths[0])), f"{where}, {column}"), beside


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind))


def _as_points(array: np.ndarray, where: str) -> np.ndarray:
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(f"{where} has shape {array.shape}; expected (n_rows, n_dims).")
    if array.dtype.kind not in "fiu":
        raise DataError(f"{where} holds {array.dtype}, not numbers.")
    return np.asarray(array, dtype=np.float32)


def _ids(ids: Sequence[str] | str | None, columns: dict[str, list[Any]], n_rows: int, free: int) -> list[str]:
    """An id a row; the column they come from is taken out of `columns`."""
    name = ids if isinstance(ids, str) else ID if ids is None and ID in columns else None
    if name is not None:
        if name not in columns:
            raise InputError(f"There is no column {name!r} for the ids; there are {', '.join(columns) or 'none'}.")
        found = [str(value) for value in columns.pop(name)]
    elif ids is not None:
        found = [str(value) for value in ids]
    else:
        found = [str(free + row) for row in range(n_rows)]
    if len(found) != n_rows:
        raise InputError(f"There are {len(found)} ids for {n_rows} vectors. Give one a row.")
    if len(set(found)) != n_rows:
        seen: set[str] = set()
        twice = next(value for value in found if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        raise InputError(f"The id {twice!r} stands twice. Every row needs an id of its own.")
    return found


def export_store(
    store: LatentStore,
    path: str | Path,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
) -> int:
    """Write the rows of a store to one file.

    Parameters
    ----------
    store : LatentStore
    path : str or Path
        ``.parquet``, ``.csv`` (a column a dimension, such as ``points_0``) or ``.jsonl`` (points as lists), written a batch at a time, or
        ``.npz``: an array a column, points as float32.
    where : str, optional
        A condition over the columns, see :mod:`lexframe.latents.filters`.
    columns : sequence of str, optional
        Default: all but the checksums.
    limit : int, optional
        Most rows.

    Returns
    -------
    int
        Rows written.
    """
    path = Path(path)
    names = store.named_columns(columns, [name for name in store.schema.names if name != CHECKSUM])
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv", ".jsonl", ".npz"):
        raise InputError(f"{path}: a store is exported to .parquet, .csv, .jsonl or .npz.")
    batches = _first(store.batches(names, where=where), limit)
    if kind == ".parquet":
        return _export_parquet(store, path, batches, names)
    if kind == ".csv":
        return _export_csv(store, path, batches, names)
    if kind == ".jsonl":
        return _export_jsonl(path, batches)
    taken = {"file", "allow_pickle"}.intersection(names)
    if taken:
        raise InputError(f"{path}: numpy cannot write a column named {sorted(taken)[0]!r} to .npz. Export to .parquet.")
    return _export_npz(store, path, batches, names)


def _first(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """Batches up to a number of rows."""
    left = limit
    for batch in batches:
        part = batch if left is None else batch.slice(0, left)
        if part.num_rows:
            yield part
        if left is not None:
            left -= part.num_rows
            if not left:
                return


def _export_csv(store: LatentStore, path: Path, batches: Iterator[pa.RecordBatch], names: list[str]) -> int:
    header = [
        title
        for name in names
        for title in ([f"{name}_{number}" for number in range(store.vectors[name].n_dims)] if name in store.vectors else [name])
    ]
    n_rows = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for batch in batches:
            columns = [vectors_of(batch, name) if name in store.vectors else batch.column(name).to_pylist() for name in names]
            for row in range(batch.num_rows):
                cells: list[str | None] = []
                for values in columns:
                    found = values[row]
                    cells += [str(value) for value in found] if isinstance(found, np.ndarray) else [as_text(found)]
                writer.writerow(cells)
            n_rows += batch.num_rows
    return n_rows


def _export_jsonl(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    n_rows = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for batch in batches:
            for row in batch.to_pylist():
                file.write(json_text(row) + "\n")
            n_rows += batch.num_rows
    return n_rows


def _export_parquet(store: LatentStore, path: Path, batches: Iterator[pa.RecordBatch], names: list[str]) -> int:
    schema = pa.schema([store.schema.field(name) for name in names], metadata=store.schema.metadata)
    n_rows = 0
    with replacing(path) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
        for batch in batches:
            writer.write_batch(pa.record_batch(batch.columns, schema=schema))
            n_rows += batch.num_rows
    return n_rows


def _export_npz(store: LatentStore, path: Path, batches: Iterator[pa.RecordBatch], names: list[str]) -> int:
    held: dict[str, list[Any]] = {name: [] for name in names}
    for batch in batches:
        for name in names:
            held[name].append(vectors_of(batch, name) if name in store.vectors else batch.column(name).to_pylist())
    arrays = {name: _array(parts, store.vectors.get(name)) for name, parts in held.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return len(next(iter(arrays.values())))


def _array(parts: list[Any], vectors: VectorColumn | None) -> np.ndarray:
    if vectors is not None:
        return np.concatenate([np.zeros((0, vectors.n_dims), np.float32), *parts])
    values = [value for part in parts for value in part]
    array = np.array(values if None not in values else ["" if value is None else str(value) for value in values])
    return array if array.dtype != object else np.array([str(value) for value in values])  # objects would need pickle
