"""Rows of Parquet files, with the names of classes that Hugging Face's libraries keep in their metadata."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lexframe.data.tables.records import Records, checked_columns
from lexframe.data.tables.sources import Source
from lexframe.exceptions import DataError

_BATCH = 4096
_Wanted = Mapping[str, str | tuple[str, ...]]


def read_parquet(source: Source, wanted: _Wanted) -> Records:
    """The rows of a Parquet file.

    A column that the metadata call a ``ClassLabel`` gives the names of its classes; -1 stands there for a missing label.

    Raises
    ------
    DataError
        If a column is missing; while rows are read, if the file is damaged.
    """
    import pyarrow.parquet

    records = Records(source.name, "row", iter(()))
    with source.on_disk() as path:
        schema = _read(source, lambda: pyarrow.parquet.read_schema(path))
    records.columns = tuple(schema.names)
    checked_columns(source.name, records.columns, wanted)
    classes = {name: names for name, names in class_names(schema.metadata).items() if name in wanted}
    records.notes += [
        f"names the {len(names)} classes of {name!r} in its metadata; the names were taken" for name, names in classes.items()
    ]
    records.has_field = lambda name: _has_field(schema, name)
    records.rows = _rows(source, [*wanted], classes)
    return records


def _has_field(schema: Any, name: str) -> bool:
    """Whether a schema has the field, or the objects in it have."""
    import pyarrow

    first, *rest = name.split(".")
    if name in schema.names or first not in schema.names:
        return name in schema.names
    kind = schema.field(first).type
    for part in rest:
        if not pyarrow.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return False
        kind = kind.field(part).type
    return True


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Names of the classes of columns, as the metadata of a schema have them under ``huggingface``."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: [str(each) for each in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _rows(source: Source, names: list[str], classes: dict[str, list[str]]) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow.parquet

    number = 0
    # a point in a name would be read as the way to a nested field
    columns = None if any("." in name for name in names) or not names else list(dict.fromkeys(names))
    with source.on_disk() as path:
        batches = _read(source, lambda: pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=_BATCH, columns=columns))
        while (rows := _read(source, lambda: _next(batches))) is not None:
            for row in rows:
                number += 1
                for name, named in classes.items():
                    row[name] = _class(row[name], named, f"{source.name}, row {number}: the field {name!r}")
                yield number, row


def _next(batches: Iterator[Any]) -> list[dict[str, Any]] | None:
    batch = next(batches, None)
    return None if batch is None else batch.to_pylist()


def _class(value: Any, names: list[str], what: str) -> str | None:
    if value is None or value == -1:
        return None
    if isinstance(value, str):
        return value
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise DataError(f"{what} is {value!r}, but the metadata name {len(names)} classes, from 0. Write the table again with its classes.")
    return names[value]


def _read(source: Source, step: Any) -> Any:
    import pyarrow

    try:
        return step()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError, NotImplementedError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{source.name}: not a readable Parquet file ({why}).") from error
