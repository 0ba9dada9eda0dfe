"""Labeled texts as people hold them in Python, as one table."""

from collections.abc import Mapping
from typing import Any

from lexframe.checks import is_missing, texts_in
from lexframe.data.readers import Table
from lexframe.exceptions import DataError, InputError


def as_table(given: Any, *, text: str = "text", label: str = "label", what: str = "train") -> Table:
    """A table out of a data frame, a data set with named columns, columns by name, ``(texts, labels)``, or rows.

    Parameters
    ----------
    given
        A table stays as it is. What has columns (pandas, polars, a data set) or is a mapping gives those named `text` and `label`; a
        tuple of two holds texts and labels; a list holds pairs, or mappings with both names.
    text, label : str
        Names of columns.
    what : str
        Its name in messages.

    Raises
    ------
    InputError
        If it is none of these, a text is no text, or texts and labels differ in number.
    DataError
        If a column or a label is missing.
    """
    if isinstance(given, Table):
        return given
    names = getattr(given, "column_names", None) or getattr(given, "columns", None)
    if names is not None or isinstance(given, Mapping):
        known = [str(name) for name in (given if names is None else names)]
        for name in (text, label):
            if name not in known:
                raise DataError(f"{what} has no column {name!r}; it has {', '.join(map(repr, known[:8]))}. Rename the one that is meant.")
        texts, labels = given[text], given[label]
    elif isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], str):
        texts, labels = given
    elif not isinstance(given, str | bytes) and hasattr(given, "__iter__"):
        rows = list(given)
        if rows and all(isinstance(row, Mapping) and text in row and label in row for row in rows):
            rows = [(row[text], row[label]) for row in rows]
        if not all(isinstance(row, tuple | list) and len(row) == 2 for row in rows):
            raise InputError(f"{what} is a list of other things than pairs of text and label. Give (texts, labels), or a data frame.")
        texts, labels = [row[0] for row in rows], [row[1] for row in rows]
    else:
        raise InputError(f"{what} is {type(given).__name__}; expected a table, a data frame, or (texts, labels). read_table reads a file.")
    texts, named = texts_in(texts, what=f"texts of {what}"), labels.tolist() if hasattr(labels, "tolist") else list(labels)
    if len(texts) != len(named):
        raise InputError(f"{what} has {len(texts)} texts and {len(named)} labels. Give one label a text.")
    missing = [row for row, name in enumerate(named) if is_missing(name)]
    if missing:
        raise DataError(f"{len(missing)} labels of {what} are missing, the first in row {missing[0]}. Leave these rows out.")
    rows = [row for row, content in enumerate(texts) if content.strip()]
    if not rows:
        raise DataError(f"{what} holds no text. Give one or more.")
    kept, of_kept = tuple(texts[row] for row in rows), tuple(str(named[row]) for row in rows)
    return Table(kept, of_kept, what, len(texts) - len(rows), tuple(rows))
