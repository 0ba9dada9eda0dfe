"""A store gives back what was put in, knows what made it, and notices what was done to it."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.latents import LatentStore, VectorColumn
from lexframe.latents.files import write_fragment
from lexframe.latents.rows import checksums, table_of
from lexframe.latents.schema import CHECKSUM, METADATA_KEY, store_schema
from lexframe.provenance import SpaceFingerprint

FINGERPRINT = SpaceFingerprint(kind="ToySpace", model="toy", weights="abc", layer=2, pooling="mean")
COLUMN = VectorColumn("layer_2_mean", 4, FINGERPRINT)
METADATA = {"text": pa.string(), "label": pa.string(), "year": pa.int64()}


def rows(store, start, stop, *, seed=0):
    points = np.random.default_rng([seed, start]).normal(size=(stop - start, 4)).astype(np.float32)
    ids = [f"row {number}" for number in range(start, stop)]
    metadata = {
        "text": [f"text {number}" for number in range(start, stop)],
        "label": ["even" if number % 2 == 0 else "odd" for number in range(start, stop)],
        "year": list(range(start, stop)),
    }
    return table_of(ids, dict.fromkeys(store.vectors, points), metadata, store.schema), points


@pytest.fixture
def store(tmp_path):
    made = LatentStore.create(tmp_path / "latents", [COLUMN], metadata=METADATA, facts={"note": "made by a test"})
    for start, stop in ((0, 10), (10, 25), (25, 30)):
        made.append(rows(made, start, stop)[0])
    return made


def expected_points():
    return np.concatenate(
        [np.random.default_rng([0, start]).normal(size=(n, 4)).astype(np.float32) for start, n in ((0, 10), (10, 15), (25, 5))]
    )


def test_what_was_put_in_comes_out(store):
    again = LatentStore(store.path)
    assert len(again) == 30
    np.testing.assert_array_equal(again.points(), expected_points())
    np.testing.assert_array_equal(again.points("layer_2_mean", where="year >= 25"), expected_points()[25:])
    np.testing.assert_array_equal(again.take([29, 0, 0, 11]), expected_points()[[29, 0, 0, 11]])
    frame = again.query("label = 'odd' AND year < 6")
    assert frame["id"].tolist() == ["row 1", "row 3", "row 5"]
    assert "layer_2_mean" not in frame
    assert again.query(columns=["year"], limit=2)["year"].tolist() == [0, 1]
    assert again.take([]).shape == (0, 4)
    assert again.points(where="year > 1000").shape == (0, 4)


def test_it_says_what_it_holds_and_what_made_it(store):
    info = store.info()
    assert (info.n_rows, info.n_fragments, info.version, info.n_versions) == (30, 3, 4, 4)
    assert info.facts == {"note": "made by a test"}
    assert info.vectors[0].fingerprint == FINGERPRINT
    assert info.metadata == {"id": "string", "text": "string", "label": "string", "year": "int64"}
    assert json.loads(json.dumps(info.to_dict()))["vectors"][0]["fingerprint"]["layer"] == 2
    assert "30 rows" in repr(store)


def test_points_of_another_space_are_refused(store):
    other = replace(COLUMN, fingerprint=replace(FINGERPRINT, weights="another"))
    with pytest.raises(FingerprintMismatch, match="cannot be mixed"):
        store.require([other])
    store.require([replace(COLUMN, fingerprint=replace(FINGERPRINT, model="the same model elsewhere"))])
    with pytest.raises(InputError, match="layer_3_mean were given"):
        store.require([replace(COLUMN, name="layer_3_mean")])
    with pytest.raises(InputError, match="5 in float32 were given"):
        store.require([replace(COLUMN, n_dims=5)])
    with pytest.raises(InputError, match="4 in float16 were given"):
        store.require([replace(COLUMN, precision="float16")])


def test_delete_go_back_and_compact(store):
    assert store.delete("label = 'odd'") == 15
    np.testing.assert_array_equal(store.points(), expected_points()[::2])
    np.testing.assert_array_equal(store.take([14, 0]), expected_points()[[28, 0]])  # numbered without the deleted ones
    assert store.row_numbers("year IN (4, 28, 5)").tolist() == [2, 14]
    digest = store.digest()
    store.compact()
    assert store.info().n_fragments == 1
    assert store.digest() == digest
    np.testing.assert_array_equal(store.points(), expected_points()[::2])
    older = LatentStore(store.path, version=4)
    assert len(older) == 30
    store.restore(4)
    assert len(LatentStore(store.path)) == 30
    assert store.digest() != digest
    with pytest.raises(InputError, match="no version 99"):
        store.restore(99)
    with pytest.raises(InputError, match="no version 99"):
        LatentStore(store.path, version=99)
    store.compact(keep_versions=False)
    assert store.info().n_versions == 1
    np.testing.assert_array_equal(store.points(), expected_points())
    assert store.verify().holds


def test_half_precision_is_read_as_float32(tmp_path):
    made = LatentStore.create(tmp_path / "half", [replace(COLUMN, precision="float16")])
    points = np.array([[1.5, -2.25, 1e-3, 60_000]], dtype=np.float32)
    made.append(table_of(["a"], {COLUMN.name: points}, {}, made.schema))
    assert made.points().dtype == np.float32
    np.testing.assert_array_equal(made.points(), points.astype(np.float16).astype(np.float32))
    assert made.verify().holds
    with pytest.raises(InputError, match="not finite in halffloat"):
        table_of(["b"], {COLUMN.name: np.full((1, 4), 1e6, np.float32)}, {}, made.schema)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_points_that_are_no_numbers_are_refused(store, bad):
    points = np.zeros((3, 4), np.float32)
    points[1, 2] = bad
    with pytest.raises(InputError, match=r"Point 1 .* is not finite"):
        table_of(["a", "b", "c"], {COLUMN.name: points}, {}, store.schema)


def test_rows_of_another_shape_are_refused(store):
    with pytest.raises(InputError, match="shape \\(2, 3\\)"):
        table_of(["a", "b"], {COLUMN.name: np.zeros((2, 3), np.float32)}, {}, store.schema)
    with pytest.raises(InputError, match="'year' holds int64"):
        table_of(["a"], {COLUMN.name: np.zeros((1, 4), np.float32)}, {"year": ["soon"]}, store.schema)
    table = rows(store, 0, 2)[0]
    with pytest.raises(InputError, match="expected"):
        write_fragment(store.path, table.drop_columns(["label"]), store.schema)


@pytest.mark.parametrize(
    ("names", "message"),
    [((["text"], ["a", "a"]), "'a' would stand for two"), (([CHECKSUM], ["a"]), "checksum"), (([], []), "needs a column of points")],
)
def test_names_that_collide(names, message):
    metadata, vectors = names
    with pytest.raises(InputError, match=message):
        store_schema([replace(COLUMN, name=name) for name in vectors], dict.fromkeys(metadata, pa.string()), {})


def test_conditions_and_columns_that_are_not_understood(store):
    for ask in (lambda: store.query("nonsense ="), lambda: store.query("color = 1"), lambda: store.points(where="color = 1")):
        with pytest.raises(InputError, match="not understood"):
            ask()
    with pytest.raises(InputError, match="no column 'color'"):
        store.query(columns=["color"])
    with pytest.raises(InputError, match="no column 'color'"):
        store.points("color")
    with pytest.raises(InputError, match="rows 0 to 29"):
        store.take([30])


def test_several_columns_must_be_named(tmp_path):
    made = LatentStore.create(tmp_path / "two", [COLUMN, replace(COLUMN, name="layer_3_mean", n_dims=4)])
    with pytest.raises(InputError, match="no column was named"):
        made.points()


def test_what_is_no_store(tmp_path):
    with pytest.raises(DataError, match="no such store"):
        LatentStore(tmp_path / "nowhere")
    lance.write_dataset(pa.table({"a": [1]}), tmp_path / "foreign")
    with pytest.raises(DataError, match="not a store of lexframe"):
        LatentStore(tmp_path / "foreign")
    schema = pa.schema([pa.field("a", pa.int64())], metadata={METADATA_KEY: json.dumps({"format": 99}).encode()})
    lance.write_dataset(pa.table({"a": [1]}, schema=schema), tmp_path / "later")
    with pytest.raises(DataError, match="format 99"):
        LatentStore(tmp_path / "later")
    (tmp_path / "file").write_text("x")
    for taken in ("file", "foreign"):
        with pytest.raises(InputError, match="exists already"):
            LatentStore.create(tmp_path / taken, [COLUMN])


def data_files(store):
    return sorted((Path(store.path) / "data").iterdir())


def test_a_flipped_byte_anywhere_in_the_values_is_found_and_named(store, tmp_path):
    """Every byte of a data file in turn: either nothing that is read has changed, or verify says so and names the file."""
    victim = data_files(store)[0]
    whole = victim.read_bytes()
    before = [LatentStore(store.path).dataset.to_table().to_pydict()]
    found = 0
    for place in range(0, len(whole), 7):
        victim.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        copy = LatentStore(store.path)
        result = copy.verify()
        if result.holds:
            assert copy.dataset.to_table().to_pydict() == before[0], place
        else:
            found += 1
            assert victim.name in result.problems[0]
    victim.write_bytes(whole)
    assert LatentStore(store.path).verify().holds
    assert found > len(whole) // 7 // 5


def test_a_truncated_and_a_missing_file_are_named(store):
    first, second, _ = data_files(store)
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    result = LatentStore(store.path).verify()
    assert len(result.problems) == 1
    assert first.name in result.problems[0]
    assert "bytes instead of" in result.problems[0]
    second.unlink()
    assert sum(name in problem for name in (first.name, second.name) for problem in LatentStore(store.path).verify().problems) == 2


def test_a_damaged_list_of_files_is_said_in_one_line(store, tmp_path):
    newest = min((Path(store.path) / "_versions").glob("*.manifest"))
    whole = newest.read_bytes()
    newest.write_bytes(whole[:20])
    with pytest.raises(DataError, match="cannot be opened as a store"):
        LatentStore(store.path)


def test_ids_that_stand_twice_are_found(store):
    store.append(rows(store, 0, 2)[0])
    result = store.verify()
    assert result.problems == ("2 ids stand more than once, such as 'row 0'",)


@given(texts=st.lists(st.text(max_size=12), min_size=2, max_size=5, unique=True))
def test_checksums_tell_rows_apart(texts):
    schema = store_schema([COLUMN], {"text": pa.string()}, {})
    points = np.ones((len(texts), 4), np.float32)
    table = table_of(["same"] * len(texts), {COLUMN.name: points}, {"text": texts}, schema)
    sums = table.column(CHECKSUM).to_numpy()
    assert len(set(sums.tolist())) == len(texts)
    np.testing.assert_array_equal(checksums(table, {COLUMN.name: None}), sums)
    points[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    moved = table_of(["same"] * len(texts), {COLUMN.name: points}, {"text": texts}, schema).column(CHECKSUM).to_numpy()
    assert moved[0] != sums[0]
    np.testing.assert_array_equal(moved[1:], sums[1:])


HOLD = """
import sys
from lexframe.latents import LatentStore
with LatentStore(sys.argv[1]).writer():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_refused(store):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, store.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        for write in (lambda: store.append(rows(store, 40, 41)[0]), lambda: store.delete("year = 1"), store.compact):
            with pytest.raises(InputError, match="written by another process"):
                write()
        assert len(LatentStore(store.path)) == 30  # reading goes on
    finally:
        holder.kill()  # however the other ends, the store is free
        holder.communicate()
    store.append(rows(store, 40, 41)[0])
    assert len(store) == 31


