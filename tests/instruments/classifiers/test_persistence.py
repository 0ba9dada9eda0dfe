"""What is saved predicts the same when opened, and what is damaged is refused in one line."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lexframe.exceptions import DataError, InputError
from lexframe.instruments import (
    LabelBases,
    LogisticProbe,
    NearestBasis,
    PosteriorCalibration,
    SemanticCalibration,
    ShrinkageLDA,
    load_instrument,
    save_instrument,
)

METRIC = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.5]])
BASES = LabelBases(("b", "a"), np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 0.1]]), ((0,), (1,)), METRIC)
KINDS = {
    "NearestBasis": NearestBasis(temperature=0.1),
    "NearestBasis with bases": NearestBasis(BASES),
    "ShrinkageLDA": ShrinkageLDA(0.2),
    "LogisticProbe": LogisticProbe(strengths=(0.1, 1.0)),
    "PosteriorCalibration": PosteriorCalibration(precisions=(3.0, 30.0), blocks=(1, 2)),
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
    save_instrument(fitted, tmp_path / "adapter", facts={"model": "toy", "n": 24})
    opened, facts = load_instrument(tmp_path / "adapter")
    assert type(opened) is type(fitted)
    assert facts == {"model": "toy", "n": 24}
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
    save_instrument(fitted, tmp_path)
    opened, _ = load_instrument(tmp_path)
    assert opened.classes_.tolist() == [-2, 7]
    assert opened.predict(points()).dtype.kind == "i"
    np.testing.assert_array_equal(opened.predict_proba(points()), fitted.predict_proba(points()))


def test_labels_in_any_script(tmp_path):
    names = np.repeat(["naïve", "日本 / ☕"], 12)
    save_instrument(NearestBasis().fit(points(), names), tmp_path)
    assert load_instrument(tmp_path)[0].classes_.tolist() == sorted(set(names))


def test_a_saved_and_opened_instrument_can_be_saved_again(tmp_path):
    save_instrument(KINDS["SemanticCalibration with bases"].fit(points(), labels()), tmp_path / "one", facts={"a": 1})
    opened, facts = load_instrument(tmp_path / "one")
    save_instrument(opened, tmp_path / "two", facts=facts)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_numpy_numbers_in_the_parameters(tmp_path, without_type_checks):  # a grid search leaves them there
    fitted = LogisticProbe(strengths=np.array([0.1, 1.0]), n_folds=np.int64(2)).fit(points(), labels())
    save_instrument(fitted, tmp_path)
    opened, _ = load_instrument(tmp_path)
    assert opened.get_params() == {"strengths": (0.1, 1.0), "n_folds": 2, "random_state": 0}


def test_nothing_in_the_folder_can_run(tmp_path):
    for number, estimator in enumerate(KINDS.values()):
        save_instrument(estimator.fit(points(), labels()), tmp_path / str(number))
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
    path = folder / "instrument.json"
    path.write_text(path.read_text()[:-20])


def spoil_encoding(folder):
    (folder / "instrument.json").write_bytes(b"\xff\xfe\x00{")


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
        path = folder / "instrument.json"
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
        (lambda folder: (folder / "instrument.json").unlink(), r"instrument\.json is missing"),
        (lambda folder: arrays_file(folder).unlink(), "missing"),
        (lambda folder: (folder / "instrument.json").write_text("[]"), "not of a format"),
        (edited(format=99), r"not of a format that this version reads \(format 1\)"),
        (edited(format=None), "not of a format"),
        (edited(**{"class": "SystemExit"}), "not of a format"),
        (edited(**{"class": ["NearestBasis"]}), "not of a format"),
        (edited(parameters={"color": "red"}), "damaged"),
        (edited(parameters=[]), "damaged"),
        (edited(classes=None), "damaged"),
        (edited(facts=None), "damaged"),
        (edited(n_features=None), "damaged"),
        (edited(arrays="../../somewhere"), "damaged"),
        (edited(arrays=None), "damaged"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(spoil, message, tmp_path):
    save_instrument(KINDS["SemanticCalibration with bases"].fit(points(), labels()), tmp_path)
    load_instrument(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        load_instrument(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_arrays_of_another_instrument_are_refused(tmp_path):
    save_instrument(KINDS["NearestBasis"].fit(points(), labels()), tmp_path / "one")
    save_instrument(KINDS["NearestBasis"].fit(points(2), labels()), tmp_path / "two")
    arrays_file(tmp_path / "one").write_bytes(arrays_file(tmp_path / "two").read_bytes())
    with pytest.raises(DataError, match="not those that were written"):
        load_instrument(tmp_path / "one")


def test_a_file_or_nothing_instead_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "nothing", tmp_path):
        with pytest.raises(DataError, match="holds no adapter"):
            load_instrument(path)


@pytest.mark.parametrize("step", ["arrays", "document", "just before the end", "facts that JSON cannot hold"])
def test_an_interrupted_save_keeps_the_earlier_adapter(step, tmp_path, monkeypatch):
    earlier = KINDS["ShrinkageLDA"].fit(points(), labels())
    save_instrument(earlier, tmp_path, facts={"version": 1})
    facts = {"version": 2}

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    if step == "arrays":
        monkeypatch.setattr("lexframe.instruments.classifiers.persistence.save_file", interrupt)
    elif step == "document":
        monkeypatch.setattr("lexframe.instruments.classifiers.persistence.write_json", interrupt)
    elif step == "just before the end":
        monkeypatch.setattr("lexframe.files.write_text", interrupt)
    else:
        facts["version"] = object()
    with pytest.raises((KeyboardInterrupt, TypeError)):
        save_instrument(KINDS["LogisticProbe"].fit(points(3), labels()), tmp_path, facts=facts)
    monkeypatch.undo()
    opened, kept = load_instrument(tmp_path)
    assert (type(opened), kept) == (ShrinkageLDA, {"version": 1})
    np.testing.assert_array_equal(opened.predict_proba(points()), earlier.predict_proba(points()))


def test_saving_over_an_earlier_adapter_leaves_two_files(tmp_path):
    for number, kind in enumerate(KINDS.values()):
        save_instrument(kind.fit(points(number), labels()), tmp_path)
        assert len(content(tmp_path)) == 2
    (tmp_path / "notes.txt").write_text("mine")
    save_instrument(KINDS["NearestBasis"].fit(points(), labels()), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        save_instrument(KINDS["NearestBasis"].fit(points(), labels()), tmp_path / "taken")


def test_the_arrays_are_plain_safetensors(tmp_path):
    fitted = KINDS["ShrinkageLDA"].fit(points(), labels())
    save_instrument(fitted, tmp_path)
    arrays = load_file(arrays_file(tmp_path))
    np.testing.assert_array_equal(arrays["coef"], fitted.coef_)
    save_file(arrays, tmp_path / "again")
    assert set(arrays) == {"coef", "intercept"}


def test_a_full_disk_while_the_arrays_are_written(tmp_path, monkeypatch):
    """safetensors reports it by an error of its own, which is no OSError."""
    from safetensors import SafetensorError

    from lexframe.exceptions import InputError
    from lexframe.instruments.classifiers import persistence

    def full(*arguments, **options):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(persistence, "save_file", full)
    X = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.raises(InputError, match="No space left"):
        persistence.save_instrument(persistence.ShrinkageLDA().fit(X, [0, 1] * 6), tmp_path / "adapter")
    assert not list((tmp_path / "adapter").iterdir())
