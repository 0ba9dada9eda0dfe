"""Items that belong to no category, and how often an audit speaks of them where there are none."""

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from audit_bench import Bench
from common import Control, Figure, Goal, Statement, judged, peer
from lexframe.audit.category_audit import CategoryAudit
from lexframe.audit.category_posterior import OPEN
from lexframe.audit.outliers import adjusted_p, benjamini_hochberg, conformal_p_values, pooled_p_values
from lexframe.audit.result import AuditResult
from lexframe.audit.review.decisions import Decisions
from lexframe.intervals import t_interval


def nowhere(bench: Bench) -> list[Statement]:
    """clinc150's queries that fit no intent, filed under the intent with the likest words, against Datalab's outlier score."""
    cleanlab = peer("cleanlab") and peer("cleanlab.datalab.datalab")
    claims: list[Statement] = []
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
        result = CategoryAudit(duplicates=False, relations=False, check=False).fit(points, given).result_
        scores_of = {"lexframe": result.strangeness}
        if cleanlab is not None:
            lab = cleanlab.Datalab({"y": given}, label_name="y", verbosity=0)
            lab.find_issues(features=points, issue_types={"outlier": {}})
            scores_of["Datalab"] = -lab.get_issues("outlier")["outlier_score"].to_numpy()
        for name, values in scores_of.items():
            claims.append(Figure(f"{model}: items of no category, AUROC, {name}", float(roc_auc_score(strange, values))))
            found = float(average_precision_score(strange, values))
            claims.append(Figure(f"{model}: items of no category, average precision, {name}", found))  # one set: nothing to judge by
        # Half of the right items are known to be right (reviewed); false discoveries among the rest at a rate of 0.1.
        rates, powers, unadjusted = [], [], []
        scores = result.strangeness
        for seed in range(5 if bench.quick else 200):
            rng = np.random.default_rng(seed)
            drawn = rng.permutation(len(right))
            trusted, asked = drawn[: len(drawn) // 2], np.concatenate([drawn[len(drawn) // 2 :], np.flatnonzero(strange)])
            p_values = conformal_p_values(scores[trusted], scores[asked])
            flagged = adjusted_p(p_values) <= 0.1
            rates.append(float((flagged & ~strange[asked]).sum() / max(flagged.sum(), 1)))
            unadjusted.append(float(((p_values <= 0.1) & ~strange[asked]).sum() / max((p_values <= 0.1).sum(), 1)))
            powers.append(float((flagged & strange[asked]).sum() / strange.sum()))
        what = f"{model}: false discoveries at a nominal 0.1 over {len(rates)} draws of trusted items ({np.mean(powers):.2f} found)"
        control = Control("p-values that are not adjusted", t_interval(unadjusted, unit="draws"))
        claims += judged(what, t_interval(rates, unit="draws"), Goal(at_most=0.1), control)
    return claims


LEVELS = (0.05, 0.1, 0.2)


def strangers(bench: Bench) -> list[Statement]:
    """`AuditResult.outliers` itself: strangers among Gaussian items, some of the right ones trusted, many times over.

    1,000 items of five categories in 16 dimensions, 40 of them strangers five standard deviations from the middle, 600 of the right
    ones trusted.
    False discoveries and what is found at several levels; with no strangers, how often anything is named; and with the same trusted
    items and the same rule the plain Mahalanobis distance and scikit-learn's local outlier factor, fitted on half of the trusted items and
    calibrated on the other half, as conformal p-values ask for.
    """
    shares: dict[tuple[str, float], list[float]] = {}
    powers: dict[tuple[str, float], list[float]] = {}
    unadjusted: dict[float, list[float]] = {level: [] for level in LEVELS}
    named: dict[float, list[float]] = {level: [] for level in LEVELS}
    for seed in range(10 if bench.quick else 200):
        points, labels, strange, trusted = planted_strangers(seed)
        result = audited(points, labels, trusted)
        asked = np.flatnonzero(result.settled == OPEN)
        right = ~strange
        nothing = audited(points[right], labels[right], trusted)
        p_values = {name: rival(points, labels, trusted, asked) for name, rival in (("Mahalanobis", mahalanobis_p), ("LOF", factor_p))}
        ours = pooled_p_values(result.posterior.misfit, labels, reference=result.settled >= 0)
        for level in LEVELS:
            flagged = {name: benjamini_hochberg(p, level) for name, p in p_values.items()}
            flagged["lexframe"] = result.outliers(level)[asked]
            for name, called in flagged.items():
                shares.setdefault((name, level), []).append(float((called & ~strange[asked]).sum() / max(called.sum(), 1)))
                powers.setdefault((name, level), []).append(float(called[strange[asked]].mean()))
            plain = ours[asked] <= level
            unadjusted[level].append(float((plain & ~strange[asked]).sum() / max(plain.sum(), 1)))
            named[level].append(float(nothing.outliers(level).any()))
    claims: list[Statement] = []
    for level in LEVELS:
        control = Control("p-values that are not adjusted", t_interval(unadjusted[level], unit="draws"))
        what = f"strangers: false discoveries of outliers({level:g}), {np.mean(powers['lexframe', level]):.2f} of the strangers found"
        claims += judged(what, t_interval(shares["lexframe", level], unit="draws"), Goal(at_most=level), control)
        claims.append(Figure(f"no strangers: audits in which outliers({level:g}) names an item", t_interval(named[level], unit="draws")))
        for rival in ("Mahalanobis", "LOF"):
            gain = np.array(powers["lexframe", level]) - np.array(powers[rival, level])
            same = Control("the same on other draws", t_interval(np.diff(powers["lexframe", level]), unit="draws"))
            rate = float(np.mean(shares[rival, level]))
            what = f"strangers: share found at {level:g} minus that of {rival} (false discoveries {rate:.3f})"
            claims += judged(what, t_interval(gain, unit="draws"), Goal(above=0), same)
    return claims


def planted_strangers(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points, labels, which are strangers, and the rows that are trusted."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 1_000)
    points = rng.normal(size=(5, 16))[labels] + rng.normal(size=(1_000, 16))
    far = rng.normal(size=(40, 16))
    points[960:] = 5 * far / np.linalg.norm(far, axis=1, keepdims=True)
    return points.astype(np.float32), labels, np.arange(1_000) >= 960, rng.permutation(960)[:600]


def audited(points: np.ndarray, labels: np.ndarray, trusted: np.ndarray) -> AuditResult:
    given = [str(labels[row]) for row in trusted]
    kept = Decisions.from_lists(trusted.tolist(), ["keep"] * len(trusted), [""] * len(trusted), given)
    return CategoryAudit(duplicates=False, relations=False, check=False).fit(points, labels, decisions=kept).result_


def mahalanobis_p(points: np.ndarray, labels: np.ndarray, trusted: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """From the distance to the own category's mean, one shrunken covariance (Ledoit and Wolf)."""
    fitted, held = np.array_split(trusted, 2)
    means = np.stack([points[fitted[labels[fitted] == k]].mean(axis=0) for k in range(labels.max() + 1)])
    model = LedoitWolf(assume_centered=True).fit(points[fitted] - means[labels[fitted]])
    scores = model.mahalanobis(points - means[labels])
    return conformal_p_values(scores[held], scores[asked])


def factor_p(points: np.ndarray, labels: np.ndarray, trusted: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """From the local outlier factor, which knows no category."""
    fitted, held = np.array_split(trusted, 2)
    scores = -LocalOutlierFactor(novelty=True).fit(points[fitted]).score_samples(points)
    return conformal_p_values(scores[held], scores[asked])
