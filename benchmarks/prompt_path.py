"""Is a prompt a path? Curvature, regions of prompt families, transport between layers and the selection claim, each with its controls.

    python benchmarks/prompt_path.py [--quick] [--model smollm2] [--seeds 3] [--size 0.25] [--parts curvature,regions,transport,selection]

The untrained twin has the same configuration and tokenizer and random weights, other ones for every seed. Texts are those of AG News
(topics) and TREC (kinds of questions); every seed draws other texts. Intervals are 95% over texts, or over seeds where a number belongs
to a seed. A real model is read in bfloat16 where that is faster here, and as a rule with fewer texts (`--size`); a run of some parts
is written beside the others.
"""

import argparse
import sys
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from transformers import AutoModelForCausalLM

from common import SHARED, Claim, Control, Figure, Goal, Statement, default_model, finish, judged, named_after, on_others
from lexframe.data import read_table
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.instruments.traces.trace import token_curvature_deg
from lexframe.intervals import Estimate, mean_over_sets, t_interval
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.precision import fastest_precision
from lexframe.studies.selection import CONTINUATIONS, LabeledTexts, SelectionSize, measure_selection
from lexframe.studies.selection_result import MEASURES
from lexframe.studies.state_parts import LastStates, fit_state_parts, last_states
from lexframe.studies.subspace import SubspaceComparison, compare_families, principal_axes, words_in_subspace
from lexframe.studies.transport import paired_map, singular_axes, study_transport
from lexframe.studies.truncation import truncation_cost

