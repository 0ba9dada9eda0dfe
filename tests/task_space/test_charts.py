"""Charts of task spaces: what they draw is what the space holds, where it holds it; nothing is told by a color alone."""

from dataclasses import replace

import numpy as np
import pytest
import vl_convert

from lexframe.drawing.theme import SHAPES
from lexframe.task_space import figures
from lexframe.task_space.charts import (
    depth_chart,
    matrix_chart,
    overlap_chart,
    prediction_chart,
    price_chart,
    reliability_chart,
    transfer_chart,
)
from lexframe.task_space.looks import NONE, OTHERS, group_looks, legend_height, similarity_color, task_names
from lexframe.task_space.map_charts import map_chart
from lexframe.task_space.measure_charts import ALL, BETWEEN, WITHIN, pair_kinds
from lexframe.task_space.reading.clusters import cluster_tasks
from lexframe.task_space.reading.task_map import map_tasks
from lexframe.task_space.transfer_charts import target_order
from tests.adaptation.test_page import ATTACK
from tests.task_space.made_spaces import made_space, made_transfer

LONG = "determiner_noun_agreement_with_adjective_irregular"


def layers(chart):
    """Marks with their rows, of the panels of a chart as well."""
    document = chart if isinstance(chart, dict) else chart.to_dict(validate=False)
    panels = document.get("hconcat", [document])
    return [(layer["mark"], layer["data"]["values"]) for panel in panels for layer in panel["layer"]]


def rows(chart, mark, **style):
    """Rows of the layers of a mark that have this style."""
    found = [(drawn, values) for drawn, values in layers(chart) if drawn["type"] == mark]
    return [row for drawn, values in found if all(drawn.get(key) == value for key, value in style.items()) for row in values]


def texts(chart):
    return [row["text"] for row in rows(chart, "text")]


@pytest.fixture(scope="module")
def space():
    return made_space()


