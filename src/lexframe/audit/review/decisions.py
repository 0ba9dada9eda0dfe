"""What a curator decided, row by row and round by round."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from lexframe.data.tables.encodings import text_lines
from lexframe.exceptions import DataError, InputError
from lexframe.files import json_text, replacing

VERDICTS = ("keep", "move", "add", "remove", "nowhere", "skip")
NAMING = ("move", "add")  # the verdicts that name a category
_FIELDS = ("row", "given", "verdict", "category")


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions in the order in which they were taken.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Rows of the audited data, from 0. A row may occur more than once: with several given labels, or several to add.
    verdicts : ndarray of str, shape (n,)
        ``keep``: the given label is right. ``move``: `categories` should replace it. ``add``: `categories` should join it. ``remove``:
        the given label is wrong and nothing replaces it. ``nowhere``: the item belongs to no category. ``skip``: looked at, undecided.
    categories : ndarray of str, shape (n,)
        The category named, empty where the verdict names none.
    given : ndarray of str, shape (n,)
        The label that was judged, as it stood then; empty where the item had none.
    problems : tuple of str
        Rows of the sheet that could not be used, where it was not read strictly.
    notes : tuple of str
        What was odd about the file and did no harm.
    """

    rows: Int64[np.ndarray, " n"]
    verdicts: Shaped[np.ndarray, " n"]
    categories: Shaped[np.ndarray, " n"]
    given: Shaped[np.ndarray, " n"]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def from_lists(
        cls,
        rows: Sequence[int],
        verdicts: Sequence[str],
        categories: Sequence[str],
        given: Sequence[str],
        *,
        problems: Iterable[str] = (),
        notes: Iterable[str] = (),
    ) -> "Decisions":
        """From plain lists of one length.

        Raises
        ------
        InputError
            If the lengths differ, a row is negative, a verdict is unknown, or a category is named where none belongs or missing.
        """
        if len({len(rows), len(verdicts), len(categories), len(given)}) > 1:
            raise InputError("Rows, verdicts, categories and given labels differ in number. Give one of each for every decision.")
        for row, verdict, category in zip(rows, verdicts, categories, strict=True):
            if row < 0:
                raise InputError(f"A decision is on row {row}; rows count from 0.")
            if verdict not in VERDICTS:
                raise InputError(f"The verdict on row {row} is {verdict!r}; expected one of {', '.join(VERDICTS)}.")
            if (verdict in NAMING) != bool(category):
                raise InputError(
                    f"The verdict {verdict!r} on row {row} names {category or 'no category'!r}; {' and '.join(NAMING)} name one."
                )
        return cls(
            rows=np.array(rows, dtype=np.int64),
            verdicts=np.array(verdicts, dtype=str),
            categories=np.array(categories, dtype=str),
            given=np.array(given, dtype=str),
            problems=tuple(problems),
            notes=tuple(notes),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def merge(self, later: "Decisions") -> "Decisions":
        """These, and then `later`: a later decision on the same given label of a row takes the place of the earlier one.

        Decisions to add different categories stand beside each other, and so do those on labels that a row had at different times. A
        later ``skip`` says nothing, and leaves the earlier decision.
        """
        merged: dict[tuple[int | str, ...], tuple[int, str, str, str]] = {}
        for record in (*self._records(), *later._records()):
            row, given, verdict, category = record
            key: tuple[int | str, ...] = (row, verdict, category) if verdict == "add" else (row, given)
            before = merged.get(key)
            if before is not None and verdict == "skip" and before[2] != "skip":
                continue
            merged.pop(key, None)  # so that it moves to the end
            merged[key] = record
        rows, given_labels, verdicts, categories = zip(*merged.values(), strict=True) if merged else ((), (), (), ())
        return Decisions.from_lists(
            rows, verdicts, categories, given_labels, problems=self.problems + later.problems, notes=self.notes + later.notes
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        records = [dict(zip(_FIELDS, record, strict=True)) for record in self._records()]
        return {"decisions": records, "problems": list(self.problems), "notes": list(self.notes)}

    def _records(self) -> Iterable[tuple[int, str, str, str]]:
        return zip(self.rows.tolist(), self.given.tolist(), self.verdicts.tolist(), self.categories.tolist(), strict=True)


def append_decisions(path: str | os.PathLike[str], decisions: Decisions, *, data: str = "") -> None:
    """Add decisions at the end of a file of all rounds, one JSON object a line; the file is replaced at once.

    Parameters
    ----------
    path : str or PathLike
        ``.jsonl``; made when missing.
    decisions : Decisions
        Problems and notes are not kept.
    data : str
        What identifies the audited rows, such as a hash of their texts: row numbers mean nothing in other data.

    Raises
    ------
    InputError
        If the file cannot be read or written.
    """
    target = Path(path)
    try:
        before = target.read_bytes() if target.exists() else b""
    except OSError as error:
        raise DataError(f"{target} cannot be read: {error.strerror or error}. Name another file for the decisions.") from error
    lines = [json_text(dict(zip(_FIELDS, record, strict=True)) | {"data": data}) for record in decisions._records()]
    with replacing(target) as temporary:
        gap = b"\n" if before and not before.endswith(b"\n") else b""
        temporary.write_bytes(before + gap + "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def load_decisions(path: str | os.PathLike[str], *, data: str | None = None) -> Decisions:
    """Read what :func:`append_decisions` has written over all rounds, merged: later lines win as in :meth:`Decisions.merge`.

    Parameters
    ----------
    path : str or PathLike
    data : str, optional
        As given when appending. Default: not compared.

    Returns
    -------
    Decisions

    Raises
    ------
    DataError
        If the file is missing, a line is no decision, or it is of other data.
    """
    target = Path(path)
    if not target.is_file():
        raise DataError(f"{target}: no such file. Name the file that decisions were appended to.")
    records = []
    for number, line in enumerate(text_lines(target), start=1):
        if not line.strip():
            continue
        where = f"{target}, line {number}"
        try:
            document = json.loads(line)
            row, *texts = (document[name] for name in _FIELDS)
            if type(row) is not int or not all(isinstance(text, str) for text in texts):
                raise ValueError("row is a whole number, the other fields are text")
            given, verdict, category = texts
            Decisions.from_lists([row], [verdict], [category], [given])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{where}: no decision ({error}). Remove the line, or restore it from a copy.") from error
        if data is not None and document.get("data") != data:
            raise DataError(
                f"{where}: a decision on other data ({document.get('data')!r}, these are {data!r}). Rows may have moved; use the file of "
                "decisions that belongs to these data."
            )
        records.append((row, verdict, category, given))
    lists = zip(*records, strict=True) if records else [()] * 4
    return Decisions.from_lists([], [], [], []).merge(Decisions.from_lists(*lists))
