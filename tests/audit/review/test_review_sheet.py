"""The sheet through the csv module and through what spreadsheet programs and people do to it."""

import csv
import io
import math

import openpyxl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lexframe.audit.review.review_reading import read_review_sheet
from lexframe.audit.review.review_sheet import COLUMNS, MAX_CHARACTERS, ReviewRow, check_digits, guard, unguard, write_review_sheet
from lexframe.exceptions import DataError, InputError

CATEGORIES = ["cards", "fees, other", "top up", "Top  Up", "007", "=sum", "line\nbreak", "keep", "ENTY:animal"]
DIGEST = "0123456789ab"
ROWS = [
    ReviewRow(5, 'He said "a, b"\nand left', "cards", "top up", 0.91, "neighbors"),
    ReviewRow(2, "=HYPERLINK(1)", "fees, other", "", math.nan),
    ReviewRow(9, "'tis ünïcode €", "007", "line\nbreak", 0.5),
    ReviewRow(0, "-5 degrees", "=sum", "cards", 0.25, "+reason"),
]


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "sheet.csv"
    write_review_sheet(path, ROWS, digest=DIGEST)
    return path


def cells_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def save(path, rows, columns=COLUMNS, *, delimiter=",", encoding="utf-8", before="", line_end="\r\n"):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, delimiter=delimiter, extrasaction="ignore", lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes((before + buffer.getvalue()).encode(encoding))


def decide(path, decisions, **how):
    """Fill in the column as a person does; cells that are changed otherwise are given as dicts."""
    rows = cells_of(path)
    for place, change in decisions.items():
        rows[place] |= change if isinstance(change, dict) else {"decision": change}
    save(path, rows, **how)


def read(path, **how):
    return read_review_sheet(path, CATEGORIES, n_rows=10, digest=DIGEST, **how)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["=1", "'", "''=x", "'a", "\t", "\r", "-1", "007", "1.0", "1e5", "12", "", "@x", "'007", "nan", "1,5", "9" * 16]
)


