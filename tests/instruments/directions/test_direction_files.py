"""Directions on disk: whole, the same, refused where damaged; and as llama.cpp reads them."""

import builtins
import json

import numpy as np
import pytest

from lexframe.exceptions import DataError, InputError, MissingExtraError
from lexframe.instruments import export_gguf, find_direction, load_direction, save_direction
from tests.tiny_models import tiny_space


@pytest.fixture(scope="module")
def direction():
    return find_direction(tiny_space("llama"), ["the cat", "a cat", "x cat", "cat"], ["the dog", "a dog", "x dog", "dog"], layers=range(4))


def test_it_comes_back_as_it_was(direction, tmp_path):
    save_direction(direction, tmp_path / "d")
    found = load_direction(tmp_path / "d")
    assert found.to_dict() == direction.to_dict()
    for layer in direction.layers:
        assert (found.vectors[layer] == direction.vectors[layer]).all()
    found.require(tiny_space("llama").fingerprint)
    save_direction(-direction, tmp_path / "d")
    assert (load_direction(tmp_path / "d").vectors[1] == -direction.vectors[1]).all()
    assert len(list((tmp_path / "d").iterdir())) == 2


def test_what_is_no_direction_is_refused(direction, tmp_path):
    with pytest.raises(DataError, match="holds no direction"):
        load_direction(tmp_path)
    folder = tmp_path / "d"
    save_direction(direction, folder)
    document = json.loads((folder / "direction.json").read_text())
    for change, message in (({"format": 9}, "format 1"), ({"vectors": "00ff"}, "is missing"), ({"n_layers": None}, "damaged")):
        (folder / "direction.json").write_text(json.dumps(document | change))
        with pytest.raises(DataError, match=message):
            load_direction(folder)
    (folder / "direction.json").write_text(json.dumps(document))
    (vectors,) = folder.glob("*.safetensors")
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        load_direction(folder)


def test_ggufs_own_reader_finds_the_control_vector(direction, tmp_path):
    """llama.cpp adds direction.k to the output of its block k, counted from 0: our layer k + 1. Ours: 3 blocks, so layer 2 alone."""
    gguf = pytest.importorskip("gguf", reason="comes with the extra gguf")
    path = tmp_path / "cat.gguf"
    assert export_gguf(direction, path, model_hint="llama", strength=0.5) == (2,)
    reader = gguf.GGUFReader(path)
    fields = {name: reader.get_field(name).contents() for name in ("general.architecture", "controlvector.model_hint")}
    assert fields == {"general.architecture": "controlvector", "controlvector.model_hint": "llama"}
    assert reader.get_field("controlvector.layer_count").contents() == 1
    (tensor,) = reader.tensors
    assert (tensor.name, tensor.tensor_type.name) == ("direction.1", "F32")
    np.testing.assert_array_equal(tensor.data, direction.vectors[2] * np.float32(0.5))


def test_layers_that_llama_cpp_cannot_move_are_refused(tmp_path):
    pytest.importorskip("gguf", reason="comes with the extra gguf")
    outer = find_direction(tiny_space("llama"), ["the cat", "a cat"], ["the dog", "a dog"], layers=[0, 1, -1])
    with pytest.raises(InputError, match="takes directions of layers 2 to 2"):
        export_gguf(outer, tmp_path / "x.gguf", model_hint="llama")
    assert not list(tmp_path.iterdir())


def test_without_the_package_its_extra_is_named(direction, tmp_path, monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **options):
        if name == "gguf":
            raise ImportError(name)
        return original(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"lexframe\[gguf\]"):
        export_gguf(direction, tmp_path / "x.gguf", model_hint="llama")
