"""Small tasks of our own sentences, for tests."""

from lexframe.task_space.tasks import Contrast, Task

NAMES = ["cat", "dog", "mat", "word", "one two", "naive cat", "good dog", "x"]


def _pairs(form: str, other: str) -> tuple[Contrast, ...]:
    return tuple(Contrast(form.format(a, b), other.format(a, b)) for a in NAMES for b in ("mat", "dog"))


CATS = Task("order", _pairs("the {} sat on the {}", "the {} on sat the {}"), "syntax", "grammar")
PLURALS = Task("plurals", _pairs("one {} and a {}", "one {}s and a {}"), "number", "grammar")
PLURALS_AGAIN = Task("plurals again", _pairs("a {} and one {}", "a {}s and one {}"), "number", "grammar")
