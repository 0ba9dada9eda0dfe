"""The vocabulary frame of a language model: what is exact, what is invariant, what is clean, and what it costs.

    python benchmarks/frame.py [--quick] [--model smollm2] [--parts readouts,categories,cost]

- rank agreement of the readouts with the model's own logits on states of desk messages, and where they put the model's own answer
- change of the readouts under changes that the model does not notice: states and head mapped, all rows of the head shifted
- side effect of a step along the basis, along the row of the head and along the centred row, per raised logit; what all logits
  share is left out, as the softmax leaves it out
- whether the word whose basis is nearest is of the same category (words of one token), beside rows of the head
- with the embedded model, seconds for all bases: Cholesky on the float64 Gram matrix against the SVD pseudo-inverse
"""

import argparse
import gzip
import json
import sys
from collections.abc import Callable

import numpy as np
import scipy.stats

from common import AGAIN, SHARED, Control, Exact, Figure, Goal, Statement, default_model, finish, judged, named_after, race, times
from lexframe import LanguageModelSpace, VocabularyFrame, desk
from lexframe.instruments.frame.vocabulary_frame import leverage, semantic_basis, side_effect
from lexframe.intervals import t_interval
from lexframe.linalg import cosine, gram_matrix, invert_gram

N_SEEDS, N_CHANGED = 3, 20
PARTS = "readouts,categories,cost"
Readout = Callable[[np.ndarray, np.ndarray], np.ndarray]
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--parts", default=PARTS)
    options = parser.parse_args()
    space = LanguageModelSpace(options.model)
    frame = VocabularyFrame(space)
    claims: list[Statement] = []
    if "readouts" in options.parts:
        claims += readouts(space, frame, options.quick)
    if "categories" in options.parts:
        claims += same_category(space, frame)
    if "cost" in options.parts and options.model == "embedded":
        claims += cost((4096, 8192) if options.quick else (8192, 32768, 131072))
    finish(claims, keep_as=None if options.quick else named_after("frame", options.model), beside=options.parts != PARTS)


def readouts(space: LanguageModelSpace, frame: VocabularyFrame, quick: bool) -> list[Statement]:
    """What the readouts say and when they change, and how clean a step along a basis is."""
    states = space.encode(desk("test").texts[: 20 if quick else 100]).astype(np.float64)
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
        few = similarity[:N_CHANGED]
        change[name] = [[change_of(readout, head, states, way, seed, few) for seed in range(N_SEEDS)] for way in (mapped, shifted)]
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
    for item in rng.choice(len(head), 20 if quick else 200, replace=False):
        basis, row = frame.bases([item])[0], head[item]
        effects = {"row": row, "centred row": row - center, "random move": rng.normal(size=head.shape[1])}
        own = side_effect(centred, [item], basis)
        for name, move in effects.items():
            ratios[name].append(own / side_effect(centred, [item], move))
    log_ratios = {name: t_interval(np.log(found), unit="tokens") for name, found in ratios.items()}
    by_rival = {name: found.mapped(np.exp) for name, found in log_ratios.items()}
    print("side effect of the basis, as a share: " + ", ".join(f"of the {name}'s {found}" for name, found in by_rival.items()))
    away = t_interval(np.log(np.array(ratios["row"]) / np.array(ratios["random move"])), unit="tokens").mapped(np.exp)

    return [
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
        Figure("invariant readout of the centred head: Spearman with logits", t_interval(agreement["invariant, centred"], unit="texts")),
        *(Figure(f"{name}: rank of the model's own answer, geometric mean", found) for name, found in ranks.items()),
        *judged(
            "side effect of the basis over the centred row's, geometric mean",
            by_rival["centred row"],
            Goal(below=1),
            Control("a random move", away),
        ),
        Figure("side effect of the basis over the plain row's, geometric mean", by_rival["row"]),
    ]


