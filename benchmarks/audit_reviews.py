"""What a hierarchy of categories and people's decisions add."""

import numpy as np

from audit_bench import FIRST, KINDS, PLANTED, Bench, plant
from audit_scores import measured, ours
from common import Claim
from lexframe.audit.category_audit import CategoryAudit
from lexframe.audit.review.decisions import Decisions
from lexframe.intervals import mean_over_items


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
