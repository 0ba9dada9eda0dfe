"""Rows of a store as Arrow tables: points, metadata, and a checksum over both."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from lexframe.checks import is_missing
from lexframe.exceptions import InputError
from lexframe.latents.files import first_line
from lexframe.latents.schema import CHECKSUM, ID

ROWS_AT_ONCE = 8192
_EXACT = 2**53  # whole numbers up to here are numbers without a loss
_ACCEPTED = (
    (pa.types.is_string, "text"),
    (pa.types.is_boolean, "truth"),
    (pa.types.is_integer, "whole"),
    (pa.types.is_floating, "number"),
)


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
    """A column of metadata; NaN and the like are missing, and what is not of the column's type is refused: nothing is made to fit."""
    if values is None:
        return pa.nulls(n_rows, item.type)
    kept = [None if is_missing(value) else value for value in values]
    wanted = next((kinds for test, kinds in _ACCEPTED if test(item.type)), None)
    wrong = [] if wanted is None else [value for value in kept if value is not None and not _is_of(value, wanted)]
    if wrong:
        raise InputError(
            f"Column {item.name!r} holds {item.type}, and a value does not fit: {wrong[0]!r:.60}, a {type(wrong[0]).__name__}."
        )
    try:
        if wanted is None:
            return pa.array(kept).cast(item.type, safe=True)  # first by itself: a type that is given would cut fractions off without a word
        if pa.types.is_integer(item.type):
            kept = [value if value is None else int(value) for value in kept]
        return pa.array(kept, item.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"Column {item.name!r} holds {item.type}, and a value does not fit: {first_line(error)}.") from error


def _is_of(value: Any, wanted: str) -> bool:
    is_truth = isinstance(value, bool | np.bool_)
    if wanted == "text":
        return isinstance(value, str)
    if wanted == "truth" or is_truth:
        return wanted == "truth" and is_truth
    if isinstance(value, int | np.integer):
        return wanted == "whole" or abs(int(value)) <= _EXACT or int(float(value)) == value
    return isinstance(value, float | np.floating) and (wanted == "number" or float(value).is_integer())


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
