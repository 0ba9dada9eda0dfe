"""Texts that come back, from a writer that keeps four words and drops the rest."""

import json

import numpy as np
import pytest

from lexframe.exceptions import InputError
from lexframe.generative.reconstructions import reconstruct_texts
from lexframe.generative.texts.bleu import bleu
from lexframe.intervals import mean_estimate
from lexframe.spaces import Decoding
from tests.generative.toy_writer import ALL_TEXTS, ToyWriter


class CuttingWriter(ToyWriter):
    """Calls every text of more than four words too long."""

    def truncated(self, texts):
        return np.array([len(text.split()) > 4 for text in texts], dtype=bool)


def test_what_comes_back_is_compared_word_by_word():
    found = reconstruct_texts(CuttingWriter(), [*ALL_TEXTS, "she sang loudly today again", "he spoke loudly now"])
    assert found.reconstructions == (*ALL_TEXTS, "she sang loudly today", "he spoke loudly yesterday")
    np.testing.assert_allclose(found.word_accuracies, [*[1.0] * 16, 4 / 5, 3 / 4])
    assert found.rates() == {
        "n_texts": 18,
        "n_cut": 1,
        "exact_share": pytest.approx(16 / 18),
        "word_accuracy": pytest.approx((16 + 0.8 + 0.75) / 18),
    }
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["is_cut"] == [*[False] * 16, True, False]
    assert found.to_frame().shape == (18, 5)


def test_draws_are_seeded():
    first, again, other = (reconstruct_texts(ToyWriter(), ALL_TEXTS, decoding=Decoding(temperature=4.0, seed=seed)) for seed in (1, 1, 2))
    assert first.reconstructions == again.reconstructions != other.reconstructions
    assert (first.provenance.seed, first.provenance.parameters["temperature"]) == (1, 4.0)


def test_no_text_is_refused():
    with pytest.raises(InputError, match="texts is empty"):
        reconstruct_texts(ToyWriter(), [])


def test_estimates_are_those_of_the_texts():
    texts = ["he sang softly today", "she sang loudly now"]
    found = reconstruct_texts(ToyWriter(), texts)
    assert found.exact_match == mean_estimate(np.array([1.0, 0.0]))
    assert found.word_accuracy == mean_estimate(np.array([1.0, 0.75]))
    assert found.bleu.value == bleu(texts, found.reconstructions)
    assert found.bleu.low <= found.bleu.value <= found.bleu.high


def test_points_that_are_given_are_decoded():
    points = ToyWriter().encode(ALL_TEXTS)
    assert not reconstruct_texts(ToyWriter(), ALL_TEXTS, points=-points).is_exact.any()
