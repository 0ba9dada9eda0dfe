"""What counts as the same text."""

from lexframe.text_forms import normalised


def test_case_white_space_and_forms_of_characters_do_not_count():
    assert normalised("  Ｆｕｌｌ\twidth\n ﬁne STRASSE ") == "full width fine strasse" == normalised("full WIDTH fine Straße")
    assert normalised("e\u0301") == normalised("É".lower())


def test_punctuation_counts():
    assert normalised("  A Dog,\n runs. ") == "a dog, runs."


def test_half_a_surrogate_pair_stays():
    assert normalised("\ud800") == "\ud800"
