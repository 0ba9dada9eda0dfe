"""Which items carry which categories: one each, or several."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Int64

from lexframe.exceptions import InputError

_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Memberships:
    """The categories of items, checked.

    Attributes
    ----------
    categories : tuple of str
        Sorted, two or more.
    numbers : ndarray of int64, shape (n_items,), or None
        The category of each item, where each has exactly one.
    matrix : scipy.sparse.csr_array of bool, shape (n_items, n_categories), or None
        Where items may have several, or none: True where the item carries the category.

    Raises
    ------
    InputError
        If there are fewer than two categories, they are not sorted and distinct, not exactly one of `numbers` and `matrix` is given,
        or it does not fit the categories.
    """

    categories: tuple[str, ...]
    numbers: Int64[np.ndarray, " n_items"] | None = None
    matrix: scipy.sparse.csr_array | None = None

    def __post_init__(self) -> None:
        names = self.categories
        if list(names) != sorted(set(names)):
            raise InputError("The categories are not sorted and distinct. Make memberships with single_label, multi_label or split_labels.")
        if len(names) < 2:
            held = f"all items are in {names[0]!r}" if names else "no item has one"
            raise InputError(f"An audit compares categories, but {held}. Give items of two categories or more; check the label column.")
        if (self.numbers is None) == (self.matrix is None):
            raise InputError("Give either numbers (one category for each item) or a matrix (several), not both and not neither.")
        if self.numbers is not None and len(self.numbers) and (self.numbers.min() < 0 or self.numbers.max() >= len(names)):
            raise InputError(f"The numbers run from {self.numbers.min()} to {self.numbers.max()}; expected 0 to {len(names) - 1}.")
        if self.matrix is not None and (self.matrix.dtype != np.bool_ or self.matrix.shape[1] != len(names)):
            raise InputError(
                f"The matrix is {self.matrix.dtype} of shape {self.matrix.shape}; expected bool with {len(names)} columns, one a category."
            )

    def __len__(self) -> int:
        return int(self.to_matrix().shape[0]) if self.numbers is None else len(self.numbers)

    @property
    def is_multi(self) -> bool:
        """Whether an item may have several categories, or none."""
        return self.numbers is None

    @property
    def counts(self) -> Int64[np.ndarray, " n_categories"]:
        """Items that carry each category."""
        if self.numbers is not None:
            return np.bincount(self.numbers, minlength=len(self.categories)).astype(np.int64)
        return np.bincount(self.to_matrix().indices, minlength=len(self.categories)).astype(np.int64)

    def to_matrix(self) -> scipy.sparse.csr_array:
        """Shape (n_items, n_categories), bool, whether single or multi."""
        if self.matrix is not None:
            return self.matrix
        assert self.numbers is not None
        n = len(self.numbers)
        return scipy.sparse.csr_array((np.ones(n, bool), self.numbers, np.arange(n + 1)), shape=(n, len(self.categories)))

    def of(self, row: int) -> tuple[str, ...]:
        """Names of the categories that one item carries, sorted."""
        if self.numbers is not None:
            return (self.categories[self.numbers[row]],)
        matrix = self.to_matrix()
        start, stop = matrix.indptr[row : row + 2]
        return tuple(self.categories[number] for number in matrix.indices[start:stop])

    def to_dict(self) -> dict[str, Any]:
        """Categories and their sizes as plain types, for JSON; not the items."""
        counts = dict(zip(self.categories, self.counts.tolist(), strict=True))
        return {"n_items": len(self), "is_multi": self.is_multi, "counts": counts}


def single_label(labels: Sequence[str]) -> Memberships:
    """One category for each item.

    Parameters
    ----------
    labels : sequence of str, length n_items
        Any text; two labels that differ in white space or case are two categories.

    Returns
    -------
    Memberships
        With `numbers`.

    Raises
    ------
    InputError
        If an item has no label, or one that is not text; if there is no item, or only one category.
    """
    names = _distinct(labels, labels)
    number = {name: index for index, name in enumerate(names)}
    return Memberships(names, numbers=np.fromiter(map(number.__getitem__, labels), np.int64, count=len(labels)))


def multi_label(labels: Sequence[Sequence[str]]) -> Memberships:
    """Any number of categories for each item.

    Parameters
    ----------
    labels : sequence of sequences of str, length n_items
        An item without a category has an empty one. A category named twice counts once.

    Returns
    -------
    Memberships
        With `matrix`.

    Raises
    ------
    InputError
        If an entry is text instead of a list, a label is empty or not text; if there is no item, or only one category.
    """
    wrong = next((row for row, entry in enumerate(labels) if isinstance(entry, str) or not hasattr(entry, "__len__")), None)
    if wrong is not None:
        raise InputError(
            f"Row {wrong} of the labels is {labels[wrong]!r}, not a list of labels. Use single_label for one label an item, or "
            "split_labels for a column of labels with a separator."
        )
    flat = list(chain.from_iterable(labels))
    lengths = np.fromiter(map(len, labels), np.int64, count=len(labels))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    names = _distinct(flat, labels, rows=starts)
    number = {name: index for index, name in enumerate(names)}
    columns = np.fromiter(map(number.__getitem__, flat), np.int64, count=len(flat))
    matrix = scipy.sparse.csr_array((np.ones(len(flat), np.int32), columns, starts), shape=(len(labels), len(names)))
    matrix.sum_duplicates()  # a label twice is 2, which is True as well; sorts each row too
    return Memberships(names, matrix=matrix.astype(bool))


def split_labels(column: Sequence[str], separator: str) -> Memberships:
    """Any number of categories for each item, from one column of text.

    Parameters
    ----------
    column : sequence of str, length n_items
        White space around a label is taken off; nothing between two separators, or after the last, is no label. A blank cell is an
        item without a category. Cells without the separator hold one label.
    separator : str
        Such as ``";"``.

    Returns
    -------
    Memberships
        With `matrix`.

    Raises
    ------
    InputError
        If the separator is empty, a cell is not text, there is no item, or only one category.
    """
    if not separator:
        raise InputError("The separator of labels is empty. Give the text that stands between two labels, such as ';'.")
    wrong = next((row for row, cell in enumerate(column) if not isinstance(cell, str)), None)
    if wrong is not None:
        raise InputError(f"Row {wrong} of the labels is {column[wrong]!r}, not text. Write an item without a category as ''.")
    return multi_label([[label for part in cell.split(separator) if (label := part.strip())] for cell in column])


def _distinct(flat: Sequence[str], labels: Sequence[Any], rows: np.ndarray | None = None) -> tuple[str, ...]:
    """All names, sorted; looks for the row of a wrong one only where there is one."""
    if not len(labels):
        raise InputError("There are no labels. Give at least one item of two categories each.")
    names = set(flat)
    wrong = {name for name in names if not isinstance(name, str) or not name.strip()}
    if wrong:
        # NaN differs from itself, so by identity as well.
        found = [place for place, name in enumerate(flat) if name in wrong]
        at = np.array(found) if rows is None else np.searchsorted(rows, found, side="right") - 1
        listed = ", ".join(map(str, np.unique(at)[:_MAX_NAMED])) + (f" and {len(at) - _MAX_NAMED} more" if len(at) > _MAX_NAMED else "")
        name = flat[found[0]]
        if name is None or name != name or isinstance(name, str):
            raise InputError(f"Rows without a label: {listed}. Give every row a label, or remove the row.")
        raise InputError(f"Labels are text, but {name!r} is {type(name).__name__} (rows {listed}). Write it as {str(name)!r}.")
    return tuple(sorted(names))
