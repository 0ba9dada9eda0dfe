"""``lexframe store``: what a latent store holds, whether it is whole, rows in and out."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.text_forms import counted

Store = Annotated[str, typer.Argument(metavar="STORE", help="Folder of the store, or an address such as s3://bucket/latents.")]
Where = Annotated[str | None, typer.Option(help="Condition over the columns, such as \"label = 'late' AND n_tokens > 20\".")]


def info(store: Store, as_json: options.Json = False) -> None:
    """What the store holds, and what made its points."""
    from lexframe.latents import LatentStore

    found = LatentStore(store).info()
    if as_json:
        printing.document(found.to_dict())
        return
    printing.table(
        ["points", "dimensions", "stored in", "made by"],
        [[column.name, f"{column.n_dims:,}", column.precision, str(column.fingerprint)] for column in found.vectors],
    )
    typer.echo("")
    printing.table(["column", "type"], [[name, kind] for name, kind in found.metadata.items()])
    printing.note(
        f"\n{found.path}: {counted(found.n_rows, 'row')} in {counted(found.n_fragments, 'file')}, {found.n_bytes / 1e6:,.1f} MB; "
        f"version {found.version} of {found.n_versions} kept."
    )
    if "read_together" in found.facts:
        printing.note(f"Neighbors in a batch change points of this model, so {printing.READ_TOGETHER[found.facts['read_together']]}.")
    for name, cosines in found.facts.get("deviation_from_float32", {}).items():
        printing.note(f"{name}: cosine with float32 {cosines['mean_cosine']:.5f} on average, {cosines['least_cosine']:.5f} at least.")


def verify(store: Store, as_json: options.Json = False) -> None:
    """Read every value and compare it with its checksum; exits with 2 and names what is damaged."""
    from lexframe.exceptions import DataError
    from lexframe.latents import LatentStore

    found = LatentStore(store).verify()
    if as_json:
        printing.document(found.to_dict())
    for problem in found.problems:
        printing.note(problem)
    if not found.holds:
        raise DataError(
            f"{store}: {counted(len(found.problems), 'problem')}, {counted(found.n_rows, 'row')} whole. Go back "
            f"a version (lexframe store restore), or "
            "delete the damaged rows and encode their texts again."
        )
    if not as_json:
        printing.note(f"{store}: all {found.n_rows:,} rows are as they were written.")


def query(
    store: Store,
    where: Where = None,
    columns: Annotated[str | None, typer.Option(help="Comma-separated. Default: all but the points.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 20,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write these rows to a CSV file, points of --columns too.")] = None,
    as_json: options.Json = False,
) -> None:
    """Rows that meet a condition over the metadata."""
    from lexframe.latents import LatentStore, export_store

    opened = LatentStore(store)
    names = None if columns is None else options.comma_separated(columns)
    if csv is not None:
        n_rows = export_store(opened, csv, where=where, columns=names or [*opened.metadata], limit=limit)
        _done({"n_rows": n_rows, "out": str(csv)}, f"{counted(n_rows, 'row')}: {csv}", as_json=as_json)
        return
    rows = opened.query(where, columns=names, limit=limit)
    if as_json:
        printing.document({"rows": [{name: _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]})
        return
    printing.table([*rows.columns], [[short(value) for value in row] for row in rows.itertuples(index=False)])


def export_rows(
    store: Store,
    *,
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv, .jsonl or .npz.")],
    where: Where = None,
    columns: Annotated[str | None, typer.Option(help="Comma-separated. Default: all.")] = None,
    as_json: options.Json = False,
) -> None:
    """Write rows to one file."""
    from lexframe.latents import LatentStore, export_store

    names = None if columns is None else options.comma_separated(columns)
    n_rows = export_store(LatentStore(store), out, where=where, columns=names)
    _done({"n_rows": n_rows, "out": str(out)}, f"{counted(n_rows, 'row')}: {out}", as_json=as_json)


def import_rows(
    vectors: Annotated[Path, typer.Argument(help="Vectors: .npy, .npz, .safetensors or .parquet.")],
    out: Annotated[str, typer.Option(help="Folder of the store.")],
    made_by: Annotated[str, typer.Option(help="What made them, such as 'text-embedding-3-small, 2026-05'.")],
    column: Annotated[str | None, typer.Option(help="Column or array of the vectors, where there are several.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column of ids. Default: row numbers.")] = None,
    store_as: options.PointType = "float32",
    as_json: options.Json = False,
) -> None:
    """Take vectors that somebody has made already into a store."""
    from lexframe.latents import import_vectors

    store = import_vectors(vectors, out, made_by=made_by, column=column, ids=id_column, precision=store_as)
    n_dims = store.column("vector").n_dims
    _done(
        {"store": store.path, "n_rows": len(store), "n_dims": n_dims, "version": store.version},
        f"{store.path}: {counted(len(store), 'row')} of {counted(n_dims, 'dimension')}, version {store.version}",
        as_json=as_json,
    )


def delete(
    store: Store,
    *,
    where: Annotated[str, typer.Option(help="Condition over the columns: which rows.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Delete rows, after showing how many; 'restore' brings them back until the store is compacted with --forget."""
    from lexframe.latents import LatentStore

    opened = LatentStore(store)
    n_taken, n_rows = opened.count(where), len(opened)
    if n_taken and not yes:
        _ask(store, n_taken, n_rows)
    n_deleted = opened.delete(where) if n_taken else 0
    _done(
        {"n_deleted": n_deleted, "n_rows": len(opened), "version": opened.version},
        f"{counted(n_deleted, 'row')} deleted, {len(opened):,} left; version {opened.version}",
        as_json=as_json,
    )


