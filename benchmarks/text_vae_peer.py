"""Reconstructions, ways and edits of captions: lexframe's VAE beside LangVAE, the autoencoder and the plain VAE.

    python benchmarks/text_vae_peer.py --langvae runs/langvae.json [--runs runs/text_vae]

The JSON comes from langvae_captions.py, which runs in an environment of its own; the runs are those of text_vae.py (captions, seed 0).
All are asked the same: 300 captions of the test file back, nine points between 50 pairs of them, and "a man" turned into "a woman" by the
difference of two means of a thousand training captions at most, beside a random move of the same length.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from common import Figure, finish, over
from lexframe import TextVAESpace
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.texts.bleu import bleu
from lexframe.generative.texts.reconstruction import word_accuracy
from lexframe.generative.texts.text_diversity import distinct_n
from lexframe.generative.texts.word_edits import word_overlap
from lexframe.intervals import Estimate, mean_estimate
from lexframe.spaces.base import Posterior
from text_vae_sets import read_texts

KINDS = {"vae": "lexframe", "autoencoder": "autoencoder (KL weight 0)", "plain": "plain VAE (no remedy)"}
N_LABELED = 1000
FROM, TO = "a man", "a woman"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langvae", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/text_vae"))
    options = parser.parse_args()
    peer = json.loads(options.langvae.read_text(encoding="utf-8"))
    answers = {"LangVAE": peer}
    for kind, name in KINDS.items():
        answers[name] = asked(TextVAESpace(str(options.runs / f"captions-{kind}-0" / "model")), peer)
    facts = json.loads((options.runs / "captions-vae-0" / "model" / "training.json").read_text())
    claims = [
        Figure("LangVAE: seconds of training", float(peer["seconds"])),
        Figure(f"LangVAE: steps of {peer['batch']}", float(peer["steps"])),
        Figure("lexframe: seconds of training", float(facts["seconds"])),
        Figure("lexframe: steps", float(facts["steps"])),
    ]
    for name, found in answers.items():
        claims += [Figure(f"{name}: {what}", one) for what, one in measured(found, peer["texts"]).items()]
        print(f"\n{name}")
        show("back", peer["texts"][:4], found["reconstructions"])
        print("  way    ", *dict.fromkeys(found["paths"][0]), sep="\n    ")
        show("edit", found["edit_decoded"][:4], found["edited"])
    finish(claims, keep_as="text_vae_peer")


def asked(space: TextVAESpace, peer: dict[str, Any]) -> dict[str, Any]:
    """What langvae_captions.py asks, in the same form."""
    train = read_texts("captions", "train")
    posterior = space.posterior(peer["texts"])
    means = posterior.means
    ways = np.linspace(0, 1, 9, dtype=np.float32)[:, np.newaxis]
    pairs = [means[2 * pair] * (1 - ways) + means[2 * pair + 1] * ways for pair in range(len(peer["paths"]))]
    written = space.decode(np.concatenate(pairs))
    sides = [[text for text in train if text.startswith(f"{start} ")][:N_LABELED] for start in (FROM, TO)]
    first, last = (space.encode(side).mean(axis=0) for side in sides)
    points = space.encode(peer["edit_texts"])
    random = np.random.default_rng(0).normal(size=points.shape)
    random *= np.linalg.norm(last - first) / np.linalg.norm(random, axis=1, keepdims=True)
    return {
        "means": means,
        "log_variances": posterior.log_variances,
        "reconstructions": space.decode(means),
        "paths": [written[9 * pair : 9 * pair + 9] for pair in range(len(pairs))],
        "edit_decoded": space.decode(points),
        "edited": space.decode(points + (last - first)),
        "edit_random": space.decode((points + random).astype(np.float32)),
        "samples": space.decode(np.random.default_rng(0).normal(size=(100, space.n_dims)).astype(np.float32)),
    }


def measured(found: dict[str, Any], texts: list[str]) -> dict[str, Estimate | float]:
    means, log_variances = (np.asarray(found[name], dtype=np.float32) for name in ("means", "log_variances"))
    kl = kl_per_dimension(Posterior(means, log_variances)).sum(axis=1)
    changed = [np.array([float(text.strip().startswith(TO)) for text in found[name]]) for name in ("edited", "edit_random", "edit_decoded")]
    kept = np.array([word_overlap(a, b) for a, b in zip(found["edit_decoded"], found["edited"], strict=True)])
    return {
        "KL, nats a caption": _mean(kl),
        "dimensions whose mean varies by .01 or more": float((means.var(axis=0) >= 0.01).sum()),
        "words back in their place": _mean(word_accuracy(texts, found["reconstructions"])),
        "BLEU of what comes back": bleu(texts, found["reconstructions"]),
        "different captions among 300 that come back": float(len(set(found["reconstructions"]))),
        "different captions among 9 on a way": _mean(np.array([float(len(set(path))) for path in found["paths"]]), "ways"),
        f"captions of '{FROM}' that begin with '{TO}' before the edit": _mean(changed[2]),
        "after it": _mean(changed[0]),
        "after a random move as long": _mean(changed[1]),
        "words kept by the edit": _mean(kept),
        "distinct pairs of words in 100 samples": distinct_n(found["samples"]),
    }


def _mean(values: np.ndarray, unit: str = "captions") -> Estimate:
    return over(mean_estimate(values), unit, len(values))


def show(what: str, before: list[str], after: list[str]) -> None:
    for first, second in zip(before, after, strict=False):
        print(f"  {what:8} {first.strip()}\n        -> {second.strip()}")


if __name__ == "__main__":
    main()
