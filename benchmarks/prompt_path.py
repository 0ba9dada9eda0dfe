"""Is a prompt a path? Curvature, regions of prompt families, transport between layers and the selection claim, each with its controls.

    python benchmarks/prompt_path.py [--quick] [--model embedded] [--seeds 3]

The untrained twin has the same configuration and tokenizer and random weights, other ones for every seed. Texts are those of AG News
(topics) and TREC (kinds of questions); every seed draws other texts. Intervals are 95% over texts; where a number belongs to a seed they
span the seeds.
"""

import argparse
import sys
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from transformers import AutoModelForCausalLM

from common import SHARED, Claim, finish
from lexframe.data import read_table
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.instruments.traces.trace import token_curvature_deg
from lexframe.intervals import mean_over_items
from lexframe.spaces import LanguageModelSpace
from lexframe.studies.selection import CONTINUATIONS, LabeledTexts, SelectionSize, measure_selection
from lexframe.studies.selection_result import MEASURES
from lexframe.studies.state_parts import LastStates, fit_state_parts, last_states
from lexframe.studies.subspace import SubspaceComparison, compare_families, principal_axes, words_in_subspace
from lexframe.studies.transport import paired_map, singular_axes, study_transport
from lexframe.studies.truncation import truncation_cost

CUTS = (64, 128)
N_AXES = 8
MAX_WORDS = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, fewer texts and permutations: under a minute")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(1 if options.quick else options.seeds)
    size = 0.25 if options.quick else 1.0
    trained = LanguageModelSpace(options.model)
    claims: list[Claim] = []
    for part in (curvature, regions, transport, selection):
        start = time.perf_counter()
        claims += part(trained, seeds, size)
        print(f"{part.__name__}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    finish(claims, keep_as=None if options.quick else "prompt_path")


def untrained(space: LanguageModelSpace, seed: int) -> LanguageModelSpace:
    """The same shape with random weights."""
    torch.manual_seed(seed)
    return LanguageModelSpace(AutoModelForCausalLM.from_config(space.model.config, dtype=torch.float32).eval(), tokenizer=space.tokenizer)


def drawn(name: str, n: int, seed: int, *, part: str = "train") -> dict[str, list[str]]:
    """Texts of every class of a set, at most `n` each, of at least six words."""
    table = read_table(SHARED / "data" / name / f"{part}.jsonl.gz", label="label")
    rng = np.random.default_rng(seed)
    found: dict[str, list[str]] = {label: [] for label in sorted(set(table.labels or ()))}
    for i in rng.permutation(len(table.texts)):
        listed = found[table.labels[i]]
        if len(listed) < n and len(table.texts[i].split()) >= 6:
            listed.append(" ".join(table.texts[i].split()[:MAX_WORDS]))
    return found


def shuffled(texts: list[str], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.permutation(text.split()).tolist()) for text in texts]


def curvature(space: LanguageModelSpace, seeds: range, size: float) -> list[Claim]:
    """Turning angle along the tokens, by layer: a mean a text, intervals over texts of all seeds."""
    rows: dict[str, list[np.ndarray]] = {"trained": [], "untrained": [], "trained, shuffled words": []}
    for seed in seeds:
        texts = [text for listed in drawn("agnews", max(12, int(16 * size)), seed).values() for text in listed]
        models = {"trained": (space, texts), "untrained": (untrained(space, seed), texts)}
        for name, (model, read) in {**models, "trained, shuffled words": (space, shuffled(texts, seed))}.items():
            rows[name] += [token_curvature_deg(each.states) for each in _in_blocks(model, read)]
    tables = {name: np.stack(listed) for name, listed in rows.items()}
    print(pd.DataFrame({name: table.mean(axis=0).round(1) for name, table in tables.items()}).rename_axis("layer"))
    middle = space.n_layers // 2
    own = tables["trained"]
    falls = own[:, 1] - own[:, middle]
    claims = [_claim(f"curvature at layer 1 less layer {middle}, degrees, trained", falls, "> 0: the path straightens")]
    twin = tables["untrained"][:, 1] - tables["untrained"][:, middle]
    claims.append(_claim("the same, untrained", twin, "> 0 would mean that it needs no training"))
    claims.append(_claim("the same, trained less untrained", falls - twin, "> 0: training straightens"))
    for layer in (middle, space.n_layers - 1):
        claims.append(
            _claim(
                f"curvature at layer {layer}, shuffled words less as written, degrees",
                tables["trained, shuffled words"][:, layer] - own[:, layer],
                "> 0: real order is straighter",
            )
        )
    return claims


def _in_blocks(space: LanguageModelSpace, texts: list[str]) -> list:
    return [each for start in range(0, len(texts), 40) for each in space.token_states_of(texts[start : start + 40])]