PARTS = "curvature,regions,transport,selection"
N_AXES = 8
MAX_WORDS = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, fewer texts and permutations: under a minute")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=float, help="share of the texts; default: all with the embedded model, else a quarter")
    parser.add_argument("--parts", default=PARTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(1 if options.quick else options.seeds)
    small = options.model == "embedded"
    size = 0.25 if options.quick else options.size or (1.0 if small else 0.25)
    trained = LanguageModelSpace(options.model, dtype="float32" if small else fastest_precision())
    claims: list[Statement] = []
    for part in (globals()[name] for name in options.parts.split(",")):
        start = time.perf_counter()
        claims += part(trained, seeds, size)
        print(f"{part.__name__}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    finish(claims, keep_as=None if options.quick else named_after("prompt_path", options.model), beside=options.parts != PARTS)


def untrained(space: LanguageModelSpace, seed: int) -> LanguageModelSpace:
    """The same shape with random weights."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(space.model.config, dtype=torch.float32).eval()
    return LanguageModelSpace(model.to(next(space.model.parameters()).dtype), tokenizer=space.tokenizer)


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


def curvature(space: LanguageModelSpace, seeds: range, size: float) -> list[Statement]:
    """Turning angle along the tokens, by layer: a mean a text; over texts of all seeds, and over seeds where weights are drawn too."""
    seed_of: list[int] = []
    rows: dict[str, list[np.ndarray]] = {"trained": [], "untrained": [], "trained, shuffled words": []}
    for seed in seeds:
        texts = [text for listed in drawn("agnews", max(12, int(16 * size)), seed).values() for text in listed]
        seed_of += [seed] * len(texts)
        models = {"trained": (space, texts), "untrained": (untrained(space, seed), texts)}
        for name, (model, read) in {**models, "trained, shuffled words": (space, shuffled(texts, seed))}.items():
            rows[name] += [token_curvature_deg(each.states) for each in _in_blocks(model, read)]
    tables = {name: np.stack(listed) for name, listed in rows.items()}
    print(pd.DataFrame({name: table.mean(axis=0).round(1) for name, table in tables.items()}).rename_axis("layer"))
    middle = space.n_layers // 2
    own = tables["trained"]
    falls = own[:, 1] - own[:, middle]
    twin = tables["untrained"][:, 1] - tables["untrained"][:, middle]
    mixed = tables["trained, shuffled words"]
    of_twin = mean_over_sets(twin, seed_of, unit="seeds")
    title = f"curvature at layer 1 less layer {middle}, degrees, trained"
    claims: list[Statement] = [
        *judged(title, t_interval(falls, unit="texts"), Goal(above=0), Control("the same, untrained", of_twin)),
        Figure("the same, untrained", of_twin),
        *judged(
            "the same, trained less untrained",
            mean_over_sets(falls - twin, seed_of, unit="seeds"),
            Goal(above=0),
            Control("shuffled words less untrained", mean_over_sets(mixed[:, 1] - mixed[:, middle] - twin, seed_of, unit="seeds")),
        ),
    ]
    for layer in (middle, space.n_layers - 1):
        claims += judged(
            f"curvature at layer {layer}, shuffled words less as written, degrees",
            t_interval(mixed[:, layer] - own[:, layer], unit="texts"),
            Goal(above=0),
            Control("as written less other texts as written", on_others(own[:, layer], unit="texts").value),
        )
    return claims


def _in_blocks(space: LanguageModelSpace, texts: list[str]) -> list:
    return [each for start in range(0, len(texts), 40) for each in space.token_states_of(texts[start : start + 40])]


def regions(space: LanguageModelSpace, seeds: range, size: float) -> list[Statement]:
    """Overlap of families against ceiling, null and chance, with and without nuisance, trained and untrained."""
    claims: list[Statement] = []
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
            at_random = [float(each.gap_null.mean()) for each in results]  # the middle of both quantiles
            claims += judged(
                f"{name}, {key}: overlap of halves of one family less of two, mean over layers",
                t_interval(gap, unit="seeds"),
                Goal(above=0),
                Control("families drawn at random", t_interval(at_random, unit="seeds")),
            )
            claims.append(Figure(f"{name}, {key}: share of layers and seeds with p < 0.05 (Holm)", share))
        more = gaps["trained, without position"] - gaps["untrained, without position"]
        title = f"{name}, without position: that difference, trained less untrained"
        control = Control("untrained less itself, other weights", on_others(gaps["untrained, without position"]).value)
        claims += judged(title, t_interval(more, unit="seeds"), Goal(above=0), control)
    return [*claims, *_held_words(space, size)]


def _families(space: LanguageModelSpace, families: dict[str, list[str]], layers: tuple[int, ...]) -> dict[str, dict[str, np.ndarray]]:
    """States of every family as they are, and after the global and position means are taken off."""
    every = [text for texts in families.values() for text in texts]
    parts, found = fit_state_parts(space, every, layers=layers)
    ends = np.cumsum([len(texts) for texts in families.values()])[:-1]
    tables = {"as they are": found.states.astype(np.float64), "without position": parts.residuals(found)}
    return {kind: dict(zip(families, np.split(table, ends, axis=1), strict=True)) for kind, table in tables.items()}


def _held_words(space: LanguageModelSpace, size: float) -> list[Claim]:
    """Words whose bases lie in the last layer's subspace of one topic; counts those beyond a random subspace."""
    families = {topic: [text + CONTINUATIONS[0] for text in texts] for topic, texts in drawn("agnews", int(200 * size), 0).items()}
    states = _families(space, families, (space.n_layers,))["without position"]
    frame, counts, at_random = VocabularyFrame(space, center=True), [], []
    rng = np.random.default_rng(0)
    for topic, table in states.items():
        held = words_in_subspace(principal_axes(table[0], N_AXES, center=False), frame, n_top=200)
        counts.append(float(sum(word.p_value < 0.05 for word in held)))
        axes = np.linalg.qr(rng.normal(size=(table.shape[2], N_AXES)))[0]
        at_random.append(float(sum(word.p_value < 0.05 for word in words_in_subspace(axes, frame, n_top=200))))
        print(f"{topic}: {', '.join(f'{word.token.strip()} {word.share:.2f}' for word in held[:10])}; {counts[-1]} of 200 beyond chance")
    title = "words a topic's subspace holds beyond a random one, at most 200"
    control = Control("a random subspace", t_interval(at_random, unit="topics"))
    return judged(title, t_interval(counts, unit="topics"), Goal(above=0), control)


def transport(space: LanguageModelSpace, seeds: range, size: float) -> list[Statement]:
    """Held-out errors of the maps, growth of the residual variance, and what cutting to K directions costs."""
    layers = tuple(range(1, space.n_layers + 1))
    claims: list[Statement] = []
    tables, costs, fitted_errors = [], [], []
    rates: dict[str, list[dict[str, float]]] = {"trained": [], "untrained": []}
    for seed in seeds:
        # Of texts cut at a word the last token is any word, as in the paper, not the full stop.
        # Three quarters of the texts have to span the states, which are to be cut to some of their directions.
        n = max(int(200 * size), space.n_dims // 2)
        texts = [" ".join(text.split()[:16]) for listed in drawn("agnews", n, seed).values() for text in listed]
        texts = [texts[i] for i in np.random.default_rng(seed).permutation(len(texts))]
        found = last_states(space, texts, layers=layers)
        for name, states in {"trained": found, "untrained": last_states(untrained(space, seed), texts, layers=layers)}.items():
            study = study_transport(states.states, layers, growth_until=space.n_layers - 1, every_pair=False, seed=seed)
            tables.append(pd.DataFrame(study.one_step, index=list(layers[1:])).rename_axis("into").assign(model=name, seed=seed))
            rates[name].append({key: fit.rate.value for key, fit in study.growth.items()})
        fitted_errors.append(np.mean([_error_on_own(start, end) for start, end in pairwise(found.states[:-1].astype(np.float64))]))
        n_fit = len(texts) * 3 // 4
        cut = [layer for layer in layers if layer < space.n_layers]
        fitted = LastStates(tuple(cut), found.states[: len(cut), :n_fit], found.positions[:n_fit])
        cuts = (space.n_dims // 4, space.n_dims // 2)
        costs.append(truncation_cost(space, texts[n_fit:][:100], singular_axes(fitted.states), cut, cuts if size == 1 else cuts[-1:]))
    table = pd.concat(tables)
    print(table.groupby(["model", "into"]).mean(numeric_only=True).drop(columns="seed").round(4), flush=True)
    for model in ("trained", "untrained"):
        part = table[table.model == model]
        means = part[part.index < space.n_layers].groupby("seed")[["ridge", "paired", "identity"]].mean()
        for other in ("paired", "identity"):
            # Errors are over the layer mean's, so the mean itself, which is no map, has one of 1.
            ratio, no_map = (t_interval((one / means[other]).to_numpy(), unit="seeds") for one in (means.ridge, means.ridge * 0 + 1))
            title = f"held-out error of ridge over {other}, {model}, inner layers"
            claims += judged(title, ratio, Goal(below=1), Control("the layer's mean", no_map))
        lead, still = (t_interval(means[one].to_numpy(), unit="seeds") for one in ("paired", "identity"))
        title = f"held-out error of the paired map over the layer mean's, {model}, inner layers"
        claims += judged(title, lead, Goal(below=1), Control("the state left as it is", still))
    title = "error of the paired map over the layer mean's on the very prompts it was fitted on, trained, inner layers"
    claims.append(Figure(title, t_interval(fitted_errors, unit="seeds")))
    for key in ("ridge", "paired"):
        grown, twin = (t_interval([each[key] for each in rates[name]], unit="seeds") for name in ("trained", "untrained"))
        claims += judged(f"growth of ln residual variance a layer, {key}", grown, Goal(above=0), Control("untrained", twin))
    for row, k in enumerate(costs[0].n_axes):
        share = t_interval([float(each.divergence[row].mean() / each.unrelated.mean()) for each in costs], unit="seeds")
        title = f"KL of last tokens cut to {k} directions after every block, over KL of unrelated prompts"
        claims += judged(title, share, Goal(below=0.1), Control("an unrelated prompt, by definition", 1.0))
    return claims


def _error_on_own(start: np.ndarray, end: np.ndarray) -> float:
    """Of the paired map on the prompts that gave it, over that of the mean."""
    return float(((end - paired_map(start, end)(start)) ** 2).mean() / ((end - end.mean(axis=0)) ** 2).mean())


def selection(space: LanguageModelSpace, seeds: range, size: float) -> list[Statement]:
    """The selection claim with its controls; intervals over seeds, each with prompts of its own."""
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
    claims: list[Statement] = []
    for measure in MEASURES:
        conditions = ("prompt", "shuffled", "untrained prompt")
        found = {name: _over([each.score(name, measure).selection for each in studies]) for name in conditions}
        title = f"selection, {measure}, prompt"
        claims += judged(title, found["prompt"], Goal(above=0), Control("shuffled words", found["shuffled"]))
        claims += [Figure(f"selection, {measure}, {name}", found[name]) for name in conditions[1:]]
        for control in conditions[1:]:
            margins = [each.margins[measure][control] for each in studies]
            value, itself = _over(margins), on_others([each.score(control, measure).selection.value for each in studies])
            claims += judged(
                f"selection, {measure}, prompt less {control}", value, Goal(above=0), Control(f"{control} less itself", itself.value)
            )
    return claims


def _over(found: list[Estimate]) -> Estimate:
    return t_interval([each.value for each in found], unit="seeds")


if __name__ == "__main__":
    main()
