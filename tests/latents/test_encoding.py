"""Texts into a store: every text once, in order, whoever encodes it and however often the run was stopped."""

import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from lexframe.exceptions import DataError, FingerprintMismatch, InputError, InterruptedRunError
from lexframe.latents import (
    LatentStore,
    StoreSettings,
    TextBlock,
    Workers,
    encode_to_store,
    missing_texts,
    row_blocks,
    store_index,
    text_blocks,
    workers,
)
from lexframe.latents import encoding as module
from lexframe.latents.blocks import column_name, vector_columns
from lexframe.latents.encoding import precision_deviation
from lexframe.latents.workers import WorkerPool, mapped_copy
from lexframe.spaces import LanguageModelSpace, ToySpace
from lexframe.spaces.base import Representation
from tests.latents.worker_jobs import about, die, die_once, refuse
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

ASKED = [Representation(1, "mean"), Representation(-1, "last")]


def test_every_column_is_what_the_space_gives(space, texts, tmp_path):
    result = encode_to_store(
        space, text_blocks(texts, block_rows=8), tmp_path / "s", representations=[Representation(0, "mean"), Representation(-1, "last")]
    )
    store = LatentStore(tmp_path / "s")
    expected = space.encode_representations(texts, [Representation(0, "mean"), Representation(1, "last")])
    np.testing.assert_array_equal(store.points("layer_0_mean"), expected[:, 0])
    np.testing.assert_array_equal(store.points("layer_last_last"), expected[:, 1])
    rows = store.query()
    assert rows["id"].tolist() == [f"text:{number}" for number in range(len(texts))]
    assert rows["text"].tolist() == texts
    assert rows["n_tokens"].tolist() == [len(text.split()) for text in texts]
    assert not rows["truncated"].any()
    assert (result.n_texts, result.n_encoded, result.n_kept) == (50, 50, 0)
    assert result.n_tokens == sum(len(text.split()) for text in texts)
    assert store.info().n_fragments == 7
    assert store.verify().holds


def test_a_second_run_encodes_what_is_new_and_nothing_else(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts[:20], block_rows=8), tmp_path / "s")
    result = encode_to_store(space, text_blocks(texts, block_rows=8), tmp_path / "s")
    assert (result.n_texts, result.n_encoded, result.n_kept) == (50, 30, 20)
    store = LatentStore(tmp_path / "s")
    np.testing.assert_array_equal(store.points(), space.encode(texts))
    version = store.version
    assert encode_to_store(space, text_blocks(texts), tmp_path / "s").n_encoded == 0
    assert LatentStore(tmp_path / "s").version == version


def test_deleted_rows_are_encoded_again(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts, block_rows=8), tmp_path / "s")
    store = LatentStore(tmp_path / "s")
    store.delete("id IN ('text:3', 'text:30')")
    assert encode_to_store(space, text_blocks(texts, block_rows=8), tmp_path / "s").n_encoded == 2
    assert sorted(LatentStore(tmp_path / "s").query()["id"]) == sorted(f"text:{number}" for number in range(50))


def test_another_text_under_a_known_id_is_refused(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts), tmp_path / "s")
    with pytest.raises(InputError, match="another text under the id 'text:7'"):
        encode_to_store(space, text_blocks([*texts[:7], "w1 w2", *texts[8:]]), tmp_path / "s")
    encode_to_store(space, text_blocks(texts, source="more"), tmp_path / "s")
    assert len(LatentStore(tmp_path / "s")) == 100


def test_points_of_two_spaces_are_not_mixed(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts), tmp_path / "s")
    other = ToySpace({"w1": [0.0] * 6})
    with pytest.raises(FingerprintMismatch, match="cannot be mixed"):
        encode_to_store(other, text_blocks(texts, source="b"), tmp_path / "s")
    with pytest.raises(InputError, match="this run writes"):
        encode_to_store(space, text_blocks(texts, source="b", metadata={"label": texts}), tmp_path / "s")
    with pytest.raises(InputError, match="use another store"):
        encode_to_store(space, text_blocks(texts, source="b"), tmp_path / "s", representations=[Representation(0, "mean")])


def test_metadata_keeps_its_types(space, texts, tmp_path):
    metadata = {"label": ["a", None] * 25, "year": list(range(50)), "share": [0.5] * 50, "good": [True, False] * 25, "empty": [None] * 50}
    encode_to_store(space, text_blocks(texts, metadata=metadata, block_rows=9), tmp_path / "s", settings=StoreSettings(keep_text=False))
    store = LatentStore(tmp_path / "s")
    assert {name: str(kind) for name, kind in store.metadata.items()} == {
        "id": "string", "label": "string", "year": "int64", "share": "double", "good": "bool", "empty": "string",
        "n_tokens": "int32", "truncated": "bool",
    }  # fmt: skip
    assert store.query("label IS NULL AND good = false AND year > 45")["id"].tolist() == ["text:47", "text:49"]
    with pytest.raises(InputError, match="'n_tokens' of its own"):
        encode_to_store(space, text_blocks(texts, metadata={"n_tokens": metadata["year"]}), tmp_path / "t")


