"""``lexframe vae reconstruct``: texts encoded and decoded again, or the points of a store decoded."""

from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.vae import inputs
from lexframe.exceptions import InputError
from lexframe.text_forms import counted


def reconstruct(
    model: inputs.Model,
    texts: inputs.Texts = None,
    file: inputs.Input = None,
    text: options.Text = "text",
    *,
    files: table_options.Texts,
    points: Annotated[str | None, typer.Option(help="Decode the points of a latent store instead of texts.")] = None,
    column: Annotated[str | None, typer.Option(help="Column of points of the store; needed where there are several.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL over the columns of the store.")] = None,
    temperature: inputs.Temperature = 0.0,
    top_p: inputs.TopP = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of words.")] = 0,
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """Encode texts and decode them again, or decode the points of a store."""
    from lexframe.generative import reconstruct_texts
    from lexframe.spaces import Decoding

    decoding = Decoding(temperature, top_p, seed)
    if points is not None:
        if texts or file:
            raise InputError("Give texts or --points STORE, not both.")
        _decode_store(inputs.open_text_vae(model, device=device), points, column, where, decoding, as_json=as_json)
        return
    if column is not None or where is not None:
        raise InputError("--column and --where choose points of a store; they need --points STORE.")
    given = inputs.given_texts(texts, file, text, files)
    space = inputs.open_text_vae(model, device=device)
    found = reconstruct_texts(space, given, decoding=decoding, progress=printing.progress("batches"))
    inputs.note_cut(space, given)
    if as_json:
        printing.document(found.to_dict())
        return
    for before, after, accuracy in zip(found.texts, found.reconstructions, found.word_accuracies, strict=True):
        typer.echo(f"        {printing.one_line(before)}\n  {accuracy:4.2f}  {printing.one_line(after)}")
    rates = found.rates()
    printing.note(
        f"\nThe number is the share of places with the right word. {rates['exact_share']:.1%} of "
        f"{counted(len(given), 'text')} came back exactly; "
        f"word accuracy {rates['word_accuracy']:.3f} on average."
    )


def _decode_store(space: Any, path: str, column: str | None, where: str | None, decoding: Any, *, as_json: bool) -> None:
    """Decode the points of a store that this very space made."""
    from lexframe.latents import LatentStore

    store = LatentStore(path)
    chosen = store.column(column)
    chosen.fingerprint.require(space.fingerprint, what=f"{path}, column {chosen.name},")
    kept = [name for name in ("id", "text") if name in store.schema.names]
    rows = [row for batch in store.batches(kept, where=where) for row in batch.to_pylist()]
    written = decoding.texts(space, store.points(chosen.name, where=where), progress=printing.progress("batches"))
    if as_json:
        documents = [row | {"decoded": decoded} for row, decoded in zip(rows, written, strict=True)]
        printing.document({"rows": documents, "space": space.fingerprint.to_dict()})
        return
    for row, decoded in zip(rows, written, strict=True):
        typer.echo(f"  {row['id']}  {printing.one_line(row.get('text') or '')}\n    {printing.one_line(decoded)}")
    printing.note(f"\n{counted(len(written), 'point')} of {path} decoded.")
