"""``lexframe encode``, ``store`` and ``neighbors`` as a person meets them."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from lexframe.cli.encode import parse_representations
from lexframe.cli.main import main
from lexframe.cli.model_options import ModelOptions
from lexframe.exceptions import InputError
from lexframe.latents import LatentStore
from lexframe.spaces import LanguageModelSpace, open_space, precision
from lexframe.spaces.base import Representation
from tests.tiny_models import tiny_model, tiny_tokenizer

TEXTS = ["the cat sat", "a dog ran on the mat", "two cats", "the dog sat on the cat", "three", "mat and one"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [{"message": text, "label": "cat" if "cat" in text else "dog", "year": 2020 + number} for number, text in enumerate(TEXTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


def encode(file, model, out, *more):
    return run(
        "encode",
        file,
        "--text",
        "message",
        "--keep",
        "label,year",
        "-m",
        model,
        "--layer",
        "1,-1",
        "--pooling",
        "mean",
        "--out",
        out,
        *more,
    )


def test_encode_look_query_and_go_on(file, model, tmp_path, capsys):
    out = tmp_path / "latents"
    assert encode(file, model, out) == 0
    shown, notes = capsys.readouterr()
    assert "layer_1_mean" in shown
    assert "6 texts" in notes
    assert "tokens/s" in notes
    space = LanguageModelSpace(model, pooling="mean")
    np.testing.assert_allclose(LatentStore(out).points("layer_last_mean"), space.encode(TEXTS), atol=1e-6)

    assert encode(file, model, out) == 0
    assert "In the store already: 6 texts." in capsys.readouterr().err
    with file.open("a") as more:
        more.write(json.dumps({"message": "one more", "label": "dog", "year": 2030}) + "\n")
    assert encode(file, model, out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["result"]["n_encoded"], document["result"]["n_kept"], document["store"]["n_rows"]) == (1, 6, 7)

    assert run("store", "info", out) == 0
    shown, notes = capsys.readouterr()
    assert "layer 1, mean pooling" in shown
    assert "7 rows" in notes
    assert run("store", "query", out, "--where", "label = 'cat' AND year < 2023") == 0
    assert "texts.jsonl:2" in capsys.readouterr().out
    assert run("store", "query", out, "--columns", "id,year", "--limit", 1, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"rows": [{"id": "texts.jsonl:0", "year": 2020}]}
    assert run("store", "verify", out) == 0
    assert "all 7 rows" in capsys.readouterr().err


def test_neighbours_of_a_text_and_of_a_row(file, model, tmp_path, capsys):
    out = tmp_path / "latents"
    assert encode(file, model, out) == 0
    capsys.readouterr()
    near = ("neighbors", out, "--column", "layer_1_mean", "--limit", 2)
    assert run(*near, "the cat sat", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["text"] == "the cat sat"
    assert rows[0]["score"] == pytest.approx(1, abs=1e-5)
    assert run(*near, "--row", "texts.jsonl:4", "--where", "label = 'cat'", "--metric", "whitened", "--recall") == 0
    shown, notes = capsys.readouterr()
    assert "three" not in shown
    assert "recall of 2 neighbors" in notes
    assert run(*near, "--row", "texts.jsonl:4", "--where", "year > 3000") == 0
    assert "No row" in capsys.readouterr().err
    for wrong, message in (
        (("neighbors", out, "a"), "no column was named"),
        (near, "Name one of"),
        ((*near, "a", "--row", "b"), "Name one of"),
        ((*near, "--row", "it's none"), "no row with the id"),
    ):
        assert run(*wrong) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_out_in_delete_restore_and_compact(file, model, tmp_path, capsys):
    out = tmp_path / "latents"
    assert encode(file, model, out) == 0
    assert run("store", "export", out, "--out", tmp_path / "o.parquet", "--where", "label = 'cat'") == 0
    assert pyarrow.parquet.read_metadata(tmp_path / "o.parquet").num_rows == 3
    assert run("store", "import", tmp_path / "o.parquet", "--out", tmp_path / "mine", "--made-by", "me", "--column", "layer_1_mean") == 0
    assert len(LatentStore(tmp_path / "mine")) == 3
    before = LatentStore(out).version
    assert run("store", "delete", out, "--where", "year = 2020", "--yes") == 0
    assert len(LatentStore(out)) == 5
    capsys.readouterr()
    assert run("store", "versions", out, "--json") == 0
    assert [row["version"] for row in json.loads(capsys.readouterr().out)["versions"]] == list(range(1, before + 2))
    assert run("store", "restore", out, before) == 0
    assert len(LatentStore(out)) == 6
    assert run("store", "compact", out, "--forget") == 0
    assert LatentStore(out).info().n_versions == 1


def test_a_model_whose_points_depend_on_neighbors_says_so_once_and_the_store_keeps_it(file, tmp_path, capsys):
    folder = str(tmp_path / "fnet")
    tiny_model("fnet").save_pretrained(folder)
    tiny_tokenizer(masked=True).save_pretrained(folder)
    out = tmp_path / "latents"
    assert encode(file, folder, out, "--dtype", "float32") == 0
    assert capsys.readouterr().err.count("only texts of one length go through it together, which takes longer") == 1
    assert LatentStore(out).info().facts["read_together"] == "those of one length"
    assert run("store", "info", out) == 0
    assert "only texts of one length" in capsys.readouterr().err
    assert ModelOptions(model=folder).open(quiet=True).together == "those of one length"
    assert "neighbors" not in capsys.readouterr().err


def test_a_model_that_pads_well_says_nothing(file, model, tmp_path, capsys):
    assert encode(file, model, tmp_path / "latents") == 0
    assert "neighbors in a batch" not in capsys.readouterr().err
    assert "read_together" not in LatentStore(tmp_path / "latents").info().facts


def test_a_damaged_store_ends_with_two_and_names_the_file(file, model, tmp_path, capsys):
    out = tmp_path / "latents"
    assert encode(file, model, out) == 0
    (victim,) = (out / "data").iterdir()
    victim.write_bytes(victim.read_bytes()[:-10])
    capsys.readouterr()
    assert run("store", "verify", out) == 2
    assert victim.name in capsys.readouterr().err
    assert run("store", "verify", out, "--json") == 2
    assert json.loads(capsys.readouterr().out)["holds"] is False


def test_a_fast_precision_says_how_far_it_strays_and_a_store_goes_on_in_its_own(file, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(precision, "fastest_precision", lambda device=None: "bfloat16")
    out = tmp_path / "latents"
    assert encode(file, model, out) == 0
    assert "cosine with float32" in capsys.readouterr().err
    store = LatentStore(out)
    assert store.vectors["layer_1_mean"].fingerprint.dtype == "bfloat16"
    assert 0.99 < store.info().facts["deviation_from_float32"]["layer_1_mean"]["least_cosine"] <= 1.0001
    monkeypatch.setattr(precision, "fastest_precision", lambda device=None: "float32")  # another machine
    assert encode(file, model, out) == 0
    assert encode(file, model, out, "--dtype", "float32") == 2
    assert "cannot be mixed" in capsys.readouterr().err


def test_workers_and_other_ids(file, model, tmp_path):
    assert encode(file, model, tmp_path / "a", "--workers", 1, "--block-rows", 2) == 0
    assert encode(file, model, tmp_path / "b", "--id", "year", "--no-keep-text") == 0
    a, b = LatentStore(tmp_path / "a"), LatentStore(tmp_path / "b")
    np.testing.assert_allclose(a.points("layer_1_mean"), b.points("layer_1_mean"), atol=1e-6)
    assert b.query()["id"].tolist() == [str(2020 + number) for number in range(6)]
    assert "text" not in b.metadata


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layer", "9"), "layer 9 does not exist"),
        (("--layer", ""), "No layer"),
        (("--layer", "a"), "no representation"),
        (("--pooling", "median"), "pooling is 'median'"),
        (("--text", "color"), "no field 'color'"),
        (("--keep", "color"), "no field 'color'"),
        (("--store-as", "int8"), "not one of 'float32', 'float16'"),
        (("--engine", "spark"), "not one of 'local', 'ray'"),
        (("--id", "label"), "stands for several texts"),
    ],
)
def test_wrong_options_say_so_in_a_line(arguments, message, file, model, tmp_path, capsys):
    assert run("encode", file, "--text", "message", "-m", model, "--out", tmp_path / "latents", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_file_without_texts(model, tmp_path, capsys):
    (tmp_path / "blank.txt").write_text("\n \n")
    assert run("encode", tmp_path / "blank.txt", "-m", model, "--out", tmp_path / "latents") == 2
    assert "holds no text" in capsys.readouterr().err
    assert not (tmp_path / "latents").exists()


def test_pairs_of_layers_and_poolings():
    asked = parse_representations("3, -1", "mean,last")
    assert asked == [Representation(layer, pooling) for layer in (3, -1) for pooling in ("mean", "last")]
    with pytest.raises(InputError, match="No layer"):
        parse_representations(" , ", "mean")


def kept(tmp_path, model, rows, *more):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"cat {number}", **row}) + "\n" for number, row in enumerate(rows)))
    return run("encode", path, "-m", model, "--out", tmp_path / "kept", "--block-rows", "2", *more)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3, "high"], "row 4: c is 'high', a text, and 1, a whole number, in"),
        ([True, False, 4, 5], "row 3: c is 4, a whole number, and true"),
        ([1, 2, 2**70], "row 3: c is 1180591620717411303424, too large"),
    ],
)
def test_a_column_that_changes_its_type_is_refused_before_anything_is_kept(values, message, model, tmp_path, capsys):
    assert kept(tmp_path, model, [{"c": value} for value in values], "--keep", "c") == 2
    error = capsys.readouterr().err
    assert message in error
    assert "rows.jsonl, row" in error
    assert "--keep-as-text" in error
    assert not (tmp_path / "kept").exists()
    assert kept(tmp_path, model, [{"c": value} for value in values], "--keep-as-text", "c") == 0
    assert LatentStore(tmp_path / "kept").query()["c"].tolist() == [str(value).lower() for value in values]


def test_whole_numbers_before_others_are_numbers(model, tmp_path):
    rows = [{"c": value} for value in (1, 2, None, float("nan"), 0.5)]
    assert kept(tmp_path, model, rows, "--keep", "c") == 0
    assert kept(tmp_path, model, [*rows, {"c": 7}], "--keep", "c") == 0
    assert LatentStore(tmp_path / "kept").dataset.to_table()["c"].to_pylist() == [1, 2, None, None, 0.5, 7]


def test_fields_of_objects_are_kept_by_their_path(tmp_path, model, capsys):
    rows = [{"text": "one cat", "meta": {"year": 1999}}, {"text": "two dogs", "meta": None}, {"text": "the mat", "meta": {"year": 2001}}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("encode", tmp_path / "t.jsonl", "-m", model, "--out", tmp_path / "s", "--keep", "meta.year") == 0
    assert LatentStore(tmp_path / "s").query()["meta_year"].tolist() == [1999, None, 2001]
    assert len(LatentStore(tmp_path / "s").query("meta.year > 1999")) == 1
    assert run("encode", tmp_path / "t.jsonl", "-m", model, "--out", tmp_path / "r", "--keep", "meta.month") == 2
    assert "no field 'meta.month'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_space_without_a_model_is_fitted_on_the_texts_and_kept_with_the_store(tmp_path, capsys):
    first, more = tmp_path / "first.jsonl", tmp_path / "more.jsonl"
    first.write_text("".join(f'{{"text": "the {word} is late"}}\n' for word in ("parcel", "courier", "refund")))
    more.write_text('{"text": "my parcel"}\n')
    store = tmp_path / "store"
    for path in (first, more):
        assert run("encode", path, "--model", "tfidf", "--out", store) == 0
    kept = open_space(str(store / "fitted-space"))
    np.testing.assert_array_equal(LatentStore(store).points()[-1:], kept.encode(["my parcel"]))
    capsys.readouterr()
    assert run("neighbors", store, "where is the parcel", "--limit", "1") == 0
    assert "parcel" in capsys.readouterr().out
