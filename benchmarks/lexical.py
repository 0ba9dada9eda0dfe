"""n-grams without a model: what choosing the penalty, characters and naive Bayes weights each add.

`tfidf` and `lexical-nb` against TF-IDF with logistic regression at C = 10, and against words and pairs of words alone, on the sets, draws
and test texts of the comparison.

    python benchmarks/lexical.py --out runs/lexical [--sets trec,mr]

Means by set, method and number of labels go to results/lexical-means.csv. The last line is the claims.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from baselines import by_set, means, table_of
from common import RESULTS, Goal, Statement, finish, judged, without_test_texts
from compare import commonest
from lexframe.adaptation import ComparisonResult, Draws, Problem, compare
from lexframe.adaptation.draws import rows_of
from lexframe.adaptation.methods.lexical import TextsClassifier, Tfidf
from lexframe.cli.compare import parse_shots
from lexframe.files import write_text
from lexframe.instruments import TfidfClassifier
from lexframe.intervals import t_interval
from lexframe.latents import Reading, TextReader
from lexframe.spaces import LexicalSpace

SETS = ("trec", "subj", "agnews", "mr")


class FixedPenalty(Tfidf):
    """C = 10, as others fix it."""

    name = "tfidf-c10"
    description = "TF-IDF and logistic regression, C = 10"

    @staticmethod
    def classifier(**options: int) -> TfidfClassifier:
        return TfidfClassifier(strengths=(10.0,), **options)


class WordsAlone(Tfidf):
    """No characters."""

    name = "tfidf-words"
    description = "TF-IDF of words and pairs of words, and logistic regression, C chosen"

    def fit(self, problem: Problem) -> TextsClassifier:
        found = problem.encoded.ngrams
        columns = found.found_in(problem.rows)
        columns = columns[columns < len(found.vocabulary.words)]
        estimator = TfidfClassifier(random_state=problem.seed)
        estimator.fit_counts(found.vocabulary.only(columns), found.counts[problem.rows][:, columns], problem.names())
        return TextsClassifier(problem, estimator, columns, estimator.n_parameters, {"strength": estimator.strength_})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sets, two draws, 500 training and 200 test texts: a minute")
    parser.add_argument("--out", type=Path, default=Path("runs/lexical"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--shots", default="4,16,64,all")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=2000, help="training texts of each set, drawn at random")
    parser.add_argument("--max-test", type=int, default=500)
    options = parser.parse_args()
    if options.quick:
        options.sets, options.shots, options.draws, options.max_train, options.max_test = "trec,subj", "4,16", 2, 500, 200
    results: dict[str, ComparisonResult] = {}
    for name in options.sets.split(","):
        train, test = table_of(name, "train"), table_of(name, "test")
        train = without_test_texts(train, test)
        if len(train) > options.max_train:
            train = rows_of(train, np.sort(np.random.default_rng(0).permutation(len(train))[: options.max_train]).tolist())
        results[name] = compare(
            {"model": TextReader(LexicalSpace().fitted_on(["none of the methods asks it"]), Reading.own())},
            train,
            test,
            methods=["tfidf", "lexical-nb", FixedPenalty(), WordsAlone()],
            draws=Draws(parse_shots(options.shots), range(options.draws), options.max_test),
            folder=options.out / name,
        )
        print(f"{name}\n{means({name: results[name]}).to_string(float_format='{:.3f}'.format)}", file=sys.stderr, flush=True)
    print(means(results).to_string(float_format="{:.3f}".format))
    if not options.quick:
        rows = pd.concat([result.to_frame().assign(set=name) for name, result in results.items()])
        summary = (
            rows.groupby(["set", "method", "shots"], sort=False)[["accuracy", "log_loss", "fit_seconds"]].mean().round(4).reset_index()
        )
        write_text(RESULTS / "lexical-means.csv", summary.to_csv(index=False))
    finish(claims(results), keep_as=None if options.quick else "lexical")


def claims(results: dict[str, ComparisonResult]) -> list[Statement]:
    """Means over sets with Student's interval over them."""
    found: list[Statement] = []
    for shots in next(iter(results.values())).shots:
        for ours, theirs, what in (
            ("tfidf", "tfidf-c10", "C chosen minus C = 10"),
            ("tfidf", "tfidf-words", "words and characters minus words alone"),
            ("lexical-nb", "tfidf", "naive Bayes weights minus TF-IDF"),
        ):
            lead = t_interval(by_set(results, ours, shots) - by_set(results, theirs, shots), unit="sets")
            goal = Goal(above=-0.01) if theirs == "tfidf-c10" else Goal(above=0)
            found += judged(f"n-grams, {what}, at {shots} labels a class, accuracy", lead, goal, commonest(results, theirs, shots))
    return found


if __name__ == "__main__":
    main()
