"""Delimiters, quotes and rows that are too long or too short, as programs and people write them."""

import csv

import pytest

from lexframe.data import read_table, stream_rows
from lexframe.data.tables.layouts import find_layout, header_under
from lexframe.data.tables.records import Form
from lexframe.exceptions import DataError, InputError


def read(tmp_path, content, name="items.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **options)


def refused(tmp_path, content, name="items.csv", **options):
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, name, **options)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".tab"])
@pytest.mark.parametrize(("delimiter", "word"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_the_delimiter_is_found_whatever_the_suffix(tmp_path, delimiter, word, suffix, end):
    rows = [["id", "text", "label"], ["1", "the lamp flickers", "fault"], ["2", "who pays the bill", "money"]]
    table = read(tmp_path, end.join(delimiter.join(row) for row in rows), f"items{suffix}")
    assert (table.texts, table.labels) == (("the lamp flickers", "who pays the bill"), ("fault", "money"))
    is_usual = delimiter == ("," if suffix == ".csv" else "\t")
    assert table.notes == (() if is_usual else (f"has {word} between its fields, and was read so",))


def test_decimals_and_commas_in_texts_do_not_hide_semicolons(tmp_path):
    table = read(tmp_path, "text;price;label\n3,50 a day, each;1,5;money\nlamp, broken;2,25;fault\n")
    assert table.texts == ("3,50 a day, each", "lamp, broken")
    assert table.labels == ("money", "fault")


def test_columns_that_are_asked_for_decide(tmp_path):
    # more commas than semicolons in every line, and as many in each
    table = read(tmp_path, "a,b;my text;c,d,e\n1,2;hello;3,4,5\n", text="my text", label="c,d,e")
    assert (table.texts, table.labels) == (("hello",), ("3,4,5",))


def test_a_line_that_states_the_delimiter(tmp_path):
    for first in ("sep=;", "SEP=;", '"sep=;"'):
        assert read(tmp_path, f"{first}\r\ntext;label\r\na, b;x\r\n").texts == ("a, b",)
    assert read(tmp_path, "sep=^\ntext^label\na^x\n").labels == ("x",)
    assert "line 4" in refused(tmp_path, "sep=;\ntext;label\na;x\nb\n")


def test_a_delimiter_that_is_given_wins(tmp_path):
    content = "text,label\na;b,x\n"
    assert read(tmp_path, content, delimiter=",").texts == ("a;b",)
    assert read(tmp_path, content, delimiter="comma").texts == ("a;b",)
    assert "no field 'text'; there are 'text,label'" in refused(tmp_path, content, delimiter=";")
    assert read(tmp_path, "text~label\na~x\n", delimiter="~").texts == ("a",)
    for wrong in ("", ";;", '"', "\n"):
        with pytest.raises(InputError, match="delimiter is") as caught:
            read(tmp_path, content, delimiter=wrong)
        assert caught.value.parameters == ("delimiter",)


def test_a_single_column_is_not_parted_by_what_its_texts_hold(tmp_path):
    assert read(tmp_path, "text\na; b\nc; d\n", label=None).texts == ("a; b", "c; d")
    assert read(tmp_path, "text\n\"a, b\"\nc\n", label=None).texts == ("a, b", "c")  # fmt: skip
    assert "line 2: 2 fields" in refused(tmp_path, "text\na, b\n", label=None)


def test_quotes_of_every_place(tmp_path):
    table = read(tmp_path, 'text,label\n"a ""b"" c",x\nmid "quoted" word,x\nends "so",x\n"x, ""y""\nz",x\n"",x\n')
    assert table.texts == ('a "b" c', 'mid "quoted" word', 'ends "so"', 'x, "y"\nz')
    assert (table.n_blank, table.rows) == (1, (0, 1, 2, 3))


def test_a_leading_quote_never_swallows_rows(tmp_path):
    content = 'text\tlabel\nfirst\tgood\n"Not that\tgood\nand not this"\tbad\nlast\tbad\n'
    message = refused(tmp_path, content, "items.tsv")
    assert "items.tsv, line 3: a quote opens here and closes in line 4" in message
    assert "quotes='text'" in message
    for as_letters in ("text", False):
        assert read(tmp_path, content, "items.tsv", quotes=as_letters).texts == ("first", '"Not that', 'and not this"', "last")
    for as_marks in ("double", True):
        assert read(tmp_path, content, "items.tsv", quotes=as_marks).texts == ("first", "Not that\tgood\nand not this", "last")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_rows_swallowed_between_commas_are_known_by_the_labels_of_others(tmp_path, delimiter):
    rows = [["text", "label"], ["first", "good"], ['"Not that', "good"], ['and not this"', "bad"], ["last", "bad"]]
    content = "\n".join(delimiter.join(row) for row in rows)
    assert "line 3: a quote opens here and closes in line 4" in refused(tmp_path, content)
    swapped = "\n".join(delimiter.join(row[::-1]) for row in rows)
    assert "line 3" in refused(tmp_path, swapped)
    wide = "\n".join(delimiter.join(["7", *row]) for row in rows).replace("7", "id", 1)
    assert "line 3" in refused(tmp_path, wide)
    many = "\n".join([*content.split("\n"), *[f"more {delimiter.join(['words', 'bad'])}"] * 9000])  # longer than what is looked at first
    assert "line 3" in refused(tmp_path, many)


def test_prose_with_a_comma_and_a_line_break_is_one_text(tmp_path):
    table = read(tmp_path, 'text,label\n"Hello,\nmy lamp is broken",fault\nwho pays,money\n')
    assert table.texts == ("Hello,\nmy lamp is broken", "who pays")
    assert "over several lines which could be rows (the first: lines 2 to 3)" in table.notes[0]
    plain = read(tmp_path, 'text,label\n"Hello\nmy lamp is broken",fault\n')
    assert (plain.texts, plain.notes) == (("Hello\nmy lamp is broken",), ())


def test_a_quote_that_does_not_close_is_named_where_it_opens(tmp_path):
    for delimiter, name in ((",", "a.csv"), ("\t", "a.tsv")):
        rows = ["text", "label"], ["one", "x"], ['"open', "x"], ["two", "x"], ["three", "x"]
        assert "line 3: a quote opens here and does not close" in refused(tmp_path, "\n".join(map(delimiter.join, rows)), name)
        rows = *rows, ['"closed', 'x"'], ["four", "x"]
        assert "line 3: a quote opens here" in refused(tmp_path, "\n".join(map(delimiter.join, rows)), name)
    assert "line 4: a quote opens here" in refused(tmp_path, 'text,label\n"two\nlines",x\n"a",x,"\nb,x\n')
    assert "line 3: a quote opens here" in refused(tmp_path, 'text,label\n"two\nlines","x\nb,x\n')  # the second one of the row


def test_a_word_in_quotes_at_the_beginning_is_text(tmp_path):
    table = read(tmp_path, 'text\tlabel\n"Great" they said\tgood\n"all of it"\tbad\n', "items.tsv")
    assert table.texts == ('"Great" they said', "all of it")
    assert "1 row (the first: line 2) with a quote at the beginning of a field" in table.notes[0]
    assert "line 2" in refused(tmp_path, 'text,label\n"Great" they said,"good"\n')  # the label is quoted as it should be: which is it?
    assert "line 2" in refused(tmp_path, 'text,label\n"Great, really" they said,good\n')
    assert "line 2" in refused(tmp_path, 'text\tlabel\n"Great" they said\tgood\n', "items.tsv", quotes="double")


def test_backslashes_before_quotes(tmp_path):
    content = 'text,label\n"it says \\"on\\", so",fault\n"C:\\new \\\\ x",path\n'
    table = read(tmp_path, content)
    assert table.texts == ('it says "on", so', "C:\\new \\ x")
    assert table.notes == ("has backslashes before the quotes in its fields, and was read so",)
    assert read(tmp_path, content, quotes="backslash").texts == table.texts
    assert "line 2" in refused(tmp_path, content, quotes="double")


def test_backslashes_that_are_letters_stay(tmp_path):
    rows = [("text", "label"), ('a "b\\" c', "x"), ("C:\\temp\\, D:\\", "x"), ("\\n", "x")]
    with (tmp_path / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    table = read_table(tmp_path / "items.csv")
    assert table.texts == tuple(text for text, _ in rows[1:])
    assert table.notes == ()


def test_backslashes_that_may_be_either_are_asked_about(tmp_path):
    content = 'text,label\na \\"b\\" c,x\n'
    assert "quotes='backslash' (marks) or quotes='double'" in refused(tmp_path, content)
    assert read(tmp_path, content, quotes="double").texts == ('a \\"b\\" c',)
    assert read(tmp_path, content, quotes="backslash").texts == ('a "b" c',)
    with pytest.raises(InputError, match="quotes is 'single'; expected auto, double, backslash, text"):
        read(tmp_path, content, quotes="single")


def test_columns_that_stand_twice(tmp_path):
    assert "2 columns are named 'text'" in refused(tmp_path, "text,label,text\na,x,b\n")
    assert "2 columns are named 'label'" in refused(tmp_path, "label,text, label \nx,a,y\n")
    assert read(tmp_path, "text,label,note,note\na,x,1,2\n").texts == ("a",)  # nobody asks for these


def test_rows_of_another_length_are_named_by_line(tmp_path):
    assert "line 4: 1 field, fewer than the header names (2)" in refused(tmp_path, "text,label\na,x\n\nb\n")
    assert "line 3: 3 fields, more fields than the header names (2)" in refused(tmp_path, "text,label\na,x\nb,c,x\n")
    assert "line 4: 3 fields" in refused(tmp_path, 'text,label\n"a\nb",x\nb,c,x\n')
    assert "line 2: 2 fields, fewer than the header names (3)" in refused(tmp_path, "id,text,label\na,x\n")


@pytest.mark.parametrize(
    "content", ["text,label,\na,x,\nb,y,\n", "text,label\na,x,\nb,y,,\n", ",text,label\n0,a,x\n1,b,y\n", " text , label\na,x\nb,y\n"]
)
def test_delimiters_at_the_end_empty_names_and_blanks_around_them(tmp_path, content):
    table = read(tmp_path, content)
    assert (table.texts, table.labels) == (("a", "b"), ("x", "y"))


def test_blank_lines_headers_alone_and_headers_that_are_missing(tmp_path):
    assert read(tmp_path, "\n\n  \ntext,label\n\na,x\n   \nb,y\n\n").rows == (0, 1)
    assert "holds no text" in refused(tmp_path, "text,label\n")
    assert "no field 'text'; there are 'my lamp is broken', 'fault'" in refused(tmp_path, "my lamp is broken,fault\nwho pays,money\n")
    assert "no field 'text'" in refused(tmp_path, "Text,label\n")


def test_words_for_nothing_are_words(tmp_path):
    table = read(tmp_path, "text,label\nnan,NA\nNone,null\nNaN,nan\n")
    assert (table.texts, table.labels, table.n_blank) == (("nan", "None", "NaN"), ("NA", "null", "nan"), 0)


def test_the_delimiter_of_the_name_where_nothing_decides():
    for default in (",", "\t"):
        assert find_layout("text\n", is_whole=True, wanted=["text"], form=Form(), default=default).delimiter == default
    layout = find_layout("sep=|\na|b\n", is_whole=True, wanted=["a"], form=Form(), default=",")
    assert header_under("sep=|\na|b\n", layout) == ("a", "b")


def test_tabs_alone_tell_that_rows_were_swallowed(tmp_path):
    assert "line 2: a quote opens here and closes in line 3" in refused(
        tmp_path, 'text\tlabel\n"Not that\tgood\nand not this"\tbad\n', "a.tsv"
    )


def test_columns_come_before_evenness(tmp_path):
    assert "line 3: 3 fields" in refused(tmp_path, "text,n;m\na,1;2\nb,c,1;2\n", label=None)


def test_a_backslash_where_one_block_ends(tmp_path):
    before = 'text,label\n"'
    content = before + "a" * ((1 << 17) - 1 - len(before)) + '\\"b\\" c",x\n'
    assert content[(1 << 17) - 1] == "\\"
    assert read(tmp_path, content.replace('b\\" c', "b c", 1)).texts[0].endswith('a"b c')


def test_a_point_in_the_name_of_a_column_is_a_letter(tmp_path):
    (tmp_path / "t.csv").write_text("text,meta.year,meta\na,1999,x\n")
    (row,) = stream_rows(tmp_path / "t.csv", columns=["meta.year"])
    assert row.columns == {"meta.year": "1999"}
    with pytest.raises(DataError, match=r"no field 'meta\.month'"):
        list(stream_rows(tmp_path / "t.csv", columns=["meta.month"]))
