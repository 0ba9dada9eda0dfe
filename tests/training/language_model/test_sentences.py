"""Sentences out of documents."""

import pytest

from lexframe.exceptions import DataError, InputError
from lexframe.training.language_model.sentences import SentenceRules, plain_sentences, split_sentences

DOCUMENT = """Dr. Hill came late. She said: "No." Was it the rain? It was not!
The train (number 7) stood still. We waited for J. Marks at the door.
a line without a capital. Then all went home."""


def test_sentences_end_at_their_marks_and_not_at_abbreviations():
    assert list(split_sentences(DOCUMENT)) == [
        "Dr. Hill came late.",
        'She said: "No." Was it the rain?',
        "It was not!",
        "The train (number 7) stood still.",
        "We waited for J. Marks at the door.",
        "a line without a capital.",
        "Then all went home.",
    ]


def test_plain_sentences_of_common_words_stay_once():
    documents = ["We went home. We went home. The zyzzyva went home.", "They went home, and we went. We wait."] * 2
    found = plain_sentences(documents, SentenceRules(min_words=3, max_words=8, n_common=3))
    assert found.texts == ["We went home."]
    assert found.n_found == 8
    everything = plain_sentences(documents, SentenceRules(min_words=2, max_words=8, n_common=0))
    assert everything.texts == ["We went home.", "The zyzzyva went home.", "They went home, and we went.", "We wait."]
    assert everything.to_dict() == {"n_found": 10, "n_kept": 4}


def test_rules_and_texts_that_leave_nothing_are_refused():
    with pytest.raises(InputError, match="Sentences of 5 to 3 words"):
        SentenceRules(min_words=5, max_words=3)
    with pytest.raises(DataError, match="No sentence follows the rules"):
        plain_sentences(["12 34", ""], SentenceRules())
