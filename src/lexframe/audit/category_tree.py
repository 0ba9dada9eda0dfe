"""Categories under categories: which parent each has, and what is wrong with a hierarchy that people give."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from lexframe.data.readers import stream_rows
from lexframe.exceptions import DataError, InputError
from lexframe.text_forms import counted

_MAX_NAMED = 4


@dataclass(frozen=True, slots=True)
class CategoryTree:
    """Categories, each with at most one parent.

    A name is any text; two equal names are one category, at whatever depth they stand.

    Attributes
    ----------
    parents : dict of str to (str or None)
        Every category, inner nodes included, with its parent; None at the top. Sorted by name.
    leaves : tuple of str
        The categories that items carry, sorted. One of them may have children: an item may be filed under an inner node.
    """

    parents: Mapping[str, str | None]
    leaves: tuple[str, ...]

    @classmethod
    def from_parents(
        cls, parents: Mapping[str, str | None], leaves: Iterable[str] | None = None, *, roots: Iterable[str] = ()
    ) -> "CategoryTree":
        """From a mapping of child to parent.

        Parameters
        ----------
        parents : mapping of str to (str or None)
            None, or no text, declares a category at the top.
        leaves : iterable of str, optional
            The categories that items carry; those that `parents` does not name stand at the top by themselves. Default: all that
            are nobody's parent.
        roots : iterable of str
            More categories at the top.

        Returns
        -------
        CategoryTree

        Raises
        ------
        InputError
            If a parent is neither a category nor declared at the top, a category is its own parent or its own ancestor, is declared
            at the top and has a parent, or a name is not text or empty.
        """
        carried = None if leaves is None else tuple(sorted({_checked(leaf) for leaf in leaves}))
        top = {_checked(root) for root in roots}
        nodes = {_checked(child): (None if parent in (None, "") else _checked(parent)) for child, parent in parents.items()}
        for root in sorted(top):
            if nodes.get(root) is not None:
                raise InputError(f"The category {root!r} is declared a root, but has the parent {nodes[root]!r}. Take one of the two out.")
        nodes = dict.fromkeys([*top, *(carried or ())]) | nodes
        _check_parents(nodes)
        _check_cycles(nodes)
        inner = set(nodes.values())
        return cls({name: nodes[name] for name in sorted(nodes)}, carried or tuple(sorted(set(nodes) - inner)))

    @classmethod
    def from_rows(cls, labels: Sequence[str], parents: Sequence[str | None]) -> "CategoryTree":
        """From the category of each item and, beside it, the category above.

        Parameters
        ----------
        labels : sequence of str, length n
        parents : sequence of (str or None), length n
            None or no text where a category stands at the top. A parent that is no label itself stands at the top.

        Returns
        -------
        CategoryTree

        Raises
        ------
        InputError
            If the lengths differ, a label has two parents (a parent on one row and none on another are two), or the parents are wrong
            as in :meth:`from_parents`.
        """
        if len(labels) != len(parents):
            raise InputError(f"There are {len(labels)} labels, but {len(parents)} parents. Give one parent for each row.")
        pairs = dict.fromkeys(zip(labels, parents, strict=True))
        nodes = {label: parent or None for label, parent in pairs}
        if len(dict.fromkeys((label, parent or None) for label, parent in pairs)) > len(nodes):
            raise InputError(_two_parents(labels, parents))
        tops = {parent for parent in nodes.values() if parent is not None and parent not in nodes}
        return cls.from_parents(nodes, list(dict.fromkeys(labels)), roots=tops)

    @classmethod
    def from_file(
        cls, path: str | Path, leaves: Iterable[str] | None = None, *, category: str = "category", parent: str = "parent"
    ) -> "CategoryTree":
        """From a file with a row for each category.

        Parameters
        ----------
        path : str or Path
            ``.csv``, ``.tsv``, ``.jsonl`` (also ``.gz``) or ``.parquet``. White space around names is taken off, as it is from labels.
        leaves : iterable of str, optional
            As for :meth:`from_parents`.
        category, parent : str
            The columns; an empty parent puts a category at the top.

        Returns
        -------
        CategoryTree

        Raises
        ------
        DataError
            If the file cannot be read or is empty, lacks a column, has a row without a category, names a category twice with different
            parents, or the parents are wrong as in :meth:`from_parents`.
        """
        try:
            rows = list(stream_rows(path, text=category, columns=[parent], keep_blank=True))
        except DataError as error:
            reason = str(error).partition(" Name the column with")[0]  # of options that hierarchies do not have
            raise DataError(f"{reason} A hierarchy has the columns {category!r} and {parent!r} (empty at the top).") from error
        if not rows:
            raise DataError(f"{path} names no category. Give a row for each, with the columns {category!r} and {parent!r}.")
        found: dict[str, tuple[str | None, int]] = {}
        for row in rows:
            name, above = row.text.strip(), _text(row.columns[parent])
            if not name:
                raise DataError(f"{path}, row {row.number + 1}: no category. Name one, or remove the row.")
            before, first = found.setdefault(name, (above, row.number))
            if before != above:
                raise DataError(
                    f"{path}: the category {name!r} has the parent {_named(before)} on row {first + 1} and {_named(above)} on row "
                    f"{row.number + 1}. A category has one parent; correct one of the rows."
                )
        try:
            return cls.from_parents({name: above for name, (above, _) in found.items()}, leaves)
        except InputError as error:
            raise DataError(f"{path}: {error}") from error

    @property
    def categories(self) -> tuple[str, ...]:
        """All categories, inner nodes included, sorted."""
        return tuple(self.parents)

    def ancestors(self, category: str) -> tuple[str, ...]:
        """The categories above `category`, its parent first, the top last.

        Raises
        ------
        InputError
            If there is no such category.
        """
        if category not in self.parents:
            raise InputError(f"The hierarchy has no category {category!r}; it has {_some(self.parents)}. Add it, or correct the name.")
        above, node = [], self.parents[category]
        while node is not None:
            above.append(node)
            node = self.parents[node]
        return tuple(above)

    def path(self, category: str) -> tuple[str, ...]:
        """From the top down to `category` itself."""
        return (*reversed(self.ancestors(category)), category)

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Categories by depth, those at the top first; sorted within a level."""
        depth: dict[str, int] = {}
        for name in self.parents:
            chain: list[str] = []
            node: str | None = name
            while node is not None and node not in depth:
                chain.append(node)
                node = self.parents[node]
            below = 0 if node is None else depth[node] + 1
            depth.update((member, below + step) for step, member in enumerate(reversed(chain)))
        result: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for name in self.parents:
            result[depth[name]].append(name)
        return tuple(map(tuple, result))

    def groups(self, categories: Sequence[str] | None = None) -> Int64[np.ndarray, " n_categories"]:
        """The number of the parent that each category stands under.

        A category at the top forms a group with its children that are asked for, or, if there are none, its own.

        Parameters
        ----------
        categories : sequence of str, optional
            Default: the leaves, sorted.

        Returns
        -------
        ndarray of int64, shape (n_categories,)
            0, 1, ... in the sorted order of the parents' names.

        Raises
        ------
        InputError
            If a category is not in the hierarchy.
        """
        asked = self.leaves if categories is None else categories
        unknown = [name for name in asked if name not in self.parents]
        if unknown:
            raise InputError(
                f"{len(unknown)} categories are not in the hierarchy: {_some(unknown)}. Add them with their parent, or with none."
            )
        heads = [name if self.parents[name] is None else self.parents[name] for name in asked]
        number = {head: index for index, head in enumerate(sorted(set(heads), key=str))}
        return np.array([number[head] for head in heads], dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {"parents": dict(self.parents), "leaves": list(self.leaves)}


def _check_parents(nodes: Mapping[str, str | None]) -> None:
    for name, parent in nodes.items():
        if parent == name:
            raise InputError(f"The category {name!r} is its own parent. Leave the parent empty for a category at the top.")
    unknown: dict[str, str] = {}
    for name, parent in nodes.items():
        if parent is not None and parent not in nodes:
            unknown.setdefault(parent, name)
    if unknown:
        listed = ", ".join(f"{parent!r} (above {child!r})" for parent, child in sorted(unknown.items())[:_MAX_NAMED])
        raise InputError(
            f"{counted(len(unknown), 'parent is no category', 'parents are no categories')}: {listed}. Correct the name, or add the parent "
            "as a category with an empty parent."
        )


def _check_cycles(nodes: Mapping[str, str | None]) -> None:
    """Walk up from every category, each node once."""
    done: set[str] = set()
    for name in nodes:
        walked: dict[str, None] = {}
        node: str | None = name
        while node is not None and node not in done and node not in walked:
            walked[node] = None
            node = nodes[node]
        if node is not None and node in walked:
            chain = list(walked)
            cycle = [*chain[chain.index(node) :], node]
            shown = cycle if len(cycle) <= 2 * _MAX_NAMED else [*cycle[:_MAX_NAMED], None, *cycle[-_MAX_NAMED:]]
            drawn = " → ".join("…" if member is None else repr(member) for member in shown)
            raise InputError(f"The hierarchy goes round in a circle: {drawn}. Give one of these no parent, or another.")
        done.update(walked)


def _two_parents(labels: Sequence[str], parents: Sequence[str | None]) -> str:
    """Which label, which parents, and a row of each: read again, because it is rare."""
    first: dict[str, tuple[str | None, int]] = {}
    for row, (label, parent) in enumerate(zip(labels, parents, strict=True)):
        before, seen = first.setdefault(label, (parent or None, row))
        if before != (parent or None):
            return (
                f"The category {label!r} has two parents: {_named(before)} (row {seen}) and {_named(parent)} (row {row}). "
                "A category has one parent; correct one of the rows, or make two categories of it."
            )
    raise AssertionError("no label has two parents")


def _named(parent: str | None) -> str:
    return repr(parent) if parent else "none"


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(map(repr, listed[:_MAX_NAMED])) + (f" and {len(listed) - _MAX_NAMED} more" if len(listed) > _MAX_NAMED else "")


def _text(value: Any) -> str | None:
    """A cell as a name; a number that JSON or Parquet has typed is its text."""
    return (str(value).strip() or None) if value is not None else None


def _checked(name: Any) -> str:
    if not isinstance(name, str):
        raise InputError(f"The category {name!r} is {type(name).__name__}, not text. Write it as {str(name)!r}.")
    if not name.strip():
        raise InputError("A category has an empty name. Name it, or leave it out.")
    return name
