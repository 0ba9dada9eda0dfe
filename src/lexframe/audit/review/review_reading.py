"""A filled-in sheet back to decisions. Programs and people change sheets; every row that cannot be used is named, and none is guessed."""

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lexframe.audit.review.decisions import NAMING, Decisions
from lexframe.audit.review.review_sheet import AUDIT_PREFIX, CHECKED, check_digits, unguard
from lexframe.data.tables.delimited import Rows, layout_of
from lexframe.data.tables.encodings import writing_of
from lexframe.data.tables.records import Form
from lexframe.data.tables.sources import Source
from lexframe.data.tables.values import text_of
from lexframe.data.tables.workbook import read_workbook
from lexframe.exceptions import DataError, InputError

REQUIRED = ("row", "decision", "given", "suggested", "text", "check", "audit")
GRAMMAR = "keep, move, move: <category>, add: <category>, remove, nowhere, skip, or the name of a category"
MAX_NAMED = 5
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_PLAIN_VERDICTS = ("keep", "remove", "nowhere", "skip")


@dataclass(frozen=True, slots=True)
class _SheetRow:
    """A row as it stands in the file, by column, and how to call it."""

    where: str
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Reviewed:
    where: str
    row: int
    given: str
    verdict: str
    category: str


def read_review_sheet(
    path: str | os.PathLike[str], categories: Sequence[str], *, n_rows: int, digest: str, strict: bool = True
) -> Decisions:
    """Read the decisions of a sheet that :func:`lexframe.audit.review.review_sheet.write_review_sheet` has written.

    Rows and columns may stand in another order, rows and added columns may be missing, and the file may have been saved with semicolons
    or tabs, as UTF-16, as Windows-1252, or as a workbook
    (.xlsx). A blank decision is a row that was not reviewed. Decisions are read whatever their case; a
    category whose name is a verdict is meant by ``move: <category>`` alone. A category that the item carries already is ``keep``.

    Parameters
    ----------
    path : str or PathLike
    categories : sequence of str
        Those that a decision may name.
    n_rows : int
        Rows of the audited data.
    digest : str
        Of the audit, as it was written.
    strict : bool
        True: one wrong row refuses the sheet, with all wrong rows in one message. False: the other rows are returned, and the wrong ones
        named in ``problems``.

    Returns
    -------
    Decisions
        In the order of the sheet.

    Raises
    ------
    DataError
        If the file is no sheet (missing, empty, no columns, quotes that do not close); with `strict`, if a row is wrong: an unknown row
        number or category, a decision that is not understood, one row with two decisions, a cell that was changed, another audit.
    """
    path = Path(path)
    notes: list[str] = []
    names = _Names(categories)
    reviewed: list[_Reviewed] = []
    problems: list[str] = []
    audits: set[str] = set()
    n_sheet = 0
    for sheet_row in _sheet_rows(path, notes):
        n_sheet += 1
        audits.add(sheet_row.cells["audit"].strip().removeprefix(AUDIT_PREFIX))
        try:
            found = _reviewed(sheet_row, names, n_rows, digest)
        except InputError as error:
            problems.append(f"{sheet_row.where}: {error}")
        else:
            reviewed += [] if found is None else [found]
    _refuse_other_audit(path, audits, digest)
    kept, contradictions = _without_contradictions(reviewed)
    problems += contradictions
    if problems and strict:
        raise DataError(_refused(path, problems, n_sheet, notes))
    columns = [[getattr(one, name) for one in kept] for name in ("row", "verdict", "category", "given")]
    return Decisions.from_lists(*columns, problems=problems, notes=notes)


class _Names:
    """Categories by their name, as people write it."""

    def __init__(self, categories: Sequence[str]):
        self.exact = set(categories)
        self.loose: dict[str, list[str]] = {}
        for name in categories:
            self.loose.setdefault(_loose(name), []).append(name)

    def find(self, written: str) -> str | None:
        """The one category that is meant; None if there is no such category."""
        for form in (written, unguard(written)):
            if form in self.exact:
                return form
        for form in (written, unguard(written)):
            found = self.loose.get(_loose(form), [])
            if len(found) > 1:
                raise InputError(f"{written!r} names {len(found)} categories: {', '.join(map(repr, found[:4]))}; expected the exact name")
            if found:
                return found[0]
        return None

    def need(self, written: str) -> str:
        found = self.find(written)
        if found is None:
            close = difflib.get_close_matches(_loose(written), self.loose, n=3)
            meant = f"; nearest are {', '.join(repr(self.loose[name][0]) for name in close)}" if close else ""
            raise InputError(f"found the category {written!r}, which does not exist; expected one of {len(self.exact)}{meant}")
        return found


