"""The grammar with known factors: whether they are in the latent, edits change one alone, and paths are made of sentences."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from common import Control, Goal, Statement
from lexframe.data.factor_grammar import FACTORS, FactorSentence, edit_outcome, is_grammatical
from lexframe.data.factor_sentences import FactorSplit, factor_table, split_sentences
from lexframe.generative.interpolation import interpolate_pairs
from lexframe.generative.score.disentanglement import disentanglement
from lexframe.generative.score.factor_probe import probe_factors
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.texts.reconstruction import exact_match
from lexframe.instruments.edits.matched_edit import MatchedDifferenceEdit
from lexframe.spaces.text_vae.files import TextVAEModel
from lexframe.spaces.text_vae.space import TextVAESpace
from lexframe.training.text_vae.data import split_texts
from lexframe.training.text_vae.plan import TextVAEPlan
from text_vae_cells import cells, claim_over_seeds, control_of, space_of

PLAN = TextVAEPlan(
    max_tokens=24,
    vocab_size=370,
    free_nats=10.0,
    word_dropout=0.5,
    bag_of_words=2.0,
    bag_of_words_end=1.0,
    max_epochs=20.0,
    encoder_layers=2,
    decoder_layers=2,
    dropout=0.0,
    importance_share=0.0,
)
KEPT = {
    "subject": ("tense", "number", "polarity"),
    "verb": ("tense", "number", "polarity"),
    "object": ("tense", "number", "polarity"),
    "tense": ("number", "polarity", "verb"),
    "number": ("tense", "polarity", "subject"),
    "polarity": ("tense", "number", "verb"),
}
"""What decides, beside each factor, on the forms of words that it changes; chosen on training sentences."""
EDITED = ("subject", "verb", "object", "tense", "number", "polarity")
STRENGTHS = (0.75, 1.0, 1.25, 1.5, 2.0)
"""Of which the best on training sentences is taken."""
KL_GOALS = {"vae": (Goal(above=3), "plain"), "plain": (Goal(below=0.1), "vae")}
"""Of each kind, with the kind that is its control: one uses the latent, the other collapses."""
N_TEST, N_EDITED, N_DEVELOPED, N_PATHS = 1000, 300, 200, 200


def grammar_claims(bench: Namespace) -> list[Statement]:
    quick = bench.quick
    split = split_sentences(2000 if quick else 8000, N_TEST, seed=0, slots=False)
    texts = split_texts([sentence.text for sentence in split.train], seed=0)
    plan = replace(PLAN, max_epochs=1.5, d_model=64, encoder_layers=1, decoder_layers=1) if quick else PLAN
    if quick:
        bench.seeds = bench.control_seeds = [0]
    measured = partial(_measured, split=split)
    name, kinds = ("grammar-quick", ("vae",)) if quick else ("grammar", ("vae", "plain", "autoencoder"))
    found = cells(bench, name, plan, texts, measured, kinds=kinds)
    return [] if bench.kinds else _claims(found)


def _measured(model: TextVAEModel, kind: str, seed: int, *, split: FactorSplit) -> dict[str, Any]:
    space = space_of(model)
    test = [sentence.text for sentence in split.test]
    posterior = space.posterior(test)
    table = {name: values for name, values in factor_table(split.test).items() if len(set(values.tolist())) > 1}
    probes = probe_factors(posterior.means, table, seed=seed)
    edits = []
    if kind != "plain":  # whose points are one, so that no difference leads anywhere
        train_points = space.encode([sentence.text for sentence in split.train])
        edits = [_edit(space, train_points, split, factor, seed) for factor in EDITED]
    rng = np.random.default_rng(seed)
    ends = [tuple(test[row] for row in rng.choice(len(test), 2, replace=False)) for _ in range(N_PATHS)]
    paths = interpolate_pairs(space, ends, n_steps=9)
    inner = [text for path in paths for text in path.texts[1:-1]]
    drawn = space.decode(rng.standard_normal((500, space.n_dims)).astype(np.float32), temperature=1.0, seed=seed)
    return {
        "kl": float(kl_per_dimension(posterior).sum(1).mean()),
        "reconstruction": float(exact_match(test, space.decode(posterior.means)).mean()),
        "probes": {
            score.name: {"accuracy": score.score.value, "majority": score.baseline, "shuffled": score.shuffled} for score in probes.scores
        },
        "disentanglement": disentanglement(posterior.means, table).to_dict(),
        "edits": edits,
        "grammatical_path": float(np.mean([is_grammatical(text) for text in inner])),
        "grammatical_samples": float(np.mean([is_grammatical(text) for text in drawn])),
        "monotone": float(np.nanmean([path.monotone_share for path in paths])),
        "rank": float(np.nanmean([path.rank_correlation for path in paths])),
        "largest_step": float(np.nanmean([path.largest_step for path in paths])),
        "path": list(paths[0].texts),
    }


def _edit(space: TextVAESpace, points: np.ndarray, split: FactorSplit, factor: str, seed: int) -> dict[str, Any]:
    """Every edit from one value to another, drawn anew for each test sentence; the strength is chosen on training sentences.

    The plain difference of two class means knows the value that a sentence has; the matched one is told neither that nor the other
    factors of the sentence.
    """
    values = np.array([getattr(sentence, factor) for sentence in split.train])
    means = {value: points[values == value].mean(axis=0) for value in FACTORS[factor]}
    kept = [tuple(getattr(one, name) for name in KEPT[factor]) for one in split.train]
    first = MatchedDifferenceEdit().fit(points, values, kept)
    matched = {value: first.towards(value) for value in FACTORS[factor]}
    rng = np.random.default_rng(seed)

    def shifts(sentences: Sequence[FactorSentence], wanted: Sequence[str], start: np.ndarray, kind: str) -> np.ndarray:
        if kind == "matched":
            moved = [matched[target].move(start[row : row + 1])[0] for row, target in enumerate(wanted)]
            return np.stack(moved) - start
        return np.stack([means[target] - means[getattr(one, factor)] for one, target in zip(sentences, wanted, strict=True)])

    def outcomes(sentences: Sequence[FactorSentence], strength: float, kind: str, at_random: bool = False) -> dict[str, Any]:
        wanted = [str(rng.choice([value for value in FACTORS[factor] if value != getattr(one, factor)])) for one in sentences]
        start = space.encode([sentence.text for sentence in sentences])
        shift = shifts(sentences, wanted, start, kind)
        if at_random:
            directions = rng.standard_normal(start.shape)
            shift = directions * np.linalg.norm(shift, axis=1, keepdims=True) / np.linalg.norm(directions, axis=1, keepdims=True)
        written = space.decode((start + strength * shift).astype(np.float32))
        found = [edit_outcome(one, text, factor, target) for one, text, target in zip(sentences, written, wanted, strict=True)]
        changed, same = np.array([one.changed for one in found]), np.array([one.rest_kept for one in found])
        return {"changed": float(changed.mean()), "kept": float(same.mean()), "both": float((changed & same).mean())}

    develop = [split.train[row] for row in rng.choice(len(split.train), N_DEVELOPED, replace=False)]
    test = [split.test[row] for row in rng.choice(len(split.test), N_EDITED, replace=False)]
    found: dict[str, Any] = {"factor": factor}
    for kind in ("plain", "matched"):
        strength = max(STRENGTHS, key=lambda value: outcomes(develop, value, kind)["both"])
        found[kind] = {"strength": strength} | outcomes(test, strength, kind)
        found[kind]["random"] = outcomes(test, strength, kind, at_random=True)
    return found


def _claims(found: dict[str, list[dict[str, Any]]]) -> list[Statement]:
    return [claim for kind, ones in found.items() for claim in _claims_of(kind, ones, found)]


def _claims_of(kind: str, found: list[dict[str, Any]], every: dict[str, list[dict[str, Any]]]) -> list[Statement]:
    """What is said of one kind of model; of controls figures, but that the plain VAE should collapse."""

    def of(other: str, key: str) -> Control | None:
        """The control that another kind of model is."""
        return control_of(other, [one[key] for one in every.get(other, [])])

    goal, opposite = KL_GOALS.get(kind, (None, ""))
    whose = "grammar" if kind == "vae" else f"grammar, {kind} ({len(found)} seeds)"
    claims = [*claim_over_seeds(f"{whose}: KL, nats", [one["kl"] for one in found], goal, of(opposite, "kl"))]

    def add(what: str, values: list[float], goal: Goal | None = None, control: Control | None = None) -> None:
        claims.extend(claim_over_seeds(f"{whose}: {what}", values, *((goal, control) if kind == "vae" else ())))

    for name, probe in found[0]["probes"].items():
        add(
            f"probe of {name} (majority {probe['majority']:.2f})",
            [one["probes"][name]["accuracy"] for one in found],
            Goal(above=0.9),
            control_of("shuffled values", [one["probes"][name]["shuffled"] for one in found]),
        )
    for way, what, least in (
        ("matched", "among sentences that agree in what decides its forms", Goal(at_least=0.8)),
        ("plain", "by the difference of two means", None),
    ):
        for factor, edits in _by_factor(found, way):
            chance = control_of("a random move as long", [one["random"]["both"] for one in edits])
            add(f"edits of {factor} that change it and keep the rest, {what}", [one["both"] for one in edits], least, chance)
    for key, what, least in (
        ("grammatical_path", "points between two sentences that are sentences", Goal(at_least=0.95)),
        ("monotone", "changes along a path that lead from its start to its end", Goal(at_least=0.9)),
        ("rank", "rank correlation of the way with the words taken over", Goal(at_least=0.9)),
        ("grammatical_samples", "samples that are sentences", None),
        ("reconstruction", "sentences that come back whole", None),
    ):
        add(what, [one[key] for one in found], least, of("autoencoder", key))
    return claims


def _by_factor(found: list[dict[str, Any]], way: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """The edits of each factor at all seeds; none of a model without them."""
    return [(edits[0]["factor"], [edit[way] for edit in edits]) for edits in zip(*(one["edits"] for one in found), strict=True)]
