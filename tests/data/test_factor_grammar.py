"""The grammar against English spelled out by hand and by rule, a regular expression of the language, and broken sentences."""

from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lexframe.data import factor_grammar as grammar
from lexframe.data.factor_grammar import FACTORS, SUBJECTS, VERBS, EditOutcome, FactorSentence
from lexframe.exceptions import InputError
from tests.reference.factor_grammar import past, plural, sentence_pattern, with_s

BY_HAND = {
    "the child breaks the cup": FactorSentence("child", "break", "cup"),
    "the children break the cup": FactorSentence("child", "break", "cup", number="plural"),
    "the child does not break the cup": FactorSentence("child", "break", "cup", polarity="negative"),
    "the children do not break the cup": FactorSentence("child", "break", "cup", number="plural", polarity="negative"),
    "the lady hid the ring": FactorSentence("lady", "hide", "ring", tense="past"),
    "the ladies did not hide the ring": FactorSentence("lady", "hide", "ring", "past", "plural", "negative"),
    "the thief will carry the box": FactorSentence("thief", "carry", "box", tense="future"),
    "the thieves will not carry the box": FactorSentence("thief", "carry", "box", "future", "plural", "negative"),
    "the old woman saw the wagon": FactorSentence("woman", "see", "wagon", tense="past", adjective="old"),
    "the king watches the drum in town": FactorSentence("king", "watch", "drum", place="in town"),
    "the tired kings buy the lamp outside": FactorSentence("king", "buy", "lamp", number="plural", adjective="tired", place="outside"),
    "the tall bakers will not lose the book at school": FactorSentence(
        "baker", "lose", "book", "future", "plural", "negative", "tall", "at school"
    ),
}
LANGUAGE = sentence_pattern()
sentences = st.builds(FactorSentence, **{factor: st.sampled_from(values) for factor, values in FACTORS.items()})
forms = [*SUBJECTS, *SUBJECTS.values(), *VERBS, *(form for pair in VERBS.values() for form in pair), *FACTORS["object"]]
helpers = ["the", "will", "does", "do", "did", "not", "The", "see.", "chases"]
words = sorted({*forms, *helpers, *" ".join(FACTORS["adjective"] + FACTORS["place"]).split()})


@pytest.mark.parametrize("text", BY_HAND)
def test_sentences_written_by_hand(text):
    assert grammar.write(BY_HAND[text]) == BY_HAND[text].text == text
    assert grammar.read(text) == BY_HAND[text]


def test_forms_follow_the_rules_of_spelling():
    assert {noun: plural(noun) for noun in SUBJECTS} == SUBJECTS
    assert {verb: (with_s(verb), past(verb)) for verb in VERBS} == VERBS


def test_no_word_can_be_taken_for_another():
    by_place = [*SUBJECTS, *SUBJECTS.values(), *FACTORS["adjective"]]
    assert len(set(by_place)) == len(by_place)
    verb_forms = [form for verb, others in VERBS.items() for form in (verb, *others)]
    assert len(set(verb_forms)) == len(verb_forms)
    assert [len(FACTORS[factor]) for factor in ("subject", "verb", "object")] == [14, 14, 14]


def combinations(**fewer):
    return [FactorSentence(*values) for values in product(*(fewer.get(factor, values) for factor, values in FACTORS.items()))]


@pytest.mark.parametrize(
    ("fewer", "n", "lengths"),
    [
        ({"adjective": ("none",), "place": ("none",)}, 32_928, {5, 6, 7}),
        ({"subject": ("woman", "thief"), "verb": ("see", "carry"), "object": ("cup",)}, 1440, {5, 6, 7, 8, 9, 10}),
    ],
)
@pytest.mark.usefixtures("without_type_checks")  # which make each of the many sentences cost a millisecond
def test_every_combination_has_a_text_of_its_own_that_is_read_back(fewer, n, lengths):
    made = combinations(**fewer)
    texts = [sentence.text for sentence in made]
    assert len(set(texts)) == len(texts) == n
    assert [grammar.read(text) for text in texts] == made
    assert {len(text.split()) for text in texts} == lengths
    assert all(map(LANGUAGE.fullmatch, texts))


@given(sentences)
def test_reading_undoes_writing(sentence):
    assert grammar.read(sentence.text) == sentence
    assert grammar.read(f"  {sentence.text.replace(' ', '   ')}\n") == sentence


@given(sentences, st.data())
def test_one_word_changed_left_out_or_put_in_is_read_as_the_language_says(sentence, data):
    text = sentence.text.split()
    place = data.draw(st.integers(0, len(text)))
    replaced = data.draw(st.integers(0, 2))
    added = data.draw(st.lists(st.sampled_from(words), max_size=2))
    mutated = " ".join(text[:place] + added + text[place + replaced :])
    found = grammar.read(mutated)
    assert (found is not None) == bool(LANGUAGE.fullmatch(mutated)) == grammar.is_grammatical(mutated)
    assert found is None or found.text == mutated


