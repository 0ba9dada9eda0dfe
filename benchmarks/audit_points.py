"""The audit of categories on a larger model's points, beside MiniLM's, the embedded model's and n-grams, and cleanlab on the same.

    python benchmarks/audit_points.py [--quick] [--model smollm2] [--out runs/audit_points]

Wrong labels are planted at 10% into a part of each set, at random or among the three categories with the likest words, three draws; and
those that crowds found in a part of imdb_label_errors. Points of language models are read in bfloat16 and from 64 tokens of a text at
most. N-grams are TF-IDF of words and of characters within words, brought to 300 dimensions so that every ranking can read them.
Rankings: the audit, cleanlab's self-confidence on the audit's posteriors and on its guides' logistic regression, a random order.
Points and finished cells are kept in the folder `--out`.
"""

import argparse
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union

from audit_bench import Bench, Data, plant
from audit_errors import known_errors
from audit_scores import dense, logistic_probabilities, measured, ours
from common import RESULTS, Control, Figure, Goal, Statement, finish, judged, peer
from lexframe.audit.points import audit_points
from lexframe.files import write_text
from lexframe.intervals import mean_over_sets
from real_model import default_model, minilm, opened, results_name, short_name


@dataclass(frozen=True)
class Set:
    """How many items of which part."""

    name: str
    most: int
    part: str = "train"

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("known",) if self.part == "test" else ("random",) if self.name == "mr" else ("random", "confused")


SETS = (
    Set("trec", 3_000),
    Set("carer", 2_000),
    Set("mr", 1_500),
    Set("agnews", 800),
    Set("dbpedia14", 800),
    Set("imdb_label_errors", 600, "test"),
)
RATE, SEEDS, MAX_LENGTH, N_GRAM_DIMS = 0.1, 3, 64, 300
N_GRAMS = "n-grams"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the embedded model and n-grams, 500 items of two sets, one draw")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--out", type=Path, default=Path("runs/audit_points"), help="where points and finished cells are kept")
    parser.add_argument("--sets", default=",".join(one.name for one in SETS), help="comma-separated")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn|cleanlab|datasets")
    model = "embedded" if options.quick else options.model
    points = PointsOf(model, options.out, quick=options.quick)
    asked = [one for one in SETS if one.name in options.sets.split(",")]
    rows = [row for one in (asked[:2] if options.quick else asked) for row in cells(points, one)]
    table = pd.DataFrame(rows)
    mean = table.groupby(["set", "kind", "points", "method"], sort=False)[["ap", "first"]].mean().round(4).reset_index()
    print(mean.pivot(index=["points", "method"], columns=["set", "kind"], values="ap").round(3).to_string())
    name = results_name("audit_points", model)
    if not options.quick:
        write_text(RESULTS / f"{name}-scores.csv", mean.to_csv(index=False))
    finish(claims(table, short_name(model)), keep_as=None if options.quick else name)


class PointsOf:
    """Items of a set with the points of one view after the other; every text is read once."""

    def __init__(self, model: str, folder: Path, *, quick: bool) -> None:
        self.model, self.folder, self.quick = model, folder, quick
        self.bench = Bench(folder, None, ["embedded"], quick=quick)
        others = [] if quick else ["minilm", "embedded"]
        self.views = [short_name(model), *(name for name in others if name != short_name(model)), N_GRAMS]
        if not quick and minilm() is None:
            self.views.remove("minilm")
        if "minilm" in self.views:
            self.views.append(self.both)

    @property
    def both(self) -> str:
        return f"{short_name(self.model)} and minilm"

    def data(self, view: str, one: Set) -> Data:
        plain = self.items(one)
        return replace(plain, points=self._kept(view, one, plain.texts))

    def items(self, one: Set) -> Data:
        return self.bench.data("embedded", one.name, part=one.part, most=500 if self.quick else one.most)

    def _kept(self, view: str, one: Set, texts: tuple[str, ...]) -> np.ndarray:
        if view == self.both:
            parts = [self._kept(name, one, texts) for name in (short_name(self.model), "minilm")]
            return np.hstack([part / np.sqrt(((part - part.mean(axis=0)) ** 2).sum(axis=1).mean()) for part in parts])
        if view == "embedded":
            return self.items(one).points
        path = self.folder / f"view-{view}-{one.name}-{len(texts)}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, self._read(view, texts))
            sys.stderr.write(f"{one.name} is read by {view}\n")
        return np.load(path)

    def _read(self, view: str, texts: tuple[str, ...]) -> np.ndarray:
        if view == N_GRAMS:
            return n_gram_points(texts)
        space = minilm() if view == "minilm" else opened(self.model, max_length=MAX_LENGTH)
        assert space is not None
        return audit_points(space, texts)[0]


