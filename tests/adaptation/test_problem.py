"""What methods are given: points by row, read once, and zero-shot scores."""

import numpy as np
import pytest

from lexframe.adaptation.encoded_texts import EncodedTexts, label_scores
from lexframe.exceptions import InputError
from lexframe.latents import Reading, TextReader
from lexframe.spaces.base import Representation
from tests.planted import planted_space
from tests.tiny_models import tiny_space


def test_points_are_those_of_the_space_and_of_its_layers():
    space = tiny_space("gpt2", layer=1, pooling="mean")
    reading = Reading((Representation(1, "mean"), Representation(-1, "last")))
    encoded = EncodedTexts(TextReader(space, reading), ["one two", "three"])
    assert encoded.block_names == ("own points", "-1:last")  # the space's own representation stands first and once
    assert len(encoded.blocks()) == 2
    np.testing.assert_allclose(encoded.points, space.head_input(space.encode(["one two", "three"])), atol=1e-5)
    np.testing.assert_allclose(encoded.blocks()[1], tiny_space("gpt2").encode(["one two", "three"]), atol=1e-5)


def test_a_space_alone_gives_its_own_points():
    space = planted_space()
    encoded = EncodedTexts(space, ["invoice paid", "bed"])
    (block,) = encoded.blocks()
    np.testing.assert_array_equal(block, space.encode(["invoice paid", "bed"]))


def test_own_points_that_are_not_read_are_not_made_up():
    encoded = EncodedTexts(TextReader(planted_space(), Reading((Representation(0, "mean"),), own_points=False)), ["bed"])
    assert [block.shape for block in encoded.blocks()] == [(1, 8)]
    with pytest.raises(InputError, match="leaves the space's own points out"):
        _ = encoded.points


def test_a_scaled_reading_is_refused():
    reading = Reading.thirds(planted_space(), scaled=True)
    with pytest.raises(InputError, match="not scaled"):
        EncodedTexts(TextReader(planted_space(), reading), ["bed"])


def test_label_scores_are_log_probabilities():
    space = tiny_space("llama")
    points = space.encode(["one two", "three"])
    scores = label_scores(space, points, [["cat"], ["dog", "mat"]])
    logits = space.logits(points).astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    ids = [list(space.word_ids("cat")), [*space.word_ids("dog"), *space.word_ids("mat")]]
    np.testing.assert_allclose(scores, np.stack([log_probabilities[:, i].mean(1) for i in ids], 1), atol=1e-5)
