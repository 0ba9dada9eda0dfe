"""Options that come from a dataclass: one parameter of a verb, one option for each field.

A verb writes ``plan: Annotated[Any, FieldsOf("lexframe.training.text_vae.plan:TextVAEPlan")]``. The command line shows an option
for every field, named and explained as the field is, and the verb gets the dataclass.
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from importlib import import_module
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo


@dataclass(frozen=True)
class FieldsOf:
    """Marks the parameter of a verb that stands for the fields of a dataclass.

    Attributes
    ----------
    source : type or str
        The dataclass, or ``"module:Class"``, which is imported when the verb is looked at and not before.
    without : tuple of str
        Fields that are no options of this verb; they keep their defaults.
    """

    source: type | str
    without: tuple[str, ...] = ()

    def dataclass(self) -> Any:
        """The dataclass itself."""
        if not isinstance(self.source, str):
            return self.source
        module, _, name = self.source.partition(":")
        return getattr(import_module(module), name)

    def parameters(self) -> list[inspect.Parameter]:
        """A parameter for every field, annotated as Typer reads it."""
        kind = self.dataclass()
        hints, texts = get_type_hints(kind, include_extras=True), field_texts(kind)
        unknown = set(self.without) - {field.name for field in fields(kind)}
        if unknown:
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}.")
        return [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(field),
                annotation=_annotation(field, hints[field.name], texts.get(field.name)),
            )
            for field in fields(kind)
            if field.init and field.name not in self.without
        ]


def expanded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The verb as Typer takes it: parameters marked with :class:`FieldsOf` are replaced by their fields.

    Parameters
    ----------
    function : callable
        The verb; it is called with the dataclasses.

    Raises
    ------
    TypeError
        If two parameters would become one option.
    """
    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    bundles: dict[str, tuple[Any, list[str]]] = {}
    for parameter in inspect.signature(function).parameters.values():
        marked = _marked(hints[parameter.name])
        if marked is None:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name]))
            continue
        own = marked.parameters()
        bundles[parameter.name] = (marked.dataclass(), [each.name for each in own])
        parameters += own
    names = [parameter.name for parameter in parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TypeError(f"{function.__name__} has the parameter {', '.join(twice)} twice, as its own and as a field.")

    @functools.wraps(function)
    def verb(**given: Any) -> Any:
        made = {name: kind(**{field: given.pop(field) for field in own}) for name, (kind, own) in bundles.items()}
        return function(**given, **made)

    verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    verb.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return verb


def field_texts(kind: type) -> dict[str, str]:
    """What the Attributes section of a dataclass says first about each field, as plain text that names fields as options.

    Parameters
    ----------
    kind : type
        A dataclass with a docstring in the style of numpydoc.
    """
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    if "Attributes" not in lines:
        return {}
    names = {field.name for field in fields(kind)}
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines[lines.index("Attributes") + 2 :]:
        if line.startswith("---"):
            break
        if line and not line.startswith(" "):
            current = []
            found |= dict.fromkeys((name.strip() for name in line.split(" : ")[0].split(",")), current)
        elif line:
            current.append(line.strip())
    return {name: _plain(" ".join(text), names) for name, text in found.items() if name in names and text}


def _plain(text: str, names: set[str]) -> str:
    """The first sentence without the marks of reStructuredText."""
    first = re.split(r"(?<=\.)\s+(?=[A-Z0-9`])", text, maxsplit=1)[0]
    first = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", first).replace("``", "")
    return re.sub(r"`(\w+)`", lambda name: _flag(name[1]) if name[1] in names else name[1], first)


def _marked(hint: Any) -> FieldsOf | None:
    return next((each for each in get_args(hint)[1:] if isinstance(each, FieldsOf)), None) if get_origin(hint) is Annotated else None


def _annotation(field: Field[Any], hint: Any, text: str | None) -> Any:
    if get_origin(hint) is Annotated and any(isinstance(each, OptionInfo) for each in get_args(hint)[1:]):
        return hint  # the dataclass says itself how its field is typed
    flags = [_flag(field.name)] if field.default is False else []  # switched on alone; Typer adds --no-… to what is on
    return Annotated[hint, typer.Option(*flags, help=text)]


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else inspect.Parameter.empty


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def named_as_options(message: str, parameters: tuple[str, ...], options: Mapping[str, str]) -> str:
    """A message with the parameters that it means written as the options that a person typed.

    Parameters
    ----------
    message : str
        Of an error of the library.
    parameters : tuple of str
        What the error means, by name. Other words that read like them, such as parts of paths, stay.
    options : mapping of str to str
        Options of the running verb by parameter. A parameter without one stays as it is.
    """
    named = {name: options[name] for name in parameters if name in options}
    if not named:
        return message
    words = "|".join(map(re.escape, sorted(named, key=len, reverse=True)))
    message, n_found = re.subn(rf"(?<![\w/\\.'\"-])({words})(?![\w/\\'\"]|[.-]\w)", lambda word: named[word[0]], message)
    if n_found:
        return message
    sentence, mark, picture = message.partition("\n    ")  # a place that is shown below stays below
    return f"{sentence.rstrip('.')} ({', '.join(dict.fromkeys(named.values()))}).{mark}{picture}"
