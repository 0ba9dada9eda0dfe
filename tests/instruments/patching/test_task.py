"""Tasks and their prompts: written as asked for, drawn without showing the question, refused where they make no sense."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.instruments import Task
from lexframe.instruments.patching.task import draw_dummies, draw_prompts, split_pairs

LETTERS = tuple((letter, letter.upper()) for letter in "abcdefghijkl")
UPPER = Task("upper", LETTERS)


def test_a_prompt_ends_with_its_separator():
    assert UPPER.prompt(LETTERS[:2], "c") == "\na -> A\nb -> B\nc ->"
    assert UPPER.prompt((), "c") == "\nc ->"  # the input is not the first that is read, as it is not in demonstrations


def test_other_separators_and_templates():
    task = Task("upper", LETTERS, separator="\nA:", template="Q: {input}{separator} {output}\n\n")
    assert task.prompt(LETTERS[:1], "b") == "Q: a\nA: A\n\nQ: b\nA:"


def test_words_that_look_like_places_stay_as_they_are():
    task = Task("odd", (("{output}", "{input}"), ("b", "c")))
    assert task.prompt(task.pairs[:1], "{separator}") == "\n{output} -> {input}\n{separator} ->"


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ((), {}, "has no pairs"),
        ((("a", "b"), ("a", "c")), {}, "'a' as an input more than once"),
        ((("a", " "),), {}, "blank side"),
        ((("", "a"),), {}, "blank side"),
        ((("a", "b"),), {"template": "{input} {output}"}, "must hold"),
        ((("a", "b"),), {"template": "{output}{separator}{input}"}, "must hold"),
        ((("a", "b"),), {"template": "{input}{separator}{output}{output}"}, "must hold"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(pairs, options, message):
    with pytest.raises(InputError, match=message):
        Task("odd", pairs, **options)


@given(n_shots=st.integers(1, 5), seed=st.integers(0, 100))
def test_a_split_parts_the_pairs_and_a_question_is_never_shown(n_shots, seed):
    rng = np.random.default_rng(seed)
    split = split_pairs(UPPER, n_shots=n_shots, rng=rng)
    assert sorted((*split.shown, *split.development, *split.test)) == sorted(LETTERS)
    assert (len(split.development), len(split.test)) == (2, 4)
    queries = [source for source, _ in split.test]
    for prompt, query in zip(draw_prompts(UPPER, queries, split.shown, n_shots=n_shots, rng=rng), queries, strict=True):
        empty, *shown, question = prompt.split("\n")
        assert not empty
        assert question == f"{query} ->"
        assert len(set(shown)) == n_shots
        assert set(shown) <= {f"{source} -> {target}" for source, target in split.shown}
    for prompt in draw_dummies(UPPER, split.shown, n_shots=n_shots, n_prompts=5, rng=rng):
        empty, *shown, question = prompt.split("\n")
        assert not empty
        assert question.split(" ->")[0] in dict(split.shown)
        assert question.split(" ->")[0] not in {line.split(" ->")[0] for line in shown}


def test_shuffled_demonstrations_keep_their_words_and_lose_every_pairing(rng):
    for prompt in draw_prompts(UPPER, ["l"] * 20, LETTERS, n_shots=4, rng=rng, shuffled=True):
        pairs = [line.split(" -> ") for line in prompt.split("\n")[1:-1]]
        assert all(source.upper() != target for source, target in pairs)
        assert sorted(source.upper() for source, _ in pairs) == sorted(target for _, target in pairs)


def test_fewer_pairs_than_shots_are_refused(rng):
    with pytest.raises(InputError, match=r"12 pairs: 2 for development, 4 for the test and 6 to show, but 6 shots need"):
        split_pairs(UPPER, n_shots=6, rng=rng)
    with pytest.raises(InputError, match="at least 1 shot"):
        split_pairs(UPPER, n_shots=0, rng=rng)
    with pytest.raises(InputError, match="2 pairs to show beside 'a', fewer than the 3 shots"):
        draw_prompts(UPPER, ["a"], LETTERS[:3], n_shots=3, rng=rng)
    with pytest.raises(InputError, match="2 or more"):
        draw_prompts(UPPER, ["a"], LETTERS, n_shots=1, rng=rng, shuffled=True)