def _claim(name: str, values: np.ndarray, goal: str) -> Claim:
    """Holds if the whole interval lies above 0."""
    found = mean_over_items(np.asarray(values, dtype=np.float64))
    return Claim(name, found.value, (found.low, found.high), goal, found.low > 0)


def regions(space: LanguageModelSpace, seeds: range, size: float) -> list[Claim]:
    """Overlap of families against ceiling, null and chance, with and without nuisance, trained and untrained."""
    claims = []
    layers = (1, space.n_layers // 2, space.n_layers)
    n = max(40, int(100 * size))
    for name in ("agnews", "trec"):
        gaps: dict[str, np.ndarray] = {}
        found: dict[str, list[SubspaceComparison]] = {}
        for seed in seeds:
            # The smallest class of TREC has too few texts for halves.
            families = {label: texts for label, texts in drawn(name, n, seed).items() if len(texts) == n}
            for model_name, model in {"trained": space, "untrained": untrained(space, seed)}.items():
                for kind, states in _families(model, families, layers).items():
                    if (model_name, kind) == ("untrained", "as they are"):
                        continue
                    # One rank for all: overlaps of a trained and an untrained model are comparable only at the same.
                    result = compare_families(states, layers, n_axes=N_AXES, n_permutations=79, seed=seed)
                    found.setdefault(f"{model_name}, {kind}", []).append(result)
        for key, results in found.items():
            print(f"\n{name}, {key}\n{pd.concat([each.to_frame() for each in results]).groupby('layer').mean().round(3)}", flush=True)
            gap = gaps[key] = np.mean([each.ceiling - each.between for each in results], axis=1)  # a number a seed: mean over the layers
            share = float(np.mean([each.p_holm < 0.05 for each in results]))
            low, high = float(gap.min()), float(gap.max())
            claims.append(
                Claim(
                    f"{name}, {key}: overlap of halves of one family less of two, mean over layers",
                    float(gap.mean()),
                    (low, high),
                    "> 0",
                    low > 0,
                )
            )
            claims.append(
                Claim(
                    f"{name}, {key}: share of layers and seeds with p < 0.05 (Holm)",
                    share,
                    None,
                    "1 if families differ everywhere",
                    share == 1,
                )
            )
        more = gaps["trained, without position"] - gaps["untrained, without position"]
        claims.append(
            Claim(
                f"{name}, without position: that difference, trained less untrained",
                float(more.mean()),
                (float(more.min()), float(more.max())),
                "> 0: training sets families apart",
                bool(more.min() > 0),
            )
        )
    return [*claims, _held_words(space, size)]


def _families(space: LanguageModelSpace, families: dict[str, list[str]], layers: tuple[int, ...]) -> dict[str, dict[str, np.ndarray]]:
    """States of every family as they are, and after the global and position means are taken off."""
    every = [text for texts in families.values() for text in texts]
    parts, found = fit_state_parts(space, every, layers=layers)
    ends = np.cumsum([len(texts) for texts in families.values()])[:-1]
    tables = {"as they are": found.states.astype(np.float64), "without position": parts.residuals(found)}
    return {kind: dict(zip(families, np.split(table, ends, axis=1), strict=True)) for kind, table in tables.items()}


def _held_words(space: LanguageModelSpace, size: float) -> Claim:
    """Words whose bases lie in the last layer's subspace of one topic; counts those beyond a random subspace."""
    families = {topic: [text + CONTINUATIONS[0] for text in texts] for topic, texts in drawn("agnews", int(200 * size), 0).items()}
    states = _families(space, families, (space.n_layers,))["without position"]
    frame, counts = VocabularyFrame(space, center=True), []
    for topic, table in states.items():
        held = words_in_subspace(principal_axes(table[0], N_AXES, center=False), frame, n_top=200)
        counts.append(sum(word.p_value < 0.05 for word in held))
        print(f"{topic}: {', '.join(f'{word.token.strip()} {word.share:.2f}' for word in held[:10])}; {counts[-1]} of 200 beyond chance")
    return Claim("words a topic's subspace holds beyond a random one, at most 200", float(np.mean(counts)), None, "> 0", min(counts) > 0)


def transport(space: LanguageModelSpace, seeds: range, size: float) -> list[Claim]:
    """Held-out errors of the maps, growth of the residual variance, and what cutting to K directions costs."""
    layers = tuple(range(1, space.n_layers + 1))
    claims, tables, rates, costs, fitted_errors = [], [], [], [], []
    for seed in seeds:
        # Of texts cut at a word the last token is any word, as in the paper, not the full stop.
        texts = [" ".join(text.split()[:16]) for listed in drawn("agnews", int(200 * size), seed).values() for text in listed]
        texts = [texts[i] for i in np.random.default_rng(seed).permutation(len(texts))]
        found = last_states(space, texts, layers=layers)
        for name, states in {"trained": found, "untrained": last_states(untrained(space, seed), texts, layers=layers)}.items():
            study = study_transport(states.states, layers, growth_until=space.n_layers - 1, every_pair=False, seed=seed)
            tables.append(pd.DataFrame(study.one_step, index=list(layers[1:])).rename_axis("into").assign(model=name, seed=seed))
            if name == "trained":
                rates.append({key: (fit.rate.value, fit.rate.low, fit.rate.high, fit.r_squared) for key, fit in study.growth.items()})
        fitted_errors.append(np.mean([_error_on_own(start, end) for start, end in pairwise(found.states[:-1].astype(np.float64))]))
        n_fit = len(texts) * 3 // 4
        cut = [layer for layer in layers if layer < space.n_layers]
        fitted = LastStates(tuple(cut), found.states[: len(cut), :n_fit], found.positions[:n_fit])
        costs.append(truncation_cost(space, texts[n_fit:][:100], singular_axes(fitted.states), cut, CUTS if size == 1 else CUTS[-1:]))
    table = pd.concat(tables)
    print(table.groupby(["model", "into"]).mean(numeric_only=True).drop(columns="seed").round(4), flush=True)
    for model in ("trained", "untrained"):
        part = table[table.model == model]
        means = part[part.index < space.n_layers].groupby("seed")[["ridge", "paired", "identity"]].mean()
        for other in ("paired", "identity"):
            ratio = (means.ridge / means[other]).to_numpy()
            claims.append(
                Claim(
                    f"held-out error of ridge over {other}, {model}, inner layers",
                    ratio.mean(),
                    (ratio.min(), ratio.max()),
                    "< 1",
                    bool(ratio.max() < 1),
                )
            )
        lead = means.paired.to_numpy()
        claims.append(
            Claim(
                f"held-out error of the paired map over the layer mean's, {model}, inner layers",
                lead.mean(),
                (lead.min(), lead.max()),
                "< 1: better than no map",
                bool(lead.max() < 1),
            )
        )
    own = np.array(fitted_errors)
    claims.append(
        Claim(
            "error of the paired map over the layer mean's on the very prompts it was fitted on, trained, inner layers",
            own.mean(),
            (own.min(), own.max()),
            "< 1",
            bool(own.max() < 1),
        )
    )
    for key in ("ridge", "paired"):
        values = np.array([each[key] for each in rates])
        rate, low, high, fit = values.mean(axis=0)
        claims.append(Claim(f"growth of ln residual variance a layer, {key}; r squared {fit:.2f}", rate, (low, high), "> 0", bool(low > 0)))
    for row, k in enumerate(costs[0].n_axes):
        share = np.array([each.divergence[row].mean() / each.unrelated.mean() for each in costs])
        claims.append(
            Claim(
                f"KL of last tokens cut to {k} directions after every block, over KL of unrelated prompts",
                share.mean(),
                (share.min(), share.max()),
                "< 0.1 at a quarter of the directions, as in the paper",
                bool(share.max() < 0.1),
            )
        )
    return claims


def _error_on_own(start: np.ndarray, end: np.ndarray) -> float:
    """Of the paired map on the prompts that gave it, over that of the mean."""
    return float(((end - paired_map(start, end)(start)) ** 2).mean() / ((end - end.mean(axis=0)) ** 2).mean())


def selection(space: LanguageModelSpace, seeds: range, size: float) -> list[Claim]:
    """The selection claim with its controls; intervals over prompts within a seed, averaged, and the worst seed decides."""
    studies = []
    for seed in seeds:
        train, test = drawn("agnews", 1000, seed), drawn("agnews", max(12, int(24 * size)), seed, part="test")
        pairs = [[(text, label) for label, texts in part.items() for text in texts] for part in (train, test)]
        train, asked = (tuple(zip(*part, strict=True)) for part in pairs)
        studies.append(
            measure_selection(
                space,
                LabeledTexts(*train),
                LabeledTexts(*asked),
                controls={"untrained": untrained(space, seed)},
                size=SelectionSize(n_axes=N_AXES, max_words=MAX_WORDS, max_read=max(40, int(80 * size))),
                seed=seed,
            )
        )
    means = pd.concat([each.to_frame() for each in studies]).groupby(["measure", "condition"], sort=False).mean()
    print(means.round(4).to_string(), flush=True)
    claims = []
    for measure in MEASURES:
        for condition in ("prompt", "shuffled", "untrained prompt"):
            claims.append(_over([each.score(condition, measure).selection for each in studies], f"selection, {measure}, {condition}"))
        for control in ("shuffled", "untrained prompt"):
            claims.append(_over([each.margins[measure][control] for each in studies], f"selection, {measure}, prompt less {control}"))
    return claims


def _over(estimates: list, name: str) -> Claim:
    """Mean over seeds; the interval from the lowest bound to the highest."""
    low, high = min(each.low for each in estimates), max(each.high for each in estimates)
    return Claim(name, float(np.mean([each.value for each in estimates])), (low, high), "> 0", low > 0)


if __name__ == "__main__":
    main()
