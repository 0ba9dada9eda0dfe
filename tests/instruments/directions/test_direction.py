"""Directions through layers: found from texts and words, added, and refused where they do not belong."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from lexframe import LanguageModelSpace
from lexframe.artifacts import write_artifact
from lexframe.exceptions import DataError, FingerprintMismatch, InputError, VocabularyError
from lexframe.instruments import ConceptDirection, Direction, VocabularyFrame, find_direction, frame_direction, random_direction
from lexframe.instruments.directions.direction_finding import preflight_of
from lexframe.spaces import ToySpace
from tests.reference.concept_direction import mean_pair_cosine
from tests.steerable_toy import steerable_toy
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

HIGH, LOW = ["a good cat", "good red sun", "one good", "new good dog"], ["a bad cat", "bad red sun", "one bad", "new bad dog"]


@pytest.fixture
def toy():
    return steerable_toy()


@pytest.fixture
def direction(toy):
    return find_direction(toy, HIGH, LOW, layers=[0, 1], poles=("good", "bad"))


def test_texts_that_differ_in_a_word_give_the_difference_of_its_vectors(toy, direction):
    good, bad = (toy.encode([word])[0] for word in ("good", "bad"))
    expected = (good - bad) / np.linalg.norm(good - bad)
    assert direction.layers == (0, 1)
    for layer in direction.layers:
        vector = direction.vector(layer)
        assert vector @ expected / np.linalg.norm(vector) > 1 - 1e-6
        states = np.stack([toy.token_states(text, layers=[layer]).states[0, -1] for text in [*HIGH, *LOW]])
        assert np.isclose(np.linalg.norm(vector), np.median(np.linalg.norm(states, axis=1)), rtol=1e-5)
        assert direction.preflight[layer].pair_cosine > 1 - 1e-6


def test_all_layers_of_a_model_are_found_in_one_go_and_negative_numbers_count_from_the_end():
    space = tiny_space("gpt2", layer=1, template="Say: {text}")
    found = find_direction(space, ["the cat", "a cat sat"], ["the dog", "a dog sat"], pooling="last")
    assert found.layers == (1, 2, 3)
    assert found.vector(-1) is found.vector(3)
    points = space.encode_layers(["the cat", "a cat sat", "the dog", "a dog sat"], layers=[2])[:, 0]
    difference = points[:2].mean(0) - points[2:].mean(0)
    np.testing.assert_allclose(found.vector(2) / np.linalg.norm(found.vector(2)), difference / np.linalg.norm(difference), atol=1e-4)


def test_arithmetic(toy, direction):
    other = find_direction(toy, ["sun cat", "sun red"], ["moon cat", "moon red"], layers=[1], poles=("sun", "moon"))
    total = direction + 2 * other
    assert total.layers == (1,)
    np.testing.assert_allclose(total.vectors[1], direction.vectors[1] + 2 * other.vectors[1], rtol=1e-6)
    assert (total.positive, total.negative) == ("good + sun", "bad + moon")
    assert not total.preflight
    np.testing.assert_allclose((direction - other).vectors[1], direction.vectors[1] - other.vectors[1], rtol=1e-6)
    assert (direction - other).positive == "good - sun"
    np.testing.assert_allclose((-direction).vectors[0], -direction.vectors[0])
    assert ((-direction).positive, (-direction).negative) == ("bad", "good")
    np.testing.assert_allclose((direction / 4).vectors[0] * 4, direction.vectors[0])
    assert np.isclose(np.linalg.norm(direction.unit().vectors[1]), 1)
    assert np.isclose(direction.cosine(-2 * direction)[1], -1)
    with pytest.raises(InputError, match="divided by 0"):
        direction / 0
    with pytest.raises(InputError, match="share no layer"):
        find_direction(toy, HIGH, LOW, layers=[0]) + other
    np.testing.assert_allclose((np.float64(2) * direction).vectors[0], 2 * direction.vectors[0], rtol=1e-6)
    for wrong in (lambda: direction + 1, lambda: direction * "2", lambda: direction / direction):
        with pytest.raises(TypeError):
            wrong()


def test_a_direction_belongs_to_a_model_not_to_a_layer_pooling_or_template():
    texts = ["the cat", "a cat sat"], ["the dog", "a dog sat"]
    here = find_direction(tiny_space("gpt2"), *texts)
    there = find_direction(tiny_space("gpt2", layer=1, pooling="mean", template="Say: {text}", max_length=20), *texts)
    assert (here + there).layers == here.layers
    with pytest.raises(FingerprintMismatch, match=r"Vectors of two models cannot be mixed.*find it again"):
        here + find_direction(tiny_space("llama"), *texts)
    space = tiny_space("gpt2").fingerprint
    for change in ({"weights": "other"}, {"tokenizer": "other"}, {"dtype": "bfloat16"}):
        with pytest.raises(FingerprintMismatch):
            here.require(replace(space, **change))


def test_moves_that_are_in_force_do_not_change_the_model(toy, direction):
    from lexframe.instruments import steered

    with steered(toy, direction, layer=1, strength=1.0):
        direction.require(toy.fingerprint)
        assert toy.fingerprint.digest != steerable_toy().fingerprint.digest


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["good"], LOW), {}, "has 1 text"),
        ((HIGH, []), {}, "'negative' has 0 texts"),
        ((HIGH, HIGH), {}, "same mean point"),
        ((HIGH, LOW), {"layers": []}, "layers is empty"),
        ((HIGH, LOW), {"layers": [2]}, "layer 2 does not exist"),
        ((HIGH, LOW), {"method": "sae"}, "expected one of"),
        ((HIGH, LOW), {"pooling": "median"}, "pooling"),
        ((HIGH, LOW[:3]), {"paired": True}, "as many positive"),
    ],
)
def test_finding_refuses(toy, arguments, options, message):
    with pytest.raises(InputError, match=message):
        find_direction(toy, *arguments, **options)


def test_a_direction_has_finite_vectors_of_layers_that_exist(direction):
    for vectors, message in (({}, "one layer at least"), ({5: np.ones(3)}, "layers of the model are"), ({0: np.array([np.nan])}, "finite")):
        with pytest.raises(InputError, match=message):
            replace(direction, vectors=vectors)
    with pytest.raises(InputError, match="no vector for layer 7"):
        direction.vector(7)


def test_preflight(rng):
    u, positive, negative = np.eye(5)[0], rng.normal(size=(9, 5)), rng.normal(size=(9, 5))
    found = preflight_of(positive + u, negative, method="mean_difference")
    assert np.isclose(found.pair_cosine, mean_pair_cosine(positive + u, negative))
    far, near = (preflight_of(positive + size * u, negative, method="whitened").separation for size in (20, 1))
    assert far > 10 > near
    assert preflight_of(positive[:3], negative).separation is None
    noise = [preflight_of(*np.split(rng.normal(size=(40, 200)), 2), method="probe").separation for _ in range(6)]
    assert abs(np.mean(noise)) < 0.5  # on the examples themselves it would be several


def lattice(rng, mixing):
    """Words for every combination of three independent concepts, mixed by a matrix that is not orthogonal."""
    corners = np.array([[a, b, c] for a in (-1.0, 1) for b in (-1.0, 1) for c in (-1.0, 1)])
    words = ["".join("xyz"[i] if value > 0 else "abc"[i] for i, value in enumerate(corner)) for corner in corners]
    rows = corners @ mixing.T
    return ToySpace(dict(zip(words, rows.tolist(), strict=True))), rows, words, corners


def test_a_separable_concept_stays_only_with_the_inverse_covariance(rng):
    """Park et al. (2023), theorem 3.2: the causal inner product moves one concept and leaves the others."""
    mixing = np.array([[1.0, 0.7, 0.2], [0.1, 1.0, -0.6], [0.5, 0.3, 1.0]])
    space, rows, words, corners = lattice(rng, mixing)
    groups = ([word for word, corner in zip(words, corners, strict=True) if corner[0] == sign] for sign in (1, -1))
    frame = frame_direction(space, *groups).vectors[1]
    plain = mixing[:, 0]  # difference of the words' own rows
    changes = {name: [vector @ mixing[:, concept] for concept in range(3)] for name, vector in (("frame", frame), ("plain", plain))}
    assert changes["frame"][0] > 0.5
    np.testing.assert_allclose(changes["frame"][1:], 0, atol=1e-5)
    assert np.abs(changes["plain"][1:]).min() > 0.2
    centered = rows - rows.mean(0)
    causal = np.linalg.solve(centered.T @ centered / len(rows), 2 * mixing[:, 0])
    assert frame @ causal / np.linalg.norm(frame) / np.linalg.norm(causal) > 1 - 1e-6


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_frame_directions_of_inner_layers_move_what_the_head_reads(family):
    space = tiny_space(family)
    found = frame_direction(space, [" cat"], [" dog"], layers=[1, -1])
    frame = VocabularyFrame(space, center=True)
    wanted = frame.word_basis("cat") - frame.word_basis("dog")
    states = space.encode_layers(["cat", "dog"], layers=[1])[:, 0]
    typical = states.mean(0)
    step = found.vectors[1] * (0.01 / np.linalg.norm(found.vectors[1])) * np.linalg.norm(typical)
    read = space.lens.input(np.stack([typical + step, typical]), layer=1)
    moved = read[0] - read[1]
    reached = moved @ wanted / np.linalg.norm(moved) / np.linalg.norm(wanted)
    naive = space.lens.input(np.stack([typical + step[::-1], typical]), layer=1)
    assert reached > 0.9 > abs((naive[0] - naive[1]) @ wanted / np.linalg.norm(naive[0] - naive[1]) / np.linalg.norm(wanted))


def test_words_are_checked(toy):
    with pytest.raises(InputError, match="one word or more"):
        frame_direction(toy, [], ["bad"])
    with pytest.raises(InputError, match="same basis"):
        frame_direction(toy, ["bad"], ["bad"])
    with pytest.raises(VocabularyError, match="unheard"):
        frame_direction(toy, ["unheard"], ["bad"])


def test_chance_has_the_same_length_and_another_direction(direction):
    first, again, other = (random_direction(direction, seed=seed) for seed in (1, 1, 2))
    for layer in direction.layers:
        assert np.isclose(np.linalg.norm(first.vectors[layer]), np.linalg.norm(direction.vectors[layer]), rtol=1e-5)
        assert (first.vectors[layer] == again.vectors[layer]).all()
    assert abs(first.cosine(other)[0]) < 0.99
    assert isinstance(first, Direction)
    assert (first.method, first.provenance.seed) == ("random", 1)


def test_it_comes_back_as_it_was(direction, tmp_path, toy):
    direction.save(tmp_path / "d")
    found = Direction.load(tmp_path / "d")
    assert found.to_dict() == direction.to_dict()
    assert found.scales == direction.scales
    for layer in direction.layers:
        np.testing.assert_array_equal(found.vectors[layer], direction.vectors[layer])
        np.testing.assert_array_equal(found.origins[layer], direction.origins[layer])
    found.require(toy.fingerprint)
    (-direction).save(tmp_path / "d")
    np.testing.assert_array_equal(Direction.load(tmp_path / "d").vectors[1], -direction.vectors[1])
    assert len(list((tmp_path / "d").iterdir())) == 2


def test_what_is_no_direction_is_refused(direction, tmp_path):
    with pytest.raises(DataError, match="holds no direction"):
        Direction.load(tmp_path)
    kept = direction.to_artifact()
    for change in ({"parameters": {**kept.parameters, "n_layers": "two"}}, {"parameters": {}}, {"arrays": {"vector.layer.x": np.ones(3)}}):
        write_artifact(replace(kept, **change), tmp_path / "d")
        with pytest.raises(DataError, match="damaged direction"):
            Direction.load(tmp_path / "d")


def test_projection_is_measured_from_the_middle_of_the_poles_in_the_units_of_the_points(toy, direction):
    for layer in direction.layers:
        high, low = (np.stack([toy.token_states(text, layers=[layer]).states[0].mean(0) for text in texts]) for texts in (HIGH, LOW))
        along = direction.project(np.vstack([high, low]), layer)
        assert np.isclose(along[:4].mean(), -along[4:].mean(), atol=1e-6)
        assert np.isclose(along[:4].mean() - along[4:].mean(), np.linalg.norm(high.mean(0) - low.mean(0)), atol=1e-5)
        np.testing.assert_allclose((3 * direction).project(high, layer), along[:4], atol=1e-6)
        np.testing.assert_allclose((-direction).project(high, layer), -along[:4], atol=1e-6)
    with pytest.raises(InputError, match=r"layers \[0, 1\]; name one"):
        direction.project(high)


def test_what_is_removed_is_gone_and_the_rest_stays(rng):
    points, vector, origin = rng.normal(size=(20, 5)).astype(np.float32), rng.normal(size=5), rng.normal(size=5)
    for direction in (Direction.of_points(vector), Direction.of_points(vector, origin=origin)):
        erased = direction.remove(points)
        np.testing.assert_allclose(direction.project(erased), 0, atol=1e-6)
        np.testing.assert_allclose(direction.remove(erased), erased, atol=1e-6)
        across = np.linalg.svd(vector[np.newaxis])[2][1:]
        np.testing.assert_allclose(erased @ across.T, points @ across.T, atol=1e-5)


def test_a_move_changes_the_projection_by_the_length_of_the_vector(rng):
    points, direction = rng.normal(size=(7, 4)).astype(np.float32), Direction.of_points(rng.normal(size=4))
    length = np.linalg.norm(direction.vector())
    np.testing.assert_allclose(direction.project(direction.move(points, -2.5)) - direction.project(points), -2.5 * length, rtol=1e-5)
    assert direction.move(points).dtype == np.float32
    np.testing.assert_array_equal(direction.move(points, 0.0), points)


def test_a_typical_direction_moves_by_the_length_of_a_typical_state(direction):
    for each in (direction.unit(), direction + direction, direction / 7):
        assert np.isclose(np.linalg.norm(each.typical().vectors[1]), direction.scales[1], rtol=1e-5)
    np.testing.assert_allclose(direction.typical().vectors[1], direction.vectors[1], rtol=1e-5)
    with pytest.raises(InputError, match="no scale for the points"):
        Direction.of_points(np.ones(3)).typical()
    assert not (direction + direction).origins  # the middle between two poles is none between the poles of a sum


def test_a_direction_of_points_has_one_vector_and_no_layers(toy, tmp_path):
    here = Direction.of_points([0.0, 2.0, 0.0], toy.fingerprint, positive="high", negative="low", origin=[1.0, 1.0, 1.0], scale=4.0)
    assert (here.layers, here.n_layers) == ((), None)
    np.testing.assert_array_equal(here.vector(), [0, 2, 0])
    np.testing.assert_array_equal((here + 2 * here).vector(), [0, 6, 0])
    assert here.cosine(-here) == {None: -1}
    assert random_direction(here, seed=1).vector().shape == (3,)
    here.save(tmp_path)
    found = Direction.load(tmp_path)
    np.testing.assert_array_equal(found.origins[None], [1, 1, 1])
    assert (found.scales, found.space, found.to_dict()) == ({None: 4.0}, toy.fingerprint, here.to_dict())
    with pytest.raises(InputError, match="is one of points and has no layers, but layer 1"):
        here.vector(1)
    with pytest.raises(FingerprintMismatch, match="points of that layer"):
        here.require(replace(toy.fingerprint, layer=3))
    with pytest.raises(FingerprintMismatch):
        here + Direction.of_points([1.0, 0.0, 0.0], replace(toy.fingerprint, weights="other"))
    bare = Direction.of_points([1.0, 0.0, 0.0])
    bare.require(toy.fingerprint)  # of bare points, which come from no space that is known
    assert (bare + here).space == (here + bare).space == toy.fingerprint
    for wrong, message in (([0.0, 0.0], "is zero"), ([np.nan, 1.0], "not finite"), ([[1.0]], "one vector")):
        with pytest.raises(InputError, match=message):
            Direction.of_points(wrong)
    with pytest.raises(InputError, match="origin has 2 dimensions, but 3"):
        Direction.of_points(np.ones(3), origin=np.ones(2))
    with pytest.raises(InputError, match="one vector under None"):
        replace(here, n_layers=2)
    with pytest.raises(InputError, match="is zero, so nothing lies along it"):
        (0 * here).project(np.ones((1, 3)))


def test_estimators_find_the_same_direction_as_texts_do(toy):
    from lexframe.instruments import MeanDifferenceEdit

    points = np.vstack([toy.encode(HIGH), toy.encode(LOW)])
    poles = ["good"] * 4 + ["bad"] * 4
    from_texts = find_direction(toy, HIGH, LOW, layers=[1], pooling="last").at(1)
    edit = MeanDifferenceEdit(target="good").fit(points, poles, space=toy.fingerprint)
    estimator = ConceptDirection().fit(points, poles)
    found = estimator.to_direction(toy.fingerprint)
    assert (found.positive, found.negative) == ("good", "bad")
    np.testing.assert_allclose(found.project(points), estimator.transform(points)[:, 0], atol=1e-6)
    for each in (edit.direction_, from_texts):
        np.testing.assert_allclose(each.unit().vector(), found.vector(), atol=1e-6)
        np.testing.assert_allclose(next(iter(each.origins.values())), estimator.origin_, atol=1e-6)
    with pytest.raises(FingerprintMismatch):
        found.require(replace(toy.fingerprint, weights="other"))


def test_words_are_measured_behind_the_first_token_whose_state_may_be_massive():
    model = deepcopy(tiny_model("gpt2"))
    with torch.no_grad():
        model.transformer.wpe.weight[0] = 0
        model.transformer.wpe.weight[0, 3] = 1_000
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    found = frame_direction(space, ["a"], ["x"], layers=[0, 1])
    usual = np.linalg.norm(space.token_states("the cat and a dog", layers=[0, 1]).states[:, 1:], axis=2).max(axis=1)
    for layer, bound in zip((0, 1), usual, strict=True):
        assert 0 < found.scales[layer] < 3 * bound
        assert np.isclose(np.linalg.norm(found.vectors[layer]), found.scales[layer], rtol=1e-5)
