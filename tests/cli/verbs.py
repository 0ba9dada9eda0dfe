"""All verbs of the command line, as Typer builds them."""

import typer.main


def commands(app):
    """Every command by what is typed for it, such as ``vae train``."""
    found = {}

    def walk(group, before):
        for name in group.list_commands(None):
            command = group.get_command(None, name)
            if hasattr(command, "list_commands"):
                walk(command, (*before, name))
            else:
                found[" ".join((*before, name))] = command

    walk(typer.main.get_command(app), ())
    return found
