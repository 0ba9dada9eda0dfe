"""What can be read of the rows of a store: points, metadata, and conditions over them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Int64

from lexframe.exceptions import DataError, InputError
from lexframe.latents.files import first_line
from lexframe.latents.filter_columns import stored_name
from lexframe.latents.filter_rendering import canonical
from lexframe.latents.rows import ROWS_AT_ONCE, vectors_of
from lexframe.latents.schema import CHECKSUM, ID, VectorColumn
from lexframe.typing import Points

Read = TypeVar("Read")


class StoredRows:
    """Rows of one version of a store, in the order in which they were written.

    Attributes
    ----------
    path : str
        Of the store.
    vectors : dict of str to VectorColumn
        Columns of points, by name.
    """

    path: str
    vectors: dict[str, VectorColumn]
    _dataset: Any

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, checksum included."""
        return self._dataset.schema

    @property
    def metadata(self) -> dict[str, pa.DataType]:
        """Columns that are neither points nor ours, by name."""
        return {item.name: item.type for item in self.schema if item.name not in {*self.vectors, CHECKSUM}}

    def points(self, column: str | None = None, *, where: str | None = None) -> Points:
        """Points in the order in which they were written, float32, shape (n_rows, n_dims).

        Parameters
        ----------
        column : str, optional
            Needed where the store has several.
        where : str, optional
            A condition over the other columns, such as ``label = 'late' AND year > 2020``.
        """
        chosen = self.column(column)
        n_rows = self.count(where)
        found = np.empty((n_rows, chosen.n_dims), dtype=np.float32)
        start = 0
        for batch in self.batches([chosen.name], where=where):
            part = vectors_of(batch, chosen.name)
            found[start : start + len(part)] = part
            start += len(part)
        return found

    def count(self, where: str | None = None) -> int:
        """How many rows meet a condition; all of them without one."""
        condition = self._condition(where)
        return int(self._guarded(lambda: self._dataset.count_rows(filter=condition)))

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
        """Numbers of the rows that meet a condition, as :meth:`take` counts them."""
        condition = self._condition(where)
        meets = self._guarded(lambda: self._dataset.to_table(columns=[ID], filter=condition, with_row_address=True, scan_in_order=True))
        every = self._guarded(lambda: self._dataset.to_table(columns=[ID], with_row_address=True, scan_in_order=True))
        addresses = every.column("_rowaddr").to_numpy()
        return np.flatnonzero(np.isin(addresses, meets.column("_rowaddr").to_numpy())).astype(np.int64)

    def query(self, where: str | None = None, *, columns: Sequence[str] | None = None, limit: int | None = None) -> pd.DataFrame:
        """Rows as a table, by default without points.

        Parameters
        ----------
        where : str, optional
            A condition over the columns, such as ``label = 'late' AND text LIKE '%train%'``; see :mod:`lexframe.latents.filters`.
        columns : sequence of str, optional
            Default: the id and all metadata.
        limit : int, optional
            Most rows.

        Raises
        ------
        InputError
            If the condition or a column is not understood.
        """
        wanted = self.named_columns(columns, [*self.metadata])
        condition = self._condition(where)
        table = self._guarded(lambda: self._dataset.to_table(columns=wanted, filter=condition, limit=limit))
        return table.to_pandas(integer_object_nulls=True)  # beside missing ones, floats would lose digits

    def named_columns(self, names: Sequence[str] | None, default: Sequence[str]) -> list[str]:
        """Columns by the names that people write; `default` where none is named.

        Raises
        ------
        InputError
            If there is no such column.
        """
        known = self.schema.names
        wanted = list(default) if names is None else [name if name in known else stored_name(name) for name in names]
        unknown = [name for name, found in zip(names or (), wanted, strict=False) if found not in known]
        if unknown:
            raise InputError(f"{self.path} has no column {unknown[0]!r}; it has {', '.join(known)}.", parameter="columns")
        return list(dict.fromkeys(wanted))

    def batches(
        self, columns: Sequence[str] | None = None, *, where: str | None = None, n_rows: int = ROWS_AT_ONCE
    ) -> Iterator[pa.RecordBatch]:
        """Rows in the order in which they were written, `n_rows` or fewer at a time."""
        condition = self._condition(where)
        scanner = self._guarded(lambda: self._dataset.scanner(columns=columns, filter=condition, batch_size=n_rows, scan_in_order=True))
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

    def _condition(self, where: str | None) -> str | None:
        """A condition in the words of Lance, once it is known to be one."""
        return None if where is None else canonical(where, self.schema)

    def _guarded(self, read: Callable[[], Read]) -> Read:
        """Run something that Lance does, and say in one line what it could not do."""
        try:
            return read()
        except (OSError, ValueError, pa.ArrowException) as error:
            message = first_line(error)
            # Lance has no error of its own for a condition that it does not understand; only the words tell.
            if any(sign in message for sign in ("filter", "SQL", "sql", "predicate", "No field named", "column", "Schema error", "coerce")):
                raise InputError(f"{self.path}: the condition or column is not understood: {message}") from error
            raise DataError(f"{self.path} cannot be read: {message}. Run 'lexframe store verify' to find the damaged file.") from error
