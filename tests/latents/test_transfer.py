"""Vectors in from whatever people hold them in, and out to what everybody reads."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy

from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.latents import LatentStore, encode_to_store, export_store, import_vectors, text_blocks

POINTS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
LABELS = ["a", "b", "a", "c", "b", "a"]


def frame():
    return pd.DataFrame({"name": [f"n{row}" for row in range(6)], "label": LABELS, "emb": list(POINTS)})


def sources(tmp_path):
    np.save(tmp_path / "v.npy", POINTS)
    np.save(tmp_path / "v64.npy", POINTS.astype(np.float64))
    np.savez(tmp_path / "v.npz", emb=POINTS, label=np.array(LABELS))
    safetensors.numpy.save_file({"emb": POINTS}, tmp_path / "v.safetensors")
    pyarrow.parquet.write_table(pa.Table.from_pandas(frame()), tmp_path / "v.parquet")
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(POINTS.ravel()), 3)
    import datasets

    return {
        "array": POINTS,
        **{name: tmp_path / name for name in ("v.npy", "v64.npy", "v.npz", "v.safetensors", "v.parquet")},
        "pandas": frame(),
        "arrow": pa.table({"label": LABELS, "emb": fixed}),
        "datasets": datasets.Dataset.from_dict({"label": LABELS, "emb": POINTS.tolist()}),
    }


def test_every_source_gives_the_same_points(tmp_path):
    for name, source in sources(tmp_path).items():
        store = import_vectors(source, tmp_path / f"store-{name}", made_by="a model")
        np.testing.assert_array_equal(store.points(), POINTS, err_msg=name)
        assert store.query()["id"].tolist() == [str(row) for row in range(6)]
        if name not in ("array", "v.npy", "v64.npy", "v.safetensors"):
            assert store.query("label = 'a'")["id"].tolist() == ["0", "2", "5"], name
        assert store.verify().holds


def test_a_part_of_a_datasets_table(tmp_path):
    import datasets

    part = datasets.Dataset.from_dict({"label": LABELS, "emb": POINTS.tolist()}).select([4, 1])
    np.testing.assert_array_equal(import_vectors(part, tmp_path / "s", made_by="m").points(), POINTS[[4, 1]])


def test_something_with_to_arrow_such_as_polars(tmp_path):
    class Frame:
        def to_arrow(self):
            return pa.table({"emb": POINTS.tolist(), "label": LABELS})

    np.testing.assert_allclose(import_vectors(Frame(), tmp_path / "s", made_by="m").points(), POINTS)


def test_ids_more_rows_and_another_maker(tmp_path):
    store = import_vectors(frame(), tmp_path / "s", made_by="model 1", ids="name")
    assert store.query()["id"].tolist() == [f"n{row}" for row in range(6)]
    assert "name" not in store.metadata
    with pytest.raises(InputError, match="'n0' already"):
        import_vectors(frame(), tmp_path / "s", made_by="model 1", ids="name")
    more = import_vectors(POINTS, tmp_path / "s", made_by="model 1", ids=[f"m{row}" for row in range(6)], metadata={"label": LABELS})
    assert len(more) == 12
    with pytest.raises(FingerprintMismatch, match="model 2"):
        import_vectors(POINTS, tmp_path / "s", made_by="model 2")
    with pytest.raises(InputError, match="no column 'color'"):
        import_vectors(POINTS, tmp_path / "s", made_by="model 1", metadata={"color": LABELS})
    plain = import_vectors(POINTS, tmp_path / "t", made_by="m")
    assert import_vectors(POINTS, tmp_path / "t", made_by="m").query()["id"].tolist() == [str(row) for row in range(12)]
    assert len(plain) == 6


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        (np.zeros(3), {}, DataError, "shape"),
        (np.zeros((3, 0)), {}, DataError, "shape"),
        (np.array([["a"]]), {}, DataError, "not numbers"),
        (POINTS, {"made_by": " "}, InputError, "made_by is empty"),
        (POINTS, {"ids": ["a"]}, InputError, "1 ids for 6"),
        (POINTS, {"ids": ["a"] * 6}, InputError, "'a' stands twice"),
        (POINTS, {"ids": "name"}, InputError, "no column 'name'"),
        (POINTS, {"metadata": {"label": ["a"]}}, InputError, "1 values for 6"),
        ("nowhere.npy", {}, DataError, "no such file"),
        ({"a": 1}, {}, InputError, "dict is no table"),
        (pd.DataFrame({"emb": [[1.0, 2.0], [1.0]]}), {}, DataError, "2 different lengths"),
        (pd.DataFrame({"emb": [[1.0, 2.0], None]}), {}, DataError, "1 rows without a vector"),
        (pd.DataFrame({"a": [1]}), {}, InputError, "columns of lists are none"),
        (pd.DataFrame({"a": [[1.0]], "b": [[1.0]]}), {}, InputError, "a, b"),
        (np.array([[np.nan, 1.0]]), {}, InputError, "not finite"),
    ],
)
def test_bad_sources(source, options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        import_vectors(source, tmp_path / "s", **({"made_by": "m"} | options))


@pytest.mark.parametrize("name", ["v.npy", "v.npz", "v.safetensors", "v.parquet"])
def test_damaged_files(name, tmp_path):
    (tmp_path / name).write_bytes(b"not what it says")
    with pytest.raises(DataError, match="cannot be read"):
        import_vectors(tmp_path / name, tmp_path / "s", made_by="m")


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "v.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        import_vectors(tmp_path / "v.npy", tmp_path / "s", made_by="m")
    (tmp_path / "v.txt").write_text("x")
    with pytest.raises(DataError, match="unknown kind"):
        import_vectors(tmp_path / "v.txt", tmp_path / "s", made_by="m")


def test_an_import_is_all_or_nothing_and_numbers_on(tmp_path):
    points = np.ones((140_000, 2), np.float32)
    points[-1, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        import_vectors(points, tmp_path / "s", made_by="m")
    assert len(LatentStore(tmp_path / "s")) == 0
    import_vectors(POINTS, tmp_path / "t", made_by="m").delete("id = '0'")
    assert import_vectors(POINTS[:2], tmp_path / "t", made_by="m").query()["id"].tolist() == ["1", "2", "3", "4", "5", "6", "7"]


def test_a_column_that_npz_cannot_hold(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts, metadata={"file": texts}), tmp_path / "s")
    with pytest.raises(InputError, match="a column named 'file'"):
        export_store(LatentStore(tmp_path / "s"), tmp_path / "o.npz")


def test_out_to_parquet_and_back(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts, metadata={"n": list(range(50))}, block_rows=20), tmp_path / "s")
    store = LatentStore(tmp_path / "s")
    assert export_store(store, tmp_path / "o.parquet") == 50
    table = pyarrow.parquet.read_table(tmp_path / "o.parquet")
    assert table.column("text").to_pylist() == texts
    assert json.loads(table.schema.metadata[b"lexframe.store"])["vectors"][0]["fingerprint"]["kind"] == "ToySpace"
    again = import_vectors(tmp_path / "o.parquet", tmp_path / "t", made_by="toy")
    np.testing.assert_array_equal(again.points(), store.points())
    assert again.query()["id"].tolist() == store.query()["id"].tolist()
    assert export_store(store, tmp_path / "p.parquet", where="n < 5", columns=["id", "points"]) == 5
    assert pyarrow.parquet.read_table(tmp_path / "p.parquet").schema.names == ["id", "points"]


def test_out_to_npz(space, texts, tmp_path):
    metadata = {"n": list(range(50)), "who": ["x", None] * 25}
    encode_to_store(space, text_blocks(texts, metadata=metadata, block_rows=20), tmp_path / "s")
    assert export_store(LatentStore(tmp_path / "s"), tmp_path / "o.npz") == 50
    with np.load(tmp_path / "o.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["points"], space.encode(texts))
        assert arrays["n"].tolist() == list(range(50))
        assert arrays["who"].tolist()[:2] == ["x", ""]
        assert arrays["text"].tolist() == texts
    assert export_store(LatentStore(tmp_path / "s"), tmp_path / "none.npz", where="n > 99") == 0
    with pytest.raises(InputError, match=r"\.jsonl or \.npz"):
        export_store(LatentStore(tmp_path / "s"), tmp_path / "o.xml")
    with pytest.raises(InputError, match="no column 'color'"):
        export_store(LatentStore(tmp_path / "s"), tmp_path / "o.npz", columns=["color"])


def test_out_to_csv_and_jsonl(tmp_path):
    points = np.array([[0.1, -2], [3, 4]], np.float32)
    metadata = {"label": ['a "b", c\nd', None], "year": [2024, None], "cut": [True, False], "score": [float("nan"), 0.5]}
    store = import_vectors(points, tmp_path / "s", made_by="me", metadata=metadata)
    assert export_store(store, tmp_path / "o.csv") == 2
    frame = pd.read_csv(tmp_path / "o.csv", dtype=str, keep_default_na=False)
    assert [*frame] == ["id", "label", "year", "cut", "score", "vector_0", "vector_1"]
    assert frame.values.tolist() == [["0", 'a "b", c\nd', "2024", "true", "", "0.1", "-2.0"], ["1", "", "", "false", "0.5", "3.0", "4.0"]]
    np.testing.assert_array_equal(frame[["vector_0", "vector_1"]].to_numpy().astype(np.float32), points)
    assert export_store(store, tmp_path / "o.jsonl", columns=["score", "vector", "year"], where="cut") == 1
    (row,) = (json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "o.jsonl").read_text().splitlines())
    assert row == {"score": None, "vector": [pytest.approx(0.1), -2], "year": 2024}
    assert export_store(store, tmp_path / "one.csv", columns=["id"], limit=1) == 1
    assert (tmp_path / "one.csv").read_text().split() == ["id", "0"]
    assert export_store(store, tmp_path / "none.csv", where="year > 3000", columns=["id"]) == 0
