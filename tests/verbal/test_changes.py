"""What changed between two texts: the pieces always make both texts again, and few of them do."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.verbal.changes import FEW, Change, changed_words, plain_diff

WORDS = st.sampled_from(
    ["the", "label", "is", "refund", "if", "x", "4.02", "3e-5", "don't", "naïve", "हिन्दी", "今天", "👩‍👧", "*", "+", ".", "{", "<b>"]
)
SPACES = st.sampled_from(["", " ", "  ", "\n", "\n\n", "\t", "\u3000", "\x1c", "\u200b"])
TEXTS = st.lists(st.tuples(WORDS, SPACES), max_size=40).map(lambda pairs: "".join(word + space for word, space in pairs))
ANY = st.text(st.characters(), max_size=60)


def sides(changes):
    before, after = ("".join(change.text for change in changes if change.kind in ("same", kind)) for kind in ("removed", "added"))
    return before, after


@given(st.one_of(ANY, TEXTS), st.one_of(ANY, TEXTS))
def test_the_pieces_make_both_texts(before, after):
    changes = changed_words(before, after)
    assert sides(changes) == (before, after)
    assert all(change.text for change in changes)
    kinds = [change.kind for change in changes]
    assert all(one != other for one, other in pairwise(kinds))
    assert all((one, other) != ("added", "removed") for one, other in pairwise(kinds))


@given(st.one_of(ANY, TEXTS))
def test_a_text_is_the_same_as_itself(text):
    assert changed_words(text, text) == ((Change("same", text),) if text else ())
    assert plain_diff(text, text) == text


@given(st.integers(1, 60), st.data())
def test_one_other_word_is_all_that_is_marked(n, data):
    words = [f"w{number}" for number in range(n)]
    place = data.draw(st.integers(0, n - 1))
    other = [*words[:place], "other", *words[place + 1 :]]
    marked = [*words[:place], f"[-w{place}-]{{+other+}}", *words[place + 1 :]]
    between = data.draw(st.sampled_from([" ", "\n", ", "]))
    assert plain_diff(between.join(words), between.join(other)) == between.join(marked)


def test_a_text_out_of_nothing_is_added():
    assert changed_words("", "a b") == (Change("added", "a b"),)
    assert changed_words("a b", "") == (Change("removed", "a b"),)


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("a b c", "a x c", "a [-b-]{+x+} c"),
        ("4.01 + 2.98*x", "4.05 + 2.94*x", "[-4.01-]{+4.05+} + [-2.98-]{+2.94+}*x"),
        ("1e-3", "1e-4", "[-1e-3-]{+1e-4+}"),
        ("x  y", "x y", "x[-  -]{+ +}y"),
        ("I don't.", "I do.", "I [-don't-]{+do+}."),
        ("A हिन्दी word", "A हिन्द word", "A [-हिन्दी-]{+हिन्द+} word"),
        ("今天天气很好", "今天天气不好", "今天天气[-很-]{+不+}好"),
        ("in 'a' or 'b'", "in 'a' or 'c'", "in 'a' or '[-b-]{+c+}'"),
        ("same", "same and more", "same{+ and more+}"),
    ],
)
def test_words_are_compared(before, after, marked):
    assert plain_diff(before, after) == marked


def test_a_heading_stays_where_it_is():
    before = "The model predicts a number from the input.\n\nFormula:\n7"
    after = "Outputs rise by about three for every unit of x, starting near four at zero.\n\nFormula:\n4.02 + 2.9 * x"
    changes = changed_words(before, after)
    assert any(change.kind == "same" and "Formula:" in change.text for change in changes)
    assert "7" in [change.text for change in changes if change.kind == "removed"]


def test_of_other_sentences_the_few_words_in_common_are_not_picked_out():
    before = "the red fox and the old dog ran over the hill to the sea"
    after = "a plain rule decides everything here, namely the sign of x alone, and nothing beside it matters at all"
    assert len(before.split()) > FEW
    assert [change.kind for change in changed_words(before, after)] == ["removed", "added"]


def test_words_in_a_few_do_count():
    assert plain_diff("a b c d e f", "u v c w y z") == "[-a b-]{+u v+} c [-d e f-]{+w y z+}"


def test_endless_repetition_takes_no_minutes():
    start = time.perf_counter()
    before, after = "a b " * 5_000, "b a " * 5_000
    assert sides(changed_words(before, after)) == (before, after)
    assert time.perf_counter() - start < 5
