"""The vocabulary frame on the embedded model: what is exact, what is invariant, what is clean, and what it costs.

    python benchmarks/frame.py [--quick] [--model embedded]

- rank agreement of the readouts with the model's own logits on states of desk messages, and where they put the model's own answer
- change of the readouts under changes that the model does not notice: states and head mapped, all rows of the head shifted
- side effect of a step along the basis, along the row of the head and along the centred row, per raised logit; what all logits
  share is left out, as the softmax leaves it out
- seconds for all bases: Cholesky on the float64 Gram matrix against the SVD pseudo-inverse, as the vocabulary grows
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.stats

from common import AGAIN, Control, Exact, Figure, Goal, finish, judged, race, times
from lexframe import LanguageModelSpace, VocabularyFrame, desk
from lexframe.instruments.frame.vocabulary_frame import semantic_basis, side_effect
from lexframe.intervals import t_interval
from lexframe.linalg import cosine, gram_matrix, invert_gram

N_SEEDS = 3
Readout = Callable[[np.ndarray, np.ndarray], np.ndarray]
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


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
    said = logits.argmax(axis=1)
    agreement, change, ranks, strangers = {}, {}, {}, []
    for name, readout in READOUTS.items():
        similarity = readout(head, states)
        agreement[name] = rank_agreement(logits, similarity)
        above = similarity > np.take_along_axis(similarity, said[:, np.newaxis], axis=1)
        ranks[name] = t_interval(np.log1p(above.sum(axis=1)), unit="texts").mapped(np.exp)
        if name == "invariant":  # the control: what is read from another text's state
            strangers = rank_agreement(logits, np.roll(similarity, 1, axis=0))
        change[name] = [[change_of(readout, head, states, way, seed) for seed in range(N_SEEDS)] for way in (mapped, shifted)]
        means = np.mean(agreement[name]), *np.mean(change[name], axis=1)
        print(
            f"{name:20s} Spearman with logits {means[0]:.3f}   with itself: states and head mapped {means[1]:.3f}, all rows shifted "
            f"{means[2]:.3f}   rank of the model's own answer, geometric mean {ranks[name].value:.1f}",
            flush=True,
        )

    rng = np.random.default_rng(0)
    center = head.mean(axis=0)
    centred = head - center  # a change that all logits share is no change: the softmax leaves it out
    ratios: dict[str, list[float]] = {"row": [], "centred row": [], "random move": []}
    for item in rng.choice(len(head), 20 if options.quick else 200, replace=False):
        basis, row = frame.bases([item])[0], head[item]
        effects = {"row": row, "centred row": row - center, "random move": rng.normal(size=head.shape[1])}
        own = side_effect(centred, [item], basis)
        for name, move in effects.items():
            ratios[name].append(own / side_effect(centred, [item], move))
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
                min(change["invariant"][0]),
                Goal(at_least=0.999999),
                Control("the cosine readout", min(change["cosine"][0])),
            ),
            Figure("cosine readout (the paper's): the same", t_interval(change["cosine"][0], unit="seeds")),
            Exact(
                f"invariant readout of the centred head: Spearman with itself after all rows are shifted, least of {N_SEEDS}",
                min(change["invariant, centred"][1]),
                Goal(at_least=0.999999),
                Control("the invariant readout, not centred", min(change["invariant"][1])),
            ),
            Figure("logit over the length of the row: Spearman with logits", t_interval(agreement["row length"], unit="texts")),
            Figure(
                "invariant readout of the centred head: Spearman with logits", t_interval(agreement["invariant, centred"], unit="texts")
            ),
            *(Figure(f"{name}: rank of the model's own answer, geometric mean", found) for name, found in ranks.items()),
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
        keep_as=None if options.quick else "frame" if options.model == "embedded" else f"frame-{Path(options.model).name}",
    )


def rank_agreement(first: np.ndarray, second: np.ndarray) -> list[float]:
    """Spearman's correlation of two readouts over the vocabulary, a number a text."""
    return [scipy.stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]


def invariant(head: np.ndarray, states: np.ndarray) -> np.ndarray:
    gram = invert_gram(gram_matrix(head), rcond=1e-15)
    return cosine(states, semantic_basis(head, gram=gram), gram.gram)


def paper(head: np.ndarray, states: np.ndarray) -> np.ndarray:
    return cosine(states, semantic_basis(head, gram=invert_gram(gram_matrix(head), rcond=1e-15)))


def by_row_length(head: np.ndarray, states: np.ndarray) -> np.ndarray:
    return states @ head.T / np.linalg.norm(head, axis=1)


READOUTS = {
    "invariant": invariant,
    "invariant, centred": lambda head, states: invariant(head - head.mean(axis=0), states),
    "cosine": paper,
    "row length": by_row_length,
}


def mapped(head: np.ndarray, states: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """States h become A^-T h and U becomes U A^T: no logit changes."""
    matrix = rng.normal(size=(head.shape[1], head.shape[1]))
    return head @ matrix.T, states @ np.linalg.inv(matrix)


def shifted(head: np.ndarray, states: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One vector is added to all rows of U: all logits of a state change alike, so no probability does."""
    length = np.linalg.norm(head, axis=1).mean()
    return head + rng.normal(size=head.shape[1]) * length / np.sqrt(head.shape[1]), states


def change_of(readout: Readout, head: np.ndarray, states: np.ndarray, way: Change, seed: int) -> float:
    """Mean rank agreement of a readout with itself before and after a change that the model does not notice."""
    few = states[:20]
    return float(np.mean(rank_agreement(readout(head, few), readout(*way(head, few, np.random.default_rng(seed))))))


def contest(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Seconds of both ways in three rounds, after checking that they agree."""
    ways = {"Gram and Cholesky": lambda: semantic_basis(matrix), "SVD": lambda: np.linalg.pinv(matrix.astype(np.float64)).T}
    seconds, given = race(ways, 3, again="SVD")
    assert np.abs(given["Gram and Cholesky"] - given["SVD"]).max() < 1e-10
    return seconds


if __name__ == "__main__":
    main()
