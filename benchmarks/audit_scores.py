"""Rankings of items by how wrong their label looks: ours and its parts, the published ways, and cleanlab's."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from audit_bench import FIRST, Data
from lexframe.audit.category_posterior import CategoryPosterior, fit_posterior, left_out_shares
from lexframe.audit.neighbor_votes import Neighborhood, choose_neighborhood, find_neighborhood, votes
from lexframe.audit.published.hull import convex_hull
from lexframe.audit.published.point_map import map_points
from lexframe.audit.published.reconsideration import published_reconsideration


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


def ablation_scores(data: Data, given: np.ndarray, near: Neighborhood, found: CategoryPosterior) -> Iterator[tuple[str, np.ndarray]]:
    """The paper's ways, and what each part of ours adds."""
    n_categories = data.n_categories
    yield "paper: hulls in a 2-D map (PCA)", hull_score(data.points, given, n_categories)
    yield "paper: RP, Euclidean distance to centres", paper_rp(data.points, given, n_categories)
    one_hot = given[:, np.newaxis], np.ones((len(given), 1), np.float32)
    counts = np.bincount(given, minlength=n_categories).astype(np.float64)
    shares = left_out_shares(counts, given, np.ones(len(given), np.float32), found.candidates)
    for name, chosen in (
        ("votes of neighbors, plain cosine", find_neighborhood(data.points, 20)),
        ("votes of neighbors, as chosen", near),
    ):
        voted = votes(chosen, *one_hot, found.candidates, n_categories, shares)
        yield name, voted[:, 1:].max(axis=1) - voted[:, 0]
    yield "distance to own against nearest", (found.own_distance - found.nearest_distance).astype(np.float64)
    plain = ours(data, given, near, hierarchy=False)
    yield "whole, without hierarchy", 1 - plain.informed[:, 0].astype(np.float64)
    yield "posterior without the noise model", -found.posterior[:, 0].astype(np.float64)


def hull_score(points: np.ndarray, given: np.ndarray, n_categories: int) -> np.ndarray:
    """Outside the hull of the own category counts one, inside another's up to one more, by how many."""
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
        found = published_reconsideration(distance[~members], float(np.median(distance[members])))
        best[~members] = np.maximum(best[~members], found.guarded)
    return best


def measured(wrong: np.ndarray, score: np.ndarray) -> dict[str, float]:
    order = np.argsort(-score, kind="stable")
    return {"ap": float(average_precision_score(wrong, score)), "first": float(wrong[order[:FIRST]].mean())}


def brier(probability: np.ndarray, wrong: np.ndarray) -> float:
    return float(np.mean((probability - wrong) ** 2))


def log_loss(probability: np.ndarray, wrong: np.ndarray) -> float:
    """In nats an item; no probability counts as surer than one in a million."""
    said = np.clip(np.where(wrong, probability, 1 - probability), 1e-6, 1)
    return float(-np.log(said).mean())
