"""Options that several verbs share, written once."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from lexframe.exceptions import InputError

Model = Annotated[str, typer.Option("--model", "-m", help="'embedded', a local folder, or a Hugging Face id such as gpt2.")]
Layer = Annotated[int, typer.Option(help="0 is the embedding output, k the output of block k, -1 the last state, after the final norm.")]
Pooling = Annotated[str, typer.Option(help="last, mean, first or span: how token states become one point.")]
Template = Annotated[str, typer.Option(help="Text around each text, with {text} once.")]
MaxLength = Annotated[int | None, typer.Option(help="Most tokens of a text. Default: what the model takes.")]
Truncation = Annotated[str, typer.Option(help="right or left: the side of a longer text that is cut off.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16 or float16.")]
Device = Annotated[str | None, typer.Option(help="Such as cpu or cuda. Default: a GPU if there is one.")]
Revision = Annotated[str | None, typer.Option(help="Revision of a model from the hub.")]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run Python code that the model brings along.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Texts in one forward pass. Default: what suits the device.")]
Text = Annotated[str, typer.Option("--text", help="Column that holds the texts.")]
Pair = Annotated[str | None, typer.Option("--pair", help="Column of the second text, where rows hold two.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@contextmanager
def named_as_typed(options: Mapping[str, str]) -> Iterator[None]:
    """Within this context errors name parameters as people type them; parts of paths stay as they are.

    Parameters
    ----------
    options : mapping of str to str
        Options by the parameter that a message may name, such as ``{"max_epochs": "--epochs"}``.
    """
    try:
        yield
    except InputError as error:
        error.args = (re.sub(r"(?<![\w/\\.-])[a-z]+(?:_[a-z]+)+(?![\w/\\])", lambda found: options.get(found[0], found[0]), str(error)),)
        raise
