"""The shape that every result has, whatever was measured."""

from abc import ABC, abstractmethod
from html import escape
from typing import TYPE_CHECKING, Any

from lexframe.provenance import Provenance

if TYPE_CHECKING:
    import pandas


class Result(ABC):
    """What a public function found out: a sentence, plain values, a table, and what produced them.

    Results are frozen dataclasses; where a picture helps they have ``chart()`` too, an Altair chart.

    Attributes
    ----------
    provenance : Provenance
    """

    __slots__ = ()
    provenance: Provenance

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
