"""Labels stand near their points, on no other label, and inside the picture; names stay apart when their middles go."""

from itertools import combinations

import numpy as np
import pytest

from lexframe.drawing.label_places import _WIDTHS, place_labels, shown_names, text_width


def boxes(places, sizes):
    return [(*np.subtract(place.center, size / 2), *np.add(place.center, size / 2)) for place, size in zip(places, sizes, strict=True)]


def meet(one, other):
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_of_a_crowd_do_not_meet_and_stay_inside(seed):
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal([300, 200], 45, (16, 2)), rng.uniform([40, 20], [860, 480], (4, 2))])
    sizes = np.stack([rng.uniform(20, 150, 20), np.full(20, 15.0)], axis=1)
    places = place_labels(points, sizes, (900.0, 500.0))
    found = boxes(places, sizes)
    assert not [pair for pair in combinations(found, 2) if meet(*pair)]
    assert all(left >= 0 and top >= 0 and right <= 900 and bottom <= 500 for left, top, right, bottom in found)
    for (x, y), (left, top, right, bottom), place in zip(points, found, places, strict=True):
        nearest = np.array([np.clip(x, left, right), np.clip(y, top, bottom)])
        assert place.distance == pytest.approx(np.hypot(*(nearest - (x, y))))
        assert place.distance > 6.9  # off its own point
        assert place.end == pytest.approx(nearest)
    assert np.median([place.distance for place in places]) < 12


def test_a_label_that_has_room_stands_beside_its_point_and_one_at_the_edge_within():
    points = np.array([[100.0, 100.0], [395.0, 200.0]])
    alone, edge = place_labels(points, np.array([[60.0, 14.0], [80.0, 14.0]]), (400.0, 300.0))
    assert alone.distance == edge.distance == 7.0
    assert alone.center == (137.0, 100.0)  # to the right, where one looks first
    assert edge.center == (348.0, 200.0)
    assert place_labels(np.zeros((0, 2)), np.zeros((0, 2)), (10.0, 10.0)) == []


def test_a_line_to_a_label_keeps_off_other_labels():
    """A column of points with wide labels, of which none may be crossed."""
    points = np.array([[200.0, 100.0 + 4 * row] for row in range(8)])
    sizes = np.tile([110.0, 14.0], (8, 1))
    places = place_labels(points, sizes, (420.0, 300.0))
    found = boxes(places, sizes)
    steps = np.linspace(0.2, 0.95, 20)[:, np.newaxis]
    for row, place in enumerate(places):
        line = points[row] + steps * (np.array(place.end) - points[row])
        for other, (left, top, right, bottom) in enumerate(found):
            on = (line[:, 0] > left) & (line[:, 0] < right) & (line[:, 1] > top) & (line[:, 1] < bottom)
            assert other == row or not on.any()


def test_widths_follow_the_letters():
    assert text_width("", 12.0) == 0
    assert text_width("ill", 12.0) < text_width("anu", 12.0) < text_width("WWM", 12.0)
    assert text_width("界", 10.0) == 10
    assert text_width("é", 12.0) == text_width("e\u0301", 12.0) == text_width("e", 12.0)
    assert text_width("name_of_a_task", 24.0) == 2 * text_width("name_of_a_task", 12.0)
    assert max(_WIDTHS) < 1


def test_names_stay_apart_and_keep_their_ends():
    names = [
        "determiner_noun_agreement_with_adj_irregular_1",
        "determiner_noun_agreement_with_adj_irregular_2",
        "short",
        "short",
        "  a\n b  ",
        "",
    ]
    shown = shown_names(names, 30)
    assert len(set(shown)) == len(names)
    assert shown[2:] == ["short", "short (2)", "a b", "(blank)"]
    assert shown[0].startswith("determiner_noun")
    assert shown[0].endswith("irregular_1")
    assert shown[1] == shown[0][:-1] + "2"
    assert all(text_width(name, 10.0) <= 30 * 5.7 for name in shown)
    assert shown_names(["abcdefghijklmnop"], 10) == ["abcd…mnop"]
    assert shown_names(["😀" * 60], 20)[0].count("😀") in (10, 11)  # as wide as almost two letters each
    assert shown_names([f"{'same' * 20}"] * 3, 12)[2].endswith("(3)")