def test_ids_and_metadata_of_another_length(texts):
    with pytest.raises(InputError, match="as many ids"):
        list(text_blocks(texts, ids=["a", "b"]))
    with pytest.raises(InputError, match="as many ids"):
        list(text_blocks(texts, metadata={"label": ["a"] * 51}))
    assert [len(block) for block in text_blocks(texts, block_rows=20)] == [20, 20, 10]
    (block,) = row_blocks([("a", "x", {"n": 1}), ("b", "y", {"n": 2})])
    assert block == TextBlock(("a", "b"), ("x", "y"), {"n": [1, 2]})


def test_an_id_that_stands_twice(space, tmp_path):
    with pytest.raises(InputError, match="id 'a' stands for several texts"):
        encode_to_store(space, text_blocks(["w1", "w2"], ids=["a", "a"]), tmp_path / "s")


@pytest.mark.parametrize("in_a_set", [3, 10_000])
def test_an_id_that_stands_in_two_blocks(space, texts, tmp_path, monkeypatch, in_a_set):
    monkeypatch.setattr(missing_texts, "IDS_IN_A_SET", in_a_set)
    ids = [f"id {number}" for number in range(49)] + ["id 20"]
    with pytest.raises(InputError, match="id 'id 20' stands for several"):
        encode_to_store(space, text_blocks(texts, ids=ids, block_rows=7), tmp_path / "s")
    assert len(LatentStore(tmp_path / "s")) == 49
    assert encode_to_store(space, text_blocks(texts[:49], ids=ids[:49], block_rows=7), tmp_path / "s").n_kept == 49


def test_values_are_never_cut_to_the_type_of_the_first_block(space, texts, tmp_path):
    ratings = [5, 4, 4.5, *range(47)]
    encode_to_store(space, text_blocks(texts, metadata={"rating": ratings}, block_rows=2), tmp_path / "s")
    assert LatentStore(tmp_path / "s").query()["rating"].tolist() == ratings
    mixed = [None, None, 7, "x", 2.5, *([True] * 45)]
    with pytest.raises(InputError, match="row 4: mixed is 'x', a text, and 7, a whole number, in row 3"):
        encode_to_store(space, text_blocks(texts, metadata={"mixed": mixed}, block_rows=2), tmp_path / "t")
    assert not (tmp_path / "t").exists()
    huge = [2**70] * 50
    with pytest.raises(InputError, match="too large for a whole number of 64 bits"):
        encode_to_store(space, text_blocks(texts, metadata={"huge": huge}), tmp_path / "u")


def test_a_run_that_was_stopped_before_its_first_commit_does_not_block_the_place(space, texts, tmp_path):
    (tmp_path / "s" / "_versions").mkdir(parents=True)
    (tmp_path / "s" / ".writer.lock").touch()
    assert encode_to_store(space, text_blocks(texts), tmp_path / "s").n_encoded == 50
    encode_to_store(space, text_blocks([]), tmp_path / "t")  # without texts, without columns
    encode_to_store(space, text_blocks(texts, metadata={"n": list(range(50))}), tmp_path / "t", settings=StoreSettings("float16"))
    assert LatentStore(tmp_path / "t").query("n = 3")["id"].tolist() == ["text:3"]
    with pytest.raises(InputError, match="not empty any more"):
        LatentStore(tmp_path / "t").make_anew(vector_columns(space))


def test_rows_that_come_before_the_store_is_held_are_seen(space, texts, tmp_path, monkeypatch):
    opened = module._opened

    def and_another_run(path, *rest):
        store = opened(path, *rest)
        if len(store) == 0 and store.version == 1:
            monkeypatch.setattr(module, "_opened", opened)
            encode_to_store(space, text_blocks(texts), path)
        return store

    monkeypatch.setattr(module, "_opened", and_another_run)
    assert encode_to_store(space, text_blocks(texts), tmp_path / "s").n_kept == 50
    assert LatentStore(tmp_path / "s").verify().holds


def test_ids_that_are_no_strings(space, tmp_path, without_type_checks):
    with pytest.raises(InputError, match="is int, not a string"):
        encode_to_store(space, text_blocks(["w1", "w2"], ids=[1, 2]), tmp_path / "s")


