"""Overlaps of tasks: worked out by hand, and properties."""

import numpy as np
import pytest

from lexframe.task_space.reading.hypotheses import contrast_overlap, controls_of, same_group, template_overlap, word_overlap
from lexframe.task_space.tasks import Contrast, Task


def task(name, *sides, prompt=""):
    return Task(name, tuple(Contrast(good, bad, prompt) for good, bad in sides))


def test_groups_are_shared_and_no_group_is_shared_with_nobody():
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(same_group(["a", "a", None, None]), expected)


def test_words_of_both_sides_by_bhattacharyya():
    # a, b, a, c against a, a, a, a: frequencies 1/2, 1/4, 1/4 against 1, so the root of 1/2 * 1
    found = word_overlap([task("x", ("A b", "a, C!")), task("y", ("a a", "a a")), task("z", ("d", "e"))])
    np.testing.assert_allclose(found, [[1, np.sqrt(0.5), 0], [np.sqrt(0.5), 1, 0], [0, 0, 1]], atol=1e-15)


def test_a_prompt_is_part_of_both_sides():
    with_prompt = task("x", (" b", " c"), prompt="a")
    assert word_overlap([with_prompt, task("y", ("a b", "a c"))])[0, 1] == pytest.approx(1)
    assert template_overlap([with_prompt, task("y", ("a b", "a c"))])[0, 1] == pytest.approx(1)
    assert contrast_overlap([with_prompt, task("y", ("b", "c"))])[0, 1] == pytest.approx(1)
    assert contrast_overlap([with_prompt, task("y", ("a", "c"))])[0, 1] == pytest.approx(0.5)  # c is half of what differs in each


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("the dog runs", "the dog run"), ("a cat runs", "a cat run"), 1),  # what both sides have does not count
        (("the dog runs", "the dog run"), ("the dog eats", "the dog eat"), 0),
        (("x", "x x y"), ("x", "y"), 1),  # how often counts: x and y differ
        (("who did he see", "who he did see"), ("did he", "he did"), 1 / 3),  # "did he" and "he did", of six bigrams each
        (("a b", "b a"), ("a b c", "a b d"), 0),  # bigrams of one, words of the other
        (("same", "Same!"), ("same", "other"), 0),
    ],
)
def test_only_what_tells_the_sides_apart(one, other, expected):
    found = contrast_overlap([task("x", one), task("y", other)])
    assert found[0, 1] == pytest.approx(expected)
    np.testing.assert_array_equal(found.diagonal(), 1)


def test_templates_are_what_all_tasks_have():
    # 200 sentences; "the" and "saw" stand in all, every name in one: skeletons are "_ saw the _".
    sides = [(f"p{number} saw the q{number}", f"r{number} saw the s{number}") for number in range(50)]
    others = [(f"t{number} saw the u{number}", f"v{number} saw the w{number}") for number in range(50)]
    found = template_overlap([task("x", *sides), task("y", *others)])
    assert found[0, 1] == pytest.approx(1)
    assert word_overlap([task("x", *sides), task("y", *others)])[0, 1] == pytest.approx(0.5)
    # "saw the _ _": of < _, _ saw, saw the, the _, _ > it shares saw the, the _ and _ >; it has < saw and _ _ instead.
    turned = [(f"saw the t{number} u{number}", f"saw the v{number} w{number}") for number in range(50)]
    assert template_overlap([task("x", *sides), task("y", *turned)])[0, 1] == pytest.approx(3 / 5)


def test_a_word_is_frequent_from_one_sentence_in_a_hundred():
    def overlap(number):
        fillers = [(f"a{place}", f"b{place}") for place in range(200 - number)]
        return template_overlap([task("x", *[("new", f"c{place}") for place in range(number)]), task("y", *fillers)])[0, 1]

    assert overlap(3) == pytest.approx(1)  # 3 of 400 sentences: a gap like all others
    assert overlap(4) == pytest.approx(0.5**0.5)  # 4 of 400: half of the sentences of x


def test_controls_are_symmetric_cosines(rng):
    words = [f"w{number}" for number in range(12)]
    tasks = [
        task(str(number), *[(" ".join(rng.choice(words, 4)), " ".join(rng.choice(words, 4))) for _ in range(5)]) for number in range(5)
    ]
    found = controls_of(tasks)
    assert list(found) == ["words", "contrast", "template"]
    for matrix in found.values():
        assert matrix.shape == (5, 5)
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_array_equal(matrix.diagonal(), 1)
        assert matrix.min() >= 0
        assert matrix.max() <= 1 + 1e-12
        assert np.linalg.eigvalsh(matrix).min() > -1e-12
