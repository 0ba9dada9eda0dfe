"""The options of a model, written once: which it is, how it is opened, and how it reads texts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

import typer

from lexframe.cli import printing
from lexframe.cli.bundles import FieldsOf
from lexframe.exceptions import InputError

DEFAULT_TEMPLATE = "{text} This message is about"
"""What verbs that adapt a model put around a text where nothing else is asked for."""

TEXTS_TO_COMPARE = 32
"""On which points in a fast precision are compared with those in float32."""

READING = ("layer", "pooling", "template", "chat", "prompt_name", "max_length", "truncation", "batch_size")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A model as a command line names it.

    What is left out here is left to the model, and what is given reaches it: a model that does not take an option refuses it by name.

    Attributes
    ----------
    model : str
        A name, a folder or a hub id.
    layer, pooling, template, chat, prompt_name, max_length, truncation
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
            help="A name of 'lexframe models' such as smollm2, a folder, a GGUF file, or a Hugging Face id such as gpt2.",
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
    chat: Annotated[
        bool,
        typer.Option("--chat", help="Put the model's own chat template around each text and its template, which is what the user says."),
    ] = False
    prompt_name: Annotated[
        str | None, typer.Option(help="Of a sentence encoder: one of its own prompts, such as query. Default: its default prompt, if any.")
    ] = None
    max_length: Annotated[int | None, typer.Option(help="Most tokens of a text. Default: what the model takes.")] = None
    truncation: Annotated[
        Literal["right", "left"] | None, typer.Option(help="right is the default: the side of a longer text that is cut off.")
    ] = None
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(help="What the model runs in. Default: float32; adapt and compare take bfloat16 where it is faster here."),
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

    def open_fast(self, texts: Sequence[str], *, prompt: str | None = None) -> Any:
        """The space of the model, in the precision that is fast on this machine where none was asked for, with what that changes.

        Parameters
        ----------
        texts : sequence of str
            Some of those to be read, on which points in both precisions are compared.
        prompt
            See :meth:`open`.
        """
        from lexframe.spaces.precision import fastest_precision
        from lexframe.spaces.registry import recognized_kind, space_class

        if self.dtype is not None or "dtype" not in space_class(recognized_kind(self.model)).options():
            return self.open(prompt=prompt)
        chosen: Any = fastest_precision(self.device and self.device.split(":")[0])
        space = replace(self, dtype=chosen).open(prompt=prompt)
        if chosen != "float32":
            from lexframe.latents.encoding import precision_deviation

            exact = replace(self, dtype="float32").open(prompt=prompt, quiet=True)
            (found,) = precision_deviation(space, exact, list(texts[:TEXTS_TO_COMPARE])).values()
            printing.note(
                f"{self.model} runs in {chosen}: cosine of points with float32 {found['mean_cosine']:.5f} on average, "
                f"{found['least_cosine']:.5f} at least, over {found['n_texts']:.0f} texts. --dtype float32 is exact."
            )
        return space


Reading = Annotated[ModelOptions, FieldsOf(ModelOptions)]
"""A model that reads texts: all options."""

Weights = Annotated[ModelOptions, FieldsOf(ModelOptions, without=READING)]
"""A model alone: which it is and how it is opened."""

Prompted = Annotated[ModelOptions, FieldsOf(ModelOptions, without=tuple(name for name in READING if name != "chat"))]
"""A model that reads prompts as they stand, or as what a user says."""

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", help="As elsewhere, and 'tfidf' for none; repeat: each alone, and all at once. Default: embedded."
    ),
]
"""One model or several, for verbs that read labels."""


def open_models(names: list[str] | None, reading: ModelOptions, texts: Sequence[str]) -> dict[str, Any]:
    """Spaces by name, of one model or several that read the same texts; without a name, the embedded one.

    Of several each gets the options that it takes, so that a layer of a language model is no fault of a sentence encoder beside it.

    Parameters
    ----------
    names : list of str, or None
    reading : ModelOptions
        For all of them.
    texts : sequence of str
        See :meth:`ModelOptions.open_fast`.

    Raises
    ------
    InputError
        If a name stands twice, or none of them takes an option.
    """
    from lexframe.spaces.registry import recognized_kind, space_class

    names = names or ["embedded"]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"The model {twice} is named twice. Name each once.", parameter="model")
    known = {name: space_class(recognized_kind(name)).options() for name in names} if len(names) > 1 else {}
    spaces = {}
    for name in names:
        options = replace(reading, model=name)
        others = {option for other in known.values() for option in other}
        plain: dict[str, Any] = {field.name: field.default for field in fields(options)}
        elsewhere = [option for option in reading.given() if known and option not in known[name] and option in others]
        options = replace(options, **{option: plain[option] for option in elsewhere})
        spaces[name] = options.open_fast(texts, prompt=DEFAULT_TEMPLATE)
    return spaces
