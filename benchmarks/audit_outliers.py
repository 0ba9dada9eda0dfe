"""Items that belong to no category, and how often an audit speaks of them where there are none."""

import numpy as np
from scipy.stats import kstest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score, roc_auc_score

from audit_bench import Bench
from common import Control, Figure, Goal, Statement, judged, peer
from lexframe.audit.category_audit import CategoryAudit
from lexframe.audit.outliers import adjusted_p, conformal_p_values
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
        result = CategoryAudit(duplicates=False, relations=False).fit(points, given).result_
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


def uniform(bench: Bench) -> list[Statement]:
    """P-values of items drawn as their categories are: uniform, and no discoveries beyond the nominal rate."""
    statistics, discoveries = [], []
    for seed in range(5 if bench.quick else 200):
        rng = np.random.default_rng(seed)
        labels = np.arange(1_000) % 10
        points = (rng.normal(size=(10, 16))[labels] * 2 + rng.normal(size=(1_000, 16))).astype(np.float32)
        result = CategoryAudit(duplicates=False, relations=False).fit(points, labels).result_
        statistics.append(kstest(result.outlier_p, "uniform").statistic)
        discoveries.append(float(result.outliers(0.1).any()))
    return [  # figures, not claims: where p-values are ranks, neither can miss
        Figure("nothing planted: largest gap between p-values and uniform", t_interval(statistics, unit="draws")),
        Figure("nothing planted: share of audits with any outlier at a rate of 0.1", t_interval(discoveries, unit="draws")),
    ]
