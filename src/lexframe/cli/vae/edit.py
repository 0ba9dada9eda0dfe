"""``lexframe vae edit``: texts before and after a move of their points, and after a random move of the same length."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.vae import inputs
from lexframe.data.tables.values import label_of
from lexframe.exceptions import InputError


def edit(
    model: inputs.Model,
    texts: inputs.Texts = None,
    file: inputs.Input = None,
    text: options.Text = "text",
    positive: Annotated[Path | None, typer.Option(help="Texts to move towards.")] = None,
    negative: Annotated[Path | None, typer.Option(help="Texts to move away from.")] = None,
    *,
    tables: table_options.Labeled,
    labeled: inputs.Labeled = None,
    label: options.Label = "label",
    towards: Annotated[str | None, typer.Option(help="Class of --labeled to move towards, away from all others.")] = None,
    keep: Annotated[
        str | None,
        typer.Option(help="Other columns of --labeled, such as number,polarity: the move is learned among texts that agree in them."),
    ] = None,
    direction: inputs.SavedDirection = None,
    method: Annotated[
        str | None,
        typer.Option(help="How texts give the edit: mean-difference (default) or classifier.", show_default=False),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="1 moves one mean onto the other, or to a classifier's probability of 0.9; 0 nothing.")
    ] = 1.0,
    temperature: inputs.Temperature = 0.0,
    top_p: inputs.TopP = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the control's directions and the draws of words.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for what was learned: a mean difference as a direction, or the edit.")] = None,
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """Move texts towards a class or along a direction, beside a random move of the same length."""
    from lexframe.generative import edit_texts
    from lexframe.spaces import Decoding

    source = _edit_source((positive, negative), (labeled, towards), direction, (text, label, tables))
    if direction is not None and method is not None:
        raise InputError("--method says how texts give an edit; a saved --direction is one already. Leave --method out.")
    method = method or "mean-difference"
    if out is not None and direction is not None:
        raise InputError("--out keeps what texts give, and a saved --direction is kept already. Leave one of them out.")
    if keep is not None and labeled is None:
        raise InputError("--keep names columns of --labeled FILE; give that file.")
    kept = None if keep is None or labeled is None else _kept(labeled, (text, label, tables), keep)
    given = inputs.given_texts(texts, file, text, tables)
    earlier = None if out is None else _saved_before(out)
    space = inputs.open_text_vae(model, device=device)
    used = _found_edit(space, source, method, kept, out) if isinstance(source, tuple) else source
    found = edit_texts(
        space, given, used, strength=strength, decoding=Decoding(temperature, top_p, seed), progress=printing.progress("batches")
    )
    inputs.note_cut(space, given)
    if as_json:
        printing.document(found.to_dict())
    else:
        _print_edits(found)
    if out is not None:
        printing.note(f"saved: {out}{'' if earlier is None else f', in place of the one towards {earlier} that stood there'}")


def _edit_source(
    files: tuple[Path | None, Path | None],
    classes: tuple[Path | None, str | None],
    saved: Path | None,
    reading: tuple[str, str, table_options.LabeledTables],
) -> Any:
    """A saved direction or edit, or texts, their labels and the class to move towards."""
    ways = (files, classes, (saved,))
    started = [any(part is not None for part in way) for way in ways]
    whole = [all(part is not None for part in way) for way in ways]
    if started.count(True) != 1 or started != whole:
        raise InputError(
            "Say what to move towards in one way: --positive FILE --negative FILE, or --labeled FILE --towards CLASS, or "
            "--direction FOLDER."
        )
    if saved is not None:
        return inputs.saved_edit(saved)
    if files[0] is not None and files[1] is not None:
        texts, names = inputs.poles(files[0], files[1], reading[0], reading[2])
        return texts, names, names[0]
    assert classes[0] is not None
    table = reading[2].read(classes[0], text=reading[0], label=reading[1])
    return list(table.texts), list(table.labels or ()), classes[1]


def _kept(file: Path, reading: tuple[str, str, table_options.LabeledTables], names: str) -> list[tuple[str, ...]]:
    """The values of other columns, a tuple a labeled row."""
    text, label, tables = reading
    columns = [name.strip() for name in names.split(",")]
    rows = set(tables.read(file, text=text, label=label).rows)
    found = []
    for row in tables.stream(file, text=text, columns=columns):
        if row.number in rows:
            values = tuple(label_of(row.columns[name]) for name in columns)
            if not all(values):
                raise InputError(f"{file}, row {row.number + 1}: the field {columns[values.index('')]!r} is empty. Give every row a value.")
            found.append(values)
    return found


def _found_edit(
    space: Any, source: tuple[list[str], list[str], str], method: str, kept: list[tuple[str, ...]] | None, out: Path | None
) -> Any:
    from lexframe.instruments import MeanDifferenceEdit, edit_from_texts

    texts, labels, target = source
    found = edit_from_texts(space, texts, labels, target, method=method, keep=kept, progress=printing.progress("encoding"))
    if out is not None:
        lasting = found.direction_ if isinstance(found, MeanDifferenceEdit) else found  # a direction can be added to others
        lasting.save(out)
    return found


def _saved_before(folder: Path) -> str | None:
    """Where the edit leads that a new one will replace; None without one. A damaged one is refused before anything is computed."""
    from lexframe.artifacts import is_artifact

    return printing.one_line(inputs.saved_edit(folder).goal) if is_artifact(folder) else None


def _print_edits(found: Any) -> None:
    for row in found.to_frame().to_dict("records"):
        typer.echo(printing.one_line(row["texts"]))
        for name, column in (("decoded", "reconstructions"), ("edited", "edited"), ("random", "controls")):
            typer.echo(f"  {name:7s}  {printing.one_line(row[column])}")
    rates = found.rates()
    typer.echo("")
    printing.table(
        ["over the texts", "changed", "in target", "words kept"],
        [
            ["decoded", "", _share(rates["reconstruction_in_target"]), ""],
            *(
                [name, *(_share(rates[f"{kind}_{measure}"]) for measure in ("changed", "in_target", "content_kept"))]
                for name, kind in (("edited", "edit"), ("random", "control"))
            ),
        ],
    )
    if found.verdict is not None:
        printing.note(f"\n{found.verdict}")
    judged = (
        " In target: texts that a classifier of the labeled texts takes for the class moved towards, once they are read again."
        if rates["edit_in_target"] is not None
        else ""
    )
    printing.note(
        f"\nPoints moved by {found.shifts.mean():.2f} on average, the random ones by as much.{judged} Words kept: those that it shares "
        "with the decoded text, twice their number over the words of both."
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
