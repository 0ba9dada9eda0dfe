"""``lexframe encode``: texts into a latent store, resumable."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.model_options import ModelOptions
from lexframe.text_forms import counted

LEAST_BYTES_FOR_WORKERS = 1_000_000
TEXTS_TO_COMPARE = 32
MOST_TEXTS_TO_FIT = 200_000
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def encode(
    texts: Annotated[list[Path], typer.Argument(help=f"{table_options.TEXTS} One or several.")],
    *,
    out: Annotated[str, typer.Option(help="Folder of the store, or an address such as s3://bucket/latents. Goes on where it was.")],
    text: options.Text = "text",
    pair: options.Pair = None,
    files: table_options.Texts,
    id_column: Annotated[str | None, typer.Option("--id", help="Column of ids. Default: the name of the file and the row.")] = None,
    keep: Annotated[str | None, typer.Option(help="Other columns to keep, comma-separated, such as label,year.")] = None,
    as_text: Annotated[str | None, typer.Option("--keep-as-text", help="Columns to keep as text, whatever they hold.")] = None,
    name: Annotated[str | None, typer.Option(help="Name for the ids in place of the file's.")] = None,
    model: Annotated[ModelOptions, FieldsOf(ModelOptions, without=("layer", "pooling", "dtype", "batch_size"))],
    layer: Annotated[str | None, typer.Option(help="Layers, comma-separated; -1 (the default) is the last state.")] = None,
    pooling: Annotated[str | None, typer.Option(help="last (the default), mean, typical, first or span; several comma-separated.")] = None,
    dtype: Annotated[Dtype, typer.Option(help="What the model runs in; auto is bfloat16 where it is faster here.")] = "auto",
    store_as: options.PointType = "float32",
    keep_text: Annotated[bool, typer.Option("--keep-text/--no-keep-text", help="Keep the texts in the store too.")] = True,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes of one thread; 0: none. Default: a core each for a long file.")
    ] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="ray: a Ray cluster (RAY_ADDRESS), or this machine as one.")] = "local",
    block_rows: Annotated[int, typer.Option(min=1, help="Texts of one commit: what a killed run does again at most.")] = 2048,
    as_json: options.Json = False,
) -> None:
    """Encode texts: points of several layers and poolings in one pass, kept in a store. Run it again to go on or to add texts."""
    from lexframe.data import count_rows
    from lexframe.exceptions import InputError
    from lexframe.latents import LatentStore, StoreSettings, Workers, encode_to_store, row_blocks
    from lexframe.latents.encoding import precision_deviation
    from lexframe.latents.fitted_spaces import space_of_store
    from lexframe.spaces.base import FittedSpace, TokenSpace
    from lexframe.spaces.precision import fastest_precision
    from lexframe.spaces.registry import recognized_kind, space_class

    written = options.comma_separated(as_text)
    kept_columns = tuple(dict.fromkeys([*options.comma_separated(keep), *written]))
    columns = {"text": text, "pair": pair}
    rows = partial(named_rows, texts, files, columns, id_column=id_column, keep=kept_columns, as_text=written, name=name)
    first = first_texts(texts, rows)  # reads the head of the file, so that it fails before the model loads
    types = kept_types(texts, files, columns, keep=kept_columns, as_text=written)
    representations = parse_representations("-1" if layer is None else layer, "last" if pooling is None else pooling)
    first_read = representations[0]
    given: dict[str, Any] = {"layer": first_read.layer if layer else None, "pooling": first_read.pooling if pooling else None}
    kept = next(iter(LatentStore(out).vectors.values())) if LatentStore.exists(out) else None
    chosen: Any = None if dtype == "auto" else dtype
    if dtype == "auto" and "dtype" in space_class(recognized_kind(model.model)).options():
        # A store goes on as it began, on whatever machine.
        chosen = kept.fingerprint.dtype if kept else fastest_precision(model.device and model.device.split(":")[0])
    space = replace(model, dtype=chosen, **given).open()
    if isinstance(space, FittedSpace) and not space.is_fitted:
        space = space_of_store(space, out, [row[1] for row in islice(rows(), MOST_TEXTS_TO_FIT)])
    layered = representations if isinstance(space, TokenSpace) else ()
    if not layered and len(representations) > 1:
        raise InputError(f"{model.model} is a {space.kind}, whose points are of one kind. Name one pooling, or a language model.")
    facts: dict[str, Any] = {}
    if chosen not in (None, "float32") and kept is None:
        exact = replace(model, dtype="float32", **given).open(quiet=True)
        facts["deviation_from_float32"] = precision_deviation(space, exact, first, layered)
        del exact
    if workers is None:
        long = sum(map(n_bytes, texts)) >= LEAST_BYTES_FOR_WORKERS
        workers = (os.cpu_count() or 1) if long and not space.on_gpu else 0
    if not space.networks():  # nothing that other processes could share
        workers = 0
    counts = [count_rows(path) for path in texts]
    with printing.throughput(None if None in counts else sum(counts)) as watch:
        result = encode_to_store(
            space, row_blocks(rows(), block_rows=block_rows, types=types), out, representations=layered,
            settings=StoreSettings(store_as, keep_text, facts), workers=Workers(workers, engine), progress=watch,
        )  # fmt: skip
    store = LatentStore(out)
    if as_json:
        printing.document({"result": result.to_dict(), "store": store.info().to_dict()})
        return
    _print(result, store)


def named_rows(
    paths: Sequence[Path],
    files: table_options.TextTables,
    columns: dict[str, str | None],
    *,
    id_column: str | None,
    keep: tuple[str, ...],
    as_text: tuple[str, ...] = (),
    name: str | None,
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Id, text and kept columns of every row of the files, under the names that the store gives them.

    Raises
    ------
    DataError
        If a row has no id.
    """
    from lexframe.exceptions import DataError

    asked = [*keep, *([id_column] if id_column and id_column not in keep else [])]
    for path in paths:
        own_name = "stdin" if str(path) == "-" else path.name or path.resolve().name
        place = f"{name}/{own_name}" if name and len(paths) > 1 else name or own_name
        for row in files.stream(path, **columns, columns=asked):
            own = f"{place}:{row.number}" if id_column is None else row.columns[id_column]
            if own is None:
                raise DataError(f"{path}, row {row.number + 1}: the field {id_column!r} is empty. Give every row an id, or leave --id out.")
            yield str(own), row.text, dict(_kept(row, keep, as_text))


