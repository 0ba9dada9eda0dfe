"""Posterior calibration over several models and n-grams at once, beside each alone and what is typed in five lines, on seven public sets.

    python benchmarks/views.py --out runs/views [--sets trec,mr] [--quick]

Finished cells are kept under --out, so the script can be stopped and goes on. Constants of posterior calibration were chosen on texts of
the training files of trec, subj, mr, carer and agnews; no test file had a part in them, and sst5 and mrpc had none at all. Means by set
go to results/views-means.csv.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from common import Control, Exact, Figure, Goal, Statement, finish, judged, without_test_texts
from compare import SETS, read_set
from lexframe.adaptation import ComparisonResult, Draws, compare
from lexframe.adaptation.cells import ALL, Shots
from lexframe.adaptation.draws import rows_of, shots_order
from lexframe.cli.model_options import DEFAULT_TEMPLATE
from lexframe.files import write_text
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces import Space, open_space
from lexframe.spaces.precision import fastest_precision

MODELS = ("smollm2", "minilm", "tfidf")
JOINT = " + ".join(MODELS)
OURS = ("posterior", JOINT)
FRESH = ("sst5", "mrpc")
"""Sets of which no text had a part in any choice."""
DRAWS = (((0, 1, 4, 16), 5), ((64, 256, ALL), 3))
"""Labels a class, and draws of them."""


@dataclass(frozen=True)
class Part:
    """Methods on some models, at some numbers of labels."""

    models: tuple[str, ...]
    methods: str
    draws: tuple[tuple[tuple[Shots, ...], int], ...] = DRAWS
    sets: tuple[str, ...] = SETS


PARTS = (
    Part(MODELS, "posterior"),
    Part(("smollm2", "tfidf"), "posterior"),
    Part(("minilm",), "zero-shot,logistic,lda,tfidf,lexical-nb"),
    Part(("smollm2",), "batch-calibration,lda"),
    Part(("embedded",), "posterior"),
    Part(("smollm2",), "lora,ia3", (((16,), 1),)),
    Part(("smollm2",), "fine-tuning", (((16,), 1),), ("trec", "subj")),
)
"""What trains the model takes 3 to 10 minutes a cell on one core: one draw of 16 labels, and of fine-tuning two sets."""
TUNED = ("lora", "ia3")
TUNED_SHOTS = 16
MANY: tuple[Shots, ...] = (64, 256, ALL)

Row = tuple[str, str]
"""A method, and the model or models it reads."""


@dataclass(frozen=True)
class Found:
    """Right answers on one set: by method and model, labels a class, and seed."""

    name: str
    rows: dict[Row, dict[Shots, dict[int, np.ndarray]]]
    commonest: float

    def accuracy(self, row: Row, shots: Shots) -> float:
        found = self.rows.get(row, {}).get(shots, {})
        return float(np.mean([right.mean() for right in found.values()])) if found else float("nan")

    def on_first_draw(self, row: Row, shots: Shots) -> float:
        return float(self.rows[row][shots][0].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, two draws, 300 texts of each: under a minute once they are encoded")
    parser.add_argument("--out", type=Path, default=Path("runs/views"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--max-train", type=int, default=2000, help="training texts of each set, drawn at random")
    parser.add_argument("--max-test", type=int, default=500)
    options = parser.parse_args()
    parts = PARTS
    if options.quick:
        options.sets, options.max_train, options.max_test = "trec,mr", 200, 100
        parts = tuple(replace(part, draws=(((0, 4), 2),)) for part in PARTS if part.draws == DRAWS)
    opened: dict[str, Space | str] = {}
    found = [measured(name, options, parts, opened) for name in options.sets.split(",")]
    table = means(found)
    print(table.groupby(["method", "model", "shots"], sort=False).accuracy.mean().unstack().to_string(float_format="{:.3f}".format))
    whole = not options.quick and set(options.sets.split(",")) == set(SETS)
    if whole:
        write_text(Path(__file__).parent / "results" / "views-means.csv", table.round(4).to_csv(index=False))
    finish(claims(found), keep_as="views" if whole else None)


def measured(name: str, options: argparse.Namespace, parts: Sequence[Part], opened: dict[str, Space | str]) -> Found:
    """All parts on one set; texts are encoded and cells measured once."""
    train, test = (read_set(name, split) for split in ("train", "test"))
    train = without_test_texts(train, test)
    if len(train) > options.max_train:
        train = rows_of(train, np.sort(np.random.default_rng(0).permutation(len(train))[: options.max_train]).tolist())
    rows: dict[Row, dict[Shots, dict[int, np.ndarray]]] = {}
    commonest = 0.0
    for part in parts:
        for shots, seeds in part.draws if name in part.sets else ():
            print(f"{name}: {' + '.join(part.models)}: {part.methods} at {shots}", file=sys.stderr, flush=True)
            spaces = {model: opened.setdefault(model, open_model(model)) for model in part.models}
            wanted = Draws(shots, range(seeds), options.max_test)
            result = compare(spaces, train, test, methods=part.methods, draws=wanted, folder=options.out / name)
            commonest = float(np.mean(result.truth == result.majority))
            keep(result, rows)
    return Found(name, rows, commonest)


def open_model(name: str) -> Space | str:
    """As ``lexframe compare`` opens it; n-grams are fitted on the texts at hand."""
    if name in ("minilm", "tfidf"):
        return open_space(name) if name == "minilm" else name
    return open_space(name, template=DEFAULT_TEMPLATE, dtype=fastest_precision() if name == "smollm2" else "float32")


def keep(result: ComparisonResult, rows: dict[Row, dict[Shots, dict[int, np.ndarray]]]) -> None:
    for cell in result.cells:
        of_texts = cell.method in ("tfidf", "lexical-nb")
        row = (cell.method, "" if of_texts else cell.model)
        rows.setdefault(row, {}).setdefault(cell.shots, {})[cell.seed] = (cell.predicted == result.truth).astype(float)


def means(found: list[Found]) -> pd.DataFrame:
    """Accuracy by set, method, model and labels a class."""
    return pd.DataFrame(
        [
            {"set": one.name, "method": method, "model": model, "shots": str(shots), "accuracy": one.accuracy((method, model), shots)}
            for one in found
            for method, model in one.rows
            for shots in sorted(one.rows[method, model], key=shots_order)
        ]
    )


def claims(found: list[Found]) -> list[Statement]:
    """Against the best rival on average, and against the best single view of each set."""
    statements: list[Statement] = []
    rows = [row for row in found[0].rows if row != OURS and row[0] not in (*TUNED, "fine-tuning")]
    for shots in sorted(found[0].rows[OURS], key=shots_order):
        rivals = {row: np.mean([one.accuracy(row, shots) for one in found]) for row in rows if shots in found[0].rows[row]}
        best = max(rivals, key=rivals.__getitem__)
        lead = over_sets([one.accuracy(OURS, shots) - one.accuracy(best, shots) for one in found])
        title = (
            f"posterior over {JOINT} minus the best of {len(rivals)} others on average ({' '.join(best).strip()}) at {shots} labels a class"
        )
        statements += judged(title, lead, Goal(at_least=0), control(found, best, shots))
        fresh = [one for one in found if one.name in FRESH]
        if len(fresh) > 1:
            statements.append(Figure(f"{title}, on {', '.join(FRESH)} alone", over_sets([lead_of(one, best, shots) for one in fresh])))
    singles = [row for row in rows if " + " not in row[1] and row[1] != "embedded"]
    gaps = {(one.name, shots): gap_to_best(one, singles, shots) for one in found for shots in one.rows[OURS]}
    worst = min(gaps, key=gaps.__getitem__)
    of_what = f"least of {len(gaps)} cells ({worst[0]}, {worst[1]} labels a class)"
    title = f"posterior over {JOINT} minus the best single view or method of the set, {of_what}"
    statements.append(
        Exact(title, gaps[worst], Goal(at_least=-0.005), Control("the commonest answer", min(commonest_gaps(found, singles))))
    )
    many = [shots for shots in MANY if shots in found[0].rows[OURS]]
    if many:
        leads = [float(np.mean([gaps[one.name, shots] for shots in many])) for one in found]
        title = (
            f"posterior over {JOINT} minus the best single view or method of each set, mean of {', '.join(map(str, many))} labels a class"
        )
        statements += judged(title, over_sets(leads), Goal(at_least=0.015), control(found, ("posterior", "smollm2"), many[0]))
        pairs = [float(np.mean([lead_of(one, ("posterior", "smollm2"), shots) for shots in many])) for one in found]
        statements.append(Figure(f"posterior over {JOINT} minus smollm2 alone, mean of {', '.join(map(str, many))}", over_sets(pairs)))
    return statements + against_tuned(found)


def against_tuned(found: list[Found]) -> list[Statement]:
    """On the one draw of labels that the model was trained on."""
    statements: list[Statement] = []
    for method in TUNED:
        if not all(one.rows.get((method, "smollm2")) for one in found):
            continue
        for ours in (OURS, ("posterior", "smollm2")):
            leads = [one.on_first_draw(ours, TUNED_SHOTS) - one.on_first_draw((method, "smollm2"), TUNED_SHOTS) for one in found]
            common = [one.commonest - one.on_first_draw((method, "smollm2"), TUNED_SHOTS) for one in found]
            title = f"posterior over {ours[1]} minus {method} of smollm2 at {TUNED_SHOTS} labels a class, first draw"
            statements += judged(title, over_sets(leads), Goal(at_least=0), Control("always the commonest answer", over_sets(common)))
    return statements


def over_sets(values: list[float]) -> Estimate:
    return t_interval(values, unit="sets")


def lead_of(one: Found, row: Row, shots: Shots) -> float:
    return one.accuracy(OURS, shots) - one.accuracy(row, shots)


def gap_to_best(one: Found, rows: list[Row], shots: Shots) -> float:
    """To whichever is best on this set's test: harder than any that could be chosen beforehand."""
    return one.accuracy(OURS, shots) - max(one.accuracy(row, shots) for row in rows if shots in one.rows[row])


def commonest_gaps(found: list[Found], rows: list[Row]) -> list[float]:
    return [
        one.commonest - max(one.accuracy(row, shots) for row in rows if shots in one.rows[row]) for one in found for shots in one.rows[OURS]
    ]


def control(found: list[Found], row: Row, shots: Shots) -> Control:
    """The commonest answer of each set in our place."""
    return Control("always the commonest answer", over_sets([one.commonest - one.accuracy(row, shots) for one in found]))


if __name__ == "__main__":
    main()
