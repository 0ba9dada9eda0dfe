"""Blocks of texts: what is encoded and committed together, and how one block becomes files of a store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from itertools import count, islice, zip_longest
from typing import Any

import pyarrow as pa

from lexframe.checks import each_text
from lexframe.exceptions import InputError
from lexframe.latents.column_types import column_types
from lexframe.latents.files import write_fragment
from lexframe.latents.rows import table_of
from lexframe.latents.schema import TEXT, VectorColumn
from lexframe.spaces.base import Representation, Space, TokenSpace, resolve_layer
from lexframe.typing import Texts

BLOCK_ROWS = 2048
"""Texts of one commit: what a killed run loses at most, for every worker."""
TRUNCATED, N_TOKENS = "truncated", "n_tokens"
_MISSING = object()  # where one iterable has ended before another


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Texts that are encoded and committed together.

    Attributes
    ----------
    ids : tuple of str
    texts : tuple of str
    metadata : dict of str to sequence
        Other columns, by name.
    types : dict of str to pyarrow.DataType or None
        What these columns hold over all blocks, as far as it is known; None where every value is missing.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    metadata: dict[str, Sequence[Any]] = field(default_factory=dict)
    types: Mapping[str, pa.DataType | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: Sequence[int]) -> "TextBlock":
        """Some of its rows."""
        return TextBlock(
            tuple(self.ids[row] for row in rows),
            tuple(self.texts[row] for row in rows),
            {name: [values[row] for row in rows] for name, values in self.metadata.items()},
            self.types,
        )


def text_blocks(
    texts: Texts,
    *,
    ids: Iterable[str] | None = None,
    metadata: Mapping[str, Iterable[Any]] | None = None,
    source: str = "text",
    block_rows: int = BLOCK_ROWS,
) -> Iterator[TextBlock]:
    """Cut texts into blocks, without holding more than one of them.

    Parameters
    ----------
    texts : iterable of str
        In whatever holds them: see :func:`lexframe.checks.texts_in`.
    ids : iterable of str, optional
        One a text. Default: `source` and the number of the text.
    metadata : mapping of str to iterable, optional
        Other columns, a value a text. The type of one that is held whole is decided over all its values, of others over the first block.
    source : str
        Where the texts come from, for the ids.
    block_rows : int
        Texts of a block.

    Raises
    ------
    InputError
        If one is no text, there are fewer or more ids or values than texts, or a column mixes types.
    """
    types = column_types({name: values for name, values in (metadata or {}).items() if isinstance(values, Sized)})
    numbers = count()
    given = [each_text(texts), *([] if ids is None else [ids]), *(metadata or {}).values()]
    for part in _chunks(zip_longest(*given, fillvalue=_MISSING), block_rows):
        if any(value is _MISSING for row in part for value in row):
            raise InputError("There are not as many ids or values of metadata as texts. Give one a text.")
        columns = list(zip(*part, strict=True))
        own = tuple(f"{source}:{next(numbers)}" for _ in part) if ids is None else columns.pop(1)
        yield TextBlock(own, columns[0], dict(zip(metadata or {}, columns[1:], strict=True)), types)


def row_blocks(
    rows: Iterable[tuple[str, str, Mapping[str, Any]]],
    *,
    block_rows: int = BLOCK_ROWS,
    types: Mapping[str, pa.DataType | None] | None = None,
) -> Iterator[TextBlock]:
    """Cut rows into blocks, without holding more than one of them.

    Parameters
    ----------
    rows : iterable of (str, str, mapping)
        Id, text, and the other columns by name, which are the same for every row.
    block_rows : int
        Texts of a block.
    types : mapping of str to pyarrow.DataType or None, optional
        What the columns hold over all rows, see :class:`~lexframe.latents.column_types.ColumnTypes`. Default: what the first block holds.
    """
    for part in _chunks(rows, block_rows):
        ids, texts, columns = zip(*part, strict=True)
        yield TextBlock(ids, texts, {name: [found[name] for found in columns] for name in columns[0]}, types or {})


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    source = iter(items)
    while part := list(islice(source, size)):
        yield part


@dataclass(frozen=True, slots=True)
class BlockResult:
    """One block, encoded and written but not committed.

    Attributes
    ----------
    fragment : str
        What :meth:`LatentStore.writer` commits.
    n_texts, n_tokens, n_truncated : int
    """

    fragment: str
    n_texts: int
    n_tokens: int
    n_truncated: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a worker needs to know to turn a block into files of a store."""

    path: str
    schema: bytes
    representations: tuple[Representation, ...]
    storage_options: tuple[tuple[str, str], ...] = ()
    batch_size: int | None = None

    @property
    def columns(self) -> dict[str, Representation]:
        """Names of the columns of points, in the order of `representations`."""
        return {column_name(asked): asked for asked in self.representations}


def column_name(asked: Representation) -> str:
    """Name of a column, such as ``layer_6_mean``; the last state is ``layer_last_mean``."""
    return f"layer_{'last' if asked.layer == -1 else asked.layer}_{asked.pooling}"


def vector_columns(space: Space, representations: Sequence[Representation] = (), *, precision: str = "float32") -> list[VectorColumn]:
    """Columns that a space fills.

    Parameters
    ----------
    space : Space
    representations : sequence of Representation
        Layers and poolings, where the space has them. None: the points of the space itself, in the column ``points``.
    precision : {"float32", "float16"}
        In the store.

    Raises
    ------
    InputError
        If the space has no layers, or a layer does not exist.
    """
    if not representations:
        return [VectorColumn("points", space.n_dims, space.fingerprint, precision)]
    if not isinstance(space, TokenSpace):
        raise InputError(f"{type(space).__name__} has no layers to choose from; leave the representations out.")
    columns = []
    for asked in representations:
        resolved = resolve_layer(asked.layer, space.n_layers)
        layer = -1 if resolved == space.n_layers else resolved
        fingerprint = replace(space.fingerprint, layer=layer, pooling=asked.pooling)
        columns.append(VectorColumn(column_name(Representation(layer, asked.pooling)), space.n_dims, fingerprint, precision))
    return columns


def encode_block(space: Space, block: TextBlock, recipe: Recipe) -> BlockResult:
    """Encode one block and write it as data files that are not committed yet; runs in any process."""
    schema = pa.ipc.read_schema(pa.py_buffer(recipe.schema))
    names = [item.name for item in schema]
    if recipe.representations:
        assert isinstance(space, TokenSpace)
        states = space.encode_representations(block.texts, recipe.representations, batch_size=recipe.batch_size)
        points = {name: states[:, number] for number, name in enumerate(recipe.columns)}
    else:
        points = {"points": space.encode(block.texts, batch_size=recipe.batch_size)}
    cut, counts = space.truncated(block.texts), space.token_counts(block.texts)
    metadata = {**block.metadata, TRUNCATED: cut.tolist(), N_TOKENS: counts.tolist()}
    if TEXT in names:
        metadata[TEXT] = list(block.texts)
    rows = table_of(block.ids, points, metadata, schema)
    fragment = write_fragment(recipe.path, rows, schema, storage_options=dict(recipe.storage_options))
    return BlockResult(fragment, len(block), int(counts.sum()), int(cut.sum()))