def kept_types(
    paths: Sequence[Path],
    files: table_options.TextTables,
    columns: dict[str, str | None],
    *,
    keep: tuple[str, ...],
    as_text: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What kept columns hold over all rows; a pass over the files before anything is encoded, where columns are kept.

    Raises
    ------
    InputError
        If a column mixes types.
    """
    from lexframe.exceptions import InputError
    from lexframe.latents import ColumnTypes
    from lexframe.latents.filter_columns import stored_name

    names = [stored_name(column) for column in keep]
    if len(set(names)) < len(names):
        raise InputError(
            f"Two of the columns {', '.join(keep)} would be kept as {max(names, key=names.count)}. Rename one.", parameter="keep"
        )
    types = ColumnTypes(names)
    for path in paths if keep else ():
        for row in files.stream(path, **columns, columns=list(keep)):
            for stored, value in _kept(row, keep, as_text):
                types.add(stored, value, f"{path}, row {row.number + 1}")
    return types.types()


def _kept(row: Any, keep: tuple[str, ...], as_text: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Kept columns of a row under their names in the store."""
    from lexframe.latents.column_types import as_text as written
    from lexframe.latents.filter_columns import stored_name

    for column in keep:
        value = row.columns[column]
        yield stored_name(column), written(value) if column in as_text else value


def first_texts(files: Sequence[Path], rows: Callable[[], Iterator[tuple[str, str, dict[str, Any]]]]) -> list[str]:
    """A few texts from the beginning.

    Raises
    ------
    DataError
        If a file is absent, or there is no text.
    """
    from lexframe.exceptions import DataError

    absent = [path for path in files if not path.exists() and str(path) != "-"]
    if absent:
        raise DataError(f"{absent[0]}: no such file. Name files of texts.")
    first = [found[1] for found in islice(rows(), TEXTS_TO_COMPARE)]
    if not first:
        raise DataError(f"{', '.join(map(str, files))} holds no text. Give a file with at least one row of text.")
    return first


def n_bytes(path: Path) -> int:
    """How much there is to read, about; what is piped in counts as much."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size if path.is_file() else LEAST_BYTES_FOR_WORKERS


def parse_representations(layers: str, poolings: str) -> list[Any]:
    """Every pair of a layer and a pooling."""
    from lexframe.exceptions import InputError
    from lexframe.spaces.base import Representation

    names, numbers = options.comma_separated(poolings), options.comma_separated(layers)
    found = [Representation.parse(f"{number}:{name}") for number in numbers for name in names]
    if not found:
        raise InputError(f"No layer or no pooling is named in {layers!r} and {poolings!r}; write such as --layer 4,-1 --pooling mean,last.")
    return found


def _print(result: Any, store: Any) -> None:
    info = store.info()
    printing.table(
        ["column", "dimensions", "layer", "pooling", "model runs in", "stored in"],
        [
            [column.name, f"{column.n_dims:,}", str(column.fingerprint.layer), column.fingerprint.pooling, column.fingerprint.dtype,
             column.precision]
            for column in info.vectors
        ],
    )  # fmt: skip
    printing.note(f"\n{result.store}: {counted(info.n_rows, 'row')}, {info.n_bytes / 1e6:,.1f} MB, version {info.version}.")
    if result.n_encoded:
        printing.note(
            f"{counted(result.n_encoded, 'text')} ({counted(result.n_tokens, 'token')}) encoded in {result.seconds:.1f} s: "
            f"{result.texts_per_second:,.0f} texts/s, {result.tokens_per_second:,.0f} tokens/s."
        )
    if result.n_kept:
        printing.note(f"In the store already: {counted(result.n_kept, 'text')}.")
    if result.n_truncated:
        printing.note(f"Cut to the context of the model: {counted(result.n_truncated, 'text')}; the column 'truncated' names them.")
    for name, cosines in info.facts.get("deviation_from_float32", {}).items():
        printing.note(
            f"{name}: cosine with float32 {cosines['mean_cosine']:.5f} on average, {cosines['least_cosine']:.5f} at least, "
            f"over {cosines['n_texts']:.0f} texts. --dtype float32 is exact."
        )
