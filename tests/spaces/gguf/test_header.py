"""What a GGUF file says of itself."""

import gguf
import numpy as np
import pytest

from lexframe.exceptions import ModelError
from lexframe.spaces.gguf.header import read_header
from tests.gguf_files import write


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("gguf") / "a.gguf", kind="Q8_0", change={"some.list": [1, 2, 3], "some.float": 0.5})


def test_it_is_what_the_package_of_llama_cpp_reads(path):
    header, theirs = read_header(path), gguf.GGUFReader(path)
    known = {name: field.contents() for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert header.keys == known
    assert [each.name for each in header.tensors] == [each.name for each in theirs.tensors]
    for ours, other in zip(header.tensors, theirs.tensors, strict=True):
        assert list(ours.shape) == other.shape.tolist()[::-1]
        assert (ours.type_number, ours.offset, ours.n_elements) == (other.tensor_type, other.data_offset, other.n_elements)
    assert header.architecture == "llama"
    assert header.own("rope.freq_base") == 50_000.0
    assert not header.is_plain
    assert read_header(write(path.with_name("plain.gguf"), kind="F16")).is_plain
    assert not read_header(write(path.with_name("bf16.gguf"), kind="BF16")).is_plain


def test_a_file_cut_short_anywhere_is_one_line(path, tmp_path):
    whole, cut = path.read_bytes(), tmp_path / "cut.gguf"
    for length in [*np.linspace(0, len(whole) - 1, 60).astype(int), 3, 4, 7, 12, 20, 23, 25, len(whole) - 40]:
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelError) as raised:
            read_header(cut)
        assert "\n" not in str(raised.value)
        assert str(cut) in str(raised.value)
    cut.write_bytes(whole[:-1000])
    with pytest.raises(ModelError, match=r"cut short or damaged: it has .* bytes and ends before its tensor"):
        read_header(cut)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(100), "is no GGUF file"),
        (b"GGUF\x01\x00\x00\x00" + bytes(100), "version 1 of the format"),
        (b"GGUF\x00\x00\x00\x03" + bytes(100), "other byte order"),
        (b"GGUF\x03\x00\x00\x00" + bytes(16), "does not say of which architecture"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 16, "cut short or damaged"),
    ],
)
def test_what_is_none_is_said(tmp_path, content, message):
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_header(tmp_path / "a.gguf")


def test_part_of_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="one of 3 parts"):
        read_header(write(tmp_path / "a.gguf", change={"split.count": 3}))


def test_a_file_that_may_not_be_read_is_one_line(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_header(tmp_path)
