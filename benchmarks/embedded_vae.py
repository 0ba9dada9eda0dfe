"""The figures on the card of the text VAE that ships with lexframe, and what fine-tuning it on few messages gives.

    python benchmarks/embedded_vae.py [--quick] [--parts card,desk] [--out runs/embedded_vae]

- card: sentences held out from training, by the rules that made the training sentences: use of the latent, likelihood,
  reconstructions, samples, paths and edits, each beside a control
- desk: the model fine-tuned on the 800 messages of `desk`, against one of the same shape from the embedded model alone and a small
  one from nothing, each with the same minutes; judged on messages that none has seen
"""

import argparse
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common import SHARED, Figure, finish, over
from lexframe import TextVAESpace
from lexframe.data import desk
from lexframe.generative.edited_texts import edit_texts
from lexframe.generative.interpolation import interpolate_pairs
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.score.likelihood_bounds import importance_weighted
from lexframe.generative.score.position_gain import position_gain
from lexframe.generative.score.vae_score import ScoreSettings, score_text_vae
from lexframe.instruments.edits.edits_from_texts import edit_from_texts
from lexframe.intervals import Estimate, mean_estimate
from lexframe.spaces.loading import EMBEDDED_VAE
from lexframe.spaces.text_vae.files import load_text_vae
from lexframe.training.language_model.corpus import read_documents
from lexframe.training.language_model.sentences import SentenceRules, plain_sentences
from lexframe.training.text_vae.data import split_texts
from lexframe.training.text_vae.plain_likelihood import plain_nats
from lexframe.training.text_vae.plan import TextVAEPlan
from lexframe.training.text_vae.run import TextVAETraining

RULES = SentenceRules(min_words=4, max_words=14, n_common=6000)
MINUTES = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the card alone, on few sentences")
    parser.add_argument("--parts", default="card,desk")
    parser.add_argument("--plain", help="folder of a plain language model (--n-latent 0) trained with the other options of the card")
    parser.add_argument("--out", type=Path, default=Path("runs/embedded_vae"), help="where runs are kept")
    options = parser.parse_args()
    parts = ["card"] if options.quick else options.parts.split(",")
    claims = (card_claims(options) if "card" in parts else []) + (desk_claims(options) if "desk" in parts else [])
    finish(claims, keep_as=None if options.quick else "_".join(["embedded_vae", *parts]))


def card_claims(bench: Namespace) -> list[Figure]:
    space = TextVAESpace(EMBEDDED_VAE)
    sentences = plain_sentences(read_documents(SHARED / "corpus" / "valid.txt.xz"), RULES).texts
    kept = [text for text, cut in zip(sentences, space.truncated(sentences), strict=True) if not cut]
    rows = np.random.default_rng(0).permutation(len(kept))
    texts = [kept[row] for row in rows[: 150 if bench.quick else 3000]]
    plain = None if bench.plain is None else partial(plain_nats, load_text_vae(bench.plain))
    sizes: dict[str, Any] = {"n_bound_texts": 500, "n_samples": 500, "n_decoded_texts": 1000}
    if bench.quick:
        sizes = dict.fromkeys(sizes, 40)
    score = score_text_vae(space, texts, plain_language_model=plain, settings=ScoreSettings(**sizes))
    claims = [_claim(f"{row.part}: {row.measure}, {row.unit} ({row.n_texts:,})", row) for row in score.to_frame().itertuples()]
    for warning in score.warnings:
        print(warning)
    return claims + _walks(space, texts[: 40 if bench.quick else 200]) + _questions(space, kept, bench)


def _claim(what: str, row: Any) -> Figure:
    whole = row.low is not None and np.isfinite([row.low, row.high]).all()
    return Figure(
        what, Estimate(float(row.value), float(row.low), float(row.high), "texts", int(row.n_texts)) if whole else float(row.value)
    )


def _estimate(what: str, values: np.ndarray) -> Figure:
    return Figure(what, over(mean_estimate(values), "texts", len(values)))


def _walks(space: TextVAESpace, texts: list[str]) -> list[Figure]:
    """Ways between sentences, linear and spherical."""
    claims = []
    for kind in ("linear", "spherical"):
        paths = interpolate_pairs(space, list(zip(texts[::2], texts[1::2], strict=True)), n_steps=9, path=kind)
        different = np.array([float(len(set(path.texts))) for path in paths])
        ranks = np.array([path.rank_correlation for path in paths])
        claims += [
            _estimate(f"{kind} ways of 9 points between {len(paths)} pairs: different sentences", different),
            _estimate(f"{kind} ways: rank correlation with the words taken over", ranks[np.isfinite(ranks)]),
        ]
    return claims


def _questions(space: TextVAESpace, sentences: list[str], bench: Namespace) -> list[Figure]:
    """Statements turned into questions, by what the mark at their end says; and a move of the same length."""
    asked = [text.endswith("?") for text in sentences]
    n = 50 if bench.quick else 400
    rows = [[row for row, is_asked in enumerate(asked) if is_asked is side] for side in (True, False)]
    learned = [row for side in rows for row in side[:n]]
    edit = edit_from_texts(space, [sentences[row] for row in learned], [asked[row] for row in learned], True)
    found = edit_texts(space, [sentences[row] for row in rows[1][n : 2 * n]], edit, strength=1.5)
    claims = []
    for name, written in (("edited", found.edited), ("moved at random, as far", found.controls), ("decoded", found.reconstructions)):
        ends = np.array([float(text.rstrip().endswith("?")) for text in written])
        claims.append(_estimate(f"{len(ends)} statements {name}: end as questions", ends))
    for name, kept in (("edited", found.content_kept), ("moved at random", found.control_content_kept)):
        claims.append(_estimate(f"statements {name}: words in common with the decoded one", kept))
    return claims


def desk_claims(bench: Namespace) -> list[Figure]:
    """The same minutes from three starts."""
    texts = split_texts(list(desk("train").texts), seed=0)
    test = list(desk("test").texts)
    common = TextVAEPlan(max_tokens=64, max_minutes=MINUTES)
    starts = {
        "embedded-vae": replace(common, initial_model=EMBEDDED_VAE),
        "the embedded model": replace(common, encoder="embedded", train_encoder=False, encoder_layer=4, decoder="embedded", n_queries=8),
        "nothing": common,
    }
    spaces = {}
    for name, plan in starts.items():
        folder = bench.out / name.replace(" ", "-")
        if not (folder / "model" / "training.json").is_file():
            TextVAETraining(plan, texts, folder).run()
        spaces[name] = TextVAESpace(str(folder / "model"))
    whole = ~np.any([space.truncated(test) for space in spaces.values()], axis=0)
    test = [text for text, is_whole in zip(test, whole, strict=True) if is_whole]
    claims, nats = [], {}
    for name, space in spaces.items():
        found = importance_weighted(space, test, n_samples=(100,), seed=0)
        nats[name] = -found.log_likelihoods[:, -1]
        kl = kl_per_dimension(space.posterior(test)).sum(axis=1)
        gain = position_gain(space, test, seed=0)
        claims += [
            _estimate(f"desk after {MINUTES:g} minutes from {name}: nats a message (K = 100, {len(test)} messages)", nats[name]),
            _estimate(f"desk from {name}: KL, nats a message", kl),
            Figure(f"desk from {name}: gain of the right point, nats a message", over(gain.gain_per_text, "texts", len(test))),
        ]
    for name in list(starts)[1:]:
        claims.append(_estimate(f"desk: nats a message from embedded-vae less those from {name}", nats["embedded-vae"] - nats[name]))
    return claims


if __name__ == "__main__":
    main()
