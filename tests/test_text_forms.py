"""What counts as the same text, and what can be shown of one."""

import pytest

from lexframe.text_forms import counted, listed, normalized, printable


def test_case_white_space_and_forms_of_characters_do_not_count():
    assert normalized("  Ｆｕｌｌ\twidth\n ﬁne STRASSE ") == "full width fine strasse" == normalized("full WIDTH fine Straße")
    assert normalized("e\u0301") == normalized("É".lower())


def test_punctuation_counts():
    assert normalized("  A Dog,\n runs. ") == "a dog, runs."


def test_half_a_surrogate_pair_stays():
    assert normalized("\ud800") == "\ud800"


def test_what_cannot_be_printed_is_marked():
    assert printable("caffè\x1b[31m ☕\u202e") == "caffè�[31m ☕�"


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "text", "1 text"),
        (0, "text", "0 texts"),
        (1200, "text", "1,200 texts"),
        (2, "category", "2 categories"),
        (2, "day", "2 days"),
        (3, "class", "3 classes"),
        (2, "batch", "2 batches"),
        (1, "class", "1 class"),
    ],
)
def test_a_number_agrees_with_its_noun(number, noun, said):
    assert counted(number, noun) == said


def test_a_noun_may_say_its_own_plural():
    assert counted(2, "basis", "bases") == "2 bases"
    assert counted(1, "basis", "bases") == "1 basis"


def test_names_are_listed_as_a_sentence_has_them():
    assert [listed(names) for names in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == ["", "a", "a and b", "a, b and c"]
