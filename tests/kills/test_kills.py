"""Whatever place of its writing a process dies at, what is found is what was there before or what should come; runs go on."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lexframe.adaptation.cells import CellStore
from lexframe.artifacts import read_artifact, write_artifact
from lexframe.exceptions import DataError
from lexframe.latents import LatentStore, NeighborIndex
from lexframe.training.checkpoints import read_facts
from tests.kills import work
from tests.kills.killing import deaths


@pytest.fixture(scope="module", autouse=True)
def _importable():
    """The server that children fork from finds this suite."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [before])])
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def nothing(folder):
    pass


def places(found):
    """Names of the places that deaths happened at."""
    return {died.split(",")[0] for died in found}


BOTH_SIDES = [f"{when} {place}" for place in ("tempfile.mkstemp", "os.fsync", "os.replace") for when in ("before", "after")]


def test_an_encoding_goes_on_wherever_it_died(tmp_path):
    work.encode(tmp_path / "whole")
    whole, died = LatentStore(tmp_path / "whole" / "store"), []
    for folder, place in deaths(work.encode, nothing, tmp_path):
        died.append(place)
        if LatentStore.exists(folder / "store"):
            left = LatentStore(folder / "store")
            assert len(left) in (0, 10, 20, 30), place
            assert left.verify().holds, place
        work.encode(folder)
        resumed = LatentStore(folder / "store")
        assert resumed.dataset.to_table().equals(whole.dataset.to_table()), place
        assert resumed.verify().holds, place
        shutil.rmtree(folder)
    calls = ["lance.write_dataset", *["lance.fragment.write_fragments", "lance.LanceDataset.commit"] * 3]
    assert [place.split(",")[0] for place in died] == [f"{when} {call}" for call in calls for when in ("before", "after")]


@pytest.mark.parametrize("power", [False, True])
def test_an_artifact_is_the_earlier_one_or_the_new_one(tmp_path, power):
    def earlier(folder):
        write_artifact(work.artifact(1.0), folder / "kept")

    died = []
    for folder, place in deaths(work.keep_artifact, earlier, tmp_path, power=power):
        died.append(place)
        found = read_artifact(folder / "kept")
        value = found.parameters["value"]
        assert value in (1.0, 2.0), place
        assert found.provenance.seed == value, place
        assert all((array == value).all() for array in found.arrays.values()), place
        work.keep_artifact(folder)
        assert read_artifact(folder / "kept").parameters["value"] == 2.0
        assert len(list((folder / "kept").glob("arrays-*.safetensors"))) == 1, place
    assert {*BOTH_SIDES, "before os.unlink", "after os.unlink"} <= places(died)


@pytest.mark.parametrize("power", [False, True])
def test_an_index_is_whole_or_said_not_to_be(tmp_path, power):
    def earlier(folder):
        work.index(1.0).save(folder / "kept")

    points = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    whole, died = [work.index(value).search(points, 3) for value in (1.0, 2.0)], []
    for folder, place in deaths(work.keep_index, earlier, tmp_path, power=power):
        died.append(place)
        try:
            found = NeighborIndex.load(folder / "kept").search(points, 3)
        except DataError:
            continue
        assert any(np.array_equal(found.scores, other.scores) for other in whole), place
    assert {"after os.fsync", "before os.replace", "after os.replace"} <= places(died)


@pytest.mark.parametrize("power", [False, True])
def test_a_checkpoint_is_the_earlier_one_or_the_new_one(tmp_path, power):
    died = []
    for folder, place in deaths(work.keep_checkpoint, lambda folder: work.keep_checkpoint(folder, 1.0), tmp_path, power=power):
        died.append(place)
        path = folder / "checkpoint.safetensors"
        step = read_facts(path)["step"]
        assert step in (1.0, 2.0), place
        assert (load_file(path)["model.weight"] == step).all(), place
    assert set(BOTH_SIDES) <= places(died)


@pytest.mark.parametrize("power", [False, True])
def test_a_cell_is_whole_or_absent(tmp_path, power):
    died = []
    for folder, place in deaths(work.keep_cells, nothing, tmp_path, power=power):
        died.append(place)
        found = [CellStore(folder).get({"seed": seed}) for seed in (1, 2, 3)]
        assert found == sorted(found, key=lambda cell: cell is None), place  # one after the other
        for seed, cell in enumerate(found, start=1):
            assert cell is None or (cell.to_dict() == work.cell(seed).to_dict() and (cell.predicted == seed).all()), place
    assert len(died) == 3 * 7  # what is removed in the end has been renamed by then
    assert set(BOTH_SIDES) <= places(died)


def test_a_comparison_goes_on_wherever_it_died(tmp_path):
    def what(cells):
        return [(cell.method, cell.shots, cell.seed, cell.accuracy, cell.log_loss) for cell in cells]

    whole, n_kept = what(work.planted_comparison(None)), set()
    for folder, place in deaths(work.compare_methods, nothing, tmp_path, places=("os.replace",)):
        kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
        n_kept.add(len(kept))
        assert what(work.planted_comparison(folder)) == whole, place
        assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept, place
    assert n_kept >= set(range(len(whole) + 1))