def test_cells_stand_in_the_order_of_the_tree_and_are_small_where_the_interval_holds_0(space):
    clustering = cluster_tasks(space.similarity)
    chart = matrix_chart(space, clustering).to_dict(validate=False)
    cells = [row for row in rows(chart, "rect") if "value" in row]
    assert len(cells) == 8 * 7
    side = max(cell["x2"] - cell["x"] for cell in cells)
    left, top = min(cell["x"] for cell in cells), 20.0
    order = clustering.order
    for cell in cells:
        row, column = int((cell["y"] - top) // side), int((cell["x"] - left) // side)
        i, j = order[row], order[column]
        assert cell["value"] == space.similarity[i, j]
        assert (cell["x2"] - cell["x"] < side) == (space.low[i, j] <= 0 <= space.high[i, j])
        assert cell["about"].startswith(f"{space.names[i]} and {space.names[j]}: {cell['value']:.2f} [")
    written = [row["text"] for row in rows(chart, "text", align="center") if "value" in row]
    assert sorted(written) == sorted(f"{cell['value']:.2f}" for cell in cells if cell["x2"] - cell["x"] == side)
    shown = [text for text in texts(chart) if text in space.names]
    assert shown == [space.names[row] for row in order]
    assert [row["said"] for row in rows(chart, "point")] == list(dict.fromkeys(space.groups[row] for row in order))
    assert matrix_chart(space).to_dict(validate=False)["layer"] == chart["layer"]


def test_the_tree_has_its_leaves_at_the_rows_and_its_root_farthest_off(space):
    chart = matrix_chart(space).to_dict(validate=False)
    lines = {}
    for row in rows(chart, "line"):
        lines.setdefault(row["line"], []).append((row["x"], row["y"]))
    assert len(lines) == 7
    leaf_x = max(x for line in lines.values() for x, _ in line)
    cell = max(row["x2"] - row["x"] for row in rows(chart, "rect") if "value" in row)
    leaves = sorted({y for line in lines.values() for x, y in line if x == leaf_x})
    np.testing.assert_allclose(leaves, 20 + cell * (np.arange(8) + 0.5))
    heights = np.sort(leaf_x - np.array([min(x for x, _ in line) for line in lines.values()]))
    np.testing.assert_allclose(
        heights / heights[-1], np.sort(cluster_tasks(space.similarity).linkage[:, 2] / cluster_tasks(space.similarity).linkage[-1, 2])
    )


def test_a_matrix_for_narrow_screens_fits_them_whatever_it_holds():
    for n in (2, 13, 36):
        chart = matrix_chart(made_space(groups=[f"g{row % 5}" for row in range(n)]), small=True).to_dict(validate=False)
        assert chart["width"] <= 380
        drawn = [layer for layer in chart["layer"] if layer["mark"]["type"] == "rect"]
        assert len(drawn[1]["data"]["values"]) == n * (n - 1)
        assert ("description" in drawn[1]["encoding"]) == (n < 36)  # cells that cannot be pointed at need no words


def test_few_tasks_and_tasks_without_groups_are_drawn_without_what_they_lack():
    two = matrix_chart(made_space(groups=[None, None])).to_dict(validate=False)
    assert not rows(two, "line")
    assert not rows(two, "point")
    assert len([row for row in rows(two, "rect") if "value" in row]) == 2
    assert len(layers(map_chart(made_space(groups=[None] * 4), map_tasks(made_space(groups=[None] * 4).similarity)))) == 5


def test_the_map_keeps_distances_and_turns_nothing(space):
    placed = map_tasks(space.similarity, resampled=space.resampled)
    chart = map_chart(space, placed).to_dict(validate=False)
    dots = [row for row in rows(chart, "point") if "about" in row]
    found = np.array([(dot["x"], -dot["y"]) for dot in dots])
    own = placed.coordinates
    scale = (found[1] - found[0]) / (own[1] - own[0])
    assert scale[0] == pytest.approx(scale[1])
    np.testing.assert_allclose(found - found[0], (own - own[0]) * scale[0], atol=1e-6)
    rings = rows(chart, "line")
    for row, ellipse in enumerate(placed.ellipses()):
        ring = np.array([(each["x"], -each["y"]) for each in rings if each["task"] == row])
        off = (ring - found[row]) / scale[0]
        turn = np.radians(ellipse.angle_deg)
        along = off @ np.array([np.cos(turn), np.sin(turn)])
        across = off @ np.array([-np.sin(turn), np.cos(turn)])
        np.testing.assert_allclose((along / ellipse.radii[0]) ** 2 + (across / ellipse.radii[1]) ** 2, 1, atol=1e-6)
    assert set(space.names) <= set(texts(chart))
    numbered = map_chart(space, placed, numbers=range(1, 9)).to_dict(validate=False)
    assert {str(number) for number in range(1, 9)} <= set(texts(numbered))
    assert not set(space.names) & set(texts(numbered))
    assert numbered["width"] <= 400


def test_wide_ellipses_stay_in_the_picture(space):
    placed = replace(map_tasks(space.similarity), covariances=np.stack([25 * np.eye(2)] * 8), n_resamples=9)
    chart = map_chart(space, placed).to_dict(validate=False)
    bottom = chart["height"] - legend_height(group_looks(space.groups), chart["width"])
    assert all(0 < point["x"] < chart["width"] and 0 < point["y"] < bottom for point in rows(chart, "line"))


def test_reliability_is_sorted_and_has_its_level(space):
    chart = reliability_chart(space, least=0.2)
    panels = chart.to_dict(validate=False)["hconcat"]
    values = [row["value"] for row in panels[0]["layer"][2]["data"]["values"]]
    assert values == sorted((task.reliability.value for task in space.tasks), reverse=True)
    assert [panel["layer"][0]["data"]["values"] for panel in panels] == [[{"level": 0.2}], [{"level": 0.5}], [{"level": 0.0}]]
    best = max(space.tasks, key=lambda task: task.reliability.value)
    assert [panel["layer"][1]["data"]["values"][0]["low"] for panel in panels] == [
        each.low for each in (best.reliability, best.accuracy, best.margin)
    ]
    assert "hconcat" not in reliability_chart(space, alone=True).to_dict(validate=False)
    single = replace(space, tasks=(replace(space.tasks[0], reliability=replace(space.tasks[0].reliability, low=np.nan)), *space.tasks[1:]))
    assert "NaN" not in reliability_chart(single).to_json()


def test_depth_and_overlap_hold_the_means_of_their_pairs(space):
    means = {(row["kind"], row["place"]): row["value"] for row in rows(depth_chart(space), "point")}
    same = np.array([[a == b for a in space.groups] for b in space.groups])
    upper = np.triu(np.ones((8, 8), dtype=bool), 1)
    for place in range(3):
        assert means[WITHIN, place] == pytest.approx(space.part_similarity[place][same & upper].mean())
        assert means[BETWEEN, place] == pytest.approx(space.part_similarity[place][~same & upper].mean())
    points = rows(overlap_chart(space), "point")
    assert sorted((row["similarity"], row["share"], row["kind"] == WITHIN) for row in points) == sorted(
        zip(space.similarity[upper].tolist(), space.overlap[upper].tolist(), same[upper].tolist(), strict=True)
    )
    assert [row["share"] for row in rows(overlap_chart(space), "rule")] == [0.01, pytest.approx(0.3)]
    gone = space.part_similarity.copy()
    gone[1] = np.nan
    assert {row["place"] for row in rows(depth_chart(replace(space, part_similarity=gone)), "point")} == {0, 2}
    assert list(pair_kinds(made_space(groups=[None] * 4))) == list(pair_kinds(made_space(groups=list("aaaa")))) == [ALL]
    assert pair_kinds(made_space(groups=["a", "a", "b", None]))[BETWEEN].tolist() == [False, True, False, True, False, False]


def test_a_transfer_is_drawn_group_by_group_with_every_source_in_its_row():
    transfer = made_transfer()
    assert target_order(transfer) == [0, 2, 1, 3]
    for small in (False, True):
        chart = transfer_chart(transfer, "random", small=small).to_dict(validate=False)
        cells = [row for row in rows(chart, "rect") if "value" in row]
        by_row = [[cell["value"] for cell in cells if cell["y"] == y] for y in sorted({cell["y"] for cell in cells})]
        np.testing.assert_allclose(by_row, [[0.1, 0.05, -0.01, -0.01], [0.05, 0.1, -0.01, -0.01]], atol=1e-12)
        rims = rows(chart, "rect", filled=False)
        assert [(rim["x"] - rims[0]["x"]) / (rim["x2"] - rim["x"]) for rim in rims] == [0, 1]
    assert [text for text in texts(transfer_chart(transfer)) if text in transfer.targets] == ["one", "three"]
    ends = [
        transfer_chart(transfer, arm).to_dict(validate=False)["layer"][0]["encoding"]["color"]["scale"]["domain"][-1]
        for arm in transfer.arms
    ]
    assert ends == [1.0, 1.0]  # one scale for all


def test_the_line_and_the_points_of_predictions_and_prices():
    transfer = made_transfer()
    points = rows(prediction_chart(transfer), "point")
    assert len(points) == 2 * 2 * 4
    assert all(row["said"] == pytest.approx(2 * row["seen"]) for row in points)
    assert all(row["said"] == row["seen"] for row in rows(prediction_chart(transfer), "line"))
    prices = rows(price_chart(transfer), "point")
    assert [(row["arm"], round(row["gain"], 6), row["bits"]) for row in prices[:4]] == [
        ("differential", 1.0, 0.001),
        ("differential", 1.0, 0.002),
        ("random", 0.1, 0.003),
        ("random", 0.1, 0.004),
    ]
    assert [row["bits"] for row in prices[4:]] == pytest.approx([0.0015, 0.0035])


def test_groups_differ_in_shape_and_small_ones_share_a_look():
    groups = [f"g{row}" for row in range(14) for _ in range(3 if row < 12 else 1)] + [None]
    looks = group_looks(groups)
    assert looks.names == (*[f"g{row}" for row in range(12)], OTHERS, NONE)
    assert len(set(looks.shapes[:12])) == len(SHAPES)
    assert looks.of_task[-3:] == (OTHERS, OTHERS, NONE)
    assert looks.said[-3:] == ("g12", "g13", NONE)
    assert looks.has_groups
    assert legend_height(looks, 400.0) > legend_height(looks, 900.0) > 0
    assert legend_height(group_looks([None]), 400.0) == 0


def test_the_scale_of_shades_is_even_around_0():
    for values, end in (([0.3, -0.1], 0.5), ([-0.5], 0.5), ([1.3], 1.5), ([], 0.25), ([np.nan, 0.2], 0.25)):
        assert similarity_color(np.array(values, dtype=np.float64), "x").to_dict()["scale"]["domain"] == [-end, -end / 2, 0, end / 2, end]


def test_hostile_names_are_drawn_as_text_and_long_ones_stay_apart():
    names = [ATTACK, f"{ATTACK} 2", f"{LONG}_1", f"{LONG}_2", "😀" * 40, "\ud800\x07", "", "a\nb"]
    space = made_space(names, [ATTACK, ATTACK, "b", "b", "\x1b[2J", None, "", "b"])
    placed = map_tasks(space.similarity, resampled=space.resampled)
    for chart in (matrix_chart(space), map_chart(space, placed), reliability_chart(space, alone=True)):
        drawing = vl_convert.vegalite_to_svg(chart.to_json())
        assert "<script" not in drawing
        assert "<img" not in drawing
    assert len(set(task_names(names, 34))) == len(names)


@pytest.mark.parametrize(("width", "bounds"), [("400", (360, 448, False)), ("1000.5", (900, 1121, True))])
def test_a_figure_bounds_its_width(width, bounds, monkeypatch):
    monkeypatch.setattr(figures, "svg", lambda chart: f'<svg class="x" width="{width}" height="9"></svg>')
    found = figures.figure(None)
    assert (found.least, found.most, found.is_wide) == bounds
