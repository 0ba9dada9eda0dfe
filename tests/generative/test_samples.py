"""Samples of a writer that can be read back exactly, and of some that cannot."""

import json

import numpy as np
import pytest
import sklearn.metrics

from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.generative.samples import explained_share, sample_texts
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.edits.class_sampling import ClassGaussians
from lexframe.spaces import Decoding
from tests.generative.toy_writer import ALL_TEXTS, PlainWriter, ToyWriter, text_of


def test_texts_say_the_signs_of_the_points():
    found = sample_texts(ToyWriter(), 2000, decoding=Decoding(seed=1))
    assert found.texts == tuple(text_of(point) for point in found.points)
    np.testing.assert_array_equal(found.reencoded, np.sign(found.points))
    np.testing.assert_allclose([found.points.mean(), found.points.std()], [0, 1], atol=0.03)
    assert found.distinct_share == 16 / 2000
    assert found.empty_share == 0
    # The sign of a normal variable as a guess of it: E(z - sgn z)² = 2 - 2 √(2/π).
    assert found.r2 == pytest.approx(1 - (2 - 2 * np.sqrt(2 / np.pi)), abs=0.03)
    expected = np.abs(found.points).sum(axis=1) / np.linalg.norm(found.points, axis=1) / 2
    np.testing.assert_allclose(found.cosines, expected, rtol=1e-5)


def test_unused_dimensions_are_not_read_back():
    found = sample_texts(ToyWriter(n_ignored=2), 500)
    assert (found.r2_per_dim[:4] > 0.4).all()
    np.testing.assert_allclose(found.r2_per_dim[4:], 0, atol=0.02)


def test_explained_share_is_scikit_learns(rng):
    truth, guess = rng.normal(size=(2, 50, 3))
    total, per_dim = explained_share(truth, guess + truth)
    np.testing.assert_allclose(per_dim, sklearn.metrics.r2_score(truth, guess + truth, multioutput="raw_values"))
    assert total == pytest.approx(sklearn.metrics.r2_score(truth, guess + truth, multioutput="variance_weighted"))
    assert explained_share(truth, truth)[0] == 1


def test_seeds_and_temperature():
    space = ToyWriter()
    first, again, other = (sample_texts(space, 50, decoding=Decoding(seed=seed, temperature=1.0)) for seed in (2, 2, 3))
    assert first.texts == again.texts
    assert first.texts != other.texts
    cold = sample_texts(space, 50, decoding=Decoding(seed=2))
    np.testing.assert_array_equal(cold.points, first.points)  # the draw of points knows nothing of the temperature
    assert first.r2 < cold.r2


def test_a_class(without_type_checks):
    space = PlainWriter()
    labels = [text.split()[0] for text in ALL_TEXTS]
    gaussians = ClassGaussians().fit(space.encode(ALL_TEXTS) * 3, labels)
    found = sample_texts(space, 100, class_gaussians=gaussians, label="she")
    share = np.mean([text.startswith("she") for text in found.texts])
    assert share > 0.9
    assert found.label == "she"
    with pytest.raises(InputError, match="PlainWriter has no prior"):
        sample_texts(space, 3)


def test_draws_are_moved_along_a_direction():
    space = ToyWriter()
    along = np.array([0.0, 9.0, 0.0, 0.0])
    direction = Direction.of_points(along, space.fingerprint, positive="sang", negative="spoke")
    drawn = Decoding(seed=4)
    plain, moved, back = (sample_texts(space, 50, edit=direction, strength=strength, decoding=drawn) for strength in (0.0, 1.0, -1.0))
    assert plain.texts == sample_texts(space, 50, decoding=drawn).texts
    np.testing.assert_allclose(moved.points, plain.points + along, rtol=1e-6)
    assert moved.texts == tuple(text.replace("spoke", "sang") for text in plain.texts)
    assert back.texts == tuple(text.replace("sang", "spoke") for text in plain.texts)
    assert moved.provenance.parameters["strength"] == 1.0
    assert sample_texts(space, 50, edit=Direction.of_points(along), decoding=drawn).texts == moved.texts
    with pytest.raises(FingerprintMismatch):
        sample_texts(ToyWriter(n_ignored=2), 3, edit=direction)
    with pytest.raises(InputError, match="strength is nan"):
        sample_texts(space, 3, edit=direction, strength=np.nan)


def test_empty_texts_count():
    found = sample_texts(ToyWriter(silent_below=1e9), 5)
    assert found.texts == ("",) * 5
    assert (found.empty_share, found.distinct_share) == (1, 1 / 5)
    np.testing.assert_array_equal(found.cosines, 0)


def test_table_and_document():
    found = sample_texts(ToyWriter(), 1)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["r2"] is None  # one text has no spread to explain
    assert document["distinct_share"] == 1
    assert found.to_frame().columns.tolist() == ["text", "cosine", "is_empty"]


def test_bad_input(without_type_checks):
    space = ToyWriter()
    points = space.encode(ALL_TEXTS)
    labels = [text.split()[0] for text in ALL_TEXTS]
    gaussians = ClassGaussians().fit(points, labels)
    with pytest.raises(InputError, match="n is 0"):
        sample_texts(space, 0)
    with pytest.raises(InputError, match="no class_gaussians"):
        sample_texts(space, 3, label="she")
    with pytest.raises(InputError, match="no label"):
        sample_texts(space, 3, class_gaussians=gaussians)
    with pytest.raises(InputError, match="'they' is no class"):
        sample_texts(space, 3, class_gaussians=gaussians, label="they")
    with pytest.raises(InputError, match="4 dimensions, but 6"):
        sample_texts(ToyWriter(n_ignored=2), 3, class_gaussians=gaussians, label="she")