@given(texts)
@example("'=1+1")
def test_guarding_is_reversible_and_no_formula_is_left(cell):
    assert unguard(guard(cell)) == cell
    assert not guard(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_numbers_that_would_be_rewritten_are_guarded():
    assert [guard(cell) for cell in ("007", "1.0", "1e5", "12", "0", "a", "nan", "9" * 16)] == [
        "'007", "'1.0", "'1e5", "12", "0", "a", "nan", "'" + "9" * 16,
    ]  # fmt: skip


@given(st.lists(st.tuples(texts, texts.filter(bool), texts), min_size=1, max_size=5))
def test_every_text_survives_the_file(tmp_path_factory, cases):
    path = tmp_path_factory.mktemp("sheet") / "s.csv"
    rows = [ReviewRow(i, text, label, suggested, 0.5) for i, (text, label, suggested) in enumerate(cases)]
    write_review_sheet(path, rows, digest=DIGEST)
    found = cells_of(path)
    assert [(unguard(c["text"]), unguard(c["given"]), unguard(c["suggested"])) for c in found] == cases
    assert not path.read_bytes().startswith(b"\xef\xbb\xbf")
    decide(path, dict.fromkeys(range(len(rows)), "keep"))
    decisions = read_review_sheet(path, ["another category"], n_rows=5, digest=DIGEST)
    assert decisions.rows.tolist() == list(range(len(rows)))
    assert decisions.given.tolist() == [label.rstrip("\0") for _, label, _ in cases]  # numpy's texts end before a last NUL


def test_the_columns_and_an_untouched_sheet(sheet):
    rows = cells_of(sheet)
    assert tuple(rows[0]) == COLUMNS
    assert [row["decision"] for row in rows] == [""] * 4
    assert [row["probability"] for row in rows] == ["0.910", "", "0.500", "0.250"]
    found = read(sheet)
    assert len(found) == 0
    assert found.problems == found.notes == ()


@pytest.mark.parametrize(
    ("written", "verdict", "category"),
    [
        ("keep", "keep", ""),
        (" KEEP ", "keep", ""),
        ("Move", "move", "top up"),
        ("move:", "move", "top up"),
        ("MOVE :  Fees, Other", "move", "fees, other"),
        ("add: 007", "add", "007"),
        ("add", "add", "top up"),
        ("remove", "remove", ""),
        ("Nowhere", "nowhere", ""),
        ("skip", "skip", ""),
        ("fees, other", "move", "fees, other"),
        ("LINE BREAK", "move", "line\nbreak"),
        ("'=sum", "move", "=sum"),
        ("=sum", "move", "=sum"),
        ("move: keep", "move", "keep"),
        ("enty:ANIMAL", "move", "ENTY:animal"),
        ("Top  Up", "move", "Top  Up"),
        ("cards", "keep", ""),
        ("move: Cards", "keep", ""),
    ],
)
def test_what_may_be_written(sheet, written, verdict, category):
    decide(sheet, {0: written})
    found = read(sheet)
    assert (found.rows.tolist(), found.verdicts.tolist(), found.categories.tolist()) == ([5], [verdict], [category])
    assert found.given.tolist() == ["cards"]


FILLED = {0: "move", 1: "keep", 2: "move", 3: "nowhere"}


@pytest.mark.parametrize(
    ("how", "note"),
    [
        ({}, None),
        ({"delimiter": ";"}, "semicolons"),
        ({"delimiter": "\t"}, "tabs"),
        ({"delimiter": ";", "before": "sep=;\r\n"}, "semicolons"),
        ({"encoding": "utf-8-sig"}, None),
        ({"encoding": "utf-16"}, "UTF-16"),
        ({"encoding": "utf-16-le", "delimiter": "\t"}, "UTF-16"),
        ({"encoding": "utf-16-be"}, "UTF-16"),
        ({"encoding": "cp1252"}, "Windows-1252"),
        ({"columns": tuple(reversed(COLUMNS))}, None),
        ({"columns": ("decision", "my notes", *(name for name in COLUMNS if name not in ("decision", "reason", "probability")))}, None),
        ({"line_end": "\n"}, None),
        ({"before": "\r\n"}, None),
    ],
)
def test_what_programs_do_to_a_file(sheet, how, note):
    decide(sheet, FILLED, **how)
    found = read(sheet)
    assert found.rows.tolist() == [5, 2, 9, 0]
    assert found.verdicts.tolist() == ["move", "keep", "move", "nowhere"]
    assert found.categories.tolist() == ["top up", "", "line\nbreak", ""]
    assert found.given.tolist() == ["cards", "fees, other", "007", "=sum"]
    assert bool(found.notes) == bool(note)
    assert not note or note in found.notes[0]


def test_rows_in_another_order_removed_doubled_and_blank(sheet):
    rows = [row | {"decision": "keep"} for row in cells_of(sheet)]
    save(sheet, [rows[3], dict.fromkeys(COLUMNS, ""), rows[0], rows[0], rows[3] | {"decision": ""}])
    assert read(sheet).rows.tolist() == [0, 5]
    save(sheet, [rows[0] | {"decision": "add: 007"}, rows[0] | {"decision": "add: keep"}, rows[0]])
    assert read(sheet).verdicts.tolist() == ["add", "add", "keep"]  # an item may get several


def test_line_ends_outer_white_space_and_eaten_apostrophes_are_no_change(sheet):
    rows = [row | {"decision": "keep"} for row in cells_of(sheet)]
    rows[0]["text"] = rows[0]["text"].replace("\n", "\r\n") + "  "
    rows[1]["text"] = rows[1]["text"].removeprefix("'")  # a program that takes the apostrophe for its own sign
    rows[2] |= {"row": "9.0", "text": rows[2]["text"].removeprefix("'")}  # the text starts with one of its own
    save(sheet, rows)
    assert len(read(sheet)) == 4


def test_a_long_text_is_shortened_and_still_checked(tmp_path):
    write_review_sheet(tmp_path / "s.csv", [ReviewRow(0, "x" * 99_999, "a", "b", 1.0)], digest=DIGEST)
    assert len(cells_of(tmp_path / "s.csv")[0]["text"]) == MAX_CHARACTERS
    decide(tmp_path / "s.csv", {0: "keep"})
    assert len(read_review_sheet(tmp_path / "s.csv", ["a", "b"], n_rows=1, digest=DIGEST)) == 1


WRONG = [
    ({0: "mov"}, r"row 2 of the sheet \(line 2\): found the decision 'mov'; expected keep, move, move: <category>"),
    ({1: "move: crads"}, r"row 3 of the sheet \(line 4\): found the category 'crads'.*nearest are 'cards'"),
    ({0: "TOP UP"}, "'TOP UP' names 2 categories: 'top up', 'Top  Up'"),
    ({1: "move"}, "suggests no category; expected 'move: <category>'"),
    ({0: {"row": "77"}}, "found the row number '77'; expected one from 0 to 9"),
    ({0: {"row": "five"}}, "found the row number 'five'"),
    ({0: {"row": "-1"}}, "found the row number '-1'"),
    ({0: {"row": "6"}}, "do not belong to this row number.*sorted without the others"),
    ({0: {"given": "top up"}}, "the cell given was changed to 'top up'.*'move: top up'"),
    ({0: {"text": "something else", "decision": "keep"}}, "the cell text was changed"),
    ({0: {"suggested": "007", "decision": "move"}}, "the cell suggested was changed"),
    ({0: {"check": "123"}}, "found the check '123'"),
    ({0: {"audit": "audit-ffff"}}, "found the audit 'ffff', expected '0123456789ab'"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_wrong_rows_are_named_and_the_others_kept(sheet, changes, message):
    decide(sheet, {3: "remove"} | changes)
    before = sheet.read_bytes()
    with pytest.raises(DataError, match=message) as raised:
        read(sheet)
    assert "1 of 4 rows cannot be used" in str(raised.value)
    found = read(sheet, strict=False)
    assert found.rows.tolist() == [0]
    assert found.verdicts.tolist() == ["remove"]
    assert len(found.problems) == 1
    assert sheet.read_bytes() == before


def test_a_text_that_was_changed_where_nothing_was_decided_does_no_harm(sheet):
    decide(sheet, {0: {"text": "cut by a program"}, 3: "keep"})
    assert read(sheet).rows.tolist() == [0]


def test_one_row_with_two_decisions(sheet):
    rows = [row | {"decision": "keep"} for row in cells_of(sheet)]
    save(sheet, [*rows, rows[1] | {"decision": "remove"}])
    with pytest.raises(
        DataError, match=r"row 6 of the sheet \(line 8\): \(row 2\) found 'remove', but row 3 of the sheet \(line 4\) says 'keep'"
    ):
        read(sheet)
    assert read(sheet, strict=False).rows.tolist() == [5, 9, 0]  # neither is taken


def test_wrong_rows_stand_in_one_message_that_is_read(tmp_path):
    path = tmp_path / "s.csv"
    write_review_sheet(path, [ReviewRow(i, "t", "cards", "007", 0.5) for i in range(60)], digest=DIGEST)
    decide(path, dict.fromkeys(range(25), "what?") | dict.fromkeys(range(25, 60), "keep"))
    with pytest.raises(DataError) as raised:
        read_review_sheet(path, CATEGORIES, n_rows=60, digest=DIGEST)
    lines = str(raised.value).splitlines()
    assert "25 of 60 rows" in lines[0]
    assert len(lines) == 7
    assert lines[-1] == "- and 20 more."
    found = read_review_sheet(path, CATEGORIES, n_rows=60, digest=DIGEST, strict=False)
    assert (len(found), len(found.problems)) == (35, 25)


def test_characters_that_a_program_lost_are_noticed(sheet):
    decide(sheet, FILLED)
    sheet.write_bytes(sheet.read_text(encoding="utf-8").replace("€", "?").encode("cp1252"))
    with pytest.raises(DataError, match=r"(?s)the cell text was changed.*Note: the file is not UTF-8"):
        read(sheet)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"row,decision\n1,keep\n", "no column 'given', 'suggested', 'text', 'check', 'audit'; there are 'row', 'decision'"),
        ((",".join(COLUMNS) + ",row\n").encode(), "the column 'row' stands there twice"),
        ((",".join(COLUMNS) + '\n1,keep,"a\n').encode(), "line 2: a quote opens here and does not close"),
        (b"PK\x03\x04rest", "not a readable workbook"),
        (b"\xff\xfea", "line 1: not utf-16"),
    ],
)
def test_files_that_are_no_sheet(tmp_path, content, message):
    (tmp_path / "s.csv").write_bytes(content)
    for strict in (True, False):
        with pytest.raises(DataError, match=message):
            read(tmp_path / "s.csv", strict=strict)
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "none.csv")


