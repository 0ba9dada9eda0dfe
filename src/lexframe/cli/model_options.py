"""Opening the model that a verb names, with the options that were given for it."""

from typing import Any

import click
from click.core import ParameterSource

from lexframe.cli import show
from lexframe.exceptions import InputError


def typed(**options: Any) -> dict[str, Any]:
    """Those of the options that the user gave; one left at the default of its verb is for the space to choose.

    Parameters
    ----------
    **options
        By the names that they have as parameters of the command that runs.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return options
    defaults = (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    return {name: value for name, value in options.items() if context.get_parameter_source(name) not in defaults}


def open_model(model: str, *, needs: type | None = None, prompt: str | None = None, **options: Any) -> Any:
    """The space of a model, opened without a word of the libraries below.

    Parameters
    ----------
    model : str
        ``embedded``, a folder, or a name on the hub.
    needs : type, optional
        A contract of :mod:`lexframe.spaces.base` that the verb cannot do without.
    prompt : str, optional
        Template for models that answer with words, where none is among `options`.
    **options
        Of the space; a None stands for the default of the space. One that the space does not take is refused by name.

    Raises
    ------
    InputError
        If the space does not offer what the verb needs, or does not take an option.
    """
    from lexframe.spaces.base import VocabularySpace
    from lexframe.spaces.registry import open_space, recognized_kind, space_class

    show.quiet_libraries()
    kind = recognized_kind(model)
    opened = space_class(kind)
    if needs is not None and not issubclass(opened, needs):
        what = (needs.__doc__ or "").splitlines()[0].rstrip(".")
        raise InputError(f"{model} is a {kind}, and this needs {what[:1].lower()}{what[1:]}. Name another model, such as embedded.")
    given = {name: value for name, value in options.items() if value is not None}
    if prompt is not None and issubclass(opened, VocabularySpace):
        given.setdefault("template", prompt)
    return open_space(model, kind=kind, **given)
