"""What each choice inside the frame adds to accuracy: which words, which side, centring, readout, and random words as control.

    python benchmarks/frame_study.py [--quick] [--model smollm2] [--part train] [--n-texts 400]

Every variant gives zero-shot scores; they are judged without labels, less their mean over unlabeled texts (else the bias of single
words decides), and as the prior of posterior calibration with 4 and 16 labels a class. Texts are drawn from the training files
and tested on others of the same files, so nothing is chosen on a test set; `--part test` measures on the test files. A real model is
read in bfloat16 where that is faster here.
"""

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf

from common import Control, Goal, Statement, default_model, finish, judged, named_after
from compare import SETS, read_set
from lexframe.adaptation.draws import draw_labels
from lexframe.adaptation.encoded_texts import EncodedTexts, label_scores
from lexframe.cli.model_options import DEFAULT_TEMPLATE
from lexframe.instruments import PosteriorCalibration, VocabularyFrame
from lexframe.intervals import t_interval
from lexframe.linalg import cosine
from lexframe.spaces import open_space
from lexframe.spaces.base import VocabularySpace
from lexframe.spaces.precision import fastest_precision

Words = dict[str, list[str]]
TEMPERATURE = 0.1
RANDOM = "control: logits of random words"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, one seed, fewer texts")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--part", choices=("train", "test"), default="train")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n-texts", type=int, help="of each set, half of them to draw labels from; default: 2,000, of a real model 400")
    options = parser.parse_args()
    small = options.model == "embedded"
    n_texts = options.n_texts or (2000 if small else 400)
    sets, seeds, n_texts = (SETS[:2], 1, min(n_texts, 600)) if options.quick else (SETS, options.seeds, n_texts)
    space = open_space(options.model, template=DEFAULT_TEMPLATE, dtype="float32" if small else fastest_precision())
    assert isinstance(space, VocabularySpace)
    rows = []
    for name in sets:
        table = read_set(name, "train")
        order = np.random.default_rng(0).permutation(len(table))[:n_texts]
        texts, labels = [table.texts[i] for i in order], [table.labels[i] for i in order]
        n_pool = len(texts) // 2
        if options.part == "test":
            other = read_set(name, "test")
            texts, labels = texts[:n_pool] + list(other.texts[:1000]), labels[:n_pool] + list(other.labels[:1000])
        classes = sorted(set(labels))
        y = np.searchsorted(classes, labels)
        encoded = EncodedTexts(space, texts)
        for variant, scores in variants(space, encoded, classes).items():
            for shots, accuracy in accuracies(scores, encoded.points, y, n_pool, range(seeds)).items():
                rows.append({"set": name, "variant": variant, "shots": shots, "accuracy": accuracy})
        print(
            pd.DataFrame(rows).query("set == @name").pivot_table(index="variant", columns="shots", values="accuracy", sort=False).round(3),
            flush=True,
        )
    table = pd.DataFrame(rows)
    means = table.pivot_table(index="variant", columns="shots", values="accuracy", sort=False)
    print(means.round(3))
    finish(claims(table), keep_as=None if options.quick else named_after("frame_study", options.model))


