"""Texts as pages show them: nothing is lost, words are marked where they stand, long ones fold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.drawing.marked_text import Piece, fold_place, readable, shown_text


def joined(pieces):
    return "".join(piece.text for piece in pieces)


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.text(max_size=4), st.floats()), max_size=6),
    st.integers(1, 40),
)
def test_pieces_join_to_the_text_whatever_is_marked(text, words, fold):
    shown = shown_text(text, words, fold=fold)
    assert joined(shown.head) + joined(shown.rest) == readable(text)
    assert shown.cut == 0
    assert all(0 <= piece.share <= 1 for piece in (*shown.head, *shown.rest, *shown.loose))


def test_words_are_marked_in_their_turn():
    shown = shown_text("no cat is no dog", [("no", 0.1), ("cat", -0.4), ("is", 0.0), ("no", 0.2), ("dog", 0.4)])
    assert [(piece.text, piece.effect, piece.kind) for piece in shown.head if piece.effect is not None] == [
        ("no", 0.1, "toward"),
        ("cat", -0.4, "away"),
        ("is", 0.0, "faint"),
        ("no", 0.2, "toward"),
        ("dog", 0.4, "toward"),
    ]
    assert [piece.share for piece in shown.head if piece.effect is not None] == pytest.approx([0.25, 1, 0, 0.5, 1])


def test_a_word_is_sought_behind_the_one_before_it():
    shown = shown_text("a cat and a dog", [("cat", 1.0), ("a", 1.0)])
    assert [piece.text for piece in shown.head] == ["a ", "cat", " and ", "a", " dog"]


def test_words_out_of_order_and_inside_others():
    shown = shown_text("category of a cat", [("cat", 2.0), ("a", 1.0), ("cat", 1.0), ("dog", -1.0)])
    assert [(piece.text, piece.effect) for piece in shown.head] == [
        ("cat", 1.0),
        ("egory of ", None),
        ("a", 1.0),
        (" ", None),
        ("cat", 2.0),
    ]
    assert shown.loose == (Piece("dog", -1.0, 0.5),)


def test_effects_that_are_no_numbers_count_as_none():
    shown = shown_text("one two", [("one", float("nan")), ("two", float("inf"))])
    assert [(piece.effect, piece.share) for piece in shown.head if piece.effect is not None] == [(0.0, 0.0), (0.0, 0.0)]


def test_a_word_over_the_fold_is_marked_on_both_sides():
    shown = shown_text("x" * 30, [("x" * 30, 1.0)], fold=10)
    assert [piece.text for piece in shown.head] == ["x" * 10]
    assert [(piece.text, piece.kind) for piece in shown.rest] == [("x" * 20, "toward")]


def test_folds_stand_at_white_space_and_spare_short_ends():
    assert fold_place("word " * 20, 12) == 10
    assert fold_place("x" * 100, 12) == 12
    assert fold_place("x" * 14, 12) == 14
    shown = shown_text("x" * 50, max_letters=20, fold=10)
    assert (shown.n_letters, shown.cut, joined(shown.head) + joined(shown.rest)) == (50, 30, "x" * 20)


def test_what_no_file_can_hold_is_replaced():
    assert readable("a\ud800b\x00c\td\ne\u200d") == "a�b�c\td\ne\u200d"
