"""What made a number can be told apart, compared and written down."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch
from lexframe.provenance import Provenance, SpaceFingerprint, array_hash, package_versions

FINGERPRINT = SpaceFingerprint(kind="ToySpace", model="toy", weights="abc", tokenizer="def", pooling="mean", max_length=16)


@pytest.mark.parametrize("name", [field.name for field in fields(SpaceFingerprint)])
def test_the_digest_differs_with_everything_but_where_the_model_was(name):
    value = getattr(FINGERPRINT, name)
    changed = replace(FINGERPRINT, **{name: value + 1 if isinstance(value, int) else value + "x"})
    assert (changed.digest == FINGERPRINT.digest) == (name in ("model", "source"))


def test_the_digest_is_the_same_in_every_process():
    assert FINGERPRINT.digest == replace(FINGERPRINT).digest == "c509eee68fc7"


def test_there_and_back_through_json():
    document = json.loads(json.dumps(FINGERPRINT.to_dict()))
    assert document["digest"] == FINGERPRINT.digest
    assert SpaceFingerprint.from_dict(document) == FINGERPRINT


def test_require_passes_the_same_model_in_another_folder():
    FINGERPRINT.require(replace(FINGERPRINT, model="elsewhere"), what="adapter/")


def test_require_names_both_spaces():
    with pytest.raises(FingerprintMismatch, match="layer -1, mean pooling") as caught:
        FINGERPRINT.require(replace(FINGERPRINT, layer=3), what="adapter/")
    assert "layer 3, mean pooling" in str(caught.value)
    assert str(caught.value).startswith("adapter/ was fitted on")


def test_array_hash_sees_names_shapes_types_and_values():
    array = np.arange(6, dtype=np.float32)
    variants = [
        [("a", array)],
        [("b", array)],
        [("a", array.reshape(2, 3))],
        [("a", array.astype(np.float64))],
        [("a", array.view(np.int32))],
        [("a", array + np.float32(1e-6))],
        [("a", array), ("a", array)],
        [],
    ]
    hashes = [array_hash(variant) for variant in variants]
    assert len(set(hashes)) == len(variants)
    assert all(len(value) == 16 for value in hashes)


def test_array_hash_does_not_depend_on_the_memory_layout():
    array = np.arange(12.0).reshape(3, 4)
    assert array_hash([("a", array)]) == array_hash([("a", np.asfortranarray(array))])
    assert array_hash([("a", array[:, ::2])]) == array_hash([("a", array[:, ::2].copy())])


def test_array_hash_of_no_elements():
    assert array_hash([("a", np.zeros((0, 3)))]) != array_hash([("a", np.zeros((3, 0)))])


def test_versions_name_what_is_installed_and_leave_out_what_is_not():
    versions = package_versions(["numpy", "no-such-package-anywhere"])
    assert versions["numpy"] == np.__version__
    assert set(versions) == {"python", "numpy"}


def test_provenance_as_plain_types():
    document = Provenance(space=FINGERPRINT, seed=3, parameters={"layer": -1}).to_dict()
    assert json.loads(json.dumps(document)) == document
    assert document["space"]["digest"] == FINGERPRINT.digest
    assert (document["seed"], document["parameters"]) == (3, {"layer": -1})
    assert {"python", "numpy"} <= set(document["versions"])
    assert Provenance().to_dict()["space"] is None


@pytest.mark.parametrize("name", [field.name for field in fields(SpaceFingerprint)])
def test_a_model_is_its_weights_its_tokenizer_and_its_precision(name):
    value = getattr(FINGERPRINT, name)
    changed = replace(FINGERPRINT, **{name: value + 1 if isinstance(value, int) else value + "x"})
    if name in ("weights", "tokenizer", "dtype"):
        with pytest.raises(FingerprintMismatch, match="Vectors of two models"):
            FINGERPRINT.require_model(changed, what="The direction")
    else:
        FINGERPRINT.require_model(changed, what="The direction")