def test_an_address_instead_of_a_folder(space, texts, tmp_path):
    """What an object store sees of us, at an address that needs none."""
    address = f"file://{tmp_path}/s"
    assert not LatentStore.exists(address)
    encode_to_store(space, text_blocks(texts[:30], block_rows=8), address)
    assert encode_to_store(space, text_blocks(texts, block_rows=8), address).n_kept == 30
    store = LatentStore(address)
    np.testing.assert_array_equal(store.points(), space.encode(texts))
    assert store.verify().holds
    store.delete("id = 'text:0'")
    store.compact(keep_versions=False)
    assert len(LatentStore(address)) == 49
    assert store_index(store).search(space.encode(texts[1:2]), 1).scores[0, 0] == pytest.approx(1, abs=1e-5)
    with pytest.raises(DataError, match="cannot be opened"):
        LatentStore(f"file://{tmp_path}/nowhere")


def test_workers_give_the_same_rows_in_the_same_order(texts, tmp_path):
    space = tiny_space("llama")
    for name, n_workers in (("here", 0), ("there", 2)):
        encode_to_store(space, text_blocks(texts, block_rows=7), tmp_path / name, representations=ASKED, workers=Workers(n_workers))
    here, there = LatentStore(tmp_path / "here"), LatentStore(tmp_path / "there")
    assert there.query()["id"].tolist() == here.query()["id"].tolist()
    for column in here.vectors:
        np.testing.assert_allclose(there.points(column), here.points(column), rtol=1e-5, atol=1e-6)


def test_a_worker_that_dies_is_replaced_and_its_item_done_again_and_an_error_comes_through(space, tmp_path):
    items = [str(tmp_path / f"item {number}") for number in range(5)]
    for item in (items[0], items[1], items[3], items[4]):
        Path(item).write_text("x")
    with WorkerPool(space, 1) as pool:
        assert list(pool.map(die_once, items)) == [Path(item).name for item in items]
        with pytest.raises(InputError, match="7 is wrong"):
            list(pool.map(refuse, [7]))


def test_workers_that_die_again_and_again_end_the_run(space, monkeypatch):
    monkeypatch.setattr(workers, "MOST_DEATHS", 2)
    with WorkerPool(space, 1) as pool, pytest.raises(InterruptedRunError, match="died 2 times"):
        list(pool.map(die, [1, 2]))


def test_a_worker_has_one_thread_and_the_same_weights_tied_ones_once():
    """The model was asked for hidden states, whereupon transformers leaves hooks on it that cannot be pickled."""
    model = tiny_model.__wrapped__("gpt2")  # ties its embedding and its head
    ids = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        before = model(input_ids=ids, output_hidden_states=True).hidden_states
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    _ = space.unembedding()  # what is cached travels too
    with WorkerPool(space, 1) as pool:
        ((threads, points, n_tensors),) = pool.map(about, [0])
    assert threads == 1
    np.testing.assert_allclose(points, space.encode(["the cat sat"]), atol=1e-6)
    assert n_tensors == len(list(space.model.parameters()))
    assert all(parameter.requires_grad for parameter in space.model.parameters())  # the model here is as it was
    with torch.no_grad():
        after = model(input_ids=ids, output_hidden_states=True).hidden_states
    assert len(after) == len(before) == 4


def test_what_is_sent_to_a_worker_is_small(tmp_path, monkeypatch):
    monkeypatch.setattr(workers.tempfile, "gettempdir", lambda: str(tmp_path))
    space = LanguageModelSpace(tiny_model("gpt2"), tokenizer=tiny_tokenizer())
    n_bytes = sum(parameter.numel() * 4 for parameter in space.model.parameters() if parameter.numel() >= workers.LEAST_MAPPED)
    whole = len(pickle.dumps(LanguageModelSpace(tiny_model.__wrapped__("gpt2"), tokenizer=tiny_tokenizer())))
    assert len(pickle.dumps(mapped_copy(space, "x"))) < whole - 0.9 * n_bytes
    assert (tmp_path / "x" / "weights.safetensors").stat().st_size >= n_bytes


@pytest.mark.parametrize(("layer", "pooling", "name"), [(3, "mean", "layer_3_mean"), (-1, "last", "layer_last_last")])
def test_names_of_columns(layer, pooling, name):
    assert column_name(Representation(layer, pooling)) == name


def test_columns_say_layer_and_pooling(space):
    space_of_text = tiny_space("llama", layer=1)
    n = space_of_text.n_layers
    columns = vector_columns(space_of_text, [Representation(n, "mean"), Representation(-n, "last"), Representation(0, "first")])
    assert [column.name for column in columns] == ["layer_last_mean", "layer_1_last", "layer_0_first"]
    assert [(column.fingerprint.layer, column.fingerprint.pooling) for column in columns] == [(-1, "mean"), (1, "last"), (0, "first")]
    assert columns[1].fingerprint.digest == tiny_space("llama", layer=1, pooling="last").fingerprint.digest
    with pytest.raises(InputError, match="layer 9 does not exist"):
        vector_columns(space, [Representation(9)])


