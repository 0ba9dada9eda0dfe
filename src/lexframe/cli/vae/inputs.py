"""What the verbs of ``lexframe vae`` have in common: the model, texts and labels that people give, numbers in options."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import printing
from lexframe.cli.table_options import TEXTS, TextTables
from lexframe.exceptions import InputError, ModelError

Model = Annotated[str, typer.Argument(metavar="MODEL", help="'embedded-vae', or a folder that 'vae train' made.")]
Texts = Annotated[list[str] | None, typer.Argument(metavar="[TEXTS]...", help="Texts.")]
Input = Annotated[Path | None, typer.Option("--input", help=f"File of texts. {TEXTS}")]
Temperature = Annotated[float, typer.Option(min=0, help="0 takes the likeliest token each time.")]
TopP = Annotated[float, typer.Option("--top-p", help="Draw from the likeliest tokens that together have this probability.")]
Labeled = Annotated[Path | None, typer.Option("--labeled", help="File of labeled texts.")]

MOST_STEPS = 1000
"""Of a range of amounts; each is a text to write."""

SavedDirection = Annotated[Path | None, typer.Option("--direction", help="Folder of a direction or an edit that 'vae edit --out' made.")]


def saved_edit(folder: Path) -> Any:
    """What ``vae edit --out`` made.

    Raises
    ------
    InputError
        If the folder holds nothing that moves points.
    """
    from lexframe.instruments import PointEdit, load_instrument

    found = load_instrument(folder)
    if not isinstance(found, PointEdit):
        raise InputError(f"{folder} holds a {type(found).__name__}, which moves no points. Name the folder of a direction or an edit.")
    return found


def open_text_vae(model: str, *, device: str | None = None) -> Any:
    """The space of a text VAE; the folder of a run stands for the model in it.

    Raises
    ------
    ModelError
        If the folder is that of a run that has not ended, of a language model, or of nothing that can be opened.
    """
    from lexframe.spaces import open_space

    printing.quiet_libraries()
    return open_space(model_folder(model), kind="text-vae", device=device)


def model_folder(model: str) -> str:
    """The folder of a text VAE, or of a plain language model of the same training; that of a run stands for the model in it.

    Raises
    ------
    ModelError
        If the folder is that of a run that has not ended, or of a language model of transformers.
    """
    from lexframe.spaces.loading import EMBEDDED_VAE

    folder = Path(model)
    if model == EMBEDDED_VAE:
        return model  # the one that comes along, whatever stands in a folder of its name
    if (folder / "model" / "vae.json").is_file():
        printing.note(f"{model} is a run; its model is {folder / 'model'}.")
        return str(folder / "model")
    if (folder / "checkpoint.safetensors").is_file():
        raise ModelError(f"{model} is a run that has not ended, so it has no model yet. Run the same 'lexframe vae train' again to end it.")
    if model == "embedded" or ((folder / "config.json").is_file() and not (folder / "vae.json").is_file()):
        raise ModelError(f"{model} is a language model and no text VAE. Name the folder that 'lexframe vae train' made, or 'embedded-vae'.")
    return model


def given_texts(texts: Sequence[str] | None, file: Path | None, column: str, files: TextTables) -> list[str]:
    """Texts from the command line or from a file.

    Raises
    ------
    InputError
        If both are given, or neither, or a text is blank.
    """
    if bool(texts) == (file is not None):
        raise InputError("Give texts either as arguments or with --input FILE.")
    if file is not None:
        return list(files.read(file, text=column, label=None).texts)
    require_words(texts or ())
    return list(texts or ())


def require_words(texts: Sequence[str]) -> None:
    """Refuse blank texts: a model writes something for them too.

    Raises
    ------
    InputError
        Naming the first.
    """
    blank = next((number for number, text in enumerate(texts, start=1) if not text.strip()), None)
    if blank is not None:
        raise InputError(f"Text {blank} of {len(texts)} is blank, so there is nothing to read. Give words, or leave it out.")


def poles(positive: Path, negative: Path, column: str, files: TextTables) -> tuple[list[str], list[str]]:
    """Texts of two files, labeled with the names of their files, those to move towards first.

    Raises
    ------
    InputError
        If both are one file.
    """
    if positive.resolve() == negative.resolve():
        raise InputError(f"--positive and --negative are both {positive}; between a file and itself there is no difference. Name two.")
    names = (positive.stem, negative.stem) if positive.stem != negative.stem else (str(positive), str(negative))
    parts = {name: files.read(file, text=column, label=None).texts for name, file in zip(names, (positive, negative), strict=True)}
    return [text for part in parts.values() for text in part], [name for name, part in parts.items() for _ in part]


def note_cut(space: Any, texts: Sequence[str]) -> None:
    """Say how many texts are longer than the model takes."""
    n_cut = int(space.truncated(texts).sum())
    if n_cut:
        longest = space.max_length
        printing.note(f"{n_cut} of {len(texts)} texts are longer than the {longest} tokens that the model takes; their ends were cut off.")


def whole_numbers(option: str, value: str) -> list[int]:
    """Numbers with commas between.

    Raises
    ------
    InputError
        If one is none.
    """
    try:
        return [int(part) for part in value.split(",")]
    except ValueError as error:
        raise InputError(f"{option} is {value!r}; expected whole numbers with commas between, such as 0,3.") from error


def amounts_of(option: str, value: str) -> list[float]:
    """Numbers with commas between, or all whole steps of a range such as ``-3..3``.

    Raises
    ------
    InputError
        If one is none, or a range is empty or has more than a thousand steps.
    """
    first, dots, last = value.partition("..")
    try:
        if not dots:
            return [float(part) for part in value.split(",")]
        if int(first) <= int(last) < int(first) + MOST_STEPS:
            return [float(number) for number in range(int(first), int(last) + 1)]
    except ValueError:
        pass
    raise InputError(
        f"{option} is {value!r}; expected numbers with commas between, such as -0.5,0,0.5, or a range of whole numbers such as -3..3 with "
        f"{MOST_STEPS:,} steps at most."
    )
