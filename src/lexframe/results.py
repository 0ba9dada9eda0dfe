"""The shape that every result has, whatever was measured."""

from abc import ABC, abstractmethod
from html import escape
from typing import TYPE_CHECKING, Any

from lexframe.provenance import Provenance

if TYPE_CHECKING:
    import pandas


_MOST_LINES, _WIDEST = 12, 400


class Result(ABC):
    """What a public function found out: a sentence, plain values, a table, and what produced them.

    Results are frozen dataclasses; where a picture helps they have ``chart()`` too, an Altair chart.

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
        shown = [line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…" for line in lines[:_MOST_LINES]]
        more = [f"… and {len(lines) - _MOST_LINES} lines more"] if len(lines) > _MOST_LINES else []
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
