"""At which layer to steer and how strongly: a grid on development prompts, the effect beside its side effects and beside chance."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import checked_texts, texts_in
from lexframe.exceptions import InputError
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.directions.direction_finding import random_direction
from lexframe.instruments.directions.neutral_texts import NEUTRAL_PROMPTS, NEUTRAL_TEXTS
from lexframe.instruments.directions.side_effects import NeutralReading, SideEffectBudget, continuation_log_loss, distinct_share
from lexframe.instruments.directions.steering import EffectMetric, LabelWordOdds, metric_name, steered
from lexframe.intervals import Estimate, mean_over_items, share_over_items
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Progress, SteerableSpace, resolve_layer
from lexframe.text_forms import counted
from lexframe.typing import ModelName, Texts
from lexframe.verdicts import Verdict, Worth, judged

if TYPE_CHECKING:
    import pandas

STRENGTHS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Strengths that are tried by default, as shares of the length of a typical state."""


@dataclass(frozen=True, slots=True, eq=False)
class SteeringPoint:
    """One layer and strength on the development prompts.

    Attributes
    ----------
    layer : int
    strength : float
    effect : Estimate
        Mean change of the metric, in its units.
    anti_steered : Estimate
        Share of prompts that moved the wrong way.
    divergence : Estimate
        Mean KL(unsteered ‖ steered) over neutral texts, in nats per token.
    perplexity_ratio : Estimate
        Perplexity of neutral texts, steered over unsteered.
    fluency_ratio : float or None
        Perplexity of steered over that of unsteered generations under the unsteered model; None where nothing was generated,
        because an earlier limit or a better strength decided.
    distinct_ratio : float or None
        Share of different word pairs in them, steered over unsteered.
    control_effects, control_divergences : ndarray of shape (n_controls,)
        The same effect and divergence for random directions of equal length.
    exceeds : tuple of str
        Limits of the budget that it breaks.
    item_effects : ndarray of shape (n_prompts,)
        The effect on each prompt.
    """

    layer: int
    strength: float
    effect: Estimate
    anti_steered: Estimate
    divergence: Estimate
    perplexity_ratio: Estimate
    fluency_ratio: float | None
    distinct_ratio: float | None
    control_effects: Float[np.ndarray, " n_controls"]
    control_divergences: Float[np.ndarray, " n_controls"]
    exceeds: tuple[str, ...]
    item_effects: Float[np.ndarray, " n_prompts"]

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        estimates = {name: getattr(self, name).to_dict() for name in ("effect", "anti_steered", "divergence", "perplexity_ratio")}
        return {
            "layer": self.layer,
            "strength": self.strength,
            **estimates,
            "fluency_ratio": self.fluency_ratio,
            "distinct_ratio": self.distinct_ratio,
            "control_effects": self.control_effects.tolist(),
            "control_divergences": self.control_divergences.tolist(),
            "exceeds": list(self.exceeds),
        }