def test_a_sheet_that_cannot_be_written_leaves_the_old_one(sheet):
    before = sheet.read_bytes()
    with pytest.raises(InputError, match="number -1"):
        write_review_sheet(sheet, [ROWS[0], ReviewRow(-1, "t", "a", "b", 0.1)], digest=DIGEST)
    assert sheet.read_bytes() == before
    with pytest.raises(InputError, match="needs the digest"):
        write_review_sheet(sheet, ROWS, digest=" ")


def test_half_a_character_is_written_as_a_question_mark(tmp_path):
    write_review_sheet(tmp_path / "s.csv", [ReviewRow(0, "a\ud800", "x", "y", 0.1)], digest=DIGEST)
    assert cells_of(tmp_path / "s.csv")[0]["text"] == "a?"
    assert check_digits(DIGEST, 0, "text", "a?") in cells_of(tmp_path / "s.csv")[0]["check"]


def test_a_sheet_that_was_saved_as_a_workbook(sheet, tmp_path):
    rows = cells_of(sheet)
    made = openpyxl.Workbook()
    made.active.append([*COLUMNS, "my sum"])
    for place, row in enumerate(rows):
        cells = [FILLED[place] if name == "decision" else int(row[name]) if name == "row" else row[name] for name in COLUMNS]
        made.active.append([*cells, "=1+1"])
    made.save(tmp_path / "sheet.xlsx")
    found = read(tmp_path / "sheet.xlsx")
    assert found.rows.tolist() == [5, 2, 9, 0]
    assert found.verdicts.tolist() == ["move", "keep", "move", "nowhere"]
    made.active["C3"] = "cards"
    made.save(tmp_path / "sheet.xlsx")
    with pytest.raises(DataError, match=r"row 3 of the sheet: \(row 2\) the cell given was changed"):
        read(tmp_path / "sheet.xlsx")
