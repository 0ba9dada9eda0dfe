"""Several spaces, on the tasks that all have, with stand-ins for spaces."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from lexframe.exceptions import InputError
from lexframe.files import json_text
from lexframe.intervals import Estimate
from lexframe.task_space.comparison import compare_task_spaces
from lexframe.task_space.reading.mantel import within_between

NAMES = tuple("abcdefgh")
GROUPS = ("x", "x", "x", "y", "y", "z", "z", None)


def symmetric(rng, *shape):
    matrix = rng.normal(size=shape)
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2


def made(rng, similarity, *, retest=0.6, names=NAMES, groups=GROUPS, n_resamples=25):
    """What a comparison reads of a space."""
    similarity = np.array(similarity)
    np.fill_diagonal(similarity, 1)
    return SimpleNamespace(
        names=tuple(names),
        groups=tuple(groups),
        tasks=tuple(SimpleNamespace(reliability=Estimate(0.1 * place, 0.0, 1.0)) for place in range(len(names))),
        similarity=similarity,
        resampled=(similarity + 0.1 * symmetric(rng, n_resamples, len(names), len(names))).astype(np.float32),
        retest=Estimate(retest, 0.0, 1.0),
    )


def taken(space, order):
    """The same space with other tasks, or in another order."""
    order = list(order)
    return SimpleNamespace(
        names=tuple(space.names[place] for place in order),
        groups=tuple(space.groups[place] for place in order),
        tasks=tuple(space.tasks[place] for place in order),
        similarity=space.similarity[np.ix_(order, order)],
        resampled=space.resampled[:, order][:, :, order],
        retest=space.retest,
    )


@pytest.fixture
def spaces(rng):
    first, last = symmetric(rng, 2, 8, 8)
    return {f"step {number}": made(rng, (1 - share) * first + share * last) for number, share in enumerate((0.0, 0.1, 0.9))}


def test_correlations_are_over_the_pairs_of_tasks(spaces):
    found = compare_task_spaces(spaces, n_resamples=50)
    one, other = (spaces[name].similarity[np.triu_indices(8, 1)] for name in ("step 0", "step 1"))
    pair = found.pairs[0]
    assert pair.rsa.value == pytest.approx(scipy.stats.spearmanr(one, other).statistic)
    assert pair.ceiling == pytest.approx(0.75)  # 2 * .6 / 1.6
    assert pair.corrected.value == pytest.approx(pair.rsa.value / 0.75)
    assert [(pair.first, pair.second) for pair in found.movement] == [("step 0", "step 1"), ("step 1", "step 2")]
    assert found.names == ("step 0", "step 1", "step 2")
    assert found.tasks == NAMES
    assert found.left_out == ()


def test_each_space_has_its_own_facts(spaces):
    found = compare_task_spaces(spaces, n_resamples=10, seed=4).spaces[2]
    space = spaces["step 2"]
    upper = np.triu_indices(8, 1)
    assert found.sharing.value == pytest.approx(space.similarity[upper].mean())
    means = [one[upper].mean() for one in space.resampled.astype(float)]
    np.testing.assert_allclose([found.sharing.low, found.sharing.high], np.percentile(means, [2.5, 97.5]), atol=1e-6)
    assert found.reliability == pytest.approx(0.35)
    assert found.retest == 0.6
    assert found.separation == within_between(space.similarity, GROUPS, seed=4)


def test_shared_tasks_are_found_by_name_in_any_order(rng, spaces):
    lacking = dict(spaces)
    lacking["step 1"] = taken(spaces["step 1"], [6, 5, 4, 3, 2, 1, 0])  # without h
    lacking["step 2"] = taken(spaces["step 2"], [1, 0, 7, 2, 3, 4, 5, 6])
    found = compare_task_spaces(lacking, n_resamples=20)
    plain = compare_task_spaces({name: taken(space, range(7)) for name, space in spaces.items()}, n_resamples=20)
    assert found.tasks == NAMES[:7]
    assert found.left_out == ("h",)
    assert found.to_dict() | {"left_out": [], "provenance": None} == plain.to_dict() | {"provenance": None}


def test_a_jump_is_the_largest_step(rng):
    names, groups = [f"t{number}" for number in range(20)], ["x"] * 10 + ["y"] * 10
    first, last = symmetric(rng, 2, 20, 20)
    shares = (0.0, 0.02, 0.95, 1.0)
    found = compare_task_spaces(
        {str(share): made(rng, (1 - share) * first + share * last, retest=0.95, names=names, groups=groups) for share in shares},
        n_resamples=10,
    )
    assert found.stages.steps[found.stages.largest] == ("0.02", "0.95")
    assert found.stages.p == pytest.approx(1 / 26)
    assert "The largest step, 0.02 to 0.95, is" in found.summary()


def test_two_spaces_have_no_stages_and_one_sentence(spaces):
    two = dict(list(spaces.items())[:2])
    found = compare_task_spaces(two, n_resamples=10)
    assert found.stages is None
    assert len(found.pairs) == 1
    assert found.summary().startswith("2 spaces over 8 shared tasks: step 0 and step 1 order pairs of tasks alike with a rank correlation")


def test_a_space_that_is_not_repeatable_is_named(spaces):
    spaces["step 1"].retest = Estimate(-0.1, -0.3, 0.1)
    found = compare_task_spaces(spaces, n_resamples=10)
    assert found.stages is None
    assert np.isnan(found.pairs[0].ceiling)
    assert np.isfinite(found.pairs[1].ceiling)
    assert "do not agree in step 1" in found.summary()


def test_resamples_that_lack_or_are_not_finite(spaces):
    spaces["step 0"].resampled[3, 0, 1] = np.nan
    assert compare_task_spaces(spaces, n_resamples=10).stages.n_resamples == 24
    spaces["step 1"].resampled = None
    found = compare_task_spaces(spaces, n_resamples=10)
    assert found.stages is None
    assert found.spaces[1].sharing.interval is None


@pytest.mark.parametrize("groups", [(None,) * 8, tuple("abcdefgh"), ("x",) * 8])
def test_without_groups_there_is_no_separation(rng, groups):
    two = {name: made(rng, symmetric(rng, 8, 8), groups=groups) for name in ("one", "two")}
    found = compare_task_spaces(two, n_resamples=10)
    assert [space.separation for space in found.spaces] == [None, None]
    assert "AUC" not in found.summary()
    assert found.spaces_frame()["auc"].isna().all()


def test_tables_chart_and_json(spaces):
    found = compare_task_spaces(spaces, n_resamples=20, seed=2)
    table = found.to_frame()
    assert list(table["is_step"]) == [True, False, True]
    assert table["rsa"][1] == found.pairs[1].rsa.value
    assert list(found.spaces_frame()["space"]) == ["step 0", "step 1", "step 2"]
    document = found.to_dict()
    assert json_text(document)
    assert document["provenance"]["seed"] == 2
    assert document["stages"]["p"] == found.stages.p
    chart = found.chart().to_dict()
    assert len(chart["layer"]) == 2
    cells = chart["data"]["values"]
    assert len(cells) == 6
    assert {cell["rsa"] for cell in cells} == {pair.rsa.value for pair in found.pairs}
    assert len(repr(found)) < 1500


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spaces: {"one": spaces["step 0"]}, "There is 1 space; expected 2"),
        (lambda spaces: spaces | {"few": taken(spaces["step 0"], [0, 2, 5])}, "share 3 tasks: a, c and f; expected 4 or more"),
        (
            lambda spaces: spaces | {"odd": SimpleNamespace(**vars(spaces["step 0"]) | {"groups": ("q", *GROUPS[1:])})},
            "'a' has the group 'x' in step 0 and 'q' in odd",
        ),
        (
            lambda spaces: spaces | {"odd": SimpleNamespace(**vars(spaces["step 0"]) | {"similarity": np.full((8, 8), np.nan)})},
            r"spaces\['odd'\]\.similarity has 64 cells that are not finite",
        ),
    ],
)
def test_what_cannot_be_compared(spaces, change, said):
    with pytest.raises(InputError, match=said) as caught:
        compare_task_spaces(change(spaces), n_resamples=10)
    assert caught.value.parameters == ("spaces",)