def _loose(name: str) -> str:
    return " ".join(name.casefold().split())


def _reviewed(sheet_row: _SheetRow, names: _Names, n_rows: int, digest: str) -> _Reviewed | None:
    """What one row says; None where it was not reviewed."""
    cells = sheet_row.cells
    audit = cells["audit"].strip().removeprefix(AUDIT_PREFIX)
    if audit != digest:
        raise InputError(f"found the audit {audit!r}, expected {digest!r}; this row belongs to another audit or its cell was changed")
    row = _row_number(cells["row"], n_rows)
    originals = _originals(cells, row, digest)
    if all(value is None for value in originals.values()):
        raise InputError(
            f"(row {row}) given, suggested and text do not belong to this row number; expected them as they were written. Was one "
            "column sorted without the others?"
        )
    if originals["given"] is None:
        shown = unguard(cells["given"].strip())
        raise InputError(
            f"(row {row}) the cell given was changed to {shown!r}; expected it as it was written. A new label goes into the column "
            f"decision, such as 'move: {shown}'"
        )
    if not cells["decision"].strip():
        return None
    changed = [name for name in CHECKED if originals[name] is None]
    if changed:
        raise InputError(f"(row {row}) the cell {' and '.join(changed)} was changed; expected it as it was written")
    given = originals["given"] or ""
    given = names.find(given) or given
    verdict, category = _decision(cells["decision"].strip(), given, originals["suggested"] or "", names)
    return _Reviewed(sheet_row.where, row, given, verdict, category)


def _decision(written: str, given: str, suggested: str, names: _Names) -> tuple[str, str]:
    word = written.casefold()
    if word in _PLAIN_VERDICTS:
        return word, ""
    verb, colon, rest = written.partition(":")
    verb = verb.strip().casefold()
    if word in NAMING or (colon and verb in NAMING and not rest.strip()):
        verb, category = word.rstrip(": "), suggested.strip()
        if not category:
            raise InputError(f"found {written!r}, but the row suggests no category; expected '{verb}: <category>'")
        category = names.need(category)
    elif colon and verb in NAMING:
        category = names.need(rest.strip())
    else:
        found = names.find(written)
        if found is None:
            raise InputError(f"found the decision {written!r}; expected {GRAMMAR}")
        verb, category = "move", found
    return ("keep", "") if category == given else (verb, category)


def _row_number(cell: str, n_rows: int) -> int:
    plain = cell.strip().replace(",", ".")
    whole = plain.removesuffix(".0")
    if not (whole.isascii() and whole.isdigit()) or int(whole) >= n_rows:
        raise InputError(f"found the row number {cell!r}; expected one from 0 to {n_rows - 1}")
    return int(whole)


def _originals(cells: dict[str, str], row: int, digest: str) -> dict[str, str | None]:
    """The checked cells as they were before writing, with the apostrophe or after a program took it off; None where changed."""
    digits = cells["check"].strip().split("-")
    if len(digits) != len(CHECKED):
        raise InputError(f"(row {row}) found the check {cells['check']!r}; expected it as it was written")
    result: dict[str, str | None] = {}
    for name, expected in zip(CHECKED, digits, strict=True):
        forms = (unguard(cells[name]), cells[name])
        result[name] = next((form for form in forms if check_digits(digest, row, name, form) == expected), None)
    return result


