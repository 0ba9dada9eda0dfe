"""Rate and distortion of models trained to several rates, with the plain language model as the line of rate 0."""

from argparse import Namespace
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from common import Figure
from lexframe.generative.score.rate_distortion import rate_distortion
from lexframe.spaces.text_vae.files import TextVAEModel
from lexframe.training.text_vae.data import split_texts
from lexframe.training.text_vae.plain_likelihood import plain_nats
from text_vae_cells import cell, space_of
from text_vae_sets import PLANS, read_texts, unseen_texts

FREE_NATS = (2.0, 4.0, 8.0, 16.0, 32.0)
PLAN = replace(PLANS["captions"], max_epochs=8.0, importance_share=0.0)
"""Without the importance-weighted end, which would move every model to a rate of its own."""


def rate_claims(bench: Namespace) -> list[Figure]:
    texts = split_texts(read_texts("captions", "train"), seed=0)
    test = unseen_texts("captions")[:1000]
    points = []
    for free_nats in FREE_NATS:
        plan = replace(PLAN, free_nats=free_nats)
        found = cell(bench, f"rate-{free_nats:g}", "vae", 0, plan, texts, partial(_measured, test=test))
        points.append((found["rate"], found["distortion"]))
    plain = cell(bench, "rate", "language-model", 0, PLAN, texts, partial(_measured, test=test))
    rates, distortions = np.array(points).T
    falls = "falls" if (np.diff(rates) > 0).all() and (np.diff(distortions) < 0).all() else "does not fall"
    listed = ", ".join(f"{rate:.1f} nats: {distortion:.1f}" for rate, distortion in points)
    listed = f"{listed}; plain language model {plain['distortion']:.1f} at rate 0; one seed"
    return [Figure(f"captions: distortion {falls} as the rate rises ({listed})", float(distortions[0] - distortions[-1]))]


def _measured(model: TextVAEModel, kind: str, seed: int, *, test: list[str]) -> dict[str, Any]:
    kept = [text for text, read in zip(test, model.texts(test), strict=True) if not read.truncated]
    if not model.network.shape.n_latent:
        return {"rate": 0.0, "distortion": float(plain_nats(model, kept).mean())}
    (point,) = rate_distortion(space_of(model), kept, weights=(1,), seed=seed)
    return {"rate": point.rate.value, "distortion": point.distortion.value}
