"""Optional packages that some methods stand on."""

import importlib
import importlib.util
from typing import Any

from lexframe.exceptions import MissingExtraError


def extra_obstacle(extra: str | None) -> str | None:
    """How to install an extra whose package, of the same name, is missing; None if it is there or none is needed."""
    if extra is None or importlib.util.find_spec(extra) is not None:
        return None
    return str(MissingExtraError(extra, extra))


def import_extra(module: str, extra: str) -> Any:
    """A module of an optional package, loaded on first use.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module.split(".", maxsplit=1)[0], extra) from error
