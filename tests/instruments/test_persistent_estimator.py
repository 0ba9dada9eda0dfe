"""What is saved predicts the same when opened, and what is damaged is refused in one line."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.exceptions import NotFittedError

from lexframe.exceptions import DataError, InputError
from lexframe.instruments import (
    LabelBases,
    LogisticProbe,
    NearestBasis,
    PosteriorCalibration,
    SemanticCalibration,
    ShrinkageLDA,
    load_instrument,
)

METRIC = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.5]])
BASES = LabelBases(("b", "a"), np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 0.1]]), ((0,), (1,)), METRIC)
KINDS = {
    "NearestBasis": NearestBasis(temperature=0.1),
    "NearestBasis with bases": NearestBasis(BASES),
    "ShrinkageLDA": ShrinkageLDA(0.2),
    "LogisticProbe": LogisticProbe(strengths=(0.1, 1.0)),
    "PosteriorCalibration": PosteriorCalibration(views=([1, 2],), ridges=(1.0, 10.0)),
    "SemanticCalibration": SemanticCalibration(max_epochs=3),
    "SemanticCalibration with bases": SemanticCalibration(BASES, objective="vocabulary", vocabulary=np.eye(3), max_epochs=3),
}


def points(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(24, 3)) + np.repeat([[2.0, 0, 0], [0, 2.0, 0]], 12, axis=0)


def labels(kind="text"):
    return np.repeat(["b", "a"] if kind == "text" else [7, -2], 12)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def arrays_file(folder):
    (found,) = folder.glob("*.safetensors")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind, tmp_path):
    fitted = KINDS[kind].fit(points(), labels())
    fitted.save(tmp_path / "kept")
    opened = load_instrument(tmp_path / "kept")
    assert type(opened) is type(fitted)
    others = points(seed=1)
    np.testing.assert_array_equal(opened.predict_proba(others), fitted.predict_proba(others))
    np.testing.assert_array_equal(opened.predict(others), fitted.predict(others))
    if isinstance(fitted, SemanticCalibration):
        np.testing.assert_array_equal(opened.transform(others), fitted.transform(others))
    unsaved = {"bases", "vocabulary"}
    assert {k: v for k, v in opened.get_params().items() if k not in unsaved} == {
        k: v for k, v in fitted.get_params().items() if k not in unsaved
    }
    with pytest.raises(ValueError, match="expecting 3 features"):
        opened.predict(np.zeros((1, 4)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "with" not in kind])
def test_whole_numbers_as_labels(kind, tmp_path):
    fitted = KINDS[kind].fit(points(), labels("number"))
    fitted.save(tmp_path)
    opened = load_instrument(tmp_path)
    assert opened.classes_.tolist() == [-2, 7]
    assert opened.predict(points()).dtype.kind == "i"
    np.testing.assert_array_equal(opened.predict_proba(points()), fitted.predict_proba(points()))


def test_labels_in_any_script(tmp_path):
    names = np.repeat(["naïve", "日本 / ☕"], 12)
    NearestBasis().fit(points(), names).save(tmp_path)
    assert load_instrument(tmp_path).classes_.tolist() == sorted(set(names))


def test_a_saved_and_opened_instrument_can_be_saved_again(tmp_path):
    KINDS["SemanticCalibration with bases"].fit(points(), labels()).save(tmp_path / "one")
    load_instrument(tmp_path / "one").save(tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_numpy_numbers_in_the_parameters(tmp_path, without_type_checks):  # a grid search leaves them there
    fitted = LogisticProbe(strengths=np.array([0.1, 1.0]), n_folds=np.int64(2)).fit(points(), labels())
    fitted.save(tmp_path)
    opened = load_instrument(tmp_path)
    assert opened.get_params() == {"strengths": (0.1, 1.0), "n_folds": 2, "random_state": 0}


def test_nothing_in_the_folder_can_run(tmp_path):
    for number, estimator in enumerate(KINDS.values()):
        estimator.fit(points(), labels()).save(tmp_path / str(number))
    for path in tmp_path.rglob("*.*"):
        data = path.read_bytes()
        if path.suffix == ".json":
            json.loads(data)
            continue
        # Every byte is accounted for: a length, a JSON header of types, shapes and offsets, and the numbers themselves.
        assert path.suffix == ".safetensors"
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        assert all(set(entry) == {"dtype", "shape", "data_offsets"} for entry in header.values())
        assert max(entry["data_offsets"][1] for entry in header.values()) == len(data) - 8 - length


def spoil_json(folder):
    path = folder / "artifact.json"
    path.write_text(path.read_text()[:-20])


def spoil_encoding(folder):
    (folder / "artifact.json").write_bytes(b"\xff\xfe\x00{")


def cut_arrays(folder):
    path = arrays_file(folder)
    path.write_bytes(path.read_bytes()[:-7])


def empty_arrays(folder):
    arrays_file(folder).write_bytes(b"")


def flip_one_bit(folder):
    path = arrays_file(folder)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def edited(**changes):
    def edit(folder):
        path = folder / "artifact.json"
        document = json.loads(path.read_text())
        for key, value in changes.items():
            if value is None:
                del document[key]
            else:
                document[key] = value
        path.write_text(json.dumps(document))

    return edit


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_json, "damaged"),
        (spoil_encoding, "damaged"),
        (cut_arrays, "damaged"),
        (empty_arrays, "damaged"),
        (flip_one_bit, "damaged"),
        (lambda folder: (folder / "artifact.json").unlink(), r"artifact\.json is missing"),
        (lambda folder: arrays_file(folder).unlink(), "missing"),
        (lambda folder: (folder / "artifact.json").write_text("[]"), "not of the format 2"),
        (edited(format=99), "not of the format 2 that this version reads"),
        (edited(format=None), "not of the format"),
        (edited(kind="SystemExit"), "SystemExit is no instrument"),
        (edited(kind=["nearest-basis"]), "damaged"),
        (edited(version=2), "version 2 of a semantic-calibration; this lexframe reads 1 to 1"),
        (edited(version="1"), "damaged"),
        (edited(parameters={"color": "red"}), "damaged"),
        (edited(parameters=[]), "damaged"),
        (edited(parameters={"settings": {"color": "red"}, "classes": ["a", "b"], "n_features": 3}), "damaged"),
        (edited(parameters={"settings": {}, "classes": ["a", "b"]}), "damaged"),
        (edited(provenance=None), "damaged"),
        (edited(arrays="../../somewhere"), "damaged"),
        (edited(arrays=None), "damaged"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(spoil, message, tmp_path):
    KINDS["SemanticCalibration with bases"].fit(points(), labels()).save(tmp_path)
    load_instrument(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        load_instrument(tmp_path)
    assert str(tmp_path) in str(caught.value) or "version" in message or "is no instrument" in message


def test_arrays_of_another_instrument_are_refused(tmp_path):
    KINDS["NearestBasis"].fit(points(), labels()).save(tmp_path / "one")
    KINDS["NearestBasis"].fit(points(2), labels()).save(tmp_path / "two")
    arrays_file(tmp_path / "one").write_bytes(arrays_file(tmp_path / "two").read_bytes())
    with pytest.raises(DataError, match="not those that were written"):
        load_instrument(tmp_path / "one")


def test_a_file_or_nothing_instead_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    for path, message in ((tmp_path / "file", "is a file"), (tmp_path / "nothing", "holds no artifact"), (tmp_path, "holds no artifact")):
        with pytest.raises(DataError, match=message):
            load_instrument(path)
    LogisticProbe().fit(points(), labels()).save(tmp_path)
    with pytest.raises(DataError, match="holds a logistic-probe, where a shrinkage-lda is expected"):
        ShrinkageLDA.load(tmp_path)


def test_what_is_not_fitted_is_not_kept(tmp_path):
    with pytest.raises(NotFittedError):
        LogisticProbe().save(tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_saving_over_an_earlier_adapter_leaves_two_files(tmp_path):
    for number, kind in enumerate(KINDS.values()):
        kind.fit(points(number), labels()).save(tmp_path)
        assert len(content(tmp_path)) == 2
    (tmp_path / "notes.txt").write_text("mine")
    KINDS["NearestBasis"].fit(points(), labels()).save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        KINDS["NearestBasis"].fit(points(), labels()).save(tmp_path / "taken")


def test_the_arrays_are_plain_safetensors(tmp_path):
    fitted = KINDS["ShrinkageLDA"].fit(points(), labels())
    fitted.save(tmp_path)
    arrays = load_file(arrays_file(tmp_path))
    np.testing.assert_array_equal(arrays["coef"], fitted.coef_)
    save_file(arrays, tmp_path / "again")
    assert set(arrays) == {"coef", "intercept"}
