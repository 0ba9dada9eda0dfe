"""The options of a model, written once: which it is, how it is opened, and how it reads texts."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import typer

from lexframe.cli import printing
from lexframe.cli.bundles import FieldsOf
from lexframe.exceptions import InputError

DEFAULT_TEMPLATE = "{text} This message is about"
"""What verbs that adapt a model put around a text where nothing else is asked for."""

READING = ("layer", "pooling", "template", "prompt_name", "max_length", "truncation", "batch_size")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A model as a command line names it.

    What is left out here is left to the model, and what is given reaches it: a model that does not take an option refuses it by name.

    Attributes
    ----------
    model : str
        A name, a folder or a hub id.
    layer, pooling, template, prompt_name, max_length, truncation
        How texts are read; see :class:`~lexframe.spaces.language_model.space.LanguageModelSpace`.
    dtype, device, revision, trust_remote_code
        How the model is opened.
    batch_size : int or None
        For the verb that encodes with the model; the model itself does not take it.
    """

    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="'embedded', 'tfidf' (no model), a local folder, or a Hugging Face id such as gpt2; see 'lexframe models'.",
        ),
    ] = "embedded"
    layer: Annotated[
        int | None,
        typer.Option(help="0 is the embedding output, k the output of block k, -1 (the default) the last state, after the final norm."),
    ] = None
    pooling: Annotated[
        str | None,
        typer.Option(metavar="POOLING", help="last (the default), mean, typical, first or span: how token states become one point."),
    ] = None
    template: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help=f"Text around each text, with {{text}} once. Default: none; where labels are read, '{DEFAULT_TEMPLATE}'.",
        ),
    ] = None
    prompt_name: Annotated[
        str | None, typer.Option(help="Of a sentence encoder: one of its own prompts, such as query. Default: its default prompt, if any.")
    ] = None
    max_length: Annotated[int | None, typer.Option(help="Most tokens of a text. Default: what the model takes.")] = None
    truncation: Annotated[
        Literal["right", "left"] | None, typer.Option(help="right is the default: the side of a longer text that is cut off.")
    ] = None
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None, typer.Option(help="What the model runs in; float32 is the default.")
    ] = None
    device: Annotated[str | None, typer.Option(metavar="DEVICE", help="Such as cpu or cuda. Default: a GPU if there is one.")] = None
    revision: Annotated[str | None, typer.Option(metavar="NAME", help="Revision of a model from the hub.")] = None
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", help="Run Python code that the model brings along.")] = False
    batch_size: Annotated[int | None, typer.Option(min=1, help="Texts in one forward pass. Default: what suits the device.")] = None

    def given(self) -> dict[str, Any]:
        """What was asked of the model, beside its name."""
        asked = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("model", "batch_size")}
        return {name: value for name, value in asked.items() if value is not None and value is not False}

    def open(self, *, needs: type | None = None, prompt: str | None = None, quiet: bool = False) -> Any:
        """The space of the model, opened quietly.

        Parameters
        ----------
        needs : type, optional
            A contract of :mod:`lexframe.spaces.base` that the verb cannot do without.
        prompt : str, optional
            Template for a model that answers with words of its vocabulary, where no template was given.
        quiet : bool
            Do not say again how its texts are read.

        Raises
        ------
        InputError
            If the space is none that the verb needs, or does not take an option that was given.
        """
        from lexframe.spaces.base import VocabularySpace
        from lexframe.spaces.registry import open_space, recognized_kind, space_class

        printing.quiet_libraries()
        kind = recognized_kind(self.model)
        opened = space_class(kind)
        if needs is not None and not issubclass(opened, needs):
            what = (needs.__doc__ or "").partition("\n")[0].rstrip(".")
            raise InputError(
                f"{self.model} is a {kind}, and this needs {what[:1].lower()}{what[1:]}. Name another model, such as embedded."
            )
        given = self.given()
        if prompt is not None and issubclass(opened, VocabularySpace):
            given.setdefault("template", prompt)
        space = open_space(self.model, kind=kind, **given)
        together = printing.READ_TOGETHER.get(getattr(space, "together", ""))
        if together is not None and not quiet:
            printing.note(f"{self.model}: neighbors in a batch would change its points, so {together}, which takes longer.")
        return space


Reading = Annotated[ModelOptions, FieldsOf(ModelOptions)]
"""A model that reads texts: all options."""

Weights = Annotated[ModelOptions, FieldsOf(ModelOptions, without=READING)]
"""A model alone: which it is and how it is opened."""