def variants(space: VocabularySpace, encoded: EncodedTexts, classes: list[str]) -> dict[str, np.ndarray]:
    """Zero-shot scores, shape (n_texts, n_classes), in nats, by variant."""
    words: Words = {label: [label] for label in classes}
    frame, centered, input_side = VocabularyFrame(space), VocabularyFrame(space, center=True), VocabularyFrame(space, side="input")
    near = {label: [token.strip() for token, _ in frame.nearest(label, limit=30)] for label in classes}

    def by_frame(chosen: VocabularyFrame, listed: Words, readout: str) -> np.ndarray:
        return chosen.label_bases(listed, readout=readout).similarity(encoded.points) / TEMPERATURE

    def by_logits(listed: Words) -> np.ndarray:
        return label_scores(space, encoded.raw_points, list(listed.values()))

    found: dict[str, Callable[[], np.ndarray]] = {
        "logits of the label words": lambda: by_logits(words),
        "bases, invariant readout": lambda: by_frame(frame, words, "invariant"),
        "bases, cosine": lambda: by_frame(frame, words, "cosine"),
        "centered bases, invariant": lambda: by_frame(centered, words, "invariant"),
        "input side, invariant": lambda: by_frame(input_side, words, "invariant"),
        "input side, cosine": lambda: by_frame(input_side, words, "cosine"),
        "bases, points whitened": lambda: whitened(encoded.points, frame.label_bases(words).vectors),
        "logits, 3 synonyms": lambda: by_logits(expanded(near, 3)),
        "logits, 10 synonyms": lambda: by_logits(expanded(near, 10)),
        "logits, 30 synonyms": lambda: by_logits(expanded(near, 30)),
        "bases, 10 synonyms": lambda: by_frame(frame, expanded(near, 10), "invariant"),
        RANDOM: lambda: by_logits(random_words(space, classes, 1)),
        "control: logits of 10 random words": lambda: by_logits(random_words(space, classes, 10)),
        "control: no prior": lambda: np.zeros((len(encoded), len(classes))),
    }
    return {name: make() for name, make in found.items()}


def whitened(points: np.ndarray, bases: np.ndarray) -> np.ndarray:
    """Cosines with the bases where the points have no preferred direction: both times the inverse root of the points' covariance."""
    values, directions = np.linalg.eigh(LedoitWolf().fit(points).covariance_)
    root = directions / np.sqrt(values)
    return cosine((points - points.mean(0)) @ root, (bases - bases.mean(0)) @ root) / TEMPERATURE


def expanded(near: Words, n: int) -> Words:
    """Every label with the n vocabulary items whose bases are nearest; an item near two labels goes to neither."""
    nearest = {label: tokens[:n] for label, tokens in near.items()}
    taken = [token for tokens in nearest.values() for token in set(tokens)]
    return {
        label: [label, *(token for token in tokens if token.isalpha() and taken.count(token) == 1)] for label, tokens in nearest.items()
    }


def random_words(space: VocabularySpace, classes: list[str], n: int) -> Words:
    rng = np.random.default_rng(1)
    tokens = [
        text.strip()
        for text in space.token_texts(rng.permutation(space.n_vocab)[:4000].tolist())
        if text.strip().isalpha() and text.startswith(" ")
    ]
    return {label: tokens[number * n : (number + 1) * n] for number, label in enumerate(classes)}


def accuracies(scores: np.ndarray, points: np.ndarray, y: np.ndarray, n_pool: int, seeds: range) -> dict[int, float]:
    """Accuracy on the texts after the pool, by number of labels a class drawn from it."""
    test = np.arange(n_pool, len(y))
    found = {0: float(np.mean((scores[test] - scores[:n_pool].mean(0)).argmax(1) == y[test]))}
    X = np.hstack([scores, points])
    for shots in (4, 16):
        values = []
        for seed in seeds:
            rows = draw_labels(y[:n_pool], shots, seed)
            fitted = PosteriorCalibration(list(range(scores.shape[1])), random_state=seed).fit(X[rows], y[rows])
            values.append(np.mean(fitted.predict(X[test]) == y[test]))
        found[shots] = float(np.mean(values))
    return found


def claims(table: pd.DataFrame) -> list[Statement]:
    """Each variant against the logits of the label words; intervals over sets. The control has random words in the place of the labels'."""
    wide = table.pivot_table(index=["set", "shots"], columns="variant", values="accuracy", sort=False)
    found: list[Statement] = []
    for shots in (0, 4, 16):
        part = wide.xs(shots, level="shots")
        for variant in (name for name in wide.columns if name != "logits of the label words"):
            chance = "control: logits of 10 random words" if variant == RANDOM else RANDOM
            lead, control = (
                t_interval((part[one] - part[variant]).to_numpy(), unit="sets") for one in ("logits of the label words", chance)
            )
            title = f"logits of the label words minus {variant}, {shots} labels a class"
            found += judged(title, lead, Goal(above=0), Control(chance.removeprefix("control: "), control))
    return found


if __name__ == "__main__":
    main()
