"""The tasks that verbalized models are tried on: two that are drawn, two of people's texts; training rows, test rows, and the truth."""

from collections.abc import Callable

import numpy as np

from common import SHARED
from lexframe.data import desk, read_table
from lexframe.verbal import Sample, classification_sample, regression_sample

STATED = {
    "mr": "The output is pos if the text praises the film. The output is neg if the text finds fault with the film.",
}
"""A text that says which rows have which label, where people would write one."""


def linear(seed: int, n_train: int, n_test: int) -> tuple[Sample, Sample]:
    """Y = 4 + 3x with noise of .1, as in the code of the paper."""

    def drawn(generator: np.random.Generator, n: int) -> Sample:
        x = generator.uniform(0, 2, n)
        return regression_sample(x.reshape(-1, 1), 4 + 3 * x + 0.1 * generator.normal(size=n))

    return drawn(np.random.default_rng([seed, 1]), n_train), drawn(np.random.default_rng([seed, 2]), n_test)


def circles(seed: int, n_train: int, n_test: int) -> tuple[Sample, Sample]:
    """Two circles of radius 1 and 2 around the origin, with noise of .15."""

    def drawn(generator: np.random.Generator, n: int) -> Sample:
        inside = generator.permutation(n) % 2 == 0
        radius = np.where(inside, 1.0, 2.0) + 0.15 * generator.normal(size=n)
        angle = generator.uniform(0, 2 * np.pi, n)
        points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
        return classification_sample(points, np.where(inside, "inner", "outer"))

    return drawn(np.random.default_rng([seed, 1]), n_train), drawn(np.random.default_rng([seed, 2]), n_test)


def _texts(
    train: tuple[list[str], list[str]], test: tuple[list[str], list[str]], seed: int, sizes: tuple[int, int]
) -> tuple[Sample, Sample]:
    samples = []
    for (texts, labels), size, stream in zip((train, test), sizes, (1, 2), strict=True):
        rows = np.sort(np.random.default_rng([seed, stream]).permutation(len(texts))[:size])
        samples.append(classification_sample([texts[row] for row in rows], [labels[row] for row in rows]))
    return samples[0], samples[1]


def of_desk(seed: int, n_train: int, n_test: int) -> tuple[Sample, Sample]:
    """Short messages of eight categories, which come with the package."""
    tables = [(list(table.texts), list(table.labels or ())) for table in (desk("train"), desk("test"))]
    return _texts(tables[0], tables[1], seed, (n_train, n_test))


def of_mr(seed: int, n_train: int, n_test: int) -> tuple[Sample, Sample]:
    """Sentences of film reviews, for and against."""
    tables = [read_table(SHARED / "data" / "mr" / f"{part}.jsonl.gz") for part in ("train", "test")]
    named = {"0": "neg", "1": "pos", "negative": "neg", "positive": "pos"}
    lists = [(list(table.texts), [named.get(label, label) for label in table.labels or ()]) for table in tables]
    return _texts(lists[0], lists[1], seed, (n_train, n_test))


TASKS: dict[str, Callable[[int, int, int], tuple[Sample, Sample]]] = {"linear": linear, "circles": circles, "desk": of_desk, "mr": of_mr}
