"""Public names of a package that load their module on first use."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_names(package: str, homes: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a package's ``__init__`` needs to offer names without importing them: ``__getattr__``, ``__dir__``, ``__all__``.

    Torch, transformers and Lance take seconds to import; who asks for a name pays for its module alone.

    Parameters
    ----------
    package : str
        The package that offers the names: its ``__name__``.
    homes : mapping of str to sequence of str
        Names by the module that defines them, relative to the package.

    Returns
    -------
    tuple
        Functions for ``__getattr__`` and ``__dir__``, and the sorted ``__all__``.
    """
    home = {name: module for module, names in homes.items() for name in names}
    names = sorted(home)

    def attribute(name: str) -> Any:
        if name in home:
            return getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(names)}")

    return attribute, lambda: names, names
