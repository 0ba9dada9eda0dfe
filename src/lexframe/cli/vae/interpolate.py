"""``lexframe vae interpolate``: the texts on the way from one text to another."""

import math
from typing import Annotated, Literal

import typer

from lexframe.cli import options, printing
from lexframe.cli.vae import inputs


def interpolate(
    model: inputs.Model,
    start: Annotated[str, typer.Argument(metavar="A", help="Text to start from.")],
    end: Annotated[str, typer.Argument(metavar="B", help="Text to end at.")],
    steps: Annotated[int, typer.Option(min=2, help="Points of the path, both ends included.")] = 9,
    path: Annotated[Literal["linear", "spherical"], typer.Option(help="The way between the two points.")] = "linear",
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
        printing.document(found.to_dict())
        return
    columns = zip(found.texts, found.fractions, found.distances_to_start, found.distances_to_end, strict=True)
    printing.table(
        ["text", "way", "from start", "from end"],
        [[printing.one_line(text), *(f"{number:.2f}" for number in numbers)] for text, *numbers in columns],
    )
    if found.same_ends:
        printing.note("\nBoth texts have one point, so the path stays where it is.")
    elif math.isnan(found.monotone_share):
        printing.note("\nBoth ends are decoded to one text, so no step is forward or back.")
    else:
        printing.note(
            f"\n{len(found.distinct_texts)} different texts. Steps that change a text go forward in {found.monotone_share:.0%} of cases; "
            f"smoothness {found.smoothness:.2f} (1: straight), largest step {found.largest_step:.2f} of the way "
            f"({1 / (steps - 1):.2f}: even), both of the points of these texts, read again."
        )
    if found.verdict.worth != "holds":
        printing.note(str(found.verdict))
    printing.note("From start, from end: word edits over the length of the longer text, from the texts of both ends as decoded.")