@given(sentences, st.randoms(use_true_random=False))
def test_no_other_order_of_the_words_is_a_sentence(sentence, random):
    shuffled = sentence.text.split()
    random.shuffle(shuffled)
    assume(" ".join(shuffled) != sentence.text)
    assert grammar.read(" ".join(shuffled)) is None


@given(sentences, st.integers(0, 9))
def test_cut_sentences_are_refused(sentence, n_words):
    kept = sentence.text.split()
    n_least = len(kept) - len(sentence.place.split()) * (sentence.place != "none")
    assert grammar.read(" ".join(kept[: min(n_words, n_least - 1)])) is None
    assert grammar.read(" ".join(kept[n_words + 1 :])) is None


@given(sentences, sentences)
def test_two_sentences_are_none(one, other):
    assert grammar.read(f"{one.text} {other.text}") is None


@given(sentences)
def test_agreement_is_required_in_the_present_and_only_there(sentence):
    singular, several = sentence.subject, SUBJECTS[sentence.subject]
    other_noun = {singular: several, several: singular}
    text = " ".join(other_noun.get(word, word) for word in sentence.text.split())
    other_number = "singular" if sentence.number == "plural" else "plural"
    expected = None if sentence.tense == "present" else grammar.edited(sentence, number=other_number)
    assert grammar.read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "the",
        "the the the the the",
        "The child breaks the cup",
        "the child breaks the cup.",
        "the child break the cup",
        "the children breaks the cup",
        "the child do not break the cup",
        "the children does not break the cup",
        "the child does not breaks the cup",
        "the child did not broke the cup",
        "the child will broke the cup",
        "the child will did break the cup",
        "the child did break the cup",
        "the child does break the cup",
        "the child not break the cup",
        "the child will not not break the cup",
        "the child breaked the cup",
        "the child breaks cup",
        "the child breaks the cups",
        "the child breaks the king",
        "the cup breaks the child",
        "the child breaks the old cup",
        "the old young child breaks the cup",
        "the child old breaks the cup",
        "the child breaks the cup at",
        "the child breaks the cup home",
        "the child breaks the cup none",
        "the none child breaks the cup",
        "the child breaks the cup at home outside",
        "outside the child breaks the cup",
        "the childs break the cup",
        "the child breaks the cup the",
    ],
)
def test_what_is_refused(text):
    assert grammar.read(text) is None
    assert not LANGUAGE.fullmatch(text)


@given(sentences, st.sampled_from(sorted(FACTORS)), st.data())
def test_an_edit_changes_its_factor_and_no_other(sentence, factor, data):
    target = data.draw(st.sampled_from(FACTORS[factor]))
    assume(getattr(sentence, factor) != target)
    after = grammar.edited(sentence, **{factor: target})
    assert {name for name in FACTORS if getattr(after, name) != getattr(sentence, name)} == {factor}
    for given_as in (after, after.text):
        assert grammar.edit_outcome(sentence, given_as, factor, target) == EditOutcome(changed=True, rest_kept=True)
    assert grammar.edit_outcome(sentence, sentence, factor, target) == (False, True)


def test_outcomes_of_edits_that_fail():
    before = FactorSentence("king", "see", "cup")
    assert grammar.edit_outcome(before, "the kings saw the cup", "tense", "past") == (True, False)
    assert grammar.edit_outcome(before, "the king will see the cup", "tense", "past") == (False, True)
    assert grammar.edit_outcome(before, "the lady will see the cup", "tense", "past") == (False, False)
    assert grammar.edit_outcome(before, "the king seed the cup", "tense", "past") == (False, False)
    assert grammar.edit_outcome(before, None, "tense", "past") == (False, False)
    with pytest.raises(InputError, match="The tense of 'the king sees the cup' is present already"):
        grammar.edit_outcome(before, before, "tense", "present")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FactorSentence("dog", "see", "cup"), "knows no subject 'dog'; expected one of baker, boy"),
        (lambda: FactorSentence("kings", "see", "cup"), "knows no subject 'kings'"),
        (lambda: FactorSentence("king", "sees", "cup"), "knows no verb 'sees'"),
        (lambda: FactorSentence("king", "see", "cup", "now"), "knows no tense 'now'; expected one of past, present, future"),
        (lambda: grammar.edited(BY_HAND["the child breaks the cup"], mood="angry"), "no factor 'mood'; it has subject, verb"),
        (lambda: grammar.edited(BY_HAND["the child breaks the cup"], place="on Mars"), "knows no place 'on Mars'"),
        (lambda: grammar.edit_outcome(BY_HAND["the child breaks the cup"], None, "text", "x"), "no factor 'text'"),
    ],
)
def test_unknown_factors_and_values(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_factors_as_plain_types():
    assert BY_HAND["the child breaks the cup"].to_dict() == {
        "subject": "child",
        "verb": "break",
        "object": "cup",
        "tense": "present",
        "number": "singular",
        "polarity": "affirmative",
        "adjective": "none",
        "place": "none",
        "text": "the child breaks the cup",
    }
