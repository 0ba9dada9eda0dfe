"""``lexframe store``: what a latent store holds, whether it is whole, rows in and out; ``lexframe neighbors``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, show

app = typer.Typer(no_args_is_help=True, help="Latent stores: what they hold, whether they are whole, rows in and out.")

Store = Annotated[str, typer.Argument(metavar="STORE", help="Folder of the store, or an address such as s3://bucket/latents.")]
Where = Annotated[str | None, typer.Option(help="SQL over the columns, such as \"label = 'late' AND n_tokens > 20\".")]
Column = Annotated[str | None, typer.Option(help="Column of points; needed where there are several.")]


@app.callback()
def _store() -> None:
    """Latent stores: what they hold, whether they are whole, rows in and out."""


@app.command()
def info(store: Store, as_json: options.Json = False) -> None:
    """What the store holds, and what made its points."""
    from lexframe.latents import LatentStore

    found = LatentStore(store).info()
    if as_json:
        show.document(found.to_dict())
        return
    show.table(
        ["points", "dimensions", "stored in", "made by"],
        [[column.name, f"{column.n_dims:,}", column.precision, str(column.fingerprint)] for column in found.vectors],
    )
    typer.echo("")
    show.table(["column", "type"], [[name, kind] for name, kind in found.metadata.items()])
    show.note(
        f"\n{found.path}: {found.n_rows:,} rows in {found.n_fragments} files, {found.n_bytes / 1e6:,.1f} MB; "
        f"version {found.version} of {found.n_versions} kept."
    )
    for name, cosines in found.facts.get("deviation_from_float32", {}).items():
        show.note(f"{name}: cosine with float32 {cosines['mean_cosine']:.5f} on average, {cosines['least_cosine']:.5f} at least.")


@app.command()
def verify(store: Store, as_json: options.Json = False) -> None:
    """Read every value and compare it with its checksum; exits with 2 and names what is damaged."""
    from lexframe.exceptions import DataError
    from lexframe.latents import LatentStore

    found = LatentStore(store).verify()
    if as_json:
        show.document(found.to_dict())
    for problem in found.problems:
        show.note(problem)
    if not found.holds:
        raise DataError(
            f"{store}: {len(found.problems)} problems, {found.n_rows:,} rows are whole. Go back a version (lexframe store restore), or "
            "delete the damaged rows and encode their texts again."
        )
    if not as_json:
        show.note(f"{store}: all {found.n_rows:,} rows are as they were written.")


@app.command()
def query(
    store: Store,
    where: Where = None,
    columns: Annotated[str | None, typer.Option(help="Comma-separated. Default: all but the points.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 20,
    as_json: options.Json = False,
) -> None:
    """Rows that meet a condition over the metadata."""
    from lexframe.latents import LatentStore

    opened = LatentStore(store)
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    rows = opened.query(where, columns=names, limit=limit)
    if as_json:
        show.document({"rows": [{name: _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]})
        return
    show.table([*rows.columns], [[_short(value) for value in row] for row in rows.itertuples(index=False)])


@app.command("export")
def export_rows(
    store: Store,
    out: Annotated[Path, typer.Argument(help="File to write: .parquet or .npz.")],
    where: Where = None,
    columns: Annotated[str | None, typer.Option(help="Comma-separated. Default: all.")] = None,
) -> None:
    """Write rows to one file."""
    from lexframe.latents import LatentStore, export_store

    names = None if columns is None else [name.strip() for name in columns.split(",")]
    n_rows = export_store(LatentStore(store), out, where=where, columns=names)
    show.note(f"{n_rows:,} rows: {out}")


@app.command("import")
def import_rows(
    vectors: Annotated[Path, typer.Argument(help="Vectors: .npy, .npz, .safetensors or .parquet.")],
    out: Annotated[str, typer.Option(help="Folder of the store.")],
    made_by: Annotated[str, typer.Option(help="What made them, such as 'text-embedding-3-small, 2026-05'.")],
    column: Annotated[str | None, typer.Option(help="Column or array of the vectors, where there are several.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column of ids. Default: row numbers.")] = None,
    precision: Annotated[str, typer.Option(help="float32 or float16: of the points in the store.")] = "float32",
) -> None:
    """Take vectors that somebody has made already into a store."""
    from lexframe.latents import import_vectors

    store = import_vectors(vectors, out, made_by=made_by, column=column, ids=id_column, precision=precision)
    show.note(f"{store.path}: {len(store):,} rows of {store.column('vector').n_dims} dimensions, version {store.version}")


@app.command()
def delete(store: Store, where: Annotated[str, typer.Option(help="SQL over the columns.")]) -> None:
    """Delete rows; 'restore' brings them back until the store is compacted with --forget."""
    from lexframe.latents import LatentStore

    opened = LatentStore(store)
    show.note(f"{opened.delete(where):,} rows deleted, {len(opened):,} left; version {opened.version}")


@app.command()
def compact(
    store: Store,
    forget: Annotated[bool, typer.Option("--forget", help="Free the space of all older versions and of unfinished writes.")] = False,
) -> None:
    """Join small files into large ones."""
    from lexframe.latents import LatentStore

    opened = LatentStore(store)
    before = opened.info()
    opened.compact(keep_versions=not forget)
    show.note(f"{before.n_fragments} files became {opened.info().n_fragments}; version {opened.version}")


@app.command()
def versions(store: Store, as_json: options.Json = False) -> None:
    """Versions that can be restored."""
    from lexframe.latents import LatentStore

    found = LatentStore(store).versions()
    if as_json:
        show.document({"versions": found})
        return
    show.table(["version", "written"], [[str(row["version"]), row["time"]] for row in found])


@app.command()
def restore(store: Store, version: Annotated[int, typer.Argument(help="Number, see 'versions'.")]) -> None:
    """Make an older version the newest; the one before stays among the versions."""
    from lexframe.latents import LatentStore

    opened = LatentStore(store)
    opened.restore(version)
    show.note(f"{store}: version {opened.version} holds the {len(opened):,} rows of version {version}")


def neighbors(
    store: Store,
    text: Annotated[str | None, typer.Option(help="Look near this text; opens the model that made the points.")] = None,
    row_id: Annotated[str | None, typer.Option("--id", help="Look near the row with this id.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
    where: Where = None,
    column: Column = None,
    metric: Annotated[str, typer.Option(help="cosine, inner-product, euclidean or whitened.")] = "cosine",
    model: Annotated[str | None, typer.Option("--model", "-m", help="Where the model is now. Default: where it was.")] = None,
    recall: Annotated[bool, typer.Option("--recall", help="Measure how many true neighbors the index finds.")] = False,
    as_json: options.Json = False,
) -> None:
    """The rows of a store nearest to a text or to one of its rows; the index is kept beside the store."""
    from lexframe.exceptions import InputError
    from lexframe.latents import LatentStore, store_index
    from lexframe.latents.neighbors import nearest_rows

    if (text is None) == (row_id is None):
        raise InputError("Name one of --text and --id: what to look near.")
    opened = LatentStore(store)
    chosen = opened.column(column)
    if text is not None:
        from lexframe.spaces import reopen_space

        show.quiet_libraries()
        query_point = reopen_space(chosen.fingerprint, model=model, what=store).encode([text])
    else:
        assert row_id is not None
        query_point = opened.points(chosen.name, where=f"id = '{row_id.replace(chr(39), chr(39) * 2)}'")
        if not len(query_point):
            raise InputError(f"{store} has no row with the id {row_id!r}.")
    index = store_index(opened, chosen.name, metric=metric)
    found = nearest_rows(opened, index, query_point[:1], k, where=where)
    measured = index.recall(opened.points(chosen.name)[:1000], k) if recall else None
    if as_json:
        show.document({"metric": metric, "exact": index.is_exact_, "recall": measured, "rows": found})
        return
    if not found:
        show.note(f"No row of {store} meets the condition.")
        return
    names = [name for name in found[0] if name != "score"]
    show.table([metric, *names], [[f"{row['score']:.4f}", *(_short(row[name]) for name in names)] for row in found])
    if measured is not None:
        show.note(f"\nrecall of {k} neighbors over up to 1,000 rows: {measured:.4f} ({'exact' if index.is_exact_ else 'graph'} index)")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _short(value: Any, most: int = 60) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
