"""Captions and premises: whether the latent is used, and texts are as likely as under a plain language model of the same decoder."""

from argparse import Namespace
from functools import partial
from typing import Any

import numpy as np

from common import SHARED, Control, Goal, Statement, judged, on_others, standing_in
from lexframe.data.readers import stream_rows
from lexframe.generative.interpolation import interpolate_pairs
from lexframe.generative.samples import sample_texts
from lexframe.generative.score.active_units import count_active_units
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.score.likelihood_bounds import importance_weighted
from lexframe.generative.score.mutual_information import mutual_information
from lexframe.generative.score.position_gain import position_gain
from lexframe.generative.texts.bleu import bleu
from lexframe.generative.texts.nearest_texts import memorization_check
from lexframe.generative.texts.reconstruction import exact_match, word_accuracy
from lexframe.generative.texts.text_diversity import distinct_n, self_bleu
from lexframe.generative.texts.text_perplexity import language_model_perplexity
from lexframe.intervals import mean_over_seeds
from lexframe.spaces import Decoding
from lexframe.spaces.text_vae.files import TextVAEModel
from lexframe.spaces.text_vae.space import TextVAESpace
from lexframe.training.text_vae.data import TrainingTexts, split_texts
from lexframe.training.text_vae.plain_likelihood import plain_nats
from lexframe.training.text_vae.plan import TextVAEPlan
from text_vae_cells import cells, claim_over_seeds, control_of, space_of

FOLDERS = {"captions": "coco_captions", "premises": "snli_small"}
PLANS = {
    "captions": TextVAEPlan(max_tokens=40, max_epochs=20.0),
    "premises": TextVAEPlan(
        max_tokens=48,
        max_epochs=16.0,
        writing_share=0.4,
        importance_share=0.4,
        least_nats=6.0,
        warm_share=0.0,
        n_cycles=0,
        word_dropout=0.0,
    ),
}
"""Chosen on texts held out of training. Word dropout serves the plain language model too: with it that of captions is better there."""
FEW, MANY = 300, 1000
"""Test texts on which the bound is computed with 1,000 and with 100 samples."""


def read_texts(name: str, part: str) -> list[str]:
    return [row.text for row in stream_rows(SHARED / "data" / FOLDERS[name] / f"{part}.jsonl.gz")]


def unseen_texts(name: str) -> list[str]:
    """Test texts, each once, that do not stand in training: 274 of 1,984 premises do, as SNLI gives a premise several hypotheses."""
    test = list(dict.fromkeys(read_texts(name, "test")))
    return [text for text, stands in zip(test, standing_in(test, read_texts(name, "train")), strict=True) if not stands]


def set_claims(bench: Namespace, name: str) -> list[Statement]:
    texts = split_texts(read_texts(name, "train"), seed=0)
    plan = PLANS[name]
    test = unseen_texts(name)
    order = np.random.default_rng(0).permutation(len(test))
    test = [test[row] for row in order]
    found = cells(bench, name, plan, texts, partial(_measured, texts=texts, test=test))
    return [] if bench.kinds else _claims(name, found)