def _without_contradictions(reviewed: list[_Reviewed]) -> tuple[list[_Reviewed], list[str]]:
    """A label judged twice in different ways is not judged; the same way twice counts once. Several categories may be added."""
    first: dict[tuple[int, str], _Reviewed] = {}
    wrong: set[tuple[int, str]] = set()
    problems, kept = [], dict.fromkeys((one.row, one.given, one.verdict, one.category) for one in reviewed)
    for one in reviewed:
        if one.verdict == "add":
            continue
        before = first.setdefault((one.row, one.given), one)
        if (before.verdict, before.category) != (one.verdict, one.category):
            wrong.add((one.row, one.given))
            problems.append(
                f"{one.where}: (row {one.row}) found {_shown(one)!r}, but {before.where} says {_shown(before)!r}; expected one decision"
            )
    by_key = {(one.row, one.given, one.verdict, one.category): one for one in reversed(reviewed)}
    return [by_key[key] for key in kept if key[2] == "add" or key[:2] not in wrong], problems


def _shown(one: _Reviewed) -> str:
    return f"{one.verdict}: {one.category}" if one.category else one.verdict


def _refuse_other_audit(path: Path, audits: set[str], digest: str) -> None:
    """One line where every row of a sheet is of one other audit, instead of a complaint for each."""
    if len(audits) == 1 and digest not in audits:
        other = next(iter(audits))
        raise DataError(
            f"{path} is the sheet of other items: it was written for the audit {other or 'of no name'!r}, and these items are {digest!r}. "
            "Give the sheet that was written for these texts."
        )


def _refused(path: Path, problems: list[str], n_sheet: int, notes: list[str]) -> str:
    listed = [f"- {problem}." for problem in problems[:MAX_NAMED]]
    if len(problems) > MAX_NAMED:
        listed.append(f"- and {len(problems) - MAX_NAMED} more.")
    head = f"{path}: {len(problems)} of {n_sheet} rows cannot be used, and no decision was taken over. Correct them in the file."
    return "\n".join([head, *listed, *(f"- Note: {note}" for note in notes)])


def _sheet_rows(path: Path, notes: list[str]) -> Iterator[_SheetRow]:
    """The rows of a sheet, whatever a spreadsheet program has saved it as; `notes` takes what was assumed."""
    if not path.is_file():
        raise DataError(f"{path} cannot be read: there is no such file. Name the sheet that was filled in.")
    source = Source.of(path)
    if not source.head.strip():
        raise DataError(f"{path} is empty. Name the sheet that was filled in.")
    return _workbook_rows(source, notes) if source.head.startswith(_WORKBOOK) else _delimited_rows(source, notes)


def _delimited_rows(source: Source, notes: list[str]) -> Iterator[_SheetRow]:
    writing = writing_of(source)
    form = Form(quotes="double")  # as it was written
    layout = layout_of(source, writing, dict.fromkeys(REQUIRED, ()), form, ",")
    remarks: list[str] = []
    rows = Rows(source, writing, layout, remarks, judges=False)
    header = _header(source.name, rows.header() or ())
    notes += [f"the file {note}." for note in (*writing.notes, *layout.notes)]
    number = 1
    for line, cells in rows.of_any_length():
        number += 1
        if any(cell.strip() for cell in cells):
            padded = [*cells, *[""] * (len(header) - len(cells))]
            yield _SheetRow(f"row {number} of the sheet (line {line})", dict(zip(header, padded, strict=False)))


def _workbook_rows(source: Source, notes: list[str]) -> Iterator[_SheetRow]:
    columns = read_workbook(source, {}).columns or ()
    header = _header(source.name, columns)
    own = {name: columns[header.index(name)] for name in REQUIRED}
    records = read_workbook(source, dict.fromkeys(own.values(), ()))
    for number, cells in records.rows:
        yield _SheetRow(f"row {number} of the sheet", {name: text_of(cells[column]) for name, column in own.items()})
    notes += [f"the file {note}." for note in records.notes]


def _header(name: str, row: Sequence[str]) -> list[str]:
    """The names of the columns, in small letters."""
    header = [cell.strip().casefold() for cell in row]
    missing = [each for each in REQUIRED if each not in header]
    if missing:
        raise DataError(
            f"{name}: no column {', '.join(map(repr, missing))}; there are {', '.join(map(repr, header[:12]))}. Put the columns "
            "back as they were written; their order does not matter."
        )
    double = [each for each in REQUIRED if header.count(each) > 1]
    if double:
        raise DataError(f"{name}: the column {double[0]!r} stands there twice. Remove the one that was added.")
    return header
