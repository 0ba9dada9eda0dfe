"""``lexframe frame show``: words in the frame of the vocabulary."""

from typing import Annotated, Literal

import typer

from lexframe.cli import options, printing
from lexframe.cli.model_options import Weights


def show_words(
    words: Annotated[list[str], typer.Argument(help="Words to look up.")],
    *,
    model: Weights,
    side: Annotated[Literal["output", "input"], typer.Option(help="output: bases of the head; input: rows of the embedding.")] = "output",
    limit: Annotated[int, typer.Option(min=1, help="Nearest vocabulary items to show.")] = 8,
    readout: options.Readout = "invariant",
    center: Annotated[bool, typer.Option("--center", help="Take the mean row off the head first.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show words in the frame: neighbors by basis, leverage, length, and how cleanly a step along the basis raises the word."""
    from lexframe.instruments import VocabularyFrame
    from lexframe.spaces.base import VocabularySpace

    space = model.open(needs=VocabularySpace)
    frame = VocabularyFrame(space, side=side, center=center)
    cards = [frame.card(word, n_nearest=limit, readout=readout) for word in words]
    if as_json:
        printing.document({"words": [card.to_dict() for card in cards], "provenance": frame.provenance.to_dict()})
        return
    printing.table(
        ["word", "tokens", "leverage", "|basis|", "|row|", "side effect: basis", "row"],
        [
            [card.word, str(len(card.tokens)), f"{card.leverage:.3f}", f"{card.basis_norm:.3g}", f"{card.row_norm:.3g}",
             f"{card.basis_side_effect:.3f}", f"{card.row_side_effect:.3f}"]
            for card in cards
        ],
    )  # fmt: skip
    for card in cards:
        listed = "  ".join(f"{token.strip() or repr(token)} {value:.2f}" for token, value in card.nearest)
        typer.echo(f"\n  near {card.word}:  {listed}")
    printing.note(
        f"\nLeverage: the word's own logit at its basis; the mean of all words is {space.n_dims / space.n_vocab:.3f}. Side effect: how\n"
        "much the other logits move, on average, when a step along the basis (or along the plain row of the head) raises the word's by 1."
    )