def _measured(model: TextVAEModel, kind: str, seed: int, *, texts: TrainingTexts, test: list[str]) -> dict[str, Any]:
    many = [text for text in test if not model.texts([text])[0].truncated][:MANY]
    n_tokens = np.array([len(text) for text in model.texts(many)])
    n_words = np.array([len(text.split()) + 1 for text in many])
    facts: dict[str, Any] = {"n_tokens": int(n_tokens.sum()), "n_words": int(n_words.sum())}
    if not model.network.shape.n_latent:
        return facts | {"nats": plain_nats(model, many).tolist()}
    space = space_of(model)
    posterior = space.posterior(test)
    if kind == "vae":
        facts |= _bounds(space, many, n_tokens, seed)
    information = mutual_information(posterior, seed=seed)
    units = count_active_units(posterior)
    gain = position_gain(space, many, seed=seed)
    reconstructed = space.decode(posterior.means[: len(many)] if many == test[: len(many)] else space.encode(many))
    samples = sample_texts(space, 500, decoding=Decoding(temperature=1.0, seed=seed))
    real = test[-500:]
    memory = memorization_check(samples.texts, texts.training, real)
    ends = [(many[2 * row], many[2 * row + 1]) for row in range(50)]
    paths = interpolate_pairs(space, ends, n_steps=9)
    return facts | {
        "kl": float(kl_per_dimension(posterior).sum(1).mean()),
        "kl_per_dimension": sorted(kl_per_dimension(posterior).mean(0).tolist(), reverse=True),
        "information": information.to_dict() | {"at_ceiling": information.at_ceiling},
        "units": units.to_dict(),
        "gain": gain.to_dict(),
        "reconstruction": {
            "exact": float(exact_match(many, reconstructed).mean()),
            "words": float(word_accuracy(many, reconstructed).mean()),
            "bleu": bleu(many, reconstructed),
            "examples": list(zip(many[:10], reconstructed[:10], strict=True)),
        },
        "samples": {
            "examples": list(samples.texts[:10]),
            "distinct": samples.distinct_share,
            "empty": samples.empty_share,
            "re_encoding_r2": samples.r2,
            "re_encoding_cosine": float(samples.cosines.mean()),
            "self_bleu": self_bleu(samples.texts),
            "self_bleu_real": self_bleu(real),
            "distinct_2": distinct_n(samples.texts),
            "distinct_2_real": distinct_n(real),
            "perplexity": language_model_perplexity(samples.texts).per_word.value,
            "perplexity_real": language_model_perplexity(real).per_word.value,
            "memorization": memory.to_dict(),
        },
        "paths": {
            "monotone": float(np.nanmean([path.monotone_share for path in paths])),
            "rank": float(np.nanmean([path.rank_correlation for path in paths])),
            "smoothness": float(np.nanmean([path.smoothness for path in paths])),
            "largest_step": float(np.nanmean([path.largest_step for path in paths])),
            "distinct": float(np.mean([len(set(path.texts)) for path in paths])),
            "examples": [list(path.texts) for path in paths[:3]],
        },
    }


def _bounds(space: TextVAESpace, texts: list[str], n_tokens: np.ndarray, seed: int) -> dict[str, Any]:
    """Likelihoods, which cost more than all the rest."""
    hundred = importance_weighted(space, texts, n_samples=(1, 10, 100), n_tokens=n_tokens, seed=seed)
    thousand = importance_weighted(space, texts[:FEW], n_samples=(1000,), n_tokens=n_tokens[:FEW], seed=seed)
    return {
        "nats": (-hundred.log_likelihoods[:, -1]).tolist(),
        "nats_1000": (-thousand.log_likelihoods[:, -1]).tolist(),
        "elbo": float(-hundred.log_likelihoods[:, 0].mean()),
        "effective_samples": float(thousand.effective_samples.mean()),
        "dominated_share": thousand.dominated_share,
    }