def compact(
    store: Store,
    forget: Annotated[bool, typer.Option("--forget", help="Free the space of all older versions and of unfinished writes.")] = False,
    as_json: options.Json = False,
) -> None:
    """Join small files into large ones."""
    from lexframe.latents import LatentStore

    opened = LatentStore(store)
    before = opened.info()
    opened.compact(keep_versions=not forget)
    n_files = opened.info().n_fragments
    _done(
        {"files_before": before.n_fragments, "files": n_files, "version": opened.version},
        f"{counted(before.n_fragments, 'file')} became {n_files}; version {opened.version}",
        as_json=as_json,
    )


def versions(store: Store, as_json: options.Json = False) -> None:
    """Versions that can be restored."""
    from lexframe.latents import LatentStore

    found = LatentStore(store).versions()
    if as_json:
        printing.document({"versions": found})
        return
    printing.table(["version", "written"], [[str(row["version"]), row["time"]] for row in found])


def restore(store: Store, version: Annotated[int, typer.Argument(help="Number, see 'versions'.")], as_json: options.Json = False) -> None:
    """Make an older version the newest; the one before stays among the versions."""
    from lexframe.latents import LatentStore

    opened = LatentStore(store)
    opened.restore(version)
    _done(
        {"store": str(store), "version": opened.version, "restored": version, "n_rows": len(opened)},
        f"{store}: version {opened.version} holds the {len(opened):,} rows of version {version}",
        as_json=as_json,
    )


def _ask(store: str, n_taken: int, n_rows: int) -> None:
    """Ask whether rows are to be deleted; ends the verb if not."""
    from lexframe.exceptions import InputError

    if not sys.stdin.isatty():
        what = f"ALL {counted(n_rows, 'row')}" if n_taken == n_rows else f"{n_taken:,} of {counted(n_rows, 'row')}"
        raise InputError(f"The condition takes {what} of {store}, and nobody can be asked. Nothing was deleted; say so with --yes.")
    question = (
        f"The condition takes ALL {counted(n_rows, 'row')} of {store}: nothing will be left. Delete every row?"
        if n_taken == n_rows
        else f"The condition takes {n_taken:,} of {n_rows:,} rows of {store}. Delete them?"
    )
    if not typer.confirm(question, err=True):
        printing.note("Nothing was deleted.")
        raise typer.Exit


def _done(facts: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        printing.document(facts)
    else:
        printing.note(line)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def short(value: Any, most: int = 60) -> str:
    """A value on one line, cut where it is long; nothing where it is missing."""
    from lexframe.checks import is_missing

    text = "" if is_missing(value) else " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