def test_deviation_of_a_precision():
    exact = tiny_space("llama")
    found = precision_deviation(exact, exact, ["the cat", "a dog"], ASKED)
    assert set(found) == {"layer_1_mean", "layer_last_last"}
    assert all(abs(value["least_cosine"] - 1) < 1e-6 for value in found.values())
    turned = tiny_space("llama", layer=1)
    assert precision_deviation(turned, exact, ["the cat"])["points"]["mean_cosine"] < 0.99


def test_an_unknown_engine(space, tmp_path):
    with pytest.raises(InputError, match="engine is 'spark'"):
        Workers(engine="spark")


def test_no_texts_make_an_empty_store(space, tmp_path):
    assert encode_to_store(space, text_blocks([]), tmp_path / "s").n_encoded == 0
    assert LatentStore(tmp_path / "s").points().shape == (0, 6)


JOB = """
import sys, time
import numpy as np
from lexframe.latents import encode_to_store, text_blocks
from lexframe.spaces import ToySpace
rng = np.random.default_rng(3)
words = [f"w{n}" for n in range(40)]
class Slow(ToySpace):
    def encode(self, texts, **options):
        time.sleep(0.02)
        return super().encode(texts, **options)
space = Slow({word: rng.normal(size=6).tolist() for word in words})
space.fingerprint
texts = [" ".join(rng.choice(words, size=rng.integers(1, 9))) for _ in range(400)]
encode_to_store(space, text_blocks(texts, block_rows=10), sys.argv[1], progress=lambda done: print(done.n_encoded, flush=True))
print("done", flush=True)
"""


@pytest.fixture
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "undisturbed"
    subprocess.run([sys.executable, "-c", JOB, str(path)], check=True, stdout=subprocess.DEVNULL)
    return LatentStore(path)


@pytest.mark.long
def test_twenty_kills_change_nothing(undisturbed, tmp_path):
    """SIGKILL at random moments, again and again, until the run gets through. Kills at every place of writing: tests/kills."""
    rng = np.random.default_rng(0)
    path, kills = tmp_path / "killed", 0
    while kills < 20:
        job = subprocess.Popen([sys.executable, "-c", JOB, str(path)], stdout=subprocess.PIPE, text=True)
        assert job.stdout is not None
        if not job.stdout.readline():  # at work: the first block of this run is committed
            pytest.fail("the job ended by itself")
        time.sleep(rng.uniform(0, 0.06))
        job.kill()
        job.communicate()
        kills += 1
        if len(LatentStore(path)) == len(undisturbed):
            break
    subprocess.run([sys.executable, "-c", JOB, str(path)], check=True, stdout=subprocess.DEVNULL)
    assert same_rows(LatentStore(path), undisturbed)
    assert LatentStore(path).verify().holds
    assert kills >= 10


def same_rows(store, other):
    """Bit for bit, in the same order, checksums included."""
    return store.dataset.to_table().equals(other.dataset.to_table())


def test_a_write_that_fails_keeps_what_was_committed(space, texts, tmp_path, monkeypatch):
    """The disk is full for the third block; with space again, the run goes on."""
    calls = []

    def full(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return write(*arguments, **options)

    import lance.fragment

    write = lance.fragment.write_fragments
    monkeypatch.setattr(lance.fragment, "write_fragments", full)
    with pytest.raises(InputError, match="No space left on device"):
        encode_to_store(space, text_blocks(texts, block_rows=10), tmp_path / "s")
    assert len(LatentStore(tmp_path / "s")) == 20
    assert encode_to_store(space, text_blocks(texts, block_rows=10), tmp_path / "s").n_kept == 20
    encode_to_store(space, text_blocks(texts, block_rows=10), tmp_path / "whole")
    assert same_rows(LatentStore(tmp_path / "s"), LatentStore(tmp_path / "whole"))


def test_a_text_that_is_cut_is_marked(tmp_path):
    space = tiny_space("llama", max_length=6)
    encode_to_store(space, text_blocks(["the cat sat on the mat and one two three", "a"]), tmp_path / "s")
    rows = LatentStore(tmp_path / "s").query()
    assert rows["truncated"].tolist() == [True, False]
    assert rows["n_tokens"].tolist() == space.token_counts(["the cat sat on the mat and one two three", "a"]).tolist()
    assert rows["n_tokens"][0] == 6


def test_memory_of_known_rows(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts), tmp_path / "s")
    known = missing_texts._known(LatentStore(tmp_path / "s"), True)
    assert [array.nbytes for array in known] == [8 * len(texts)] * 2
    assert pa.types.is_string(LatentStore(tmp_path / "s").schema.field("text").type)
