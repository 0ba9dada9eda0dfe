"""The choice of layer and strength: linear effects are measured as such, and the budget stops what breaks the model."""

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.instruments import (
    GeneratedTextMetric,
    LabelWordOdds,
    SideEffectBudget,
    TargetTexts,
    choose_steering,
    frame_direction,
    random_direction,
)
from lexframe.verdicts import Worth
from tests.steerable_toy import steerable_toy

PROMPTS = ["one old cat", "the red sun", "two new", "moon dog"]
NEUTRAL = ["one red cat two blue dog", "old sun new moon"]
GENEROUS = SideEffectBudget(None, None, None, None)


@pytest.fixture(scope="module")
def toy():
    return steerable_toy()


@pytest.fixture(scope="module")
def direction(toy):
    return frame_direction(toy, ["good"], ["bad"], layers=[0, 1])


def choose(toy, direction, **options):
    return choose_steering(toy, direction, PROMPTS, **{"neutral_texts": NEUTRAL, "max_new_tokens": 3, **options})


def test_without_a_budget_the_strongest_wins_and_effects_are_linear(toy, direction):
    result = choose(toy, direction, strengths=[0.1, 0.2, 0.4], budget=GENEROUS)
    assert len(result.points) == 6
    assert result.strength == 0.4
    rows = dict(zip(toy.words, toy.unembedding(), strict=True))
    slope = float(direction.vectors[result.layer] @ (rows["good"] - rows["bad"]))
    for bound in (result.slope.value, result.slope.low, result.slope.high):
        assert np.isclose(bound, slope, rtol=1e-3)
    for point in result.points:
        assert np.isclose(point.effect.value, point.strength * (direction.vectors[point.layer] @ (rows["good"] - rows["bad"])), rtol=1e-3)
        assert point.anti_steered.value == 0
    assert result.chosen.fluency_ratio is not None
    assert result.chosen.effect.value == max(point.effect.value for point in result.points)


def test_side_effects_grow_with_the_strength_and_stop_it(toy, direction):
    points = [point for point in choose(toy, direction, budget=GENEROUS, strengths=[0.1, 0.2, 0.4, 8.0]).points if point.layer == 1]
    divergences = [point.divergence.value for point in points]
    assert divergences == sorted(divergences)
    limit = (divergences[1] + divergences[2]) / 2
    result = choose(toy, direction, layers=[1], strengths=[0.1, 0.2, 0.4, 8.0], budget=SideEffectBudget(limit, None, None, None))
    assert (result.layer, result.strength) == (1, 0.2)
    assert [point.strength for point in result.stopped] == [0.4, 8.0]
    assert {point.exceeds for point in result.stopped} == {("divergence",)}
    assert "2 stronger settings stopped by the budget" in result.summary()


def test_a_strength_that_breaks_generation_is_stopped(toy, direction):
    """At strength 20 the model writes one word again and again."""
    options = {"strengths": [20.0], "max_new_tokens": 6}
    result = choose(toy, direction, budget=SideEffectBudget(None, None, None, 0.8), **options)
    assert result.chosen is None
    assert result.slope is None
    assert all("distinct_ratio" in point.exceeds for point in result.points)
    assert "within the budget" in result.summary()
    with pytest.raises(InputError, match="smaller strengths"):
        result.layer  # noqa: B018
    fluency = choose(toy, direction, budget=SideEffectBudget(None, None, 1.0, None), **options)
    assert all("fluency_ratio" in point.exceeds for point in fluency.points)


def test_the_wrong_way_is_counted_and_never_chosen(toy, direction):
    result = choose(toy, -direction, metric=LabelWordOdds(("good",), ("bad",)), budget=GENEROUS)
    assert result.chosen is None
    assert all(point.anti_steered.value == 1 for point in result.points)


def test_chance_stands_beside_every_point(toy, direction):
    result = choose(toy, direction, n_controls=4, budget=GENEROUS, seed=3)
    for point in result.points:
        assert point.control_effects.shape == point.control_divergences.shape == (4,)
    assert "more than any of 4 random directions" in result.summary()
    chance = choose(toy, random_direction(direction, seed=9), metric=LabelWordOdds(("good",), ("bad",)), n_controls=20, budget=GENEROUS)
    assert chance.chosen is None or "Do not use this" in chance.summary()
    assert chance.verdict.worth is Worth.WORTHLESS
    assert chance.to_dict()["verdict"]["worth"] == "worthless"


def test_a_choice_names_its_metric_with_the_unit(toy, direction):
    result = choose(toy, direction, budget=GENEROUS, n_controls=4, seed=3)
    assert "moves the log-odds of 'good' over 'bad' as the next token (nats) by" in result.summary()
    assert result.verdict.worth is Worth.HOLDS
    own = choose(toy, direction, budget=GENEROUS, metric=GeneratedTextMetric(count_of_good, max_new_tokens=3), strengths=[4.0])
    assert "count_of_good of the texts written" in own.summary()


def count_of_good(texts):
    return [text.count("good") for text in texts]


@pytest.mark.parametrize(
    "metric",
    [TargetTexts(("good cat",), ("bad cat",)), GeneratedTextMetric(lambda texts: [text.count("good") for text in texts], max_new_tokens=3)],
)
def test_any_metric(toy, direction, metric):
    result = choose(toy, direction, metric=metric, budget=GENEROUS, strengths=[0.5, 4.0], n_controls=1)
    assert result.chosen.effect.value > 0


def test_the_same_seed_gives_the_same(toy, direction):
    first, second = (choose(toy, direction, seed=5).to_dict() for _ in range(2))
    assert first == second


def test_results_travel(toy, direction):
    result = choose(toy, direction)
    frame = result.to_frame()
    assert len(frame) == len(result.points)
    assert frame.chosen.sum() == 1
    document = result.to_dict()
    assert document["chosen"]["layer"] == result.layer
    assert document["provenance"]["parameters"]["metric"] == "log-odds of 'good' over 'bad' as the next token (nats)"
    assert "<table" in result._repr_html_()
    assert result.chart().to_dict()["hconcat"]


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        (PROMPTS[:1], {}, "no sample"),
        (PROMPTS, {"strengths": []}, "each above 0"),
        (PROMPTS, {"strengths": [0.1, -0.1]}, "negate the direction"),
        (PROMPTS, {"layers": []}, "layers is empty"),
        (PROMPTS, {"layers": [5]}, "does not exist"),
        (PROMPTS, {"neutral_texts": []}, "neutral_texts is empty"),
    ],
)
def test_what_cannot_be_measured_is_refused(toy, direction, prompts, options, message):
    with pytest.raises(InputError, match=message):
        choose_steering(toy, direction, prompts, **{"neutral_texts": NEUTRAL, **options})


def test_another_model_and_a_layer_that_is_not_there(toy, direction):
    with pytest.raises(FingerprintMismatch):
        choose(steerable_toy(seed=2), direction)
    with pytest.raises(InputError, match="no vector for layer 0"):
        choose(toy, frame_direction(toy, ["good"], ["bad"]), layers=[0])


def test_a_value_that_is_not_a_number_breaks_its_limit():
    assert SideEffectBudget().exceeded_by(fluency_ratio=float("nan"), distinct_ratio=0.9) == ("fluency_ratio",)
