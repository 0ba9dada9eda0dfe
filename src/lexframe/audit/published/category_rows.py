"""Which rows belong to which category, sorted by category once, so that no category looks through all rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from lexframe.exceptions import InputError
from lexframe.typing import Points, Vectors

Given = Int[np.ndarray, " n"] | Bool[np.ndarray, "n n_given"]
"""A category number for each row (-1: none), or a truth value for each row and category."""


@dataclass(frozen=True, slots=True)
class CategoryRows:
    """The rows of every category.

    Attributes
    ----------
    rows : ndarray of int64, shape (n_memberships,)
        Rows of category 0, then of category 1 and so on; ascending within a category.
    starts : ndarray of int64, shape (n_categories + 1,)
        Where in `rows` each category begins; the last entry is the number of memberships.
    n_rows : int
        Rows that there are, with or without a category.
    """

    rows: Int64[np.ndarray, " n_memberships"]
    starts: Int64[np.ndarray, " n_bounds"]
    n_rows: int

    @property
    def n_categories(self) -> int:
        """Categories that there are, empty ones included."""
        return len(self.starts) - 1

    @property
    def sizes(self) -> Int64[np.ndarray, " n_categories"]:
        """Members of every category."""
        return np.diff(self.starts)

    def of(self, category: int) -> Int64[np.ndarray, " n_members"]:
        """Rows of a category, ascending.

        Raises
        ------
        InputError
            If there is no such category.
        """
        if not 0 <= category < self.n_categories:
            raise InputError(f"Category {category} was asked for, but categories are 0 to {self.n_categories - 1}.")
        return self.rows[self.starts[category] : self.starts[category + 1]]

    def holds(self, category: int, rows: Int[np.ndarray, " n_asked"]) -> Bool[np.ndarray, " n_asked"]:
        """Which of `rows` belong to a category."""
        members = self.of(category)
        if not len(members):
            return np.zeros(len(rows), dtype=bool)
        return members[np.minimum(np.searchsorted(members, rows), len(members) - 1)] == rows


def category_rows(given: Given, n_categories: int | None = None) -> CategoryRows:
    """Sort rows by category.

    Parameters
    ----------
    given : ndarray of int, shape (n,), or of bool, shape (n, n_categories)
        The category of each row, -1 where it has none; or, for rows in several categories, whether it is in each.
    n_categories : int, optional
        Default: one more than the highest number, or the columns of the truth table.

    Returns
    -------
    CategoryRows

    Raises
    ------
    InputError
        If it is neither of the two, or a number is below -1 or not below `n_categories`.
    """
    given = np.asarray(given)
    if given.dtype == bool and given.ndim == 2:
        if n_categories not in (None, given.shape[1]):
            raise InputError(f"The membership table has {given.shape[1]} columns, but n_categories is {n_categories}. Make them agree.")
        categories, rows = np.nonzero(given.T)
        count = given.shape[1]
    elif np.issubdtype(given.dtype, np.integer) and given.ndim == 1:
        highest = int(given.max(initial=-1)) + 1
        count = highest if n_categories is None else n_categories
        wrong = np.flatnonzero((given < -1) | (given >= count))
        if len(wrong):
            raise InputError(
                f"Row {wrong[0]} is in category {given[wrong[0]]}; expected 0 to {count - 1}, or -1 for none. "
                "Number the categories from 0, or say how many there are with n_categories."
            )
        order = np.argsort(given, kind="stable")
        rows = order[np.count_nonzero(given < 0) :]
        categories = given[rows]
    else:
        raise InputError(
            f"The categories have shape {given.shape} and type {given.dtype}; expected category numbers of shape (n,), or truth values "
            "of shape (n, n_categories)."
        )
    starts = np.concatenate([[0], np.cumsum(np.bincount(categories, minlength=count))]).astype(np.int64)
    return CategoryRows(rows=rows.astype(np.int64), starts=starts, n_rows=len(given))


def category_sums(points: Points, members: CategoryRows) -> Float64[np.ndarray, "n_categories n_dims"]:
    """Sum of the members of every category, added up in float64; 0 for an empty category.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
    members : CategoryRows
    """
    sums = np.zeros((members.n_categories, points.shape[1]))
    for category in np.flatnonzero(members.sizes):
        sums[category] = points[members.of(int(category))].sum(axis=0, dtype=np.float64)
    return sums


def check_rows(points: Vectors, members: CategoryRows) -> None:
    """Refuse points and categories that do not belong together, and points that are not finite.

    Parameters
    ----------
    points : ndarray of shape (n, n_dims)
    members : CategoryRows

    Raises
    ------
    InputError
        If there is not a category (or a row of truth values) for every point, or a point holds NaN or infinity.
    """
    if len(points) != members.n_rows:
        raise InputError(f"There are {len(points)} points, but categories of {members.n_rows} rows. Give one for every point.")
    for start in range(0, len(points), 65_536):
        wrong = np.flatnonzero(~np.isfinite(points[start : start + 65_536]).all(axis=1))
        if len(wrong):
            raise InputError(f"Row {start + wrong[0]} of the points holds NaN or infinity. Remove it, or look at what makes such values.")
