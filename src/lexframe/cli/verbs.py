"""How the command line finds its verbs: by tables of names, each imported when it is asked for, and from other packages."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, ClassVar, get_args

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from lexframe.cli.bundles import expanded, named_as_options
from lexframe.exceptions import InputError

ENTRY_POINT_GROUP = "lexframe.verbs"
"""Other packages name their verbs here, each with a function: ``count = "mypackage.verbs:count"``."""

WRITTEN = frozenset({"out", "report", "csv"})
"""Options of every verb that name what is written."""

_QUIET: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


@dataclass(frozen=True)
class Group:
    """Verbs that belong together.

    Attributes
    ----------
    help : str
    verbs : mapping of str to str or Group
        A verb is ``"module:function"``, the module below ``lexframe.cli``.
    """

    help: str
    verbs: "Mapping[str, str | Group]"


class Verb(TyperCommand):
    """A verb whose errors name the options that it declares, where the library named parameters."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        _spare_inputs(self.params, ctx.params)
        try:
            return super().invoke(ctx)
        except InputError as error:
            options = {each.name: max(each.opts, key=len) for each in self.params if each.name and each.param_type_name == "option"}
            error.args = (named_as_options(str(error), error.parameters, options),)
            raise


def _spare_inputs(parameters: Sequence[Any], values: Mapping[str, Any]) -> None:
    """Refuse to write over a file that the same run reads, before any work is done."""
    given = [
        (max(each.opts, key=len) if each.param_type_name == "option" else each.metavar, each.name in WRITTEN, path)
        for each in parameters
        for path in (values[each.name] if isinstance(values.get(each.name), list | tuple) else [values.get(each.name)])
        if isinstance(path, Path) and path.is_file()
    ]
    for option, is_written, path in given:
        other = next((name for name, _, read in given if name != option and path.samefile(read)), None)
        if is_written and other is not None:
            raise InputError(f"{option} {path} is the file of {other} too, and would be written over. Name another file.")


class VerbGroup(TyperGroup):
    """Verbs of a table; those that are not asked for are not built, so that a page of help loads no model code."""

    table: ClassVar[Mapping[str, str | Group]] = {}
    takes_plug_ins: ClassVar[bool] = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the table, those of other packages after them."""
        return [*self.table, *(name for name in sorted(plug_ins()) if self.takes_plug_ins and name not in self.table)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb or the group of that name; None if there is none."""
        entry = self.table.get(cmd_name)
        if isinstance(entry, Group):
            return typer.main.get_command(application(entry, name=cmd_name))
        if entry is not None:
            return command(cmd_name, _function(entry))
        if self.takes_plug_ins and cmd_name in plug_ins():
            return command(cmd_name, _from_plug_in(cmd_name))
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was typed; what is no verb is answered with those that are near."""
        names: dict[str, Any] = dict.fromkeys(self.list_commands(ctx))  # their names are all that a suggestion needs
        self.commands = names
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs, each with the first sentence of what it says of itself."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._says(name)) for name in self.list_commands(ctx)])

    def _says(self, name: str) -> str:
        entry = self.table.get(name)
        if entry is None:  # other packages are not loaded to list them: they may take long, or be broken
            return f"From the package {getattr(plug_ins()[name].dist, 'name', 'of an entry point')}."
        text = entry.help if isinstance(entry, Group) else inspect.getdoc(_function(entry)) or ""
        return text.split("\n\n")[0].replace("\n", " ")


def application(group: Group, *, name: str, takes_plug_ins: bool = False, completes: bool = False) -> typer.Typer:
    """A Typer application of the verbs of a group.

    Parameters
    ----------
    group : Group
    name : str
    takes_plug_ins : bool
        List the verbs of other packages too.
    completes : bool
        Have options that install completion for the shell.
    """
    kind = type("TableGroup", (VerbGroup,), {"table": group.verbs, "takes_plug_ins": takes_plug_ins})
    app = typer.Typer(name=name, cls=kind, help=group.help, no_args_is_help=True, **_QUIET | {"add_completion": completes})
    app.callback()(lambda: None)
    return app


def command(name: str, function: Callable[..., Any]) -> Any:
    """The command of a verb.

    Parameters
    ----------
    name : str
        As it is typed.
    function : callable
        The verb; see :mod:`lexframe.cli.bundles` for parameters that stand for many options.
    """
    app = typer.Typer(**_QUIET)
    app.command(name, cls=Verb)(expanded(function))
    found = typer.main.get_command(app)
    for each in found.params:
        if each.metavar is None:
            each.metavar = _shown_value(each)
    return found


def _shown_value(parameter: Any) -> str | None:
    """What a page of help writes for a value: its name, NUMBER or PATH; None where Typer lists the choices itself."""
    annotation = parameter.type_descriptor.annotation
    kinds = {kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)} - {type(None)}
    name = str(parameter.name).upper().strip("_")
    if parameter.param_type_name == "argument":
        name = name if parameter.nargs == 1 else f"{name}..."
        return name if parameter.required else f"[{name}]"
    if Path in kinds:
        return "PATH"
    if kinds & {int, float} and bool not in kinds:
        return "NUMBER"
    return name.rsplit("_", maxsplit=1)[-1] if str in kinds else None


@cache
def plug_ins() -> dict[str, metadata.EntryPoint]:
    """Verbs of other packages by name."""
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}


def _function(entry: str) -> Callable[..., Any]:
    module, _, name = entry.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"lexframe.cli.{module}"), name)
    return found


def _from_plug_in(name: str) -> Callable[..., Any]:
    point = plug_ins()[name]
    try:
        found = point.load()
        expanded(found)
    except Exception as error:  # whatever is wrong in it is not wrong here
        raise InputError(
            f"The verb {name!r} of {point.value} cannot be loaded: {type(error).__name__}: {error}. Mend or remove that package."
        ) from error
    return found
