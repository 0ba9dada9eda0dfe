"""What a comparison draws from its tables, and what a reader should know of them first."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from lexframe.adaptation.cells import ALL, Shots
from lexframe.data.readers import Table
from lexframe.exceptions import DataError, InputError
from lexframe.linalg import rows_by_class
from lexframe.spaces.base import Space, VocabularySpace

SHOTS: tuple[Shots, ...] = (0, 1, 4, 16, 64, 256, ALL)


@dataclass(frozen=True, slots=True)
class Draws:
    """What a comparison draws from its tables.

    Attributes
    ----------
    shots : tuple of int or "all"
        Labels a class. A class with fewer gives what it has.
    seeds : tuple of int
        A draw of labels each; with all labels there is one draw, and the first seed alone is used.
    max_test : int or None
        Most test texts, drawn by class with a fixed seed; prompts are costly. None takes all.
    drop_duplicates : bool
        Leave out training texts that stand in the test as well; they are counted and named in any case.

    Raises
    ------
    InputError
        If there is no number of labels or no seed.
    """

    shots: Sequence[Shots] = SHOTS
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    max_test: int | None = 500
    drop_duplicates: bool = False

    def __post_init__(self) -> None:
        if not len(self.shots) or not len(self.seeds):
            raise InputError("A comparison draws nothing: shots or seeds are empty. Give one of each or more.")

    def each(self) -> list[tuple[Shots, int]]:
        """Labels a class and seed of every draw."""
        return [(shots, seed) for shots in self.shots for seed in (self.seeds[:1] if shots == ALL else self.seeds)]


def shots_order(shots: Shots) -> float:
    """For sorting: ``all`` comes last."""
    return float("inf") if shots == ALL else float(shots)


def label_numbers(train: Table, test: Table) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Labels in sorted order, and the class numbers of both tables.

    Raises
    ------
    DataError
        If labels are missing, training has one class only, or the test has a label that training lacks.
    """
    if train.labels is None or test.labels is None:
        raise DataError("Labels are needed in training and in test. Name their column.", parameter="label")
    labels = tuple(sorted(set(train.labels)))
    if len(labels) < 2:
        raise DataError(f"{train.source} has one class only ({labels[0]!r}). A classifier needs two or more; check the label column.")
    unseen = sorted(set(test.labels) - set(labels))
    if unseen:
        raise DataError(
            f"{test.source} has labels that {train.source} lacks: {', '.join(map(repr, unseen[:4]))}. "
            "Add training texts for it, or take these rows out of the test."
        )
    number = {label: index for index, label in enumerate(labels)}
    return labels, np.array([number[label] for label in train.labels]), np.array([number[label] for label in test.labels])


