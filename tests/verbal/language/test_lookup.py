import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.verbal.language import Entry, Lookup, ProgramError, columns_of

LABELS = ["neg", "pos"]
TEXTS = {"text": np.array(["A GOOD film", "bad, very bad", "good but bad", "goodness", "not  good"], dtype=object)}


def labels_of(text, labels=LABELS, table=TEXTS):
    return Lookup.parse(text, labels).predict(table).tolist()


def test_words_speak_for_labels():
    table = Lookup.parse("good -> pos\nbad -> neg", LABELS)
    predicted = table.predict(TEXTS)
    assert predicted.dtype == object
    assert predicted.tolist() == ["pos", "neg", "neg", "", "pos"]
    assert (table.kind, columns_of(table)) == ("lookup", set())
    scores = table.scores(TEXTS)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, [[0, 1], [1, 0], [1, 1], [0, 0], [0, 1]])  # once a text, however often it stands there


def test_ties_go_to_the_label_that_stands_first():
    assert labels_of("good -> pos\nbad -> neg", ["neg", "pos"])[2] == "neg"
    assert labels_of("good -> pos\nbad -> neg", ["pos", "neg"])[2] == "pos"


def test_weights_phrases_and_a_default():
    text = "good -> pos 2.5\nbad: neg\n'not good' => neg 4\ndefault -> pos"
    assert labels_of(text) == ["pos", "neg", "pos", "pos", "neg"]
    np.testing.assert_array_equal(Lookup.parse(text, LABELS).scores(TEXTS)[4], [4, 2.5])


def test_a_word_may_speak_against_a_label():
    assert labels_of("good -> pos −1") == ["neg", "", "neg", "", "neg"]


@pytest.mark.parametrize(
    "text",
    [
        "good -> pos\nbad -> neg 3\ndefault -> neg",
        "- good: Pos.\n- BAD: neg 3\n- default: neg",
        "1. \"good\" → 'pos'\n2. `bad` => “neg” 3.0\n3. otherwise => neg",
        "```\ngood -> pos 1\nbad -> neg 1\nbad -> neg 2\nelse -> neg\n```",
    ],
)
def test_tables_as_language_models_write_them(text):
    assert labels_of(text) == ["pos", "neg", "neg", "neg", "pos"]


def test_signs_and_the_word_default():
    table = {"t": np.array(["well :) done", "a: b", "by default", "wow!"], dtype=object)}
    assert labels_of(':) -> pos\n"a:" -> neg\n"default" -> pos\n! -> neg', table=table) == ["pos", "neg", "pos", "neg"]


def test_labels_that_end_in_numbers():
    labels = ["class", "class 2", "3"]
    table = Lookup.parse('a -> class 2\nb -> "class" 2\nc -> class 2 5\nd -> class 7\ne -> 3 4\nf -> 3', labels)
    assert [(entry.label, entry.weight) for entry in table.entries] == [
        ("class 2", 1),
        ("class", 2),
        ("class 2", 5),
        ("class", 7),
        ("3", 4),
        ("3", 1),
    ]
    assert Lookup.parse(table.source, labels) == table


def test_quotes_end_a_label_even_where_the_line_reads_as_another():
    labels = ["class", '"class" 2']
    assert [(entry.label, entry.weight) for entry in Lookup.parse('a -> "class" 2\nb -> ""class" 2"', labels).entries] == [
        ("class", 2),
        ('"class" 2', 1),
    ]


def test_blanks_within_a_phrase_mean_any_blanks():
    assert Lookup.parse("not \t good -> neg", LABELS) == Lookup.parse('"not good" -> neg', LABELS)


REFUSED = {
    "other label": ("good -> fine", "'fine' is not a label. Labels are 'neg', 'pos'"),
    "other label with a weight": ("good -> fine 2", "'fine' is not a label|'fine 2' is not a label"),
    "no arrow": ("good pos", "is no entry"),
    "quote in a word": ('a "good" film -> pos', "is no entry"),
    "no word": (" -> pos", "has no word"),
    "empty quotes": ('"" -> pos', "has no word"),
    "no label": ("good -> ", "'' is not a label"),
    "two defaults": ("default -> pos\nelse -> neg", "second default"),
    "nothing": ("\n", "has no entry"),
    "heavy": ("good -> pos 1e7", "too large"),
    "endless": ("good -> pos 1e999", "too large"),
    "many": ("a -> pos\n" * 401, "401 entries, and 400 are allowed"),
    "long": ("a" * 16_001, "16,000 are allowed"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text, message):
    with pytest.raises(ProgramError, match=message) as caught:
        Lookup.parse(text, LABELS)
    assert "\n" not in str(caught.value)


def test_a_full_spelling_that_is_too_long_is_refused():
    with pytest.raises(ProgramError, match="in its full spelling has"):
        Lookup.parse(f"{'a' * 38}:pos\n" * 370, LABELS)


def test_four_hundred_entries():
    table = Lookup.parse("".join(f"word{number}: pos\n" for number in range(400)), LABELS)
    assert len(table.entries) == 400
    assert table.predict({"t": np.array(["x word399 x", "word40x"], dtype=object)}).tolist() == ["pos", ""]


def test_a_column_of_texts_is_needed():
    table = Lookup.parse("good -> pos", LABELS)
    for columns in ({"x": np.zeros(2)}, {"a": TEXTS["text"], "b": TEXTS["text"]}):
        with pytest.raises(ProgramError, match="exactly one column of texts"):
            table.predict(columns)
        with pytest.raises(ProgramError, match="exactly one column of texts"):
            table.scores(columns)
    assert table.predict({"t": np.array([], dtype=object)}).shape == (0,)


one_line = st.text(min_size=1, max_size=10).filter(lambda t: not set(t) & set("\r\n"))
phrases = one_line.filter(lambda t: '"' not in t and t.strip()).map(lambda t: " ".join(t.split()))
weights = st.floats(-1e6, 1e6) | st.just(1.0)


@given(st.lists(one_line, min_size=1, max_size=4, unique=True), st.lists(st.tuples(phrases, weights), max_size=5), st.data())
def test_round_trip(labels, words, data):
    drawn = st.sampled_from(labels)
    entries = tuple(Entry(phrase, data.draw(drawn), weight) for phrase, weight in words)
    table = Lookup(entries, tuple(labels), data.draw(drawn))
    assert Lookup.parse(table.source, labels) == table


WORDS = ["good", "bad", "so", "film"]


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2), st.sampled_from("abc"), st.integers(-3, 3)), min_size=1),
    st.lists(st.sampled_from(WORDS), max_size=6),
)
def test_the_obvious_way_agrees(entries, words):
    table = Lookup(tuple(Entry(" ".join(phrase), label, float(weight)) for phrase, label, weight in entries), ("a", "b", "c"), "c")
    sums, is_found = dict.fromkeys("abc", 0), False
    for phrase, label, weight in entries:
        if any(words[start : start + len(phrase)] == phrase for start in range(len(words))):
            sums[label] += weight
            is_found = True
    expected = max(sums, key=sums.get) if is_found else "c"
    columns = {"t": np.array([" ".join(words).upper()], dtype=object)}
    assert table.predict(columns).tolist() == [expected]
    assert table.scores(columns).tolist() == [list(sums.values())]
