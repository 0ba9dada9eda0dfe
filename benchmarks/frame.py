"""The vocabulary frame on the embedded model: what is exact, what is invariant, what is clean, and what it costs.

    python benchmarks/frame.py [--quick] [--model embedded]

- rank agreement of both readouts with the model's own logits, on states of desk messages
- change of both readouts under a random re-parameterisation that leaves every logit alone
- side effect of a step along the basis and along the plain row of the head, per raised logit
- seconds for all bases: Cholesky on the float64 Gram matrix against the SVD pseudo-inverse, as the vocabulary grows
"""

import argparse
import time

import numpy as np
import scipy.stats

from common import Claim, finish
from lexframe import LanguageModelSpace, VocabularyFrame, desk
from lexframe.instruments.frame.vocabulary_frame import semantic_basis, side_effect
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
    agreement, change = {}, {}
    for readout in ("invariant", "cosine"):
        similarity = frame.similarity(states, readout=readout)
        agreement[readout] = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(logits, similarity, strict=True)]
        change[readout] = [reparameterized_agreement(head, states, similarity, readout, seed) for seed in range(N_SEEDS)]
        means = np.mean(agreement[readout]), np.mean(change[readout])
        print(f"{readout:10s} Spearman with logits {means[0]:.3f}   with itself after a re-parameterisation {means[1]:.3f}")

    rng = np.random.default_rng(0)
    ratios = []
    for item in rng.choice(len(head), 20 if options.quick else 200, replace=False):
        basis, row = frame.bases([item])[0], head[item]
        ratios.append(side_effect(head, [item], basis) / side_effect(head, [item], row))
    print(f"side effect of the basis, as a share of the plain row's: median {np.median(ratios):.2f}")

    speed = {}
    for n_vocab in (4096, 8192) if options.quick else (8192, 32768, 131072):
        matrix = np.random.default_rng(1).normal(size=(n_vocab, 256)).astype(np.float32)
        speed[n_vocab] = contest(matrix)
        print(f"V={n_vocab:6d}, d=256: Gram and Cholesky {speed[n_vocab][0]:.2f} s, SVD {speed[n_vocab][1]:.2f} s")
    largest = speed[max(speed)]

    finish(
        [
            Claim(
                "invariant readout: Spearman with logits",
                *interval(agreement["invariant"]),
                ">= 0.9",
                bool(np.mean(agreement["invariant"]) >= 0.9),
            ),
            Claim("cosine readout: Spearman with logits", *interval(agreement["cosine"]), "none (the paper's readout)", True),
            Claim(
                "invariant readout: Spearman with itself after a re-parameterisation",
                *interval(change["invariant"]),
                ">= 0.999999",
                min(change["invariant"]) >= 0.999999,
            ),
            Claim(
                "cosine readout: Spearman with itself after a re-parameterisation",
                *interval(change["cosine"]),
                "none (the paper's readout)",
                True,
            ),
            Claim(
                "side effect of the basis over the plain row's, median",
                float(np.median(ratios)),
                tuple(np.percentile(ratios, [2.5, 97.5])),
                "< 1",
                bool(np.median(ratios) < 1),
            ),
            Claim("all bases: SVD seconds over Gram and Cholesky seconds", largest[1] / largest[0], None, "> 1", largest[1] > largest[0]),
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


def contest(matrix: np.ndarray) -> tuple[float, float]:
    """Seconds of both ways, least of three alternating rounds, after checking that they agree."""
    ours, theirs = [], []
    for _ in range(3):
        start = time.perf_counter()
        bases = semantic_basis(matrix)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        reference = np.linalg.pinv(matrix.astype(np.float64)).T
        theirs.append(time.perf_counter() - start)
    assert np.abs(bases - reference).max() < 1e-10
    return min(ours), min(theirs)


def interval(values: list[float]) -> tuple[float, tuple[float, float]]:
    """Mean, and the range that holds 95% of the values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(np.mean(values)), (float(low), float(high))


if __name__ == "__main__":
    main()
