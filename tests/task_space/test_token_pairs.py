"""Which tokens of a pair are scored, by hand on words that are tokens, and as properties of any two sides."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from lexframe.exceptions import DataError
from lexframe.spaces.base.training import ScoredTokens, SequenceNetwork
from lexframe.task_space.tasks import Contrast, Task, checked_tasks
from lexframe.task_space.token_pairs import contrast, tokenized
from tests.tiny_models import tiny_space


class Words(SequenceNetwork):
    """Reads words as tokens: behind a first token that is given, and before a last one where it hides tokens."""

    max_length = 8

    def __init__(self, *, around=False):
        super().__init__(nn.Identity())
        self.around = around

    def log_probabilities(self, sequences):
        raise AssertionError("nobody asks")

    def watched(self):
        raise AssertionError("nobody asks")

    def tokens(self, prompts, texts):
        return [self._of(prompt.split(), text.split()) for prompt, text in zip(prompts, texts, strict=True)]

    def _of(self, prompt, text):
        ids = [0, *(1 + sum(ord(letter) * 31**i for i, letter in enumerate(word)) for word in [*prompt, *text])]
        return ScoredTokens((*ids, 0) if self.around else tuple(ids), tuple(range(1 + len(prompt), len(ids))))


def scored(good, bad, *, prompt="", around=False):
    """The words of each side that count in their contrast."""
    (pair,) = tokenized(Words(around=around), Task("t", (Contrast(good, bad, prompt),)), contrast_only=True).pairs
    words = ([*f"< {prompt} {side}".split()] for side in (good, bad))
    return tuple(" ".join(own[place] for place in side.scored) for own, side in zip(words, (pair.good, pair.bad), strict=True))


def test_pairs_that_cannot_be_used_are_counted():
    pairs = (
        Contrast("a b", "a c"),
        Contrast("a b", "a b"),
        Contrast("a b c", "a b", prompt="p q"),
        Contrast("a b c d e", "x", prompt="p q r"),
        Contrast("a b c d", "x", prompt="p q r"),  # as long as the model reads
        Contrast("x", "a b c d e f g h"),
        Contrast("a b", "a c"),
        Contrast("b", "c", prompt="a"),  # another part of the same text is scored
        Contrast("a c", "a b"),
    )
    found = tokenized(Words(), Task("t", pairs))
    assert (len(found.pairs), found.n_identical, found.n_too_long, found.n_repeated) == (5, 1, 2, 1)
    assert found.left_out == "1 with identical sides, 2 beyond the context, 1 that stand there twice"
    assert [pair.is_unequal for pair in found.pairs] == [False, True, True, False, False]
    assert found.unequal == pytest.approx(2 / 5)
    assert [pair.n_tokens for pair in found.pairs] == [6, 11, 13, 6, 6]
    assert tokenized(Words(), Task("t", pairs[:1])).left_out == ""
    assert tokenized(Words(), Task("t", pairs[1:2])).unequal == 0


def test_a_real_tokenizer_gives_the_same():
    network = tiny_space("llama").sequence_network()
    pairs = (Contrast("the cat sat", "the cat sat"), Contrast("a dog", "a cat"), Contrast("x" * 70, "x"))
    found = tokenized(network, Task("t", pairs))
    assert (len(found.pairs), found.n_identical, found.n_too_long) == (1, 1, 1)
    assert found.pairs[0].good == network.tokens([""], ["a dog"])[0]
    assert found.pairs[0].bad == network.tokens([""], ["a cat"])[0]


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        ("the cats sleep now", "the cats sleeps now", ("sleep", "sleeps")),
        ("the cat I see runs now", "the cats I see run now", ("cat I see runs", "cats I see run")),
        ("the cat walk s home", "the cat walk home", ("s home", "home")),  # one side lacks a token: the one behind it counts on both
        ("walk home", "walk s home", ("home", "s home")),
        ("the cat walk s", "the cat walk", ("walk s", "walk")),  # there is none behind it: the one before it counts
        ("a a", "a a a", ("a", "a a")),
        ("one two", "three four five", ("one two", "three four five")),
    ],
)
def test_contrasts_by_hand(good, bad, expected, around):
    assert scored(good, bad, around=around) == expected


def test_a_prompt_is_never_scored():
    assert scored("b c", "b d", prompt="a") == ("c", "d")
    assert scored("b", "b c", prompt="a") == ("b", "b c")


ANY_SIDE = st.lists(st.integers(1, 3), min_size=1, max_size=6)


@given(before=st.lists(st.integers(1, 3), max_size=3), good=ANY_SIDE, bad=ANY_SIDE, after=st.sampled_from([(), (0,)]))
def test_the_contrast_holds_what_differs_and_leaves_something_on_both_sides(before, good, bad, after):
    assume(good != bad)
    sides = [ScoredTokens((0, *before, *own, *after), tuple(range(1 + len(before), 1 + len(before) + len(own)))) for own in (good, bad)]
    pair = contrast(*sides)
    for own, whole in zip((pair.good, pair.bad), sides, strict=True):
        assert own.ids == whole.ids
        assert own.scored
        assert set(own.scored) <= set(whole.scored)
        assert own.scored == tuple(range(own.scored[0], own.scored[-1] + 1))
    # What is left out is the same on both sides: in front of it, and behind it.
    first, other_first = pair.good.scored[0], pair.bad.scored[0]
    assert first == other_first
    assert pair.good.ids[:first] == pair.bad.ids[:first]
    assert pair.good.ids[pair.good.scored[-1] + 1 :] == pair.bad.ids[pair.bad.scored[-1] + 1 :]
    if len(good) == len(bad):  # and where no token is lacking, it is all that can be left out
        differ = [place for place, (a, b) in enumerate(zip(pair.good.ids, pair.bad.ids, strict=True)) if a != b]
        assert (pair.good.scored[0], pair.good.scored[-1]) == (differ[0], differ[-1])


def test_tasks_without_a_name_of_their_own_or_without_pairs_are_refused():
    task = Task("agreement", (Contrast("a", "b"),))
    assert checked_tasks((task,)) == [task]
    with pytest.raises(DataError, match="no task"):
        checked_tasks([])
    with pytest.raises(DataError, match="Two tasks are called 'agreement'"):
        checked_tasks([task, Task("other", task.pairs), task])
    with pytest.raises(DataError, match="'empty' has no pair"):
        checked_tasks([task, replace(task, name="empty", pairs=())])


def test_a_side_of_which_nothing_is_scored_is_left_out():
    network = tiny_space("llama").sequence_network()
    found = tokenized(network, Task("t", (Contrast(" cat", "", "the"), Contrast(" cat", " dog", "the"))))
    assert (len(found.pairs), found.n_empty) == (1, 1)
    assert found.left_out == "1 with a side of which nothing is scored"
