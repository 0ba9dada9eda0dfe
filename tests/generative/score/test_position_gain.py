"""Where a latent helps, in models where that is known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.position_gain import Resolution, position_gain, spearman_trend, within
from lexframe.intervals import Estimate
from tests.generative.toy import ToyLatentSpace


class ScriptedSpace(ToyLatentSpace):
    """A text is its number; tokens cost 1 nat, and `gains` less where z is the text's own."""

    def __init__(self, gains):
        super().__init__([1.0])
        self.gains = gains

    def encode(self, texts, *, batch_size=None, progress=iter):
        return np.array([[float(text)] for text in texts], dtype=np.float32)

    def token_log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
        return [(gain - 1) if z[0] == float(text) else np.full(len(gain), -1.0) for text, z, gain in self._rows(texts, points)]

    def _rows(self, texts, points):
        return ((text, z, np.array(self.gains[int(text)], dtype=float)) for text, z in zip(texts, points, strict=True))


def scripted(gains, **options):
    return position_gain(ScriptedSpace(gains), [str(number) for number in range(len(gains))], **options)


def test_numbers_by_hand():
    """Two lengths; 1.2 of the 2 nats of the long text and all of the short one lie in the first half."""
    found = scripted([[0.8, 0.4, 0.4, 0.4], [1.0, 0.0]] * 2, resolution=Resolution(4, 4))
    assert found.gain_per_text.value == pytest.approx(1.5)
    assert [point.position for point in found.by_position] == [0, 1]  # two texts only reach the third token
    assert [point.gain.value for point in found.by_position] == pytest.approx([0.9, 0.2])
    assert [point.n_texts for point in found.by_position] == [4, 4]
    # quarters hold 1 token of the long texts and half a token of the short ones
    assert [point.gain.value for point in found.by_share] == pytest.approx([1.3 / 1.5, 0.9 / 1.5, 0.4 / 1.5, 0.4 / 1.5])
    assert [point.position for point in found.by_share] == [0.125, 0.375, 0.625, 0.875]
    assert [point.loss for point in found.by_share] == pytest.approx([1, 1, 1, 1])
    assert found.first_quarter.value == pytest.approx(4 * 1.3 / 3)
    assert found.last_quarter.value == pytest.approx(4 * 0.4 / 3)
    assert found.end_share.value == pytest.approx(0.4 / 3)
    assert found.trend.value == pytest.approx(spearmanr([0, 1, 2, 3], [1.3, 0.9, 0.4, 0.4])[0])


def test_places_that_enough_texts_reach():
    gains = [[0.1] * length for length in (2, 2, 3, 3, 5)]
    reached = {
        least: [point.n_texts for point in scripted(gains, resolution=Resolution(least_texts=least)).by_position] for least in (2, 3, 5, 6)
    }
    assert reached == {2: [5, 5, 3], 3: [5, 5, 3], 5: [5, 5], 6: []}


@pytest.mark.parametrize(
    ("gain", "first", "last", "verdict"),
    [
        ([0.1] * 8, 1, 1, "spread"),
        ([1.0] + [0.0] * 7, 4, 0, "front-loaded"),
        ([0.0] * 7 + [1.0], 0, 4, "end-loaded"),
        ([1.0, 0, 0, 0, 0, 0, 0, 1.0], 2, 2, "undecided"),
        ([0.0] * 8, None, None, "none"),
        ([-0.1] * 8, None, None, "none"),
    ],
)
def test_verdicts(gain, first, last, verdict):
    found = scripted([gain] * 40)
    assert found.verdict == verdict
    for quarter, expected in ((found.first_quarter, first), (found.last_quarter, last)):
        assert quarter is None if expected is None else quarter.value == pytest.approx(expected)


@given(st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=9), min_size=1, max_size=5), st.integers(1, 7))
def test_stretches_share_out_all_tokens(rows, n_stretches):
    values = [np.array(row) for row in rows]
    parts = within(values, np.linspace(0, 1, n_stretches + 1))
    np.testing.assert_allclose(parts.sum(axis=1), [row.sum() for row in values], atol=1e-9)
    for row, part in zip(values, parts, strict=True):
        fine = np.repeat(row / n_stretches, n_stretches)  # every token in as many pieces as there are stretches
        np.testing.assert_allclose(part, fine.reshape(n_stretches, -1).sum(axis=1), atol=1e-9)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=12))
