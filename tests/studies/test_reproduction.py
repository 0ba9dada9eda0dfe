"""The paper's tables, on planted sets in a folder of the same layout."""

import gzip
import json

import numpy as np
import pytest

from lexframe.exceptions import DataError
from lexframe.instruments.classifiers.semantic_calibration import SemanticCalibration
from lexframe.studies.reproduction import ABLATIONS, PUBLISHED, is_balanced, reproduce
from tests.planted import planted_space, planted_table


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("trec", "subj")):
        (tmp_path / name).mkdir()
        for part, n in (("train", 30), ("test", 20)):
            table = planted_table(n, 10 * number + n)
            with gzip.open(tmp_path / name / f"{part}.jsonl.gz", "wt") as file:
                file.writelines(
                    json.dumps({"text": text, "label": label}) + "\n" for text, label in zip(table.texts, table.labels, strict=True)
                )
    return tmp_path


def test_the_tables_of_a_folder(folder):
    found = reproduce(planted_space(), folder, sets=("trec", "subj", "agnews"))
    assert set(found.main["semantic-calibration"]) == {"trec", "subj"}
    assert list(found.skipped) == ["agnews"]
    assert set(found.ablation) == set(ABLATIONS)
    assert min(found.main["logistic"].values()) > 0.8  # chance is a third
    before, after = found.clusters["neighbor"]["trec"]
    assert after > 0.7
    assert found.main["icl-random"] == {}  # a toy space takes no prompts
    document = json.loads(json.dumps(found.to_dict()))
    assert document["published"]["main"] == PUBLISHED
    assert before <= 1


def test_a_second_run_computes_nothing_again(folder, tmp_path, monkeypatch):
    first = reproduce(planted_space(), folder, sets=("trec",), cells=tmp_path / "kept")
    monkeypatch.setattr(SemanticCalibration, "fit", None)
    again = reproduce(planted_space(), folder, sets=("trec",), cells=tmp_path / "kept")
    assert again.clusters == first.clusters
    assert again.main == first.main


def test_a_folder_without_sets_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds none of the sets"):
        reproduce(planted_space(), tmp_path)


def test_what_counts_as_balanced():
    assert is_balanced(np.repeat([0, 1], [50, 60]))
    assert not is_balanced(np.repeat([0, 1], [50, 90]))