def _claims(name: str, found: dict[str, list[dict[str, Any]]]) -> list[Statement]:
    vaes, models = found["vae"], found["language-model"]
    claims: list[Statement] = []
    named = {kind: kind if len(ones) == len(vaes) else f"{kind} ({len(ones)} of {len(vaes)} seeds)" for kind, ones in found.items()}

    def add(what: str, values: list[float], goal: Goal | None = None, control: Control | None = None) -> None:
        claims.extend(claim_over_seeds(f"{name}: {what}", values, goal, control))

    plain = {key: control_of("the plain VAE", values) for key, values in {
        "kl": [one["kl"] for one in found["plain"]],
        "information": [one["information"]["value"] for one in found["plain"]],
        "gain": [one["gain"]["gain_per_text"]["value"] for one in found["plain"]],
    }.items()}  # fmt: skip
    add("KL of the VAE, nats a text", [one["kl"] for one in vaes], Goal(above=5), plain["kl"])
    add(
        f"mutual information of the VAE over {vaes[0]['information']['n_texts']:,} texts (ln N is {vaes[0]['information']['ceiling']:.2f})",
        [one["information"]["value"] for one in vaes],
        Goal(above=4),
        plain["information"],
    )
    add(
        "mutual information lies within 1 nat of ln N (share of seeds)",
        [float(one["information"]["at_ceiling"]) for one in vaes],
    )
    # A figure: where the posterior collapses every dimension is pruned, so the worst model reaches any goal.
    add("share of dimensions active (.01) or pruned", [one["units"]["settled_share"] for one in vaes])
    for kind in ("vae", "plain", "autoencoder"):
        for place, threshold in enumerate(("0.01", "0.2")):
            active = [one["units"]["n_active"][place] for one in found[kind]]
            add(f"dimensions of {vaes[0]['units']['n_dims']} active at {threshold}, {named[kind]}", active)
    for kind in ("plain", "autoencoder"):
        add(f"mutual information of the {named[kind]}", [one["information"]["value"] for one in found[kind]])
    for key, label, n in (("nats_1000", "K = 1,000", FEW), ("nats", "K = 100", MANY)):
        own, rival = (np.array([one[which][:n] for one in ones]) for which, ones in ((key, vaes), ("nats", models)))
        add(f"nats a text of the plain language model ({n} texts)", [float(np.mean(model["nats"][:n])) for model in models])
        title = (
            f"{name}: nats a text of the VAE ({label}, {n} texts) less those of the plain language model, same texts; over seeds and texts"
        )
        itself = Control("the plain language model against itself, other seeds", on_others(rival.mean(axis=1)).value)
        claims += judged(title, mean_over_seeds(own - rival), Goal(at_most=0), itself)
    add("even draws that the 1,000 weigh as much as", [one["effective_samples"] for one in vaes])
    add("share of texts in which one of the 1,000 outweighs all others", [one["dominated_share"] for one in vaes])
    words = vaes[0]["n_words"]
    for kind in ("vae", "language-model"):
        values = [float(np.exp(np.sum(one["nats"]) / words)) for one in found[kind]]
        add(f"perplexity a word of the {kind} (K = 100)", values)
    add(
        "gain in the first quarter over its share of tokens (1 is even, 4 is all)",
        [one["gain"]["first_quarter"]["value"] for one in vaes],
        Goal(below=2),
        Control("all of it in the first quarter, by definition", 4.0),
    )
    add("gain a text, nats", [one["gain"]["gain_per_text"]["value"] for one in vaes], Goal(above=0), plain["gain"])
    used = control_of("the VAE with its remedies", [one["kl"] for one in vaes])
    add(f"KL of the {named['plain']} VAE", [one["kl"] for one in found["plain"]], Goal(below=0.5), used)
    add(f"KL of the {named['autoencoder']}", [one["kl"] for one in found["autoencoder"]])
    for kind in ("vae", "plain", "autoencoder"):
        for key, label in (("words", "words in place"), ("bleu", "BLEU")):
            add(f"{named[kind]}: {label} of reconstructions", [one["reconstruction"][key] for one in found[kind]])
        add(
            f"{named[kind]}: perplexity of samples under the embedded model over that of real texts",
            [one["samples"]["perplexity"] / one["samples"]["perplexity_real"] for one in found[kind]],
        )
        add(
            f"{named[kind]}: self-BLEU of samples less that of real texts",
            [one["samples"]["self_bleu"] - one["samples"]["self_bleu_real"] for one in found[kind]],
        )
        add(f"{named[kind]}: rank correlation along paths between texts", [one["paths"]["rank"] for one in found[kind]])
        add(f"{named[kind]}: R2 of points of samples, read back", [one["samples"]["re_encoding_r2"] for one in found[kind]])
    add("minutes of a core in training of the VAE", [one["threads"] * one["seconds"] / 60 for one in vaes])
    return claims