def test_the_trend_is_spearmans(values):
    found = spearman_trend(np.array([values], dtype=float))[0]
    expected = 0.0 if len(set(values)) == 1 else spearmanr(np.arange(len(values)), values)[0]
    assert found == pytest.approx(expected)


def test_rounding_is_no_trend():
    assert scripted([[0.1] * 7] * 40).trend == Estimate(0.0, 0.0, 0.0)


def test_a_latent_of_all_words_is_spread_and_one_of_the_first_is_not():
    n_words = 11
    found = {}
    for n_driven in (None, 1):
        space = ToyLatentSpace([3.0], n_driven=n_driven)
        found[n_driven] = position_gain(space, _distinct(space, n_words), resolution=Resolution(least_texts=20))
    spread, front = found[None], found[1]
    assert spread.verdict == "spread"
    assert spread.first_quarter.value == pytest.approx(3 / 11 * 4 * 11 / 12, abs=0.25)  # 3 of 11 words: the end tells nothing
    assert front.verdict == "front-loaded"
    assert front.first_quarter.value == pytest.approx(4)
    assert [point.gain.value for point in front.by_position[1:]] == pytest.approx([0] * n_words)
    assert front.by_position[0].gain.low > 0
    assert spread.end_share.value == pytest.approx(0)
    assert len(spread.by_position) == n_words + 1


def _distinct(space, n_words):
    return list(dict.fromkeys(space.sample_texts(400, n_words=n_words, seed=5)))[:120]


def test_the_interval_of_a_gain_holds_the_truth():
    """First words of half the texts gain 1 nat: the mean is ½ with a standard error of ½ / √n."""
    gains = [[float(number % 2), 0.0] for number in range(400)]
    gain = scripted(gains).by_position[0].gain
    assert [gain.low, gain.high] == pytest.approx([0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025], abs=0.01)


def test_others_are_averaged_over_swaps():
    space = ToyLatentSpace([2.0])
    texts = _distinct(space, 8)
    alone = [position_gain(space, texts, n_derangements=1, seed=seed).gain_per_text.value for seed in range(12)]
    together = position_gain(space, texts, n_derangements=20).gain_per_text.value
    assert np.mean(alone) == pytest.approx(together, abs=4 * np.std(alone) * np.sqrt(1 / 12 + 1 / 20))
    assert position_gain(space, texts) == position_gain(space, texts)


def test_points_may_be_given():
    space = ToyLatentSpace([2.0])
    texts = _distinct(space, 8)
    assert position_gain(space, texts, points=space.encode(texts)) == position_gain(space, texts)
    nothing = position_gain(space, texts, points=np.zeros((len(texts), 1), np.float32))
    assert nothing.gain_per_text == Estimate(0.0, 0.0, 0.0)
    assert nothing.verdict == "none"


def test_to_dict_is_json():
    document = json.loads(json.dumps(scripted([[0.1, 0.1, 0.2]] * 40).to_dict()))
    assert document["verdict"] == "spread"
    assert document["by_position"][0]["n_texts"] == 40
    assert json.loads(json.dumps(scripted([[0.0]] * 40).to_dict()))["first_quarter"] is None


def test_bad_input():
    space = ToyLatentSpace([1.0])
    with pytest.raises(InputError, match="n_derangements is 0"):
        position_gain(space, ["a", "b"], n_derangements=0)
    for options in ({"n_stretches": 2}, {"least_texts": 1}):
        with pytest.raises(InputError, match="expected at least 3 and 2"):
            Resolution(**options)
    for points in (np.zeros((2, 3), np.float32), np.full((2, 1), np.nan, np.float32)):
        with pytest.raises(InputError, match="expected 2 rows of 1 numbers"):
            position_gain(space, ["a", "b"], points=points)
    with pytest.raises(DataError, match="1 text; expected 2"):
        position_gain(space, ["a"])
    with pytest.raises(DataError, match="are the same"):
        position_gain(space, ["a", "a", "a"])
    with pytest.raises(DataError, match=r"text 1 \('1'\) a token log-likelihood that is not finite"):
        scripted([[0.1], [np.nan]])
