"""One way to read texts: what it gives, what it does not read twice, and what it refuses."""

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.latents import LatentStore, Reading, Scaling, TextReader
from lexframe.latents.blocks import BLOCK_ROWS
from lexframe.spaces import SentenceEncoderSpace, ToySpace
from lexframe.spaces.base import Representation
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

TEXTS = ("the cat sat", "a dog on the mat", "one", "x y z", "the cat sat", "one two three")


@pytest.fixture(scope="module")
def llama():
    return tiny_space("llama")


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoderSpace(tiny_model("bert").bert, tokenizer=tiny_tokenizer(masked=True))


def readings(space):
    wanted = Representation(1, "mean"), Representation(0, "first")
    return Reading.own(), Reading.thirds(space), Reading(wanted), Reading(wanted, own_points=False)


def counted(monkeypatch, space):
    """Texts that go through the model from now on."""
    read, inside = [], []
    for name in ("encode", "encode_representations"):
        original = getattr(type(space), name)

        def counting(self, texts, *rest, original=original, **options):
            read.extend([] if inside else texts)  # one may call the other
            inside.append(True)
            try:
                return original(self, texts, *rest, **options)
            finally:
                inside.pop()

        monkeypatch.setattr(type(space), name, counting)
    return read


@pytest.mark.parametrize("number", range(4))
def test_states_are_those_of_the_space_kept_or_not(llama, tmp_path, number):
    reading = readings(llama)[number]
    asked = reading.asked(llama)
    expected = llama.encode_representations(TEXTS, asked) if asked else llama.encode(TEXTS)[:, np.newaxis]
    for folder in (None, tmp_path / "kept"):
        reader = TextReader(llama, reading, folder=folder)
        for _ in range(2):
            found = reader.states(TEXTS)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=1e-5)
        assert reader.states([]).shape == (0, *expected.shape[1:])
        np.testing.assert_array_equal(reader.encode(TEXTS), found.reshape(len(TEXTS), -1))
    np.testing.assert_array_equal(TextReader(llama, reading, folder=tmp_path / "kept").states(TEXTS), found)


@pytest.mark.parametrize("kept", [False, True])
def test_more_texts_cost_the_new_ones(llama, tmp_path, kept, monkeypatch):
    reader = TextReader(llama, Reading.thirds(llama), folder=tmp_path / "kept" if kept else None)
    read = counted(monkeypatch, llama)
    first = reader.states(TEXTS[:3])
    assert sorted(read) == sorted(TEXTS[:3])
    more = reader.states([TEXTS[5], *TEXTS[:3]])
    assert sorted(read) == sorted([*TEXTS[:3], TEXTS[5]])
    np.testing.assert_array_equal(more[1:], first)
    np.testing.assert_allclose(more[:1], TextReader(llama, Reading.thirds(llama)).states(TEXTS[5:]), atol=1e-5)
    assert reader.encode_seconds > 0


def test_without_memory_nothing_stays(llama, monkeypatch):
    reader = TextReader(llama, remember=False)
    read = counted(monkeypatch, llama)
    np.testing.assert_array_equal(reader.states(TEXTS), reader.states(TEXTS))
    assert len(read) == 2 * len(set(TEXTS))


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    def killed(blocks):
        yield blocks[0]
        raise KilledError

    toy = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0]})
    texts = [f"cat dog {number}" for number in range(BLOCK_ROWS + 3)]
    reader = TextReader(toy, folder=tmp_path / "kept")
    with pytest.raises(KilledError):
        reader.states(texts, progress=killed)
    assert len(LatentStore(tmp_path / "kept")) == BLOCK_ROWS
    read = counted(monkeypatch, toy)
    assert reader.states(texts).shape == (len(texts), 1, 2)
    assert read == texts[BLOCK_ROWS:]


def test_the_folder_of_another_space_or_reading_is_refused(llama, tmp_path):
    TextReader(llama, folder=tmp_path / "kept").states(TEXTS)
    with pytest.raises(FingerprintMismatch, match="cannot be mixed"):
        TextReader(tiny_space("llama", layer=1), folder=tmp_path / "kept").states(TEXTS)
    with pytest.raises(InputError, match="layers and poolings"):
        TextReader(llama, Reading.thirds(llama), folder=tmp_path / "kept").states(TEXTS)


def test_thirds_are_three_layers_in_every_pooling(llama, encoder):
    assert [str(wanted) for wanted in Reading.thirds(tiny_space("gpt2")).representations] == [
        f"{layer}:{pooling}" for layer in _thirds_of(tiny_space("gpt2").n_layers) for pooling in ("last", "mean")
    ]
    assert [str(wanted) for wanted in Reading.thirds(llama, poolings=["mean"]).representations][-1] == "-1:mean"
    assert Reading.thirds(encoder, own_points=False, scaled=True) == Reading.own()


def _thirds_of(n_layers):
    return {3: [1, 2, -1], 6: [2, 4, -1], 2: [1, -1]}[n_layers]


def test_names_digests_and_single_blocks(llama):
    reading = Reading((Representation(-1, "last"), Representation(1, "mean"), Representation(1, "mean")))
    assert reading.names(llama) == ("own points", "1:mean")  # the space is the last state already
    assert reading.only(0, llama) == Reading.own()
    assert reading.only(1, llama) == Reading((Representation(1, "mean"),), own_points=False)
    assert Reading.own().names(llama) == ("own points",)
    assert Reading.from_dict(reading.to_dict()) == reading
    others = [reading.digest(tiny_space("llama", layer=1)), Reading.own().digest(llama), reading.only(1, llama).digest(llama)]
    assert len({reading.digest(llama), *others}) == 4


def test_a_reading_of_nothing_and_layers_that_are_not_there(encoder):
    with pytest.raises(InputError, match="neither"):
        Reading(own_points=False)
    with pytest.raises(InputError, match="no layers"):
        TextReader(encoder, Reading((Representation(1, "mean"),), own_points=False))
    assert TextReader(encoder, Reading((Representation(1, "mean"),))).states(["a"]).shape == (1, 1, encoder.n_dims)


def test_scaled_blocks_are_centered_and_of_one_length(llama):
    reader = TextReader(llama, Reading.thirds(llama, poolings=("mean",), own_points=False, scaled=True))
    with pytest.raises(InputError, match="fit_encode"):
        reader.encode(TEXTS)
    points = reader.fit_encode(TEXTS)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-5)
    for part in np.split(points, len(reader.reading.representations), axis=1):
        assert np.mean(np.sum(part**2, axis=1)) == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(reader.encode(TEXTS[1:3]), points[1:3], atol=1e-5)  # in the same coordinates, whoever stands beside


def test_scaling_of_nothing_leaves_lengths_alone():
    for states in (np.zeros((0, 2, 3), np.float32), np.ones((4, 2, 3), np.float32)):
        found = Scaling.of(states)
        np.testing.assert_array_equal(found.sizes, 1)
        np.testing.assert_array_equal(found(states), np.zeros_like(states))


def test_a_damaged_note_of_seconds_is_no_error(tmp_path):
    space = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0]})
    reader = TextReader(space, folder=tmp_path / "kept")
    reader.states(["cat"])
    (tmp_path / "kept" / "encode-seconds.json").write_text("half")
    assert reader.encode_seconds == 0
    np.testing.assert_array_equal(reader.encode(["cat", "dog"]), np.eye(2))
