"""What a hierarchy of categories and people's decisions add."""

from dataclasses import replace

import numpy as np

from audit_bench import FIRST, KINDS, PLANTED, Bench, plant
from audit_scores import measured, ours
from common import Control, Goal, Statement, judged
from lexframe.audit.category_audit import CategoryAudit
from lexframe.audit.review.decisions import Decisions
from lexframe.intervals import mean_over_sets


def hierarchy(bench: Bench) -> list[Statement]:
    """Fine categories under coarse ones, few items each: with and without the means leaning on siblings, and on strangers."""
    claims: list[Statement] = []
    for model in bench.models:
        for name, level, most in (("trec", "label_fine", bench.most), ("clinc150", "label", 1_500))[: 1 if bench.quick else 2]:
            data = bench.data(model, name, level=level, most=most)
            strangers = replace(data, groups=np.random.default_rng(0).permutation(data.groups))
            differences, at_random, seeds = [], [], []
            for kind in KINDS:
                for seed in bench.seeds:
                    given = plant(data, kind, 0.05, seed)
                    wrong = given != data.labels
                    precision = [
                        measured(wrong, 1 - ours(one, given, hierarchy=flag).informed[:, 0])["ap"]
                        for one, flag in ((data, False), (data, True), (strangers, True))
                    ]
                    differences.append(precision[1] - precision[0])
                    at_random.append(precision[2] - precision[0])
                    seeds.append(seed)
            what = (
                f"{model}, {data.name}, {data.n_categories} categories, {len(data.labels)} items: average precision, hierarchy minus none"
            )
            value, control = (mean_over_sets(one, seeds, unit="seeds") for one in (differences, at_random))
            claims += judged(what, value, Goal(above=0), Control("a hierarchy at random", control))
    return claims


def reviews(bench: Bench) -> list[Statement]:
    """Errors in the second hundred reviews, with the decisions of the first hundred given back, and without."""
    claims: list[Statement] = []
    for model in bench.models:
        gains, found_with, found_without, at_random, sets = [], [], [], [], []
        for name in ("trec",) if bench.quick else PLANTED:
            data = bench.data(model, name, most=bench.most)
            for kind in KINDS:
                for rate in (0.05,) if bench.quick else (0.05, 0.1):
                    for seed in bench.seeds:
                        given = plant(data, kind, rate, seed)
                        wrong = given != data.labels
                        plain = {"check": False, "duplicates": False, "relations": False}
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
                        at_random.append(FIRST * float(np.delete(wrong, rows).mean()) - float(found_without[-1]))
                        sets.append(name)
        means = f"({np.mean(found_with):.1f}) minus not ({np.mean(found_without):.1f})"
        what = f"{model}: errors in the second {FIRST} reviews, decisions given back {means}"
        control = Control("the second reviews drawn at random", mean_over_sets(at_random, sets))
        claims += judged(what, mean_over_sets(gains, sets), Goal(above=0), control)
    return claims
