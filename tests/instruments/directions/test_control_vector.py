"""Directions as llama.cpp reads them."""

import builtins

import numpy as np
import pytest

from lexframe.exceptions import InputError, MissingExtraError
from lexframe.instruments import Direction, export_gguf, find_direction
from tests.tiny_models import tiny_space


@pytest.fixture(scope="module")
def direction():
    return find_direction(tiny_space("llama"), ["the cat", "a cat", "x cat", "cat"], ["the dog", "a dog", "x dog", "dog"], layers=range(4))


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
    with pytest.raises(InputError, match=r"is one of points; llama\.cpp needs layers"):
        export_gguf(Direction.of_points(np.ones(3)), tmp_path / "x.gguf", model_hint="llama")
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
