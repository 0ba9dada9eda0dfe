"""``lexframe vae``: train text VAEs, and write, walk and edit with them."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, show, vae_edit, vae_score, vae_train
from lexframe.cli import vae_inputs as inputs
from lexframe.exceptions import InputError

app = typer.Typer(no_args_is_help=True, help="Text VAEs: train one, score it, reconstruct, sample, interpolate, edit.")
app.command("sentences")(vae_train.sentences)
app.command("train")(vae_train.train)
app.command("edit")(vae_edit.edit)
app.command("score")(vae_score.score_command)


@app.command()
def reconstruct(
    model: inputs.Model,
    texts: inputs.Texts = None,
    file: inputs.Input = None,
    text: options.Text = "text",
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
    given = inputs.given_texts(texts, file, text)
    space = inputs.open_text_vae(model, device=device)
    found = reconstruct_texts(space, given, decoding=decoding, progress=show.progress("batches"))
    inputs.note_cut(space, given)
    if as_json:
        show.document(found.to_dict())
        return
    for before, after, accuracy in zip(found.texts, found.reconstructions, found.word_accuracies, strict=True):
        typer.echo(f"        {show.one_line(before)}\n  {accuracy:4.2f}  {show.one_line(after)}")
    rates = found.rates()
    show.note(
        f"\nThe number is the share of places with the right word. {rates['exact_share']:.1%} of {len(given):,} texts came back exactly; "
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
    written = decoding.texts(space, store.points(chosen.name, where=where), progress=show.progress("batches"))
    if as_json:
        documents = [row | {"decoded": decoded} for row, decoded in zip(rows, written, strict=True)]
        show.document({"rows": documents, "space": space.fingerprint.to_dict()})
        return
    for row, decoded in zip(rows, written, strict=True):
        typer.echo(f"  {row['id']}  {show.one_line(row.get('text') or '')}\n    {show.one_line(decoded)}")
    show.note(f"\n{len(written):,} points of {path} decoded.")


@app.command()
def sample(
    model: inputs.Model,
    n: Annotated[int, typer.Option("-n", min=1, help="Texts.")] = 10,
    temperature: inputs.Temperature = 0.0,
    top_p: inputs.TopP = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of points and words.")] = 0,
    class_name: Annotated[str | None, typer.Option("--class", help="Draw points of this class; needs --labels.")] = None,
    labels: inputs.Labels = None,
    label: inputs.Label = "label",
    direction: inputs.SavedDirection = None,
    strength: Annotated[float | None, typer.Option(help="Times the direction; needs --direction. Default: 1.")] = None,
    nearest: Annotated[Path | None, typer.Option(help="Training texts: show the nearest one of every sample.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Real texts not trained on, for comparison with --nearest.")] = None,
    text: options.Text = "text",
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """Draw points from the prior or from the Gaussian of a class, move them along a direction if one is given, and write their texts."""
    from lexframe.generative import memorization_check, sample_texts
    from lexframe.instruments import class_gaussians_from_texts, load_direction
    from lexframe.spaces import Decoding

    if (class_name is None) != (labels is None):
        raise InputError("To draw from a class give both --class LABEL and --labels FILE.")
    if held_out is not None and nearest is None:
        raise InputError("--held-out compares with --nearest FILE; give both.")
    if strength is not None and direction is None:
        raise InputError("--strength is of a move along --direction FOLDER; give both.")
    labeled = inputs.labeled_texts(labels, text, label) if labels else None
    moved = load_direction(direction) if direction else None
    training = inputs.texts_of(nearest, text) if nearest else None
    real = inputs.texts_of(held_out, text) if held_out else None
    space = inputs.open_text_vae(model, device=device)
    gaussians = class_gaussians_from_texts(space, *labeled, progress=show.progress("encoding")) if labeled else None
    found = sample_texts(
        space, n, decoding=Decoding(temperature, top_p, seed), class_gaussians=gaussians, label=class_name,
        edit=moved, strength=1.0 if strength is None else strength, progress=show.progress("batches"),
    )  # fmt: skip
    check = memorization_check(found.texts, training, real, progress=show.progress("comparing")) if training else None
    if as_json:
        show.document(found.to_dict() | ({"memorization": check.to_dict()} if check else {}))
        return
    _print_samples(found, check)


def _print_samples(found: Any, check: Any) -> None:
    for number, written in enumerate(found.texts):
        typer.echo(f"  {show.one_line(written)}")
        if check is not None:
            near = check.samples
            typer.echo(
                f"    {'copy' if near.is_copy[number] else f'{near.similarities[number]:.2f}'}  {show.one_line(near.nearest[number])}"
            )
    agreement = "" if len(found.texts) == 1 else f", R² {found.r2:.2f}"
    show.note(
        f"\nRead again, the texts lie at a cosine of {found.cosines.mean():.2f} with the points they were written from{agreement}. "
        f"{found.distinct_share:.0%} of the texts are different, {found.empty_share:.0%} empty."
    )
    if check is None:
        return
    rates = check.samples.rates()
    show.note(
        f"Of {check.n_training:,} training texts: {rates['copied_share']:.0%} of the samples are copies; the nearest has a similarity of "
        f"{rates['similarity_median']:.2f} (median), the longest shared run is {rates['run_largest']} words."
    )
    if check.held_out is None:
        show.note("Real texts resemble each other too: --held-out FILE says how much.")
    else:
        show.note(
            f"Real texts that were held out: {check.held_out.rates()['similarity_median']:.2f}. A sample is nearer than one of them with "
            f"probability {check.nearer_probability:.2f} (0.5: as real texts)."
        )


@app.command()
def interpolate(
    model: inputs.Model,
    start: Annotated[str, typer.Argument(metavar="A", help="Text to start from.")],
    end: Annotated[str, typer.Argument(metavar="B", help="Text to end at.")],
    steps: Annotated[int, typer.Option(min=2, help="Points of the path, both ends included.")] = 9,
    path: Annotated[str, typer.Option(help="linear or spherical.")] = "linear",
    temperature: inputs.Temperature = 0.0,
    top_p: inputs.TopP = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of words.")] = 0,
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """The texts on the way from one text to another."""
    from lexframe.generative import interpolate as walk
    from lexframe.spaces import Decoding

    inputs.require_words([start, end])
    space = inputs.open_text_vae(model, device=device)
    found = walk(space, start, end, n_steps=steps, path=path, decoding=Decoding(temperature, top_p, seed))
    inputs.note_cut(space, [start, end])
    if as_json:
        show.document(found.to_dict())
        return
    columns = zip(found.texts, found.fractions, found.distances_to_start, found.distances_to_end, strict=True)
    show.table(
        ["text", "way", "from start", "from end"],
        [[show.one_line(text), *(f"{number:.2f}" for number in numbers)] for text, *numbers in columns],
    )
    if found.same_ends:
        show.note("\nBoth texts have one point, so the path stays where it is.")
    elif math.isnan(found.monotone_share):
        show.note("\nBoth ends are decoded to one text, so no step is forward or back.")
    else:
        show.note(
            f"\n{len(found.distinct_texts)} different texts. Steps that change a text go forward in {found.monotone_share:.0%} of cases; "
            f"smoothness {found.smoothness:.2f} (1: straight), largest step {found.largest_step:.2f} of the way "
            f"({1 / (steps - 1):.2f}: even), both of the points of these texts, read again."
        )
    show.note("From start, from end: word edits over the length of the longer text, from the texts of both ends as decoded.")


@app.command()
def traverse(
    model: inputs.Model,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Text to start from.")],
    dims: Annotated[str | None, typer.Option(help="Dimensions, such as 0,3. Default: all.")] = None,
    amounts: Annotated[str, typer.Option(help="In standard deviations of the prior: -3..3, or such as -2,-0.5,2.")] = "-3..3",
    absolute: Annotated[bool, typer.Option("--absolute", help="Amounts are places on the axis, not steps from the text's own.")] = False,
    temperature: inputs.Temperature = 0.0,
    top_p: inputs.TopP = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of words.")] = 0,
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """Move a text along dimensions of the latent, one at a time."""
    from lexframe.generative import traverse as walk
    from lexframe.spaces import Decoding

    inputs.require_words([text])
    axes = None if dims is None else list(dict.fromkeys(inputs.whole_numbers("--dims", dims)))
    steps = inputs.amounts_of("--amounts", amounts)
    space = inputs.open_text_vae(model, device=device)
    found = walk(
        space, text, axes=axes, amounts=steps, is_absolute=absolute, decoding=Decoding(temperature, top_p, seed),
        progress=show.progress("batches"),
    )  # fmt: skip
    inputs.note_cut(space, [text])
    if as_json:
        show.document(found.to_dict())
        return
    for axis, written, changes in zip(found.axes, found.texts, found.changes, strict=True):
        rows = zip(written, found.amounts, changes, strict=True)
        show.table([f"dimension {axis}", "amount", "change"], [[show.one_line(one), f"{at:+g}", f"{by:.2f}"] for one, at, by in rows])
    show.note(f"\nDecoded where it is: {show.one_line(found.reconstruction)}\nChange: word edits from that, over the longer text's length.")
