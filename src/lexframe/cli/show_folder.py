"""``lexframe show``: what a folder is that some verb has written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing

_USES = {
    "adapter": "lexframe predict FOLDER TEXTS",
    "audit": "lexframe audit FOLDER --report PAGE, or --csv FILE",
    "classifier-gradient-edit": "lexframe vae edit MODEL TEXT --direction FOLDER",
    "direction": "lexframe steer PROMPT --direction FOLDER, or of a text VAE: lexframe vae edit MODEL TEXT --direction FOLDER",
    "matched-difference-edit": "lexframe vae edit MODEL TEXT --direction FOLDER",
    "mean-difference-edit": "lexframe vae edit MODEL TEXT --direction FOLDER",
    "neighbor-index": "lexframe.NeighborIndex.load(FOLDER) in Python",
    "task-space": "lexframe tasks show FOLDER --report PAGE, or --task NAME",
    "task-transfer": "lexframe tasks show FOLDER --report PAGE",
    "tuned-lens": "lexframe trace PROMPT --lens FOLDER",
}
_IN_PYTHON = "lexframe.instruments.load_instrument(FOLDER) in Python"
_WIDEST = 96
_MOST_LINES = 60


def show_folder(
    folder: Annotated[Path, typer.Argument(help="What --out or save() made.")],
    as_json: options.Json = False,
) -> None:
    """Say what a folder holds: its kind, the space it belongs to, its parameters and arrays, and what reads it."""
    other = _recognized(folder)
    if other is not None:
        what, use = other
        if as_json:
            printing.document({"folder": str(folder), "kind": what, "use": use})
        else:
            typer.echo(f"{folder} is a {what}. Read it with: {use}")
        return
    from lexframe.artifacts import read_artifact

    artifact = read_artifact(folder, version=None)
    use = _USES.get(artifact.kind, _IN_PYTHON).replace("FOLDER", str(folder))
    summary = _summary(folder, artifact.kind)
    if as_json:
        printing.document({"folder": str(folder), **artifact.describe(), "summary": summary, "use": use})
        return
    typer.echo(f"{folder} holds: {artifact.kind}, version {artifact.version}")
    if summary:
        typer.echo(summary)
    typer.echo(f"\nspace     {artifact.provenance.space or 'none is named'}")
    if artifact.provenance.seed is not None:
        typer.echo(f"seed      {artifact.provenance.seed}")
    typer.echo("versions  " + ", ".join(f"{name} {version}" for name, version in artifact.provenance.versions.items()))
    rows = list(_flat(artifact.parameters))
    if rows:
        typer.echo("")
        _listed("parameter", rows)
    typer.echo("")
    described = artifact.describe()["arrays"]
    _listed("array", [(name, f"{' × '.join(map(str, found['shape']))}, {found['type']}") for name, found in sorted(described.items())])
    printing.note(f"\nRead it with: {use}")


def _recognized(folder: Path) -> tuple[str, str] | None:
    """What a folder is that has a format of its own, and what reads it."""
    if (folder / "_versions").is_dir():  # the commits of a Lance dataset
        return "latent store", f"lexframe store info {folder}"
    for place in (folder, folder / "model"):
        if (place / "vae.json").is_file():
            return "text VAE", f"lexframe vae sample {place}, or reconstruct, interpolate, traverse and edit"
    return None


def _summary(folder: Path, kind: str) -> str | None:
    """What is found in it, in words; also a check that it can be opened."""
    from lexframe.instruments import PointEdit, instrument_kinds, load_instrument

    if kind == "audit":
        from lexframe.audit import AuditResult

        return AuditResult.load(folder).summary()
    if kind in ("task-space", "task-transfer"):
        from lexframe.task_space import TaskSpace, Transfer

        return printing.one_line(str((TaskSpace if kind == "task-space" else Transfer).load(folder).verdict))
    if kind not in instrument_kinds():
        return None
    found = load_instrument(folder)
    if isinstance(found, PointEdit):
        return f"moves points towards {printing.one_line(found.goal)}"
    return None


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Plain values by their path, each on one line that is no longer than a terminal."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = printing.one_line(", ".join(map(str, value[:50])) if isinstance(value, list) else str(value))
            more = f" ({len(value):,} values)" if isinstance(value, list) and len(text) > _WIDEST else ""
            yield printing.one_line(f"{prefix}{name}"), (text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…") + more


def _listed(heading: str, rows: list[tuple[str, str]]) -> None:
    """Two columns, both flush left."""
    width = max(len(name) for name, _ in [(heading, ""), *rows[:_MOST_LINES]])
    typer.echo(f"  {heading}\n  {'-' * width}")
    for name, value in rows[:_MOST_LINES]:
        typer.echo(f"  {name:{width}s}  {value}".rstrip())
    if len(rows) > _MOST_LINES:
        typer.echo(f"  … and {len(rows) - _MOST_LINES:,} more; --json prints all of them.")