def same_category(space: LanguageModelSpace, frame: VocabularyFrame) -> list[Statement]:
    """Share of words whose nearest other word of their set is of their category, a number a category."""
    path = SHARED / "data" / "word_categories" / "words.jsonl.gz"
    if not path.is_file():
        sys.stderr.write(f"{path} is absent: categories are left out\n")
        return []
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    # A category's own name stands in some of the lists, and some words in two of them: the first is taken.
    words = {(row["set"], row["word"]): row["label"] for row in reversed(rows) if one_token(space, row["word"])}
    head, rng = frame.rows.astype(np.float64), np.random.default_rng(0)
    ways = {
        "invariant": (frame.bases, frame.metric("invariant")),
        "cosine (the paper's)": (frame.bases, None),
        "row of the head": (lambda ids: head[ids], None),
        "centred row of the head": (lambda ids: head[ids] - head.mean(axis=0), None),
    }
    found: dict[str, list[float]] = {name: [] for name in (*ways, "shuffled categories")}
    for chosen in sorted({name for name, _ in words}):
        listed = [word for name, word in words if name == chosen]
        labels = np.array([words[chosen, word] for word in listed])
        ids = [space.word_ids(word)[0] for word in listed]
        for name, (vectors, metric) in ways.items():
            similarity = cosine(vectors(ids), vectors(ids), metric)
            np.fill_diagonal(similarity, -2.0)
            nearest = similarity.argmax(axis=1)
            kept = [label for label in sorted(set(labels)) if (labels == label).sum() >= 5]
            found[name] += [float((labels[nearest] == labels)[labels == label].mean()) for label in kept]
            if name == "invariant":
                mixed = rng.permutation(labels)
                found["shuffled categories"] += [float((mixed[nearest] == mixed)[mixed == label].mean()) for label in kept]
    means = {name: t_interval(values, unit="categories") for name, values in found.items()}
    print(f"nearest of {len(words)} words is of its category: " + ", ".join(f"{name} {value}" for name, value in means.items()), flush=True)
    chance = Control("shuffled categories", means["shuffled categories"])
    title = f"nearest basis of {len(words)} words is of the word's category"
    claims: list[Statement] = [*judged(f"{title}, invariant", means["invariant"], Goal(above=2 * chance.number), chance)]
    for name in list(ways)[1:]:
        lead = t_interval(np.subtract(found["invariant"], found[name]), unit="categories")
        claims += [Figure(f"{title}, {name}", means[name]), Figure(f"{title}, invariant less {name}", lead)]
    return claims


def one_token(space: LanguageModelSpace, word: str) -> bool:
    return bool(word.strip()) and len(space.word_ids(word)) == 1


def cost(sizes: tuple[int, ...]) -> list[Statement]:
    """Seconds of all bases as the vocabulary grows; the largest is judged."""
    for n_vocab in sizes:
        seconds = contest(np.random.default_rng(1).normal(size=(n_vocab, 256)).astype(np.float32))
        print(f"V={n_vocab:6d}, d=256: " + ", ".join(f"{name} {found.mean():.2f} s" for name, found in seconds.items()))
    return [
        *judged(
            "all bases: SVD seconds over Gram and Cholesky seconds",
            times(seconds["SVD"], seconds["Gram and Cholesky"]),
            Goal(above=1),
            Control("SVD against itself", times(seconds[AGAIN], seconds["SVD"])),
        )
    ]


def rank_agreement(first: np.ndarray, second: np.ndarray) -> list[float]:
    """Spearman's correlation of two readouts over the vocabulary, a number a text."""
    return [scipy.stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]


def invariant(head: np.ndarray, states: np.ndarray) -> np.ndarray:
    gram = invert_gram(gram_matrix(head), rcond=1e-15)
    logits, leverages = states @ head.T, leverage(head, gram=gram)
    return logits / np.sqrt(leverages) / np.linalg.norm(logits, axis=1, keepdims=True)  # no basis is formed


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


def change_of(readout: Readout, head: np.ndarray, states: np.ndarray, way: Change, seed: int, before: np.ndarray) -> float:
    """Mean rank agreement of a readout with itself before and after a change that the model does not notice."""
    return float(np.mean(rank_agreement(before, readout(*way(head, states[: len(before)], np.random.default_rng(seed))))))


def contest(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Seconds of both ways in three rounds, after checking that they agree."""
    ways = {"Gram and Cholesky": lambda: semantic_basis(matrix), "SVD": lambda: np.linalg.pinv(matrix.astype(np.float64)).T}
    seconds, given = race(ways, 3, again="SVD")
    assert np.abs(given["Gram and Cholesky"] - given["SVD"]).max() < 1e-10
    return seconds


if __name__ == "__main__":
    main()
