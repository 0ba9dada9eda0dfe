"""What a condition over a store is made of, once it has been read; see :mod:`lexframe.latents.filters`."""

from dataclasses import dataclass
from typing import Any

from lexframe.latents.filter_columns import Column


@dataclass(frozen=True, slots=True)
class Truth:
    """``true`` or ``false`` by itself."""

    value: bool


@dataclass(frozen=True, slots=True)
class Compare:
    """A column against a value or another column; `operator` is one of = != < <= > >=."""

    operator: str
    column: Column
    other: Any


@dataclass(frozen=True, slots=True)
class Among:
    """A column among values."""

    column: Column
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """A column of text against a pattern."""

    column: Column
    pattern: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a value is missing."""

    column: Column


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; what is unknown stays unknown."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """Every part."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One part or more."""

    parts: tuple["Condition", ...]


Condition = Truth | Compare | Among | Like | Missing | Not | All | Some