def draw_labels(y: np.ndarray, shots: Shots, seed: int) -> np.ndarray:
    """Rows whose label is given: `shots` of every class, or as many as there are.

    Draws are nested: with the same seed, 16 shots hold the 4 that were drawn for 4.

    Returns
    -------
    ndarray of int
        Sorted.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    if shots == ALL:
        return np.sort(order)
    assert isinstance(shots, int)
    chosen = [order[y[order] == label][:shots] for label in np.unique(y)]
    return np.sort(np.concatenate(chosen)) if shots else np.zeros(0, dtype=np.int64)


def without_duplicates(train: Table, test: Table, *, drop: bool) -> tuple[Table, list[str]]:
    """Training texts that stand in the test as well, as a note; with `drop` also left out of training."""
    known = {text.strip() for text in test.texts}
    doubles = [row for row, text in enumerate(train.texts) if text.strip() in known]
    if not doubles:
        return train, []
    shown = "; ".join(repr(train.texts[row][:60]) for row in doubles[:3])
    what = "left out of training" if drop else "kept"
    note = f"{len(doubles)} training text{'s stand' if len(doubles) > 1 else ' stands'} in the test as well, {what}: {shown}."
    if not drop:
        return train, [note]
    keep = sorted(set(range(len(train))) - set(doubles))
    if not keep:
        raise DataError("Every training text stands in the test as well. Give other test texts.")
    return rows_of(train, keep), [note]


def part_of_table(table: Table, most: int | None) -> Table:
    """At most that many rows, drawn by class with a fixed seed so that shares of classes stay."""
    if most is None or len(table) <= most:
        return table
    _, numbers = np.unique(np.array(table.labels), return_inverse=True)
    return rows_of(table, rows_by_class(numbers, most, seed=0).tolist())


def rows_of(table: Table, rows: Sequence[int], *, source: str | None = None, n_blank: int | None = None) -> Table:
    """Some rows of a labeled table; blank rows are counted as before unless said otherwise."""
    assert table.labels is not None
    return Table(
        tuple(table.texts[row] for row in rows),
        tuple(table.labels[row] for row in rows),
        source or table.source,
        table.n_blank if n_blank is None else n_blank,
        tuple(table.rows[row] for row in rows),
    )


def hold_out(table: Table, seed: int) -> tuple[Table, Table]:
    """Training and test rows of one table: a fifth, drawn by class, is held out.

    Raises
    ------
    DataError
        If there are no labels, or a label has a single text.
    """
    if table.labels is None:
        raise DataError("Labels are needed in training and in test. Name their column.", parameter="label")
    _, counts = np.unique(table.labels, return_counts=True)
    if counts.min() < 2:
        raise DataError(
            "No test texts were given, and a label with a single text cannot be split. Give test texts, or two texts or more a label.",
        )
    rows = np.arange(len(table))
    train, test = train_test_split(rows, test_size=max(0.2, len(counts) / len(rows)), stratify=table.labels, random_state=seed)
    return (
        rows_of(table, np.sort(train).tolist(), source=f"four fifths of {table.source}"),
        rows_of(table, np.sort(test).tolist(), source=f"a held-out fifth of {table.source}", n_blank=0),
    )


def require_distinct(words: Mapping[str, Sequence[str]]) -> None:
    """Refuse labels that share a word: nothing could tell them apart without labels.

    Raises
    ------
    InputError
        Naming the word and its labels.
    """
    owner: dict[str, str] = {}
    for label, listed in words.items():
        for word in listed:
            if owner.setdefault(word.strip().lower(), label) != label:
                raise InputError(
                    f"The labels {owner[word.strip().lower()]!r} and {label!r} share the word {word.strip()!r}. "
                    "Give each label words of its own in label_words.",
                    parameter="label_words",
                )


def shared_first_tokens(space: Space, words: Mapping[str, Sequence[str]]) -> list[str]:
    """Notes on labels whose words begin with the same token."""
    if not isinstance(space, VocabularySpace):
        return []
    by_token: dict[int, list[str]] = {}
    for label, listed in words.items():
        for first in {space.word_ids(word)[0] for word in listed}:
            by_token.setdefault(first, []).append(label)
    return [
        f"The words of {', '.join(map(repr, shared))} begin with the same token {space.token_texts([token])[0]!r}; their scores share it."
        for token, shared in by_token.items()
        if len(shared) > 1
    ]


def short_classes(labels: Sequence[str], y: np.ndarray, shots: Sequence[Shots]) -> list[str]:
    """A note on classes with fewer labels than the largest number asked for."""
    sizes = np.bincount(y, minlength=len(labels))
    most = max((n for n in shots if isinstance(n, int)), default=0)
    short = [f"{label} ({size})" for label, size in zip(labels, sizes, strict=True) if size < most]
    return [f"Fewer than {most} labels in {', '.join(short)}: those there are were used."] if short else []


def cut_texts(space: Space, texts: Sequence[str]) -> list[str]:
    """A note on texts that are longer than the space takes."""
    cut = int(space.truncated(list(texts)).sum())
    return [f"{cut} of {len(texts):,} texts are longer than the model takes and were cut."] if cut else []


def content_digest(*tables: Table) -> str:
    """Twenty hex digits over the texts and labels of tables."""
    digest = hashlib.sha256()
    for table in tables:
        for text, label in zip(table.texts, table.labels or (), strict=True):
            digest.update(f"{len(text)} {text} {len(label)} {label} ".encode())
        digest.update(b"|")
    return digest.hexdigest()[:20]
