"""Interpolation in a latent whose words are known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lexframe.exceptions import InputError
from lexframe.generative.interpolation import interpolate, interpolate_pairs
from lexframe.spaces import Decoding
from lexframe.verdicts import Worth
from tests.generative.toy_writer import ToyWriter, text_of


class Slanted(ToyWriter):
    """Words change one after the other along the way from all low to all high."""

    def decode(self, points, **options):
        return super().decode(points + np.array([0.6, 0.2, -0.2, -0.6], dtype=np.float32), **options)


LOW, HIGH = text_of([-1] * 4), text_of([1] * 4)


def test_a_path_that_changes_word_by_word():
    found = interpolate(Slanted(), LOW, HIGH, n_steps=11)
    assert found.distinct_texts == (
        "he spoke softly yesterday",
        "she spoke softly yesterday",
        "she sang softly yesterday",
        "she sang loudly yesterday",
        "she sang loudly today",
    )
    np.testing.assert_allclose(found.distances_to_start + found.distances_to_end, 1)
    assert (np.diff(found.distances_to_start) >= 0).all()
    assert set(np.diff(found.distances_to_start).round(9)) == {0, 0.25}
    assert found.monotone_share == 1
    assert found.rank_correlation > 0.95  # ties, where neighbors are one text, keep it from 1
    # Four re-encoded steps of length 2 at right angles, against a straight way of length 4.
    assert found.smoothness == pytest.approx(4 / 8)
    assert found.largest_step == pytest.approx(1 / 4)
    assert found.path == "linear"
    assert not found.same_ends
    np.testing.assert_allclose(found.points[5], 0)


def test_a_jump_shows():
    found = interpolate(ToyWriter(), LOW, text_of([1, -1, -1, -1]))
    assert found.distinct_texts == (LOW, text_of([1, -1, -1, -1]))
    assert (found.monotone_share, found.smoothness, found.largest_step) == (1, 1, 1)


def test_a_detour_is_neither_monotone_nor_smooth():
    class Detour(ToyWriter):
        def decode(self, points, **options):
            turned = points.copy()
            turned[:, 3] = np.where(np.abs(points[:, 0]) < 0.5, -points[:, 3], points[:, 3])
            return super().decode(turned, **options)

    found = interpolate(Detour(), LOW, text_of([1, -1, -1, -1]), n_steps=9)
    # From "he … yesterday" over "he … today" and "she … today": p is 0, 1/3, 2/3 and 1, but the way is three times as long.
    assert len(found.distinct_texts) == 4
    assert found.monotone_share == 1
    assert found.smoothness == pytest.approx(2 / 6)

    class BackAndForth(ToyWriter):
        def decode(self, points, **options):
            turned = points.copy()
            turned[:, 0] = np.sign(points[:, 0]) * np.where(np.abs(points[:, 0]) < 0.3, -1, 1)
            return super().decode(turned, **options)

    again = interpolate(BackAndForth(), LOW, text_of([1, -1, -1, -1]), n_steps=10)  # low, high, low, high
    assert again.monotone_share == pytest.approx(2 / 3)
    assert again.rank_correlation < 0.95
    assert again.smoothness == pytest.approx(1 / 3)


def test_a_change_that_leads_no_further_is_not_forward():
    class Sidestep(ToyWriter):
        def decode(self, points, **options):
            written = [LOW, text_of([1, -1, -1, -1]), text_of([-1, -1, -1, 1]), text_of([1, -1, -1, 1])]
            return [written[row] for row in range(len(points))]

    found = interpolate(Sidestep(), LOW, text_of([1, -1, -1, 1]), n_steps=4)  # p is 0, 1/2, 1/2, 1
    assert found.monotone_share == pytest.approx(2 / 3)


def test_one_text_says_so():
    found = interpolate(ToyWriter(), LOW, LOW, n_steps=4)
    assert found.same_ends
    assert found.distinct_texts == (LOW,)
    assert np.isnan([found.monotone_share, found.rank_correlation, found.smoothness, found.largest_step]).all()
    assert found.to_dict()["smoothness"] is None
    assert found.to_dict()["same_ends"] is True
    assert found.verdict.worth is Worth.WORTHLESS
    assert "writes one text" in found.summary()


def test_ends_that_do_not_come_back_are_said():
    whole = interpolate(ToyWriter(), LOW, HIGH, n_steps=3)
    assert whole.ends_kept == (True, True)
    assert whole.verdict.worth is Worth.HOLDS
    assert "come back" not in whole.summary()

    class Forgetful(ToyWriter):
        """Takes every text it has not seen for another one."""

        def encode(self, texts, **options):
            return super().encode([LOW if text == "the cat slept" else text for text in texts], **options)

    one = interpolate(Forgetful(), "the cat slept", HIGH, n_steps=3)
    assert one.ends_kept == (False, True)
    assert one.verdict.worth is Worth.UNSURE
    assert "'the cat slept' does not come back" in one.summary()
    both = replace(one, end_text="a dog ran")
    assert both.ends_kept == (False, False)
    assert "Do not use this: neither text comes back" in both.summary()
    assert both.to_dict()["verdict"]["worth"] == "worthless"
    assert replace(whole, start_text=LOW.upper()).ends_kept == (True, True)


def test_different_points_that_are_written_alike_are_no_path_either():
    class Deaf(ToyWriter):
        def decode(self, points, **options):
            return super().decode(np.ones_like(points), **options)

    found = interpolate(Deaf(), LOW, HIGH)
    assert not found.same_ends
    assert np.isnan(found.monotone_share)


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_many_pairs_are_the_pairs_one_by_one_in_one_call(path):
    pairs = [(LOW, HIGH), (HIGH, text_of([1, -1, 1, -1])), (text_of([1, 1, -1, -1]), LOW)]
    space = ToyWriter()
    together = interpolate_pairs(space, pairs, n_steps=5, path=path)
    assert space.decode_calls == 1
    assert space.n_decoded == 15
    for found, (start, end) in zip(together, pairs, strict=True):
        alone = interpolate(ToyWriter(), start, end, n_steps=5, path=path)
        assert found.to_dict() == alone.to_dict()
        assert found.texts[0] == start
        assert found.texts[-1] == end
    assert together[0].path == "linear"  # the ends are opposite: there is no one great circle
    assert together[1].path == path


def test_spherical_points_stay_on_the_sphere():
    found = interpolate(ToyWriter(), LOW, text_of([-1, 1, -1, 1]), path="spherical", n_steps=5)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 2, rtol=1e-6)


def test_table_and_document():
    found = interpolate(Slanted(), LOW, HIGH, n_steps=3, decoding=Decoding(seed=5))
    frame = found.to_frame()
    assert frame.columns.tolist() == ["fraction", "text", "distance_to_start", "distance_to_end"]
    assert frame["text"].tolist() == list(found.texts)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["n_distinct"] == 3
    assert document["provenance"]["seed"] == 5


def test_bad_input(without_type_checks):
    space = ToyWriter()
    with pytest.raises(InputError, match="n_steps is 1"):
        interpolate(space, LOW, HIGH, n_steps=1)
    with pytest.raises(InputError, match="path is 'round'"):
        interpolate(space, LOW, HIGH, path="round")
    with pytest.raises(InputError, match="pairs is empty"):
        interpolate_pairs(space, [])
    with pytest.raises(InputError, match="Pair 1 has one text"):
        interpolate_pairs(space, [(LOW, HIGH), (LOW,)])
    with pytest.raises(InputError, match="Pair 0 has one text"):
        interpolate_pairs(space, [LOW])
    with pytest.raises(InputError, match=r"pairs\[1\] is missing"):
        interpolate_pairs(space, [(LOW, None)])
    assert space.decode_calls == 0