@dataclass(frozen=True, slots=True, eq=False)
class SteeringChoice(Result):
    """A grid of layers and strengths, and the one to use.

    Attributes
    ----------
    points : tuple of SteeringPoint
        By layer, then strength.
    chosen : SteeringPoint or None
        The largest effect within the budget; None where no effect above zero is within it.
    slope : Estimate or None
        Effect per unit of strength at the chosen layer, over strengths up to the chosen one, by least squares through zero.
    budget : SideEffectBudget
    positive, negative : str
        The poles.
    n_prompts : int
        Development prompts; nothing is known of others.
    provenance : Provenance
    metric : str
        What the effect is of, with its unit.
    """

    points: tuple[SteeringPoint, ...]
    chosen: SteeringPoint | None
    slope: Estimate | None
    budget: SideEffectBudget
    positive: str
    negative: str
    n_prompts: int
    provenance: Provenance
    metric: str = "metric"

    @property
    def layer(self) -> int:
        """The chosen layer."""
        return self._found.layer

    @property
    def strength(self) -> float:
        """The chosen strength."""
        return self._found.strength

    @property
    def stopped(self) -> tuple[SteeringPoint, ...]:
        """Points whose effect is larger than the chosen one's, which the budget stopped."""
        floor = self.chosen.effect.value if self.chosen else 0.0
        return tuple(point for point in self.points if point.exceeds and point.effect.value > floor)

    @property
    def verdict(self) -> Verdict:
        """Whether the chosen setting does more than chance: its interval above the largest effect of a random direction."""
        if self.chosen is None:
            return Verdict(
                Worth.WORTHLESS, f"No layer and strength moves the model from {self.negative} to {self.positive} within the budget."
            )
        effect, largest = self.chosen.effect, float(np.abs(self.chosen.control_effects).max(initial=0.0))
        n_controls = counted(len(self.chosen.control_effects), "random direction")
        return judged(
            Estimate(effect.value - largest, effect.low - largest, effect.high - largest),
            f"The effect is {effect}, and {n_controls} of the same length {'has' if n_controls.startswith('1 ') else 'have'} "
            f"at most {largest:.2f} either way.",
        )

    def summary(self) -> str:
        """What was found, in two or three sentences."""
        stopped = f" {counted(len(self.stopped), 'stronger setting')} stopped by the budget." if self.stopped else ""
        if self.chosen is None:
            return f"{self.verdict}{stopped} Try smaller strengths, another method or pooling, more examples, or a wider budget."
        point, largest = self.chosen, float(np.abs(self.chosen.control_effects).max(initial=0.0))
        chance = (
            f"more than any of {len(point.control_effects)} random directions of the same length (at most {largest:.2f} either way)"
            if point.effect.value > largest
            else f"no more than a random direction of the same length can do ({largest:.2f})"
        )
        return (
            f"Layer {point.layer} at strength {point.strength:g} moves the {self.metric} by {point.effect}, {chance}. It moves "
            f"{point.anti_steered.value:.0%} of the prompts the wrong way and costs {point.divergence.value:.2f} nats per token on neutral "
            f"texts.{stopped}{'' if self.verdict.worth is Worth.HOLDS else f' {self.verdict}'}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; intervals as [low, high]."""
        return {
            "summary": self.summary(),
            "metric": self.metric,
            "verdict": self.verdict.to_dict(),
            "chosen": self.chosen.to_dict() if self.chosen else None,
            "slope": self.slope.to_dict() if self.slope else None,
            "budget": asdict(self.budget),
            "poles": [self.positive, self.negative],
            "n_prompts": self.n_prompts,
            "points": [point.to_dict() for point in self.points],
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A pandas row a point."""
        import pandas as pd

        return pd.DataFrame([_row(point) | {"chosen": point is self.chosen} for point in self.points])

    def chart(self) -> Any:
        """Effect against strength and against its cost, as an Altair chart."""
        from lexframe.instruments.directions.charts import steering_chart

        return steering_chart(self)

    @property
    def _found(self) -> SteeringPoint:
        if self.chosen is None:
            raise InputError(self.summary())
        return self.chosen


def choose_steering(
    space: SteerableSpace | ModelName,
    direction: Direction,
    prompts: Texts = NEUTRAL_PROMPTS,
    *,
    metric: EffectMetric | None = None,
    layers: Sequence[int] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    budget: SideEffectBudget | None = None,
    neutral_texts: Texts = NEUTRAL_TEXTS,
    n_controls: int = 3,
    max_new_tokens: int = 24,
    temperature: float = 0.8,
    seed: int = 0,
    progress: Progress = iter,
) -> SteeringChoice:
    """Choose the layer and the strength with the largest effect whose side effects stay within a budget.

    Every layer and strength is scored on next tokens; then texts are generated from the best on, until one is fluent enough.

    Parameters
    ----------
    space : SteerableSpace or str
        With an output head; its template stands around the prompts, and not around the neutral texts.
    direction : Direction
    prompts : sequence of str
        Development prompts, two or more. Judge what was chosen on others.
    metric : callable, optional
        See :mod:`lexframe.instruments.directions.steering`. Default: the log-odds of the names of the poles as the next token.
    layers : sequence of int, optional
        0 is the embedding output, k the output of block k, -1 the last state. Default: all that the direction has.
    strengths : sequence of float
        Above zero; shares of the length of a typical state.
    budget : SideEffectBudget, optional
        Default: that of ``SideEffectBudget()``.
    neutral_texts : sequence of str
        Texts that steering should leave alone.
    n_controls : int
        Random directions of equal length that are measured beside every point.
    max_new_tokens, temperature : int, float
        Of the texts whose fluency is judged.
    seed : int
        Of random directions, draws and intervals.
    progress : callable
        Wraps the iteration over layers and strengths.

    Returns
    -------
    SteeringChoice

    Raises
    ------
    FingerprintMismatch
        If the direction is of another model.
    InputError
        If there are fewer than two prompts, no strength, one that is not above zero, or the direction lacks a layer.
    """
    space = SteerableSpace.of(space)
    prompts, neutral_texts = texts_in(prompts, what="prompts"), checked_texts(neutral_texts, what="neutral_texts")
    direction.require(space.fingerprint)
    if len(prompts) < 2:
        raise InputError(f"{len(prompts)} prompt is no sample to choose on. Give two or more, or leave them out to use neutral beginnings.")
    if not len(strengths) or min(strengths) <= 0 or not np.isfinite(strengths).all():
        raise InputError(
            f"strengths are {list(strengths)}; expected one or more, each above 0. To steer the other way, negate the direction."
        )
    chosen_layers = sorted({resolve_layer(layer, space.n_layers) for layer in (direction.layers if layers is None else layers)})
    if not chosen_layers:
        raise InputError("layers is empty; name one or more that the direction has, or leave it out for all.")
    for layer in chosen_layers:
        direction.vector(layer)  # refuses what it lacks before anything is measured
    metric, budget = metric or LabelWordOdds(_words(direction.positive), _words(direction.negative)), budget or SideEffectBudget()
    trial = _Trial(space, metric, prompts, NeutralReading(space, neutral_texts), seed)
    controls = [random_direction(direction, seed=seed + 1 + number) for number in range(n_controls)]
    grid = [(layer, float(strength)) for layer in chosen_layers for strength in sorted(set(strengths))]
    points = [trial.point(direction, controls, layer, strength, budget) for layer, strength in progress(grid)]
    points, chosen = _with_fluency(points, _Writing(space, direction, prompts, max_new_tokens, temperature, seed), budget)
    parameters = {
        "direction": direction.to_dict(),
        "metric": metric_name(metric),
        "strengths": [float(strength) for strength in strengths],
        "n_controls": n_controls,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
    }
    return SteeringChoice(
        points=tuple(points),
        chosen=chosen,
        slope=_slope([point for point in points if chosen and point.layer == chosen.layer and point.strength <= chosen.strength], seed),
        budget=budget,
        positive=direction.positive,
        negative=direction.negative,
        n_prompts=len(prompts),
        provenance=Provenance(space=space.fingerprint, seed=seed, parameters=parameters),
        metric=metric_name(metric),
    )


class _Trial:
    """Prompts and neutral texts as the unsteered model takes them, against which every setting is measured."""

    def __init__(self, space: SteerableSpace, metric: EffectMetric, prompts: list[str], neutral: NeutralReading, seed: int):
        self.space, self.metric, self.prompts, self.neutral, self.seed = space, metric, prompts, neutral, seed
        self.before = metric(space, prompts)

    def measured(self, direction: Direction, layer: int, strength: float) -> tuple[np.ndarray, Any]:
        with steered(self.space, direction, layer=layer, strength=strength):
            return self.metric(self.space, self.prompts) - self.before, self.neutral.compared()

    def point(
        self, direction: Direction, controls: Sequence[Direction], layer: int, strength: float, budget: SideEffectBudget
    ) -> SteeringPoint:
        effects, neutral = self.measured(direction, layer, strength)
        chance = [self.measured(control, layer, strength) for control in controls]
        ratio = mean_over_items(neutral.log_loss_change, seed=self.seed).mapped(np.exp)
        divergence = mean_over_items(neutral.divergence, seed=self.seed)
        return SteeringPoint(
            layer=layer,
            strength=strength,
            effect=mean_over_items(effects, seed=self.seed),
            anti_steered=share_over_items((effects < 0).astype(float), seed=self.seed),
            divergence=divergence,
            perplexity_ratio=ratio,
            fluency_ratio=None,
            distinct_ratio=None,
            control_effects=np.array([control.mean() for control, _ in chance]),
            control_divergences=np.array([found.divergence.mean() for _, found in chance]),
            exceeds=budget.exceeded_by(divergence=divergence.value, perplexity_ratio=ratio.value),
            item_effects=effects,
        )


class _Writing:
    """Steered generations beside unsteered ones."""

    def __init__(self, space: SteerableSpace, direction: Direction, prompts: list[str], max_new_tokens: int, temperature: float, seed: int):
        self.space, self.direction, self.prompts = space, direction, prompts
        self.write: Callable[[], list[str]] = lambda: space.generate(
            prompts, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed
        )
        self.before = self._measured(self.write())

    def _measured(self, texts: list[str]) -> tuple[float, float]:
        losses = continuation_log_loss(self.space, self.prompts, texts)
        written = losses[np.isfinite(losses)]
        return float(written.mean()) if len(written) else float("nan"), distinct_share(texts)

    def ratios(self, layer: int, strength: float) -> tuple[float, float]:
        """Perplexity and distinctness, steered over unsteered; not a number where nothing was written."""
        with steered(self.space, self.direction, layer=layer, strength=strength):
            texts = self.write()
        loss, distinct = self._measured(texts)
        return float(np.exp(loss - self.before[0])), distinct / self.before[1]


def _with_fluency(
    points: list[SteeringPoint], writing: _Writing, budget: SideEffectBudget
) -> tuple[list[SteeringPoint], SteeringPoint | None]:
    """Points by layer and strength, with generations judged from the largest effect down to the first that is fluent enough."""
    order = [number for number in np.argsort([-point.effect.value for point in points], kind="stable") if not points[number].exceeds]
    for number in order:
        if points[number].effect.value <= 0:
            break
        fluency, distinct = writing.ratios(points[number].layer, points[number].strength)
        exceeds = budget.exceeded_by(fluency_ratio=fluency, distinct_ratio=distinct)
        points[number] = replace(points[number], fluency_ratio=fluency, distinct_ratio=distinct, exceeds=exceeds)
        if not exceeds:
            return points, points[number]
    return points, None


def _slope(points: list[SteeringPoint], seed: int) -> Estimate | None:
    if not points:
        return None
    strengths = np.array([point.strength for point in points])
    return mean_over_items(strengths @ np.stack([point.item_effects for point in points]) / (strengths @ strengths), seed=seed)


def _words(pole: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in pole.split(",") if word.strip())


def _row(point: SteeringPoint) -> dict[str, Any]:
    return {
        "layer": point.layer,
        "strength": point.strength,
        "effect": point.effect.value,
        "effect_low": point.effect.low,
        "effect_high": point.effect.high,
        "control_effect": float(np.abs(point.control_effects).max(initial=0.0)),
        "anti_steered": point.anti_steered.value,
        "divergence": point.divergence.value,
        "control_divergence": float(point.control_divergences.mean()) if len(point.control_divergences) else 0.0,
        "perplexity_ratio": point.perplexity_ratio.value,
        "fluency_ratio": point.fluency_ratio,
        "distinct_ratio": point.distinct_ratio,
        "exceeds": ", ".join(point.exceeds),
    }
