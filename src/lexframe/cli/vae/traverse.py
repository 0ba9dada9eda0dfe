"""``lexframe vae traverse``: a text moved along dimensions of the latent."""

from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.cli.vae import inputs


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
        progress=printing.progress("batches"),
    )  # fmt: skip
    inputs.note_cut(space, [text])
    if as_json:
        printing.document(found.to_dict())
        return
    for axis, written, changes in zip(found.axes, found.texts, found.changes, strict=True):
        rows = zip(written, found.amounts, changes, strict=True)
        printing.table(
            [f"dimension {axis}", "amount", "change"], [[printing.one_line(one), f"{at:+g}", f"{by:.2f}"] for one, at, by in rows]
        )
    printing.note(
        f"\nDecoded where it is: {printing.one_line(found.reconstruction)}\nChange: word edits from that, over the longer text's length."
    )
