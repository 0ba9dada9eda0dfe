"""``lexframe lens fit``: the tuned lens that a path through the layers is read with."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.model_options import Prompted

LensType = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option("--lens-dtype", help="What the lens runs in at inner layers; auto takes the faster here."),
]


def fit(
    texts: Annotated[Path, typer.Argument(help=table_options.TEXTS)],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write, such as lens/.")],
    model: Prompted,
    text: options.Text = "text",
    files: table_options.Texts,
    steps: Annotated[int, typer.Option(min=0, help="Steps after the closed form; 0 leaves it at that.")] = 100,
    max_tokens: Annotated[int, typer.Option(min=64, help="Tokens to read at most.")] = 100_000,
    lens_dtype: LensType = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the order of texts.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Fit a tuned lens: an affine map a layer, in closed form and then by natural gradient."""
    from dataclasses import asdict

    from lexframe.instruments.traces.lens_fitting import fit_tuned_lens
    from lexframe.spaces.base import LensSpace

    table = files.read(texts, text=text, label=None)
    space = model.open(needs=LensSpace)
    found = fit_tuned_lens(
        space,
        table.texts,
        n_steps=steps,
        max_tokens=max_tokens,
        precision=resolved(lens_dtype, model.device),
        seed=seed,
        progress=printing.progress("fitting"),
    )
    found.save(out)
    if as_json:
        printing.document({"layers": [asdict(layer) for layer in found.fits], "out": str(out)})
        return
    rows = [[str(layer.layer), *(f"{layer.kl[stage]:.3f}" for stage in layer.kl), layer.chosen] for layer in found.fits]
    printing.table(["layer", "logit lens", "ridge", "trained", "used"], rows)
    printing.note(f"\nMean divergence of the model's answer from the lens's, nats a token, on tokens that were kept apart.\nlens: {out}")


def resolved(precision: str, device: str | None) -> str:
    """The precision, ``auto`` replaced by what is faster on the device."""
    from lexframe.spaces.precision import fastest_precision

    return fastest_precision(device) if precision == "auto" else precision
