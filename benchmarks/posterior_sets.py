"""The sets of the posterior studies: on some of them every choice is made, on the others what came out is reported.

Choices look at training files alone. The sets of the report had no part in any choice, apart from `carer`, whose training file had one in
the constants of the first release; sst5 holds sentences of mr and belongs to neither side.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import SHARED
from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.adaptation.task import reader_of
from lexframe.cli.model_options import DEFAULT_TEMPLATE
from lexframe.data import desk
from lexframe.spaces import Space, open_space
from lexframe.spaces.registry import recognized_kind

DESIGN = ("trec", "subj", "agnews", "mr")
REPORT = ("dbpedia14", "clinc150", "news20", "desk", "carer")
FIELDS = {"clinc150": "parent", "news20": "parent"}
"""Where the label is not in `label`: the domains of clinc150 and the groups of news20."""


@dataclass(frozen=True)
class StudySet:
    """Texts with points: the first `n_pool` give labels and unlabeled texts, the others are tested on."""

    name: str
    encoded: EncodedTexts
    y: np.ndarray
    labels: tuple[str, ...]
    n_pool: int

    @property
    def test(self) -> np.ndarray:
        return np.arange(self.n_pool, len(self.y))


def open_study_model(name: str) -> Space:
    """As the comparison opens it; 128 tokens a text are enough for a topic, and most of news20 is longer."""
    if recognized_kind(name) == "sentence-encoder":
        return open_space(name)
    dtype = {} if name == "embedded" else {"dtype": "bfloat16"}
    return open_space(name, template=DEFAULT_TEMPLATE, max_length=128, **dtype)


def study_set(name: str, space: Space, folder: Path, *, n_pool: int, n_test: int) -> StudySet:
    """Texts of a set, drawn with one seed, and their points, which are kept in `folder`."""
    pool, rest = _drawn(rows_of_file(name, "train")), _drawn(rows_of_file(name, "test"))
    if name in DESIGN:  # test files of the sets that choices are made on stay shut
        pool, rest = pool[: min(n_pool, len(pool) - n_test)], pool[-n_test:]
    pool, rest = pool[:n_pool], rest[:n_test]
    texts, names = zip(*pool, *rest, strict=True)
    labels = tuple(sorted(set(names)))
    encoded = EncodedTexts(reader_of(space, folder / name), texts)
    return StudySet(name, encoded, np.searchsorted(labels, names), labels, len(pool))


def rows_of_file(name: str, part: str) -> list[tuple[str, str]]:
    """Texts with labels; empty for the test file of a set that choices are made on."""
    if name in DESIGN and part == "test":
        return []
    if name == "desk":
        table = desk(part)
        assert table.labels is not None
        return list(zip(table.texts, table.labels, strict=True))
    with gzip.open(SHARED / "data" / name / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(row["text"], row[FIELDS.get(name, "label")].replace("_", " ")) for row in rows]


def _drawn(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [rows[number] for number in np.random.default_rng(99).permutation(len(rows))]