def test_a_commit_that_comes_in_between_is_noticed(store):
    """On an object store nothing can be locked."""
    with store.writer() as write:
        other = LatentStore(store.path)
        fragment = write_fragment(store.path, rows(store, 40, 42)[0], store.schema)
        operation = lance.LanceOperation.Append([lance.FragmentMetadata.from_json(fragment)])
        lance.LanceDataset.commit(store.path, operation, read_version=other.version)
        with pytest.raises(InputError, match="by another process at the same time"):
            write([write_fragment(store.path, rows(store, 50, 52)[0], store.schema)])


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        LatentStore.create(tmp_path / "file" / "latents", [COLUMN])


def test_a_moved_store_opens(store, tmp_path):
    shutil.move(store.path, tmp_path / "elsewhere")
    np.testing.assert_array_equal(LatentStore(tmp_path / "elsewhere").points(), expected_points())


@pytest.mark.parametrize("name", ["meta.year", "", "a`b", "_rowid", "a\nb"])
def test_names_that_no_column_can_have_are_refused_before_anything_is_made(name, tmp_path):
    with pytest.raises(InputError, match="No column of a store can be named") as caught:
        LatentStore.create(tmp_path / "s", [COLUMN], metadata={name: pa.string()})
    assert "space" not in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_a_folder_that_is_no_store_stays_as_it_was(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"is no store and holds notes.txt. Name a new or an empty folder"):
        LatentStore.create(tmp_path, [COLUMN])
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(DataError, match="is no latent store"):
        LatentStore(tmp_path)
    (tmp_path / "empty").mkdir()
    assert len(LatentStore.create(tmp_path / "empty", [COLUMN])) == 0


def test_what_fails_before_there_is_a_store_leaves_no_lock(tmp_path, monkeypatch):
    def fail(*given, **more):
        raise OSError("LanceError(Schema): something is odd")

    monkeypatch.setattr(lance, "write_dataset", fail)
    with pytest.raises(InputError, match="something is odd") as caught:
        LatentStore.create(tmp_path / "s", [COLUMN])
    assert not {"space", "right"} & set(str(caught.value).lower().replace(",", "").split())
    assert not (tmp_path / "s").exists()


def test_whole_numbers_with_gaps_stay_whole(store):
    store.append(table_of(["none"], {COLUMN.name: np.zeros((1, 4), np.float32)}, {}, store.schema))
    assert store.query("id IN ('none', 'row 3')", columns=["year"])["year"].tolist() == [3, None]
