"""The one format of what is kept: whole or the earlier one, readable, checked, and refused in a line where it is not what it says."""

import json
import os
import stat
from dataclasses import replace

import numpy as np
import pytest

from lexframe.artifacts import Artifact, Persistent, is_artifact, read_artifact, read_document, write_artifact
from lexframe.exceptions import DataError, InputError
from lexframe.provenance import Provenance, SpaceFingerprint

SPACE = SpaceFingerprint(kind="ToySpace", model="toy", weights="w")
FIRST = Artifact("thing", {"n": 1, "name": "naïve ☕"}, {"x": np.arange(6.0).reshape(2, 3)}, Provenance(space=SPACE, seed=3))
SECOND = Artifact("thing", {"n": 2}, {"x": np.ones((4, 2), np.float32), "y": np.array([1, 2])}, Provenance())


class Thing(Persistent):
    artifact_kind = "thing"
    artifact_version = 2

    def __init__(self, n):
        self.n = n

    def to_artifact(self):
        return Artifact("thing", {"n": self.n}, {"x": np.zeros(self.n)}, Provenance(), version=2)

    @classmethod
    def from_artifact(cls, artifact):
        return cls(artifact.parameters["n"] if artifact.version == 2 else -artifact.parameters["n"])


def same(found, expected):
    assert (found.kind, found.version, found.parameters, found.provenance) == (
        expected.kind,
        expected.version,
        expected.parameters,
        expected.provenance,
    )
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_there_and_back(tmp_path):
    write_artifact(FIRST, tmp_path / "a" / "b")
    same(read_artifact(tmp_path / "a" / "b"), FIRST)
    assert is_artifact(tmp_path / "a" / "b")
    assert not is_artifact(tmp_path)
    document = read_document(tmp_path / "a" / "b", kind="thing")
    assert (document["parameters"]["name"], document["provenance"]["seed"]) == ("naïve ☕", 3)
    assert FIRST.describe()["arrays"] == {"x": {"shape": [2, 3], "type": "float64"}}


def test_what_json_makes_plain(tmp_path):
    given = {"tuple": (1, 2), "number": np.float32(0.5), "truth": np.bool_(True), "none": None, "endless": float("inf")}
    write_artifact(replace(FIRST, parameters=given), tmp_path)
    assert read_artifact(tmp_path).parameters == {"tuple": [1, 2], "number": 0.5, "truth": True, "none": None, "endless": None}


def test_arrays_that_are_not_contiguous_come_back_as_they_were(tmp_path):
    turned = np.arange(12.0).reshape(3, 4).T[::2]
    write_artifact(replace(FIRST, arrays={"x": turned}), tmp_path)
    np.testing.assert_array_equal(read_artifact(tmp_path).arrays["x"], turned)


def test_a_later_artifact_takes_the_place_of_an_earlier_one(tmp_path):
    write_artifact(FIRST, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    write_artifact(SECOND, tmp_path)
    same(read_artifact(tmp_path), SECOND)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors", ".txt"]


def test_parts_keep_apart(tmp_path):
    inner = SECOND.with_part("core", replace(FIRST, kind="core", version=4))
    whole = FIRST.with_part("first", inner).with_part("second", SECOND)
    write_artifact(whole, tmp_path)
    found = read_artifact(tmp_path)
    assert found.part("first").part("core").kind == "core"
    assert found.part("first").part("core").version == 4
    np.testing.assert_array_equal(found.part("first").part("core").arrays["x"], FIRST.arrays["x"])
    same(replace(found.part("second"), provenance=Provenance()), SECOND)
    with pytest.raises(KeyError):
        found.part("third")


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_are_as_readable_as_the_user_wants(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_artifact(FIRST, tmp_path / "kept")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").iterdir()] == [mode, mode]


def test_a_full_disk_keeps_the_earlier_artifact(tmp_path, monkeypatch):
    """safetensors reports it by an error of its own, which is no OSError."""
    from safetensors import SafetensorError

    write_artifact(FIRST, tmp_path)
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments, **options):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("lexframe.artifacts.save_file", full)
    with pytest.raises(InputError, match="No space left"):
        write_artifact(SECOND, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", "half a character \ud800"])
def test_what_json_cannot_hold_is_refused_before_anything_is_written(value, tmp_path):
    write_artifact(FIRST, tmp_path)
    with pytest.raises(InputError, match="The thing cannot be kept"):
        write_artifact(replace(SECOND, parameters={"label": value}), tmp_path)
    same(read_artifact(tmp_path), FIRST)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_artifact(FIRST, tmp_path / "taken")


def changed(folder, **changes):
    path = folder / "artifact.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 1}, "not of the format 2"),
        ({"kind": "lens"}, "holds a lens, where a thing is expected"),
        ({"kind": None}, "holds a None"),
        ({"version": 3}, "version 3 of a thing; this lexframe reads 1 to 2"),
        ({"version": 0}, "version 0"),
        ({"version": "2"}, "version is missing or of another type"),
        ({"arrays": "../../etc/passwd"}, "damaged"),
        ({"arrays": "00ff"}, "arrays-00000000000000ff.safetensors is missing"),
        ({"arrays": 7}, "arrays is missing or of another type"),
        ({"parameters": []}, "parameters is missing"),
        ({"parameters": {}}, r"damaged thing \('n'\)"),
        ({"provenance": {"space": 1}}, "damaged"),
    ],
)
def test_a_document_that_says_something_else_is_refused(changes, message, tmp_path):
    Thing(3).save(tmp_path)
    assert Thing.load(tmp_path).n == 3
    changed(tmp_path, **changes)
    with pytest.raises(DataError, match=message) as caught:
        Thing.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_earlier_version_is_handed_to_the_class(tmp_path):
    Thing(3).save(tmp_path)
    changed(tmp_path, version=1)
    assert Thing.load(tmp_path).n == -3


@pytest.mark.parametrize("spoil", ["cut", "empty", "flip", "other"])
def test_damaged_arrays_are_refused(spoil, tmp_path):
    write_artifact(FIRST, tmp_path / "one")
    write_artifact(SECOND, tmp_path / "two")
    ((path,), (other,)) = ((tmp_path / name).glob("arrays-*") for name in ("one", "two"))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes({"cut": data[:-7], "empty": b"", "flip": data, "other": other.read_bytes()}[spoil])
    with pytest.raises(DataError, match="damaged artifact"):
        read_artifact(tmp_path / "one")
    read_document(tmp_path / "one")  # looks at the JSON alone


@pytest.mark.parametrize("name", ["instrument.json", "direction.json", "written.json"])
def test_an_earlier_format_gets_one_clear_line(name, tmp_path):
    (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match=rf"of an earlier format \({name}\).*Make it again"):
        read_artifact(tmp_path)


def test_what_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"is a file; expected a folder with artifact\.json"):
        read_artifact(tmp_path / "file")
    with pytest.raises(DataError, match=r"holds no thing: artifact\.json is missing"):
        Thing.load(tmp_path / "nothing")
