"""The shape that every result has, whatever was measured."""

import importlib
import inspect
from abc import ABC, abstractmethod
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lexframe.exceptions import InputError
from lexframe.provenance import Provenance

if TYPE_CHECKING:
    import pandas


_MOST_LINES, _MOST_LETTERS = 10, 1_300


class Result(ABC):
    """What a public function found out: a sentence, plain values, a table, and what produced them.

    Results are frozen dataclasses; where a picture helps they have ``chart()`` too, an Altair chart, and
    where there is a page to read ``report(path)``: see :class:`WithPage`.

    Attributes
    ----------
    provenance : Provenance
    """

    __slots__ = ()
    provenance: Provenance

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__repr__ = Result.__repr__  # type: ignore[method-assign]  # before the decorator writes one that lists every value

    def __repr__(self) -> str:
        """The summary on one screen, and where more is."""
        lines = self.summary().splitlines()
        shown, room = [], _MOST_LETTERS
        for line in lines[:_MOST_LINES]:
            if len(line) > room:
                shown.append(f"{line[: max(room - 1, 0)]}…")
                break
            shown.append(line)
            room -= len(line)
        more = [f"… and {len(lines) - len(shown)} lines more"] if len(lines) > len(shown) else []
        return "\n".join([f"<{type(self).__name__}> {shown[0]}", *shown[1:], *more, "more: .summary(), .to_frame(), .to_dict()"])

    @abstractmethod
    def summary(self) -> str:
        """The result in a sentence or two, with its verdict where it can be worthless."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, for JSON, with the provenance."""

    @abstractmethod
    def to_frame(self) -> "pandas.DataFrame":
        """As a pandas table."""

    def _repr_html_(self) -> str:
        table = self.to_frame()
        return f"<p>{escape(self.summary())}</p>{table.to_html(float_format='{:.3f}'.format, escape=True, max_rows=40)}"


class WithPage:
    """A result that has a page: one HTML file without scripts."""

    __slots__ = ()
    page: ClassVar[str]
    """Who writes it, as ``module:function``: it stands on the result, and is loaded when it is asked for."""

    def report(self, path: str | Path, **options: Any) -> Path:
        """Write the page of this result.

        Parameters
        ----------
        path : str or Path
            The HTML file; replaced atomically.
        **options
            Of the page, such as ``title``, and what it can show beside the result: see the function that `page` names.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        InputError
            If an option is unknown or lacks, or the file cannot be written.
        """
        module, _, name = self.page.partition(":")
        write = getattr(importlib.import_module(module), name)
        try:
            inspect.signature(write).bind(self, path=path, **options)
        except TypeError as error:
            known = [parameter for parameter in list(inspect.signature(write).parameters)[1:] if parameter != "path"]
            raise InputError(f"The page of {type(self).__name__}: {error}. It takes {', '.join(known)}.") from None
        return Path(write(self, path=path, **options))