def n_gram_points(texts: tuple[str, ...]) -> np.ndarray:
    """TF-IDF of words 1-2 and characters within words 2-5, in its main directions."""
    table = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
    ).fit_transform(texts)
    return TruncatedSVD(min(N_GRAM_DIMS, table.shape[1] - 1), random_state=0).fit_transform(table).astype(np.float32)


def cells(points: PointsOf, one: Set) -> list[dict[str, Any]]:
    """Average precision of every ranking, by view of the texts."""
    rows: list[dict[str, Any]] = []
    for view in points.views:
        data = points.data(view, one)
        for kind in one.kinds:
            for seed in range(1 if points.quick or kind == "known" else SEEDS):
                key = {"part": "points 1", "view": view, "set": one.name, "n": len(data.labels), "kind": kind, "seed": seed}

                def ranked(data: Data = data, kind: str = kind, seed: int = seed) -> dict[str, Any]:
                    given = data.labels if kind == "known" else plant(data, kind, RATE, seed)
                    wrong = wrong_of(points, one) if kind == "known" else given != data.labels
                    return {"scores": [[method, measured(wrong, score)] for method, score in rankings(data, given, seed)]}

                found = points.bench.cell(key, ranked)["scores"]
                rows += [{"set": one.name, "kind": kind, "seed": seed, "points": view, "method": name} | score for name, score in found]
        sys.stderr.write(f"{one.name}, {view} done\n")
    return rows


def wrong_of(points: PointsOf, one: Set) -> np.ndarray:
    """Which items crowds found wrong; the items are drawn as :meth:`Bench.data` draws them."""
    wrong = known_errors(one.name)
    chosen = np.sort(np.random.default_rng(0).permutation(len(wrong))[: len(points.items(one).labels)])
    return wrong[chosen]


def rankings(data: Data, given: np.ndarray, seed: int) -> list[tuple[str, np.ndarray]]:
    found = ours(data, given, hierarchy=False)
    scores: list[tuple[str, np.ndarray]] = [("lexframe", 1 - found.informed[:, 0].astype(np.float64))]
    if peer("cleanlab") is not None:
        from cleanlab.rank import get_label_quality_scores

        sources = (
            ("its posteriors", dense(found, data.n_categories)),
            ("logistic regression", logistic_probabilities(data, given, seed)),
        )
        for name, probabilities in sources:
            quality = get_label_quality_scores(given, probabilities, method="self_confidence")
            scores.append((f"cleanlab self-confidence, {name}", -quality))
    return [*scores, ("random order", np.random.default_rng(seed).random(len(given)))]


def claims(table: pd.DataFrame, model: str) -> list[Statement]:
    """What the model's points find more than others', and the audit more than cleanlab on the same points, over sets."""
    planted, found = table[table.kind != "known"], []
    views = list(planted.points.unique())

    def column(points: str, method: str, measure: str = "ap") -> pd.Series:
        some = planted[(planted.points == points) & (planted.method == method)]
        return some.set_index(["set", "kind", "seed"])[measure]

    def lead(one: pd.Series, other: pd.Series) -> Any:
        difference = (one - other).dropna()
        return mean_over_sets(difference.to_numpy(), difference.index.get_level_values("set"))

    chance = column(model, "random order")
    logistic = "cleanlab self-confidence, logistic regression"
    rivals = [(f"the audit on {view}", column(view, "lexframe")) for view in views if view != model and "and" not in view]
    rivals += [(f"{logistic} on {view}", column(view, logistic)) for view in (model, N_GRAMS) if logistic in set(planted.method)]
    for name, theirs in rivals:
        title = f"planted: average precision, the audit on {model} minus {name}"
        found += judged(title, lead(column(model, "lexframe"), theirs), Goal(above=0), Control("a random order", lead(chance, theirs)))
    both = f"{model} and minilm"
    if both in views:
        for view in (model, "minilm"):
            theirs = column(view, "lexframe")
            title = f"planted: average precision, the audit on points of both minus on {view}"
            found += judged(title, lead(column(both, "lexframe"), theirs), Goal(above=0), Control("a random order", lead(chance, theirs)))
    known = table[table.kind == "known"]
    found += [
        Figure(f"{row.set}, known errors: average precision, {row.method} on {row.points}", float(row.ap)) for row in known.itertuples()
    ]
    return found


if __name__ == "__main__":
    main()
