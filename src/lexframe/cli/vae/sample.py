"""``lexframe vae sample``: texts of points that are drawn."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.vae import inputs
from lexframe.exceptions import InputError


def sample(
    model: inputs.Model,
    limit: Annotated[int, typer.Option(min=1, help="Texts to write.")] = 10,
    temperature: inputs.Temperature = 0.0,
    top_p: inputs.TopP = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of points and words.")] = 0,
    class_name: Annotated[str | None, typer.Option("--class", help="Draw points of this class; needs --labeled.")] = None,
    labeled: inputs.Labeled = None,
    label: options.Label = "label",
    direction: inputs.SavedDirection = None,
    strength: Annotated[float | None, typer.Option(help="Times the direction; needs --direction. Default: 1.")] = None,
    training: Annotated[Path | None, typer.Option(help="File of training texts: show the nearest one of every sample.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Real texts not trained on, for comparison with --training.")] = None,
    text: options.Text = "text",
    *,
    files: table_options.Labeled,
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """Draw points from the prior or from the Gaussian of a class, move them along a direction if one is given, and write their texts."""
    from lexframe.generative import memorization_check, sample_texts
    from lexframe.instruments import class_gaussians_from_texts
    from lexframe.spaces import Decoding

    if (class_name is None) != (labeled is None):
        raise InputError("To draw from a class give both --class LABEL and --labeled FILE.")
    if held_out is not None and training is None:
        raise InputError("--held-out compares with --training FILE; give both.")
    if strength is not None and direction is None:
        raise InputError("--strength is of a move along --direction FOLDER; give both.")
    classes = files.read(labeled, text=text, label=label) if labeled else None
    moved = inputs.saved_edit(direction) if direction else None
    learned = files.read(training, text=text, label=None).texts if training else None
    real = files.read(held_out, text=text, label=None).texts if held_out else None
    space = inputs.open_text_vae(model, device=device)
    gaussians = (
        class_gaussians_from_texts(space, list(classes.texts), list(classes.labels or ()), progress=printing.progress("encoding"))
        if classes
        else None
    )
    found = sample_texts(
        space, limit, decoding=Decoding(temperature, top_p, seed), class_gaussians=gaussians, label=class_name,
        edit=moved, strength=1.0 if strength is None else strength, progress=printing.progress("batches"),
    )  # fmt: skip
    check = memorization_check(found.texts, learned, real, progress=printing.progress("comparing")) if learned else None
    if as_json:
        printing.document(found.to_dict() | ({"memorization": check.to_dict()} if check else {}))
        return
    _print_samples(found, check)


def _print_samples(found: Any, check: Any) -> None:
    for number, written in enumerate(found.texts):
        typer.echo(f"  {printing.one_line(written)}")
        if check is not None:
            near = check.samples
            typer.echo(
                f"    {'copy' if near.is_copy[number] else f'{near.similarities[number]:.2f}'}  {printing.one_line(near.nearest[number])}"
            )
    agreement = "" if len(found.texts) == 1 else f", R² {found.r2:.2f}"
    printing.note(
        f"\nRead again, the texts lie at a cosine of {found.cosines.mean():.2f} with the points they were written from{agreement}. "
        f"{found.distinct_share:.0%} of the texts are different, {found.empty_share:.0%} empty."
    )
    if check is None:
        return
    rates = check.samples.rates()
    printing.note(
        f"Of {check.n_training:,} training texts: {rates['copied_share']:.0%} of the samples are copies; the nearest has a similarity of "
        f"{rates['similarity_median']:.2f} (median), the longest shared run is {rates['run_largest']} words."
    )
    if check.held_out is None:
        printing.note("Real texts resemble each other too: --held-out FILE says how much.")
    else:
        printing.note(
            f"Real texts that were held out: {check.held_out.rates()['similarity_median']:.2f}. A sample is nearer than one of them with "
            f"probability {check.nearer_probability:.2f} (0.5: as real texts)."
        )
