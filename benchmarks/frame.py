"""The vocabulary frame on the embedded model: what is exact, what is invariant, what is clean, and what it costs.

    python benchmarks/frame.py [--quick] [--model embedded]

- rank agreement of both readouts with the model's own logits, on states of desk messages
- change of both readouts under a random re-parameterisation that leaves every logit alone
- side effect of a step along the basis, along the row of the head and along the centred row, per raised logit
- seconds for all bases: Cholesky on the float64 Gram matrix against the SVD pseudo-inverse, as the vocabulary grows
"""

import argparse

import numpy as np
import scipy.stats

from common import AGAIN, Control, Exact, Figure, Goal, finish, judged, race, times
from lexframe import LanguageModelSpace, VocabularyFrame, desk
from lexframe.instruments.frame.vocabulary_frame import semantic_basis, side_effect
from lexframe.intervals import t_interval
from lexframe.linalg import cosine, gram_matrix, invert_gram

N_SEEDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", default="embedded")
    options = parser.parse_args()
    space = LanguageModelSpace(options.model)
    frame = VocabularyFrame(space)
    states = space.encode(desk("test").texts[: 20 if options.quick else 100]).astype(np.float64)
    head = space.unembedding().astype(np.float64)
    print(f"{space.model_name}: {head.shape[0]} x {head.shape[1]}, condition number of M {frame.gram.condition_number:.1e}")

    logits = states @ head.T
    agreement, change, strangers = {}, {}, []
    for readout in ("invariant", "cosine"):
        similarity = frame.similarity(states, readout=readout)
        agreement[readout] = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(logits, similarity, strict=True)]
        if readout == "invariant":  # the control: what is read from another text's state
            strangers = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(logits, np.roll(similarity, 1, axis=0), strict=True)]
        change[readout] = [reparameterized_agreement(head, states, similarity, readout, seed) for seed in range(N_SEEDS)]
        means = np.mean(agreement[readout]), np.mean(change[readout])
        print(f"{readout:10s} Spearman with logits {means[0]:.3f}   with itself after a re-parameterisation {means[1]:.3f}")

    rng = np.random.default_rng(0)
    center = head.mean(axis=0)
    ratios: dict[str, list[float]] = {"row": [], "centred row": [], "random move": []}
    for item in rng.choice(len(head), 20 if options.quick else 200, replace=False):
        basis, row = frame.bases([item])[0], head[item]
        effects = {"row": row, "centred row": row - center, "random move": rng.normal(size=head.shape[1])}
        own = side_effect(head, [item], basis)
        for name, move in effects.items():
            ratios[name].append(own / side_effect(head, [item], move))
    log_ratios = {name: t_interval(np.log(found), unit="tokens") for name, found in ratios.items()}
    by_rival = {name: found.mapped(np.exp) for name, found in log_ratios.items()}
    print("side effect of the basis, as a share: " + ", ".join(f"of the {name}'s {found}" for name, found in by_rival.items()))
    away = t_interval(np.log(np.array(ratios["row"]) / np.array(ratios["random move"])), unit="tokens").mapped(np.exp)

    speed = {}
    for n_vocab in (4096, 8192) if options.quick else (8192, 32768, 131072):
        matrix = np.random.default_rng(1).normal(size=(n_vocab, 256)).astype(np.float32)
        speed[n_vocab] = contest(matrix)
        print(f"V={n_vocab:6d}, d=256: " + ", ".join(f"{name} {found.mean():.2f} s" for name, found in speed[n_vocab].items()))
    largest = speed[max(speed)]

    finish(
        [
            *judged(
                "invariant readout: Spearman with logits",
                t_interval(agreement["invariant"], unit="texts"),
                Goal(at_least=0.9),
                Control("the state of another text", t_interval(strangers, unit="texts")),
            ),
            Figure("cosine readout (the paper's): Spearman with logits", t_interval(agreement["cosine"], unit="texts")),
            Exact(
                f"invariant readout: Spearman with itself after a re-parameterisation, least of {N_SEEDS}",
                min(change["invariant"]),
                Goal(at_least=0.999999),
                Control("the cosine readout", min(change["cosine"])),
            ),
            Figure("cosine readout (the paper's): the same", t_interval(change["cosine"], unit="seeds")),
            *judged(
                "side effect of the basis over the centred row's, geometric mean",
                by_rival["centred row"],
                Goal(below=1),
                Control("a random move", away),
            ),
            Figure("side effect of the basis over the plain row's, geometric mean", by_rival["row"]),
            *judged(
                "all bases: SVD seconds over Gram and Cholesky seconds",
                times(largest["SVD"], largest["Gram and Cholesky"]),
                Goal(above=1),
                Control("SVD against itself", times(largest[AGAIN], largest["SVD"])),
            ),
        ],
        keep_as=None if options.quick else "frame",
    )


def reparameterized_agreement(head: np.ndarray, states: np.ndarray, before: np.ndarray, readout: str, seed: int) -> float:
    """Mean Spearman correlation of a readout with itself when h becomes A^-T h and U becomes U A^T."""
    matrix = np.random.default_rng(seed).normal(size=(head.shape[1], head.shape[1]))
    moved_head, moved_states = head @ matrix.T, states @ np.linalg.inv(matrix)
    gram = invert_gram(gram_matrix(moved_head), rcond=1e-15)
    after = cosine(moved_states, semantic_basis(moved_head, gram=gram), gram.gram if readout == "invariant" else None)
    return float(np.mean([scipy.stats.spearmanr(a, b).statistic for a, b in zip(before, after, strict=True)]))


def contest(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Seconds of both ways in three rounds, after checking that they agree."""
    ways = {"Gram and Cholesky": lambda: semantic_basis(matrix), "SVD": lambda: np.linalg.pinv(matrix.astype(np.float64)).T}
    seconds, given = race(ways, 3, again="SVD")
    assert np.abs(given["Gram and Cholesky"] - given["SVD"]).max() < 1e-10
    return seconds


if __name__ == "__main__":
    main()
