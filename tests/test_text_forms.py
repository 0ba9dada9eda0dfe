"""What counts as the same text, and what can be shown of one."""

from lexframe.text_forms import normalized, printable


def test_case_white_space_and_forms_of_characters_do_not_count():
    assert normalized("  Ｆｕｌｌ\twidth\n ﬁne STRASSE ") == "full width fine strasse" == normalized("full WIDTH fine Straße")
    assert normalized("e\u0301") == normalized("É".lower())


def test_punctuation_counts():
    assert normalized("  A Dog,\n runs. ") == "a dog, runs."


def test_half_a_surrogate_pair_stays():
    assert normalized("\ud800") == "\ud800"


def test_what_cannot_be_printed_is_marked():
    assert printable("caffè\x1b[31m ☕\u202e") == "caffè�[31m ☕�"
