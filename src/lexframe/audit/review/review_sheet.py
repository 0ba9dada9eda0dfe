"""The sheet that a curator works from: a CSV that any spreadsheet program opens, with marks that show what was changed in it."""

import csv
import hashlib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

from lexframe.exceptions import InputError
from lexframe.files import replacing

COLUMNS = ("row", "decision", "given", "suggested", "probability", "reason", "text", "check", "audit")
CHECKED = ("given", "suggested", "text")
AUDIT_PREFIX = "audit-"  # twelve hex digits alone may be a number, and a spreadsheet program rewrites numbers
MAX_CHARACTERS = 30_000  # spreadsheet programs cut a cell at 32,767
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_LARGEST_PLAIN = 15  # digits that a spreadsheet program keeps


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One item to look at.

    Attributes
    ----------
    row : int
        Of the audited data, from 0.
    text : str
        Shortened in the sheet where a cell cannot hold it.
    given, suggested : str
        The label that the item carries and the one that the audit proposes; empty where there is none.
    probability : float
        That the suggestion is right, from 0 to 1; NaN leaves the cell empty.
    reason : str
        Why the row is in the sheet.
    decision : str
        What is filled in beforehand; usually nothing.
    """

    row: int
    text: str
    given: str
    suggested: str
    probability: float
    reason: str = ""
    decision: str = ""


def write_review_sheet(path: str | os.PathLike[str], rows: Iterable[ReviewRow], *, digest: str) -> None:
    """Write a sheet: CSV, UTF-8 without a byte-order mark, in the order of `rows`.

    A cell that a spreadsheet program would take for a formula, or a number that it would rewrite (007, 1.0), starts with an apostrophe,
    which reading takes off again. The column ``decision`` is for the curator: keep, move, move: <category>, add: <category>, remove,
    nowhere, skip, or the name of a category.

    Parameters
    ----------
    path : str or PathLike
        Replaced at once.
    rows : iterable of ReviewRow
    digest : str
        Of this audit; reading refuses rows of another.

    Raises
    ------
    InputError
        If the digest is empty, a row negative, or the file cannot be written.
    """
    if not digest.strip():
        raise InputError("A sheet needs the digest of its audit, so that decisions do not reach another. Give a hash of the data.")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for row in rows:
            if row.row < 0:
                raise InputError(f"A row of the sheet has the number {row.row}; rows count from 0.")
            text, given, suggested, reason, decision = map(_writable, (row.text, row.given, row.suggested, row.reason, row.decision))
            probability = "" if math.isnan(row.probability) else f"{row.probability:.3f}"
            check = "-".join(
                check_digits(digest, row.row, name, value) for name, value in zip(CHECKED, (given, suggested, text), strict=True)
            )
            cells = map(guard, (decision, given, suggested))
            writer.writerow([row.row, *cells, probability, guard(reason), guard(text), check, AUDIT_PREFIX + digest])


def guard(cell: str) -> str:
    """A cell that a spreadsheet program shows as it is; :func:`unguard` gives the cell back, whatever it holds."""
    return f"'{cell}" if cell.startswith(_STARTS_FORMULA) or _is_rewritten(cell) else cell


def unguard(cell: str) -> str:
    """The cell before :func:`guard`."""
    return cell.removeprefix("'")


def check_digits(digest: str, row: int, name: str, value: str) -> str:
    """Six hex digits over a cell and its place, which do not depend on how a program writes line ends and outer white space."""
    plain = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    return hashlib.blake2b(f"{digest}\0{row}\0{name}\0{plain}".encode("utf-8", "replace"), digest_size=3).hexdigest()


def _is_rewritten(cell: str) -> bool:
    """Whether a spreadsheet program takes the cell for a number and would save it in another form."""
    plain = cell.strip()
    if plain.isascii() and plain.isdigit():
        return len(plain) > _LARGEST_PLAIN or (len(plain) > 1 and plain[0] == "0")
    try:
        float(plain.replace(",", "."))
    except ValueError:
        return False
    return any(character.isdigit() for character in plain)


def _writable(text: str) -> str:
    """Short enough for a cell, and without halves of characters, which no file can hold."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole if len(whole) <= MAX_CHARACTERS else whole[: MAX_CHARACTERS - 1] + "…"
